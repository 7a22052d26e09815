"""Made sounds of four kinds for the tests of classification: tones, noises, clicks, and chirps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sounds import write

KINDS = ("chirp", "click", "noise", "tone")


def sound(kind: str, seed: int, rate: int = 8000, seconds: float = 0.5) -> np.ndarray:
    """Half a second of one kind; the seed changes pitch, level and noise."""
    rng = np.random.default_rng(100 * KINDS.index(kind) + seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(300, 500)
    made = {
        "tone": np.sin(2 * np.pi * pitch * t) + 0.5 * np.sin(4 * np.pi * pitch * t),
        "chirp": np.sin(2 * np.pi * (pitch + 900 * t / seconds) * t),
        "noise": rng.normal(0, 0.5, len(t)),
        "click": (np.arange(len(t)) % round(rate / rng.uniform(18, 25)) < 3).astype(float),
    }[kind]
    noisy: np.ndarray = rng.uniform(0.2, 0.5) * made + rng.normal(0, 0.003, len(t))
    return np.clip(noisy, -0.99, 0.99)


def files(kinds: Path, which: range, names: tuple[str, ...] = KINDS) -> tuple[list[str], list[str]]:
    """Return the paths of some sounds of each kind in a folder of them, and their labels."""
    pairs = [(str(kinds / kind / f"{i:02}.wav"), kind) for kind in names for i in which]
    return [p for p, _ in pairs], [label for _, label in pairs]


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind, of twelve files each."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in KINDS:
        for i in range(12):
            write(folder / kind / f"{i:02}.wav", sound(kind, i), 8000)
    return folder

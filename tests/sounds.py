"""Made sounds and damaged files for the tests of the front end and of speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Array = NDArray[Any]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
CORPORA = ROOT.parent / "shared" / "corpora"

FLAC_TOTAL = 21
"""Where the 36 bits of a FLAC file's number of samples begin (the low half of this byte)."""


def voice(seconds: float = 2.0, rate: int = 16000, *, seed: int = 0, level: float = 0.1) -> Array:
    """Syllables of a voice with gaps between them, on a noise of -70 dB: float64 in [-1, 1]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(90, 240)
    harmonics = np.arange(1, int(0.45 * rate / pitch))
    formants = rng.uniform([300, 900, 2000], [800, 2000, 3200])
    gains = sum(1 / (1 + ((harmonics * pitch - f) / 120) ** 2) for f in formants) + 0.01
    drift = 2 * np.pi * pitch * (t + 0.003 * np.sin(2 * np.pi * 1.7 * t))
    sound = sum(
        g * np.sin(h * drift + p) for h, g, p in zip(harmonics, gains, rng.uniform(0, 6, len(gains)), strict=True)
    )
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 3) * t + rng.uniform(0, 6)), 0, None)
    sound = sound / np.abs(sound).max() * syllables * level * 3
    result: Array = np.clip(sound + rng.normal(0, 10 ** (-70 / 20), len(t)), -0.99, 0.99)
    return result


def steps(signal: Array) -> Array:
    """The 16-bit numbers of a float signal."""
    result: Array = np.round(signal * 32768).astype(np.int16)
    return result


def write(path: Path, signal: Array, rate: int = 16000, **how: Any) -> Path:
    """Write a sound file, and return its path; `how` is for soundfile, for example `format` and `subtype`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, signal, rate, **how)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only so much of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def with_flac_total(path: Path, total: int) -> Path:
    """Let a FLAC file's header claim another number of samples; 0 stands for one that is not known."""
    data = bytearray(path.read_bytes())
    data[FLAC_TOTAL] = data[FLAC_TOTAL] & 0xF0 | total >> 32
    data[FLAC_TOTAL + 1 : FLAC_TOTAL + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def with_wav_size(path: Path, size: int) -> Path:
    """Let a plain WAV file's header claim another number of bytes of sound."""
    data = bytearray(path.read_bytes())
    assert data[36:40] == b"data"
    data[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little")
    data[40:44] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path

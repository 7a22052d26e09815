"""A front end that this package does not know: trained with, saved, loaded by naming its type, and answered with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from speechgmm.classification import MixtureSettings, load_classifier, train_classifier
from speechgmm.errors import IncompatibleModel, TooLittleSpeech
from speechgmm.evaluation.decision import Rule
from speechgmm.features import FrontEnd
from tests.kinds import KINDS


@dataclass(frozen=True)
class Toy(FrontEnd):
    """The logarithmic energies of four bands of a spectrum."""

    sample_rate: int = 8000
    hop_length: float = 0.016

    @property
    def n_dimensions(self) -> int:
        return 4

    def __call__(self, signal: ArrayLike, *, what: str = "the signal") -> np.ndarray[Any, Any]:
        step = round(self.hop_length * self.sample_rate)
        x = np.asarray(signal)
        if len(x) < step:
            raise TooLittleSpeech(f"{what} must hold one frame; got {len(x)} samples")
        frames = x[: len(x) // step * step].reshape(-1, step)
        bands = np.array_split(np.abs(np.fft.rfft(frames, axis=1)) ** 2, 4, axis=1)
        return np.stack([np.log(b.sum(axis=1) + 1e-6) for b in bands], axis=1).astype(np.float32)


def test_from_training_to_answers(kinds: Path, tmp_path: Path) -> None:
    rows = [(str(kinds / kind / f"{i:02}.wav"), kind) for kind in KINDS for i in range(12)]
    paths, labels = ([row[i] for row in rows] for i in (0, 1))
    settings = MixtureSettings(n_components=2)
    made = train_classifier(paths[::2], labels[::2], frontend=Toy(), settings=settings, folds=3).classifier
    made.save(tmp_path / "toy.sgmm")
    with pytest.raises(IncompatibleModel, match="a Toy"):
        load_classifier(tmp_path / "toy.sgmm")
    loaded = load_classifier(tmp_path / "toy.sgmm", Toy)
    assert loaded.frontend == Toy()
    assert loaded.classify(paths, rule=Rule(far=0.2)) == made.classify(paths, rule=Rule(far=0.2))
    assert np.mean([a == b for a, b in zip(loaded.predict(paths[1::2]), labels[1::2], strict=True)]) > 0.7
    (short,) = loaded.classify([np.zeros(20)])
    assert (short.status, short.candidates) == ("too_little_speech", ())

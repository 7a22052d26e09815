"""A front end of one's own goes through everything: training, calibration, storage, enrollment and identification."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel
from speechgmm.features import Corpus, FrontEnd
from speechgmm.speakers import SpeakerStore, enroll, held_out, identify, load_system, train_system

NAMES = 20
"""The recordings are dealt out to so many background speakers: with fewer there is no calibration."""


@dataclass(frozen=True)
class BandEnergies(FrontEnd):
    """Logarithms of the energies in a few bands of equal width, of frames that do not overlap."""

    sample_rate: int = 16000
    hop_length: float = 0.02
    bands: int = 8

    @property
    def n_dimensions(self) -> int:
        return self.bands

    def __call__(self, signal: Any, *, what: str = "the signal") -> np.ndarray[Any, Any]:
        size = round(self.hop_length * self.sample_rate)
        x = np.asarray(signal, dtype=np.float32)
        frames = x[: len(x) // size * size].reshape(-1, size)
        power = np.abs(np.fft.rfft(frames)) ** 2
        bands = np.stack([b.sum(axis=1) for b in np.array_split(power, self.bands, axis=1)], axis=1)
        return np.log(bands + 1e-6).astype(np.float32)


def test_a_front_end_of_ones_own_recognizes_speakers(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "SEARCHES", 10)  # of real speech many more
    found = corpus.where(split="ubm").recordings
    named = [dataclasses.replace(r, speaker=f"{i % NAMES}", session=None) for i, r in enumerate(found)]
    made = train_system(named, n_components=8, frontend=BandEnergies())
    assert made.skipped == ()
    assert made.system.calibration is not None

    made.system.save(tmp_path / "toy.sgmm")
    with pytest.raises(IncompatibleModel, match="a BandEnergies"):
        load_system(tmp_path / "toy.sgmm")
    system = load_system(tmp_path / "toy.sgmm", BandEnergies)
    assert system.frontend == BandEnergies()
    assert system.fingerprint == made.system.fingerprint

    tests = list(corpus.where(split="test"))
    with SpeakerStore(tmp_path / "toy.db", system, create=True) as store:
        enroll(system, store, corpus.where(split="enroll"))
        answers = identify(system, store, [r.path for r in tests])
        other = dataclasses.replace(system, frontend=BandEnergies(hop_length=0.01))
        with pytest.raises(IncompatibleModel, match=r"same front end: hop_length=0\.01; got hop_length=0\.02"):
            store.check_system(other)
    right = [a.candidates[0].name == r.speaker for a, r in zip(answers, tests, strict=True)]
    assert np.mean(right) > 0.5, "ten are enrolled, so that guessing is right in a tenth of the tests"

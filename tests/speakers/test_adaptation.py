"""A system moved to other microphones: what moves, what stays, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import Corpus, Signal
from speechgmm.mixture.adapt import moved
from speechgmm.speakers import SpeakerStore, System, adapt_system, default_system, load_system
from speechgmm.speakers.models import cohort_models
from tests.sounds import voice, write


@pytest.fixture(scope="module")
def sounds(corpus: Corpus) -> list[str]:
    return [r.path for r in corpus.where(speaker=("awb", "es_m1", "kal16"), session="s1")]


def test_the_means_move_to_the_pool_of_all_recordings(system: System, sounds: list[str]) -> None:
    done = adapt_system(system, sounds, relevance=3.0)
    one = system.statistics(np.concatenate([system.frontend.from_file(path) for path in sounds]))
    wanted = moved(system.ubm, one, 3.0)
    np.testing.assert_allclose(done.system.ubm.means, wanted.means, atol=1e-4)  # sums of float32 in another order
    for part, new in zip(system.ubm.parts, done.system.ubm.parts, strict=True):
        assert new.weights is part.weights or np.array_equal(new.weights, part.weights)
        assert new.covariance is part.covariance
    assert (done.system.frontend, done.system.relevance) == (system.frontend, system.relevance)
    assert done.system.fingerprint != system.fingerprint
    assert np.abs(done.system.ubm.means - system.ubm.means).max() > 0.1
    assert (done.skipped, done.warnings, done.system.calibration) == ((), (), None)


def test_threads_and_order_change_nothing_that_matters(system: System, sounds: list[str]) -> None:
    one, two, back = (
        adapt_system(system, listed, n_threads=n).system for listed, n in ((sounds, 1), (sounds, 2), (sounds[::-1], 1))
    )
    assert one.fingerprint == two.fingerprint
    np.testing.assert_allclose(one.ubm.means, back.ubm.means, rtol=0, atol=1e-9)


def test_frames_speak_louder_than_a_great_relevance(system: System, sounds: list[str]) -> None:
    far, near = (adapt_system(system, sounds, relevance=r).system.ubm.means for r in (0.5, 1e6))
    assert np.abs(near - system.ubm.means).max() < 1e-2 < np.abs(far - system.ubm.means).max()


def test_the_cohort_moves_along_and_nothing_measured_is_claimed(sounds: list[str], tmp_path: Path) -> None:
    packaged = default_system()
    done = adapt_system(packaged, sounds)
    before, after = (
        cohort_models(s.ubm, None if s.calibration is None else s.calibration.cohort) for s in (packaged, done.system)
    )
    assert before is not None
    assert after is not None
    moved, held = after.offsets - done.system.ubm.offsets, before.offsets - packaged.ubm.offsets
    np.testing.assert_allclose(moved, held, rtol=0, atol=1e-14)  # the rounding of the sums
    assert done.system.calibration is not None
    assert packaged.calibration is not None
    assert (done.system.calibration.measured, packaged.calibration.measured["by"]) == ({}, "pieces")
    assert done.system.calibration.llr is packaged.calibration.llr
    (warning,) = done.warnings
    assert "measured before this adaptation, on other recordings" in warning
    done.system.save(tmp_path / "m.sgmm")
    read = load_system(tmp_path / "m.sgmm")
    assert read.fingerprint == done.system.fingerprint
    assert read.summary()["calibration"] == {}
    with (
        SpeakerStore(tmp_path / "s.db", packaged, create=True),
        pytest.raises(IncompatibleModel, match="be of this model's UBM"),
    ):
        SpeakerStore(tmp_path / "s.db", read)


def test_it_says_to_what_each_time(system: System, sounds: list[str], tmp_path: Path) -> None:
    bad = [tmp_path / "none.wav", write(tmp_path / "silence.wav", np.zeros(16000))]
    first = adapt_system(system, [bad[0], *sounds, bad[1]])
    assert [s.name for s in first.skipped] == [str(b) for b in bad]
    assert ["exist" in s.reason or "speech" in s.reason for s in first.skipped] == [True, True]
    (told,) = first.system.info["adapted"]
    seconds = sum(system.frontend.seconds(system.frontend.from_file(path)) for path in sounds)
    assert told == {
        "from": system.fingerprint,
        "recordings": len(sounds),
        "skipped": 2,
        "speech_seconds": pytest.approx(seconds, abs=0.01),
        "relevance": 100.0,
    }
    assert {k: v for k, v in first.system.info.items() if k != "adapted"} == dict(system.info)
    again = adapt_system(first.system, [Signal(voice(2.0).astype(np.float32), 16000)]).system.info["adapted"]
    assert [a["from"] for a in again] == [system.fingerprint, first.system.fingerprint]
    strange = replace(system, info={"adapted": "by hand"})
    assert adapt_system(strange, sounds[:1]).system.info["adapted"][0] == "by hand"


def test_nothing_to_adapt_to_is_refused(system: System, tmp_path: Path) -> None:
    rule = "recordings to adapt to must be at least one that can be used; got none of "
    with pytest.raises(InvalidInput, match=rule + r"1; the first: .*none\.wav, which does not"):
        adapt_system(system, [tmp_path / "none.wav"])
    with pytest.raises(InvalidInput, match=rule + r"0\."):
        adapt_system(system, [])
    with pytest.raises(InvalidInput, match=r"relevance must be at least 0 frames and .*; got -1 frames"):
        adapt_system(system, [tmp_path / "none.wav"], relevance=-1.0)

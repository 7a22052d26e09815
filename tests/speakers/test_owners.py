"""Owners: where their scores lie in training, and what a store learns from its own people; what is unfamiliar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from speechgmm.features import Corpus
from speechgmm.mixture import Statistics
from speechgmm.speakers import SpeakerStore, default_system, enroll, enrolled, identify, unfamiliar_recordings
from speechgmm.speakers.calibration import FADE, OwnerScores
from speechgmm.speakers.impostors import _without
from tests.sounds import DATA, write

USUAL = OwnerScores(np.array([4.0, 2.0]), 1.5, 0.5, 4.0)


def test_misses_are_the_lower_tail_of_owners_scores() -> None:
    assert USUAL.missed(4.0, 1.0) == pytest.approx(0.5)
    assert USUAL.missed(3.0, 2.0) == pytest.approx(norm.cdf((3 - 4 - 2 * np.log(2)) / 1.5))
    np.testing.assert_array_equal(USUAL.missed(3.0, [0.1, 100.0]), USUAL.missed(3.0, [0.5, 16.0]))  # within its reach
    assert USUAL.missed(3.0, 16.0) < USUAL.missed(3.0, 8.0)  # which goes to four times of what was seen


def test_a_store_moves_what_is_known_of_owners_by_its_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(200), 3)
    amounts = rng.uniform(0.5, 4.0, people.size)
    scores = rng.normal(1.0 + 2.0 * np.log(amounts), 0.8)
    found = USUAL.met(scores, amounts, people)
    share = 200 / (200 + FADE)
    assert found.mean[0] == pytest.approx(4.0 - 3.0 * share, abs=0.1)
    assert found.mean[1] == USUAL.mean[1]
    assert found.deviation == pytest.approx(0.8, abs=0.1)
    one = USUAL.met([1.0], [1.0], [7])  # a third of the way
    assert one.mean[0] == pytest.approx(4.0 - 3.0 / (1 + FADE))
    assert USUAL.met([], [], []) is USUAL


def test_people_with_many_recordings_count_as_those_with_few() -> None:
    few = USUAL.met([1.0, 5.0], [1.0, 1.0], [0, 1])
    many = USUAL.met([1.0] * 9 + [5.0], [1.0] * 10, [0] * 9 + [1])
    assert few.mean[0] == pytest.approx(many.mean[0])


def test_statistics_without_a_recording_are_those_of_the_others() -> None:
    rng = np.random.default_rng(1)
    parts = [
        Statistics(np.zeros(2), rng.uniform(0, 9, 3), rng.normal(size=(3, 2)), np.ones((3, 2)), -1.0, 9.0)
        for _ in range(2)
    ]
    left = _without(parts[0] + parts[1], parts[1])
    np.testing.assert_allclose(left.counts, parts[0].counts)
    np.testing.assert_allclose(left.first, parts[0].first)
    none = _without(parts[1], parts[1])
    assert not none.counts.any()
    assert not none.first.any()


def test_music_is_unfamiliar_and_says_why(tmp_path: Path) -> None:
    system = default_system()
    assert system.familiarity is not None
    voices = {name: sorted((DATA / name).glob("s1_*.flac")) for name in ("slt", "rms", "awb")}
    t = np.arange(4 * 16000) / 16000
    chord = sum(np.sin(2 * np.pi * f * k * t) / k for f in (220.0, 277.2, 329.6) for k in range(1, 9))
    music = write(tmp_path / "music.wav", (0.1 * chord).astype(np.float32), 16000)
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        for name, files in voices.items():
            done = enroll(system, store, Corpus.from_files(files, speaker=name))
            assert not done.skipped
        (answer,) = identify(system, store, [music])
        assert answer.unfamiliar is not None
        assert answer.assured is False
        assert answer.unfamiliar.value > answer.unfamiliar.limit
        assert "usual is" in answer.unfamiliar.reason
        done = enroll(system, store, Corpus.from_files([music], speaker="band"))
        assert [u.name for u in done.unfamiliar] == [str(music)]
        assert str(music) in [u.name for u in unfamiliar_recordings(system, store)]
        assert enrolled(system, store).domain.surroundings is not None

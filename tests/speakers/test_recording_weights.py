"""How much a recording counts: by definition, frame by frame; and what weights must not change."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.mixture import Statistics
from speechgmm.speakers import SpeakerStore, System, enroll_features, enrolled_models, speaker_models
from speechgmm.speakers.recording_weights import POWER, as_spoken, contribution
from tests.laws import close, same_statistics
from tests.sounds import Array
from tests.speakers.conftest import tiny_system
from tests.speakers.test_following import ensemble

LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=6)


def speech(seed: int, frames: int) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(0, 2, 3), 1.0, (frames, 3))


def together(recordings: list[Array], system: System) -> Statistics:
    return functools.reduce(operator.add, [contribution(system.statistics(x)) for x in recordings])


def by_frames(system: System, recordings: list[Array]) -> Array:
    """The means of a speaker by definition: each frame counts by the length of its recording."""
    total = sum(map(len, recordings))
    share = total / sum(len(x) ** POWER for x in recordings)
    counts, first = np.zeros(system.ubm.means.shape[0]), np.zeros(system.ubm.means.shape)
    for x in recordings:
        weight = share * len(x) ** (POWER - 1)
        for frame in x:
            s = system.statistics(frame[None])
            counts, first = counts + weight * s.counts, first + weight * s.first
    own = first / np.maximum(counts, 1e-300)[:, None]
    alpha = (counts / (counts + system.relevance))[:, None]
    return np.asarray(alpha * own + (1 - alpha) * system.ubm.offsets)


@pytest.mark.parametrize("make", [tiny_system, ensemble])
def test_a_model_is_of_frames_that_count_by_the_length_of_their_recording(make: Callable[[], System]) -> None:
    system = make()
    recordings = [speech(i, n) for i, n in enumerate((3, 40, 7))]
    found = speaker_models(system, {"ann": together(recordings, system)})
    close(found.offsets[0], by_frames(system, recordings), atol=1e-9)


@given(LENGTHS, st.floats(0.0, 1.0))
def test_all_of_a_speaker_counts_as_many_frames_as_there_are(lengths: list[int], power: float) -> None:
    system = tiny_system()
    recordings = [speech(i, n) for i, n in enumerate(lengths)]
    sums = functools.reduce(operator.add, [contribution(system.statistics(x), power) for x in recordings])
    whole = as_spoken(system.ubm, sums)
    assert whole.counts.sum() == pytest.approx(sum(lengths), rel=1e-9)
    assert whole.frames == sums.frames == sum(lengths)
    same_statistics(as_spoken(system.ubm, whole), whole)


@given(LENGTHS)
def test_power_one_and_equal_lengths_count_every_frame_alike(lengths: list[int]) -> None:
    system = tiny_system()
    recordings = [speech(i, n) for i, n in enumerate(lengths)]
    plain = functools.reduce(operator.add, map(system.statistics, recordings))
    sums = functools.reduce(operator.add, [contribution(system.statistics(x), 1.0) for x in recordings])
    same_statistics(sums, plain)
    same_statistics(as_spoken(system.ubm, plain), plain, rtol=1e-9)
    equal = [speech(i, lengths[0]) for i in range(len(lengths))]
    same_statistics(
        as_spoken(system.ubm, together(equal, system)),
        functools.reduce(operator.add, map(system.statistics, equal)),
        rtol=1e-9,
        atol=1e-6,
    )


@pytest.mark.parametrize("power", [0.0, 0.5, 0.75])
def test_a_longer_recording_counts_more_but_not_by_all_its_frames(power: float) -> None:
    system = tiny_system()
    short, long = (contribution(system.statistics(speech(1, n)), power).counts.sum() for n in (100, 1600))
    assert long / short == pytest.approx(16**power)


def test_nothing_heard_weighs_nothing() -> None:
    system = tiny_system()
    nothing = 0.0 * system.statistics(speech(0, 3))
    assert contribution(nothing) is nothing
    assert as_spoken(system.ubm, nothing) is nothing


def test_sessions_order_and_removal_change_nothing(tmp_path: Path) -> None:
    system, lengths = tiny_system(), {"x": 20, "y": 300, "z": 45}

    def offsets(name: str, *kept: str, forget: str = "") -> Any:
        with SpeakerStore(tmp_path / name, system, create=True) as store:
            for session in kept:
                enroll_features(system, store, "ann", speech(len(session), lengths[session]), session=session)
            if forget:
                store.remove("ann", forget)
            return enrolled_models(system, store).offsets

    first = offsets("1", "x", "y", "z")
    np.testing.assert_array_equal(first, offsets("2", "z", "x", "y"))
    np.testing.assert_array_equal(offsets("3", "x", "z"), offsets("4", "x", "y", "z", forget="y"))
    assert not np.array_equal(first, offsets("5", "x", "z"))

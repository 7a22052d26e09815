"""What a store keeps of each recording: exact sums, some frames, forgotten with the recording, named where damaged."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import DamagedSessionWarning
from speechgmm.features import Recording
from speechgmm.mixture import GMM, Statistics, fit_gmm
from speechgmm.speakers import SpeakerStore, System, enroll, enroll_features
from speechgmm.speakers.impostors import FRAMES
from speechgmm.speakers.recording_samples import heard, sample_of
from speechgmm.speakers.recording_weights import contribution
from speechgmm.speakers.score import Scorer
from speechgmm.speakers.sessions import first_order, summable, summable_seconds
from tests.laws import problems
from tests.sounds import Array, steps, voice, write
from tests.speakers.conftest import tiny_system
from tests.speakers.made import enroll_frames, extracted, with_calibration
from tests.speakers.test_damaged_store import change, flip
from tests.speakers.test_store import frames, put, session

TINY = with_calibration(tiny_system())
BY_RECORDING = replace(TINY, by_recording=True)
GRID = 2.0**-24


def kept(store: SpeakerStore) -> set[str]:
    """The digests of all samples in the tables, also of recordings that nobody has."""
    with closing(sqlite3.connect(store.location)) as db:
        return {digest for (digest,) in db.execute("select digest from speechgmm_samples")}


def digests(*seeds: int) -> set[str]:
    return {f"digest {s}" for s in seeds}


@pytest.fixture
def two(new: SpeakerStore, tiny: System) -> SpeakerStore:
    put(new, session(tiny, "ann", "a", 1, 2), session(tiny, "ann", "b", 3), session(tiny, "bob", "a", 4))
    return new


def test_samples_are_forgotten_with_their_recordings(two: SpeakerStore, tiny: System) -> None:
    assert kept(two) == digests(1, 2, 3, 4)
    two.remove("ann", "b")
    assert kept(two) == digests(1, 2, 4)
    put(two, session(tiny, "ann", "a", 2, 5), forget=[("ann", "a")])
    assert kept(two) == digests(2, 4, 5)
    put(two, session(tiny, "ann", "a", 6))  # added to what is there
    assert kept(two) == digests(2, 4, 5, 6)
    two.rename("ann", "zoe")
    assert kept(two) == digests(2, 4, 5, 6)
    two.remove("zoe")
    assert kept(two) == digests(4)
    two.remove("bob")
    assert kept(two) == set()


def test_samples_are_forgotten_although_the_list_of_recordings_is_damaged(two: SpeakerStore) -> None:
    with closing(sqlite3.connect(two.location)) as db:  # no rule against NULL where a disk fails
        db.execute("pragma writable_schema = on")
        db.execute("update sqlite_master set sql = replace(sql, ' NOT NULL', '')")
        db.commit()
    change(Path(two.location), "update speechgmm_recordings set digest = null where digest = 'digest 4'")
    two.remove("ann")
    assert kept(two) == set()


def test_a_recording_that_is_refused_leaves_nothing(two: SpeakerStore, tiny: System) -> None:
    bad, good = session(tiny, "cid", "a", 7, 3), session(tiny, "dan", "a", 8)
    put(two, bad, good, strict=False)
    assert kept(two) == digests(1, 2, 3, 4, 8)
    held = {s.digest: s for s in two.samples(digests(3))[0]}
    assert held["digest 3"].speech_seconds == pytest.approx(0.2), "that of ann still"


def test_samples_come_back_as_they_were(two: SpeakerStore, tiny: System) -> None:
    (found,), damaged = two.samples(["digest 3", "digest 99"])  # of which one is not enrolled
    ours = tiny.statistics(frames(3))
    assert damaged == ()
    assert (found.digest, found.frames.dtype, found.counts.dtype) == ("digest 3", np.float16, np.float32)
    np.testing.assert_array_equal(found.counts, ours.counts.astype(np.float32))
    np.testing.assert_array_equal(found.first, ours.first.astype(np.float32))


@pytest.mark.parametrize("system", [TINY, BY_RECORDING], ids=["plain", "by recording"])
@pytest.mark.parametrize("how", ["bit", "gone", "swapped", "text"])
def test_a_damaged_sample_is_named_and_identification_goes_on(tmp_path: Path, how: str, system: System) -> None:
    rng = np.random.default_rng(0)
    people = {name: [rng.normal(i, 1.5, (40, 3)).astype(np.float32)] for i, name in enumerate(("ann", "bob", "cid"))}
    test = extracted(TINY, rng.normal(0, 1.5, (30, 3)).astype(np.float32))
    with SpeakerStore(tmp_path / "s.db", TINY, create=True) as store:
        enroll_frames(TINY, store, people)
        whole = Scorer.of(system, store).score_test([test])
        path = Path(shutil.copy(store.location, tmp_path / "damaged.db"))
    digest, other = (extracted(TINY, people[name][0]).digest for name in ("bob", "cid"))
    where = f"digest = '{digest}'"
    if how == "bit":
        flip(path, where, table="samples")
    elif how == "gone":
        change(path, f"delete from speechgmm_samples where {where}")
    elif how == "text":
        change(path, f"update speechgmm_samples set value = 'x' where {where}")
    else:
        value = f"(select value from speechgmm_samples where digest = '{other}')"
        change(path, f"update speechgmm_samples set value = {value} where {where}")
    reason = {
        "bit": "its sample must be unchanged since it was saved",
        "gone": "nothing is kept of it",
        "text": "no bytes but str",
        "swapped": "it is of another recording",
    }[how]
    words = f"session a of bob is damaged and left out: bob 0: {reason}"
    with SpeakerStore(path, TINY) as store:
        with pytest.warns(DamagedSessionWarning, match=words):
            scorer = Scorer.of(system, store)
        found = scorer.score_test([test])
        assert scorer.models.names == ("ann", "bob", "cid")
        assert found.scores is not None
        assert np.isfinite(found.scores).all()
        assert whole.scores is not None
        with pytest.warns(DamagedSessionWarning, match=words):
            alone = Scorer.of(system, store, "ann").score_test([test]).scores
        assert alone is not None
        np.testing.assert_allclose(alone, found.scores[:1], rtol=1e-9)
        (damaged,) = store.damaged()
        assert (damaged.speaker, damaged.name) == ("bob", "a")
        assert store.damaged("ann") == ()
        enroll_frames_again(store, people["bob"][0])
        assert store.damaged() == ()
        np.testing.assert_array_equal(Scorer.of(system, store).score_test([test]).scores, whole.scores)


def test_a_damaged_sample_of_many_is_named_when_its_person_is_a_candidate(tmp_path: Path) -> None:
    """A store's own trials ask for four recordings of a person, candidates for ten."""
    rng = np.random.default_rng(0)
    people = {name: [rng.normal(i, 1.5, (40, 3)).astype(np.float32) for _ in range(6)] for i, name in enumerate("abc")}
    test = extracted(TINY, rng.normal(0, 1.5, (30, 3)).astype(np.float32))
    last = max(extracted(TINY, x).digest for x in people["b"])
    with SpeakerStore(tmp_path / "s.db", TINY, create=True) as store:
        enroll_frames(TINY, store, people)
        whole = Scorer.of(BY_RECORDING, store).score_test([test]).scores
        flip(Path(store.location), f"digest = '{last}'", table="samples")
    with SpeakerStore(tmp_path / "s.db", TINY) as store:
        scorer = Scorer.of(BY_RECORDING, store)
        with pytest.warns(DamagedSessionWarning, match="session a of b is damaged and left out: b "):
            found = scorer.score_test([test]).scores
        again = scorer.score_test([test]).scores  # which has been said
    assert whole is not None
    assert found is not None
    np.testing.assert_array_equal(found, again)
    np.testing.assert_allclose(found[[0, 2]], whole[[0, 2]], rtol=1e-6)
    assert abs(found[1] - whole[1]) > 1e-6


def enroll_frames_again(store: SpeakerStore, x: Array) -> None:
    """Replace bob, which mends what was damaged."""
    store.remove("bob")
    enroll_frames(TINY, store, {"bob": [x]})


def test_enrolling_keeps_a_sample_of_each_recording(system: System, tmp_path: Path) -> None:
    sounds = [write(tmp_path / f"{i}.wav", steps(voice(seconds, seed=i))) for i, seconds in enumerate((1.0, 6.0))]
    recordings = [Recording(str(p), "ann", p.name, "s") for p in sounds]
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        enroll(system, store, recordings)
        (held,) = store.sessions()
        samples, damaged = store.samples(held.recordings)
        assert damaged == ()
        assert {s.digest for s in samples} == set(held.recordings)
        one, other = (contribution(first_order(system.ubm, s.counts, s.first)) for s in samples)
        both = one + other
        np.testing.assert_allclose(both.counts, held.statistics.counts, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(both.first, held.statistics.first, rtol=1e-4, atol=1e-3)
        assert both.frames == pytest.approx(held.statistics.frames)
        assert sum(s.speech_seconds for s in samples) == pytest.approx(held.speech_seconds)
        for s in samples:
            n = round(s.speech_seconds / system.frontend.hop_length)
            assert len(s.frames) == min(n, FRAMES)
            assert s.frame_seconds == pytest.approx(s.speech_seconds * len(s.frames) / n)
        enroll(system, store, recordings[:1], replace=True)
        assert len(kept(store)) == 1
        store.remove("ann")
        assert kept(store) == set()


def test_features_keep_a_sample_too(new: SpeakerStore, tiny: System) -> None:
    enroll_features(tiny, new, "ann", frames(1))
    assert len(kept(new)) == 1
    assert new.damaged() == ()


@given(st.integers(1, 700), st.integers(0, 99))
def test_frames_of_a_sample_are_those_of_the_recording(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(0, 3, (n, 3)).astype(np.float32)
    s, again = (sample_of(TINY.ubm, f"{seed}", TINY.statistics(x), x, 0.01 * n) for _ in range(2))
    back = heard(TINY.ubm, s)
    assert s.frames.tobytes() == again.frames.tobytes(), "drawn by digest"
    assert len(back.features) == min(n, FRAMES)
    assert back.features.dtype == np.float32
    assert back.speech_seconds == pytest.approx(0.01 * len(back.features))
    near = np.abs(back.features[:, None] - x).max(axis=2)
    assert near.min(axis=1).max() < 0.02, "to the precision of float16"
    assert len(set(near.argmin(axis=1).tolist())) == len(back.features), "each at most once"


def test_frames_far_beyond_float16_are_kept_at_its_end() -> None:
    x = np.full((3, 3), 1e9, dtype=np.float32)
    s = sample_of(TINY.ubm, "d", TINY.statistics(np.zeros((3, 3))), x, 0.03)
    assert np.isfinite(s.frames).all()
    assert (s.frames == np.finfo(np.float16).max).all()


@given(problems(minimum=2), st.permutations(range(6)), st.integers(0, 9))
def test_sums_of_summable_statistics_are_exact_in_any_order(
    problem: tuple[GMM, Array], order: list[int], seed: int
) -> None:
    ubm, x = problem
    deviations = np.random.default_rng(seed).uniform(0.1, 9, x.shape[1])
    parts = [summable(ubm.statistics(x * (1 + 0.1 * i)), deviations) for i in range(6)]
    forth, back = parts[0], parts[order[0]]
    for i in range(1, 6):
        forth, back = forth + parts[i], back + parts[order[i]]
    halves = (parts[0] + parts[1] + parts[2]) + (parts[3] + (parts[4] + parts[5]))
    assert bits_of(forth) == bits_of(back) == bits_of(halves)


def bits_of(s: Statistics) -> tuple[object, ...]:
    return s.counts.tobytes(), s.first.tobytes(), s.second.tobytes(), s.log_likelihood, s.frames


@given(problems(minimum=1), st.integers(0, 9))
def test_summable_statistics_differ_by_the_grid_at_most(problem: tuple[GMM, Array], seed: int) -> None:
    ubm, x = problem
    deviations = np.random.default_rng(seed).uniform(0.1, 9, x.shape[1])
    given_ = ubm.statistics(x)
    found = summable(given_, deviations)
    unit = 2 * deviations  # a power of two from the deviation to twice it
    assert (np.abs(found.counts - given_.counts) <= GRID / 2).all()
    assert (np.abs(found.first - given_.first) <= unit * GRID / 2).all()
    assert (np.abs(found.second - given_.second) <= unit**2 * GRID / 2).all()
    assert abs(found.log_likelihood - given_.log_likelihood) <= GRID / 2
    assert found.frames == given_.frames
    assert bits_of(summable(found, deviations)) == bits_of(found), "once is enough"


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_second_moments_of_features_that_go_together_are_summable_too(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (300, 3)) @ rng.normal(0, 1, (3, 3))
    ubm = fit_gmm(x, 2, covariance=kind).model
    parts = [summable(ubm.statistics(x[i::5]), np.array([0.3, 1.0, 7.0])) for i in range(5)]
    forth, back = parts[0], parts[-1]
    for a, b in zip(parts[1:], parts[-2::-1], strict=True):
        forth, back = forth + a, back + b
    assert bits_of(forth) == bits_of(back)


@given(st.lists(st.floats(0, 1e5), min_size=2, max_size=8))
def test_summable_seconds_add_up_in_any_order(seconds: list[float]) -> None:
    parts = [summable_seconds(s) for s in seconds]
    assert sum(parts) == sum(parts[::-1]) == sum(sorted(parts))
    assert max(abs(a - b) for a, b in zip(parts, seconds, strict=True)) <= GRID / 2

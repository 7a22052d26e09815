"""The domain: it follows from who is enrolled alone, to the bit, and moves everything that is scored in it."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.mixture import adapt
from speechgmm.mixture.adapt import adapted_offsets
from speechgmm.speakers import SpeakerStore, enrolled_models
from speechgmm.speakers.domain import FRAMES, MOST, People, content
from speechgmm.speakers.impostors import (
    drawn_frames,
    impostor_trials,
    models_among,
    relative_to_cohort,
    scored_by,
    trials,
)
from speechgmm.speakers.score import Scorer
from tests.laws import close, problems
from tests.sounds import Array
from tests.speakers.conftest import tiny_system
from tests.speakers.made import enroll_frames, extracted, with_calibration

TINY = dataclasses.replace(with_calibration(tiny_system()), by_recording=True)
assert TINY.calibration is not None
LEVELS = TINY.calibration.levels
Batch = Mapping[str, Sequence[Array]]


def speech(seed: int, n: int = 40) -> Array:
    """Frames of one recording of one of seven voices."""
    rng = np.random.default_rng(seed)
    x: Array = rng.normal(np.random.default_rng(seed % 7).normal(0, 1.5, 3), 1.2, (n, 3)).astype(np.float32)
    return x


TEST = extracted(TINY, speech(999, 60))
PEOPLE: Batch = {name: [speech(10 * i + j, 25 + 9 * i + j) for j in range(3)] for i, name in enumerate("abcdef")}


@contextmanager
def opened(path: Path, *batches: Batch | tuple[Batch, str]) -> Iterator[SpeakerStore]:
    """A new store in which these were enrolled one after the other, each under its session's name."""
    with SpeakerStore(path, TINY, create=True) as store:
        for batch in batches:
            people, session = batch if isinstance(batch, tuple) else (batch, "a")
            enroll_frames(TINY, store, people, session=session)
        yield store


def bits(store: SpeakerStore, *speakers: str) -> dict[str, Any]:
    """All that follows from a store, and what a test scores, to the bit."""
    scorer = Scorer.of(TINY, store, *speakers)
    norm, models, scored = scorer.norm, scorer.models, scorer.score_test([TEST])
    assert norm is not None
    assert scored.scores is not None
    assert scored.normalized is not None
    return {
        "ubm": models.ubm.means.tobytes(),
        "norm": (norm.size, norm.location, norm.scale),
        "names": models.names,
        "seconds": models.speech_seconds.tobytes(),
        "models": models.offsets.tobytes(),
        "scores": scored.scores.tobytes(),
        "normalized": scored.normalized.tobytes(),
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What follows from all six people, enrolled at once."""
    with opened(tmp_path_factory.mktemp("plain") / "s.db", PEOPLE) as store:
        return bits(store)


def test_it_is_where_the_people_are(plain: dict[str, Any]) -> None:
    means = np.frombuffer(plain["ubm"]).reshape(TINY.ubm.means.shape)
    assert not np.array_equal(means, TINY.ubm.means)
    assert plain["norm"][0] == 6
    assert plain["norm"][1:] != (LEVELS.norm(6).location, LEVELS.norm(6).scale), "their trials count"


@pytest.mark.parametrize("gone", [["a"], ["f"], ["b", "e"]])
def test_a_removed_speaker_leaves_the_bits_of_a_store_that_never_saw_them(tmp_path: Path, gone: list[str]) -> None:
    kept = {name: x for name, x in PEOPLE.items() if name not in gone}
    with opened(tmp_path / "1", PEOPLE) as store, opened(tmp_path / "2", kept) as never:
        for name in gone:
            store.remove(name)
        assert bits(store) == bits(never)


def test_a_removed_session_leaves_the_bits_of_a_store_that_never_saw_it(tmp_path: Path, plain: dict[str, Any]) -> None:
    more = {"a": [speech(101), speech(102)], "c": [speech(103)]}
    with opened(tmp_path / "s", PEOPLE, (more, "b")) as store:
        assert bits(store) != plain
        store.remove("a", "b")
        store.remove("c", "b")
        assert bits(store) == plain


def test_what_is_enrolled_as_two_sessions_or_as_one_is_the_same(tmp_path: Path, plain: dict[str, Any]) -> None:
    first = {name: x[:1] for name, x in PEOPLE.items()}
    rest = {name: x[1:] for name, x in PEOPLE.items()}
    with opened(tmp_path / "two", first, (rest, "b")) as two, opened(tmp_path / "added", first, rest) as added:
        assert bits(two) == bits(added) == plain


def test_the_order_of_enrollment_changes_no_bit(tmp_path: Path, plain: dict[str, Any]) -> None:
    backwards = {name: x[::-1] for name, x in reversed(PEOPLE.items())}
    alone = [{name: [x]} for name in "fbdace" for x in (PEOPLE[name][1], PEOPLE[name][2], PEOPLE[name][0])]
    with opened(tmp_path / "back", backwards) as back, opened(tmp_path / "alone", *alone) as one_by_one:
        assert bits(back) == bits(one_by_one) == plain


def test_names_change_nothing_but_names(tmp_path: Path, plain: dict[str, Any]) -> None:
    with opened(tmp_path / "s", PEOPLE) as store:
        store.rename("a", "0")  # which sorts them as before
        found = bits(store)
        assert found.pop("names") == ("0", *"bcdef")
        assert found == {k: v for k, v in plain.items() if k != "names"}


def test_one_speaker_alone_is_scored_as_among_all(tmp_path: Path) -> None:
    with opened(tmp_path / "s", PEOPLE) as store:
        every = Scorer.of(TINY, store)
        scores = every.score_test([TEST])
        assert scores.scores is not None
        for i, name in enumerate(every.models.names):
            for fresh in (SpeakerStore(store.location, TINY), store):
                one = Scorer.of(TINY, fresh, name)
                assert one.norm == every.norm
                assert one.models.ubm.means.tobytes() == every.models.ubm.means.tobytes()
                found = one.score_test([TEST])
                assert found.scores is not None
                assert found.scores.tolist() == scores.scores[[i]].tolist()
            among = every.among(np.array([i])).score_test([TEST])
            assert among.scores is not None
            assert among.scores.tolist() == scores.scores[[i]].tolist()


def test_of_many_people_those_with_the_smallest_digests_are_the_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[set[str]]
) -> None:
    for module in ("following", "domain"):
        monkeypatch.setattr(importlib.import_module(f"speechgmm.speakers.{module}"), "MOST", 9)
    people = {f"p{i:02}": [speech(20 * i), speech(20 * i + 1)] for i in range(13)}
    order = sorted(people, key=lambda name: content(name, [extracted(TINY, x).digest for x in people[name]]))
    chosen, last = {n: people[n] for n in order[:9]}, order[9:]
    with opened(tmp_path / "s", {n: x for n, x in people.items() if n != last[0]}) as store:
        before = bits(store, order[0])
        read.clear()
        enroll_frames(TINY, store, {last[0]: people[last[0]]})
        after = bits(store, order[0])
        assert read == [], "nobody is read anew, where the domain is the same"
        read.clear()
        with SpeakerStore(store.location, TINY) as fresh:
            assert bits(fresh, order[0]) == after
        assert read == [set(order[:9])]
        assert before.pop("norm")[1:] == after.pop("norm")[1:]
        assert before == after
        store.remove(order[0])  # somebody moves up
        assert bits(store, order[1])["ubm"] != before["ubm"]
    with opened(tmp_path / "chosen", chosen) as few:
        assert bits(few, order[0])["ubm"] == before["ubm"]


def test_nobody_counts_more_for_much_speech() -> None:
    long, short = TINY.statistics(speech(1, 4000)), TINY.statistics(speech(2, 40))
    both = People(("a", "b"), (long, short), np.ones(2))
    louder = People(("a", "b"), (0.02 * long, 2.0 * short), np.ones(2))
    total = [sum(s.counts.sum() for s in p.statistics) for p in (both, louder)]
    rescaled = People(("a", "b"), tuple((total[0] / total[1]) * s for s in louder.statistics), np.ones(2))
    close(both.domain(TINY.ubm).means, rescaled.domain(TINY.ubm).means)


def test_the_domain_is_map_adaptation_to_all_of_them() -> None:
    parts = [TINY.statistics(speech(i, 50)) for i in range(4)]
    found = People(tuple("abcd"), tuple(parts), np.ones(4)).domain(TINY.ubm)
    expected = adapt(
        TINY.ubm, parts[0] + parts[1] + parts[2] + parts[3], relevance=FRAMES / TINY.ubm.n_components, update="m"
    )
    close(found.means, expected.means)
    np.testing.assert_array_equal(found.weights, TINY.ubm.weights)
    np.testing.assert_array_equal(found.covariance.deviations(), TINY.ubm.covariance.deviations())


def test_of_nobody_or_nothing_it_is_the_background_model() -> None:
    nothing = 0.0 * TINY.statistics(speech(1))
    assert People((), (), np.ones(0)).domain(TINY.ubm) is TINY.ubm
    assert People(("a",), (nothing,), np.zeros(1)).domain(TINY.ubm) is TINY.ubm
    one = TINY.statistics(speech(2))
    alone = People(("b",), (one,), np.ones(1)).domain(TINY.ubm)
    silent = People(("a", "b"), (nothing, one), np.ones(2)).domain(TINY.ubm)
    assert silent.means.tobytes() == alone.means.tobytes()


@given(problems(minimum=1), st.sampled_from([0.0, 0.5, 4.0, 1e3]))
def test_offsets_at_once_are_those_of_adapt(problem: Any, relevance: float) -> None:
    ubm, x = problem
    statistics = ubm.statistics(x)
    expected = adapt(ubm, statistics, relevance=relevance, update="m")
    heard = statistics.counts > 1e-6  # with no relevance a component of next to no frames is noise either way
    kept = heard if relevance == 0 else np.full(len(heard), True)
    close(adapted_offsets(ubm, statistics, relevance)[kept], expected.offsets[kept], rtol=1e-7, atol=1e-7)


def test_an_uncalibrated_system_ranks_in_the_domain(tmp_path: Path) -> None:
    raw = dataclasses.replace(TINY, calibration=None, by_recording=False)
    few = {name: PEOPLE[name] for name in "abcd"}
    with opened(tmp_path / "s", few) as store:
        scorer = Scorer.of(raw, store)
        assert (scorer.calibration, scorer.norm, scorer.cohort, scorer.limits(1.0)) == (None, None, None, None)
        found = scorer.score_test([TEST])
        assert found.scores is found.normalized is not None
        np.testing.assert_array_equal(found.scores, enrolled_models(raw, store).ratios(TEST.usable()))
        assert scorer.models.ubm.means.tobytes() == bits(store)["ubm"]


def test_with_five_people_a_system_without_a_calibration_decides_by_their_trials(tmp_path: Path) -> None:
    raw = dataclasses.replace(TINY, calibration=None, by_recording=False)
    with opened(tmp_path / "s", PEOPLE) as store:
        scorer = Scorer.of(raw, store)
        found, limits = scorer.score_test([TEST]), scorer.limits(TEST.speech_seconds, 0)
        assert scorer.norm is not None
        assert limits is not None
        assert found.normalized is not None
        ratios = enrolled_models(raw, store).ratios(TEST.usable())
        close(found.normalized, (ratios - scorer.norm.location) / scorer.norm.scale)
        assert np.isfinite(limits.threshold(0.05, 6).score)
        store.remove("a")
        store.remove("b")
        assert Scorer.of(raw, store).norm is None


def test_one_store_serves_systems_of_other_calibrations(tmp_path: Path, plain: dict[str, Any]) -> None:
    """They have one fingerprint; what is kept of one is not handed to the other."""
    other = with_calibration(tiny_system(), seed=5)
    raw = dataclasses.replace(TINY, calibration=None)
    with opened(tmp_path / "s", PEOPLE) as store:
        for system in (raw, other, TINY):
            alone = Scorer.of(system, SpeakerStore(store.location, system))
            shared = Scorer.of(system, store)
            assert shared.norm == alone.norm
            assert shared.calibration is not None
            assert alone.calibration is not None
            assert shared.calibration.levels is (system.calibration or alone.calibration).levels
        assert bits(store) == plain


def test_who_is_tested_takes_no_part_in_the_domain_of_the_others() -> None:
    names = tuple(PEOPLE)
    sums = tuple(TINY.statistics(np.concatenate(x)) for x in PEOPLE.values())
    single = tuple([TINY.statistics(x) for x in own] for own in PEOPLE.values())
    people = People(names, sums, np.array([0.01 * s.frames for s in sums]), single)
    rng = np.random.default_rng(0)
    heard = {n: [drawn_frames(x, 0.01 * len(x), rng) for x in PEOPLE[n][:2]] for n in names[:4]}
    assert TINY.calibration is not None
    cohort = TINY.calibration.cohort
    found = impostor_trials(TINY, people, heard, cohort, n_threads=1)
    assert len(found) == 4, "who has no speech to test with is not tested"
    for i, t in enumerate(found):
        others = people.without(i)
        assert names[i] not in others.names
        assert others.recordings == single[:i] + single[i + 1 :]
        models, own = models_among(TINY, others), heard[names[i]]
        alone = trials(TINY, models, others.recordings, cohort, [[h] for h in own])
        assert t.scores.shape == (5, 2)
        np.testing.assert_array_equal(t.scores, alone.scores)
        np.testing.assert_array_equal(t.enrolled, others.speech_seconds)
        call = trials(TINY, models, others.recordings, cohort, [own])  # of both recordings
        raw = np.stack([scored_by(TINY, models, others.recordings, cohort)(h.features) for h in own], axis=1)
        scores, level = relative_to_cohort(raw, 5, np.sqrt([h.speech_seconds for h in own]))
        np.testing.assert_array_equal(call.scores[:, 0], scores)
        assert (call.tested.tolist(), call.level.tolist()) == ([sum(h.speech_seconds for h in own)], [level])
    three = impostor_trials(TINY, people, heard, cohort, n_threads=3)
    assert [t.scores.tobytes() for t in three] == [t.scores.tobytes() for t in found]


def test_the_number_of_threads_changes_no_bit(
    tmp_path: Path, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechgmm.speakers import impostors

    real: Callable[..., Any] = impostors.threads
    for n in (1, 3):
        monkeypatch.setattr(impostors, "threads", lambda _, n=n: real(n))
        with opened(tmp_path / f"{n}.db", PEOPLE) as store:
            assert bits(store) == plain


def test_a_recording_that_nothing_is_known_of_is_ordered_by_name() -> None:
    assert content("ann", []) == content("ann", []) != content("bob", [])
    for order in itertools.permutations(["d1", "d2", "d3"]):
        assert content("ann", order) == content("bob", ["d1", "d2", "d3"])
    assert MOST == 200


def test_nobody_enrolled_is_refused_by_calibrated_systems_too(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as store, pytest.raises(InvalidInput, match="speakers to score against must be at lea"):
        Scorer.of(TINY, store)

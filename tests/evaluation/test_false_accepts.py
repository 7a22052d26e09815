"""Strangers who are accepted, counted: against loops over tests, against leaving out each person, against theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import FalseAccepts, Interval, Scores, Threshold, shares
from speechgmm.evaluation.false_accepts import Impostors, count_false_accepts, impostors_of, people_of
from speechgmm.evaluation.shares import accepted_share
from tests.evaluation.leaving_out import Attempt, share_interval
from tests.evaluation.tables import gaussian, rows_of


class Fixed:
    """One threshold for all rates and sizes."""

    def __init__(self, score: float, *, extrapolated: bool = False) -> None:
        self.found = Threshold(score, extrapolated)

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        return self.found


def impostors(scores: Scores) -> Impostors:
    return impostors_of(scores, people_of(scores))


def table(seed: int) -> Scores:
    """A small table with many equal scores, with holes, and with people who have two models."""
    rng = np.random.default_rng(seed)
    people, models = int(rng.integers(5, 8)), int(rng.integers(6, 10))
    rows = []
    for who in range(people):
        for k in range(rng.integers(1, 3)):
            kept = [m for m in range(models) if m % people == who or rng.random() < 0.8]
            rows += [(f"m{m}", f"t{who}.{k}", int(rng.integers(0, 5)), int(m % people == who)) for m in kept]
    return Scores(*zip(*rows, strict=True))


SEEDS = st.integers(0, 10**6)


def by_loops(scores: Scores, threshold: float, without: int | None = None) -> dict[str, list[bool]]:
    """Whether each trial, and each test with several models, of strangers is accepted; without one person."""
    people = people_of(scores)
    trials: list[bool] = []
    tests: dict[int, list[float]] = {}
    for i in range(len(scores)):
        model, test = people.enrolled[scores.speakers.codes[i]], people.tested[scores.tests.codes[i]]
        if scores.target[i] == 0 and model != test and without not in (model, test):
            trials.append(bool(scores.score[i] >= threshold))
            tests.setdefault(scores.tests.codes[i], []).append(scores.score[i])
    return {"trials": trials, "searches": [max(row) >= threshold for row in tests.values()]}


@given(SEEDS, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_shares_are_counted_test_by_test(seed: int, threshold: int) -> None:
    scores = table(seed)
    strangers = impostors(scores)
    expected = by_loops(scores, threshold)
    every = {"trials": strangers.trials(), "searches": strangers.searches()}
    for name, attempts in every.items():
        assert len(attempts) == len(expected[name])
        assert (attempts.best >= threshold).mean() == pytest.approx(np.mean(expected[name]))
    assert len(strangers) == len(expected["trials"])
    assert sum(map(len, strangers.by_test(strangers.score))) == len(strangers)


@given(SEEDS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_intervals_are_those_of_leaving_out_each_person(seed: int, threshold: int) -> None:
    scores = table(seed)
    people, strangers = people_of(scores), impostors(scores)
    trials: list[Attempt] = []
    tests: dict[int, Attempt] = {}
    for model, test, score in zip(scores.speakers.codes, scores.tests.codes, scores.score, strict=True):
        enrolled, tested = int(people.enrolled[model]), int(people.tested[test])
        if enrolled != tested:
            trials.append((tested, {enrolled: score - threshold}))
            by = tests.setdefault(int(test), (tested, {}))[1]
            by[enrolled] = max(by.get(enrolled, -np.inf), score - threshold)
    kinds = [(strangers.trials(), trials)]
    if strangers.searches().models.min() > 1:  # a best model beside equal ones is the last person's
        last_first = [(who, dict(sorted(by.items(), reverse=True))) for who, by in tests.values()]
        kinds.append((strangers.searches(), last_first))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "_STEP", 0.0)  # every number of hits is tried
        for attempts, expected in kinds:
            found = accepted_share(attempts, float(threshold))
            assert (found.estimate, found.low, found.high) == pytest.approx(share_interval(expected), abs=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, 3.0, 5.0])
def test_steps_find_what_every_number_of_hits_does(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = impostors(gaussian(20, models=0.2, tested=0.2)).trials()
    found = accepted_share(attempts, threshold)
    monkeypatch.setattr(shares, "_BEYOND", 1)  # and whoever is left out at first makes no difference
    assert accepted_share(attempts, threshold) == found
    monkeypatch.setattr(shares, "_STEP", 0.0)
    exact = accepted_share(attempts, threshold)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.1 * (exact.high - exact.low))


@given(SEEDS, st.floats(-1, 4), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_an_interval_holds_its_share_whatever_the_scale(
    seed: int, threshold: float, scale: float, shift: float
) -> None:
    scores = gaussian(8, 2, seed=seed, models=0.3)
    attempts = impostors(scores).searches()
    found = accepted_share(attempts, threshold)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high
    wider = accepted_share(attempts, threshold, level=0.99)
    assert wider.low <= found.low
    assert wider.high >= found.high
    moved = replace(attempts, best=scale * attempts.best + shift, rival=scale * attempts.rival + shift)
    again = accepted_share(moved, scale * threshold + shift)
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-9)


def test_rates_cover_the_truth_also_where_models_differ() -> None:
    """Thirty per cent of the variance in the models: a bootstrap over tested speakers covers 0.77 of these."""
    speakers, tests, models = 20, 3, 0.3
    rng = np.random.default_rng(1)
    best = rng.normal(size=(200_000, speakers - 1)).max(axis=1)  # of independent models
    threshold = float(np.quantile(best, 0.9))
    inside = []
    for seed in range(100):
        strangers = impostors(gaussian(speakers, tests, seed=seed, models=models))
        *_, found = count_false_accepts([(strangers, Fixed(threshold))], [0.1])
        assert found.speakers == speakers - 1
        inside.append(found.accepted.low <= 0.1 <= found.accepted.high)
    assert np.mean(inside) >= 0.92


def test_nobody_accepted_is_no_proof() -> None:
    """More than Wilson's end for as many independent attempts, and less than the exact one for as many people."""
    for f in count_false_accepts([(impostors(gaussian(10)), Fixed(99.0))], [0.01]):
        attempts = 360 if f.speakers == 1 else 40
        assert (f.accepted.estimate, f.accepted.low) == (0.0, 0.0)
        assert 1.96**2 / (attempts + 1.96**2) < f.accepted.high < 1 - 0.025 ** (1 / 10)
    everybody = count_false_accepts([(impostors(gaussian(10)), Fixed(-99.0))], [0.01])[0].accepted
    assert (everybody.estimate, everybody.high) == (1.0, 1.0)
    assert 0.9 < everybody.low < 1


def test_nobody_accepted_says_less_where_models_differ() -> None:
    alike, differ = (
        count_false_accepts([(impostors(gaussian(20, seed=1, models=m)), Fixed(99.0))], [0.01])[0].accepted
        for m in (0.0, 0.5)
    )
    assert differ.high > 2 * alike.high


def test_of_fewer_than_five_people_nothing_is_known() -> None:
    found = count_false_accepts([(impostors(gaussian(4)), Fixed(1.0))])
    assert {(f.accepted.low, f.accepted.high) for f in found} == {(0.0, 1.0)}


def test_tables_are_counted_together() -> None:
    a, b = (impostors(gaussian(8, seed=s)) for s in (0, 1))
    alone = [count_false_accepts([(x, Fixed(t))], [0.05]) for x, t in ((a, 1.0), (b, 2.0))]
    both = count_false_accepts([(a, Fixed(1.0)), (b, Fixed(2.0, extrapolated=True))], [0.05])
    for f, *parts in zip(both, *alone, strict=True):
        assert f.accepted.estimate == pytest.approx(np.mean([p.accepted.estimate for p in parts]))
        assert f.extrapolated
        assert not parts[0].extrapolated


def test_people_with_several_models_are_one_person() -> None:
    """Recordings against recordings: names differ, and target trials say who is the same."""
    rows = [("a1", "ta", 1), ("a2", "ta", 1), ("b1", "ta", 0), ("a1", "tb", 0), ("b1", "tb", 1), ("a2", "ta2", 1)]
    speaker, test, target = zip(*rows, strict=True)
    scores = Scores(speaker, test, np.arange(6.0), target)
    people = people_of(scores)
    assert people.persons == 2
    assert people.enrolled[0] == people.enrolled[1] == people.tested[scores.tests.codes[0]]
    assert sorted(impostors(scores).score) == [2.0, 3.0]


def test_trials_among_one_person_are_no_strangers() -> None:
    """A label of 0 among those whom a target trial joins is not counted."""
    scores = Scores(["a1", "a2", "a1", "a2"], ["t", "t", "u", "u"], [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 0])
    assert len(impostors(scores)) == 0


def test_tests_with_few_models_are_no_searches() -> None:
    scores = gaussian(12)
    first = scores.test == scores.test[0]
    thin = impostors(rows_of(scores, ~first | (np.cumsum(first) <= 3)))
    assert len(np.unique(thin.test)) == 48
    assert len(np.unique(thin.of_searches().test)) == 47
    assert set(map(len, (kept := thin.of_searches()).by_test(kept.score))) == {11}


def test_without_a_search_trials_alone_are_counted() -> None:
    scores = gaussian(10)
    one_each = (scores.target == 1) | (scores.speaker == np.where(scores.test < "p005", "p009", "p000"))
    found = count_false_accepts([(impostors(rows_of(scores, one_each)), Fixed(1.0))])
    assert [f.speakers for f in found] == [1, 1, 1]


def test_bad_numbers_are_refused() -> None:
    good = Interval(0.1, 0.0, 0.2, 0.95)
    cases = {
        "far must be above 0": (0.0, 1, good, False),
        "the number of models searched must be at least 1": (0.1, 0, good, False),
        "the share accepted must be an Interval": (0.1, 1, 0.1, False),
        "the share accepted must be at least 0 and at most 1; got 1.5": (0.1, 1, Interval(0.1, 0, 1.5, 0.95), False),
        "the level of the share accepted must be above 0": (0.1, 1, Interval(0.1, 0, 1, 0.0), False),
        "extrapolated must be a bool": (0.1, 1, good, 1),
    }
    for message, fields in cases.items():
        with pytest.raises(InvalidInput, match=message):
            FalseAccepts(*fields)  # type: ignore[arg-type]

"""Strangers who are accepted, counted: against loops over tests, against leaving out each person, against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import FalseAccepts, Interval, Scores, Threshold
from speechgmm.evaluation.false_accepts import Impostors, count_false_accepts, impostors_of, people_of
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
    """Korn and Graubard's interval by scipy's beta distribution, with the jackknife's variance by counting again."""
    scores = table(seed)
    people = people_of(scores)
    strangers = impostors(scores)
    found = {f.speakers > 1: f.accepted for f in count_false_accepts([(strangers, Fixed(threshold))], [0.1])}
    searches = strangers.of_searches()
    if len(searches) < len(strangers) or True not in found:  # some tests are no searches: the loops do not know that
        found.pop(True, None)
    for several, interval in found.items():
        name = "searches" if several else "trials"
        hits = by_loops(scores, threshold)[name]
        left = [by_loops(scores, threshold, p)[name] for p in range(people.persons)]
        share, n = np.mean(hits), people.persons
        without = np.array([np.mean(rows) for rows in left])
        variance = (n - 1) / n * ((without - without.mean()) ** 2).sum()
        size = min(share * (1 - share) / variance, len(hits)) if variance > 1e-15 and 0 < share < 1 else n
        size = min(size, len(hits))
        x = share * size
        low = stats.beta.ppf(0.025, x, size - x + 1) if x > 0 else 0.0
        high = stats.beta.ppf(0.975, x + 1, size - x) if x < size else 1.0
        assert interval.estimate == pytest.approx(share)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


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
    for f in count_false_accepts([(impostors(gaussian(10)), Fixed(99.0))], [0.01]):
        assert (f.accepted.estimate, f.accepted.low) == (0.0, 0.0)
        assert f.accepted.high == pytest.approx(1 - 0.025 ** (1 / 10))  # as ten independent people
    everybody = count_false_accepts([(impostors(gaussian(10)), Fixed(-99.0))], [0.01])[0].accepted
    assert (everybody.estimate, everybody.high) == (1.0, 1.0)


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

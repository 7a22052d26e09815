"""Error by duration: bins of tests against a selection by hand, and what is refused."""

import itertools

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores, eer, error_by_duration


def table(tests=60, enrolled=6, seconds=None, seed=0):
    rng = np.random.default_rng(seed)
    length = rng.uniform(1, 30, tests) if seconds is None else np.asarray(seconds, dtype=float)
    rows = [
        (f"s{s}", f"t{t}", rng.normal(2.0 * (s == t % enrolled)), int(s == t % enrolled), length[t])
        for t in range(tests)
        for s in range(enrolled)
    ]
    speaker, test, score, target, lengths = zip(*rows, strict=True)
    return Scores(list(speaker), list(test), list(score), list(target), test_seconds=list(lengths))


def test_bins_hold_equally_many_tests_and_their_own_rates():
    scores = table()
    found = error_by_duration(scores, 1.0)
    assert [b.tests for b in found] == [10] * 6
    for b in found:
        inside = (scores.test_seconds >= b.low) & (scores.test_seconds <= b.high)
        pair = scores.score[inside & (scores.target == 1)], scores.score[inside & (scores.target == 0)]
        assert (b.targets, b.nontargets) == tuple(map(len, pair))
        assert b.eer == eer(*pair)
        assert (b.p_miss, b.p_fa) == (np.mean(pair[0] < 1.0), np.mean(pair[1] >= 1.0))
        assert b.interval is None
    assert all(a.high < b.low for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(("tests", "bins", "expected"), [(60, 3, 3), (25, 6, 2), (9, 6, 1), (200, 6, 6)])
def test_few_tests_have_few_bins(tests, bins, expected):
    found = error_by_duration(table(tests), 0.0, bins=bins)
    assert len(found) == expected
    assert sum(b.tests for b in found) == tests


def test_tests_of_one_length_stay_together():
    found = error_by_duration(table(60, seconds=[2.0] * 40 + [5.0] * 20), 0.0)
    assert [(b.low, b.high, b.tests) for b in found] == [(2.0, 2.0, 40), (5.0, 5.0, 20)]


def test_tests_of_unknown_length_are_left_out():
    found = error_by_duration(table(60, seconds=[np.nan] * 30 + [5.0] * 30), 0.0)
    assert [b.tests for b in found] == [30]


def test_bins_without_a_target_are_left_out():
    scores = table(40, seconds=[1.0] * 20 + [9.0] * 20)
    target = np.where(scores.test_seconds < 5, 0, scores.target)
    scores = Scores(scores.speaker, scores.test, scores.score, target, test_seconds=scores.test_seconds)
    assert [b.low for b in error_by_duration(scores, 0.0)] == [9.0]


def test_intervals_hold_the_estimate():
    for b in error_by_duration(table(300), 0.0, replicates=100, level=0.9):
        assert b.interval.low <= b.eer <= b.interval.high
        assert (b.interval.estimate, b.interval.level) == (b.eer, 0.9)


def test_what_cannot_be_measured_is_refused():
    bare = Scores(["a", "b"], ["t", "t"], [1.0, 0.0], [1, 0])
    with pytest.raises(InvalidInput, match="scores must hold the column test_seconds; got none"):
        error_by_duration(bare, 0.0)
    with pytest.raises(InvalidInput, match="bins must be at least 1; got 0"):
        error_by_duration(table(), 0.0, bins=0)
    unlabeled = Scores(["a", "b"], ["t", "t"], [1.0, 0.0], [1, -1], test_seconds=[1.0, 1.0])
    with pytest.raises(InvalidInput, match="target must be 1 or 0 in every trial"):
        error_by_duration(unlabeled, 0.0)

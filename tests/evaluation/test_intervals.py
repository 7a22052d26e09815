"""Intervals by bootstrap over speakers: what a draw is, against theory, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Interval, bootstrap
from speechgmm.evaluation.intervals import draws


def mean_of(values):
    """A weighted mean as a statistic."""
    return lambda w: {"mean": float(w @ values / w.sum())}


# The bootstrap


trials = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=2)


@given(trials, st.integers(0, 99))
def test_a_trial_counts_as_often_as_both_of_its_speakers_were_drawn(rows, seed):
    people = sorted({name for row in rows for name in row})
    assume(len(people) > 1)
    seen = []
    bootstrap(lambda w: seen.append(w) or {"x": 0.0}, *zip(*rows, strict=True), replicates=20, seed=seed)
    np.testing.assert_array_equal(seen[0], np.ones(len(rows)))
    for weights, times in zip(seen[1:], draws(len(people), 20, seed), strict=True):
        count = dict(zip(people, times.tolist(), strict=True))
        assert weights.tolist() == [count[a] if a == b else count[a] * count[b] for a, b in rows]


def test_each_replicate_draws_as_many_persons_as_there_are():
    for times in draws(7, 50, seed=3):
        assert times.shape == (7,)
        assert times.sum() == 7
        assert (times >= 0).all()


def test_the_interval_of_a_mean_is_that_of_theory():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, 400)
    found = bootstrap(mean_of(values), [f"s{i}" for i in range(400)], replicates=2000, level=0.9)["mean"]
    half = 1.645 * values.std() / math.sqrt(400)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert found.level == 0.9


def test_copies_of_a_speakers_rows_make_no_interval_narrower():
    values, names = np.arange(10.0), [f"s{i}" for i in range(10)]
    once = bootstrap(mean_of(values), names)["mean"]
    often = bootstrap(mean_of(np.repeat(values, 50)), np.repeat(names, 50))["mean"]
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(1), 0
    for i in range(200):
        values = np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 0.5, 200)  # rows of one speaker are alike
        found = bootstrap(mean_of(values), np.repeat(np.arange(40).astype(str), 5), replicates=200, seed=i)["mean"]
        hits += found.low <= 0 <= found.high
    assert 176 <= hits <= 198  # of 200, at a level of 95 %


def test_a_wider_level_contains_a_narrower_one():
    values = np.random.default_rng(0).normal(size=30)
    narrow, wide = (bootstrap(mean_of(values), np.arange(30).astype(str), level=p)["mean"] for p in (0.5, 0.99))
    assert wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high


def test_the_seed_decides():
    values, names = np.random.default_rng(0).normal(size=30), np.arange(30).astype(str)
    same = [bootstrap(mean_of(values), names, seed=4) for _ in range(2)]
    assert same[0] == same[1] != bootstrap(mean_of(values), names, seed=5)


def test_infinite_values_have_an_interval():
    values = np.array([0.0, math.inf] * 10)
    found = bootstrap(lambda w: {"largest": float(values[w > 0].max())}, np.arange(20).astype(str))["largest"]
    assert (found.low, found.high) == (math.inf, math.inf)


def test_an_interval_can_be_stored(tmp_path):
    storage.save(Interval(0.1, 0.0, 0.2, 0.95), tmp_path / "i")
    assert storage.load(tmp_path / "i", Interval) == Interval(0.1, 0.0, 0.2, 0.95)


# Refusals


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a", "a"],), {}, "speakers must be at least two, for an interval over speakers; got 1"),
        (([],), {}, r"speaker must hold the name of the speaker of each row; got an array of shape \(0,\)"),
        ((["a", "b"], ["a"]), {}, r"other must have one name for each of 2 rows; got shape \(1,\)"),
        ((["a", "b"],), {"replicates": 5}, "replicates must be at least 20; got 5"),
        ((["a", "b"],), {"level": 0}, "level must be above 0 and at most 1; got 0"),
        ((["a", "b"],), {"level": 1.5}, "level must be above 0 and at most 1; got 1.5"),
        ((["a", "b"],), {"seed": -1}, "seed must be at least 0; got -1"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap(lambda w: {"x": 0.0}, *arguments, **options)


def test_a_statistic_that_is_hardly_ever_there_is_refused():
    message = r"x must be there in more than half of the replicates; got a value in 0 of 20 .* More speakers are needed"
    with pytest.raises(InvalidInput, match=message):
        bootstrap(lambda w: {"x": math.nan}, ["a", "b"], replicates=20)

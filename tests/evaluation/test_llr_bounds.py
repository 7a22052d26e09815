"""Bounds of log-likelihood ratios: against the normalized Bayes error rate by its definition, and by laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import llr_bounds

WHOLE = st.lists(st.integers(-4, 4), min_size=1, max_size=12)
"""Many equal scores, some of them at 0."""
ANY = st.lists(st.integers(-70, 70).map(lambda i: i / 10), min_size=1, max_size=30)
STEP, NEAR = 0.02, 1e-7


def bayes_error(theta: float, targets: list[float], nontargets: list[float]) -> float:
    """The error rate of decisions by LRs, over that of always answering an LR of 1, with one misleading trial each."""
    prior = 1 / (1 + np.exp(theta))  # of a target: LRs of theta and more then speak for accepting
    missed = [x < theta for x in [*targets, -np.inf]]
    passed = [x >= theta for x in [*nontargets, np.inf]]
    error = prior * np.mean(missed) + (1 - prior) * np.mean(passed)
    return float(error / min(prior, 1 - prior))


def on_a_grid(targets: list[float], nontargets: list[float]) -> tuple[float, float]:
    """The first places of a grid, and close to scores, where decisions do harm, going out from 0 on either side."""
    scores = np.array([*targets, *nontargets, 0.0])
    grid = np.concatenate([np.arange(-7.1, 7.1, STEP), scores - NEAR, scores + NEAR])
    ends = []
    for side in (-1, 1):
        outward = side * np.sort(side * grid[side * grid > 0])
        ends.append(next(t for t in outward if bayes_error(t, targets, nontargets) > 1 + 1e-9))
    return ends[0], ends[1]


@pytest.mark.parametrize("kind", [WHOLE, ANY], ids=["whole", "any"])
def test_bounds_are_where_decisions_begin_to_do_harm(kind: st.SearchStrategy[list[float]]) -> None:
    @given(kind, kind)
    @settings(max_examples=60, deadline=None)
    def check(targets: list[float], nontargets: list[float]) -> None:
        found, (low, high) = llr_bounds(targets, nontargets), on_a_grid(targets, nontargets)
        assert low - NEAR <= found.low <= low + STEP
        assert high - STEP <= found.high <= high + NEAR

    check()


@given(ANY, ANY)
@settings(max_examples=100, deadline=None)
def test_laws(targets: list[float], nontargets: list[float]) -> None:
    found = llr_bounds(targets, nontargets)
    every = np.array([*targets, *nontargets])
    assert min(0.0, every.min()) <= found.low <= 0.0 <= found.high <= max(0.0, every.max())
    assert -np.log(len(targets) + 1) < found.low
    assert found.high < np.log(len(nontargets) + 1)
    assert (found.below, found.above) == ((every < found.low).sum(), (every > found.high).sum())
    turned = llr_bounds([-x for x in nontargets], [-x for x in targets])  # the hypotheses exchanged
    assert (turned.low, turned.high) == (-found.high, -found.low)
    held = llr_bounds(*(np.clip(kind, found.low, found.high) for kind in (targets, nontargets)))
    assert (held.low, held.high) == (found.low, found.high)  # what is reported as the bounds has these bounds
    assert (held.below, held.above) == (0, 0)


def test_separated_trials_support_what_their_number_supports() -> None:
    found = llr_bounds(np.full(99, 50.0), np.full(999, -50.0))
    assert found.high == pytest.approx(np.log(0.99 * 1000))
    assert found.low == pytest.approx(-np.log(0.999 * 100))
    infinite = llr_bounds(np.full(99, np.inf), np.full(999, -np.inf))
    assert (infinite.low, infinite.high, infinite.below, infinite.above) == (found.low, found.high, 999, 99)


def test_calibrated_scores_are_supported_as_far_as_they_go() -> None:
    rng = np.random.default_rng(0)
    targets, nontargets = rng.normal(2, 2, 5000), rng.normal(-2, 2, 5000)
    found = llr_bounds(targets, nontargets)
    assert -8 < found.low < -4
    assert 4 < found.high < 8
    stretched = llr_bounds(3 * targets, 3 * nontargets)  # the same evidence, said three times as loud
    assert -2.5 < stretched.low < stretched.high < 2.5


@pytest.mark.parametrize("shift", [-9.0, 9.0])
def test_scores_on_one_side_of_zero_support_nothing_on_it(shift: float) -> None:
    rng = np.random.default_rng(0)
    found = llr_bounds(rng.normal(2, 2, 200) + shift, rng.normal(-2, 2, 200) + shift)
    assert 0.0 in (found.low, found.high)


def test_the_wrong_way_round_supports_nothing() -> None:
    found = llr_bounds([-3, -2], [2, 3])
    assert (found.low, found.high, found.below, found.above) == (0.0, 0.0, 2, 2)


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInput, match="target_scores must hold at least one score; got none"):
        llr_bounds([], [1.0])
    with pytest.raises(InvalidInput, match="nontarget_scores must hold numbers; got 1 NaN of 2"):
        llr_bounds([1.0], [np.nan, 0.0])

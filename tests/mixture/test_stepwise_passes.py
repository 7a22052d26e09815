"""Passes of stepwise EM over many frames, before EM begins."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.mixture import (
    ArrayBlocks,
    Floor,
    StepwiseState,
    Stop,
    fit,
    initialize,
    maximize,
    stepwise,
    stepwise_passes,
)
from speechgmm.mixture.blocks import WeightedBlock
from speechgmm.mixture.online import _batches
from tests import laws

KEEP = functools.partial(maximize, floor=Floor(absolute=1e-9, relative=0.0, occupancy=0.0, reseed=False))
family = pytest.mark.parametrize(("kind", "k", "d"), laws.FAMILY)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 12))
def test_batches_hold_each_block_once_and_are_of_about_one_size(lengths: list[int], updates: int) -> None:
    size = max(sum(lengths), 1) / updates
    batches = list(_batches(lengths, size))
    assert [i for batch in batches for i in batch] == list(range(len(lengths)))
    held = [sum(lengths[i] for i in batch) for batch in batches]
    assert sum(held) == sum(lengths)
    assert len(batches) <= updates + 1
    assert max(held) < size + max(lengths) + 1e-6


@family
def test_a_pass_is_the_steps_written_out(kind: str, k: int, d: int) -> None:
    gmm = laws.family_gmm(kind, k, d)
    x = 1.3 * gmm.sample(200 * k, seed=2).frames + 0.3
    blocks = list(ArrayBlocks(x, 50))
    state, seen = StepwiseState.of(gmm), []
    for _ in range(2):
        for i in range(0, len(blocks), k):  # fifty frames for each component
            step = (2 + state.updates) ** -0.6
            state = stepwise(state, np.concatenate(blocks[i : i + k]), step=step, m_step=KEEP)
    found = stepwise_passes(gmm, blocks, 2, m_step=KEEP, on_progress=lambda *news: seen.append(news))
    laws.same_mixture(found, state.model, rtol=1e-6, atol=1e-6)
    assert seen == [("stepwise EM", i + 1, 8) for i in range(8)]


def many(seed: int, n: int = 40_000) -> laws.Array:
    """Frames of sixteen clusters, some close to each other."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 2, (16, 3))
    return (centers[rng.integers(16, size=n)] + rng.normal(size=(n, 3))).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_one_pass_is_worth_several_iterations(seed: int) -> None:
    x = many(seed)
    blocks = ArrayBlocks(x, 500)
    start = initialize(x, 16, method="random", seed=seed)
    passed = stepwise_passes(start, blocks)
    reached = fit(passed, blocks, maximize, stop=Stop(0.0, 1)).objective[0]
    plain = fit(start, blocks, maximize, stop=Stop(0.0, 5)).objective
    assert reached > plain[4] > plain[0]  # what four iterations have come to


@pytest.mark.parametrize("n", [2, 3])
def test_threads_change_no_bit(n: int) -> None:
    blocks = ArrayBlocks(many(1), 500)
    start = initialize(blocks, 16, method="random", seed=0)
    one, several = (stepwise_passes(start, blocks, n_threads=t) for t in (1, n))
    np.testing.assert_array_equal(one.means, several.means)


def test_frames_of_a_block_that_count_twice_are_there_twice() -> None:
    gmm = laws.family_gmm("diag", 3, 2)
    x = gmm.sample(600, seed=1).frames
    halves = [x[:300], x[300:]]
    twice = stepwise_passes(gmm, [WeightedBlock(h, np.full(300, 2.0)) for h in halves], m_step=KEEP)
    laws.same_mixture(twice, stepwise_passes(gmm, halves, m_step=KEEP), rtol=1e-9, atol=1e-9)


def test_bad_input_is_refused() -> None:
    gmm = laws.family_gmm("diag", 3, 2)
    with pytest.raises(InvalidInput, match="blocks must hold at least one frame; got none"):
        stepwise_passes(gmm, [])
    with pytest.raises(InvalidInput, match="n_passes must be at least 1; got 0"):
        stepwise_passes(gmm, [np.zeros((9, 2))], 0)
    with pytest.raises(InvalidInput, match="blocks must be iterable again and again"):
        stepwise_passes(gmm, iter([np.zeros((9, 2))]))

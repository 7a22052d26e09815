"""Blocks of one array, and samples from blocks."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.mixture import ArrayBlocks, Stop, WeightedBlock, fit, fit_bayes, fit_gmm, maximize, sample_frames
from speechgmm.mixture.blocks import as_blocks, weighted
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.em import statistics_of
from speechgmm.mixture.missing import observed_statistics
from tests import laws


@given(st.integers(0, 40), st.integers(1, 50))
def test_array_blocks_are_the_rows_in_order(n, size):
    x = np.arange(2.0 * n).reshape(n, 2)
    blocks = ArrayBlocks(x, size)
    for _ in range(2):
        parts = list(blocks)
        assert len(parts) == len(blocks)
        assert all(len(p) == size for p in parts[:-1])
        np.testing.assert_array_equal(np.concatenate([np.zeros((0, 2)), *parts]), x)


def test_blocks_of_an_array_are_no_copies():
    x = np.zeros((10, 2))
    assert all(np.shares_memory(block, x) for block in ArrayBlocks(x, 4))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 60), st.integers(0, 3))
def test_a_sample_is_of_different_frames_in_their_own_order(lengths, size, seed):
    total = sum(lengths)
    x = np.arange(float(total))[:, None]
    blocks = np.split(x, np.cumsum(lengths)[:-1])
    if not total:
        with pytest.raises(InvalidInput, match="blocks must hold at least one frame; got none"):
            sample_frames(blocks, size, np.random.default_rng(seed))
        return
    sample = sample_frames(blocks, size, np.random.default_rng(seed))
    assert len(sample) == min(size, total)
    assert (np.diff(sample[:, 0]) > 0).all()
    np.testing.assert_array_equal(sample, sample_frames([x], size, np.random.default_rng(seed)))


def test_every_frame_is_drawn_as_often():
    x = np.arange(10.0)[:, None]
    blocks, rng = [x[:1], x[1:7], x[7:]], np.random.default_rng(0)
    drawn = np.concatenate([sample_frames(blocks, 3, rng)[:, 0] for _ in range(3000)]).astype(int)
    counts = np.bincount(drawn, minlength=10)
    assert np.abs(counts - 900).max() < 5 * np.sqrt(3000 * 0.3 * 0.7)


def test_what_is_taken_as_blocks():
    x = np.ones((3, 2))
    for one in (x, x.tolist(), [(1, 1)] * 3, x.astype(int)):
        (block,) = as_blocks(one)
        np.testing.assert_array_equal(block, x)

    class Table:
        def __array__(self, dtype=None, copy=None):
            return x

        def __iter__(self):
            return iter(["names", "of", "columns"])

    (block,) = as_blocks(Table())
    np.testing.assert_array_equal(block, x)
    several = [x, x]
    held = as_blocks(several)
    assert [held[i] is x for i in range(len(held))] == [block is x for block in held] == [True, True]
    assert as_blocks(held) is held


def test_weights_go_with_their_frames():
    x, w = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    blocks = list(ArrayBlocks(x, 4, weights=w))
    assert all(isinstance(block, WeightedBlock) for block in blocks)
    np.testing.assert_array_equal(np.concatenate([block.frames for block in blocks]), x)
    np.testing.assert_array_equal(np.concatenate([block.weights for block in blocks]), w)
    assert list(as_blocks(blocks)) == blocks
    assert weighted(blocks[0]) is blocks[0]
    np.testing.assert_array_equal(weighted(x).weights, np.ones(10))


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_weight_of_two_is_the_frame_twice(kind, share):
    gmm, rng = laws.family_gmm(kind, 3, 2), np.random.default_rng(0)
    x, w = gmm.sample(90, seed=1).frames, rng.integers(0, 3, 90)
    x = np.where(rng.random(x.shape) < share, np.nan, x)
    settings = {"stop": Stop(0.0, 5), "e_step": observed_statistics if share else statistics_of}
    weighed = fit(gmm, ArrayBlocks(x, 20, w), maximize, **settings)
    repeated = fit(gmm, ArrayBlocks(np.repeat(x, w, axis=0), 17), maximize, **settings)
    laws.same_mixture(weighed.model, repeated.model)
    laws.close(weighed.objective, repeated.objective)


def test_one_call_takes_weights_and_starts_leave_frames_of_weight_zero_out():
    x = laws.random_gmm(3, 2).sample(300).frames
    w = np.repeat([0.0, 1.0], 150)
    x[:150] += 1000.0
    for fitting in (fit_gmm, fit_bayes):
        weighed = fitting(ArrayBlocks(x, 60, w), 2, covariance="diag", stop=Stop(0.0, 4)).model
        there = fitting(ArrayBlocks(x[150:], 60), 2, covariance="diag", stop=Stop(0.0, 4)).model
        a, b = (m if fitting is fit_gmm else m.model for m in (weighed, there))
        laws.same_mixture(a, b, rtol=1e-7, atol=1e-7)


REFUSED = {
    "weights": (lambda: ArrayBlocks(np.ones((2, 2)), weights=[1.0]), "sample weights must have shape (2,)"),
    "negative": (lambda: ArrayBlocks(np.ones((2, 2)), weights=[1.0, -1.0]), "sample weights must be at least 0"),
    "size": (lambda: ArrayBlocks(np.ones((2, 2)), 0), "the size of blocks must be at least 1; got 0"),
    "vector": (lambda: as_blocks(np.ones(3)), "frames must be a matrix of shape (frames, dimensions)"),
    "no frames": (lambda: as_blocks(np.ones((0, 3))), "frames must hold at least 1 frame(s) of at least one feature"),
    "generator": (lambda: as_blocks(np.ones((1, 2)) for _ in range(2)), "got a one-shot generator"),
    "mixed": (
        lambda: sample_frames([np.ones((2, 2)), np.ones((2, 3))], 5, np.random.default_rng(0)),
        "all blocks must have the same number of features; got [2, 3]",
    ),
    "NaN": (
        lambda: sample_frames([np.full((2, 2), np.nan)], 5, np.random.default_rng(0)),
        "frames must be finite; got 4 NaN or infinite of 4 entries, the first at index (0, 0)",
    ),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()

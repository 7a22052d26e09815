"""Deltas against the regression formula, in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.features.dynamics import add_deltas, delta, rasta_in_blocks
from speechgmm.features.spool import Spool
from tests.laws import frames
from tests.sounds import Array


def slow_delta(x: Array, width: int) -> Array:
    """HTK book eq. 5.16, one feature of one frame at a time; frames beyond the ends are the first and the last."""
    n, d = x.shape
    result = np.zeros((n, d))
    for i in range(n):
        for j in range(d):
            slope = sum(t * (x[min(i + t, n - 1), j] - x[max(i - t, 0), j]) for t in range(1, width + 1))
            result[i, j] = slope / (2 * sum(t**2 for t in range(1, width + 1)))
    return result


@given(frames(2, maximum=9), st.integers(1, 12))
def test_delta_is_the_regression_formula(x: Array, width: int) -> None:
    np.testing.assert_allclose(delta(x, width), slow_delta(x, width), atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 3, 9])
def test_delta_of_a_line_is_its_slope_away_from_the_ends(width: int) -> None:
    line = 7 - 2.5 * np.arange(30.0)[:, None]
    np.testing.assert_allclose(delta(line, width)[width:-width], -2.5)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_deltas_of_deltas_stand_beside_the_features(order: int) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    found = add_deltas(x, order, 2)
    assert found.shape == (20, 3 * (order + 1))
    assert found.dtype == np.float32
    expected = x.astype(np.float64)
    for part in range(order + 1):
        np.testing.assert_allclose(found[:, 3 * part : 3 * part + 3], expected, atol=1e-6)
        expected = slow_delta(expected, 2)


def test_features_are_left_alone() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2))
    before = x.copy()
    delta(x, 2)
    add_deltas(x, 2, 2)
    np.testing.assert_array_equal(x, before)


def rasta(x: Array, pole: float, size: int = 1 << 15) -> Array:
    return np.concatenate(list(rasta_in_blocks(Spool([x]), pole, size)))


def slow_rasta(x: Array, pole: float) -> Array:
    """y_t = pole y_{t-1} + 0.1 (2 x_{t+2} + x_{t+1} - x_{t-1} - 2 x_{t-2}), one frame of one feature at a time."""
    n, d = x.shape
    y = np.zeros((n, d))
    for t in range(n):
        for j in range(d):
            two, one, minus_one, minus_two = (x[min(max(t + s, 0), n - 1), j] for s in (2, 1, -1, -2))
            y[t, j] = (pole * y[t - 1, j] if t else 0.0) + 0.1 * (2 * two + one - minus_one - 2 * minus_two)
    return y


@given(frames(2, maximum=30), st.sampled_from([0.0, 0.94, 0.98]), st.integers(1, 40))
def test_rasta_is_its_difference_equation_in_blocks_of_any_size(x: Array, pole: float, size: int) -> None:
    x = x.astype(np.float32)
    found = rasta(x, pole, size)
    np.testing.assert_allclose(found, slow_rasta(x.astype(np.float64), pole), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found, rasta(x, pole))


@given(frames(2, maximum=30), st.integers(-50, 50))
def test_rasta_takes_out_an_offset(x: Array, offset: int) -> None:
    np.testing.assert_allclose(rasta(x + offset, 0.98), rasta(x, 0.98), atol=1e-3)


def test_rasta_lets_pass_what_changes_as_fast_as_speech() -> None:
    t = np.arange(2000) / 100

    def gain(hz: float) -> float:
        return float(rasta(np.sin(2 * np.pi * hz * t)[:, None], 0.94)[1000:].std() * np.sqrt(2))

    assert gain(4.0) > 0.8 > 0.4 > gain(0.3) > gain(0.05)
    assert gain(28.0) < 0.3

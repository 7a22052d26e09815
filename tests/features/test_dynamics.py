"""Deltas against the regression formula, in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.features.dynamics import add_deltas, delta
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

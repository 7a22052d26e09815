"""Normalization of features over a recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.features.normalize import normalize
from tests.laws import frames
from tests.sounds import Array


@given(frames(3, minimum=2), st.sampled_from(["mean", "mean_variance"]))
def test_means_become_0_and_variances_1(x: Array, method: str) -> None:
    y = normalize(x, method)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    expected = x.std(axis=0) if method == "mean" else np.where(x.std(axis=0) > 1e-5, 1.0, 0.0)
    np.testing.assert_allclose(y.std(axis=0), expected, atol=1e-9)


@given(frames(2, minimum=2), st.integers(-50, 50), st.sampled_from([0.25, 3.0, 16.0]))
def test_the_channel_is_removed(x: Array, offset: int, gain: float) -> None:
    np.testing.assert_allclose(normalize(x + offset, "mean"), normalize(x, "mean"), atol=1e-10)
    np.testing.assert_allclose(normalize(gain * x + offset, "mean_variance"), normalize(x, "mean_variance"), atol=1e-8)


@pytest.mark.parametrize("method", ["none", "mean", "mean_variance"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_and_shape_stay(method: str, dtype: type) -> None:
    x = np.random.default_rng(0).normal(5, 2, (30, 4)).astype(dtype)
    before = x.copy()
    y = normalize(x, method)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(x, before)
    if method == "none":
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.7e4, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_feature_becomes_0_and_not_noise(value: float, dtype: type) -> None:
    x = np.full((1000, 2), value, dtype=dtype)
    x[:, 1] = np.arange(1000)
    y = normalize(x, "mean_variance")
    np.testing.assert_array_equal(y[:, 0], 0)
    assert y[:, 1].std() == pytest.approx(1.0, rel=1e-4)


def test_one_frame_becomes_0() -> None:
    np.testing.assert_array_equal(normalize(np.array([[3.0, -2.0]]), "mean_variance"), np.zeros((1, 2)))


def test_float32_features_with_a_large_offset_keep_their_precision() -> None:
    x = (np.random.default_rng(0).integers(-8, 8, (5000, 1)) + 4096).astype(np.float32)
    y = normalize(x, "mean_variance").astype(np.float64)
    assert abs(y.mean()) < 1e-6
    assert y.std() == pytest.approx(1.0, rel=1e-6)

"""Normalization of features over a recording."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.features.normalize import METHODS, Averages, Normalization, normalized_in_blocks
from speechgmm.features.sliding import SLIDING, slid
from speechgmm.features.spool import Spool
from tests.laws import frames
from tests.sounds import Array


def normalize(x: Array, method: str, averages: Averages | None = None, *, window: int = 300) -> Array:
    """Return features (N, D) normalized as `normalized_in_blocks` does it, of any type and in one block."""
    if method in SLIDING:
        return np.concatenate(list(slid(lambda start, stop: x[start:stop], len(x), method, window)))
    return Normalization.of([x], method, averages)(x)


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


@pytest.mark.parametrize("method", METHODS)
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


@given(frames(3, minimum=2), st.integers(-50, 50))
def test_what_is_smoothed_has_frames_of_usual_speech_beside_it(x: Array, offset: int) -> None:
    usual = Averages((1.0, -2.0, float(offset)), (4.0, 0.25, 1.0))
    n = len(x)
    mean = (x.sum(axis=0) + 20 * np.array(usual.mean)) / (n + 20)
    variance = (((x - x.mean(axis=0)) ** 2).sum(axis=0) + 100 * np.array(usual.variance)) / (n + 100)
    np.testing.assert_allclose(normalize(x, "smoothed", usual), (x - mean) / np.sqrt(variance), rtol=1e-9, atol=1e-9)


def test_the_longer_a_recording_is_the_less_counts_what_is_usual() -> None:
    x = np.random.default_rng(0).normal([3.0, -1.0], [2.0, 0.5], (200_000, 2))
    usual = Averages((0.0, 0.0), (1.0, 1.0))

    def away(n: int) -> float:
        return float(np.abs(normalize(x[:n], "smoothed", usual) - normalize(x[:n], "mean_variance")).max())

    assert away(50) > 4 * away(2000) > 40 * away(200_000)
    np.testing.assert_array_equal(normalize(x, "smoothed"), normalize(x, "mean_variance"))


def test_a_constant_feature_lies_where_usual_speech_leaves_it() -> None:
    x = np.full((30, 1), 7.0)
    np.testing.assert_allclose(normalize(x, "smoothed", Averages((2.0,), (1.3,))), 7 - (30 * 7 + 20 * 2) / 50)
    np.testing.assert_array_equal(normalize(x, "smoothed", Averages((2.0,), (0.0,))), 0)


@given(st.lists(frames(2, minimum=1), min_size=1, max_size=4))
def test_averages_are_of_means_and_of_variances_about_each_recordings_own(recordings: list[Array]) -> None:
    found = Averages.of(recordings)
    weights = [len(x) for x in recordings]
    np.testing.assert_allclose(found.mean, np.concatenate(recordings).mean(axis=0), rtol=1e-9, atol=1e-9)
    expected = np.average([x.var(axis=0) for x in recordings], axis=0, weights=weights)
    np.testing.assert_allclose(found.variance, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("mean", "variance", "message"),
    [
        ((0.0, 1.0), (1.0,), "must have shape"),
        ((0.0,), (-1.0,), "a list of numbers from 0 up"),
        ((np.nan,), (1.0,), "finite"),
        (0.0, 1.0, "a list of numbers from 0 up"),
    ],
)
def test_averages_are_checked(mean: tuple[float, ...], variance: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Averages(mean, variance)


def slow_slid(x: Array, method: str, window: int) -> Array:
    """Each feature of each frame by itself, in the window about it that lies inside the recording."""
    n, d = x.shape
    w = min(window, n)
    y = np.zeros((n, d))
    for t in range(n):
        first = min(max(t - w // 2, 0), n - w)
        for j in range(d):
            values = x[first : first + w, j].astype(np.float64)
            if method == "warped":  # the mean of the ranks that equal values share
                ranks = [1 + i for i, v in enumerate(sorted(values, reverse=True)) if v == x[t, j]]
                y[t, j] = statistics.NormalDist().inv_cdf((w + 0.5 - float(np.mean(ranks))) / w)
            elif values.std() > 1e-5:
                y[t, j] = (x[t, j] - values.mean()) / values.std()
    return y


@given(frames(2, minimum=1, maximum=30), st.sampled_from(sorted(SLIDING)), st.integers(1, 40), st.integers(1, 20))
def test_what_slides_is_the_definition(x: Array, method: str, window: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechgmm.features.sliding._FRAMES", at_once)
        patch.setattr("speechgmm.features.sliding._COUNTED", 1 + at_once % 7)
        found = normalize(x, method, window=window)
    np.testing.assert_allclose(found, slow_slid(x, method, window), atol=1e-6)


@given(frames(2, minimum=1, maximum=30), st.sampled_from(METHODS), st.integers(1, 40), st.integers(0, 1000))
def test_in_blocks_it_gives_the_same(x: Array, method: str, window: int, in_memory: int) -> None:
    x = x.astype(np.float32)
    blocks = normalized_in_blocks(Spool([x], in_memory=in_memory), method, window=window)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), normalize(x, method, window=window))


@given(frames(3, minimum=2, maximum=40))
def test_a_window_as_long_as_the_recording_normalizes_over_all_of_it(x: Array) -> None:
    np.testing.assert_allclose(normalize(x, "sliding", window=40), normalize(x, "mean_variance"), atol=1e-6)


@given(frames(2, minimum=2, maximum=40), st.integers(2, 40))
def test_warping_knows_ranks_alone(x: Array, window: int) -> None:
    y = normalize(x, "warped", window=window)
    np.testing.assert_array_equal(normalize(x**3 + x, "warped", window=window), y)
    np.testing.assert_allclose(normalize(-x, "warped", window=window), -y, atol=1e-12)


def test_a_channel_that_changes_is_followed() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    x[2000:] = 5 * x[2000:] + [10.0, -20.0, 300.0]
    for method in SLIDING:
        y = normalize(x, method)
        for part in (y[:1500], y[2500:]):
            np.testing.assert_allclose(part.mean(axis=0), 0, atol=0.02)
            np.testing.assert_allclose(part.std(axis=0), 1, atol=0.05)
    assert abs(normalize(x, "mean_variance")[:2000].mean(axis=0)).min() > 0.5


@pytest.mark.parametrize("method", sorted(SLIDING))
def test_a_constant_feature_becomes_0_in_a_window_too(method: str) -> None:
    x = np.full((1000, 2), 1e4, np.float32)
    x[500:, 1] += np.arange(500)
    y = normalize(x, method)
    np.testing.assert_array_equal(y[:, 0], 0)
    np.testing.assert_array_equal(y[:349, 1], 0)

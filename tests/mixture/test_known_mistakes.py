"""Mistakes that released toolkits have made in this mathematics: one conformance test for each."""

import numpy as np
import pytest

from speechgmm.mixture import GMM, Diagonal, Floor, Stop, adapt, fit_gmm, initialize, maximize, split
from tests import laws, oracle


def test_map_variances_with_mean_for_mean_squared():
    """Eq. 13 needs `variance + mean**2`; with `variance + mean` they go negative, then sit on the floor."""
    ubm = GMM([0.1, 0.3, 0.6], [[-7.0, 3.0], [0.5, 20.0], [4.0, -9.0]], Diagonal([[1.0, 2.0], [0.5, 1.0], [3.0, 4.0]]))
    x = GMM([0.5, 0.2, 0.3], ubm.means + 1.0, ubm.covariance).sample(200).frames
    s = ubm.statistics(x)
    laws.same_gmm(adapt(ubm, 0 * s, relevance=16.0, update="wmc"), ubm)
    laws.same_gmm(adapt(ubm, s, relevance=1e12, update="wmc"), ubm)
    ml = oracle.em_step(oracle.rows(x), laws.plain(ubm))
    laws.same_gmm(adapt(ubm, s, relevance=1e-12, update="wmc"), ml)
    laws.same_gmm(
        adapt(ubm, s, relevance=16.0, update="mc"), oracle.map_adapt(oracle.rows(x), laws.plain(ubm), 16, "mv")
    )


@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_float32_variance_as_a_difference_of_squares(init):
    """[[9999], [0]] with a variance of at least 0.1 has 0.1 in both components, not 112."""
    x = np.array([[9999.0], [0.0]], np.float32)
    model = fit_gmm(x, 2, init=init, floor=Floor(absolute=0.1, relative=0.0), stop=Stop(0.0, 60)).model
    np.testing.assert_array_equal(laws.variances(model), [[0.1], [0.1]])
    np.testing.assert_array_equal(np.sort(model.means[:, 0]), [0.0, 9999.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [4096.0, -65536.0, 1e6, 2.0**23])
def test_variances_under_any_offset_that_the_type_holds(dtype, offset):
    x = np.random.default_rng(0).integers(0, 50, (500, 2)).astype(dtype)
    x[:250] += 100
    moved = x + dtype(offset)
    np.testing.assert_array_equal(moved.astype(float) - offset, x)  # nothing was rounded
    here, there = (fit_gmm(y, 2, stop=Stop(0.0, 5)).model for y in (x, moved))
    laws.close(laws.variances(there), laws.variances(here), rtol=1e-6, atol=0)


@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_digital_silence(init):
    model = fit_gmm(np.zeros((300, 4), np.float32), 4, init=init).model
    np.testing.assert_array_equal(laws.variances(model), np.full((4, 4), 1e-10))
    assert np.isfinite(model.log_density(np.zeros((1, 4)))).all()


@pytest.mark.parametrize(("absolute", "relative"), [(0.25, 0.0), (0.0, 0.01), (0.25, 0.01)])
@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_a_floor_accepted_and_never_used(init, absolute, relative):
    """One frame many times must not draw a component onto itself."""
    x = np.concatenate([np.random.default_rng(0).normal(0, 3, (100, 2)), np.full((100, 2), 1.5)])
    model = fit_gmm(x, 5, init=init, floor=Floor(absolute=absolute, relative=relative), stop=Stop(0.0, 30)).model
    minimum = np.maximum(absolute, relative * x.var(axis=0))
    assert (laws.variances(model) >= minimum * (1 - 1e-12)).all()
    laws.close(laws.variances(model).min(axis=0), minimum)  # and it is what holds this one


def test_variances_about_the_old_means():
    x = np.array([[0.0], [1.0], [10.0], [14.0]])
    start = GMM([0.5, 0.5], [[2.0], [9.0]], Diagonal([[0.5], [0.5]]))
    model = maximize(start.statistics(x), start).model
    laws.close(model.means, [[0.5], [12.0]])
    laws.close(laws.variances(model), [[0.25], [4.0]])  # about the old means: 2.5 and 13
    laws.same_gmm(model, oracle.em_step(oracle.rows(x), laws.plain(start)))


@pytest.mark.parametrize("k", [3, 48, 100])
def test_binary_splitting_that_rounds_down_to_a_power_of_two(k):
    x = np.random.default_rng(0).normal(size=(1500, 3))
    assert initialize(x, k, method="split").n_components == k
    assert fit_gmm(x, k, init="split", stop=Stop(max_iterations=2)).model.n_components == k
    assert split(laws.random_gmm(k, 2), 1).n_components == k + 1

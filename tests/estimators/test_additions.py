"""What scikit-learn's class does not have: weights, batches, missing values, splitting, densities on grids."""

from __future__ import annotations

import threading
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from speechgmm import GaussianMixture
from speechgmm.errors import InvalidInput
from speechgmm.estimators import fitting, gaussian_mixture, rows
from speechgmm.mixture import GMM
from speechgmm.mixture.e_step import EStep
from speechgmm.mixture.missing import Incomplete
from speechgmm.parallel import allowed_cores, available_cores, single_threaded

KINDS = ("full", "tied", "diag", "spherical")
IRIS = load_iris()
X = IRIS.data
GIVEN = {"weights_init": np.full(3, 1 / 3), "means_init": X[[10, 60, 110]]}
"""A start that does not depend on random numbers, but for covariances."""


def precisions(kind: str) -> Any:
    """Starting precisions of one."""
    one = {"full": np.tile(np.eye(4), (3, 1, 1)), "tied": np.eye(4), "diag": np.ones((3, 4)), "spherical": np.ones(3)}
    return one[kind]


def same(a: GaussianMixture, b: GaussianMixture, *, rtol: float = 1e-7) -> None:
    """Assert that two fits agree up to rounding."""
    for name in ("weights_", "means_", "covariances_", "lower_bound_"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-9, err_msg=name)


def holed(x: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Return a copy in which values are missing at random."""
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_rows_are_repeated_rows(kind: str) -> None:
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    start: dict[str, Any] = {**GIVEN, "precisions_init": precisions(kind), "covariance_type": kind, "tol": 1e-6}
    weighted = GaussianMixture(3, **start).fit(X, sample_weight=weights)
    repeated = GaussianMixture(3, **start).fit(np.repeat(X, weights, axis=0))
    same(weighted, repeated)
    assert weighted.n_iter_ == repeated.n_iter_
    with_holes = holed(X, 0.2)
    a = GaussianMixture(3, **start).fit(with_holes, sample_weight=weights)
    same(a, GaussianMixture(3, **start).fit(np.repeat(with_holes, weights, axis=0)))


@given(st.floats(1e-300, 1e300), st.integers(0, 2**16))
def test_the_unit_of_weights_does_not_matter(unit: float, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 2, 30)
    settings: dict[str, Any] = {"covariance_type": "diag", "max_iter": 3, "tol": 10.0, "random_state": 0}
    same(
        GaussianMixture(2, **settings).fit(X[:30], None, weights),
        GaussianMixture(2, **settings).fit(X[:30], None, weights * unit),
    )


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data", "split"])
def test_every_start_takes_weights_and_leaves_rows_of_weight_zero_out(method: str) -> None:
    weights = np.where(IRIS.target == 1, 0.0, 1.5)
    fitted = GaussianMixture(2, init_params=method, random_state=0).fit(X, sample_weight=weights)
    without = GaussianMixture(2, init_params=method, random_state=0).fit(
        X[IRIS.target != 1], sample_weight=weights[weights > 0]
    )
    same(fitted, without, rtol=1e-12)
    assert fitted.predict(X).shape == (150,)
    labels = GaussianMixture(2, init_params=method, random_state=0).fit_predict(X, sample_weight=weights)
    np.testing.assert_array_equal(labels, fitted.predict(X))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(150, -1.0), "sample weights must be at least 0; got -1 at frame 0"),
        (np.zeros(150), "some row must have a value, and a weight that is not zero; got none"),
        (np.ones(149), r"sample weights must have shape \(150,\)"),
        (np.ones((150, 1)), r"sample weights must have shape \(150,\)"),
        (np.full(150, np.nan), "sample weights must be finite"),
        (np.r_[1.0, np.zeros(149)], "Expected n_samples >= n_components but got n_components = 3, n_samples = 1"),
    ],
)
def test_weights_that_are_refused(weights: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        GaussianMixture(3).fit(X, sample_weight=weights)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_lead_where_all_rows_lead(kind: str) -> None:
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    batches = [means[rng.integers(0, 3, 400)] + rng.normal(size=(400, 2)) for _ in range(40)]
    whole = GaussianMixture(3, covariance_type=kind, random_state=0).fit(np.concatenate(batches))
    online = GaussianMixture(3, covariance_type=kind, random_state=0)
    for batch in batches:
        assert online.partial_fit(batch) is online
    assert online.n_iter_ == 40
    assert not online.converged_
    order = [int(np.abs(online.means_ - m).sum(axis=1).argmin()) for m in whole.means_]
    np.testing.assert_allclose(online.means_[order], whole.means_, atol=0.1)
    np.testing.assert_allclose(online.weights_[order], whole.weights_, atol=0.03)
    assert online.score(batches[0]) == pytest.approx(whole.score(batches[0]), abs=0.02)
    assert online.lower_bound_ == pytest.approx(whole.lower_bound_, abs=0.1)


def test_batches_go_on_from_a_fit_and_take_weights_holes_and_single_rows() -> None:
    fitted = GaussianMixture(3, random_state=0).fit(X)
    before = fitted.means_.copy()
    fitted.partial_fit(holed(X, 0.1), sample_weight=np.ones(150))
    moved = np.abs(fitted.means_ - before).max()
    assert 0 < moved < 0.2
    fitted.partial_fit(X[:1])
    assert fitted.n_iter_ == 2
    fitted.means_ = before
    fitted.partial_fit(X)
    assert fitted.n_iter_ == 1, "values set by hand are where it goes on"
    first = GaussianMixture(3, random_state=0).partial_fit(X)
    with pytest.warns(ConvergenceWarning):
        one = GaussianMixture(3, random_state=0, max_iter=1).fit(X)
    np.testing.assert_allclose(first.means_, one.means_, rtol=1e-9)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        GaussianMixture().partial_fit(X[:1])
    with pytest.raises(ValueError, match="Expected n_samples >= n_components"):
        GaussianMixture(3).partial_fit(X[:2])
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 4 features"):
        first.partial_fit(X[:, :3])


def test_a_batch_without_any_value_teaches_nothing() -> None:
    empty = np.full((5, 4), np.nan)
    fitted = GaussianMixture(3, random_state=0).partial_fit(X)
    without = GaussianMixture(3, random_state=0).partial_fit(X).partial_fit(X[::2])
    before = fitted.means_.copy()
    assert fitted.partial_fit(empty, sample_weight=np.ones(5)) is fitted
    np.testing.assert_array_equal(fitted.means_, before)
    assert fitted.n_iter_ == 1
    same(fitted.partial_fit(X[::2]), without, rtol=1e-15)
    whole = GaussianMixture(3, random_state=0).fit(X)
    assert whole.partial_fit(empty).converged_
    with pytest.raises(InvalidInput, match=r"sample weights must have shape \(5,\)"):
        fitted.partial_fit(empty, sample_weight=np.ones(4))
    with pytest.raises(InvalidInput, match="some row must have a value"):
        GaussianMixture(3).partial_fit(empty)


@pytest.mark.parametrize("kind", KINDS)
def test_incomplete_rows_teach_what_complete_rows_teach(kind: str) -> None:
    x = holed(X, 0.2)
    fitted = GaussianMixture(3, covariance_type=kind, reg_covar=0, tol=1e-9, max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x)
    assert len(fitted.lower_bounds_) > 5
    rises = np.diff(fitted.lower_bounds_)
    assert (rises > -1e-9).all(), "the likelihood never falls"
    np.testing.assert_allclose(fitted.score_samples(x), Incomplete(fitted.mixture_).log_density(x))
    np.testing.assert_array_equal(fitted.predict(x), fitted.predict_proba(x).argmax(axis=1))
    complete = ~np.isnan(x).any(axis=1)
    np.testing.assert_array_equal(fitted.score_samples(x)[complete], fitted.score_samples(X[complete]))
    # the same row among more or fewer others goes through a matrix product of another shape, which may round otherwise
    np.testing.assert_allclose(fitted.score_samples(x)[complete], fitted.score_samples(X)[complete], atol=1e-12)


def test_imputation_beats_the_mean_and_draws_keep_the_spread() -> None:
    x = holed(X, 0.3, seed=1)
    gone = np.isnan(x)
    fitted = GaussianMixture(3, random_state=0, max_iter=200).fit(x)
    filled = fitted.impute(x)
    np.testing.assert_array_equal(filled[~gone], X[~gone])
    means = np.where(gone, np.nanmean(x, axis=0), x)
    error = np.sqrt(np.mean((filled - X)[gone] ** 2))
    assert error < 0.5 * np.sqrt(np.mean((means - X)[gone] ** 2))
    drawn = fitted.impute(x, draw=True, random_state=1)
    np.testing.assert_array_equal(drawn, fitted.impute(x, draw=True, random_state=1))
    assert error < np.sqrt(np.mean((drawn - X)[gone] ** 2)) < 2 * error
    assert np.abs(drawn - fitted.impute(x, draw=True, random_state=2)).max() > 0
    np.testing.assert_array_equal(fitted.impute(X), X)
    empty = np.full((1, 4), np.nan)
    np.testing.assert_allclose(fitted.impute(empty)[0], fitted.weights_ @ fitted.means_)


def test_rows_and_features_without_any_value() -> None:
    empty = np.full((7, 4), np.nan)
    with_empty = GaussianMixture(3, random_state=0).fit(np.concatenate([X, empty]))
    same(with_empty, GaussianMixture(3, random_state=0).fit(X), rtol=1e-12)
    np.testing.assert_array_equal(with_empty.score_samples(empty), np.zeros(7))
    np.testing.assert_allclose(with_empty.predict_proba(empty), np.tile(with_empty.weights_, (7, 1)))
    assert set(with_empty.predict(empty)) == {with_empty.weights_.argmax()}
    x = X.copy()
    x[:, 2] = np.nan
    with pytest.raises(InvalidInput, match="every feature must be there in some row; got feature 2 missing in all 150"):
        GaussianMixture(3).fit(x)
    with pytest.raises(InvalidInput, match="some row must have a value"):
        GaussianMixture(3).fit(empty)


def test_splitting_needs_no_luck() -> None:
    labels = {GaussianMixture(3, init_params="split", random_state=s).fit_predict(X).tobytes() for s in range(4)}
    assert len(labels) == 1
    found = GaussianMixture(3, init_params="split").fit_predict(X)
    assert adjusted_rand_score(IRIS.target, found) >= 0.9
    with pytest.raises(ValueError, match="'init_params' parameter"):
        sklearn.mixture.GaussianMixture(3, init_params="split").fit(X)


def test_densities() -> None:
    fitted = GaussianMixture(2, random_state=0).fit(X[:, [0, 2]])
    points = X[:5, [0, 2]]
    np.testing.assert_array_equal(fitted.log_pdf(points), fitted.score_samples(points))
    np.testing.assert_allclose(fitted.pdf(points), np.exp(fitted.score_samples(points)))
    grid = fitted.density_grid(200, margin=6)
    cell = np.prod([a[1] - a[0] for a in grid.axes])
    assert grid.density.shape == (200, 200)
    assert grid.density.sum() * cell == pytest.approx(1.0, abs=1e-4)
    at = [grid.axes[0][30], grid.axes[1][70]]
    assert grid.density[70, 30] == pytest.approx(fitted.pdf([at])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_of_some_features_integrates_the_others_out(kind: str) -> None:
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    both, one = fitted.density_grid(300, features=(2, 0), margin=7), fitted.density_grid(300, features=[2], margin=7)
    np.testing.assert_array_equal(both.axes[0], one.axes[0])
    np.testing.assert_allclose(both.density.sum(axis=0) * (both.axes[1][1] - both.axes[1][0]), one.density, atol=1e-6)
    np.testing.assert_array_equal(one.density, fitted.density_grid(300, features=2, margin=7).density)
    assert fitted.density_grid(50).density.shape == (50, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": (0, 4)}, "each of features must be at least 0 and at most 3; got 4"),
        ({"features": 4}, "each of features must be at least 0 and at most 3; got 4"),
        ({"features": 1.5}, "each of features must be a whole number; got 1.5"),
        ({"features": (0, 0)}, "features must be one number or two different ones"),
        ({"features": ()}, "features must be one number or two different ones"),
        ({"features": (0, 1, 2)}, "features must be one number or two different ones"),
        ({"points": 1}, "points must be at least 2; got 1"),
        ({"margin": 0.0}, "margin must be above 0"),
    ],
)
def test_grids_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        GaussianMixture(3, random_state=0).fit(X).density_grid(**arguments)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_bits_do_not_depend_on_threads(kind: str, holes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = holed(rng.normal(size=(3 * rows.BLOCK + 5, 3)) + 4 * rng.integers(0, 3, (3 * rows.BLOCK + 5, 1)), holes)
    results = []
    for n in (1, 2, 5):
        for module in (rows, fitting, gaussian_mixture):
            monkeypatch.setattr(module, "allowed_threads", lambda shape, k, n=n: n)
        fitted = GaussianMixture(3, covariance_type=kind, max_iter=4, tol=10.0, random_state=0).fit(x)
        fitted.partial_fit(x)
        answers = (fitted.means_, fitted.covariances_, fitted.score_samples(x), fitted.predict(x), fitted.impute(x))
        results.append([a.tobytes() for a in answers])
    assert results[0] == results[1] == results[2]


def test_threads_are_those_that_the_libraries_may_use_and_none_where_there_is_little_to_do() -> None:
    with single_threaded():
        assert rows.allowed_threads((10**6, 20), 16) == 1
    assert rows.allowed_threads((rows.BLOCK, 20), 10**6) == 1
    assert rows.allowed_threads((10_000, 2), 2) == 1
    assert rows.allowed_threads((10**6, 20), 16) == min(available_cores(), allowed_cores())


@pytest.mark.skipif(available_cores() < 2, reason="one core")
def test_fits_and_answers_share_their_rows_between_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    summed, labels = GMM.summed, EStep.labels

    def seeing(function: Any) -> Any:
        def told(*args: Any, **kwargs: Any) -> Any:
            seen.add(threading.get_ident())
            return function(*args, **kwargs)

        return told

    monkeypatch.setattr(GMM, "summed", seeing(summed))
    monkeypatch.setattr(EStep, "labels", seeing(labels))
    x = np.random.default_rng(0).normal(size=(20_000, 20))
    with threadpool_limits(2):
        fitted = GaussianMixture(8, max_iter=2, tol=1e9, init_params="random_from_data", random_state=0).fit(x)
        assert seen
        assert threading.get_ident() not in seen
        seen.clear()
        fitted.predict(x)
        assert seen
        assert threading.get_ident() not in seen
        fitted.predict(x[:100])
        assert threading.get_ident() in seen


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(1, [1]), (8192, [8192]), (8193, [4097, 4096]), (16385, [4097] * 3 + [4094]), (100_000, [7143] * 13 + [7141])],
)
def test_blocks_of_rows_are_one_or_an_even_number(n: int, sizes: list[int]) -> None:
    assert [len(b) for b in rows.RowBlocks(np.zeros((n, 1)))] == sizes


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_memory_does_not_grow_with_rows_times_components(kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(100_000, 2))
    settings: dict[str, Any] = {"init_params": "random_from_data", "max_iter": 2, "tol": 1e9, "random_state": 0}
    fit = GaussianMixture(64, covariance_type=kind, **settings)
    fit.fit(x[:100])
    tracemalloc.start()
    fit.fit_predict(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * len(x) * 64 * 8, "one (N, K) array of doubles is more than twice this"

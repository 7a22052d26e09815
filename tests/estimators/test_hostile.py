"""Data that break estimators: each is fitted as it should be, or refused with words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.mixture
from sklearn.datasets import load_iris

from speechgmm import GaussianMixture
from speechgmm.checks import SMALLEST
from speechgmm.errors import InvalidInput
from speechgmm.estimators.rows import BLOCK

KINDS = ("full", "tied", "diag", "spherical")
STARTS = ("kmeans", "k-means++", "random", "random_from_data", "split")
X = load_iris().data
EXACT = np.round(X * 8)
"""Iris in eighths: large offsets and powers of two change no digit of it."""


def fitted(x: Any, kind: str = "full", **settings: Any) -> GaussianMixture:
    """Return three components fitted to `x`."""
    return GaussianMixture(3, covariance_type=kind, **{"random_state": 0, **settings}).fit(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", STARTS)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
def test_duplicates_only(kind: str, method: str) -> None:
    x = np.full((20, 2), [3.0, 1e5])
    model = fitted(x, kind, init_params=method)
    np.testing.assert_allclose(model.weights_ @ model.means_, [3.0, 1e5])
    assert np.isfinite(model.score_samples(x)).all()
    assert np.isfinite(model.predict_proba(x)).all()
    with pytest.raises(ValueError, match="some components have ill-defined empirical covariance"):
        fitted(x, kind, init_params=method, reg_covar=0)


def test_one_row_is_refused_in_their_words() -> None:
    messages = []
    for estimator in (GaussianMixture(), sklearn.mixture.GaussianMixture()):
        with pytest.raises(ValueError, match="a minimum of 2 is required by GaussianMixture") as caught:
            estimator.fit(X[:1])
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        fitted(X[:0])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        fitted(X[0])


@pytest.mark.parametrize("kind", KINDS)
def test_constant_columns(kind: str) -> None:
    x = np.column_stack([X, np.full(150, 7.0), np.zeros(150)])
    model = fitted(x, kind)
    np.testing.assert_allclose(model.means_[:, 4:], np.tile([7.0, 0.0], (3, 1)))
    if kind != "spherical":
        np.testing.assert_array_equal(model.predict(x), fitted(X, kind).predict(X))
        variances = model.covariances_[..., [4, 5], [4, 5]] if kind != "diag" else model.covariances_[:, 4:]
        np.testing.assert_allclose(variances, 1e-6, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-150, 1e-75, 1e75, 1e150])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", STARTS)
def test_scales(scale: float, kind: str, method: str) -> None:
    plain = fitted(X, kind, init_params=method, reg_covar=1e-4)
    scaled = fitted(X * scale, kind, init_params=method, reg_covar=1e-4 * scale**2)
    np.testing.assert_array_equal(scaled.predict(X * scale), plain.predict(X))
    np.testing.assert_allclose(scaled.means_ / scale, plain.means_, rtol=1e-6)
    np.testing.assert_allclose(scaled.covariances_ / scale**2, plain.covariances_, rtol=1e-5, atol=1e-9)
    assert np.isfinite(scaled.precisions_cholesky_).all()
    assert scaled.score(X * scale) == pytest.approx(plain.score(X) - 4 * np.log(scale))


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("kind", KINDS)
def test_tiny_and_huge_columns_together(kind: str) -> None:
    units = np.array([1e-150, 1.0, 1e100, 1e150])
    model = fitted(X * units, kind)
    assert np.isfinite(model.score_samples(X * units)).all()
    np.testing.assert_allclose(model.weights_.sum(), 1.0)


@pytest.mark.parametrize("scale", [1e-160, 1e152, 1e300])
def test_scales_beyond_are_refused(scale: float) -> None:
    with pytest.raises(InvalidInput, match=r"features must be .* Choose another unit for them"):
        fitted(X * scale)
    with pytest.raises(
        InvalidInput, match="in feature 2. Choose" if scale < 1 else "features must be at most 1e\\+151"
    ):
        fitted(np.where([True, True, False, True], X, X * scale))


@pytest.mark.parametrize("offset", [1e8, -1e8, [1e8, 0.0, -1e8, 1.0]])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", STARTS)
def test_offsets_change_nothing(offset: Any, kind: str, method: str) -> None:
    if kind == "tied" and method in ("k-means++", "random_from_data"):
        pytest.skip("scikit-learn starts these from moments about zero, and so do we: see test_offsets_of_tied_seeds")
    plain, moved = (fitted(x, kind, init_params=method, reg_covar=1e-2) for x in (EXACT, EXACT + offset))
    np.testing.assert_array_equal(moved.predict(EXACT + offset), plain.predict(EXACT))
    np.testing.assert_allclose(moved.means_ - offset, plain.means_, atol=1e-6)
    np.testing.assert_allclose(moved.covariances_, plain.covariances_, rtol=1e-6, atol=1e-6)
    assert moved.score(EXACT + offset) == pytest.approx(plain.score(EXACT), abs=1e-6)


@pytest.mark.parametrize("method", ["k-means++", "random_from_data"])
def test_offsets_of_tied_seeds(method: str) -> None:
    centered = EXACT - EXACT.mean(axis=0).round()
    near, far = (fitted(centered + o, "tied", init_params=method) for o in (0.0, 1e8))
    assert far.score(centered + 1e8) == pytest.approx(near.score(centered), abs=0.05)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_are_refused_everywhere_though_nan_is_not(bad: float) -> None:
    x = X.copy()
    x[7, 2] = bad
    model = fitted(X)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted(x)
    for ask in ("predict", "predict_proba", "score", "score_samples", "impute", "pdf", "partial_fit", "fit_predict"):
        with pytest.raises(ValueError, match="Input X contains infinity"):
            getattr(model, ask)(x)


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(
        InvalidInput, match="Expected n_samples >= n_components but got n_components = 3, n_samples = 2"
    ):
        fitted(X[:2])
    assert fitted(X[[0, 60, 120]]).weights_.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "float16", "bool"])
def test_whole_numbers_and_halves_are_numbers(kind: str, dtype: str) -> None:
    x = (X > 3 if dtype == "bool" else np.round(X)).astype(dtype)
    a, b = fitted(x, kind), fitted(x.astype(float), kind)
    assert a.means_.dtype == np.float64
    np.testing.assert_array_equal(a.means_, b.means_)


@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_in_memory_does_not_matter(kind: str) -> None:
    model = fitted(X, kind)
    for x in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1][::-1], X.tolist()):
        other = fitted(x, kind)
        assert other.means_.tobytes() == model.means_.tobytes()
        assert other.score_samples(x).tobytes() == model.score_samples(X).tobytes()
    locked = X.copy()
    locked.setflags(write=False)
    np.testing.assert_array_equal(fitted(locked, kind).means_, model.means_)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_is_safe(kind: str) -> None:
    x = np.array([[9999.0], [0.0]], dtype=np.float32)
    model = GaussianMixture(2, covariance_type=kind, reg_covar=0.1, random_state=0).fit(x)
    np.testing.assert_allclose(np.ravel(model.covariances_), 0.1, rtol=1e-6)
    big = (EXACT + 4096).astype(np.float32)
    single, double = fitted(big, kind, reg_covar=0.01), fitted(big.astype(float), kind, reg_covar=0.01)
    np.testing.assert_allclose(single.covariances_, double.covariances_, rtol=1e-3, atol=2e-3)
    np.testing.assert_array_equal(single.predict(big), double.predict(big.astype(float)))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(single, name).dtype == np.float32
    assert single.score_samples(big).dtype == single.predict_proba(big).dtype == np.float32
    assert single.score_samples(X).dtype == np.float64


def test_single_precision_that_cannot_hold_the_variances_gives_doubles() -> None:
    x = (X * 1e25).astype(np.float32)
    model = fitted(x)
    assert np.isfinite(model.covariances_).all()
    assert model.covariances_.dtype == np.float64
    assert model.means_.dtype == np.float32


def test_sparse_rows_are_refused_with_words() -> None:
    for make in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array):
        with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
            fitted(make(X))


def test_other_things_are_refused_with_words() -> None:
    with pytest.raises(ValueError, match="could not convert string to float"):
        fitted([["a", "b"]] * 5)
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted(X * 1j)
    with pytest.raises(ValueError, match="Found array with dim 3"):
        fitted(X.reshape(50, 3, 4))
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 4 features"):
        fitted(X).predict(X[:, :2])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_named_columns(library: str) -> None:
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    table = frames.DataFrame({name: X[:, i] for i, name in enumerate(names)})
    model = fitted(table)
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.predict(table), fitted(X).predict(X))
    holes = frames.DataFrame({name: [None, *X[1:, i].tolist()] if i == 2 else X[:, i] for i, name in enumerate(names)})
    np.testing.assert_array_equal(np.isnan(model.impute(holes)), np.zeros((150, 4)))
    assert np.isfinite(fitted(holes).score(holes))
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        model.predict(table[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    weights = frames.Series([1.0] * 150)
    np.testing.assert_allclose(fitted(table).fit(table, sample_weight=weights).means_, model.means_)


def test_data_are_left_as_they_were() -> None:
    x, weights = X.copy(), np.ones(150)
    x[3, 1] = np.nan
    before = x.copy()
    fitted(x).fit(x, sample_weight=weights).impute(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(weights, np.ones(150))


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_one_row_far_away_under_full_covariances(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(500, 3))
    x[0] = -99999
    model = fitted(x)
    assert (np.linalg.eigvalsh(model.covariances_) > 0).all()
    alone = int(model.predict(x[:1])[0])
    np.testing.assert_allclose(model.means_[alone], x[0], rtol=1e-6)
    with pytest.raises(ValueError, match="some components have ill-defined empirical covariance"):
        fitted(x, reg_covar=0)


@pytest.mark.parametrize(("gap", "seed"), [(3e5, 0), (3e5, 1), (1e6, 1), (1e6, 2)])
def test_clusters_far_apart_under_a_tied_covariance(gap: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(200, 3))
    expected = np.cov(np.concatenate([x[:100] - x[:100].mean(axis=0), x[100:] - x[100:].mean(axis=0)]).T, bias=True)
    x[100:] += gap
    model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(x)
    np.testing.assert_allclose(model.covariances_, expected, atol=1e-2)
    np.testing.assert_array_equal(np.sort(np.bincount(model.predict(x))), [100, 100])


def test_rows_so_small_that_their_squares_are_zero() -> None:
    model = GaussianMixture(2, random_state=0).fit(X[:, :3])
    tiny = [[1e-200, 0.0, 0.0]]
    np.testing.assert_array_equal(model.predict(tiny), model.predict(np.zeros((1, 3))))
    np.testing.assert_array_equal(model.score_samples(tiny), model.score_samples(np.zeros((1, 3))))
    sizes = np.sort(10 ** -np.random.default_rng(0).uniform(0, 300, 20_000))[:, None]
    assert sizes[BLOCK] < SMALLEST, "the first block holds nothing else"
    model = GaussianMixture(2, random_state=0).fit(sizes)
    assert model.weights_ @ model.means_ == pytest.approx(sizes.mean(axis=0))

"""The variational estimator: scikit-learn's numbers for full covariances, its interface for all."""

from __future__ import annotations

import inspect
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from speechgmm.estimators import BayesianGaussianMixture
from speechgmm.parallel import single_threaded

KINDS = ("full", "tied", "diag", "spherical")
PROCESSES = ("dirichlet_process", "dirichlet_distribution")
X = load_iris().data


@parametrize_with_checks([BayesianGaussianMixture()])
def test_the_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_constructor_and_the_methods_are_theirs() -> None:
    def parameters(of: type) -> set[Any]:
        return {(p.name, p.default, p.kind) for p in inspect.signature(of).parameters.values()}

    assert {kind for *_, kind in parameters(BayesianGaussianMixture)} == {inspect.Parameter.KEYWORD_ONLY}
    assert parameters(BayesianGaussianMixture) == parameters(sklearn.mixture.BayesianGaussianMixture)
    public = {name for name in dir(sklearn.mixture.BayesianGaussianMixture) if not name.startswith("_")}
    assert public <= set(dir(BayesianGaussianMixture))


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("method", ["kmeans", "random", "k-means++", "random_from_data"])
def test_full_covariances_are_theirs(process: str, method: str) -> None:
    settings: dict[str, Any] = {
        "n_components": 5,
        "weight_concentration_prior_type": process,
        "init_params": method,
        "random_state": 3,
        "max_iter": 20,
        "tol": 0.0,
    }
    ours, theirs = BayesianGaussianMixture(**settings), sklearn.mixture.BayesianGaussianMixture(**settings)
    with warnings.catch_warnings(), single_threaded():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X)
        theirs.fit(X)
    for name in (n for n in vars(theirs) if n.endswith("_") and not n.startswith("lower_bound")):
        a, b = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)
    constants = np.array(theirs.lower_bounds_[:-1]) - ours.lower_bounds_[:-1]
    after = np.array(theirs.lower_bounds_[:-1]) - ours.lower_bounds_[1:]
    assert constants.min() >= after.max() - 1e-6, "theirs, after an M-step, lies between ours before and after"
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.sample(5)[0], theirs.sample(5)[0], rtol=1e-6)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("kind", KINDS)
def test_superfluous_components_vanish(kind: str, process: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)) + 12 * rng.integers(0, 3, (600, 1)) * [1, -1]
    settings: dict[str, Any] = {"weight_concentration_prior_type": process, "weight_concentration_prior": 0.01}
    model = BayesianGaussianMixture(n_components=8, covariance_type=kind, max_iter=2000, random_state=0, **settings)
    model.fit(x)
    assert (model.weights_ > 0.02).sum() == 3
    assert model.posterior_.without(5.0).n_components == 3
    assert (np.diff(model.lower_bounds_) > -1e-3).all(), "only reg_covar keeps the bound from never falling"
    theirs = sklearn.mixture.BayesianGaussianMixture(n_components=8, covariance_type=kind, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    for name in ("means_", "covariances_", "precisions_", "precisions_cholesky_", "weight_concentration_"):
        assert np.shape(getattr(model, name)) or process == PROCESSES[1] or name == "weight_concentration_"
        if name != "weight_concentration_":
            assert np.shape(getattr(model, name)) == np.shape(getattr(theirs, name)), name
    for name in ("covariance_prior_", "mean_prior_", "degrees_of_freedom_prior_", "mean_precision_prior_"):
        np.testing.assert_allclose(getattr(model, name), getattr(theirs, name), rtol=1e-9, err_msg=name)
    assert np.shape(model.degrees_of_freedom_) == np.shape(theirs.degrees_of_freedom_)


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_rows_are_repeated_rows(kind: str) -> None:
    weights = np.random.default_rng(0).integers(0, 3, len(X))
    settings: dict[str, Any] = {"covariance_type": kind, "init_params": "split", "max_iter": 500}
    split = BayesianGaussianMixture(n_components=1, **settings)
    weighted, repeated = split.fit(X, sample_weight=weights), BayesianGaussianMixture(n_components=1, **settings)
    repeated.fit(np.repeat(X, weights, axis=0))
    for name in ("means_", "covariances_", "lower_bound_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-7)


def test_priors_that_are_given_count() -> None:
    prior: dict[str, Any] = {"mean_prior": np.zeros(4), "mean_precision_prior": 1e6, "degrees_of_freedom_prior": 9.0}
    model = BayesianGaussianMixture(n_components=2, random_state=0, **prior).fit(X)
    assert np.abs(model.means_).max() < 0.01
    assert model.degrees_of_freedom_prior_ == 9.0
    for kind, given in {"full": 3 * np.eye(4), "tied": 3 * np.eye(4), "diag": [3.0] * 4, "spherical": 3.0}.items():
        one = BayesianGaussianMixture(covariance_type=kind, covariance_prior=given).fit(X)
        np.testing.assert_array_equal(one.covariance_prior_, given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"degrees_of_freedom_prior": 2.0}, "'degrees_of_freedom_prior' should be greater than 3, but got 2.000"),
        ({"mean_prior": [0.0]}, "The parameter 'means' should have the shape of (4,), but got (1,)"),
        ({"covariance_prior": np.eye(3)}, "'full covariance_prior' should have the shape of (4, 4), but got (3, 3)"),
        ({"covariance_prior": -np.eye(4)}, "'full precision' should be symmetric, positive-definite"),
        ({"covariance_prior": np.zeros(4), "covariance_type": "diag"}, "'diag precision' should be positive"),
        ({"weight_concentration_prior": 0.0}, "The 'weight_concentration_prior' parameter of BayesianGaussianMixture"),
        ({"weight_concentration_prior_type": "luck"}, "must be a str among"),
        ({"n_components": 151}, "Expected n_samples >= n_components"),
    ],
)
def test_refusals_in_their_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        BayesianGaussianMixture(**settings).fit(X)


def test_what_it_does_not_take() -> None:
    holes = X.copy()
    holes[0, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        BayesianGaussianMixture().fit(holes)
    with pytest.raises(NotFittedError, match="This BayesianGaussianMixture instance is not fitted yet"):
        BayesianGaussianMixture().predict(X)


def test_it_warm_starts_and_pickles() -> None:
    whole = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=300).fit(X)
    warm = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=1, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(whole.n_iter_):
            warm.fit(X)
    assert warm.converged_
    np.testing.assert_allclose(warm.means_, whole.means_, rtol=1e-8)
    again = pickle.loads(pickle.dumps(whole))
    assert again.score_samples(X).tobytes() == whole.score_samples(X).tobytes()
    assert whole.density_grid(20).density.shape == (20, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_those_of_the_expected_mixture(kind: str) -> None:
    fitted = BayesianGaussianMixture(n_components=2, covariance_type=kind, random_state=0, max_iter=300)
    fitted.fit(X[:, [0, 2]])
    grid = fitted.density_grid(200, margin=6)
    points = np.stack([a.ravel() for a in np.meshgrid(*grid.axes)], axis=1)
    density = fitted.pdf(points)
    cell = np.prod([a[1] - a[0] for a in grid.axes])
    assert density.sum() * cell == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(density.reshape(200, 200), grid.density, rtol=1e-9)
    np.testing.assert_allclose(fitted.log_pdf(points[:9]), np.log(density[:9]))

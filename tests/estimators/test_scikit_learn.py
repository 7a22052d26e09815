"""The public interface of scikit-learn's class: what it takes, gives, says and refuses."""

from __future__ import annotations

import inspect
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from speechgmm import GaussianMixture
from speechgmm.errors import InvalidInput
from speechgmm.estimators import BayesianGaussianMixture

KINDS = ("full", "tied", "diag", "spherical")
IRIS = load_iris()
X = IRIS.data


@parametrize_with_checks(
    [GaussianMixture(), GaussianMixture(covariance_type="diag", init_params="split"), GaussianMixture(warm_start=True)]
)
def test_the_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_constructor_and_the_methods_are_theirs() -> None:
    ours, theirs = (
        inspect.Signature([p.replace(annotation=p.empty) for p in inspect.signature(c.__init__).parameters.values()])
        for c in (GaussianMixture, sklearn.mixture.GaussianMixture)
    )
    assert ours == theirs  # keyword-only parameters in any order
    public = {name for name in dir(sklearn.mixture.GaussianMixture) if not name.startswith("_")}
    assert public <= set(dir(GaussianMixture))


@pytest.mark.parametrize("kind", KINDS)
def test_the_fitted_attributes_are_theirs(kind: str) -> None:
    settings: dict[str, Any] = {"covariance_type": kind, "random_state": 0}
    ours, theirs = GaussianMixture(3, **settings).fit(X), sklearn.mixture.GaussianMixture(3, **settings).fit(X)
    for name in (n for n in vars(theirs) if n.endswith("_")):
        assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name)), name
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-8, err_msg=name)
    assert ours.aic(X) == pytest.approx(theirs.aic(X))
    assert ours.bic(X) == pytest.approx(theirs.bic(X))
    assert ours.score(X) == pytest.approx(theirs.score(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
    np.testing.assert_array_equal(ours.fit_predict(X), theirs.fit_predict(X))
    for mine, other in zip(ours.sample(20), theirs.sample(20), strict=True):
        np.testing.assert_allclose(mine, other)


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_state_gives_the_same_start_and_labels(kind: str, method: str) -> None:
    settings: dict[str, Any] = {"covariance_type": kind, "init_params": method, "random_state": 7}
    starts = [c(3, max_iter=0, **settings).fit(X) for c in (GaussianMixture, sklearn.mixture.GaussianMixture)]
    for name in ("means_", "covariances_"):
        np.testing.assert_allclose(getattr(starts[0], name), getattr(starts[1], name), rtol=1e-6, atol=1e-12)
    theirs = starts[1].weights_ / starts[1].weights_.sum()  # one row a component: theirs do not sum to 1
    np.testing.assert_allclose(starts[0].weights_, theirs, rtol=1e-9)
    labels = [c(3, **settings).fit_predict(X) for c in (GaussianMixture, sklearn.mixture.GaussianMixture)]
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "The 'n_components' parameter of GaussianMixture must be an int in the range [1, inf)"),
        ({"covariance_type": "round"}, "The 'covariance_type' parameter of GaussianMixture must be a str among"),
        ({"init_params": "luck"}, "The 'init_params' parameter of GaussianMixture must be a str among"),
        ({"tol": -1.0}, "The 'tol' parameter of GaussianMixture must be a float in the range [0.0, inf)"),
        ({"n_components": 151}, "Expected n_samples >= n_components but got n_components = 151, n_samples = 150"),
        ({"weights_init": [0.5, 0.5]}, "The parameter 'weights' should have the shape of (3,), but got (2,)"),
        ({"weights_init": [0.5, 0.7, -0.2]}, "The parameter 'weights' should be in the range [0, 1]"),
        ({"weights_init": [0.5, 0.2, 0.2]}, "should be normalized, but got sum(weights) = 0.90000"),
        ({"means_init": [[0.0, 1.0]]}, "The parameter 'means' should have the shape of (3, 4), but got (1, 2)"),
        ({"means_init": np.full((3, 4), np.inf)}, "means must be finite"),
        ({"precisions_init": np.eye(4)}, "'full precision' should have the shape of (3, 4, 4), but got (4, 4)"),
        (
            {"precisions_init": [-np.eye(4)] * 3},
            "'full precision' should be symmetric, positive-definite",
        ),
        (
            {"precisions_init": [np.eye(4) + np.eye(4, k=1)] * 3},
            "'full precision' should be symmetric, positive-definite",
        ),
        (
            {"precisions_init": np.diag([1.0, 1.0, 1.0, 0.0]), "covariance_type": "tied"},
            "'tied precision' should be symmetric, positive-definite",
        ),
        ({"precisions_init": np.zeros((3, 4)), "covariance_type": "diag"}, "'diag precision' should be positive"),
        ({"precisions_init": [1.0, 1.0, -1.0], "covariance_type": "spherical"}, "'spherical precision' should be pos"),
    ],
)
def test_refusals_in_their_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        GaussianMixture(**{"n_components": 3, **settings}).fit(X)


@pytest.mark.parametrize("kind", KINDS)
def test_starting_values_are_used(kind: str) -> None:
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    given = {
        "weights_init": fitted.weights_.tolist(),
        "means_init": fitted.means_.tolist(),
        "precisions_init": fitted.precisions_.tolist(),
    }
    again = GaussianMixture(3, covariance_type=kind, max_iter=0, **given).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(again, name), getattr(fitted, name), rtol=1e-7, atol=1e-9)
    means = GaussianMixture(3, covariance_type=kind, max_iter=0, means_init=given["means_init"]).fit(X)
    np.testing.assert_array_equal(means.means_, fitted.means_)


def test_what_is_not_fitted_answers_nothing() -> None:
    for ask in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "pdf", "log_pdf"):
        with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
            getattr(GaussianMixture(), ask)(X)
    for ask in ("sample", "density_grid"):
        with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
            getattr(GaussianMixture(), ask)()


def test_it_warns_where_em_has_not_settled() -> None:
    with pytest.warns(ConvergenceWarning, match="Best performing initialization did not converge"):
        short = GaussianMixture(3, max_iter=1, random_state=0).fit(X)
    assert not short.converged_
    assert short.n_iter_ == 1
    assert GaussianMixture(3, max_iter=0).fit(X).lower_bound_ == -np.inf


def test_the_best_of_several_starts_is_kept() -> None:
    settings: dict[str, Any] = {"init_params": "random", "tol": 1e-6, "max_iter": 500}
    state = np.random.RandomState(1)
    single = [GaussianMixture(3, random_state=state, **settings).fit(X).lower_bound_ for _ in range(4)]
    best = GaussianMixture(3, random_state=1, n_init=4, **settings).fit(X)
    assert len(set(np.round(single, 6))) > 1
    assert best.lower_bound_ == max(single)
    assert best.lower_bounds_[-1] == best.lower_bound_


def test_a_warm_start_goes_on() -> None:
    whole = GaussianMixture(3, tol=1e-7, max_iter=200, random_state=0).fit(X)
    warm = GaussianMixture(3, tol=1e-7, max_iter=1, random_state=0, warm_start=True)
    bounds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(whole.n_iter_):
            bounds += warm.fit(X).lower_bounds_
    assert warm.converged_
    np.testing.assert_allclose(bounds, whole.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(warm.means_, whole.means_, rtol=1e-9)


def test_what_verbose_prints(capsys: pytest.CaptureFixture[str]) -> None:
    GaussianMixture(3, verbose=1, verbose_interval=2, random_state=0).fit(X)
    one = capsys.readouterr().out.splitlines()
    assert one[0] == "Initialization 0"
    assert one[1] == "  Iteration 2"
    assert one[-1] == "Initialization converged."
    GaussianMixture(3, verbose=2, verbose_interval=1, random_state=0).fit(X)
    two = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"  Iteration 1\t time lapse [\d.]+s\t ll change inf", two[1])
    assert re.fullmatch(r"Initialization converged\. time lapse [\d.]+s\t lower bound -[\d.]+\.", two[-1])
    GaussianMixture(3, random_state=0).fit(X)
    assert capsys.readouterr().out == ""


def test_attributes_that_are_set_by_hand_count() -> None:
    made = GaussianMixture(2, covariance_type="full")
    made.weights_, made.means_ = np.array([0.25, 0.75]), np.array([[0.0, 0.0], [3.0, 1.0]])
    made.precisions_cholesky_ = np.array([[[1.0, 0.5], [0.0, 2.0]], np.eye(2)])
    theirs = sklearn.mixture.GaussianMixture(2)
    vars(theirs).update({name: value for name, value in vars(made).items() if name.endswith("_")})
    points = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_allclose(made.score_samples(points), theirs.score_samples(points))
    fitted = GaussianMixture(3, random_state=0).fit(X)
    before = fitted.score(X)
    fitted.means_ += 1.0
    assert fitted.score(X) < before


def test_it_works_in_pipelines_searches_clones_and_pickles() -> None:
    scaled = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0))
    assert scaled.fit(X).score(X) == pytest.approx(scaled[-1].score(scaled[0].transform(X)))
    grid = {"n_components": [1, 2, 3], "covariance_type": list(KINDS)}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(IRIS.data[::-1])
    theirs = GridSearchCV(sklearn.mixture.GaussianMixture(random_state=0), grid, cv=3).fit(IRIS.data[::-1])
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-3)
    fitted = GaussianMixture(3, random_state=0).fit(X)
    assert not hasattr(clone(fitted), "means_")
    again = pickle.loads(pickle.dumps(fitted))
    assert again.score_samples(X).tobytes() == fitted.score_samples(X).tobytes()
    assert repr(GaussianMixture(3, tol=0.1)) == "GaussianMixture(n_components=3, tol=0.1)"


@pytest.mark.parametrize("kind", KINDS)
def test_precision_factors_set_by_hand_count_as_theirs_do(kind: str) -> None:
    ours = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    theirs = sklearn.mixture.GaussianMixture(3, covariance_type=kind)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(theirs, name, getattr(ours, name))
    before = ours.score_samples(X)
    ours.precisions_cholesky_ = theirs.precisions_cholesky_ = 1.5 * ours.precisions_cholesky_
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-9)
    assert np.median(np.abs(ours.score_samples(X) - before)) > 0.1


@pytest.mark.parametrize(
    ("changes", "columns", "found"),
    [
        ({"covariance_type": "diag"}, 4, "go on with Diagonal covariances of 4 features; got Full covariances of 4"),
        ({}, 3, "go on with Full covariances of 3 features; got Full covariances of 4 features. Fit a clone."),
    ],
)
def test_a_warm_start_that_cannot_go_on(changes: dict[str, Any], columns: int, found: str) -> None:
    for estimator in (GaussianMixture, BayesianGaussianMixture):
        warm = estimator(n_components=3, random_state=0, warm_start=True, max_iter=300).fit(X)
        with pytest.raises(InvalidInput, match=f"a warm start must {found}"):
            warm.set_params(**changes).fit(X[:, :columns])

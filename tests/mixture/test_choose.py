"""Criteria are what their definitions say, and the choice is the same with any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Choice, Diagonal, Full, Incomplete, Spherical, Tied, choose, n_parameters

X = load_iris().data


@pytest.fixture(scope="module")
def iris() -> Choice:
    return choose(X, [1, 2, 3], folds=3, starts=1, n_threads=1)


@pytest.mark.parametrize(
    ("covariance", "expected"),
    [(Diagonal(np.ones((3, 4))), 26), (Spherical(np.ones(3)), 17), (Tied(np.eye(4)), 24), (Full([np.eye(4)] * 3), 44)],
)
def test_free_parameters_are_counted(covariance, expected: int) -> None:
    gmm = GMM(np.full(3, 1 / 3), np.zeros((3, 4)), covariance)
    assert n_parameters(gmm) == expected
    name = {Diagonal: "diag", Spherical: "spherical", Tied: "tied", Full: "full"}[type(covariance)]
    assert n_parameters(gmm) == GaussianMixture(3, covariance_type=name).fit(X)._n_parameters()


def test_criteria_are_those_of_the_definitions(iris: Choice) -> None:
    assert [(c.covariance, c.n_components) for c in iris.candidates[:4]] == [
        ("diag", 1), ("diag", 2), ("diag", 3), ("spherical", 1),
    ]  # fmt: skip
    assert len(iris.candidates) == 12
    for c in iris.candidates:
        total = float(c.model.log_density(X).sum())
        assert c.n_parameters == n_parameters(c.model)
        assert c.log_likelihood == pytest.approx(total / 150)
        assert c.aic == pytest.approx(-2 * total + 2 * c.n_parameters)
        assert c.bic == pytest.approx(-2 * total + np.log(150) * c.n_parameters)
        posteriors = c.model.posteriors(X)
        assert c.icl == pytest.approx(c.bic - 2 * np.log(posteriors.max(axis=1)).sum())
        assert c.icl >= c.bic


def test_one_component_equals_scikit_learns_criteria(iris: Choice) -> None:
    theirs = GaussianMixture(1, reg_covar=0).fit(X)
    ours = next(c for c in iris.candidates if (c.covariance, c.n_components) == ("full", 1))
    assert ours.bic == pytest.approx(theirs.bic(X))
    assert ours.aic == pytest.approx(theirs.aic(X))


def test_iris_is_two_clusters_by_bic_and_icl_and_more_by_prediction(iris: Choice) -> None:
    for name in ("bic", "icl"):
        best = iris.ranked(name)[0]
        assert (best.covariance, best.n_components) == ("full", 2), name
    assert iris.best is iris.ranked("bic")[0]
    assert iris.best.bic == pytest.approx(574.02, abs=0.1), "the value known from the literature (Fraley and Raftery)"
    assert iris.ranked("aic")[0].n_components == 3
    values = [c.cross_validated for c in iris.ranked("cross_validated")]
    assert values == sorted(values, reverse=True)


def test_held_out_likelihood_is_that_of_frames_not_trained_on() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    candidate = choose(x, [1], covariances=["full"], folds=4, seed=5).candidates[0]
    order = np.random.default_rng(5).permutation(60)
    scores = []
    for f in range(4):
        held = order[f::4]
        rest = np.delete(x, held, axis=0)
        mean, cov = rest.mean(axis=0), np.cov(rest.T, bias=True)
        d = x[held] - mean
        square = np.einsum("nd,de,ne->n", d, np.linalg.inv(cov), d)
        scores.append(np.mean(-0.5 * (square + np.log(np.linalg.det(2 * np.pi * cov)))))
    assert candidate.cross_validated == pytest.approx(np.mean(scores))
    assert candidate.standard_error == pytest.approx(np.std(scores, ddof=1) / 2)


def test_threads_change_no_bit(iris: Choice) -> None:
    other = choose(X, [1, 2, 3], folds=3, starts=1, n_threads=3)
    for a, b in zip(iris.candidates, other.candidates, strict=True):
        assert (a.bic, a.icl, a.cross_validated) == (b.bic, b.icl, b.cross_validated)
        assert a.model.means.tobytes() == b.model.means.tobytes()


def test_more_starts_are_never_worse() -> None:
    one = choose(X, [4], covariances=["full"], starts=1).best.log_likelihood
    assert choose(X, [4], covariances=["full"], starts=4).best.log_likelihood >= one


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_a_weight_is_the_same_as_so_many_frames(kind: str) -> None:
    times = np.random.default_rng(0).integers(0, 4, len(X))
    settings = {"covariances": [kind], "starts": 1}
    weighted = choose(X, [1], sample_weight=times, **settings).best
    repeated = choose(np.repeat(X, times, axis=0), [1], **settings).best
    for name in ("log_likelihood", "bic", "aic", "icl"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-9), name


def test_missing_values_leave_the_criteria_those_of_what_was_observed() -> None:
    x = X.copy()
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    x[3] = np.nan
    weights = np.random.default_rng(2).uniform(0.5, 1.5, len(x))
    seen = ~np.isnan(x).all(axis=1)
    found = choose(x, [1, 2, 3], covariances=["full"], missing=True, sample_weight=weights, folds=3, starts=1)
    for c in found.candidates:
        total = float(weights[seen] @ Incomplete(c.model).log_density(x[seen]))
        n = weights[seen].sum()
        assert c.log_likelihood == pytest.approx(total / n)
        assert c.bic == pytest.approx(-2 * total + np.log(n) * c.n_parameters)
        sure = np.log(Incomplete(c.model).posteriors(x[seen]).max(axis=1))
        assert c.icl == pytest.approx(c.bic - 2 * weights[seen] @ sure)
    assert found.best.n_components == 2
    assert found.ranked("cross_validated")[0].n_components in (2, 3)


def test_nothing_missing_and_equal_weights_change_nothing(iris: Choice) -> None:
    same = choose(X, [1, 2], folds=3, starts=1, missing=True, sample_weight=np.ones(len(X)))
    for a in same.candidates:
        b = next(c for c in iris.candidates if (c.covariance, c.n_components) == (a.covariance, a.n_components))
        assert a.bic == pytest.approx(b.bic, rel=1e-6)
        assert a.cross_validated == pytest.approx(b.cross_validated, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_weight": [1.0, 2.0]}, r"sample weights must have shape \(10,\)"),
        ({"sample_weight": [0.0] * 9 + [1.0], "n_components": [2]}, r"n_components must be at most the 1 frames"),
        ({"n_components": [0]}, r"each of n_components must be at least 1; got 0"),
        ({"n_components": 3}, r"n_components must list the counts to try; got 3. Give \[3\] to try one, or range"),
        ({"covariances": "full"}, r"covariances must list the kinds to try; got 'full'. Give \['full'\] to try one"),
        ({"covariances": None}, r"covariances must list the kinds to try; got None"),
        ({"n_components": []}, r"n_components and covariances must name at least one each; got none"),
        ({"covariances": ["round"]}, r"each of covariances must be one of 'diag'.*; got 'round'"),
        ({"criterion": "mdl"}, r"criterion must be one of 'bic'.*; got 'mdl'"),
        ({"folds": 1}, r"folds must be at least 2 for cross-validation, or 0 for none; got 1"),
        ({"criterion": "cross_validated"}, r"folds must be at least 2 for cross-validation, or 0 for none; got 0"),
        ({"starts": 0}, r"starts must be at least 1; got 0"),
        ({"n_components": [6], "folds": 2}, r"n_components must be at most the 5 frames .*trained on; got 6"),
    ],
)
def test_bad_settings_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        choose(X[:10], **({"n_components": [1]} | changes))


def test_bad_frames_and_unmeasured_criteria_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"frames must be finite; got 1 NaN"):
        choose([[1.0], [np.nan]], [1])
    found = choose(X, [1], covariances=["diag"])
    with pytest.raises(InvalidInput, match=r"the criterion must have been measured; got cross_validated. Choose with"):
        found.ranked("cross_validated")
    with pytest.raises(InvalidInput, match=r"criterion must be one of"):
        found.candidates[0].value("mdl")

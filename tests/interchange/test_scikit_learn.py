"""Fitted mixtures of scikit-learn, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from speechgmm import GaussianMixture as Ours
from speechgmm.errors import InvalidInput
from speechgmm.interchange import from_scikit_learn, to_scikit_learn
from speechgmm.mixture import Ensemble
from tests.interchange.mixtures import KINDS, WITHIN, Array, a_mixture, expected, off, problems, some_frames, told
from tests.mixture.test_toy_covariance import Toy


@given(problems())
def test_any_mixture_goes_there_and_comes_back(problem: Any) -> None:
    gmm, x = problem
    theirs = to_scikit_learn(gmm)
    again = from_scikit_learn(theirs)
    wanted = expected(gmm, x)
    assert type(again.covariance) is type(gmm.covariance)
    np.testing.assert_allclose(again.means, gmm.means)
    assert off(again.log_density(x), wanted) < WITHIN
    if (gmm.weights > 0).all():  # scikit-learn takes the logarithm of 0, and warns
        assert off(theirs.score_samples(x), wanted) < WITHIN
        np.testing.assert_allclose(theirs.predict_proba(x), gmm.posteriors(x), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_difference(kind: str, record_property: Any) -> None:
    gmm, x = a_mixture(kind), some_frames(4).astype(np.float64)
    theirs = to_scikit_learn(gmm)
    there, back = (
        off(theirs.score_samples(x), expected(gmm, x)),
        off(from_scikit_learn(theirs).log_density(x), expected(gmm, x)),
    )
    told(record_property, f"to scikit-learn, {kind}", there)
    told(record_property, f"from scikit-learn, {kind}", back)
    assert max(there, back) < 1e-9


@pytest.fixture(scope="module")
def rows() -> Array:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)) + 4 * rng.integers(0, 2, (300, 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_scikit_learn_has_fitted(rows: Array, kind: str) -> None:
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(rows)
    assert off(from_scikit_learn(fitted).log_density(rows), fitted.score_samples(rows)) < 1e-9
    single = GaussianMixture(2, covariance_type=kind, random_state=0).fit(rows.astype(np.float32))
    assert off(from_scikit_learn(single).log_density(rows), single.score_samples(rows)) < 1e-3  # float32 has so much


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_if_fitted(rows: Array, kind: str) -> None:
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(rows)
    made = to_scikit_learn(from_scikit_learn(fitted))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(made, name), getattr(fitted, name), rtol=1e-8, atol=1e-10, err_msg=name)
    assert set(vars(fitted)) <= set(vars(made))
    assert made.predict(rows).tolist() == fitted.predict(rows).tolist()
    assert made.bic(rows) == pytest.approx(fitted.bic(rows))
    assert made.sample(5)[0].shape == (5, 3)


def test_kinds_of_your_own_become_full() -> None:
    gmm = a_mixture("diag")
    made = to_scikit_learn(type(gmm)(gmm.weights, gmm.means, Toy.of(np.ones((5, 4)))))
    assert (made.covariance_type, made.covariances_.shape) == ("full", (5, 4, 4))


def test_what_is_refused(rows: Array) -> None:
    with pytest.raises(InvalidInput, match=r"must be fitted; got one that is not\. Call its fit first"):
        from_scikit_learn(GaussianMixture())
    for other in (BayesianGaussianMixture().fit(rows), Ours().fit(rows)):
        with pytest.raises(InvalidInput, match=r"must be a GaussianMixture; got a .*\. Of an estimator of speechgmm"):
            from_scikit_learn(other)
    broken = GaussianMixture().fit(rows)
    broken.precisions_cholesky_ = np.zeros((1, 3, 3))
    with pytest.raises(InvalidInput, match="precisions_cholesky_ of the estimator must be those of full covariances"):
        from_scikit_learn(broken)
    one = a_mixture("diag")
    with pytest.raises(InvalidInput, match="must be a GMM; got an Ensemble"):
        to_scikit_learn(Ensemble((one, one)))  # type: ignore[arg-type]

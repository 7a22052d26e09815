"""A new kind of covariance is one class: whatever takes a covariance takes it, without a change elsewhere."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.classification import score_features
from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Stop, adapt, choose, fit_bayes, fit_gmm, impute, n_parameters, reduce
from speechgmm.mixture.covariance import Independent
from speechgmm.tracking import track
from tests import laws

X = np.random.default_rng(0).normal([[[-9.0, 0.0]], [[9.0, 4.0]], [[0.0, 20.0]]], 1.5, (3, 200, 2)).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Toy(Independent):
    """One variance for all components and dimensions."""

    variance: np.ndarray
    shared: ClassVar[bool] = True

    @staticmethod
    def shape(k, d):
        return (1,)

    @classmethod
    def pooled(cls, variances, counts=None):
        shares = np.ones(len(variances)) if counts is None else counts
        return np.array([np.nansum(shares[:, None] * variances) / (shares.sum() * variances.shape[1])])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{"init": "kmeans"}, {"init": "split"}])
def test_training_finds_the_clusters_and_their_one_variance(dtype, settings):
    found = fit_gmm(X.astype(dtype), 3, covariance=Toy, stop=Stop(0.0, 8), **settings)
    laws.never_falls(found, slack=1e-6 if dtype == np.float32 else 1e-9)
    model = found.model
    labels = model.posteriors(X).argmax(axis=1)
    within = np.mean([(X[labels == k] - model.means[k]) ** 2 for k in range(3)])
    assert model.covariance.variance == pytest.approx(within, rel=1e-4)
    assert n_parameters(model) == 2 + 6 + 1


def test_densities_are_those_of_the_same_matrices_and_files_bring_it_back(tmp_path):
    model = fit_gmm(X, 3, covariance=Toy).model
    expected = model.marginal([0, 1])  # a mixture of full matrices
    laws.close(model.log_density(X), expected.log_density(X))
    laws.close(model.posteriors(X), expected.posteriors(X))
    laws.close(score_features(X, {"toy": model}).frames[:, 0], expected.log_density(X))
    storage.save(model, tmp_path / "toy")
    again = storage.load(tmp_path / "toy", GMM, Toy)
    assert again.log_density(X).tobytes() == model.log_density(X).tobytes()
    with pytest.raises(InvalidInput, match="variances must be above 0; got -1 at component 0"):
        Toy([-1.0])


def test_adaptation_merging_missing_values_evidence_and_tracking_take_it():
    model = fit_gmm(X, 3, covariance=Toy).model
    adapted = adapt(model, model.statistics(2 * X), relevance=1e-9, update="mc")
    laws.close(np.sort(adapted.means[:, 0]), np.sort(2 * model.means[:, 0]), rtol=0.05, atol=0.5)
    laws.same_mixture(adapt(model, model.statistics(X), relevance=1e12, update="wmc"), model)
    merged = reduce(model, 1).model
    laws.close(merged.covariance.variance, X.var(axis=0).mean(), rtol=1e-2)
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    laws.never_falls(learned := fit_gmm(holes, 3, covariance=Toy, missing=True, stop=Stop(0.0, 8)))
    assert np.nanstd(impute(learned.model, holes) - X) < 6
    laws.never_falls(fit_bayes(X, 5, covariance=Toy, stop=Stop(0.0, 20)))
    assert choose(X, [2, 3, 4], covariances=["full", Toy], n_threads=1).best.covariance == "Toy"
    assert list(track(Toy([2.0]), [X + t for t in range(4)]))[-1].identities.tolist() == [0, 1, 2]

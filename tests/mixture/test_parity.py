"""Twenty iterations beside scikit-learn's mixture, from the same start and in float64: the same to 1e-6."""

import warnings

import numpy as np
import pytest
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from speechgmm.features import MFCC, read
from speechgmm.mixture import GMM, Floor, Stop, fit_gmm, initialize
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import single_threaded
from tests.sounds import CORPORA

ADDED = Floor(absolute=1e-6, relative=0.0, occupancy=0.0, reseed=False, add=True)
"""What scikit-learn's reg_covar is by default."""


def peer(x, start, kind, iterations):
    """scikit-learn's mixture from this start."""
    c = start.covariance.parameters
    model = GaussianMixture(
        start.n_components,
        covariance_type=kind,
        tol=0.0,
        max_iter=iterations,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1 / c if kind in ("diag", "spherical") else np.linalg.inv(c),
    )
    with warnings.catch_warnings(), single_threaded():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x)


def differences(x, k, kind, iterations=20):
    """How far the two are apart after so many iterations: relative, in each array's norm."""
    rng = np.random.default_rng(0)
    means = x[rng.choice(len(x), k, replace=False)]
    wide = COVARIANCES[kind].of(np.tile(np.maximum(x.var(axis=0), 1e-3), (k, 1)))
    start = GMM(np.full(k, 1 / k), means, wide, x.mean(axis=0))
    ours = fit_gmm(x, k, init=start, floor=ADDED, stop=Stop(0.0, iterations))
    theirs = peer(x, start, kind, iterations)
    pairs = {
        "weights": (ours.model.weights, theirs.weights_),
        "means": (ours.model.means, theirs.means_),
        "covariances": (ours.model.covariance.parameters, theirs.covariances_),
        "log-likelihood": (ours.model.log_density(x).mean(), theirs.score(x)),
        "lower bound": (ours.objective[-1], theirs.lower_bound_),
        "densities": (ours.model.log_density(x), theirs.score_samples(x)),
    }
    found = {name: np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b) for name, (a, b) in pairs.items()}
    assert (ours.model.posteriors(x).argmax(axis=1) == theirs.predict(x)).all()
    return found


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize(("name", "k"), [("iris", 3), ("wine", 3), ("digits", 10)])
def test_tables(name, k, kind):
    x = getattr(datasets, f"load_{name}")().data.astype(np.float64)
    found = differences(x, k, kind)
    assert max(found.values()) < 1e-6, found


@pytest.fixture(scope="module")
def speech():
    """Features of real recordings, float64."""
    files = sorted((CORPORA / "fsdd").rglob("*.flac"))[::60]
    signals = [read(path) for path in files]
    return np.concatenate([MFCC(sample_rate=s.sample_rate).from_signal(s) for s in signals]).astype(np.float64)


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.exists(), reason="the real recordings of ../shared/corpora are not here")
@pytest.mark.parametrize("kind", COVARIANCES)
def test_speech_features(kind, speech):
    found = differences(speech, 16, kind)
    assert max(found.values()) < 1e-6, found


def test_iris_in_three_full_components_is_its_species():
    iris = datasets.load_iris()
    start = initialize(iris.data, 3, covariance="full", floor=ADDED)
    ours = fit_gmm(iris.data, 3, init=start, floor=ADDED, stop=Stop(1e-4, 100)).model
    labels = ours.posteriors(iris.data).argmax(axis=1)
    assert adjusted_rand_score(iris.target, labels) >= 0.90
    assert (labels == peer(iris.data, start, "full", 100).predict(iris.data)).all()

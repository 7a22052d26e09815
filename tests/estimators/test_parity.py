"""Against scikit-learn: from the same start and in float64 the same path, for every kind of covariance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from speechgmm import MFCC, GaussianMixture
from speechgmm.parallel import single_threaded
from tests.sounds import CORPORA

KINDS = ("full", "tied", "diag", "spherical")
TABLES = {"iris": (load_iris, 3), "wine": (load_wine, 3), "digits": (load_digits, 10)}


def both(x: np.ndarray, **settings: Any) -> tuple[GaussianMixture, sklearn.mixture.GaussianMixture]:
    """Return twenty iterations of ours and of theirs, with BLAS on one thread: small products are faster so."""
    ours, theirs = (
        c(max_iter=20, tol=0.0, random_state=0, **settings) for c in (GaussianMixture, sklearn.mixture.GaussianMixture)
    )
    with warnings.catch_warnings(), single_threaded():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(x)
        theirs.fit(x)
    return ours, theirs


def agree(ours: GaussianMixture, theirs: sklearn.mixture.GaussianMixture, x: np.ndarray) -> None:
    """Assert agreement to 1e-6, relative in each array's norm."""
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(b), name
    assert len(ours.lower_bounds_) == len(theirs.lower_bounds_) == 20
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-6)
    assert ours.score(x) == pytest.approx(theirs.score(x), rel=1e-6)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", TABLES)
def test_twenty_iterations_agree(table: str, kind: str) -> None:
    load, k = TABLES[table]
    x = load().data
    ours, theirs = both(x, n_components=k, covariance_type=kind)
    agree(ours, theirs, x)


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.exists(), reason="the real recordings of ../shared/corpora are not here")
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_iterations_on_speech_agree(kind: str) -> None:
    files = sorted((CORPORA / "fsdd").glob("*/*.flac"))[::100]
    frontend = MFCC(sample_rate=8000, n_mfcc=13)
    x = np.concatenate([frontend.from_file(path) for path in files]).astype(np.float64)
    assert len(x) > 500
    ours, theirs = both(x, n_components=8, covariance_type=kind)
    agree(ours, theirs, x)


def test_iris_is_found_as_well_as_by_theirs() -> None:
    iris = load_iris()
    ours, theirs = (
        c(3, random_state=0).fit_predict(iris.data) for c in (GaussianMixture, sklearn.mixture.GaussianMixture)
    )
    np.testing.assert_array_equal(ours, theirs)
    assert adjusted_rand_score(iris.target, ours) >= 0.90

"""What a mixture gives to other models: shares of components, and supervectors."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.classification import posterior_features, supervector
from speechgmm.errors import InvalidInput
from speechgmm.mixture import RELEVANCE, adapt
from tests.laws import random_gmm


def test_posterior_features_and_supervectors() -> None:
    gmm, rng = random_gmm(3, 2), np.random.default_rng(1)
    a, b = rng.normal(0, 3, (7, 2)), rng.normal(0, 3, (4, 2))
    shares = posterior_features(gmm, [a, b])
    np.testing.assert_allclose(shares, [gmm.posteriors(a).mean(axis=0), gmm.posteriors(b).mean(axis=0)])
    np.testing.assert_array_equal(posterior_features(gmm, np.concatenate([a, b]), lengths=[7, 4]), shares)
    rows = supervector(gmm, [a, b], relevance=4.0)
    adapted = adapt(gmm, gmm.statistics(b), relevance=4.0)
    expected = np.sqrt(gmm.weights)[:, None] * (adapted.means - gmm.means) / gmm.covariance.deviations()
    np.testing.assert_allclose(rows[1], expected.ravel())
    assert supervector(gmm, a).shape == (1, 6)
    np.testing.assert_array_equal(supervector(gmm, a), supervector(gmm, a, relevance=RELEVANCE))
    np.testing.assert_allclose(supervector(gmm, a, relevance=1e9), 0, atol=1e-6)
    with pytest.raises(InvalidInput, match="features must have 2 features per frame"):
        supervector(gmm, a[:, :1])

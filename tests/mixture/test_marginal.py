"""The mixture of some features is what integrating the others out leaves."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Covariance, Diagonal, Full, Spherical, Tied

MATRIX = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.4], [-0.3, 0.4, 1.5]])
KINDS: tuple[Covariance, ...] = (
    Diagonal([[1.0, 2.0, 0.5], [0.3, 1.0, 2.0]]),
    Spherical([1.0, 2.0]),
    Tied(MATRIX),
    Full([MATRIX, np.diag([1.0, 0.5, 2.0])]),
)


@pytest.mark.parametrize("covariance", KINDS, ids=lambda c: type(c).__name__)
def test_other_features_are_integrated_out(covariance: Covariance) -> None:
    gmm = GMM([0.3, 0.7], [[0.0, 1.0, -1.0], [2.0, -1.0, 0.5]], covariance, [5.0, 6.0, 7.0])
    some = gmm.marginal((2, 0))
    axis = np.linspace(-15, 15, 2001)
    for third, first in ((0.3, -0.4), (-2.0, 1.0)):
        line = np.stack([np.full_like(axis, first), axis, np.full_like(axis, third)], axis=1)
        whole = np.exp(gmm.log_density(line)).sum() * (axis[1] - axis[0])
        assert np.exp(some.log_density([[third, first]]))[0] == pytest.approx(whole, rel=1e-9)
    np.testing.assert_array_equal(some.origin, [7.0, 5.0])
    assert gmm.covariance_matrices.shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([3], "each of features must be at least 0 and at most 2; got 3"),
        ([0.5], "each of features must be a whole number; got 0.5"),
        ([], r"features must be different numbers, one at least; got \[\]"),
        ([1, 1], r"features must be different numbers, one at least; got \[1, 1\]"),
    ],
)
def test_features_that_are_refused(features: list[int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        GMM([1.0], [[0.0, 0.0, 0.0]], Spherical([1.0])).marginal(features)

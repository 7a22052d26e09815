"""The mixture of some of the features, the others integrated out. Symbols: K components, D dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import integer, refuse
from speechgmm.mixture.matrices import Full, Tied
from speechgmm.mixture.model import GMM

Array = NDArray[Any]

__all__ = ["marginal", "matrices"]


def matrices(gmm: GMM) -> Array:
    """Return the covariance matrix of each component, shape (K, D, D), whatever the kind."""
    held, means = gmm.covariance, gmm.means
    if isinstance(held, (Full, Tied)):
        return np.broadcast_to(held.parameters, (*means.shape, means.shape[1]))
    variances = np.broadcast_to(held.deviations() ** 2, means.shape)
    result: Array = variances[:, :, None] * np.eye(means.shape[1])
    return result


def marginal(gmm: GMM, features: Sequence[int]) -> GMM:
    """Return the mixture of d of the features, in this order, with full covariances.

    Parameters
    ----------
    gmm : GMM
    features : sequence of int
        Different numbers from 0 to D - 1.

    Raises
    ------
    InvalidInput
        If features are none, not different, or not among those of the mixture.

    Examples
    --------
    >>> from speechgmm.mixture import Diagonal
    >>> gmm = GMM([0.5, 0.5], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], Diagonal([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    >>> one = marginal(gmm, [2])
    >>> one.means.ravel().tolist(), one.covariance.parameters.ravel().round(6).tolist()
    ([2.0, 5.0], [3.0, 6.0])
    """
    i = [integer(f, "each of features", minimum=0, maximum=gmm.n_dimensions - 1) for f in features]
    if not i or len(set(i)) < len(i):
        refuse("features", "be different numbers, one at least", i)
    return GMM(gmm.weights, gmm.means[:, i], Full(matrices(gmm)[:, i][:, :, i]), gmm.origin[i])

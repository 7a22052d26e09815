"""What a mixture says of recordings, as features for other models: shares of components, and supervectors.

W. M. Campbell, D. E. Sturim and D. A. Reynolds, "Support vector machines using GMM supervectors for speaker
verification", IEEE Signal Processing Letters 13 (2006), eq. 6. Symbols: N frames, K components, D dimensions,
U recordings.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, matrix
from speechgmm.classification.utterances import joined
from speechgmm.mixture import GMM, RELEVANCE


def posterior_features(
    mixture: GMM, features: ArrayLike | Sequence[ArrayLike], *, lengths: ArrayLike | None = None
) -> Array:
    """Return the mean posterior of each component over each recording, shape (U, K): a histogram of sounds.

    Parameters
    ----------
    mixture : GMM
    features : array_like (N, D), or sequence of U matrices
        One matrix without lengths is one recording.
    lengths : array_like of int, shape (U,), optional

    Raises
    ------
    InvalidInput
        If features or lengths do not fit.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> mixture = GMM([0.5, 0.5], [[-9.0], [9.0]], Diagonal([[1.0], [1.0]]))
    >>> posterior_features(mixture, [[[-9.0], [9.0]], [[8.0], [9.0]]]).round(3).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    return np.stack([mixture.posteriors(x).mean(axis=0) for x in _recordings(mixture, features, lengths)])


def supervector(
    mixture: GMM,
    features: ArrayLike | Sequence[ArrayLike],
    *,
    lengths: ArrayLike | None = None,
    relevance: float = RELEVANCE,
) -> Array:
    """Return the means adapted to each recording, relative to the mixture's own, shape (U, K * D).

    Each is scaled by the square root of its component's weight over its deviations, so that the squared distance of
    two rows is twice a bound on the divergence of the two adapted mixtures: what a linear model wants.

    Parameters
    ----------
    mixture, features, lengths
        See `posterior_features`.
    relevance : float
        See `speechgmm.mixture.adapt`.

    Raises
    ------
    InvalidInput
        If an argument does not fit.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> mixture = GMM([1.0], [[0.0, 0.0]], Diagonal([[1.0, 1.0]]))
    >>> supervector(mixture, [[[8.0, 0.0]] * 4, [[0.0, 4.0]] * 4]).round(3).tolist()
    [[4.0, 0.0], [0.0, 2.0]]
    """
    pairs = [mixture.statistics(x) for x in _recordings(mixture, features, lengths)]
    return displacements(mixture, np.stack([s.counts for s in pairs]), np.stack([s.first for s in pairs]), relevance)


def displacements(mixture: GMM, counts: Array, first: Array, relevance: float) -> Array:
    """Return `supervector` of recordings whose statistics are known, shape (U, K * D).

    Parameters
    ----------
    mixture : GMM
    counts, first : ndarray, shapes (U, K) and (U, K, D)
        As `speechgmm.mixture.Statistics` has them, about the mixture's origin.
    relevance : float
    """
    n = counts[..., None]
    moved = first - n * (mixture.means - mixture.origin)
    held = np.maximum(n + relevance, np.finfo(float).tiny)  # a component with neither frames nor relevance stays
    scaled = np.sqrt(mixture.weights)[:, None] * moved / (held * mixture.covariance.deviations())
    return scaled.reshape(len(counts), -1)


def _recordings(mixture: GMM, features: Any, lengths: ArrayLike | None) -> list[Array]:
    """Return the matrix of each recording."""
    x, n = joined(features, lengths)
    x = matrix(x, "features", dimensions=mixture.n_dimensions)
    return np.split(x, np.cumsum(n)[:-1]) if n is not None else [x]

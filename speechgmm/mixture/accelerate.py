"""Where EM is going: from three of its models to one farther on, which the driver takes only if it is better.

Symbols: K components, D dimensions. Reference: Varadhan and Roland, "Simple and globally convergent methods for
accelerating the convergence of any EM algorithm" (2008).
"""

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.covariance import COVARIANCES, Covariance
from speechgmm.mixture.covariance.independent import Independent
from speechgmm.mixture.model import GMM

LONGEST = 16.0
"""The longest step, in steps of EM: rarely met on speech."""
_MOST = 600.0
"""The logarithm of a variance beyond any use: what is larger would not be a number."""


def check_acceleration(covariance: Covariance) -> None:
    """Refuse a kind of covariance that cannot be extrapolated.

    Raises
    ------
    InvalidInput
        If features are correlated, given the component: an extrapolated matrix may be no covariance.
    """
    if not isinstance(covariance, Independent):
        kinds = [name for name, kind in COVARIANCES.items() if issubclass(kind, Independent)]
        rule = f"have covariances of independent features ({' or '.join(kinds)})"
        refuse("a mixture whose EM is accelerated", rule, type(covariance).__name__)


def squarem(first: GMM, second: GMM, third: GMM) -> GMM | None:
    """Return where three models in a row are going, each made by a step of EM from the one before.

    With x the logarithms of weights and variances and the means, r = x2 - x1 and v = (x3 - x2) - r, that is
    x1 + 2 a r + a**2 v for a step a = ||r|| / ||v|| of at least 1, where it is x3 (scheme S3 of the reference).
    Components count by their weights, means in units of their deviations. No variance falls below the least one of
    its dimension in the three, so that none falls below a floor.

    Parameters
    ----------
    first, second, third : GMM
        With covariances of independent features, see `check_acceleration`.

    Returns
    -------
    GMM or None
        None where there is nothing to extrapolate: EM has arrived, or a component counts for nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> path = [GMM([1.0], [[mean]], Diagonal([[1.0]]), [0.0]) for mean in (0.0, 8.0, 12.0)]
    >>> squarem(*path).means
    array([[16.]])
    """
    path = (first, second, third)
    if any((m.weights <= 0).any() for m in path):
        return None
    x1, x2, x3 = (_coordinates(m) for m in path)
    r, v = x2 - x1, x3 - 2 * x2 + x1
    scale = _metric(third)
    long, bent = (float((scale * d * d).sum()) for d in (r, v))
    if bent <= 0 or not np.isfinite(long / bent):
        return None
    a = min(max(np.sqrt(long / bent), 1.0), LONGEST)
    x = x1 + 2 * a * r + a * a * v
    d = third.n_dimensions
    weights = np.exp(x[:, 0] - x[:, 0].max())
    least = np.min([m.covariance.parameters.min(axis=0) for m in path], axis=0)
    variances = np.maximum(np.exp(np.minimum(x[:, 1 + d :], _MOST)), least).reshape(third.covariance.parameters.shape)
    covariance = type(third.covariance)(variances)  # type: ignore[call-arg]
    return GMM(weights / weights.sum(), x[:, 1 : 1 + d] + third.origin, covariance, third.origin)


def _coordinates(model: GMM) -> Array:
    """Return log weights, offsets and log variances, side by side, (K, 1 + D + V) for V variances of a component."""
    variances = model.covariance.parameters.reshape(model.n_components, -1)
    return np.concatenate([np.log(model.weights)[:, None], model.offsets, np.log(variances)], axis=1)


def _metric(model: GMM) -> Array:
    """Return what the square of a small change of each coordinate costs of the likelihood of a frame, up to 1 / 2."""
    k, d = model.means.shape
    variances = model.covariance.parameters.reshape(k, -1)
    curvature = [
        np.ones((k, 1)),
        1 / np.broadcast_to(variances, (k, d)),
        np.full(variances.shape, d / 2 / variances.shape[1]),
    ]
    return model.weights[:, None] * np.concatenate(curvature, axis=1)

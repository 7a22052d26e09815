"""Momentum of EM: where its last step leads farther on, which the driver takes only if it is better.

Symbols: K components, D dimensions. References: Nesterov, "A method for solving the convex programming problem with
convergence rate O(1/k**2)" (1983); O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes" (2015).
"""

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.covariance import COVARIANCES, Covariance
from speechgmm.mixture.covariance.independent import Independent
from speechgmm.mixture.em import Stop
from speechgmm.mixture.model import GMM

MOST = 20.0
"""What a weight or a variance is multiplied or divided by at most: rarely met on speech."""
SETTLED = Stop(4e-3)
"""When accelerated EM ends: on speech mostly above the end of plain EM at 1e-3 nats, whose iterations bring less."""


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


def momentum(before: GMM, model: GMM) -> GMM:
    """Return where the step from one model to the next leads if it is taken once more.

    With x the logarithms of weights and variances and the means, that is x2 + b (x2 - x1) for b = 1. In any direction
    EM shortens the way that is left by a factor from 0 to 1, of which momentum makes the root, and near the end no b up
    to 1 is too much; far from it, the driver begins anew at the first step where it was. On speech a b that grows to 1
    with the steps, as Nesterov's does, takes more iterations. No variance falls below the least one of its
    dimension in the two models, so that none falls below a floor.

    Parameters
    ----------
    before, model : GMM
        With covariances of independent features, see `check_acceleration`.

    Returns
    -------
    GMM

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> before, model = (GMM([1.0], [[mean]], Diagonal([[1.0]]), [0.0]) for mean in (0.0, 8.0))
    >>> momentum(before, model).means
    array([[16.]])
    """
    weights = model.weights * _growth(before.weights, model.weights)
    offsets = model.offsets + (model.offsets - before.offsets)
    old, new = before.covariance.parameters, model.covariance.parameters
    variances = np.maximum(new * _growth(old, new), np.minimum(old.min(axis=0), new.min(axis=0)))
    covariance = type(model.covariance)(variances)  # type: ignore[call-arg]
    return GMM(weights / weights.sum(), offsets + model.origin, covariance, model.origin)


def _growth(old: Array, new: Array) -> Array:
    """Return new / old, within limits; 1 where the old value is 0."""
    ratio = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    return np.asarray(np.clip(ratio, 1 / MOST, MOST))

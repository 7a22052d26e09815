"""Momentum of EM: where its last step leads farther on, which the driver takes only if it is better.

Symbols: K components, D dimensions. References: Nesterov, "A method for solving the convex programming problem with
convergence rate O(1/k**2)" (1983); O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes" (2015).
"""

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.covariance import COVARIANCES, Covariance
from speechgmm.mixture.covariance.independent import Independent
from speechgmm.mixture.model import GMM

MOST = 20.0
"""What a weight or a variance is multiplied or divided by at most: rarely met on speech."""


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


def momentum(before: GMM, model: GMM, steps: int) -> GMM:
    """Return where the step from one model to the next leads with the momentum of several steps.

    With x the logarithms of weights and variances and the means, that is x2 + b (x2 - x1) for b = steps / (steps + 1).
    In any direction EM shortens the way that is left by a factor from 0 to 1, so that no b up to 1 is too much near
    the end; far from it, the driver begins anew at the first step where one was. Nesterov's b of steps / (steps + 3)
    takes some more iterations on speech. No variance falls below the least one of its dimension in the two models, so
    that none falls below a floor.

    Parameters
    ----------
    before, model : GMM
        With covariances of independent features, see `check_acceleration`.
    steps : int
        How many steps in a row have led there; at least 1.

    Returns
    -------
    GMM

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> before, model = (GMM([1.0], [[mean]], Diagonal([[1.0]]), [0.0]) for mean in (0.0, 8.0))
    >>> momentum(before, model, 1).means, momentum(before, model, 3).means
    (array([[12.]]), array([[14.]]))
    """
    b = steps / (steps + 1)
    weights = model.weights * _growth(before.weights, model.weights, b)
    offsets = model.offsets + b * (model.offsets - before.offsets)
    old, new = before.covariance.parameters, model.covariance.parameters
    variances = np.maximum(new * _growth(old, new, b), np.minimum(old.min(axis=0), new.min(axis=0)))
    covariance = type(model.covariance)(variances)  # type: ignore[call-arg]
    return GMM(weights / weights.sum(), offsets + model.origin, covariance, model.origin)


def _growth(old: Array, new: Array, power: float) -> Array:
    """Return (new / old)**power, within limits; 1 where the old value is 0."""
    ratio = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    return np.asarray(np.clip(ratio**power, 1 / MOST, MOST))

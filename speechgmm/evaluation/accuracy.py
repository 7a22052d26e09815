"""The share of right decisions, with an interval that says how far to trust it.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import checks
from speechgmm.evaluation.intervals import Interval, bootstrap

__all__ = ["accuracy", "wilson"]


def accuracy(right: ArrayLike, groups: ArrayLike | None = None, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the share of right decisions.

    Parameters
    ----------
    right : array_like of bool, shape (U,)
    groups : array_like of str, shape (U,), optional
        Who or what each decision comes from. Decisions about one speaker are alike, so that with two groups or more
        the interval is that of a bootstrap over groups. Without them, or where no decision differs from the others
        and a bootstrap would have no width, it is Wilson's, for independent decisions.
    level : float
    seed : int

    Raises
    ------
    InvalidInput
        For no decisions, or groups that are not as many.

    Examples
    --------
    >>> found = accuracy([True, True, True, False])
    >>> round(found.low, 2), found.estimate, round(found.high, 2)
    (0.3, 0.75, 0.95)
    """
    hits = np.asarray(right, dtype=np.float64)
    if hits.ndim != 1 or not len(hits):
        checks.refuse("decisions", "be at least one", f"an array of shape {hits.shape}")
    if groups is not None and len(names := np.asarray(groups, dtype=np.str_)) != len(hits):
        checks.refuse("groups", f"be {len(hits)}, one a decision", len(names))
    if groups is None or len(np.unique(names)) < 2 or np.ptp(hits) == 0:
        return wilson(int(hits.sum()), len(hits), level=level)
    return bootstrap(lambda w: {"accuracy": w @ hits / w.sum()}, names, level=level, seed=seed)["accuracy"]


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share of independent trials.

    Examples
    --------
    >>> round(wilson(10, 10).low, 3)
    0.722
    """
    n = checks.integer(trials, "trials", minimum=1)
    p = checks.integer(successes, "successes", minimum=0, maximum=n) / n
    z = NormalDist().inv_cdf((1 + checks.number(level, "level", minimum=0.01, maximum=0.9999)) / 2)
    center, width = p + z * z / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    scale = 1 + z * z / n
    return Interval(p, max(0.0, (center - width) / scale), min(1.0, (center + width) / scale), level)

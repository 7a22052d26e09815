"""The range of log-likelihood ratios that the data support: empirical lower and upper bound (ELUB).

A likelihood ratio of a million can hardly follow from a thousand trials: it is extrapolated. The check is a decision.
For prior odds of 1 / t, whoever believes the system accepts where the LR is at least t; whoever always has an LR of 1
takes the likelier hypothesis. The errors of the first, divided by those of the second, are the normalized Bayes error
rate. With theta = log t, and each kind of error as a share of its own kind of trials, it is

    NBE(theta) = P_miss(theta) + exp(theta) P_fa(theta)     for theta >= 0,
    NBE(theta) = exp(-theta) P_miss(theta) + P_fa(theta)    for theta <= 0.

Where it is above 1, believing the system does harm. So that a want of errors is no proof, one misleading trial is
imagined of each kind: a target below all scores, a nontarget above all. The bounds are the first places, going out from
0 on either side, where the rate rises above 1. Of T targets and U nontargets they lie within -log(T + 1) and
log(U + 1), and within the scores.

The rates change at scores only, so that the bounds are found exactly and not on a grid. On the piece behind a score the
rate is at most 1 while theta <= log((1 - P_miss) / P_fa), and the same with signs and kinds changed below 0.

References
----------
.. [1] P. Vergeer, A. van Es, A. de Jongh, I. Alberink and R. Stoel, "Numerical likelihood ratios outputted by LR
   systems are often based on extrapolation: when to stop extrapolating?", Science & Justice 56 (2016).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.evaluation.roc import check_both

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LlrBounds:
    """The range of log-likelihood ratios that data support, as `llr_bounds` finds it.

    Parameters
    ----------
    low, high : float
        In nats, at most 0 and at least 0. Both are 0 where no LLR is supported.
    below, above : int
        How many scores lie below `low` and above `high`.
    """

    low: float
    high: float
    below: int
    above: int


def llr_bounds(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> LlrBounds:
    """Return the range of log-likelihood ratios that these trials support [1]_.

    What a system says beyond it should be reported as the bound. It is meaningful for calibrated scores only.

    Parameters
    ----------
    target_scores, nontarget_scores : array_like, shape (T,) and (U,)
        Scores taken as LLRs in nats; they may be infinite.

    Raises
    ------
    InvalidInput
        For no targets, no nontargets, or a score that is NaN.

    Examples
    --------
    >>> found = llr_bounds([3, 4, 5, 6], [-6, -5, -4, -3])
    >>> round(found.low, 3), round(found.high, 3)  # with the imagined ones four of five targets, one of five nontargets
    (-1.386, 1.386)
    """
    kinds = targets, nontargets = check_both(target_scores, nontarget_scores)
    high = _bound(targets, nontargets)
    low = 0.0 - _bound(-nontargets, -targets)
    below, above = sum(int((kind < low).sum()) for kind in kinds), sum(int((kind > high).sum()) for kind in kinds)
    return LlrBounds(low, high, below, above)


def _bound(targets: Floats, nontargets: Floats) -> float:
    """Return the upper bound; of negated scores, kinds exchanged, it is the lower one.

    Piece k holds the thresholds above starts[k], and up to the next start: who has the score of a threshold is
    accepted at it.
    """
    scores = np.unique(np.concatenate([targets, nontargets]))
    starts = np.append(0.0, scores[scores > 0])
    accepted, passed = (
        len(kind) - np.searchsorted(np.sort(kind), starts, side="right") for kind in (targets, nontargets)
    )
    with np.errstate(divide="ignore"):  # no target accepted: no threshold does
        most = np.log(accepted / (len(targets) + 1)) - np.log((passed + 1) / (len(nontargets) + 1))
    ends = np.append(starts[1:], np.inf)
    first = int(np.argmax(most < ends))  # the last piece has none accepted
    return float(max(starts[first], most[first]))

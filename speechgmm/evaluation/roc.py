"""The ROC of scored trials, its convex hull, PAV, and what errors cost: all that detection metrics are read from.

The pool-adjacent-violators algorithm (PAV) finds the best nondecreasing map from scores to log-likelihood ratios. Its
blocks are the edges of the convex hull of the ROC, so that the minimum of every detection cost, the EER and the least
Cllr that any recalibration can reach are all read off the same few vertices. They depend on the order of the scores
only. Trials with equal scores are one group: no threshold can divide them.

References
----------
.. [1] N. Brümmer and E. de Villiers, "The BOSARIS Toolkit: theory, algorithms and code for surviving the new DCF",
   arXiv:1304.2865, 2013.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.looks import Shown

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Application:
    """What a detection cost is for.

    Parameters
    ----------
    prior : float
        Probability of a target trial, between 0 and 1, both left out.
    cost_miss, cost_fa : float
        Costs of a miss and of a false alarm, above 0 and finite.

    Examples
    --------
    >>> round(Application(prior=0.5, cost_fa=10.0).threshold, 3)  # log(10)
    2.303
    """

    prior: float = 0.01
    cost_miss: float = 1.0
    cost_fa: float = 1.0

    def __post_init__(self) -> None:
        checks.hold(self, prior=checks.probability(self.prior, "prior"))
        for what in ("cost_miss", "cost_fa"):
            checks.hold(self, **{what: checks.number(getattr(self, what), what, minimum=0, above=True, finite=True)})

    def cost(self, p_miss: Any, p_fa: Any) -> Any:
        """Return the normalized detection cost of these error rates, numbers or arrays."""
        miss, fa = self.prior * self.cost_miss, (1 - self.prior) * self.cost_fa
        return miss / min(miss, fa) * p_miss + fa / min(miss, fa) * p_fa

    @property
    def threshold(self) -> float:
        """The log-likelihood ratio from which accepting costs less than rejecting, in nats."""
        odds = np.log1p(-self.prior) - np.log(self.prior)
        return float(odds + np.log(self.cost_fa) - np.log(self.cost_miss))


@dataclass(frozen=True, eq=False)
class Roc(Shown):
    """The steps of the raw ROC, thresholds ascending, for M distinct scores.

    Parameters
    ----------
    thresholds : array, shape (M + 1,)
        The distinct scores, then infinity: accept all, ..., accept none (not even a score of infinity).
    p_fa, p_miss : array, shape (M + 1,)
        The error rates at each threshold. A DET plot draws the same points on normal-deviate axes.
    """

    thresholds: Floats
    p_fa: Floats
    p_miss: Floats


@dataclass(frozen=True, eq=False)
class Hull(Roc):
    """The convex hull of the ROC, which is also the solution of PAV; made by `roc_hull`.

    V vertices, thresholds ascending, from "accept all" to "accept none"; V - 1 blocks between them.

    Parameters
    ----------
    thresholds : array, shape (V,)
        At vertex v, trials with score >= thresholds[v] are accepted; the last accepts none.
    p_fa, p_miss : array, shape (V,)
        The error rates at each vertex.
    targets, nontargets : array of int, shape (V - 1,)
        How many trials of each kind block b holds: those with thresholds[b] <= score < thresholds[b + 1].
    llr : array, shape (V - 1,)
        PAV's optimal LLR of each block in nats, strictly increasing; -inf and inf for blocks of one kind alone.
    """

    targets: Counts
    nontargets: Counts
    llr: Floats

    def eer(self) -> float:
        """Return the rate at which the hull crosses P_miss = P_fa, as `eer` does."""
        gap = self.p_miss - self.p_fa  # ascends from -1 to 1
        k = int(np.argmax(gap >= 0))
        share = -gap[k - 1] / (gap[k] - gap[k - 1])
        return float(self.p_miss[k - 1] + share * (self.p_miss[k] - self.p_miss[k - 1]))

    def eer_threshold(self) -> float:
        """Return the threshold of the vertex where P_miss and P_fa differ least: there is none between vertices."""
        return float(self.thresholds[np.argmin(np.abs(self.p_miss - self.p_fa))])

    def costs(self, application: Application) -> Floats:
        """Return the normalized detection cost at each vertex, (V,)."""
        return np.asarray(application.cost(self.p_miss, self.p_fa))

    def min_dcf(self, *, prior: float = 0.01, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
        """Return the least normalized detection cost, as `min_dcf` does: a linear cost is least at a vertex."""
        return float(self.costs(Application(prior, cost_miss, cost_fa)).min())

    def best_vertex(self, *, prior: float = 0.01, cost_miss: float = 1.0, cost_fa: float = 1.0) -> int:
        """Return the vertex of the least detection cost, the first of several."""
        return int(np.argmin(self.costs(Application(prior, cost_miss, cost_fa))))

    def min_cllr(self) -> float:
        """Return the Cllr of PAV's LLRs in bits, as `min_cllr` does."""
        t, n = self.targets > 0, self.nontargets > 0
        loss_t = self.targets[t] @ np.logaddexp(0, -self.llr[t]) / self.targets.sum()
        loss_n = self.nontargets[n] @ np.logaddexp(0, self.llr[n]) / self.nontargets.sum()
        return float((loss_t + loss_n) / (2 * np.log(2)))


def roc_points(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> Roc:
    """Return the error rates at every threshold that makes a difference.

    Parameters
    ----------
    target_scores, nontarget_scores : array_like, shape (T,) and (U,)
        Scores, higher for targets; they may be infinite.

    Raises
    ------
    InvalidInput
        For no targets, no nontargets, or a score that is NaN.

    Examples
    --------
    >>> roc_points([1, 2], [0, 1]).p_miss
    array([0. , 0. , 0.5, 1. ])
    """
    targets, nontargets = check_both(target_scores, nontarget_scores)
    return Roc(*_rates(*_cumulate(targets, nontargets, np.concatenate([targets, nontargets]))))


def det_points(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> Roc:
    """Return the corners of the staircase that `roc_points` describes: few points where targets are few.

    P_miss rises only where the threshold passes the score of a target; each different one makes two corners, with it
    accepted and with it rejected. Parameters and errors as in `roc_points`.

    Examples
    --------
    >>> det = det_points([1, 3], [0, 2, 2, 4])
    >>> det.p_fa, det.p_miss
    (array([1.  , 0.75, 0.75, 0.25, 0.25, 0.  ]), array([0. , 0. , 0.5, 0.5, 1. , 1. ]))
    """
    targets, nontargets = check_both(target_scores, nontarget_scores)
    edges = np.concatenate([[min(targets.min(), nontargets.min())], targets, np.nextafter(targets, np.inf)])
    return Roc(*_rates(*_cumulate(targets, nontargets, edges)))


def roc_hull(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> Hull:
    """Return the convex hull of the ROC with PAV's LLRs; parameters and errors as in `roc_points`.

    Examples
    --------
    >>> hull = roc_hull([1, 3, 4], [0, 2])
    >>> hull.thresholds
    array([ 0.,  1.,  3., inf])
    >>> hull.llr.round(2)
    array([ -inf, -0.41,   inf])
    """
    targets, nontargets = check_both(target_scores, nontarget_scores)
    # from one target's score to the next P_miss stays and P_fa only falls: no vertex lies between
    return hull_of_counts(*_cumulate(targets, nontargets, np.append(targets, nontargets.min())))


def hull_of_counts(thresholds: Floats, t: Counts, n: Counts) -> Hull:
    """Return the convex hull of a ROC that is given by how many targets and nontargets lie below ascending thresholds.

    The first counts must be 0 and the last ones all trials, some of each kind.
    """
    keep = _lower_hull(n, t)
    thresholds, t, n = thresholds[keep], t[keep], n[keep]
    targets, nontargets = np.diff(t), np.diff(n)
    with np.errstate(divide="ignore"):  # log 0: blocks of one kind alone
        llr = np.log(targets) - np.log(nontargets) - (np.log(t[-1]) - np.log(n[-1]))
    return Hull(*_rates(thresholds, t, n), targets, nontargets, llr)


def check_both(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return scores of both kinds as float64 vectors, or refuse them."""
    return _check_scores(target_scores, "target_scores"), _check_scores(nontarget_scores, "nontarget_scores")


def _check_scores(x: ArrayLike, what: str) -> Floats:
    """Return one kind of scores as a float64 vector, or refuse them."""
    a = checks.numeric(x, what)
    if a.ndim != 1:
        checks.refuse(what, "be one-dimensional", f"shape {a.shape}")
    if a.size == 0:
        kind = what.removesuffix("_scores")
        checks.refuse(what, "hold at least one score", "none", f"Without {kind} trials there are no error rates.")
    if np.isnan(a).any():
        checks.refuse(what, "hold numbers", f"{int(np.isnan(a).sum())} NaN of {a.size}")
    return a.astype(np.float64, copy=False)


def _cumulate(targets: Floats, nontargets: Floats, thresholds: Floats) -> tuple[Floats, Counts, Counts]:
    """Return the different thresholds and "accept none", ascending, (M + 1,), and how many of each kind lie below."""
    thresholds = np.unique(thresholds)
    below_t, below_n = (
        np.append(np.searchsorted(np.sort(scores), thresholds), len(scores)) for scores in (targets, nontargets)
    )
    return np.append(thresholds, np.inf), below_t.astype(np.int64), below_n.astype(np.int64)


def _rates(thresholds: Floats, t: Counts, n: Counts) -> tuple[Floats, Floats, Floats]:
    """Return the thresholds, P_fa and P_miss."""
    return thresholds, (n[-1] - n) / n[-1], t / t[-1]


def _lower_hull(x: Counts, y: Counts) -> Counts:
    """Return the indices of the vertices of the lower convex hull of a staircase, exactly, in whole numbers.

    A point on or above the chord of any two others is no vertex, so that all such points may go at once; when none is
    left, the chain is convex everywhere and thus the hull.
    """
    moved = (np.diff(x) > 0) | (np.diff(y) > 0)
    keep = np.flatnonzero(np.append(True, moved))  # of equal points the first alone, or all of them would go at once
    while True:
        dx, dy = np.diff(x[keep]), np.diff(y[keep])
        turns_left = dx[:-1] * dy[1:] - dy[:-1] * dx[1:] > 0
        if turns_left.all():
            return keep
        keep = keep[np.concatenate([[True], turns_left, [True]])]

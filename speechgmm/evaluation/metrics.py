"""Detection metrics of scored trials, all from one structure: PAV -> convex hull -> metric.

Conventions
-----------
* Scores are higher for targets. A trial is accepted when score >= threshold. Rates lie between 0 and 1.
* P_miss is the share of target trials that are rejected, P_fa the share of nontarget trials that are accepted.
* The detection cost is normalized by the better of the two systems that never look at the trial, NIST SRE's C_norm:
  DCF = (P * C_miss * P_miss + (1 - P) * C_fa * P_fa) / min(P * C_miss, (1 - P) * C_fa), P the prior of a target.
* Log-likelihood ratios (LLRs) are in nats; Cllr is in bits.
* Trials with equal scores are one group: no threshold can divide them.

The pool-adjacent-violators algorithm (PAV) finds the best nondecreasing map from scores to LLRs. Its blocks are the
edges of the convex hull of the ROC, so that the minimum of every detection cost, the EER and the least Cllr that any
recalibration can reach are all read off the same few vertices. They depend on the order of the scores only.

References
----------
.. [1] N. Brümmer and E. de Villiers, "The BOSARIS Toolkit: theory, algorithms and code for surviving the new DCF",
   arXiv:1304.2865, 2013.
.. [2] N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
   Language 20, 2006.
.. [3] NIST, Speaker Recognition Evaluation plans: the normalized detection cost.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.trials import Scores

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Roc:
    """The steps of the raw ROC, thresholds ascending, for M distinct scores.

    Parameters
    ----------
    thresholds : array, shape (M + 1,)
        The distinct scores, then infinity: accept all, ..., accept none.
    p_fa, p_miss : array, shape (M + 1,)
        The error rates at each threshold. A DET plot draws the same points on normal-deviate axes.
    """

    thresholds: Floats
    p_fa: Floats
    p_miss: Floats


@dataclass(frozen=True, eq=False)
class Hull:
    """The convex hull of the ROC, which is also the solution of PAV; made by `roc_hull`.

    V vertices, thresholds ascending, from "accept all" to "accept none"; V - 1 blocks between them.

    Parameters
    ----------
    thresholds : array, shape (V,)
        At vertex v, trials with score >= thresholds[v] are accepted; the last is infinity.
    p_fa, p_miss : array, shape (V,)
        The error rates at each vertex.
    targets, nontargets : array of int, shape (V - 1,)
        How many trials of each kind block b holds: those with thresholds[b] <= score < thresholds[b + 1].
    llr : array, shape (V - 1,)
        PAV's optimal LLR of each block in nats, strictly increasing; -inf and inf for blocks of one kind alone.
    """

    thresholds: Floats
    p_fa: Floats
    p_miss: Floats
    targets: Counts
    nontargets: Counts
    llr: Floats

    def eer(self) -> float:
        """Return the rate at which the hull crosses P_miss = P_fa, as `eer` does."""
        gap = self.p_miss - self.p_fa  # ascends from -1 to 1
        k = int(np.argmax(gap >= 0))
        share = -gap[k - 1] / (gap[k] - gap[k - 1])
        return float(self.p_miss[k - 1] + share * (self.p_miss[k] - self.p_miss[k - 1]))

    def min_dcf(self, *, prior: float = 0.01, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
        """Return the least normalized detection cost, as `min_dcf` does: a linear cost is least at a vertex."""
        weight_miss, weight_fa = _weights(prior, cost_miss, cost_fa)
        return float((weight_miss * self.p_miss + weight_fa * self.p_fa).min())

    def min_cllr(self) -> float:
        """Return the Cllr of PAV's LLRs in bits, as `min_cllr` does."""
        t, n = self.targets > 0, self.nontargets > 0
        loss_t = self.targets[t] @ np.logaddexp(0, -self.llr[t]) / self.targets.sum()
        loss_n = self.nontargets[n] @ np.logaddexp(0, self.llr[n]) / self.nontargets.sum()
        return float((loss_t + loss_n) / (2 * np.log(2)))


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Parameters
    ----------
    trials, targets, nontargets, tests : int
        How many trials there are, of either kind, and how many different tests.
    eer : float
        Equal error rate on the convex hull of the ROC.
    min_dcf, actual_dcf : float
        Normalized detection cost at the best threshold, and at the Bayes threshold for scores taken as LLRs.
    cllr, min_cllr : float
        Cost of LLRs in bits, of the scores as they are and after the best recalibration.
    identification_rate : float or None
        Share of tests whose own speaker has the highest score; None where `left_out` says why.
    prior, cost_miss, cost_fa : float
        The application that min_dcf and actual_dcf are for.
    left_out : tuple of str
        Each result, or part of one, that was left out for want of a column, of trials or of labels, and why.
    """

    trials: int
    targets: int
    nontargets: int
    tests: int
    eer: float
    min_dcf: float
    actual_dcf: float
    cllr: float
    min_cllr: float
    identification_rate: float | None
    prior: float
    cost_miss: float
    cost_fa: float
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name, in types that JSON holds."""
        return {**asdict(self), "left_out": list(self.left_out)}


def roc_points(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> Roc:
    """Return the error rates at every threshold that makes a difference.

    Parameters
    ----------
    target_scores, nontarget_scores : array_like, shape (T,) and (U,)
        Finite scores, higher for targets.

    Raises
    ------
    InvalidInput
        For no targets, no nontargets, or a score that is not finite.

    Examples
    --------
    >>> roc_points([1, 2], [0, 1]).p_miss
    array([0. , 0. , 0.5, 1. ])
    """
    return _roc(*_cumulate(target_scores, nontarget_scores))


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
    thresholds, t, n = _cumulate(target_scores, nontarget_scores)
    keep = _lower_hull(n, t)
    thresholds, t, n = thresholds[keep], t[keep], n[keep]
    targets, nontargets = np.diff(t), np.diff(n)
    with np.errstate(divide="ignore"):  # log 0: blocks of one kind alone
        llr = np.log(targets) - np.log(nontargets) - (np.log(t[-1]) - np.log(n[-1]))
    roc = _roc(thresholds, t, n)
    return Hull(thresholds, roc.p_fa, roc.p_miss, targets, nontargets, llr)


def eer(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Return the equal error rate on the convex hull of the ROC [1]_; parameters and errors as in `roc_points`.

    It is at most 0.5 and never above the rate read off the raw steps: it is the least rate of errors that the best
    thresholds leave at the hardest prior.

    Examples
    --------
    >>> eer([2, 3, 4], [0, 1])
    0.0
    >>> eer([1], [1])
    0.5
    """
    return roc_hull(target_scores, nontarget_scores).eer()


def min_dcf(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    *,
    prior: float = 0.01,
    cost_miss: float = 1.0,
    cost_fa: float = 1.0,
) -> float:
    """Return the normalized detection cost at the best threshold, between 0 and 1 [3]_.

    Parameters
    ----------
    target_scores, nontarget_scores : array_like, shape (T,) and (U,)
        Finite scores, higher for targets.
    prior : float
        Probability of a target trial, between 0 and 1, both left out.
    cost_miss, cost_fa : float
        Costs of a miss and of a false alarm, above 0.

    Raises
    ------
    InvalidInput
        For no targets, no nontargets, a score that is not finite, or a prior or cost out of range.

    Examples
    --------
    >>> min_dcf([1, 3], [0, 2], prior=0.5)
    0.5
    """
    return roc_hull(target_scores, nontarget_scores).min_dcf(prior=prior, cost_miss=cost_miss, cost_fa=cost_fa)


def actual_dcf(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    *,
    prior: float = 0.01,
    cost_miss: float = 1.0,
    cost_fa: float = 1.0,
) -> float:
    """Return the normalized detection cost of scores taken as LLRs in nats, decided at the Bayes threshold [1]_.

    The threshold is log((1 - prior) * cost_fa / (prior * cost_miss)). The cost exceeds 1 where it were
    better not to look at the scores. Parameters and errors as in `min_dcf`.

    Examples
    --------
    >>> actual_dcf([1, 3], [-1, 2], prior=0.5)
    0.5
    """
    targets, nontargets = _scores(target_scores, "target_scores"), _scores(nontarget_scores, "nontarget_scores")
    weight_miss, weight_fa = _weights(prior, cost_miss, cost_fa)
    threshold = np.log(weight_fa) - np.log(weight_miss)
    return float(weight_miss * np.mean(targets < threshold) + weight_fa * np.mean(nontargets >= threshold))


def cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Return the cost of scores taken as LLRs in nats, in bits: 0 is perfect, 1 is saying nothing [2]_.

    It is meaningful for calibrated scores only: shifting or scaling the scores changes it.
    Parameters and errors as in `roc_points`.

    Examples
    --------
    >>> cllr([0, 0], [0])
    1.0
    """
    targets, nontargets = _scores(target_scores, "target_scores"), _scores(nontarget_scores, "nontarget_scores")
    losses = np.logaddexp(0, -targets).mean() + np.logaddexp(0, nontargets).mean()
    return float(losses / (2 * np.log(2)))


def min_cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Return the least Cllr in bits that a nondecreasing map of the scores can reach [2]_, between 0 and 1.

    No imagined trials are added at the ends, as calibrators do; PAV may say plus or minus infinity.
    Parameters and errors as in `roc_points`.

    Examples
    --------
    >>> min_cllr([2, 3], [0, 1])
    0.0
    """
    return roc_hull(target_scores, nontarget_scores).min_cllr()


def identification_rate(scores: Scores, rank: int = 1) -> float:
    """Return the share of tests whose own speaker is among the `rank` highest scores.

    Counted are tests with exactly one target trial. Tests with none (an open set) or with several are not.
    Ties count against the system: the target must beat all but `rank` - 1 of the nontargets.
    The rate speaks of identification only if every test was scored against every enrolled speaker.

    Parameters
    ----------
    scores : Scores
        With all labels known.
    rank : int
        At least 1.

    Raises
    ------
    InvalidInput
        For unlabeled trials, or if no test has exactly one target trial.

    Examples
    --------
    >>> identification_rate(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]))
    1.0
    """
    checks.integer(rank, "rank", minimum=1)
    _check_labels(scores)
    _, held, rivals = _rivals(scores)
    if not (held == 1).any():
        checks.refuse("scores", "hold a test with exactly one target trial, for an identification rate", "none")
    return float(np.mean(rivals[held == 1] < rank))


def evaluate(scores: Scores, *, prior: float = 0.01, cost_miss: float = 1.0, cost_fa: float = 1.0) -> Evaluation:
    """Return all metrics of a table of labeled scores.

    Parameters
    ----------
    scores : Scores
        Targets and nontargets, all labels known; LLRs in nats if cllr and actual_dcf are to mean something.
    prior, cost_miss, cost_fa : float
        The application for the detection costs, as in `min_dcf`.

    Raises
    ------
    InvalidInput
        For unlabeled trials, no targets, no nontargets, or a prior or cost out of range.

    Examples
    --------
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])
    >>> evaluate(scores).eer
    0.0
    """
    _check_labels(scores)
    targets, nontargets = scores.score[scores.target == 1], scores.score[scores.target == 0]
    hull = roc_hull(targets, nontargets)
    rate, tests, left_out = _identify(scores)
    return Evaluation(
        trials=len(scores),
        targets=len(targets),
        nontargets=len(nontargets),
        tests=tests,
        eer=hull.eer(),
        min_dcf=hull.min_dcf(prior=prior, cost_miss=cost_miss, cost_fa=cost_fa),
        actual_dcf=actual_dcf(targets, nontargets, prior=prior, cost_miss=cost_miss, cost_fa=cost_fa),
        cllr=cllr(targets, nontargets),
        min_cllr=hull.min_cllr(),
        identification_rate=rate,
        prior=float(prior),
        cost_miss=float(cost_miss),
        cost_fa=float(cost_fa),
        left_out=left_out,
    )


def _scores(x: ArrayLike, what: str) -> Floats:
    """Return one kind of scores as a float64 vector, or refuse them."""
    a = checks.numeric(x, what)
    if a.ndim != 1:
        checks.refuse(what, "be one-dimensional", f"shape {a.shape}")
    if a.size == 0:
        kind = what.removesuffix("_scores")
        checks.refuse(what, "hold at least one score", "none", f"Without {kind} trials there are no error rates.")
    return checks.finite(a, what).astype(np.float64)


def _weights(prior: float, cost_miss: float, cost_fa: float) -> tuple[float, float]:
    """Return what P_miss and P_fa weigh in the normalized detection cost."""
    checks.number(prior, "prior", minimum=0, maximum=1, above=True)
    if prior == 1:
        checks.refuse("prior", "be below 1", prior)
    for cost, what in ((cost_miss, "cost_miss"), (cost_fa, "cost_fa")):
        checks.number(cost, what, minimum=0, above=True)
        if np.isinf(cost):
            checks.refuse(what, "be finite", cost)
    miss, fa = prior * cost_miss, (1 - prior) * cost_fa
    return miss / min(miss, fa), fa / min(miss, fa)


def _check_labels(scores: Scores) -> None:
    unknown = scores.target == -1
    if unknown.any():
        first = int(np.argmax(unknown))
        found = (
            f"{int(unknown.sum())} of {len(scores)} trials without a label, "
            f"the first speaker '{scores.speaker[first]}' with test '{scores.test[first]}'"
        )
        checks.refuse("target", "be 1 or 0 in every trial", found, "Take the labels from a list of trials with join.")


def _cumulate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> tuple[Floats, Counts, Counts]:
    """Return thresholds (M + 1,), and how many targets and nontargets lie below each."""
    targets, nontargets = _scores(target_scores, "target_scores"), _scores(nontarget_scores, "nontarget_scores")
    distinct = np.unique(np.concatenate([targets, nontargets]))
    thresholds = np.append(distinct, np.inf)
    below_t = np.searchsorted(np.sort(targets), thresholds)
    below_n = np.searchsorted(np.sort(nontargets), thresholds)
    return thresholds, below_t.astype(np.int64), below_n.astype(np.int64)


def _roc(thresholds: Floats, t: Counts, n: Counts) -> Roc:
    return Roc(thresholds, p_fa=(n[-1] - n) / n[-1], p_miss=t / t[-1])


def _lower_hull(x: Counts, y: Counts) -> Counts:
    """Return the indices of the vertices of the lower convex hull of a staircase, exactly, in whole numbers.

    A point on or above the chord of any two others is no vertex, so that all such points may go at once; when none is
    left, the chain is convex everywhere and thus the hull.
    """
    keep = np.arange(len(x))
    while True:
        dx, dy = np.diff(x[keep]), np.diff(y[keep])
        turns_left = dx[:-1] * dy[1:] - dy[:-1] * dx[1:] > 0
        if turns_left.all():
            return keep
        keep = keep[np.concatenate([[True], turns_left, [True]])]


def _rivals(scores: Scores) -> tuple[Counts, Counts, Counts]:
    """Return for each different test how many trials, targets, and nontargets not below its (last) target it has."""
    tests, of = np.unique(scores.test, return_inverse=True)
    is_target = scores.target == 1
    own = np.full(len(tests), np.inf)
    own[of[is_target]] = scores.score[is_target]
    beaten = ~is_target & (scores.score >= own[of])
    trials, held, rivals = (np.bincount(of[rows], minlength=len(tests)) for rows in (slice(None), is_target, beaten))
    return trials, held, rivals


def _identify(scores: Scores) -> tuple[float | None, int, tuple[str, ...]]:
    """Return the identification rate if there is one, the number of tests, and what is left out."""
    trials, held, rivals = _rivals(scores)
    counted = held == 1
    speakers = len(np.unique(scores.speaker))
    partial = int((trials[counted] < speakers).sum())
    if not counted.any():
        return None, len(held), ("identification_rate: no test has exactly one target trial",)
    if speakers == 1 or partial:
        reason = (
            f"{partial} of {int(counted.sum())} tests are not scored against all {speakers} speakers"
            if partial
            else "there is one speaker only"
        )
        return None, len(held), (f"identification_rate: {reason}",)
    parts = ((held == 0, "no target trial (open set)"), (held > 1, "more than one target trial"))
    left_out = tuple(
        f"identification_rate: {int(rows.sum())} of {len(held)} tests not counted, with {why}"
        for rows, why in parts
        if rows.any()
    )
    return float(np.mean(rivals[counted] < 1)), len(held), left_out

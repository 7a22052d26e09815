"""Detection metrics of scored trials, read off the convex hull of the ROC (`speechgmm.evaluation.roc`).

Conventions
-----------
* Scores are higher for targets. A trial is accepted when score >= threshold. Rates lie between 0 and 1.
* P_miss is the share of target trials that are rejected, P_fa the share of nontarget trials that are accepted.
* The detection cost is normalized by the better of the two systems that never look at the trial, NIST SRE's C_norm:
  DCF = (P * C_miss * P_miss + (1 - P) * C_fa * P_fa) / min(P * C_miss, (1 - P) * C_fa), P the prior of a target.
* Log-likelihood ratios (LLRs) are in nats; Cllr is in bits.

Scores may be infinite: PAV and perfect separation say so.

References
----------
.. [1] N. Brümmer and E. de Villiers, "The BOSARIS Toolkit: theory, algorithms and code for surviving the new DCF",
   arXiv:1304.2865, 2013.
.. [2] N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
   Language 20, 2006.
.. [3] NIST, Speaker Recognition Evaluation plans: the normalized detection cost.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.evaluation.roc import Application, check_both, roc_hull

NIST = MappingProxyType(
    {
        "SRE08": (Application(0.01, 10.0, 1.0),),
        "SRE10": (Application(0.001),),
        "SRE12": (Application(0.01), Application(0.001)),
        "SRE16": (Application(0.01), Application(0.005)),
        "SRE18 CMN2": (Application(0.01), Application(0.005)),
        "SRE18 VAST": (Application(0.05),),
        "SRE19 CTS": (Application(0.01), Application(0.005)),
        "SRE19 AV": (Application(0.05),),
    }
)
"""The operating points of NIST's evaluation plans [3]_; the cost of several is their mean, each normalized by itself.

SRE12 also weighed known against unknown impostors, SRE16 balanced its partitions: that is not done here.
"""


@dataclass(frozen=True)
class NistCost:
    """The normalized detection costs of one of NIST's evaluations, see `NIST`."""

    name: str
    min_dcf: float
    actual_dcf: float


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
        Scores, higher for targets.
    prior : float
        Probability of a target trial, between 0 and 1, both left out.
    cost_miss, cost_fa : float
        Costs of a miss and of a false alarm, above 0.

    Raises
    ------
    InvalidInput
        For no targets, no nontargets, a score that is NaN, or a prior or cost out of range.

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
    targets, nontargets = check_both(target_scores, nontarget_scores)
    application = Application(prior, cost_miss, cost_fa)
    missed, passed = np.mean(targets < application.threshold), np.mean(nontargets >= application.threshold)
    return float(application.cost(missed, passed))


def cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Return the cost of scores taken as LLRs in nats, in bits: 0 is perfect, 1 is saying nothing [2]_.

    It is meaningful for calibrated scores only: shifting or scaling the scores changes it.
    Parameters and errors as in `roc_points`.

    Examples
    --------
    >>> cllr([0, 0], [0])
    1.0
    """
    targets, nontargets = check_both(target_scores, nontarget_scores)
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

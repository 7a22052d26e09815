"""What turns raw scores into log-likelihood ratios against strangers, and these into decisions.

A calibrated log-likelihood ratio (LLR, in nats) says how much better a speaker explains a test than a stranger does.
`train_calibration` makes a `SystemCalibration`, `score` applies it. Symbols: C cohort, K components, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, floats, hold, instance, number, numeric, refuse
from speechgmm.evaluation.calibration import Calibration
from speechgmm.evaluation.thresholds import Strangers


@dataclass(frozen=True, eq=False)
class SystemCalibration:
    """What turns raw scores into decisions; made by training, on speakers whom the UBM that scored them did not know.

    Parameters
    ----------
    cohort : ndarray, shape (C, K, D)
        Adapted means of background speakers, relative to the UBM's.
    llr : Calibration
        From normalized scores and the `amount` of speech to LLRs.
    strangers : Strangers
        How high the LLRs of strangers come.
    least_seconds : float
        With less speech in a test than that, nothing was calibrated and nothing is decided.
    measured : mapping
        Error rates with intervals, and what they were measured on.
    usual_seconds : float
        Half of the models that this was fitted on were of so much speech or more: who has less enrolled is often not
        found. 0 where that is not known.
    """

    FORMER_NAMES: ClassVar = ("ScoreCalibration",)

    cohort: Array
    llr: Calibration
    strangers: Strangers
    least_seconds: float
    measured: Mapping[str, Any] = field(default_factory=dict)
    usual_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check the cohort, and hold it as read-only float32."""
        largest = float(np.finfo(np.float32).max)
        cohort = floats(self.cohort, "the cohort", largest=largest).astype(np.float32)
        if cohort.ndim != 3 or len(cohort) < 2:
            refuse("the cohort", "be at least two models of shape (components, dimensions)", f"shape {cohort.shape}")
        instance(self.llr, "the map to LLRs", Calibration)
        if self.llr.low.size != 1:
            refuse("the map to LLRs", "know the amount of speech, and nothing else", f"{self.llr.low.size} kinds")
        instance(self.strangers, "what is known of strangers", Strangers)
        instance(self.measured, "what was measured", Mapping)
        least = number(self.least_seconds, "least_seconds", minimum=0.0, maximum=3600.0, unit=" s")
        usual = number(self.usual_seconds, "usual_seconds", minimum=0.0, maximum=1e7, unit=" s")
        hold(self, cohort=cohort, least_seconds=least, usual_seconds=usual)


def amount(enrolled: ArrayLike, tested: ArrayLike) -> Array:
    """Return the amount of speech that a trial rests on, in seconds: 1 / (1 / enrolled + 1 / tested).

    The noise of a score has a part from either side, which adds up as the inverses of the amounts do: the shorter
    side decides. Two coefficients for the two amounts overfitted; one for this held across telephone calls.

    Examples
    --------
    >>> amount([10.0, 40.0], 10.0)
    array([5., 8.])
    """
    e, t = (numeric(x, "seconds").astype(np.float64) for x in (enrolled, tested))
    return np.asarray(1 / (1 / e + 1 / t))

"""Decisions from calibrated scores: whom to accept, and when to answer "unknown".

A calibrated log-likelihood ratio (LLR, in nats) says how much better a speaker explains a test than a stranger does.
Thresholds follow from a stated false-accept rate per search, or from costs and a prior. Symbols: S enrolled speakers,
K components, D dimensions, C cohort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import finite, number, numeric, refuse
from speechgmm.errors import TooLittleSpeech
from speechgmm.evaluation.calibration import Calibration, bayes_threshold, posteriors
from speechgmm.evaluation.thresholds import Strangers

Array = NDArray[Any]

__all__ = ["Decision", "Rule", "SystemCalibration", "amount", "decide", "threshold_for"]

DEFAULT_FAR = 0.01
DEFAULT_PRIOR = 0.5
"""One stranger in a hundred is accepted; half of the tests are of enrolled speakers."""


@dataclass(frozen=True)
class Rule:
    """When to accept: by a rate, by costs and a prior, or from a threshold on. Without any: ``far=0.01``.

    Parameters
    ----------
    far : float, optional
        False accepts: so many of the strangers' tests may be accepted as anybody.
    prior : float, optional
        Probability that a test is of one of the enrolled (`identify`), or of the claimed speaker (`verify`).
        The expected cost then decides. Posteriors are stated for it, or for 0.5.
    cost_miss, cost_fa : float
        Costs of not accepting an enrolled speaker, and of accepting anybody else.
    threshold : float, optional
        The least LLR that is accepted: in nats where there is a calibration, in nats a frame where there is none.

    Raises
    ------
    InvalidInput
        If a number is out of its range, or more than one way to decide is given.
    """

    far: float | None = None
    prior: float | None = None
    cost_miss: float = 1.0
    cost_fa: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check everything."""
        top = float(np.finfo(float).max)
        for name in ("far", "prior"):
            if getattr(self, name) is not None:
                value = number(getattr(self, name), name, minimum=0.0, maximum=1.0, above=True)
                if value == 1:
                    refuse(name, "be below 1", value)
                object.__setattr__(self, name, value)
        for name in ("cost_miss", "cost_fa"):
            number(getattr(self, name), name, minimum=0.0, maximum=top, above=True)
        if self.threshold is not None:
            number(self.threshold, "threshold", minimum=-top, maximum=top)
        given = [n for n in ("far", "prior", "threshold") if getattr(self, n) is not None]
        if len(given) > 1:
            refuse("a rule", "be a false-accept rate, a prior with costs, or a threshold", " and ".join(given))
        if self.prior is None and (self.cost_miss, self.cost_fa) != (1.0, 1.0):
            refuse("costs", "come with a prior", "costs without one", "Add the prior of an enrolled speaker.")

    @property
    def asked_far(self) -> float | None:
        """The false-accept rate that decides, None where something else does."""
        return DEFAULT_FAR if self == Rule() else self.far

    @property
    def stated_prior(self) -> float:
        """The prior that posteriors are given for."""
        return DEFAULT_PRIOR if self.prior is None else self.prior


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
    """

    FORMER_NAMES: ClassVar = ("ScoreCalibration",)

    cohort: Array
    llr: Calibration
    strangers: Strangers
    least_seconds: float
    measured: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the cohort, and hold it as read-only float32."""
        cohort = finite(np.array(numeric(self.cohort, "the cohort"), dtype=np.float32, order="C"), "the cohort")
        if cohort.ndim != 3 or len(cohort) < 2:
            refuse("the cohort", "be at least two models of shape (components, dimensions)", f"shape {cohort.shape}")
        cohort.setflags(write=False)
        object.__setattr__(self, "cohort", cohort)
        number(self.least_seconds, "least_seconds", minimum=0.0, maximum=3600.0, unit=" s")

    def check_speech(self, seconds: float, what: str) -> None:
        """Refuse a test with less speech than the calibration was fitted on.

        Raises
        ------
        TooLittleSpeech
        """
        if seconds < self.least_seconds:
            refuse(
                what,
                f"hold at least {self.least_seconds:.2f} s of speech for a decision, as this model was calibrated",
                f"{seconds:.2f} s",
                "Record more, or test several recordings together.",
                error=TooLittleSpeech,
            )


@dataclass(frozen=True)
class Decision:
    """The `accepted` speaker's index or None, the posteriors (S + 1,), the last of a stranger, and the threshold.

    `threshold` is the LLR from which the best speaker is accepted, None where costs decide among several; with
    `extrapolated`, it comes from the model of the tail, beyond what the calibration's data can support.
    """

    accepted: int | None
    posteriors: tuple[float, ...]
    threshold: float | None
    extrapolated: bool


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
    result: Array = 1 / (1 / e + 1 / t)
    return result


def threshold_for(calibration: SystemCalibration | None, rule: Rule, speakers: int) -> tuple[float | None, bool]:
    """Return the LLR from which a rule accepts the best of so many speakers, and whether it is extrapolated.

    None where several speakers and their costs are weighed: then no one LLR decides.
    """
    if rule.threshold is not None:
        return rule.threshold, False
    if calibration is None:
        asked = {"far": rule.far, "prior": rule.prior}
        if named := [n for n, v in asked.items() if v is not None]:
            advice = "Train a model on more background speakers, or give verify a threshold."
            refuse("a model", f"be calibrated for decisions by {' and '.join(named)}", "one of raw scores", advice)
        return None, False
    if rule.prior is not None:
        if speakers > 1:
            return None, False
        return bayes_threshold(prior=rule.prior, cost_miss=rule.cost_miss, cost_fa=rule.cost_fa), False
    assert rule.asked_far is not None
    found = calibration.strangers.threshold(rule.asked_far, speakers)
    return found.score, found.extrapolated


def decide(calibration: SystemCalibration, llr: ArrayLike, rule: Rule) -> Decision:
    """Decide on one test.

    With costs, the best speaker is accepted where ``cost_fa * (1 - posterior)`` is at most ``cost_miss`` times the
    posterior of anybody enrolled: the expected costs of accepting and of answering "unknown".

    Parameters
    ----------
    calibration : SystemCalibration
    llr : array_like, shape (S,)
        Calibrated, of every enrolled speaker.
    rule : Rule
    """
    x = finite(numeric(llr, "llr").astype(np.float64), "llr")
    p = posteriors(x, prior=rule.stated_prior)
    best = int(np.argmax(x))
    threshold, extrapolated = threshold_for(calibration, rule, len(x))
    cheaper = rule.cost_fa * (1 - p[best]) <= rule.cost_miss * (1 - p[-1])
    accept = cheaper if threshold is None else x[best] >= threshold
    return Decision(best if accept else None, tuple(p.tolist()), threshold, extrapolated)

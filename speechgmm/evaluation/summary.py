"""All metrics of a table of scores at once, with their intervals and with what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.errors import InvalidInput
from speechgmm.evaluation.confusion import ConfusionMatrix
from speechgmm.evaluation.duration import DurationBin, error_by_duration
from speechgmm.evaluation.identification import OpenSet, closed_set_confusion, cmc, open_set_rate, searches
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.metrics import NIST, Application, actual_dcf, cllr
from speechgmm.evaluation.resampling import Resampler, detection_intervals, resampler, search_intervals
from speechgmm.evaluation.roc import Hull, roc_hull
from speechgmm.evaluation.trials import Scores, check_labels, columns

__all__ = ["Evaluation", "NistCost", "evaluate"]

_RANKS = 10
_TABLED = 20
"""How many ranks, and how many mistakes, are told."""
_FALSE_ALARMS = 0.01
"""Of strangers' searches, for the open set."""
_BIN_SHARE = 4
"""Intervals of the bins by duration take one of so many replicates, but at least 20."""
_MANY = 1_000_000
_LEAST = 5
"""With fewer speakers who have target trials, an interval would not say what it seems to."""


@dataclass(frozen=True)
class NistCost:
    """The normalized detection costs of one of NIST's evaluations, see `NIST`."""

    name: str
    min_dcf: float
    actual_dcf: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; None or empty where `left_out` says why.

    Parameters
    ----------
    trials, targets, nontargets, tests, speakers : int
        How many trials there are, of either kind, how many different tests, and how many enrolled speakers.
    eer, eer_threshold : float
        Equal error rate on the convex hull of the ROC, and the threshold where the two rates differ least.
    min_dcf, actual_dcf : float
        Normalized detection cost at the best threshold, and at the Bayes threshold for scores taken as LLRs.
    nist : tuple of NistCost
        The same at NIST's operating points.
    cllr, min_cllr : float
        Cost of LLRs in bits, of the scores as they are and after the best recalibration.
    identification_rate : float or None
        Share of tests whose own speaker has the highest score.
    cmc : tuple of float
        Share of tests whose own speaker is among the 1, 2, ... 10 highest scores.
    open_set : OpenSet or None
        How many speakers are found when one search in a hundred for a stranger accepts anybody.
    durations : tuple of DurationBin
        Error against the speech in the test.
    confusion : ConfusionMatrix or None
        Whom the tests of enrolled speakers are taken for.
    intervals : mapping of str to Interval
        By bootstrap over speakers, for the rates above by name; NIST's costs as "min_dcf SRE08".
    prior, cost_miss, cost_fa : float
        The application that min_dcf and actual_dcf are for.
    left_out : tuple of str
        Each result, or part of one, that was left out for want of a column, of trials or of labels, and why.
    """

    trials: int
    targets: int
    nontargets: int
    tests: int
    speakers: int
    eer: float
    eer_threshold: float
    min_dcf: float
    actual_dcf: float
    nist: tuple[NistCost, ...]
    cllr: float
    min_cllr: float
    identification_rate: float | None
    cmc: tuple[float, ...]
    open_set: OpenSet | None
    durations: tuple[DurationBin, ...]
    confusion: ConfusionMatrix | None
    intervals: Mapping[str, Interval]
    prior: float
    cost_miss: float
    cost_fa: float
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all results by name, in types that JSON holds; of the confusion matrix the most frequent mistakes."""
        mistakes = self.confusion.confusions(_TABLED) if self.confusion else ()
        found = {name: value for name, value in vars(self).items() if name != "confusion"}
        return found | {
            "nist": {c.name: {"min_dcf": c.min_dcf, "actual_dcf": c.actual_dcf} for c in self.nist},
            "cmc": list(self.cmc),
            "open_set": self.open_set and asdict(self.open_set),
            "durations": [asdict(d) for d in self.durations],
            "confusions": [{"speaker": a, "taken_for": b, "tests": n} for a, b, n in mistakes],
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
            "left_out": list(self.left_out),
        }


def evaluate(
    scores: Scores,
    *,
    prior: float = 0.01,
    cost_miss: float = 1.0,
    cost_fa: float = 1.0,
    replicates: int | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Return all metrics of a table of labeled scores.

    Parameters
    ----------
    scores : Scores
        Targets and nontargets, all labels known; LLRs in nats if cllr and actual_dcf are to mean something.
    prior, cost_miss, cost_fa : float
        The application for the detection costs, as in `min_dcf`.
    replicates, level, seed
        Of the intervals, as in `bootstrap`; 0 replicates leave them out. Default: 1000, or 300 for more than a million
        trials.

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
    check_labels(scores)
    targets, nontargets = scores.score[scores.target == 1], scores.score[scores.target == 0]
    hull, application = roc_hull(targets, nontargets), Application(prior, cost_miss, cost_fa)
    own = _cost("", (application,), hull, targets, nontargets)
    left_out: list[str] = []
    found = _searches(scores, left_out)
    if replicates is None:
        replicates = 1000 if len(scores) <= _MANY else 300
    resampling = _Resampling(resampler(scores) if replicates else None, replicates, level, seed)
    return Evaluation(
        **_counts(scores),
        eer=hull.eer(),
        eer_threshold=hull.eer_threshold(),
        min_dcf=own.min_dcf,
        actual_dcf=own.actual_dcf,
        nist=tuple(_cost(name, points, hull, targets, nontargets) for name, points in NIST.items()),
        cllr=cllr(targets, nontargets),
        min_cllr=hull.min_cllr(),
        identification_rate=found.cmc[0] if found.cmc else None,
        cmc=found.cmc,
        open_set=found.open_set,
        durations=_durations(scores, hull.eer_threshold(), resampling, left_out),
        confusion=found.confusion,
        intervals=_intervals(scores, application, found, resampling, left_out),
        prior=float(prior),
        cost_miss=float(cost_miss),
        cost_fa=float(cost_fa),
        left_out=tuple(left_out),
    )


def _counts(scores: Scores) -> dict[str, Any]:
    """Return how many there are of each."""
    targets = int((scores.target == 1).sum())
    return {
        "trials": len(scores),
        "targets": targets,
        "nontargets": len(scores) - targets,
        "tests": len(scores.tests.names),
        "speakers": len(scores.speakers.names),
    }


@dataclass(frozen=True)
class _Resampling:
    sampler: Resampler | None
    replicates: int
    level: float
    seed: int


@dataclass(frozen=True)
class _Found:
    """What searches give: empty or None where left out."""

    cmc: tuple[float, ...] = ()
    confusion: ConfusionMatrix | None = None
    open_set: OpenSet | None = None


def _cost(
    name: str, points: tuple[Application, ...], hull: Hull, targets: NDArray[Any], nontargets: NDArray[Any]
) -> NistCost:
    """Return the mean costs of some applications."""
    least = [hull.min_dcf(prior=p.prior, cost_miss=p.cost_miss, cost_fa=p.cost_fa) for p in points]
    actual = [actual_dcf(targets, nontargets, prior=p.prior, cost_miss=p.cost_miss, cost_fa=p.cost_fa) for p in points]
    return NistCost(name, float(np.mean(least)), float(np.mean(actual)))


def _searches(scores: Scores, left_out: list[str]) -> _Found:
    """Return the rates of searches if there are any, and note what is left out."""
    found = searches(scores)
    known, strangers, total = int(found.known.sum()), int(found.strangers.sum()), len(found.tests)
    speakers = len(scores.speakers.names)
    partial, other = (int((found.trials[kind] < speakers).sum()) for kind in (found.known, found.strangers))
    reason = ""
    if not known:
        reason = "no test has exactly one target trial"
    elif partial:
        reason = f"{partial} of {known} tests are not scored against all {speakers} speakers"
    elif speakers == 1:
        reason = "there is one speaker only"
    if reason:
        left_out += [f"identification_rate, cmc, confusions, open_set: {reason}"]
        return _Found()
    several = total - known - strangers
    for count, why in ((strangers, "no target trial (open set)"), (several, "more than one target trial")):
        if count:
            left_out += [f"identification_rate: {count} of {total} tests not counted, with {why}"]
    if not strangers:
        left_out += ["open_set: no test is of a stranger (without a target trial)"]
    elif other:
        left_out += [f"open_set: {other} of {strangers} tests of strangers are not scored against all speakers"]
    rates = cmc(scores, min(_RANKS, speakers))
    return _Found(
        tuple(float(rate) for rate in rates),
        closed_set_confusion(scores),
        open_set_rate(scores, _FALSE_ALARMS) if strangers and not other else None,
    )


def _durations(
    scores: Scores, threshold: float, resampling: _Resampling, left_out: list[str]
) -> tuple[DurationBin, ...]:
    """Return the error rates by duration if there are any."""
    if scores.test_seconds is None or np.isnan(scores.test_seconds).all():
        reason = "there is no column test_seconds" if scores.test_seconds is None else "no length is known"
        left_out += [f"durations: {reason}"]
        return ()
    replicates = max(20, resampling.replicates // _BIN_SHARE) if resampling.replicates else 0
    return error_by_duration(
        scores,
        threshold,
        replicates=replicates,
        level=resampling.level,
        seed=resampling.seed,
        sampler=resampling.sampler,
    )


def _intervals(
    scores: Scores, application: Application, found: _Found, resampling: _Resampling, left_out: list[str]
) -> dict[str, Interval]:
    """Return the intervals of all rates if there are enough speakers."""
    replicates, level, seed = resampling.replicates, resampling.level, resampling.seed
    if resampling.sampler is None:
        left_out += ["intervals: not asked for (0 replicates)"]
        return {}
    people = len(np.unique(scores.speakers.codes[scores.target == 1]))
    if people < _LEAST:
        left_out += [f"intervals: {people} speakers have target trials; fewer than {_LEAST} are too few to draw from"]
        return {}
    if "test_speaker" not in columns(scores):
        left_out += ["intervals: without the column test_speaker each test of a stranger counts as another stranger"]
    points = {"": (application,)} | {f" {name}": points for name, points in NIST.items()}
    try:
        rates = detection_intervals(resampling.sampler, points, replicates=replicates, level=level, seed=seed)
    except InvalidInput as error:
        left_out += [f"intervals: {error}"]
        return {}
    if found.cmc:
        far = found.open_set.false_alarm_rate if found.open_set else None
        rates |= search_intervals(resampling.sampler, far, replicates=replicates, level=level, seed=seed)
    return rates

"""What `evaluate` found: rates and their intervals, how they look in a notebook, and as a data frame."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from speechgmm.checks import number_of
from speechgmm.evaluation.attacks import AttackErrors
from speechgmm.evaluation.conditions import Condition
from speechgmm.evaluation.confusion import ConfusionMatrix
from speechgmm.evaluation.duration import DurationBin
from speechgmm.evaluation.evaluation_rows import COUNTS, NUMBERS, OPTIONAL, REQUIRED, fields_of, rates_of, rows_of
from speechgmm.evaluation.identification import OpenSet
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.llr_bounds import LlrBounds
from speechgmm.evaluation.metrics import NistCost
from speechgmm.evaluation.roc import Hull
from speechgmm.evaluation.threshold_errors import FailureCounts, ThresholdErrors
from speechgmm.frames import FrameCells, frame_of
from speechgmm.looks import Axis, Look, Shown, ShownTable, share, sketch, some_rows

_TICKS = {"0.01": 1e-4, "0.1": 1e-3, "1": 0.01, "5": 0.05, "20": 0.2, "50": 0.5}
"""Rates that the axes of a DET curve name, in percent."""
_BETWEEN = np.sin(np.linspace(0, np.pi / 2, 24)) ** 2
"""Where points are taken between two vertices of the hull, nearer to each other at its ends."""
_COSTS = ("eer_threshold", "min_dcf", "actual_dcf", "cllr", "min_cllr")
"""Rates that are no shares: these, and NIST's costs, are shown as they are."""
_MISTAKES = 20
"""How many mistakes are told."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Shown):
    """What `evaluate` found; None or empty where `left_out` says why. Trials of attacks are in `attacks` alone.

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
        Cost of LLRs in bits, of the scores as they are and after the best recalibration: what discrimination costs. The
        rest is what calibration costs.
    llr_bounds : LlrBounds
        The range of LLRs that the data support.
    errors : ThresholdErrors
        Error rates at the Bayes threshold of the application, per trial and per search.
    failures : FailureCounts or None
        How many tests and speakers could not be used; None where the table does not know.
    identification_rate : float or None
        Share of tests whose own speaker has the highest score.
    cmc : tuple of float
        Share of tests whose own speaker is among the 1, 2, ... 10 highest scores.
    open_set : OpenSet or None
        How many speakers are found when one search in a hundred for a stranger accepts anybody.
    durations : tuple of DurationBin
        Error against the speech in the test.
    conditions : tuple of Condition
        The same rates for each value of some columns.
    confusion : ConfusionMatrix or None
        Whom the tests of enrolled speakers are taken for.
    attacks : AttackErrors or None
        How many attacks of each species are accepted at the threshold of `errors` (APCER), how many targets are
        rejected (BPCER), and how these are traded; None where the table has no attacks.
    intervals : mapping of str to Interval
        By leaving out speakers, for the rates above by name, those of `errors` included; NIST's costs as
        "min_dcf SRE08".
    prior, cost_miss, cost_fa : float
        The application that min_dcf and actual_dcf are for.
    left_out : tuple of str
        Each result, or part of one, that was left out for want of a column, of trials or of labels, and why.
    hull : Hull or None
        The convex hull of the ROC, for DET curves and costs of other applications.
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
    llr_bounds: LlrBounds
    errors: ThresholdErrors
    failures: FailureCounts | None
    identification_rate: float | None = None
    cmc: tuple[float, ...] = ()
    open_set: OpenSet | None = None
    durations: tuple[DurationBin, ...]
    conditions: tuple[Condition, ...] = ()
    confusion: ConfusionMatrix | None = None
    attacks: AttackErrors | None = None
    intervals: Mapping[str, Interval]
    prior: float
    cost_miss: float
    cost_fa: float
    left_out: tuple[str, ...]
    hull: Hull | None = field(default=None, compare=False)

    def _look(self) -> Look:
        return _look_of(self)

    def to_frame(self) -> Any:
        """Return a frame of pandas with a row for each figure, rates of all trials first.

        The columns:

        * `metric`, named as in `intervals` or as the field that it is;
        * `column` and `value` of what it is of, such as a condition, empty for all trials;
        * `estimate`, missing where it is not known;
        * `low`, `high` and `level` of its interval, missing without one;
        * how many `tests`, `targets` and `nontargets` it is of, where they are counted;
        * `part`, which says where the figure stands in an evaluation: "rates" and "conditions", and beside these
          "durations", "cmc" (by rank), "application", "llr_bounds", "errors" (the threshold, and how many models are
          searched), "failures", "open_set", "attacks", "species", "trade_offs", "attack_conditions" and "left_out";
        * `speakers`, how many these are, where they are counted;
        * `interval_estimate`, what the interval is around: of large tables the rate of the trials that are kept for it;
        * `note`: a doubt, the worst species, or what was left out.

        The confusion matrix is a table of its own, and the hull a curve: neither is in the frame.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> from speechgmm.evaluation import Scores, evaluate
        >>> found = evaluate(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]))
        >>> found.to_frame()["metric"].tolist()[:3]
        ['eer', 'eer_threshold', 'min_dcf']
        """
        rows = list(rows_of(self))
        names = (*REQUIRED, *OPTIONAL)
        return frame_of({name: [row[name] for row in rows] for name in names}, floats=NUMBERS, whole=COUNTS)

    @classmethod
    def from_frame(cls, frame: Any) -> "Evaluation":
        """Return the evaluation that a data frame of pandas or polars holds, with rows as `to_frame` makes them.

        What `to_frame` makes comes back equal, but for the confusion matrix and the hull, which are not in it and are
        None then; also from a CSV file that was read as text (``dtype=str, keep_default_na=False``). All rows are
        needed, those of one part in their order. Names of columns are known whatever their case, and columns of other
        names do not count.

        Raises
        ------
        InvalidInput
            If it is no data frame, lacks a column or a row, holds something else than the column must hold, or if rows
            contradict each other; the message names row, counted from 0, and column.

        Examples
        --------
        >>> from speechgmm.evaluation import Scores, evaluate
        >>> found = evaluate(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]))
        >>> Evaluation.from_frame(found.to_frame()).errors == found.errors
        True
        """
        return cls(**fields_of(FrameCells.of(frame, "an evaluation", REQUIRED, OPTIONAL)))

    def as_dict(self) -> dict[str, Any]:
        """Return all results by name, in types that JSON holds; of the confusion matrix the most frequent mistakes."""
        mistakes = self.confusion.confusions(_MISTAKES) if self.confusion else ()
        found = {name: value for name, value in vars(self).items() if name not in ("confusion", "hull")}
        return found | {
            "nist": {c.name: {"min_dcf": c.min_dcf, "actual_dcf": c.actual_dcf} for c in self.nist},
            "cmc": list(self.cmc),
            "llr_bounds": asdict(self.llr_bounds),
            "errors": asdict(self.errors),
            "failures": self.failures and asdict(self.failures),
            "open_set": self.open_set and asdict(self.open_set),
            "attacks": self.attacks and asdict(self.attacks),
            "durations": [asdict(d) for d in self.durations],
            "conditions": [asdict(c) for c in self.conditions],
            "confusions": [{"speaker": a, "taken_for": b, "tests": n} for a, b, n in mistakes],
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
            "left_out": list(self.left_out),
        }


def _look_of(e: Evaluation) -> Look:
    """Return how an evaluation looks: its rates with their intervals, its conditions, and a DET curve."""
    counts = [number_of(e.targets, "target"), number_of(e.nontargets, "nontarget"), number_of(e.speakers, "speaker")]
    words = *counts, f"EER {share(e.eer)}", f"minDCF {e.min_dcf:.3f}", f"Cllr {e.cllr:.3f}"
    facts = {"counted": ", ".join([*counts, number_of(e.tests, "test")])}
    facts["application"] = f"prior {e.prior:g}, cost of a miss {e.cost_miss:g}, of a false accept {e.cost_fa:g}"
    if e.left_out:
        facts["left out"] = "\n".join(e.left_out)
    return Look(words, facts, tuple(_tables(e)), None if e.hull is None else partial(_det_sketch, e.hull))


def _tables(e: Evaluation) -> Iterator[ShownTable]:
    level = next((f"{100 * interval.level:g} % within" for interval in e.intervals.values()), "within")
    rows = []
    usual = {name: rate for name, rate in rates_of(e).items() if " " not in name}  # NIST's costs are in the frame
    for name, rate in usual.items():
        interval = e.intervals.get(name)
        ends = "" if interval is None else f"{_shown(name, interval.low)} to {_shown(name, interval.high)}"
        rows.append((name, _shown(name, rate), ends))
    yield ShownTable("", ("rate", ">", f">{level}"), tuple(rows))
    if e.conditions:
        header = ("condition", "", ">targets", ">nontargets", ">EER", ">Cllr", ">p_miss", ">p_fa")
        told = [
            (c.column, c.value, c.targets, c.nontargets, share(c.eer), _cost(c.cllr), share(c.p_miss), share(c.p_fa))
            for c in e.conditions
        ]
        yield some_rows("conditions", header, told)
    if e.attacks is not None:
        species = [(s.species, s.presentations, share(s.apcer)) for s in e.attacks.species]
        yield some_rows("attacks", ("species", ">presentations", ">APCER"), species)


def _cost(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _shown(name: str, rate: float) -> str:
    """Return a rate as a table shows it."""
    return f"{rate:.3f}" if name.split(" ")[0] in _COSTS else share(rate)


def _det_sketch(hull: Hull) -> str:
    """Return a small DET curve: the convex hull of a ROC on normal-deviate axes, down to half of a trial."""
    least = [max(1e-6, 0.5 / int(counts.sum())) for counts in (hull.nontargets, hull.targets)]
    top = 0.6 if hull.eer() < 0.4 else 0.95

    def deviate(rate: float, low: float) -> float:
        return NormalDist().inv_cdf(min(max(rate, low), 1 - low))

    def axis(name: str, low: float) -> Axis:
        ticks = {words: deviate(rate, 0.0) for words, rate in _TICKS.items() if low <= rate <= top}
        return Axis(name, deviate(low, low), deviate(top, low), ticks)

    points = []
    for i in range(len(hull.p_fa) - 1, 0, -1):
        for part in _BETWEEN:
            fa, miss = (float((1 - part) * rate[i] + part * rate[i - 1]) for rate in (hull.p_fa, hull.p_miss))
            if fa <= top and miss <= top:
                points.append((deviate(fa, least[0]), deviate(miss, least[1])))
    rate = hull.eer()
    mark = deviate(rate, least[0]), deviate(rate, least[1])
    described = f"DET curve: misses against false alarms; equal error rate {share(rate)}"
    return sketch(points, axis("false alarms, %", least[0]), axis("misses, %", least[1]), described, mark)

"""An evaluation as rows of a table, a figure each, and back.

`PARTS` says which figures belong together and in which order they stand. The figures of one value, such as a condition,
are one group of rows, which begins with the first of these metrics.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from speechgmm.checks import choice, refuse
from speechgmm.evaluation.attacks import AttackCondition, AttackErrors, AttackTradeOff, SpeciesRate
from speechgmm.evaluation.conditions import Condition
from speechgmm.evaluation.duration import DurationBin
from speechgmm.evaluation.identification import OpenSet
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.llr_bounds import LlrBounds
from speechgmm.evaluation.metrics import NistCost
from speechgmm.evaluation.threshold_errors import FailureCounts, ThresholdErrors
from speechgmm.frames import FRAME, FrameCells

COUNTS = ("tests", "targets", "nontargets", "speakers")
NUMBERS = ("estimate", "low", "high", "level", "interval_estimate")
REQUIRED = ("metric", "column", "value", "estimate", "low", "high", "level", "tests", "targets", "nontargets", "part")
OPTIONAL = ("speakers", "interval_estimate", "note")

_OWN = ("eer", "eer_threshold", "min_dcf", "actual_dcf", "cllr", "min_cllr")
_AT_THRESHOLD = ("p_miss", "p_fa", "p_reject", "p_accept", "strangers_accepted", "owners_missed", "owners_mistaken")
_NEEDED = (*_OWN, "p_miss", "p_fa")
"""Rates that every evaluation has."""
_FURTHER = ("identification_rate", "open_set_rate")

PARTS = {
    "rates": (),
    "application": ("prior", "cost_miss", "cost_fa"),
    "llr_bounds": ("low", "high", "below", "above"),
    "errors": ("threshold", "models"),
    "failures": ("tests", "tests_tried", "speakers", "speakers_tried", "targets", "nontargets"),
    "open_set": ("far", "measured", "threshold", "known", "strangers"),
    "cmc": ("cmc",),
    "conditions": ("eer", "cllr", "p_miss", "p_fa"),
    "durations": ("low", "high", "eer", "p_miss", "p_fa"),
    "attacks": ("threshold", "apcer", "bpcer", "presentations", "bona_fide"),
    "species": ("presentations", "speakers", "failed", "apcer", "rule_of_three"),
    "trade_offs": ("apcer", "threshold", "bpcer"),
    "attack_conditions": ("presentations", "apcer"),
    "left_out": ("left_out",),
}
"""The metrics of each part; those of "rates" are `rates_of`."""
_WHOLE = {
    *("below", "above", "models", "known", "strangers", "presentations", "bona_fide", "speakers", "failed"),
    *PARTS["failures"],
}
"""Figures that are whole numbers."""
_GAPS = {("errors", "models"), ("left_out", "left_out"), *(("conditions", name) for name in PARTS["conditions"])}
"""Figures that may be missing."""

Row = dict[str, Any]


def rates_of(e: Any) -> dict[str, float]:
    """Return all rates of an evaluation by the names that their intervals have."""
    found = {name: getattr(e, name) for name in _OWN}
    for cost in e.nist:
        found |= {f"min_dcf {cost.name}": cost.min_dcf, f"actual_dcf {cost.name}": cost.actual_dcf}
    found |= {name: getattr(e.errors, name) for name in _AT_THRESHOLD}
    found["identification_rate"] = e.identification_rate
    found["open_set_rate"] = e.open_set and e.open_set.rate
    return {name: float(rate) for name, rate in found.items() if rate is not None}


def rows_of(e: Any) -> Iterator[Row]:
    """Yield the rows of an evaluation, each with all of the columns."""
    all_of_it = _counts(e)
    for name, rate in rates_of(e).items():
        yield _row("rates", name, rate, e.intervals.get(name), counts=all_of_it)
    for c in e.conditions:
        yield from _group("conditions", c, c.intervals, c.column, c.value, c.doubt, counts=_counts(c))
    for d in e.durations:
        intervals = {} if d.interval is None else {"eer": d.interval}
        yield from _group("durations", d, intervals, "test_seconds", f"{d.low:.4g} to {d.high:.4g}", counts=_counts(d))
    for i, rate in enumerate(e.cmc, 1):
        yield _row("cmc", "cmc", rate, None, "rank", str(i), counts=all_of_it)
    parts = {"application": e, "llr_bounds": e.llr_bounds, "errors": e.errors}
    for part, held in (parts | {"failures": e.failures, "open_set": e.open_set}).items():
        if held is not None:
            yield from _group(part, held, {}, counts=all_of_it)
    if e.attacks is not None:
        yield from _attack_rows(e.attacks)
    for reason in e.left_out:
        yield _row("left_out", "left_out", None, None, note=reason, counts=all_of_it)


def _attack_rows(a: AttackErrors) -> Iterator[Row]:
    """Yield the rows of what attacks do."""
    of_all = {} if a.bpcer_interval is None else {"bpcer": a.bpcer_interval}
    yield from _group("attacks", a, of_all, note=a.worst)
    for s in a.species:
        yield from _group("species", s, {} if s.interval is None else {"apcer": s.interval}, "attack", s.species)
    for t in a.trade_offs:
        yield from _group("trade_offs", t, {}, "trade_off", t.name, t.doubt)
    for c in a.conditions:
        yield from _group("attack_conditions", c, {}, c.column, c.value, c.species)


def _counts(held: Any) -> dict[str, int]:
    """Return how many tests, trials and speakers something is of, as far as it says."""
    return {name: getattr(held, name) for name in COUNTS if hasattr(held, name)}


def _group(
    part: str,
    held: Any,
    intervals: Mapping[str, Interval],
    column: str = "",
    value: str = "",
    note: str = "",
    counts: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Row]:
    """Yield the rows of one value."""
    for name in PARTS[part]:
        yield _row(part, name, getattr(held, name), intervals.get(name), column, value, note, counts)


def _row(
    part: str,
    metric: str,
    estimate: float | None,
    interval: Interval | None,
    column: str = "",
    value: str = "",
    note: str = "",
    counts: Mapping[str, int] = MappingProxyType({}),
) -> Row:
    """Return a row with all of the columns."""
    within = ("low", "high", "level")
    ends = dict.fromkeys(within) if interval is None else {name: getattr(interval, name) for name in within}
    around = None if interval is None else interval.estimate
    held = {"metric": metric, "column": column, "value": value, "estimate": estimate, **ends}
    return held | dict.fromkeys(COUNTS) | dict(counts) | {"part": part, "interval_estimate": around, "note": note}


@dataclass(frozen=True)
class _Groups:
    """What stands in a frame: the rows of each group of each part, by metric."""

    cells: FrameCells
    parts: dict[str, list[dict[str, int]]]

    @classmethod
    def of(cls, cells: FrameCells) -> "_Groups":
        """Find the groups, and refuse words that are not known and rows that are missing, repeated or contradictory."""
        found: dict[str, list[dict[str, int]]] = {part: [] for part in PARTS}
        for row in range(cells.rows):
            part = choice(cells.text(row, "part"), f"part in {FRAME}, row {row},", PARTS)
            groups, metric = found[part], cells.filled(row, "metric")
            if part != "rates":
                choice(metric, f"metric in {FRAME}, row {row},", PARTS[part])
            if not groups or (part != "rates" and metric == PARTS[part][0]):
                groups.append({})
            if metric in groups[-1]:
                cells.refuse(row, "metric", f"stand once, as in row {groups[-1][metric]}", repr(metric))
            groups[-1][metric] = row
        for part, groups in found.items():
            for group in groups:
                _check_group(cells, part, group)
        return cls(cells, found)

    def number(self, part: str, metric: str, row: int) -> float | int | None:
        """Return the estimate of a row, a whole number where the figure is one."""
        value = self.cells.number(row, "estimate")
        if value is None and (part, metric) not in _GAPS:
            self.cells.known(row, "estimate")
        return self.cells.whole(row, "estimate") if metric in _WHOLE else value

    def numbers(self, part: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the first row and the figures of each group of a part."""
        for group in self.parts[part]:
            yield next(iter(group.values())), {name: self.number(part, name, row) for name, row in group.items()}

    def only(self, part: str) -> tuple[int, dict[str, Any]] | None:
        """Return the first row and the figures of a part that is there once at most."""
        found = list(self.numbers(part))
        if len(found) > 1:
            self.cells.refuse(found[1][0], "part", "have its rows once", repr(part))
        return found[0] if found else None

    def needed(self, part: str) -> dict[str, Any]:
        """Return the figures of a part that must be there."""
        if (found := self.only(part)) is None:
            refuse(FRAME, f"have a row for each of {', '.join(PARTS[part])} of the part {part}", "none")
        return found[1]

    def interval(self, row: int) -> Interval | None:
        """Return the interval of a row, None where it has none."""
        ends = ("low", "high", "level")
        if all(self.cells.cell(row, name) is None for name in ends):
            return None
        around = self.cells.number(row, "interval_estimate")
        return Interval(
            self.cells.known(row, "estimate") if around is None else around,
            *(self.cells.known(row, name) for name in ends),
        )

    def intervals(self, group: Mapping[str, int]) -> dict[str, Interval]:
        """Return the intervals of a group by metric."""
        return {name: found for name, row in group.items() if (found := self.interval(row))}

    def counts(self, row: int, *names: str) -> dict[str, int]:
        """Return how many there are, which must be known."""
        for name in names:
            self.cells.known(row, name)
        return {name: self.cells.whole(row, name) or 0 for name in names}


def _check_group(cells: FrameCells, part: str, group: Mapping[str, int]) -> None:
    """Refuse a group that lacks a row, or whose rows are not of one thing."""
    rows = list(group.values())
    if missing := [name for name in (_NEEDED if part == "rates" else PARTS[part]) if name not in group]:
        where = f"{FRAME}, from row {rows[0]} on,"
        refuse(where, f"have a row for each metric of the part {part}", f"none for {', '.join(missing)}")
    for row in rows[1:]:
        for name in ("column", "value", "note", *COUNTS):
            said, first = cells.text(row, name), cells.text(rows[0], name)
            if said != first:
                cells.refuse(row, name, f"be what row {rows[0]} says of the same, {first!r}", repr(said))


def fields_of(cells: FrameCells) -> dict[str, Any]:
    """Return the fields of the evaluation that a frame holds."""
    found = _Groups.of(cells)
    if not found.parts["rates"]:
        refuse(FRAME, f"have a row for each of {', '.join(_NEEDED)} of the part rates", "none")
    group, ((first, rates),) = found.parts["rates"][0], found.numbers("rates")
    at: dict[str, Any] = {name: rates.get(name) for name in _AT_THRESHOLD}
    failures, open_set = found.only("failures"), found.only("open_set")
    if (open_set is None) != ("open_set_rate" not in rates):
        refuse(FRAME, "have the rate open_set_rate and the part open_set together", "one of these alone")
    counts = found.counts(first, *COUNTS)
    return {
        "trials": counts["targets"] + counts["nontargets"],
        **counts,
        **{name: rates[name] for name in _OWN},
        "nist": _nist(cells, group, rates),
        "llr_bounds": LlrBounds(**found.needed("llr_bounds")),
        "errors": ThresholdErrors(**at, **found.needed("errors")),
        "failures": failures and FailureCounts(**failures[1]),
        "identification_rate": rates.get("identification_rate"),
        "cmc": tuple(values["cmc"] for _, values in found.numbers("cmc")),
        "open_set": open_set and OpenSet(rate=rates["open_set_rate"], **open_set[1]),
        **_apart(found),
        "attacks": _attacks(found),
        "intervals": found.intervals(group),
        **found.needed("application"),
        "left_out": tuple(cells.filled(row, "note") for row, _ in found.numbers("left_out")),
    }


def _nist(cells: FrameCells, group: Mapping[str, int], rates: Mapping[str, float]) -> tuple[NistCost, ...]:
    """Return NIST's costs, and refuse rates that are none."""
    known, costs = (*_OWN, *_AT_THRESHOLD, *_FURTHER), []
    for metric, row in group.items():
        kind, _, name = metric.partition(" ")
        other = {"min_dcf": "actual_dcf", "actual_dcf": "min_dcf"}.get(kind, "")
        if metric not in known and not (name and f"{other} {name}" in rates):
            rule = f"be one of {', '.join(known)}, or min_dcf and actual_dcf with the name of one of NIST's evaluations"
            cells.refuse(row, "metric", rule, repr(metric))
        if name and kind == "min_dcf":
            costs.append(NistCost(name, rates[metric], rates[f"actual_dcf {name}"]))
    return tuple(costs)


def _apart(found: _Groups) -> dict[str, Any]:
    """Return conditions and durations."""
    conditions, durations, cells = [], [], found.cells
    for (row, rates), group in zip(found.numbers("conditions"), found.parts["conditions"], strict=True):
        told: dict[str, Any] = {"column": cells.filled(row, "column"), "value": cells.filled(row, "value")}
        told |= {"doubt": cells.text(row, "note"), "intervals": found.intervals(group)}
        conditions.append(Condition(**told | found.counts(row, *COUNTS) | rates))
    for (row, rates), group in zip(found.numbers("durations"), found.parts["durations"], strict=True):
        interval = found.interval(group["eer"])
        durations.append(DurationBin(**rates, **found.counts(row, *COUNTS[:3]), interval=interval))
    return {"conditions": tuple(conditions), "durations": tuple(durations)}


def _attacks(found: _Groups) -> AttackErrors | None:
    """Return what attacks do, None where no row says so."""
    cells, whole = found.cells, found.only("attacks")
    parts = ("species", "trade_offs", "attack_conditions")
    if whole is None:
        if any(found.parts[part] for part in parts):
            refuse(FRAME, "have the rows of the part attacks beside those of its species and conditions", "none")
        return None
    species, trade_offs, conditions = (list(zip(found.numbers(part), found.parts[part], strict=True)) for part in parts)
    return AttackErrors(
        **whole[1],
        worst=cells.filled(whole[0], "note"),
        bpcer_interval=found.interval(found.parts["attacks"][0]["bpcer"]),
        species=tuple(
            SpeciesRate(cells.filled(row, "value"), interval=found.interval(group["apcer"]), **rates)
            for (row, rates), group in species
        ),
        trade_offs=tuple(
            AttackTradeOff(cells.filled(row, "value"), doubt=cells.text(row, "note"), **rates)
            for (row, rates), _ in trade_offs
        ),
        conditions=tuple(
            AttackCondition(cells.filled(row, "column"), cells.filled(row, "value"), cells.filled(row, "note"), **rates)
            for (row, rates), _ in conditions
        ),
    )

"""The command evaluate: how often scores are right."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from speechgmm.checks import number_of, percent_of
from speechgmm.cli import options
from speechgmm.cli.output import Listing, emit, facts, table

if TYPE_CHECKING:
    from speechgmm.evaluation import (
        AttackErrors,
        Condition,
        Evaluation,
        FalseAccepts,
        Interval,
        Scores,
        TableCalibration,
    )

CALIBRATION = "What `calibrate` has learned from other scores of the same system; these become LLRs first."
CalibrationFile = Annotated[str | None, options.option("--calibration", "CALIBRATION", CALIBRATION)]
BY = "Column of SCORES whose conditions are taken apart; repeat for several. Numbers are divided into ranges."
By = Annotated[list[str] | None, options.option("--by", "COLUMN", BY)]
Prior = Annotated[float, options.option("--prior", "P", "Of a target, above 0 and below 1: for detection costs.")]
CostMiss = Annotated[float, options.option("--cost-miss", "COST", "Of a miss, above 0.")]
CostFa = Annotated[float, options.option("--cost-fa", "COST", "Of a false accept, above 0.")]
Report = Annotated[
    str | None, options.option("--report", "OUT.html", "Write a web page of one file: tables and pictures.")
]


def evaluate(
    scores: options.ScoresFile,
    trials: options.TrialsFile = None,
    calibration: CalibrationFile = None,
    by: By = None,
    prior: Prior = 0.01,
    cost_miss: CostMiss = 1.0,
    cost_fa: CostFa = 1.0,
    report: Report = None,
    as_json: options.Json = False,
) -> None:
    """Show how often scores are right, those of any system: error rates, detection costs, searches, intervals.

    Trials whose column attack names a kind of attack are told apart, by ISO/IEC 30107-3, and are in no other figure.
    """
    from speechgmm import evaluation

    application = options.asked(lambda: evaluation.Application(prior, cost_miss, cost_fa))
    if report:
        from speechgmm.report import check_report, write_report

        check_report(report)
    known = evaluation.load_calibration(calibration) if calibration else None
    given, others = options.load_scores(scores, trials)
    with options.of_file(scores):
        accepted = known.false_accepts(given) if known else ()
        shown = known.llrs(given) if known else given
        result = evaluation.evaluate(shown, **asdict(application), by=by or None)
    if report:
        write_report(shown, result, report, title=Path(scores).name, accepted=accepted)
    notes = [f"left out: {reason}" for reason in result.left_out] + others
    note = "\nactual DCF, Cllr and what follows take the scores for calibrated LLRs"
    document = result.as_dict() | {"report": report, "calibration": None}
    more: list[Listing | str] = ["", conditions_table(result.conditions)] if by else []
    more += _attack_parts(result.attacks) if result.attacks else []
    if known:
        genuine, attacked = evaluation.bona_fide(given), _attacked(shown, known)
        outside = known.outside(genuine)
        counts = {"outside": outside, "false_accepts": [asdict(f) for f in accepted]}
        document["calibration"] = {"path": calibration, **counts, "attacks": _told_of(attacked)}
        note = f"\nthe scores are LLRs by {calibration}; at its thresholds are accepted:\n"
        more = [accepted_table(accepted), *more, *_attacked_parts(attacked)]
        notes += [_outside(outside, len(genuine), known)] if outside else []
    emit(as_json, document, facts(_rates(result)), note, *more, *notes)


def accepted_table(found: "Sequence[FalseAccepts]") -> Listing:
    """Return how many strangers were accepted where rates were asked for."""
    from speechgmm.evaluation.false_accepts import attempts_among

    rows = []
    for f in found:
        low, share, high = (f"{100 * x:.2f} %" for x in (f.accepted.low, f.accepted.estimate, f.accepted.high))
        rows.append((f"strangers' {attempts_among(f.speakers)}", f"{100 * f.far:g} %", share, f"{low} to {high}"))
    return table("of", ">asked", ">accepted", ">95 % interval over speakers", rows=rows, spare=())


def _attack_parts(found: "AttackErrors") -> "list[Listing | str]":
    """Return how many attacks of each species are accepted, and what it costs to accept few."""

    def ends(span: "Interval | None") -> str:
        return "" if span is None else f"{100 * span.low:.2f} to {100 * span.high:.2f} %"

    rows = [
        (s.species, s.presentations, s.speakers, s.failed, f"{percent_of(s.apcer)} %", ends(s.interval))
        for s in found.species
    ]
    names = ("attack", ">presentations", ">of speakers", ">failed", ">APCER", ">interval")
    species = table(*names, rows=rows, spare=("failed", "of speakers"))
    span = f" ({ends(found.bpcer_interval)})" if found.bpcer_interval else ""
    highest = f"highest APCER {percent_of(found.apcer)} % ({found.worst}), BPCER {percent_of(found.bpcer)} %{span}"
    points = ", ".join(f"{t.name} {percent_of(t.bpcer)} %" for t in found.trade_offs)
    doubts = [f"{t.name}: {t.doubt}" for t in found.trade_offs if t.doubt]
    parts: list[Listing | str] = ["", species, "", f"{highest}, at an LLR of {found.threshold:+.2f}", points, *doubts]
    if found.conditions:
        of = [
            (f"{c.column} {c.value}", c.species, c.presentations, f"{percent_of(c.apcer)} %") for c in found.conditions
        ]
        parts += ["", table("condition", "worst attack", ">presentations", ">APCER", rows=of, spare=())]
    return parts


def _attacked(llrs: "Scores", known: "TableCalibration") -> "dict[float, AttackErrors]":
    """Return what becomes of attacks, if there are any, at thresholds for single trials, by the rate that is asked."""
    from speechgmm.evaluation.attacks import attack_errors
    from speechgmm.evaluation.false_accepts import RATES

    found = {far: attack_errors(llrs, known.threshold(far).score, level=None)[0] for far in RATES}
    return {far: errors for far, errors in found.items() if errors}


def _told_of(found: "dict[float, AttackErrors]") -> list[dict[str, object]]:
    """Return what becomes of attacks where rates of strangers were asked for, in types that JSON holds."""
    names = "threshold", "apcer", "worst", "bpcer"
    told = {far: {name: getattr(errors, name) for name in names} for far, errors in found.items()}
    return [{"far": far, **told[far], "species": [asdict(s) for s in e.species]} for far, e in found.items()]


def _attacked_parts(found: "dict[float, AttackErrors]") -> "list[Listing | str]":
    """Return the same for people, nothing without attacks."""
    rows = [
        (f"{100 * far:g} % of strangers", s.species, f"{percent_of(s.apcer)} %", f"{percent_of(errors.bpcer)} %")
        for far, errors in found.items()
        for s in errors.species
    ]
    return ["", table("accepting", "attack", ">APCER", ">BPCER", rows=rows, spare=())] if rows else []


def _outside(count: int, scores: int, known: "TableCalibration") -> str:
    """Return how many scores lie outside what the calibration has seen, in words."""
    seen = f"{known.low:.5g} to {known.high:.5g}, which the calibration has seen: their LLRs are extrapolated"
    doubt = ". Are they of the same system?" if 2 * count > scores else ""
    return f"{count} of {scores} scores lie outside {seen}{doubt}"


def conditions_table(found: "Sequence[Condition]") -> Listing:
    """Return the rates of conditions, equal error rates with their intervals."""

    def percent(rate: float | None) -> str:
        return "-" if rate is None else f"{percent_of(rate)} %"

    rows = []
    for c in found:
        eer, span = percent(c.eer), c.intervals.get("eer")
        ends = "" if span is None else f"{100 * span.low:.2f} to {100 * span.high:.2f} %"
        counts = c.speakers, c.targets, c.nontargets
        loss = "-" if c.cllr is None else f"{c.cllr:.3f}"
        name = f"{c.column} {c.value}"
        rows.append((name, *counts, eer, ends or c.doubt, loss, percent(c.p_miss), percent(c.p_fa)))
    names = ("condition", ">speakers", ">targets", ">nontargets", ">EER", ">interval", ">Cllr", ">missed", ">accepted")
    return table(*names, rows=rows, spare=("nontargets", "targets", "Cllr"))


def _told(result: "Evaluation", name: str, value: float, *, percent: bool = False) -> str:
    """Return a rate or a cost with its interval in brackets."""
    span = result.intervals.get(name)
    numbers = [value] if span is None else [value, span.low, span.high]
    text, *ends = [percent_of(v) if percent else f"{v:.4f}" for v in numbers]
    return text + (" %" if percent else "") + (f" ({' to '.join(ends)})" if ends else "")


def _rates(result: "Evaluation") -> dict[str, object]:
    """Return the main results for people, with their intervals in brackets."""

    def told(name: str, value: float, *, percent: bool = False) -> str:
        return _told(result, name, value, percent=percent)

    application = f"prior {result.prior:g}, costs {result.cost_miss:g} and {result.cost_fa:g}"
    kinds = number_of(result.targets, "target"), number_of(result.nontargets, "nontarget")
    rows: dict[str, object] = {
        "trials": f"{result.trials}: {', '.join(kinds)} in {number_of(result.tests, 'test')}",
        "equal error rate": told("eer", result.eer, percent=True),
        "identified": "-",
        "minimum DCF": f"{told('min_dcf', result.min_dcf)}, {application}",
        "actual DCF": f"{told('actual_dcf', result.actual_dcf)}, {application}",
        "minimum Cllr": f"{told('min_cllr', result.min_cllr)} bits",
        "Cllr": f"{told('cllr', result.cllr)} bits",
    }
    rows |= _errors(result)
    if (rate := result.identification_rate) is not None:
        rows["identified"] = f"{told('identification_rate', rate, percent=True)} of the tests"
    if result.open_set:
        share = f"{100 * result.open_set.far:g} % of strangers accepted"
        rows["found in open set"] = f"{told('open_set_rate', result.open_set.rate, percent=True)} with at most {share}"
    for interval in list(result.intervals.values())[:1]:
        rows["in brackets"] = f"{100 * interval.level:g} % intervals over speakers"
    return rows


def _errors(result: "Evaluation") -> dict[str, object]:
    """Return what goes wrong at the threshold of the application, what failed, and which LLRs the data support."""
    errors, bounds, failures = result.errors, result.llr_bounds, result.failures

    def told(name: str) -> str:
        return _told(result, name, getattr(errors, name), percent=True)

    rows: dict[str, object] = {
        "LLRs supported": f"{bounds.low:+.2f} to {bounds.high:+.2f}; {bounds.below} scores below, {bounds.above} above",
        "missed": f"{told('p_miss')} of targets, below an LLR of {errors.threshold:+.2f}",
        "accepted": f"{told('p_fa')} of nontargets",
    }
    if errors.strangers_accepted is not None:
        rows["strangers"] = f"{told('strangers_accepted')} of searches among {errors.models} accept one"
    if errors.owners_missed is not None:
        rows["owners missed"] = f"{told('owners_missed')} of searches"
        rows["owners mistaken"] = f"{told('owners_mistaken')} of searches, among these"
    if failures:
        lost = f"{failures.tests} of {number_of(failures.tests_tried, 'test')}"
        rows["failed"] = f"{lost}, {failures.speakers} of {number_of(failures.speakers_tried, 'speaker')}"
    return rows

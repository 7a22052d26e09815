"""The command evaluate: how often scores are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.output import emit, facts
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.evaluation import Evaluation

ScoresFile = Annotated[str, options.argument("SCORES", "Scores with labels.")]
Report = Annotated[
    str | None, typer.Option("--report", metavar="OUT.html", help="Write a web page of one file: tables and pictures.")
]


def evaluate(scores: ScoresFile, report: Report = None, as_json: options.Json = False) -> None:
    """Show how often scores are right: error rates, detection costs, searches, and how far to trust them."""
    from speechgmm import evaluation

    if report:
        from speechgmm.plot.svg import require

        if Path(report).resolve() == Path(scores).resolve():
            options.usage("--report names the table of scores itself; give another file")
        options.check_output(report)
        require()
    table = evaluation.read_scores(scores)
    try:
        result = evaluation.evaluate(table)
    except InvalidInput as error:
        raise InvalidInput(f"{scores}: {error}") from None
    if report:
        from speechgmm.report import write_report

        write_report(table, result, report, title=Path(scores).name)
    notes = [f"left out: {reason}" for reason in result.left_out]
    note = "\nactual DCF and Cllr take the scores for calibrated LLRs; the others only for an order"
    emit(as_json, result.as_dict() | {"report": report}, facts(_rates(result)), note, *notes)


def _rates(result: Evaluation) -> dict[str, object]:
    """Return the main results for people, with their intervals in brackets."""

    def rate(value: float, name: str) -> str:
        span = result.intervals.get(name)
        return f"{100 * value:.2f} %" + (f" ({100 * span.low:.2f} to {100 * span.high:.2f})" if span else "")

    def cost(value: float, name: str) -> str:
        span = result.intervals.get(name)
        return f"{value:.4f}" + (f" ({span.low:.4f} to {span.high:.4f})" if span else "")

    application = f"prior {result.prior:g}, costs {result.cost_miss:g} and {result.cost_fa:g}"
    identified = result.identification_rate
    rows: dict[str, object] = {
        "trials": f"{result.trials}: {result.targets} targets, {result.nontargets} nontargets in {result.tests} tests",
        "equal error rate": rate(result.eer, "eer"),
        "identified": "-" if identified is None else f"{rate(identified, 'identification_rate')} of the tests",
        "minimum DCF": f"{cost(result.min_dcf, 'min_dcf')}, {application}",
        "actual DCF": f"{cost(result.actual_dcf, 'actual_dcf')}, {application}",
        "minimum Cllr": f"{cost(result.min_cllr, 'min_cllr')} bits",
        "Cllr": f"{cost(result.cllr, 'cllr')} bits",
    }
    if result.open_set:
        share = f"{100 * result.open_set.false_alarm_rate:g} % of strangers accepted"
        rows["found in open set"] = f"{rate(result.open_set.rate, 'open_set_rate')} with at most {share}"
    for interval in list(result.intervals.values())[:1]:
        rows["in brackets"] = f"{100 * interval.level:g} % intervals over speakers"
    return rows

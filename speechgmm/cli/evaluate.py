"""The command evaluate: how often scores are right."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from speechgmm.cli import options
from speechgmm.cli.output import emit, facts
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.evaluation import Evaluation

ScoresFile = Annotated[str, options.argument("SCORES", "Scores with labels.")]
Report = Annotated[
    str | None, options.option("--report", "OUT.html", "Write a web page of one file: tables and pictures.")
]


def evaluate(scores: ScoresFile, report: Report = None, as_json: options.Json = False) -> None:
    """Show how often scores are right: error rates, detection costs, searches, and how far to trust them."""
    from speechgmm import evaluation

    if report:
        from speechgmm.report import check_report, write_report

        check_report(report)
    table = evaluation.read_scores(scores)
    try:
        result = evaluation.evaluate(table)
    except InvalidInput as error:
        raise InvalidInput(f"{scores}: {error}") from None
    if report:
        write_report(table, result, report, title=Path(scores).name)
    notes = [f"left out: {reason}" for reason in result.left_out]
    note = "\nactual DCF and Cllr take the scores for calibrated LLRs; the others only for an order"
    emit(as_json, result.as_dict() | {"report": report}, facts(_rates(result)), note, *notes)


def _rates(result: "Evaluation") -> dict[str, object]:
    """Return the main results for people, with their intervals in brackets."""

    def told(name: str, value: float, *, percent: bool = False) -> str:
        span = result.intervals.get(name)
        numbers = [value] if span is None else [value, span.low, span.high]
        text, *ends = [f"{100 * v:.2f}" if percent else f"{v:.4f}" for v in numbers]
        return text + (" %" if percent else "") + (f" ({' to '.join(ends)})" if ends else "")

    application = f"prior {result.prior:g}, costs {result.cost_miss:g} and {result.cost_fa:g}"
    rows: dict[str, object] = {
        "trials": f"{result.trials}: {result.targets} targets, {result.nontargets} nontargets in {result.tests} tests",
        "equal error rate": told("eer", result.eer, percent=True),
        "identified": "-",
        "minimum DCF": f"{told('min_dcf', result.min_dcf)}, {application}",
        "actual DCF": f"{told('actual_dcf', result.actual_dcf)}, {application}",
        "minimum Cllr": f"{told('min_cllr', result.min_cllr)} bits",
        "Cllr": f"{told('cllr', result.cllr)} bits",
    }
    if (rate := result.identification_rate) is not None:
        rows["identified"] = f"{told('identification_rate', rate, percent=True)} of the tests"
    if result.open_set:
        share = f"{100 * result.open_set.far:g} % of strangers accepted"
        rows["found in open set"] = f"{told('open_set_rate', result.open_set.rate, percent=True)} with at most {share}"
    for interval in list(result.intervals.values())[:1]:
        rows["in brackets"] = f"{100 * interval.level:g} % intervals over speakers"
    return rows

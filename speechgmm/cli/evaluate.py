"""The command evaluate: how often scores are right."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from speechgmm.checks import number_of
from speechgmm.cli import options
from speechgmm.cli.output import emit, facts
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.evaluation import Evaluation

SCORES = "Table with the columns speaker, test, score and target; Kaldi's lines 'enroll test score'; or arrays (.npz)."
ScoresFile = Annotated[str, options.argument("SCORES", SCORES)]
TRIALS = "Which scores count, and their labels: lines '1|0 enroll test' or 'enroll test target|nontarget'."
TrialsFile = Annotated[str | None, options.option("--trials", "TRIALS", TRIALS)]
Prior = Annotated[float, options.option("--prior", "P", "Of a target, above 0 and below 1: for detection costs.")]
CostMiss = Annotated[float, options.option("--cost-miss", "COST", "Of a miss, above 0.")]
CostFa = Annotated[float, options.option("--cost-fa", "COST", "Of a false accept, above 0.")]
Report = Annotated[
    str | None, options.option("--report", "OUT.html", "Write a web page of one file: tables and pictures.")
]


def evaluate(
    scores: ScoresFile,
    trials: TrialsFile = None,
    prior: Prior = 0.01,
    cost_miss: CostMiss = 1.0,
    cost_fa: CostFa = 1.0,
    report: Report = None,
    as_json: options.Json = False,
) -> None:
    """Show how often scores are right, those of any system: error rates, detection costs, searches, intervals."""
    from speechgmm import evaluation

    application = options.asked(lambda: evaluation.Application(prior, cost_miss, cost_fa))
    if report:
        from speechgmm.report import check_report, write_report

        check_report(report)
    every = evaluation.read_scores(scores)
    listed = evaluation.read_trials(trials) if trials else None
    try:
        table = evaluation.join(every, listed) if listed else every
        result = evaluation.evaluate(table, **asdict(application))
    except InvalidInput as error:
        raise InvalidInput(f"{scores}: {error}") from None
    if report:
        write_report(table, result, report, title=Path(scores).name)
    notes = [f"left out: {reason}" for reason in result.left_out]
    if others := len(every) - len(table):
        notes.append(f"left out: {others} of {len(every)} scores, which {trials} does not list")
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
    if (rate := result.identification_rate) is not None:
        rows["identified"] = f"{told('identification_rate', rate, percent=True)} of the tests"
    if result.open_set:
        share = f"{100 * result.open_set.far:g} % of strangers accepted"
        rows["found in open set"] = f"{told('open_set_rate', result.open_set.rate, percent=True)} with at most {share}"
    for interval in list(result.intervals.values())[:1]:
        rows["in brackets"] = f"{100 * interval.level:g} % intervals over speakers"
    return rows

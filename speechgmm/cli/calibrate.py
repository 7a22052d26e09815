"""The command calibrate: log-likelihood ratios and thresholds, learned from the scores of any system."""

from typing import TYPE_CHECKING, Annotated

from speechgmm.checks import number_of
from speechgmm.cli import options
from speechgmm.cli.evaluate import accepted_table
from speechgmm.cli.output import Listing, emit, facts, table

if TYPE_CHECKING:
    from rich.table import Table

    from speechgmm.evaluation import Interval, TableCalibration

Output = Annotated[str, options.output("CALIBRATION", "What was learned, for evaluate --calibration.")]
PRIOR = "Share of the targets' weight, above 0 and below 1: where the LLRs are to be most exact."
Prior = Annotated[float, options.option("--prior", "P", PRIOR)]


def calibrate(
    scores: options.ScoresFile,
    output: Output,
    trials: options.TrialsFile = None,
    prior: Prior = 0.5,
    as_json: options.Json = False,
) -> None:
    """Learn LLRs, and thresholds for a stated rate of strangers, from the scores of any system; say what is unsure."""
    from speechgmm.checks import probability
    from speechgmm.evaluation import TableCalibration, bona_fide, calibrate_scores
    from speechgmm.files import check_writable
    from speechgmm.storage import kind_of

    options.asked(lambda: probability(prior, "prior"))
    check_writable(output, kind_of(TableCalibration))
    given, others = options.load_scores(scores, trials)
    with options.of_file(scores):
        made = calibrate_scores(given, prior=prior)
    made.save(output)
    if attacked := len(given) - len(bona_fide(given)):
        others = [*others, f"left out: {number_of(attacked, 'trial')} of attacks"]
    emit(as_json, {"calibration": output, **made.as_dict()}, *calibration_parts(made, {"calibration": output}), *others)


def calibration_parts(made: "TableCalibration", first: dict[str, object]) -> "list[Table | Listing | str]":
    """Return what a calibration says of itself, for people, below what is told first."""

    def span(interval: "Interval", *, percent: bool = False) -> str:
        numbers = interval.estimate, interval.low, interval.high
        text, low, high = (f"{100 * x:.2f}" if percent else f"{x:.4f}" for x in numbers)
        return f"{text}{' %' if percent else ' bits'} ({low} to {high})"

    kinds = number_of(made.targets, "target"), number_of(made.nontargets, "nontarget")
    people = f"{number_of(made.models, 'model')}, {number_of(made.speakers, 'speaker')}"
    rows = first | {
        "learned from": f"{', '.join(kinds)} in {number_of(made.tests, 'test')}; {people}",
        "LLR": f"{made.llr.slopes[0]:.5g} * score {made.llr.offsets[0]:+.5g}",
        "scores seen": f"{made.low:.5g} to {made.high:.5g}",
        "equal error rate": span(made.held_out.eer, percent=True),
        "minimum Cllr": span(made.held_out.min_cllr),
        "Cllr": span(made.held_out.cllr),
        "in brackets": "95 % intervals over speakers; error rates and Cllr are of held-out speakers",
    }
    doubts = [f"unsure: {doubt}" for doubt in made.doubts()]
    accepts = "", "accept from here on:", "", _thresholds(made)
    accepted = (
        "",
        "held-out speakers, at thresholds that do not know them:",
        "",
        accepted_table(made.held_out.false_accepts),
    )
    return [facts(rows), *accepts, *accepted, "", *doubts]


def _thresholds(made: "TableCalibration") -> Listing:
    """Return the thresholds for 1, 5 and 10 %, per trial and per search among as many as there are models."""
    from speechgmm.evaluation.false_accepts import attempts_among

    rows = []
    for t in made.thresholds():
        asked = f"{100 * t.far:g} % of strangers' {attempts_among(t.speakers)}"
        rows.append((asked, t.llr, f"{t.score:.5g}", "yes" if t.assured else "no"))
    return table("to accept", ">LLR", ">score", "assured", rows=rows, spare=())

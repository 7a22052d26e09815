"""The commands that measure: score, evaluate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechgmm.cli.options import (
    JsonOption,
    ManifestOption,
    ModelOption,
    StoreOption,
    ThreadsOption,
    WhereOption,
    check_output,
    load_corpus,
    load_model,
    usage,
)
from speechgmm.cli.terminal import counting, emit, exit_if_skipped, facts, skipped
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.evaluation import Evaluation, Scores

ScoresArgument = Annotated[str, typer.Argument(metavar="SCORES", help="Scores with labels.", show_default=False)]
ScoresFile = Annotated[
    str,
    typer.Option("--output", "-o", metavar="SCORES", help="Text, or arrays if it ends in .npz.", show_default=False),
]
ReportOption = Annotated[
    str | None, typer.Option("--report", metavar="OUT.html", help="Write a web page of one file: tables and pictures.")
]
TrialsOption = Annotated[
    str | None,
    typer.Option(
        metavar="TRIALS",
        help="Lines '1|0 enroll test' or 'enroll test target|nontarget'; tests are names in the manifest or, "
        "without one, paths relative to this file.",
    ),
]


class By(StrEnum):
    """What one test is."""

    file = "file"
    session = "session"


ByOption = Annotated[
    By | None,
    typer.Option("--by", help="What one test is: each file (the default), or all files of a speaker's session."),
]


def score(
    store: StoreOption,
    output: ScoresFile,
    model: ModelOption = None,
    manifest: ManifestOption = None,
    where: WhereOption = None,
    by: ByOption = None,
    trials: TrialsOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score each test of a manifest against all enrolled speakers, or the pairs of a trial list."""
    from speechgmm.evaluation import read_trials, write_scores
    from speechgmm.parallel import threads as on_threads
    from speechgmm.speakers import SpeakerStore, score_corpus, score_trials

    if (manifest is None and (where or trials is None)) or (by is not None and trials is not None):
        usage("give --manifest with --where and --by as you like, or --trials, or --trials and --manifest without --by")
    check_output(output)
    pairs = None if trials is None else read_trials(trials)
    corpus = None if manifest is None else load_corpus(manifest, where)
    system = load_model(model)
    mapper, way = on_threads(threads), (by or By.file).value
    total = len(set(pairs.test.tolist())) if pairs else len(corpus or ())
    with SpeakerStore(store, system) as opened, counting(total) as count:
        if pairs and trials:
            result = score_trials(
                system, opened, pairs, corpus, folder=Path(trials).parent, mapper=mapper, on_progress=count
            )
        else:
            result = score_corpus(system, opened, corpus or (), by=way, mapper=mapper, on_progress=count)
    write_scores(result.scores, output)
    document = _counts(output, result.scores)
    emit(as_json, document | {"skipped": skipped(result.skipped)}, facts(document))
    exit_if_skipped((s.name, s.reason) for s in result.skipped)


def evaluate(scores: ScoresArgument, report: ReportOption = None, as_json: JsonOption = False) -> None:
    """Show how often scores are right: error rates, detection costs, searches, and how far to trust them."""
    from speechgmm.evaluation import evaluate as evaluate_scores
    from speechgmm.evaluation import read_scores

    if report:
        from speechgmm.plot.svg import require

        if Path(report).resolve() == Path(scores).resolve():
            usage("--report names the table of scores itself; give another file")
        check_output(report)
        require()
    table = read_scores(scores)
    try:
        result = evaluate_scores(table)
    except InvalidInput as error:
        raise InvalidInput(f"{scores}: {error}") from None
    if report:
        from speechgmm.report import write_report

        write_report(table, result, report, title=Path(scores).name)
    notes = [f"left out: {reason}" for reason in result.left_out]
    note = "\nactual DCF and Cllr take the scores for calibrated LLRs; the others only for an order"
    emit(as_json, result.as_dict() | {"report": report}, facts(_rates(result)), note, *notes)


def _counts(path: str, scores: Scores) -> dict[str, object]:
    return {
        "scores": path,
        "trials": len(scores),
        "targets": int((scores.target == 1).sum()),
        "tests": len(set(scores.test.tolist())),
        "speakers": len(set(scores.speaker.tolist())),
    }


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
        share = f"{100 * result.open_set.far:g} % of strangers accepted"
        rows["found in open set"] = f"{rate(result.open_set.rate, 'open_set_rate')} with at most {share}"
    for interval in list(result.intervals.values())[:1]:
        rows["in brackets"] = f"{100 * interval.level:g} % intervals over speakers"
    return rows

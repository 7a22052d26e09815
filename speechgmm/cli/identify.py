"""The command identify: who speaks in each recording."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from speechgmm.cli import options
from speechgmm.cli.output import emit, progress, table

if TYPE_CHECKING:
    from speechgmm.evaluation import Answer, Rule
    from speechgmm.evaluation.thresholds import Threshold


def identify(
    files: options.Files,
    store: options.Store,
    model: options.Model = None,
    top: options.Top = 5,
    far: options.Far = None,
    prior: options.Prior = None,
    cost_miss: options.CostMiss = None,
    cost_fa: options.CostFa = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Say who speaks in each recording, or that nobody enrolled does."""
    from speechgmm import evaluation, speakers

    rule = options.rule_of(far, prior, cost_miss, cost_fa)
    system = options.model_for(model, store)
    calibrated = system.calibration is not None
    with options.open_store(store, system) as opened, progress() as report:
        answers = speakers.identify(system, opened, files, rule=rule, top=top, n_threads=threads, on_progress=report)
        models = speakers.enrolled_models(system, opened)
        limit = evaluation.threshold_for(system.strangers, rule, len(models.names))
    stated = asdict(rule) | {"far": rule.asked_far, "prior": rule.stated_prior}
    stated |= {"threshold": limit and limit.score, "extrapolated": limit is not None and limit.extrapolated}
    files_told = [_document(a) for a in answers]
    document = {"calibrated": calibrated, "rule": stated if calibrated else None, "files": files_told}
    columns = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">posterior")
    shown = table(*columns, rows=_rows(answers)), rule_note(calibrated, rule, limit)
    emit(as_json, document, *shown, damaged=models.damaged, errors=((a.name, a.error) for a in answers))


def rule_note(calibrated: bool, rule: "Rule", limit: "Threshold | None") -> str:
    """Return in words by which rule was decided, and from which score on."""
    if not calibrated:
        return "\nuncalibrated: the LLR (nats per frame) ranks speakers; it is no decision"
    at = "" if limit is None else f", from an LLR of {limit.score:+.2f} nats on"
    if rule.asked_far is None:
        return f"\naccepted at least expected cost, with a prior of {rule.prior:g}{at}"
    unsure = limit is not None and limit.extrapolated
    beyond = "; extrapolated: the model was calibrated on too few speakers to be sure of this" if unsure else ""
    return f"\naccepted so that {100 * rule.asked_far:g} % of strangers are{at}{beyond}"


def _document(answer: "Answer") -> dict[str, object]:
    """Return what JSON says of one file."""
    return {
        "file": answer.name,
        "status": answer.status,
        "error": answer.error,
        "speech_seconds": answer.speech_seconds,
        "decision": answer.decision,
        "candidates": [{"speaker": c.name, "llr": c.score, "posterior": c.posterior} for c in answer.candidates],
    }


def _rows(answers: "Iterable[Answer]") -> Iterable[tuple[object, ...]]:
    """Yield a row for each candidate of each file; the file is named once."""
    for answer in answers:
        first = (answer.name, answer.speech_seconds, answer.status.replace("_", " "))
        if not answer.candidates:
            yield (*first, "", "", "", "")
        for rank, c in enumerate(answer.candidates, 1):
            posterior = "" if c.posterior is None else f"{c.posterior:.3f}"
            yield (*(first if rank == 1 else ("", "", "")), rank, c.name, f"{c.score:+.3f}", posterior)

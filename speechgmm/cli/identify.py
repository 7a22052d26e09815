"""The command identify: who speaks in each recording."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from speechgmm.cli import options
from speechgmm.cli.output import emit, progress, table

if TYPE_CHECKING:
    from speechgmm.evaluation import Answer, Rule


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
    from speechgmm import speakers

    rule = options.rule_of(far, prior, cost_miss, cost_fa)
    system = options.model_for(model, store)
    with options.open_store(store, system) as opened, progress() as report:
        answers = speakers.identify(system, opened, files, rule=rule, top=top, n_threads=threads, on_progress=report)
        known = speakers.enrolled(system, opened)
    damaged, calibrated = known.models.damaged, known.domain.calibration is not None
    limits = [a.threshold for a in answers if a.threshold is not None]
    extrapolated = any(a.extrapolated for a in answers)
    stated = asdict(rule) | {"far": rule.asked_far, "prior": rule.stated_prior}
    stated |= {"threshold": max(limits, default=None), "extrapolated": extrapolated}
    files_told = [_document(a) for a in answers]
    document = {"calibrated": calibrated, "rule": stated if calibrated else None, "files": files_told}
    columns = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">posterior", ">from", ">missed")
    shown = table(*columns, rows=_rows(answers)), rule_note(calibrated, rule, answers)
    emit(as_json, document, *shown, damaged=damaged, errors=((a.name, a.error) for a in answers))


def rule_note(calibrated: bool, rule: "Rule", answers: "Sequence[Answer]") -> str:
    """Return in words by which rule was decided, from which score on, and what that costs."""
    if not calibrated:
        return "\nuncalibrated: the LLR (nats per frame) ranks speakers; it is no decision"
    limits = sorted({f"{a.threshold:+.2f}" for a in answers if a.threshold is not None}, key=float)
    at = f", from an LLR of {' to '.join(dict.fromkeys((limits[0], limits[-1])))} nats on" if limits else ""
    if rule.asked_far is None:
        return f"\naccepted at least expected cost, with a prior of {rule.prior:g}{at}"
    lines = [f"\naccepted so that {100 * rule.asked_far:g} % of strangers are{at}"]
    if any(a.extrapolated for a in answers):
        lines[0] += "; extrapolated: the model was calibrated on too few speakers to be sure of this"
    if any(a.assured is False for a in answers):
        lines.append(NOT_ASSURED)
    lines += dict.fromkeys(cost for a in answers if (cost := cost_of(a)))
    return "\n".join(lines)


NOT_ASSURED = (
    "this rate is not assured: fewer than five people are enrolled, who could tell how strangers sound where they were "
    "recorded; enroll more people, or adapt the model to recordings of your microphones (speechgmm adapt)"
)


def cost_of(answer: "Answer") -> str:
    """Return in words how many owners a decision misses, and how much speech would help."""
    if answer.missed is None or math.isnan(answer.missed):
        return ""
    told = f"{answer.missed:.0%} of owners with {answer.speech_seconds:.1f} s of speech are missed"
    if answer.missed <= 0.1:
        return told
    if answer.wanted_seconds is None:
        return f"{told}; more speech in the test does not bring that to 10 %: enroll more, or allow a higher --far"
    return f"{told}; {answer.wanted_seconds:g} s would bring that to 10 %"


def _document(answer: "Answer") -> dict[str, object]:
    """Return what JSON says of one file."""
    return {
        "file": answer.name,
        "status": answer.status,
        "error": answer.error,
        "speech_seconds": answer.speech_seconds,
        "threshold": answer.threshold,
        **costs(answer),
        "decision": answer.decision,
        "candidates": [{"speaker": c.name, "llr": c.score, "posterior": c.posterior} for c in answer.candidates],
    }


def costs(answer: "Answer") -> dict[str, object]:
    """Return what JSON says of the costs of a decision."""
    missed = None if answer.missed is None or math.isnan(answer.missed) else answer.missed
    return {"missed": missed, "wanted_seconds": answer.wanted_seconds, "assured": answer.assured}


def _rows(answers: "Iterable[Answer]") -> Iterable[tuple[object, ...]]:
    """Yield a row for each candidate of each file; the file is named once."""
    for answer in answers:
        first = (answer.name, answer.speech_seconds, answer.status.replace("_", " "))
        if not answer.candidates:
            yield (*first, "", "", "", "", "", "")
        for rank, c in enumerate(answer.candidates, 1):
            posterior = "" if c.posterior is None else f"{c.posterior:.3f}"
            limit = "" if answer.threshold is None else f"{answer.threshold:+.3f}"
            missed = "" if answer.missed is None or math.isnan(answer.missed) else f"{answer.missed:.0%}"
            costs = (limit, missed) if rank == 1 else ("", "")
            yield (*(first if rank == 1 else ("", "", "")), rank, c.name, f"{c.score:+.3f}", posterior, *costs)

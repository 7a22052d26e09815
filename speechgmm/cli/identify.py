"""The command identify: who speaks in each recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from speechgmm.cli import options
from speechgmm.cli.output import counting, emit, table

if TYPE_CHECKING:
    from speechgmm.speakers import Identification, Rule


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
    from speechgmm import parallel, speakers
    from speechgmm.speakers.decision import threshold_for

    rule = options.rule_of(far, prior, cost_miss, cost_fa)
    system, mapper = options.load_model(model), parallel.threads(threads)
    calibrated = system.calibration is not None
    with speakers.SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answers = speakers.identify(system, opened, files, rule=rule, top=top, mapper=mapper, on_progress=count)
        limit = threshold_for(system.calibration, rule, len(opened.speakers))
    stated = asdict(rule) | {"far": rule.asked_far, "prior": rule.stated_prior}
    stated |= {"threshold": limit[0], "extrapolated": limit[1]}
    kept = ("file", "status", "error", "speech_seconds", "decision", "candidates")
    document = {
        "calibrated": calibrated,
        "rule": stated if calibrated else None,
        "files": [{name: value for name, value in asdict(a).items() if name in kept} for a in answers],
    }
    columns = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">posterior")
    shown = table(*columns, rows=_rows(answers)), rule_note(calibrated, rule, *limit)
    emit(as_json, document, *shown, errors=((a.file, a.error) for a in answers))


def rule_note(calibrated: bool, rule: Rule, threshold: float | None, extrapolated: bool) -> str:
    """Return in words by which rule was decided, and from which score on."""
    if not calibrated:
        return "\nuncalibrated: the LLR (nats per frame) ranks speakers; it is no decision"
    at = "" if threshold is None else f", from an LLR of {threshold:+.2f} nats on"
    if rule.asked_far is None:
        return f"\naccepted at least expected cost, with a prior of {rule.prior:g}{at}"
    beyond = "; extrapolated: the model was calibrated on too few speakers to be sure of this" if extrapolated else ""
    return f"\naccepted so that {100 * rule.asked_far:g} % of strangers are{at}{beyond}"


def _rows(answers: Iterable[Identification]) -> Iterable[tuple[object, ...]]:
    """Yield a row for each candidate of each file; the file is named once."""
    for answer in answers:
        first = (answer.file, f"{answer.speech_seconds:.2f}", answer.status.replace("_", " "))
        if not answer.candidates:
            yield (*first, "", "", "", "")
        for rank, c in enumerate(answer.candidates, 1):
            posterior = "" if c.posterior is None else f"{c.posterior:.3f}"
            yield (*(first if rank == 1 else ("", "", "")), rank, c.speaker, f"{c.llr:+.3f}", posterior)

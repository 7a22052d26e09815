"""The command verify: whether recordings are of the speaker that they are said to be of."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.identify import rule_note
from speechgmm.cli.output import counting, emit, facts

if TYPE_CHECKING:
    from speechgmm.speakers import Verification

Claimed = Annotated[str, options.argument("SPEAKER", "Who it is said to be.")]
Threshold = Annotated[float | None, typer.Option("--threshold", metavar="LLR", help="Accept from this LLR on.")]


def verify(
    speaker: Claimed,
    files: options.Files,
    store: options.Store,
    model: options.Model = None,
    threshold: Threshold = None,
    far: options.Far = None,
    prior: options.Prior = None,
    cost_miss: options.CostMiss = None,
    cost_fa: options.CostFa = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score recordings, all of them as one test, against one enrolled speaker."""
    from speechgmm import parallel, speakers

    rule = options.rule_of(far, prior, cost_miss, cost_fa, threshold)
    system, mapper = options.load_model(model), parallel.threads(threads)
    calibrated = system.calibration is not None
    with speakers.SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answer = speakers.verify(system, opened, speaker, files, rule=rule, mapper=mapper, on_progress=count)
    document = {"calibrated": calibrated} | asdict(answer) | {"files": _with_errors(files, answer.errors)}
    del document["errors"]
    note = [] if threshold is not None else [rule_note(calibrated, rule, answer.threshold, answer.extrapolated)]
    emit(as_json, document, facts(_verdict(answer, files, calibrated)), *note, errors=answer.errors)


def _with_errors(files: list[str], errors: tuple[tuple[str, str], ...]) -> list[dict[str, str | None]]:
    """Return each file with its error; of a file that is given twice, the later one has it."""
    left, result = list(errors), list[dict[str, str | None]]()
    for file in reversed(files):
        found = next((i for i in reversed(range(len(left))) if left[i][0] == file), None)
        result.append({"file": file, "error": None if found is None else left.pop(found)[1]})
    return result[::-1]


def _verdict(answer: Verification, files: list[str], calibrated: bool) -> dict[str, object]:
    """Return what people want to know of a verification."""
    used, unit = len(set(files) - {f for f, _ in answer.errors}), "nats" if calibrated else "nats per frame"
    return {
        "speaker": answer.speaker,
        "status": answer.status.replace("_", " "),
        "LLR": "-" if answer.llr is None else f"{answer.llr:+.3f} {unit}",
        "threshold": "none" if answer.threshold is None else f"{answer.threshold:+g} {unit}",
        "speech": f"{answer.speech_seconds:.2f} s in {used} of {len(files)} files",
    }

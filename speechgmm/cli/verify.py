"""The command verify: whether recordings are of the speaker that they are said to be of.

The exit status says it too: 0 accepted, 3 not accepted. Scores of a model without a calibration only rank: without a
``--threshold`` nobody is accepted.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechgmm.cli import options
from speechgmm.cli.identify import cautions, costs, reached, rule_note
from speechgmm.cli.output import emit, facts, progress

if TYPE_CHECKING:
    from speechgmm.evaluation import Answer

NOT_ACCEPTED = 3
_STATUS = {"accepted": 0, "error": 1}
"""Exit statuses of answers, where it is not `NOT_ACCEPTED`."""

Claimed = Annotated[str, options.argument("SPEAKER", "Who it is said to be.")]
Threshold = Annotated[float | None, typer.Option("--threshold", metavar="LLR", help="Accept from this LLR on.")]


def verify(
    speaker: Claimed,
    files: options.Files,
    store: options.Store,
    key_file: options.KeyFile = None,
    model: options.Model = None,
    features: options.Features = None,
    threshold: Threshold = None,
    far: options.Far = None,
    prior: options.Prior = None,
    cost_miss: options.CostMiss = None,
    cost_fa: options.CostFa = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score recordings, all of them as one test, against one enrolled speaker.

    Exit status: 0 accepted; 3 not accepted, whatever the reason, be it that a model without a calibration decides
    nothing without --threshold; 1 if something could not be read.
    """
    from speechgmm import speakers

    rule = options.rule_of(far, prior, cost_miss, cost_fa, threshold)
    sounds = options.named(files, features)
    system = options.model_for(model, store, key_file=key_file)
    with options.open_store(store, key_file, system) as opened, progress() as report:
        answer = speakers.verify(system, opened, speaker, sounds, rule=rule, n_threads=threads, on_progress=report)
        known = speakers.enrolled(system, opened, speaker)
    damaged, norm = known.models.damaged, known.domain.norm
    errors = [(s.name, s.reason) for s in answer.skipped]
    if answer.candidates and answer.error:  # too little speech in all files together
        errors.append((answer.name, answer.error))
    llr = answer.candidates[0].score if answer.candidates else None
    document = {"calibrated": norm is not None, "speaker": speaker} | _document(answer, llr)
    document["files"] = _with_errors(files, errors)
    note = [] if threshold is not None else [rule_note(norm, rule, [answer])]
    if norm and rule.asked_far is not None:  # which is told beside the threshold
        note = ["\n".join(["", *told])] if (told := cautions(norm, [answer])) else []
    shown = facts({"speaker": speaker} | _verdict(answer, llr, files, norm is not None))
    status = _STATUS.get(answer.status, NOT_ACCEPTED)
    emit(as_json, document, shown, *note, damaged=damaged, errors=errors, status=status)


def _document(answer: "Answer", llr: float | None) -> dict[str, Any]:
    """Return what JSON says of an answer."""
    return {
        "status": answer.status,
        "llr": llr,
        "threshold": answer.threshold,
        "accepted": {"accepted": True, "rejected": False}.get(answer.status),
        "speech_seconds": answer.speech_seconds,
        "extrapolated": answer.extrapolated,
        **costs(answer),
    }


def _with_errors(files: list[str], errors: list[tuple[str, str]]) -> list[dict[str, str | None]]:
    """Return each file with its error; of a file that is given twice, the later one has it."""
    left, result = list(errors), list[dict[str, str | None]]()
    for file in reversed(files):
        found = next((i for i in reversed(range(len(left))) if left[i][0] == file), None)
        result.append({"file": file, "error": None if found is None else left.pop(found)[1]})
    return result[::-1]


def _verdict(answer: "Answer", llr: float | None, files: list[str], calibrated: bool) -> dict[str, object]:
    """Return what people want to know of a verification."""
    used, unit = len(set(files) - {s.name for s in answer.skipped}), "nats" if calibrated else "nats per frame"
    far, given = (None, None) if answer.rule is None else (answer.rule.asked_far, answer.rule.threshold)
    digits = "+.3f" if given is None else "+g"  # one of the user's as it is
    by_rate = "" if far is None else f"; {reached(far)}"
    return {
        "status": answer.status.replace("_", " "),
        "LLR": "-" if llr is None else f"{llr:+.3f} {unit}",
        "threshold": "none" if answer.threshold is None else f"{answer.threshold:{digits}} {unit}{by_rate}",
        "speech": f"{answer.speech_seconds:.2f} s in {used} of {len(files)} files",
    }

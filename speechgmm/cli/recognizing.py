"""The commands that hear speakers: enroll, identify, verify."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from speechgmm.cli.options import (
    CostFaOption,
    CostMissOption,
    FarOption,
    FilesArgument,
    JsonOption,
    ManifestOption,
    ModelOption,
    PriorOption,
    StoreOption,
    ThreadsOption,
    WhereOption,
    load_corpus,
    load_model,
    rule_of,
    usage,
)
from speechgmm.cli.terminal import counting, emit, exit_if_skipped, facts, skipped, table

if TYPE_CHECKING:
    from speechgmm.features import Corpus
    from speechgmm.speakers import Identification, Rule, Verification

UNCALIBRATED = "\nuncalibrated: the LLR (nats a frame) ranks speakers; it is no decision"

NewSpeaker = Annotated[str | None, typer.Argument(metavar="SPEAKER", help="Whose recordings these are.")]
SomeFiles = Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Recordings.")]
SessionOption = Annotated[
    str | None, typer.Option("--session", metavar="NAME", help="Name of the sitting; default: each file is its own.")
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Forget first what these sessions hold (without --session: the files' own).")
]
TopOption = Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many candidates to show.")]
Claimed = Annotated[str, typer.Argument(metavar="SPEAKER", help="Who it is said to be.", show_default=False)]
Threshold = Annotated[float | None, typer.Option("--threshold", metavar="LLR", help="Accept from this LLR on.")]


def enroll(
    store: StoreOption,
    speaker: NewSpeaker = None,
    files: SomeFiles = None,
    model: ModelOption = None,
    manifest: ManifestOption = None,
    where: WhereOption = None,
    session: SessionOption = None,
    replace: ReplaceOption = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enroll recordings of a speaker, or of all speakers of a manifest; the store is made where there is none."""
    from speechgmm.parallel import threads as on_threads
    from speechgmm.speakers import SpeakerStore
    from speechgmm.speakers import enroll as enroll_into

    corpus = _to_enroll(speaker, files, session, manifest, where)
    system = load_model(model)
    with SpeakerStore(store, system, create=True) as opened, counting(len(corpus)) as count:
        done = enroll_into(system, opened, corpus, replace=replace, mapper=on_threads(threads), on_progress=count)
    sessions = [{"speaker": who, "session": name, "speech_seconds": s} for who, name, s in done.sessions]
    shown = ((who, name, f"{seconds:.2f}") for who, name, seconds in done.sessions)
    document = {"sessions": sessions, "skipped": skipped(done.skipped)}
    emit(as_json, document, table("enrolled", "session", ">speech, s", rows=shown) if sessions else "nobody enrolled")
    exit_if_skipped((s.name, s.reason) for s in done.skipped)


def identify(
    files: FilesArgument,
    store: StoreOption,
    model: ModelOption = None,
    top: TopOption = 5,
    far: FarOption = None,
    prior: PriorOption = None,
    cost_miss: CostMissOption = None,
    cost_fa: CostFaOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who speaks in each recording, or that nobody enrolled does."""
    from speechgmm.parallel import threads as on_threads
    from speechgmm.speakers import SpeakerStore
    from speechgmm.speakers import identify as identify_files
    from speechgmm.speakers.decision import threshold_for

    rule = rule_of(far, prior, cost_miss, cost_fa)
    system, mapper = load_model(model), on_threads(threads)
    calibrated = system.calibration is not None
    with SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answers = identify_files(system, opened, files, rule=rule, top=top, mapper=mapper, on_progress=count)
        limit = threshold_for(system.calibration, rule, len(opened.speakers))
    document: dict[str, object] = {"calibrated": calibrated, "rule": _rule(rule, *limit) if calibrated else None}
    kept = ("file", "status", "error", "speech_seconds", "decision", "candidates")
    document["files"] = [{name: value for name, value in asdict(a).items() if name in kept} for a in answers]
    columns = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">posterior")
    emit(as_json, document, table(*columns, rows=_ranking(answers)), _note(calibrated, rule, *limit))
    exit_if_skipped((a.file, a.error) for a in answers if a.error)


def verify(
    speaker: Claimed,
    files: FilesArgument,
    store: StoreOption,
    model: ModelOption = None,
    threshold: Threshold = None,
    far: FarOption = None,
    prior: PriorOption = None,
    cost_miss: CostMissOption = None,
    cost_fa: CostFaOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score recordings, all of them as one test, against one enrolled speaker."""
    from speechgmm.parallel import threads as on_threads
    from speechgmm.speakers import SpeakerStore
    from speechgmm.speakers import verify as verify_files

    rule = rule_of(far, prior, cost_miss, cost_fa, threshold)
    system = load_model(model)
    with SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answer = verify_files(system, opened, speaker, files, rule=rule, mapper=on_threads(threads), on_progress=count)
    calibrated = system.calibration is not None
    document = {"calibrated": calibrated} | asdict(answer)
    document["files"] = _with_errors(files, list(answer.errors))
    del document["errors"]
    note = [] if threshold is not None else [_note(calibrated, rule, answer.threshold, answer.extrapolated)]
    emit(as_json, document, facts(_verdict(answer, files, calibrated)), *note)
    exit_if_skipped(answer.errors)


def _with_errors(files: list[str], errors: list[tuple[str, str]]) -> list[dict[str, str | None]]:
    """Return each file with its error; of a file that is given twice, the later one has it."""
    result: list[dict[str, str | None]] = []
    for file in reversed(files):
        found = next((pair for pair in reversed(errors) if pair[0] == file), None)
        if found:
            errors.remove(found)
        result.append({"file": file, "error": found[1] if found else None})
    return result[::-1]


def _to_enroll(
    speaker: str | None, files: list[str] | None, session: str | None, manifest: str | None, where: list[str] | None
) -> Corpus:
    """Return the recordings to enroll: those of a manifest, or files of one speaker."""
    from speechgmm.features import Corpus

    if manifest is not None:
        if speaker is not None or session is not None:
            usage("--manifest says who speaks and when; give no SPEAKER, FILE or --session with it")
        return load_corpus(manifest, where)
    if where:
        usage("--where chooses rows of a --manifest; there is none")
    if speaker is None or not files:
        usage("give SPEAKER and at least one FILE, or --manifest")
    return Corpus.from_files(files, speaker=speaker, session=session)


def _rule(rule: Rule, threshold: float | None, extrapolated: bool) -> dict[str, object]:
    """Return how files are decided; the threshold is the LLR of the best from which it is accepted."""
    stated: dict[str, object] = {
        "far": rule.asked_far,
        "prior": rule.stated_prior,
        "cost_miss": rule.cost_miss,
        "cost_fa": rule.cost_fa,
    }
    return stated | {"threshold": threshold, "extrapolated": extrapolated}


def _note(calibrated: bool, rule: Rule, threshold: float | None, extrapolated: bool) -> str:
    """Return what the answers rest on."""
    if not calibrated:
        return UNCALIBRATED
    at = "" if threshold is None else f", from an LLR of {threshold:+.2f} nats on"
    if rule.asked_far is None:
        return f"\naccepted at least expected cost, with a prior of {rule.prior:g}{at}"
    beyond = "; extrapolated: the model was calibrated on too few speakers to be sure of this" if extrapolated else ""
    return f"\naccepted so that {100 * rule.asked_far:g} % of strangers are{at}{beyond}"


def _verdict(answer: Verification, files: list[str], calibrated: bool) -> dict[str, object]:
    """Return what people want to know of a verification."""
    used, unit = len(set(files) - {f for f, _ in answer.errors}), "nats" if calibrated else "nats a frame"
    return {
        "speaker": answer.speaker,
        "status": answer.status.replace("_", " "),
        "LLR": "-" if answer.llr is None else f"{answer.llr:+.3f} {unit}",
        "threshold": "none" if answer.threshold is None else f"{answer.threshold:+g} {unit}",
        "speech": f"{answer.speech_seconds:.2f} s in {used} of {len(files)} files",
    }


def _ranking(answers: Iterable[Identification]) -> Iterable[tuple[object, ...]]:
    """Yield the rows of the candidates of each file; the file is named once."""
    for answer in answers:
        first = (answer.file, f"{answer.speech_seconds:.2f}", answer.status.replace("_", " "))
        if not answer.candidates:
            yield (*first, "", "", "", "")
        for rank, c in enumerate(answer.candidates, 1):
            posterior = "" if c.posterior is None else f"{c.posterior:.3f}"
            yield (*(first if rank == 1 else ("", "", "")), rank, c.speaker, f"{c.llr:+.3f}", posterior)

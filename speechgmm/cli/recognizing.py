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
    check_decision,
    load_corpus,
    load_model,
    usage,
)
from speechgmm.cli.terminal import counting, emit, exit_if_skipped, facts, skipped, table

if TYPE_CHECKING:
    from speechgmm.features import Corpus
    from speechgmm.speakers import Identification, Verification

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
Threshold = Annotated[
    float | None, typer.Option("--threshold", metavar="LLR", help="Accept from this score on, in nats a frame.")
]


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
    """Rank the enrolled speakers for each recording."""
    from speechgmm.parallel import threads as on_threads
    from speechgmm.speakers import SpeakerStore
    from speechgmm.speakers import identify as identify_files

    system = load_model(model)
    check_decision(model, far, prior, cost_miss, cost_fa)
    with SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answers = identify_files(system, opened, files, top=top, mapper=on_threads(threads), on_progress=count)
    document = {"calibrated": system.calibration is not None, "files": [asdict(a) for a in answers]}
    ranking = table("file", ">speech, s", ">rank", "speaker", ">LLR", rows=_ranking(answers))
    emit(as_json, document, ranking, UNCALIBRATED)
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

    if threshold is not None and any(x is not None for x in (far, prior, cost_miss, cost_fa)):
        usage("give --threshold, or --far, or --prior with costs")
    system = load_model(model)
    check_decision(model, far, prior, cost_miss, cost_fa)
    with SpeakerStore(store, system) as opened, counting(len(files)) as count:
        answer = verify_files(
            system, opened, speaker, files, threshold=threshold, mapper=on_threads(threads), on_progress=count
        )
    errors = dict(answer.errors)
    document = {"calibrated": system.calibration is not None} | asdict(answer)
    document["files"] = [{"file": f, "error": errors.get(f)} for f in files]
    del document["errors"]
    emit(as_json, document, facts(_verdict(answer, len(files))), *([UNCALIBRATED] if threshold is None else []))
    exit_if_skipped(answer.errors)


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


def _verdict(answer: Verification, files: int) -> dict[str, object]:
    """Return what people want to know of a verification."""
    used = files - len(answer.errors)
    return {
        "speaker": answer.speaker,
        "status": answer.status.replace("_", " "),
        "LLR": "-" if answer.llr is None else f"{answer.llr:+.3f} nats a frame",
        "threshold": "none" if answer.threshold is None else f"{answer.threshold:+g} nats a frame",
        "speech": f"{answer.speech_seconds:.2f} s in {used} of {files} files",
    }


def _ranking(answers: Iterable[Identification]) -> Iterable[tuple[object, ...]]:
    """Yield the rows of the candidates of each file; the file is named once."""
    for answer in answers:
        first = (answer.file, f"{answer.speech_seconds:.2f}")
        if answer.error:
            yield (answer.file, "", "", f"({answer.status.replace('_', ' ')})", "")
        for rank, candidate in enumerate(answer.candidates, 1):
            yield (*(first if rank == 1 else ("", "")), rank, candidate.speaker, f"{candidate.llr:+.3f}")

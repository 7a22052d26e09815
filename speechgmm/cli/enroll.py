"""The command enroll: recordings of speakers go into a store."""

from dataclasses import asdict
from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.output import emit, progress, table

NewSpeaker = Annotated[str | None, options.argument("SPEAKER", "Whose recordings these are.")]
Session = Annotated[
    str | None, options.option("--session", "NAME", "Name of the sitting; default: each file is its own.")
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Forget first what these sessions hold (without --session: the files' own).")
]
FEW = "\n{} enrolled: from {} on it can be told how strangers sound, and rates are assured"


def enroll(
    store: options.Store,
    key_file: options.KeyFile = None,
    speaker: NewSpeaker = None,
    files: options.SomeFiles = None,
    model: options.Model = None,
    manifest: options.Manifest = None,
    where: options.Where = None,
    features: options.Features = None,
    session: Session = None,
    replace: Replace = False,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Enroll recordings of a speaker, or of all speakers of a manifest; the store is made where there is none."""
    from speechgmm import speakers

    if manifest is not None:
        if speaker is not None or session is not None:
            options.usage("--manifest says who speaks and when; give no SPEAKER, FILE or --session with it")
        corpus = options.load_corpus(manifest, where, features=features)
    elif where:
        options.usage("--where chooses rows of a --manifest; there is none")
    elif speaker is None or not files:
        options.usage("give SPEAKER and at least one FILE, or --manifest")
    else:
        corpus = options.named(files, features, speaker=speaker, session=session)
    system = options.model_for(model, store, corpus, create=True, key_file=key_file)
    with options.open_store(store, key_file, system, create=True) as opened, progress() as report:
        done = speakers.enroll(system, opened, corpus, replace=replace, n_threads=threads, on_progress=report)
        enrolled = len(opened.speakers)
    sessions = [{"speaker": s.speaker, "session": s.name, "speech_seconds": s.speech_seconds} for s in done.sessions]
    shown = table("enrolled", "session", ">speech, s", rows=(s.values() for s in sessions))
    assured = enrolled >= speakers.ASSURED
    document: dict[str, object] = {"sessions": sessions, "little_speech": [asdict(s) for s in done.little]}
    strange = [{"file": u.name, **asdict(u.why)} for u in done.unfamiliar]
    document |= {"enrolled": enrolled, "assured": assured, "unfamiliar": strange}
    told = [shown if sessions else "nobody enrolled"]
    if sessions and not assured:
        told.append(FEW.format(f"{enrolled} {'person is' if enrolled == 1 else 'people are'}", speakers.ASSURED))
    emit(as_json, document, *told, warnings=[*map(str, done.little), *map(str, done.unfamiliar)], skipped=done.skipped)

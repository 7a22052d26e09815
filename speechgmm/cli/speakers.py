"""The commands about the enrolled: speakers list, show, remove, rename, check, export, import."""

import itertools
import os
from typing import Annotated

import typer

from speechgmm import storage
from speechgmm.checks import number_of
from speechgmm.cli import options
from speechgmm.cli.output import Command, emit, table
from speechgmm.files import check_writable

app = typer.Typer(
    no_args_is_help=True, help="List, show, remove, rename, check, export or import the enrolled speakers."
)

Speaker = Annotated[str, options.argument("SPEAKER", "An enrolled speaker.")]
NewName = Annotated[str, options.argument("NEW", "A name that nobody has.")]
OneSession = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
SomeSpeakers = Annotated[list[str] | None, options.argument("SPEAKER", "Default: all.")]
ExportFile = Annotated[str, options.output("OUT", "One file with all that is kept of them.")]
ImportFile = Annotated[str, options.argument("FILE", "What speakers export has written.")]


@app.command("list", cls=Command)
def list_speakers(store: options.Store, as_json: options.Json = False) -> None:
    """List the enrolled speakers."""
    with options.open_store(store) as opened:
        overview, damaged = opened.overview(), opened.damaged()
    rows = []
    for speaker, sessions in itertools.groupby(overview, key=lambda s: s.speaker):
        held = list(sessions)
        recordings, seconds = sum(len(s.recordings) for s in held), sum(s.speech_seconds for s in held)
        rows.append((speaker, len(held), recordings, seconds))
    names = ("speaker", "sessions", "recordings", "speech_seconds")
    document = {"speakers": [dict(zip(names, row, strict=True)) for row in rows]}
    emit(as_json, document, table("speaker", ">sessions", ">recordings", ">speech, s", rows=rows), damaged=damaged)


@app.command(cls=Command)
def show(speaker: Speaker, store: options.Store, as_json: options.Json = False) -> None:
    """Show the sessions of a speaker."""
    with options.open_store(store) as opened:
        sessions, damaged = opened.overview(speaker), opened.damaged(speaker)
    told = [{"session": s.name, "speech_seconds": s.speech_seconds, "recordings": list(s.recordings)} for s in sessions]
    document = {"speaker": speaker, "speech_seconds": sum(s.speech_seconds for s in sessions), "sessions": told}
    rows = ((s.name, s.speech_seconds, "\n".join(s.recordings)) for s in sessions)
    emit(as_json, document, table("session", ">speech, s", "recordings", rows=rows), damaged=damaged)


@app.command(cls=Command)
def remove(speaker: Speaker, store: options.Store, session: OneSession = None, as_json: options.Json = False) -> None:
    """Forget a speaker, or one session: what is left is as if it had never been enrolled."""
    with options.open_store(store) as opened:
        opened.remove(speaker, session)
    what = speaker if session is None else f"session {session} of {speaker}"
    emit(as_json, {"removed": speaker, "session": session}, f"removed {what}")


@app.command(cls=Command)
def rename(old: Speaker, new: NewName, store: options.Store, as_json: options.Json = False) -> None:
    """Give a speaker another name."""
    with options.open_store(store) as opened:
        opened.rename(old, new)
    emit(as_json, {"old": old, "new": new}, f"renamed {old} to {new}")


@app.command(cls=Command)
def export(
    store: options.Store, output: ExportFile, speakers: SomeSpeakers = None, as_json: options.Json = False
) -> None:
    """Write all that is kept of speakers to one file."""
    from speechgmm.speakers import SpeakerExport

    check_writable(output, storage.kind_of(SpeakerExport))
    with options.open_store(store) as opened:
        export, damaged = opened.export(*speakers or ()), opened.damaged(*speakers or ())
    storage.save(export, output)
    names = sorted({s.speaker for s in export.sessions})
    document = {"output": output, "speakers": names, "sessions": len(export.sessions)}
    said = f"wrote {len(export.sessions)} sessions of {len(names)} speakers to {output}"
    emit(as_json, document, said, damaged=damaged)
    if damaged:
        raise typer.Exit(1)


@app.command(cls=Command)
def check(store: options.Store, model: options.Model = None, as_json: options.Json = False) -> None:
    """Read everything that a store holds, and say what is wrong with it; with its model, whether it fits that too."""
    from speechgmm.speakers import packaged_with

    with options.open_store(store) as opened:
        system = packaged_with(opened.fingerprint) if model is None else options.model_for(model)
        found = opened.check(system)
    document = {"passed": found.passed, "fingerprint": found.fingerprint, "faults": list(found.faults)}
    document |= {"sessions": found.sessions, "recordings": found.recordings}
    told = f"{number_of(found.sessions, 'session')} of {number_of(found.recordings, 'recording')}"
    said = f"{store}: {told} can be read" + (", and nothing is wrong" if found.passed else "")
    faults = [f"the file itself: {fault}" for fault in found.faults]
    emit(as_json, document, said, damaged=found.damaged, warnings=faults, status=0 if found.passed else 1)


@app.command("import", cls=Command)
def import_speakers(
    file: ImportFile, store: options.Store, model: options.Model = None, as_json: options.Json = False
) -> None:
    """Enroll speakers from a file that export has written: all of them, or after an error nobody."""
    from speechgmm.speakers import load_export, packaged_with

    export = load_export(file)
    system = packaged_with(export.fingerprint) if model is None else options.model_for(model)
    if system is None and "://" not in store and not os.path.exists(store):
        options.usage("give --model: the store is new, and what is imported is of no packaged model")
    with options.open_store(store, system, create=system is not None) as opened:
        there = sorted({s.speaker for s in export.sessions} & set(opened.speakers))
        opened.add_export(export)
    told = export.summary()
    document = {"imported": file, **{k: told[k] for k in ("speakers", "sessions", "recordings")}, "known": there}
    said = f"imported {told['sessions']} sessions of {len(told['speakers'])} speakers"
    emit(as_json, document, said + (f"; enrolled before: {', '.join(there)}" if there else ""))

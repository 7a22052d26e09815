"""The commands about the enrolled: speakers list, show, remove, rename, export."""

import itertools
from typing import Annotated

import typer

from speechgmm import storage
from speechgmm.cli import options
from speechgmm.cli.output import Command, emit, table
from speechgmm.files import check_writable

app = typer.Typer(no_args_is_help=True, help="List, show, remove, rename or export the enrolled speakers.")

Speaker = Annotated[str, options.argument("SPEAKER", "An enrolled speaker.")]
NewName = Annotated[str, options.argument("NEW", "A name that nobody has.")]
OneSession = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
SomeSpeakers = Annotated[list[str] | None, options.argument("SPEAKER", "Default: all.")]
ExportFile = Annotated[str, options.output("OUT", "One file with their statistics.")]


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
    """Write the statistics of speakers to one file."""
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

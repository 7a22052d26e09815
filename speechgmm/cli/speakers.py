"""The commands about the enrolled: speakers list, show, remove, rename, export."""

from __future__ import annotations

from typing import Annotated

import typer

from speechgmm.cli.options import JsonOption, StoreOption, check_output
from speechgmm.cli.terminal import emit, table

app = typer.Typer(no_args_is_help=True, help="List, show, remove, rename or export the enrolled speakers.")

Speaker = Annotated[str, typer.Argument(metavar="S", help="An enrolled speaker.", show_default=False)]
NewName = Annotated[str, typer.Argument(metavar="NEW", help="A name that nobody has.", show_default=False)]
OneSession = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
SomeSpeakers = Annotated[list[str] | None, typer.Argument(metavar="S", help="Default: all.")]
ExportFile = Annotated[
    str, typer.Option("--output", "-o", metavar="OUT", help="One file with their statistics.", show_default=False)
]


@app.command("list")
def list_speakers(store: StoreOption, as_json: JsonOption = False) -> None:
    """List the enrolled speakers."""
    from speechgmm.speakers import SpeakerStore

    held: dict[str, list[float]] = {}
    with SpeakerStore(store) as opened:
        for s in opened.overview():
            total = held.setdefault(s.speaker, [0, 0, 0.0])
            held[s.speaker] = [total[0] + 1, total[1] + len(s.recordings), total[2] + s.seconds]
    rows = [(name, *total) for name, total in held.items()]
    names = ("speaker", "sessions", "recordings", "speech_seconds")
    shown = ((name, n, m, f"{seconds:.2f}") for name, n, m, seconds in rows)
    document = {"speakers": [dict(zip(names, row, strict=True)) for row in rows]}
    emit(as_json, document, table("speaker", ">sessions", ">recordings", ">speech, s", rows=shown))


@app.command()
def show(speaker: Speaker, store: StoreOption, as_json: JsonOption = False) -> None:
    """Show the sessions of a speaker."""
    from speechgmm.speakers import SpeakerStore

    with SpeakerStore(store) as opened:
        sessions = opened.overview(speaker)
    rows = [{"session": s.name, "speech_seconds": s.seconds, "recordings": list(s.recordings)} for s in sessions]
    shown = [
        (s.name if i == 0 else "", f"{s.seconds:.2f}" if i == 0 else "", recording)
        for s in sessions
        for i, recording in enumerate(s.recordings)
    ]
    document = {"speaker": speaker, "speech_seconds": sum(s.seconds for s in sessions), "sessions": rows}
    emit(as_json, document, table("session", ">speech, s", "recordings", rows=shown))


@app.command()
def remove(speaker: Speaker, store: StoreOption, session: OneSession = None, as_json: JsonOption = False) -> None:
    """Forget a speaker, or one session: what is left is as if it had never been enrolled."""
    from speechgmm.speakers import SpeakerStore

    with SpeakerStore(store) as opened:
        opened.remove(speaker, session)
    what = speaker if session is None else f"session {session} of {speaker}"
    emit(as_json, {"removed": speaker, "session": session}, f"removed {what}")


@app.command()
def rename(old: Speaker, new: NewName, store: StoreOption, as_json: JsonOption = False) -> None:
    """Give a speaker another name."""
    from speechgmm.speakers import SpeakerStore

    with SpeakerStore(store) as opened:
        opened.rename(old, new)
    emit(as_json, {"old": old, "new": new}, f"renamed {old} to {new}")


@app.command()
def export(store: StoreOption, output: ExportFile, speakers: SomeSpeakers = None, as_json: JsonOption = False) -> None:
    """Write the statistics of speakers to one file."""
    from speechgmm import storage
    from speechgmm.speakers import SpeakerStore

    check_output(output)
    with SpeakerStore(store) as opened:
        export = opened.export(*speakers or ())
    storage.save(export, output)
    names = sorted({s.speaker for s in export.sessions})
    document = {"output": output, "speakers": names, "sessions": len(export.sessions)}
    emit(as_json, document, f"wrote {len(export.sessions)} sessions of {len(names)} speakers to {output}")

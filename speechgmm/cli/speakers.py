"""The commands about the enrolled: speakers list, show, remove, rename, annotate, purge, check, rekey, export, ..."""

import itertools
import os
from dataclasses import asdict, replace
from typing import Annotated

import typer

from speechgmm import storage
from speechgmm.checks import number_of
from speechgmm.cli import options
from speechgmm.cli.output import Command, emit, facts, progress, table
from speechgmm.files import check_writable

app = typer.Typer(
    no_args_is_help=True,
    help="List, show, remove, rename, annotate or purge the enrolled; check, encrypt, export, import, index.",
)

Speaker = Annotated[str, options.argument("SPEAKER", "An enrolled speaker.")]
NewName = Annotated[str, options.argument("NEW", "A name that nobody has.")]
OneSession = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
SomeSpeakers = Annotated[list[str] | None, options.argument("SPEAKER", "Default: all.")]
ExportFile = Annotated[str, options.output("OUT", "One file with all that is kept of them.")]
IndexFile = Annotated[str, options.output("INDEX", "The models of everybody, for identify --index.")]
ImportFile = Annotated[str, options.argument("FILE", "What speakers export has written.")]

Consent = Annotated[str | None, options.option("--consent", "TEXT", "What the speaker has agreed to, and where.")]
Note = Annotated[str | None, options.option("--note", "TEXT", "Anything else.")]
KeepUntil = Annotated[
    str | None, options.option("--keep-until", "DAY", "The last day, such as 2027-01-31; then purge forgets them.")
]
Day = Annotated[str | None, options.option("--on", "DAY", "The day that it is. Default: today.")]
NewKeyFile = Annotated[
    str | None, options.option("--new-key-file", "KEY", "File of the new key: 32 random bytes or more.")
]
Decrypt = Annotated[bool, typer.Option("--decrypt", help="Write everything as it is, without a key.")]

NOT_ENCRYPTED = "the store is encrypted, and {} is not: it holds the names and models of everybody"


@app.command("list", cls=Command)
def list_speakers(store: options.Store, key_file: options.KeyFile = None, as_json: options.Json = False) -> None:
    """List the enrolled speakers."""
    with options.open_store(store, key_file) as opened:
        overview, damaged, notes = opened.overview(), opened.damaged(), opened.notes()
    rows = []
    for speaker, sessions in itertools.groupby(overview, key=lambda s: s.speaker):
        held = list(sessions)
        recordings, seconds = sum(len(s.recordings) for s in held), sum(s.speech_seconds for s in held)
        last = notes[speaker].keep_until if speaker in notes else ""
        rows.append((speaker, len(held), recordings, seconds, last))
    names = ("speaker", "sessions", "recordings", "speech_seconds", "keep_until")
    document = {"speakers": [dict(zip(names, row, strict=True)) for row in rows]}
    columns = ("speaker", ">sessions", ">recordings", ">speech, s", "keep until")
    some = columns if any(last for *_, last in rows) else columns[:-1]
    emit(as_json, document, table(*some, rows=(row[: len(some)] for row in rows)), damaged=damaged)


@app.command(cls=Command)
def show(
    speaker: Speaker, store: options.Store, key_file: options.KeyFile = None, as_json: options.Json = False
) -> None:
    """Show the sessions of a speaker, and what was noted of them."""
    from speechgmm.speakers import SpeakerNote

    with options.open_store(store, key_file) as opened:
        sessions, damaged, notes = opened.overview(speaker), opened.damaged(speaker), opened.notes()
    told = [{"session": s.name, "speech_seconds": s.speech_seconds, "recordings": list(s.recordings)} for s in sessions]
    noted = asdict(notes.get(sessions[0].speaker, SpeakerNote()))
    document = {
        "speaker": speaker,
        "speech_seconds": sum(s.speech_seconds for s in sessions),
        "sessions": told,
        **noted,
    }
    rows = ((s.name, s.speech_seconds, "\n".join(s.recordings)) for s in sessions)
    said = {name.replace("_", " "): text for name, text in noted.items() if text}
    shown = table("session", ">speech, s", "recordings", rows=rows)
    emit(as_json, document, shown, *(("", facts(said)) if said else ()), damaged=damaged)


@app.command(cls=Command)
def remove(
    speaker: Speaker,
    store: options.Store,
    session: OneSession = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Forget a speaker, or one session: what is left is as if it had never been enrolled.

    What is removed is overwritten in the store's file. Not reached: backups, snapshots, exports, indexes.
    """
    from speechgmm.speakers import NOT_REACHED

    with options.open_store(store, key_file) as opened:
        opened.remove(speaker, session)
    what = speaker if session is None else f"session {session} of {speaker}"
    document = {"removed": speaker, "session": session, "not_reached": NOT_REACHED}
    emit(as_json, document, f"removed {what}", f"not reached: {NOT_REACHED}")


@app.command(cls=Command)
def rename(
    old: Speaker,
    new: NewName,
    store: options.Store,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Give a speaker another name."""
    with options.open_store(store, key_file) as opened:
        opened.rename(old, new)
    emit(as_json, {"old": old, "new": new}, f"renamed {old} to {new}")


@app.command(cls=Command)
def export(
    store: options.Store,
    output: ExportFile,
    speakers: SomeSpeakers = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Write all that is kept of speakers to one file."""
    from speechgmm.speakers import SpeakerExport

    check_writable(output, storage.kind_of(SpeakerExport))
    with options.open_store(store, key_file) as opened:
        export, damaged = opened.export(*speakers or ()), opened.damaged(*speakers or ())
    storage.save(export, output)
    names = sorted({s.speaker for s in export.sessions})
    document = {"output": output, "speakers": names, "sessions": len(export.sessions)}
    said = f"wrote {len(export.sessions)} sessions of {len(names)} speakers to {output}"
    emit(as_json, document, said, damaged=damaged)
    if damaged:
        raise typer.Exit(1)


@app.command("index", cls=Command)
def write_index(
    store: options.Store,
    output: IndexFile,
    model: options.Model = None,
    key_file: options.KeyFile = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Write an index of everybody: among many thousands of people identify then takes seconds for minutes."""
    from speechgmm.speakers import SpeakerIndex

    system = options.model_for(model, store, key_file=key_file)
    with options.open_store(store, key_file, system) as opened, progress() as report:
        damaged = SpeakerIndex.write(system, opened, output, n_threads=threads, on_progress=report)
        found, encrypted = SpeakerIndex.open(output, system, opened), opened.encrypted
    document = {"output": output, "speakers": len(found.head.names), "bytes": os.path.getsize(output)}
    said = f"wrote {number_of(len(found.head.names), 'speaker')} to {output}"
    emit(as_json, document, said, damaged=damaged, warnings=[NOT_ENCRYPTED.format(output)] if encrypted else [])


@app.command(cls=Command)
def check(
    store: options.Store,
    model: options.Model = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Read everything that a store holds, and say what is wrong with it; with its model, whether it fits that too."""
    from speechgmm.speakers import packaged_with

    with options.open_store(store, key_file) as opened:
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
    file: ImportFile,
    store: options.Store,
    model: options.Model = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Enroll speakers from a file that export has written: all of them, or after an error nobody."""
    from speechgmm.speakers import load_export, packaged_with

    export = load_export(file)
    system = packaged_with(export.fingerprint) if model is None else options.model_for(model)
    if system is None and "://" not in store and not os.path.exists(store):
        options.usage("give --model: the store is new, and what is imported is of no packaged model")
    with options.open_store(store, key_file, system, create=system is not None) as opened:
        there = sorted({s.speaker for s in export.sessions} & set(opened.speakers))
        opened.add_export(export)
    told = export.summary()
    document = {"imported": file, **{k: told[k] for k in ("speakers", "sessions", "recordings")}, "known": there}
    said = f"imported {told['sessions']} sessions of {len(told['speakers'])} speakers"
    emit(as_json, document, said + (f"; enrolled before: {', '.join(there)}" if there else ""))


@app.command(cls=Command)
def annotate(
    speaker: Speaker,
    store: options.Store,
    consent: Consent = None,
    note: Note = None,
    keep_until: KeepUntil = None,
    key_file: options.KeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Note what a speaker has agreed to and until when they are kept; what is not given stays, "" forgets it."""
    from speechgmm.speakers import SpeakerNote

    given = {"consent": consent, "note": note, "keep_until": keep_until}
    new = {name: text for name, text in given.items() if text is not None}
    if not new:
        options.usage("give --consent, --note or --keep-until")
    options.asked(lambda: SpeakerNote(**new))
    with options.open_store(store, key_file) as opened:
        (known,) = opened.known(speaker)
        noted = replace(opened.notes().get(known, SpeakerNote()), **new)
        opened.annotate(speaker, noted)
    emit(as_json, {"speaker": known, **asdict(noted)}, f"noted of {known}: {', '.join(n for n in new)}")


@app.command(cls=Command)
def purge(
    store: options.Store, on: Day = None, key_file: options.KeyFile = None, as_json: options.Json = False
) -> None:
    """Forget all speakers whose last day (annotate --keep-until) has passed, as remove does."""
    from speechgmm.speakers import NOT_REACHED

    with options.open_store(store, key_file) as opened:
        gone = opened.purge(on)
    said = [f"removed {number_of(len(gone), 'speaker')}: {', '.join(gone)}", f"not reached: {NOT_REACHED}"]
    emit(as_json, {"removed": list(gone), "not_reached": NOT_REACHED}, *(said if gone else ["nobody is due"]))


@app.command(cls=Command)
def rekey(
    store: options.Store,
    key_file: options.KeyFile = None,
    new_key_file: NewKeyFile = None,
    decrypt: Decrypt = False,
    as_json: options.Json = False,
) -> None:
    """Encrypt everything anew by another key; a store that is not encrypted becomes so, and with --decrypt readable."""
    from speechgmm.speakers import read_key

    if (new_key_file is None) != decrypt:
        options.usage("give --new-key-file or --decrypt")
    key = None if new_key_file is None else read_key(new_key_file)
    with options.open_store(store, key_file) as opened:
        opened.rekey(key)
        names = opened.speakers
    how = "encrypted by the new key" if key else "not encrypted any more"
    document = {"store": store, "encrypted": key is not None, "speakers": len(names)}
    emit(as_json, document, f"{store}: {number_of(len(names), 'speaker')}, {how}")


@app.command(cls=Command)
def audit(store: options.Store, key_file: options.KeyFile = None, as_json: options.Json = False) -> None:
    """Show what was done to a store, when and by which version: how many of what, and no names."""
    with options.open_store(store, key_file) as opened:
        entries = [asdict(entry) for entry in opened.audit()]
    columns = (">number", "time (UTC)", "version", "action", ">speakers", ">sessions", ">recordings")
    emit(as_json, {"entries": entries}, table(*columns, rows=(entry.values() for entry in entries)))

"""Corpora: which recordings there are, who speaks in each. A CSV manifest, a folder of folders, a Kaldi directory.

`read_corpus` says what is listed and opens no sound; a recording that is missing or damaged is reported when it is
read, so that one bad file does not lose the others.
"""

import csv
import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from speechgmm.checks import composed, escaped, hold, number_of, refuse, visible, with_article
from speechgmm.errors import SpeechGMMWarning
from speechgmm.features import pyav, sndfile
from speechgmm.files import check_readable
from speechgmm.tables import DELIMITERS, Header, parse_header, reading

AUDIO_ENDINGS = sndfile.ENDINGS | pyav.ENDINGS
"""What looks like sound by its name: what of it cannot be read is left out, with the reason, and not passed over."""

_COLUMNS = ("path", "speaker", "session", "start", "end", "channel")
"""The columns of a CSV that mean something to everybody."""

_NAMED = 5
"""How many files a warning names."""

_CORPORA = (
    "Give a CSV with the columns path and speaker, a folder with one subfolder for each speaker, or a Kaldi directory."
)
_UNLABELED = "Give a CSV with the column path, a folder with sound files, or a Kaldi directory."


@dataclass(frozen=True)
class Recording:
    """One recording, or a part of one.

    Parameters
    ----------
    path : str
        The sound file.
    speaker : str
        Held, as the session is, as composed text (NFC), however it is spelled in files and folders.
    name : str
        What tables call it: the path as the corpus writes it, or the utterance of a Kaldi directory. Where a CSV
        lists a path several times, its part and channel are added: ``call.wav@0-5.5#1``.
    session : str or None
        The call, day or sitting; None where the corpus does not say: then each recording is its own.
    start, end : float
        The part that counts, in seconds; `end` None is the end of the file. One that lies up to 0.05 s after it is
        trimmed: see `audio.read`.
    channel : int or "mix"
    columns : mapping
        Everything that the corpus says of it, as text: what `Corpus.where` asks.
    """

    path: str
    speaker: str
    name: str
    session: str | None = None
    start: float = 0.0
    end: float | None = None
    channel: int | str = "mix"
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names of speaker and session, and hold each in its one spelling."""
        hold(self, speaker=visible(self.speaker, "a speaker's name"))
        if self.session is not None:
            hold(self, session=visible(self.session, "a session's name"))

    @property
    def session_name(self) -> str:
        """The session, or the recording's own name where it is not known."""
        return self.session or escaped(self.name)


@dataclass(frozen=True)
class Corpus:
    """Recordings in the order in which the `source` lists them."""

    recordings: tuple[Recording, ...]
    source: str

    def __iter__(self) -> Iterator[Recording]:
        """Iterate over the recordings."""
        return iter(self.recordings)

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.recordings)

    @classmethod
    def from_files(
        cls, files: Iterable[str | os.PathLike[str]], *, speaker: str = "", session: str | None = None
    ) -> Self:
        """List files of one speaker, or of nobody known, under the names given.

        Raises
        ------
        InvalidInput
            If there is no file, or one without a name.

        Examples
        --------
        >>> [r.name for r in Corpus.from_files(["a.wav", "b.wav"], speaker="ann")]
        ['a.wav', 'b.wav']
        """
        recordings = tuple(Recording(str(f), speaker, str(f), session) for f in files)
        if not recordings:
            refuse("files", "be at least one", "none")
        if not all(r.path for r in recordings):
            refuse("files", "have names", repr([r.path for r in recordings]))
        return cls(recordings, "the files given")

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, sorted."""
        return tuple(sorted({r.speaker for r in self.recordings}))

    def column(self, name: str, what: str = "label") -> tuple[str, ...]:
        """Return what each recording has in a column, by its name in whatever case; `what` it is for, in messages.

        Raises
        ------
        InvalidInput
            If there is no such column, or a recording has nothing in it.
        """
        name = self._spelled(name)
        for r in self.recordings:
            if name not in r.columns:
                refuse(f"the {what}", f"name a column: {', '.join(r.columns)}", repr(name), "Choose one of these.")
            if not r.columns[name]:
                refuse(f"the column {name!r}", f"hold a {what} for every recording", f"nothing for {r.name}")
        return tuple(visible(r.columns[name], f"the column {name!r}") for r in self.recordings)

    def where(self, /, **conditions: str | Collection[str]) -> "Corpus":
        """Keep the recordings whose columns, named in whatever case, have these values, or one of several values.

        Raises
        ------
        InvalidInput
            If there is no such column, or nothing is left.

        Examples
        --------
        >>> a = Recording("a.wav", "ann", "a.wav", columns={"split": "ubm"})
        >>> b = Recording("b.wav", "bob", "b.wav", columns={"split": "test"})
        >>> Corpus((a, b), "example").where(split="test").speakers
        ('bob',)
        """
        kept = self.recordings
        for name, values in conditions.items():
            column, known = self._spelled(name), sorted({c for r in self.recordings for c in r.columns})
            if column not in known:
                refuse("the condition", f"name a column of {self.source}: {', '.join(known)}", repr(column))
            wanted = {composed(v) for v in ([values] if isinstance(values, str) else values)}
            kept = tuple(r for r in kept if composed(r.columns.get(column, "")) in wanted)
        if not kept:
            found = ", ".join(f"{k}={v}" for k, v in conditions.items())
            refuse("the condition", f"keep at least one of the {len(self)} recordings of {self.source}", found)
        return replace(self, recordings=kept)

    def _spelled(self, name: str) -> str:
        """Return the name of a column as the corpus spells it, if it has one of this name in one case or another."""
        known = {c.casefold(): c for r in self.recordings for c in r.columns}
        return name if any(name in r.columns for r in self.recordings) else known.get(name.casefold(), name)


def read_corpus(path: str | os.PathLike[str], *, label: str | None = "speaker") -> Corpus:
    """Read a corpus.

    Parameters
    ----------
    path : path
        A CSV with the columns ``path,speaker`` and, if wanted, ``session,start,end,channel`` and any others, divided
        by commas, semicolons or tabs and named in whatever case (`speechgmm.tables`), its paths relative to itself;
        or a folder with one subfolder for each speaker (folders inside are sessions); or
        a Kaldi data directory (``wav.scp``, ``utt2spk`` and, if wanted, ``segments``).
    label : str or None
        The column of a CSV that must name what each recording is, instead of the speaker. Folders are "label", too.
        None: nobody needs to know; a CSV needs the column ``path`` alone, a folder no subfolders, and a Kaldi
        directory no ``utt2spk``.

    Raises
    ------
    InvalidInput
        If there is no such thing, it is empty, lacks a column or file, or has a line that says nothing usable.

    Warns
    -----
    SpeechGMMWarning
        If sound files lie in a folder itself, where nobody can say whose they are.
    """
    p, advice = Path(path), _UNLABELED if label is None else _CORPORA
    if not p.exists():
        refuse("a corpus", "exist", f"{p}, which does not", advice)
    check_readable(p, "a corpus")
    if p.is_file():
        recordings = _read_csv(p, label)
    elif (p / "wav.scp").exists():
        recordings = _read_kaldi(p, label)
    else:
        recordings = _read_folder(p, label)
    recordings = _named_apart(recordings)
    if not recordings:
        refuse(f"the corpus {p}", "list at least one recording", "none", advice)
    seen: set[tuple[str, float, float | None, str]] = set()
    for r in recordings:
        part = (r.path, r.start, r.end, str(r.channel))
        if part in seen:
            refuse(str(p), "list each recording once", f"{r.name} twice")
        seen.add(part)
    return Corpus(tuple(recordings), str(p))


def _named_apart(recordings: list[Recording]) -> list[Recording]:
    """Add part and channel to names that come several times: ``call.wav@0-5.5#1``."""
    count = Counter(r.name for r in recordings)
    return [replace(r, name=r.name + _part(r)) if count[r.name] > 1 else r for r in recordings]


def _part(r: Recording) -> str:
    span = "" if (r.start, r.end) == (0.0, None) else f"@{r.start:g}-{'' if r.end is None else format(r.end, 'g')}"
    return span + ("" if r.channel == "mix" else f"#{r.channel}")


def _read_csv(path: Path, label: str | None) -> list[Recording]:
    required = ("path",) if label is None else ("path", label)
    with reading(path) as file:
        number, line = next(((n, line) for n, line in enumerate(file, 1) if line.strip()), (0, ""))
        header = parse_header(line, required, _COLUMNS)
        if missing := [c for c in required if c not in header.names]:
            rule = f"have the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
            advice = f"Its first line names them, divided by commas, semicolons or tabs, as in: {','.join(required)}"
            found = ", ".join(filter(None, header.names))[:200] or "an empty file"
            refuse(f"the manifest {path}", rule, found, advice)
        if header.repeated:
            found = " and ".join(map(repr, header.repeated))
            refuse(f"the manifest {path}", "have one column of each name, in whatever case", f"{found} several times")
        rows = csv.reader(file, delimiter=header.delimiter)
        try:
            every = [(number + rows.line_num, row) for row in rows if any(row)]
        except csv.Error as error:
            refuse(f"the manifest {path}", "be a CSV", str(error))
    return [_from_row(header, row, path, line, required) for line, row in every]


def _from_row(header: Header, row: Sequence[str], manifest: Path, line: int, required: Sequence[str]) -> Recording:
    where = f"line {line} of {manifest}"
    if len(row) != len(header.names):
        rule = f"hold {len(header.names)} fields divided by {DELIMITERS[header.delimiter]}, as the header does"
        refuse(where, rule, f"{len(row)} in {header.delimiter.join(row)[:200]!r}")
    columns = {name: field.strip() for name, field in zip(header.names, row, strict=True)}
    if not all(columns[name] for name in required):
        found = ", ".join(f"{name} {columns[name]!r}" for name in required)
        refuse(where, f"name {' and '.join(map(with_article, required))}", found)
    channel = columns.get("channel", "")
    start, end = (
        _seconds(header.with_point(columns.get(name, "")), f"the {name} in {where}") for name in ("start", "end")
    )
    return Recording(
        path=str(manifest.parent / columns["path"]),
        speaker=visible(columns.get("speaker", ""), f"the speaker in {where}"),
        name=columns["path"],
        session=columns.get("session") or None,
        start=start or 0.0,
        end=end,
        channel=int(channel) if channel.isdecimal() else channel or "mix",
        columns=columns,
    )


def _seconds(value: str | None, where: str) -> float | None:
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        refuse(where, "be a number of seconds", repr(value))


def _read_folder(folder: Path, label: str | None) -> list[Recording]:
    recordings, nobodys = [], []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.suffix.lower() not in AUDIO_ENDINGS or any(p.startswith(".") for p in parts):
            continue
        if len(parts) < 2 and label is not None:
            nobodys.append(file.name)
            continue
        who, session = parts[0] if len(parts) > 1 else "", "/".join(parts[1:-1]) or None
        columns = {"path": "/".join(parts), "speaker": who, "label": who, "session": session or ""}
        recordings.append(Recording(str(file), who, "/".join(parts), session, columns=columns))
    if recordings and nobodys:
        which = ", ".join(nobodys[:_NAMED]) + (", ..." if len(nobodys) > _NAMED else "")
        rule = f"{number_of(len(nobodys), 'sound file')} in {folder} left out, for being in no subfolder: {which}"
        warnings.warn(f"{rule}. Move each into the folder of its speaker.", SpeechGMMWarning, stacklevel=3)
    return recordings


def _read_kaldi(folder: Path, label: str | None) -> list[Recording]:
    wav = _table(folder / "wav.scp")
    if commands := [f"{name}: {location}" for name, location in wav.items() if location.endswith("|")]:
        advice = "Run the commands once and list the files that they make."
        refuse(f"{folder / 'wav.scp'}", "name sound files", f"a command for {commands[0]}", advice)
    segments = {u: [u, "", ""] for u in wav}
    if (folder / "segments").exists():
        segments = {u: s.split() for u, s in _table(folder / "segments").items()}
        if bad := [u for u, s in segments.items() if len(s) != 3 or s[0] not in wav]:
            rule = "read 'utterance recording start end' with a recording of wav.scp"
            refuse(f"{folder / 'segments'}", rule, f"{bad[0]} {' '.join(segments[bad[0]])}")
    named = label is not None or (folder / "utt2spk").exists()
    speakers = _table(folder / "utt2spk") if named else dict.fromkeys(segments, "")
    if lost := [u for u in segments if u not in speakers]:
        found = f"none for {lost[0]} ({len(lost)} in all)"
        refuse(f"{folder / 'utt2spk'}", "name the speaker of every utterance", found)
    return [_from_kaldi(folder, u, segments[u], wav, speakers[u]) for u in segments]


def _from_kaldi(folder: Path, name: str, segment: list[str], wav: Mapping[str, str], speaker: str) -> Recording:
    where = f"{name} in {folder / 'segments'}"
    start, end = _seconds(segment[1], where) or 0.0, _seconds(segment[2], where)
    path = wav[segment[0]]
    columns = {"path": path, "speaker": speaker, "utterance": name, "recording": segment[0]}
    place = path if Path(path).exists() else str(folder / path)
    return Recording(place, speaker, name, None, start, end if end != -1 else None, columns=columns)


def _table(path: Path) -> dict[str, str]:
    """Read `key value` lines."""
    if not path.exists():
        refuse("a Kaldi directory", "have the files wav.scp and utt2spk", f"no {path}")
    check_readable(path, "a table")
    table: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        refuse(str(path), "be text in UTF-8", str(error))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, *value = line.split(maxsplit=1)
        if not value or key in table:
            refuse(f"line {number} of {path}", "hold a key of its own and a value", repr(line))
        table[key] = value[0].strip()
    return table

"""Corpora: recordings, who speaks in each, and what else is known of them. `read_corpus` lists those of a place."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from speechgmm.checks import composed, escaped, hold, number_of, refuse, visible
from speechgmm.looks import Look, Shown, some_rows


@dataclass(frozen=True)
class Recording(Shown):
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
    row : str
        Where the corpus lists it, such as ``line 3``; empty where it does not come from a list.

    Examples
    --------
    >>> call = Recording("call.wav", "ann", "call.wav@0-5.5#1", session="monday", end=5.5, channel=1)
    >>> call.session_name
    'monday'
    """

    path: str
    speaker: str
    name: str
    session: str | None = None
    start: float = 0.0
    end: float | None = None
    channel: int | str = "mix"
    columns: Mapping[str, str] = field(default_factory=dict)
    row: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check the names of speaker and session, and hold each in its one spelling."""
        hold(self, speaker=visible(self.speaker, "a speaker's name"))
        if self.session is not None:
            hold(self, session=visible(self.session, "a session's name"))

    def _look(self) -> Look:
        told = {"speaker": self.speaker, "session": self.session, "channel": self.channel}
        part = () if self.start == 0 and self.end is None else (f"from {self.start:g} s",)
        if part and self.end is not None:
            part = (f"{part[0]} to {self.end:g} s",)
        facts = {"path": self.path, "name": self.name} | told | ({"part": part[0]} if part else {})
        kept = {n: v for n, v in told.items() if v not in (None, "", "mix")}
        shown = {n: v for n, v in {**facts, **self.columns}.items() if v not in (None, "")}
        return Look((repr(self.name), *(f"{n} {v!r}" for n, v in kept.items()), *part), shown)

    @property
    def place(self) -> str:
        """What messages call it: its name, and the row of the corpus that lists it."""
        return f"{self.name} ({self.row})" if self.row else self.name

    @property
    def session_name(self) -> str:
        """The session, or the recording's own name where it is not known."""
        return self.session or escaped(self.name)


@dataclass(frozen=True)
class Corpus(Shown):
    """Recordings in the order in which the `source` lists them.

    Parameters
    ----------
    recordings : tuple of Recording
    source : str
        Where they are listed.
    layout : str
        How the source is laid out, in words; empty for recordings that were named one by one.
    others : tuple of Recording
        Those of the source that `where` has left out.

    Examples
    --------
    >>> import speechgmm
    >>> corpus = speechgmm.read_corpus("data/manifest.csv")
    >>> tests = corpus.where(split="test", gender="f")
    >>> tests.speakers, {r.session for r in tests}
    (('es_andrea', 'es_belinda', 'es_f1', 'es_f4', 'slt'), {'s2'})
    """

    recordings: tuple[Recording, ...]
    source: str
    layout: str = ""
    others: tuple[Recording, ...] = field(default=(), compare=False, repr=False)

    def _look(self) -> Look:
        speakers = [name for name in self.speakers if name]
        words = [number_of(len(self), "recording")] + ([number_of(len(speakers), "speaker")] if speakers else [])
        each: dict[str, list[Recording]] = {}
        for r in self.recordings:
            each.setdefault(r.speaker, []).append(r)
        rows = [(name, len({r.session_name for r in own}), len(own)) for name, own in sorted(each.items())]
        told = {"source": self.source, "layout": self.layout, "left out by a condition": len(self.others)}
        table = some_rows("", ("speaker", ">sessions", ">recordings"), rows)
        facts = {n: v for n, v in told.items() if v}
        return Look((*words, repr(self.source)), facts, (table,) if speakers else ())

    def __iter__(self) -> Iterator[Recording]:
        """Iterate over the recordings."""
        return iter(self.recordings)

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.recordings)

    @classmethod
    def from_files(
        cls, files: Iterable[str | os.PathLike[str] | Recording], *, speaker: str = "", session: str | None = None
    ) -> Self:
        """List files of one speaker, or of nobody known, under the names given; recordings stay as they are.

        Raises
        ------
        InvalidInput
            If there is no file, or one without a name.

        Examples
        --------
        >>> [r.name for r in Corpus.from_files(["a.wav", "b.wav"], speaker="ann")]
        ['a.wav', 'b.wav']
        """
        given = (f if isinstance(f, Recording) else Recording(str(f), speaker, str(f), session) for f in files)
        recordings = tuple(given)
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
        chosen = set(map(id, kept))
        left = tuple(r for r in self.recordings if id(r) not in chosen)
        return replace(self, recordings=kept, others=self.others + left)

    def _spelled(self, name: str) -> str:
        """Return the name of a column as the corpus spells it, if it has one of this name in one case or another."""
        known = {c.casefold(): c for r in self.recordings for c in r.columns}
        return name if any(name in r.columns for r in self.recordings) else known.get(name.casefold(), name)

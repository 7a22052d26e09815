"""What a store holds at one moment, and how that is told from what it held before.

Values are large, and the rows beside them small: each write of a session gives its row another number. So who has
changed is told by the rows alone, and whoever has the same rows as before need not be read again. What was damaged in
a value by other hands than ours, in the same length, is seen when it is read.
"""

import functools
import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.domain import content
from speechgmm.speakers.sessions import EnrolledRecording, RecordingSample, Session
from speechgmm.speakers.store_rows import RecordingRow, SessionRow, WantedSession
from speechgmm.speakers.store_tables import StoreTables

Rows = Set[tuple[Any, ...]]
_FOLLOWED = 2
"""Models of so many systems are followed at once: those of a system that is asked for no more are given up."""


@dataclass(frozen=True)
class Person:
    """What a store holds of one speaker, values apart; those of the same `rows` are equal.

    Parameters
    ----------
    rows : frozenset of tuple
        As they stand there, of sessions and recordings.
    sessions : tuple of WantedSession
        In the order of their names.
    recordings : tuple of EnrolledRecording
    order : str
        The digest that orders people: see `speechgmm.speakers.domain.content`.
    """

    rows: Rows
    sessions: tuple[WantedSession, ...] = field(compare=False)
    recordings: tuple[EnrolledRecording, ...] = field(compare=False)
    order: str = field(compare=False)

    @classmethod
    def of(cls, tables: StoreTables, name: str, rows: Rows) -> "Person":
        """Return what these rows of a speaker tell."""
        sessions = [SessionRow._make(row) for row in rows if len(row) == len(SessionRow._fields)]
        listed = [RecordingRow._make(row) for row in rows if len(row) == len(RecordingRow._fields)]
        held: dict[tuple[Any, Any], dict[str, str]] = {(row.speaker, row.session): {} for row in sessions}
        keys = {(row.speaker, row.session): tables.key(row) for row in sessions}
        keys |= {(row.speaker, row.session): tables.key(row) for row in listed}
        recordings = sorted(((tables.recording(row), row) for row in listed), key=lambda both: both[0].digest)
        for r, row in recordings:
            held.setdefault((row.speaker, row.session), {})[r.digest] = r.name
        wanted = [WantedSession(keys[place], place, own) for place, own in held.items()]
        known = tuple(r for r, _ in recordings)
        order = content(name, {r.digest for r in known})
        return cls(rows, tuple(sorted(wanted, key=lambda w: (w.key, repr(w.place)))), known, order)

    @functools.cached_property
    def marks(self) -> frozenset[int]:
        """A number of 64 bits for each row, by which an index knows it again."""
        digests = (hashlib.blake2b(repr(row).encode(), digest_size=8).digest() for row in self.rows)
        return frozenset(int.from_bytes(digest, "little") for digest in digests)


@dataclass(frozen=True, eq=False)
class Contents:
    """Who is enrolled in a store, and with which sessions and recordings, at one of its revisions.

    Parameters
    ----------
    revision : str
    rows : set of tuple
        All of them.
    people : mapping
        By name; who has not changed is the same object as before.
    recordings : mapping
        All recordings by their digests.
    """

    revision: str = ""
    rows: Rows = frozenset()
    people: Mapping[str, Person] = field(default_factory=dict)
    recordings: Mapping[str, EnrolledRecording] = field(default_factory=dict)

    def followed(self, tables: StoreTables) -> "Contents":
        """Return what the store holds now: only who has changed since is looked at."""
        revision = tables.meta().get("revision", "")
        if revision == self.revision:
            return self
        rows = tables.rows()
        every = set(rows)
        came = _by_name(tables, [row for row in rows if row not in self.rows])
        gone = _by_name(tables, self.rows - every)
        people, touched = dict(self.people), list(dict.fromkeys([*came, *gone]))
        for name in touched:
            before = people.pop(name).rows if name in people else frozenset()
            if now := (before - gone.get(name, set())) | came.get(name, set()):
                people[name] = Person.of(tables, name, frozenset(now))
        recordings = dict(self.recordings)
        for name in gone.keys() & self.people.keys():
            for r in self.people[name].recordings:
                recordings.pop(r.digest, None)
        for name in touched:
            recordings |= {r.digest: r for r in people[name].recordings} if name in people else {}
        if len(recordings) != sum(len(person.recordings) for person in people.values()):  # a digest is there twice
            recordings = {r.digest: r for name in sorted(people) for r in people[name].recordings}
        return Contents(revision, every, people, recordings)

    def first(self, n: int) -> list[str]:
        """Return the first n speakers in the order of their content."""
        return [name for _, name in heapq.nsmallest(n, ((person.order, name) for name, person in self.people.items()))]

    def digests(self, name: str, but: Iterable[DamagedSession] = ()) -> list[str]:
        """Return the digests of a speaker's recordings, without those of damaged sessions."""
        lost = {d.name for d in but}
        return [r.digest for r in self.people[name].recordings if r.session not in lost]


def _by_name(tables: StoreTables, rows: Iterable[tuple[Any, ...]]) -> dict[str, set[tuple[Any, ...]]]:
    """Return rows by the speakers that they are of."""
    found: dict[str, set[tuple[Any, ...]]] = {}
    for row in rows:
        kind = SessionRow if len(row) == len(SessionRow._fields) else RecordingRow
        found.setdefault(tables.key(kind._make(row))[0], set()).add(row)
    return found


@dataclass(frozen=True, eq=False)
class StoreMoment:
    """A store as it is in one transaction.

    Parameters
    ----------
    contents : Contents
    location : str
    tables : StoreTables
    memory : dict
        What is kept of the store from one moment to the next, by whoever made it.
    """

    contents: Contents
    location: str
    tables: StoreTables
    memory: dict[Any, Any]

    def keep(self, key: Any, value: Any) -> None:
        """Keep something for the next moment; of more than two the oldest is given up."""
        self.memory[key] = value
        while len(self.memory) > _FOLLOWED:
            self.memory.pop(next(iter(self.memory)))

    def sessions(self, names: Iterable[str]) -> Iterator[tuple[str, Session | DamagedSession]]:
        """Yield the sessions of these speakers, and what is damaged of them; several threads may do so at once."""
        people = [(name, wanted) for name in names for wanted in self.contents.people[name].sessions]
        found = self.tables.stored([wanted for _, wanted in people])
        for name, _ in people:
            yield name, self.tables.opened(next(found))

    def samples(self, digests: Iterable[str]) -> tuple[tuple[RecordingSample, ...], tuple[DamagedSession, ...]]:
        """Return what is kept of these recordings, and the sessions of those of which it is damaged."""
        held = {r.digest: r for d in dict.fromkeys(digests) if (r := self.contents.recordings.get(d))}
        return samples_of(self.tables, held, self.location)


def samples_of(
    tables: StoreTables, held: Mapping[str, EnrolledRecording], location: str
) -> tuple[tuple[RecordingSample, ...], tuple[DamagedSession, ...]]:
    """Return what is kept of recordings, by their digests, and the sessions of those of which it is damaged."""
    found, damaged = dict(tables.samples(held)), []
    for digest, reason in found.items():
        if isinstance(reason, str):
            r = held[digest]
            damaged.append(DamagedSession.of(r.speaker, r.session, f"{r.name}: {reason}", location))
    return tuple(s for s in found.values() if isinstance(s, RecordingSample)), tuple(damaged)

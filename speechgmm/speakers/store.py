"""Enrolled speakers in a database: SQLite in one file by default, PostgreSQL by URL.

The store keeps each session's sufficient statistics against the UBM, not adapted models: enrolling one more recording
is `+`, removing a session is exact, and the relevance factor is chosen when scoring.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

from speechgmm import storage
from speechgmm.checks import refuse
from speechgmm.errors import IncompatibleModel, InvalidInput, SameRecording, UnknownSpeaker
from speechgmm.speakers.database import Database, Rows
from speechgmm.speakers.sessions import Export, Held, Session, read_session
from speechgmm.speakers.system import System

T = TypeVar("T")

__all__ = ["SpeakerStore"]


class SpeakerStore:
    """Enrolled speakers.

    Parameters
    ----------
    location : path or str
        A file, or a database URL such as ``postgresql+psycopg://user@host/name``.
    system : System, optional
        Whose statistics the store holds; a new store needs one. An existing store of another system is refused.
    create : bool
        Whether to make a store where there is none.

    Raises
    ------
    InvalidInput
        If there is no store and none may be made, or the file is no store.
    IncompatibleModel
        If the store belongs to another system; the message says which setting differs.
    """

    def __init__(self, location: str | os.PathLike[str], system: System | None = None, *, create: bool = False) -> None:
        self._cache: dict[Any, Any] = {}
        self._cached_revision = ""
        self._database = Database(str(location), create=create and system is not None)
        self.location = self._database.location
        try:
            with self._database.transaction() as rows:
                if create:
                    rows.lock()
                meta = rows.meta()
                if "fingerprint" not in meta and system is not None and create:
                    meta |= {"fingerprint": system.fingerprint, "frontend": storage.dumps(system.frontend).hex()}
                    rows.set_meta(meta | {"revision": "0"})
            self._check(system, meta)
        except InvalidInput:
            self.close()
            raise
        self._meta, self.fingerprint = meta, meta["fingerprint"]

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._database.close()

    def check_system(self, system: System) -> None:
        """Refuse a system whose statistics are not those that this store holds.

        Raises
        ------
        IncompatibleModel
            The message says which setting differs.
        """
        self._check(system, self._meta)

    def add(
        self,
        sessions: Iterable[Session],
        *,
        forget: Iterable[tuple[str, str | None]] = (),
        strict: bool = True,
    ) -> tuple[tuple[Session, SameRecording], ...]:
        """Enroll sessions, all of them or, after an error, none.

        Recordings for a session that is there already are added to it.

        Parameters
        ----------
        sessions : iterable of Session
        forget : iterable of (speaker, session or None)
            What is forgotten first; None stands for all sessions of the speaker.
        strict : bool
            Whether one session with a recording that is enrolled already, by whatever name, refuses all. If not, such
            sessions are left out, unless nothing else is left, and returned with their errors.

        Raises
        ------
        SameRecording
        """
        batch, refused = list(sessions), []
        groups: dict[tuple[str, str], list[Session]] = {}
        with self._changed() as rows:
            for speaker, name in forget:
                rows.delete(speaker, name)
            owners = rows.owners(digest for s in batch for digest in s.recordings)
            for session in batch:
                key = (session.speaker, session.name)
                if error := _same(session, owners):
                    refused.append((session, error))
                    continue
                owners |= {digest: (session.speaker, name) for digest, name in session.recordings.items()}
                if key not in groups:
                    groups[key] = [read_session(value) for value in rows.values(*key)]
                groups[key].append(session)
            if refused and (strict or not groups):
                raise refused[0][1]
            for parts in groups.values():
                _put(rows, functools.reduce(operator.add, parts))
        return tuple(refused)

    def remove(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session of theirs: what is left is as if it had never been enrolled."""
        with self._changed() as rows:
            _known(rows.names(), speaker, session=session)
            rows.delete(speaker, session)

    def rename(self, old: str, new: str) -> None:
        """Give a speaker another name, which nobody must have."""
        with self._changed() as rows:
            names = rows.names()
            _known(names, old)
            if new in names:
                refuse("the new name", "be free", f"{new!r}, who is enrolled", "Remove that one first.")
            sessions = [read_session(value) for value in rows.values(old)]
            rows.delete(old)
            for s in sessions:
                _put(rows, dataclasses.replace(s, speaker=new))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The enrolled speakers, sorted."""
        with self._database.transaction() as rows:
            return tuple(sorted(rows.names()))

    def sessions(self, *speakers: str) -> tuple[Session, ...]:
        """Return the sessions of these speakers, or of all, sorted by speaker and name.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as rows:
            _known(rows.names(), *speakers)
            values = [v for s in speakers for v in rows.values(s)] if speakers else rows.values()
        return tuple(sorted((read_session(v) for v in values), key=lambda s: (s.speaker, s.name)))

    def summary(self) -> dict[str, Any]:
        """Return how much is enrolled, in types that JSON holds."""
        sessions = self.overview()
        return {
            "type": "SpeakerStore",
            "fingerprint": self.fingerprint,
            "speakers": len({s.speaker for s in sessions}),
            "sessions": len(sessions),
            "recordings": sum(len(s.recordings) for s in sessions),
            "speech_seconds": sum(s.seconds for s in sessions),
        }

    def overview(self, *speakers: str) -> tuple[Held, ...]:
        """Return what is kept of these speakers, or of all, without reading the statistics.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as rows:
            _known(rows.names(), *speakers)
            held, recordings = rows.seconds(), rows.recordings()
        keys = sorted(k for k in held if not speakers or k[0] in speakers)
        return tuple(Held(*k, held[k], tuple(sorted(recordings.get(k, ())))) for k in keys)

    def export(self, *speakers: str) -> Export:
        """Return the sessions of these speakers, or of all, as one value for `speechgmm.storage.save`."""
        return Export(self.fingerprint, self.sessions(*speakers))

    def refuse_enrolled(self, digest: str, what: str) -> None:
        """Refuse to test a recording that is enrolled: it would be tested against itself.

        Raises
        ------
        SameRecording
        """
        with self._database.transaction() as rows:
            owners = rows.owners([digest])
        for speaker, name in owners.values():
            refuse(
                what,
                "be another recording than those enrolled",
                f"the samples of {name}, enrolled as {speaker!r}",
                "Testing a recording against itself says nothing; use another one.",
                error=SameRecording,
            )

    def cached(self, key: Any, build: Callable[[], T]) -> T:
        """Return what `build` made last time for `key`, or make it anew if the store has changed since."""
        with self._database.transaction() as rows:
            revision = rows.meta()["revision"]
        if self._cached_revision != revision:
            self._cache, self._cached_revision = {}, revision
        if key not in self._cache:
            self._cache[key] = build()
        result: T = self._cache[key]
        return result

    @contextlib.contextmanager
    def _changed(self) -> Iterator[Rows]:
        """Change rows in one transaction, which counts as a new revision."""
        with self._database.transaction() as rows:
            rows.lock()
            yield rows
            rows.set_meta({"revision": str(int(rows.meta()["revision"]) + 1)})

    def _check(self, system: System | None, meta: Mapping[str, str]) -> None:
        """Refuse an empty store, and one of another system."""
        if "fingerprint" not in meta:
            refuse("a store", "have speakers enrolled in it", f"{self.location}, which is empty", "Enroll somebody.")
        if system is None or system.fingerprint == meta["fingerprint"]:
            return
        frontend = storage.loads(bytes.fromhex(meta["frontend"]), type(system.frontend), source=self.location)
        system.frontend.check_same(frontend, f"the store {self.location}")
        refuse(
            f"the store {self.location}",
            f"be of this model's UBM, {system.fingerprint}",
            f"one of {meta['fingerprint']}",
            "Use the model that it was made with, or enroll into a new store.",
            error=IncompatibleModel,
        )


def _known(names: Mapping[str, set[str]], *speakers: str, session: str | None = None) -> None:
    """Refuse speakers, or a session of theirs, that are not there, and say which are."""
    for speaker in speakers:
        if speaker not in names:
            found = ", ".join(sorted(names)[:20]) + (", ..." if len(names) > 20 else "") or "nobody"
            refuse("a speaker", f"be enrolled ({found})", repr(speaker), error=UnknownSpeaker)
        if session is not None and session not in names[speaker]:
            found = ", ".join(sorted(names[speaker]))
            refuse(f"a session of {speaker}", f"be one of {found}", repr(session), error=UnknownSpeaker)


def _put(rows: Rows, s: Session) -> None:
    rows.put(s.speaker, s.name, storage.dumps(s), s.seconds, s.recordings)


def _same(session: Session, owners: Mapping[str, tuple[str, str]]) -> SameRecording | None:
    """Return the error of a session that holds a recording which somebody has already."""
    for digest, name in session.recordings.items():
        if digest in owners:
            owner, known = owners[digest]
            advice = "Leave it out." if owner == session.speaker else "Leave it out, or remove it there first."
            return SameRecording(
                f"the recording {name} must be enrolled once; got the same samples, enrolled as {owner!r} "
                f"from {known}. {advice}"
            )
    return None

"""Enrolled speakers in a database: SQLite in one file by default, PostgreSQL by URL.

The store keeps each session's sufficient statistics against the UBM, not adapted models: enrolling one more recording
is `+`, removing a session is exact, and the relevance factor is chosen when scoring.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, cast

from speechgmm import storage
from speechgmm.checks import refuse
from speechgmm.errors import IncompatibleModel, InvalidInput, SameRecording, UnknownSpeaker
from speechgmm.speakers.database import Database, StoreTables
from speechgmm.speakers.sessions import EnrolledRecording, Session, SessionSummary, SpeakerExport, sums_by_key
from speechgmm.speakers.system import System
from speechgmm.speakers.waiting import OnWait

T = TypeVar("T")


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
    on_wait : callable, optional
        Called once, from another thread, with the place of the store, when another process has held its file for a
        second: what this one wants to do then waits for a minute at most.

    Raises
    ------
    InvalidInput
        If there is no store and none may be made, or the file is no store.
    IncompatibleModel
        If the store belongs to another system; the message says which setting differs.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        system: System | None = None,
        *,
        create: bool = False,
        on_wait: OnWait | None = None,
    ) -> None:
        self._cache: dict[Any, Any] = {}
        self._cached_revision = ""
        new = None
        if create and system is not None:
            new = {"fingerprint": system.fingerprint, "frontend": storage.dumps(system.frontend).hex(), "revision": "0"}
        self._database = Database(str(location), new, on_wait)
        self.location, meta = self._database.location, self._database.meta
        try:
            if "fingerprint" not in meta:
                rule = "have speakers enrolled in it"
                refuse("a store", rule, f"{self.location}, which is empty", "Enroll somebody.")
            self.fingerprint, self._frontend = meta["fingerprint"], meta["frontend"]
            if system is not None:
                self.check_system(system)
        except InvalidInput:
            self.close()
            raise

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
        if system.fingerprint == self.fingerprint:
            return
        frontend = storage.loads(bytes.fromhex(self._frontend), type(system.frontend), source=self.location)
        system.frontend.check_same(frontend, f"the store {self.location}")
        rule, found = f"be of this model's UBM, {system.fingerprint}", f"one of {self.fingerprint}"
        advice = "Use the model that it was made with, or enroll into a new store."
        refuse(f"the store {self.location}", rule, found, advice, error=IncompatibleModel)

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
        batch, accepted, refused = list(sessions), [], []
        with self._changed() as tables:
            for speaker, name in forget:
                tables.delete(speaker, name)
            known = {r.digest: r for r in tables.recordings(digest for s in batch for digest in s.recordings)}
            for session in batch:
                key = (session.speaker, session.name)
                if error := _same(session, known):
                    refused.append((session, error))
                    continue
                accepted.append((key, session))
                known |= {d: EnrolledRecording(d, name, *key) for d, name in session.recordings.items()}
            if refused and (strict or not accepted):
                raise refused[0][1]
            held = [(key, session) for key in dict(accepted) for session in tables.sessions(*key)]
            for session in sums_by_key(held + accepted).values():
                tables.put(session)
        return tuple(refused)

    def remove(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session of theirs: what is left is as if it had never been enrolled."""
        with self._changed() as tables:
            sessions = tables.seconds()
            _check_known(sessions, speaker)
            if session is not None and (speaker, session) not in sessions:
                found = ", ".join(sorted(name for who, name in sessions if who == speaker))
                refuse(f"a session of {speaker}", f"be one of {found}", repr(session), error=UnknownSpeaker)
            tables.delete(speaker, session)

    def rename(self, old: str, new: str) -> None:
        """Give a speaker another name, which nobody must have."""
        with self._changed() as tables:
            sessions = tables.seconds()
            _check_known(sessions, old)
            if any(speaker == new for speaker, _ in sessions):
                refuse("the new name", "be free", f"{new!r}, who is enrolled", "Remove that one first.")
            moved = [dataclasses.replace(s, speaker=new) for s in tables.sessions(old)]
            tables.delete(old)
            for s in moved:
                tables.put(s)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The enrolled speakers, sorted."""
        with self._database.transaction() as tables:
            return tuple(sorted({speaker for speaker, _ in tables.seconds()}))

    def sessions(self, *speakers: str) -> tuple[Session, ...]:
        """Return the sessions of these speakers, or of all, sorted by speaker and name.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as tables:
            _check_known(tables.seconds(), *speakers)
            found = [s for speaker in speakers or (None,) for s in tables.sessions(speaker)]
        return tuple(sorted(found, key=lambda s: (s.speaker, s.name)))

    def summary(self) -> dict[str, Any]:
        """Return how much is enrolled, in types that JSON holds."""
        sessions = self.overview()
        return {
            "type": "SpeakerStore",
            "fingerprint": self.fingerprint,
            "speakers": len({s.speaker for s in sessions}),
            "sessions": len(sessions),
            "recordings": sum(len(s.recordings) for s in sessions),
            "speech_seconds": sum(s.speech_seconds for s in sessions),
        }

    def overview(self, *speakers: str) -> tuple[SessionSummary, ...]:
        """Return what is kept of these speakers, or of all, without reading the statistics.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as tables:
            seconds = tables.seconds()
            _check_known(seconds, *speakers)
            names: dict[tuple[str, str], list[str]] = {}
            for r in tables.recordings():
                names.setdefault((r.speaker, r.session), []).append(r.name)
        keys = sorted(k for k in seconds if not speakers or k[0] in speakers)
        return tuple(SessionSummary(*k, seconds[k], tuple(sorted(names.get(k, ())))) for k in keys)

    def recordings(self) -> dict[str, EnrolledRecording]:
        """Return all enrolled recordings by their digests."""
        with self._database.transaction() as tables:
            return {r.digest: r for r in tables.recordings()}

    def export(self, *speakers: str) -> SpeakerExport:
        """Return the sessions of these speakers, or of all, as one value for `speechgmm.storage.save`."""
        return SpeakerExport(self.fingerprint, self.sessions(*speakers))

    def cached(self, key: Any, build: Callable[[], T]) -> T:
        """Return what `build` made last time for `key`, or make it anew if the store has changed since."""
        with self._database.transaction() as tables:
            revision = tables.meta()["revision"]
        if self._cached_revision != revision:
            self._cache, self._cached_revision = {}, revision
        if key not in self._cache:
            self._cache[key] = build()
        return cast(T, self._cache[key])

    @contextlib.contextmanager
    def _changed(self) -> Iterator[StoreTables]:
        """Change the tables in one transaction, which counts as a new revision."""
        with self._database.transaction() as tables:
            tables.lock()
            yield tables
            tables.set_meta({"revision": str(int(tables.meta()["revision"]) + 1)})


def _check_known(sessions: Iterable[tuple[str, str]], *speakers: str) -> None:
    """Refuse speakers who have none of these (speaker, session), and say who has."""
    known = {speaker for speaker, _ in sessions}
    if unknown := [speaker for speaker in speakers if speaker not in known]:
        found = ", ".join(sorted(known)[:20]) + (", ..." if len(known) > 20 else "") or "nobody"
        refuse("a speaker", f"be enrolled ({found})", repr(unknown[0]), error=UnknownSpeaker)


def _same(session: Session, known: Mapping[str, EnrolledRecording]) -> SameRecording | None:
    """Return the error of a session that holds a recording which somebody has already."""
    for digest, name in session.recordings.items():
        if digest in known:
            owner = known[digest].speaker
            advice = "Leave it out." if owner == session.speaker else "Leave it out, or remove it there first."
            return SameRecording(
                f"the recording {name} must be enrolled once; got the same samples, enrolled as {owner!r} "
                f"from {known[digest].name}. {advice}"
            )
    return None

"""Enrolled speakers in a database: SQLite in one file by default, PostgreSQL by URL.

The store keeps each session's sufficient statistics against the UBM, not adapted models: enrolling one more recording
is `+`, removing a session is exact, and the relevance factor is chosen when scoring.
"""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, cast

from speechgmm import storage
from speechgmm.checks import composed, refuse
from speechgmm.errors import IncompatibleModel, InvalidInput, SameRecording, UnknownSpeaker
from speechgmm.speakers.damage import DamagedSession, StoreCheck, refuse_damaged, warn_of
from speechgmm.speakers.database import ERASED, Database, Key, StoreTables
from speechgmm.speakers.sessions import (
    EnrolledRecording,
    RecordingSample,
    Session,
    SessionSummary,
    SpeakerExport,
    strange_to,
    sums_by_key,
)
from speechgmm.speakers.system import System
from speechgmm.speakers.waiting import OnWait

T = TypeVar("T")


class SpeakerStore:
    """Enrolled speakers.

    Names are found in any spelling of Unicode, composed or not. A session that is damaged stops nobody else: what reads
    the others goes on without it, `damaged` names it, and `remove` forgets it.

    Parameters
    ----------
    location : path or str
        A file, or a database URL such as ``postgresql+psycopg://user@host/name``. A file holds the store and nothing
        else; in a server's database our tables stand beside those of others.
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
        try:
            told = bytes.fromhex(self._frontend)
        except ValueError:
            refuse(f"the store {self.location}", "say what front end it was made with", "damaged settings")
        frontend = storage.loads(told, type(system.frontend), source=self.location)
        system.frontend.check_same(frontend, f"the store {self.location}")
        rule, found = f"be of this model's UBM, {system.fingerprint}", f"one of {self.fingerprint}"
        advice = "Use the model that it was made with, or enroll into a new store."
        refuse(f"the store {self.location}", rule, found, advice, error=IncompatibleModel)

    def add(
        self,
        sessions: Iterable[Session],
        *,
        samples: Iterable[RecordingSample] = (),
        forget: Iterable[tuple[str, str | None]] = (),
        strict: bool = True,
        new: bool = False,
    ) -> tuple[tuple[Session, SameRecording], ...]:
        """Enroll sessions, all of them or, after an error, none.

        Recordings for a session that is there already are added to it.

        Parameters
        ----------
        sessions : iterable of Session
        samples : iterable of RecordingSample
            What is kept of their recordings; of those that are not enrolled nothing is.
        forget : iterable of (speaker, session or None)
            What is forgotten first; None stands for all sessions of the speaker.
        strict : bool
            Whether one session with a recording that is enrolled already, by whatever name, refuses all. If not, such
            sessions are left out, unless nothing else is left, and returned with their errors.
        new : bool
            Whether no session may be there already.

        Raises
        ------
        SameRecording
        InvalidInput
            If a session that is added to is damaged, or is there and must be new.
        """
        batch, accepted, refused = list(sessions), [], []
        with self._changed() as tables:
            for speaker, name in forget:
                tables.delete(speaker, name)
            tables.prune()
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
            if there := sorted({key for key, _ in accepted} & set(tables.places())) if new else []:
                speaker, name = there[0]
                refuse("a session to import", "be new", f"{name} of {speaker}, who has it", "Remove that one first.")
            held = [((s.speaker, s.name), s) for s in _whole(tables.sessions(dict(accepted)), "a session to add to")]
            for session in sums_by_key(held + accepted).values():
                tables.put(session)
            added = {digest for _, session in accepted for digest in session.recordings}
            given = {s.digest: s for s in samples}  # the same recording twice is one
            for digest in sorted(added):
                if digest in given:
                    tables.put_sample(given[digest])
                else:
                    tables.put_no_sample(digest)
        return tuple(refused)

    def remove(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session of theirs: what is left is as if it had never been enrolled.

        In an SQLite store nothing of it is left in any file: what is deleted is overwritten. What lies elsewhere is not
        reached: backups and snapshots, blocks that a disk keeps, exports and indexes, logs of a server.
        """
        who, what = composed(speaker), None if session is None else composed(session)
        with self._changed() as tables:
            known = tables.places()
            _check_known(known, who)
            if what is not None and (who, what) not in known:
                found = ", ".join(sorted(name for owner, name in known if owner == who))
                refuse(f"a session of {speaker}", f"be one of {found}", repr(session), error=UnknownSpeaker)
            tables.delete(who, what)

    def rename(self, old: str, new: str) -> None:
        """Give a speaker another name, which nobody must have."""
        with self._changed() as tables:
            known = tables.places()
            keys = _keys_of(known, old)
            if any(speaker == composed(new) for speaker, _ in known):
                refuse("the new name", "be free", f"{new!r}, who is enrolled", "Remove that one first.")
            held = _whole(tables.sessions(keys), "a session of somebody who is renamed")
            moved = [dataclasses.replace(s, speaker=new) for s in held]
            tables.delete(composed(old))
            for s in moved:
                tables.put(s)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The enrolled speakers, sorted."""
        with self._database.transaction() as tables:
            return tuple(sorted({speaker for speaker, _ in tables.places()}))

    def sessions(self, *speakers: str) -> tuple[Session, ...]:
        """Return the sessions of these speakers, or of all, sorted by speaker and name.

        Damaged ones are left out, with a `DamagedSessionWarning`; see `damaged`.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        whole, damaged = self.read(*speakers)
        warn_of(damaged)
        return whole

    def damaged(self, *speakers: str) -> tuple[DamagedSession, ...]:
        """Return what is damaged of these speakers, or of all; everything that is kept of them is read.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """

        def find() -> tuple[DamagedSession, ...]:
            whole, damaged = self.read(*speakers)
            return damaged + self._damaged_samples(whole)

        return self.cached(("damaged", speakers), find)

    def check(self, system: System | None = None) -> StoreCheck:
        """Read everything that is kept, and return what is wrong with it.

        Each value carries a digest of its content, and must agree with the names, seconds and recordings beside it.

        Parameters
        ----------
        system : System, optional
            Of the store: its statistics must be such as its UBM gives.

        Raises
        ------
        IncompatibleModel
            If the store is of another system.
        """
        if system is not None:
            self.check_system(system)
        whole, damaged = self.read()
        damaged += self._damaged_samples(whole)
        strange = {} if system is None else {s: strange_to(system.ubm, s.statistics) for s in whole}
        damaged += tuple(DamagedSession.of(s.speaker, s.name, why, self.location) for s, why in strange.items() if why)
        recordings = sum(len(s.recordings) for s in whole)
        return StoreCheck(self.fingerprint, len(whole), recordings, damaged, self._database.faults())

    def _damaged_samples(self, sessions: Iterable[Session]) -> tuple[DamagedSession, ...]:
        """Return which of these sessions have recordings of which it is damaged what is kept."""
        _, found = self.samples(digest for s in sessions for digest in s.recordings)
        return tuple({(d.speaker, d.name): d for d in found}.values())

    def read(self, *speakers: str) -> tuple[tuple[Session, ...], tuple[DamagedSession, ...]]:
        """Return `sessions` and `damaged` at once, without a warning."""
        with self._database.transaction() as tables:
            found = list(tables.sessions(_keys_of(tables.places(), *speakers)))
        whole = tuple(s for s in found if isinstance(s, Session))
        return whole, tuple(s for s in found if isinstance(s, DamagedSession))

    def summary(self) -> dict[str, Any]:
        """Return how much is enrolled, in types that JSON holds."""
        sessions, damaged = self.overview(), self.damaged()
        return {
            "type": "SpeakerStore",
            "fingerprint": self.fingerprint,
            "speakers": len({s.speaker for s in sessions}),
            "sessions": len(sessions),
            "recordings": sum(len(s.recordings) for s in sessions),
            "speech_seconds": sum(s.speech_seconds for s in sessions),
            "damaged": [d.told for d in damaged],
        }

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes are kept of all sessions, and beside that of their recordings."""
        with self._database.transaction() as tables:
            return tables.sizes()

    def overview(self, *speakers: str) -> tuple[SessionSummary, ...]:
        """Return what is kept of these speakers, or of all, without reading the statistics: damaged sessions too.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as tables:
            wanted, seconds = _keys_of(tables.places(), *speakers), tables.seconds()
            names: dict[tuple[str, str], list[str]] = {}
            for r in tables.recordings():
                names.setdefault((r.speaker, r.session), []).append(r.name)
        unknown = float("nan")  # the seconds of a session of which only recordings are left
        return tuple(SessionSummary(*k, seconds.get(k, unknown), tuple(sorted(names.get(k, ())))) for k in wanted)

    def recordings(self) -> dict[str, EnrolledRecording]:
        """Return all enrolled recordings by their digests."""
        with self._database.transaction() as tables:
            return {r.digest: r for r in tables.recordings()}

    def state(self) -> str:
        """Return what any change of what is enrolled changes: what is made of a store says of which state it is."""
        with self._database.transaction() as tables:
            told = [tables.meta().get("revision", ""), *sorted(map(repr, tables.places()))]
            told += sorted(r.digest for r in tables.recordings())
        return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()

    def digests(self) -> dict[str, set[str]]:
        """Return the digests of each speaker's recordings."""
        with self._database.transaction() as tables:
            found: dict[str, set[str]] = {speaker: set() for speaker, _ in tables.places()}
            for r in tables.recordings():
                found[r.speaker].add(r.digest)
        return found

    def known(self, *speakers: str) -> tuple[str, ...]:
        """Return the names of these speakers as the store has them, each once.

        Raises
        ------
        UnknownSpeaker
            If one of them is not enrolled.
        """
        with self._database.transaction() as tables:
            return tuple(dict.fromkeys(speaker for speaker, _ in _keys_of(tables.places(), *speakers)))

    def samples(self, digests: Iterable[str]) -> tuple[tuple[RecordingSample, ...], tuple[DamagedSession, ...]]:
        """Return what is kept of these recordings, and the sessions of those of which it is damaged."""
        wanted, damaged = dict.fromkeys(digests), []
        with self._database.transaction() as tables:
            held = {r.digest: r for r in tables.recordings(wanted)}
            found = dict(tables.samples(held))
        for digest, reason in found.items():
            if isinstance(reason, str):
                r = held[digest]
                damaged.append(DamagedSession.of(r.speaker, r.session, f"{r.name}: {reason}", self.location))
        return tuple(s for s in found.values() if isinstance(s, RecordingSample)), tuple(damaged)

    def export(self, *speakers: str) -> SpeakerExport:
        """Return what is kept of these speakers, or of all, as one value for `speechgmm.storage.save`.

        Damaged sessions are left out, with a `DamagedSessionWarning`, and so is what is damaged of recordings.
        """
        sessions = self.sessions(*speakers)
        samples, damaged = self.samples(digest for s in sessions for digest in s.recordings)
        warn_of(damaged)
        return SpeakerExport(self.fingerprint, sessions, samples)

    def add_export(self, export: SpeakerExport) -> None:
        """Enroll what another store has exported: all of it or, after an error, nothing.

        Speakers who are enrolled already get its sessions as well.

        Raises
        ------
        IncompatibleModel
            If it is of another system.
        SameRecording
            If one of its recordings is enrolled already.
        InvalidInput
            If one of its sessions is, by speaker and name.
        """
        if export.fingerprint != self.fingerprint:
            rule, found = f"be of the system of the store, {self.fingerprint}", f"one of {export.fingerprint}"
            advice = "Statistics belong to one model: enroll these speakers anew."
            refuse("an export to import", rule, found, advice, error=IncompatibleModel)
        self.add(export.sessions, samples=export.samples or (), new=True)

    def cached(self, key: Any, build: Callable[[], T]) -> T:
        """Return what `build` made last time for `key`, or make it anew if the store has changed since."""
        with self._database.transaction() as tables:
            revision = tables.meta().get("revision", "")
        if self._cached_revision != revision:
            self._cache, self._cached_revision = {}, revision
        if key not in self._cache:
            self._cache[key] = build()
        return cast(T, self._cache[key])

    @contextlib.contextmanager
    def _changed(self) -> Iterator[StoreTables]:
        """Change the tables in one transaction, which counts as a new revision, and erase what was deleted.

        Of a store of a version that did not erase, all pages are written anew, once.
        """
        with self._database.transaction() as tables:
            tables.lock()
            yield tables
            tables.prune()
            meta = tables.meta()
            revision = meta.get("revision", "")
            tables.set_meta({"revision": str(int(revision) + 1 if revision.isdecimal() else 1)})  # 1: it was damaged
        self._database.erase(whole=ERASED not in meta)
        if ERASED not in meta:
            with self._database.transaction() as tables:
                tables.set_meta({ERASED: "1"})


def _keys_of(known: Iterable[Key], *speakers: str) -> list[Key]:
    """Return the sorted keys of these speakers, or all; refuse speakers who have none."""
    wanted = {composed(s) for s in speakers}
    _check_known(known, *speakers)
    return sorted(key for key in known if not wanted or key[0] in wanted)


def _whole(sessions: Iterable[Session | DamagedSession], what: str) -> list[Session]:
    """Return sessions that must all be whole to go on."""
    found = list(sessions)
    if damaged := [s for s in found if isinstance(s, DamagedSession)]:
        refuse_damaged(what, damaged)
    return [s for s in found if isinstance(s, Session)]


def _check_known(sessions: Iterable[Key], *speakers: str) -> None:
    """Refuse speakers who have none of these (speaker, session), and say who has."""
    known = {speaker for speaker, _ in sessions}
    if unknown := [speaker for speaker in speakers if composed(speaker) not in known]:
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

"""Reading a speaker store: SQLite in one file by default, PostgreSQL by URL."""

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, cast

from speechgmm import storage
from speechgmm.checks import composed, number_of, refuse
from speechgmm.errors import IncompatibleModel, SpeechGMMError, UnknownSpeaker
from speechgmm.looks import Look, Shown, some_rows, speech_of
from speechgmm.speakers.ciphers import SETTINGS
from speechgmm.speakers.damage import DamagedSession, StoreCheck, against, warn_of
from speechgmm.speakers.database import Database
from speechgmm.speakers.notes import AuditEntry, SpeakerNote
from speechgmm.speakers.sessions import (
    EnrolledRecording,
    RecordingSample,
    Session,
    SessionSummary,
    SpeakerExport,
)
from speechgmm.speakers.store_moment import Contents, StoreMoment, samples_of
from speechgmm.speakers.store_rows import Key
from speechgmm.speakers.store_tables import StoreTables
from speechgmm.speakers.system import System

T = TypeVar("T")


class StoreReader(Shown):
    """What a store tells; it is opened as a `SpeakerStore`, which changes it too."""

    def __init__(self, database: Database) -> None:
        self._cache: dict[Any, Any] = {}
        self._cached_revision = ""
        self._contents, self._memory = Contents(), dict[Any, Any]()
        self._lock = threading.RLock()
        self._database = database
        self.location, meta = database.location, database.meta
        if "fingerprint" not in meta:
            rule = "have speakers enrolled in it"
            refuse("a store", rule, f"{self.location}, which is empty", "Enroll somebody.")
        self.fingerprint, self._frontend = meta["fingerprint"], meta["frontend"]

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def _look(self) -> Look:
        words = [repr(self.location), *(["encrypted"] if self.encrypted else [])]
        try:
            told = self.cached("overview", self.overview)
        except SpeechGMMError as error:  # another process holds it, or it is gone
            return Look((*words, "its content cannot be read now"), {"why": str(error)})
        each: dict[str, list[SessionSummary]] = {}
        for session in told:
            each.setdefault(session.speaker, []).append(session)
        recordings = sum(len(s.recordings) for s in told)
        counts = {"speaker": len(each), "session": len(told), "recording": recordings}
        words += [number_of(n, what) for what, n in counts.items()]
        known = [s.speech_seconds for s in told if not math.isnan(s.speech_seconds)]
        facts = {"of the model": self.fingerprint, "speech": speech_of(sum(known))}
        rows = [(name, len(own), f"{sum(s.speech_seconds for s in own):.1f}") for name, own in sorted(each.items())]
        table = some_rows("", ("speaker", ">sessions", ">speech, s"), rows)
        return Look(tuple(words), facts, (table,) if rows else ())

    def close(self) -> None:
        """Give the database back."""
        self._database.close()

    @property
    def encrypted(self) -> bool:
        """Whether it can be read with its key alone."""
        return all(name in self._database.meta for name in SETTINGS)

    @property
    def migrated(self) -> int:
        """The format that the store was of before this opening, where that was a former one; else 0."""
        return self._database.migrated

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
        if system is not None:
            checked = [against(system.ubm, session, self.location) for session in whole]
            damaged += tuple(session for session in checked if isinstance(session, DamagedSession))
        recordings = sum(len(s.recordings) for s in whole)
        with self._database.transaction() as tables:
            notes = [f"the note of {n}: {why}" for n, why in tables.notes().items() if isinstance(why, str)]
        return StoreCheck(self.fingerprint, len(whole), recordings, damaged, (*self._database.faults(), *notes))

    def _damaged_samples(self, sessions: Iterable[Session]) -> tuple[DamagedSession, ...]:
        """Return which of these sessions have recordings of which it is damaged what is kept."""
        _, found = self.samples(digest for s in sessions for digest in s.recordings)
        return tuple({(d.speaker, d.name): d for d in found}.values())

    def read(self, *speakers: str) -> tuple[tuple[Session, ...], tuple[DamagedSession, ...]]:
        """Return `sessions` and `damaged` at once, without a warning."""
        with self._database.transaction() as tables:
            found = list(tables.sessions(keys_of(tables, *speakers)))
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
            "encrypted": self.encrypted,
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
            wanted, seconds = keys_of(tables, *speakers), tables.seconds()
            names: dict[tuple[str, str], list[str]] = {}
            for r in tables.recordings():
                names.setdefault((r.speaker, r.session), []).append(r.name)
        unknown = float("nan")  # the seconds of a session of which only recordings are left
        return tuple(SessionSummary(*k, seconds.get(k, unknown), tuple(sorted(names.get(k, ())))) for k in wanted)

    def recordings(self) -> dict[str, EnrolledRecording]:
        """Return all enrolled recordings by their digests."""
        with self._database.transaction() as tables:
            return {r.digest: r for r in tables.recordings()}

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
            return tuple(dict.fromkeys(speaker for speaker, _ in keys_of(tables, *speakers)))

    def samples(self, digests: Iterable[str]) -> tuple[tuple[RecordingSample, ...], tuple[DamagedSession, ...]]:
        """Return what is kept of these recordings, and the sessions of those of which it is damaged."""
        wanted = dict.fromkeys(digests)
        with self._database.transaction() as tables:
            return samples_of(tables, {r.digest: r for r in tables.recordings(wanted)}, self.location)

    def export(self, *speakers: str) -> SpeakerExport:
        """Return what is kept of these speakers, or of all, as one value for `speechgmm.storage.save`.

        Damaged sessions are left out, with a `DamagedSessionWarning`, and so is what is damaged of recordings.
        """
        sessions = self.sessions(*speakers)
        samples, damaged = self.samples(digest for s in sessions for digest in s.recordings)
        warn_of(damaged)
        names = {s.speaker for s in sessions}
        notes = {speaker: note for speaker, note in self.notes().items() if speaker in names}
        return SpeakerExport(self.fingerprint, sessions, samples, notes or None)

    def cached(self, key: Any, build: Callable[[], T]) -> T:
        """Return what `build` made last time for `key`, or make it anew if the store has changed since.

        Threads that share a store wait for each other.
        """
        with self._lock:
            with self._database.transaction() as tables:
                revision = tables.meta().get("revision", "")
            if self._cached_revision != revision:
                self._cache, self._cached_revision = {}, revision
            if key not in self._cache:
                self._cache[key] = build()
            return cast(T, self._cache[key])

    @contextlib.contextmanager
    def moment(self) -> Iterator[StoreMoment]:
        """Give the store as it is now, until the context ends; other threads that ask for a moment wait."""
        with self._lock, self._database.transaction() as tables:
            self._contents = self._contents.followed(tables)
            yield StoreMoment(self._contents, self.location, tables, self._memory)

    @property
    def contents(self) -> Contents:
        """Who is enrolled, and with which sessions and recordings."""
        with self.moment() as moment:
            return moment.contents

    def notes(self) -> dict[str, SpeakerNote]:
        """Return what is noted of speakers: of whom nothing is, there is nothing.

        Raises
        ------
        InvalidInput
            If a note is damaged.
        """
        with self._database.transaction() as tables:
            found = tables.notes()
        return whole_notes(found)

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return what was done to the store, oldest first."""
        with self._database.transaction() as tables:
            return tables.audit()


def keys_of(tables: StoreTables, *speakers: str) -> list[Key]:
    """Return the sorted keys of these speakers, or all; refuse speakers who have none."""
    wanted = {composed(s) for s in speakers}
    keys = tables.places(wanted or None)
    if wanted - {speaker for speaker, _ in keys}:  # nobody, or what stands in a damaged row
        keys = tables.places()
        check_known((speaker for speaker, _ in keys), *speakers)
    return sorted(key for key in keys if not wanted or key[0] in wanted)


def check_known(names: Iterable[str], *speakers: str) -> None:
    """Refuse speakers who are not among those of these names, and say who is."""
    known = set(names)
    if unknown := [speaker for speaker in speakers if composed(speaker) not in known]:
        found = ", ".join(sorted(known)[:20]) + (", ..." if len(known) > 20 else "") or "nobody"
        refuse("a speaker", f"be enrolled ({found})", repr(unknown[0]), error=UnknownSpeaker)


def whole_notes(found: Mapping[str, SpeakerNote | str]) -> dict[str, SpeakerNote]:
    """Return notes of speakers that must all be whole."""
    for speaker, note in found.items():
        if isinstance(note, str):
            advice = "Annotate the speaker anew: speechgmm speakers annotate."
            refuse(f"the note of {speaker}", "be whole", note, advice)
    return {speaker: note for speaker, note in found.items() if isinstance(note, SpeakerNote)}

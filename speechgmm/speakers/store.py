"""Enrolled speakers in a database: SQLite in one file by default, PostgreSQL by URL.

The store keeps each session's sufficient statistics against the UBM, not adapted models: enrolling one more recording
is `+`, removing a session is exact, and the relevance factor is chosen when scoring.
"""

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from speechgmm import storage
from speechgmm.checks import composed, instance, refuse
from speechgmm.errors import IncompatibleModel, InvalidInput, NotErased, SameRecording, UnknownSpeaker, WrongKey
from speechgmm.speakers.ciphers import check_key
from speechgmm.speakers.damage import DamagedSession, refuse_damaged
from speechgmm.speakers.database import ERASED, Database, number_in
from speechgmm.speakers.notes import SpeakerNote, day
from speechgmm.speakers.sessions import EnrolledRecording, RecordingSample, Session, SpeakerExport, sums_by_key
from speechgmm.speakers.store_reader import StoreReader, keys_of, whole_notes
from speechgmm.speakers.store_rows import Key
from speechgmm.speakers.store_tables import StoreTables
from speechgmm.speakers.system import System
from speechgmm.speakers.waiting import OnWait

NOT_REACHED = (
    "backups, snapshots, exports, indexes, score tables, the feature cache, "
    "and what a disk or a server keeps beside its files"
)
"""Where something of whoever was removed may still be."""
_NOT_ERASED = (
    "the change of the store {} is done, and what was removed must be overwritten; got {}. "
    "The next change overwrites it: speechgmm speakers purge is one."
)


class SpeakerStore(StoreReader):
    """Enrolled speakers.

    Names are found in any spelling of Unicode, composed or not. A session that is damaged stops nobody else: what reads
    the others goes on without it, `damaged` names it, and `remove` forgets it. A store of a former format becomes one
    of this format when it is opened (`migrated` says so), and cannot be opened by former versions any more.

    Whatever changes a store is done or, after an error, not begun, but for one error: `NotErased` says that it is done,
    and that what was removed could not be overwritten yet. The next change does that, whatever it is. Where a disk
    fails for good while SQLite ends a change in its log, or a server's answer is lost, nobody knows which of both it is
    until the store is opened again; the message says so.

    Parameters
    ----------
    location : path or str
        A file, or a database URL such as ``postgresql+psycopg://user@host/name``. A file holds the store and nothing
        else; in a server's database our tables stand beside those of others.
    system : System, optional
        Whose statistics the store holds; a new store needs one. An existing store of another system is refused.
    create : bool
        Whether to make a store where there is none.
    key : bytes, optional
        Of an encrypted store, 32 bytes or more: see `read_key`. A store that is made with a key is encrypted, and can
        be read with that alone: whoever loses it has lost the store.
    on_wait : callable, optional
        Called once, from another thread, with the place of the store, when another process has held its file for a
        second: what this one wants to do then waits for a minute at most.

    Raises
    ------
    InvalidInput
        If there is no store and none may be made, or the file is no store.
    WrongKey
        If the store is encrypted by another key, or not at all where a key is given.
    IncompatibleModel
        If the store belongs to another system; the message says which setting differs.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker="slt", split="enroll"))
    >>> store.speakers
    ('slt',)
    >>> store.rename("slt", "sarah")
    >>> store.remove("sarah")
    >>> store.speakers, [entry.action for entry in store.audit()]
    ((), ['enroll', 'rename', 'remove'])
    >>> store.close()
    >>> folder.cleanup()
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        system: System | None = None,
        *,
        create: bool = False,
        key: bytes | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        new = None
        if create and system is not None:
            new = {"fingerprint": system.fingerprint, "frontend": storage.dumps(system.frontend).hex(), "revision": "0"}
        database = Database(str(location), new, None if key is None else check_key(key), on_wait)
        try:
            super().__init__(database)
            if system is not None:
                self.check_system(system)
            database.migrate()
        except InvalidInput:
            database.close()
            raise

    def add(
        self,
        sessions: Iterable[Session],
        *,
        samples: Iterable[RecordingSample] = (),
        forget: Iterable[tuple[str, str | None]] = (),
        strict: bool = True,
        notes: Mapping[str, SpeakerNote] | None = None,
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
        notes : mapping of SpeakerNote, optional
            By speaker, for those of whom nothing is noted yet.
        new : bool
            Whether no session may be there already: an import.

        Raises
        ------
        SameRecording
        InvalidInput
            If a session that is added to is damaged, or is there and must be new.
        """
        batch, accepted, refused = list(sessions), [], []
        with self._changed("import" if new else "enroll") as change:
            tables = change.tables
            for speaker, name in forget:
                change.delete(speaker, name)
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
            keys = {key for key, _ in accepted}
            if there := sorted(keys & set(tables.places({speaker for speaker, _ in keys}))) if new else []:
                speaker, name = there[0]
                refuse("a session to import", "be new", f"{name} of {speaker}, who has it", "Remove that one first.")
            _put(change, accepted, samples)
            noted = tables.notes() if notes else {}
            for speaker, note in (notes or {}).items():
                if speaker not in noted:
                    tables.put_note(speaker, note)
        return tuple(refused)

    def remove(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session of theirs: what is left is as if it had never been enrolled.

        In an SQLite store nothing of it is left in any file: what is deleted is overwritten. On PostgreSQL the tables
        are written anew, as far as our user may do that. What lies elsewhere is not reached: see `NOT_REACHED`.

        Raises
        ------
        UnknownSpeaker
            If there is no such speaker, or no such session.
        NotErased
            If it is removed and not overwritten yet: see the class.
        """
        who, what = composed(speaker), None if session is None else composed(session)
        with self._changed("remove") as change:
            known = keys_of(change.tables, who)
            if what is not None and (who, what) not in known:
                found = ", ".join(name for _, name in known)
                refuse(f"a session of {speaker}", f"be one of {found}", repr(session), error=UnknownSpeaker)
            change.delete(who, what)

    def rename(self, old: str, new: str) -> None:
        """Give a speaker another name, which nobody must have."""
        with self._changed("rename") as change:
            tables = change.tables
            keys = keys_of(tables, old)
            if tables.places([composed(new)]):
                refuse("the new name", "be free", f"{new!r}, who is enrolled", "Remove that one first.")
            held = _whole(tables.sessions(keys), "a session of somebody who is renamed")
            moved = [dataclasses.replace(s, speaker=new) for s in held]
            note = tables.notes().get(composed(old))
            if isinstance(note, str):
                refuse(f"the note of {old}", "be whole", note, "Annotate the speaker anew.")
            change.delete(composed(old))
            for s in moved:
                change.put(s)
            if note is not None:
                tables.put_note(moved[0].speaker, note)

    def annotate(self, speaker: str, note: SpeakerNote) -> None:
        """Note what a speaker has agreed to, and until when the speaker is kept, in place of what was noted before.

        An empty note forgets what was noted. What several versions of a note said is not kept.

        Raises
        ------
        UnknownSpeaker
            If the speaker is not enrolled.
        """
        instance(note, "a note", SpeakerNote)
        with self._changed("annotate") as change:
            keys = keys_of(change.tables, speaker)
            change.tables.put_note(composed(speaker), note)
            change.touched(keys)

    def purge(self, on: str | datetime.date | None = None) -> tuple[str, ...]:
        """Forget all speakers whose last day has passed, as `remove` does, and return their names.

        Parameters
        ----------
        on : str or date, optional
            The day that it is, as ISO 8601 has it. Default: today, here.

        Raises
        ------
        InvalidInput
            If a note is damaged, or the day is none: nobody is forgotten then.
        """
        today = day(datetime.date.today() if on is None else on, "on")
        with self._changed("purge") as change:
            noted = whole_notes(change.tables.notes())
            due = tuple(sorted(speaker for speaker, note in noted.items() if note.due(today)))
            for speaker in due:
                change.delete(speaker)
        return due

    def rekey(self, key: bytes | None) -> None:
        """Encrypt everything anew by another key, or by none: whoever holds the former one alone reads nothing more.

        Other processes that have the store open are refused from then on, and open it with the new key. What was
        written by the former key is overwritten, as what is removed.

        Raises
        ------
        InvalidInput
            If something is damaged: nothing is changed then.
        """
        new = None if key is None else check_key(key)
        if faults := self.check().told:
            what = f"the store {self.location}, which gets another key,"
            refuse(what, "be whole", faults[0], "Remove what is damaged first.")
        with self._changed("rekey", lambda: self._database.rekeyed(new)) as change:
            change.touched(change.tables.places())

    def add_export(self, export: SpeakerExport) -> None:
        """Enroll what another store has exported: all of it or, after an error, nothing.

        Speakers who are enrolled already get its sessions as well; what is noted of them stays.

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
        self.add(export.sessions, samples=export.samples or (), notes=export.notes, new=True)

    @contextlib.contextmanager
    def _changed(
        self, action: str, begun: Callable[[], contextlib.AbstractContextManager[StoreTables]] | None = None
    ) -> Iterator["Change"]:
        """Change the tables in one transaction, which counts as a new revision, and erase what was deleted.

        Of a store that says that it may hold more than was erased, all pages are written anew.
        """
        with begun() if begun else self._database.transaction(write=True) as tables:
            meta = tables.meta()
            change = Change(tables, number_in(meta.get("revision", "")) + 1)  # 1: it was damaged
            yield change
            tables.prune()
            removed = action != "enroll" or change.removed
            forget = [ERASED] if removed and not self._database.overwrites else []
            logged = self._database.logs(tables)
            tables.set_meta({"revision": str(change.revision)}, forget=forget)
            if change.keys or begun:
                speakers = len({speaker for speaker, _ in change.keys})
                tables.put_audit(action, speakers, len(change.keys), change.recordings)
        whole = ERASED not in meta
        try:
            self._database.erase(whole=whole, removed=removed, logged=logged)
            if whole or forget:
                self._erased(change.revision)
        except (InvalidInput, MemoryError) as error:
            if removed or whole:  # else there is nothing to erase but what an earlier change has told of
                why = str(error).partition("; got ")[2].partition(". ")[0] or "too little memory"
                raise NotErased(_NOT_ERASED.format(self.location, why.rstrip("."))) from error

    def _erased(self, revision: int) -> None:
        """Note that everything was erased that was removed up to a revision, unless there is a later one."""
        # another key is a later change too
        with contextlib.suppress(WrongKey), self._database.transaction(write=True) as tables:
            if tables.meta().get("revision") == str(revision):
                tables.set_meta({ERASED: "1"})


class Change:
    """The tables of a store while it is changed, and what of it was touched: sessions, and recordings of them."""

    def __init__(self, tables: StoreTables, revision: int) -> None:
        self.tables, self.revision = tables, revision
        self.keys: set[Key] = set()
        self.recordings = 0
        self.removed = False

    def touched(self, keys: Iterable[Key], recordings: int = 0) -> None:
        """Count sessions and recordings."""
        self.keys |= set(keys)
        self.recordings += recordings

    def delete(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session, and count what that was."""
        self.touched(*self.tables.delete(speaker, session))
        self.removed = True

    def put(self, session: Session) -> None:
        """Write a session."""
        self.tables.put(session, self.revision)


def _put(change: Change, accepted: Collection[tuple[Key, Session]], samples: Iterable[RecordingSample]) -> None:
    """Write sessions, added to those that are there, with what is kept of their recordings."""
    tables = change.tables
    held = [((s.speaker, s.name), s) for s in _whole(tables.sessions(dict(accepted)), "a session to add to")]
    for session in sums_by_key(held + list(accepted)).values():
        change.put(session)
    added = {digest for _, session in accepted for digest in session.recordings}
    given = {s.digest: s for s in samples}  # the same recording twice is one
    for digest in sorted(added):
        tables.put_sample(digest, given.get(digest))
    change.touched(dict(accepted), len(added))


def _whole(sessions: Iterable[Session | DamagedSession], what: str) -> list[Session]:
    """Return sessions that must all be whole to go on."""
    found = list(sessions)
    if damaged := [s for s in found if isinstance(s, DamagedSession)]:
        refuse_damaged(what, damaged)
    return [s for s in found if isinstance(s, Session)]


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

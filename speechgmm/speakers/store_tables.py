"""The tables of a speaker store: sessions in and out, through a cipher. SQLAlchemy itself is handed in.

A session is named by its key, (speaker, session) as composed text. Rows are found by what stands in them, the "place":
encrypted names, other spellings of a key, and whatever a damaged column holds.
"""

import datetime
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from speechgmm import __version__, storage
from speechgmm.checks import composed
from speechgmm.errors import InvalidInput
from speechgmm.mixture import Statistics
from speechgmm.speakers.ciphers import Cipher
from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.notes import AuditEntry, SpeakerNote
from speechgmm.speakers.sessions import EnrolledRecording, RecordingSample, Session
from speechgmm.speakers.store_rows import (
    Key,
    Place,
    RecordingRow,
    StoredSession,
    WantedSession,
    at_place,
    is_unicode,
    stands,
)

FEW = 50
"""The recordings of so many sessions are asked for one by one."""
_TOGETHER = 8
"""The values of so many sessions are asked for at once, and held: some 4 MB."""


def tables_of(sa: Any) -> dict[str, Any]:
    """Return the tables by their short names: settings, sessions with their statistics, recordings and what is kept
    of each, what is noted of speakers, and what was done.
    """
    text, whole, short, metadata = sa.Text, sa.Integer, sa.String(64), sa.MetaData()
    of_session = {"revision": whole, "seconds": text, "value": sa.LargeBinary}
    columns: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "meta": ({"key": short}, {"value": text}),
        "sessions": ({"speaker": text, "session": text}, of_session),
        "recordings": ({"digest": text}, {"name": text, "speaker": text, "session": text}),
        "samples": ({"digest": text}, {"value": sa.LargeBinary}),
        "notes": ({"speaker": text}, {"value": text}),
        "audit": (
            {"number": whole},
            {f.name: text if f.type is str else whole for f in fields(AuditEntry) if f.name != "number"},
        ),
    }

    def table(of: str, keys: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        made = [sa.Column(name, kind, primary_key=True, autoincrement=False) for name, kind in keys.items()]
        made += [sa.Column(name, kind, nullable=False) for name, kind in values.items()]
        return sa.Table(f"speechgmm_{of}", metadata, *made)

    return {name: table(name, *parts) for name, parts in columns.items()}


class StoreTables:
    """The tables as one connection sees them; changes take effect when the transaction ends well.

    They are for one thread at a time, but for `stored` and `opened`.
    """

    def __init__(self, sa: Any, tables: Mapping[str, Any], connection: Any, cipher: Cipher, location: str) -> None:
        self._sa, self.connection, self._cipher, self._location = sa, connection, cipher, location
        self._tables = tables
        self._sessions, self._recordings = tables["sessions"], tables["recordings"]
        self._samples, self._notes = tables["samples"], tables["notes"]
        self._places: dict[Key, list[Place]] | None = None
        self._lock = threading.Lock()
        self.composed = False
        """Whether all names stand in the one spelling that they are looked for in: else all rows are looked through."""

    def names(self) -> list[str]:
        """Return the names of all tables and views that are there, ours and those of others."""
        inspector = self._sa.inspect(self.connection)
        return [*inspector.get_table_names(), *inspector.get_view_names()]

    def make_tables(self) -> None:
        """Make the tables that are not there, and keep other writers out until the transaction ends."""
        if self.connection.dialect.name == "postgresql":  # its "if not exists" is not safe when two create at once
            self.connection.execute(self._sa.text("select pg_advisory_xact_lock(hashtext('speechgmm'))"))
        for table in self._tables.values():
            self.connection.execute(self._sa.schema.CreateTable(table, if_not_exists=True))
        self.lock()

    def lock(self) -> None:
        """Keep other writers out until the transaction ends, so that what is read now is what will be changed."""
        meta = self._tables["meta"]
        self.connection.execute(meta.update().where(meta.c.key == "format").values(value=meta.c.value))

    def meta(self) -> dict[str, str]:
        """Return the settings of the store."""
        rows = self.connection.execute(self._sa.select(self._tables["meta"]))
        return {_text(row.key): _text(row.value) for row in rows}

    def set_meta(self, values: Mapping[str, str], *, forget: Iterable[str] = ()) -> None:
        """Write settings, replacing those of the same key, and forget others."""
        meta = self._tables["meta"]
        self.connection.execute(meta.delete().where(meta.c.key.in_([*values, *forget])))
        if values:
            self.connection.execute(meta.insert(), [{"key": key, "value": v} for key, v in values.items()])

    def places(self, speakers: Collection[str] | None = None) -> dict[Key, list[Place]]:
        """Return the keys and places of all sessions, or of some speakers', also where only recordings are left."""
        plain = speakers is not None and len(speakers) <= FEW and all(map(is_unicode, speakers))
        if self._places is None and self.composed and plain:
            return self._found([self._cipher.hide(speaker, "speaker") for speaker in speakers or ()])
        if self._places is None:
            self._places = self._found(None)
        known = self._places
        return known if speakers is None else {key: places for key, places in known.items() if key[0] in speakers}

    def _found(self, hidden: list[str] | None) -> dict[Key, list[Place]]:
        """Return the keys and places of the rows of all speakers, or of those that are written so."""
        found: dict[Key, list[Place]] = {}
        every = [self._sa.select(t.c.speaker, t.c.session) for t in (self._sessions, self._recordings)]
        if hidden is not None:
            every = [query.where(query.selected_columns.speaker.in_(hidden)) for query in every]
        for row in self.connection.execute(self._sa.union(*every)):
            found.setdefault(self.key(row), []).append((row.speaker, row.session))
        return found

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all rows of sessions, then of recordings, as `SessionRow` and `RecordingRow` name their columns.

        They come in the order in which they lie in a file of SQLite's, in which values are read soonest.

        Where SQLite cannot read those of sessions, their places are there, and each time as rows that nobody has seen.
        """
        c, r = self._sessions.c, self._recordings.c
        length = self._sa.func.length(c.value)
        recordings = self._all(self._sa.select(*(r[name] for name in RecordingRow._fields)))
        try:
            sessions = self._all(self._sa.select(c.speaker, c.session, c.revision, c.seconds, length))
            return sessions + recordings
        except self._sa.exc.DatabaseError as error:
            if not self._is_damage(error):
                raise
            places = self._all(self._sa.select(c.speaker, c.session))
            return [*((*place, object(), None, None) for place in places), *recordings]

    def _all(self, query: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the driver gives them, which takes a third of the time of SQLAlchemy's."""
        result = self.connection.execute(query)
        try:
            found: list[tuple[Any, ...]] = result.cursor.fetchall()
        except self.connection.dialect.loaded_dbapi.DatabaseError:
            return [tuple(row) for row in self.connection.execute(query)]  # which says so as all other queries do
        finally:
            result.close()
        return found

    def sessions(self, keys: Iterable[Key] | None = None) -> Iterator[Session | DamagedSession]:
        """Yield all sessions, or those of these keys that are there, in order of their keys."""
        asked = None if keys is None else set(keys)
        known = self.places(None if asked is None else {speaker for speaker, _ in asked})
        order = sorted(known if asked is None else asked & set(known))
        recordings = self._recordings_at([p for key in order for p in known[key]] if len(order) <= FEW else None)
        wanted = [WantedSession(key, place, recordings.get(place, {})) for key in order for place in known[key]]
        return map(self.opened, self.stored(wanted))

    def stored(self, wanted: Sequence[WantedSession]) -> Iterator[StoredSession]:
        """Yield these sessions as they stand there, some at a time; `opened` makes values of them, in any thread."""
        for start in range(0, len(wanted), _TOGETHER):
            some = wanted[start : start + _TOGETHER]
            with self._lock:
                rows = self._values([w.place for w in some])
            for w in some:
                yield StoredSession(w, *rows.pop(w.place))

    def _values(self, places: Sequence[Place]) -> dict[Place, tuple[Any, str]]:
        """Return the rows of sessions, or what the database says where it cannot read one."""
        columns = self._sessions.c
        query = self._sa.select(columns.speaker, columns.session, columns.seconds, columns.value)
        if len(places) > 1 and all(isinstance(x, str) and is_unicode(x) for place in places for x in place):
            each = (self._sa.and_(*at_place(self._sa, self._sessions, place)) for place in places)
            some = query.where(self._sa.or_(*each))  # of pairs in a list SQLite looks at all rows there are
            try:
                found = {(row.speaker, row.session): (row, "") for row in self.connection.execute(some)}
                return {place: found.get(place, (None, "")) for place in places}
            except self._sa.exc.DatabaseError as error:
                if not self._is_damage(error):
                    raise
        return {place: self._value(query, place) for place in places}

    def _value(self, query: Any, place: Place) -> tuple[Any, str]:
        one = query.where(*at_place(self._sa, self._sessions, place))
        try:
            return self.connection.execute(one).one_or_none(), ""
        except self._sa.exc.DatabaseError as error:
            if not self._is_damage(error):
                raise
            return None, str(error.orig)

    def _recordings_at(self, places: Iterable[Place] | None) -> dict[Place, dict[str, str]]:
        """Return digests and names of the recordings at these places, or at all."""
        query, found = self._sa.select(self._recordings), dict[Place, dict[str, str]]()
        for one in (
            [query] if places is None else (query.where(*at_place(self._sa, self._recordings, p)) for p in places)
        ):
            for row in self.connection.execute(one):
                recording = self.recording(row)
                found.setdefault((row.speaker, row.session), {})[recording.digest] = recording.name
        return found

    def opened(self, stored: StoredSession) -> Session | DamagedSession:
        """Return a session, or what is wrong with it."""
        (key, _, recordings), row = stored.wanted, stored.row
        if stored.error:
            return self._damaged(key, stored.error)
        if row is None:
            return self._damaged(key, "only the list of its recordings is left")
        if not isinstance(row.value, (bytes, memoryview)):
            return self._damaged(key, f"its statistics are no bytes but {type(row.value).__name__}")
        try:
            value = self._cipher.unseal(bytes(row.value), "session", *key)
            session: Session = storage.loads(value, Session, Statistics, source="its value")
        except InvalidInput as error:
            return self._damaged(key, str(error).rstrip("."))
        held = {
            "speaker and session": ((session.speaker, session.name), key),
            "seconds of speech": (session.speech_seconds, self._seconds(row, key)),
            "recordings": (dict(session.recordings), recordings),
        }
        wrong = [what for what, (own, told) in held.items() if own != told]
        return self._damaged(key, f"its {' and '.join(wrong)} are not those of its value") if wrong else session

    def _is_damage(self, error: Exception) -> bool:
        """Say whether what is read is damaged: it is whole where a disk or memory is full, or another process holds it.

        On a server an error ends the transaction.
        """
        sqlite = self.connection.dialect.name == "sqlite"
        return sqlite and not isinstance(error, self._sa.exc.OperationalError)

    def _damaged(self, key: Key, reason: str) -> DamagedSession:
        return DamagedSession.of(*key, reason, self._location)

    def _seconds(self, row: Any, key: Key) -> float:
        """Return the seconds of speech in a row, NaN where no number is there."""
        try:
            return float(self._cipher.reveal(_text(row.seconds), "seconds", *key))
        except (InvalidInput, ValueError):
            return float("nan")

    def seconds(self) -> dict[Key, float]:
        """Return the sessions with their seconds of speech, NaN where no number is there."""
        c, found = self._sessions.c, dict[Key, float]()
        for row in self.connection.execute(self._sa.select(c.speaker, c.session, c.seconds)):
            key = self.key(row)
            found[key] = found.get(key, 0.0) + self._seconds(row, key)
        return found

    def recordings(self, digests: Iterable[str] | None = None) -> Iterator[EnrolledRecording]:
        """Yield the recordings of all sessions, or those of these digests that are known."""
        query = self._sa.select(self._recordings)
        hidden = None if digests is None else (self._digest(digest) for digest in digests)
        for one in [query] if hidden is None else (query.where(self._is(self._recordings, d)) for d in hidden):
            for row in self.connection.execute(one):
                yield self.recording(row)

    def recording(self, row: Any) -> EnrolledRecording:
        """Return what a row says of a recording."""
        digest = self._revealed(row.digest, "digest")
        return EnrolledRecording(digest, self._revealed(row.name, "name", digest), *self.key(row))

    def put(self, session: Session, revision: int) -> None:
        """Write one session, replacing what it held, and note its recordings."""
        key, cipher = (session.speaker, session.name), self._cipher
        self.delete(*key)
        place = self._place(*key)
        where = dict(zip(("speaker", "session"), place, strict=True))
        values = {
            "revision": revision,
            "seconds": cipher.hide(repr(session.speech_seconds), "seconds", *key),
            "value": cipher.seal(storage.dumps(session), "session", *key),
        }
        self.connection.execute(self._sessions.insert().values(**where, **values))
        for digest, name in session.recordings.items():
            hidden = {"digest": self._digest(digest), "name": cipher.hide(name, "name", digest)}
            self.connection.execute(self._recordings.insert().values(**where, **hidden))
        if self._places is not None:
            self._places[key] = [place]

    def put_sample(self, digest: str, sample: RecordingSample | None) -> None:
        """Write what is kept of one recording, or note that nothing was given to be kept."""
        value = b"" if sample is None else storage.dumps(sample)
        sealed = self._cipher.seal(value, "sample", digest)
        self.connection.execute(self._samples.insert().values(digest=self._digest(digest), value=sealed))

    def samples(self, digests: Iterable[str]) -> Iterator[tuple[str, RecordingSample | str | None]]:
        """Yield what is kept of these recordings by their digests, or what is wrong with it."""
        for digest in digests:
            query = self._sa.select(self._samples.c.value).where(self._is(self._samples, self._digest(digest)))
            yield digest, self._sample(digest, query)

    def _sample(self, digest: str, query: Any) -> RecordingSample | str | None:
        try:
            value = self.connection.execute(query).scalar_one_or_none()
        except self._sa.exc.DatabaseError as error:
            if not self._is_damage(error):
                raise
            return str(error.orig)
        if value is None:
            return "nothing is kept of it"
        if not isinstance(value, (bytes, memoryview)):
            return f"no bytes but {type(value).__name__}"
        try:
            data = self._cipher.unseal(bytes(value), "sample", digest)
            if not data:
                return None
            sample: RecordingSample = storage.loads(data, RecordingSample, source="its sample")
        except InvalidInput as error:
            return str(error).rstrip(".")
        return sample if sample.digest == digest else "it is of another recording"

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes are kept of all sessions, and beside that of their recordings."""
        func = self._sa.func
        sums = (self._sa.select(func.sum(func.length(t.c.value))) for t in (self._sessions, self._samples))
        found = [self.connection.execute(query).scalar() for query in sums]
        return int(found[0] or 0), int(found[1] or 0)

    def prune(self) -> None:
        """Forget what was kept of recordings that are in no session any more, and noted of speakers who have none."""
        known = self._sa.exists().where(self._recordings.c.digest == self._samples.c.digest)
        self.connection.execute(self._samples.delete().where(~known))
        noted = list(self._noted())
        speakers = {speaker for speaker, _ in self.places({speaker for _, speaker in noted})} if noted else set()
        for place, speaker in noted:
            if speaker not in speakers:
                self.connection.execute(self._notes.delete().where(stands(self._sa, self._notes.c.speaker, place)))

    def delete(self, speaker: str, session: str | None = None) -> tuple[list[Key], int]:
        """Forget a speaker, or one session, in whatever spelling; return which sessions, and how many recordings."""
        known, recordings = self.places([speaker]), 0
        gone = [k for k in known if session in (None, k[1])]
        for key in gone:
            for place in known[key]:
                for table in (self._sessions, self._recordings):
                    done = self.connection.execute(table.delete().where(*at_place(self._sa, table, place)))
                recordings += done.rowcount
            if self._places is not None:
                del self._places[key]
        return gone, recordings

    def _noted(self) -> Iterator[tuple[Any, str]]:
        """Yield what stands for each speaker of whom something is noted, and the name."""
        for (place,) in self.connection.execute(self._sa.select(self._notes.c.speaker)).all():
            yield place, composed(self._revealed(place, "speaker"))

    def notes(self) -> dict[str, SpeakerNote | str]:
        """Return what is noted of speakers, or what is wrong with it."""
        found: dict[str, SpeakerNote | str] = {}
        for place, speaker in self._noted():
            where = stands(self._sa, self._notes.c.speaker, place)
            value = self.connection.execute(self._sa.select(self._notes.c.value).where(where)).scalar()
            try:
                found[speaker] = SpeakerNote.loads(self._cipher.reveal(_text(value), "note", speaker))
            except InvalidInput as error:
                found[speaker] = str(error).rstrip(".")
        return found

    def put_note(self, speaker: str, note: SpeakerNote) -> None:
        """Write what is noted of a speaker, replacing what was."""
        for place in [place for place, name in self._noted() if name == speaker]:
            self.connection.execute(self._notes.delete().where(stands(self._sa, self._notes.c.speaker, place)))
        if note != SpeakerNote():
            where, value = self._cipher.hide(speaker, "speaker"), self._cipher.hide(note.dumps(), "note", speaker)
            self.connection.execute(self._notes.insert().values(speaker=where, value=value))

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return what was done, oldest first."""
        table = self._tables["audit"]
        rows = self.connection.execute(self._sa.select(table).order_by(table.c.number))
        return tuple(AuditEntry(*(getattr(row, f.name) for f in fields(AuditEntry))) for row in rows)

    def put_audit(self, action: str, speakers: int, sessions: int, recordings: int) -> None:
        """Write down what is done now, and to how many."""
        table, now = self._tables["audit"], datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        last = self.connection.execute(self._sa.select(self._sa.func.max(table.c.number))).scalar() or 0
        counts = (speakers, sessions, recordings)
        entry = AuditEntry(last + 1, now.isoformat(timespec="seconds"), __version__, action, *counts)
        self.connection.execute(table.insert().values(**asdict(entry)))

    def rewrite(self, cipher: Cipher) -> None:
        """Write everything anew by another cipher, and go on with that.

        Raises
        ------
        InvalidInput
            If something cannot be read.
        """
        old, rows = self._cipher, self.connection
        for table in (self._samples, self._recordings, self._notes, self._sessions):
            names = [c.name for c in table.primary_key]
            for known in rows.execute(self._sa.select(*table.primary_key.columns)).all():
                where = [table.c[name] == value for name, value in zip(names, known, strict=True)]
                row = rows.execute(self._sa.select(table).where(*where)).one()
                rows.execute(table.update().where(*where).values(**_again(row._mapping, old, cipher)))
        self._cipher, self._places = cipher, None

    def key(self, row: Any) -> Key:
        """Return the key of a row."""
        speaker = self._revealed(row.speaker, "speaker")
        return composed(speaker), composed(self._revealed(row.session, "session", speaker))

    def _place(self, speaker: str, session: str) -> Place:
        """Return what stands in the columns of a key."""
        return self._cipher.hide(speaker, "speaker"), self._cipher.hide(session, "session", speaker)

    def _is(self, table: Any, digest: str) -> Any:
        """Return the condition on rows of a digest as it stands there."""
        return stands(self._sa, table.c.digest, digest)

    def _digest(self, digest: str) -> str:
        return self._cipher.hide(digest, "digest")

    def _revealed(self, value: Any, *bound: str) -> str:
        """Return the text that a column stands for, or what stands in it where that is damaged."""
        text = _text(value)
        try:
            return self._cipher.reveal(text, *bound)
        except InvalidInput:
            return text


def _again(row: Mapping[str, Any], old: Cipher, new: Cipher) -> dict[str, Any]:
    """Return the columns of a row as another cipher writes them."""
    plain, told = dict[str, str](), dict[str, Any]()
    for column, value in row.items():
        if isinstance(value, int):
            continue
        bound = _bound(column, plain)
        if isinstance(value, str):
            plain[column] = old.reveal(value, *bound)
            told[column] = new.hide(plain[column], *bound)
        else:
            told[column] = new.seal(old.unseal(bytes(value), *bound), *bound)
    return told


def _bound(column: str, plain: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a column of a row is bound to, as `StoreTables` writes it, by the columns before it."""
    if column in ("speaker", "digest"):
        return (column,)
    if column == "session":
        return column, plain["speaker"]
    if "digest" in plain:
        return ("sample" if column == "value" else column), plain["digest"]
    speaker = composed(plain["speaker"])
    if "session" not in plain:
        return "note", speaker
    return ("session" if column == "value" else column), speaker, composed(plain["session"])


def _text(value: Any) -> str:
    """Return what stands in a column as text that a command line can hold: a damaged one may hold anything."""
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "\u2400")

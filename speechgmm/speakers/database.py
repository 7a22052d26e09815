"""The tables under the speaker store, through SQLAlchemy: sessions in and out."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from speechgmm import storage
from speechgmm.checks import composed, refuse
from speechgmm.errors import InvalidInput, MissingExtra
from speechgmm.files import check_readable
from speechgmm.mixture import Statistics
from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.sessions import EnrolledRecording, RecordingSample, Session
from speechgmm.speakers.waiting import OnWait, refuse_held, tell_of_waiting

Key = tuple[str, str]
"""Speaker and session, as composed text."""
Place = tuple[Any, Any]
"""What stands in the columns of speaker and session."""

ERASED = "erased"
"""The setting of a store that never held what was not overwritten when it was deleted."""
_FORMAT = "2"
"""1 kept statistics of sessions alone, from which a store cannot tell how high strangers come."""
_CONTENT = "select name from sqlite_master where type in ('table', 'view')"
_TRIES, _PAUSE = 8, 0.05
"""A file that another process is writing to looks damaged for a moment, in seconds."""
_PATIENCE = 60.0
"""How long a writer waits for others of the same SQLite file, in seconds."""


def _tables(sa: Any) -> list[Any]:
    """Return the tables: settings, sessions with their statistics, their recordings, and what is kept of each."""
    text, short, metadata = sa.Text, sa.String(64), sa.MetaData()

    def table(of: str, keys: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        columns = [sa.Column(name, kind, primary_key=True) for name, kind in keys.items()]
        columns += [sa.Column(name, kind, nullable=False) for name, kind in values.items()]
        return sa.Table(f"speechgmm_{of}", metadata, *columns)

    return [
        table("meta", {"key": short}, {"value": text}),
        table("sessions", {"speaker": text, "session": text}, {"seconds": sa.Float, "value": sa.LargeBinary}),
        table("recordings", {"digest": short}, {"name": text, "speaker": text, "session": text}),
        table("samples", {"digest": short}, {"value": sa.LargeBinary}),
    ]


class StoreTables:
    """The tables as one connection sees them; changes take effect when the transaction ends well.

    A session is named by its key, (speaker, session) as composed text. Rows are found by what stands in them, the
    "place": other spellings of a key, and whatever a damaged column holds.
    """

    def __init__(self, sa: Any, tables: list[Any], connection: Any, location: str) -> None:
        self._sa, self._tables, self._connection, self._location = sa, tables, connection, location
        self._meta, self._sessions, self._recordings, self._samples = tables
        self._places: dict[Key, list[Place]] | None = None

    def names(self) -> list[str]:
        """Return the names of all tables and views that are there, ours and those of others."""
        inspector = self._sa.inspect(self._connection)
        return [*inspector.get_table_names(), *inspector.get_view_names()]

    def make_tables(self) -> None:
        """Make the tables that are not there, and keep other writers out until the transaction ends."""
        if self._connection.dialect.name == "postgresql":  # its "if not exists" is not safe when two create at once
            self._connection.execute(self._sa.text("select pg_advisory_xact_lock(hashtext('speechgmm'))"))
        for table in self._tables:
            self._connection.execute(self._sa.schema.CreateTable(table, if_not_exists=True))
        self.lock()

    def lock(self) -> None:
        """Keep other writers out until the transaction ends, so that what is read now is what will be changed."""
        where = self._meta.c.key == "format"
        self._connection.execute(self._meta.update().where(where).values(value=self._meta.c.value))

    def meta(self) -> dict[str, str]:
        """Return the settings of the store."""
        return {_text(row.key): _text(row.value) for row in self._connection.execute(self._sa.select(self._meta))}

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Write settings, replacing those of the same key."""
        self._connection.execute(self._meta.delete().where(self._meta.c.key.in_(list(values))))
        self._connection.execute(self._meta.insert(), [{"key": key, "value": v} for key, v in values.items()])

    def places(self) -> dict[Key, list[Place]]:
        """Return the keys of all sessions, also of those of which only recordings are left, and their places."""
        if self._places is None:
            self._places = {}
            for table in (self._sessions, self._recordings):
                for row in self._connection.execute(self._sa.select(table.c.speaker, table.c.session).distinct()):
                    places = self._places.setdefault(_key(row), [])
                    if tuple(row) not in places:
                        places.append((row.speaker, row.session))
        return self._places

    def sessions(self, keys: Iterable[Key] | None = None) -> Iterator[Session | DamagedSession]:
        """Yield all sessions, or those of these keys that are there, in order of their keys."""
        known = self.places()
        recordings: dict[Place, dict[str, str]] = {}
        for row in self._connection.execute(self._sa.select(self._recordings)):
            recordings.setdefault((row.speaker, row.session), {})[_text(row.digest)] = _text(row.name)
        for key in sorted(known if keys is None else set(keys) & set(known)):
            for place in known[key]:
                yield self._session(key, place, recordings.get(place, {}))

    def _session(self, key: Key, place: Place, recordings: Mapping[str, str]) -> Session | DamagedSession:
        """Return the session at a place, or what is wrong with it."""
        columns = self._sessions.c
        query = self._sa.select(columns.seconds, columns.value).where(*self._at(self._sessions, *place))
        try:
            row = self._connection.execute(query).one_or_none()
        except self._sa.exc.DatabaseError as error:
            if self._connection.dialect.name != "sqlite":  # where it ends the transaction
                raise
            return self._damaged(key, str(error.orig))
        if row is None:
            return self._damaged(key, "only the list of its recordings is left")
        if not isinstance(row.value, (bytes, memoryview)):
            return self._damaged(key, f"its statistics are no bytes but {type(row.value).__name__}")
        try:
            session: Session = storage.loads(bytes(row.value), Session, Statistics, source="its value")
        except InvalidInput as error:
            return self._damaged(key, str(error).rstrip("."))
        held = {
            "speaker and session": ((session.speaker, session.name), key),
            "seconds of speech": (session.speech_seconds, row.seconds),
            "recordings": (dict(session.recordings), recordings),
        }
        wrong = [what for what, (own, told) in held.items() if own != told]
        return self._damaged(key, f"its {' and '.join(wrong)} are not those of its value") if wrong else session

    def _damaged(self, key: Key, reason: str) -> DamagedSession:
        return DamagedSession.of(*key, reason, self._location)

    def seconds(self) -> dict[Key, float]:
        """Return the sessions with their seconds of speech, NaN where no number is there."""
        c, found = self._sessions.c, dict[Key, float]()
        for row in self._connection.execute(self._sa.select(c.speaker, c.session, c.seconds)):
            seconds = float(row.seconds) if isinstance(row.seconds, (int, float)) else float("nan")
            found[_key(row)] = found.get(_key(row), 0.0) + seconds
        return found

    def recordings(self, digests: Iterable[str] | None = None) -> Iterator[EnrolledRecording]:
        """Yield the recordings of all sessions, or those of these digests that are known."""
        query = self._sa.select(self._recordings)
        for one in [query] if digests is None else (query.filter_by(digest=digest) for digest in digests):
            for row in self._connection.execute(one):
                yield EnrolledRecording(_text(row.digest), _text(row.name), *_key(row))

    def put(self, session: Session) -> None:
        """Write one session, replacing what it held, and note its recordings."""
        place = (session.speaker, session.name)
        self.delete(*place)
        where = {"speaker": session.speaker, "session": session.name}
        values = {"value": storage.dumps(session), "seconds": session.speech_seconds}
        self._connection.execute(self._sessions.insert().values(**where, **values))
        for digest, name in session.recordings.items():
            self._connection.execute(self._recordings.insert().values(**where, digest=digest, name=name))
        self.places()[place] = [place]

    def put_sample(self, sample: RecordingSample) -> None:
        """Write what is kept of one recording."""
        self._connection.execute(self._samples.insert().values(digest=sample.digest, value=storage.dumps(sample)))

    def put_no_sample(self, digest: str) -> None:
        """Note that nothing was given to be kept of a recording."""
        self._connection.execute(self._samples.insert().values(digest=digest, value=b""))

    def samples(self, digests: Iterable[str]) -> Iterator[tuple[str, RecordingSample | str | None]]:
        """Yield what is kept of these recordings by their digests, or what is wrong with it."""
        for digest in digests:
            query = self._sa.select(self._samples.c.value).where(self._samples.c.digest == digest)
            yield digest, self._sample(digest, query)

    def _sample(self, digest: str, query: Any) -> RecordingSample | str | None:
        try:
            value = self._connection.execute(query).scalar_one_or_none()
        except self._sa.exc.DatabaseError as error:
            if self._connection.dialect.name != "sqlite":  # where it ends the transaction
                raise
            return str(error.orig)
        if value is None:
            return "nothing is kept of it"
        if not isinstance(value, (bytes, memoryview)):
            return f"no bytes but {type(value).__name__}"
        if not len(value):
            return None
        try:
            sample: RecordingSample = storage.loads(bytes(value), RecordingSample, source="its sample")
        except InvalidInput as error:
            return str(error).rstrip(".")
        return sample if sample.digest == digest else "it is of another recording"

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes are kept of all sessions, and beside that of their recordings."""
        func = self._sa.func
        sums = (self._sa.select(func.sum(func.length(t.c.value))) for t in (self._sessions, self._samples))
        found = [self._connection.execute(query).scalar() for query in sums]
        return int(found[0] or 0), int(found[1] or 0)

    def prune(self) -> None:
        """Forget what was kept of recordings that are in no session any more."""
        known = self._sa.exists().where(self._recordings.c.digest == self._samples.c.digest)
        self._connection.execute(self._samples.delete().where(~known))

    def delete(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session, in whatever spelling."""
        known = self.places()
        for key in [k for k in known if k[0] == speaker and session in (None, k[1])]:
            for place in known.pop(key):
                for table in (self._sessions, self._recordings):
                    self._connection.execute(table.delete().where(*self._at(table, *place)))

    def _at(self, table: Any, *place: Any) -> list[Any]:
        """Return the conditions on rows at a place, whatever stands there."""
        sa, conditions = self._sa, []
        for column, value in zip((table.c.speaker, table.c.session), place, strict=True):
            if isinstance(value, str) and not _is_unicode(value):  # bytes that are no text, compared as they are
                value = sa.cast(sa.literal(value.encode("utf-8", "surrogateescape"), sa.LargeBinary), sa.Text)
            conditions.append(column.is_not_distinct_from(value))
        return conditions


def _text(value: Any) -> str:
    """Return what stands in a column as text that a command line can hold: a damaged one may hold anything."""
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "\u2400")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(row: Any) -> Key:
    """Return the key of a row."""
    return composed(_text(row.speaker)), composed(_text(row.session))


class Database:
    """A connection to the tables at a file or URL, and the settings that were found there, `meta`.

    An SQLite file belongs to one program: one that holds anything else than a store is refused, and not touched. A
    server's database is shared by many, and our tables have names of their own (``speechgmm_...``): there they stand
    beside those of others.

    Parameters
    ----------
    location : str
    new : mapping of str or None
        The settings of a store that is made where there is none; None where none may be made.
    on_wait : callable, optional
        See `speechgmm.speakers.waiting`.

    Raises
    ------
    InvalidInput
        If there is no store, or what is there is no store or of another format.
    """

    def __init__(self, location: str, new: Mapping[str, str] | None, on_wait: OnWait | None = None) -> None:
        import sqlalchemy as sa

        self._sa, self.location, self._tables = sa, location, _tables(sa)
        if "://" not in location and new is None and not Path(location).exists():
            refuse("a store", "exist", f"{location}, which does not", "Enroll somebody first.")
        url = self._url(location)
        if url.get_backend_name() == "sqlite" and url.database:
            self._check_file(Path(url.database))
        sqlite = {"poolclass": sa.pool.NullPool, "connect_args": {"timeout": _PATIENCE}}
        try:
            self._engine = sa.create_engine(url, **(sqlite if url.get_backend_name() == "sqlite" else {}))
        except ImportError as error:
            advice = "Install its driver, for PostgreSQL with: python -m pip install 'speechgmm[postgres]'"
            refuse(f"the store {self.location}", "have a driver", str(error), advice, error=MissingExtra)
        except sa.exc.SQLAlchemyError as error:
            self._refuse(str(error))
        if url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _begin_sqlite)
        if on_wait is not None and url.get_backend_name() == "sqlite":
            tell_of_waiting(sa, self._engine, self.location, on_wait)
        try:
            self.meta = self._prepare(new)
        except BaseException:
            self.close()
            raise

    def _prepare(self, new: Mapping[str, str] | None) -> dict[str, str]:
        """Check the tables, or make them where that is allowed, and return the settings."""
        with self.transaction() as tables:
            names = tables.names()
            if self._tables[0].name not in names:
                if new is None:
                    self._refuse("a database without its tables")
                if names and self._engine.dialect.name == "sqlite":
                    self._refuse_other(names)
            else:
                self._check_format(tables.meta())
            if new is not None:
                tables.make_tables()
            meta = tables.meta()
            lost = [name for name in ("format", "fingerprint", "frontend") if name not in meta]
            if lost and (meta or tables.places()):
                self._refuse(f"one that has lost its {lost[0]}")
            if lost and new is not None:
                meta = {"format": _FORMAT, ERASED: "1", **new}
                tables.set_meta(meta)
            return meta

    def _check_format(self, meta: Mapping[str, str]) -> None:
        """Refuse a store that another version of this package has made."""
        if (found := meta.get("format", _FORMAT)) == _FORMAT:
            return
        former = found.isdecimal() and int(found) < int(_FORMAT)
        advice = "It keeps too little for decisions: enroll again." if former else "Update speechgmm."
        refuse(f"the store {self.location}", f"be of format {_FORMAT}", f"format {found}", advice)

    def _check_file(self, path: Path) -> None:
        """Refuse a file that is no store and not empty, before anything could be written to it.

        It is read as one that never changes: SQLite would otherwise undo what another program has left unfinished.
        """
        check_readable(path, "a store")
        if not path.exists():
            return
        if path.is_dir():
            self._refuse("a directory")
        if not path.stat().st_size:
            return
        names = self._content(path)
        if names and self._tables[0].name not in names:
            self._refuse_other(names)
        if not names and Path(f"{path}-wal").exists():
            self._refuse("a database of something else, whose content still lies beside it")

    def _content(self, path: Path) -> list[str]:
        """Return the names of all tables of a file, read again where somebody may be writing to it at this moment."""
        for left in reversed(range(_TRIES)):
            try:
                address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
                with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
                    return [name for (name,) in db.execute(_CONTENT)]
            except sqlite3.Error as error:
                if not left or "malformed" not in str(error):
                    self._refuse(str(error))
                time.sleep(_PAUSE)
        raise AssertionError  # the last try returns or refuses

    def _refuse_other(self, names: list[str]) -> NoReturn:
        more = ", ..." if len(names) > 3 else ""
        self._refuse(f"a database of something else, with {', '.join(map(repr, names[:3]))}{more}")

    def erase(self, *, whole: bool) -> None:
        """Leave nothing of what was deleted in the files of a store: in its log, and in all pages where `whole`.

        A server's database is its own to tidy.
        """
        if self._engine.dialect.name != "sqlite":
            return
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if whole:
                    connection.exec_driver_sql("vacuum")
                if connection.exec_driver_sql("pragma journal_mode").scalar() == "wal":
                    connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
        except self._sa.exc.SQLAlchemyError as error:
            self._refuse_error(error)

    def faults(self) -> tuple[str, ...]:
        """Return what SQLite finds wrong with the file itself, page by page; of a server nothing is asked."""
        if self._engine.dialect.name != "sqlite":
            return ()
        try:
            with self._engine.connect() as connection:
                found = connection.exec_driver_sql("pragma integrity_check").scalars().all()
        except self._sa.exc.SQLAlchemyError as error:
            found = [_why(error)]
        return tuple(" ".join(str(fault).split()) for fault in found if str(fault) != "ok")

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[StoreTables]:
        """Do everything inside, or after an error nothing of it."""
        try:
            with self._engine.begin() as connection:
                yield StoreTables(self._sa, self._tables, connection, self.location)
        except self._sa.exc.SQLAlchemyError as error:
            self._refuse_error(error)

    def _refuse_error(self, error: Exception) -> NoReturn:
        """Refuse what the database has refused, in words where another process holds it."""
        why = _why(error)
        refuse_held(self.location, why, _PATIENCE)
        self._refuse(why)

    def _url(self, location: str) -> Any:
        """Return the URL of a location, and keep what messages may show of it: no password."""
        if "://" not in location:
            return self._sa.URL.create("sqlite", database=location)
        try:
            url = self._sa.make_url(location)
        except (self._sa.exc.ArgumentError, ValueError) as error:  # ValueError: a port that is no number
            self._refuse(str(error))
        self.location = url.render_as_string()
        return url

    def _refuse(self, why: str) -> NoReturn:
        refuse(
            f"the store {self.location}",
            "be a speechgmm store that can be read and written",
            " ".join(why.split()),  # in one line
            "Give a file that enroll has made, or a database URL.",
        )


def _why(error: Exception) -> str:
    """Return what a database itself says of an error of SQLAlchemy."""
    return str(getattr(error, "orig", None) or error)


def _begin_sqlite(connection: Any, _: object) -> None:
    """Let SQLite overwrite with zeros whatever is deleted, and give damaged text with its bytes escaped."""
    connection.execute("pragma secure_delete = on")
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")

"""The tables under the speaker store, through SQLAlchemy: sessions in and out."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from speechgmm import storage
from speechgmm.checks import refuse
from speechgmm.errors import MissingExtra
from speechgmm.mixture import Statistics
from speechgmm.speakers.sessions import EnrolledRecording, Session
from speechgmm.speakers.waiting import OnWait, refuse_held, tell_of_waiting

_FORMAT = "1"
_PATIENCE = 60.0
"""How long a writer waits for others of the same SQLite file, in seconds."""


def _tables(sa: Any) -> list[Any]:
    """Return the tables: settings, sessions with their statistics, and the recordings that each was made of."""
    text, short, metadata = sa.Text, sa.String(64), sa.MetaData()

    def table(of: str, keys: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        columns = [sa.Column(name, kind, primary_key=True) for name, kind in keys.items()]
        columns += [sa.Column(name, kind, nullable=False) for name, kind in values.items()]
        return sa.Table(f"speechgmm_{of}", metadata, *columns)

    return [
        table("meta", {"key": short}, {"value": text}),
        table("sessions", {"speaker": text, "session": text}, {"seconds": sa.Float, "value": sa.LargeBinary}),
        table("recordings", {"digest": short}, {"name": text, "speaker": text, "session": text}),
    ]


class StoreTables:
    """The tables as one connection sees them; changes take effect when the transaction ends well."""

    def __init__(self, sa: Any, tables: list[Any], connection: Any) -> None:
        self._sa, self._tables, self._connection = sa, tables, connection
        self._meta, self._sessions, self._recordings = tables

    def have_tables(self) -> bool:
        """Say whether there is a store."""
        return bool(self._sa.inspect(self._connection).has_table(self._meta.name))

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
        return {row.key: row.value for row in self._connection.execute(self._sa.select(self._meta))}

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Write settings, replacing those of the same key."""
        self._connection.execute(self._meta.delete().where(self._meta.c.key.in_(list(values))))
        self._connection.execute(self._meta.insert(), [{"key": key, "value": v} for key, v in values.items()])

    def sessions(self, speaker: str | None = None, session: str | None = None) -> list[Session]:
        """Return all sessions, those of one speaker, or one session, in order of name."""
        c = self._sessions.c
        query = self._sa.select(c.value).where(*self._those(self._sessions, speaker, session))
        values = self._connection.scalars(query.order_by(c.speaker, c.session)).all()
        return [storage.loads(bytes(v), Session, Statistics, source="a row of the store") for v in values]

    def seconds(self) -> dict[tuple[str, str], float]:
        """Return the sessions, as (speaker, session), with their seconds of speech."""
        c = self._sessions.c
        rows = self._connection.execute(self._sa.select(c.speaker, c.session, c.seconds))
        return {(row.speaker, row.session): row.seconds for row in rows}

    def recordings(self, digests: Iterable[str] | None = None) -> Iterator[EnrolledRecording]:
        """Yield the recordings of all sessions, or those of these digests that are known."""
        query = self._sa.select(self._recordings)
        for one in [query] if digests is None else (query.filter_by(digest=digest) for digest in digests):
            yield from (EnrolledRecording(*row) for row in self._connection.execute(one))

    def put(self, session: Session) -> None:
        """Write one session, replacing what it held, and note its recordings."""
        self.delete(session.speaker, session.name)
        where = {"speaker": session.speaker, "session": session.name}
        values = {"value": storage.dumps(session), "seconds": session.speech_seconds}
        self._connection.execute(self._sessions.insert().values(**where, **values))
        for digest, name in session.recordings.items():
            self._connection.execute(self._recordings.insert().values(**where, digest=digest, name=name))

    def delete(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session."""
        for table in (self._sessions, self._recordings):
            self._connection.execute(table.delete().where(*self._those(table, speaker, session)))

    @staticmethod
    def _those(table: Any, speaker: str | None, session: str | None) -> list[Any]:
        """Return the conditions on rows of a speaker, and of a session; None stands for all."""
        wanted = {"speaker": speaker, "session": session}
        return [table.c[name] == value for name, value in wanted.items() if value is not None]


class Database:
    """A connection to the tables at a file or URL, and the settings that were found there, `meta`.

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
        sqlite = {"poolclass": sa.pool.NullPool, "connect_args": {"timeout": _PATIENCE}}
        try:
            self._engine = sa.create_engine(url, **(sqlite if url.get_backend_name() == "sqlite" else {}))
        except ImportError as error:
            advice = "Install its driver, for PostgreSQL with: python -m pip install 'speechgmm[postgres]'"
            refuse(f"the store {self.location}", "have a driver", str(error), advice, error=MissingExtra)
        except sa.exc.SQLAlchemyError as error:
            self._refuse(str(error))
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
            if new is not None:
                tables.make_tables()
            elif not tables.have_tables():
                self._refuse("a database without its tables")
            meta = {"format": _FORMAT} | tables.meta()
            if (found := meta["format"]) != _FORMAT:
                refuse(f"the store {self.location}", f"be of format {_FORMAT}", f"format {found}", "Update speechgmm.")
            if new is not None and "fingerprint" not in meta:
                meta |= new
                tables.set_meta(meta)
            return meta

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[StoreTables]:
        """Do everything inside, or after an error nothing of it."""
        try:
            with self._engine.begin() as connection:
                yield StoreTables(self._sa, self._tables, connection)
        except self._sa.exc.SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error)
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

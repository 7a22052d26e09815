"""The tables under the speaker store, through SQLAlchemy. It moves rows, whatever is in their values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from speechgmm.checks import refuse
from speechgmm.errors import MissingExtra
from speechgmm.speakers.sessions import EnrolledRecording

__all__ = ["Database", "StoreTables"]

_FORMAT = "1"
_PATIENCE = 60.0
"""How long a writer waits for others of the same SQLite file, in seconds."""


def _tables(sa: Any) -> Any:
    """Return the tables: settings, sessions with their statistics, and the recordings that each was made of."""
    text, short, metadata = sa.Text, sa.String(64), sa.MetaData()

    def table(name: str, keys: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        columns = [sa.Column(key, kind, primary_key=True) for key, kind in keys.items()]
        columns += [sa.Column(value, kind, nullable=False) for value, kind in values.items()]
        sa.Table(f"speechgmm_{name}", metadata, *columns)

    table("meta", {"key": short}, {"value": text})
    table("sessions", {"speaker": text, "session": text}, {"seconds": sa.Float, "value": sa.LargeBinary})
    table("recordings", {"digest": short}, {"name": text, "speaker": text, "session": text})
    return metadata


class StoreTables:
    """The tables as one connection sees them; changes take effect when the transaction ends well."""

    def __init__(self, sa: Any, tables: Mapping[str, Any], connection: Any) -> None:
        self._sa, self._connection = sa, connection
        self._tables, self._meta = tables, tables["speechgmm_meta"]
        self._sessions = tables["speechgmm_sessions"]
        self._recordings = tables["speechgmm_recordings"]

    def have_tables(self) -> bool:
        """Say whether there is a store."""
        return bool(self._sa.inspect(self._connection).has_table(self._meta.name))

    def make_tables(self) -> None:
        """Make the tables that are not there, and keep other writers out until the transaction ends."""
        if self._connection.dialect.name == "postgresql":  # its "if not exists" is not safe when two create at once
            self._connection.execute(self._sa.text("select pg_advisory_xact_lock(hashtext('speechgmm'))"))
        for table in self._tables.values():
            self._connection.execute(self._sa.schema.CreateTable(table, if_not_exists=True))
        self.lock()

    def lock(self) -> None:
        """Keep other writers out until the transaction ends, so that what is read now is what will be changed."""
        where = self._meta.c.key == "format"
        self._connection.execute(self._meta.update().where(where).values(value=self._meta.c.value))

    def meta(self) -> dict[str, str]:
        """Return the settings of the store."""
        rows = self._connection.execute(self._sa.select(self._meta.c.key, self._meta.c.value))
        return {row.key: row.value for row in rows}

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Write settings, replacing those of the same key."""
        for key, value in values.items():
            self._connection.execute(self._meta.delete().where(self._meta.c.key == key))
            self._connection.execute(self._meta.insert().values(key=key, value=value))

    def values(self, speaker: str | None = None, session: str | None = None) -> list[bytes]:
        """Return what is kept of all sessions, of those of one speaker, or of one session, in order of name."""
        query = self._where(self._sa.select(self._sessions.c.value), self._sessions, speaker, session)
        order = query.order_by(self._sessions.c.speaker, self._sessions.c.session)
        return [bytes(value) for (value,) in self._connection.execute(order)]

    def seconds(self) -> dict[tuple[str, str], float]:
        """Return the sessions, as (speaker, session), with their seconds of speech."""
        c = self._sessions.c
        rows = self._connection.execute(self._sa.select(c.speaker, c.session, c.seconds))
        return {(speaker, session): seconds for speaker, session, seconds in rows}

    def recordings(self, digests: Iterable[str] | None = None) -> Iterator[EnrolledRecording]:
        """Yield the recordings of all sessions, or those of these digests that are known."""
        c = self._recordings.c
        query = self._sa.select(c.digest, c.name, c.speaker, c.session)
        for one in [query] if digests is None else (query.where(c.digest == digest) for digest in digests):
            yield from (EnrolledRecording(*row) for row in self._connection.execute(one))

    def put(self, speaker: str, session: str, value: bytes, seconds: float, recordings: Mapping[str, str]) -> None:
        """Write one session, replacing what it held, and note its recordings (digest -> name)."""
        self.delete(speaker, session)
        where = {"speaker": speaker, "session": session}
        self._connection.execute(self._sessions.insert().values(value=value, seconds=seconds, **where))
        for digest, name in recordings.items():
            self._connection.execute(self._recordings.insert().values(digest=digest, name=name, **where))

    def delete(self, speaker: str, session: str | None = None) -> None:
        """Forget a speaker, or one session."""
        for table in (self._sessions, self._recordings):
            self._connection.execute(self._where(table.delete(), table, speaker, session))

    @staticmethod
    def _where(query: Any, table: Any, speaker: str | None, session: str | None) -> Any:
        if speaker is not None:
            query = query.where(table.c.speaker == speaker)
        return query if session is None else query.where(table.c.session == session)


class Database:
    """A connection to the tables at a file or URL; they are made where `create` allows it.

    Raises
    ------
    InvalidInput
        If there is no store, or what is there is no store or of another format.
    """

    def __init__(self, location: str, *, create: bool) -> None:
        import sqlalchemy as sa

        self._sa, self.location, self._tables = sa, location, _tables(sa)
        if "://" not in location and not create and not Path(location).exists():
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
        try:
            self._prepare(create)
        except BaseException:
            self.close()
            raise

    def _prepare(self, create: bool) -> None:
        """Check the tables, and make them where that is allowed."""
        with self.transaction() as tables:
            if create:
                tables.make_tables()
            elif not tables.have_tables():
                self._refuse("a database without its tables")
            held = tables.meta().get("format")
            if held is None and create:
                tables.set_meta({"format": _FORMAT})
            elif held not in (None, _FORMAT):
                refuse(f"the store {self.location}", f"be of format {_FORMAT}", f"format {held}", "Update speechgmm.")

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[StoreTables]:
        """Do everything inside, or after an error nothing of it."""
        try:
            with self._engine.begin() as connection:
                yield StoreTables(self._sa, self._tables.tables, connection)
        except self._sa.exc.SQLAlchemyError as error:
            self._refuse(str(getattr(error, "orig", None) or error))

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

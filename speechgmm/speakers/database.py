"""The database under a speaker store: SQLite in one file or a server's, through SQLAlchemy (the only place of it)."""

import contextlib
import operator
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from speechgmm.checks import refuse
from speechgmm.errors import InvalidInput, MissingExtra, StoreInUse, WrongKey
from speechgmm.files import check_readable
from speechgmm.speakers.ciphers import PLAIN, SETTINGS, Cipher, cipher_of, new_settings
from speechgmm.speakers.migrations import FORMAT, migrate
from speechgmm.speakers.store_tables import StoreTables, tables_of
from speechgmm.speakers.waiting import OnWait, begin_to_write, refuse_held, tell_of_waiting

ERASED = "erased"
"""The setting of a store that never held what was not overwritten when it was deleted."""
COMPOSED = "composed"
"""The setting of a store that never held names in another spelling than they are looked for in."""
_with_escapes = operator.methodcaller("decode", "utf-8", "surrogateescape")
"""Gives text with the bytes escaped that are none; thousands of names are read with it whenever a store has changed."""
_CONTENT = "select name from sqlite_master where type in ('table', 'view')"
_TRIES, _PAUSE = 8, 0.05
"""A file that another process is writing to looks damaged for a moment, in seconds."""
_PATIENCE = 60.0
"""How long a writer waits for others of the same SQLite file, in seconds."""
_GIVE = "Give a file that enroll has made, or a database URL."
_ADVICE = {
    "disk is full": "Free some space, and try again.",
    "readonly": "Make the file and its folder writable, or give another place.",
    "unable to open": "Make the file readable, and its folder writable.",
    "disk I/O error": "See whether its disk is full, read-only or damaged, and try again.",
    "is reading": "Wait until that is done.",
}
"""What to do, by what SQLite says."""
_AT_END = " at the end of a change, which is done whole or not at all"
_BEGIN, _WRITE = "speechgmm_begin", "begin immediate"
"""The option of a connection that says how SQLite begins: ``immediate`` keeps other writers out."""


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
    key : bytes, optional
        Of an encrypted store.
    on_wait : callable, optional
        See `speechgmm.speakers.waiting`.

    Raises
    ------
    InvalidInput
        If there is no store, or what is there is no store or of a later format.
    WrongKey
        If it is not encrypted by this key.

    Attributes
    ----------
    migrated : int
        The format that the store was of, where it was of a former one; else 0.
    """

    def __init__(
        self, location: str, new: Mapping[str, str] | None, key: bytes | None = None, on_wait: OnWait | None = None
    ) -> None:
        import sqlalchemy as sa

        self._sa, self.location, self._tables = sa, location, tables_of(sa)
        self._held: tuple[Cipher, Mapping[str, str]] = PLAIN, {}
        self.migrated = 0
        if "://" not in location and new is None and not Path(location).exists():
            refuse("a store", "exist", f"{location}, which does not", "Enroll somebody first.")
        url = self._url(location)
        if url.get_backend_name() == "sqlite" and url.database:
            self._check_file(Path(url.database))
        # what is not committed ends with the connection: where a disk is full, another attempt at that would only fail
        arguments = {"timeout": _PATIENCE, "check_same_thread": False}  # threads take turns: see `StoreTables.stored`
        sqlite = {"poolclass": sa.pool.NullPool, "pool_reset_on_return": None, "connect_args": arguments}
        try:
            self._engine = sa.create_engine(url, **(sqlite if url.get_backend_name() == "sqlite" else {}))
        except ImportError as error:
            advice = "Install its driver, for PostgreSQL with: python -m pip install 'speechgmm[postgres]'"
            refuse(f"the store {self.location}", "have a driver", str(error), advice, error=MissingExtra)
        except sa.exc.SQLAlchemyError as error:
            self._refuse(str(error))
        if url.get_backend_name() == "sqlite":
            if on_wait is not None:
                tell_of_waiting(sa, self._engine, self.location, on_wait)
            sa.event.listen(self._engine, "connect", _connect_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            self._prepare(new, key)
        except BaseException:
            self.close()
            raise

    def _prepare(self, new: Mapping[str, str] | None, key: bytes | None) -> None:
        """Check the tables, make them or bring them to this format, and hold their settings and their cipher."""
        with self._begun() as tables:
            there = self._tables["meta"].name in tables.names()
            found = tables.meta() if there else {}
        if not there and new is None:
            self._refuse("a database without its tables")
        self._check_format(found)
        with self._begun(write=new is not None) as tables:
            if new is not None:
                self._make(tables, new, key)
            meta = tables.meta()
            lost = [name for name in ("format", "fingerprint", "frontend") if name not in meta]
            if lost and (meta or tables.places()):
                self._refuse(f"one that has lost its {lost[0]}")
        self._held = cipher_of(meta, key if meta else None, self.location), meta

    def _make(self, tables: StoreTables, new: Mapping[str, str], key: bytes | None) -> None:
        """Make a store where there is none."""
        if self._tables["meta"].name not in tables.names():
            tables.make_tables()
        tables.lock()
        if not tables.meta() and not tables.places():
            tables.set_meta({"format": str(FORMAT), ERASED: "1", COMPOSED: "1", **new, **new_settings(key)})

    def migrate(self) -> None:
        """Bring a store of a former format to this one."""
        if self.meta["format"] == str(FORMAT):
            return
        with self._begun(write=True) as tables:
            tables.lock()
            meta = tables.meta()
            self._check_format(meta)
            if (found := int(meta["format"])) < FORMAT:  # nobody was faster
                migrate(self._sa, tables.connection, found)
                composed = all(places == [key] for key, places in tables.places().items())
                tables.set_meta({"format": str(FORMAT), **({COMPOSED: "1"} if composed else {})})
                tables.put_audit("migrate", 0, 0, 0)
            meta = tables.meta()
        self.migrated, self._held = found if found < FORMAT else 0, (PLAIN, meta)

    def _check_format(self, meta: Mapping[str, str]) -> None:
        """Refuse a store that a later version of this package has made."""
        found = meta.get("format", str(FORMAT))
        if not 1 <= number_in(found) <= FORMAT:
            refuse(f"the store {self.location}", f"be of format {FORMAT}", f"format {found}", "Update speechgmm.")

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
        if names and self._tables["meta"].name not in names:
            self._refuse_other(names)
        if not names and Path(f"{path}-wal").exists():
            self._refuse("a database of something else, whose content still lies beside it")

    def _content(self, path: Path) -> list[str]:
        """Return the names of all tables of a file, read again where somebody may be writing to it at this moment.

        Who was killed while writing has left a journal beside it: what stood there before is then read in a copy.
        """
        for left in reversed(range(_TRIES)):
            try:
                return _table_names(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
            except sqlite3.Error as error:
                why = str(error)
                if "malformed" not in why:
                    self._refuse(why)
                time.sleep(_PAUSE if left else 0.0)
        try:
            with tempfile.TemporaryDirectory() as folder:
                for end in ("-journal", ""):
                    shutil.copyfile(f"{path}{end}", f"{folder}/copy{end}")
                return _table_names(Path(folder, "copy").as_uri())
        except (sqlite3.Error, OSError):
            self._refuse(why)

    def _refuse_other(self, names: list[str]) -> NoReturn:
        more = ", ..." if len(names) > 3 else ""
        self._refuse(f"a database of something else, with {', '.join(map(repr, names[:3]))}{more}")

    def erase(self, *, whole: bool, removed: bool, logged: bool) -> None:
        """Leave nothing of what was deleted in the files of a store, as far as a client reaches them.

        In SQLite what is deleted is overwritten at once, and its log is emptied here. PostgreSQL keeps it: the tables
        are written anew where something was removed.

        Parameters
        ----------
        whole : bool
            Whether all pages may hold what was deleted.
        removed : bool
            Whether something was removed.
        logged : bool
            Whether there is a log: see `logs`.

        Raises
        ------
        InvalidInput
            If the database cannot do it.
        """
        if self.overwrites:
            if whole:
                self._at_once(["vacuum"])
            if logged and self._at_once(["pragma wal_checkpoint(truncate)"]) != [0]:
                self._refuse("one that another process is reading")
        elif self._engine.dialect.name == "postgresql" and (whole or removed):
            self._at_once([f"vacuum full {table.name}" for table in self._tables.values()])

    def logs(self, tables: StoreTables) -> bool:
        """Return whether SQLite keeps a log beside the file, which holds what was written last."""
        return self.overwrites and tables.connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"

    @property
    def overwrites(self) -> bool:
        """Whether what is deleted is overwritten at once, but for a log that the next change empties."""
        return self._engine.dialect.name == "sqlite"

    def _at_once(self, statements: list[str]) -> list[Any]:
        """Execute statements that stand in no transaction, and return the first value of the last one's rows."""
        sqlite, found = self._engine.dialect.name == "sqlite", list[Any]()
        options = {_BEGIN: ""} if sqlite else {"isolation_level": "AUTOCOMMIT"}
        try:
            with self._engine.connect().execution_options(**options) as connection:
                for statement in statements:
                    result = connection.exec_driver_sql(statement)
                    found = list(result.scalars()) if result.returns_rows else []
        except self._sa.exc.SQLAlchemyError as error:
            self._refuse_error(error)
        return found

    def faults(self) -> tuple[str, ...]:
        """Return what SQLite finds wrong with the file itself, page by page; of a server nothing is asked."""
        if self._engine.dialect.name != "sqlite":
            return ()
        try:
            found = self._at_once(["pragma integrity_check"])
        except StoreInUse:
            raise
        except InvalidInput as error:
            found = [error]
        return tuple(" ".join(str(fault).split()) for fault in found if str(fault) != "ok")

    @property
    def meta(self) -> Mapping[str, str]:
        """The settings of the store, as they were found."""
        return self._held[1]

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[StoreTables]:
        """Do everything inside, or after an error nothing of it; what is read inside is of one moment.

        Parameters
        ----------
        write : bool
            Keep other writers out from the beginning; without it nothing may be written.

        Raises
        ------
        WrongKey
            If the store was given another key since it was opened.
        """
        cipher, held = self._held
        with self._begun(cipher, write=write) as tables:
            if write:
                tables.lock()
            meta = tables.meta()
            self._check_format(meta)
            if any(meta.get(name) != held.get(name) for name in SETTINGS):
                rule, found = "have the key that it was opened with", "one that was given another key since"
                refuse(f"the store {self.location}", rule, found, "Open it again.", error=WrongKey)
            tables.composed = COMPOSED in meta
            yield tables

    @contextlib.contextmanager
    def _begun(self, cipher: Cipher = PLAIN, *, write: bool = False) -> Iterator[StoreTables]:
        """Give the tables in a transaction.

        SQLite's writers begin by keeping others out. A server's wait at `StoreTables.lock` and then see what those
        before them have done; its readers see one moment. Where the end of a change fails, it may be done all the same:
        a log, or a server that does not answer any more, may hold it whole.
        """
        at_end, driver = "", cast(Any, self._engine.dialect.dbapi)
        options = {_BEGIN: _WRITE if write else "begin"}
        if self._engine.dialect.name == "postgresql" and not write:
            options = {"isolation_level": "REPEATABLE READ"}
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin() as transaction:
                yield StoreTables(self._sa, self._tables, connection, cipher, self.location)
                if not write:  # SQLite lets nothing be committed where a page that was read is damaged
                    transaction.rollback()
                at_end = _AT_END if write else ""
        except (self._sa.exc.SQLAlchemyError, driver.Error) as error:  # where a cursor of the driver's own is read
            self._refuse_error(error, at_end)

    @contextlib.contextmanager
    def rekeyed(self, key: bytes | None) -> Iterator[StoreTables]:
        """Give a transaction that may write, at whose end everything is written anew by another key, or by none."""
        settings = new_settings(key)
        cipher = cipher_of(settings, key, self.location)
        with self.transaction(write=True) as tables:
            yield tables
            tables.rewrite(cipher)
            tables.set_meta(settings, forget=SETTINGS)
            meta = tables.meta()
        self._held = cipher, meta

    def _refuse_error(self, error: Exception, at_end: str = "") -> NoReturn:
        """Refuse what the database has refused, in words where another process holds it, or a change was ending."""
        why = _why(error)
        refuse_held(self.location, why, _PATIENCE)
        self._refuse(why + at_end)

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
            next((advice for words, advice in _ADVICE.items() if words in why), _GIVE),
        )


def _table_names(address: str) -> list[str]:
    """Return the names of all tables and views of an SQLite file at an address."""
    with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
        db.text_factory = _with_escapes
        try:
            return [name for (name,) in db.execute(_CONTENT)]
        except UnicodeDecodeError as error:  # of SQLite's own message, which quotes what is damaged
            raise sqlite3.DatabaseError("malformed database schema") from error


def _why(error: Exception) -> str:
    """Return what a database itself says of an error of SQLAlchemy."""
    return str(getattr(error, "orig", None) or error)


def number_in(setting: str) -> int:
    """Return the number that a setting is, 0 where it is none that was written there."""
    return int(setting) if setting.isdecimal() and len(setting) < 19 else 0


def _connect_sqlite(connection: Any, _: object) -> None:
    """Let SQLite overwrite with zeros whatever is deleted, give damaged text with its bytes escaped, and begin as told.

    Python's driver would begin a transaction at the first change, and read what stands before it at several moments.
    """
    connection.execute("pragma secure_delete = on")
    connection.text_factory = _with_escapes
    connection.isolation_level = None


def _begin_sqlite(connection: Any) -> None:
    """Begin a transaction as the options of a connection say."""
    begin = connection.get_execution_options().get(_BEGIN, "begin")
    if begin == _WRITE:
        begin_to_write(connection, begin, _PATIENCE)
    elif begin:
        connection.exec_driver_sql(begin)

"""Stores of former formats become stores of this one: a step for each, all of them in one transaction.

1. Sessions with their statistics, and recordings; of the first versions without the seconds of speech beside them.
2. Beside these a sample of each recording, from which a store tells how high strangers come. Recordings of before have
   none: nobody can be tested with them, and rates are not assured until people are enrolled anew.
3. Everything may be encrypted; each session has the number of the change that wrote it; notes of speakers, an audit.
"""

from collections.abc import Callable
from typing import Any

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.mixture import Statistics
from speechgmm.speakers.sessions import Session
from speechgmm.speakers.store_rows import at_place
from speechgmm.speakers.store_tables import tables_of

FORMAT = 3


def migrate(sa: Any, connection: Any, found: int) -> None:
    """Change the tables of a store of the format `found`, which is older, into those of `FORMAT`.

    Parameters
    ----------
    sa : module
        SQLAlchemy.
    connection : sqlalchemy.Connection
        In a transaction that keeps others out.
    found : int
    """
    for step in _STEPS[found - 1 :]:
        step(sa, connection)


def _samples(sa: Any, connection: Any) -> None:
    """1 to 2: note of each recording that nothing of it was kept."""
    tables = tables_of(sa)
    connection.execute(sa.schema.CreateTable(tables["samples"], if_not_exists=True))
    recordings, samples = tables["recordings"], tables["samples"]
    known = sa.select(samples.c.digest).where(samples.c.digest == recordings.c.digest).exists()
    lost = sa.select(recordings.c.digest, sa.literal(b"", sa.LargeBinary)).where(~known)
    connection.execute(samples.insert().from_select(["digest", "value"], lost))


def _encryptable(sa: Any, connection: Any) -> None:
    """2 to 3: numbers as text, which may be encrypted, changes by number, notes and an audit."""
    name = "speechgmm_sessions"
    known = {column["name"] for column in sa.inspect(connection).get_columns(name)}
    changes = [f"alter table {name} rename column seconds to former_seconds"] * ("seconds" in known)
    changes += [f"alter table {name} add column {new}" for new in ("seconds text not null default ''", _REVISION)]
    if connection.dialect.name == "postgresql":
        tables = ("recordings", "samples")
        changes += [f"alter table speechgmm_{table} alter column digest type text" for table in tables]
    for change in changes:
        connection.exec_driver_sql(change)
    sessions = sa.table(name, *map(sa.column, ("speaker", "session", "seconds", "former_seconds", "value")))
    told = sessions.c.former_seconds if "seconds" in known else sessions.c.value
    for row in connection.execute(sa.select(sessions.c.speaker, sessions.c.session, told.label("told"))).all():
        where = at_place(sa, sessions, (row.speaker, row.session))
        connection.execute(sessions.update().where(*where).values(seconds=_seconds(row.told)))
    if "seconds" in known:
        connection.exec_driver_sql(f"alter table {name} drop column former_seconds")
    for table in ("notes", "audit"):
        connection.execute(sa.schema.CreateTable(tables_of(sa)[table], if_not_exists=True))


def _seconds(told: Any) -> str:
    """Return the seconds of speech of a session as text, from the number or the session itself."""
    if isinstance(told, (bytes, memoryview)):
        try:
            told = storage.loads(bytes(told), Session, Statistics).speech_seconds
        except InvalidInput:
            told = "damaged"
    return repr(float(told)) if isinstance(told, (int, float)) else str(told)


_REVISION = "revision integer not null default 0"
_STEPS: tuple[Callable[[Any, Any], None], ...] = (_samples, _encryptable)

"""A store that another process holds: who waits is told, and refused in words in the end."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from speechgmm.errors import InvalidInput, StoreInUse
from speechgmm.speakers import SpeakerStore, System, database, waiting


@pytest.fixture
def holder(filled: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection to a copy of a store, which may be used from every thread."""
    copy = tmp_path / "held.db"
    copy.write_bytes(filled.read_bytes())
    connection = sqlite3.connect(copy, check_same_thread=False, isolation_level=None)
    yield connection
    connection.close()


def place(holder: sqlite3.Connection) -> str:
    return str(holder.execute("pragma database_list").fetchone()[2])


@pytest.mark.parametrize("hold", ["begin exclusive", "begin immediate", "begin; select * from speechgmm_meta"])
def test_who_waits_is_told_once_and_goes_on(
    holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, hold: str
) -> None:
    monkeypatch.setattr(waiting, "SOON", 0.05)
    monkeypatch.setattr(database, "_PATIENCE", 20.0)
    path, told = place(holder), []
    store = SpeakerStore(path, on_wait=lambda where: (told.append(where), holder.execute("rollback")))
    assert told == []
    for statement in hold.split(";"):
        holder.execute(statement).fetchall()
    store.remove(store.speakers[0])
    assert told == [path]
    store.close()
    time.sleep(0.1)
    assert told == [path]
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer)]


def test_who_was_told_is_not_told_again(holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = place(holder), []
    with SpeakerStore(path, on_wait=lambda where: (told.append(where), holder.execute("rollback"))) as store:
        first, second, _ = store.speakers
        monkeypatch.setattr(waiting, "SOON", 0.05)
        holder.execute("begin immediate")
        store.remove(first)
        assert told == [path]
        holder.execute("begin immediate")
        later = threading.Timer(0.3, holder.execute, ["rollback"])
        later.start()
        store.remove(second)
        later.join()
    assert told == [path]


def test_nobody_waits_for_what_has_failed(holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SOON", 5.0)
    holder.execute("alter table speechgmm_sessions rename column value to another")
    told: list[str] = []
    with SpeakerStore(place(holder), on_wait=told.append) as store, store._database.transaction() as tables:
        with pytest.raises(sqlalchemy.exc.OperationalError, match="no such column"):
            list(tables.sessions())
        for timer in [t for t in threading.enumerate() if isinstance(t, threading.Timer)]:
            timer.join()
    assert told == []


def test_a_store_that_is_free_in_the_end_is_changed(
    holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.0)

    def free(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement == "begin immediate":  # the last attempt, after patience has ended
            holder.execute("rollback")

    with SpeakerStore(place(holder)) as store:
        sqlalchemy.event.listen(store._database._engine, "before_cursor_execute", free)
        holder.execute("begin immediate")
        store.remove("rms")
        assert "rms" not in store.speakers


def test_patience_ends_in_words(holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    with SpeakerStore(place(holder)) as store:
        holder.execute("begin exclusive")
        for work in (lambda: store.speakers, lambda: store.remove("rms"), lambda: SpeakerStore(place(holder))):
            message = (
                r"the store .*held\.db must be free within 0\.1 s; got one that another process holds\. Wait until"
            )
            with pytest.raises(StoreInUse, match=message):
                work()
        holder.execute("rollback")
        assert "rms" in store.speakers


def test_a_store_that_is_held_is_not_called_damaged(
    holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes it between what `check` reads and what it asks SQLite."""
    monkeypatch.setattr(database, "_PATIENCE", 0.1)

    def take(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement == "pragma integrity_check":
            holder.execute("begin exclusive")

    with SpeakerStore(place(holder)) as store:
        assert store.check().faults == ()
        sqlalchemy.event.listen(store._database._engine, "before_cursor_execute", take)
        with pytest.raises(StoreInUse, match="one that another process holds"):
            store.check()
        holder.execute("rollback")


def test_a_place_that_cannot_be_opened_is_refused_while_somebody_would_be_told(tiny: System, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"got unable to open database file\. Make the file readable, and its folder"
    ):
        SpeakerStore(tmp_path / "none" / "store.db", tiny, create=True, on_wait=print)

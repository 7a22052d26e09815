"""Full disks, disks that fail or are read-only, too little memory: what is done is done, and else all is as before.

Calls of the operating system fail one after the other (`tests/faults.py`) at all that changes or reads a store, a
model, kept features, a report. After each, what is there is that of before or of after, nothing is left beside it, the
error names the place, and the same once more succeeds. Every run tries some calls; ``-m campaign`` tries each, with
each error.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from speechgmm.errors import InvalidInput, NotErased
from speechgmm.speakers import SpeakerStore, System, enrolled_models
from tests import faults
from tests.speakers.test_erasure import recorded, runs, traces
from tests.speakers.test_store import again, new, put, session  # noqa: F401

GROUPS = {"delete": 13, "wal": 3, "others": 5, "files": 9}
"""How many operations every run tries: at a store with either journal of SQLite, at a new or former one, at files."""


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("modes", ["quick", pytest.param("full", marks=pytest.mark.campaign)])
def test_faults_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str, modes: str) -> None:
    if why := faults.missing():
        pytest.skip(why)
    told = list(faults.started("tests.speakers.faulted", tmp_path, modes, group))
    with capsys.disabled():
        for one in told:
            counts = ", ".join(f"{n} {what}" for what, n in sorted(one["outcomes"].items()))
            print(f"\n{one['operation']}: {one['points']} faults ({counts}), {len(one['losses'])} losses", end="")
        print(f"\n{group}: {sum(one['points'] for one in told)} faults, {sum(len(o['losses']) for o in told)} losses")
    assert [loss for one in told for loss in one["losses"]] == []
    assert len(told) >= GROUPS[group]
    unsure = sum(one["outcomes"].get("unsure", 0) for one in told)
    assert group == "wal" or not unsure, "without a log it is known"
    silent = [one["operation"] for one in told if not one["writes"]]
    assert all(name.startswith(("open", "load", "find")) for name in silent), "calls of SQLite or Python pass by"
    assert all(one["points"] for one in told)


@pytest.mark.parametrize("what", ["rows", "begin_to_write"])
def test_what_the_driver_says_is_said_with_the_name_of_the_store(
    new: SpeakerStore,  # noqa: F811
    tiny: System,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """Also where no SQLAlchemy stands between: the disk fails while rows are fetched, or a transaction begins."""
    if not new._database.overwrites and what == "begin_to_write":
        pytest.skip("of SQLite alone")
    put(new, session(tiny, "ann", "a", 1))
    error: Any = new._database._engine.dialect.dbapi

    def fail(*_: Any) -> None:
        raise error.OperationalError("disk I/O error")

    where = "store_tables.StoreTables.rows" if what == "rows" else "database.begin_to_write"
    monkeypatch.setattr(f"speechgmm.speakers.{where}", fail)
    with pytest.raises(InvalidInput, match=r"the store .* must be a .* store that can be .*; got disk I/O error\."):
        enrolled_models(tiny, new) if what == "rows" else put(new, session(tiny, "bob", "a", 1))


class Refusing:
    """A database whose erasing fails."""

    def __init__(self, store: SpeakerStore, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def erase(**_: bool) -> None:
            raise error

        monkeypatch.setattr(store._database, "erase", erase)


def in_meta(store: SpeakerStore) -> bool:
    with store._database.transaction() as tables:
        return "erased" in tables.meta()


@pytest.mark.parametrize(
    "error", [InvalidInput("the disk must not be full; got one that is."), MemoryError()], ids=repr
)
def test_a_change_whose_traces_cannot_be_overwritten_is_done_and_says_so(
    new: SpeakerStore,  # noqa: F811
    tiny: System,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    put(new, session(tiny, "ann", "a", 1), session(tiny, "bob", "a", 2))
    with monkeypatch.context() as patch:
        Refusing(new, patch, error)
        reason = "too little memory" if isinstance(error, MemoryError) else "one that is"
        rule = rf"is done, and what was removed must be overwritten; got {reason}\. The next change overwrites it"
        with pytest.raises(NotErased, match=rule):
            new.remove("ann")
        # this one removes nothing: on SQLite it has nothing to tell, on a server the tables are to be written anew
        server = "postgresql" in new.location
        with pytest.raises(NotErased, match=rule) if server else contextlib.nullcontext():
            put(new, session(tiny, "eve", "a", 3))
    assert new.speakers == ("bob", "eve")
    assert new.check(tiny).passed
    assert in_meta(new) is not server, "a server's next change has to write all tables anew"
    new.purge()
    assert in_meta(new)


def test_a_change_that_comes_between_leaves_the_mark_to_whoever_is_last(
    new: SpeakerStore,  # noqa: F811
    tiny: System,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "postgresql" not in new.location:
        pytest.skip("SQLite overwrites at once")
    put(new, session(tiny, "ann", "a", 1), session(tiny, "bob", "a", 2))
    erase = new._database.erase

    def beside(**how: bool) -> None:
        erase(**how)
        with again(new) as other, monkeypatch.context() as patch:
            Refusing(other, patch, InvalidInput("no"))
            with pytest.raises(NotErased, match="what was removed must be overwritten"):
                other.remove("bob")

    with monkeypatch.context() as patch:
        patch.setattr(new._database, "erase", beside)
        new.remove("ann")
    assert not in_meta(new), "what the other removed is not erased"
    put(new, session(tiny, "eve", "a", 3))
    assert in_meta(new)


def test_an_error_at_the_end_of_a_change_says_that_it_may_be_done(tiny: System, tmp_path: Path) -> None:
    import sqlalchemy as sa

    def fail(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("commit", None, Exception("disk I/O error"))

    with SpeakerStore(tmp_path / "store.db", tiny, create=True) as store:
        put(store, session(tiny, "ann", "a", 1))
        sa.event.listen(store._database._engine, "commit", fail)
        rule = f"got disk I/O error {faults.AT_END}\\. See whether its disk is full"
        with pytest.raises(InvalidInput, match=rule):
            put(store, session(tiny, "bob", "a", 2))


@pytest.mark.parametrize("new", ["postgresql encrypted"], indirect=True)
def test_another_key_that_comes_between_is_no_fault_of_a_change(
    new: SpeakerStore,  # noqa: F811
    tiny: System,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(new, session(tiny, "ann", "a", 1), session(tiny, "bob", "a", 2))
    erase = new._database.erase

    def beside(**how: bool) -> None:
        erase(**how)
        with again(new) as other:
            other.rekey(bytes(range(1, 40)))

    monkeypatch.setattr(new._database, "erase", beside)
    new.remove("ann")
    with SpeakerStore(new.location, tiny, key=bytes(range(1, 40))) as store:
        assert store.speakers == ("bob",)
        assert in_meta(store), "whoever gave it another key has written all anew"


def test_the_log_that_another_process_reads_is_emptied_by_the_next_change(
    tiny: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechgmm.speakers.database._PATIENCE", 0.1)
    gone, sample = recorded(tiny, random.Random(1))
    other, kept = recorded(tiny, random.Random(2))
    place = tmp_path / "store.db"
    with SpeakerStore(place, tiny, create=True) as store, closing(sqlite3.connect(place)) as db:
        db.execute("pragma journal_mode = wal")
        store.add([gone], samples=[sample])
        db.execute("begin")
        db.execute("select * from speechgmm_meta").fetchall()
        with pytest.raises(NotErased, match=r"another process is reading\. The next change overwrites it"):
            store.remove(gone.speaker)
        assert store.speakers == ()
        assert traces(gone, sample) & runs(tmp_path), "it is in the log that is read"
        db.execute("commit")
        store.add([other], samples=[kept])
        assert traces(gone, sample) & runs(tmp_path) == set()


@pytest.mark.parametrize("what", ["sessions", "samples"])
def test_what_cannot_be_read_now_is_not_called_damaged(tiny: System, tmp_path: Path, what: str) -> None:
    """Whoever is told that a session is damaged is told to remove it."""
    import sqlalchemy as sa

    def interrupt(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if f"speechgmm_{what}.value" in statement:
            cursor.connection.set_progress_handler(lambda: 1, 1)

    with SpeakerStore(tmp_path / "store.db", tiny, create=True) as store:
        put(store, session(tiny, "ann", "a", 1))
        sa.event.listen(store._database._engine, "before_cursor_execute", interrupt)
        for read in (store.export, store.check, store.damaged):
            with pytest.raises(InvalidInput, match=r"store\.db must be a speechgmm store .*; got interrupted\."):
                read()
        sa.event.remove(store._database._engine, "before_cursor_execute", interrupt)
        assert len(store.export().sessions) == 1


@pytest.mark.parametrize("pragma", ["query_only = on", "max_page_count = 1"])
def test_a_full_or_read_only_disk_is_named_with_what_to_do(tiny: System, tmp_path: Path, pragma: str) -> None:
    import sqlalchemy as sa

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"pragma {pragma}")

    advice = "Make the file and its folder writable" if "only" in pragma else "Free some space, and try again"
    with SpeakerStore(tmp_path / "store.db", tiny, create=True) as store:
        sa.event.listen(store._database._engine, "connect", limit)
        with pytest.raises(InvalidInput, match=rf"store\.db must be .*; got .*(readonly|full).*\. {advice}"):
            put(store, *(session(tiny, f"speaker {i}", "a", i) for i in range(20)))
        sa.event.remove(store._database._engine, "connect", limit)
        assert store.speakers == ()
        put(store, session(tiny, "ann", "a", 1))


def test_a_store_that_is_made_is_held_by_one_look(tiny: System, tmp_path: Path) -> None:
    """What is read after it was made could not be read, and who asked for it would believe that there is none."""
    import sqlalchemy as sa

    begun = []
    listen = sa.create_engine

    with pytest.MonkeyPatch.context() as patch:

        def create(*args: Any, **how: Any) -> Any:
            engine = listen(*args, **how)
            sa.event.listen(engine, "begin", lambda connection: begun.append(connection))
            return engine

        patch.setattr(sa, "create_engine", create)
        SpeakerStore(tmp_path / "store.db", tiny, create=True).close()
    assert len(begun) == 2, "a look at what is there, and the transaction that makes it"

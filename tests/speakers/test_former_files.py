"""What former versions wrote: a model, an export, and a store of each format.

In `data/`: a calibrated system of four components, trained on made voices at 8 kHz, an export and a store
(``store_1.db``) of ann with two sessions and bob with one, of version 0.1.0 before stores kept what they are tested
with; and the same three sessions of made features in a store of the very first version (``store_1_first.db``), which
did not know how much speech a session holds without reading it, and in one of the second format (``store_2.db``).
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import Statistics
from speechgmm.speakers import Session, SpeakerExport, SpeakerNote, SpeakerStore, System, load_system

FILES = Path(__file__).parent / "data"
KEY = b"a key of thirty-two bytes or more"


def test_a_model_whose_calibration_was_another_is_to_be_trained_again() -> None:
    path = FILES / "system.sgmm"
    rule = (
        rf"{re.escape(str(path))} must hold a SystemCalibration as this version writes it; got one without levels, "
        r"owners\. It was written by an earlier version: train it again\."
    )
    with pytest.raises(IncompatibleModel, match=rule):
        load_system(path)
    assert storage.read_header(path)["$type"] == "System", "what it holds can still be told"


SECONDS = {
    "store_1_first.db": {("ann", "a"): 0.4, ("ann", "b"): 0.2, ("bob", "a"): 0.2},
    "store_1.db": {("ann", "s0"): 1.14, ("ann", "s1"): 1.36, ("bob", "s0"): 1.1},
    "store_2.db": {("ann", "a"): 0.4, ("ann", "b"): 0.2, ("bob", "a"): 0.2},
}
"""What each store holds."""


def values(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as db:
        return [v for (v,) in db.execute("select value from speechgmm_sessions order by speaker, session")]


def on_a_server(path: Path, url: str) -> None:
    """Copy the tables of a file to a server, with the types that SQLAlchemy gave them there."""
    import sqlalchemy as sa

    metadata, near, far = sa.MetaData(), sa.create_engine(f"sqlite:///{path}"), sa.create_engine(url)
    metadata.reflect(near)
    for column in (column for table in metadata.sorted_tables for column in table.columns):
        column.type = sa.LargeBinary() if isinstance(column.type, sa.BLOB) else column.type
    with near.connect() as source, far.begin() as sink:
        metadata.create_all(sink)
        for table in metadata.sorted_tables:
            if rows := [row._asdict() for row in source.execute(sa.select(table))]:
                sink.execute(table.insert(), rows)
    near.dispose()
    far.dispose()


def place_of(request: pytest.FixtureRequest, name: str, folder: Path, where: str) -> str:
    """A copy of a former store, in a file or on a server."""
    path = Path(shutil.copy(FILES / name, folder / name))
    if where == "sqlite":
        return str(path)
    url: str = request.getfixturevalue("on_server")
    on_a_server(path, url)
    return url


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", SECONDS)
def test_a_store_of_a_former_format_becomes_one_of_this(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, where: str
) -> None:
    place = place_of(request, name, tmp_path, where)
    former = 2 if name == "store_2.db" else 1
    with SpeakerStore(place) as store:
        assert store.migrated == former
        assert store.damaged() == ()
        assert {(s.speaker, s.name): s.speech_seconds for s in store.overview()} == pytest.approx(SECONDS[name])
        assert [storage.dumps(s) for s in store.sessions()] == [storage.dumps(s) for s in read_as_it_was(name)]
        found, _ = store.samples(store.recordings())
        assert len(found) == (len(store.recordings()) if former == 2 else 0)
        assert [(a.number, a.action) for a in store.audit()] == [(1, "migrate")]
        assert store.notes() == {}
    with SpeakerStore(place) as store:
        assert store.migrated == 0
        assert store.check().passed
        store.rename("bob", "zoe")
        store.annotate("zoe", SpeakerNote(note="kept"))
        store.rekey(KEY)
        assert store.speakers == ("ann", "zoe")
        store.remove("ann")
    with SpeakerStore(place, key=KEY) as store:
        assert store.speakers == ("zoe",)
        assert store.check().passed
        assert [a.action for a in store.audit()] == ["migrate", "rename", "annotate", "rekey", "remove"]


def read_as_it_was(name: str) -> list[Session]:
    return [storage.loads(value, Session, Statistics) for value in values(FILES / name)]


def test_a_former_store_that_is_opened_by_many_at_once_is_changed_once(tmp_path: Path) -> None:
    path = Path(shutil.copy(FILES / "store_2.db", tmp_path / "store.db"))

    def one(_: int) -> int:
        with SpeakerStore(path) as store:
            assert store.speakers == ("ann", "bob")
            return store.migrated

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8)))[-1] == 2
    with SpeakerStore(path) as store:
        assert [a.action for a in store.audit()] == ["migrate"]


@pytest.mark.parametrize("name", SECONDS)
def test_a_former_store_of_another_system_is_left_as_it_is(tmp_path: Path, tiny: System, name: str) -> None:
    path = Path(shutil.copy(FILES / name, tmp_path / "store.db"))
    before = path.read_bytes()
    other = dataclasses.replace(tiny, frontend=dataclasses.replace(tiny.frontend, dither=0.5))
    for create in (False, True):
        with pytest.raises(IncompatibleModel, match="must be of the same front end"):
            SpeakerStore(path, other, create=create)
        assert path.read_bytes() == before


@pytest.mark.parametrize("found", ["4", "0", "-1", "x", "2.5", "9" * 30])
def test_a_store_of_another_format_is_refused_and_left_as_it_is(tmp_path: Path, found: str) -> None:
    path = Path(shutil.copy(FILES / "store_2.db", tmp_path / "store.db"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("update speechgmm_meta set value = ? where key = 'format'", [found])
        db.commit()
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=rf"must be of format 3; got format {found}\. Update speechgmm\."):
        SpeakerStore(path)
    assert path.read_bytes() == before


def test_a_session_of_the_first_format_that_cannot_be_read_is_damaged_afterwards(tmp_path: Path) -> None:
    path = Path(shutil.copy(FILES / "store_1_first.db", tmp_path / "store.db"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("update speechgmm_sessions set value = x'00' where speaker = 'bob'")
        db.commit()
    with SpeakerStore(path) as store:
        assert [(d.speaker, d.name) for d in store.damaged()] == [("bob", "a")]
        assert [s.speaker for s in store.read()[0]] == ["ann", "ann"]


def test_a_former_store_with_names_in_another_spelling_is_looked_through(tmp_path: Path) -> None:
    path = Path(shutil.copy(FILES / "store_2.db", tmp_path / "store.db"))
    with closing(sqlite3.connect(path)) as db:
        for table in ("sessions", "recordings"):
            db.execute(f"update speechgmm_{table} set speaker = ? where speaker = 'bob'", ["Rene\u0301"])
        db.commit()
    with SpeakerStore(path) as store:
        assert "composed" not in store._database.meta
        assert [(d.speaker, d.reason) for d in store.damaged()] == [
            ("Ren\u00e9", "its speaker and session are not those of its value")
        ]
        store.remove("Rene\u0301")
        assert store.speakers == ("ann",)


def test_what_is_damaged_in_a_former_store_is_damaged_afterwards(tmp_path: Path) -> None:
    path = Path(shutil.copy(FILES / "store_2.db", tmp_path / "store.db"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("update speechgmm_sessions set seconds = 'x' where speaker = 'bob'")
        db.execute("update speechgmm_sessions set value = x'00' where session = 'b'")
        db.execute("update speechgmm_sessions set speaker = cast(x'61ff' as text) where session = 'b'")
        db.commit()
    with SpeakerStore(path) as store:
        assert "composed" in store._database.meta
        damaged = {(d.speaker, d.name): d.reason for d in store.damaged()}
        assert set(damaged) == {("a\udcff", "b"), ("ann", "b"), ("bob", "a")}
        assert damaged["bob", "a"] == "its seconds of speech are not those of its value"
        assert damaged["ann", "b"] == "only the list of its recordings is left"
        assert [(s.speaker, s.name) for s in store.read()[0]] == [("ann", "a")]


def test_a_former_export_is_read() -> None:
    export: SpeakerExport = storage.load(FILES / "speakers.sgmm", SpeakerExport, Session, Statistics)
    assert len(export.fingerprint) == 16
    assert [s.summary.speaker for s in export.sessions] == ["ann", "ann", "bob"]
    assert [s.speech_seconds for s in export.sessions] == pytest.approx([1.14, 1.36, 1.1])

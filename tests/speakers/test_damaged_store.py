"""A damaged store: what is damaged is named, with the command that removes it, and the others go on without it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import DamagedSessionWarning, InvalidInput, SpeechGMMError
from speechgmm.mixture import Statistics
from speechgmm.speakers import (
    DamagedSession,
    Session,
    SpeakerNote,
    SpeakerStore,
    System,
    enrolled_models,
    log_likelihood_ratios,
)
from speechgmm.speakers.score import Scorer
from tests.speakers.conftest import tiny_system
from tests.speakers.made import with_calibration
from tests.speakers.test_store import content, frames, put, session

TABLES = {
    "meta": "key value",
    "sessions": "speaker session revision seconds value",
    "recordings": "digest name speaker session",
    "samples": "digest value",
}
CALIBRATED = with_calibration(tiny_system())
CASES = int(os.environ.get("SPEECHGMM_DAMAGED_STORES", "6"))
"""Damaged stores for each column; many more by hand."""
CELLS = [(table, column) for table, columns in TABLES.items() for column in columns.split()]


@pytest.fixture
def made(new: SpeakerStore, tiny: System) -> Path:
    """A store with ann (sessions a and b), bob and cid."""
    put(new, *(session(tiny, *key) for key in [("ann", "a", 1, 2), ("ann", "b", 3), ("bob", "a", 4), ("cid", "a", 5)]))
    new.close()
    return Path(new.location)


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement, values)
        db.commit()


def flip(path: Path, where: str, *, table: str = "sessions", at: int = -9) -> None:
    """Flip one bit of the value of a session, or of what is kept of a recording."""
    with closing(sqlite3.connect(path)) as db:
        ((value,),) = db.execute(f"select value from speechgmm_{table} where {where}").fetchall()
        damaged = bytearray(value)
        damaged[at] ^= 1
        db.execute(f"update speechgmm_{table} set value = ? where {where}", [bytes(damaged)])
        db.commit()


def ratios(system: System, store: SpeakerStore, *speakers: str) -> dict[str, float]:
    models = enrolled_models(system, store, *speakers)
    return dict(zip(models.names, log_likelihood_ratios(system, models, frames(50)).tolist(), strict=True))


def test_one_damaged_session_stops_nobody_else(made: Path, tiny: System) -> None:
    with SpeakerStore(made, tiny) as store:
        whole = ratios(tiny, store)
        store.remove("ann", "b")
        without = ratios(tiny, store)
        put(store, session(tiny, "ann", "b", 3))
        flip(made, "session = 'b'")
    with SpeakerStore(made, tiny) as store:
        words = r"session b of ann is damaged and left out: its value must be unchanged since it was saved; got another"
        with pytest.warns(DamagedSessionWarning, match=words):
            assert ratios(tiny, store) == without != whole
        with pytest.warns(DamagedSessionWarning, match=words):
            assert ratios(tiny, store, "ann") == {"ann": without["ann"]}
        others = {name: without[name] for name in ("bob", "cid")}
        assert ratios(tiny, store, "bob", "cid") == others != {name: whole[name] for name in others}, "of one domain"
        (damaged,) = store.damaged()
        assert (damaged.speaker, damaged.name) == ("ann", "b")
        assert damaged.removal == f"speechgmm speakers remove ann --session b --store {made}"
        assert store.damaged("bob") == ()
        assert store.summary()["damaged"] == [damaged.told]
        assert [s.name for s in store.overview("ann")] == ["a", "b"]
        with pytest.warns(DamagedSessionWarning, match=words):
            assert [s.name for s in store.export("ann").sessions] == ["a"]


def test_a_speaker_of_whom_nothing_is_whole_is_left_out_or_refused(made: Path, tiny: System) -> None:
    flip(made, "speaker = 'bob'")
    with SpeakerStore(made, tiny) as store:
        with pytest.warns(DamagedSessionWarning, match="session a of bob"):
            assert set(ratios(tiny, store)) == {"ann", "cid"}
        words = r"the sessions to score against must be whole; got session a of bob: its value .*speakers remove bob --"
        with pytest.raises(InvalidInput, match=words):
            ratios(tiny, store, "bob")
        store.rename("cid", "Ren\u00e9")
        flip(made, "speaker = 'Ren\u00e9'")
        for spelled in ("Ren\u00e9", "Rene\u0301"):
            with pytest.raises(InvalidInput, match="the sessions to score against must be whole; got session a of Ren"):
                ratios(tiny, store, spelled)
        for speaker in ("ann", "Ren\u00e9"):
            store.remove(speaker)
        with pytest.raises(InvalidInput, match="the sessions to score against must be whole; got session a of bob"):
            ratios(tiny, store)


def test_adding_to_a_damaged_session_and_renaming_are_refused_and_replacing_mends(made: Path, tiny: System) -> None:
    flip(made, "session = 'b'")
    with SpeakerStore(made, tiny) as store:
        with pytest.raises(InvalidInput, match=r"a session to add to must be whole; got session b of ann: .* Remove"):
            store.add([session(tiny, "ann", "b", 9)])
        with pytest.raises(InvalidInput, match="a session of somebody who is renamed must be whole; got session b of"):
            store.rename("ann", "zoe")
        put(store, session(tiny, "ann", "a", 9))
        put(store, session(tiny, "ann", "b", 3), forget=[("ann", "b")])
        assert store.damaged() == ()


def flipped(value: Any, rng: np.random.Generator) -> Any:
    """Return a value of a column with one bit flipped, cut short, or of another type."""
    data = bytearray(value if isinstance(value, bytes) else str(value).encode())
    how = rng.integers(6)
    if how == 0:
        return data[: len(data) // 2]
    if how == 1:
        return [None, 7, -1.5, 1e308, "", "x", b"", b"\xff\x00"][rng.integers(8)]
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def damage(path: Path, table: str, column: str, rng: np.random.Generator) -> None:
    """Damage one cell as a disk does: no rule of the table is asked."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(f"select rowid, {column} from speechgmm_{table} order by rowid").fetchall()
        row, value = rows[rng.integers(len(rows))]
        new = flipped(value, rng)
        if isinstance(value, str) and isinstance(new, (bytes, bytearray)):
            statement, new = f"update or replace speechgmm_{table} set {column} = cast(? as text)", bytes(new)
        else:
            statement = f"update or replace speechgmm_{table} set {column} = ?"
        try:
            db.execute(f"{statement} where rowid = {row}", [new])
        except sqlite3.IntegrityError:  # no rule against NULL where a disk fails
            db.execute("pragma writable_schema = on")
            db.execute("update sqlite_master set sql = replace(sql, ' NOT NULL', '')")
            db.commit()
            damage(path, table, column, rng)
            return
        db.commit()


READS: dict[str, Callable[[SpeakerStore, System], object]] = {
    "speakers": lambda store, system: store.speakers,
    "overview": lambda store, system: store.overview(),
    "summary": lambda store, system: {k: v for k, v in store.summary().items() if k != "damaged"},
    "content": lambda store, system: content(store),
    "export": lambda store, system: len(store.export().sessions),
    "ratios": lambda store, system: ratios(system, store),
    "recordings": lambda store, system: store.recordings(),
    "norm": lambda store, system: Scorer.of(CALIBRATED, store).norm,
}


def answers(path: Path, system: System) -> Iterator[tuple[str, object]]:
    """Yield what every reader says: its answer, or the message of its named error."""
    try:
        with SpeakerStore(path, system) as store:
            for name, read in READS.items():
                try:
                    yield name, read(store, system)
                except SpeechGMMError as error:
                    yield name, f"refused: {error}"
    except SpeechGMMError as error:
        yield "open", f"refused: {error}"


@pytest.mark.parametrize(("table", "column"), CELLS, ids=[f"{t}.{c}" for t, c in CELLS])
def test_any_damage_is_refused_or_named_or_of_no_consequence(
    made: Path, tiny: System, tmp_path: Path, table: str, column: str
) -> None:
    rng, good = np.random.default_rng(CELLS.index((table, column))), dict(answers(made, tiny))
    named = refused = 0
    for i in range(CASES):
        path = Path(shutil.copy(made, tmp_path / f"{i}.db"))
        damage(path, table, column, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedSessionWarning)
            found = dict(answers(path, tiny))
        if any(str(answer).startswith("refused") for answer in found.values()):
            refused += 1
            continue
        with SpeakerStore(path, tiny) as store:
            damaged = store.damaged()
            if not damaged:
                assert found == good
                continue
            named += 1
            for d in damaged:
                store.remove(*removal(d))
            assert store.damaged() == ()
            kept = {key: value for key, value in good["content"].items() if key in content(store)}  # type: ignore[attr-defined]
            assert content(store) == kept
            assert len(kept) >= 2, "one cell is of one session, or of two where it names another one now"
    assert named or refused or column == "revision", "which nothing is read by but what is kept in memory"


def removal(damaged: DamagedSession) -> tuple[str, str]:
    """Return speaker and session as a shell hands them on from the command that was offered."""
    words = damaged.removal.replace("speechgmm", "printf '%s\\0'", 1)
    data = subprocess.run(["bash", "-c", words], capture_output=True, check=True).stdout
    told = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")]
    rest = told[2:-1]
    name = rest.pop(rest.index("--session") + 1)
    return rest[-1] if "--" in rest else rest[0], name


@pytest.mark.parametrize(
    "speaker", ["ann", "O'Neil", "-x", "a b", "$(x)", "a\udce1b", "a\u202eb", "a\nb", "\\", "李明", "a\x01'"]
)
def test_the_command_names_whatever_stands_in_the_store(speaker: str) -> None:
    assert removal(DamagedSession.of(speaker, speaker, "x", "a store.db")) == (speaker, speaker)
    assert "\n" not in str(DamagedSession.of(speaker, speaker, "x", "s.db"))


def test_statistics_of_another_model_are_damage(made: Path, tiny: System) -> None:
    with SpeakerStore(made, tiny) as store:
        ours = tiny.statistics(frames(8))
        far = Statistics(ours.origin, ours.counts, 1e30 * ours.first, 1e60 * ours.second, -1.0, ours.frames)
        other = Statistics(ours.origin + 1, ours.counts, ours.first, ours.second, -1.0, ours.frames)
        for name, statistics in (("dan", far), ("eve", other)):
            store.add([Session(name, "a", statistics, 1.0, {f"digest of {name}": "x"})])
        with pytest.warns(DamagedSessionWarning, match="dan is damaged .*out of reach.*eve is damaged .*origin"):
            assert set(ratios(tiny, store)) == {"ann", "bob", "cid"}


def test_a_check_finds_what_is_damaged_in_values_and_in_the_file(made: Path, tiny: System) -> None:
    with SpeakerStore(made, tiny) as store:
        found = store.check(tiny)
        assert (found.passed, found.sessions, found.recordings) == (True, 4, 5)
        assert (found.damaged, found.faults, found.fingerprint) == ((), (), tiny.fingerprint)
    flip(made, "session = 'b'")
    flip(made, "digest = 'digest 4'", table="samples")
    change(made, "delete from speechgmm_samples where digest = 'digest 5'")
    with SpeakerStore(made) as store:
        found = store.check()
        assert (found.passed, found.sessions) == (False, 3)
        reasons = {(d.speaker, d.name): d.reason for d in found.damaged}
        assert set(reasons) == {("ann", "b"), ("bob", "a"), ("cid", "a")}
        assert reasons["cid", "a"] == "5.wav: nothing is kept of it"
        assert found.faults == ()


def test_a_check_with_the_model_finds_statistics_that_are_not_of_it(new: SpeakerStore, tiny: System) -> None:
    one = session(tiny, "ann", "a", 1)
    far = dataclasses.replace(one.statistics, first=one.statistics.first + 1e30)
    new.add([dataclasses.replace(one, statistics=far)])
    assert new.check().damaged == ()
    (damaged,) = new.check(tiny).damaged
    assert damaged.reason == "its frames lie out of reach of the UBM"


def test_a_session_whose_page_is_lost_is_damaged_and_the_others_are_read(new: SpeakerStore, tiny: System) -> None:
    put(new, session(tiny, "ann", "a", *range(300)), session(tiny, "bob", "a", 500))
    path = Path(new.location)
    data, value = bytearray(path.read_bytes()), storage.dumps(new.sessions("ann")[0])
    page = data.index(value[len(value) // 2 :][:40]) // 4096  # where it goes on
    data[4096 * page : 4096 * page + 4] = b"\xff" * 4  # the number of the next one
    path.write_bytes(bytes(data))
    with SpeakerStore(path, tiny) as store:
        (damaged,) = store.damaged()
        assert (damaged.speaker, damaged.reason) == ("ann", "database disk image is malformed")
        assert [s.speaker for s in store.read()[0]] == ["bob"]


def write_page(path: Path, number: int, page: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * number)
        file.write(page)


def test_sessions_whose_rows_are_lost_are_damaged_and_followed_until_they_are_mended(
    new: SpeakerStore, tiny: System, tmp_path: Path
) -> None:
    everybody = [session(tiny, f"speaker {i:02}", "a", i) for i in range(12)]
    everybody[0] = dataclasses.replace(everybody[0], recordings={})  # its row alone tells of it
    put(new, *everybody)
    path, whole = Path(new.location), ratios(tiny, new)
    for who in ("speaker 05", "speaker 09"):
        data = path.read_bytes()
        pages = [data[i : i + 4096] for i in range(0, len(data), 4096)]
        number = next(i for i, page in enumerate(pages) if page[0] == 13 and who.encode() in page and b"{" in page)
        lost = {name for name in whole if name.encode() in pages[number]}
        with SpeakerStore(tmp_path / f"without {who}.db", tiny, create=True) as others:
            put(others, *(s for s in everybody if s.speaker not in lost))
            without = ratios(tiny, others)
        assert 0 < len(without) < len(whole)
        write_page(path, number, b"\xff" * 4096)
        new.annotate(who, SpeakerNote(consent="form 1"))  # a change that is counted
        words = f"session a of {min(lost)} is damaged and left out: database disk image is malformed"
        with pytest.warns(DamagedSessionWarning, match=words):
            assert ratios(tiny, new) == without
        assert {d.speaker: d.reason for d in new.damaged()} == dict.fromkeys(lost, "database disk image is malformed")
        (fault,) = new.check().faults
        assert "got database disk image is malformed" in fault
        write_page(path, number, pages[number])
    new.annotate("speaker 05", SpeakerNote())
    assert ratios(tiny, new) == whole


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("sessions.revision", lambda store, system: ratios(system, store)),
        ("sessions.seconds", lambda store, system: store.sessions()),
        ("sessions.seconds", lambda store, system: store.sessions("bob")),
        ("samples.value", lambda store, system: store.damaged()),
    ],
    ids=["rows", "sessions", "a session", "samples"],
)
def test_what_cannot_be_asked_for_is_refused_and_is_no_damage(
    made: Path, tiny: System, column: str, read: Callable[[SpeakerStore, System], object]
) -> None:
    table, name = column.split(".")
    change(made, f"alter table speechgmm_{table} rename column {name} to another")
    words = f"got no such column: speechgmm_{column}"
    with SpeakerStore(made, tiny) as store, pytest.raises(InvalidInput, match=words):
        read(store, tiny)


def test_a_sample_whose_page_is_lost_is_damage_of_its_session(new: SpeakerStore, tiny: System) -> None:
    put(new, session(tiny, "ann", "a", 1), session(tiny, "bob", "a", 2))
    path = Path(new.location)
    change(path, "update speechgmm_samples set value = ? where digest = 'digest 1'", b"voice" * 3000)
    data = bytearray(path.read_bytes())
    page = next(i // 4096 for i in range(0, len(data), 4096) if bytes(data[i + 4 : i + 4096]).count(b"voice") > 800)
    data[4096 * page : 4096 * page + 4] = b"\xff" * 4
    path.write_bytes(bytes(data))
    with SpeakerStore(path, tiny) as store:
        (damaged,) = store.damaged()
        assert (damaged.speaker, damaged.reason) == ("ann", "1.wav: database disk image is malformed")


@pytest.mark.parametrize("table", ["sessions", "samples"])
def test_a_value_of_another_type_is_damage(made: Path, tiny: System, table: str) -> None:
    change(made, f"update speechgmm_{table} set value = 'text' where rowid = 1")
    with SpeakerStore(made, tiny) as store:
        (damaged,) = store.damaged()
        assert "no bytes but str" in damaged.reason


def test_a_session_under_another_spelling_than_was_written_is_removed(made: Path, tiny: System) -> None:
    for table in ("sessions", "recordings"):
        change(made, f"update speechgmm_{table} set speaker = ? where speaker = 'bob'", "Rene\u0301")
    with SpeakerStore(made, tiny) as store:
        (damaged,) = store.damaged()
        assert (damaged.speaker, damaged.name) == ("Ren\u00e9", "a")
        store.remove(*removal(damaged))
        assert (store.damaged(), store.speakers) == ((), ("ann", "cid"))


def test_settings_that_are_lost_or_damaged_are_refused(made: Path, tiny: System, tmp_path: Path) -> None:
    for statement, system, words in (
        ("delete from speechgmm_meta where key = 'frontend'", tiny, "got one that has lost its frontend"),
        ("delete from speechgmm_meta", None, "got one that has lost its format"),
        ("update speechgmm_meta set value = 'x' where key = 'frontend'", tiny_system(1), "got damaged settings"),
    ):
        path = Path(shutil.copy(made, tmp_path / "copy.db"))
        change(path, statement)
        with pytest.raises(InvalidInput, match=words):
            SpeakerStore(path, system)
    SpeakerStore(tmp_path / "empty.db", tiny, create=True).close()
    change(tmp_path / "empty.db", "delete from speechgmm_meta")
    with pytest.raises(
        InvalidInput, match=r"a store must have speakers enrolled in it; got .*empty\.db, which is empty"
    ):
        SpeakerStore(tmp_path / "empty.db")


@pytest.mark.parametrize(
    ("kept", "words"), [(0, "file is not a database"), (5000, "database disk image is malformed")], ids=["none", "some"]
)
def test_a_file_that_is_lost_under_an_open_store_is_refused(made: Path, tiny: System, kept: int, words: str) -> None:
    with SpeakerStore(made, tiny) as store:
        made.write_bytes(made.read_bytes()[:kept].ljust(kept or 5000, b"x"))
        for work in (lambda: store.speakers, lambda: store.remove("ann"), store.check):
            with pytest.raises(InvalidInput, match=rf"read and written; got {words}\. Give a file"):
                work()


def test_a_check_finds_pages_that_were_overwritten(made: Path) -> None:
    data = bytearray(made.read_bytes())
    with closing(sqlite3.connect(made)) as db:
        ((page,),) = db.execute(
            "select rootpage from sqlite_master where name = 'sqlite_autoindex_speechgmm_samples_1'"
        )
    start = (page - 1) * 4096
    data[start + 40 : start + 4096] = bytes(4056)
    made.write_bytes(bytes(data))
    with SpeakerStore(made) as store:
        found = store.check()
    assert not found.passed
    assert found.faults

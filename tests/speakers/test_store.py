"""The store: sessions are kept exactly, changes are whole or not at all, and nobody's change is lost."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput, MissingExtra, SameRecording, UnknownSpeaker
from speechgmm.speakers import (
    EnrolledRecording,
    RecordingSample,
    Session,
    SpeakerExport,
    SpeakerStore,
    System,
    enroll_features,
    enrolled_models,
    load_export,
    log_likelihood_ratios,
)
from tests import forging
from tests.laws import same_statistics
from tests.sounds import Array


def frames(seed: int, n: int = 20) -> Array:
    result: Array = np.random.default_rng(seed).normal(0.3 * (seed % 7), 1.5, (n, 3))
    return result


def session(system: System, speaker: str, name: str, *seeds: int) -> Session:
    """A session made of one recording for each seed, as enrolling them at once gives it."""
    parts = [system.statistics(frames(s)) for s in seeds]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return Session(speaker, name, total, 0.2 * len(seeds), {f"digest {s}": f"{s}.wav" for s in seeds})


def samples(*sessions: Session) -> list[RecordingSample]:
    """What is kept of each of their recordings."""
    seeds = [(s, digest) for s in sessions for digest in s.recordings]
    return [
        RecordingSample(
            digest, s.speech_seconds, s.statistics.counts, s.statistics.first, frames(int(digest.split()[1])), 0.2
        )
        for s, digest in seeds
    ]


def put(store: SpeakerStore, *sessions: Session, **how: Any) -> None:
    """Add sessions with what is kept of their recordings."""
    store.add(sessions, samples=samples(*sessions), **how)


def content(store: SpeakerStore) -> dict[tuple[str, str], bytes]:
    """All that is kept, to the bit."""
    return {(s.speaker, s.name): storage.dumps(s) for s in store.sessions()}


KEY = bytes(range(64))
KEYS = {"sqlite": None, "encrypted": KEY, "postgresql": None, "postgresql encrypted": KEY}
"""Where stores are, and by which key they are encrypted."""
in_file = pytest.mark.parametrize("new", ["sqlite"], indirect=True)
"""For tests that open the file themselves."""


@pytest.fixture(params=KEYS)
def new(request: pytest.FixtureRequest, tiny: System, tmp_path: Path) -> Iterator[SpeakerStore]:
    """An empty store of the tiny system, in each of the places."""
    server = request.param.startswith("postgresql")
    place = request.getfixturevalue("on_server") if server else tmp_path / "new.db"
    with SpeakerStore(place, tiny, create=True, key=KEYS[request.param]) as store:
        yield store


def again(store: SpeakerStore, system: System | None = None, **how: Any) -> SpeakerStore:
    """Open a store a second time."""
    return SpeakerStore(store.location, system, key=KEY if store.encrypted else None, **how)


def rows(store: SpeakerStore) -> dict[str, list[tuple[object, ...]]]:
    """All that stands in the tables but the count of changes, and what was done."""
    with store._database.transaction() as tables:
        connection = tables.connection
        return {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(f"select * from speechgmm_{name}"))
            for name in ("sessions", "recordings", "samples", "notes")
        }


def kept(store: SpeakerStore) -> dict[str, object]:
    """All that is kept, whatever the cipher and the history."""
    export = store.export()
    return {"sessions": content(store), "samples": [storage.dumps(s) for s in export.samples or ()]}


@contextmanager
def unchanged(store: SpeakerStore) -> Iterator[None]:
    """Assert that what happens inside leaves the store as it was."""
    before, tables = content(store), rows(store)
    yield
    assert content(store) == before
    assert rows(store) == tables


@pytest.fixture
def two(new: SpeakerStore, tiny: System) -> SpeakerStore:
    """A store with ann (sessions a of two recordings, and b) and bob."""
    put(new, session(tiny, "ann", "a", 1, 2), session(tiny, "ann", "b", 3), session(tiny, "bob", "a", 4))
    return new


def test_sessions_are_kept_exactly(two: SpeakerStore, tiny: System) -> None:
    expected = [session(tiny, "ann", "a", 1, 2), session(tiny, "ann", "b", 3), session(tiny, "bob", "a", 4)]
    found = two.sessions()
    assert [storage.dumps(s) for s in found] == [storage.dumps(s) for s in expected]
    for f, e in zip(found, expected, strict=True):
        same_statistics(f.statistics, e.statistics, atol=0)
        assert (f.speech_seconds, dict(f.recordings)) == (e.speech_seconds, dict(e.recordings))
    assert two.speakers == ("ann", "bob")
    assert [s.name for s in two.sessions("ann")] == ["a", "b"]
    assert [s.speaker for s in two.sessions("bob", "ann")] == ["ann", "ann", "bob"]


def test_an_empty_store_has_no_speakers(new: SpeakerStore) -> None:
    assert new.speakers == ()
    assert new.sessions() == ()


def test_enrolling_in_pieces_is_enrolling_at_once(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    with SpeakerStore(tmp_path / "pieces.db", tiny, create=True) as pieces:
        for speaker, name, seed in (("ann", "a", 1), ("bob", "a", 4), ("ann", "b", 3), ("ann", "a", 2)):
            pieces.add([session(tiny, speaker, name, seed)])
        assert content(pieces) == content(two)


@pytest.mark.parametrize("name", ["more", "a"])
def test_an_enrolled_and_removed_session_was_never_there(two: SpeakerStore, tiny: System, name: str) -> None:
    speaker = "bob" if name == "more" else "cid"
    before = kept(two)
    two.add([session(tiny, speaker, name, 9)])
    assert content(two).keys() >= {(speaker, name)}
    two.remove(speaker, name)
    assert kept(two) == before
    two.add([session(tiny, "dan", "its recording is free again", 9)])


def test_a_speaker_goes_with_their_last_session(two: SpeakerStore) -> None:
    two.remove("ann", "a")
    assert two.speakers == ("ann", "bob")
    two.remove("ann", "b")
    assert two.speakers == ("bob",)
    two.remove("bob")
    assert two.speakers == ()
    assert rows(two) == {"sessions": [], "recordings": [], "samples": [], "notes": []}


def test_rename_moves_everything(two: SpeakerStore, tiny: System) -> None:
    before = content(two)
    two.rename("ann", "Änne")
    assert two.speakers == ("bob", "Änne")
    for old, new in zip(("a", "b"), two.sessions("Änne"), strict=True):
        was = session(tiny, "ann", old, *((1, 2) if old == "a" else (3,)))
        assert storage.dumps(dataclasses.replace(new, speaker="ann")) == storage.dumps(was)
    assert two.recordings()["digest 1"] == EnrolledRecording("digest 1", "1.wav", "Änne", "a")
    two.rename("Änne", "ann")
    assert content(two) == before


def test_rename_needs_a_free_and_plain_name(two: SpeakerStore) -> None:
    with unchanged(two):
        with pytest.raises(
            InvalidInput, match=r"the new name must be free; got 'bob', who is enrolled\. Remove that one"
        ):
            two.rename("ann", "bob")
        with pytest.raises(
            InvalidInput, match=r"a speaker's name must hold no control or format characters; got U\+0009"
        ):
            two.rename("ann", "a\tb")
        with pytest.raises(UnknownSpeaker, match=r"a speaker must be enrolled \(ann, bob\); got 'cid'"):
            two.rename("cid", "dan")


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.remove("cid"),
        lambda store: store.rename("cid", "x"),
        lambda store: store.sessions("ann", "cid"),
        lambda store: store.export("cid"),
    ],
    ids=["remove", "rename", "sessions", "export"],
)
def test_unknown_speakers_are_named_with_those_that_are_known(
    two: SpeakerStore, act: Callable[[SpeakerStore], object]
) -> None:
    with unchanged(two), pytest.raises(UnknownSpeaker, match=r"a speaker must be enrolled \(ann, bob\); got 'cid'\."):
        act(two)


def test_unknown_sessions_are_named_with_those_that_are_known(two: SpeakerStore) -> None:
    with unchanged(two), pytest.raises(UnknownSpeaker, match=r"a session of ann must be one of a, b; got 'c'\."):
        two.remove("ann", "c")


def test_of_many_speakers_the_message_names_twenty(new: SpeakerStore, tiny: System) -> None:
    one = session(tiny, "x", "a", 1)
    new.add([dataclasses.replace(one, speaker=f"s{i:02}", recordings={f"r{i}": "r"}) for i in range(21)])
    with pytest.raises(UnknownSpeaker, match=r"a speaker must be enrolled \(s00, s01, .*s19, \.\.\.\); got 'x'"):
        new.remove("x")


def test_export_keeps_sessions_and_fingerprint(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    storage.save(two.export("ann"), tmp_path / "ann.speakers")
    loaded = load_export(tmp_path / "ann.speakers")
    assert loaded.fingerprint == tiny.fingerprint
    assert [storage.dumps(s) for s in loaded.sessions] == [storage.dumps(s) for s in two.sessions("ann")]
    assert [s.speaker for s in two.export().sessions] == ["ann", "ann", "bob"]
    assert [s.digest for s in loaded.samples or ()] == ["digest 1", "digest 2", "digest 3"]


def test_an_export_that_is_imported_gives_the_same_store(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    storage.save(two.export(), tmp_path / "all")
    storage.save(two.export("ann"), tmp_path / "ann")
    with SpeakerStore(tmp_path / "other.db", tiny, create=True) as other:
        other.add_export(load_export(tmp_path / "all"))
        assert kept(other) == kept(two)
        with pytest.raises(SameRecording, match=r"the recording 1\.wav must be enrolled once"), unchanged(other):
            other.add_export(load_export(tmp_path / "ann"))
        other.remove("ann")
        other.add_export(load_export(tmp_path / "ann"))
        assert kept(other) == kept(two)


def test_an_export_is_imported_whole_or_not_at_all(two: SpeakerStore, tiny: System) -> None:
    new = session(tiny, "cid", "a", 7)
    for export, error, said in (
        (SpeakerExport("other", (new,)), IncompatibleModel, "must be of the system of the store, .*; got one of other"),
        (
            SpeakerExport(tiny.fingerprint, (new, session(tiny, "ann", "b", 8))),
            InvalidInput,
            r"a session to import must be new; got b of ann, who has it\. Remove that one first\.",
        ),
        (SpeakerExport(tiny.fingerprint, (new, session(tiny, "ann", "c", 4))), SameRecording, "enrolled as 'bob'"),
    ):
        with pytest.raises(error, match=said), unchanged(two):
            two.add_export(export)
    more = session(tiny, "ann", "c", 8)
    two.add_export(SpeakerExport(tiny.fingerprint, (more,)))
    assert [s.name for s in two.sessions("ann")] == ["a", "b", "c"]


def test_samples_of_an_export_are_of_its_recordings(two: SpeakerStore, tiny: System) -> None:
    one = session(tiny, "cid", "a", 7)
    (kept,) = samples(one)
    with pytest.raises(InvalidInput, match="must be of a recording of its sessions; got digest 8"):
        SpeakerExport("f", (one,), (dataclasses.replace(kept, digest="digest 8"),))
    narrow = dataclasses.replace(kept, first=kept.first[:, :1], frames=kept.frames[:, :1])
    with pytest.raises(IncompatibleModel, match=r"have moments of shape \(4, 3\), as the sessions have; got \(4, 1\)"):
        SpeakerExport("f", (one,), (narrow,))


@pytest.mark.parametrize("speaker", ["ann", "cid"])
@pytest.mark.parametrize("name", ["a", "new"])
def test_one_recording_is_enrolled_once(two: SpeakerStore, tiny: System, speaker: str, name: str) -> None:
    batch = [session(tiny, "dan", "fine", 8), session(tiny, speaker, name, 7, 3)]
    rule = r"the recording 3\.wav must be enrolled once; got the same samples, enrolled as 'ann' from 3\.wav\. Leave it"
    with unchanged(two), pytest.raises(SameRecording, match=rule):
        two.add(batch)


def test_one_batch_holds_a_recording_once(two: SpeakerStore, tiny: System) -> None:
    with unchanged(two), pytest.raises(SameRecording, match="enrolled as 'cid'"):
        two.add([session(tiny, "cid", "a", 8), session(tiny, "dan", "a", 8)])


def test_not_strict_leaves_out_what_is_enrolled_and_keeps_the_rest(two: SpeakerStore, tiny: System) -> None:
    bad, good = session(tiny, "cid", "a", 7, 3), session(tiny, "dan", "fine", 8)
    before = content(two)
    ((left_out, error),) = two.add([bad, good], strict=False)
    assert left_out is bad
    assert "3.wav must be enrolled once" in str(error)
    assert content(two) == before | {("dan", "fine"): storage.dumps(good)}
    with unchanged(two), pytest.raises(SameRecording):
        two.add([bad], strict=False)


def test_replacing_a_session_leaves_the_others(two: SpeakerStore, tiny: System) -> None:
    two.add([session(tiny, "ann", "a", 1, 5)], forget=[("ann", "a")])
    expected = [session(tiny, "ann", "a", 1, 5), session(tiny, "ann", "b", 3), session(tiny, "bob", "a", 4)]
    assert list(content(two).values()) == [storage.dumps(s) for s in expected]
    two.add([session(tiny, "cid", "a", 2)])  # which is free again


def test_replacing_a_speaker_forgets_all_sessions(two: SpeakerStore, tiny: System) -> None:
    two.add([session(tiny, "ann", "new", 1), session(tiny, "ann", "newer", 6)], forget=[("ann", None)])
    expected = [session(tiny, "ann", "new", 1), session(tiny, "ann", "newer", 6), session(tiny, "bob", "a", 4)]
    assert list(content(two).values()) == [storage.dumps(s) for s in expected]


@pytest.mark.parametrize("forgotten", ["a", None])
def test_replacing_does_not_take_a_recording_from_somebody_else(
    two: SpeakerStore, tiny: System, forgotten: str | None
) -> None:
    with unchanged(two), pytest.raises(SameRecording, match="enrolled as 'bob'"):
        two.add([session(tiny, "ann", "a", 4)], forget=[("ann", forgotten)])


def test_adding_nothing_changes_nothing(two: SpeakerStore) -> None:
    with unchanged(two):
        two.add([])


def test_the_overview_says_what_the_sessions_are(two: SpeakerStore) -> None:
    sessions = two.sessions()
    held = [(s.speaker, s.name, s.speech_seconds, tuple(sorted(s.recordings.values()))) for s in sessions]
    assert [dataclasses.astuple(h) for h in two.overview()] == held
    assert two.overview("bob") == two.overview()[-1:]
    with pytest.raises(UnknownSpeaker, match="'zoe'"):
        two.overview("zoe")


@pytest.mark.parametrize("name", ["ann", "Änne Müller", "李明", "O'Neil; drop table x", "a/b\\c", "🎤", " x ", "%_"])
def test_any_plain_text_is_a_name(new: SpeakerStore, tiny: System, name: str) -> None:
    new.add([session(tiny, name, name, 1), session(tiny, "other", "o", 2)])
    assert [s.name for s in new.sessions(name)] == [name]
    new.remove(name, name)
    assert new.speakers == ("other",)


@pytest.mark.parametrize("name", ["", "   ", "a\tb", "a\nb", "a\r", "a\0", "a\u202eb", "a\u200bb", "a\udce1"])
def test_names_that_are_not_seen_or_would_break_tables_are_refused(tiny: System, name: str) -> None:
    rule = (
        "must hold no control or format characters; got U" if name.strip() else "must be text that is not blank; got '"
    )
    with pytest.raises(InvalidInput, match=f"a speaker's name {rule}"):
        session(tiny, name, "a", 1)
    with pytest.raises(InvalidInput, match=f"a session's name {rule}"):
        session(tiny, "ann", name, 1)


NFC, NFD = "Ren\u00e9", "Rene\u0301"


def test_a_name_is_found_in_either_spelling(new: SpeakerStore, tiny: System) -> None:
    new.add([session(tiny, NFD, NFC, 1)])
    new.add([session(tiny, NFC, NFD, 2), session(tiny, "ann", "a", 3)])
    assert new.speakers == (NFC, "ann")
    assert [s.name for s in new.sessions(NFD)] == [NFC]
    assert new.sessions(NFC)[0].statistics.frames == 40
    assert enrolled_models(tiny, new, NFD).names == (NFC,)
    with pytest.raises(InvalidInput, match="the new name must be free"):
        new.rename("ann", NFD)
    new.remove(NFD, NFD)
    assert new.speakers == ("ann",)


@in_file
@pytest.mark.parametrize("both", [False, True])
def test_a_store_of_before_may_hold_either_spelling(
    two: SpeakerStore, tiny: System, tmp_path: Path, both: bool
) -> None:
    path = Path(shutil.copy(two.location, tmp_path / "old.db"))
    with closing(sqlite3.connect(path)) as db:  # as it was written when names were kept as they came
        for speaker, spelled in [("ann", NFD), *([("bob", NFC)] if both else [])]:
            for (name,) in db.execute("select session from speechgmm_sessions where speaker = ?", [speaker]).fetchall():
                made = {("ann", "a"): (1, 2), ("ann", "b"): (3,), ("bob", "a"): (4,)}[speaker, name]
                value = storage.dumps(dataclasses.replace(session(tiny, "X", name, *made)))
                body, tensors = forging.opened(value)
                body["fields"]["speaker"] = spelled
                where = [spelled, forging.closed(body, tensors), speaker, name]
                db.execute(
                    "update speechgmm_sessions set speaker = ?, value = ? where speaker = ? and session = ?", where
                )
            db.execute("update speechgmm_recordings set speaker = ? where speaker = ?", [spelled, speaker])
        db.execute("delete from speechgmm_meta where key = 'composed'")
        db.commit()
    with SpeakerStore(path, tiny) as store:
        assert store.damaged() == ()
        assert store.speakers == ((NFC,) if both else (NFC, "bob"))
        for spelled in (NFC, NFD):
            (models,) = enrolled_models(tiny, store, spelled).names
            assert models == NFC
            assert [s.name for s in store.sessions(spelled)] == (["a", "a", "b"] if both else ["a", "b"])
        store.add([session(tiny, NFC, "a", 9)])
        assert [s.name for s in store.sessions(NFC)] == ["a", "b"]
        assert sum(s.statistics.frames for s in store.sessions(NFC)) == (100 if both else 80)
        store.remove(NFD)
        assert store.speakers == (() if both else ("bob",))


def test_the_store_of_another_front_end_says_what_differs(two: SpeakerStore, tiny: System) -> None:
    frontend = dataclasses.replace(tiny.frontend, dither=0.5, silence=-60.0)
    other = dataclasses.replace(tiny, frontend=frontend)
    was = rf"dither={tiny.frontend.dither}, silence={tiny.frontend.silence}"
    message = rf"the store .* must be of the same front end: dither=0\.5, silence=-60\.0; got {was}\. Use the model"
    with pytest.raises(IncompatibleModel, match=message):
        again(two, other)
    with unchanged(two):
        for act in (
            two.check_system,
            lambda s: enroll_features(s, two, "x", frames(1)),
            lambda s: enrolled_models(s, two),
        ):
            with pytest.raises(IncompatibleModel, match=message):
                act(other)


def test_the_store_of_another_ubm_is_refused(two: SpeakerStore, tiny: System) -> None:
    other = dataclasses.replace(tiny, ubm=dataclasses.replace(tiny.ubm, means=tiny.ubm.means + 0.1))
    message = (
        rf"must be of this model's UBM, {other.fingerprint}; got one of {tiny.fingerprint}\. Use the model that it"
    )
    for create in (False, True):
        with pytest.raises(IncompatibleModel, match=message):
            again(two, other, create=create)
    with unchanged(two), pytest.raises(IncompatibleModel, match=message):
        enroll_features(other, two, "x", frames(1))


def test_another_relevance_is_the_same_system(two: SpeakerStore, tiny: System) -> None:
    with again(two, dataclasses.replace(tiny, relevance=16.0)) as store:
        assert store.speakers == ("ann", "bob")


def test_a_store_opens_without_its_system(two: SpeakerStore) -> None:
    with again(two) as store:
        assert content(store) == content(two)
        assert store.fingerprint == two.fingerprint


@pytest.mark.parametrize("with_system", [False, True])
def test_what_is_no_store_is_refused(tiny: System, tmp_path: Path, with_system: bool) -> None:
    system = tiny if with_system else None
    path = tmp_path / "a.db"
    with pytest.raises(InvalidInput, match=r"a store must exist; got .*a\.db, which does not\. Enroll somebody first"):
        SpeakerStore(path, system)
    assert not path.exists()
    path.write_text("name,phone\n" * 200)
    for create in (False, True):
        if create and not with_system:
            continue
        with pytest.raises(
            InvalidInput, match=r"the store .*a\.db must be a speechgmm store .*; got file is not a database"
        ):
            SpeakerStore(path, system, create=create)
    with pytest.raises(InvalidInput, match=r"must be a speechgmm store .*; got a directory"):
        SpeakerStore(tmp_path, system)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match=r"a store must be a regular file; got .*, which is a pipe"):
        SpeakerStore(tmp_path / "fifo", system)


@pytest.mark.parametrize("how", ["tables", "views", "wal", "unfinished"])
@pytest.mark.parametrize("url", [False, True])
def test_the_database_of_another_program_is_refused_and_not_touched(
    tiny: System, tmp_path: Path, how: str, url: bool
) -> None:
    path, folder = tmp_path / "a.db", tmp_path / "theirs"
    with closing(sqlite3.connect(path)) as db:
        if how == "wal":
            db.execute("pragma journal_mode = wal")
        if how == "unfinished":
            db.execute("pragma cache_size = 1")
        db.execute("create view v as select 1" if how == "views" else "create table contacts (name text)")
        db.commit()
        if how == "unfinished":  # written to the file and not committed: its journal says how to undo it
            for _ in range(50):
                db.execute("insert into contacts values (randomblob(9999))")
        folder.mkdir()
        for file in tmp_path.glob("a.db*"):  # as a crash leaves them
            shutil.copy(file, folder)
        db.rollback()
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    location = f"sqlite:///{folder / 'a.db'}" if url else folder / "a.db"
    for create in (False, True):
        with pytest.raises(
            InvalidInput, match=r"must be a speechgmm store .*; got a database (of something else|with)"
        ):
            SpeakerStore(location, tiny, create=create)
        assert {f.name: f.read_bytes() for f in folder.iterdir()} == before


@in_file
def test_a_schema_that_is_no_text_is_refused(two: SpeakerStore, tiny: System) -> None:
    with closing(sqlite3.connect(two.location)) as db:
        db.execute("pragma writable_schema = on")
        db.execute("update sqlite_master set name = cast(x'ff' as text), sql = 'x' where name = 'speechgmm_notes'")
        db.commit()
    with pytest.raises(InvalidInput, match=r"must be .* read and written; got malformed database schema"):
        again(two, tiny)


@in_file
@pytest.mark.parametrize("revision", ["x", "", "9" * 5000, "-1"])
def test_a_damaged_count_of_changes_begins_anew(two: SpeakerStore, tiny: System, revision: str) -> None:
    with closing(sqlite3.connect(two.location)) as db:
        db.execute("update speechgmm_meta set value = ? where key = 'revision'", [revision])
        db.commit()
    two.add([session(tiny, "cid", "a", 9)])
    assert two.speakers == ("ann", "bob", "cid")
    with two._database.transaction() as tables:
        assert tables.meta()["revision"] == "1"


@in_file
def test_a_store_whose_writer_was_killed_is_as_before(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    before, folder = content(two), tmp_path / "left"
    folder.mkdir()
    path, size = Path(two.location), Path(two.location).stat().st_size
    with closing(sqlite3.connect(path)) as db:  # it grows, page by page, the first of which says how large it is
        db.execute("pragma cache_size = 1")
        for i in range(50):
            db.execute("insert into speechgmm_samples values (?, ?)", [f"more {i}", bytes(9999)])
        for file in tmp_path.glob("new.db*"):
            shutil.copy(file, folder)
        db.commit()
    left = folder / "new.db"
    left.write_bytes(path.read_bytes()[:4096] + left.read_bytes()[4096:size])
    assert (folder / "new.db-journal").stat().st_size > 0
    (tmp_path / "alone.db").write_bytes(left.read_bytes())
    with pytest.raises(InvalidInput, match=r"must be .* read and written; got database disk image is malformed\."):
        SpeakerStore(tmp_path / "alone.db", tiny)
    with SpeakerStore(left, tiny) as store:
        assert content(store) == before
        assert store.check(tiny).passed


@pytest.mark.parametrize("how", ["no bytes", "no tables"])
def test_an_empty_file_becomes_a_store(tiny: System, tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.db"
    path.touch()
    if how == "no tables":
        with closing(sqlite3.connect(path)) as db:
            db.execute("create table t (x)")
            db.execute("drop table t")
            db.commit()
        assert path.stat().st_size > 0
    with SpeakerStore(path, tiny, create=True) as store:
        store.add([session(tiny, "ann", "a", 1)])
        assert store.speakers == ("ann",)


@in_file
@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_only_be_read_is_read(two: SpeakerStore, tiny: System) -> None:
    two.close()
    Path(two.location).chmod(0o400)
    with again(two, tiny) as store:
        assert store.speakers == ("ann", "bob")
        with pytest.raises(InvalidInput, match=r"must be .* read and written; got attempt to write"):
            store.remove("bob")


def test_a_new_store_needs_a_system(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a store must exist"):
        SpeakerStore(tmp_path / "a.db", create=True)
    (tmp_path / "empty.db").touch()
    with pytest.raises(InvalidInput, match="got a database without its tables"):
        SpeakerStore(tmp_path / "empty.db", create=True)


@in_file
def test_a_store_of_a_later_format_is_refused(two: SpeakerStore, tiny: System) -> None:
    with closing(sqlite3.connect(two.location)) as db:
        db.execute("update speechgmm_meta set value = '4' where key = 'format'")
        db.commit()
    for create in (False, True):
        with pytest.raises(InvalidInput, match=r"must be of format 3; got format 4\. Update speechgmm\."):
            again(two, tiny, create=create)


@pytest.mark.parametrize("folder", ["none", "file.txt"])
def test_a_place_that_cannot_be_written_is_refused(tiny: System, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(
        InvalidInput, match=r"the store .*a\.db must be .* read and written; got unable to open database"
    ):
        SpeakerStore(tmp_path / folder / "a.db", tiny, create=True)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nosuch://host/x", InvalidInput, r"the store nosuch://host/x must be .*; got Can't load plugin"),
        ("://", InvalidInput, r"the store :// must be a speechgmm store"),
        ("postgresql://me@host:port/x", InvalidInput, "must be a speechgmm store .*; got invalid literal"),
        (
            "mssql+pymssql://me:secret@host/x",
            MissingExtra,
            r"the store mssql\+pymssql://me:\*\*\*@host/x must have a driver; got No module named 'pymssql'\. Install",
        ),
    ],
)
def test_bad_urls_and_missing_drivers(
    tiny: System, url: str, error: type[Exception], message: str, create: bool
) -> None:
    with pytest.raises(error, match=message):
        SpeakerStore(url, tiny, create=create)


@pytest.mark.parametrize("name", ["a b.db", "what?x=1.db", "50%20.db", "#1.db", "name", "é.db"])
def test_any_file_name_will_do(tiny: System, tmp_path: Path, name: str) -> None:
    with SpeakerStore(tmp_path / name, tiny, create=True) as store:
        enroll_features(tiny, store, "ann", frames(1))
    assert os.listdir(tmp_path) == [name]
    with SpeakerStore(tmp_path / name, tiny) as store:
        assert store.speakers == ("ann",)


@in_file
def test_a_url_of_sqlite_is_the_file(two: SpeakerStore, tiny: System) -> None:
    with SpeakerStore(f"sqlite:///{two.location}", tiny) as store:
        assert content(store) == content(two)


def test_two_views_of_one_file_see_each_others_changes(two: SpeakerStore, tiny: System) -> None:
    x = frames(50)
    with again(two, tiny) as other:
        first = enrolled_models(tiny, other)
        assert enrolled_models(tiny, other) is first, "kept while nothing changes"
        two.add([session(tiny, "cid", "a", 7)])
        assert enrolled_models(tiny, other).names == ("ann", "bob", "cid")
        two.rename("cid", "aaa")
        assert enrolled_models(tiny, other).names == ("aaa", "ann", "bob")
        two.remove("aaa")
        anew = enrolled_models(tiny, other)
        assert anew is not first
        np.testing.assert_array_equal(log_likelihood_ratios(tiny, anew, x), log_likelihood_ratios(tiny, first, x))
        two.add([session(tiny, "ann", "a", 9)])
        assert not np.array_equal(
            log_likelihood_ratios(tiny, enrolled_models(tiny, other), x), log_likelihood_ratios(tiny, first, x)
        )


def test_what_fails_does_not_renew_the_cache(two: SpeakerStore, tiny: System) -> None:
    first = enrolled_models(tiny, two)
    with pytest.raises(SameRecording):
        two.add([session(tiny, "cid", "a", 1)])
    assert enrolled_models(tiny, two) is first


def test_the_cache_keeps_relevances_and_speakers_apart(two: SpeakerStore, tiny: System) -> None:
    eager = dataclasses.replace(tiny, relevance=0.5)
    assert enrolled_models(tiny, two, "bob").names == ("bob",)
    assert enrolled_models(tiny, two).names == ("ann", "bob")
    assert not np.array_equal(enrolled_models(tiny, two).offsets, enrolled_models(eager, two).offsets)


def enroll_from_threads(store: SpeakerStore, system: System, n: int) -> None:
    """Each thread opens the store itself; every other recording goes to one and the same session."""

    def one(i: int) -> None:
        with again(store, system, create=True) as own:
            own.add([session(system, "ann", "shared" if i % 2 else f"own {i}", i)])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(n)))


def test_enrolling_from_threads_loses_nothing(new: SpeakerStore, tiny: System) -> None:
    enroll_from_threads(new, tiny, 24)
    with again(new, tiny) as store:
        found = {s.name: s for s in store.sessions("ann")}
    assert set(found) == {"shared", *(f"own {i}" for i in range(0, 24, 2))}
    assert found["shared"].statistics.frames == 12 * 20
    assert {d for s in found.values() for d in s.recordings} == {f"digest {i}" for i in range(24)}
    same_statistics(found["shared"].statistics, session(tiny, "ann", "shared", *range(1, 24, 2)).statistics, atol=1e-9)


def test_one_store_object_serves_threads(two: SpeakerStore, tiny: System) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: two.add([session(tiny, f"t{i}", "a", 100 + i)]), range(12)))
    assert len(two.speakers) == 14


@in_file
def test_closing_gives_the_file_back(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    path = Path(shutil.copy(two.location, tmp_path / "copy.db"))
    with SpeakerStore(path, tiny) as store:
        before = content(store)
    path.rename(tmp_path / "moved.db")
    assert not any("copy.db" in name for name in os.listdir(tmp_path)), "no journal is left"
    with SpeakerStore(tmp_path / "moved.db", tiny) as store:
        assert content(store) == before


@in_file
def test_nothing_in_the_file_is_pickled(two: SpeakerStore) -> None:
    with closing(sqlite3.connect(two.location)) as db:
        kept = ("sessions", "samples")
        values = [v for table in kept for (v,) in db.execute(f"select value from speechgmm_{table}")]
    assert len(values) == 3 + 4
    assert all(b"__metadata__" in v for v in values)

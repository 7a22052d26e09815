"""A process that goes on has what one that has just started has, to the bit, whatever others have done to its store."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import DamagedSessionWarning, InvalidInput, SpeechGMMError
from speechgmm.mixture import GMM, Ensemble, Full, Statistics
from speechgmm.speakers import SpeakerNote, SpeakerStore, System, block_models, models, speaker_models
from speechgmm.speakers.block_models import BlockLayout, BlockModels, CompactBlock, ExactBlock, tidied
from speechgmm.speakers.score import Scorer
from speechgmm.speakers.store_moment import StoreMoment
from tests.laws import close
from tests.sounds import Array
from tests.speakers.conftest import tiny_system
from tests.speakers.made import enroll_frames, extracted, with_calibration
from tests.speakers.test_store import KEYS, again

SYSTEM = dataclasses.replace(with_calibration(tiny_system()), by_recording=True)
RAW = tiny_system()
NAMES = "abcdefg"
SMALL = {
    "following.MOST": 4,
    "following.AT_ONCE": 2,
    "domain.MOST": 4,
    "store_domain.MOST_TESTED": 3,
    "following.GROUP": 2,
}
SMALL |= {"block_models.GROUP": 2}
"""Of seven people, some make the domain, few are tested, and there are several blocks."""


def speech(seed: int) -> Array:
    """Frames of one recording of one of seven voices; of each seed another number."""
    rng = np.random.default_rng(seed)
    x: Array = rng.normal(np.random.default_rng(seed % 7).normal(0, 1.5, 3), 1.2, (25 + seed % 9, 3))
    return x.astype(np.float32)


TEST = extracted(SYSTEM, speech(999))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        module, field = name.split(".")
        monkeypatch.setattr(importlib.import_module(f"speechgmm.speakers.{module}"), field, value)


def told(system: System, store: SpeakerStore, *speakers: str) -> dict[str, Any]:
    """All that follows from a store, and what a test scores; or the message of an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedSessionWarning)
        try:
            scorer = Scorer.of(system, store, *speakers)
            scored = scorer.score_test([TEST])
        except SpeechGMMError as error:
            return {"error": str(error)}
    assert scored.scores is not None
    limits = scorer.limits(1.0)
    return {
        "names": scorer.models.names,
        "seconds": scorer.models.speech_seconds.tobytes(),
        "ubm": scorer.models.ubm.means.tobytes(),
        "means": scorer.models.offsets.tobytes(),
        "scores": scored.scores.tobytes(),
        "norm": None if scorer.norm is None else (scorer.norm.size, scorer.norm.location, scorer.norm.scale),
        "thresholds": limits and [limits.threshold(far, n) for far in (0.01, 0.05) for n in (1, 5)],
        "missed": limits and limits.missed(0.0),
        "damaged": scorer.models.damaged,
        "recordings": scorer.enrolled,
    }


def rewrite(store: SpeakerStore, number: int, change: Callable[[bytes], bytes]) -> None:
    """Change the value of a session behind the back of the store, which counts nothing."""
    with store._database.transaction(write=True) as tables:
        table, connection = tables._sessions, tables.connection
        query = tables._sa.select(table.c.speaker, table.c.session, table.c.value)
        found = sorted(connection.execute(query), key=lambda row: tables.key(row))
        if found:
            row = found[number % len(found)]
            where = (table.c.speaker == row.speaker, table.c.session == row.session)
            connection.execute(table.update().where(*where).values(value=change(bytes(row.value))))


def note(store: SpeakerStore) -> None:
    """Let the store count a change that touches no voice."""
    if known := store.speakers:
        store.annotate(known[0], SpeakerNote(consent=str(np.random.default_rng().integers(10**9))))


def act(store: SpeakerStore, seed: int, what: str, who: str, other: str, session: str) -> None:
    """Do something to a store; what it refuses is not done."""

    def spoken(n: int) -> dict[str, list[Array]]:
        return {who: [speech(100 * seed + i) for i in range(n)]}

    try:
        if what == "enroll":
            enroll_frames(SYSTEM, store, spoken(1 + seed % 3), session=session)
        elif what == "replace":
            store.remove(who)
            enroll_frames(SYSTEM, store, spoken(2), session=session)
        elif what == "remove":
            store.remove(who)
        elif what == "forget":
            store.remove(who, session)
        elif what == "rename":
            store.rename(who, other)
        elif what == "damage":
            rewrite(store, seed, lambda value: value + b"\0" if len(value) % 2 == 0 else value)
            note(store)
        elif what == "mend":
            rewrite(store, seed, lambda value: value[:-1] if len(value) % 2 else value)
            note(store)
        else:
            note(store)
    except SpeechGMMError:
        pass


WHAT = ("enroll", "enroll", "enroll", "replace", "remove", "forget", "rename", "damage", "mend", "note")
ACTS = st.tuples(
    st.integers(0, 1000), st.sampled_from(WHAT), st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from("xy")
)


def follows(place: Any, key: bytes | None, acts: Sequence[tuple[Any, ...]], systems: Sequence[System]) -> None:
    """Assert that a store that is kept open tells what a new one does, after each of these acts of two others."""
    with SpeakerStore(place, SYSTEM, create=True, key=key) as store, again(store) as one, again(store) as two:
        enroll_frames(SYSTEM, store, {name: [speech(i)] for i, name in enumerate(NAMES[:5])})
        for i, wanted in enumerate(acts):
            act((one, two)[i % 2], *wanted)
            with again(store) as fresh:
                for system in systems:
                    assert told(system, store) == told(system, fresh)
                if known := fresh.speakers:
                    assert told(SYSTEM, store, known[-1]) == told(SYSTEM, fresh, known[-1])


@given(st.lists(ACTS, min_size=1, max_size=12))
@settings(max_examples=12)
def test_who_has_followed_has_what_a_new_reader_has(tmp_path_factory: pytest.TempPathFactory, acts: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("follow")
    follows(folder / "s.db", None, acts, (SYSTEM, RAW))
    shutil.rmtree(folder)


@pytest.mark.parametrize("where", KEYS)
def test_wherever_the_store_is(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> None:
    place = request.getfixturevalue("on_server") if where.startswith("postgresql") else tmp_path / "s.db"
    acts = [(i, what, NAMES[i % 5], NAMES[(i + 5) % 7], "xy"[i % 2]) for i, what in enumerate(WHAT)]
    follows(place, KEYS[where], acts, (SYSTEM,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpeakerStore]:
    with SpeakerStore(tmp_path / "s.db", SYSTEM, create=True) as made:
        enroll_frames(SYSTEM, made, {name: [speech(i), speech(i + 7)] for i, name in enumerate(NAMES)})
        yield made


def beside(store: SpeakerStore) -> str:
    """Somebody who takes no part in the domain."""
    with store.moment() as moment:
        return moment.contents.first(len(NAMES))[-1]


def test_who_has_not_changed_is_not_read(store: SpeakerStore, read: list[set[str]]) -> None:
    Scorer.of(SYSTEM, store)
    assert [len(names) for names in read] == [4, 2, 1], "those of the domain, then all others"
    read.clear()
    last = beside(store)
    with again(store) as other:
        other.annotate(last, SpeakerNote(consent="form 1"))
        before = Scorer.of(SYSTEM, store)
        assert read == []
        store.rename(last, "zoe")
        after = Scorer.of(SYSTEM, store)
        assert read == [{"zoe"}]
        other.remove("zoe")
        assert "zoe" not in Scorer.of(SYSTEM, store).models.names
        assert read[1:] == []
    assert isinstance(before.models, BlockModels)
    assert isinstance(after.models, BlockModels)
    assert len({id(b) for b in before.models.blocks} & {id(b) for b in after.models.blocks}) >= 2


def test_a_change_in_the_domain_makes_all_models_anew(store: SpeakerStore, read: list[set[str]]) -> None:
    Scorer.of(SYSTEM, store)
    read.clear()
    with store.moment() as moment:
        first = moment.contents.first(4)
    store.remove(first[0])
    with again(store) as fresh:
        assert told(SYSTEM, store) == told(SYSTEM, fresh)
    assert [len(names) for names in read[:2]] == [1, 2], "who comes into the domain, then all others"


def test_a_bit_that_flips_is_seen_by_a_check_and_by_whoever_reads_next(store: SpeakerStore) -> None:
    last = beside(store)
    whole = told(SYSTEM, store)
    place = sorted(NAMES).index(last)
    rewrite(store, place, lambda value: value[:-9] + bytes([value[-9] ^ 1]) + value[-8:])
    note(store)
    assert told(SYSTEM, store) == whole, "its length is what it was"
    assert [d.speaker for d in store.check().damaged] == [last]
    with again(store) as fresh:
        assert last not in told(SYSTEM, fresh)["names"]


def test_a_recording_that_stands_twice_is_known_until_both_are_gone(store: SpeakerStore) -> None:
    digest = next(iter(store.export("b").sessions[0].recordings))
    with store.moment() as moment:
        assert moment.contents.recordings[digest].speaker == "b"
    with store._database.transaction(write=True) as tables:
        row = f"select cast(digest as blob), name, 'a', session from speechgmm_recordings where digest = '{digest}'"
        tables.connection.exec_driver_sql(f"insert into speechgmm_recordings {row}")
    for gone, left in (("f", True), ("b", True), ("a", False)):
        store.remove(gone)
        with again(store) as fresh, store.moment() as followed, fresh.moment() as new:
            assert followed.contents.recordings == new.contents.recordings
            assert (digest in new.contents.recordings) is left


def test_models_of_the_last_two_systems_are_followed(store: SpeakerStore, read: list[set[str]]) -> None:
    systems = [dataclasses.replace(RAW, relevance=r) for r in (1.0, 2.0, 3.0)]
    for system in systems:
        Scorer.of(system, store)
    read.clear()
    note(store)
    for system in systems[::-1]:
        Scorer.of(system, store)
    assert [len(names) for names in read] == [4, 2, 1]


@pytest.mark.parametrize("step", ["founded", "_models"])
def test_who_changes_a_store_does_not_wait_for_what_is_made_of_it(
    store: SpeakerStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    module = importlib.import_module("speechgmm.speakers.following")
    make = getattr(module, step)

    def meanwhile(*given: Any) -> Any:
        other.annotate("b", SpeakerNote(consent="form 1"))
        return make(*given)

    monkeypatch.setattr(module, step, meanwhile)
    monkeypatch.setattr("speechgmm.speakers.database._PATIENCE", 0.5)
    with again(store) as reader, again(store) as other:
        Scorer.of(SYSTEM, reader)
        assert other.notes()["b"].consent == "form 1"


@pytest.mark.parametrize("times", [1, 2, 5])
def test_who_was_changed_while_others_were_read_is_read_again(
    store: SpeakerStore, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    module = importlib.import_module("speechgmm.speakers.following")
    make, calls = module._models, []

    def meanwhile(*given: Any) -> Any:
        calls.append(given)
        if len(calls) <= times:
            with contextlib.suppress(InvalidInput):  # the last time it is held
                own = {name: [speech(2000 + 7 * len(calls) + i)] for i, name in enumerate(other.speakers)}
                enroll_frames(SYSTEM, other, own, session=f"{len(calls)}")
                other.remove(beside(other))
        return make(*given)

    monkeypatch.setattr(module, "AT_ONCE", 1)
    monkeypatch.setattr("speechgmm.speakers.database._PATIENCE", 0.2)
    with again(store) as reader, again(store) as other:
        with monkeypatch.context() as changing:
            changing.setattr(module, "_models", meanwhile)
            Scorer.of(SYSTEM, reader)
        assert len(calls) == min(times + 1, module.TIMES)
        with again(store) as fresh:
            assert told(SYSTEM, reader) == told(SYSTEM, fresh)


def test_threads_share_a_store(store: SpeakerStore) -> None:
    with again(store) as other, ThreadPoolExecutor(4) as pool:
        for i in range(6):
            enroll_frames(SYSTEM, other, {"guest": [speech(1000 + i)]}, session=str(i))
            with again(store) as fresh:
                expected = told(SYSTEM, fresh)
            assert all(found == expected for found in pool.map(lambda _: told(SYSTEM, store), range(4)))


def test_the_number_of_threads_changes_no_bit(store: SpeakerStore) -> None:
    alone = told(SYSTEM, store)
    for n in (1, 3):
        with again(store) as fresh:
            Scorer.of(SYSTEM, fresh, n_threads=n)
            assert told(SYSTEM, fresh) == alone


def test_what_stops_in_the_middle_is_done_again(store: SpeakerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    Scorer.of(SYSTEM, store)
    enroll_frames(SYSTEM, store, {"guest": [speech(5000)]})
    with monkeypatch.context() as broken:
        broken.setattr(StoreMoment, "sessions", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Scorer.of(SYSTEM, store)
    with again(store) as fresh:
        assert told(SYSTEM, store) == told(SYSTEM, fresh)


def people(system: System, n: int) -> dict[str, Statistics]:
    return {f"p{i}": system.ubm.statistics(speech(i)) for i in range(n)}


def blocks_of(system: System, statistics: dict[str, Statistics]) -> BlockModels:
    layout, found = BlockLayout(system.ubm), []
    for name, s in statistics.items():
        means = [models.speaker_offsets(system.ubm, s, system.relevance)]
        found += layout.blocks([name], [1.0], means)
    return BlockModels(layout, tidied(found), system.fingerprint)


def ensemble() -> System:
    one, two = tiny_system(1).ubm, tiny_system(2).ubm
    assert isinstance(one, GMM)
    assert isinstance(two, GMM)
    return dataclasses.replace(RAW, ubm=Ensemble((dataclasses.replace(one, origin=two.origin), two)))


def full() -> System:
    ubm = RAW.ubm
    assert isinstance(ubm, GMM)
    return dataclasses.replace(RAW, ubm=dataclasses.replace(ubm, covariance=Full(np.stack([np.eye(3)] * 4))))


@pytest.mark.parametrize("make", [tiny_system, ensemble, full])
def test_models_in_blocks_are_as_those_that_are_not(make: Callable[[], System]) -> None:
    system = make()
    statistics = people(system, 7)
    plain, found = speaker_models(system, statistics), blocks_of(system, statistics)
    x = speech(77)
    assert found.names == plain.names
    np.testing.assert_array_equal(found.ratios(x), plain.ratios(x))
    close(found.ratios(x.astype(np.float64)), plain.ratios(x.astype(np.float64)), atol=1e-5)
    close(found.offsets, plain.offsets, rtol=1e-6, atol=1e-6)
    some = np.array([5, 0, 3])
    np.testing.assert_array_equal(found.take(some).ratios(x), plain.take(some).ratios(x))
    assert found.take(some).names == ("p5", "p0", "p3")
    if make is not full:
        for part, other in zip(found.parts, plain.parts, strict=True):
            np.testing.assert_array_equal(part.terms(np.float32).linear, other.terms(np.float32).linear)
            np.testing.assert_array_equal(part.background.linear, other.background.linear)


def test_whom_float32_cannot_hold_is_kept_apart_and_changes_nobody() -> None:
    statistics = people(RAW, 5)
    far = statistics["p2"]
    shifted = dataclasses.replace(far, first=far.first + 3e3 * far.counts[:, None], second=far.second + 1e9)
    found, x = blocks_of(RAW, statistics | {"p2": shifted}), speech(77)
    kinds = {name: type(b) for b in found.blocks for name in b.names}
    assert kinds == dict.fromkeys(("p0", "p1", "p3", "p4"), CompactBlock) | {"p2": ExactBlock}
    without = blocks_of(RAW, statistics).ratios(x)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(found.ratios(x)[others], without[others])
    alone = speaker_models(RAW, {"p2": shifted})
    np.testing.assert_array_equal(found.ratios(x)[[2]], alone.ratios(x))
    np.testing.assert_array_equal(found.means_of(2), alone.offsets[0])
    assert found.terms(np.float32).linear.dtype == np.float64
    assert found.take(np.array([2, 4])).ratios(x).tolist() == found.ratios(x)[[2, 4]].tolist()


def test_small_blocks_are_put_together_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_models, "GROUP", 4)
    found = blocks_of(RAW, people(RAW, 6)).blocks
    assert sorted(len(b.names) for b in found) == [3, 3]
    again = tidied([*found, *blocks_of(RAW, {"q": RAW.ubm.statistics(speech(3))}).blocks])
    assert set(map(id, found)) <= set(map(id, again))
    assert sorted(name for b in again for name in b.names) == [*(f"p{i}" for i in range(6)), "q"]


def test_damage_to_everybody_is_refused_and_mending_is_seen(store: SpeakerStore) -> None:
    whole = told(SYSTEM, store)
    for i in range(len(NAMES)):
        rewrite(store, i, lambda value: value + b"\0")
    note(store)
    with pytest.raises(InvalidInput, match=r"the sessions to score against must be whole; got .* \(7 in all\)"):
        Scorer.of(SYSTEM, store)
    for i in range(len(NAMES)):
        rewrite(store, i, lambda value: value[:-1])
    note(store)
    assert told(SYSTEM, store) == whole


def test_who_is_read_is_looked_up_and_not_looked_for_among_all(tmp_path: Path) -> None:
    """SQLite would look at every row for a list of pairs: each person of a large store would take as long as it is."""
    said: list[tuple[str, Any]] = []
    with SpeakerStore(tmp_path / "s.db", RAW, create=True) as store:
        enroll_frames(RAW, store, {name: [speech(i)] for i, name in enumerate(NAMES)})
        sqlalchemy.event.listen(store._database._engine, "before_cursor_execute", lambda *x: said.append((x[2], x[3])))
        with store.moment() as moment:
            assert len(list(moment.sessions(NAMES))) == len(NAMES)
            connection = moment.tables.connection
            read = [(s, p) for s, p in said if "length(" not in s and "speechgmm_sessions.value" in s]
            plans = [str(connection.exec_driver_sql(f"explain query plan {s}", p).all()) for s, p in read]
    assert len(plans) == 1
    assert "SEARCH speechgmm_sessions USING INDEX" in plans[0]
    assert "SCAN" not in plans[0]

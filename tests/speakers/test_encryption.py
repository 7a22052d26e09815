"""An encrypted store: its file holds no voices and no names, changes are found, keys fit or are refused."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput, UnknownSpeaker, WrongKey
from speechgmm.speakers import SpeakerNote, SpeakerStore, System, enrolled_models, log_likelihood_ratios, read_key
from speechgmm.speakers.ciphers import PLAIN, Cipher, Encrypted, cipher_of, new_settings
from tests.speakers.test_damaged_store import change
from tests.speakers.test_erasure import RUN, recorded, runs, traces
from tests.speakers.test_store import content, frames, kept, put, session

KEY, OTHER = bytes(range(32)), bytes(range(1, 60))


@pytest.fixture
def closed(tiny: System, tmp_path: Path) -> SpeakerStore:
    """An encrypted store with ann (sessions a and b) and bob, of whom ann has a note."""
    store = SpeakerStore(tmp_path / "closed.db", tiny, create=True, key=KEY)
    put(store, session(tiny, "ann", "a", 1, 2), session(tiny, "ann", "b", 3), session(tiny, "bob", "a", 4))
    store.annotate("ann", SpeakerNote("signed on paper", "left-handed", "2030-01-31"))
    store.close()
    return store


CIPHERS = [PLAIN, Encrypted(KEY, bytes(32))]


@pytest.mark.parametrize("cipher", CIPHERS, ids=["plain", "encrypted"])
@given(text=st.text(), data=st.binary(max_size=300), bound=st.lists(st.text(max_size=5), max_size=3))
def test_what_is_written_is_read_again(cipher: Cipher, text: str, data: bytes, bound: list[str]) -> None:
    assert cipher.reveal(cipher.hide(text, *bound), *bound) == text
    assert cipher.unseal(cipher.seal(data, *bound), *bound) == data
    assert cipher.hide(text, *bound) == cipher.hide(text, *bound), "rows are found by it"


@settings(max_examples=200)
@given(data=st.data(), text=st.text(max_size=100), value=st.binary(max_size=100))
def test_one_flipped_bit_is_found(data: st.DataObject, text: str, value: bytes) -> None:
    cipher = Encrypted(KEY, bytes(32))
    hidden, sealed = bytearray(cipher.hide(text, "x").encode()), bytearray(cipher.seal(value, "x"))
    hidden[data.draw(st.integers(0, len(hidden) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    words = "what is encrypted must be as it was written; got something that was changed, or that stood elsewhere"
    with pytest.raises(InvalidInput, match=words):
        cipher.reveal(hidden.decode("utf-8", "surrogateescape"), "x")
    with pytest.raises(InvalidInput, match=words):
        cipher.unseal(bytes(sealed), "x")


@pytest.mark.parametrize("other", [Encrypted(OTHER, bytes(32)), Encrypted(KEY, bytes(31) + b"1")], ids=["key", "salt"])
def test_nothing_is_read_by_another_key_or_salt_or_elsewhere(other: Encrypted) -> None:
    cipher = Encrypted(KEY, bytes(32))
    hidden, sealed = cipher.hide("ann", "speaker"), cipher.seal(b"voice", "session", "ann", "a")
    assert hidden != other.hide("ann", "speaker")
    for reader, bound in ((other, "speaker"), (cipher, "session")):
        with pytest.raises(InvalidInput, match="something that was changed"):
            reader.reveal(hidden, bound)
    for reader, where in ((other, ("session", "ann", "a")), (cipher, ("session", "ann", "b")), (cipher, ("s",))):
        with pytest.raises(InvalidInput, match="something that was changed"):
            reader.unseal(sealed, *where)


def test_names_of_one_length_or_another_look_alike() -> None:
    cipher = Encrypted(KEY, bytes(32))
    assert len({len(cipher.hide("x" * n, "speaker")) for n in range(64)}) == 1
    assert len({cipher.hide(name, "speaker")[:12] for name in map(str, range(100))}) == 100


def test_values_are_never_written_twice_alike() -> None:
    cipher = Encrypted(KEY, bytes(32))
    assert len({cipher.seal(b"the same", "x") for _ in range(100)}) == 100


def test_texts_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechgmm.speakers.ciphers._MOST", 3)
    cipher = Encrypted(KEY, bytes(32))
    for _ in range(2):
        assert [cipher.reveal(cipher.hide(str(i)), *()) for i in range(8)] == [str(i) for i in range(8)]
    assert len(cipher._revealed) <= 3


@pytest.mark.parametrize("rekeyed", [False, True])
def test_nothing_of_voices_or_names_is_in_the_file(tiny: System, tmp_path: Path, rekeyed: bool) -> None:
    rng, left = random.Random(1), set[bytes]()
    names = [b"signed on paper", b"left-handed"]
    with SpeakerStore(tmp_path / "store.db", tiny, create=True, key=None if rekeyed else KEY) as store:
        for _ in range(8):
            one, sample = recorded(tiny, rng)
            store.add([one], samples=[sample])
            left |= traces(one, sample)
            names += [one.speaker.encode(), one.name.encode(), *(n.encode() for n in one.recordings.values())]
            names += [digest.encode() for digest in one.recordings]
        store.annotate(store.speakers[0], SpeakerNote("signed on paper", "left-handed"))
        if rekeyed:
            assert len(left & runs(tmp_path)) > 0.9 * len(left)
            store.rekey(KEY)
        found, data = runs(tmp_path), (tmp_path / "store.db").read_bytes()
        assert left & found == set()
        assert [name for name in names if name in data] == []
        before = found
        store.rekey(OTHER)
        sealed = {data[i : i + RUN] for data in values(tmp_path / "store.db") for i in range(0, len(data) - RUN, 8)}
        assert sealed & before == set(), "all was written anew"


def values(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as db:
        return [v for t in ("sessions", "samples") for (v,) in db.execute(f"select value from speechgmm_{t}")]


CELLS = {
    "sessions": ("speaker", "session", "seconds", "value"),
    "recordings": ("digest", "name", "speaker", "session"),
    "samples": ("digest", "value"),
    "notes": ("speaker", "value"),
}


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in CELLS.items() for c in columns])
def test_a_flipped_bit_in_the_file_is_found(closed: SpeakerStore, table: str, column: str) -> None:
    rng, path = random.Random(f"{table} {column}"), closed.location
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(f"select rowid, {column} from speechgmm_{table}").fetchall()
    for row, value in rows:
        for _ in range(3):
            data = bytearray(value.encode() if isinstance(value, str) else value)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            new = bytes(data)
            as_text = "cast(? as text)" if isinstance(value, str) else "?"
            change(Path(path), f"update speechgmm_{table} set {column} = {as_text} where rowid = {row}", new)
            with SpeakerStore(path, key=KEY) as store:
                assert not store.check().passed
        change(Path(path), f"update speechgmm_{table} set {column} = ? where rowid = {row}", value)
    with SpeakerStore(path, key=KEY) as store:
        assert store.check().passed


def test_values_that_have_changed_places_are_found(closed: SpeakerStore) -> None:
    with closing(sqlite3.connect(closed.location)) as db:
        held = db.execute("select rowid, value from speechgmm_sessions order by rowid").fetchall()
    for (row, _), (_, value) in zip(held, held[1:] + held[:1], strict=True):
        change(Path(closed.location), "update speechgmm_sessions set value = ? where rowid = ?", value, row)
    with SpeakerStore(closed.location, key=KEY) as store:
        assert len(store.damaged()) == 3


def test_keys_that_do_not_fit_are_one_clear_error(closed: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    SpeakerStore(tmp_path / "open.db", tiny, create=True).close()
    for path, key, words in (
        (closed.location, None, r"the store .*closed\.db must be opened with its key; got none\. Give --key-file\."),
        (closed.location, OTHER, r"must be opened with the key that it was encrypted with; got another key\. Give"),
        (tmp_path / "open.db", KEY, r"must be encrypted where a key is given; got one that is not\. Leave the key out"),
    ):
        for system in (None, tiny):
            with pytest.raises(WrongKey, match=words):
                SpeakerStore(path, system, create=system is not None, key=key)
    with pytest.raises(InvalidInput, match="a key must hold 32 bytes or more; got 31"):
        SpeakerStore(closed.location, key=bytes(31))
    with pytest.raises(InvalidInput, match="a key must be a bytes; got a str"):
        SpeakerStore(closed.location, key="x" * 40)  # type: ignore[arg-type]


@pytest.mark.parametrize("statement", ["delete from speechgmm_meta where key = 'salt'", "x", "00" * 32])
def test_damaged_settings_are_another_key(closed: SpeakerStore, statement: str) -> None:
    if statement.startswith("delete"):
        change(Path(closed.location), statement)
    else:
        change(Path(closed.location), "update speechgmm_meta set value = ? where key = 'salt'", statement)
    with pytest.raises(WrongKey, match="got another key"):
        SpeakerStore(closed.location, key=KEY)


def test_a_store_that_is_rekeyed_meanwhile_is_opened_again(closed: SpeakerStore, tiny: System) -> None:
    with SpeakerStore(closed.location, key=KEY) as one, SpeakerStore(closed.location, key=KEY) as other:
        before = kept(one)
        other.rekey(OTHER)
        assert kept(other) == before
        acts: list[Callable[[], object]] = [
            lambda: one.speakers,
            lambda: one.add([session(tiny, "cid", "a", 9)]),
            lambda: one.rekey(KEY),
        ]
        for act in acts:
            with pytest.raises(WrongKey, match=r"must have the key that it was opened with; .* Open it again\."):
                act()
    with SpeakerStore(closed.location, key=OTHER) as store:
        assert kept(store) == before


def test_a_store_becomes_encrypted_and_readable_again(two_plain: SpeakerStore, tiny: System) -> None:
    before, ratios = kept(two_plain), scores(tiny, two_plain)
    for key in (KEY, OTHER, None, KEY):
        two_plain.rekey(key)
        assert two_plain.encrypted == (key is not None)
        with SpeakerStore(two_plain.location, tiny, key=key) as store:
            assert (kept(store), store.notes()) == (before, two_plain.notes())
            np.testing.assert_array_equal(scores(tiny, store), ratios)
    assert [a.action for a in two_plain.audit()] == ["enroll", "annotate", *["rekey"] * 4]


def scores(system: System, store: SpeakerStore) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return log_likelihood_ratios(system, enrolled_models(system, store), frames(50))


@pytest.fixture
def two_plain(new: SpeakerStore, tiny: System) -> SpeakerStore:
    put(new, session(tiny, "ann", "a", 1, 2), session(tiny, "bob", "a", 4))
    new.annotate("bob", SpeakerNote(note="x"))
    return new


def test_a_damaged_store_gets_no_other_key(closed: SpeakerStore) -> None:
    change(Path(closed.location), "update speechgmm_samples set value = x'00' where rowid = 1")
    with SpeakerStore(closed.location, key=KEY) as store:
        before = content(store)
        with pytest.raises(InvalidInput, match=r"which gets another key, must be whole; got session "):
            store.rekey(OTHER)
        assert content(store) == before
    SpeakerStore(closed.location, key=KEY).close()


def test_names_are_not_told_by_what_an_unknown_one_is_answered(closed: SpeakerStore) -> None:
    with SpeakerStore(closed.location, key=KEY) as store, pytest.raises(UnknownSpeaker, match=r"\(ann, bob\)"):
        store.remove("cid")


@pytest.mark.parametrize("size", [31, 32, 2**20, 2**20 + 1])
def test_a_key_file_is_any_32_bytes_or_more(tmp_path: Path, size: int) -> None:
    path = tmp_path / "k"
    path.write_bytes(bytes(size))
    if 32 <= size <= 2**20:
        assert read_key(path) == bytes(size)
        return
    with pytest.raises(InvalidInput, match=rf"the key file {path} must hold (32 bytes or more|at most 1048576 bytes)"):
        read_key(path)


@pytest.mark.parametrize("path", ["nowhere", ".", "nul\0"])
def test_a_key_file_must_be_readable(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match=r"a key file must (be a file that|have a name that a file can)"):
        read_key(f"{tmp_path}/{path}")


def test_settings_without_a_key_are_none() -> None:
    assert new_settings(None) == {}
    assert cipher_of({}, None, "s.db") is PLAIN
    assert new_settings(KEY)["salt"] != new_settings(KEY)["salt"]

"""The operations that meet faults: at stores, at models and exports, at kept features, reports and tables of scores.

`test_faults.py` runs this in a process whose calls can fail, with a folder, "quick" or "full", and a group of them.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speechgmm import storage
from speechgmm.errors import NotErased, SameRecording, UnknownSpeaker, WrongKey
from speechgmm.evaluation import Scores, evaluate, write_scores
from speechgmm.features import Recording, preset
from speechgmm.features.feature_cache import FeatureCache, KeptFeatures
from speechgmm.report import page, write_report
from speechgmm.speakers import SpeakerExport, SpeakerNote, SpeakerStore, enrolled_models, load_system
from speechgmm.speakers.ciphers import cipher_of
from tests.faults import Operation, main
from tests.speakers.conftest import tiny_system
from tests.speakers.test_former_files import FILES
from tests.speakers.test_store import put, samples, session

KEY, OTHER = bytes(range(32)), bytes(range(1, 41))
SYSTEM, CHANGED = tiny_system(), tiny_system(1)
STORE = "store.db"
Begin = Callable[[], None]
Change = Callable[[SpeakerStore], object]


def people(store: SpeakerStore) -> None:
    """Enroll ann with two sessions, bob and eve, and note something."""
    put(store, session(SYSTEM, "ann", "a", 1, 2), session(SYSTEM, "ann", "b", 3))
    put(store, session(SYSTEM, "bob", "a", 4), session(SYSTEM, "eve", "a", 5))
    store.annotate("bob", SpeakerNote("agreed", keep_until="2000-01-01"))
    store.annotate("ann", SpeakerNote(note="came twice"))


def made(folder: Path, *, mode: str = "delete", key: bytes | None = None, erased: bool = True) -> None:
    """Make a store, with ann's export beside it."""
    with SpeakerStore(folder / STORE, SYSTEM, create=True, key=key) as store:
        with closing(sqlite3.connect(folder / STORE)) as db:
            db.execute(f"pragma journal_mode = {mode}")
            if not erased:
                db.execute("delete from speechgmm_meta where key = 'erased'")
                db.commit()
        if erased:
            people(store)


def opened(folder: Path) -> SpeakerStore:
    """Open a store by whichever key it has."""
    for key in (None, KEY):
        try:
            return SpeakerStore(folder / STORE, SYSTEM, key=key)
        except WrongKey:
            continue
    return SpeakerStore(folder / STORE, SYSTEM, key=OTHER)


def content(folder: Path) -> object:
    """All that a store holds, to the bit, and by which key; what is wrong with it, first of all."""
    if not (folder / STORE).exists() or not tables(folder):
        return None
    with opened(folder) as store:
        assert (checked := store.check(SYSTEM)).passed, checked.told
        sessions, _ = store.read()
        found, _ = store.samples(digest for s in sessions for digest in s.recordings)
        kept = sorted(map(storage.dumps, found))
        key = next((k for k in (KEY, OTHER) if readable(store, k)), None)
        return [storage.dumps(s) for s in sessions], kept, store.notes(), key


def readable(store: SpeakerStore, key: bytes) -> bool:
    """Say whether this is the key of an open store."""
    try:
        cipher_of(store._database.meta, key, "")
    except WrongKey:
        return False
    return True


def tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a store as they stand there, but the count of changes and what was done."""
    with closing(sqlite3.connect(folder / STORE)) as db:
        names = [n for (n,) in db.execute("select name from sqlite_master where type = 'table' order by name")]
        found = {n: sorted(db.execute(f"select * from {n}"), key=repr) for n in names if n != "speechgmm_audit"}
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    if "speechgmm_meta" in found:
        found["speechgmm_meta"] = [row for row in found["speechgmm_meta"] if row[0] != "revision"]
    return found


def changed(change: Change) -> Callable[[Path, Begin], None]:
    """Change a store that was opened before faults begin."""

    def act(folder: Path, begin: Begin) -> None:
        with opened(folder) as store:
            begin()
            change(store)

    return act


def create(key: bytes | None, folder: Path, begin: Begin) -> None:
    begin()
    SpeakerStore(folder / STORE, SYSTEM, create=True, key=key).close()


def read(folder: Path, begin: Begin) -> object:
    begin()
    with opened(folder) as store:
        models = enrolled_models(SYSTEM, store)
        return models.names, [storage.dumps(s) for s in store.sessions()]


def former(name: str) -> Operation:
    """Bring a store of a former format to this one: what it holds can only be read as rows stand there."""

    def act(folder: Path, begin: Begin) -> None:
        begin()
        SpeakerStore(folder / STORE).close()

    return Operation(f"migrate {name}", lambda folder: shutil.copy(FILES / name, folder / STORE), act, tables)


ENROLLED = (SameRecording,)
GONE = (UnknownSpeaker,)


def enroll(store: SpeakerStore, speaker: str, name: str, seed: int, **how: Any) -> None:
    put(store, session(SYSTEM, speaker, name, seed), **how)


def bring(store: SpeakerStore) -> None:
    """Import two people from an export."""
    sessions = (session(SYSTEM, "zoe", "a", 7), session(SYSTEM, "yan", "a", 8))
    notes = {"zoe": SpeakerNote("agreed")}
    store.add_export(SpeakerExport(SYSTEM.fingerprint, sessions, tuple(samples(*sessions)), notes))


CHANGES: dict[str, tuple[Change, tuple[type[Exception], ...]]] = {
    "enroll": (partial(enroll, speaker="zoe", name="a", seed=7), ENROLLED),
    "enroll more": (partial(enroll, speaker="ann", name="a", seed=7), ENROLLED),
    "replace": (partial(enroll, speaker="ann", name="a", seed=7, forget=[("ann", "a")]), ()),
    "remove": (lambda store: store.remove("ann"), GONE),
    "rename": (lambda store: store.rename("ann", "zoe"), GONE),
    "annotate": (lambda store: store.annotate("ann", SpeakerNote("all")), ()),
    "purge": (lambda store: store.purge(), ()),
    "import": (bring, ENROLLED),
}
"""What changes a store, and what says that it was done before."""


def rekeyed(name: str, mode: str, key: bytes | None, new: bytes | None) -> Operation:
    act = changed(lambda store: store.rekey(new))
    return Operation(f"{name} ({mode})", partial(made, mode=mode, key=key), act, content, (), (NotErased,))


def of_stores(mode: str, full: bool) -> list[Operation]:
    """Operations at stores whose journal is of this mode; where not all is tried, few of those with a log."""
    few, found = mode == "wal" and not full, []
    for encrypted in (False, True) if full else (few,):
        make = partial(made, mode=mode, key=KEY if encrypted else None)
        how = f" ({mode}{', encrypted' if encrypted else ''})"
        for name, (change, done) in CHANGES.items():
            if not few or name == "remove":
                found.append(Operation(name + how, make, changed(change), content, done, (NotErased,)))
        found.append(Operation("open and read" + how, make, read, content))
    keys = {"encrypt": (None, KEY), "decrypt": (KEY, None), "rekey": (KEY, OTHER)}
    found += [rekeyed(name, mode, *two) for name, two in keys.items() if not few]
    change = changed(partial(enroll, speaker="zoe", name="a", seed=7))
    make = partial(made, mode=mode, erased=False)
    return [*found, Operation(f"first erase ({mode})", make, change, content, ENROLLED, (NotErased,))]


def others(full: bool) -> list[Operation]:
    """Operations that make stores, or bring former ones to this format."""
    made_new = [
        Operation(f"make{how}", lambda folder: None, partial(create, key), content)
        for how, key in (("", None), (" encrypted", KEY))
    ]
    return [*made_new, *map(former, ("store_2.db", "store_1.db", "store_1_first.db"))]


# Files

SOUND, MODEL, PAGE = "sound.wav", "model.sgmm", "page.html"
SCORES = Scores(
    speaker=np.repeat(["a", "b"], 3000),
    test=np.tile([f"x{i}" for i in range(3000)], 2),
    score=np.random.default_rng(0).normal(size=6000),
    target=np.arange(6000) % 2,
)
FRONTEND = preset("speech", 8000)
KEPT = KeptFeatures(np.random.default_rng(1).normal(size=(500, 60)).astype(np.float32), "digest", None)


def bytes_of(name: str, folder: Path) -> bytes | None:
    path = folder / name
    return path.read_bytes() if path.exists() else None


def written(name: str, what: str, write: Callable[[Path], object], old: Callable[[Path], object] | None) -> Operation:
    """Write a file, into a new place or over an old one."""

    def act(folder: Path, begin: Begin) -> None:
        begin()
        write(folder / name)

    make = (lambda folder: None) if old is None else (lambda folder: old(folder / name))
    return Operation(f"{what}{'' if old is None else ' over one'}", make, act, partial(bytes_of, name))


def exported() -> Operation:
    def act(folder: Path, begin: Begin) -> None:
        with opened(folder) as store:
            begin()
            storage.save(store.export(), folder / "export")

    return Operation("export", made, act, partial(bytes_of, "export"))


def loaded() -> Operation:
    def act(folder: Path, begin: Begin) -> str:
        begin()
        return load_system(folder / MODEL).fingerprint

    return Operation("load a model", lambda folder: SYSTEM.save(folder / MODEL), act, partial(bytes_of, MODEL))


def entry(folder: Path) -> Any:
    """Where the cache in a folder keeps the features of a sound."""
    found = FeatureCache(folder / "cache").entry(FRONTEND, Recording(str(folder / SOUND), "ann", SOUND))
    assert found is not None
    return found


def held(folder: Path) -> bytes | None:
    """What the cache holds."""
    kept = entry(folder).read()
    return None if kept is None else kept.features.tobytes()


def kept(folder: Path, begin: Begin) -> None:
    where = entry(folder)
    begin()
    where.write(KEPT)


def found(folder: Path, begin: Begin) -> None:
    """Read an entry: what cannot be read is not there, and is made anew."""
    where = entry(folder)
    begin()
    got = where.read()
    assert got is None or got.features.tobytes() == KEPT.features.tobytes()


def sound(folder: Path) -> None:
    (folder / SOUND).write_bytes(b"a sound")


def cached(folder: Path) -> None:
    sound(folder)
    entry(folder).write(KEPT)


def of_files(full: bool) -> list[Operation]:
    """Operations at files."""

    evaluation = evaluate(SCORES, replicates=0)
    drawn = page.render_report(SCORES, evaluation)

    def report(path: Path) -> None:
        write_report(SCORES, evaluation, path)

    page.render_report = lambda *_, **__: drawn  # drawn once: writing it is what meets faults

    def scores(path: Path) -> None:
        write_scores(SCORES, path)

    return [
        exported(),
        written(MODEL, "save a model", SYSTEM.save, None),
        written(MODEL, "save a model", SYSTEM.save, CHANGED.save),
        loaded(),
        Operation("keep features", sound, kept, held),
        Operation("find features", cached, found, held),
        written("scores.txt", "write scores", scores, None),
        written("scores.npz", "write scores as arrays", scores, scores),
        written(PAGE, "write a report", report, lambda path: path.write_text("<html>")),
    ]


GROUPS = {
    "delete": partial(of_stores, "delete"),
    "wal": partial(of_stores, "wal"),
    "others": others,
    "files": of_files,
}

if __name__ == "__main__":
    place, modes, group = sys.argv[1:]
    main(GROUPS[group](modes == "full"), Path(place), modes)

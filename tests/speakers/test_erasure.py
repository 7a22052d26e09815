"""What is removed from a store is in none of its files any more."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.speakers import RecordingSample, Session, SpeakerNote, SpeakerStore, System

RUN = 16
"""Bytes in a row that tell somebody."""


def recorded(system: System, rng: random.Random) -> tuple[Session, RecordingSample]:
    """A session of somebody with a random name, of one recording, and what is kept of that."""
    x = np.random.default_rng(rng.getrandbits(32)).normal(size=(rng.choice([20, 300, 3000]), 3))
    speaker, digest, name = (rng.randbytes(12).hex() for _ in range(3))
    statistics = system.statistics(x)
    session = Session(speaker, "a session", statistics, len(x) / 100, {digest: name})
    return session, RecordingSample(digest, len(x) / 100, statistics.counts, statistics.first, x, len(x) / 100)


def traces(session: Session, sample: RecordingSample) -> set[bytes]:
    """Runs of bytes of all that is kept of somebody: their names, statistics and features."""
    values = [storage.dumps(session), storage.dumps(sample)]
    numbers = [data[8 + int.from_bytes(data[:8], "little") :] for data in values]  # behind the header of safetensors
    names = [s.encode() for s in (session.speaker, *session.recordings, *session.recordings.values())]
    every = {data[i : i + RUN] for data in numbers + names for i in range(0, len(data) - RUN + 1, 8)}
    model = session.statistics.origin.tobytes()  # is in all sessions
    return {run for run in every if run not in model and len(set(run)) > 3}


def runs(folder: Path) -> set[bytes]:
    """All runs of bytes in all files of a store."""
    data = b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return {data[i : i + RUN] for i in range(len(data) - RUN + 1)}


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_nothing_is_left_of_whoever_is_removed(tiny: System, tmp_path: Path, mode: str) -> None:
    for order in range(50 if mode == "delete" else 3):
        rng = random.Random(order)
        folder = tmp_path / f"{order}"
        folder.mkdir()
        there: dict[str, set[bytes]] = {}
        gone: set[bytes] = set()
        with SpeakerStore(folder / "store.db", tiny, create=True) as store:
            with closing(sqlite3.connect(store.location)) as db:
                db.execute(f"pragma journal_mode = {mode}")
            for _ in range(16):
                if there and rng.random() < 0.45:
                    name = rng.choice(sorted(there))
                    if rng.random() < 0.3:
                        store.rename(name, new := rng.randbytes(12).hex())
                        own = {name.encode()[i : i + RUN] for i in (0, 8)}
                        there[new] = there.pop(name) - own
                        gone |= own
                    elif rng.random() < 0.3:
                        note = rng.randbytes(12).hex()
                        store.annotate(name, SpeakerNote(note, keep_until="2000-01-01"))
                        assert store.purge() == (name,)
                        gone |= there.pop(name) | {note.encode()[:RUN], note.encode()[-RUN:]}
                    else:
                        store.remove(name)
                        gone |= there.pop(name)
                else:
                    session, sample = recorded(tiny, rng)
                    store.add([session], samples=[sample])
                    there[session.speaker] = traces(session, sample)
            found = runs(folder)
            left = set().union(*there.values())
            assert len(left & found) >= 0.98 * len(left)  # some lie across two pages
            assert gone & found == set()


def test_a_store_that_did_not_erase_is_written_anew_once(tiny: System, tmp_path: Path) -> None:
    session, sample = recorded(tiny, random.Random(1))
    with SpeakerStore(tmp_path / "store.db", tiny, create=True) as store:
        store.add([session], samples=[sample])
    with closing(sqlite3.connect(tmp_path / "store.db")) as db:  # as a version that did not erase leaves it
        db.execute("pragma secure_delete = off")
        db.execute("delete from speechgmm_meta where key = 'erased'")
        for table in ("sessions", "recordings", "samples"):
            db.execute(f"delete from speechgmm_{table}")
        db.commit()
    left = traces(session, sample)
    assert len(left & runs(tmp_path)) > 0.5 * len(left)
    with SpeakerStore(tmp_path / "store.db", tiny) as store:
        other, kept = recorded(tiny, random.Random(2))
        store.add([other], samples=[kept])
        assert left & runs(tmp_path) == set()
        assert store.speakers == (other.speaker,)
    with closing(sqlite3.connect(tmp_path / "store.db")) as db:
        assert db.execute("select value from speechgmm_meta where key = 'erased'").fetchall() == [("1",)]


def test_tables_on_a_server_are_written_anew(tiny: System, on_server: str) -> None:
    """Its write-ahead log is not reached, nor what it archives of that; the files of its tables are."""
    import sqlalchemy as sa

    engine = sa.create_engine(on_server)

    def found() -> set[bytes]:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("checkpoint")
            folder = connection.exec_driver_sql("show data_directory").scalar()
            query = "select pg_relation_filepath(oid) from pg_class where relname like 'speechgmm%%' or relkind = 't'"
            files = [Path(str(folder)) / name for name in connection.exec_driver_sql(query).scalars() if name]
        data = b"\n".join(path.read_bytes() for path in files if path.exists())
        return {data[i : i + RUN] for i in range(len(data) - RUN + 1)}

    rng = random.Random(3)
    (one, kept), (other, also) = recorded(tiny, rng), recorded(tiny, rng)
    left, stays = ({s.speaker.encode()[:RUN], s.speaker.encode()[-RUN:]} for s in (one, other))
    with SpeakerStore(on_server, tiny, create=True) as store:
        store.add([one, other], samples=[kept, also])
        store.add([recorded(tiny, rng)[0]])
        assert left <= found()
        store.remove(one.speaker)
        assert left & found() == set()
        assert stays <= found()
        store.annotate(other.speaker, SpeakerNote("x" * 20, keep_until="2000-01-01"))
        store.purge()
        assert stays & found() == set()
    engine.dispose()

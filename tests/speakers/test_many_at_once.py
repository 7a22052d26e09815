"""Many processes at one store: they enroll, remove, purge and identify at once, and readers see whole speakers.

Every run takes a few people; ``-m campaign`` lets 8 processes enroll 500 people each while 2 identify.
"""

from __future__ import annotations

import json
import os
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.speakers import SpeakerNote, SpeakerStore, System, enrolled_models, log_likelihood_ratios
from tests.speakers.conftest import tiny_system
from tests.speakers.test_kills import person
from tests.speakers.test_store import KEY

MIX = 10
"""One of so many people is removed again, and one purged."""


def children(acts: list[Callable[[], dict[str, float]]]) -> list[dict[str, float]]:
    """Do each in a process of its own, all at the same time; return what they tell, or fail with what they met."""
    told = []
    with warnings.catch_warnings():  # Python warns of forks where there are threads: these children only use their own
        warnings.simplefilter("ignore", DeprecationWarning)
        for act in acts:
            reads, writes = os.pipe()
            if not (pid := os.fork()):
                try:  # never back into pytest
                    os.close(reads)
                    with os.fdopen(writes, "w") as out:
                        try:
                            out.write(json.dumps(act()))
                        except BaseException:
                            out.write(json.dumps({"error": traceback.format_exc()}))
                finally:
                    os._exit(0)
            os.close(writes)
            told.append((pid, reads))
    found = []
    for pid, reads in told:
        with os.fdopen(reads) as said:
            found.append(json.loads(said.read()))
        os.waitpid(pid, 0)
    for one in found:
        assert "error" not in one, one["error"]
    return found


def enroll(system: System, place: str, key: bytes | None, number: int, people: int) -> dict[str, float]:
    """Enroll people one by one, and remove and purge some of them again."""
    longest = 0.0
    with SpeakerStore(place, system, key=key) as store:
        for i in range(people):
            name = f"{number}-{i}"
            session, sample = person(system, name)
            began = time.perf_counter()
            store.add([session], samples=[sample])
            longest = max(longest, time.perf_counter() - began)
            if i % MIX == 3:
                store.remove(name)
            elif i % MIX == 7:
                store.annotate(name, SpeakerNote(keep_until="2000-01-01"))
                store.purge()
    return {"longest": longest}


def identify(system: System, place: str, key: bytes | None, enough: int, patience: float) -> dict[str, float]:
    """Search until so many are enrolled; whoever is found is whole, and scored as alone."""
    searches, found, began = 0, 0, time.perf_counter()
    x = np.random.default_rng(0).normal(0, 1.5, (40, 3))
    with SpeakerStore(place, system, key=key) as store:
        while found < enough:
            assert time.perf_counter() - began < patience, f"{found} of {enough} after {patience} s"
            if not store.speakers:
                continue
            models = enrolled_models(system, store)
            assert models.damaged == ()
            scores = log_likelihood_ratios(system, models, x, n_threads=1)
            assert np.isfinite(scores).all()
            searches, found = searches + 1, max(found, len(scores))
    return {"searches": searches}


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("writers", "people"), [(4, 10), pytest.param(8, 500, marks=pytest.mark.campaign)])
def test_many_enroll_while_others_identify(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
    encrypted: bool,
    writers: int,
    people: int,
) -> None:
    place = str(tmp_path / "store.db") if where == "sqlite" else request.getfixturevalue("on_server")
    system, key = tiny_system(), KEY if encrypted else None
    person(system, "compiled before any fork")
    SpeakerStore(place, system, create=True, key=key).close()
    left = [f"{w}-{i}" for w in range(writers) for i in range(people) if i % MIX not in (3, 7)]
    began = time.perf_counter()
    acts: list[Callable[[], dict[str, float]]] = [
        lambda w=w: enroll(system, place, key, w, people)  # type: ignore[misc]
        for w in range(writers)
    ]
    acts += [lambda: identify(system, place, key, int(0.9 * len(left)), 30 + people * writers)] * 2
    told = children(acts)
    seconds = time.perf_counter() - began
    with SpeakerStore(place, system, key=key) as store:
        assert store.check(system).told == ()
        assert list(store.speakers) == sorted(left)
        for session in store.sessions(*left[:20]):
            assert storage.dumps(session) == storage.dumps(person(system, session.speaker)[0])
        audit = store.audit()
    expected = {"enroll": people, "remove": people // MIX, "annotate": people // MIX, "purge": people // MIX}
    done = {a: sum(entry.speakers for entry in audit if entry.action == a) for a in expected}
    assert done == {a: writers * n for a, n in expected.items()}, "a purge may take those of others along"
    searches, longest = sum(t.get("searches", 0) for t in told), max(t.get("longest", 0.0) for t in told)
    with capsys.disabled():
        print(
            f"\n{where}{', encrypted' if encrypted else ''}: {writers} processes enrolled {people} people each, "
            f"{writers * people / seconds:.0f} a second beside {searches} searches; the longest waited {longest:.1f} s"
        )

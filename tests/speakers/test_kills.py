"""Processes that are killed at any moment: nobody is half enrolled, and nothing that was acknowledged is lost.

Four processes work at one store: they enroll, remove, purge, import, give another key, bring stores of a former format
to this one, and write models. All are killed at once at a random moment (SIGKILL), and the store is checked. Every run
kills some; ``-m campaign`` kills 200 times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import WrongKey
from speechgmm.speakers import (
    RecordingSample,
    Session,
    SpeakerExport,
    SpeakerNote,
    SpeakerStore,
    System,
    load_system,
)
from tests.speakers.conftest import tiny_system
from tests.speakers.test_former_files import FILES, read_as_it_was

KEYS = (bytes(range(32)), bytes(range(40)))
WORKERS = 4
LONGEST = 0.5
"""Seconds after which a kill comes at the latest."""


def person(system: System, name: str) -> tuple[Session, RecordingSample]:
    """What is enrolled under a name: it follows from that, so that whoever finds it can tell whether it is whole."""
    rng = np.random.default_rng(list(name.encode()))
    statistics = system.statistics(rng.normal(0, 1.5, (30, 3)))
    session = Session(name, "a", statistics, 0.3, {f"digest of {name}": f"{name}.wav"})
    sample = RecordingSample(
        f"digest of {name}", 0.3, statistics.counts, statistics.first, rng.normal(size=(9, 3)), 0.1
    )
    return session, sample


@dataclass
class Expected:
    """What must be there, must not, and may be either; imported groups are there together or not at all."""

    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    acknowledged: int = 0

    def hear(self, lines: list[str]) -> None:
        """Take what a worker has said: what it begins (?), and what is done (+, -)."""
        for what, *names in (line.split() for line in lines):
            if what == "?":
                self.open |= set(names)
                self.there -= set(names)
                continue
            self.acknowledged += 1
            self.open -= set(names)
            (self.there if what == "+" else self.gone).update(names)
            (self.gone if what == "+" else self.there).difference_update(names)

    def check(self, store: SpeakerStore, system: System) -> None:
        """Hold a store to it."""
        assert store.check(system).told == ()
        found = {s.speaker: s for s in store.sessions()}
        assert self.there <= set(found) <= self.there | self.open, "acknowledged, and whatever was under way"
        for name, session in found.items():
            assert storage.dumps(session) == storage.dumps(person(system, name)[0]), name
        groups = {name.rsplit("/", 1)[0] for name in self.open if "/" in name}
        for group in groups:
            assert len({name in found for name in self.open if name.startswith(f"{group}/")}) == 1, "all or nobody"
        due = set(store.notes())  # killed before they were purged: whoever purges next takes them along
        self.there, self.gone, self.open = set(found) - due, self.gone | (self.open - set(found)), due


@dataclass
class Worker:
    """What one process does at a store until it is killed."""

    system: System
    place: str
    folder: Path
    encrypted: bool
    name: str
    rng: random.Random
    say: Callable[[str], None]
    own: list[str] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[SpeakerStore]:
        """Open the store by whichever key it has now."""
        for key in KEYS if self.encrypted else (None,):
            try:
                store = SpeakerStore(self.place, self.system, key=key)
            except WrongKey:
                continue
            with store:
                yield store
                return

    def work(self) -> None:
        """Do one thing after the other."""
        acts = [self.enroll, self.enroll, self.enroll, self.remove, self.purge, self.bring, self.migrate, self.write]
        for i in range(10_000):
            try:
                self.rng.choice(acts + [self.rekey] * self.encrypted)(i)
            except WrongKey:  # another process was faster
                continue

    def enroll(self, i: int) -> None:
        name = f"{self.name}-{i}"
        session, sample = person(self.system, name)
        with self.opened() as store:
            self.say(f"? {name}")
            store.add([session], samples=[sample])
        self.say(f"+ {name}")
        self.own.append(name)

    def remove(self, i: int) -> None:
        if self.own:
            name = self.own.pop(self.rng.randrange(len(self.own)))
            with self.opened() as store:
                self.say(f"? {name}")
                store.remove(name)
            self.say(f"- {name}")

    def purge(self, i: int) -> None:
        if self.own:
            name = self.own.pop()
            with self.opened() as store:
                self.say(f"? {name}")
                store.annotate(name, SpeakerNote("agreed", keep_until="2000-01-01"))
                store.purge()
            self.say(f"- {name}")

    def bring(self, i: int) -> None:
        names = [f"{self.name}-{i}/{j}" for j in range(3)]
        people = [person(self.system, name) for name in names]
        export = SpeakerExport(self.system.fingerprint, tuple(s for s, _ in people), tuple(k for _, k in people))
        with self.opened() as store:
            self.say(f"? {' '.join(names)}")
            store.add_export(export)
        self.say(f"+ {' '.join(names)}")

    def rekey(self, i: int) -> None:
        with self.opened() as store:
            store.rekey(self.rng.choice(KEYS))

    def migrate(self, i: int) -> None:
        copied = shutil.copy(FILES / "store_2.db", self.folder / f"{self.name}-{i}.copy")
        SpeakerStore(os.rename(copied, path := f"{copied}-former.db") or path).close()  # a whole one, or none

    def write(self, i: int) -> None:
        storage.save(self.system, self.folder / f"model-{self.rng.randrange(2)}")


def started(make: Callable[[Callable[[str], None]], Worker]) -> tuple[int, int]:
    """Start a worker in a process of its own; return that, and where it speaks."""
    reads, writes = os.pipe()
    if pid := os.fork():
        os.close(writes)
        return pid, reads
    status = 1
    try:  # never back into pytest
        os.close(reads)
        with os.fdopen(writes, "w", buffering=1) as out:
            make(lambda line: print(line, file=out)).work()
        status = 0
    finally:
        os._exit(status)


def round_of_work(system: System, place: str, folder: Path, encrypted: bool, number: int, expected: Expected) -> None:
    """Let workers work, kill all of them, and hear what they have said."""
    rng = random.Random(number)

    def make(j: int) -> Callable[[Callable[[str], None]], Worker]:
        return lambda say: Worker(system, place, folder, encrypted, f"{number}.{j}", random.Random(rng.random()), say)

    with warnings.catch_warnings():  # Python warns of forks where there are threads: these children only use their own
        warnings.simplefilter("ignore", DeprecationWarning)
        running = [started(make(j)) for j in range(WORKERS)]
    time.sleep(rng.uniform(0.01, LONGEST))
    for pid, _ in running:
        os.kill(pid, signal.SIGKILL)
    for pid, reads in running:
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL, "it was at work until then"
        with os.fdopen(reads) as said:
            expected.hear([line for line in said.read().split("\n")[:-1] if line])


def check_files(system: System, folder: Path) -> int:
    """Hold former stores and models to what they were, or are to be; return how many there were."""
    former = sorted(folder.glob("*-former.db"))
    for path in former:
        with SpeakerStore(path) as store:
            assert store.check().passed
            kept = [storage.dumps(s) for s in store.sessions()]
        assert kept == [storage.dumps(s) for s in read_as_it_was("store_2.db")]
        path.unlink()
    for path in folder.glob("model-*"):
        assert load_system(path).fingerprint == system.fingerprint
    for path in folder.glob(".*.tmp"):  # what a killed writer leaves beside is no model, and in nobody's way
        path.unlink()
    return len(former)


def killed(place: str, folder: Path, encrypted: bool, times: int) -> str:
    """Kill so many times, check after each, and return what was counted."""
    system, expected, former = tiny_system(), Expected(), 0
    with SpeakerStore(place, system, create=True, key=KEYS[0] if encrypted else None):
        pass
    for number in range(times):
        round_of_work(system, place, folder, encrypted, number, expected)
        worker = Worker(system, place, folder, encrypted, "", random.Random(), print)
        with worker.opened() as store:
            expected.check(store, system)
            actions = len(store.audit())
        former += check_files(system, folder)
    enrolled = len(expected.there)
    return (
        f"{times} kills of {WORKERS} processes: {expected.acknowledged} changes acknowledged, {actions} in the audit, "
        f"{former} former stores, {enrolled} speakers left, none lost"
    )


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
@pytest.mark.parametrize("times", [6, pytest.param(50, marks=pytest.mark.campaign)])
def test_kills_lose_nothing(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
    encrypted: bool,
    times: int,
) -> None:
    place = str(tmp_path / "store.db") if where == "sqlite" else request.getfixturevalue("on_server")
    person(tiny_system(), "compiled before any fork")
    told = killed(place, tmp_path, encrypted, times)
    with capsys.disabled():
        print(f"\n{where}{', encrypted' if encrypted else ''}: {told}")

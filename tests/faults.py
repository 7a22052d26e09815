"""Calls of the operating system that fail on purpose, one after the other, and what has to hold after each.

`faults.c` makes them fail; it is compiled here, and loaded before the C library of a process of its own (`started`).
There every operation is tried again and again: its first call of a kind fails, then its second, until it runs through
without a fault (`Campaign`). SQLite's own tests do so (https://sqlite.org/testing.html, section 3).
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechgmm.errors import SpeechGMMError, SpeechGMMWarning

KINDS = {
    name: 1 << i
    for i, name in enumerate(
        ("open", "read", "write", "sync", "truncate", "rename", "unlink", "close", "folder", "map", "memory")
    )
}
"""Which calls fail, as `faults.c` numbers them."""
FILES = sum(KINDS.values()) - KINDS["memory"]
CHANGES = sum(KINDS[name] for name in ("write", "sync", "truncate", "rename", "unlink", "folder"))
SHORT = -1
"""In the place of an error: half is written, and the next write meets a full disk."""
AT_END = "at the end of a change, which is done whole or not at all"
"""What an error says where the end of a change has failed."""
ROOT = Path(__file__).parents[1]
LIBRARY = "SPEECHGMM_FAULTS"
"""The variable that names the compiled library to the process that it is loaded into."""
ALLOCATIONS = 43
"""SQLite allocates some thousand times for each change: one of so many is tried."""


def missing() -> str:
    """Why no faults can be injected, if they cannot."""
    if not sys.platform.startswith("linux"):
        return "faults are injected through LD_PRELOAD and /proc, on Linux"
    return "" if shutil.which("gcc") else "there is no gcc to compile the injector of faults"


def compiled(folder: Path) -> dict[str, str]:
    """Compile the library into a folder, and return the environment of a process that it is loaded into."""
    library = folder / "faults.so"
    source = Path(__file__).with_suffix(".c")
    build = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(library), "-ldl"]
    subprocess.run(build, check=True, capture_output=True)
    return os.environ | {"LD_PRELOAD": str(library), LIBRARY: str(library), "PYTHONPATH": str(ROOT)}


def started(module: str, folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    """Run a module in a process whose calls can fail, and yield the JSON objects that it prints, a line for each."""
    environment = compiled(folder)
    command = [sys.executable, "-W", "error", "-m", module, str(folder), *words]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    assert process.returncode == 0, process.returncode


def arm(folder: Path, kinds: int, error: int) -> None:
    """Let all calls of these kinds under a folder fail from now on, in a process that `compiled` is for."""
    library = ctypes.CDLL(os.environ[LIBRARY])
    library.faults_under(bytes(folder))
    library.faults_arm(kinds, ctypes.c_long(1), 1, error)


@dataclass(frozen=True)
class Mode:
    """What fails: calls of these kinds, with an error of `errno`, once or from then on; every `step`-th is tried."""

    kinds: int
    error: int
    stays: bool = False
    step: int = 1

    def __str__(self) -> str:
        names = [name for name, bit in KINDS.items() if self.kinds & bit]
        kinds = {FILES: "files", CHANGES: "changes"}.get(self.kinds, "+".join(names))
        error = "half a write" if self.error == SHORT else errno.errorcode[self.error]
        return f"{kinds}, {error}{' from then on' if self.stays else ''}"


QUICK = (
    Mode(KINDS["write"], errno.ENOSPC, stays=True, step=9),
    Mode(sum(KINDS[name] for name in ("sync", "truncate", "rename", "unlink", "folder")), errno.EIO),
    Mode(KINDS["open"] + KINDS["read"], errno.EIO, step=25),
)
"""What every run tries."""
FULL = (
    Mode(FILES, errno.EIO),
    Mode(FILES, errno.EIO, stays=True),
    Mode(FILES, errno.ENOSPC),
    Mode(CHANGES, errno.ENOSPC, stays=True),
    Mode(FILES, errno.EROFS, stays=True),
    Mode(FILES - KINDS["unlink"] - KINDS["folder"], errno.EINTR, step=3),
    Mode(KINDS["write"], SHORT),
    Mode(KINDS["memory"], errno.ENOMEM, step=ALLOCATIONS),
    Mode(KINDS["memory"], errno.ENOMEM, stays=True, step=ALLOCATIONS),
)
"""What a campaign tries."""


@dataclass(frozen=True)
class Operation:
    """Something that is done in a folder.

    Parameters
    ----------
    name : str
    make : callable
        Fills the folder.
    act : callable
        Takes the folder and a function that is called when faults may begin.
    state : callable
        Returns what is in the folder, as far as it counts: an operation leaves that of before, or of after.
    done : tuple of exception types
        What says, where it is done once more, that it was done before.
    told : tuple of exception types
        What says that it was done, and that something else is left to do.
    """

    name: str
    make: Callable[[Path], object]
    act: Callable[[Path, Callable[[], None]], object]
    state: Callable[[Path], object]
    done: tuple[type[Exception], ...] = ()
    told: tuple[type[Exception], ...] = ()


@dataclass
class Campaign:
    """Tries each operation with a fault at each of its calls, in a folder of its own."""

    folder: Path
    faults: ctypes.CDLL = field(default_factory=lambda: ctypes.CDLL(os.environ[LIBRARY]))

    def __post_init__(self) -> None:
        self.states: dict[bytes, object] = {}
        self.place, self.template = self.folder / "here", self.folder / "template"
        self.place.mkdir()
        os.environ["SQLITE_TMPDIR"] = os.environ["TMPDIR"] = str(self.folder / "here")
        self.faults.faults_under(bytes(self.place))
        for name in ("faults_disarm", "faults_failed"):
            getattr(self.faults, name).restype = ctypes.c_long
        self.faults.faults_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int]

    def fresh(self) -> None:
        """Put everything as it was made."""
        shutil.rmtree(self.place)
        shutil.copytree(self.template, self.place)

    def run(self, operation: Operation, modes: tuple[Mode, ...]) -> dict[str, Any]:
        """Try an operation; return what was counted, and what was wrong."""
        shutil.rmtree(self.template, ignore_errors=True)
        shutil.rmtree(self.place)
        self.place.mkdir()
        operation.make(self.place)
        shutil.copytree(self.place, self.template)
        self.states = {}
        before, there = self.state(operation), self.names()
        operation.act(self.place, lambda: None)
        after = self.state(operation)
        names = there | self.names()
        points, outcomes, losses = 0, Counter[str](), list[str]()
        self.fresh()
        writes, _, _ = self.attempt(operation, Mode(KINDS["write"], errno.EIO), 0)
        for mode in modes:
            for n in itertools.count(1, mode.step):
                self.fresh()
                counted, failed, error = self.attempt(operation, mode, n)
                if not failed:
                    assert counted < n
                    assert error is None, error
                    break
                points += 1
                try:
                    outcomes[self.judge(operation, mode, error, before, after, names)] += 1
                except Exception as wrong:
                    where = traceback.extract_tb(wrong.__traceback__)[-1]
                    losses.append(f"{mode}, call {n}: {wrong!r} ({where.name}:{where.lineno}), after {error!r}"[:600])
        return {
            "operation": operation.name,
            "points": points,
            "writes": writes,
            "outcomes": dict(outcomes),
            "losses": losses,
        }

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        return {str(path.relative_to(self.place)) for path in self.place.rglob("*")}

    def state(self, operation: Operation) -> object:
        """Return what is there, as the operation sees it; the same files are looked at once."""
        before = self.digest()
        if before not in self.states:
            found = operation.state(self.place)
            self.states[before] = self.states[self.digest()] = found
        return self.states[before]

    def digest(self) -> bytes:
        """Return a digest of all files."""
        found = hashlib.sha256()
        for path in sorted(self.place.rglob("*")):
            found.update(repr((str(path), path.read_bytes() if path.is_file() else None)).encode())
        return found.digest()

    def attempt(self, operation: Operation, mode: Mode, n: int) -> tuple[int, int, BaseException | None]:
        """Let the n-th call fail, none where n is 0; return how many calls there were and failed, and the error."""
        error: BaseException | None = None
        try:
            operation.act(self.place, lambda: self.faults.faults_arm(mode.kinds, n, mode.stays, mode.error))
        except Exception as raised:
            error = raised
        counted = self.faults.faults_disarm()
        return counted, self.faults.faults_failed(), error

    def judge(
        self,
        operation: Operation,
        mode: Mode,
        error: BaseException | None,
        before: object,
        after: object,
        names: set[str],
    ) -> str:
        """Hold what is there to what has to be, and return in a word what happened."""
        if error is not None and not (isinstance(error, MemoryError) and mode.kinds & KINDS["memory"]):
            named = isinstance(error, SpeechGMMError | SpeechGMMWarning)
            assert named, "an error that has no name"
            assert str(self.place) in str(error), "the message names the place"
        found = self.state(operation)
        if error is None:
            assert found == after, "done without a word, and not all of it"
        elif isinstance(error, operation.told):
            assert found == after, "said to be done, and not"
        elif AT_END not in str(error) or found != after:
            assert found == before, "done in spite of an error" if found == after else "something in between"
        try:
            operation.act(self.place, lambda: None)
        except operation.done:
            assert found == after, "nothing was done, and it cannot be done again"
        assert self.state(operation) == after, "another end than that without a fault"
        if left := self.names() - names:
            removable = not (mode.stays and mode.kinds & KINDS["unlink"])
            assert not removable, f"left behind: {sorted(left)}"
        if error is None:
            return "done"
        return "told" if isinstance(error, operation.told) else "as before" if found == before else "unsure"


def main(operations: list[Operation], folder: Path, modes: str) -> None:
    """Try operations, and print what was counted of each."""
    campaign = Campaign(folder)
    for operation in operations:
        print(json.dumps(campaign.run(operation, {"quick": QUICK, "full": FULL}[modes])), flush=True)

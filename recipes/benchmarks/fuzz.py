"""Files from strangers: whole ones are spoiled, and each must be read or refused by name, in little time and memory.

    python recipes/benchmarks/fuzz.py [--kinds models ...] [--inputs 1000] [--seed 0] [--commands 0.1] [--folder DIR]

Seeds of each kind (`fuzz_seeds.py`) are spoiled (`fuzz_mutations.py`) and read by the public readers, a share of them
by commands too (`fuzz_reading.py`), in a process of its own with 2 s of the processor for each file and 500 MB beside
what it began with. A file fails that ends in anything but success or an error of this package, that kills the process,
or takes more. The same seed and inputs give the same files. Files that failed are kept in the folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fuzz_mutations import spoiled
from fuzz_reading import SECONDS
from fuzz_seeds import KINDS, write_seeds

WAIT = 10 * SECONDS
"""Seconds until a process that does not answer counts as hung: others may keep the processor from it."""
WARM = 120.0
"""Seconds that it has to begin."""


class Reader:
    """A process that reads files, and another one in its place when it has died."""

    def __init__(self, seeds: Path) -> None:
        """Begin without a process."""
        self._seeds = seeds
        self._process: subprocess.Popen[str] | None = None
        self.began = 0
        """Bytes of memory of the process before it was asked."""

    def read(self, kind: str, path: Path, *, command: bool = False) -> dict[str, Any]:
        """Return what became of a file: how it ended, the error, its message, seconds and bytes."""
        process = self._started()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps({"kind": kind, "path": str(path), "command": command}) + "\n")
            process.stdin.flush()
        try:
            if told := self._answer(process, WAIT):
                return told
            error = f"died ({process.wait()})"
        except TimeoutError:
            error = "hung"
        self.close()
        return {"ended": "failed", "error": error, "message": "", "cpu": 0.0, "wall": WAIT, "bytes": 0}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            program = Path(__file__).with_name("fuzz_reading.py")
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, str(program), str(self._seeds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            if not (told := self._answer(self._process, WARM)):
                raise RuntimeError("the process that reads does not begin")
            self.began = told["bytes"]
        return self._process

    @staticmethod
    def _answer(process: subprocess.Popen[str], seconds: float) -> dict[str, Any] | None:
        """Return the next answer, None where the process has died; TimeoutError where none comes."""
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], seconds)[0]:
            raise TimeoutError
        line = process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None


@dataclass
class Tally:
    """What became of the files of a kind, or of commands on them."""

    ended: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    most: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, told: dict[str, Any], began: int, path: Path) -> None:
        """Count one."""
        self.ended[told["ended"]] += 1
        if told["error"]:
            self.errors[told["error"]] += 1
        self.slowest, self.most = max(self.slowest, told["cpu"]), max(self.most, told["bytes"] - began)
        if told["ended"] == "failed":
            self.failures.append({"file": str(path), **told})

    @property
    def row(self) -> dict[str, Any]:
        """What is shown of it."""
        counts = {name: self.ended[name] for name in ("accepted", "refused", "failed")}
        taken = {"slowest, s": round(self.slowest, 2), "most memory, MB": round(self.most / 1e6)}
        return {"inputs": self.ended.total(), **counts, **taken, "errors": dict(self.errors.most_common())}


def inputs(kind: str, seeds: list[Path], seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield spoiled files of a kind, each with its name."""
    for i in range(count):
        rng = np.random.default_rng([seed, list(KINDS).index(kind), i])
        of = seeds[int(rng.integers(len(seeds)))]
        yield f"{seed}.{i}-{of.name}", spoiled(of.name, of.read_bytes(), rng)


def campaign(kind: str, seeds: list[Path], given: argparse.Namespace, reader: Reader, folder: Path) -> dict[str, Tally]:
    """Read spoiled files of a kind; those that fail stay in the folder."""
    tallies = {kind: Tally(), f"{kind}, commands": Tally()}
    every = max(1, round(1 / given.commands)) if given.commands else 0
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, data) in enumerate(inputs(kind, seeds, given.seed, given.inputs)):
        path = folder / name
        path.write_bytes(data)
        for command in (False, True) if every and i % every == 0 else (False,):
            told = reader.read(kind, path, command=command)
            tallies[f"{kind}, commands" if command else kind].add(told, reader.began, path)
        if not any(f["file"] == str(path) for t in tallies.values() for f in t.failures):
            path.unlink()
    return {name: tally for name, tally in tallies.items() if tally.ended}


def show(found: dict[str, Tally]) -> None:
    """Print a table, and what failed."""
    for name, tally in found.items():
        row = tally.row
        errors = ", ".join(f"{error} {n}" for error, n in row.pop("errors").items())
        print(f"{name:24s}", "  ".join(f"{key} {value}" for key, value in row.items()), f" ({errors})", sep="  ")
    for tally in found.values():
        for failure in tally.failures:
            print(f"\n{failure['file']}: {failure['error']}, {failure['cpu']:.2f} s\n{failure['message']}")


def main() -> None:
    """Run a campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--inputs", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", type=float, default=0.1, help="the share of them that commands read too")
    parser.add_argument("--folder", type=Path, help="where files that failed are kept; default: a new one")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    seeds = write_seeds(folder / "seeds")
    reader = Reader(folder / "seeds")
    found: dict[str, Tally] = {}
    try:
        for kind in given.kinds:
            found |= campaign(kind, seeds[kind], given, reader, folder / kind)
    finally:
        reader.close()
    if given.json:
        print(json.dumps({name: {**t.row, "failures": t.failures} for name, t in found.items()}))
    else:
        show(found)
    sys.exit(any(tally.failures for tally in found.values()))


if __name__ == "__main__":
    main()

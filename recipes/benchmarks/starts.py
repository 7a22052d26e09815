"""How long a command takes in a process of its own, from start to end: the processor's seconds, and the clock's.

    python recipes/benchmarks/starts.py CORPUS [--where COLUMN=VALUE ...] [--people 6] [--rounds 7] [--beside CHECKOUT]

Some people of the corpus are enrolled with the packaged model; another recording of one of them is searched among
them. The commands run in turns, with those of another checkout beside them where one is given. A round before, which
does not count, compiles what is kept: byte code and loops.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from speechgmm.features import Corpus, read_corpus

HERE = Path(__file__).resolve().parents[2]
ENROLLED = 3
"""Recordings of each person."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="as `speechgmm enroll` takes it")
    parser.add_argument("--where", action="append", default=[], help="rows to keep (default: all)")
    parser.add_argument("--people", type=int, default=6, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--beside", type=Path, help="another checkout of speechgmm, such as one of an earlier commit")
    return parser.parse_args()


def parts(corpus: Corpus, people: int) -> tuple[dict[str, list[str]], str]:
    """Return the recordings to enroll of the first people who have more than these, and another one of the first."""
    every: dict[str, list[str]] = defaultdict(list)
    for recording in corpus:
        every[recording.speaker].append(str(recording.path))
    chosen = [(name, paths) for name, paths in every.items() if len(paths) > ENROLLED][:people]
    if not chosen:
        sys.exit(f"nobody has more than {ENROLLED} recordings")
    return {name: paths[:ENROLLED] for name, paths in chosen}, chosen[0][1][ENROLLED]


def took(words: list[str], checkout: Path, folder: Path) -> tuple[float, float]:
    """Run a command of a checkout in a process of its own; return seconds of the processor, and of the clock."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    program = [sys.executable, "-m", "speechgmm", *words]
    done = subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(program)} left with exit status {done.returncode}:\n{done.stderr}")
    after, passed = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, passed


def main() -> None:
    """Enroll, then run the commands in turns, and print the medians."""
    given = arguments()
    conditions = dict(condition.split("=", 1) for condition in given.where)
    enrolled, test = parts(read_corpus(given.corpus).where(**conditions), given.people)
    checkouts = [HERE] if given.beside is None else [HERE, given.beside.resolve()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = str(folder / "s.db")
        for speaker, paths in enrolled.items():
            took(["enroll", "--store", store, speaker, *paths], HERE, folder)
        commands = [["--help"], ["info", store], ["identify", "--store", store, test]]
        times: dict[tuple[str, Path], list[tuple[float, float]]] = defaultdict(list)
        for turn in range(given.rounds + 1):
            for words in commands:
                for checkout in checkouts:
                    seconds = took(words, checkout, folder)
                    if turn:
                        times[words[0], checkout].append(seconds)
    for (command, checkout), found in times.items():
        told = (f"{statistics.median(x):.2f} s ({min(x):.2f} to {max(x):.2f})" for x in zip(*found, strict=True))
        print(f"{command}, {checkout}: processor {', clock '.join(told)}")


if __name__ == "__main__":
    main()

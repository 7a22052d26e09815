"""What the benchmarks share: jobs run in turns in one process, their medians, frames of a corpus, and the table."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from speechgmm.features import MFCC, common_rate, extract_all, read_corpus

PAUSE = 0.2
"""Seconds before each job: threads of the one before may still be spinning."""


def options(about: str | None, *, corpus: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a benchmark, with what all of them take; `corpus`: whether it reads one."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    if corpus:
        parser.add_argument("--manifest", type=Path, help="a corpus; default: made frames")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser


def installed(module: str) -> bool:
    """Return whether an optional peer is there."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of bob, if module is bob.learn.em
        return False


def measure(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each job, run in turns after one round that does not count."""
    return {name: statistics.median(s) for name, s in in_turns(jobs, rounds, pause=PAUSE).items()}


def in_turns(
    jobs: dict[str, Callable[[], Any]],
    rounds: int,
    *,
    pause: float,
    budget: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each job, run in turns after one round that does not count.

    With a budget of seconds there are fewer rounds, down to the first alone, which then counts.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    began, turn = clock(), 0
    while turn <= rounds and (turn == 0 or (clock() - began) * (turn + 1) / turn < budget):
        for name, job in jobs.items():
            time.sleep(pause)
            start = clock()
            job()
            seconds[name].append(clock() - start)
        turn += 1
    return {name: s[1:] or s for name, s in seconds.items()}


def frames_of(manifest: Path | None, n: int, seed: int = 0) -> np.ndarray:
    """Return float32 frames (n, 60): of a corpus after the default front end, repeated if it is smaller, or made."""
    if manifest is None:
        rng = np.random.default_rng(seed)
        means = rng.normal(0, 0.8, (64, 60))
        return (means[rng.integers(64, size=n)] + rng.normal(0, 0.6, (n, 60))).astype(np.float32)
    corpus = read_corpus(manifest)
    found = [e.features for e in extract_all(MFCC(sample_rate=common_rate(corpus)), corpus) if e.features is not None]
    x = np.concatenate(found)
    return np.ascontiguousarray(np.resize(x, (n, x.shape[1])))


def report(results: list[dict[str, Any]], base: str, as_json: bool) -> None:
    """Print seconds of each result, and how often they hold those of the job `base`; or everything as JSON."""
    for r in results:
        r["times " + base] = {name: s / r["seconds"][base] for name, s in r["seconds"].items()}
    if as_json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "results": results}))
        return
    table = Table("of", "what", "seconds", f"times {base}")
    for r in results:
        for name, s in r["seconds"].items():
            table.add_row(r["of"], name, f"{s:.4f}", f"{r['times ' + base][name]:.2f}")
        for name, value in r.items():
            if name not in ("of", "seconds", "times " + base):
                table.add_row(r["of"], name, "", f"{value:.6g}" if isinstance(value, float) else str(value))
        table.add_section()
    Console().print(table)

"""An E-step on Dask workers beside the same on threads, in one run: what a cluster costs on one machine.

Two clusters of processes with one thread each, of one worker and of two, stand beside the threads of this process;
blocks are sent before the clock runs, as they are once for each training. The fastest of the turns counts, for five
processes share the cores with whatever else runs. All sums are compared to the bit.

    python recipes/benchmarks/cluster.py [--manifest CSV] [--frames 1000000] [--components 64 512] [--json]

Needs Dask: python -m pip install 'speechgmm[dask]'.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from side_by_side import PAUSE, frames_of, in_turns, options, report

from speechgmm.mixture import GMM, ArrayBlocks, initialize
from speechgmm.mixture.em import expectation
from speechgmm.parallel import Threads, dask

BASE = "two threads"


@contextlib.contextmanager
def workers(n: int) -> Iterator[Any]:
    """Give so many workers of one thread each, in processes of this machine."""
    from distributed import Client, LocalCluster

    how: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=n, threads_per_worker=1, **how) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield dask(client)


def e_step(start: GMM, blocks: ArrayBlocks, n_threads: Threads, sums: list[bytes]) -> Callable[[], None]:
    """Return an E-step by a model that is new each time, as EM has it, which keeps the bits of its sums."""

    def run() -> None:
        found = expectation(dataclasses.replace(start), blocks, n_threads=n_threads)
        sums.append(found.counts.tobytes() + found.first.tobytes() + found.second.tobytes())

    return run


def compare(x: np.ndarray, k: int, rounds: int, one: Threads, two: Threads) -> dict[str, Any]:
    """Return the seconds of an E-step of K components, on threads and on workers, and whether all sums are the same."""
    start, blocks, sums = initialize(x, k, method="random"), ArrayBlocks(x), list[bytes]()
    who: dict[str, Threads] = {"one thread": 1, BASE: 2, "one worker": one, "two workers": two}
    began = time.perf_counter()
    e_step(start, blocks, two, sums)()
    sending = time.perf_counter() - began
    jobs = {name: e_step(start, blocks, n_threads, sums) for name, n_threads in who.items()}
    seconds = {name: min(turns) for name, turns in in_turns(jobs, rounds, pause=PAUSE).items()}
    return {
        "of": f"{k} components, {len(x)} frames in {len(blocks)} blocks",
        "seconds": seconds,
        "one worker over two": seconds["one worker"] / seconds["two workers"],
        "one thread over two": seconds["one thread"] / seconds[BASE],
        "two threads over two workers": seconds[BASE] / seconds["two workers"],
        "seconds of the first E-step of two workers, with sending": sending,
        "the same bits": len(set(sums)) == 1,
    }


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--components", type=int, nargs="+", default=[64, 512])
    given = parser.parse_args()
    x = frames_of(given.manifest, given.frames)
    with workers(1) as one, workers(2) as two:
        report([compare(x, k, given.rounds, one, two) for k in given.components], BASE, given.json)


if __name__ == "__main__":
    main()

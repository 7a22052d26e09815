"""A background model on a Dask cluster, beside the same on threads: the same bytes, though a worker is killed.

Trains on the background readers of recipes/identify_readers (LibriSpeech): on the threads of this machine, then on the
workers of a cluster. Without --scheduler, that is one of two processes, which is started here for the time that it
takes, and once more one of them is killed in the middle of EM.

    python recipes/distributed_ubm/run.py [--data DIR] [--scheduler ADDRESS] [--components K ...] [--output MODEL]

Needs Dask: python -m pip install 'speechgmm[dask]'.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import running  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm import features, parallel  # noqa: E402

READERS = RECIPE.parent / "identify_readers"
COMPONENTS = (64,)


@dataclass(frozen=True)
class Run:
    """The seconds of a training, its last objective in nats per frame, and whether its bytes are those of the first."""

    seconds: float
    objective: float
    same: bool


@contextlib.contextmanager
def cluster(scheduler: str | None, workers: int = 2) -> Iterator[Any]:
    """Give a client of the scheduler at an address or, without one, of a cluster of processes that is started here."""
    from distributed import Client, LocalCluster

    if scheduler:
        with Client(scheduler) as client:
            yield client
        return
    # one thread for each process, on this machine alone; that a worker is lost is told below, not in Dask's log
    how: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=workers, threads_per_worker=1, **how) as local, Client(local) as client:
        yield client


def kill_one(client: Any) -> None:
    """Kill one of the workers (SIGKILL), as the kernel does to what takes too much memory."""
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def run(
    manifest: Path, *, scheduler: str | None = None, components: Sequence[int] = COMPONENTS, output: Path | None = None
) -> Mapping[str, Run]:
    """Train on threads and on workers, of which one is killed if they were started here; compare the files."""
    background = speechgmm.read_corpus(manifest).where(split="ubm")
    found: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder, cluster(scheduler) as client:
        first, model = Path(folder) / "threads", Path(folder) / "model"

        frontend = features.preset("speech", features.common_rate(background))

        def train(name: str, path: Path, **how: Any) -> None:
            began = time.perf_counter()
            system = speechgmm.train_system(
                background, frontend=frontend, n_components=components, calibrated=False, **how
            ).system
            seconds = time.perf_counter() - began
            system.save(path)
            same = path.read_bytes() == first.read_bytes()
            found[name] = Run(seconds, system.info["em"]["objective"][-1], same)

        def killing(stage: str, done: int, _: int) -> None:
            if (stage, done) == ("EM", 2):
                kill_one(client)

        train("threads", first)
        workers = parallel.dask(client)
        train("workers", model, n_threads=workers)
        if scheduler is None:  # nobody else's worker is killed
            train("workers, one is killed", model, n_threads=workers, on_progress=killing)
        if output is not None:
            output.write_bytes(model.read_bytes())
    return found


def show(found: Mapping[str, Run]) -> None:
    """Print the table."""
    table = Table("", "seconds", "nats per frame", "model")
    for name, result in found.items():
        same = "the same bytes" if result.same else "OTHER BYTES"
        table.add_row(name, f"{result.seconds:.1f}", f"{result.objective:.4f}", same)
    Console().print(table)


def options(parser: argparse.ArgumentParser) -> None:
    """Add what this recipe takes besides a corpus."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a cluster that is there; without it, one is started")
    parser.add_argument("--components", type=int, nargs="+", default=COMPONENTS, metavar="K", help="default: 64")
    parser.add_argument("--output", type=Path, metavar="MODEL", help="where to write the model; default: nowhere")


if __name__ == "__main__":
    given = running.arguments(__doc__, more=options)
    results = run(
        running.manifest(READERS, given),
        scheduler=given.scheduler,
        components=given.components,
        output=given.output,
    )
    show(results)
    sys.exit(0 if all(result.same for result in results.values()) else 1)

"""A background model on a Dask cluster, beside the same on threads: the same bytes, though a worker is killed.

Trains on the background readers of recipes/identify_readers (LibriSpeech): on the threads of this machine, then on the
workers of a cluster. Without --scheduler, that is one of two processes, which is started here for the time that it
takes, and once more one of them is killed in the middle of EM.

    python recipes/distributed_ubm/run.py [--data DIR] [--scheduler ADDRESS] [--components K ...] [--output MODEL]

Needs Dask: python -m pip install 'speechgmm[dask]'.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).resolve().parent
sys.path[:0] = [str(RECIPE), str(RECIPE.parent)]

import running  # noqa: E402
from local_cluster import cluster, kill_one  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm import features, parallel  # noqa: E402

COMPONENTS = (64,)


@dataclass(frozen=True)
class Run:
    """The seconds of a training, its last objective in nats per frame, and whether its bytes are those of the first."""

    seconds: float
    objective: float
    same: bool


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
            how |= {"frontend": frontend, "n_components": components, "calibrated": False}
            system = speechgmm.train_system(background, **how).system
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
    manifest = running.manifest(RECIPE.parent / "identify_readers", given)
    results = run(manifest, scheduler=given.scheduler, components=given.components, output=given.output)
    show(results)
    sys.exit(0 if all(result.same for result in results.values()) else 1)

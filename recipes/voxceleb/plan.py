"""Bytes, seconds and memory of each step on VoxCeleb, from rates that were measured.

    python recipes/voxceleb/plan.py [--hours 340] [--components 512]

Prints one table for 2 cores, 16 cores and a cluster of 10 nodes of 16 cores. The rates were measured by
`recipes/benchmarks/large_corpus.py` and `distributed.py`; on faster or slower cores all times shrink or grow alike.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

FRAMES_PER_HOUR = 360_000
EXTRACTED = 4.3
"""Hours of sound whose features one core makes in a minute, from FLAC or WAV at 16 kHz, one stream of cepstra."""
PASSED = 1.6e8
"""Frames times components in a second of one core, of an iteration of EM."""
TOGETHER = 0.85
"""What each core of many does of the work that it does alone."""
PASSES, FOLDS, FOLD_PASSES = 6, 4, 4
"""Over the frames: two of stepwise EM and four of EM; those of a fold, over three quarters of the frames."""
DIMENSIONS = 60
STATISTICS = 8 * (1 + 2 * DIMENSIONS)
"""Bytes of the statistics of one component."""
STORES = 300.0
"""Seconds of one core for the stores that a calibration simulates, however large the corpus."""
TESTED_HOURS, TESTED_FILES, TRIALS = 11.2, 4_708, 37_720
"""Of the official list of VoxCeleb 1, `veri_test.txt`."""
MACHINES = {"2 cores": 2, "16 cores": 16, "10 nodes of 16 cores": 160}


@dataclass(frozen=True)
class Step:
    """What a step takes: seconds of one core, gigabytes that it leaves on disk, and of memory beside pages of files."""

    name: str
    core_seconds: float
    disk: float
    memory: float


def steps(hours: float, n_components: int) -> tuple[Step, ...]:
    """Return the steps of `run.py` for a background of so many hours of sound, all of which may be speech."""
    frames = hours * FRAMES_PER_HOUR
    features = 4e-9 * DIMENSIONS
    passed = frames * n_components / PASSED
    statistics = 1e-9 * STATISTICS * n_components
    tested = TESTED_HOURS * FRAMES_PER_HOUR
    models = 1e-9 * 12 * DIMENSIONS * n_components * TESTED_FILES
    return (
        Step("features of the background, kept in WORK/features", 60 * hours / EXTRACTED, frames * features, 0.3),
        Step("the same in TMPDIR while training, before and after normalization", 0.0, 2 * frames * features, 0.3),
        Step(f"background model, {PASSES} passes", PASSES * passed, 1e-3 * n_components / 512, 0.3 + 8 * statistics),
        Step(f"{FOLDS} models of folds, {FOLD_PASSES} passes each", 0.75 * FOLDS * FOLD_PASSES * passed, 0.0, 0.6),
        Step("simulated stores of the calibration", STORES, 0.0, 0.6),
        Step("features of the test part", 60 * TESTED_HOURS / EXTRACTED, tested * features, 0.3),
        Step("a model of each recording, trials", 2 * tested * n_components / PASSED, 1e-9 * 40 * TRIALS, models),
    )


def seconds(step: Step, cores: int) -> float:
    """Return the seconds that a step takes on so many cores."""
    return step.core_seconds / cores / (TOGETHER if cores > 2 else 1.0)


def told(value: float) -> str:
    """Return seconds as people say them."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=340.0, help="of the background (default: %(default)s)")
    parser.add_argument("--components", type=int, default=512, help="default: %(default)s")
    given = parser.parse_args()
    table = Table("step", "disk, GB", "memory, GB", *MACHINES)
    every = steps(given.hours, given.components)
    for step in every:
        times = (told(seconds(step, cores)) if step.core_seconds else "" for cores in MACHINES.values())
        table.add_row(step.name, f"{step.disk:.1f}", f"{step.memory:.1f}", *times)
    whole = (told(sum(seconds(step, cores) for step in every)) for cores in MACHINES.values())
    table.add_row("all", f"{sum(s.disk for s in every):.1f}", f"{max(s.memory for s in every):.1f}", *whole)
    Console().print(table)


if __name__ == "__main__":
    main()

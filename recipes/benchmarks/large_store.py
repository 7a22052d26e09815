"""One test of 3 seconds against a store of 10 000 people, in a process that goes on while others change the store.

People are made: each is the background model with its means shifted, of whom 10 s are enrolled. The background model is
made as well, two mixtures of 256 components over two streams of 60 features, as `train_system` makes them, or one
(`--streams 1`). What is told: seconds and memory of the first search, seconds of further ones, what of these is
scoring itself, and the first search after another process has enrolled or removed somebody. Each person takes 0.7 MB.

    python recipes/benchmarks/large_store.py --folder FOLDER [--speakers 10000] [--streams 2] [--index] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speechgmm.features import MFCC, Extracted, Recording
from speechgmm.mixture import GMM, Diagonal, Ensemble
from speechgmm.speakers import (
    IndexScorer,
    Scorer,
    SpeakerIndex,
    SpeakerStore,
    System,
    default_system,
    enroll_features,
    load_system,
)

K, D, FRAMES, TEST = 256, 60, 1000, 300
COHORT = 40
SHIFT = 0.4
"""Deviation of people's means, in deviations of a frame."""


def made(streams: int) -> System:
    """Return a system of a made background model, with the packaged model's calibration and a made cohort."""
    rng = np.random.default_rng(0)
    parts = [
        GMM(np.full(K, 1 / K), rng.normal(0, 1.5, (K, D)), Diagonal(rng.uniform(0.5, 2, (K, D))), np.zeros(D))
        for _ in range(streams)
    ]
    ubm = Ensemble(tuple(parts), tuple(range(streams))) if streams > 1 else parts[0]
    calibration = default_system().calibration
    cohort = rng.normal(0, SHIFT, (COHORT, *ubm.means.shape))
    kind = "mfcc+lfcc" if streams > 1 else "mfcc"
    return System(MFCC(sample_rate=16000, kind=kind), ubm, calibration=replace(calibration, cohort=cohort))


def speech(system: System, person: int, n: int, seed: int = 0) -> np.ndarray:
    """Return so many frames of a made person."""
    shift, rng = np.random.default_rng([1, person]), np.random.default_rng([2, person, seed])
    streams = []
    for part in system.ubm.parts:
        means = part.means + shift.normal(0, SHIFT, part.means.shape)
        k = rng.integers(0, len(means), n)
        streams.append(means[k] + rng.normal(size=(n, D)) * part.covariance.deviations()[k])
    return np.concatenate(streams, axis=1).astype(np.float32)


class Gathered:
    """A store that gathers what is enrolled, for one transaction of many people."""

    def __init__(self, store: SpeakerStore) -> None:
        self.store, self.sessions, self.samples = store, [], []

    def check_system(self, system: System) -> None:
        """Do as the store does."""
        self.store.check_system(system)

    def add(self, sessions: list[Any], *, samples: list[Any]) -> None:
        """Keep what is given."""
        self.sessions += sessions
        self.samples += samples

    def flush(self) -> None:
        """Give it to the store."""
        self.store.add(self.sessions, samples=self.samples)
        self.sessions, self.samples = [], []


def fill(folder: Path, speakers: int, streams: int) -> None:
    """Make the system and the store, or go on with those that are there."""
    if not (folder / "system").exists():
        folder.mkdir(parents=True, exist_ok=True)
        made(streams).save(folder / "system")
    system = load_system(folder / "system")
    with SpeakerStore(folder / "store.db", system, create=True) as store:
        begun, gathered = len(store.speakers), Gathered(store)
        for i in range(begun, speakers):
            enroll_features(system, gathered, f"person {i}", speech(system, i, FRAMES))
            if i % 100 == 99 or i == speakers - 1:
                gathered.flush()
                print(f"{i + 1} people enrolled", file=sys.stderr, flush=True)


def change(folder: Path, name: str) -> None:
    """Enroll one more, or remove whoever is there."""
    system = load_system(folder / "system")
    with SpeakerStore(folder / "store.db", system) as store:
        if name in store.speakers:
            store.remove(name)
        else:
            enroll_features(system, store, name, speech(system, sum(name.encode()) + 10**6, FRAMES))


def memory() -> float:
    """Return the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write_index(folder: Path) -> None:
    """Write an index of the store, and print how long that takes."""
    system, began = load_system(folder / "system"), time.perf_counter()
    with SpeakerStore(folder / "store.db", system) as store:
        SpeakerIndex.write(system, store, folder / "index")
    print(f"index written in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def search(folder: Path, rounds: int, index: bool) -> dict[str, Any]:
    """Search, let another process change the store, search again; return seconds."""
    system = load_system(folder / "system")
    x = speech(system, 7, TEST, seed=1)
    test = [Extracted(Recording("test", "", "test"), x, "test", TEST / 100)]
    system.ubm.statistics(x)  # compiled code is read
    told: dict[str, Any] = {}
    with SpeakerStore(folder / "store.db", system) as store:
        opened = SpeakerIndex.open(folder / "index", system, store) if index else None

        def once() -> tuple[float, float, Scorer]:
            began = time.perf_counter()
            scorer = IndexScorer.within(system, store, opened) if opened else Scorer.of(system, store)
            ready = time.perf_counter()
            best = scorer.models.names[int(np.argmax(scorer.score_test(test).scores))]
            assert best == "person 7", best
            return ready - began, time.perf_counter() - ready, scorer

        before = memory()
        found, scored, scorer = once()
        told |= {"first, s": found + scored, "of which made ready, s": found, "first, GB": memory() - before}
        further = [once()[:2] for _ in range(rounds)]
        told["further, s"] = statistics.median(a + b for a, b in further)
        if not index:
            alone = [seconds(scorer, x) for _ in range(rounds)]
            told["scoring itself, s"] = statistics.median(alone)
            told["further, beside it, s"] = told["further, s"] - told["scoring itself, s"]
        told |= changed(folder, rounds, "enrolled", once)
        if index:  # which is refused once somebody was removed
            for i in range(rounds):
                change(folder, f"guest {i}")
        else:
            told |= changed(folder, rounds, "removed", once)
        told["in all, GB"] = memory() - before
    return told


def seconds(scorer: Scorer, x: np.ndarray) -> float:
    """Return how long the ratios of a test take, and nothing else."""
    began = time.perf_counter()
    scorer.models.ratios(x)
    scorer.cohort.ratios(x)
    return time.perf_counter() - began


def changed(folder: Path, rounds: int, what: str, once: Any) -> dict[str, Any]:
    """Return the seconds of searches each of which is the first after another process has changed the store."""
    found = []
    for i in range(rounds):
        subprocess.run([sys.executable, __file__, "--folder", str(folder), "--change", f"guest {i}"], check=True)
        found.append(once()[:2])
    ready, whole = (statistics.median(x) for x in ([a for a, _ in found], [a + b for a, b in found]))
    return {f"after one was {what}, s": whole, "until it is ready, s": ready} | {
        f"{what}: until ready, each": [round(a, 3) for a, _ in found]
    }


def main() -> None:
    """Make the store if need be, and search it in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--speakers", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--index", action="store_true", help="search by an index, which is written")
    parser.add_argument("--change", help=argparse.SUPPRESS)
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.change:
        change(given.folder, given.change)
    elif given.write:
        write_index(given.folder)
    elif given.search:
        print(json.dumps(search(given.folder, given.rounds, given.index), indent=1))
    else:
        fill(given.folder, given.speakers, given.streams)
        command = [sys.executable, __file__, "--folder", str(given.folder), "--rounds", str(given.rounds)]
        if given.index:
            subprocess.run([*command, "--write"], check=True)
        subprocess.run([*command, "--search", *["--index"] * given.index], check=True)


if __name__ == "__main__":
    main()

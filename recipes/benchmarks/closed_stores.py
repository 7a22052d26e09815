"""What encryption costs: enrolling people one by one and searching among them, beside a store that is not encrypted.

People are made from the embedded recordings, each at another level in each feature: enrolling and searching ask no
more of them. Both stores are worked at in turn, so that a busy machine slows both alike.

    python recipes/benchmarks/closed_stores.py [--speakers 1000] [--tests 20]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speechgmm.features import Extracted, Recording, extract_all, read_corpus
from speechgmm.speakers import RecordingSample, Scorer, Session, SpeakerStore, System, default_system
from speechgmm.speakers.recording_samples import sample_of

DATA = Path(__file__).parents[2] / "data" / "manifest.csv"
FRAMES = 600


def people(system: System, n: int) -> list[tuple[Session, RecordingSample]]:
    """Return what is enrolled of n people."""
    found = extract_all(system.frontend, read_corpus(DATA))
    frames = np.concatenate([e.features for e in found if e.features is not None])
    made, rng = [], np.random.default_rng(0)
    for i in range(n):
        start = rng.integers(len(frames) - FRAMES)
        x = frames[start : start + FRAMES] + rng.normal(0, 0.3, frames.shape[1]).astype(np.float32)
        sums, digest, seconds = system.statistics(x), rng.bytes(16).hex(), FRAMES / 100
        session = Session(f"speaker {i}", "a", sums, seconds, {digest: f"{i}.wav"})
        made.append((session, sample_of(system.ubm, digest, sums, x, seconds)))
    return made


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Measure, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers", type=int, default=1000)
    parser.add_argument("--tests", type=int, default=20)
    args = parser.parse_args()
    system = default_system(16000)
    made = people(system, args.speakers + 1)
    test = made.pop()[1].frames.astype(np.float32)
    keys = {"plain": None, "encrypted": bytes(range(32))}
    spent: dict[str, dict[str, list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.db" for name in keys}
        stores = {n: SpeakerStore(paths[n], system, create=True, key=key) for n, key in keys.items()}
        for session, sample in made:
            for name, store in stores.items():
                took = timed(lambda s=store, a=session, b=sample: s.add([a], samples=[b]))
                spent.setdefault("enroll one", {}).setdefault(name, []).append(took)
        for _ in range(3):
            for name, key in keys.items():
                with SpeakerStore(paths[name], system, key=key) as store:
                    took = timed(lambda s=store: Scorer.of(system, s))
                    spent.setdefault("first search", {}).setdefault(name, []).append(took)
        for i in range(args.tests):
            for name, store in stores.items():
                e = Extracted(Recording(f"{i}", "", f"{i}"), test + 0.01 * i, f"{i}", 3.0)
                took = timed(lambda s=store, e=e: Scorer.of(system, s).score_test([e]))
                spent.setdefault("search", {}).setdefault(name, []).append(took)
        sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
    print(f"{args.speakers} speakers; file: plain {sizes['plain']:.0f} MB, encrypted {sizes['encrypted']:.0f} MB")
    print("                plain: clock  processor   encrypted: clock  processor    ratio: clock  processor")
    for what, by in spent.items():
        first = 1 if what == "search" else 0  # the first of these reads the store
        medians = {n: [statistics.median(t[i] for t in by[n][first:]) for i in (0, 1)] for n in keys}
        ratios = [medians["encrypted"][i] / medians["plain"][i] for i in (0, 1)]
        cells = [*medians["plain"], *medians["encrypted"], *ratios]
        print(f"{what:14s} {cells[0]:11.4f} s {cells[1]:8.4f} s {cells[2]:15.4f} s {cells[3]:8.4f} s", end="")
        print(f" {cells[4]:15.2f} {cells[5]:10.2f}")


if __name__ == "__main__":
    main()

"""A test of 3 seconds against 100 000 enrolled speakers by an index: is the first the exact one, seconds and memory.

Speakers are made around real ones: those of a corpus, enrolled by the first half of their recordings, are among them,
and each of the others lies on the line between two of these, with the spread of their recordings about it in each mean,
independently. Tests are cuts of 3 s of the second halves, one each 0.9 s. Scores are normalized by a cohort and by
amounts of speech, as the packaged model does it, with amounts from 3 to 60 s, so that these change ranks.

    python recipes/benchmarks/many_speakers.py CORPUS --folder FOLDER [--speakers 100000] [--tests 2000] [--exact 2]

The folder takes 160 kB for each speaker with 512 components. To score everybody exactly takes half a minute a test, so
that it is done for `--exact` tests. For all tests the 4000 best by their outlines are scored exactly: told is at
which place of these the first is, and how often that is on the shortlist.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scoring import trained

from speechgmm.features import MFCC, Extracted, Recording, common_rate, extract_all, read_corpus
from speechgmm.mixture.adapt import adapted_offsets
from speechgmm.parallel import threads
from speechgmm.speakers import IndexScorer, System, default_system, load_system, search
from speechgmm.speakers.block_models import BlockModels
from speechgmm.speakers.index import Block, read_index, write_blocks

FRAMES, STEP = 300, 90
COHORT = 40
BLOCK = 512
AMONG = 4000


@dataclass(frozen=True)
class Real:
    """What a corpus gives: a system, adapted means (P, K, D) and seconds of P people, the spread of means, tests."""

    system: System
    means: np.ndarray
    seconds: np.ndarray
    spread: np.ndarray
    tests: np.ndarray


def real(manifest: Path, k: int, tests: int) -> Real:
    """Return what a corpus gives; its rows with split=ubm train the UBM, and their speakers are the cohort."""
    corpus = read_corpus(manifest)
    frontend = MFCC(sample_rate=common_rate(corpus))
    found = [e for e in extract_all(frontend, corpus) if e.features is not None]
    background = [e for e in found if e.recording.columns["split"] == "ubm"]
    system = trained(np.concatenate([e.features for e in background]), k, frontend.sample_rate)
    ubm, people = system.ubm, {}
    for e in found:
        people.setdefault(e.recording.speaker, []).append(e)
    means, seconds, variances, cuts = [], [], [], []
    for own in people.values():
        half = len(own) // 2
        if not half:
            continue
        statistics = [system.statistics(e.features) for e in own[:half]]
        means.append(adapted_offsets(ubm, sum(statistics[1:], statistics[0]), system.relevance))
        seconds.append(sum(e.speech_seconds for e in own[:half]))
        if half > 1:
            variances.append(np.var([adapted_offsets(ubm, s, system.relevance) for s in statistics], axis=0, ddof=1))
        x = np.concatenate([e.features for e in own[half:]])
        cuts += [x[a : a + FRAMES] for a in range(0, len(x) - FRAMES + 1, STEP)]
    order = np.random.default_rng(0).permutation(len(cuts))[:tests].tolist()
    chosen = np.stack([cuts[i] for i in order]).astype(np.float32)
    calibration = default_system(frontend.sample_rate).calibration
    cohort = np.stack(means[:COHORT]) - ubm.offsets
    system = replace(system, calibration=replace(calibration, cohort=cohort))
    spread = np.sqrt(np.mean(variances, axis=0))
    return Real(system, np.stack(means), np.array(seconds), spread, chosen)


def blocks(r: Real, speakers: int) -> Iterator[Block]:
    """Yield the real people, and made ones around them."""
    rng, n = np.random.default_rng(1), len(r.means)
    means, spread = r.means.astype(np.float32), r.spread.astype(np.float32)
    yield Block(tuple(f"real {i}" for i in range(n)), r.seconds, r.means)
    for start in range(n, speakers, BLOCK):
        size = min(BLOCK, speakers - start)
        made = spread * rng.standard_normal((size, *spread.shape), dtype=np.float32)
        for one in made:
            a, b = rng.choice(n, 2, replace=False)
            share = np.float32(rng.uniform())
            one += share * means[a] + (1 - share) * means[b]
        seconds = np.exp(rng.uniform(np.log(3.0), np.log(60.0), size))
        yield Block(tuple(f"made {i}" for i in range(start, start + size)), seconds, made)


def scorer_of(system: System, path: Path, number: int = 0, of: int = 1) -> IndexScorer:
    """Return what searches a part of the index."""
    index = read_index(path).part(number, of)
    calibration = system.calibration
    live, layout = np.arange(len(index.head.names)), index.head.layout
    models = BlockModels(layout, [index.block], system.fingerprint, names=index.head.names)
    norm = calibration.levels.norm(len(live))
    return IndexScorer(system, models, calibration, norm, {}, index=index, live=live)


def as_test(x: np.ndarray, i: int) -> list[Extracted]:
    """Return features as a test of one recording."""
    return [Extracted(Recording(f"test {i}", "", f"test {i}"), x, f"{i}", len(x) / 100)]


def part_found(folder: Path, number: int, of: int, tests: list[np.ndarray]) -> tuple[Any, float]:
    """Return what a worker finds in its part for each test, and the seconds of all but the first."""
    scorer = scorer_of(load_system(folder / "system"), folder / "index", number, of)
    found, began = [], 0.0
    for i, x in enumerate(tests):
        began = time.perf_counter() if i == 1 else began
        found.append(scorer.search(as_test(x, i)))
    return found, time.perf_counter() - began


def firsts(scorer: IndexScorer, tests: list[list[Extracted]], everybody: int) -> dict[str, Any]:
    """Return at which place of the outlines' order the exact first is, and how often a search finds it."""
    everyone = np.arange(len(scorer.index.head.names))
    places, certain, usual = [], 0, search.shortlisted
    for i, t in enumerate(tests):
        used = scorer._used(t)
        search.shortlisted = lambda _: AMONG
        try:
            found = scorer.search(t)
        finally:
            search.shortlisted = usual
        outlined = scorer._ranked(used, found.scores[found.shortlist], found.shortlist)
        first = int(np.argmax(scorer._ranked(used, found.exact, found.shortlist)))
        places.append(int((outlined > outlined[first]).sum()))
        if i % 100 == 99:
            print(f"{i + 1} tests, the last place {max(places)}", flush=True)
    for t in tests[:everybody]:
        scored = scorer.score_test(t)
        certain += int(np.argmax(scored.scores)) == best_of(scorer, scorer._used(t), everyone)
    held = np.array(places) < usual(len(everyone))
    return {
        "tests": len(tests),
        "the shortlist holds the first": int(held.sum()),
        "tests in which it does not": np.flatnonzero(~held).tolist(),
        "the first of a search is that of all speakers exactly": f"{certain} of {everybody}",
        f"place of the first of {AMONG} by outlines: median, 90, 99, 99.9 %, most": [
            *np.quantile(places, [0.5, 0.9, 0.99, 0.999]).tolist(),
            max(places),
        ],
    }


def best_of(scorer: IndexScorer, used: Any, places: np.ndarray) -> int:
    """Return who of some speakers is the first by the exact ratio."""
    places = np.sort(places)
    groups = [places[a : a + 32] for a in range(0, len(places), 32)]
    exact = np.concatenate(list(threads()(functools.partial(search._exact, scorer.index, used.recordings), groups)))
    return int(places[np.argmax(scorer._ranked(used, exact, places))])


def one(folder: Path) -> None:
    """Open the index and score one test, and print seconds and memory: for a process of its own."""
    x = np.load(folder / "test.npy")
    system = load_system(folder / "system")
    began = time.perf_counter()
    scorer = scorer_of(system, folder / "index")
    opened = time.perf_counter()
    seconds = []
    for i in range(6):
        start = time.perf_counter(), time.process_time()
        scorer.score_test(as_test(x, i))
        seconds.append((round(time.perf_counter() - start[0], 3), round(time.process_time() - start[1], 3)))
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(json.dumps({"open": round(opened - began, 3), "tests, and processor": seconds, "MB at most": round(memory)}))


def write(r: Real, speakers: int, path: Path) -> None:
    """Write the index."""
    began = time.perf_counter()
    write_blocks(path, r.system, r.system.ubm, blocks(r, speakers))
    print(f"written in {time.perf_counter() - began:.0f} s: {os.path.getsize(path) / 1e9:.2f} GB", flush=True)


def main() -> None:
    """Make, search, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--speakers", type=int, default=100_000)
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--exact", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="search the index that is in the folder")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder
    if given.one:
        one(folder)
        return
    r = real(given.corpus, given.components, given.tests)
    print(f"{len(r.means)} people, {len(r.tests)} tests", flush=True)
    r.system.save(folder / "system")
    np.save(folder / "test.npy", r.tests[0])
    if not given.again:
        write(r, given.speakers, folder / "index")
    for cold in (True, False):
        if cold:
            with open(folder / "index", "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        told = subprocess.run([sys.executable, __file__, "--folder", folder, "--one"], capture_output=True, check=True)
        print("nothing of it in memory:" if cold else "again:", told.stdout.decode().strip(), flush=True)
    scorer = scorer_of(r.system, folder / "index")
    some = list(r.tests[:20])
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = list(pool.map(part_found, [folder] * 2, range(2), [2] * 2, [some] * 2))
    equal = all(
        np.array_equal(
            scorer.merged(as_test(x, i), [found[i] for found, _ in parts]).scores,
            scorer.score_test(as_test(x, i)).scores,
        )
        for i, x in enumerate(some)
    )
    print(
        f"two workers: {'the same bits' if equal else 'OTHER BITS'}, {max(s for _, s in parts) / 19:.2f} s a test",
        flush=True,
    )
    tests = [as_test(x, i) for i, x in enumerate(r.tests)]
    print(json.dumps(firsts(scorer, tests, given.exact), indent=1))


if __name__ == "__main__":
    main()

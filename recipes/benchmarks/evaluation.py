"""How long and how much memory it takes to evaluate a large trial matrix, pictures and report included.

Scores are drawn: every test against every enrolled speaker, with speakers and tests of different heights. Each measured
run is a process of its own, `speechgmm evaluate SCORES --report OUT.html --json`.

    python recipes/benchmarks/evaluation.py [--tests 10000] [--speakers 1000] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from speechgmm.evaluation import Scores, write_scores

FORMATS = ("npz", "tsv")


def simulate(tests: int, speakers: int, *, strangers: float = 0.2, seed: int = 0) -> Scores:
    """Return scores of all pairs, all columns filled; a share of the tests is spoken by strangers."""
    rng = np.random.default_rng(seed)
    enrolled = np.array([f"speaker{i:05d}" for i in range(speakers)])
    people = np.concatenate([enrolled, [f"stranger{i:04d}" for i in range(max(1, int(strangers * speakers)))]])
    who = np.arange(tests) % len(people)
    seconds = rng.lognormal(1.5, 0.7, tests).round(2)
    score = rng.normal(-6.0, 2.5, (tests, speakers)) + rng.normal(0, 1, (tests, 1)) + rng.normal(0, 1, (1, speakers))
    known = np.flatnonzero(who < speakers)
    score[known, who[known]] += 9.0 + np.log(seconds[known])
    target = np.zeros((tests, speakers), dtype=np.int8)
    target[known, who[known]] = 1
    return Scores(
        speaker=np.tile(enrolled, tests),
        test=np.repeat([f"test{i:06d}.wav" for i in range(tests)], speakers),
        score=score.ravel().round(4),
        target=target.ravel(),
        test_speaker=np.repeat(people[who], speakers),
        enroll_seconds=np.tile(rng.uniform(20, 60, speakers).round(2), tests),
        test_seconds=np.repeat(seconds, speakers),
    )


def measure(path: Path, report: Path) -> dict[str, float]:
    """Return seconds and the largest memory of one evaluation in GB."""
    command = [sys.executable, "-m", "speechgmm", "evaluate", str(path), "--report", str(report), "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    unit = 1e-9 if sys.platform == "darwin" else 1024e-9
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_gb": round(used.ru_maxrss * unit, 2),
        "file_mb": round(path.stat().st_size / 1e6),
        "report_kb": round(report.stat().st_size / 1e3),
    }


def main() -> None:
    """Measure both formats and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--speakers", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        scores = simulate(options.tests, options.speakers)
        for kind in FORMATS:
            write_scores(scores, options.write / f"scores.{kind}")
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder) / f"scores.{kind}" for kind in FORMATS}
        # in a process of its own: what a process held when it started another counts as the other's memory, too
        size = ["--tests", str(options.tests), "--speakers", str(options.speakers)]
        subprocess.run([sys.executable, __file__, *size, "--write", folder], check=True)
        found = {kind: measure(path, Path(folder) / f"{kind}.html") for kind, path in files.items()}
    if options.json:
        print(json.dumps({"tests": options.tests, "speakers": options.speakers, "formats": found}))
        return
    print(f"{options.tests} tests x {options.speakers} speakers = {options.tests * options.speakers} trials")
    for kind, row in found.items():
        print(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()

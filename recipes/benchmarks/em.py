"""One EM iteration, timed beside scikit-learn and beside the bare matrix products that a dense E-step needs.

Everything runs in one process, in turns, and the medians and their ratios count: these ratios hold on machines whose
speed drifts. Frames are made to look like normalized speech features, or read from a corpus with --manifest.

    python recipes/benchmarks/em.py [--manifest CSV] [--components 16 64 512 2048] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from speechgmm.features import MFCC, extract_all, read_corpus
from speechgmm.features.blocks import common_rate
from speechgmm.mixture import GMM, ArrayBlocks, Floor, Stop, fit_gmm

FLOOR = Floor(relative=0.01, occupancy=5.0)


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


def ours(x: np.ndarray, start: GMM, n_threads: int | None) -> Callable[[], Any]:
    """Return one exact iteration of this package: E-step, M-step, floors."""
    blocks = ArrayBlocks(x)
    return lambda: fit_gmm(blocks, start.n_components, init=start, stop=Stop(0.0, 1), floor=FLOOR, n_threads=n_threads)


def sklearn(x: np.ndarray, start: GMM) -> Callable[[], Any]:
    """Return one iteration of scikit-learn's mixture from the same start, its initialization left out."""
    model = GaussianMixture(start.n_components, covariance_type="diag", reg_covar=1e-6)
    kind = x.dtype
    model.weights_, model.means_ = start.weights.astype(kind), start.means.astype(kind)
    model.precisions_cholesky_ = (1 / start.covariance.deviations()).astype(kind)
    state = dict(vars(model))

    def iteration() -> None:
        vars(model).update(state)
        _, responsibilities = model._e_step(x)
        model._m_step(x, responsibilities)

    return iteration


def products(x: np.ndarray, start: GMM) -> Callable[[], Any]:
    """Return the two bare float32 products of a dense E-step: (n, 2 D) by (2 D, K), and (K, n) by (n, 2 D)."""
    z = np.concatenate([x * x, x], axis=1).astype(np.float32)
    w = np.random.default_rng(0).normal(size=(z.shape[1], start.n_components)).astype(np.float32)

    def run() -> None:
        for a in range(0, len(z), 8192):
            block = z[a : a + 8192]
            (block @ w).T @ block

    return run


def measure(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each job, run in turns after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(s) for name, s in seconds.items()}


def compare(x: np.ndarray, k: int, rounds: int) -> dict[str, Any]:
    """Return seconds and ratios for K components."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = fit_gmm(x[:40_000], k, stop=Stop(0.0, 6), floor=FLOOR).model
    double = x.astype(np.float64)
    jobs = {
        "ours, float32": ours(x, start, None),
        "ours, float32, one thread": ours(x, start, 1),
        "ours, float64": ours(double, start, None),
        "two bare float32 products": products(x, start),
        "scikit-learn, float32": sklearn(x, start),
        "scikit-learn, float64": sklearn(double, start),
    }
    seconds = measure(jobs, rounds)
    base = seconds["ours, float32"]
    ratios = {name: s / base for name, s in seconds.items() if name != "ours, float32"}
    ratios["scikit-learn float64 / ours float64"] = seconds["scikit-learn, float64"] / seconds["ours, float64"]
    return {"components": k, "frames": len(x), "seconds": seconds, "times ours, float32": ratios}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="a corpus; default: made frames")
    parser.add_argument("--components", type=int, nargs="+", default=[16, 64, 512, 2048])
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    x = frames_of(given.manifest, given.frames)
    results = [compare(x, k, given.rounds) for k in given.components]
    if given.json:
        print(json.dumps({"results": results}))
        return
    table = Table("K", "what", "seconds", "times ours, float32")
    for r in results:
        for name, s in r["seconds"].items():
            table.add_row(str(r["components"]), name, f"{s:.3f}", f"{s / r['seconds']['ours, float32']:.2f}")
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()

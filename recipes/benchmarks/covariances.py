"""One EM iteration with each kind of covariance, timed beside scikit-learn's in float64 from the same start.

Everything runs in one process, in turns; medians and ratios count. scikit-learn is timed with the threads that it takes
by itself and with one, which on a busy machine is often the faster; the ratio is to the faster of the two. One thread
is measured in seconds of the processor, the rest by the clock. What both compute is compared as well: the largest
difference of weights, means and covariances, relative in each array's norm.

    python recipes/benchmarks/covariances.py [--components 64] [--dimensions 40] [--frames 100000] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.mixture import GaussianMixture

from speechgmm.mixture import GMM, ArrayBlocks, Floor, Full, Stop, fit_gmm
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import one_thread

ADDED = Floor(absolute=1e-6, relative=0.0, occupancy=0.0, reseed=False, add=True)
"""What scikit-learn does by default: reg_covar."""


def frames_of(n: int, k: int, d: int, seed: int = 0) -> np.ndarray:
    """Return float64 frames (n, d) of components that overlap, their features correlated."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(0, 0.6 / np.sqrt(d), (k, d, d)) + 0.4 * np.eye(d)
    truth = GMM(rng.dirichlet(np.full(k, 5.0)), rng.normal(0, 0.5, (k, d)), Full(roots @ roots.transpose(0, 2, 1)))
    return truth.sample(n, seed).frames


def ours(x: np.ndarray, start: GMM, n_threads: int | None) -> Callable[[], Any]:
    """Return one iteration of this package; it gives the mixture."""
    blocks, k = ArrayBlocks(x), start.n_components
    return lambda: fit_gmm(blocks, k, init=start, stop=Stop(0.0, 1), floor=ADDED, n_threads=n_threads).model


def sklearn(x: np.ndarray, start: GMM, kind: str) -> Callable[[], Any]:
    """Return one iteration of scikit-learn's mixture from the same start, its initialization left out."""
    model = GaussianMixture(start.n_components, covariance_type=kind)
    c = start.covariance.parameters
    model.weights_, model.means_ = start.weights, start.means
    if kind in ("diag", "spherical"):
        model.precisions_cholesky_ = c**-0.5
    else:
        model.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(c)).swapaxes(-1, -2)
    state = dict(vars(model))

    def iteration() -> GaussianMixture:
        vars(model).update(state)
        _, responsibilities = model._e_step(x)
        model._m_step(x, responsibilities)
        return model

    return iteration


def difference(model: GMM, peer: GaussianMixture) -> float:
    """Return the largest relative difference of weights, means and covariances."""
    pairs = (
        (model.weights, peer.weights_),
        (model.means, peer.means_),
        (model.covariance.parameters, peer.covariances_),
    )
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def compare(x: np.ndarray, k: int, kind: str, rounds: int) -> dict[str, Any]:
    """Return seconds, ratios and the difference for one kind of covariance."""
    start = fit_gmm(x[:10_000], k, covariance=kind, stop=Stop(0.0, 2), floor=ADDED).model
    jobs = {
        "ours": ours(x, start, None),
        "ours, one thread": ours(x, start, 1),
        "scikit-learn": sklearn(x, start, kind),
        "scikit-learn, one thread": one_thread(sklearn(x, start, kind)),
    }
    jobs["ours"]()  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    results = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            clock = time.process_time if name.endswith("one thread") else time.perf_counter  # others may be busy
            began = clock()
            results[name] = job()
            seconds[name].append(clock() - began)
    median = {name: statistics.median(s) for name, s in seconds.items()}
    best = min(median["scikit-learn"], median["scikit-learn, one thread"])
    return {
        "covariance": kind,
        "components": k,
        "frames": len(x),
        "dimensions": x.shape[1],
        "seconds": median,
        "faster than the faster scikit-learn": best / median["ours"],
        "one thread against one": median["scikit-learn, one thread"] / median["ours, one thread"],
        "largest relative difference": difference(results["ours"], results["scikit-learn"]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--dimensions", type=int, default=40)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--covariances", nargs="+", choices=list(COVARIANCES), default=list(COVARIANCES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    x = frames_of(given.frames, given.components, given.dimensions)
    results = [compare(x, given.components, kind, given.rounds) for kind in given.covariances]
    if given.json:
        print(json.dumps({"results": results}))
        return
    table = Table("covariance", *results[0]["seconds"], "ratio", "one thread", "difference")
    for r in results:
        seconds = [f"{s:.3f} s" for s in r["seconds"].values()]
        ratios = [f"{r[name]:.1f}" for name in ("faster than the faster scikit-learn", "one thread against one")]
        table.add_row(r["covariance"], *seconds, *ratios, f"{r['largest relative difference']:.1e}")
    Console().print(table)


if __name__ == "__main__":
    main()

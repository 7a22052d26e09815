"""EM beside scikit-learn, and beside the bare matrix products that a dense E-step needs.

Everything runs in one process, in turns, and the medians and their ratios count: these ratios hold on machines whose
speed drifts. Frames are made to look like normalized speech features, or read from a corpus with --manifest.

    python recipes/benchmarks/em.py [--manifest CSV] [--components 16 64 512 2048] [--json]   one iteration
    python recipes/benchmarks/em.py --selection [--iterations 60]      Gaussian selection and exact EM, whole runs
    python recipes/benchmarks/em.py --training                         whole training, initialization included
    python recipes/benchmarks/em.py --starts                           binary splitting and k-means, and EM after each
    python recipes/benchmarks/em.py --accelerated                      iterations to the end of plain EM, three seeds
    python recipes/benchmarks/em.py --memory                           memory of an iteration over 2 million frames
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from side_by_side import PAUSE, frames_of, installed, measure, options, report
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from speechgmm.mixture import GMM, ArrayBlocks, Floor, Selection, Stop, fit_gmm, initialize

FLOOR = Floor(relative=0.01, occupancy=5.0)
OURS = "ours, float32"
WITHIN = 0.02
"""How far below scikit-learn's end, in nats per frame, a training counts as arrived."""


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


def hmmlearn(x: np.ndarray, start: GMM) -> Callable[[], Any]:
    """Return one iteration of hmmlearn's mixture with a single state."""
    from hmmlearn.hmm import GMMHMM

    model = GMMHMM(1, start.n_components, covariance_type="diag", n_iter=1, init_params="", params="mcw")
    model.startprob_, model.transmat_, model.n_features = np.ones(1), np.ones((1, 1)), x.shape[1]
    state = start.weights[None], start.means[None], start.covariance.deviations()[None] ** 2

    def iteration() -> None:
        model.weights_, model.means_, model.covars_ = (a.copy() for a in state)
        model.fit(x)

    return iteration


def pomegranate(x: np.ndarray, start: GMM) -> Callable[[], Any]:
    """Return one iteration of pomegranate's mixture; each goes on from the one before."""
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    def tensor(a: np.ndarray) -> Any:
        return torch.from_numpy(a.astype(np.float32))

    variances = start.covariance.deviations() ** 2
    parts = [Normal(tensor(m), tensor(v), covariance_type="diag") for m, v in zip(start.means, variances, strict=True)]
    model, data = GeneralMixtureModel(parts, priors=tensor(start.weights / start.weights.sum())), tensor(x)

    def iteration() -> None:
        model.summarize(data)
        model.from_summaries()

    return iteration


def bob(x: np.ndarray, start: GMM) -> Callable[[], Any]:
    """Return one iteration of bob.learn.em's mixture."""
    from bob.learn.em import GMMMachine

    def iteration() -> None:
        every = {"update_means": True, "update_variances": True, "update_weights": True}
        machine = GMMMachine(start.n_components, max_fitting_steps=1, weights=start.weights.copy(), **every)
        machine.means, machine.variances = start.means.copy(), start.covariance.deviations() ** 2
        machine.fit(x)

    return iteration


PEERS = {"hmmlearn": hmmlearn, "pomegranate": pomegranate, "bob.learn.em": bob}
"""Optional, and so slow that they take one frame in `EVERY`."""
EVERY = 10


def one_iteration(x: np.ndarray, k: int, rounds: int) -> dict[str, Any]:
    """Return seconds of one iteration with K components."""
    start = fit_gmm(x[:40_000], k, stop=Stop(0.0, 6), floor=FLOOR).model
    double = x.astype(np.float64)
    jobs = {
        OURS: ours(x, start, None),
        "ours, float32, one thread": ours(x, start, 1),
        "ours, float64": ours(double, start, None),
        "two bare float32 products": products(x, start),
        "scikit-learn, float32": sklearn(x, start),
        "scikit-learn, float64": sklearn(double, start),
    }
    slow = {name: peer for name, peer in PEERS.items() if k <= 64 and installed(name)}
    jobs |= {name: peer(double[::EVERY], start) for name, peer in slow.items()}
    seconds = measure(jobs, rounds)
    return {
        "of": f"{k} components, {len(x)} frames",
        "seconds": {name: s * (EVERY if name in slow else 1) for name, s in seconds.items()},
    }


def selection(x: np.ndarray, k: int, iterations: int) -> dict[str, Any]:
    """Return seconds of whole runs with and without Gaussian selection, and what it cost at the end."""
    start = fit_gmm(x[:40_000], k, stop=Stop(0.0, 6), floor=FLOOR).model
    found, seconds, times = {}, {}, []
    for name, chosen in {OURS: None, "ours, float32, selection": Selection()}.items():
        fit_gmm(x[:9000], k, init=start, stop=Stop(0.0, 3), selection=chosen and Selection(settled=1e9))  # compiles
        times, began = [time.perf_counter()], time.perf_counter()
        found[name] = fit_gmm(
            x, k, init=start, stop=Stop(0.0, iterations), floor=FLOOR, selection=chosen,
            on_iteration=lambda *_: times.append(time.perf_counter()),  # noqa: B023  (called in this turn alone)
        )  # fmt: skip
        seconds[name] = time.perf_counter() - began
    each = np.diff(times)
    seconds["a selected iteration, times the number of iterations"] = float(np.quantile(each, 0.25)) * iterations
    ends = [np.mean([f.model.log_density(b).mean() for b in ArrayBlocks(x, 10_000)]) for f in found.values()]
    losses = [n["selection_loss"] for n in found["ours, float32, selection"].notes if "selection_loss" in n]
    return {
        "of": f"{k} components, {len(x)} frames, {iterations} iterations",
        "seconds": seconds,
        "log-likelihood of exact EM less that with selection, nats per frame": float(ends[0] - ends[1]),
        "reported losses": ", ".join(f"{loss:.5f}" for loss in losses),
    }


def training(x: np.ndarray, k: int, rounds: int) -> dict[str, Any]:
    """Return seconds of whole training, initialization included, each with its own defaults, and with momentum.

    Ours are medians of some rounds: scikit-learn's takes so long that it needs none.
    """
    double = x.astype(np.float64)
    ends: dict[str, float] = {}
    iterations: dict[str, int] = {}
    began = time.perf_counter()
    peer = GaussianMixture(k, covariance_type="diag", random_state=0).fit(double)
    seconds, end = {"scikit-learn, float64": time.perf_counter() - began}, float(peer.score(double))
    fit_gmm(x[:9000], 2, init="split", stop=Stop(0.0, 1))  # compiles
    for name, fast in ((OURS, False), ("ours, accelerated", True)):
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            reached: list[tuple[float, float]] = []
            time.sleep(PAUSE)
            began = time.perf_counter()
            model = fit_gmm(
                x, k, accelerated=fast, on_iteration=lambda *at, to=reached: to.append((time.perf_counter(), at[1]))
            ).model
            taken.setdefault(name, []).append(time.perf_counter() - began)
            for where, target in ((f"{WITHIN} nats per frame below ", end - WITHIN), ("", end)):
                arrived = [t - began for t, objective in reached if objective >= target]
                if arrived:
                    taken.setdefault(f"{name}, until {where}scikit-learn's end", []).append(arrived[0])
        seconds |= {what: float(np.median(times)) for what, times in taken.items()}
        ends[name], iterations[name] = float(model.log_density(double).mean()) - end, len(reached)
    return {
        "of": f"{k} components, {len(x)} frames, whole training",
        "seconds": seconds,
        "iterations": {"scikit-learn": peer.n_iter_, **iterations},
        "log-likelihood above scikit-learn's, nats per frame": ends,
    }


def starts(x: np.ndarray, k: int) -> dict[str, Any]:
    """Return seconds of binary splitting and of k-means, and of EM after each, and where it ended."""
    fit_gmm(x[:9000], 2, init="split", stop=Stop(0.0, 1))  # compiles
    seconds, ends = {}, {}
    for method in ("split", "kmeans"):
        time.sleep(PAUSE)
        began = time.perf_counter()
        start = initialize(x, k, method=method, floor=FLOOR)
        started = time.perf_counter()
        model = fit_gmm(x, k, init=start, floor=FLOOR).model
        seconds |= {method: started - began, f"EM after {method}": time.perf_counter() - started}
        ends[method] = float(np.mean([model.log_density(b).mean() for b in ArrayBlocks(x, 10_000)]))
    return {
        "of": f"{k} components, {len(x)} frames",
        "seconds": seconds,
        "log-likelihood after split less that after kmeans, nats per frame": ends["split"] - ends["kmeans"],
    }


def accelerated(frames: np.ndarray, k: int, seed: int) -> dict[str, Any]:
    """Return how many iterations plain and accelerated EM take to 1e-3 nats below plain EM's end, and their ends.

    The seed draws four fifths of the frames, and the start.
    """
    drawn = np.random.default_rng(seed).permutation(len(frames))[: len(frames) * 4 // 5]
    x = frames[np.sort(drawn)]
    start, reached = initialize(x, k, seed=seed), {}
    runs = {"plain": (False, None), "accelerated": (True, None), "accelerated, to 1e-3 nats": (True, Stop())}
    for name, (fast, stop) in runs.items():
        found = fit_gmm(x, k, init=start, accelerated=fast, stop=stop)
        last = float(np.mean([found.model.log_density(b).mean() for b in ArrayBlocks(x, 10_000)]))
        reached[name] = [*found.objective, last]
    end = reached["plain"][-1]
    arrived = {name: next((i for i, o in enumerate(r, 1) if o >= end - 1e-3), None) for name, r in reached.items()}
    return {
        "of": f"{k} components, {len(x)} frames, seed {seed}",
        "seconds": {},
        "iterations until 1e-3 nats below the end of plain EM": arrived,
        "iterations until each ends by itself": {name: len(r) - 1 for name, r in reached.items()},
        "end of accelerated EM above that of plain EM, nats per frame": reached["accelerated"][-1] - end,
    }


def memory(x: np.ndarray, k: int, n: int) -> dict[str, Any]:
    """Return seconds of one iteration over n memory-mapped frames, and by how much anonymous memory grew."""
    start = fit_gmm(x[:40_000], k, init="random", stop=Stop(0.0, 2), floor=FLOOR).model
    with tempfile.TemporaryFile() as file:
        frames = np.memmap(file, np.float32, "w+", shape=(n, x.shape[1]))
        for a in range(0, n, len(x)):
            frames[a : a + len(x)] = x[: n - a]
        frames.flush()
        once = Stop(0.0, 1)
        fit_gmm(frames[:100_000], k, init=start, stop=once, floor=FLOOR)
        before, highest = anonymous(), 0.0

        def watched() -> Any:
            nonlocal highest
            for block in ArrayBlocks(frames):
                highest = max(highest, anonymous())
                yield block

        class Watched:
            def __iter__(self) -> Any:
                return watched()

        began = time.perf_counter()
        fit_gmm(Watched(), k, init=start, stop=once, floor=FLOOR)
        seconds = time.perf_counter() - began
    return {
        "of": f"{k} components, {n} frames in a memory map",
        "seconds": {OURS: seconds},
        "growth of anonymous memory, megabytes": max(highest, anonymous()) - before,
    }


def anonymous() -> float:
    """Return the anonymous memory of this process in megabytes (Linux)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--components", type=int, nargs="+", help="default: 16 64 512 2048, or what the question needs")
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--selection", action="store_true")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--starts", action="store_true")
    parser.add_argument("--accelerated", action="store_true")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    x = frames_of(given.manifest, given.frames)
    if given.selection:
        results = [selection(x, k, given.iterations) for k in given.components or [2048]]
    elif given.training:
        results = [training(x, k, given.rounds) for k in given.components or [512]]
    elif given.starts:
        results = [starts(x, k) for k in given.components or [512]]
    elif given.accelerated:
        results = [accelerated(x, k, seed) for k in given.components or [64, 256, 512, 2048] for seed in range(3)]
    elif given.memory:
        results = [memory(x, k, 2_000_000) for k in given.components or [1024]]
    else:
        results = [one_iteration(x, k, given.rounds) for k in given.components or [16, 64, 512, 2048]]
    report(results, "split" if given.starts else OURS, given.json)


if __name__ == "__main__":
    main()

"""`GaussianMixture` beside scikit-learn's, over sizes, kinds of covariance, methods and numbers of threads.

Everything runs in one process, in turns, from the same start; medians and their ratios count. A cell is slower only if
it takes more than 1.2 times scikit-learn's time and 0.2 ms more: less than that nobody waits for.

    python recipes/benchmarks/drop_in.py [--quick] [--runs 2] [--json]   the grid, a few hours, or a minute with --quick
    python recipes/benchmarks/drop_in.py --minutes 20 --rows 100000      as many of its places as a run has time for
    python recipes/benchmarks/drop_in.py --first                         the first fit in fresh processes

Left out are cells with fewer than five rows for each component. A fit takes 20 iterations on both sides; where these
would be more than `HEAVY` it takes 2, marked *. Methods of a place that take more than `--budget` seconds have fewer
rounds than seven, down to one, and how many had one is told. Places come in a drawn order, the same in each run, so
that those that a run has time for stand for all. On a busy machine `--processor` takes the processor's time instead of
the clock's; it adds up threads, so that it says nothing of what two of them save.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from side_by_side import in_turns, options
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_limits

from speechgmm import GaussianMixture as Ours

KINDS = ("full", "tied", "diag", "spherical")
METHODS = ("fit", "predict", "predict_proba", "score_samples", "sample")
ROWS, FEATURES, COMPONENTS = (100, 1000, 10_000, 100_000), (2, 5, 20, 60), (1, 2, 5, 16, 64)
QUICK = (1000, 10_000), (2, 20), (2, 16)
QUICK_ROUNDS = 3
ENOUGH = 5
"""Rows for each component: cells with fewer are left out."""
HEAVY = 1e9
"""Multiplications of an iteration, about, times 20: beyond it a fit takes 2 iterations."""
RATIO, GRACE = 1.2, 2e-4
"""Slower is what takes more than so many times scikit-learn's seconds, and so many seconds more."""
PAUSE = 0.01
"""Seconds before each job on two threads: those of the one before may still be spinning."""


@dataclass(frozen=True)
class Cell:
    """One place of the grid, and what was measured there: seconds of ours and of scikit-learn's, by method.

    `rounds` says how many of each these are the medians of, and `heavy` that a fit took 2 iterations instead of 20.
    """

    kind: str
    n: int
    d: int
    k: int
    threads: int
    seconds: dict[str, tuple[float, float]]
    rounds: dict[str, int]
    heavy: bool

    def ratio(self, method: str) -> float:
        """Return our time in theirs."""
        ours, theirs = self.seconds[method]
        return ours / theirs

    def slower(self, method: str) -> bool:
        """Whether ours is slower, beyond what is allowed."""
        ours, theirs = self.seconds[method]
        return ours > max(RATIO * theirs, theirs + GRACE)

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.kind}, N {self.n}, D {self.d}, K {self.k}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class How:
    """Rounds for each method of a place, fewer where these take more than `budget` seconds, down to one; `minutes`."""

    rounds: int
    budget: float
    minutes: float
    clock: Callable[[], float]


def rows(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (N, D) of a mixture that overlaps, and means (K, D) to start from."""
    rng = np.random.default_rng([n, d, k])
    means = rng.normal(0, 2, (k, d))
    return means[rng.integers(k, size=n)] + rng.normal(0, 1, (n, d)), means + rng.normal(0, 0.3, (k, d))


def too_heavy(kind: str, n: int, d: int, k: int) -> bool:
    """Whether 20 iterations of a fit are too many."""
    return 20.0 * n * k * d * (d if kind == "full" else 4) > HEAVY


def pair(kind: str, x: np.ndarray, means: np.ndarray) -> tuple[Any, Any]:
    """Return both estimators, to be fitted from the same start."""
    k, d = means.shape
    precisions = {"full": np.tile(np.eye(d), (k, 1, 1)), "tied": np.eye(d), "diag": np.ones((k, d))}
    iterations = 2 if too_heavy(kind, len(x), d, k) else 20
    start = {"weights_init": np.full(k, 1 / k), "means_init": means}
    start["precisions_init"] = precisions.get(kind, np.ones(k))
    settings: dict[str, Any] = {"covariance_type": kind, "tol": 0.0, "max_iter": iterations, "random_state": 0}
    return Ours(k, **settings, **start), Theirs(k, **settings, **start)


def measured(place: tuple[int, str, int, int, int], methods: Iterable[str], how: How) -> Cell:
    """Return one cell of the grid: threads, kind of covariance, N, D, K."""
    threads, kind, n, d, k = place
    x, means = rows(n, d, k)
    both, seconds, counts = pair(kind, x, means), {}, {}
    with threadpool_limits(threads):
        for method in ("fit", *(m for m in methods if m != "fit")):
            argument = n if method == "sample" else x
            jobs = {name: _job(m, method, argument) for name, m in zip(("ours", "theirs"), both, strict=True)}
            turns = how.rounds if method in methods else 0
            found = in_turns(jobs, turns, pause=PAUSE if threads > 1 else 0.0, budget=how.budget, clock=how.clock)
            if method in methods:
                seconds[method] = statistics.median(found["ours"]), statistics.median(found["theirs"])
                counts[method] = len(found["ours"])
    return Cell(kind, n, d, k, threads, seconds, counts, too_heavy(kind, n, d, k))


def _job(model: Any, method: str, argument: Any) -> Callable[[], Any]:
    return lambda: getattr(model, method)(argument)


def grid(places: list[Any], methods: Iterable[str], how: How) -> list[Cell]:
    """Return the cells of these places that there is time for, and tell on standard error how far it is."""
    x, means = rows(20_000, 20, 32)
    pair("diag", x, means)[0].set_params(max_iter=1).fit(x)  # loads the compiler before anything is measured
    cells, end = [], time.perf_counter() + 60 * how.minutes
    for i, place in enumerate(places, 1):
        if time.perf_counter() > end:
            break
        cells.append(measured(place, methods, how))
        print(f"\r{i} of {len(places)}: {cells[-1]}   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return cells


def show(runs: list[list[Cell]], methods: list[str], count: int) -> None:
    """Print the grid of the last run, the worst cells of all runs, and the medians; there are `count` places."""
    console = Console(width=110)
    table = Table("covariance", "N", "D", "K", "threads", *methods, title="scikit-learn's time over ours")
    for cell in sorted(runs[-1], key=lambda c: (c.threads, KINDS.index(c.kind), c.n, c.d, c.k)):
        place = (cell.kind + " *" * cell.heavy, *map(str, (cell.n, cell.d, cell.k, cell.threads)))
        table.add_row(*place, *(f"{1 / cell.ratio(m):.2f}{' !' * cell.slower(m)}" for m in methods))
    console.print(table)
    table = Table("the worst", "method", *(f"run {i}" for i in range(1, len(runs) + 1)), title="ours over theirs, ms")
    every = [(m, cells) for cells in zip(*runs, strict=False) for m in methods]
    for m, cells in sorted(every, key=lambda item: -_excess(item))[:20]:
        both = [(c.ratio(m), *c.seconds[m]) for c in cells]
        table.add_row(str(cells[0]), m, *(f"{r:.2f} ({1e3 * a:.2f}, {1e3 * b:.2f})" for r, a, b in both))
    console.print(table)
    for i, cells in enumerate(runs, 1):
        ratios = {m: [1 / c.ratio(m) for c in cells] for m in methods}
        whole = statistics.median(itertools.chain(*ratios.values()))
        parts = ", ".join(f"{m} {statistics.median(r):.2f}" for m, r in ratios.items())
        slow = sum(c.slower(m) for c in cells for m in methods)
        once = sum(c.rounds[m] == 1 for c in cells for m in methods)
        found = f"{slow} of {len(cells) * len(methods)} slower, {once} of one round"
        console.print(f"Run {i}: {len(cells)} of {count} places; {found}; median {whole:.2f} times faster ({parts})")
    always = [f"{m} of {cells[0]}" for m, cells in every if all(c.slower(m) for c in cells)]
    console.print(f"Slower in every run: {'; '.join(always) or 'none'}")


def _excess(item: tuple[str, tuple[Cell, ...]]) -> float:
    """Return how near to slower, in the best of all runs, a method is."""
    method, cells = item
    return min(c.seconds[method][0] / max(RATIO * c.seconds[method][1], c.seconds[method][1] + GRACE) for c in cells)


FIRST = """
import sys, time, warnings
began = time.perf_counter()
import numpy as np
from {module} import GaussianMixture
warnings.simplefilter("ignore")
x = np.random.default_rng(0).normal(size=({n}, {d})) + 3 * np.arange({n})[:, None] % {k}
ready = time.perf_counter()
GaussianMixture({k}, covariance_type="{kind}", random_state=0).fit(x)
end = time.perf_counter()
print(end - ready, end - began, "numba" in sys.modules)
"""
FIRST_SIZES = [(150, 4, 3), (1000, 2, 2), (10_000, 5, 5), (10_000, 20, 16), (100_000, 20, 16), (100_000, 60, 64)]


def first_fits(rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Return seconds of the first fit in a process of its own, k-means included, and of everything after its start."""
    results = []
    for (n, d, k), kind in itertools.product(FIRST_SIZES[: 3 if quick else None], KINDS):
        times: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
        for turn in range(min(rounds, 3 if n * d * k > 1e7 else rounds) + 1):
            for name, module in (("ours", "speechgmm"), ("theirs", "sklearn.mixture")):
                program = FIRST.format(module=module, n=n, d=d, k=k, kind=kind)
                done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
                fit, whole, numba = done.stdout.split()
                if turn:
                    times[name].append([float(fit), float(whole), float(numba == "True")])
        ours, theirs = (np.median(times[name], axis=0).tolist() for name in ("ours", "theirs"))
        results.append({"kind": kind, "n": n, "d": d, "k": k, "compiled": bool(ours[2]), "ours": ours[:2]})
        results[-1] |= {"theirs": theirs[:2]}
        print(results[-1], file=sys.stderr, flush=True)
    return results


def show_first(results: list[dict[str, Any]]) -> None:
    """Print the first fits."""
    table = Table(
        "covariance", "N", "D", "K", "compiled", "fit, ms", "theirs", "ratio", "with imports", "theirs", "ratio"
    )
    for r in results:
        (a, whole), (b, their_whole) = r["ours"], r["theirs"]
        numbers = 1e3 * a, 1e3 * b, a / b, 1e3 * whole, 1e3 * their_whole, whole / their_whole
        cells = [f"{v:.2f}" if i % 3 == 2 else f"{v:.0f}" for i, v in enumerate(numbers)]
        table.add_row(r["kind"], *(str(r[name]) for name in "ndk"), "yes" if r["compiled"] else "", *cells)
    Console(width=110).print(table)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, corpus=False)
    parser.set_defaults(rounds=None)
    parser.add_argument("--quick", action="store_true", help="a small grid")
    parser.add_argument("--runs", type=int, default=2, help="how often the grid is run")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--rows", type=int, nargs="+", help=f"default: {' '.join(map(str, ROWS))}")
    parser.add_argument("--features", type=int, nargs="+", help=f"default: {' '.join(map(str, FEATURES))}")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2), help="default: 1 2")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds for one method of a place; default: 4")
    parser.add_argument("--minutes", type=float, default=math.inf, help="how long a run may take; default: any time")
    parser.add_argument("--processor", action="store_true", help="the processor's time instead of the clock's")
    parser.add_argument("--first", action="store_true", help="the first fit in fresh processes instead")
    given = parser.parse_args()
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else 7)
    warnings.simplefilter("ignore", ConvergenceWarning)
    if given.first:
        first = first_fits(rounds, given.quick)
        print(json.dumps(first)) if given.json else show_first(first)
        return
    n, d, k = QUICK if given.quick else (ROWS, FEATURES, COMPONENTS)
    places = itertools.product(given.threads, given.kinds, given.rows or n, given.features or d, k)
    drawn = [p for p in places if p[2] >= ENOUGH * p[4]]
    random.Random(0).shuffle(drawn)
    how = How(rounds, given.budget, given.minutes, time.process_time if given.processor else time.perf_counter)
    runs = [grid(drawn, given.methods, how) for _ in range(given.runs)]
    if given.json:
        print(json.dumps([[vars(cell) for cell in cells] for cells in runs]))
    else:
        show(runs, list(given.methods), len(drawn))


if __name__ == "__main__":
    main()

"""A background model, the final one or that of a fold: a mixture of each size for each stream of features.

Symbols: N frames, K components, D dimensions.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture import GMM, UBM, Ensemble, Fit, Floor, Stop, fit_gmm, initialize, maximize, stepwise_passes
from speechgmm.mixture.covariance import Diagonal
from speechgmm.parallel import BlockViews, Progress, Threads
from speechgmm.speakers.checkpoints import Checkpoints

FLOOR = Floor(relative=0.01, occupancy=5.0)
"""A tenth of the deviation of speech, and five frames per component: neither accidents nor lone frames count."""
STOP = Stop(tolerance=2e-3, max_iterations=20)
"""Where the likelihood has nearly settled; more iterations gave no better error rates."""

FOLD_STOP = Stop(tolerance=2e-3, max_iterations=8)
"""The UBMs of the folds, which score held-out speakers, start anew and take fewer iterations."""


@dataclass(frozen=True)
class Schedule:
    """How often the frames are read: in `passes` of stepwise EM, and in EM, in that of the folds too."""

    passes: int
    stop: Stop
    fold_stop: Stop


USUAL = Schedule(0, STOP, FOLD_STOP)
MANY_FRAMES = 2_000_000
OF_MANY = Schedule(2, replace(STOP, max_iterations=4), replace(FOLD_STOP, max_iterations=2))
"""From so many frames on, 5.6 hours of speech, stepwise EM comes first: the likelihood that twenty iterations reach is
there after five passes, and that of eight after three (`recipes/benchmarks/large_corpus.py passes`)."""


def schedule_for(n_frames: int) -> Schedule:
    """Return how often so many frames are read."""
    return OF_MANY if n_frames >= MANY_FRAMES else USUAL


@dataclass(frozen=True, eq=False)
class _Stream(BlockViews):
    """Some features of blocks: those from `start` up to `stop`."""

    blocks: Iterable[Any]
    start: int
    stop: int

    def views(self) -> Iterator[Callable[[Array], Array]]:
        """Yield what gives of each block what is seen of it."""
        return itertools.repeat(functools.partial(_columns, start=self.start, stop=self.stop))


def _columns(block: Array, start: int, stop: int) -> Array:
    """Return some features of frames."""
    return np.ascontiguousarray(block[:, start:stop])


def train_ubm(
    blocks: Iterable[Any],
    fold: str = "",
    *,
    sizes: Sequence[Sequence[int]],
    schedule: Schedule,
    seed: int,
    n_threads: Threads,
    report: Progress,
    checkpoints: Checkpoints,
) -> tuple[UBM, tuple[Fit[GMM], ...]]:
    """Train one background model, the final one, or that of a fold, all of which is one stage of the work.

    Each stream of features gets a mixture of each size, from a start of its own. It goes on from what is kept of it.
    """
    stop, stage = (schedule.fold_stop, fold) if fold else (schedule.stop, "EM")
    streams = len(sizes)
    every = [(s, k) for s, own in enumerate(sizes) for k in own]
    whole, fits = len(every) * stop.max_iterations, list[Fit[GMM]]()
    for done, (s, k) in enumerate(every):
        report(fold or "start", *((done * stop.max_iterations, whole) if fold else (done, len(every))))
        d = next(iter(blocks)).shape[1] // streams
        seen = blocks if streams == 1 else _Stream(blocks, s * d, (s + 1) * d)

        def tell(_: str, i: int, n: int, before: int = done) -> None:
            report("start", before * n + i, n * len(every))

        told = None if fold else tell
        begin = functools.partial(_start, seen, k, schedule.passes, seed=seed, n_threads=n_threads, on_progress=told)
        name = f"{stage}, mixture {done + 1}"
        start = checkpoints.once(name, begin, Fit, GMM, Diagonal, blocks=blocks)
        keep = functools.partial(checkpoints.keep, name, blocks=blocks)
        if not fold:
            report("start", done + 1, len(every))

        def watch(i: int, *_: Any, before: int = done * stop.max_iterations) -> None:
            report(stage, before + i, whole)

        run = functools.partial(fit_gmm, stop=stop, floor=FLOOR, n_threads=n_threads, on_iteration=watch)
        fits.append(run(seen, k, init=start, on_fit=keep))
    if len(fits) == 1:
        return fits[0].model, tuple(fits)
    origin = fits[0].model.origin if streams == 1 else np.zeros(fits[0].model.n_dimensions)
    parts = tuple(replace(f.model, origin=origin) for f in fits)
    return Ensemble(parts, tuple(s for s, _ in every)), tuple(fits)


def _start(
    blocks: Iterable[Any],
    k: int,
    passes: int,
    *,
    seed: int,
    n_threads: Threads,
    on_progress: Progress | None,
) -> Fit[GMM]:
    """Return where EM begins, as a fit without iterations."""
    start = initialize(blocks, k, seed=seed, floor=FLOOR, n_threads=n_threads)
    if passes:
        m_step = functools.partial(maximize, floor=FLOOR)
        start = stepwise_passes(start, blocks, passes, m_step=m_step, n_threads=n_threads, on_progress=on_progress)
    return Fit(start, (), (), converged=False)

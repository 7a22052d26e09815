"""Gaussian selection: between exact iterations a frame visits only the components that mattered to it at the last one.

An exact E-step notes, for each frame, which components took more than `threshold` of it. The iterations that follow
evaluate only these pairs, each component over its own list of frames, so that their cost hardly grows with K. What is
left out is a lower bound of the likelihood (Neal and Hinton 1998, section 5: sparse EM): it rises like the
likelihood itself, and each exact iteration measures how far the lists had fallen behind. Symbols: N frames, K
components, P frames and components in pairs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import matrix
from speechgmm.mixture import kernels
from speechgmm.mixture.covariance import Diagonal
from speechgmm.mixture.em import Fit, Stop, Update, fit
from speechgmm.mixture.model import GMM
from speechgmm.mixture.registers import add_moments, log_densities
from speechgmm.mixture.statistics import Statistics
from speechgmm.mixture.train import Selection
from speechgmm.mixture.vectors import compiled, exp, larger
from speechgmm.parallel import Mapper, one_thread

Array = NDArray[Any]

__all__ = ["fit_selected"]

UNDER = "3af099fb6e294fe0"
"""Names the text of `vectors`, `registers` and `kernels`, as there."""
UNIT = 1024
"""Frames whose pairs are kept together: a multiple of the blocks of the exact E-step."""
FLUSH = 4
"""Units whose float32 sums are kept before they are added in float64."""
WATCHED = 8
"""Of so many blocks one is evaluated both ways when its lists are made anew."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Of `length` frames, up to `UNIT`: how many each component's list has (K,), their numbers (P,), list by list."""

    counts: Array
    frames: Array
    length: int = UNIT


@compiled
def _keep(lists: Any, threshold: float, base: int, frames: Array, counts: Array, best: Array) -> None:
    """Append to frames (K, UNIT) those of a block whose posteriors are above the threshold, or their frame's best."""
    frame, share, used = lists
    best[:] = 0
    for c in range(len(counts)):
        for a in range(used[c]):
            best[frame[c, a]] = larger(best[frame[c, a]], share[c, a])
    for c in range(len(counts)):
        n = counts[c]
        for a in range(used[c]):
            if share[c, a] > threshold or share[c, a] == best[frame[c, a]]:
                frames[c, n] = base + frame[c, a]
                n += 1
        counts[c] = n


@compiled
def _packed(frames: Array, counts: Array, result: Array) -> None:
    """Lay the lists of all components one after the other."""
    place = 0
    for c in range(len(counts)):
        for a in range(counts[c]):
            result[place] = frames[c, a]
            place += 1


@compiled
def _visit(z: Array, rows: Array, pairs: Any, top: Array, total: Array, sums: Array) -> None:
    """Give the maxima and sums of exp(joint - maximum) of each frame over its pairs, and add their moments to sums."""
    counts, frames, joint = pairs
    top[:] = joint.dtype.type(kernels.NEVER)
    total[:] = 0
    joint[:] = 0
    start = 0
    for c in range(len(counts)):
        log_densities(rows, c, z, frames, joint, start, np.int64(counts[c]))
        start += counts[c]
    for p in range(len(frames)):
        top[frames[p]] = larger(top[frames[p]], joint[p])
    for p in range(len(frames)):
        joint[p] = exp(joint[p] - top[frames[p]])
    for p in range(len(frames)):
        total[frames[p]] += joint[p]
    for p in range(len(frames)):
        joint[p] /= total[frames[p]]
    start = 0
    for c in range(len(counts)):
        add_moments(sums, c, z, frames, joint, start, np.int64(counts[c]))
        start += counts[c]


@dataclass(frozen=True, eq=False)
class Visitor:
    """A model whose statistics of numbered blocks are exact or, between refreshes, over the pairs that are kept.

    `kept` holds the pairs of each block, `behind` by how much some fell short when made anew, in nats a frame.
    """

    model: GMM
    threshold: float
    exact: bool = True
    keep: bool = True
    kept: dict[int, list[Pairs]] = field(default_factory=dict)
    behind: dict[int, float] = field(default_factory=dict)

    @one_thread
    def statistics(self, numbered: tuple[int, Array]) -> Statistics:
        """Return the statistics of one block."""
        (i, block), m = numbered, self.model
        x = matrix(block, dimensions=m.n_dimensions, minimum=0)
        assert isinstance(m.covariance, Diagonal)
        t = m.covariance.terms(x.dtype, m.weights, m.offsets, m.origin)
        wanted = not self.exact or i % WATCHED == 0
        same = i in self.kept and sum(p.length for p in self.kept[i]) == len(x)
        before = _selected(x, t, m.n_components, self.kept[i]) if wanted and same else None
        if not self.exact and before:
            counts, first, second, log_likelihood = before
        elif not self.keep:
            counts, first, second, log_likelihood = kernels.statistics(x, t, m.n_components)
        else:
            (counts, first, second, log_likelihood), self.kept[i] = _exact(x, t, m.n_components, self.threshold)
            if before:
                self.behind[i] = (log_likelihood - before[-1]) / max(len(x), 1)
        return Statistics(m.origin, counts, first, second, log_likelihood, float(len(x)))


def _exact(
    x: Array, t: kernels.Terms, k: int, threshold: float
) -> tuple[tuple[Array, Array, Array, float], list[Pairs]]:
    """Return what `kernels.statistics` does, and the pairs above the threshold."""
    padded = t.matrix.shape[1]
    frames, counts = np.empty((padded, UNIT + 32), np.uint16), np.zeros(padded, np.int32)
    best = np.empty(kernels.block_size(t), t.kind)
    result: list[Pairs] = []
    done = 0

    def pack() -> None:
        packed = np.empty(counts.sum(), np.uint16)
        _packed(frames, counts, packed)
        result.append(Pairs(counts.astype(np.uint16), packed, (done - 1) % UNIT + 1))
        counts[:] = 0

    def listen(lists: tuple[Array, Array, Array], n: int) -> None:
        nonlocal done
        _keep(lists, threshold, done % UNIT, frames, counts, best)
        done += n
        if done % UNIT == 0 or done == len(x):
            pack()

    return kernels.statistics(x, t, k, listen), result


def _selected(x: Array, t: kernels.Terms, k: int, kept: list[Pairs]) -> tuple[Array, Array, Array, float]:
    """Return what `kernels.statistics` does, over the pairs that are kept."""
    rows = np.zeros((t.matrix.shape[1], 2 * t.half), t.kind)
    rows[:, : len(t.matrix)] = t.matrix.T
    top, total, sums = np.empty(UNIT, t.kind), np.empty(UNIT, t.kind), kernels.Sums.of(t)
    log_likelihood = 0.0
    for i, (z, pairs) in enumerate(zip(kernels.prepared(x, t, UNIT), kept, strict=True), 1):
        n = len(z)
        joint = np.empty(len(pairs.frames), t.kind)
        _visit(z, rows, (pairs.counts, pairs.frames, joint), top[:n], total[:n], sums.sums)
        log_likelihood += kernels.summed_log(top[:n], total[:n])
        if i % FLUSH == 0:
            sums.flush()
    return *sums.moments(t, k), log_likelihood


def _regrown(kept: list[Pairs], source: Array) -> list[Pairs]:
    """Return the pairs after a reseeding: a component visits the frames of what it has grown from, and its own."""
    grown = np.flatnonzero(source != np.arange(len(source)))
    result = []
    for pairs in kept:
        ends = np.cumsum(pairs.counts, dtype=np.int64)
        starts, counts, parts, done = ends - pairs.counts, pairs.counts.copy(), [], 0
        for c in grown:
            both = [pairs.frames[starts[i] : ends[i]] for i in (c, source[c])]
            parts += [pairs.frames[done : starts[c]], np.union1d(*both)]
            counts[c], done = len(parts[-1]), ends[c]
        result.append(Pairs(counts, np.concatenate([*parts, pairs.frames[done:]]), pairs.length))
    return result


@dataclass(frozen=True)
class _Numbered:
    blocks: Iterable[Any]

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return enumerate(self.blocks)


def fit_selected(
    model: GMM,
    blocks: Iterable[Any],
    m_step: Callable[[Statistics, GMM], Update[GMM]],
    *,
    selection: Selection,
    stop: Stop,
    mapper: Mapper,
    on_iteration: Callable[[int, float, Mapping[str, float]], None] | None = None,
) -> Fit[GMM]:
    """Run EM with Gaussian selection; as `fit`, with a diagonal model.

    The objective of exact iterations is the log-likelihood, that of the others a lower bound. The note
    "selection_loss" of an exact iteration is what the lists had lost by then, in nats a frame, measured on every
    eighth block. It has converged when exact iterations differ by less than the tolerance, divided by the
    iterations between them.
    """
    objective: list[float] = []
    notes: list[Mapping[str, float]] = []
    visitor, last, length, change = Visitor(model, selection.threshold), 0.0, 1, np.inf
    while len(objective) < stop.max_iterations:
        done, rest = len(objective), stop.max_iterations - len(objective)
        was, length = length, min(selection.refresh if change < selection.settled else 1, rest)

        def shown(iteration: int, value: float, note: Mapping[str, float], done: int = done) -> None:
            if on_iteration:
                on_iteration(done + iteration, value, note)

        step = functools.partial(_step, m_step=m_step)
        visitor = replace(visitor, exact=True, keep=length > 1, behind={})
        part = fit(visitor, _Numbered(blocks), step, stop=Stop(0.0, length), mapper=mapper, on_iteration=shown)
        objective.extend(part.objective)
        notes.extend(part.notes)
        visitor, last, change = part.model, part.objective[0], abs(part.objective[0] - last) / was
        settled = done and not any("reseeded" in n for n in notes[-was - length :])
        if settled and change < stop.tolerance:
            return Fit(visitor.model, tuple(objective), tuple(notes), converged=True, reason="tolerance")
    return Fit(visitor.model, tuple(objective), tuple(notes), converged=False, reason="max_iterations")


def _step(
    statistics: Statistics, visitor: Visitor, m_step: Callable[[Statistics, GMM], Update[GMM]]
) -> Update[Visitor]:
    """Maximize, note what the lists had lost, and take reseeded components onto them."""
    update, behind, kept = m_step(statistics, visitor.model), visitor.behind, visitor.kept
    lost = {"selection_loss": float(np.mean([behind[i] for i in sorted(behind)]))} if behind else {}
    if update.source is not None:
        kept = {i: _regrown(pairs, update.source) for i, pairs in kept.items()}
    return Update(replace(visitor, model=update.model, exact=False, kept=kept, behind={}), {**update.notes, **lost})

"""Frames and the components that each of them visits, compiled: the lists under Gaussian selection.

An exact E-step notes, for each frame, which components took more than a threshold of it. A listed one evaluates only
these pairs, each component over its own list of frames, so that its cost hardly grows with K. Symbols: N frames, K
components, P frames and components in pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.mixture import kernels
from speechgmm.mixture.registers import add_moments, log_densities
from speechgmm.mixture.vectors import compiled, exp, larger

Array = NDArray[Any]
Sums = tuple[Array, Array, Array, float]

__all__ = ["Pairs", "exact", "listed", "regrown"]

UNDER = "3af099fb6e294fe0"
"""Names the text of `vectors`, `registers` and `kernels`, as there."""
UNIT = 1024
"""Frames whose pairs are kept together: a multiple of the blocks of the exact E-step."""
FLUSH = 4
"""Units whose float32 sums are kept before they are added in float64."""


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


def exact(x: Array, t: kernels.Terms, k: int, threshold: float) -> tuple[Sums, list[Pairs]]:
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


def listed(x: Array, t: kernels.Terms, k: int, kept: list[Pairs]) -> Sums:
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


def regrown(kept: list[Pairs], source: Array) -> list[Pairs]:
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

"""Frames and the components that each of them visits: the E-step under Gaussian selection.

An exact E-step notes, for each frame, which components took more than a threshold of it. A listed one evaluates only
these pairs, each component over its own list of frames, so that its cost hardly grows with K. Symbols: N frames, K
components (padded to whole vectors), P frames and components in pairs.
"""

from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture.compiled.e_step import NEVER, CompiledEStep, Sums, summed_log
from speechgmm.mixture.statistics import Statistics

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


def exact_statistics(x: Array, e_step: CompiledEStep, threshold: float) -> tuple[Statistics, list[Pairs]]:
    """Return the statistics of frames (N, D), and the pairs whose posteriors are above the threshold."""
    from speechgmm.mixture.compiled import loops

    padded = e_step.layout.matrix.shape[1]
    frames, counts = np.empty((padded, UNIT + 32), np.uint16), np.zeros(padded, np.int32)
    best = np.empty(e_step.layout.block_size, e_step.layout.kind)
    pairs: list[Pairs] = []
    done = 0

    def listen(lists: tuple[Array, Array, Array], n: int) -> None:
        nonlocal done
        loops.keep(lists, threshold, done % UNIT, frames, counts, best)
        done += n
        if done % UNIT == 0 or done == len(x):
            packed = np.empty(counts.sum(), np.uint16)
            loops.pack(frames, counts, packed)
            pairs.append(Pairs(counts.astype(np.uint16), packed, (done - 1) % UNIT + 1))
            counts[:] = 0

    return e_step.statistics(x, listen=listen), pairs


def listed_statistics(x: Array, e_step: CompiledEStep, kept: list[Pairs]) -> Statistics:
    """Return the statistics of frames (N, D) over the pairs that are kept."""
    from speechgmm.mixture.compiled import loops

    t = e_step.layout
    rows = np.zeros((t.matrix.shape[1], 2 * t.half), t.kind)
    rows[:, : len(t.matrix)] = t.matrix.T
    sums = Sums.of(t)
    log_likelihood = 0.0
    for i, (z, pairs) in enumerate(zip(t.prepared(x, UNIT), kept, strict=True), 1):
        top, total = np.full(len(z), NEVER, t.kind), np.zeros(len(z), t.kind)
        joint = np.zeros(len(pairs.frames), t.kind)
        loops.visit(z, rows, (pairs.counts, pairs.frames, joint), top, total, sums.sums)
        log_likelihood += summed_log(top, total)
        if i % FLUSH == 0:
            sums.flush()
    return sums.statistics(e_step, log_likelihood, len(x))


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

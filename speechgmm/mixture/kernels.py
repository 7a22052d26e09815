"""The compiled diagonal E-step: the only place where speed may cost plainness.

A block of frames goes through one matrix product for all log densities, one pass for log-sum-exp and posteriors, and
one sum over the posteriors that matter: on speech a frame gives more than rounding to a few dozen of hundreds of
components, so the second dense product of the textbook is saved. No (N, K) array exists; scratch is fixed by CELLS.

Float32 frames are handled in float32 and summed in float64 every few blocks; where the expanded square would lose more
than `TOLERANCE` nats to rounding, and for float64 frames, all is float64. Symbols: n frames of a block, K components
(padded to whole vectors), D dimensions, z = [y**2, y, 1] with y = (x - origin) * scale, scale a power of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.mixture.vectors import above, compiled, exp, larger, lowest

Array = NDArray[Any]

CELLS = 1 << 17
"""Log densities held at once: they stay in a core's cache. A block has 256 to 1024 frames."""
FLUSH = 2048
"""Frames whose float32 sums are kept before they are added in float64."""
LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
"""Numbers in 512 bits; processors with narrower vectors take two or four steps."""
TOLERANCE = 1e-3
"""What float32 may lose of a log density to rounding, in nats; beyond it the arithmetic is float64."""
REACH = {np.dtype(np.float32): 1e10, np.dtype(np.float64): 1e100}
"""Frames farther out than this many deviations of the mixture are refused: their density is zero."""
NEVER = -1e30
"""The log weight of a component that must not count: of weight zero, or there to fill a vector."""


@compiled
def _prepare(x: Array, origin: Array, scale: Array, z: Array) -> float:
    """Fill z (n, 2 D + 1) with y**2, y, 1; return the largest deviation."""
    dimensions = x.shape[1]
    far = 0.0
    for i in range(len(x)):
        for d in range(dimensions):
            y = (np.float64(x[i, d]) - origin[d]) * scale[d]
            far = max(far, abs(y))
            z[i, dimensions + d] = y
            z[i, d] = z[i, dimensions + d] * z[i, dimensions + d]
        z[i, 2 * dimensions] = 1
    return far


@compiled
def _exponentials(joint: Array, highest: Array, total: Array) -> None:
    """Replace joint (n, K) by exp(joint - row maximum); give the maxima and the sums of the rows."""
    n, k = joint.shape
    for i in range(n):
        row = joint[i]
        top = row[0]
        for c in range(k):
            top = larger(top, row[c])
        s = joint.dtype.type(0)
        for c in range(k):
            e = exp(row[c] - top)
            row[c] = e
            s += e
        highest[i], total[i] = top, s


@compiled
def _select(joint: Array, total: Array, lanes: int, index: Array, starts: Array) -> None:
    """List the components of each frame whose posteriors are above rounding; starts (n + 1,) are its places."""
    n, k = joint.shape
    least = joint.dtype.type(np.finfo(joint.dtype).eps / 4)
    count = 0
    for i in range(n):
        starts[i] = count
        row, floor = joint[i], total[i] * least
        for start in range(0, k, lanes):
            bits = above(row, start, floor)
            while bits:
                index[count] = start + lowest(bits)
                bits &= bits - 1
                count += 1
    starts[n] = count


@compiled
def _accumulate(z: Array, joint: Array, total: Array, lists: Any, order: Any, sums: Array) -> None:
    """Add posterior * z to the sums (K, width) of the components listed, four frames of a component at a time."""
    index, starts = lists
    frame, share, places = order
    k, width = sums.shape
    places[:] = 0
    for a in range(starts[len(z)]):
        places[index[a] + 1] += 1
    for c in range(k):
        places[c + 1] += places[c]
    for i in range(len(z)):
        inverse = 1 / total[i]
        for a in range(starts[i], starts[i + 1]):
            c = index[a]
            place = places[c]
            frame[place], share[place] = i, joint[i, c] * inverse
            places[c] = place + 1
    a = 0
    for c in range(k):
        row, end = sums[c], places[c]
        while a + 4 <= end:
            z0, z1, z2, z3 = z[frame[a]], z[frame[a + 1]], z[frame[a + 2]], z[frame[a + 3]]
            p0, p1, p2, p3 = share[a], share[a + 1], share[a + 2], share[a + 3]
            for d in range(width):
                row[d] += (p0 * z0[d] + p1 * z1[d]) + (p2 * z2[d] + p3 * z3[d])
            a += 4
        while a < end:
            z0, p0 = z[frame[a]], share[a]
            for d in range(width):
                row[d] += p0 * z0[d]
            a += 1


@compiled
def _flush(sums: Array, result: Array) -> None:
    """Add sums to the float64 result, and start them anew."""
    for c in range(sums.shape[0]):
        for d in range(sums.shape[1]):
            result[c, d] += sums[c, d]
            sums[c, d] = 0


@dataclass(frozen=True, eq=False)
class Terms:
    """A mixture as the kernels want it.

    Parameters
    ----------
    matrix : ndarray, shape (2 D + 1, K padded to whole vectors)
        Coefficients of log(weight * density) in [y**2, y, 1]; its type is that of the arithmetic.
    origin, scale : ndarray, shape (D,)
        y = (x - origin) * scale.
    """

    matrix: Array
    origin: Array
    scale: Array


def terms(parameters: tuple[Array, Array, Array], origin: Array, dtype: Any) -> Terms:
    """Lay out weights (K,), offsets (K, D) and variances (K, D) for frames of a type.

    The scale is the power of two next to the mixture's deviation in each dimension, so that scaling is exact.
    """
    weights, offsets, variances = parameters
    k, d = offsets.shape
    scale = np.exp2(-np.rint(0.5 * np.log2(weights @ (variances + offsets**2))))
    scaled, precisions = offsets * scale, 1.0 / (variances * scale**2)
    square = (scaled**2 * precisions).sum(axis=1)
    single = dtype == np.float32 and float(np.finfo(np.float32).eps) * square.max() <= TOLERANCE
    kind = np.dtype(np.float32 if single else np.float64)
    matrix = np.zeros((2 * d + 1, _padded(k, kind)))
    matrix[:d, :k], matrix[d : 2 * d, :k] = -0.5 * precisions.T, (scaled * precisions).T
    matrix[-1] = NEVER
    used = weights > 0
    constant = -0.5 * (d * np.log(2 * np.pi) + np.log(variances).sum(axis=1) + square)
    matrix[-1, :k][used] = np.log(weights[used]) + constant[used]
    return Terms(matrix.astype(kind), origin, scale)


def _padded(n: int, kind: Any) -> int:
    """Return the least multiple of a whole vector that holds n numbers."""
    return -(-n // LANES[kind]) * LANES[kind]


def _block_size(t: Terms) -> int:
    """Return how many frames are handled at once: fixed by the number of components alone."""
    columns: int = t.matrix.shape[1]
    return min(1024, max(256, CELLS // columns))


def _blocks(x: Array, t: Terms) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield for each block z (n, width), exp(joint - top) (n, K), top (n,) and the sums over components (n,)."""
    kind, columns = t.matrix.dtype, len(t.matrix)
    width = _padded(columns, kind)
    step = _block_size(t)
    room = min(step, len(x))
    z, joint = np.zeros((room, width), kind), np.empty((room, t.matrix.shape[1]), kind)
    top, total = np.empty(room, kind), np.empty(room, kind)
    for start in range(0, len(x), step):
        block = x[start : start + step]
        n = len(block)
        if not _prepare(block, t.origin, t.scale, z) < REACH[kind]:
            far = start + int(np.abs((block - t.origin) * t.scale).max(axis=1).argmax())
            refuse("every frame", "be within reach of the model", f"frame {far} of a block, whose density is zero")
        np.matmul(z[:n, :columns], t.matrix, out=joint[:n])
        _exponentials(joint[:n], top, total)
        yield z[:n], joint[:n], top[:n], total[:n]


def log_sum(joint: Array) -> Array:
    """Return log(sum(exp(row))) of each row of a float32 or float64 matrix, float64; the matrix is used up."""
    top, total = np.empty(len(joint), joint.dtype), np.empty(len(joint), joint.dtype)
    _exponentials(joint, top, total)
    result: Array = top + np.log(total.astype(np.float64))
    return result


def log_density(x: Array, t: Terms) -> Array:
    """Return the log density of frames (N, D), shape (N,), float64."""
    parts = [top + np.log(total.astype(np.float64)) for _, _, top, total in _blocks(x, t)]
    return np.concatenate(parts) if parts else np.zeros(0)


def statistics(x: Array, t: Terms, k: int) -> tuple[Array, Array, Array, float]:
    """Return counts (K,), first and second moments about the origin (K, D), and the summed log density."""
    kind, d = t.matrix.dtype, len(t.scale)
    padded = t.matrix.shape[1]
    step = _block_size(t)
    room = min(step, len(x)) * padded
    lists = np.empty(room, np.int32), np.empty(step + 1, np.int64)
    order = np.empty(room, np.int32), np.empty(room, kind), np.empty(padded + 1, np.int64)
    width = _padded(len(t.matrix), kind)
    sums, result = np.zeros((padded, width), kind), np.zeros((padded, width))
    log_likelihood = 0.0
    for i, (z, joint, top, total) in enumerate(_blocks(x, t), 1):
        log_likelihood += float(top.sum(dtype=np.float64) + np.log(total.astype(np.float64)).sum())
        _select(joint, total, LANES[kind], *lists)
        _accumulate(z, joint, total, lists, order, sums)
        if i * step % FLUSH == 0:
            _flush(sums, result)
    _flush(sums, result)
    return result[:k, 2 * d], result[:k, d : 2 * d] / t.scale, result[:k, :d] / t.scale**2, log_likelihood

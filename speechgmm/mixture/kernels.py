"""The compiled diagonal E-step: the only place where speed may cost plainness.

A block of frames goes through one matrix product for all log densities, one pass for log-sum-exp and posteriors, and
one sum over the posteriors that matter: on speech a frame gives more than rounding to a few dozen of hundreds of
components, so the second dense product of the textbook is saved, and the square of a frame is taken in registers.
No (N, K) array exists; scratch is fixed by CELLS.

Float32 frames are handled in float32 and summed in float64 every few blocks; where the expanded square would lose more
than `TOLERANCE` nats to rounding, and for float64 frames, all is float64. Symbols: n frames of a block, K components
(padded to whole vectors), D dimensions, P = D + 1 padded, y = (x - origin) * scale with scale a power of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.mixture.registers import add_moments
from speechgmm.mixture.vectors import above, compiled, exp, larger, lowest

Array = NDArray[Any]

UNDER = "4a16257a8c47b35c"
"""Names the text of `vectors` and `registers`: numba compiles this file anew when its own text changes, not theirs."""
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
def _prepare(z: Array, origin: Array, scale: Array, dimensions: int) -> float:
    """Turn rows [x, ...] of z (n, 2 P) into [y, 1, 0, ... | y**2, 1, 0, ...]; return the largest deviation."""
    half = len(origin)
    far = z.dtype.type(0)
    for i in range(len(z)):
        row = z[i]
        for d in range(half):
            row[d] = (np.float64(row[d]) - origin[d]) * scale[d]
        for d in range(half):
            far = larger(far, abs(row[d]))
        row[dimensions] = 1
        for d in range(half):
            row[half + d] = row[d] * row[d]
    return far  # type: ignore[no-any-return]


@compiled
def _log_sums(joint: Array, top: Array, total: Array) -> None:
    """Give the maximum of each row of joint (n, K), and the sum of exp(row - maximum)."""
    n, k = joint.shape
    for i in range(n):
        row = joint[i]
        high = row[0]
        for c in range(k):
            high = larger(high, row[c])
        s = joint.dtype.type(0)
        for c in range(k):
            s += exp(row[c] - high)
        top[i], total[i] = high, s


@compiled
def add_log_sums(joint: Array, shared: Array, frame: Array, top: Array, total: Array) -> None:
    """Add rows joint + shared, (P, S) and (P,), to the sums of exponentials of their frames (P,).

    The sum of frame n is exp(top[n]) * total[n], (S,): top rises to the largest addend, so that nothing overflows.
    """
    for i in range(len(joint)):
        row, high, sums = joint[i], top[frame[i]], total[frame[i]]
        for s in range(len(row)):
            value = row[s] + shared[i]
            excess = value - high[s]
            e = exp(-abs(excess))
            sums[s] = sums[s] * e + 1 if excess > 0 else sums[s] + e
            high[s] = larger(high[s], value)


@compiled
def _posteriors(joint: Array, lanes: int, lists: Any, top: Array, total: Array) -> None:
    """As `_log_sums`, and list for each component its frames and posteriors, where these are above rounding.

    joint is used up. lists: frame (K, room) and share (K, room), of which the first used (K,) count.
    """
    n, k = joint.shape
    frame, share, used = lists
    least = joint.dtype.type(np.finfo(joint.dtype).eps / 4)
    used[:] = 0
    for i in range(n):
        row = joint[i]
        high = row[0]
        for c in range(k):
            high = larger(high, row[c])
        s = joint.dtype.type(0)
        for c in range(k):
            e = exp(row[c] - high)
            row[c] = e
            s += e
        top[i], total[i] = high, s
        inverse = 1 / s
        for start in range(0, k, 64):
            bits = 0
            for part in range(start, min(start + 64, k), lanes):
                bits |= above(row, part, s * least) << (part - start)
            while bits:
                c = start + lowest(bits)
                bits &= bits - 1
                place = used[c]
                frame[c, place], share[c, place] = i, row[c] * inverse
                used[c] = place + 1


@compiled
def _accumulate(z: Array, lists: Any, sums: Array) -> None:
    """Add posterior * [y, 1, 0, ... | y**2, 1, 0, ...] of the frames listed to the sums (K, 2 P)."""
    frame, share, used = lists
    for c in range(len(used)):
        add_moments(sums, c, z, frame, share, c * frame.shape[1], used[c])


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
    matrix : ndarray, shape (P + D, K padded to whole vectors)
        Coefficients of log(weight * density) in [y, 1, 0, ... | y**2]; its type is that of the arithmetic.
    origin, scale : ndarray, shape (P,)
        y = (x - origin) * scale, taken in float64; P is D + 1 padded to whole vectors.
    dimensions : int
        D.
    """

    matrix: Array
    origin: Array
    scale: Array
    dimensions: int

    @property
    def half(self) -> int:
        """P."""
        return len(self.origin)

    @property
    def kind(self) -> Any:
        """The type of the arithmetic."""
        return self.matrix.dtype


def terms(parameters: tuple[Array, Array, Array], origin: Array, dtype: Any) -> Terms:
    """Lay out weights (K,), offsets (K, D) and variances (K, D) for frames of a type.

    The scale is the power of two next to the mixture's deviation in each dimension, so that scaling is exact.
    """
    weights, offsets, variances = parameters
    k, d = offsets.shape
    scale = np.exp2(-np.rint(0.5 * np.log2(weights @ (variances + offsets**2))))
    kind = np.dtype(np.float32 if dtype == np.float32 and _single(offsets, variances) else np.float64)
    scaled, precisions = offsets * scale, 1.0 / (variances * scale**2)
    half = _padded(d + 1, kind)
    matrix = np.zeros((half + d, _padded(k, kind)))
    matrix[:d, :k], matrix[half:, :k] = (scaled * precisions).T, -0.5 * precisions.T
    matrix[d] = NEVER
    used = weights > 0
    constant = -0.5 * (d * np.log(2 * np.pi) + np.log(variances).sum(axis=1) + (scaled**2 * precisions).sum(axis=1))
    matrix[d, :k][used] = np.log(weights[used]) + constant[used]
    padding = (0, half - d)
    return Terms(matrix.astype(kind), np.pad(origin, padding), np.pad(scale, padding), d)


def _single(offsets: Array, variances: Array) -> bool:
    """Return whether float32 loses no more than TOLERANCE in the expanded square."""
    return bool(np.finfo(np.float32).eps * (offsets**2 / variances).sum(axis=1).max() <= TOLERANCE)


def _padded(n: int, kind: Any) -> int:
    """Return the least multiple of a whole vector that holds n numbers."""
    return -(-n // LANES[kind]) * LANES[kind]


def block_size(t: Terms) -> int:
    """Return how many frames are handled at once, 256, 512 or 1024: fixed by the number of components alone."""
    fitting = CELLS // t.matrix.shape[1]
    return 1024 if fitting >= 1024 else 512 if fitting >= 512 else 256


def _blocks(x: Array, t: Terms) -> Iterator[tuple[Array, Array]]:
    """Yield for each block z (n, 2 P) and the log joint densities (n, K), both used again for the next."""
    joint = np.empty((min(block_size(t), len(x)), t.matrix.shape[1]), t.kind)
    for z in prepared(x, t, block_size(t)):
        np.matmul(z[:, : len(t.matrix)], t.matrix, out=joint[: len(z)])
        yield z, joint[: len(z)]


def prepared(x: Array, t: Terms, step: int) -> Iterator[Array]:
    """Yield z = [y, 1, 0, ... | y**2, 1, 0, ...] (n, 2 P) of `step` frames at a time, used again for the next."""
    d = t.dimensions
    z = np.zeros((min(step, len(x)), 2 * t.half), t.kind)
    for start in range(0, len(x), step):
        block = x[start : start + step]
        n = len(block)
        z[:n, :d] = block
        if not _prepare(z[:n], t.origin, t.scale, d) < REACH[t.kind]:
            far = start + int(np.abs((block - t.origin[:d]) * t.scale[:d]).max(axis=1).argmax())
            refuse("every frame", "be within reach of the model", f"frame {far} of a block, whose density is zero")
        yield z[:n]


def log_sum(joint: Array) -> Array:
    """Return log(sum(exp(row))) of each row of a float32 or float64 matrix, float64."""
    top, total = np.empty(len(joint), joint.dtype), np.empty(len(joint), joint.dtype)
    _log_sums(joint, top, total)
    result: Array = top + np.log(total.astype(np.float64))
    return result


def log_density(x: Array, t: Terms) -> Array:
    """Return the log density of frames (N, D), shape (N,), float64."""
    parts = [log_sum(joint) for _, joint in _blocks(x, t)]
    return np.concatenate(parts) if parts else np.zeros(0)


@dataclass(frozen=True, eq=False)
class Sums:
    """The moments that blocks have given so far: float32 sums, added in float64 every few blocks."""

    sums: Array
    result: Array

    @classmethod
    def of(cls, t: Terms) -> Sums:
        """Return sums of nothing."""
        shape = t.matrix.shape[1], 2 * t.half
        return cls(np.zeros(shape, t.kind), np.zeros(shape))

    def flush(self) -> None:
        """Add the sums to the float64 result, and start them anew."""
        _flush(self.sums, self.result)

    def moments(self, t: Terms, k: int) -> tuple[Array, Array, Array]:
        """Return counts (K,), first and second moments about the origin (K, D)."""
        self.flush()
        d, scale, total = t.dimensions, t.scale[: t.dimensions], self.result[:k]
        return total[:, d], total[:, :d] / scale, total[:, t.half : t.half + d] / scale**2


Listener = Callable[[tuple[Array, Array, Array], int], None]


def statistics(x: Array, t: Terms, k: int, listen: Listener | None = None) -> tuple[Array, Array, Array, float]:
    """Return counts (K,), first and second moments about the origin (K, D), and the summed log density.

    `listen` is called after each block with its lists (see `_posteriors`) and how many frames it has.
    """
    padded, step = t.matrix.shape[1], block_size(t)
    room = min(step, len(x)) + LANES[t.kind]  # rows a power of two apart would share few lines of the cache
    lists = np.empty((padded, room), np.int32), np.empty((padded, room), t.kind), np.empty(padded, np.int64)
    top, total, sums = np.empty(step, t.kind), np.empty(step, t.kind), Sums.of(t)
    log_likelihood = 0.0
    for i, (z, joint) in enumerate(_blocks(x, t), 1):
        _posteriors(joint, LANES[t.kind], lists, top, total)
        _accumulate(z, lists, sums.sums)
        log_likelihood += summed_log(top[: len(z)], total[: len(z)])
        if listen:
            listen(lists, len(z))
        if i * step % FLUSH == 0:
            sums.flush()
    return *sums.moments(t, k), log_likelihood


def summed_log(top: Array, total: Array) -> float:
    """Return the sum of top + log(total) in float64."""
    return float(top.sum(dtype=np.float64) + np.log(total.astype(np.float64)).sum())

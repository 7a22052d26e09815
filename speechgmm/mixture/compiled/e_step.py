"""The E-step of mixtures whose features are independent, by compiled loops.

A block of frames goes through one matrix product for all log densities, one pass for log-sum-exp and posteriors, and
one sum over the posteriors that matter: on speech a frame gives more than rounding to a few dozen of hundreds of
components, so the second dense product of the textbook is saved, and the square of a frame is taken in registers.
No (N, K) array exists; scratch is fixed by CELLS.

Float32 frames are handled in float32 and summed in float64 every few blocks. Components so narrow, and so far from the
origin, that their expanded square would lose more than `TOLERANCE` nats to rounding are handled beside them in float64:
their log densities are put into those of the others, and their moments are taken apart. For float64 frames, and where
more than one component in `FEW` is narrow, all is float64. Symbols: n frames of a block, K components
(padded to whole vectors), D dimensions, P = D + 1 padded, y = (x - origin) * scale with scale a power of two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array, refuse
from speechgmm.mixture.e_step import EStep, Gaussians
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

CELLS = 1 << 17
"""Log densities held at once: they stay in a core's cache. A block has 256 to 1024 frames."""
FLUSH = 2048
"""Frames whose float32 sums are kept before they are added in float64."""
LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
"""Numbers in 512 bits; processors with narrower vectors take two or four steps."""
TOLERANCE = 1e-3
"""What float32 may lose of a log density to rounding, in nats; beyond it the arithmetic is float64."""
HELD = 1e15
"""Precisions from here on, in units of the mixture's, are not for float32: times the square of a far frame."""
FEW = 8
"""Up to one component in so many is handled apart; where more are narrow, float64 for all is as fast."""
REACH = {np.dtype(np.float32): 1e10, np.dtype(np.float64): 1e150}
"""Frames farther out than this many deviations of the mixture are refused: their density is zero."""
NEVER = -1e30
"""The log weight of a component that must not count: of weight zero, or there to fill a vector."""

Listener = Callable[[tuple[Array, Array, Array], int], None]


@dataclass(frozen=True, eq=False)
class Layout:
    """A mixture as the loops want it.

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

    @classmethod
    def of(
        cls, weights: Array, offsets: Array, variances: Array, origin: Array, scale: Array, *, kind: Any
    ) -> "Layout":
        """Lay out weights (K,), offsets (K, D) and variances (K, D) for arithmetic of a type."""
        k, d = offsets.shape
        used = weights > 0
        # what counts for nothing has no coefficients: float32 may not hold them
        scaled, precisions = offsets * scale, used[:, None] / (variances * scale**2)
        half = _padded(d + 1, kind)
        matrix = np.zeros((half + d, _padded(k, kind)))
        matrix[:d, :k], matrix[half:, :k] = (scaled * precisions).T, -0.5 * precisions.T
        matrix[d] = NEVER
        constant = -0.5 * (d * np.log(2 * np.pi) + np.log(variances).sum(axis=1) + (scaled**2 * precisions).sum(axis=1))
        matrix[d, :k][used] = np.log(weights[used]) + constant[used]
        padding = (0, half - d)
        return cls(matrix.astype(kind), np.pad(origin, padding), np.pad(scale, padding), d)

    @property
    def half(self) -> int:
        """P."""
        return len(self.origin)

    @property
    def kind(self) -> Any:
        """The type of the arithmetic."""
        return self.matrix.dtype

    @property
    def block_size(self) -> int:
        """How many frames are handled at once, 256, 512 or 1024: fixed by the number of components alone."""
        fitting = CELLS // self.matrix.shape[1]
        return 1024 if fitting >= 1024 else 512 if fitting >= 512 else 256

    def prepared(self, x: Array, step: int) -> Iterator[Array]:
        """Yield z = [y, 1, 0, ... | y**2, 1, 0, ...] (n, 2 P) of `step` frames at a time, used again for the next."""
        from speechgmm.mixture.compiled import loops

        d = self.dimensions
        z = np.zeros((min(step, len(x)), 2 * self.half), self.kind)
        for start in range(0, len(x), step):
            block = x[start : start + step]
            n = len(block)
            z[:n, :d] = block
            if not loops.prepare(z[:n], self.origin, self.scale, d) < REACH[self.kind]:
                far = start + int(np.abs((block - self.origin[:d]) * self.scale[:d]).max(axis=1).argmax())
                refuse("every frame", "be within reach of the model", f"frame {far} of a block, whose density is zero")
            yield z[:n]

    def blocks(self, x: Array, step: int) -> Iterator[tuple[Array, Array]]:
        """Yield for each block z (n, 2 P) and the log joint densities (n, K), both used again for the next."""
        joint = np.empty((min(step, len(x)), self.matrix.shape[1]), self.kind)
        for z in self.prepared(x, step):
            np.matmul(z[:, : len(self.matrix)], self.matrix, out=joint[: len(z)])
            yield z, joint[: len(z)]


@dataclass(frozen=True, eq=False)
class CompiledEStep(EStep):
    """A mixture of independent features made ready for frames of one type.

    Parameters
    ----------
    layout : Layout
        All components; the narrow ones, if any, count for nothing in it.
    narrow : Narrow, optional
        Those that are handled apart.
    """

    layout: Layout
    narrow: "Narrow | None" = None

    @classmethod
    def of(
        cls, covariance: Gaussians, weights: Array, variances: Array, offsets: Array, origin: Array, dtype: Any
    ) -> "CompiledEStep":
        """Lay out weights (K,), variances (K, D) and offsets (K, D) for frames of a type.

        The scale is the power of two next to the mixture's deviation in each dimension, so that scaling is exact.
        """
        scale = np.exp2(-np.rint(0.5 * np.log2(weights @ (variances + offsets**2))))
        is_narrow = narrow((offsets**2 / variances).sum(axis=1), 1.0 / (variances * scale**2).min(axis=1))
        apart = np.flatnonzero(is_narrow)
        single = dtype == np.float32 and FEW * len(apart) <= len(weights)
        kind = np.dtype(np.float32 if single else np.float64)
        beside, others = None, weights
        if single and len(apart):
            parts = weights[apart], offsets[apart], variances[apart]
            beside = Narrow(apart, Layout.of(*parts, origin, scale, kind=np.dtype(np.float64)))
            others = np.where(is_narrow, 0.0, weights)
        layout = Layout.of(others, offsets, variances, origin, scale, kind=kind)
        return cls(covariance, weights, offsets, origin, layout, beside)

    def blocks(self, x: Array) -> Iterator[tuple[Array, Array, Array | None]]:
        """Yield for each block z (n, 2 P), the log joint densities (n, K), and z as the narrow components have it."""
        step = self.layout.block_size
        blocks = self.layout.blocks(x, step)
        if self.narrow is None:
            yield from ((z, joint, None) for z, joint in blocks)
            return
        for (z, joint), (exact, some) in zip(blocks, self.narrow.layout.blocks(x, step), strict=True):
            joint[:, self.narrow.components] = some[:, : len(self.narrow.components)]
            yield z, joint, exact

    @one_thread
    def log_density(self, x: Array) -> Array:
        """Return the log density of each frame, shape (N,), float64, in nats."""
        return np.concatenate([log_sums(joint) for _, joint, _ in self.blocks(x)] or [np.zeros(0)])

    @one_thread
    def statistics(self, x: Array, sample_weight: Array | None = None, *, listen: Listener | None = None) -> Statistics:
        """Return the sufficient statistics of the frames; where weights (N,) are given, by the plain form.

        `listen` is called after each block with its lists (see `loops.list_posteriors`) and how many frames it has.
        """
        if sample_weight is not None:
            return super().statistics(x, sample_weight)
        from speechgmm.mixture.compiled import loops

        t = self.layout
        padded, step = t.matrix.shape[1], t.block_size
        length = min(step, len(x)) + LANES[t.kind]  # rows a power of two apart would share few lines of the cache
        lists = np.empty((padded, length), np.int32), np.zeros((padded, length), t.kind), np.empty(padded, np.int64)
        top, total, sums = np.empty(step, t.kind), np.empty(step, t.kind), Sums.of(t)
        apart = None if self.narrow is None else Sums.of(self.narrow.layout)
        log_likelihood = 0.0
        for i, (z, joint, exact) in enumerate(self.blocks(x), 1):
            loops.list_posteriors(joint, LANES[t.kind], lists, top, total)
            loops.accumulate(z, lists, sums.sums)
            if self.narrow is not None and apart is not None:
                loops.accumulate(exact, self.narrow.listed(lists), apart.sums)
            log_likelihood += summed_log(top[: len(z)], total[: len(z)])
            if listen:
                listen(lists, len(z))
            if i * step % FLUSH == 0:
                sums.flush()
        found = sums.statistics(self, log_likelihood, len(x))
        return found if self.narrow is None or apart is None else self.narrow.put(apart, found)


@dataclass(frozen=True, eq=False)
class Narrow:
    """Components that are handled in float64 beside the others: their numbers (C,), and their own layout."""

    components: Array
    layout: Layout

    def listed(self, lists: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """Return the lists of these components, out of those of all (see `loops.list_posteriors`)."""
        frame, share, used = lists
        return frame[self.components], share[self.components].astype(np.float64), used[self.components]

    def put(self, sums: "Sums", statistics: Statistics) -> Statistics:
        """Return statistics of all components in which the moments of these are their own."""
        counts, first, second = sums.moments(self.layout, len(self.components))
        every = (statistics.counts.copy(), statistics.first.copy(), statistics.second.copy())
        for whole, part in zip(every, (counts, first, second), strict=True):
            whole[self.components] = part
        return Statistics.computed(statistics.origin, *every, statistics.log_likelihood, statistics.frames)


@dataclass(frozen=True, eq=False)
class Sums:
    """The moments that blocks have given so far: sums in the type of the frames, added in float64 every few blocks."""

    sums: Array
    result: Array

    @classmethod
    def of(cls, layout: Layout) -> "Sums":
        """Return sums of nothing."""
        shape = layout.matrix.shape[1], 2 * layout.half
        return cls(np.zeros(shape, layout.kind), np.zeros(shape))

    def flush(self) -> None:
        """Add the sums to the float64 result, and start them anew."""
        from speechgmm.mixture.compiled import loops

        loops.flush(self.sums, self.result)

    def moments(self, layout: Layout, k: int) -> tuple[Array, Array, Array]:
        """Return counts (K,), first and second moments (K, D) of the first K components, in the units of the frames."""
        self.flush()
        total, d, scale = self.result[:k], layout.dimensions, layout.scale[: layout.dimensions]
        return (
            np.ascontiguousarray(total[:, d]),
            total[:, :d] / scale,
            total[:, layout.half : layout.half + d] / scale**2,
        )

    def statistics(self, e_step: CompiledEStep, log_likelihood: float, frames: int) -> Statistics:
        """Return the sums as statistics of so many frames."""
        moments = self.moments(e_step.layout, len(e_step.weights))
        return Statistics.computed(e_step.origin, *moments, log_likelihood, float(frames))


def narrow(squares: Array, precisions: Array) -> NDArray[np.bool_]:
    """Return which components are not for float32 where a square is expanded.

    Parameters
    ----------
    squares : array
        Of each component, the squared offset of its mean from the origin in its own deviations, over all dimensions.
    precisions : array, broadcast with the squares
        The largest of its precisions, in the units of the arithmetic.
    """
    return np.asarray((np.finfo(np.float32).eps * squares > TOLERANCE) | (precisions >= HELD))


def _padded(n: int, kind: Any) -> int:
    """Return the least multiple of a whole vector that holds n numbers."""
    return -(-n // LANES[kind]) * LANES[kind]


def log_sums(joint: Array) -> Array:
    """Return log(sum(exp(row))) of each row of a float32 or float64 matrix, float64."""
    from speechgmm.mixture.compiled import loops

    top, total = np.empty(len(joint), joint.dtype), np.empty(len(joint), joint.dtype)
    loops.exponential_sums(joint, top, total)
    return np.asarray(top + np.log(total.astype(np.float64)))


def summed_log(top: Array, total: Array) -> float:
    """Return the sum of top + log(total) in float64."""
    return float(top.sum(dtype=np.float64) + np.log(total.astype(np.float64)).sum())

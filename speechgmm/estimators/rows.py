"""The rows that an estimator learns from or answers for, in blocks. Symbols: N rows, D features."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import LARGEST, SMALLEST, Array, refuse, sample_weights
from speechgmm.errors import InvalidInput
from speechgmm.mixture.blocks import ArrayBlocks, WeightedBlock, weighted
from speechgmm.mixture.missing import observed_statistics
from speechgmm.parallel import allowed_cores, threads

ADVICE = "Choose another unit for them."
BLOCK = 8192
"""The most rows of a block, whatever the number of threads."""
WORTH_THREADS = 2_000_000
"""N K (D + 10) from which threads take less time than it takes to start them: a few milliseconds of one thread."""


@dataclass(frozen=True, eq=False)
class RowBlocks(ArrayBlocks):
    """Blocks of rows: frames (N, D) are float32 or float64, NaN where a value is missing; weights above 0.

    Up to 8192 rows are one block; more are an even number of blocks as equal as can be, so that two threads share them.
    """

    def __post_init__(self) -> None:
        """Choose the size of blocks by the number of rows."""
        n = len(self.frames)
        pairs = -(-n // (2 * BLOCK))
        object.__setattr__(self, "size", n if 0 < n <= BLOCK else -(-n // max(2 * pairs, 1)) or 1)
        super().__post_init__()

    @classmethod
    def counted(cls, x: Array, sample_weight: ArrayLike | None) -> Self:
        """Return the rows of `x` (N, D) that count: of a weight above 0, with some value that is not missing.

        Raises
        ------
        InvalidInput
            If weights are negative, not finite, of another shape or all zero; or entries too large to be squared.
        """
        largest = max(-float(x.min(initial=0.0)), float(x.max(initial=0.0)))
        some = np.isnan(largest)
        if some:
            largest = float(np.nanmax(np.abs(x), initial=0.0))
        if largest > LARGEST:
            refuse("features", f"be at most {LARGEST:g} in size", f"{largest:g}", ADVICE)
        kept = ~np.isnan(x).all(axis=1) if some else np.ones(len(x), bool)
        weights = None if sample_weight is None else sample_weights(sample_weight, len(x))
        if weights is not None:
            kept &= weights > 0
        if not kept.any():
            refuse("some row", "have a value, and a weight that is not zero", "none")
        if not kept.all():
            x, weights = x[kept], None if weights is None else weights[kept]
        return cls(x, weights=weights)

    @cached_property
    def incomplete(self) -> bool:
        """Whether any value is missing."""
        return has_missing(self.frames)

    @property
    def e_step(self) -> Callable[[Any, Any], Any]:
        """The E-step for `fit`: where values are missing, that on what was observed."""
        return observed_statistics if self.incomplete else _summed

    @property
    def total(self) -> float:
        """How many rows count."""
        return float(len(self.frames) if self.weights is None else self.weights.sum())

    def relative(self) -> Self:
        """Return the rows with weights of mean 1, for what depends on nothing but their ratios."""
        if self.weights is None:
            return self
        shares = self.weights / self.weights.max()
        return replace(self, weights=shares / shares.mean())

    @cached_property
    def mean(self) -> Array:
        """The weighted mean (D,) of the values that are there."""
        total, counts = np.zeros(self.frames.shape[1]), np.zeros(self.frames.shape[1])
        for block in map(weighted, self):
            if self.incomplete:
                there = ~np.isnan(block.frames)
                total += block.weights @ np.where(there, block.frames, 0.0)
                counts += block.weights @ there
            else:
                total += block.weights @ block.frames
                counts += block.weights.sum()
        return np.asarray(total / counts)

    @cached_property
    def variance(self) -> Array:
        """The weighted variance (D,) of the values that are there."""
        return replace(self, frames=np.square(self.frames - self.mean)).mean


def _summed(model: Any, block: Any) -> Any:
    """Return the statistics of rows that have been checked when they were counted."""
    return model.summed(block.frames, block.weights) if isinstance(block, WeightedBlock) else model.summed(block)


def has_missing(x: Array) -> bool:
    """Return whether any of the values is NaN."""
    return bool(np.isnan(x.min(initial=0.0)))


def by_blocks(function: Callable[[Array], Array], x: Array, n_components: int) -> Array:
    """Return what a function of rows and K components gives for all blocks of `x` (N, D), one after the other."""
    n = allowed_threads(x.shape, n_components)
    parts = list((map if n == 1 else threads(n))(function, RowBlocks(x)))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def allowed_threads(shape: tuple[int, ...], n_components: int) -> int:
    """Return how many threads may share rows of a shape (N, D): one where there is little to do with K components."""
    n, d = shape
    if n <= BLOCK or n * n_components * (d + 10) < WORTH_THREADS:
        return 1
    return min(allowed_cores(), -(-n // BLOCK))


def check_enough(rows: RowBlocks, n_components: int) -> None:
    """Say why rows are not enough to start from.

    Raises
    ------
    InvalidInput
        If there are fewer rows than components; if a feature is missing in all of them, or spread too little for
        its squares to be told from zero.
    """
    if len(rows.frames) < n_components:
        found = f"n_components = {n_components}, n_samples = {len(rows.frames)}"
        raise InvalidInput(f"Expected n_samples >= n_components but got {found}")
    empty = np.isnan(rows.frames).all(axis=0) if rows.incomplete else np.zeros(0, bool)
    if empty.any():
        found = f"feature {int(empty.argmax())} missing in all {len(rows.frames)}"
        refuse("every feature", "be there in some row", found, "Remove it.")
    high, low = (np.nanmax, np.nanmin) if rows.incomplete else (np.max, np.min)
    spread = high(rows.frames, axis=0).astype(np.float64) - low(rows.frames, axis=0)
    narrow = (spread > 0) & (spread < SMALLEST)
    if narrow.any():
        feature = int(narrow.argmax())
        rule = f"be constant, or spread over at least {SMALLEST:g}"
        refuse("features", rule, f"a spread of {spread[feature]:g} in feature {feature}", ADVICE)

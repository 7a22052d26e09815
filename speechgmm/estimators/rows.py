"""The rows that an estimator learns from or answers for, in blocks. Symbols: N rows, D features."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import LARGEST, SMALLEST, Array, refuse, sample_weights
from speechgmm.errors import InvalidInput
from speechgmm.mixture.blocks import ArrayBlocks, weighted
from speechgmm.mixture.em import statistics_of
from speechgmm.mixture.missing import observed_statistics
from speechgmm.parallel import available_cores, threads

ADVICE = "Choose another unit for them."
BLOCK = 8192
"""Rows of a block, whatever the number of threads."""


@dataclass(frozen=True, eq=False)
class RowBlocks(ArrayBlocks):
    """Blocks of 8192 rows: frames (N, D) are float32 or float64, NaN where a value is missing; weights above 0."""

    size: int = BLOCK

    @classmethod
    def counted(cls, x: Array, sample_weight: ArrayLike | None) -> Self:
        """Return the rows of `x` (N, D) that count: of a weight above 0, with some value that is not missing.

        Raises
        ------
        InvalidInput
            If weights are negative, not finite, of another shape or all zero; or entries too large to be squared.
        """
        largest = float(np.nanmax(np.abs(x), initial=0.0))
        if largest > LARGEST:
            refuse("features", f"be at most {LARGEST:g} in size", f"{largest:g}", ADVICE)
        kept = ~np.isnan(x).all(axis=1)
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
        return bool(np.isnan(self.frames).any())

    @property
    def e_step(self) -> Callable[[Any, Any], Any]:
        """The E-step for `fit`: where values are missing, that on what was observed."""
        return observed_statistics if self.incomplete else statistics_of

    @cached_property
    def n_threads(self) -> int:
        """How many threads share the rows."""
        return allowed_threads(len(self.frames))

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

    @property
    def mean(self) -> Array:
        """The weighted mean (D,) of the values that are there."""
        total, counts = np.zeros(self.frames.shape[1]), np.zeros(self.frames.shape[1])
        for block in map(weighted, self):
            there = ~np.isnan(block.frames)
            total += block.weights @ np.where(there, block.frames, 0.0)
            counts += block.weights @ there
        return np.asarray(total / counts)

    @property
    def variance(self) -> Array:
        """The weighted variance (D,) of the values that are there."""
        return replace(self, frames=np.square(self.frames - self.mean)).mean


def by_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    """Return what a function of rows gives for all blocks of `x` (N, D), one after the other."""
    n = allowed_threads(len(x))
    return np.concatenate(list((map if n == 1 else threads(n))(function, RowBlocks(x))))


def allowed_threads(n: int) -> int:
    """Return how many threads may share `n` rows: what environment, joblib or threadpoolctl allow BLAS and OpenMP."""
    if n <= BLOCK:
        return 1
    from threadpoolctl import threadpool_info

    allowed = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return min(available_cores(), allowed, -(-n // BLOCK))


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
    empty = np.isnan(rows.frames).all(axis=0)
    if empty.any():
        found = f"feature {int(empty.argmax())} missing in all {len(rows.frames)}"
        refuse("every feature", "be there in some row", found, "Remove it.")
    spread = np.nanmax(rows.frames, axis=0).astype(np.float64) - np.nanmin(rows.frames, axis=0)
    narrow = (spread > 0) & (spread < SMALLEST)
    if narrow.any():
        feature = int(narrow.argmax())
        rule = f"be constant, or spread over at least {SMALLEST:g}"
        refuse("features", rule, f"a spread of {spread[feature]:g} in feature {feature}", ADVICE)

"""The rows that an estimator learns from or answers for, in blocks. Symbols: N rows, D features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import LARGEST, SMALLEST, refuse, sample_weights
from speechgmm.errors import InvalidInput
from speechgmm.parallel import available_cores, threads

Array = NDArray[Any]

__all__ = ["Rows", "check_enough", "rows_of"]

ADVICE = "Choose another unit for them."
BLOCK = 8192
"""Rows of a block, whatever the number of threads."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in blocks of fixed size.

    Parameters
    ----------
    x : ndarray, shape (N, D)
        float32 or float64; NaN where a value is missing.
    weights : ndarray, shape (N,), optional
        How often each row counts, above 0; None where all count once.
    threads : int
        How many may share the blocks; it changes the time and nothing else.
    """

    x: Array
    weights: Array | None = None
    threads: int = 1

    def __iter__(self) -> Iterator[tuple[Array, Array | None]]:
        """Yield the rows of each block, and their weights."""
        for start in range(0, len(self.x), BLOCK):
            here = slice(start, start + BLOCK)
            yield self.x[here], None if self.weights is None else self.weights[here]

    def __len__(self) -> int:
        """N."""
        return len(self.x)

    @cached_property
    def incomplete(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self.x).any())

    @property
    def total(self) -> float:
        """How many rows count."""
        return float(len(self.x) if self.weights is None else self.weights.sum())

    def relative(self) -> Rows:
        """Return the rows with weights of mean 1, for what depends on nothing but their ratios."""
        if self.weights is None:
            return self
        shares = self.weights / self.weights.max()
        return replace(self, weights=shares / shares.mean())

    @property
    def mean(self) -> Array:
        """The weighted mean (D,) of the values that are there."""
        total, counts = np.zeros(self.x.shape[1]), np.zeros(self.x.shape[1])
        for x, weights in self:
            there = ~np.isnan(x)
            shares = np.ones(len(x)) if weights is None else weights
            total += shares @ np.where(there, x, 0.0)
            counts += shares @ there
        result: Array = total / counts
        return result

    @property
    def variance(self) -> Array:
        """The weighted variance (D,) of the values that are there."""
        squares = Rows(np.square(self.x - self.mean), self.weights)
        return squares.mean

    def map(self, function: Callable[..., Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """Call ``function(x, sample_weight=weights)`` for each block: a `map` for EM."""
        return threads(self.threads)(lambda block: function(block[0], sample_weight=block[1]), blocks)


def each(function: Callable[[Array], Array], x: Array) -> Array:
    """Return what a function of rows gives for all blocks of `x` (N, D), one after the other."""
    return np.concatenate(list(threads(workers(len(x)))(lambda block: function(block[0]), Rows(x))))


def workers(n: int) -> int:
    """Return how many threads may share `n` rows: what environment, joblib or threadpoolctl allow BLAS and OpenMP."""
    if n <= BLOCK:
        return 1
    from threadpoolctl import threadpool_info

    allowed = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return min(available_cores(), allowed, -(-n // BLOCK))


def rows_of(x: Array, sample_weight: ArrayLike | None) -> Rows:
    """Return the rows of `x` (N, D) that count: of a weight above 0, with some value that is not missing.

    Raises
    ------
    InvalidInput
        If weights are negative, not finite, of another shape or all zero; or if entries are too large to be squared.
    """
    largest = float(np.nanmax(np.abs(x), initial=0.0))
    if largest > LARGEST:
        refuse("features", f"be at most {LARGEST:g} in size", f"{largest:g}", ADVICE)
    counted = ~np.isnan(x).all(axis=1)
    weights = None if sample_weight is None else sample_weights(sample_weight, len(x))
    if weights is not None:
        counted &= weights > 0
    if not counted.any():
        refuse("some row", "have a value, and a weight that is not zero", "none")
    if not counted.all():
        x, weights = x[counted], None if weights is None else weights[counted]
    return Rows(x, weights, workers(len(x)))


def check_enough(rows: Rows, n_components: int) -> None:
    """Say why rows are not enough to start from.

    Raises
    ------
    InvalidInput
        If there are fewer rows than components; if a feature is missing in all of them, or spread too little for
        its squares to be told from zero.
    """
    if len(rows) < n_components:
        found = f"n_components = {n_components}, n_samples = {len(rows)}"
        raise InvalidInput(f"Expected n_samples >= n_components but got {found}")
    empty = np.isnan(rows.x).all(axis=0)
    if empty.any():
        feature = int(empty.argmax())
        refuse("every feature", "be there in some row", f"feature {feature} missing in all {len(rows)}", "Remove it.")
    spread = np.nanmax(rows.x, axis=0).astype(np.float64) - np.nanmin(rows.x, axis=0)
    narrow = (spread > 0) & (spread < SMALLEST)
    if narrow.any():
        feature = int(narrow.argmax())
        rule = f"be constant, or spread over at least {SMALLEST:g}"
        refuse("features", rule, f"a spread of {spread[feature]:g} in feature {feature}", ADVICE)

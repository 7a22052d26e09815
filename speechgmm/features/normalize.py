"""Normalization of features over a recording: it removes the channel. Symbols: N frames, D dimensions."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array

METHODS = ("none", "mean", "mean_variance")


@dataclass(frozen=True, eq=False)
class Normalization:
    """What is taken out of features: a `mean` (D,), and a `scale` (D,) that they are multiplied by, or None."""

    mean: Array | None
    scale: Array | None

    @classmethod
    def of(cls, blocks: Iterable[Array], method: str) -> "Normalization":
        """Return the normalization of a recording from its features (n, D) in blocks that can be iterated twice.

        A feature that is constant over the recording becomes 0.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (n, D)
        method : str
            "none", "mean" (cepstral mean normalization), or "mean_variance".
        """
        if method == "none":
            return cls(None, None)
        n = sum(map(len, blocks))
        mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks) / n
        if method == "mean":
            return cls(mean, None)
        squares, largest = np.zeros_like(mean), np.zeros_like(mean)
        for block in blocks:
            centered = block - mean
            squares += np.einsum("nd,nd->d", centered, centered)
            largest = np.maximum(largest, np.abs(block).max(axis=0))
        deviation = np.sqrt(squares / n)
        varies = deviation > 1e-6 * largest
        return cls(mean, np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0))

    def __call__(self, x: Array) -> Array:
        """Return features (n, D) of the recording without it, in their own type."""
        if self.mean is None:
            return x
        centered = x - self.mean
        if self.scale is not None:
            centered *= self.scale
        return centered.astype(x.dtype)


def normalize(x: Array, method: str) -> Array:
    """Return features (N, D) with the mean, or the mean and variance, of each over the frames taken out.

    Parameters
    ----------
    x : ndarray, shape (N, D)
    method : str
        See `Normalization.of`.
    """
    return Normalization.of([x], method)(x)

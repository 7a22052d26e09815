"""Normalization of features over a recording: it removes the channel. Symbols: N frames, D dimensions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, floats, hold, number_of, refuse
from speechgmm.features.sliding import SLIDING, slid
from speechgmm.features.spool import Spool
from speechgmm.looks import Look, Shown

METHODS = ("none", "mean", "mean_variance", "smoothed", *SLIDING)
MEAN_FRAMES, VARIANCE_FRAMES = 20.0, 100.0
"""Frames of usual speech that stand beside a recording's own mean and variance where these are smoothed. A short
recording says little of its channel, and least of its variances."""
WINDOW = 3.0
"""What a window that slides takes of speech, in seconds, as Pelecanos & Sridharan have it."""


@dataclass(frozen=True)
class Averages(Shown):
    """Means and variances of features as recordings have them on average.

    Parameters
    ----------
    mean : tuple of float, length D
        Of the recordings' means.
    variance : tuple of float, length D
        Of the variances about each recording's own mean.

    Raises
    ------
    InvalidInput
        If they differ in length, a number is not finite, or a variance is below 0.

    Examples
    --------
    >>> import numpy as np
    >>> averages = Averages.of([np.array([[0.0, 2.0], [4.0, 2.0]]), np.array([[6.0, 4.0], [6.0, 8.0]])])
    >>> averages.mean, averages.variance
    ((4.0, 4.0), (2.0, 2.0))
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the numbers."""
        mean = floats(self.mean, "the average means of features")
        variance = floats(self.variance, "the average variances of features", shape=mean.shape)
        if mean.ndim != 1 or (variance < 0).any():
            refuse("the average variances of features", "be a list of numbers from 0 up", variance)
        hold(self, mean=tuple(mean.tolist()), variance=tuple(variance.tolist()))

    def _look(self) -> Look:
        return Look((number_of(len(self.mean), "feature"),))

    @classmethod
    def of(cls, recordings: Iterable[Array]) -> "Averages":
        """Return the averages of recordings (n, D), none of them empty; each frame counts alike."""
        frames, means, squares = 0, 0.0, 0.0
        for x in recordings:
            mean = x.mean(axis=0, dtype=np.float64)
            frames, means = frames + len(x), means + len(x) * mean
            squares = squares + np.einsum("nd,nd->d", centered := x - mean, centered)
        return cls(*(tuple(np.atleast_1d(total / frames).tolist()) for total in (means, squares)))


@dataclass(frozen=True, eq=False)
class Normalization(Shown):
    """What is taken out of features: a `mean` (D,), and a `scale` (D,) that they are multiplied by, or None."""

    mean: Array | None
    scale: Array | None

    @classmethod
    def of(cls, blocks: Iterable[Array], method: str, averages: Averages | None = None) -> "Normalization":
        """Return the normalization of a recording from its features (n, D) in blocks that can be iterated twice.

        A feature that is constant over the recording becomes 0 where nothing is smoothed.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (n, D)
        method : str
            "none", "mean" (cepstral mean normalization), "mean_variance", or "smoothed": mean and variance, each with
            some frames of usual speech beside those of the recording.
        averages : Averages, optional
            Usual speech. Without, nothing can be smoothed.
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
        variance = squares / n
        varies = np.sqrt(variance) > 1e-6 * largest
        if method == "smoothed" and averages is not None:
            mean = _beside(mean, n, averages.mean, MEAN_FRAMES)
            variance = _beside(np.where(varies, variance, 0.0), n, averages.variance, VARIANCE_FRAMES)
            varies = variance > 0
        return cls(mean, np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0))

    def __call__(self, x: Array) -> Array:
        """Return features (n, D) of the recording without it, in their own type."""
        if self.mean is None:
            return x
        centered = x - self.mean
        if self.scale is not None:
            centered *= self.scale
        return centered.astype(x.dtype)


def normalized_in_blocks(rows: Spool, method: str, averages: Averages | None = None, *, window: int) -> Iterator[Array]:
    """Return the features (N, D) of a recording normalized, in blocks.

    Parameters
    ----------
    rows : Spool
    method : str
        One of `Normalization.of`, or "sliding" or "warped", see `sliding.slid`.
    averages : Averages, optional
        See `Normalization.of`.
    window : int
        Frames of a window that slides.
    """
    if method in SLIDING:
        return slid(rows.rows, len(rows), method, window)
    return map(Normalization.of(rows, method, averages), rows)


def _beside(own: Array, frames: int, usual: tuple[float, ...], count: float) -> Array:
    """Return the mean of a recording's own value, of so many frames, and of a usual one that counts for some."""
    return (frames * own + count * np.array(usual)) / (frames + count)

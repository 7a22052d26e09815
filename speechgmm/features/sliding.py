"""Normalization over a window that slides along a recording: it follows a channel that changes. Symbols: W frames of a
window, n frames of a part, D dimensions.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from speechgmm.checks import Array

_FRAMES = 256
"""Frames that are normalized at once, or as many as the window has, if these are more."""
_COUNTED = 127
"""So many may be counted twice in 8 bits, which takes half the time."""


def slid(take: Callable[[int, int], Array], n: int, method: str, window: int) -> Iterator[Array]:
    """Yield the features of a recording normalized, a few frames at a time.

    The window lies about each frame. At the ends of the recording it stays inside; a shorter recording is one window.

    Parameters
    ----------
    take : callable
        Returns the rows (., D) from one on and before another.
    n : int
        Rows of the recording.
    method : str
        One of `SLIDING`.
    window : int
        W.
    """
    w = min(window, n)
    step = max(w, _FRAMES)
    for start in range(0, n, step):
        frames = np.arange(start, min(start + step, n))
        first = np.clip(frames - w // 2, 0, n - w)  # of the window of each frame
        x = take(int(first[0]), int(first[-1]) + w)
        yield SLIDING[method](x, frames - first[0], first - first[0], w).astype(x.dtype)


def _sliding(x: Array, frames: Array, first: Array, window: int) -> Array:
    """Return rows of `x` without the mean of their window, over its deviation; 0 where nothing varies."""
    center = x.mean(axis=0, dtype=np.float64)
    y = x - center
    sums, squares = (_windows(part, first, window) / window for part in (y, y * y))
    variance = squares - sums**2
    # what rounding alone makes of a constant feature is no variance
    varies = variance > 1e-12 * ((sums + center) ** 2 + squares.max(axis=0))
    centered = y[frames] - sums
    return np.where(varies, centered / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def _windows(y: Array, first: Array, window: int) -> Array:
    """Return the sums of rows (., D) over windows, from each of `first` on."""
    total = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0, dtype=np.float64)])
    return total[first + window] - total[first]


def _warped(x: Array, frames: Array, first: Array, window: int) -> Array:
    """Return rows of `x` warped: what a standard normal has at the rank that each value takes in its window.

    Pelecanos & Sridharan, "Feature warping for robust speaker verification" (Odyssey 2001), section 3: of rank R from
    the top among W values, the normal distribution function is (W + 1/2 - R) / W. Equal values share their mean rank.
    """
    values = x[frames]
    below_twice = np.zeros(values.shape, np.int64)  # a value that is equal counts once
    for start in range(0, window, _COUNTED):
        few = np.zeros(values.shape, np.uint8)
        for i in range(start, min(start + _COUNTED, window)):
            other = x[first + i]
            few += (other < values).view(np.uint8)
            few += (other <= values).view(np.uint8)
        below_twice += few
    return _normal_quantiles(window)[below_twice]


@functools.lru_cache(maxsize=16)
def _normal_quantiles(window: int) -> Array:
    """Return the quantiles of a standard normal at 0, 1, ..., 2W of 2W."""
    from scipy.special import ndtri

    return ndtri(np.arange(2 * window + 1) / (2 * window))


SLIDING = {"sliding": _sliding, "warped": _warped}
"""By name: mean and variance of the window; feature warping."""

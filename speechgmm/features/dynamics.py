"""Deltas: how features change from frame to frame. Symbols: N frames, D dimensions."""

from collections.abc import Iterator

import numpy as np

from speechgmm.checks import Array
from speechgmm.features.spool import Spool


def delta(x: Array, width: int = 2) -> Array:
    """Return the regression slope of each feature over `width` frames to each side (Young et al., HTK book, eq. 5.16).

    Parameters
    ----------
    x : ndarray, shape (N, D)
        The first and last frames are repeated beyond the ends.
    width : int

    Examples
    --------
    >>> import numpy as np
    >>> delta(np.arange(6.0)[:, None])[:, 0]
    array([0.5, 0.8, 1. , 1. , 0.8, 0.5])
    """
    n = len(x)
    padded = np.concatenate([np.repeat(x[:1], width, axis=0), x, np.repeat(x[-1:], width, axis=0)])
    slope = np.zeros_like(x)
    for t in range(1, width + 1):
        slope += t * (padded[width + t : width + t + n] - padded[width - t : width - t + n])
    slope /= 2 * sum(t * t for t in range(1, width + 1))
    return slope


def add_deltas(x: Array, order: int, width: int) -> Array:
    """Return `x` (N, D) with its deltas up to `order` beside it: shape (N, D * (order + 1))."""
    parts = [x]
    for _ in range(order):
        parts.append(delta(parts[-1], width))
    return np.concatenate(parts, axis=1)


def deltas_in_blocks(rows: Spool, order: int, width: int, size: int) -> Iterator[Array]:
    """Yield what `add_deltas` gives for many rows (N, D), `size` of them at a time: each looks beyond its ends."""
    n, reach = len(rows), order * width
    for start in range(0, n, size):
        first, stop = max(0, start - reach), min(n, start + size)
        x = rows.rows(first, min(n, stop + reach))
        yield add_deltas(x, order, width)[start - first : stop - first]

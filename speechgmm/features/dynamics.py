"""How features change from frame to frame: deltas, and the RASTA filter. Symbols: N frames, D dimensions."""

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


def rasta_in_blocks(rows: Spool, pole: float, size: int) -> Iterator[Array]:
    """Yield many rows (N, D) filtered along time by the band-pass of RASTA, `size` of them at a time.

    Hermansky & Morgan, "RASTA processing of speech" (1994): H(z) = 0.1 (2 z**2 + z - 1/z - 2 / z**2) / (1 - pole / z),
    here about the frame itself, so that features stay where their frames are. That is a leaky sum of deltas over two
    frames to each side. The filter is linear: what it does to bands it does to their cepstra. Before the first frame
    all are taken for equal to it, so that a constant offset leaves nothing behind.
    """
    from scipy.signal import lfilter

    kept = None
    for both in deltas_in_blocks(rows, 1, 2, size):
        slope = both[:, both.shape[1] // 2 :].astype(np.float64)
        kept = np.zeros((1, slope.shape[1])) if kept is None else kept
        filtered, kept = lfilter([1.0], [1.0, -pole], slope, axis=0, zi=kept)
        yield filtered

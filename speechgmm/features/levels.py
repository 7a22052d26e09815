"""How loud the frames of a recording are, from samples that come in blocks. Symbols: N frames, n samples of a block."""

import math

import numpy as np

from speechgmm.checks import Array

FLOOR = 1e-12
"""The least energy: far below one step of 16 bits, so that only digital silence without dither reaches it."""


class Levels:
    """The level of each window of a signal without its offset, in dB relative to full scale.

    The offset is known when all blocks are. Until then energies are taken about that of the first one, which costs no
    precision, and moved at the end.

    Parameters
    ----------
    window, hop : int
        Samples of a frame, and from one frame to the next.
    """

    def __init__(self, window: int, hop: int) -> None:
        """Begin without samples."""
        self._window, self._hop = window, hop
        self._center: float | None = None
        self._moved = self._samples = 0.0
        self._energies: list[Array] = []
        self._sums: list[Array] = []

    def add(self, y: Array, new: int) -> None:
        """Add the frames of a block that begins where a frame does; its last `new` samples have not come before."""
        mean = y[len(y) - new :].mean(dtype=np.float64)
        if self._center is None:
            self._center = mean
        self._moved += new * (mean - self._center)
        self._samples += new
        piece = math.gcd(self._window, self._hop)
        pieces = (y - self._center)[: len(y) // piece * piece].reshape(-1, piece)
        starts = np.arange(0, len(y) - self._window + 1, self._hop) // piece
        for values, kept in ((np.einsum("ij,ij->i", pieces, pieces), self._energies), (pieces.sum(1), self._sums)):
            total = np.concatenate([[0.0], np.cumsum(values)])
            kept.append(total[starts + self._window // piece] - total[starts])

    def decibels(self) -> Array:
        """Return the levels of all frames, shape (N,)."""
        moved = self._moved / self._samples
        energies = np.concatenate(self._energies)
        energies += moved * (self._window * moved - 2 * np.concatenate(self._sums))
        return 10 * np.log10(np.maximum(energies / self._window, FLOOR))

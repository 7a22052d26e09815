"""The power spectrum of short windows of a signal. Symbols: N frames.

Its numbers are those of ``librosa.stft``, to the bit. librosa itself is not asked: to import it, with all of scipy that
it needs, took a third of the time of one command.
"""

import functools

import numpy as np

from speechgmm.checks import Array
from speechgmm.features.spool import in_blocks

_FRAMES = 1 << 8
"""Frames that are transformed at once: they stay in a core's cache."""


def powers(samples: Array, window: int, hop: int, size: int) -> Array:
    """Return the power of a signal at each frequency, of a frame every `hop` samples, shape (bins, N), float32.

    Parameters
    ----------
    samples : ndarray, float32
    window, hop : int
        Samples of a window of Hamming, and from one frame to the next.
    size : int
        Samples of a frame and its transform: the window lies in the middle of it, with zeros on both sides.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    found, weights = np.empty((len(frames), size // 2 + 1), np.float32), _hamming(window, size)
    start = 0
    for block in in_blocks(frames, _FRAMES):
        spectrum = np.fft.rfft(block * weights).astype(np.complex64)
        found[start : start + len(block)] = spectrum.real**2 + spectrum.imag**2
        start += len(block)
    return found.T


@functools.lru_cache(maxsize=16)
def _hamming(window: int, size: int) -> Array:
    """Return a window of Hamming with zeros on both sides; it is one period, as for a spectrum."""
    weights, before = np.zeros(size), (size - window) // 2
    turn = np.linspace(-np.pi, np.pi, window + 1)[:-1]
    weights[before : before + window] = 0.54 + (1 - 0.54) * np.cos(turn)
    return weights

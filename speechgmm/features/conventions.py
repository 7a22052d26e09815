"""How other toolkits make features of frames, number for number, so that models and results can be compared.

They agree with each other in most: each frame is filtered and windowed by itself, bands are triangles over mel, cepstra
are liftered. Symbols: n frames, B bands, C cepstra.

Sources: Young et al., The HTK book, chapter 5, for HTK; Povey et al., "The Kaldi speech recognition toolkit" (2011)
and what its compute-mfcc-feats and compute-fbank-feats do without options, for Kaldi.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.features.filterbanks import cosine_transform

_SCALE = 32768.0
"""Samples are numbers of 16 bits there."""
_LIFTER = 22
"""L of the liftering, for both."""
_ROUNDED = 1e-6
"""So much of a sample is rounding: 0.025 s at 16 kHz are 400 samples, whatever their product in binary."""


@dataclass(frozen=True)
class Convention:
    """What a toolkit does to frames, beside the settings of a front end.

    Parameters
    ----------
    window : callable
        Makes the window (samples,) of its length.
    centered : bool
        Whether each frame loses its mean first.
    exponent : int
        Bands are sums of magnitudes (1) or of powers (2).
    least : float
        A band below this counts as this before the logarithm.
    energy : bool
        Whether the first cepstrum gives way to the logarithm of the frame's energy, before filter and window.
    level_last : bool
        Whether the zeroth cepstrum, as the plain sum of the bands, stands behind the others.
    """

    window: Callable[[int], Array]
    centered: bool
    exponent: int
    least: float
    energy: bool = False
    level_last: bool = False

    def samples(self, seconds: float, rate: int) -> int:
        """Return how many samples a window or a step has: what is beyond a whole one is cut off."""
        return max(1, int(seconds * rate + _ROUNDED))

    def bands(self, frames: Array, preemphasis: float, filters: Array) -> tuple[Array, Array]:
        """Return the logarithms of the bands (n, B), and of the energies (n,), of frames.

        Parameters
        ----------
        frames : ndarray, shape (n, samples)
            In [-1, 1].
        preemphasis : float
            k of s'_t = s_t - k s_{t-1}, with the first sample before itself (HTK book, eq. 5.1).
        filters : ndarray, shape (B, bins)
        """
        x = _SCALE * frames.astype(np.float64)
        if self.centered:
            x -= x.mean(axis=1, keepdims=True)
        energies = np.einsum("ns,ns->n", x, x)
        x -= preemphasis * np.concatenate([x[:, :1], x[:, :-1]], axis=1)
        spectrum = np.fft.rfft(x * self.window(x.shape[1]), 2 * (filters.shape[1] - 1))
        power = spectrum.real**2 + spectrum.imag**2
        sums = (power if self.exponent == 2 else np.sqrt(power)) @ filters.T
        return np.log(np.maximum(sums, self.least)), np.log(np.maximum(energies, self.least))

    def cepstra(self, bands: Array, energies: Array, n_mfcc: int) -> Array:
        """Return the cepstra (n, C) of what `bands` gave."""
        found = bands @ cosine_transform(bands.shape[1])[:, :n_mfcc] @ self.liftered(n_mfcc)
        if self.energy:
            found[:, 0] = energies
        return found

    def liftered(self, n_mfcc: int) -> Array:
        """Return what makes cepstra of this convention from orthonormal ones: a matrix (C, C) with an inverse."""
        order = np.arange(n_mfcc)
        lifter = np.diag(1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER))  # HTK book, eq. 5.12
        if not self.level_last:
            return lifter
        lifter[0, 0] = np.sqrt(2)  # of all cepstra the factor is sqrt(2 / B): HTK book, eq. 5.14
        return np.roll(lifter, -1, axis=1)


def _povey(n: int) -> Array:
    """Return Kaldi's default window: like that of Hamming, but it goes to 0."""
    return np.hanning(n) ** 0.85


CONVENTIONS = {
    "kaldi": Convention(_povey, True, 2, float(np.finfo(np.float32).eps), energy=True),
    "htk": Convention(np.hamming, False, 1, 1.0, level_last=True),  # HTK book, eq. 5.2
}
"""By name."""

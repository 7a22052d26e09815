"""Bands of frequencies, and cepstra of them, as matrices. Symbols: B bands."""

import functools
import warnings

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.compiler import prepare_cache


@functools.lru_cache(maxsize=16)
def mel_bands(rate: int, size: int, n_mels: int, fmin: float, fmax: float) -> Array:
    """Return the matrix (n_mels, bins) of triangular bands; it costs as much as a second of speech to make."""
    prepare_cache()
    import librosa

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters", category=UserWarning)  # refused below
        return _none_empty(librosa.filters.mel(sr=rate, n_fft=size, n_mels=n_mels, fmin=fmin, fmax=fmax), "mel bands")


@functools.lru_cache(maxsize=16)
def linear_bands(rate: int, size: int, n_bands: int, fmin: float, fmax: float) -> Array:
    """Return the matrix (n_bands, bins) of triangular bands of equal width in Hz, of area 1 as mel bands are."""
    edges = np.linspace(fmin, fmax, n_bands + 2)
    width = edges[1] - edges[0]
    bins = np.arange(size // 2 + 1) * rate / size
    rise = 1 - np.abs(bins - edges[1:-1, None]) / width
    return _none_empty(np.maximum(rise, 0.0).astype(np.float32) / np.float32(width), "bands of equal width")


@functools.lru_cache(maxsize=16)
def toolkit_bands(rate: int, size: int, n_mels: int, fmin: float, fmax: float) -> Array:
    """Return the matrix (n_mels, bins) of bands that are triangles of height 1 over mel instead of Hz.

    HTK and Kaldi have them so; mel = 1127 ln(1 + f / 700) (Young et al., HTK book, eq. 5.13).
    """
    low, high = (1127 * np.log1p(f / 700) for f in (fmin, fmax))
    centers, width = np.linspace(low, high, n_mels + 2)[1:-1], (high - low) / (n_mels + 1)
    bins = 1127 * np.log1p(np.arange(size // 2 + 1) * rate / size / 700)
    return _none_empty(np.maximum(1 - np.abs(bins - centers[:, None]) / width, 0.0), "mel bands")


def _none_empty(bands: Array, what: str) -> Array:
    """Return bands (B, bins), or refuse ones of which some hold no frequency."""
    if empty := int((bands.max(axis=1) == 0).sum()):
        advice = "Use fewer bands (n_mels), a wider range (fmin, fmax) or longer windows (win_length)."
        rule = f"each hold a frequency of a {2 * (bands.shape[1] - 1)}-point transform"
        refuse(what, rule, f"{empty} of {len(bands)} empty", advice)
    return bands


KINDS = {
    "mfcc": (mel_bands,),
    "mel": (mel_bands,),
    "lfcc": (linear_bands,),
    "mfcc+lfcc": (mel_bands, linear_bands),
}
"""The bands that each kind of features is made of."""


@functools.lru_cache(maxsize=16)
def cosine_transform(n_mels: int) -> Array:
    """Return the orthonormal cosine transform (n_mels, n_mels) from bands to cepstra."""
    bands, order = np.arange(n_mels)[:, None] + 0.5, np.arange(n_mels)
    cosines = np.sqrt(2 / n_mels) * np.cos(np.pi / n_mels * bands * order)
    cosines[:, 0] /= np.sqrt(2)
    return cosines

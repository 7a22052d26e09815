"""Bands of frequencies, and cepstra of them, as matrices. Symbols: B bands."""

import functools

import numpy as np

from speechgmm.checks import Array, refuse

_LINEAR, _KNEE = 200 / 3, 1000.0
"""Hz of a mel below the knee, and the knee in Hz."""
_STEP = np.log(6.4) / 27
"""How much the logarithm of a frequency rises with a mel beyond the knee."""


@functools.lru_cache(maxsize=16)
def mel_bands(rate: int, size: int, n_mels: int, fmin: float, fmax: float) -> Array:
    """Return the matrix (n_mels, bins) of triangular bands of area 1 in Hz, whose feet are equally spaced over mel.

    They are those of ``librosa.filters.mel``, to the bit. Mel is linear up to 1 kHz and logarithmic from there on
    (Slaney, "Auditory toolbox", 1998).
    """
    edges = _hertz(np.linspace(_mel(fmin), _mel(fmax), n_mels + 2))
    rise, width = np.fft.rfftfreq(size, 1 / rate) - edges[:, None], np.diff(edges)[:, None]
    bands = np.maximum(np.minimum(rise[:-2] / width[:-1], -rise[2:] / width[1:]), 0.0).astype(np.float32)
    bands *= (2 / (edges[2:] - edges[:-2]))[:, None]
    return _none_empty(bands, "mel bands")


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


def _mel(frequency: float) -> float:
    """Return the mel of a frequency in Hz."""
    if frequency < _KNEE:
        return frequency / _LINEAR
    return float(_KNEE / _LINEAR + np.log(frequency / _KNEE) / _STEP)


def _hertz(mel: Array) -> Array:
    """Return the frequencies in Hz of these mels."""
    beyond = mel - _KNEE / _LINEAR
    return np.where(beyond < 0, mel * _LINEAR, _KNEE * np.exp(_STEP * np.maximum(beyond, 0.0)))


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

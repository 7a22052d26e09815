"""How a recording sounds before normalization: a few numbers, taken in the pass that makes its features.

Normalization takes out what tells a telephone from a studio, and speech from music. These numbers keep it: they say
whether a recording is like those of a model's training, and nothing of who speaks. Symbols: N frames of speech,
C cepstra, B bands.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array

_EVERY = 4
"""The periodicity of every fourth frame is taken: one in 40 ms."""
_PITCH = (70.0, 400.0)
"""Where a voice repeats itself, in Hz."""
_PREEMPHASIS = 0.97
"""Without it the first formant alone repeats itself in many frames."""
_BITS = 18
"""Magnitudes of samples are counted by their bits without so many of the last: 32 steps to each factor of two."""
_AT_PEAK = np.float32(10 ** (-0.5 / 20))
"""What is at least so much of the loudest sample counts as its height: half a dB."""
_FEWEST = 4
"""With fewer cepstra a spectrum has no detail to speak of."""


@dataclass(frozen=True)
class Acoustics:
    """How a recording sounds; what a front end does not give (deltas, or long windows) is 0.

    Parameters
    ----------
    periodicity : float
        The autocorrelation at the best lag of a voice's pitch, from 0 to 1, which a tenth of the speech frames exceed.
        Voices come close to 1, noise does not.
    detail, fine : float
        How much the spectrum varies from sound to sound: the mean logarithm of the deviations of the cepstra of middle
        order (formants), and of high order (harmonics, resonances).
    unevenness : float
        Of the long-term spectrum: the logarithm of the length of the upper half of the mean cepstra.
    upper : float
        The level that the upper quarter of the bands reaches, relative to the quarter below it, in dB.
    at_peak : float
        The share of samples within half a dB of the loudest, relative to those of speech: its logarithm, base 10.
    speed : float
        How fast the spectrum changes: the mean logarithm of the deviations of the deltas over those of the cepstra.
    swing : float
        From the median level to what a tenth of the frames exceed: the logarithm of this distance in dB.
    pauses : float
        The logarithm of the share of frames that are no speech, plus 0.1.
    """

    periodicity: float
    detail: float
    fine: float
    unevenness: float
    upper: float
    at_peak: float
    speed: float
    swing: float
    pauses: float


NAMES = tuple(f.name for f in dataclasses.fields(Acoustics))


class Listener:
    """Takes in a recording piece by piece, then says how it sounds.

    Parameters
    ----------
    window, hop : int
        Samples of a frame, and from one frame to the next.
    sample_rate : int
    """

    def __init__(self, window: int, hop: int, sample_rate: int) -> None:
        """Begin without samples."""
        self._hop, self._window = hop, np.hamming(window).astype(np.float32)
        low, high = (round(sample_rate / f) for f in reversed(_PITCH))
        self._lags = slice(low, min(high, round(0.6 * window)))
        self._size = _transform(window + self._lags.stop)
        turns = np.exp(-2j * np.pi * np.arange(self._size // 2 + 1) / self._size)
        self._tilt = (np.abs(1 - _PREEMPHASIS * turns) ** 2).astype(np.float32)
        own = np.fft.irfft(np.abs(np.fft.rfft(self._window, self._size)) ** 2, self._size)
        self._fall = (own / own[0])[self._lags].astype(np.float32)
        self._frames = 0
        self._periodicity: list[Array] = []
        self._peak = np.float32(0)
        self._counts = np.zeros(1 << (31 - _BITS), dtype=np.int64)
        self._n = 0
        self._sums = self._products = self._changes = np.zeros(1)

    def add(self, y: Array, before: int, new: int) -> None:
        """Add a piece: `before` samples stand before its first frame, its last `new` ones have not come before."""
        magnitudes = np.abs(y[len(y) - new :], dtype=np.float32)
        self._peak = max(self._peak, magnitudes.max())
        self._counts += np.bincount(_step(magnitudes), minlength=len(self._counts))
        starts = np.arange(before, len(y) - len(self._window) + 1, self._hop)
        taken = starts[-self._frames % _EVERY :: _EVERY]
        self._frames += len(starts)
        if len(taken) and self._lags.start < self._lags.stop:
            self._periodicity.append(self._periodicities(y, taken))

    def _periodicities(self, y: Array, starts: Array) -> Array:
        """Return the autocorrelation at the best lag of the frames that start there."""
        frames = np.lib.stride_tricks.sliding_window_view(y, len(self._window))[starts]
        frames = (frames - frames.mean(axis=1, keepdims=True)) * self._window
        spectrum = np.fft.rfft(frames, self._size)
        correlation = np.fft.irfft((spectrum.real**2 + spectrum.imag**2) * self._tilt, self._size)
        whole = np.maximum(correlation[:, :1], np.float32(1e-12))
        return np.asarray((correlation[:, self._lags] / whole / self._fall).max(axis=1))

    def add_speech(self, static: Array, deltas: Array) -> None:
        """Add frames of speech, before normalization: cepstra or bands (n, .), and their deltas (n, .) or (n, 0)."""
        x = static.astype(np.float64)
        self._n += len(x)
        self._sums = self._sums + x.sum(axis=0)
        self._products = self._products + x.T @ x
        self._changes = self._changes + (deltas.astype(np.float64) ** 2).sum(axis=0)

    def heard(self, level: Array, speech: Array, to_cepstra: Array, to_bands: Array) -> Acoustics | None:
        """Return how the recording sounds, None of a front end with hardly any cepstra.

        Parameters
        ----------
        level, speech : ndarray, shape (N,)
            The level of all frames, in dB, and which are speech.
        to_cepstra, to_bands : ndarray, shape (., C) and (., B)
            What makes cepstra and bands of what was added.
        """
        c, b = to_cepstra.shape[1], to_bands.shape[1]
        if c < _FEWEST or b < _FEWEST or not self._n:
            return None
        mean = self._sums / self._n
        covariance = self._products / self._n - np.outer(mean, mean)
        deviations, bands = (_deviations(covariance, to) for to in (to_cepstra, to_bands))
        reached = 10 / math.log(10) * (mean @ to_bands + 2 * bands)
        changes = np.sqrt(self._changes / self._n) if np.size(self._changes) == c else deviations
        middle, high, quarter = slice(c // 4, 3 * c // 5), slice(3 * c // 5, c), b // 4
        median, loud = np.quantile(level, (0.5, 0.9))
        return Acoustics(
            periodicity=self._voiced(speech),
            detail=float(_log(deviations[middle]).mean()),
            fine=float(_log(deviations[high]).mean()),
            unevenness=float(_log(np.array(np.linalg.norm((mean @ to_cepstra)[c // 2 :])))),
            upper=float(reached[-quarter:].mean() - reached[-2 * quarter : -quarter].mean()),
            at_peak=math.log10(max(self._at_peak(), 1) / (self._n * self._hop)),
            speed=float((_log(changes) - _log(deviations))[middle].mean()),
            swing=math.log(max(loud - median, 0.1)),
            pauses=math.log(0.1 + 1 - float(speech.mean())),
        )

    def _voiced(self, speech: Array) -> float:
        """Return the periodicity that a tenth of the speech frames exceed; 0 where none was taken."""
        if not self._periodicity:
            return 0.0
        found = np.concatenate(self._periodicity)
        of_speech = found[speech[::_EVERY][: len(found)]]
        return float(np.quantile(of_speech if len(of_speech) else found, 0.9))

    def _at_peak(self) -> int:
        """Return how many samples lie within half a dB of the loudest."""
        return int(self._counts[_step(np.array([self._peak * _AT_PEAK])).item() :].sum())


def _step(magnitudes: Array) -> Array:
    """Return the step that each magnitude, a float32, is counted in: they ascend with it."""
    return magnitudes.view(np.int32) >> _BITS


def _transform(n: int) -> int:
    """Return the size of a quick transform of at least so many samples: 4, 5 or 6 times a power of two."""
    return min(m << max(0, (-(-n // m) - 1).bit_length()) for m in (4, 5, 6))


def _deviations(covariance: Array, to: Array) -> Array:
    """Return the deviations of linear combinations."""
    return np.sqrt(np.maximum(np.einsum("ij,ik,jk->k", covariance, to, to, optimize=True), 0.0))


def _log(x: Array) -> Array:
    """Return logarithms, of nothing that of very little."""
    return np.log(np.maximum(x, 1e-4))

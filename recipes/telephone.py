"""Simulated telephones: what a recording sounds like at the other end of a line, at 8 kHz.

A handset colors the sound (a tilt and two resonances), the line limits its band (Butterworth filters), brings it to the
usual level and codes it with eight bits by mu-law [1]_. Everything about a telephone is drawn from its seed.

    python recipes/telephone.py IN.wav OUT.wav [SEED]

.. [1] ITU-T G.711, "Pulse code modulation (PCM) of voice frequencies" (1988), table 2.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

__all__ = ["RATE", "Telephone", "mu_law", "telephone"]

RATE = 8000
"""Hz."""
BANDS = ((300.0, 3400.0), (150.0, 3700.0))
"""What old lines let through, and what newer ones do, in Hz."""
ORDERS = (2, 4, 8)
"""Of the filter at each end of the band."""
LEVEL = -26.0
"""Root mean square of what goes over the line, in dB relative to full scale: the nominal level of speech."""
TAPS = 127
"""Of the handset's filter: 16 ms."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Telephone:
    """A handset and its line.

    Parameters
    ----------
    band : tuple of float
        The frequencies at which the line lets half of the power through, in Hz.
    order : int
        Of the filter at each end of the band.
    tilt : float
        Of the handset, in dB per octave.
    resonances : tuple of (float, float, float)
        Of the handset: frequency in Hz, width in octaves, gain in dB.
    coded : bool
        Whether the line codes by mu-law.
    """

    band: tuple[float, float] = BANDS[0]
    order: int = 4
    tilt: float = 0.0
    resonances: tuple[tuple[float, float, float], ...] = ()
    coded: bool = True

    def __call__(self, samples: ArrayLike, sample_rate: int) -> Array:
        """Return what arrives of one channel of sound, in [-1, 1], at `RATE`; it takes a multiple of that."""
        if sample_rate % RATE:
            raise ValueError(f"the rate of a sound must be a multiple of {RATE} Hz; got {sample_rate}")
        x = signal.resample_poly(np.asarray(samples, dtype=np.float64), 1, sample_rate // RATE)
        x = signal.convolve(x, self._handset(), mode="same")
        x = signal.sosfilt(signal.butter(self.order, self.band, "bandpass", fs=RATE, output="sos"), x)
        power = float(np.mean(x**2))
        x = np.clip(x * 10 ** (LEVEL / 20) / np.sqrt(power) if power > 0 else x, -1.0, 1.0)
        return mu_law(x) if self.coded else x

    def gains(self, frequencies: ArrayLike) -> Array:
        """Return what the handset adds at these frequencies (Hz), in dB."""
        octaves = np.log2(np.maximum(np.asarray(frequencies, dtype=np.float64), 50.0))
        bumps = (gain * np.exp(-0.5 * ((octaves - np.log2(f)) / width) ** 2) for f, width, gain in self.resonances)
        return np.asarray(self.tilt * (octaves - np.log2(1000.0)) + sum(bumps))

    def _handset(self) -> Array:
        """Return the taps of the handset's filter."""
        frequencies = np.linspace(0.0, RATE / 2, 257)
        return np.asarray(signal.firwin2(TAPS, frequencies, 10 ** (self.gains(frequencies) / 20), fs=RATE))


def telephone(seed: int) -> Telephone:
    """Return the telephone of this number: the same one on any machine.

    Examples
    --------
    >>> telephone(3) == telephone(3) != telephone(4)
    True
    """
    rng = np.random.default_rng(seed)
    places, widths, gains = rng.uniform([[500.0], [0.3], [-6.0]], [[3000.0], [0.8], [6.0]], (3, 2)).round(2)
    return Telephone(
        band=BANDS[seed % len(BANDS)],
        order=int(rng.choice(ORDERS)),
        tilt=round(rng.uniform(-3.0, 3.0), 2),
        resonances=tuple((float(f), float(w), float(g)) for f, w, g in zip(places, widths, gains, strict=True)),
    )


def mu_law(samples: ArrayLike) -> Array:
    """Return samples in [-1, 1] as eight bits of mu-law give them back.

    A magnitude of 14 bits and 33 more lies in one of eight segments, each twice as wide as the one before and divided
    into sixteen steps; what comes back is the middle of its step.

    Examples
    --------
    >>> (32768 * mu_law([0.0, 0.001, 0.1, 1.0])).tolist()
    [0.0, 32.0, 3260.0, 32124.0]
    """
    x = np.asarray(samples, dtype=np.float64)
    magnitude = np.minimum(np.floor(np.abs(x) * 8192), 8158) + 33
    step = 2.0 ** (np.floor(np.log2(magnitude)) - 4)
    middle = (np.floor(magnitude / step) + 0.5) * step - 33
    return np.asarray(np.copysign(middle, x) / 8192)


if __name__ == "__main__":
    import soundfile as sf

    sound, rate = sf.read(sys.argv[1])
    sf.write(sys.argv[2], telephone(int((sys.argv[3:] or ["0"])[0]))(sound, rate), RATE)

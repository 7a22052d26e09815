"""Sounds that no speaker model should take for its own: speech that was spoiled, and sounds that nobody spoke.

Each maker takes a signal of speech, the signals of other people, a rate in Hz and a random generator, and returns a
signal of float64 in [-1, 1].
"""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from scipy import signal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from babble import babble, level, scaled

Array = NDArray[Any]
Maker = Callable[[Array, Sequence[Array], int, np.random.Generator], Array]

SECONDS = (3.0, 8.0)
"""How long sounds are that are not made of speech."""
TEXTS = (
    "The harbor lay still in the morning light, and two men were mending their nets beside the wall.",
    "She counted the coins a third time before she put them back into the old tin box.",
    "Nobody in the village could remember a winter that had begun so early or had lasted so long.",
    "If you follow the river for an hour, you will come to a bridge that is no longer in use.",
    "He asked for a cup of tea, a newspaper and a room with a window to the garden.",
    "Seven of the nine boxes were empty, and the other two held letters from a stranger.",
)
ESPEAK = ("en-us", "en-gb", "en-gb-scotland", "en-us+f2", "en-us+f4", "en-gb+m3", "en-us+m7", "de", "fr-fr", "es", "it")
FLITE = ("kal16", "awb", "rms", "slt")


def _time(rate: int, rng: np.random.Generator) -> Array:
    return np.arange(round(rng.uniform(*SECONDS) * rate)) / rate


def _colored(n: int, slope: float, rng: np.random.Generator) -> Array:
    """Return noise whose power falls with the frequency to the power of `slope`."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2), n)


def noisy(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return speech in white or pink noise at 0 dB."""
    noise = _colored(len(speech), rng.choice([0.0, 1.0]), rng)
    return scaled(speech + noise * level(speech) / level(noise))


def noise(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return white, pink or brown noise."""
    return scaled(_colored(len(_time(rate, rng)), rng.choice([0.0, 1.0, 2.0]), rng))


def music(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return chords of decaying harmonics, a bass, a melody and drums, at a steady beat."""
    t = _time(rate, rng)
    beat, key = 60 / rng.uniform(70, 140), rng.uniform(180, 330)
    scale, roots = np.array([0, 2, 4, 5, 7, 9, 11]), rng.integers(0, 7, 4)
    total, partials, sharpness = np.zeros(len(t)), int(rng.integers(4, 12)), rng.uniform(0.7, 1.6)
    for i in range(int(t[-1] / beat) + 1):
        root = roots[i // 4 % 4]
        notes = [(scale[(root + d) % 7] + 12 * ((root + d) // 7), 1.0, 4 * beat) for d in (0, 2, 4) if i % 2 == 0]
        notes += [(scale[root] - 12, 1.2, 2 * beat), (scale[rng.integers(7)] + 12, 0.9, beat)]
        for step, gain, length in notes:
            total += gain * _note(t - i * beat, key * 2 ** (step / 12), partials, sharpness, length, rate)
        after = np.clip(t - (i + 0.5) * beat, 0, None)
        total += 0.5 * rng.standard_normal(len(t)) * np.exp(-after / 0.03) * (after > 0)
    return scaled(total)


def _note(t: Array, pitch: float, partials: int, sharpness: float, length: float, rate: int) -> Array:
    """Return a note that begins at time 0."""
    late = np.clip(t, 0, None)
    envelope = (t > 0) * (1 - np.exp(-late / 0.01)) * np.exp(-3 * late / length)
    heard = [h for h in range(1, partials + 1) if h * pitch < 0.48 * rate]
    return envelope * sum(np.sin(2 * np.pi * h * pitch * t) / h**sharpness for h in heard)


def tones(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return one tone, keys of a telephone, a sweep, or a tone that swells and falls."""
    t, kind = _time(rate, rng), rng.integers(4)
    if kind == 0:
        return 0.3 * np.sin(2 * np.pi * rng.uniform(150, 3000) * t)
    if kind == 1:
        key = (t / rng.uniform(0.15, 0.4)).astype(int)
        low, high = rng.choice([697, 770, 852, 941], key[-1] + 1), rng.choice([1209, 1336, 1477], key[-1] + 1)
        on = np.sin(np.pi * 2.5 * t) > -0.5
        return 0.2 * on * (np.sin(2 * np.pi * low[key] * t) + np.sin(2 * np.pi * high[key] * t))
    if kind == 2:
        return 0.3 * signal.chirp(t, rng.uniform(100, 400), t[-1], rng.uniform(1500, 3500))
    return (
        0.3 * np.sin(2 * np.pi * rng.uniform(200, 1500) * t) * (0.5 - 0.5 * np.cos(2 * np.pi * rng.uniform(1, 6) * t))
    )


def upsampled(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return speech of half the rate, brought back to this one."""
    return np.clip(signal.resample_poly(signal.resample_poly(speech, 1, 2), 2, 1)[: len(speech)], -1, 1)


def clipped(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return speech that was 12 to 20 dB too loud."""
    return np.clip(scaled(speech, 10 ** (rng.uniform(12, 20) / 20)), -1, 1)


def _bands(speech: Array, channels: int, rate: int) -> tuple[list[Array], Array, list[Array]]:
    """Return second-order sections and center frequencies of bands, and the envelope of speech in each."""
    top = 0.45 * rate
    edges = 80 * (top / 80) ** (np.arange(channels + 1) / channels)
    sections = [signal.butter(3, (a, b), "bandpass", fs=rate, output="sos") for a, b in itertools.pairwise(edges)]
    smooth = signal.butter(2, 50, fs=rate, output="sos")
    envelopes = [np.clip(signal.sosfiltfilt(smooth, np.abs(signal.sosfiltfilt(s, speech))), 0, None) for s in sections]
    return sections, np.sqrt(edges[1:] * edges[:-1]), envelopes


def noise_vocoded(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return noise in 4 to 16 bands, with the envelopes of speech."""
    sections, _, envelopes = _bands(speech, int(rng.choice([4, 8, 16])), rate)
    carriers = [signal.sosfiltfilt(s, rng.standard_normal(len(speech))) for s in sections]
    return scaled(sum(e * c / np.sqrt((c**2).mean()) for e, c in zip(envelopes, carriers, strict=True)))


def sine_vocoded(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return a tone in each of 4 to 16 bands, with the envelopes of speech."""
    _, centers, envelopes = _bands(speech, int(rng.choice([4, 8, 16])), rate)
    t = np.arange(len(speech)) / rate
    return scaled(sum(e * np.sin(2 * np.pi * f * t) for e, f in zip(envelopes, centers, strict=True)))


def _spoken(command: list[str], rate: int) -> Array:
    """Return what a program writes to its standard output as WAV, at a rate."""
    data = subprocess.run(command, capture_output=True, check=True).stdout
    x, found = sf.read(io.BytesIO(data))
    return _at_rate(np.asarray(x), found, rate)


def _at_rate(x: Array, found: int, rate: int) -> Array:
    import soxr

    return np.clip(soxr.resample(x, found, rate), -1, 1)


def espeak(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return a sentence by the formants of espeak-ng."""
    speed, pitch = str(rng.integers(130, 190)), str(rng.integers(25, 75))
    command = ["espeak-ng", "--stdout", "-v", str(rng.choice(ESPEAK)), "-s", speed, "-p", pitch, str(rng.choice(TEXTS))]
    return _spoken(command, rate)


def flite(speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator) -> Array:
    """Return a sentence by the diphones and trajectories of flite."""
    return _spoken(["flite", "-voice", str(rng.choice(FLITE)), "-t", str(rng.choice(TEXTS)), "-o", "/dev/stdout"], rate)


MAKERS = MappingProxyType[str, Maker](
    {
        f.__name__: f
        for f in (
            babble,
            noisy,
            noise,
            music,
            tones,
            upsampled,
            clipped,
            noise_vocoded,
            sine_vocoded,
            espeak,
            flite,
        )
    }
)

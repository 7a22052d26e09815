"""Speech among other people who talk: a recording as it sounds in a crowd.

    python recipes/babble.py IN.wav OUT.wav DECIBELS OTHER.wav [OTHER.wav ...]

DECIBELS are by how much the speech is louder than all others together; all files are of one rate.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["VOICES", "babble", "level", "scaled"]

Array = NDArray[Any]

VOICES = 8
"""Others who talk at once: enough that none of them can be followed."""
PIECE = 160
"""Samples over which the level of a sound is taken: 20 ms at 8 kHz."""


def level(x: Array) -> float:
    """Return the root mean square of the loud half of a signal's pieces: its level where there is speech."""
    pieces = np.sqrt((x[: len(x) // PIECE * PIECE].reshape(-1, PIECE) ** 2).mean(axis=1))
    return float(np.sort(pieces)[len(pieces) // 2 :].mean()) + 1e-12


def scaled(x: Array, peak: float = 0.5) -> Array:
    """Return a signal with this peak."""
    return peak * x / max(float(np.abs(x).max()), 1e-12)


def babble(
    speech: Array, others: Sequence[Array], rate: int, rng: np.random.Generator, *, decibels: float = 0.0
) -> Array:
    """Return speech with eight others, all of whom are equally loud.

    Parameters
    ----------
    speech : ndarray, shape (n,)
        Of one channel.
    others : sequence of ndarray
        Signals of other people at the same rate. Eight of them are drawn; fewer all speak. Each begins somewhere and
        is repeated as often as needed.
    rate : int
        Hz; nothing depends on it. All that spoil speech are given it (`studies/strange_sounds.py`).
    rng : numpy.random.Generator
    decibels : float
        By how much the speech is louder than all others together.

    Returns
    -------
    ndarray, shape (n,)
        With a peak of 0.5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech, *others = rng.normal(size=(3, 8000))
    >>> heard = babble(speech, others, 8000, rng, decibels=10.0)
    >>> rest = heard / heard.std() - 0.95 * speech  # what is left of them, about a tenth of the power
    >>> bool(0.05 < rest.var() < 0.2)
    True
    """
    total = np.zeros(len(speech))
    for i in rng.permutation(len(others))[:VOICES]:
        other = np.resize(others[i], len(others[i]) + len(speech))
        start = rng.integers(len(others[i]))
        total += other[start : start + len(speech)] / level(others[i])
    return scaled(speech + total * (level(speech) / level(total) * 10 ** (-decibels / 20)))


if __name__ == "__main__":
    import soundfile as sf

    sounds = [sf.read(path) for path in (sys.argv[1], *sys.argv[4:])]
    (speech, rate), *others = sounds
    heard = babble(speech, [x for x, _ in others], rate, np.random.default_rng(0), decibels=float(sys.argv[3]))
    sf.write(sys.argv[2], heard, rate)

"""Speech activity from frame energy: which frames are speech. Symbols: N frames.

The detector fits two Gaussians to a file's own frame levels: one for speech, one for what lies between. It needs no
threshold tuned to a corpus, and beat fixed distances below the peak on telephone speech.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture import Stop, Update, fit

METHODS = ("none", "gaussians")

_ITERATIONS = 12
_LEAST = 1.0
"""The least variance of a Gaussian, in square decibels."""
_BLOCK = 1 << 17
"""Frames handled at once: 22 minutes."""
_TINY = 1e-10
"""The least weight of a Gaussian."""


def speech_frames(level: Array, method: str, *, silence: float, prominence: float) -> Array:
    """Return which frames are speech, shape (N,), bool.

    Parameters
    ----------
    level : ndarray, shape (N,)
        The level of each frame, in dB relative to full scale.
    method : str
        "none": all frames above `silence`. "gaussians": of those, the frames that the louder of two Gaussians
        explains better, and those at most `prominence` dB below the 95th percentile: in a recording cut close to the
        words the quieter Gaussian is speech too.
    silence : float
        Frames at or below this level, in dB relative to full scale, are never speech; all of them count as this level
        when the Gaussians are fitted, so that digital silence weighs like any other silence.
    prominence : float
        In dB.
    """
    audible = level > silence
    x = np.maximum(level, silence).astype(np.float64)
    if method == "none" or np.ptp(x) < 1e-3:
        return audible
    quiet, loud, loudest = _quantiles(x, 0.1, 0.9, 0.95)
    center = float(x.mean())
    blocks = _Levels(x, center)
    pair = _Pair(0.5, (quiet - center, loud - center), (max(float(x.var()), _LEAST),) * 2)
    # one block is made ready once; more of them each time anew, so that they cost no memory
    again = list(blocks) if len(x) <= _BLOCK else blocks
    pair = fit(pair, again, _maximize, stop=Stop(1e-4, _ITERATIONS), n_threads=1).model
    odds = np.concatenate([pair.log_odds(block.powers) for block in again])
    speech = odds > 0 if pair.means[0] <= pair.means[1] else odds < 0
    low, high = sorted(m + center for m in pair.means)
    # the wider Gaussian wins in both tails: below the quiet mean nothing is speech, above the loud one all is
    speech = (x > low) & (speech | (x >= high))
    return audible & (speech | (x > loudest - prominence))


def _quantiles(x: Array, *shares: float) -> list[float]:
    """Return quantiles of at least two numbers, linear between two of them; numpy's own take far longer."""
    ordered, last = np.sort(x), len(x) - 1
    found = []
    for share in shares:
        start = max(int(share * last) - 1, 0)
        near = np.arange(start, min(start + 4, last + 1))
        found.append(float(np.interp(share, near * (1 / last), ordered[near])))
    return found


Three = tuple[float, float, float]


@dataclass(frozen=True)
class _Block:
    """The `powers` 1, x and x**2 of levels, shape (3, n), and their `sums` over the frames."""

    powers: Array
    sums: Three


@dataclass(frozen=True)
class _Levels:
    """Levels (N,) about their center, in blocks."""

    x: Array
    center: float

    def __iter__(self) -> Iterator[_Block]:
        """Yield the blocks in order."""
        for start in range(0, len(self.x), _BLOCK):
            y = self.x[start : start + _BLOCK] - self.center
            powers = np.stack([np.ones_like(y), y, y**2])
            yield _Block(powers, tuple(powers.sum(axis=1).tolist()))


@dataclass(frozen=True)
class _Sums:
    """Statistics of both Gaussians: sums of posteriors times 1, x and x**2."""

    first: Three
    second: Three
    log_likelihood: float

    def __add__(self, other: "_Sums") -> "_Sums":
        """Return the statistics of the frames of both."""
        first, second = (
            (a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in ((self.first, other.first), (self.second, other.second))
        )
        return _Sums(first, second, self.log_likelihood + other.log_likelihood)

    @property
    def mean_log_likelihood(self) -> float:
        """In nats per frame."""
        return self.log_likelihood / (self.first[0] + self.second[0])


@dataclass(frozen=True)
class _Pair:
    """Two Gaussians over levels, in plain numbers: for some hundred frames calls cost more than arithmetic.

    The general mixture takes many times as long. `weight` is that of the second Gaussian.
    """

    weight: float
    means: tuple[float, float]
    variances: tuple[float, float]

    def coefficients(self) -> tuple[Three, Three]:
        """Return those of log(weight * density) of both Gaussians in 1, x and x**2."""
        weights = 1 - self.weight, self.weight
        first, second = (
            (math.log(w) - 0.5 * (math.log(2 * math.pi * v) + m * m / v), m / v, -0.5 / v)
            for w, m, v in zip(weights, self.means, self.variances, strict=True)
        )
        return first, second

    def log_odds(self, powers: Array) -> Array:
        """Return the logarithm of the posterior of the second over that of the first (N,), of powers (3, N) of x."""
        (a, b, c), (d, e, f) = self.coefficients()
        return np.array((d - a, e - b, f - c)) @ powers

    def statistics(self, block: _Block) -> _Sums:
        """Return the statistics of a block: the E-step."""
        odds = self.log_odds(block.powers)
        either = np.logaddexp(0.0, odds)
        a, b, c = (block.powers @ np.exp(odds - either)).tolist()
        n, x, xx = block.sums
        p, q, r = self.coefficients()[0]
        return _Sums((n - a, x - b, xx - c), (a, b, c), p * n + q * x + r * xx + float(either.sum()))


def _maximize(sums: _Sums, pair: _Pair) -> Update[_Pair]:
    """Return the pair that explains the sums best; one that has lost its frames stays where it is."""
    means, variances = list(pair.means), list(pair.variances)
    for i, (n, x, xx) in enumerate((sums.first, sums.second)):
        if n >= 0.5:
            means[i] = x / n
            variances[i] = max(xx / n - means[i] ** 2, _LEAST)
    weight = min(max(sums.second[0] / (sums.first[0] + sums.second[0]), _TINY), 1 - _TINY)
    return Update(_Pair(weight, (means[0], means[1]), (variances[0], variances[1])))

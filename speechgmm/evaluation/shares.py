"""How far to trust a share of attempts that reach a threshold: misses and false accepts, of trials and of searches.

Neither trials nor tests are independent draws, but people are, in two roles: they are tested, and their models are
searched. How far a share varies is estimated by leaving out each person in turn, tests and models alike (the jackknife
[1]_; a bootstrap would make searches easier, for it draws some models twice and a third of them never).

Where few attempts reach the threshold, these few do not tell how errors gather in people: three errors of one person
make the variance large, and a table without errors has none. So the variance is not taken at the share that was found.
The interval holds each share s that does not contradict it, as Wilson's does [2]_:

    |found - s| <= q * sd(s)

sd(s) is read off the same attempts, with all thresholds moved by one amount, so that a share s reaches them; q is
Student's quantile, of fewer degrees of freedom the fewer people make the errors. So the interval has a width where
nobody was accepted, too. It is assumed that more errors would gather in people as those do that a lower threshold
shows.

What goes wrong by chance, between one person's tests and one model, is seen when either is left out, so that it counts
twice [1]_. Half of what is too much is taken off, and not all: a few models draw most false accepts, and those that
happen not to be in the table are seen by no leaving out (figures in recipes/benchmarks/README.md). Symbols: U attempts,
P persons.

References
----------
.. [1] B. Efron and C. Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981); for both sides of a
   pair: A. C. Cameron and D. L. Miller, "Robust inference for dyadic data", 2014.
.. [2] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array
from speechgmm.evaluation.decision import Limits
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler, student

LEVEL = 0.95
_TWICE = 0.5
"""So much is taken off of what is counted twice."""
_BEYOND = 10_000
"""So many attempts below the threshold are sorted, and as many as lie above it: sorting ten million takes long."""
_STEP = 0.5
"""Numbers are tried at steps of so many deviations, and then of so much of the way so far."""


@dataclass(frozen=True, eq=False)
class Attempts:
    """U attempts to be accepted: single trials, or searches for the best of several models.

    Parameters
    ----------
    tested : ndarray of int, shape (U,)
        The person who speaks.
    best, rival : ndarray, shape (U,)
        The best score, and the best of all other persons' models; minus infinity where there is none.
    whose : ndarray of int, shape (U,)
        The person whose model scored best.
    models : ndarray of int, shape (U,)
        How many models were searched.
    """

    tested: NDArray[np.intp]
    best: Array
    rival: Array
    whose: NDArray[np.intp]
    models: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of attempts, U."""
        return len(self.best)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Attempts":
        """Return some of these attempts."""
        return Attempts(*(getattr(self, f.name)[rows] for f in fields(self)))

    def thresholds(self, limits: Limits, far: float) -> tuple[Array, bool]:
        """Return the threshold of each attempt (U,) for a rate, and whether one of them is extrapolated."""
        sizes = np.flatnonzero(np.bincount(self.models))
        found = [limits.threshold(far, int(size)) for size in sizes]
        by_size = np.zeros(sizes[-1] + 1)
        by_size[sizes] = [t.score for t in found]
        return by_size[self.models], any(t.extrapolated for t in found)


def accepted_share(attempts: Attempts, thresholds: Array | float, *, level: float = LEVEL) -> Interval:
    """Return the share of attempts that reach their thresholds (U,), or one threshold, with its interval over persons.

    A person's attempt at a model of their own is left out with them once. Of fewer than five persons nothing is known:
    the interval is that of all shares.
    """
    moved = replace(attempts, best=attempts.best - thresholds, rival=attempts.rival - thresholds)
    hits = int((moved.best >= 0).sum())
    share = hits / len(moved)
    near = min(len(moved), 2 * hits + _BEYOND)
    spread = _Spread.of(moved, near, level)
    if len(spread.persons) < Resampler.LEAST_SPEAKERS:
        return Interval(share, 0.0, 1.0, level)
    high = spread.upper(hits)
    if high is None and near < len(moved):
        high = _Spread.of(moved, len(moved), level).upper(hits)
    return Interval(share, spread.lower(hits) / len(moved), 1.0 if high is None else min(1.0, high / len(moved)), level)


@dataclass(frozen=True, eq=False)
class _Spread:
    """How far the number of attempts that reach a threshold varies, wherever the threshold is.

    Parameters
    ----------
    above : Attempts
        Those that come highest, in descending order.
    persons : array of int, shape (P,)
        Who takes part.
    left : array of int, shape (P,)
        How many attempts there are without each of them.
    attempts : int
        How many there are, U.
    level : float
    """

    above: Attempts
    persons: NDArray[np.intp]
    left: NDArray[np.intp]
    attempts: int
    level: float

    @classmethod
    def of(cls, attempts: Attempts, many: int, level: float) -> "_Spread":
        """Sort so many of the attempts, the highest."""
        rows = np.arange(len(attempts))
        if many < len(attempts):
            rows = np.argpartition(attempts.best, len(attempts) - many)[-many:]
        above = attempts.take(rows[np.argsort(-attempts.best[rows], kind="stable")])
        alone = (attempts.tested != attempts.whose) & np.isneginf(attempts.rival)
        size = int(max(attempts.tested.max(), attempts.whose.max())) + 1
        own = np.bincount(attempts.tested, minlength=size)
        gone = own + np.bincount(attempts.whose[alone], minlength=size)
        persons = np.flatnonzero(own + np.bincount(attempts.whose, minlength=size))
        return cls(above, persons, len(attempts) - gone[persons], len(attempts), level)

    def half_width(self, reach: int) -> float:
        """Return q times the deviation of how many reach the threshold, where so many do."""
        deviation, q = self.deviation(reach)
        return deviation * q

    def deviation(self, reach: int) -> tuple[float, float]:
        """Return the deviation of how many reach the threshold, where so many do, and Student's quantile for it."""
        if not reach:
            return 0.0, 0.0
        tested, whose, rival = (getattr(self.above, name)[:reach] for name in ("tested", "whose", "rival"))
        size = int(self.persons[-1]) + 1
        falls = (tested != whose) & (rival < self.above.best[reach - 1])  # the next best model does not reach it
        gone = np.bincount(tested, minlength=size) + np.bincount(whose[falls], minlength=size)
        share = reach / self.attempts
        without = np.where(self.left > 0, (reach - gone[self.persons]) / np.maximum(self.left, 1), share)
        shifts, people = without.mean() - without, len(without)
        variance = (people - 1) / people * float(shifts @ shifts)
        variance = max(
            variance - _TWICE * _of_pairs(tested[falls] * size + whose[falls]) / self.attempts**2, variance / 2
        )
        return self.attempts * variance**0.5, student([shifts], people, self.level)

    def upper(self, hits: int) -> float | None:
        """Return the least number from which the hits lie q deviations below; None if it is not among the highest."""
        far, _ = self._crossing(hits, self._upward(hits))
        return None if far is None else hits + far

    def lower(self, hits: int) -> float:
        """Return the greatest number from which the hits lie q deviations above."""
        far, reach = self._crossing(hits, self._downward(hits))
        if far is not None:
            return hits - far
        slope = self.half_width(reach) / max(1, reach) ** 0.5  # the variance of few is in proportion to their number
        return ((slope**2 / 4 + hits) ** 0.5 - slope / 2) ** 2

    def _crossing(self, hits: int, tried: Iterable[int]) -> tuple[float | None, int]:
        """Return how far from the hits q deviations reach back to them, if that is tried; and what was tried last."""
        before, least, reach = 0.0, -self.half_width(hits), hits
        for reach in tried:
            far, width = float(abs(reach - hits)), self.half_width(reach)
            if far >= width:  # a variance that starts at nothing is in proportion to the distance
                crossing = before + (far - before) * least / (least - far + width) if least else width**2 / far
                return crossing, reach
            before, least = far, far - width
        return None, reach

    def _step(self, hits: int) -> float:
        """Return the first step, which is the same at every level, so that a higher level has no narrower interval."""
        return _STEP * self.deviation(hits)[0]

    def _upward(self, hits: int) -> Iterator[int]:
        """Yield how many reach lower and lower thresholds; equal scores do so together."""
        step, reach, scores = self._step(hits), hits, -self.above.best
        while reach < len(scores):
            reach = min(len(scores), reach + _ahead(step, reach - hits))
            reach = int(np.searchsorted(scores, scores[reach - 1], side="right"))
            yield reach

    def _downward(self, hits: int) -> Iterator[int]:
        """Yield how many reach higher and higher thresholds, at least one."""
        step, reach, scores = self._step(hits), hits, -self.above.best
        while reach > 1:
            reach = max(1, reach - _ahead(step, hits - reach))
            reach = int(np.searchsorted(scores, scores[reach], side="left"))
            if reach:
                yield reach


def _of_pairs(pairs: NDArray[np.intp]) -> float:
    """Return the sum of squares of how often each pair is there."""
    few = len(pairs) == 0 or pairs.max() < max(1_000_000, 4 * len(pairs))  # else counting takes more than sorting
    times = np.bincount(pairs) if few else np.unique(pairs, return_counts=True)[1]
    return float(times.astype(np.float64) @ times)


def _ahead(step: float, far: int) -> int:
    """Return how many attempts further the next threshold is tried, so far from where it began."""
    return max(1, round(step), round(_STEP / 2 * far))

"""What turns raw scores into log-likelihood ratios against strangers, and these into decisions.

Three steps make scores of all stores, amounts of speech and microphones alike. Each test is set beside a cohort in the
store's domain (T-norm, `relative_to_cohort`). What the amounts of speech do to a stranger's score is taken out
(`AmountNorm`). And the store tells how high its own impostors come (`StoreNorm`). What is left has one distribution for
strangers, so that a rate has one threshold, and one map to log-likelihood ratios (LLR, in nats). `train_calibration`
makes a `SystemCalibration` from simulated stores, `score` applies it. Symbols: C cohort, K components, D dimensions, J
sizes of stores.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import FAR, Array, floats, hold, instance, number, numeric, refuse, sequence_of
from speechgmm.evaluation.calibration import Calibration
from speechgmm.evaluation.thresholds import Strangers, Threshold
from speechgmm.looks import Look, Shown

FADE = 1.5
"""What training knows of impostors counts as so many people beside those of the store: few, for elsewhere their scores
may lie twice as far apart (`recipes/benchmarks/README.md`)."""
LEAST_PEOPLE = 3
"""With fewer people enrolled their trials tell nothing yet."""
ASSURED = 5
"""From so many people on a store knows its strangers well enough to assure a rate."""
_LEAST_SPREAD = 0.01
"""A store's own spread is at least this share of a usual one, so that equal trials divide by no 0."""
_BEYOND = 4.0
_UPPER = 0.9
"""How high impostors come is where nine in ten of them stay below."""
_DEVIATIONS = 1.2815515655446004
"""The same quantile of a normal distribution, in deviations above its median."""
MOST_TESTED = 20
"""So many people of a store are tested against each other at most."""
_ALIKE = np.log(2.0)
"""Thresholds of simulated stores hold for stores of about their size: how far, as a deviation of its logarithm."""
_GROWTH = 0.5
"""The more people a store tests, the better it knows how high its strangers come. Up to the most that are tested, n
times as many people count therefore as n to this power independent draws: from simulated stores of 5 people to those
of 20, thresholds grow by 0.4 of what n draws would add (`recipes/benchmarks/README.md`)."""


@dataclass(frozen=True, eq=False)
class AmountNorm(Shown):
    """Takes out of strangers' scores what the amounts of speech do to them, whoever speaks.

    A model of little speech lies nearer to the background than those of the cohort. What a test gives to all models
    alike is less in such a model, and T-norm takes all of it away. So the location of strangers' scores has a part in
    proportion to the level of the cohort in the test. The location, the proportion and the logarithm of the scale are
    linear in x = [1, log(enrolled), log(tested), log(enrolled) log(tested)].

    Parameters
    ----------
    location, scale : ndarray, shape (4,)
    low, high : ndarray, shape (2,)
        Seconds enrolled and tested: each counts as if it lay in between.
    proportion : ndarray, shape (4,), optional
        Default, and in files of before: 0 for all amounts. These files have no product of amounts either.
    """

    LATER_FIELDS: ClassVar = {"proportion": (0.0, 0.0, 0.0, 0.0)}

    location: Array
    scale: Array
    low: Array
    high: Array
    proportion: Array = field(default_factory=lambda: np.zeros(4))

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("location", "scale", "proportion"):
            given = floats(getattr(self, name), f"{name} by amount")
            given = np.append(given, 0.0) if given.shape == (3,) else given
            hold(self, **{name: floats(given, f"{name} by amount", shape=(4,), largest=FAR)})
        seconds = {n: floats(getattr(self, n), f"{n} by amount", shape=(2,), largest=FAR) for n in ("low", "high")}
        hold(self, **seconds)
        if (self.low <= 0).any() or (self.high < self.low).any():
            refuse("amounts of speech", "run from low above 0 to high", f"{self.low} to {self.high}")
        with np.errstate(over="ignore", under="ignore"):
            ends = np.exp([self.design(e, t) @ self.scale for e in (0.0, np.inf) for t in (0.0, np.inf)])
        if not ((ends > 1 / FAR) & (ends < FAR)).all():
            refuse("the scale of strangers' scores", f"lie between {1 / FAR:g} and {FAR:g}", ends)

    def design(self, enrolled: ArrayLike, tested: ArrayLike) -> Array:
        """Return x of these seconds, shape (..., 4); an amount that is not known (NaN) is a usual one."""
        columns = []
        for amounts, low, high in zip((enrolled, tested), self.low, self.high, strict=True):
            a = np.clip(np.asarray(amounts, dtype=np.float64), low, high)
            columns.append(np.where(np.isnan(a), 0.5 * (np.log(low) + np.log(high)), np.log(a)))
        e, t = np.broadcast_arrays(*columns)
        return np.stack([np.ones_like(e), e, t, e * t], axis=-1)

    def __call__(self, scores: ArrayLike, enrolled: ArrayLike, tested: ArrayLike, level: ArrayLike) -> Array:
        """Return scores whose strangers are alike for all amounts of speech.

        Parameters
        ----------
        scores : array_like
        enrolled, tested, level : array_like
            Seconds of speech, and the level of the cohort in the test; they broadcast with the scores.
        """
        x = np.moveaxis(self.design(enrolled, tested), -1, 0)

        def linear(weights: Array) -> Array:  # by elements: a score is the same to the bit alone or among others
            return np.asarray(sum(w * column for w, column in zip(weights, x, strict=True)))

        location = linear(self.location) + linear(self.proportion) * np.asarray(level)
        return np.asarray((np.asarray(scores) - location) / np.exp(linear(self.scale)))


@dataclass(frozen=True)
class StoreNorm(Shown):
    """How high the impostors of a store come: location and scale, and the number of people that it holds.

    Where the system has no calibration of its own, nobody knows what scores of shorter tests do than those by which the
    store has tested itself: rates are assured from `shortest` seconds of speech on.
    """

    size: int
    location: float
    scale: float
    shortest: float = 0.0

    def assures(self, tested: float) -> bool:
        """Whether the store holds people enough to assure a rate of tests with so many seconds of speech."""
        return self.size >= ASSURED and not tested < self.shortest

    def __call__(self, scores: ArrayLike) -> Array:
        """Return scores relative to the store's impostors."""
        return np.asarray((np.asarray(scores) - self.location) / self.scale)


@dataclass(frozen=True, eq=False)
class ImpostorLevels(Shown):
    """How high impostors come: by amounts of speech, and by how many people a store holds.

    Parameters
    ----------
    amounts : AmountNorm
    sizes : ndarray, shape (J,)
        How many people the simulated stores held, ascending from 1.
    location, scale : ndarray, shape (J,)
        Of impostors' scores in such stores, after the `AmountNorm`.
    """

    amounts: AmountNorm
    sizes: Array
    location: Array
    scale: Array

    def __post_init__(self) -> None:
        """Check everything."""
        instance(self.amounts, "the norm by amounts", AmountNorm)
        sizes = floats(self.sizes, "the sizes of stores", largest=FAR)
        if sizes.ndim != 1 or not sizes.size or sizes[0] != 1 or (np.diff(sizes) <= 0).any() or (sizes % 1).any():
            refuse("the sizes of stores", "be whole numbers that ascend from 1", sizes)
        location = floats(self.location, "the location of impostors", shape=sizes.shape, largest=FAR)
        scale = floats(self.scale, "the scale of impostors", shape=sizes.shape, largest=FAR)
        if (scale < 1 / FAR).any():
            refuse("the scale of impostors", "be above 0 for each size", scale)
        hold(self, sizes=sizes, location=location, scale=scale)

    def norm(self, size: int, own: Iterable[Array] = ()) -> StoreNorm:
        """Return how high the impostors of a store come.

        What training knows of stores of this size gives way to the store's own trials, the more people it holds.

        Parameters
        ----------
        size : int
            How many people it holds.
        own : iterable of array_like
            For each of them, their speech against the others: scores after the `AmountNorm`.
        """
        at = np.log(max(size, 1)), np.log(self.sizes)
        location, scale = float(np.interp(*at, self.location)), float(np.exp(np.interp(*at, np.log(self.scale))))
        heard = [np.ravel(o) for o in own if np.size(o)]
        if len(heard) >= LEAST_PEOPLE:
            share = (len(heard) - 1) / (len(heard) - 1 + FADE)
            found, spread = impostor_level(heard)
            location = share * found + (1 - share) * location
            scale = float(scale ** (1 - share) * max(spread, _LEAST_SPREAD * scale) ** share)
        return StoreNorm(size, location, scale)


@dataclass(frozen=True, eq=False)
class OwnerScores(Shown):
    """Where owners' own scores lie: a normal distribution whose mean is linear in [1, log(amount)].

    Parameters
    ----------
    mean : ndarray, shape (2,)
    deviation : float
    low, high : float
        Between these amounts (see `amount`) it was fitted. Less counts as the least; more is extrapolated, to four
        times the most.
    """

    mean: Array
    deviation: float
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        mean = floats(self.mean, "the mean of owners' scores", shape=(2,), largest=FAR)
        deviation = number(self.deviation, "the deviation of owners' scores", minimum=1e-6, maximum=FAR)
        low = number(self.low, "the least amount", minimum=1e-6, maximum=FAR, unit=" s")
        high = number(self.high, "the most", minimum=low, maximum=FAR, unit=" s")
        hold(self, mean=mean, deviation=deviation, low=low, high=high)

    def met(self, scores: ArrayLike, amounts: ArrayLike, people: ArrayLike) -> "OwnerScores":
        """Return where owners' scores lie in a store, whose own people were tested against themselves.

        What training knows gives way to the store's own trials, the more people there are.

        Parameters
        ----------
        scores, amounts : array_like, shape (n,)
            Normalized scores of speech against a model of other speech of the same person, and the `amount` of each.
        people : array_like of int, shape (n,)
            Whose: they count alike.
        """
        if not np.size(scores):
            return self
        at = np.log(np.clip(np.asarray(amounts, dtype=np.float64), self.low, _BEYOND * self.high))
        left = np.asarray(scores) - self.mean[0] - self.mean[1] * at
        _, whose, counts = np.unique(people, return_inverse=True, return_counts=True)
        weights = 1 / counts[whose]
        share = len(counts) / (len(counts) + FADE)
        shift = float(np.average(left, weights=weights))
        variance = float(np.average((left - shift) ** 2, weights=weights))
        deviation = np.sqrt((1 - share) * self.deviation**2 + share * variance)
        return OwnerScores(self.mean + np.array([share * shift, 0.0]), max(float(deviation), 1e-3), self.low, self.high)

    def missed(self, threshold: float, seconds: ArrayLike) -> Array:
        """Return the share of owners' tests with these amounts of speech that stay below a threshold."""
        from scipy.special import ndtr

        a = np.log(np.clip(np.asarray(seconds, dtype=np.float64), self.low, _BEYOND * self.high))
        return np.asarray(ndtr((threshold - self.mean[0] - self.mean[1] * a) / self.deviation))


@dataclass(frozen=True, eq=False)
class SystemCalibration(Shown):
    """What turns raw scores into decisions; made by training, on speakers whom the UBM that scored them did not know.

    Parameters
    ----------
    cohort : ndarray, shape (C, K, D)
        Adapted means of background speakers, relative to the UBM's. They move along with the domain.
    levels : ImpostorLevels
    strangers : tuple of Strangers
        J: how high strangers came in them, on the scale of normalized scores.
    llr : Calibration
        From normalized scores to LLRs. The amounts of speech are in the scores already: a map that knew them once more
        told speakers apart less well on each corpus that was tried.
    owners : OwnerScores
        Where owners' normalized scores lay.
    least_seconds : float
        With less speech in a test than that, nothing was calibrated and nothing is decided.
    measured : mapping
        Error rates with intervals, and what they were measured on.
    usual_seconds : float
        Half of the models that this was fitted on were of so much speech or more: who has less enrolled is often not
        found. 0 where that is not known.
    """

    FORMER_NAMES: ClassVar = ("ScoreCalibration",)

    cohort: Array
    levels: ImpostorLevels
    strangers: tuple[Strangers, ...]
    llr: Calibration
    owners: OwnerScores
    least_seconds: float
    measured: Mapping[str, Any] = field(default_factory=dict)
    usual_seconds: float = 0.0

    def _look(self) -> Look:
        least = f"decides from {self.least_seconds:.2f} s of speech on"
        return Look((f"cohort of {len(self.cohort)} models", least))

    def __post_init__(self) -> None:
        """Check the cohort, and hold it as read-only float32."""
        largest = float(np.finfo(np.float32).max)
        cohort = floats(self.cohort, "the cohort", largest=largest).astype(np.float32)
        if cohort.ndim != 3 or len(cohort) < 2:
            refuse("the cohort", "be at least two models of shape (components, dimensions)", f"shape {cohort.shape}")
        for name, kind in _PARTS.items():
            instance(getattr(self, name), f"{name} of a calibration", kind)
        self.llr.check_alone()
        sequence_of(self.strangers, "what is known of strangers", Strangers)
        if len(self.strangers) != self.levels.sizes.size:
            refuse("what is known of strangers", f"be of {self.levels.sizes.size} sizes of stores", len(self.strangers))
        least = number(self.least_seconds, "least_seconds", minimum=0.0, maximum=3600.0, unit=" s")
        usual = number(self.usual_seconds, "usual_seconds", minimum=0.0, maximum=1e7, unit=" s")
        hold(self, cohort=cohort, strangers=tuple(self.strangers), least_seconds=least, usual_seconds=usual)

    def threshold(self, far: float, norm: StoreNorm, searched: int) -> Threshold:
        """Return the normalized score that the best of `searched` reaches for a share `far` of the store's strangers.

        Each size of simulated stores tells it with an error of its own. It is their mean, in which sizes count the more
        the nearer they are to the store's. Of each a part as large as that of this store is searched, in logarithms.
        Stores too small to know their strangers are each of a kind of their own.

        Parameters
        ----------
        far : float
            Between 0 and 1, both left out.
        norm : StoreNorm
            Of the store, with its size.
        searched : int
            How many are searched: all of the store, or 1 in verification.
        """
        sizes, size = self.levels.sizes, max(norm.size, 1)
        near = np.flatnonzero(sizes >= ASSURED)
        if size < ASSURED or not near.size:
            return self.strangers[int(np.searchsorted(sizes, size, "right")) - 1].threshold(far, searched)
        part = min(np.log(searched) / np.log(size), 1.0)
        rate = -np.expm1(np.log1p(-far) / _grown(size, float(sizes[-1])) ** part)
        more = max(searched / size, 1.0)
        found = [self.strangers[j].threshold(rate, max(1, round(float(sizes[j] ** part * more)))) for j in near]
        weights = np.exp(-0.5 * (np.log(sizes[near] / min(size, sizes[-1])) / _ALIKE) ** 2)
        score = float(np.average([t.score for t in found], weights=weights))
        return Threshold(score, found[int(weights.argmax())].extrapolated)


def _grown(size: float, largest: float) -> float:
    """Return how many independent draws one of the largest simulated store is in one of this size."""
    settled = max(largest, MOST_TESTED)
    return max(min(size, settled) / largest, 1.0) ** _GROWTH * max(size / settled, 1.0)


def impostor_level(trials: Iterable[Array]) -> tuple[float, float]:
    """Return the median of impostors' scores, and their deviation as their upper tail has it.

    Both are quantiles, which one person who is enrolled under two names does not move.
    """
    median, upper = np.quantile(np.concatenate([np.ravel(t) for t in trials]), (0.5, _UPPER))
    return float(median), float((upper - median) / _DEVIATIONS)


_PARTS = {"levels": ImpostorLevels, "llr": Calibration, "owners": OwnerScores, "measured": Mapping}
TYPES = (SystemCalibration, ImpostorLevels, AmountNorm, OwnerScores, Calibration, Strangers)
"""What a file with a calibration may hold of it."""


def amount(enrolled: ArrayLike, tested: ArrayLike) -> Array:
    """Return the amount of speech that a trial rests on, in seconds: 1 / (1 / enrolled + 1 / tested).

    The noise of a score has a part from either side, which adds up as the inverses of the amounts do: the shorter
    side decides.

    Examples
    --------
    >>> amount([10.0, 40.0], 10.0)
    array([5., 8.])
    """
    e, t = (numeric(x, "seconds").astype(np.float64) for x in (enrolled, tested))
    return np.asarray(1 / (1 / e + 1 / t))

"""How many strangers are accepted at thresholds for a stated rate: counted in a table of scores, with intervals.

Whoever speaks in a test is a stranger to all models that are not theirs. Each such trial is counted by itself, and
each test once more as a search: the best of these models is accepted where it reaches the threshold.

Intervals over persons are those of `shares`. Symbols: T trials, U attempts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import Array, instance, integer, number, probability
from speechgmm.evaluation.decision import Limits
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler, resampler
from speechgmm.evaluation.shares import Attempts, accepted_share
from speechgmm.evaluation.thresholds import Strangers, fit_strangers
from speechgmm.evaluation.trials import Scores

RATES = (0.01, 0.05, 0.1)
"""Shares of strangers that are asked for where nothing else is said."""
_FEWEST = 0.1
"""So large a share of the tests may have fewer models than all others; these are not counted as searches."""


@dataclass(frozen=True)
class FalseAccepts:
    """How many strangers were accepted where a rate was asked for.

    Parameters
    ----------
    far : float
        The share of strangers that was asked for.
    speakers : int
        Among how many models each test was searched, half of them among so many or more; 1 for single trials.
    accepted : Interval
        The share that was accepted, with its interval over speakers.
    extrapolated : bool
        Whether a threshold lay beyond what its calibration had seen often enough.
    """

    far: float
    speakers: int
    accepted: Interval
    extrapolated: bool

    def __post_init__(self) -> None:
        """Check the numbers, which files bring."""
        probability(self.far, "far")
        integer(self.speakers, "the number of models searched", minimum=1)
        check_interval(self.accepted, "the share accepted", most=1.0)
        instance(self.extrapolated, "extrapolated", bool)


def as_many_as_usual(models: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which tests (U,) are searches: against about as many models as most others, or more."""
    return np.asarray(models >= np.quantile(models, _FEWEST, method="lower"))


def attempts_among(speakers: int) -> str:
    """Return what is tried where the best of so many models is accepted, in words."""
    return "trials" if speakers == 1 else f"searches among {speakers}"


def check_interval(interval: Interval, what: str, *, most: float) -> None:
    """Refuse what is no interval of numbers from 0 to `most`."""
    instance(interval, what, Interval)
    for value in (interval.estimate, interval.low, interval.high):
        number(value, what, minimum=0.0, maximum=most)
    probability(interval.level, f"the level of {what}")


@dataclass(frozen=True, eq=False)
class Impostors:
    """The T trials of tests against models that are not their speaker's, ordered by tests.

    Parameters
    ----------
    test : ndarray of int, shape (T,)
    enrolled, tested : ndarray of int, shape (T,)
        The persons of the model and of the test.
    score : ndarray, shape (T,)
    """

    test: NDArray[np.intp]
    enrolled: NDArray[np.intp]
    tested: NDArray[np.intp]
    score: Array

    def __len__(self) -> int:
        """Return the number of trials, T."""
        return len(self.test)

    def take(self, rows: NDArray[np.bool_]) -> "Impostors":
        """Return some of these trials."""
        return Impostors(*(getattr(self, f.name)[rows] for f in fields(self)))

    def mapped(self, score: Array) -> "Impostors":
        """Return the same trials with other scores."""
        return replace(self, score=score)

    def of_searches(self) -> "Impostors":
        """Return the trials of tests that are searches: against about as many models as most others, or more."""
        _, which, counts = np.unique(self.test, return_inverse=True, return_counts=True)
        return self.take(as_many_as_usual(counts)[which])

    def strangers(self, seed: int) -> Strangers:
        """Return how high the searches of all tests come."""
        scores, models = self.by_test(self.score), self.by_test(self.enrolled)
        return fit_strangers(scores, tested=self.tested[self._starts()], models=models, seed=seed)

    def by_test(self, column: Array) -> list[Array]:
        """Return a column (T,) of these trials in parts, one for each test."""
        return np.split(column, self._starts()[1:])

    def trials(self) -> Attempts:
        """Return each trial as an attempt by itself."""
        nothing, one = np.full(len(self), -np.inf), np.ones(len(self), dtype=np.intp)
        return Attempts(self.tested, self.score, nothing, self.enrolled, one)

    def searches(self) -> Attempts:
        """Return each test as a search for the best of its models."""
        starts = self._starts()
        models = np.diff(starts, append=len(self))
        top = np.flatnonzero(self.score == np.repeat(np.maximum.reduceat(self.score, starts), models))
        top = top[np.lexsort((self.enrolled[top], self.test[top]))]
        best = top[np.append(self.test[top][1:] != self.test[top][:-1], True)]  # of equal ones the last person's
        others = np.where(self.enrolled == np.repeat(self.enrolled[best], models), -np.inf, self.score)
        rival = np.maximum.reduceat(others, starts)
        return Attempts(self.tested[best], self.score[best], rival, self.enrolled[best], models)

    def _starts(self) -> NDArray[np.intp]:
        """Return the first trial of each test."""
        return np.flatnonzero(np.append(True, self.test[1:] != self.test[:-1]))


def people_of(scores: Scores, known: Resampler | None = None) -> Resampler:
    """Return who is enrolled and who is tested, ready for intervals; `known` is what `resampler` gave, if it is there.

    As in `resampler`; beside that, those whom a target trial joins are one person, so that somebody who is enrolled by
    several recordings under as many names is known as one.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = known or resampler(scores)
    rows = scores.target == 1
    pairs = known.enrolled[scores.speakers.codes[rows]], known.tested[scores.tests.codes[rows]]
    edges = coo_array((np.ones(int(rows.sum()), dtype=np.int8), pairs), shape=(known.persons, known.persons))
    persons, code = connected_components(edges, directed=False)
    return replace(known, enrolled=code[known.enrolled], tested=code[known.tested], persons=persons)


def impostors_of(scores: Scores, people: Resampler) -> Impostors:
    """Return the trials of strangers in a table; who is who is told by `people_of`."""
    enrolled, tested = people.enrolled[scores.speakers.codes], people.tested[scores.tests.codes]
    rows = np.flatnonzero((scores.target == 0) & (enrolled != tested))
    rows = rows[np.lexsort((scores.speakers.codes[rows], scores.tests.codes[rows]))]
    test = scores.tests.codes[rows].astype(np.intp)
    return Impostors(test, enrolled[rows].astype(np.intp), tested[rows].astype(np.intp), scores.score[rows])


def count_false_accepts(
    judged: Sequence[tuple[Impostors, Limits]], rates: Sequence[float] = RATES
) -> tuple[FalseAccepts, ...]:
    """Return how many strangers are accepted where some rates are asked for: of the trials, then of the searches.

    Parameters
    ----------
    judged : sequence of (Impostors, Limits)
        Trials, and what sets the thresholds for them; they are counted together. Where tests have one model each there
        are no searches.
    rates : sequence of float
    """
    limits = [limit for _, limit in judged]
    kinds = [[impostors.trials() for impostors, _ in judged]]
    searches = [impostors.of_searches().searches() for impostors, _ in judged]
    if min(attempts.models.min() for attempts in searches) > 1:
        kinds.append(searches)
    found = []
    for attempts in kinds:
        every = _joined(attempts)
        usual = int(np.median(every.models))
        for far in rates:
            asked = [a.thresholds(limit, far) for a, limit in zip(attempts, limits, strict=True)]
            accepted = accepted_share(every, np.concatenate([scores for scores, _ in asked]))
            found.append(FalseAccepts(far, usual, accepted, any(beyond for _, beyond in asked)))
    return tuple(found)


def _joined(attempts: Sequence[Attempts]) -> Attempts:
    """Return the attempts of several tables as one."""
    return Attempts(*(np.concatenate([getattr(a, f.name) for a in attempts]) for f in fields(Attempts)))

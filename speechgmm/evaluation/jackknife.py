"""How far to trust the rates of a table of scores: intervals by leaving out one speaker after the other.

What an interval is of: the rate in the population that the speakers come from, of detection rates as the number of
speakers grows, of searches among stores of the same size. Speakers are draws from it and trials are not, so that
whoever is left out takes all of their trials along, as an enrolled speaker and as the speaker of tests. How much the
rates then change gives the variance [1]_; people with target trials and all others are two strata. Where there are more
persons than replicates, groups of them are left out.

* The least of many costs flatters: an optimum over thresholds, and so the hull of a ROC, fits the speakers at hand.
  Such a bias falls with the number of speakers n as n**(-2/3) [2]_, of which leaving out one shows two thirds. The
  upper end starts from the estimate with the bias taken off, the lower end from the estimate, which it cannot have
  raised; what was seen is added to the deviation, for it is known no better than by its size.
* Costs and error rates vary in proportion to their size, so that their ends are multiples. Few speakers make most of
  the errors, so that the variance is known worse than from as many like ones: the quantile is Student's (`student`), of
  fewer degrees of freedom the longer the tail of the changes is.
* What a trial may add to Cllr has no end, so that a table without the worst trials has a low Cllr and a low variance at
  once. The upper end is the Cllr that lies q deviations above that of the table, deviations that are in proportion to
  it and not to the table's: 1 / (1 - x) times as high, where x is q relative deviations of the table. That is
  exp(x + x**2 / 2 + ...), of which two terms are taken, so that the end is finite.
* A search that goes wrong by chance changes with the speaker who is tested and with the one who is taken for them; it
  is counted once. A share of searches that are right is one less the error rate.
* Where there is no error at all, the upper end is Wilson's [3]_ for as many decisions as there are speakers with target
  trials.

It says how much a rate would differ with other speakers of the same kind; it says nothing of other places, telephones
or languages. `recipes/benchmarks/interval_coverage.py` measures how often the truth is held.

One approximation, for large tables: of each kind the 10 000 trials that decide (the highest nontargets, the lowest
targets) are kept; of the next 10 000 every second stands for two, of the next 20 000 every fourth for four, and so on.
Error rates of any size so keep about the same relative precision, 1 %. Estimates are of the kept trials, too.

References
----------
.. [1] B. Efron and C. Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981); for both sides of a
   pair: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007).
.. [2] J. Kim and D. Pollard, "Cube root asymptotics", Annals of Statistics 18 (1990).
.. [3] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
.. [4] F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
   (1946).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.evaluation.identification import searches
from speechgmm.evaluation.intervals import Interval, weigh
from speechgmm.evaluation.name_index import Codes, NameIndex, index_names
from speechgmm.evaluation.roc import Application, hull_of_counts
from speechgmm.evaluation.trials import Scores, columns

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Rates = dict[str, float]

REPLICATES = 200
"""Persons or groups that are left out at most: of 100 in each stratum, the quantile is 1 % above the normal's."""
_KEPT = 10_000
"""So many deciding trials of a kind are kept one by one, and of each octave of the others about half as many."""
_SEEN = 2 / 3
"""The share of the bias of an optimum that leaving out one shows."""
_LARGEST = 700.0
"""The exponential of much more than this is no finite number."""
_UNCLAIMED, _NOBODY = -1, -2
"""The group of whom a stranger's test is of, and the group that is left out for the estimates."""


@dataclass(frozen=True, eq=False)
class Resampler:
    """A table of T scores made ready for leaving out speakers; made by `resampler`.

    Parameters
    ----------
    scores : Scores
    order : array of int, shape (T,)
        Its rows by ascending score.
    enrolled, tested : array of int
        The person who is each enrolled speaker, and who speaks in each test, in the order of their names.
    persons : int
        How many persons there are.
    replicates, level, seed
        As in `resampler`.
    """

    LEAST_SPEAKERS: ClassVar[int] = 5
    """With fewer speakers who have target trials, an interval would not say what it seems to."""

    scores: Scores
    order: Codes
    enrolled: Codes
    tested: Codes
    persons: int
    replicates: int
    level: float
    seed: int

    def speakers(self, rows: NDArray[np.bool_] | slice = slice(None)) -> int:
        """Return how many speakers have target trials among some rows."""
        return len(np.unique(self.scores.speakers.codes[rows][self.scores.target[rows] == 1]))

    def strangers(self) -> int:
        """Return how many people are tested and have no target trials."""
        owners = self.enrolled[self.scores.speakers.codes[self.scores.target == 1]]
        return len(np.setdiff1d(self.tested, owners))

    def groups(self, owners: Counts, others: Counts) -> tuple["_Groups", "_Groups"]:
        """Return those with target trials and all others as groups that are left out in turn."""
        if len(owners) < 2:
            checks.refuse("speakers", "be at least two, for an interval over speakers", len(owners))
        rng = np.random.default_rng(self.seed)
        most = self.replicates // 2 if len(owners) + len(others) > self.replicates else self.replicates
        parts = []
        for people in (owners, others):
            size = max(1, -(-len(people) // most))
            shuffled = rng.permutation(people) if size > 1 else people
            parts.append(np.array_split(shuffled, -(-len(people) // size)) if len(people) else [])
        return _Groups(len(owners), parts[0]), _Groups(len(others), parts[1])


@dataclass(frozen=True, eq=False)
class _Groups:
    """A stratum of so many people, in groups of about the same size."""

    people: int
    groups: list[Counts]


@dataclass(frozen=True, eq=False)
class _Change:
    """What leaving out people does to a rate.

    Parameters
    ----------
    estimate : float
    shifts : tuple of array
        Of each stratum, by group: by how much the rate is lower without it than on the average over groups.
    bias : float
        By how much the estimate seems too low.
    people : int
        How many have target trials.
    """

    estimate: float
    shifts: tuple[Floats, ...]
    bias: float
    people: int

    @classmethod
    def of(cls, estimate: float, without: Iterable[Floats], people: int) -> "_Change":
        """Compare the estimate with the rates (G,) without each group of each stratum."""
        strata = [values for values in without if len(values) > 1]
        shifts = tuple(values.mean() - values for values in strata)
        bias = sum((len(values) - 1) * (estimate - values.mean()) for values in strata)
        return cls(estimate, shifts, float(bias), people)

    @property
    def variances(self) -> Floats:
        """Of each stratum, (n - 1) / n times the sum of squares."""
        return np.array([(len(u) - 1) / len(u) * (u @ u) for u in self.shifts])

    def interval(
        self,
        level: float,
        *,
        flatters: bool = False,
        endless: bool = False,
        chance: float = 0.0,
        most: float = np.inf,
    ) -> Interval:
        """Return the interval of a cost or an error rate, from 0 up to `most`.

        Parameters
        ----------
        level : float
        flatters : bool
            Whether it is an optimum.
        endless : bool
            Whether a single trial may cost anything.
        chance : float
            The variance that is counted twice; at most half is.
        most : float
        """
        bias = max(0.0, self.bias) / _SEEN if flatters else 0.0
        variance = float(self.variances.sum())
        variance = max(variance - chance, variance / 2) + (_SEEN * bias) ** 2
        q = student(self.shifts, len(self.shifts[0]), level)
        if self.estimate <= 0:
            return Interval(0.0, 0.0, min(most, q * q / (self.people + q * q)), level)
        top = self.estimate + bias
        low = self.estimate * np.exp(-q * variance**0.5 / self.estimate)
        far = q * variance**0.5 / top
        high = top * np.exp(min(_LARGEST, far + far**2 / 2 if endless else far))
        return Interval(self.estimate, float(low), float(min(high, most)), level)


@dataclass(frozen=True, eq=False)
class _KeptTrials:
    """The trials of one kind that are kept, by ascending score: part in Cllr, persons, for how many each stands."""

    score: Floats
    loss: Floats
    enrolled: NDArray[np.intp]
    tested: NDArray[np.intp]
    stands: Floats

    def drawn(self, times: Counts) -> Floats:
        """Return how often each trial counts."""
        return np.multiply(self.stands, weigh(times.astype(np.float64), self.enrolled, self.tested))


def resampler(scores: Scores, *, replicates: int = REPLICATES, level: float = 0.95, seed: int = 0) -> Resampler:
    """Return what all intervals share: sorting ten million scores takes longer than they do.

    Parameters
    ----------
    scores : Scores
        With all labels known. Who speaks in a test is taken from `test_speaker`, or else from its target trial; a test
        of which neither tells counts as a person of its own.
    replicates : int
        So many persons at most are left out one by one, at least 20; of more, groups that are drawn once.
    level : float
        Between 0 and 1, both left out.
    seed : int
        Of the groups. The same seed and scores give the same bits.

    Raises
    ------
    InvalidInput
        For options out of range.
    """
    checks.integer(replicates, "replicates", minimum=20)
    checks.integer(seed, "seed", minimum=0)
    order = np.argsort(scores.score, kind="stable").astype(np.int32)
    return Resampler(scores, order, *_persons(scores), replicates, checks.probability(level, "level"), seed)


def detection_intervals(
    sampler: Resampler,
    applications: Mapping[str, tuple[Application, ...]],
    *,
    rows: NDArray[np.bool_] | None = None,
    kept: int = _KEPT,
) -> dict[str, Interval]:
    """Return intervals for eer, cllr, min_cllr, and min_dcf and actual_dcf of each application (its name follows).

    Parameters
    ----------
    sampler : Resampler
    applications : mapping of str to tuple of Application
        The cost of several is their mean.
    rows : array of bool, shape (T,), optional
        The trials to take; all by default.
    kept : int
        So many deciding trials of a kind are kept one by one.

    Raises
    ------
    InvalidInput
        For fewer than two speakers with target trials, or where no trials of a kind are left without somebody.
    """
    every = np.ones(len(sampler.scores), dtype=bool) if rows is None else rows
    kinds = [_kept_trials(sampler, every, label, kept) for label in (1, 0)]
    owners, others = (np.unique(np.concatenate([kind.enrolled, kind.tested])) for kind in kinds)
    strata = sampler.groups(owners, np.setdiff1d(others, owners))
    rates = _detection_rates(kinds, applications)
    everyone = np.arange(sampler.persons)
    left = [rates(np.where(np.isin(everyone, part), 0, 1)) for stratum in strata for part in stratum.groups]
    changes = _changes(rates(np.ones_like(everyone)), left, strata)
    highest = {"eer": 0.5} | {name: 1.0 for name in changes if name.startswith("min")}
    return {
        name: change.interval(
            sampler.level, flatters=name in highest, endless=name == "cllr", most=highest.get(name, np.inf)
        )
        for name, change in changes.items()
    }


def _detection_rates(
    kinds: list[_KeptTrials], applications: Mapping[str, tuple[Application, ...]]
) -> Callable[[Counts], Rates]:
    """Return what gives all rates of targets and nontargets by how often each person counts."""
    thresholds = np.unique(np.append(kinds[0].score, kinds[1].score[:1]))  # where the hull can have a vertex
    below = [np.append(np.searchsorted(kind.score, thresholds), len(kind.score)) for kind in kinds]
    thresholds = np.append(thresholds, np.inf)
    decided = {
        name: [np.searchsorted(kind.score, [point.threshold for point in points]) for kind in kinds]
        for name, points in applications.items()
    }
    names = ("eer", "cllr", "min_cllr", *(f"{c}{n}" for n in applications for c in ("min_dcf", "actual_dcf")))

    def rates(times: Counts) -> Rates:
        counted = [kind.drawn(times) for kind in kinds]
        sums = [np.append(0.0, np.cumsum(c)) for c in counted]  # below each trial, and of all
        if not all(total[-1] for total in sums):
            return dict.fromkeys(names, np.nan)
        targets, nontargets = (total[places].astype(np.int64) for total, places in zip(sums, below, strict=True))
        hull = hull_of_counts(thresholds, targets, nontargets)
        loss = sum(c @ kind.loss / total[-1] for kind, c, total in zip(kinds, counted, sums, strict=True))
        found = [hull.eer(), loss / (2 * np.log(2)), hull.min_cllr()]
        for name, points in applications.items():
            missed, rejected = (total[places] / total[-1] for total, places in zip(sums, decided[name], strict=True))
            actual = [point.cost(*pair) for point, *pair in zip(points, missed, 1 - rejected, strict=True)]
            found += [sum(hull.costs(point).min() for point in points) / len(points), sum(actual) / len(points)]
        return dict(zip(names, map(float, found), strict=True))

    return rates


def search_intervals(sampler: Resampler, far: float | None = None) -> dict[str, Interval]:
    """Return intervals for rates of searches, each test against everybody who is enrolled.

    Who is left out is neither tested nor enrolled, so that the models count, too. That searches are then easier, with
    fewer rivals, is the same for all and does not count.

    Parameters
    ----------
    sampler : Resampler
    far : float, optional
        Adds open_set_rate, the share of owners found where such a share of strangers is accepted, to
        identification_rate.

    Raises
    ------
    InvalidInput
        For fewer than two speakers with target trials, or where no searches of a kind are left without somebody.
    """
    scores, found = sampler.scores, searches(sampler.scores)
    targets = np.flatnonzero(scores.target == 1)
    claimed = np.full(len(found.tests), _UNCLAIMED)
    claimed[scores.tests.codes[targets]] = sampler.enrolled[scores.speakers.codes[targets]]
    owners = np.unique(claimed[claimed >= 0])
    strata = sampler.groups(owners, np.setdiff1d(np.arange(sampler.persons), owners))
    parts = [part for stratum in strata for part in stratum.groups]
    group = np.empty(sampler.persons, dtype=np.int64)
    for i, part in enumerate(parts):
        group[part] = i
    first, best, second = _best_rivals(sampler, group)
    tested, own = group[sampler.tested], np.where(claimed >= 0, group[claimed], _UNCLAIMED)

    def errors_without(out: int) -> Rates:
        rival = np.where(first == out, second, best)
        left = replace(found, best=rival, rivals=(rival >= found.own).astype(np.int64))
        weights = ((tested != out) & (own != out)).astype(np.int64)
        some = {"identification_rate": 1 - left.found(weights)}
        if far is not None:
            some["open_set_rate"] = 1 - left.open_set(weights, far).rate
        return some

    changes = _changes(errors_without(_NOBODY), [errors_without(i) for i in range(len(parts))], strata)
    chance = {"identification_rate": _chance(found.known, (best >= found.own) & (second < found.own), tested, first)}
    errors = {n: change.interval(sampler.level, chance=chance.get(n, 0.0), most=1.0) for n, change in changes.items()}
    return {name: error.turned() for name, error in errors.items()}


def _best_rivals(sampler: Resampler, group: Counts) -> tuple[Counts, Floats, Floats]:
    """Return of each test the group of the best nontarget, its score, and the best score of all other groups."""
    scores = sampler.scores
    rows = np.flatnonzero(scores.target == 0)
    present, place = np.unique(group[sampler.enrolled], return_inverse=True)
    highest = np.full((len(scores.tests.names), max(2, len(present))), -np.inf)
    np.maximum.at(highest, (scores.tests.codes[rows], place[scores.speakers.codes[rows]]), scores.score[rows])
    first, every = highest.argmax(axis=1), np.arange(len(highest))
    best = highest[every, first]
    highest[every, first] = -np.inf
    return present[np.minimum(first, len(present) - 1)], best, highest.max(axis=1)


def _chance(kind: NDArray[np.bool_], turned: NDArray[np.bool_], tested: Counts, first: Counts) -> float:
    """Return the variance from searches of a kind that one model alone turns, by pairs of who is tested and it."""
    pairs = np.stack([tested, first], axis=1)[kind & turned]
    times = np.unique(pairs, axis=0, return_counts=True)[1].astype(np.float64)
    return float(times @ times / max(1, kind.sum()) ** 2)


def student(shifts: Sequence[Floats], most: int, level: float) -> float:
    """Return Student's quantile for a variance that is a sum of squared changes u, of one stratum or several.

    A sum varies as a chi-squared of d degrees of freedom does if d = 2 E**2 / V, of its mean and variance [4]_:

        d = 2 (sum u**2)**2 / sum over strata (sum u**4 - (sum u**2)**2 / n)

    So many like ones of n have n - 1, and the fewer make most of the sum, the less is known of it.

    Parameters
    ----------
    shifts : sequence of array
        The changes of each stratum.
    most : int
        Of so many people the degrees of freedom are at most one less.
    level : float
    """
    from scipy.special import stdtrit

    squares = [float(u @ u) for u in shifts]
    spread = sum(float((u**2) @ (u**2)) - s**2 / len(u) for u, s in zip(shifts, squares, strict=True))
    enough = 2 * sum(squares) ** 2 >= (most - 1) * spread
    return float(stdtrit(most - 1 if enough else max(1.0, 2 * sum(squares) ** 2 / spread), (1 + level) / 2))


def _changes(estimates: Rates, left: Sequence[Rates], strata: tuple[_Groups, _Groups]) -> dict[str, _Change]:
    """Return what becomes of each rate without each group, in the order of the strata."""
    changes, middle = {}, len(strata[0].groups)
    for name, estimate in estimates.items():
        values = np.array([rates[name] for rates in left])
        if np.isnan([estimate, *values]).any():
            found = "none of its trials without somebody"
            checks.refuse(name, "be there whoever is left out", found, "More speakers are needed.")
        changes[name] = _Change.of(estimate, (values[:middle], values[middle:]), strata[0].people)
    return changes


def _persons(scores: Scores) -> tuple[Codes, Codes, int]:
    """Return who is each enrolled speaker, who speaks in each test, and how many persons there are.

    They are numbered in the order of their names; those who are not known come last.
    """
    of, enrolled = scores.tests.codes, scores.speakers.names
    nobody = NameIndex(np.array([""]), np.zeros(len(scores), dtype=np.int32))
    told = columns(scores).get("test_speaker", nobody)
    everybody = index_names(np.concatenate([enrolled, told.names]))
    known, others = np.split(everybody.codes, [len(enrolled)])
    code = np.zeros(len(scores.tests.names), dtype=np.int32)
    code[of] = told.codes
    tested = np.where(told.names[code] == "", -1, others[code])
    targets = np.flatnonzero((scores.target == 1) & (tested < 0)[of])
    tested[of[targets]] = known[scores.speakers.codes[targets]]
    unknown = np.flatnonzero(tested < 0)
    tested[unknown] = len(everybody.names) + np.arange(len(unknown))
    present, places = np.unique(np.concatenate([known, tested]), return_inverse=True)
    known, tested = np.split(places.astype(np.int32), [len(enrolled)])
    return known, tested, len(present)


def _kept_trials(sampler: Resampler, rows: NDArray[np.bool_], label: int, many: int) -> _KeptTrials:
    """Return the trials of one kind by ascending score, thinned out on the side that decides little."""
    scores = sampler.scores
    places = sampler.order[(rows & (scores.target == label))[sampler.order]]
    decides = slice(None, None, 1 if label == 1 else -1)  # the lowest targets, the highest nontargets
    kept, stands = _thin(len(places), many)
    places, stands = places[decides][kept][decides], stands[decides]
    score = scores.score[places]
    return _KeptTrials(
        score,
        np.logaddexp(0, -score if label == 1 else score),
        sampler.enrolled[scores.speakers.codes[places]].astype(np.intp),
        sampler.tested[scores.tests.codes[places]].astype(np.intp),
        stands.astype(np.float64),
    )


def _thin(count: int, many: int) -> tuple[Counts, Counts]:
    """Return the trials that are kept, of so many in the order in which they decide, and for how many each stands."""
    kept, start, step = [np.arange(min(count, many))], many, 2
    while start < count:
        kept.append(np.arange(start, min(2 * start, count), step))
        start, step = 2 * start, 2 * step
    ranks = np.concatenate(kept)
    return ranks, np.diff(ranks, append=count)

"""How far to trust a rate: confidence intervals by a bootstrap over speakers.

The trials of one speaker are alike, and each speaker takes part in many, so that trials are no independent draws but
speakers are. A replicate draws as many persons as there are, with replacement; a trial counts as often as its enrolled
speaker was drawn times as often as the speaker of its test was, and once only where both are the same person. An
interval holds the middle of the replicates (percentiles). It says how much a rate would differ with other speakers of
the same kind; it says nothing of other places, telephones or languages, and where no replicate can see an error (an
EER of 0) its width is 0, which is no proof that there are none. Shares of independent decisions have Wilson's interval.

For tables of millions of trials there is a quick form, `resampler`. The scores are sorted once; a replicate then only
sums the weights of the trials below the thresholds at which a target lies, and takes the hull of these counts.
Detection rates draw enrolled and tested speakers together; rates of searches draw the tested speakers alone, and keep
those who are enrolled, for with fewer rivals every search is easier.

One approximation, for large tables: of each kind the 10 000 trials that decide (the highest nontargets, the lowest
targets) are kept; of the next 10 000 every second stands for two, of the next 20 000 every fourth for four, and so on.
Error rates of any size so keep about the same relative precision, 1 %. Estimates are of the kept trials, too.

References
----------
.. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13.
.. [2] N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
   authentication using joint bootstrap", ICASSP 2007.
.. [3] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.identification import searches
from speechgmm.evaluation.name_index import Codes, NameIndex, index_names
from speechgmm.evaluation.roc import Application, hull_of_counts
from speechgmm.evaluation.trials import Scores, columns

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_KEPT = 10_000
"""So many deciding trials of a kind are kept one by one, and of each octave of the others about half as many."""


@dataclass(frozen=True)
class Interval:
    """An estimate, and the interval from `low` to `high` in which `level` (0 to 1) of the replicates lie."""

    estimate: float
    low: float
    high: float
    level: float


def bootstrap(
    statistic: Callable[[Floats], Mapping[str, float]],
    speaker: ArrayLike,
    other: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return intervals for statistics of R weighted rows, by drawing the speakers of the rows anew.

    Parameters
    ----------
    statistic : callable
        Given weights (R,) from 0 up, it returns numbers by name; NaN where the weights leave nothing to measure.
        It is called with weights of 1 for the estimates, then once per replicate.
    speaker : array_like of str, shape (R,)
        The speaker of each row.
    other : array_like of str, shape (R,), optional
        The second speaker of each row, for trials: who is enrolled, and who speaks in the test.
    replicates : int
        At least 20; 1000 place the ends of a 95 % interval well.
    level : float
        Between 0 and 1.
    seed : int
        The same seed and rows give the same bits.

    Raises
    ------
    InvalidInput
        For fewer than two speakers, columns of different lengths, options out of range, or a statistic that is NaN in
        half of the replicates or more.

    Examples
    --------
    >>> right = np.array([1.0, 0.0, 1.0, 1.0])
    >>> found = bootstrap(lambda w: {"rate": w @ right / w.sum()}, ["ann", "ann", "bob", "cid"])
    >>> found["rate"]
    Interval(estimate=0.75, low=0.5, high=1.0, level=0.95)
    """
    names = np.asarray(speaker, dtype=np.str_)
    if names.ndim != 1 or names.size == 0:
        checks.refuse("speaker", "hold the name of the speaker of each row", f"an array of shape {names.shape}")
    rows = len(names)
    if other is not None:
        second = np.asarray(other, dtype=np.str_)
        if second.shape != names.shape:
            checks.refuse("other", f"have one name for each of {rows} rows", f"shape {second.shape}")
        names = np.concatenate([names, second])
    people = index_names(names)
    first, last = people.codes[:rows], people.codes[-rows:]

    def weighted(times: Counts) -> Mapping[str, float]:
        return statistic(weigh(times, first, last).astype(float))

    return _replicated(weighted, len(people.names), replicates, level, seed)


def _replicated(
    statistic: Callable[[Counts], Mapping[str, float]], people: int, replicates: int, level: float, seed: int
) -> dict[str, Interval]:
    """Return intervals for what a statistic returns, given how often each of P persons is drawn, (P,).

    Options and errors as in `bootstrap`; the estimates are those for each person drawn once.
    """
    checks.number(level, "level", minimum=0, maximum=1, above=True)
    estimates = statistic(np.ones(people, dtype=np.int64))
    table = [statistic(times) for times in draws(people, replicates, seed)]
    intervals = {}
    for name, estimate in estimates.items():
        values = np.array([found[name] for found in table])
        there = values[~np.isnan(values)]
        if 2 * len(there) <= len(values):
            found = f"a value in {len(there)} of {len(values)} replicates"
            checks.refuse(name, "be there in more than half of the replicates", found, "More speakers are needed.")
        low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        intervals[name] = Interval(float(estimate), float(low), float(high), float(level))
    return intervals


def draws(people: int, replicates: int, seed: int) -> Iterator[Counts]:
    """Yield how often each person is drawn, (P,), once per replicate; refuse fewer than two persons."""
    checks.integer(replicates, "replicates", minimum=20)
    checks.integer(seed, "seed", minimum=0)
    if people < 2:
        checks.refuse("speakers", "be at least two, for an interval over speakers", people)
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(rng.integers(people, size=people), minlength=people)


def weigh(times: NDArray[Any], first: NDArray[Any], last: NDArray[Any]) -> NDArray[Any]:
    """Return how often each trial counts, (R,), given how often each person was drawn."""
    once, same = times[first], first == last
    both = once * times[last]
    return np.asarray(np.where(same, once, both) if same.any() else both)


def accuracy(right: ArrayLike, groups: ArrayLike | None = None, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the share of right decisions.

    Parameters
    ----------
    right : array_like of bool, shape (U,)
    groups : array_like of str, shape (U,), optional
        Who or what each decision comes from. Decisions about one speaker are alike, so that with two groups or more
        the interval is that of a bootstrap over groups. Without them, or where no decision differs from the others
        and a bootstrap would have no width, it is Wilson's, for independent decisions.
    level : float
    seed : int

    Raises
    ------
    InvalidInput
        For no decisions, or groups that are not as many.

    Examples
    --------
    >>> found = accuracy([True, True, True, False])
    >>> round(found.low, 2), found.estimate, round(found.high, 2)
    (0.3, 0.75, 0.95)
    """
    hits = np.asarray(right, dtype=np.float64)
    if hits.ndim != 1 or not len(hits):
        checks.refuse("decisions", "be at least one", f"an array of shape {hits.shape}")
    if groups is not None and len(names := np.asarray(groups, dtype=np.str_)) != len(hits):
        checks.refuse("groups", f"be {len(hits)}, one for each decision", len(names))
    if groups is None or len(np.unique(names)) < 2 or np.ptp(hits) == 0:
        return wilson(int(hits.sum()), len(hits), level=level)
    return bootstrap(lambda w: {"accuracy": w @ hits / w.sum()}, names, level=level, seed=seed)["accuracy"]


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share of independent trials [3]_.

    Examples
    --------
    >>> round(wilson(10, 10).low, 3)
    0.722
    """
    n = checks.integer(trials, "trials", minimum=1)
    p = checks.integer(successes, "successes", minimum=0, maximum=n) / n
    z = NormalDist().inv_cdf((1 + checks.number(level, "level", minimum=0.01, maximum=0.9999)) / 2)
    center, width = p + z * z / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    scale = 1 + z * z / n
    return Interval(p, max(0.0, (center - width) / scale), min(1.0, (center + width) / scale), level)


# Tables of scores


@dataclass(frozen=True, eq=False)
class Resampler:
    """A table of T scores made ready for replicates; made by `resampler`.

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
        As in `bootstrap`.
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

    def intervals(self, statistic: Callable[[Counts], Mapping[str, float]]) -> dict[str, Interval]:
        """Return intervals for what a statistic returns, given how often each person is drawn."""
        return _replicated(statistic, self.persons, self.replicates, self.level, self.seed)


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


def resampler(scores: Scores, *, replicates: int = 1000, level: float = 0.95, seed: int = 0) -> Resampler:
    """Return what all replicates share: sorting ten million scores takes longer than they do.

    Parameters
    ----------
    scores : Scores
        With all labels known. Who speaks in a test is taken from `test_speaker`, or else from its target trial; a test
        of which neither tells counts as a person of its own.
    replicates, level, seed
        As in `bootstrap`.
    """
    order = np.argsort(scores.score, kind="stable").astype(np.int32)
    return Resampler(scores, order, *_persons(scores), replicates, level, seed)


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
        As `bootstrap` does.
    """
    every = np.ones(len(sampler.scores), dtype=bool) if rows is None else rows
    kinds = [_kept_trials(sampler, every, label, kept) for label in (1, 0)]
    thresholds = np.unique(np.append(kinds[0].score, kinds[1].score[:1]))  # where the hull can have a vertex
    below = [np.append(np.searchsorted(kind.score, thresholds), len(kind.score)) for kind in kinds]
    thresholds = np.append(thresholds, np.inf)
    names = ("eer", "cllr", "min_cllr", *(f"{c}{n}" for n in applications for c in ("min_dcf", "actual_dcf")))

    def rates(times: Counts) -> dict[str, float]:
        counted = [kind.drawn(times) for kind in kinds]
        sums = [np.append(0.0, np.cumsum(c)) for c in counted]  # below each trial, and of all
        if not all(total[-1] for total in sums):
            return dict.fromkeys(names, np.nan)
        targets, nontargets = (total[places].astype(np.int64) for total, places in zip(sums, below, strict=True))
        hull = hull_of_counts(thresholds, targets, nontargets)
        loss = sum(c @ kind.loss / total[-1] for kind, c, total in zip(kinds, counted, sums, strict=True))
        found = [hull.eer(), loss / (2 * np.log(2)), hull.min_cllr()]
        for points in applications.values():
            missed, rejected = (
                total[np.searchsorted(kind.score, [point.threshold for point in points])] / total[-1]
                for kind, total in zip(kinds, sums, strict=True)
            )
            actual = [point.cost(*rates) for point, *rates in zip(points, missed, 1 - rejected, strict=True)]
            found += [np.mean([hull.costs(point).min() for point in points]), np.mean(actual)]
        return dict(zip(names, found, strict=True))

    return sampler.intervals(rates)


def search_intervals(sampler: Resampler, far: float | None) -> dict[str, Interval]:
    """Return intervals for identification_rate and, given a share of strangers, open_set_rate, by tested speakers.

    Errors as in `detection_intervals`.
    """
    found = searches(sampler.scores)

    def rates(times: Counts) -> dict[str, float]:
        weights = times[sampler.tested]
        rates = {"identification_rate": found.found(weights)}
        return rates if far is None else rates | {"open_set_rate": found.open_set(weights, far).rate}

    return sampler.intervals(rates)


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

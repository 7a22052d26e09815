"""Intervals for the rates of a whole table of scores: the bootstrap of `intervals`, made quick for millions of trials.

The scores are sorted once; a replicate then only sums the weights of the trials below the thresholds at which a target
lies, and takes the hull of these counts. Detection rates draw enrolled and tested speakers together; rates of searches
draw the tested speakers alone, and keep those who are enrolled, for with fewer rivals every search is easier.

One approximation, for large tables: of each kind the 10 000 trials that decide (the highest nontargets, the lowest
targets) are kept; of the next 10 000 every second stands for two, of the next 20 000 every fourth for four, and so on.
Error rates of any size so keep about the same relative precision, 1 %. Estimates are of the kept trials, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation.identification import Searches, searches
from speechgmm.evaluation.intervals import Interval, draws, intervals_of, weigh
from speechgmm.evaluation.metrics import Application
from speechgmm.evaluation.names import index_names
from speechgmm.evaluation.roc import hull_of_counts, weights
from speechgmm.evaluation.trials import Scores, columns

__all__ = ["Resampler", "detection_intervals", "resampler", "search_intervals"]

Codes = NDArray[np.int32]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_KEPT = 10_000
"""So many deciding trials of a kind are kept one by one, and of each octave of the others about half as many."""


@dataclass(frozen=True, eq=False)
class _People:
    """Who is who: P persons; the person of each enrolled speaker and of each test, in the order of their names."""

    enrolled: Codes
    tested: Codes
    total: int


@dataclass(frozen=True, eq=False)
class _Kind:
    """The trials of one kind that are kept, by ascending score: part in Cllr, persons, for how many each stands."""

    score: Floats
    loss: Floats
    enrolled: Places
    tested: Places
    stands: Floats

    def weights(self, times: Floats) -> Floats:
        """Return how often each trial counts, in whole numbers, given how often each person was drawn."""
        counted: Floats = self.stands * weigh(times, self.enrolled, self.tested)
        return counted


@dataclass(frozen=True, eq=False)
class _Trials:
    """Targets and nontargets, thresholds (M,) where the hull can have a vertex, and how many of each lie below."""

    targets: _Kind
    nontargets: _Kind
    thresholds: Floats
    below: tuple[Counts, Counts]

    def rates(self, times: Counts, applications: Mapping[str, tuple[Application, ...]]) -> dict[str, float]:
        """Return the metrics of one replicate by name; NaN if it draws no target or no nontarget."""
        w_t, w_n = (kind.weights(times.astype(np.float64)) for kind in (self.targets, self.nontargets))
        sum_t, sum_n = (np.append(0.0, np.cumsum(w)) for w in (w_t, w_n))
        if not (sum_t[-1] and sum_n[-1]):
            names = ("eer", "cllr", "min_cllr", *(f"{k}{name}" for name in applications for k in _COSTS))
            return dict.fromkeys(names, float("nan"))
        below = (total[places].astype(np.int64) for total, places in zip((sum_t, sum_n), self.below, strict=True))
        hull = hull_of_counts(self.thresholds, *below)
        loss_t = w_t @ self.targets.loss / sum_t[-1]
        loss_n = w_n @ self.nontargets.loss / sum_n[-1]
        found = {"eer": hull.eer(), "cllr": (loss_t + loss_n) / (2 * np.log(2)), "min_cllr": hull.min_cllr()}
        for name, points in applications.items():
            least, actual = [], []
            for p in points:
                miss, fa = weights(p.prior, p.cost_miss, p.cost_fa)
                least.append((miss * hull.p_miss + fa * hull.p_fa).min())
                cut = np.log(fa) - np.log(miss)
                missed = sum_t[np.searchsorted(self.targets.score, cut)] / sum_t[-1]
                passed = 1 - sum_n[np.searchsorted(self.nontargets.score, cut)] / sum_n[-1]
                actual.append(miss * missed + fa * passed)
            found |= {f"min_dcf{name}": float(np.mean(least)), f"actual_dcf{name}": float(np.mean(actual))}
        return found


_COSTS = ("min_dcf", "actual_dcf")


@dataclass(frozen=True, eq=False)
class Resampler:
    """A table of scores made ready for replicates: who is who, and its rows by ascending score, (T,)."""

    scores: Scores
    people: _People
    order: Codes


def resampler(scores: Scores) -> Resampler:
    """Return what all replicates share: sorting ten million scores takes longer than they do."""
    return Resampler(scores, _people(scores), np.argsort(scores.score, kind="stable").astype(np.int32))


def detection_intervals(
    sampler: Resampler,
    applications: Mapping[str, tuple[Application, ...]],
    *,
    rows: NDArray[np.bool_] | None = None,
    kept: int = _KEPT,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return intervals for eer, cllr, min_cllr, and min_dcf and actual_dcf of each application (its name follows).

    Parameters
    ----------
    sampler : Resampler
        Of scores with all labels known. Who speaks in a test is taken from `test_speaker`, or else from its target
        trial; a test of which neither tells counts as a person of its own.
    applications : mapping of str to tuple of Application
        The cost of several is their mean.
    rows : array of bool, shape (T,), optional
        The trials to take; all by default.
    kept : int
        So many deciding trials of a kind are kept one by one.
    replicates, level, seed
        As in `bootstrap`.

    Raises
    ------
    InvalidInput
        As `bootstrap` does.
    """
    people = sampler.people
    trials = _trials(sampler, np.ones(len(sampler.scores), dtype=bool) if rows is None else rows, kept)
    estimates = trials.rates(np.ones(people.total, dtype=np.int64), applications)
    values = (trials.rates(times, applications) for times in draws(people.total, replicates, seed))
    return intervals_of(estimates, values, level=level)


def search_intervals(
    sampler: Resampler,
    false_alarm_rate: float | None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return intervals for identification_rate and, given a rate of false alarms, open_set_rate, by tested speakers.

    Parameters and errors as in `detection_intervals`.
    """
    people, found = sampler.people, searches(sampler.scores)

    def rates() -> Iterator[dict[str, float]]:
        for times in draws(people.total, replicates, seed):
            yield _search_rates(found, times[people.tested], false_alarm_rate)

    estimates = _search_rates(found, np.ones(len(found.tests), dtype=np.int64), false_alarm_rate)
    return intervals_of(estimates, rates(), level=level)


def _search_rates(found: Searches, weight: Counts, false_alarm_rate: float | None) -> dict[str, float]:
    """Return the rates of weighted searches (S,); NaN where there are none."""
    known = weight[found.known]
    hits = found.rivals[found.known] == 0
    total = int(known.sum())
    rates = {"identification_rate": float(known @ hits / total) if total else np.nan}
    if false_alarm_rate is None:
        return rates
    order = np.argsort(-found.best[found.strangers], kind="stable")
    best, times = found.best[found.strangers][order], weight[found.strangers][order]
    accepted = np.cumsum(times)
    if not (total and accepted[-1]):
        return rates | {"open_set_rate": np.nan}
    refused = accepted > false_alarm_rate * accepted[-1] + 1e-9
    threshold = np.nextafter(best[np.argmax(refused)], np.inf) if refused.any() else -np.inf
    return rates | {"open_set_rate": float(known @ (hits & (found.own[found.known] >= threshold)) / total)}


def _people(scores: Scores) -> _People:
    """Return who is who. Enrolled speakers come first, then tested ones who are not enrolled, then the unknown."""
    tests, of = len(scores.tests.names), scores.tests.codes
    names = np.full(tests, "", dtype=scores.speakers.names.dtype)
    told = columns(scores).get("test_speaker")
    if told is not None:
        code = np.zeros(tests, dtype=np.int32)
        code[of] = told.codes
        names = told.names[code]
    enrolled = scores.speakers.names
    everybody = index_names(np.concatenate([enrolled, names]))
    known, tested = everybody.codes[: len(enrolled)], everybody.codes[len(enrolled) :].copy()
    targets = np.flatnonzero((scores.target == 1) & (names == "")[of])
    tested[of[targets]] = known[scores.speakers.codes[targets]]
    named = names != ""
    named[of[targets]] = True
    tested[~named] = len(everybody.names) + np.arange((~named).sum())
    present, places = np.unique(np.concatenate([known, tested]), return_inverse=True)
    codes = places.astype(np.int32)
    return _People(codes[: len(enrolled)], codes[len(enrolled) :], len(present))


def _trials(sampler: Resampler, rows: NDArray[np.bool_], kept: int) -> _Trials:
    """Return the trials of both kinds, sorted and thinned, and where the hull can have a vertex."""
    targets, nontargets = (_kind(sampler, rows & (sampler.scores.target == k), k, kept) for k in (1, 0))
    thresholds = np.unique(np.append(targets.score, nontargets.score[:1]))
    below = (np.append(np.searchsorted(k.score, thresholds), len(k.score)) for k in (targets, nontargets))
    at_t, at_n = below
    return _Trials(targets, nontargets, np.append(thresholds, np.inf), (at_t, at_n))


def _kind(sampler: Resampler, rows: NDArray[np.bool_], label: int, many: int) -> _Kind:
    """Return the trials of one kind by ascending score, thinned out on the side that decides little."""
    scores, people = sampler.scores, sampler.people
    places = sampler.order[rows[sampler.order]]
    if label == 0:
        places = places[::-1]
    kept, stands = _thin(len(places), many)
    places = places[kept]
    if label == 0:
        places, stands = places[::-1], stands[::-1]
    score = scores.score[places]
    return _Kind(
        score,
        np.logaddexp(0, -score if label == 1 else score),
        people.enrolled[scores.speakers.codes[places]].astype(np.intp),
        people.tested[scores.tests.codes[places]].astype(np.intp),
        stands.astype(np.float64),
    )


def _thin(count: int, many: int) -> tuple[Counts, Counts]:
    """Return the trials that are kept, of so many in the order in which they decide, and for how many each stands."""
    kept, stands = [np.arange(min(count, many))], [np.ones(min(count, many), dtype=np.int64)]
    start, step = many, 2
    while start < count:
        stop = min(2 * start, count)
        kept.append(np.arange(start, stop, step))
        stands.append(np.full(len(kept[-1]), step))
        stands[-1][-1] = stop - kept[-1][-1]
        start, step = stop, 2 * step
    return np.concatenate(kept), np.concatenate(stands)

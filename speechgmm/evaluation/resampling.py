"""Intervals for the rates of a whole table of scores: the bootstrap of `intervals`, made quick for millions of trials.

The scores are sorted once; a replicate then only sums the weights of the trials below the thresholds at which a target
lies, and takes the hull of these counts. Detection rates draw enrolled and tested speakers together; rates of searches
draw the tested speakers alone, and keep those who are enrolled, for with fewer rivals every search is easier.

One approximation, for large tables: of each kind the 10 000 trials that decide (the highest nontargets, the lowest
targets) are kept; of the next 10 000 every second stands for two, of the next 20 000 every fourth for four, and so on.
Error rates of any size so keep about the same relative precision, 1 %. Estimates are of the kept trials, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm.evaluation.identification import Searches, searches
from speechgmm.evaluation.intervals import Interval, resample, weigh
from speechgmm.evaluation.name_index import NameIndex, index_names
from speechgmm.evaluation.roc import Application, hull_of_counts
from speechgmm.evaluation.trials import Scores, columns

__all__ = ["Resampler", "detection_intervals", "resampler", "search_intervals"]

Codes = NDArray[np.int32]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_KEPT = 10_000
"""So many deciding trials of a kind are kept one by one, and of each octave of the others about half as many."""


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

    scores: Scores
    order: Codes
    enrolled: Codes
    tested: Codes
    persons: int
    replicates: int
    level: float
    seed: int


@dataclass(frozen=True, eq=False)
class _KeptTrials:
    """The trials of one kind that are kept, by ascending score: part in Cllr, persons, for how many each stands."""

    score: Floats
    loss: Floats
    enrolled: NDArray[np.intp]
    tested: NDArray[np.intp]
    stands: Floats

    def drawn(self, times: Counts) -> tuple[Floats, Floats]:
        """Return how often each trial counts, and the sums of these below each trial and of all, (... + 1,)."""
        counted = np.multiply(self.stands, weigh(times.astype(np.float64), self.enrolled, self.tested))
        return counted, np.append(0.0, np.cumsum(counted))


@dataclass(frozen=True, eq=False)
class _Detection:
    """Targets and nontargets, thresholds (M,) where the hull can have a vertex, and how many of each lie below."""

    targets: _KeptTrials
    nontargets: _KeptTrials
    thresholds: Floats
    targets_below: Counts
    nontargets_below: Counts

    def rates(self, times: Counts, applications: Mapping[str, tuple[Application, ...]]) -> dict[str, float]:
        """Return the metrics of one replicate by name; NaN if it draws no target or no nontarget."""
        (w_t, sum_t), (w_n, sum_n) = self.targets.drawn(times), self.nontargets.drawn(times)
        if not (sum_t[-1] and sum_n[-1]):
            costs = (f"{cost}{name}" for name in applications for cost in ("min_dcf", "actual_dcf"))
            return dict.fromkeys(("eer", "cllr", "min_cllr", *costs), float("nan"))
        below_t, below_n = sum_t[self.targets_below], sum_n[self.nontargets_below]
        hull = hull_of_counts(self.thresholds, below_t.astype(np.int64), below_n.astype(np.int64))
        loss = w_t @ self.targets.loss / sum_t[-1] + w_n @ self.nontargets.loss / sum_n[-1]
        found = {"eer": hull.eer(), "cllr": loss / (2 * np.log(2)), "min_cllr": hull.min_cllr()}
        for name, points in applications.items():
            actual = []
            for point in points:
                miss, fa = point.cost_weights
                missed = sum_t[np.searchsorted(self.targets.score, point.threshold)] / sum_t[-1]
                passed = 1 - sum_n[np.searchsorted(self.nontargets.score, point.threshold)] / sum_n[-1]
                actual.append(miss * missed + fa * passed)
            found[f"min_dcf{name}"] = float(np.mean([hull.costs(point).min() for point in points]))
            found[f"actual_dcf{name}"] = float(np.mean(actual))
        return found


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
    targets, nontargets = (_kept_trials(sampler, every, label, kept) for label in (1, 0))
    thresholds = np.unique(np.append(targets.score, nontargets.score[:1]))
    below = (np.append(np.searchsorted(k.score, thresholds), len(k.score)) for k in (targets, nontargets))
    trials = _Detection(targets, nontargets, np.append(thresholds, np.inf), *below)
    return _intervals(sampler, lambda times: trials.rates(times, applications))


def search_intervals(sampler: Resampler, far: float | None) -> dict[str, Interval]:
    """Return intervals for identification_rate and, given a share of strangers, open_set_rate, by tested speakers.

    Errors as in `detection_intervals`.
    """
    found, tested = searches(sampler.scores), sampler.tested
    return _intervals(sampler, lambda times: _search_rates(found, times[tested], far))


def _intervals(sampler: Resampler, rates: Callable[[Counts], Mapping[str, float]]) -> dict[str, Interval]:
    return resample(rates, sampler.persons, replicates=sampler.replicates, level=sampler.level, seed=sampler.seed)


def _search_rates(found: Searches, weight: Counts, far: float | None) -> dict[str, float]:
    """Return the rates of weighted searches (S,); NaN where there are none."""
    known = weight[found.known]
    hits = found.rivals[found.known] == 0
    total = int(known.sum())
    rates = {"identification_rate": float(known @ hits / total) if total else np.nan}
    if far is None:
        return rates
    order = np.argsort(-found.best[found.strangers], kind="stable")
    best, times = found.best[found.strangers][order], weight[found.strangers][order]
    accepted = np.cumsum(times)
    if not (total and accepted[-1]):
        return rates | {"open_set_rate": np.nan}
    refused = accepted > far * accepted[-1] + 1e-9
    threshold = np.nextafter(best[np.argmax(refused)], np.inf) if refused.any() else -np.inf
    return rates | {"open_set_rate": float(known @ (hits & (found.own[found.known] >= threshold)) / total)}


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
    kept, stands = [np.arange(min(count, many))], [np.ones(min(count, many), dtype=np.int64)]
    start, step = many, 2
    while start < count:
        stop = min(2 * start, count)
        kept.append(np.arange(start, stop, step))
        stands.append(np.full(len(kept[-1]), step))
        stands[-1][-1] = stop - kept[-1][-1]
        start, step = stop, 2 * step
    return np.concatenate(kept), np.concatenate(stands)

"""All metrics of a table of scores at once, with their intervals and with what was left out and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import number_of
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.attacks import attack_errors
from speechgmm.evaluation.chosen_trials import bona_fide
from speechgmm.evaluation.conditions import Condition, conditions_apart, usual_columns
from speechgmm.evaluation.duration import DurationBin, error_by_duration
from speechgmm.evaluation.evaluated import Evaluation
from speechgmm.evaluation.false_accepts import people_of
from speechgmm.evaluation.identification import OpenSet, Searches, closed_set_confusion, cmc, open_set_rate, searches
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import REPLICATES, Resampler, detection_intervals, resampler, search_intervals
from speechgmm.evaluation.llr_bounds import llr_bounds
from speechgmm.evaluation.metrics import NIST, NistCost, actual_dcf, cllr
from speechgmm.evaluation.roc import Application, Hull, roc_hull
from speechgmm.evaluation.threshold_errors import (
    count_failures,
    search_rates,
    threshold_errors,
    trial_rates,
)
from speechgmm.evaluation.trials import Scores, check_labels, columns

_RANKS = 10
"""How many ranks are told."""
_FAR = 0.01
"""The share of strangers' searches that accept anybody, for the open set."""
_BIN_SHARE = 4
"""Intervals of the bins by duration take one of so many replicates, but at least 20."""

Reasons = list[str]
"""What was left out, and why: "name: reason"."""


def evaluate(
    scores: Scores,
    *,
    prior: float = 0.01,
    cost_miss: float = 1.0,
    cost_fa: float = 1.0,
    by: Sequence[str] | None = None,
    replicates: int | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Return all metrics of a table of labeled scores.

    Parameters
    ----------
    scores : Scores
        Targets and nontargets, all labels known; LLRs in nats if cllr and actual_dcf are to mean something. Trials of
        attacks, which the column `attack` names, may have any label.
    prior, cost_miss, cost_fa : float
        The application for the detection costs, as in `min_dcf`, and for the threshold of the error rates.
    by : sequence of str, optional
        Columns whose conditions are taken apart. Default: seconds enrolled, and sessions if there are 2 to 12.
    replicates, level, seed
        Of the intervals, by leaving out one speaker after the other: at most so many replicates (default: 200), 0 leave
        the intervals out; their level; the seed of groups, where speakers are more than replicates.

    Raises
    ------
    InvalidInput
        For unlabeled trials, no targets, no nontargets, attacks alone, a prior or cost out of range, or a column of
        `by` that the table does not have or that has more than 50 different words.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])
    >>> evaluate(scores).eer
    0.0
    """
    given, scores = scores, bona_fide(scores)
    check_labels(scores)
    pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
    hull, application = roc_hull(*pair), Application(prior, cost_miss, cost_fa)
    own, *nist = (_cost(name, points, hull, pair) for name, points in ({"": (application,)} | NIST).items())
    if replicates is None:
        replicates = REPLICATES
    sampler = resampler(scores, replicates=replicates, level=level, seed=seed) if replicates else None
    searched, why_no_searches = _searches(scores)
    durations, why_no_durations = _durations(scores, hull.eer_threshold(), sampler)
    apart, at_threshold, why_no_conditions = _apart(scores, application.threshold, by, sampler, level, bool(searched))
    intervals, why_no_intervals = _intervals(sampler, application, searched, at_threshold)
    attacked = usual_columns(scores) if by is None else by
    attacks, why_no_attacks = attack_errors(given, application.threshold, by=attacked, level=level if sampler else None)
    return Evaluation(
        **_detection(scores, hull),
        min_dcf=own.min_dcf,
        actual_dcf=own.actual_dcf,
        nist=tuple(nist),
        **apart,
        **searched,
        durations=durations,
        attacks=attacks,
        intervals=intervals,
        **asdict(application),
        hull=hull,
        left_out=(*why_no_searches, *why_no_durations, *why_no_conditions, *why_no_intervals, *why_no_attacks),
    )


def _detection(scores: Scores, hull: Hull) -> dict[str, Any]:
    """Return the counts of a table, and by name what its trials say whatever the application."""
    pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
    return {
        "trials": len(scores),
        "targets": len(pair[0]),
        "nontargets": len(pair[1]),
        "tests": len(scores.tests.names),
        "speakers": len(scores.speakers.names),
        "eer": hull.eer(),
        "eer_threshold": hull.eer_threshold(),
        "cllr": cllr(*pair),
        "min_cllr": hull.min_cllr(),
        "llr_bounds": llr_bounds(*pair),
    }


def _cost(name: str, points: tuple[Application, ...], hull: Hull, pair: tuple[ArrayLike, ArrayLike]) -> NistCost:
    """Return the mean costs of some applications."""
    least = [hull.costs(point).min() for point in points]
    actual = [actual_dcf(*pair, **asdict(point)) for point in points]
    return NistCost(name, float(np.mean(least)), float(np.mean(actual)))


def _searches(scores: Scores) -> tuple[dict[str, Any], Reasons]:
    """Return the rates of searches by name, nothing if there are none, and what is left out."""
    found, speakers = searches(scores), len(scores.speakers.names)
    if reason := _no_searches(found, speakers):
        return {}, [f"identification_rate, cmc, confusions, open_set: {reason}"]
    strangers, total = int(found.strangers.sum()), len(found.tests)
    partial = int((found.trials[found.strangers] < speakers).sum())
    several = int((found.targets > 1).sum())
    counts = {"no target trial (open set)": strangers, "more than one target trial": several}
    left_out = [f"identification_rate: {n} of {total} tests not counted, with {why}" for why, n in counts.items() if n]
    if not strangers:
        left_out += ["open_set: no test is of a stranger (without a target trial)"]
    elif partial:
        left_out += [f"open_set: {partial} of {strangers} tests of strangers are not scored against all speakers"]
    rates = tuple(float(rate) for rate in cmc(scores, min(_RANKS, speakers)))
    open_set = open_set_rate(scores, _FAR) if strangers and not partial else None
    confusion = closed_set_confusion(scores)
    return {"identification_rate": rates[0], "cmc": rates, "open_set": open_set, "confusion": confusion}, left_out


def _no_searches(found: Searches, speakers: int) -> str:
    """Return why there are no rates of searches, "" if there are."""
    known = int(found.known.sum())
    partial = int((found.trials[found.known] < speakers).sum())
    if not known:
        return "no test has exactly one target trial"
    if partial:
        return f"{partial} of {known} tests are not scored against all {speakers} speakers"
    return "there is one speaker only" if speakers == 1 else ""


def _durations(scores: Scores, threshold: float, sampler: Resampler | None) -> tuple[tuple[DurationBin, ...], Reasons]:
    """Return the error rates by duration if there are any."""
    if scores.test_seconds is None:
        return (), ["durations: there is no column test_seconds"]
    if np.isnan(scores.test_seconds).all():
        return (), ["durations: no length is known"]
    fewer = sampler and replace(sampler, replicates=max(20, sampler.replicates // _BIN_SHARE))
    return error_by_duration(scores, threshold, sampler=fewer), []


def _apart(
    scores: Scores,
    threshold: float,
    by: Sequence[str] | None,
    sampler: Resampler | None,
    level: float,
    are_searches: bool,
) -> tuple[dict[str, Any], dict[str, Interval], Reasons]:
    """Return errors at a threshold, failures and conditions by name, the intervals of the errors, what is left out."""
    people, failures = people_of(scores, sampler), count_failures(scores)
    rates, models = trial_rates(scores, people, threshold, level=level), None
    if are_searches:
        more, models = search_rates(scores, people, threshold, level=level)
        rates |= more
    fewer = sampler and replace(sampler, replicates=max(20, sampler.replicates // _BIN_SHARE))
    conditions: list[Condition] = []
    left_out = [] if failures else ["failures: there is no column failed, so that nobody knows of any"]
    for column in usual_columns(scores) if by is None else by:
        found, unknown = conditions_apart(scores, column, threshold, people=people, sampler=fewer)
        conditions += found
        if unknown:
            left_out.append(
                f"conditions: {found[0].column if found else column} says nothing of {unknown} of {len(scores)} trials"
            )
    errors = threshold_errors(threshold, rates, models, scores, failures)
    return {"errors": errors, "failures": failures, "conditions": tuple(conditions)}, rates, left_out


def _intervals(
    sampler: Resampler | None,
    application: Application,
    searched: Mapping[str, Any],
    at_threshold: dict[str, Interval],
) -> tuple[dict[str, Interval], Reasons]:
    """Return the intervals of all rates if there are enough speakers."""
    if sampler is None:
        return {}, ["intervals: not asked for (0 replicates)"]
    if (people := sampler.speakers()) < sampler.LEAST_SPEAKERS:
        few = f"fewer than {sampler.LEAST_SPEAKERS} are too few to draw from"
        return {}, [f"intervals: target trials of {number_of(people, 'speaker')}; {few}"]
    unnamed = "intervals: without the column test_speaker each test of a stranger counts as another stranger"
    left_out = [] if "test_speaker" in columns(sampler.scores) else [unnamed]
    points = {"": (application,)} | {f" {name}": points for name, points in NIST.items()}
    try:
        rates = detection_intervals(sampler, points) | at_threshold
    except InvalidInput as error:
        return {}, [*left_out, f"intervals: {error}"]
    if not searched:
        return rates, left_out
    open_set = searched["open_set"]
    few = _few_strangers(sampler, open_set) if open_set else ""
    far = open_set.far if open_set and not few else None
    return rates | search_intervals(sampler, far), [*left_out, *([f"intervals: open_set_rate: {few}"] if few else [])]


def _few_strangers(sampler: Resampler, open_set: OpenSet) -> str:
    """Return why there are too few strangers for an interval, "" if there are enough."""
    if open_set.far * open_set.strangers < 1:
        return f"{open_set.strangers} tests of strangers cannot tell a rate of {open_set.far:g}"
    people = sampler.strangers()
    few = f"fewer than {sampler.LEAST_SPEAKERS} are too few to draw from"
    return f"tests of {number_of(people, 'stranger')}; {few}" if people < sampler.LEAST_SPEAKERS else ""

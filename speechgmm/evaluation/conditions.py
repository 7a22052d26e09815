"""Conditions apart: the same rates for each value of a column, such as a device, a session, or an amount of speech.

Columns of words have a condition for each word, columns of numbers a few ranges of about equally many trials each.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.jackknife import Resampler, detection_intervals
from speechgmm.evaluation.metrics import cllr
from speechgmm.evaluation.name_index import NameIndex
from speechgmm.evaluation.roc import roc_hull
from speechgmm.evaluation.threshold_errors import trial_rates
from speechgmm.evaluation.trials import Scores, columns, further

MOST = 50
"""Columns of more different words are no conditions: each would have few trials."""
RANGES = 4
"""So many ranges a column of numbers is divided into."""
_FEW = 12
"""With more sessions than these, which are then most often each speaker's own, sessions are not taken apart unasked."""
_KEPT = 2000
"""Fewer trials than elsewhere stand for all: each condition has its own replicates."""


@dataclass(frozen=True)
class Condition:
    """The trials of one condition.

    Parameters
    ----------
    column, value : str
        The column, and what it says: a word, or a range as "1.5 to 4".
    tests, targets, nontargets, speakers : int
        How many tests and trials there are, and how many speakers with target trials.
    eer, cllr, p_miss, p_fa : float or None
        As in `evaluate`, the last two at its threshold; None where a kind of trials is missing.
    intervals : mapping of str to Interval
        Of these rates, by leaving out speakers; empty where `doubt` says why.
    doubt : str
        Why these rates tell little, "" if nothing speaks against them.
    """

    column: str
    value: str
    tests: int
    targets: int
    nontargets: int
    speakers: int
    eer: float | None
    cllr: float | None
    p_miss: float | None
    p_fa: float | None
    intervals: dict[str, Interval]
    doubt: str


def conditions_apart(
    scores: Scores, column: str, threshold: float, *, people: Resampler, sampler: Resampler | None = None
) -> tuple[tuple[Condition, ...], int]:
    """Return the conditions of a column, and of how many trials the column says nothing.

    Parameters
    ----------
    scores : Scores
        With all labels known.
    column : str
        Its name, in whatever case: any column of the table but the score, its label and `attack`.
    threshold : float
        For `p_miss` and `p_fa`.
    people : Resampler
        From `people_of`.
    sampler : Resampler, optional
        Of these scores, for the intervals; without it there are none.

    Raises
    ------
    InvalidInput
        For a column that the table does not have, or one of more than 50 different words.
    """
    name, held = column_called(scores, column)
    values, of_trial = divided_by(name, held)
    found = [_condition(scores, name, v, of_trial == i, threshold, people, sampler) for i, v in enumerate(values)]
    return tuple(found), int((of_trial < 0).sum())


def usual_columns(scores: Scores) -> list[str]:
    """Return the columns that are taken apart unasked: seconds enrolled and sessions, where these are several."""
    held = columns(scores)
    seconds, session = held.get("enroll_seconds"), held.get("session")
    found = []
    if seconds is not None and len(np.unique(seconds[~np.isnan(seconds)])) > 1:
        found.append("enroll_seconds")
    if session is not None and 1 < (session.names != "").sum() <= _FEW:
        found.append("session")
    return found


def column_called(scores: Scores, column: str) -> tuple[str, Any]:
    """Return a column by its name in whatever case, as it is kept."""
    every = {n: c for n, c in columns(scores).items() if n not in ("score", "target", "attack")} | further(scores)
    spelled = {name.casefold(): name for name in every}
    if (name := spelled.get(column.casefold())) is None:
        advice = "score --keep COLUMN takes further columns of the manifest along."
        if column.casefold() == "attack":
            advice = "Kinds of attacks are told apart in any case."
        checks.refuse("a condition", f"be a column of the scores: {', '.join(every)}", repr(column), advice)
    return name, every[name]


def divided_by(name: str, held: Any) -> tuple[list[str], NDArray[np.int64]]:
    """Return the values of a column, and of each trial (T,) the place of its value, -1 where it has none."""
    if not isinstance(held, NameIndex):
        return _ranges(held)
    numbers = [_number(word) for word in held.names.tolist() if word]
    if len(numbers) > RANGES and not np.isnan(numbers).any():
        return _ranges(np.array([_number(word) for word in held.names.tolist()])[held.codes])
    if len(numbers) > MOST:
        advice = "Give a column that divides the trials into fewer, such as the device or the room."
        checks.refuse(f"the column {name!r}", f"have at most {MOST} different values", len(numbers), advice)
    empty = int(held.names[0] == "")
    return held.names.tolist()[empty:], held.codes.astype(np.int64) - empty


def _number(word: str) -> float:
    """Return a finite number, NaN where a word is none."""
    try:
        value = float(word)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _ranges(numbers: NDArray[np.float64]) -> tuple[list[str], NDArray[np.int64]]:
    """Return ranges of about equally many trials, and of each trial (T,) the place of its own, -1 for NaN."""
    of_trial = in_ranges(numbers, RANGES)
    ends = [(numbers[of_trial == i].min(), numbers[of_trial == i].max()) for i in range(of_trial.max() + 1)]
    return [f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}" for low, high in ends], of_trial


def in_ranges(numbers: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the range of each number, from 0, or -1 for NaN; equal numbers stay together.

    There are at most so many ranges of about equally many numbers, and no more than a tenth of these.
    """
    known = np.sort(numbers[~np.isnan(numbers)])
    if not len(known):
        return np.full(len(numbers), -1)
    count = max(1, min(most, len(known) // 10))
    starts = np.unique(known[(np.arange(count) * len(known)) // count])
    return np.where(np.isnan(numbers), -1, np.searchsorted(starts, numbers, side="right") - 1)


def _condition(
    scores: Scores,
    column: str,
    value: str,
    rows: NDArray[np.bool_],
    threshold: float,
    people: Resampler,
    sampler: Resampler | None,
) -> Condition:
    """Return what becomes of some trials."""
    targets, nontargets = (scores.score[rows & (scores.target == label)] for label in (1, 0))
    speakers = len(np.unique(people.enrolled[scores.speakers.codes[rows & (scores.target == 1)]]))
    tests = len(np.unique(scores.tests.codes[rows]))
    counts = tests, len(targets), len(nontargets), speakers
    if not (len(targets) and len(nontargets)):
        missing = "target" if len(nontargets) else "nontarget"
        return Condition(column, value, *counts, None, None, None, None, {}, f"no {missing} trials")
    errors = trial_rates(scores, people, threshold, rows, level=people.level)
    eer, loss = roc_hull(targets, nontargets).eer(), cllr(targets, nontargets)
    p_miss, p_fa = errors["p_miss"].estimate, errors["p_fa"].estimate
    intervals, doubt = _intervals(sampler, rows, speakers)
    if intervals:
        intervals |= errors
    return Condition(column, value, *counts, eer, loss, p_miss, p_fa, intervals, doubt)


def _intervals(sampler: Resampler | None, rows: NDArray[np.bool_], speakers: int) -> tuple[dict[str, Interval], str]:
    """Return the intervals of some trials, or why there are none."""
    if sampler is None:
        return {}, ""
    if speakers < sampler.LEAST_SPEAKERS:
        return {}, f"target trials of {checks.number_of(speakers, 'speaker')}: too few to tell"
    found = intervals_of(sampler, rows)
    return found, "" if found else "too few pairs of speakers to tell"


def intervals_of(sampler: Resampler, rows: NDArray[np.bool_]) -> dict[str, Interval]:
    """Return intervals of the equal error rate and of Cllr of some trials, none where these are of too few speakers."""
    if sampler.speakers(rows) < sampler.LEAST_SPEAKERS:
        return {}
    try:
        found = detection_intervals(sampler, {}, rows=rows, kept=_KEPT)
    except InvalidInput:  # so few pairs of speakers that none is left without somebody
        return {}
    return {name: found[name] for name in ("eer", "cllr")}

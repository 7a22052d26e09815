"""Which trials count: those of a list, in its order and with its labels, and those that are no attacks."""

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.evaluation.trials import (
    Failures,
    Scores,
    Trials,
    attack_rows,
    columns,
    further,
    name_pair,
    rows_of_pairs,
)


def join(scores: Scores, trials: Trials) -> Scores:
    """Return the scores of exactly these trials, in their order and with their labels, whatever labels the scores had.

    Trials that failed have no score, and stay among the failures.

    Raises
    ------
    InvalidInput
        If a trial neither has a score nor failed, or if none has a score.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores, Trials
    >>> scores = Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [-1, -1])
    >>> join(scores, Trials(["bob"], ["a.wav"], [0])).target
    array([0], dtype=int8)
    """
    failures = scores.failures
    if failures is not None:
        failures = Failures(*(kind and _listed(kind, trials) for kind in (failures.tests, failures.speakers)))
        lost = [rows_of_pairs(trials, kind) >= 0 for kind in failures.lists.values()]
        kept = some_trials(trials, ~np.any(lost, axis=0)) if lost else trials
        if kept is None:
            checks.refuse("scores", "hold a score of a trial of the list", f"{len(trials)} trials that failed")
        trials = kept
    held = scores.take(rows_scoring(trials, scores, "scores", "hold every trial"))
    told = {name: column for name, column in columns(trials).items() if name in ("target", "attack")}
    return Scores(**columns(held) | told, conditions=further(held), failures=failures)


def rows_scoring(trials: Trials | Scores, scores: Scores, what: str, rule: str) -> NDArray[np.int64]:
    """Return the rows of a table that score these trials; refuse that `what` must `rule` if one is missing."""
    rows = rows_of_pairs(trials, scores)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        first = name_pair(trials, int(missing[0]))
        found = f"{len(missing)} of {len(trials)} trials without a score, the first {first}"
        checks.refuse(what, rule, found, "Score these trials too, or take them off the list.")
    return rows


def _listed(failed: Trials, trials: Trials) -> Trials | None:
    """Return those of some failed trials that a list holds, with the labels of the list; None for none."""
    rows = rows_of_pairs(trials, failed)
    if (found := some_trials(trials, rows >= 0)) is None:
        return None
    kept = {name: column.take(rows[rows >= 0]) for name, column in columns(failed).items()}
    return Trials(**kept | columns(found))


def some_trials(trials: Trials, kept: NDArray[np.bool_]) -> Trials | None:
    """Return some trials, None for none."""
    rows = np.flatnonzero(kept)
    return Trials(**{name: column.take(rows) for name, column in columns(trials).items()}) if len(rows) else None


def bona_fide(scores: Scores) -> Scores:
    """Return the trials that are no attacks, without the column `attack`, also of those that failed.

    Raises
    ------
    InvalidInput
        If every trial is of an attack.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "ann"], ["a.wav", "b.wav"], [1.5, 1.0], [1, 1], attack=["", "replayed"])
    >>> bona_fide(scores).test
    array(['a.wav'], dtype='<U5')
    """
    lists = {} if scores.failures is None else scores.failures.lists
    if not any("attack" in columns(table) for table in (scores, *lists.values())):
        return scores
    rows = np.flatnonzero(~attack_rows(scores))
    if not len(rows):
        advice = "Score recordings of the speakers themselves, too: with the column attack empty."
        checks.refuse("scores", "hold bona fide trials beside those of attacks", f"{len(scores)} of attacks", advice)
    failures = scores.failures
    if failures is not None:
        failures = Failures(*(kind and _bona_fide_trials(kind) for kind in (failures.tests, failures.speakers)))
    held = {name: column.take(rows) for name, column in columns(scores).items() if name != "attack"}
    return Scores(**held, conditions={n: c.take(rows) for n, c in further(scores).items()}, failures=failures)


def _bona_fide_trials(trials: Trials) -> Trials | None:
    """Return the trials that are no attacks, None for none."""
    rows = np.flatnonzero(~attack_rows(trials))
    held = {name: column.take(rows) for name, column in columns(trials).items() if name != "attack"}
    return Trials(**held) if len(rows) else None

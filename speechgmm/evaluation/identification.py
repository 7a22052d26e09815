"""How often a search finds the right speaker: one test against all who are enrolled.

Counted as searches for somebody who is enrolled are tests with exactly one target trial; tests with none are searches
for a stranger. Ties count against the system. The rates speak of identification only if every test was scored
against every enrolled speaker.

References
----------
.. [1] P. J. Phillips, P. Grother and R. Micheals, "Evaluation methods in face recognition", in: Handbook of Face
   Recognition, 2005: detection and identification rate, cumulative match characteristic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.evaluation.confusion import ConfusionMatrix, confusion_matrix
from speechgmm.evaluation.trials import Scores, check_labels


@dataclass(frozen=True, eq=False)
class Searches:
    """What became of each of S tests, in the order of their sorted names; made by `searches`.

    Parameters
    ----------
    tests : array of str, shape (S,)
    trials, targets : array of int, shape (S,)
        How many trials, and how many target trials, the test has.
    own, best : array of float, shape (S,)
        The score of its (last) target trial, infinity for none; the best score of all.
    rivals : array of int, shape (S,)
        How many nontarget trials do not lie below `own`: 0 if the true speaker comes first.
    """

    tests: NDArray[np.str_]
    trials: NDArray[np.int64]
    targets: NDArray[np.int64]
    own: NDArray[np.float64]
    best: NDArray[np.float64]
    rivals: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which tests have exactly one target trial."""
        return np.equal(self.targets, 1)

    @property
    def strangers(self) -> NDArray[np.bool_]:
        """Which tests have no target trial."""
        return np.equal(self.targets, 0)

    def found(self, weights: NDArray[np.int64], rank: int = 1, threshold: float = -np.inf) -> float:
        """Return the share of known tests whose own speaker is among the `rank` highest scores and accepted.

        Test s counts `weights[s]` times; NaN if there are no known tests.
        """
        times, hits = weights[self.known], (self.rivals < rank) & (self.own >= threshold)
        return float(times @ hits[self.known] / times.sum()) if times.any() else np.nan

    def open_set(self, weights: NDArray[np.int64], far: float, rank: int = 1) -> "OpenSet":
        """Return what `open_set_rate` does, test s counting `weights[s]` times; NaN for a kind that is not there."""
        order = np.argsort(-self.best[self.strangers], kind="stable")
        best, times = self.best[self.strangers][order], weights[self.strangers][order]
        accepted = np.cumsum(times)
        strangers, known = int(accepted[-1]), int(weights[self.known].sum())
        if not strangers:
            return OpenSet(np.nan, far, np.nan, np.nan, known, strangers)
        refused = accepted > far * strangers + 1e-9
        threshold = float(np.nextafter(best[np.argmax(refused)], np.inf)) if refused.any() else -np.inf
        measured = float(times @ (best >= threshold) / strangers)
        return OpenSet(self.found(weights, rank, threshold), far, measured, threshold, known, strangers)


@dataclass(frozen=True)
class OpenSet:
    """Detection and identification of speakers among strangers; made by `open_set_rate`.

    Parameters
    ----------
    rate : float
        Share of the tests of enrolled speakers whose own speaker is among the `rank` highest scores and accepted.
    far : float
        The rate asked for: the share of searches for strangers that accept anybody.
    measured : float
        The rate reached, at most the one asked for.
    threshold : float
        The least threshold that reaches it; minus infinity where everybody may be accepted.
    known, strangers : int
        How many tests of either kind there are.
    """

    rate: float
    far: float
    measured: float
    threshold: float
    known: int
    strangers: int


def identification_rate(scores: Scores, rank: int = 1) -> float:
    """Return the share of tests whose own speaker is among the `rank` highest scores.

    Counted are tests with exactly one target trial. Tests with none (an open set) or with several are not.
    Ties count against the system: the target must beat all but `rank` - 1 of the nontargets.
    The rate speaks of identification only if every test was scored against every enrolled speaker.

    Parameters
    ----------
    scores : Scores
        With all labels known.
    rank : int
        At least 1.

    Raises
    ------
    InvalidInput
        For unlabeled trials, or if no test has exactly one target trial.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> identification_rate(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0]))
    1.0
    """
    checks.integer(rank, "rank", minimum=1)
    return float(cmc(scores, rank)[-1])


def cmc(scores: Scores, ranks: int = 10) -> NDArray[np.float64]:
    """Return the cumulative match characteristic [1]_: the identification rates at ranks 1 to `ranks`, (ranks,).

    Parameters and errors as in `identification_rate`.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> cmc(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, 2.0], [1, 0]), 2)
    array([0., 1.])
    """
    checks.integer(ranks, "ranks", minimum=1)
    found = searches(scores)
    _refuse_none(found.known, "with exactly one target trial, for an identification rate")
    rivals = found.rivals[found.known]
    return np.cumsum(np.bincount(np.minimum(rivals, ranks), minlength=ranks + 1))[:ranks] / len(rivals)


def open_set_rate(scores: Scores, far: float = 0.01, *, rank: int = 1) -> OpenSet:
    """Return how many speakers are found when so many strangers are accepted [1]_.

    Parameters
    ----------
    scores : Scores
        With all labels known, with tests of enrolled speakers and tests of strangers (without a target trial).
    far : float
        Share of the strangers' searches in which anybody is accepted, from 0 to 1.
    rank : int
        The true speaker must be among so many highest scores; at least 1.

    Raises
    ------
    InvalidInput
        For unlabeled trials, a rate or rank out of range, or if either kind of tests is missing.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"] * 2, ["a", "a", "x", "x"], [3.0, 0.0, 1.0, 2.0], [1, 0, 0, 0])
    >>> open_set_rate(scores, 0.01).rate
    1.0
    """
    far = checks.number(far, "far", minimum=0, maximum=1)
    checks.integer(rank, "rank", minimum=1)
    found = searches(scores)
    _refuse_none(found.known, "with exactly one target trial, for an open set")
    _refuse_none(found.strangers, "without a target trial, for an open set")
    return found.open_set(np.ones(len(found.tests), dtype=np.int64), far, rank)


def closed_set_confusion(scores: Scores) -> ConfusionMatrix:
    """Return whom each test of an enrolled speaker is taken for: the speaker of its highest score.

    Of several highest scores a nontarget's counts, as in the other rates. Errors as in `identification_rate`.

    Examples
    --------
    >>> from speechgmm.evaluation import Scores
    >>> models, tests = ["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2
    >>> found = closed_set_confusion(Scores(models, tests, [2.0, -1.0, 1.5, 1.0], [1, 0, 0, 1]))
    >>> found.labels, found.counts.tolist()  # both tests are taken for ann
    (('ann', 'bob'), [[1, 0], [1, 0]])
    """
    found = searches(scores)
    _refuse_none(found.known, "with exactly one target trial, for a confusion matrix")
    test, speaker = scores.tests.codes, scores.speakers
    top = np.flatnonzero((scores.score == found.best[test]) & found.known[test])
    top = top[np.argsort(-scores.target[top], kind="stable")]  # nontargets last, and the last one stays
    chosen = np.zeros(len(found.tests), dtype=np.int64)
    chosen[test[top]] = speaker.codes[top]
    true = np.zeros(len(found.tests), dtype=np.int64)
    targets = np.flatnonzero(scores.target == 1)
    true[test[targets]] = speaker.codes[targets]
    return confusion_matrix(speaker.names[true[found.known]], speaker.names[chosen[found.known]])


def searches(scores: Scores) -> Searches:
    """Return what became of each test; all labels must be known."""
    check_labels(scores)
    tests, of = scores.tests.names, scores.tests.codes
    targets = np.flatnonzero(scores.target == 1)
    own = np.full(len(tests), np.inf)
    own[of[targets]] = scores.score[targets]
    best = np.full(len(tests), -np.inf)
    np.maximum.at(best, of, scores.score)
    beaten = np.flatnonzero((scores.target == 0) & (scores.score >= own[of]))
    trials, own_trials, rivals = (np.bincount(rows, minlength=len(tests)) for rows in (of, of[targets], of[beaten]))
    return Searches(tests, trials, own_trials, own, best, rivals)


def _refuse_none(tests: NDArray[np.bool_], kind: str) -> None:
    if not tests.any():
        checks.refuse("scores", f"hold a test {kind}", "none")

"""Fusion: the scores of several systems become one calibrated log-likelihood ratio.

llr = offset + sum_m weights[m] * score_m, fitted by logistic regression on labeled trials that every system has scored.
Targets and nontargets are weighted as if a share `prior` of all trials were targets; the log odds of this prior is
then taken off the regression's answer, so that what is left is a log-likelihood ratio in nats [1]_. One system fused
by itself is a linear calibration.

References
----------
.. [1] N. Brümmer et al., "Fusion of heterogeneous speaker recognition systems in the STBU submission for the NIST
   speaker recognition evaluation 2006", IEEE Trans. Audio, Speech and Language Processing 15, 2007, eq. 5 to 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.evaluation.calibration import regress
from speechgmm.evaluation.chosen_trials import rows_scoring
from speechgmm.evaluation.trials import Scores, check_labels, name_pair
from speechgmm.looks import Shown

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fusion(Shown):
    """Weights that make one LLR of the scores of M systems; made by `fit_fusion`, applied by calling it.

    Parameters
    ----------
    systems : tuple of str
        The names of the systems, in the order of the weights.
    weights : array, shape (M,)
        Nats for each unit of score.
    offset : float
        Nats.
    prior : float
        The prior that the regression was fitted for.
    trials : int
        How many trials it was fitted on.
    """

    systems: tuple[str, ...]
    weights: Floats
    offset: float
    prior: float
    trials: int

    def __post_init__(self) -> None:
        """Check everything, and hold the weights as read-only float64."""
        checks.sequence_of(self.systems, "the systems of a fusion", str)
        if not self.systems or len(set(self.systems)) < len(self.systems):
            checks.refuse("the systems of a fusion", "be at least one, and different", repr(tuple(self.systems)))
        checks.hold(
            self,
            systems=tuple(self.systems),
            weights=checks.floats(self.weights, "weights", shape=(len(self.systems),), largest=checks.FAR),
            offset=checks.number(self.offset, "offset", minimum=-checks.FAR, maximum=checks.FAR),
            prior=checks.probability(self.prior, "prior"),
            trials=checks.integer(self.trials, "trials", minimum=1),
        )

    def __call__(self, tables: Mapping[str, Scores]) -> Scores:
        """Return fused LLRs for the trials of the first system, which all others must have scored.

        Parameters
        ----------
        tables : mapping of str to Scores
            By name of the system; no other names than `systems`. Labels and the further columns are the first
            system's.

        Raises
        ------
        InvalidInput
            For a system that is missing or not known, and for tables that do not hold the same trials.
        """
        if set(tables) != set(self.systems):
            rule = f"be those of the systems fused, {', '.join(map(repr, self.systems))}"
            checks.refuse("the tables of scores", rule, ", ".join(map(repr, tables)) or "none")
        first, scores = _stack([tables[name] for name in self.systems], self.systems)
        return first.rescored(scores @ self.weights + self.offset)


def fit_fusion(tables: Mapping[str, Scores], *, prior: float = 0.5) -> Fusion:
    """Fit the weights of a fusion to labeled trials.

    Fit it on other speakers than those it is then measured on: weights fitted to the test trials flatter.

    Parameters
    ----------
    tables : mapping of str to Scores
        One labeled table for each system, all of the same trials in any order.
    prior : float
        Prior of a target for which the LLRs are to be best, between 0 and 1; 0.5 weighs both kinds alike.

    Raises
    ------
    InvalidInput
        For no tables, tables that do not hold the same trials with the same labels, unlabeled trials, one kind of
        trials alone, or a prior out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.evaluation import Scores
    >>> a = Scores(["x"] * 4, list("abcd"), [1.0, 2.0, 0.0, 1.5], [1, 1, 0, 0])
    >>> fused = fit_fusion({"one": a})({"one": a})
    >>> bool(np.all(np.diff(fused.score[[2, 0, 3, 1]]) > 0))
    True
    """
    if not tables:
        checks.refuse("the tables of scores", "be at least one", "none")
    prior = checks.probability(prior, "prior")
    names = tuple(tables)
    first, scores = _stack(list(tables.values()), names)
    check_labels(first)
    targets = first.target == 1
    if targets.all() or not targets.any():
        found = f"{int(targets.sum())} targets of {len(first)}"
        checks.refuse("the trials", "be of both kinds, targets and nontargets", found)
    spread = scores.std(axis=0)
    weights, offset = regress(scores, targets, np.ones(len(first)), spread=spread, prior=prior)
    return Fusion(names, weights, offset, prior, len(first))


def _stack(tables: Sequence[Scores], names: Sequence[str]) -> tuple[Scores, Floats]:
    """Return the first table, and the scores (T, M) of all systems for its trials."""
    first = tables[0]
    stacked = [first.score]
    for name, table in zip(names[1:], tables[1:], strict=True):
        if len(table) != len(first):
            found = f"{len(table)} for {name!r}"
            checks.refuse("the tables of scores", f"hold the same trials ({len(first)} for {names[0]!r})", found)
        rows = rows_scoring(first, table, f"the scores of {name!r}", f"score every trial of {names[0]!r}")
        labels = table.target[rows]
        differ = np.flatnonzero((labels != first.target) & (labels >= 0) & (first.target >= 0))
        if len(differ):
            found = f"{len(differ)} that differ, the first {name_pair(first, int(differ[0]))}"
            checks.refuse(f"the labels of {name!r} and {names[0]!r}", "agree", found)
        stacked.append(table.score[rows])
    return first, np.stack(stacked, axis=1)

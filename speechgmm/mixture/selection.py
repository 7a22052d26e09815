"""Gaussian selection: between exact iterations a frame visits only the components that mattered to it at the last one.

What the iterations over lists leave out makes their objective a lower bound of the likelihood (Neal and Hinton 1998,
section 5: sparse EM): it rises like the likelihood itself, and each exact iteration measures how far the lists had
fallen behind. The lists themselves are in `compiled/pairs.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speechgmm.checks import integer, matrix, number, refuse
from speechgmm.mixture.blocks import WeightedBlock
from speechgmm.mixture.compiled.e_step import CompiledEStep
from speechgmm.mixture.compiled.pairs import Pairs, exact_statistics, listed_statistics, regrown
from speechgmm.mixture.em import Update
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

WATCHED = 8
"""Of so many blocks one is evaluated both ways when its lists are made anew."""


@dataclass(frozen=True)
class Selection:
    """Settings of Gaussian selection, see `fit_gmm`.

    Parameters
    ----------
    threshold : float
        A component is on a frame's list if it took more than this of it. On speech the default keeps dozens of 2048.
    refresh : int
        Every so many iterations one is exact and makes the lists anew. An iteration over lists takes 0.13 of an exact
        one (K = 2048, telephone speech; `recipes/benchmarks/em.py --selection`), so that with 6 the exact ones
        are 0.6 of the time, and more gains little.
    settled : float
        All iterations are exact until one changes the objective by less than this, in nats per frame: while components
        still move far, lists are out of date at once.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import fit_gmm
    >>> x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> fit_gmm(x, 2, selection=Selection(refresh=3)).model.means.round(0).ravel() + 0.0
    array([ 0., 10.])
    """

    threshold: float = 1e-6
    refresh: int = 6
    settled: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.threshold, "threshold", minimum=0.0, maximum=0.5)
        integer(self.refresh, "refresh", minimum=1)
        number(self.settled, "settled", minimum=0.0, unit=" nats")


@dataclass(frozen=True)
class Numbered:
    """Blocks with their numbers, by which their lists are found again."""

    blocks: Iterable[Any]

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield each block after its number."""
        return enumerate(self.blocks)


@dataclass(eq=False)
class Visitor:
    """The E-step and the M-step of EM with Gaussian selection, for `fit` over `Numbered` blocks.

    It changes while it works: it keeps the lists of all blocks, and decides by the objective which iterations are
    exact. The objective of these is the log-likelihood; the others note "listed", for theirs is a lower bound. The note
    "selection_loss" of an exact iteration is what the lists had lost by then, in nats per frame, measured on every
    eighth block.

    Parameters
    ----------
    selection : Selection
    maximize : callable
        The M-step of plain EM.
    exact, keep : bool
        Whether the iteration that is under way visits all components, and whether it makes lists where it does.
    lists : dict
        The lists of each block, by its number.
    behind : dict
        By how much the lists of some blocks fell short when they were made anew, in nats per frame.
    """

    selection: Selection
    maximize: Callable[[Statistics, GMM], Update[GMM]]
    exact: bool = True
    keep: bool = False
    lists: dict[int, list[Pairs]] = field(default_factory=dict)
    behind: dict[int, float] = field(default_factory=dict)
    _objective: float = field(default=0.0, init=False)
    _iterations: int = field(default=1, init=False)
    _near: bool = field(default=False, init=False)

    @one_thread
    def e_step(self, model: GMM, numbered: tuple[int, Any]) -> Statistics:
        """Return the statistics of one block."""
        i, block = numbered
        if isinstance(block, WeightedBlock):
            refuse("selection", "go with blocks without weights", "weights")
        x = matrix(block, dimensions=model.n_dimensions, minimum=0)
        e_step = model.e_step(x.dtype)
        if isinstance(e_step, CompiledEStep) and e_step.narrow is not None:
            e_step = model.e_step(np.dtype(np.float64))  # lists are of one precision
        if not isinstance(e_step, CompiledEStep):
            refuse("selection", "go with a covariance of independent features", type(model.covariance).__name__)
        wanted = not self.exact or (self.keep and i % WATCHED == 0)
        same = i in self.lists and sum(p.length for p in self.lists[i]) == len(x)
        before = listed_statistics(x, e_step, self.lists[i]) if wanted and same else None
        if before and not self.exact:
            return before
        if not self.keep:
            return model.statistics(x)
        statistics, self.lists[i] = exact_statistics(x, e_step, self.selection.threshold)
        if before:
            self.behind[i] = (statistics.log_likelihood - before.log_likelihood) / max(len(x), 1)
        return statistics

    def m_step(self, statistics: Statistics, model: GMM) -> Update[GMM]:
        """Maximize, note what the lists had lost, take reseeded components onto them, and decide what comes next."""
        update = self.maximize(statistics, model)
        notes = dict(update.notes) | ({} if self.exact else {"listed": 1})
        if self.behind:
            notes["selection_loss"] = float(np.mean([self.behind[i] for i in sorted(self.behind)]))
            self.behind = {}
        if update.source is not None:
            self.lists = {i: regrown(lists, update.source) for i, lists in self.lists.items()}
        self._advance(statistics.mean_log_likelihood)
        return Update(update.model, notes, update.source)

    def _advance(self, objective: float) -> None:
        """Decide whether the next iteration is exact, and whether it makes lists."""
        if self.exact:
            self._near = abs(objective - self._objective) / self._iterations < self.selection.settled
            self._objective, self._iterations = objective, 0
        self._iterations += 1
        self.exact = not self.keep or self._iterations >= self.selection.refresh
        if self.exact:
            self.keep = self._near and self.selection.refresh > 1

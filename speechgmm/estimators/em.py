"""EM from an estimator's start to its last iteration, with scikit-learn's rule of when to stop and what to print."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from speechgmm.errors import InvalidInput
from speechgmm.estimators.rows import Rows
from speechgmm.mixture import GMM, Floor, Statistics, Stop, Update, fit, maximize
from speechgmm.mixture.missing import Incomplete
from speechgmm.mixture.online import EXPONENT, Online, blend

__all__ = ["ILL_DEFINED", "Progress", "Run", "learned", "maximized", "run"]

ONCE = Stop(tolerance=0.0, max_iterations=1)
SLACK = 10 * float(np.finfo(np.float64).eps)
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)
"""scikit-learn's words, since code that catches the error may look at them."""


@dataclass(frozen=True)
class Run:
    """Where EM arrived: the model, the lower bound before each M-step (nats a row), and whether it settled."""

    model: Any
    lower_bounds: tuple[float, ...]
    converged: bool

    @property
    def lower_bound(self) -> float:
        """The last lower bound."""
        return self.lower_bounds[-1] if self.lower_bounds else float("-inf")


@dataclass
class Progress:
    """What `verbose` prints: 0 nothing, 1 iterations, 2 times and changes as well; every `interval` iterations."""

    verbose: int
    interval: int

    def begin(self, number: int) -> None:
        """Start initialization `number`."""
        self.started = self.last = perf_counter()
        self._print(f"Initialization {number}")

    def step(self, iteration: int, change: float) -> None:
        """Report an iteration."""
        if iteration % self.interval == 0:
            now = perf_counter()
            self._print(f"  Iteration {iteration}", f"\t time lapse {now - self.last:.5f}s\t ll change {change:.5f}")
            self.last = now

    def end(self, bound: float, converged: bool) -> None:
        """Report the end."""
        lapse = f" time lapse {perf_counter() - self.started:.5f}s\t lower bound {bound:.5f}."
        self._print(f"Initialization {'converged' if converged else 'did not converge'}.", lapse)

    def _print(self, short: str, more: str = "") -> None:
        if self.verbose:
            print(short + (more if self.verbose >= 2 else ""))


def maximized(statistics: Statistics, model: GMM, floor: Floor) -> Update[GMM]:
    """Return the M-step's update, or scikit-learn's error where a component has collapsed.

    As there, counts are a few units of rounding larger than they are: a component of one row keeps a variance that is
    just above zero, also where nothing is added to it.
    """
    counts = np.where(statistics.counts > 0, statistics.counts + SLACK, 0.0)
    try:
        return maximize(replace(statistics, counts=counts), model, floor=floor)
    except InvalidInput as error:
        raise InvalidInput(ILL_DEFINED) from error


def learned(state: Online, rows: Rows, floor: Floor, *, step: float | None = None) -> Online:
    """Return the state of stepwise EM after one more batch; `speechgmm.mixture.stepwise` has the rule and the step."""
    taken = (state.updates + 2) ** -EXPONENT if step is None else step
    reader = Incomplete(state.model) if rows.incomplete else state.model
    new = functools.reduce(operator.add, rows.map(reader.statistics, rows))
    running = blend(state.running, new, taken)
    update = maximized((new.frames / taken) * running, state.model, floor)
    return Online(update.model, running, state.updates + 1)


def run(
    model: Any,
    rows: Rows,
    m_step: Callable[..., Any],
    *,
    tol: float,
    max_iter: int,
    before: float,
    unit: float,
    progress: Progress,
) -> Run:
    """Run EM until the lower bound changes by less than `tol`, or for `max_iter` iterations.

    Parameters
    ----------
    model : the start
    rows : Rows
    m_step : callable
        As for `speechgmm.mixture.fit`.
    tol : float
    max_iter : int
    before : float
        The lower bound of an earlier run that is continued; minus infinity for a new one.
    unit : float
        What lower bounds are multiplied by: 1 for nats a row, the number of rows for nats.
    progress : Progress
    """
    bounds: list[float] = []
    converged = False
    if rows.incomplete:
        model, m_step = Incomplete(model), _through_incomplete(m_step)
    while len(bounds) < max_iter and not converged:
        step = fit(model, rows, m_step, stop=ONCE, mapper=rows.map)
        model, bound = step.model, unit * step.objective[0]
        change = bound - before
        before, converged = bound, abs(change) < tol
        bounds.append(bound)
        progress.step(len(bounds), change)
    if max_iter:
        progress.end(before, converged)
    return Run(model.model if rows.incomplete else model, tuple(bounds), converged)


def _through_incomplete(m_step: Callable[..., Any]) -> Callable[..., Any]:
    """Return an M-step of models that read NaN as missing."""

    def wrapped(statistics: Any, model: Incomplete) -> Update[Incomplete]:
        update = m_step(statistics, model.model)
        return Update(Incomplete(update.model), update.notes)

    return wrapped

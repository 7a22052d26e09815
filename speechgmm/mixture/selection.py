"""Gaussian selection: between exact iterations a frame visits only the components that mattered to it at the last one.

An exact E-step notes, for each frame, which components took more than `threshold` of it. The iterations that follow
evaluate only these pairs, each component over its own list of frames, so that their cost hardly grows with K. What is
left out is a lower bound of the likelihood (Neal and Hinton 1998, section 5: sparse EM): it rises like the
likelihood itself, and each exact iteration measures how far the lists had fallen behind. Symbols: N frames, K
components, P frames and components in pairs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import matrix
from speechgmm.mixture.compiled.e_step import CompiledEStep
from speechgmm.mixture.compiled.pairs import Pairs, exact, listed, regrown
from speechgmm.mixture.em import Fit, Stop, Update, fit
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.mixture.train import Selection
from speechgmm.parallel import Mapper, one_thread

Array = NDArray[Any]

__all__ = ["fit_selected"]

WATCHED = 8
"""Of so many blocks one is evaluated both ways when its lists are made anew."""


@dataclass(frozen=True, eq=False)
class Visitor:
    """A model whose statistics of numbered blocks are exact or, between refreshes, over the pairs that are kept.

    `kept` holds the pairs of each block, `behind` by how much some fell short when made anew, in nats a frame.
    """

    model: GMM
    threshold: float
    exact: bool = True
    keep: bool = True
    kept: dict[int, list[Pairs]] = field(default_factory=dict)
    behind: dict[int, float] = field(default_factory=dict)

    @one_thread
    def statistics(self, numbered: tuple[int, Array]) -> Statistics:
        """Return the statistics of one block."""
        (i, block), m = numbered, self.model
        x = matrix(block, dimensions=m.n_dimensions, minimum=0)
        e_step = m.e_step(x.dtype)
        assert isinstance(e_step, CompiledEStep)
        wanted = not self.exact or i % WATCHED == 0
        same = i in self.kept and sum(p.length for p in self.kept[i]) == len(x)
        before = listed(x, e_step, self.kept[i]) if wanted and same else None
        if not self.exact and before:
            return before
        if not self.keep:
            return e_step.statistics(x)
        statistics, self.kept[i] = exact(x, e_step, self.threshold)
        if before:
            self.behind[i] = (statistics.log_likelihood - before.log_likelihood) / max(len(x), 1)
        return statistics


@dataclass(frozen=True)
class _Numbered:
    blocks: Iterable[Any]

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return enumerate(self.blocks)


def fit_selected(
    model: GMM,
    blocks: Iterable[Any],
    m_step: Callable[[Statistics, GMM], Update[GMM]],
    *,
    selection: Selection,
    stop: Stop,
    mapper: Mapper,
    on_iteration: Callable[[int, float, Mapping[str, float]], None] | None = None,
) -> Fit[GMM]:
    """Run EM with Gaussian selection; as `fit`, with a diagonal model.

    The objective of exact iterations is the log-likelihood, that of the others a lower bound. The note
    "selection_loss" of an exact iteration is what the lists had lost by then, in nats a frame, measured on every
    eighth block. It has converged when exact iterations differ by less than the tolerance, divided by the
    iterations between them.
    """
    objective: list[float] = []
    notes: list[Mapping[str, float]] = []
    visitor, last, length, change = Visitor(model, selection.threshold), 0.0, 1, np.inf
    while len(objective) < stop.max_iterations:
        done, rest = len(objective), stop.max_iterations - len(objective)
        was, length = length, min(selection.refresh if change < selection.settled else 1, rest)

        def shown(iteration: int, value: float, note: Mapping[str, float], done: int = done) -> None:
            if on_iteration:
                on_iteration(done + iteration, value, note)

        step = functools.partial(_step, m_step=m_step)
        visitor = replace(visitor, exact=True, keep=length > 1, behind={})
        part = fit(visitor, _Numbered(blocks), step, stop=Stop(0.0, length), mapper=mapper, on_iteration=shown)
        objective.extend(part.objective)
        notes.extend(part.notes)
        visitor, last, change = part.model, part.objective[0], abs(part.objective[0] - last) / was
        settled = done and not any("reseeded" in n for n in notes[-was - length :])
        if settled and change < stop.tolerance:
            return Fit(visitor.model, tuple(objective), tuple(notes), converged=True, reason="tolerance")
    return Fit(visitor.model, tuple(objective), tuple(notes), converged=False, reason="max_iterations")


def _step(
    statistics: Statistics, visitor: Visitor, m_step: Callable[[Statistics, GMM], Update[GMM]]
) -> Update[Visitor]:
    """Maximize, note what the lists had lost, and take reseeded components onto them."""
    update, behind, kept = m_step(statistics, visitor.model), visitor.behind, visitor.kept
    lost = {"selection_loss": float(np.mean([behind[i] for i in sorted(behind)]))} if behind else {}
    if update.source is not None:
        kept = {i: regrown(pairs, update.source) for i, pairs in kept.items()}
    return Update(replace(visitor, model=update.model, exact=False, kept=kept, behind={}), {**update.notes, **lost})

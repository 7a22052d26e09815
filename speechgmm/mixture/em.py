"""The one EM driver. It knows nothing of Gaussians.

It asks of a model only `.statistics(block)`, of statistics only `+` and `.mean_log_likelihood`, and of the M-step a
new model with notes of what else it did. Blocks are summed in their own order, whatever order they are finished in.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from speechgmm.checks import integer, number, refuse
from speechgmm.parallel import Mapper

__all__ = ["Fit", "Stop", "Update", "fit", "reiterable", "total"]


class Summable(Protocol):
    """What EM needs of statistics."""

    def __add__(self, other: Self) -> Self:
        """Return the sum."""

    @property
    def mean_log_likelihood(self) -> float:
        """The objective, in nats a frame."""


class Model(Protocol):
    """What EM needs of a model."""

    def statistics(self, x: Any) -> Any:
        """Return the statistics of one block."""


M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Update(Generic[M]):
    """What an M-step made: the new `model`, and `notes` that count what else happened ("floored", "reseeded").

    Where components were reseeded, `source` (K,) says from which one each has grown.
    """

    model: M
    notes: Mapping[str, float] = field(default_factory=dict)
    source: Any = None


@dataclass(frozen=True)
class Stop:
    """When to stop: a change of the objective below `tolerance` (nats a frame), or `max_iterations`.

    The default of 1e-3 nats is far below what moves an error rate; a step that reseeded is never taken as the end.
    """

    tolerance: float = 1e-3
    max_iterations: int = 100

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.tolerance, "tolerance", minimum=0.0, unit=" nats")
        integer(self.max_iterations, "max_iterations", minimum=1)


@dataclass(frozen=True)
class Fit(Generic[M]):
    """The result of EM.

    Parameters
    ----------
    model : the model after the last M-step
    objective : tuple of float
        Log-likelihood in nats a frame of the start and of the model after each step but the last.
    notes : tuple of mapping
        What the step after each of these did besides maximizing, e.g. ``{"floored": 3}`` or ``{"reseeded": 1}``.
    converged : bool
    reason : str
        "tolerance" or "max_iterations".
    """

    model: M
    objective: tuple[float, ...]
    notes: tuple[Mapping[str, float], ...]
    converged: bool
    reason: str


def fit(
    model: M,
    blocks: Iterable[Any],
    m_step: Callable[[Any, M], Update[M]],
    *,
    stop: Stop = Stop(),
    mapper: Mapper = map,
    on_iteration: Callable[[int, float, Mapping[str, float]], None] | None = None,
) -> Fit[M]:
    """Run expectation-maximization (Dempster, Laird and Rubin 1977).

    Parameters
    ----------
    model : Model
        The start.
    blocks : iterable of blocks
        Iterated once an iteration: a list, or any object whose ``iter()`` starts anew.
    m_step : callable
        ``m_step(statistics, model) -> Update``.
    stop : Stop
    mapper : callable
        Shaped like the builtin `map`; see `speechgmm.parallel`.
    on_iteration : callable, optional
        Called with the iteration (from 1), its objective and the notes of its M-step.

    Raises
    ------
    InvalidInput
        If the blocks can be iterated only once, or there are none.
    """
    reiterable(blocks)
    objective: list[float] = []
    notes: list[Mapping[str, float]] = []
    for iteration in range(1, stop.max_iterations + 1):
        statistics = total(mapper(model.statistics, blocks))
        update = m_step(statistics, model)
        model = update.model
        objective.append(statistics.mean_log_likelihood)
        notes.append(update.notes)
        if on_iteration:
            on_iteration(iteration, objective[-1], update.notes)
        settled = not any("reseeded" in n for n in notes[-2:])
        if iteration > 1 and settled and abs(objective[-1] - objective[-2]) < stop.tolerance:
            return Fit(model, tuple(objective), tuple(notes), converged=True, reason="tolerance")
    return Fit(model, tuple(objective), tuple(notes), converged=False, reason="max_iterations")


def reiterable(blocks: Iterable[Any]) -> None:
    """Refuse what can be iterated only once: EM and sampling pass over the data again and again."""
    if iter(blocks) is blocks:
        refuse(
            "blocks",
            "be iterable again and again",
            f"a one-shot {type(blocks).__name__}",
            "Pass a list of arrays, or an object whose __iter__ starts anew (speechgmm.mixture.ArrayBlocks).",
        )


def total(parts: Iterable[Any]) -> Any:
    """Return the sum of statistics in their own order."""
    rest = iter(parts)
    for first in rest:
        return functools.reduce(operator.add, rest, first)
    return refuse("blocks", "hold at least one block of frames", "none")

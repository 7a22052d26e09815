"""The one EM driver. It knows nothing of Gaussians.

It asks of a model only `.statistics(block)`, of statistics only `+` and `.mean_log_likelihood`, and of the M-step a
new model with notes of what else it did. What a model is asked can be replaced (`e_step`), and so can the rule by
which the iterations end (`StopRule`). A guess at where the iterations are going (`accelerate`) is taken if it is
better. Blocks are summed in their own order, whatever order they are finished in.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from speechgmm.checks import hold, instance, integer, number, number_of, refuse, sequence_of
from speechgmm.looks import Axis, Look, Shown, sketch
from speechgmm.mixture.blocks import WeightedBlock, reiterable
from speechgmm.parallel import Threads, sum_over

M = TypeVar("M")
Notes = Mapping[str, float]
"""What a step did besides maximizing, e.g. ``{"floored": 3}``, ``{"reseeded": 1}``; "listed" marks a bound.

"jumped" marks an iteration at a model that was guessed, "rejected" one at a guess that was worse.
"""


@dataclass(frozen=True)
class Update(Shown, Generic[M]):
    """What an M-step made: the new `model`, and `notes` that count what else happened ("floored", "reseeded").

    Where components were reseeded, `source` (K,) says from which one each has grown.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal, Stop, fit, maximize
    >>> def means_alone(statistics, model):
    ...     return maximize(statistics, model, update="m")
    >>> start = GMM([0.9, 0.1], [[-1.0], [1.0]], Diagonal([[1.0], [1.0]]))
    >>> fit(start, [np.array([[-8.0], [8.0]])], means_alone, stop=Stop(max_iterations=5)).model.weights.tolist()
    [0.9, 0.1]
    """

    model: M
    notes: Notes = field(default_factory=dict)
    source: Any = None


class StopRule(Protocol):
    """When EM ends: after `max_iterations` (0: the start is the result), or once it has settled."""

    @property
    def max_iterations(self) -> int:
        """The most iterations."""

    def settled(self, objective: Sequence[float], notes: Sequence[Notes]) -> bool:
        """Whether the last of these iterations is the end: their objectives, in nats per frame, and notes."""


@dataclass(frozen=True)
class Stop:
    """When to stop: a change of the objective below `tolerance` (nats per frame), or `max_iterations`.

    The default of 1e-3 nats is far below what moves an error rate. A step that reseeded is never taken as the end.
    Where the objective of some iterations is only a bound, which the note "listed" says, the others are compared, and
    their change is divided by the iterations between them.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import fit_gmm
    >>> x = np.random.default_rng(0).normal([[0.0], [3.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> result = fit_gmm(x, 2, stop=Stop(tolerance=1e-12, max_iterations=3))
    >>> result.converged, len(result.objective)
    (False, 3)
    """

    tolerance: float = 1e-3
    max_iterations: int = 100

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.tolerance, "tolerance", minimum=0.0, unit=" nats")
        integer(self.max_iterations, "max_iterations", minimum=1)

    def settled(self, objective: Sequence[float], notes: Sequence[Notes]) -> bool:
        """Whether the objective has changed by less than the tolerance."""
        exact = [i for i, note in enumerate(notes) if "listed" not in note][-2:]
        if len(exact) < 2 or exact[1] < len(notes) - 1 or any("reseeded" in note for note in notes[exact[0] :]):
            return False
        return abs(objective[exact[1]] - objective[exact[0]]) / (exact[1] - exact[0]) < self.tolerance


@dataclass(frozen=True)
class Fit(Shown, Generic[M]):
    """The result of EM, or what it has come to so far, from which `fit` goes on.

    Parameters
    ----------
    model : the model after the last M-step, or the start where there was none
    objective : tuple of float
        Log-likelihood in nats per frame of the start and of the model after each step but the last. Where a guess was
        worse, that of the best model before it.
    notes : tuple of mapping
        What the step after each of these did besides maximizing, e.g. ``{"floored": 3}`` or ``{"reseeded": 1}``.
    converged : bool
    """

    model: M
    objective: tuple[float, ...]
    notes: tuple[Notes, ...]
    converged: bool

    def __post_init__(self) -> None:
        """Check that iterations are told whole: files hold such values."""
        sequence_of(self.objective, "the objective", float)
        sequence_of(self.notes, "the notes", Mapping)
        instance(self.converged, "converged", bool)
        for count in (count for note in self.notes for count in note.values()):
            number(count, "what a step has counted")
        if len(self.notes) != len(self.objective):
            refuse("the notes", f"be of {len(self.objective)} iterations, as the objective is", len(self.notes))
        hold(self, objective=tuple(map(float, self.objective)))  # NumPy's numbers would be stored as arrays

    def _look(self) -> Look:
        words = [repr(self.model), number_of(len(self.objective), "iteration")]
        if not self.objective:
            return Look(tuple(words))
        words += [f"{self.objective[-1]:.3f} nats per frame", "converged" if self.converged else "not converged"]
        tables = self.model._look().tables if isinstance(self.model, Shown) else ()
        return Look(tuple(words), tables=tables, picture=self._trace if len(self.objective) > 1 else None)

    def _trace(self) -> str:
        """Return a picture of the objective at each iteration."""
        steps, low, high = len(self.objective), min(self.objective), max(self.objective)
        x = Axis("iteration", 1, steps, {"1": 1, str(steps): steps})
        y = Axis("nats per frame", low, high, {f"{v:.4g}": v for v in (low, high)})
        return sketch(enumerate(self.objective, 1), x, y, "the objective at each iteration")

    @property
    def reason(self) -> str:
        """Why it ended: "tolerance" or "max_iterations"."""
        return "tolerance" if self.converged else "max_iterations"


def statistics_of(model: Any, block: Any) -> Any:
    """Return the statistics of a block under a model: the E-step, with the weights that the block may carry."""
    if isinstance(block, WeightedBlock):
        return model.statistics(block.frames, sample_weight=block.weights)
    return model.statistics(block)


def expectation(
    model: Any,
    blocks: Iterable[Any],
    *,
    e_step: Callable[[Any, Any], Any] = statistics_of,
    n_threads: Threads = None,
) -> Any:
    """Return the sum of the statistics of all blocks: one E-step; arguments are those of `fit`."""
    return sum_over(functools.partial(e_step, model), blocks, n_threads)


def fit(
    model: M | Fit[M],
    blocks: Iterable[Any],
    m_step: Callable[[Any, M], Update[M]],
    *,
    stop: StopRule = Stop(),
    e_step: Callable[[M, Any], Any] = statistics_of,
    accelerate: Callable[[M, M], M] | None = None,
    on_fit: Callable[[Fit[M]], None] | None = None,
    n_threads: Threads = None,
    on_iteration: Callable[[int, float, Notes], None] | None = None,
) -> Fit[M]:
    """Run expectation-maximization (Dempster, Laird and Rubin 1977).

    Parameters
    ----------
    model : the start, or a `Fit` to go on from
        What was handed to `on_fit` ends in the same bits as EM that was never interrupted.
    blocks : iterable of blocks
        Iterated once in each iteration: a list, or any object whose ``iter()`` starts anew.
    m_step : callable
        ``m_step(statistics, model) -> Update``.
    stop : StopRule
    e_step : callable
        ``e_step(model, block)`` gives statistics: values with `+` and `mean_log_likelihood`, the objective. Default:
        ``model.statistics(block)``, with the weights of a `WeightedBlock`.
    accelerate : callable, optional
        ``accelerate(before, model)`` guesses from two models, the second made by a step, where they are going. The
        guess is asked next, and taken if its objective is at least the one before; otherwise EM goes on from `model`,
        at the price of an iteration. So the objective never falls where it is what the M-step raises: without a prior.
        After such an iteration, after one that has reseeded, and where a guess seems settled, nothing is guessed: only
        a step of EM from `model` itself tells. Default: plain EM, which alone can go on from a `Fit`.
    on_fit : callable, optional
        Called after each iteration with what there is so far.
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. Dask workers keep the blocks.
    on_iteration : callable, optional
        Called with the iteration (from 1), its objective and the notes of its M-step.

    Raises
    ------
    InvalidInput
        If the blocks can be iterated only once, or there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal, fit, maximize
    >>> start = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [1.0]]))
    >>> result = fit(start, [np.array([[-8.0], [-6.0]]), np.array([[6.0], [8.0]])], maximize)
    >>> result.converged, result.model.means.round(3).ravel().tolist()
    (True, [-7.0, 7.0])
    """
    blocks = reiterable(blocks)
    if accelerate and (isinstance(model, Fit) or on_fit):
        refuse("accelerated EM", "be run in one go, for its guesses rest on two models", "a fit, or on_fit")
    so_far = model if isinstance(model, Fit) else Fit(model, (), (), converged=False)
    model, converged = so_far.model, so_far.converged
    objective, notes = list(so_far.objective), list(so_far.notes)
    asked = model
    while not converged and len(objective) < stop.max_iterations:
        guessed = asked is not model
        statistics = expectation(asked, blocks, e_step=e_step, n_threads=n_threads)
        reached, before = statistics.mean_log_likelihood, model
        if guessed and not reached >= objective[-1]:
            reached, note = objective[-1], dict[str, float](rejected=1)
        else:
            update = m_step(statistics, asked)
            model, note = update.model, {**update.notes} | ({"jumped": 1} if guessed else {})
        objective, notes = [*objective, reached], [*notes, note]
        if on_iteration:
            on_iteration(len(objective), reached, note)
        settled = stop.settled(objective, notes)
        converged = settled and not guessed
        anew = settled or {"rejected", "reseeded"} & note.keys()
        asked = accelerate(before, model) if accelerate and not anew else model
        if on_fit:
            on_fit(Fit(model, tuple(objective), tuple(notes), converged))
    return Fit(model, tuple(objective), tuple(notes), converged)

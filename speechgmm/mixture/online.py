"""Stepwise EM: learning from one batch after the other, with forgetting.

O. Cappe and E. Moulines, "On-line expectation-maximization algorithm for latent data models", Journal of the Royal
Statistical Society B 71 (2009), eq. 10 and 11: the statistics of a frame are a running mean, and each M-step is that of
the mean. P. Liang and D. Klein, "Online EM for unsupervised models" (2009), for batches and the steps.
Symbols: N frames, K components, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from speechgmm.checks import integer, number, refuse
from speechgmm.mixture.maximize import Floor, check_against, maximize
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics

__all__ = ["Online", "blend", "stepwise"]

EXPONENT = 0.7
"""Steps of (t + 2)**-0.7: between 0.5, which forgets fastest, and 1, which weighs all batches the same."""


@dataclass(frozen=True, eq=False)
class Online:
    """The state of stepwise EM: a value that can be stored and taken up again.

    Parameters
    ----------
    model : GMM
    statistics : Statistics, optional
        The running mean, of one frame. Default: what the model itself expects of a frame, so that it stays as it is
        until data say otherwise.
    updates : int
        How many batches it has seen.
    """

    model: GMM
    statistics: Statistics | None = None
    updates: int = 0

    def __post_init__(self) -> None:
        """Check the parts, and begin from the model's own expectation."""
        integer(self.updates, "updates", minimum=0)
        if self.statistics is None:
            object.__setattr__(self, "statistics", self.model.imagined(self.model.weights))
        else:
            check_against(self.statistics, self.model, "model")

    @property
    def running(self) -> Statistics:
        """The running mean, of one frame."""
        assert self.statistics is not None
        return self.statistics


def blend(running: Statistics, new: Statistics, step: float) -> Statistics:
    """Return ``(1 - step) * running + step * new``, `new` taken as the mean of its frames (eq. 10).

    Raises
    ------
    InvalidInput
        If the step is not above 0 and at most 1, or `new` counts no frames.
    """
    number(step, "step", minimum=0.0, above=True, maximum=1.0)
    if not new.frames > 0:
        refuse("statistics", "count some frames", "none", "Leave out batches without frames.")
    return (1.0 - step) * running + (step / new.frames) * new


def stepwise(
    state: Online,
    x: ArrayLike,
    *,
    step: float | None = None,
    sample_weight: ArrayLike | None = None,
    update: str = "wmc",
    floor: Floor = Floor(),
) -> Online:
    """Return the state after one more batch of frames.

    Parameters
    ----------
    state : Online
    x : array_like, shape (N, D)
        Batches should be of about one size, for each counts the same.
    step : float, optional
        How much the batch counts, above 0 and at most 1: 1 forgets everything before and is plain EM, a constant
        step forgets at a constant rate, as tracking wants it. Default: (updates + 2)**-0.7, which converges.
    sample_weight : array_like, shape (N,), optional
    update : str
        Any of "w", "m", "c", as in `maximize`.
    floor : Floor
        Its occupancy is in frames: the memory is worth N / step of them. After reseeding the running mean begins
        anew from the model.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> state = Online(GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> stepwise(state, np.full((10, 1), 8.0), step=0.25).model.means
    array([[2.]])
    """
    taken = (state.updates + 2) ** -EXPONENT if step is None else step
    new = state.model.statistics(x, sample_weight=sample_weight)
    running = blend(state.running, new, taken)
    result = maximize((new.frames / taken) * running, state.model, update=update, floor=floor)
    restarted = "reseeded" in result.notes
    return Online(result.model, None if restarted else running, state.updates + 1)

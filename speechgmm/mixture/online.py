"""Stepwise EM: learning from one batch after the other, with forgetting.

O. Cappe and E. Moulines, "On-line expectation-maximization algorithm for latent data models", Journal of the Royal
Statistical Society B 71 (2009), eq. 10 and 11: the statistics of a frame are a running mean, and each M-step is that of
the mean. P. Liang and D. Klein, "Online EM for unsupervised models" (2009), for batches and the steps.
Symbols: N frames, K components, D dimensions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike

from speechgmm.checks import hold, instance, integer, number, refuse
from speechgmm.looks import Shown
from speechgmm.mixture.blocks import WeightedBlock, as_blocks, reiterable
from speechgmm.mixture.em import Update, expectation, statistics_of
from speechgmm.mixture.maximize import check_against, maximize
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import BlockRange, Progress, Threads

EXPONENT = 0.7
"""Steps of (t + 2)**-0.7: between 0.5, which forgets fastest, and 1, which weighs all batches the same."""
_UPDATES, _FRAMES_EACH, _EXPONENT = 256, 50, 0.6
"""Before EM each pass makes so many updates at most, each of at least so many frames for each component; what was first
is forgotten faster, for EM goes on from the end."""


@dataclass(frozen=True, eq=False)
class StepwiseState(Shown):
    """The state of stepwise EM: a value that can be stored and taken up again.

    Parameters
    ----------
    model : GMM
    running : Statistics
        The running mean, of one frame.
    updates : int
        How many batches it has seen.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal, stepwise
    >>> state = StepwiseState.of(GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> for batch in np.full((3, 20, 1), 8.0):
    ...     state = stepwise(state, batch)
    >>> state.updates
    3
    """

    FORMER_NAMES: ClassVar = ("Online",)
    FORMER_FIELDS: ClassVar = {"statistics": "running"}

    model: GMM
    running: Statistics
    updates: int = 0

    def __post_init__(self) -> None:
        """Check the parts."""
        instance(self.model, "the model", GMM)
        instance(self.running, "the running mean", Statistics)
        hold(self, updates=integer(self.updates, "updates", minimum=0, maximum=2**53))
        check_against(self.running, self.model, "model")

    @classmethod
    def of(cls, model: GMM, updates: int = 0) -> Self:
        """Return the state in which the mean is what the model itself expects: it stays until data say otherwise."""
        return cls(model, model.imagined(model.weights), updates)


def stepwise(
    state: StepwiseState,
    blocks: ArrayLike | Iterable[Any],
    *,
    step: float | None = None,
    m_step: Callable[[Statistics, GMM], Update[GMM]] = maximize,
    e_step: Callable[[GMM, Any], Statistics] = statistics_of,
    n_threads: Threads = None,
) -> StepwiseState:
    """Return the state after one more batch of frames.

    Parameters
    ----------
    state : StepwiseState
    blocks : array_like (N, D), or re-iterable blocks of these, with weights or without
        The batch. Batches should be of about one size, for each counts the same.
    step : float, optional
        How much the batch counts, above 0 and at most 1: 1 forgets everything before and is plain EM, a constant
        step forgets at a constant rate, as tracking wants it. Default: (updates + 2)**-0.7, which converges.
    m_step, e_step, n_threads
        As in `fit`. The occupancy of floors is in frames: the memory is worth N / step of them. After reseeding the
        running mean begins anew from the model.

    Raises
    ------
    InvalidInput
        If the step is not above 0 and at most 1, or the batch counts no frames.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal, StepwiseState
    >>> state = StepwiseState.of(GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> stepwise(state, np.full((10, 1), 8.0), step=0.25).model.means
    array([[2.]])
    """
    share = (state.updates + 2) ** -EXPONENT if step is None else step
    number(share, "step", minimum=0.0, above=True, maximum=1.0)
    new: Statistics = expectation(state.model, as_blocks(blocks), e_step=e_step, n_threads=n_threads)
    if not new.frames > 0:
        refuse("statistics", "count some frames", "none", "Leave out batches without frames.")
    running = (1.0 - share) * state.running + (share / new.frames) * new  # eq. 10
    update = m_step((new.frames / share) * running, state.model)
    if "reseeded" in update.notes:
        return StepwiseState.of(update.model, state.updates + 1)
    return StepwiseState(update.model, running, state.updates + 1)


def stepwise_passes(
    start: GMM,
    blocks: Iterable[Any],
    n_passes: int = 1,
    *,
    m_step: Callable[[Statistics, GMM], Update[GMM]] = maximize,
    e_step: Callable[[GMM, Any], Statistics] = statistics_of,
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> GMM:
    """Return a better start for EM on many frames, after some passes of stepwise EM over all of them.

    A pass makes up to 256 updates, each from the next blocks with at least 50 frames for each component, so that the
    first pass is worth several iterations of EM (`recipes/benchmarks/large_corpus.py passes`). Blocks are taken in
    their order: one in which neighbors are alike, such as the speakers of a corpus one after the other, costs a part of
    the gain.

    Parameters
    ----------
    start : GMM
        From `initialize`; what is returned is to be the ``init`` of `fit_gmm`.
    blocks : re-iterable blocks of frames, with weights or without
    n_passes : int
    m_step, e_step, n_threads
        As in `fit`.
    on_progress : callable, optional
        Called with "stepwise EM", how many updates are done, and how many there will be.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import ArrayBlocks, fit_gmm, initialize
    >>> x = np.random.default_rng(0).normal([[-10.0], [10.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> start = stepwise_passes(initialize(x, 2), ArrayBlocks(x, size=100))
    >>> fit_gmm(x, 2, init=start).converged
    True
    """
    every = reiterable(blocks)
    integer(n_passes, "n_passes", minimum=1)
    lengths = list(map(_length, every))
    if not (n := sum(lengths)):
        refuse("blocks", "hold at least one frame", "none")
    updates = min(max(1, n // (_FRAMES_EACH * start.n_components)), _UPDATES)
    batches = [BlockRange(every, numbers) for numbers in _batches(lengths, n / updates)]
    state = StepwiseState.of(start)
    for batch in batches * n_passes:
        step = (state.updates + 2) ** -_EXPONENT
        state = stepwise(state, batch, step=step, m_step=m_step, e_step=e_step, n_threads=n_threads)
        if on_progress:
            on_progress("stepwise EM", state.updates, len(batches) * n_passes)
    return state.model


def _batches(lengths: Sequence[int], size: float) -> Iterator[range]:
    """Yield numbers of blocks in a row, in groups that end where, of all frames, another `size` is full."""
    start, frames, full = 0, 0, size
    for i, length in enumerate(lengths, 1):
        frames += length
        if i == len(lengths) or frames >= full - 1e-6:
            yield range(start, i)
            start, full = i, (frames // size + 1) * size


def _length(block: Any) -> int:
    """Return how many frames a block has."""
    return len(block.frames if isinstance(block, WeightedBlock) else block)

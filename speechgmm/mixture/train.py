"""From frames to a trained mixture in one call: initialize, then EM. Symbols: N frames, K components, D dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import refuse
from speechgmm.mixture.blocks import as_blocks
from speechgmm.mixture.em import Fit, Stop, fit
from speechgmm.mixture.initialize import initialize
from speechgmm.mixture.maximize import Floor, maximize
from speechgmm.mixture.model import GMM
from speechgmm.parallel import threads

__all__ = ["fit_gmm"]


def fit_gmm(
    blocks: ArrayLike | Iterable[ArrayLike],
    n_components: int,
    *,
    init: str | GMM = "kmeans",
    covariance: str = "diag",
    seed: int | np.random.Generator = 0,
    stop: Stop = Stop(),  # noqa: B008  (a frozen value)
    floor: Floor = Floor(),  # noqa: B008  (a frozen value)
    n_threads: int | None = None,
    on_iteration: Callable[[int, float, Mapping[str, int]], None] | None = None,
) -> Fit[GMM]:
    """Train a mixture of `n_components` on frames.

    Parameters
    ----------
    blocks : array_like (N, D), or re-iterable blocks of these
    n_components : int
        K.
    init : str or GMM
        A method of `initialize`, or the start itself.
    covariance : str
        "diag", "spherical", "tied" or "full"; a start that is given has its own.
    seed : int or numpy.random.Generator
    stop, floor
        When EM ends, and what keeps components from collapsing.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    on_iteration : callable, optional
        Called with the iteration, the objective (nats a frame) and the notes of its M-step.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> fit_gmm(x, 2).model.means.round(0).ravel() + 0.0
    array([ 0., 10.])
    """
    data = as_blocks(blocks)
    if isinstance(init, GMM) and init.n_components != n_components:
        refuse("n_components", f"be {init.n_components}, as init has", n_components)
    if isinstance(init, GMM):
        start = init
    else:
        start = initialize(data, n_components, method=init, covariance=covariance, seed=seed, floor=floor)
    m_step = functools.partial(maximize, floor=floor)
    return fit(start, data, m_step, stop=stop, mapper=threads(n_threads), on_iteration=on_iteration)

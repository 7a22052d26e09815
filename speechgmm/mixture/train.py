"""From frames to a trained mixture in one call: initialize, then EM. Symbols: N frames, K components, D dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import integer, number, refuse
from speechgmm.mixture.blocks import as_blocks
from speechgmm.mixture.covariance import Diagonal
from speechgmm.mixture.em import Fit, Stop, fit
from speechgmm.mixture.initialize import initialize
from speechgmm.mixture.maximize import Floor, maximize
from speechgmm.mixture.model import GMM
from speechgmm.parallel import threads

__all__ = ["Selection", "fit_gmm"]


@dataclass(frozen=True)
class Selection:
    """Settings of Gaussian selection, see `fit_gmm`.

    Parameters
    ----------
    threshold : float
        A component is on a frame's list if it took more than this of it. On speech the default keeps 30 of 2048.
    refresh : int
        Every so many iterations one is exact and makes the lists anew.
    settled : float
        All iterations are exact until one changes the objective by less than this, in nats a frame: while components
        still move far, lists are out of date at once.
    """

    threshold: float = 1e-6
    refresh: int = 6
    settled: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.threshold, "threshold", minimum=0.0, maximum=0.5)
        integer(self.refresh, "refresh", minimum=1)
        number(self.settled, "settled", minimum=0.0, unit=" nats")


def fit_gmm(
    blocks: ArrayLike | Iterable[ArrayLike],
    n_components: int,
    *,
    init: str | GMM = "kmeans",
    seed: int | np.random.Generator = 0,
    stop: Stop = Stop(),  # noqa: B008  (a frozen value)
    floor: Floor = Floor(),  # noqa: B008  (a frozen value)
    selection: Selection | None = None,
    n_threads: int | None = None,
    on_iteration: Callable[[int, float, Mapping[str, float]], None] | None = None,
) -> Fit[GMM]:
    """Train a diagonal-covariance mixture of `n_components` on frames.

    Parameters
    ----------
    blocks : array_like (N, D), or re-iterable blocks of these
    n_components : int
        K.
    init : str or GMM
        A method of `initialize`, or the start itself.
    seed : int or numpy.random.Generator
    stop, floor
        When EM ends, and what keeps components from collapsing.
    selection : Selection, optional
        Gaussian selection: most iterations visit only the components that matter to a frame. It costs memory (two
        bytes a frame for each component on its list, some 60 on speech) and likelihood, which the notes of the result
        report as "selection_loss". Worth it from about 500 components. Default: every iteration is exact.
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
    start = init if isinstance(init, GMM) else initialize(data, n_components, method=init, seed=seed, floor=floor)
    m_step = functools.partial(maximize, floor=floor)
    driver: Callable[..., Fit[GMM]] = fit
    if selection is not None:
        if not isinstance(start.covariance, Diagonal):
            refuse("selection", "go with a diagonal covariance", type(start.covariance).__name__)
        from speechgmm.mixture.shortlist import fit_selected

        driver = functools.partial(fit_selected, selection=selection)
    return driver(start, data, m_step, stop=stop, mapper=threads(n_threads), on_iteration=on_iteration)

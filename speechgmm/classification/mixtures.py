"""One mixture for each class: trained alone, or adapted by MAP from a background model of all classes.

Nothing here is random: mixtures grow by binary splitting, so that the order of classes, of recordings and of frames
changes rounding and nothing else. Symbols: N frames, K components, D dimensions, C classes.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from speechgmm.checks import Array, integer, number, refuse
from speechgmm.looks import Shown
from speechgmm.mixture import GMM, Diagonal, Statistics, adapt
from speechgmm.mixture.blocks import ArrayBlocks, WeightedBlock, weighted
from speechgmm.mixture.em import Fit, Stop, Update, expectation, fit
from speechgmm.mixture.initialize import grow, unit_gaussian
from speechgmm.mixture.maximize import Floor, maximize
from speechgmm.parallel import threads, total

_GROWING = Stop(0.0, 3)
"""EM iterations between two splits: few, for the next split moves all again, and more follow the last one."""
_ROWS = 5.0
"""Frames that a component needs at least: from five a variance is known to 70 % (the square root of 2 / 4)."""


@dataclass(frozen=True, kw_only=True)
class MixtureSettings:
    """How the mixtures of classes are trained.

    Parameters
    ----------
    n_components : int
        K. A class of fewer than 5 frames for each component gets fewer; so does the background.
    relevance : float, optional
        None: each class alone. A number: each is adapted from a background model of all classes that counts for so
        many frames in each component.
    update : str
        What adapts: any of "w" (weights), "m" (means), "c" (covariances). With weights, a class can also give up
        components that it never uses.
    floor : float
        The least variance, as a share of the variance of all classes together. Variances that adapt ("c") are held to
        a thousandth of those of the background instead.
    tolerance : float
        Nats per frame, see `Stop`.
    max_iterations : int
        EM iterations after the last split, or of adaptation.

    Raises
    ------
    InvalidInput
        If a setting is out of its range.

    Examples
    --------
    >>> import dataclasses
    >>> settings = MixtureSettings(n_components=16, relevance=4.0)  # classes are adapted from a mixture of all
    >>> dataclasses.replace(settings, max_iterations=20).n_components
    16
    """

    n_components: int = 8
    relevance: float | None = None
    update: str = "wm"
    floor: float = 0.01
    tolerance: float = 1e-3
    max_iterations: int = 10

    def __post_init__(self) -> None:
        """Check everything."""
        integer(self.n_components, "n_components", minimum=1)
        if self.relevance is not None:
            number(self.relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames")
        if not isinstance(self.update, str) or not self.update or set(self.update) - set("wmc"):
            refuse("update", "be made of the letters w, m and c", repr(self.update))
        number(self.floor, "floor", minimum=0.0, maximum=1.0)
        number(self.tolerance, "tolerance", minimum=0.0, unit=" nats")
        integer(self.max_iterations, "max_iterations", minimum=1)


@dataclass(frozen=True, eq=False)
class ClassMixtures(Shown):
    """What training made: a mixture for each class, the `background` if there was one, and the most EM iterations."""

    mixtures: tuple[GMM, ...]
    background: GMM | None
    iterations: int


def train_mixtures(
    frames: Sequence[Array],
    settings: MixtureSettings,
    *,
    weights: Sequence[Array] | None = None,
    n_threads: int | None = None,
) -> ClassMixtures:
    """Train a mixture for each class.

    Parameters
    ----------
    frames : sequence of ndarray (N, D)
        The frames of each class.
    settings : MixtureSettings
    weights : sequence of ndarray (N,), optional
        How often each frame counts: above 0.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    """
    of_classes = [ArrayBlocks(x, weights=None if weights is None else weights[i]) for i, x in enumerate(frames)]
    every = [block for blocks in of_classes for block in blocks]
    floor = _least(settings, every)
    background = None
    train: Callable[[Iterable[Any]], Fit[GMM]] = functools.partial(_grown, settings, floor, n_threads=1)
    if settings.relevance is not None:
        background = _grown(settings, floor, every, n_threads=n_threads).model
        train = functools.partial(_adapted, settings, background, settings.relevance)
    fits = list(threads(n_threads)(train, of_classes))
    return ClassMixtures(tuple(f.model for f in fits), background, max(len(f.objective) for f in fits))


def train_background(frames: Sequence[Array], settings: MixtureSettings, *, n_threads: int | None = None) -> GMM:
    """Return the background of classes alone; arguments as for `train_mixtures`."""
    every = [block for x in frames for block in ArrayBlocks(x)]
    return _grown(settings, _least(settings, every), every, n_threads=n_threads).model


def class_log_densities(mixtures: Sequence[GMM], x: Array, *, n_threads: int | None = None) -> Array:
    """Return the log density of each frame of `x` (N, D) under each class, shape (N, C), in nats."""
    return np.stack(list(threads(n_threads)(lambda m: m.log_density(x), mixtures)), axis=1)


def _total(blocks: Iterable[Any]) -> float:
    """Return how many frames there are, weighted."""
    return float(sum(weighted(block).weights.sum() for block in blocks))


def _sum(block: Any) -> Array:
    """Return the sum of the frames of a block, weighted, shape (D,)."""
    if isinstance(block, WeightedBlock):
        return block.weights @ np.float64(block.frames)
    return np.float64(block).sum(axis=0)


def _least(settings: MixtureSettings, every: Iterable[Any]) -> Floor:
    """Return the floor under variances that the frames of all classes set."""
    least = np.maximum(settings.floor * _gaussian(every, Floor()).covariance.deviations()[0] ** 2, 1e-10)
    return Floor(absolute=least, relative=0.0, occupancy=1.0)


def _gaussian(blocks: Iterable[Any], floor: Floor) -> GMM:
    """Return the single Gaussian of all frames, about their mean."""
    mean = total(map(_sum, blocks)) / _total(blocks)
    start = unit_gaussian(mean, Diagonal)
    return maximize(expectation(start, blocks, n_threads=1), start, floor=replace(floor, occupancy=0.0)).model


def _grown(settings: MixtureSettings, floor: Floor, blocks: Iterable[Any], *, n_threads: int | None) -> Fit[GMM]:
    """Grow a mixture by splitting, and run EM to its end."""
    n = _total(blocks)
    k = min(settings.n_components, max(1, int(n / _ROWS)))
    stop = Stop(settings.tolerance, settings.max_iterations)
    start = _gaussian(blocks, floor)
    return grow(start, lambda _: blocks, k, between=_GROWING, stop=stop, floor=floor, n_threads=n_threads)


def _adapted(settings: MixtureSettings, background: GMM, relevance: float, blocks: Iterable[Any]) -> Fit[GMM]:
    """Adapt again and again, each time with posteriors from the model before; the prior is always the background."""

    def m_step(statistics: Statistics, _: GMM) -> Update[GMM]:
        return Update(adapt(background, statistics, relevance=relevance, update=settings.update))

    return fit(background, blocks, m_step, stop=Stop(settings.tolerance, settings.max_iterations), n_threads=1)

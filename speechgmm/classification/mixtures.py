"""One mixture a class: trained alone, or adapted by MAP from a background model of all classes.

Nothing here is random: mixtures grow by binary splitting, so that the order of classes, of recordings and of frames
changes rounding and nothing else. Symbols: N frames, K components, D dimensions, C classes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import integer, number, refuse
from speechgmm.mixture import (
    GMM,
    ArrayBlocks,
    Diagonal,
    Fit,
    Floor,
    Statistics,
    Stop,
    Update,
    adapt,
    fit,
    maximize,
    split,
)
from speechgmm.parallel import Mapper

Array = NDArray[Any]

__all__ = ["ClassMixtures", "MixtureSettings", "log_densities", "train_mixtures"]

_GROWING = 3
"""EM iterations between two splits: 2, 3 and 4 found spoken digits of unknown voices alike, within noise."""
_ROWS = 5.0
"""Frames that a component needs at least: a class of fewer gets fewer components."""


@dataclass(frozen=True, kw_only=True)
class MixtureSettings:
    """How the mixtures of classes are trained.

    Parameters
    ----------
    n_components : int
        K. A class of fewer than 5 frames a component gets fewer; so does the background.
    relevance : float, optional
        None: each class alone. A number: each is adapted from a background model of all classes that counts for so
        many frames a component.
    update : str
        What adapts: any of "w" (weights), "m" (means), "c" (covariances). With weights, a class can also give up
        components that it never uses.
    floor : float
        The least variance, as a share of the variance of all classes together. Variances that adapt ("c") are held to
        a thousandth of those of the background instead.
    tolerance : float
        Nats a frame, see `Stop`.
    max_iterations : int
        EM iterations after the last split, or of adaptation.

    Raises
    ------
    InvalidInput
        If a setting is out of its range.
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
class ClassMixtures:
    """What training made: a mixture a class, the `background` if they were adapted, and the most EM iterations."""

    mixtures: tuple[GMM, ...]
    background: GMM | None
    iterations: int


_Block = tuple[Array, Array | None]


@dataclass(frozen=True)
class _Weighing:
    """A mixture whose E-step takes blocks (frames, weights or None)."""

    model: GMM

    def statistics(self, block: _Block) -> Statistics:
        return self.model.statistics(block[0], sample_weight=block[1])


def train_mixtures(
    frames: Sequence[Array],
    settings: MixtureSettings,
    *,
    weights: Sequence[Array] | None = None,
    mapper: Mapper = map,
) -> ClassMixtures:
    """Train a mixture for each class.

    Parameters
    ----------
    frames : sequence of ndarray (N, D)
        The frames of each class.
    settings : MixtureSettings
    weights : sequence of ndarray (N,), optional
        How often each frame counts: above 0.
    mapper : callable
        Shaped like the builtin `map`: classes are shared by its workers. It changes the time and nothing else.
    """
    blocks = [_blocks(x, None if weights is None else weights[i]) for i, x in enumerate(frames)]
    every = [b for of_class in blocks for b in of_class]
    pooled = _gaussian(every, Floor())
    least = np.maximum(settings.floor * pooled.covariance.deviations()[0] ** 2, 1e-10)
    floor = Floor(absolute=least, relative=0.0, occupancy=1.0)
    if settings.relevance is None:
        fits = list(mapper(functools.partial(_grow, settings=settings, floor=floor), blocks))
        background = None
    else:
        background = _grow(every, settings=settings, floor=floor, mapper=mapper).model.model
        fits = list(mapper(functools.partial(_adapt, background, settings), blocks))
    return ClassMixtures(tuple(f.model.model for f in fits), background, max(len(f.objective) for f in fits))


def log_densities(mixtures: Sequence[GMM], x: Array, *, mapper: Mapper = map) -> Array:
    """Return the log density of each frame under each class, shape (N, C), in nats."""
    return np.stack(list(mapper(lambda m: m.log_density(x), mixtures)), axis=1)


def _blocks(x: Array, weights: Array | None) -> list[_Block]:
    if weights is None:
        return [(b, None) for b in ArrayBlocks(x)]
    return list(zip(ArrayBlocks(x), ArrayBlocks(weights), strict=True))


def _total(blocks: list[_Block]) -> float:
    """Return how many frames there are, weighted."""
    return float(sum(len(x) if w is None else w.sum() for x, w in blocks))


def _gaussian(blocks: list[_Block], floor: Floor) -> GMM:
    """Return the single Gaussian of all frames, about their mean."""
    ones = np.ones(blocks[0][0].shape[1])
    sums = (np.float64(x).sum(axis=0) if w is None else w @ np.float64(x) for x, w in blocks)
    mean = sum(sums, 0 * ones) / _total(blocks)
    start = _Weighing(GMM(np.ones(1), mean[None], Diagonal(ones[None]), mean))
    statistics = functools.reduce(operator.add, map(start.statistics, blocks))
    return maximize(statistics, start.model, floor=replace(floor, occupancy=0.0)).model


def _grow(blocks: list[_Block], *, settings: MixtureSettings, floor: Floor, mapper: Mapper = map) -> Fit[_Weighing]:
    """Split the heaviest components in two until there are K, with EM between, and then run EM to its end."""

    def m_step(statistics: Statistics, scaled: _Weighing) -> Update[_Weighing]:
        update = maximize(statistics, scaled.model, floor=floor)
        return Update(_Weighing(update.model), update.notes)

    total = _total(blocks)
    k = min(settings.n_components, max(1, int(total / _ROWS)))
    floor = replace(floor, occupancy=min(floor.occupancy, 0.5 * total / k))  # weights may sum to less than a frame
    model = _gaussian(blocks, floor)
    while model.n_components < k:
        model = split(model, min(model.n_components, k - model.n_components))
        if model.n_components < k:
            model = fit(_Weighing(model), blocks, m_step, stop=Stop(0.0, _GROWING), mapper=mapper).model.model
    stop = Stop(settings.tolerance, settings.max_iterations)
    return fit(_Weighing(model), blocks, m_step, stop=stop, mapper=mapper)


def _adapt(background: GMM, settings: MixtureSettings, blocks: list[_Block]) -> Fit[_Weighing]:
    """Adapt again and again, each time with posteriors from the model before; the prior is always the background."""
    relevance = 0.0 if settings.relevance is None else settings.relevance

    def m_step(statistics: Statistics, _: _Weighing) -> Update[_Weighing]:
        return Update(_Weighing(adapt(background, statistics, relevance=relevance, update=settings.update)))

    return fit(_Weighing(background), blocks, m_step, stop=Stop(settings.tolerance, settings.max_iterations))

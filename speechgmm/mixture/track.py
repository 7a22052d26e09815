"""Tracking: a mixture that follows moving objects from one video frame to the next, one component an object.

Each frame brings points, such as the pixels of the foreground. The statistics of the past, moved on with each
object's velocity, fade: S = (1 - step) * S + step * new (Cappé and Moulines 2009, eq. 10, with a constant step), and
an M-step makes the mixture of the frame. Velocities follow by an alpha-beta filter (Benedict and Bordner 1962).
Points that belong to no object go to a uniform background, so that specks of noise pull nobody.
Symbols: n points, K objects, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import finite, integer, matrix, number, numeric, refuse
from speechgmm.mixture.covariance import Covariance, log_sum
from speechgmm.mixture.groups import find_groups, pair
from speechgmm.mixture.model import GMM
from speechgmm.mixture.moments import imagined
from speechgmm.parallel import one_thread

Array = NDArray[Any]

__all__ = ["Points", "Tracked", "track"]

SEEN = 0.2
"""An object of which less than this share of its usual points is there is hidden: it moves on and learns nothing."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one video frame with weights, such as pixels with their intensities.

    Parameters
    ----------
    positions : array_like, shape (n, D)
        n may be 0.
    weights : array_like, shape (n,)
        At least 0: a point of weight 2 counts as two points.
    """

    positions: Array
    weights: Array

    def __post_init__(self) -> None:
        """Check both."""
        positions = matrix(self.positions, "positions", minimum=0).astype(np.float64)
        weights = finite(numeric(self.weights, "the weights of points"), "the weights of points").astype(np.float64)
        if weights.shape != positions.shape[:1]:
            refuse("the weights of points", f"have shape ({len(positions)},), as the positions say", weights.shape)
        if weights.min(initial=0.0) < 0:
            refuse("the weights of points", "be at least 0", f"{weights.min():g}")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "weights", weights)


@dataclass(frozen=True, eq=False)
class Tracked:
    """What is known after one video frame.

    Parameters
    ----------
    mixture : GMM or None
        A component an object; None where there is none.
    identities : ndarray, shape (K,)
        A number for each component, the same as long as the object lives, and never used again.
    visible : ndarray of bool, shape (K,)
        False for objects that are hidden in this frame: their components are where they are expected.
    velocities : ndarray, shape (K, D)
        In units a frame.
    births, deaths : tuple of int
        The identities that came and went with this frame.
    noise : float
        The share of this frame's points that belongs to no object.
    """

    mixture: GMM | None
    identities: Array
    visible: Array
    velocities: Array
    births: tuple[int, ...]
    deaths: tuple[int, ...]
    noise: float


@dataclass(frozen=True)
class _Settings:
    step: float
    iterations: int
    patience: int
    least: float
    reach: float
    births: bool


@dataclass(frozen=True, eq=False)
class _State:
    """The objects: K rows each, but for `pool`, whose first component is what a new object looks like."""

    pool: Covariance
    means: Array
    counts: Array
    velocities: Array
    ages: Array
    missed: Array
    identities: Array
    noise: float
    low: Array
    high: Array
    groups: Array
    born: int = 0
    fixed: bool = False
    scaled: bool = False
    scale: Array = field(default=None)  # type: ignore[assignment]

    def take(self, indices: Array) -> _State:
        rows = {name: getattr(self, name)[indices] for name in ROWS}
        return replace(self, pool=self.pool.take(np.concatenate([[0], indices + 1])), **rows)


ROWS = ("means", "counts", "velocities", "ages", "missed", "identities")


def track(
    model: GMM | Covariance,
    frames: Iterable[ArrayLike | Points],
    *,
    step: float = 0.5,
    iterations: int = 2,
    patience: int = 15,
    births: bool = True,
    least: float = 10.0,
    reach: float = 4.0,
    noise: float = 0.05,
    region: ArrayLike | None = None,
) -> Iterator[Tracked]:
    """Follow moving objects."""
    settings = _Settings(step, iterations, patience, least, reach, births)
    state = _start(model, noise, region)
    return _run(state, frames, settings)


def _run(state: _State, frames, settings) -> Iterator[Tracked]:
    for points in frames:
        x = points if isinstance(points, Points) else Points(points, np.ones(len(points)))
        state, result = _advance(state, x, settings)
        yield result


def _start(model, noise, region) -> _State:
    if isinstance(model, GMM):
        size = np.prod(model.covariance.deviations(), axis=1)
        middle = int(np.argsort(size, kind="stable")[len(size) // 2])
        k, d = model.means.shape
        pool = model.covariance.take(np.concatenate([[middle], np.arange(k)]))
        means, counts = model.means, model.weights
    else:
        d = model.deviations().shape[1]
        k, pool, means, counts = 0, model, np.zeros((0, d)), np.zeros(0)
    low, high = (np.full(d, np.inf), np.full(d, -np.inf)) if region is None else np.asarray(region, float)
    return _State(
        pool, means, counts, np.zeros((k, d)), np.zeros(k, int), np.zeros(k, int), np.arange(k),
        noise / (1 - noise), low, high, np.zeros((0, d)), k, region is not None, False, pool.deviations()[0],
    )


@one_thread
def _advance(state: _State, x: Points, settings: _Settings) -> tuple[_State, Tracked]:
    total = float(x.weights.sum())
    if not state.scaled and total > 0:
        f = total / (1 + state.noise)
        state = replace(state, counts=state.counts * f, noise=state.noise * f, scaled=True)
    if not state.fixed and len(x.positions):
        state = replace(state, low=np.minimum(state.low, x.positions.min(0)), high=np.maximum(state.high, x.positions.max(0)))
    expected = replace(state, means=state.means + state.velocities)
    origin = expected.means.mean(axis=0) if len(expected.means) else x.positions.mean(axis=0) if len(x.positions) else state.low
    y = x.positions - origin
    expected = replace(expected, means=expected.means - origin)
    now, posteriors = expected, np.zeros((len(y), len(state.means)))
    steps = np.maximum(settings.step, 1 / (state.ages + 2))
    for _ in range(settings.iterations):
        posteriors = _posteriors(now, y, x.weights)
        now, steps_used = _blend(expected, y, posteriors, steps)
    free = x.weights - posteriors.sum(axis=1)
    leftover = np.flatnonzero(free > 0.5 * x.weights)
    groups = [leftover[g] for g in find_groups(y[leftover], x.weights[leftover], state.scale, settings.least)]
    # missed
    seen = (posteriors.sum(axis=0) >= SEEN * expected.counts) & (state.missed == 0)
    posteriors[:, ~seen] = 0
    hidden = np.flatnonzero(~seen)
    middles = np.array([x.weights[g] @ y[g] / x.weights[g].sum() for g in groups]).reshape(-1, y.shape[1])
    used = set()
    revived = np.zeros(len(seen), bool)
    limits = settings.reach + 0.5 * state.missed[hidden]
    for i, j in pair(expected.means[hidden] / state.scale, middles / state.scale, limits):
        k = hidden[i]
        posteriors[:, k] = 0
        posteriors[groups[j], k] = x.weights[groups[j]]
        used.add(j)
        revived[k] = True
    seen = seen | revived
    steps = np.where(revived, np.maximum(steps, (state.missed + 1) / (state.missed + 2)), steps)
    now, used_steps = _blend(expected, y, posteriors, steps, floor=revived)
    # velocities
    a = np.where(seen, used_steps * posteriors.sum(0) / np.maximum(now.counts, 1e-300), 0.0)
    young = 6 / ((state.ages + 1) * (state.ages + 2)) * a
    beta = np.maximum(a**2 / (2 - a), np.where(state.ages > 0, young, 0))
    beta = np.where(state.ages == 0, 0, beta)
    beta = np.where(revived, a / (state.missed + 1), beta)
    moved = np.where(a > 0, beta / np.maximum(a, 1e-300), 0)[:, None] * (now.means - expected.means)
    free_mass = free.sum() - sum(x.weights[g].sum() for g in groups)
    nz = max((1 - settings.step) * state.noise + settings.step * free_mass, 1e-3 * max(now.counts.sum(), 1))
    now = replace(now, means=now.means + origin, velocities=state.velocities + moved, noise=nz,
        ages=state.ages + seen, missed=np.where(seen, 0, state.missed + 1))
    # births
    rest = np.array([j for j in range(len(groups)) if j not in used], int)
    middles = middles[rest] + origin
    pairs = pair(state.groups / state.scale, middles / state.scale, np.full(len(state.groups), settings.reach)) if settings.births else []
    alive = np.flatnonzero(now.missed <= settings.patience)
    deaths = tuple(int(i) for i in np.setdiff1d(now.identities, now.identities[alive]))
    now = now.take(alive)
    n = len(pairs)
    old = np.array([i for i, _ in pairs], int); new = np.array([j for _, j in pairs], int)
    masses = np.array([x.weights[groups[rest[j]]].sum() for j in new])
    ids = np.arange(now.born, now.born + n)
    now = replace(now, pool=now.pool.take(np.concatenate([np.arange(len(alive) + 1), np.zeros(n, int)])),
        means=np.concatenate([now.means, middles[new]]), counts=np.concatenate([now.counts, masses]),
        velocities=np.concatenate([now.velocities, middles[new] - state.groups[old]]),
        ages=np.concatenate([now.ages, np.full(n, 2)]), missed=np.concatenate([now.missed, np.zeros(n, int)]),
        identities=np.concatenate([now.identities, ids]), born=now.born + n,
        groups=np.delete(middles, new, axis=0))
    k = len(now.means)
    mixture = GMM(now.counts / now.counts.sum(), now.means, now.pool.take(np.arange(1, k + 1))) if k else None
    return now, Tracked(mixture, now.identities, now.missed == 0, now.velocities, tuple(ids.tolist()), deaths, float(free.sum() / total) if total else 0.0)


def _posteriors(state: _State, y: Array, weights: Array) -> Array:
    """weighted posteriors (n, K); hidden ones 0."""
    result = np.zeros((len(y), len(state.means)))
    visible = np.flatnonzero(state.missed == 0)
    if not len(visible) or not len(y):
        return result
    counts = state.counts[visible]
    total = counts.sum() + state.noise
    sides = np.maximum(state.high - state.low, 4 * state.scale)
    joint = np.empty((len(y), len(visible) + 1))
    joint[:, :-1] = state.pool.take(visible + 1).log_components(y, state.means[visible]) + np.log(counts / total)
    joint[:, -1] = np.log(state.noise / total) - np.log(sides).sum()
    result[:, visible] = log_sum(joint)[1][:, :-1] * weights[:, None]
    return result


def _blend(expected: _State, y: Array, posteriors: Array, steps: Array, floor=None) -> tuple[_State, Array]:
    counts = posteriors.sum(axis=0)
    certain = (posteriors**2).sum(axis=0) / np.maximum(counts, 1e-300)
    g = np.where(counts > 0, steps * certain, 0)
    old = (1 - g) * expected.counts
    total = old + g * counts
    first = old[:, None] * expected.means + g[:, None] * (posteriors.T @ y)
    means = first / total[:, None]
    zero = np.zeros((1, y.shape[1]))
    o_old, o_new = np.concatenate([zero, expected.means]), np.concatenate([zero, means])
    n = np.concatenate([[0], total])
    second = imagined(expected.pool, o_old, np.concatenate([[0], old]))
    if len(y):
        second = second + expected.pool.second_moments(y, np.concatenate([np.zeros((len(y), 1)), posteriors * g], axis=1))
    values = expected.pool.estimate(second, np.concatenate([zero, first]), np.concatenate([[1], total]), o_new)
    pool, _ = expected.pool.replaced(values, n == 0, 0.01 * expected.scale**2)
    return replace(expected, means=means, counts=total, pool=pool), g

"""Tracking: a mixture that follows moving objects from one video frame to the next, one component an object.

Each frame brings points, such as the pixels of the foreground. The statistics of the past, moved on with each
object's velocity, fade: S = (1 - step) * S + step * new (Cappé and Moulines 2009, eq. 10, with a constant step), and
an M-step makes the mixture of the frame. Velocities follow by an alpha-beta filter: of what is left between the
expected and the seen mean, the mean takes the share alpha, the velocity beta = alpha**2 / (2 - alpha) (T. R. Benedict
and G. W. Bordner 1962). While an object is young beta is larger, alpha * 6 / ((n + 1) (n + 2)) after n frames: the
velocity gain of the growing-memory filter (E. Brookner 1998), but of the part that alpha lets through. Points that
belong to no object go to a uniform background, so that specks of noise pull nobody; where they gather in two frames
running, an object is born.
Symbols: n points, K objects, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import finite, integer, matrix, number, numeric, refuse
from speechgmm.mixture.covariance import Covariance
from speechgmm.mixture.model import GMM
from speechgmm.parallel import one_thread
from speechgmm.tracking.births import find_groups, pair
from speechgmm.tracking.objects import Background, Objects, explain, learn, objects_of

Array = NDArray[Any]

__all__ = ["Points", "Tracked", "track"]

SEEN = 0.2
"""An object of which less than this share of its usual points is there is hidden: it moves on and learns nothing.

The usual points are at least `least`."""
SLACK = 0.5
"""How much farther a hidden object is looked for with each frame, in deviations."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one video frame with weights, such as pixels with their intensities.

    Parameters
    ----------
    positions : array_like, shape (n, D)
        n may be 0.
    weights : array_like, shape (n,), optional
        At least 0: a point of weight 2 counts as two points. Default: 1 each.
    """

    positions: Array
    weights: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Check both, and hold them as float64."""
        positions = matrix(self.positions, "positions", minimum=0).astype(np.float64)
        given = np.ones(len(positions)) if self.weights is None else numeric(self.weights, "the weights of points")
        weights = finite(given, "the weights of points").astype(np.float64)
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
    identities : ndarray of int, shape (K,)
        A number for each component: the same as long as the object lives, and never used again.
    visible : ndarray of bool, shape (K,)
        False for objects that are hidden in this frame: their components are where they are expected.
    velocities : ndarray, shape (K, D)
        In units a frame.
    births, deaths : tuple of int
        The identities that came and went with this frame.
    noise : float
        The share of this frame's points that belongs to no object that was known.
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
    births: bool
    least: float
    reach: float
    noise: float
    fixed: bool


@dataclass(frozen=True, eq=False)
class _State:
    """The objects and their background; middles (m, D) of groups that may become objects; the next identity."""

    objects: Objects
    background: Background
    middles: Array
    next: int
    started: bool = False


def track(
    model: GMM | Covariance,
    frames: Iterable[ArrayLike | Points],
    *,
    step: float = 0.5,
    iterations: int = 1,
    patience: int = 15,
    births: bool = True,
    least: float = 10.0,
    reach: float = 4.0,
    noise: float = 0.05,
    region: ArrayLike | None = None,
) -> Iterator[Tracked]:
    """Follow objects through video frames, one component each, and yield one mixture a frame.

    Parameters
    ----------
    model : GMM or Covariance
        The objects at the first frame; their identities are 0 to K - 1, and their typical shape is that of objects
        born later. Or only that shape, such as ``Diagonal([[25.0, 25.0]])``: then every object is born on the way.
        A tied covariance is one shape for all.
    frames : iterable of array_like (n, D) or Points
        Read one by one, so that it may be a stream; n may be 0 in any of them.
    step : float
        The share of the new frame in the statistics, above 0 and at most 1. 0.5 follows turns within a few frames; less
        is steadier where objects move straight on.
    iterations : int
        EM steps a frame. One is enough where objects move less than their own size beyond what is expected; more
        measured no better.
    patience : int
        After so many frames out of sight an object dies: 15 are half a second of video.
    births : bool
        Whether new objects are looked for.
    least : float
        The least weight of points that can be an object, or a hidden one again.
    reach : float
        How far a new object may move within one frame, and how far from its expected place a hidden one is looked
        for, in deviations of a new object.
    noise : float
        The share of points that belongs to no object at the start, between 0 and 1; it is learned from then on.
    region : array_like, shape (2, D), optional
        The lowest and highest corner of where points can be, such as ``[[0, 0], [width, height]]``. Default: the box
        around all points so far.

    Yields
    ------
    Tracked

    Raises
    ------
    InvalidInput
        If a setting is out of range, the region is empty, or (when it is reached) a frame is no matrix of D finite
        columns.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import Diagonal
    >>> cloud = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = list(track(Diagonal([[1.0, 1.0]]), [cloud + [2.0 * t, 0.0] for t in range(10)]))
    >>> found[1].births, found[-1].identities.tolist(), found[-1].velocities.round()[0, 0]
    ((0,), [0], np.float64(2.0))
    """
    if not isinstance(model, (GMM, Covariance)):
        refuse("model", "be a GMM, or a Covariance that a new object has", type(model).__name__)
    if not isinstance(frames, Iterable):
        refuse("frames", "be iterable, one matrix of points a video frame", type(frames).__name__)
    settings = _Settings(
        number(step, "step", minimum=0.0, maximum=1.0, above=True),
        integer(iterations, "iterations", minimum=1),
        integer(patience, "patience", minimum=0),
        bool(births),
        number(least, "least", minimum=0.0, above=True),
        number(reach, "reach", minimum=0.0, above=True, unit=" deviations"),
        number(noise, "noise", minimum=1e-6, maximum=0.9),
        region is not None,
    )
    return _run(model, frames, settings, None if region is None else _corners(region))


def _corners(region: ArrayLike) -> Array:
    corners = matrix(region, "region").astype(np.float64)
    if len(corners) != 2 or (corners[0] >= corners[1]).any():
        refuse("region", "be a lowest and a highest corner, shape (2, dimensions)", corners.tolist())
    return corners


def _run(
    model: GMM | Covariance, frames: Iterable[ArrayLike | Points], settings: _Settings, corners: Array | None
) -> Iterator[Tracked]:
    state = None
    for i, frame in enumerate(frames):
        x = frame if isinstance(frame, Points) else Points(matrix(frame, f"frame {i}", minimum=0))
        if state is None:
            state = _start(model, x.positions.shape[1], settings, corners)
        d = len(state.objects.scale)
        if x.positions.shape[1] != d:
            rule = f"have points of {d} dimensions, as the model or the first frame has"
            refuse(f"frame {i}", rule, f"shape {x.positions.shape}")
        state, result = _advance(state, x, settings)
        yield result


def _start(model: GMM | Covariance, d: int, settings: _Settings, corners: Array | None) -> _State:
    if isinstance(model, GMM):
        d = model.n_dimensions
    elif model.take(np.array([0])).parameters.shape != model.shape(1, d):
        refuse("frame 0", "have points of as many dimensions as the covariance of new objects", f"{d} dimensions")
    if corners is None:
        corners = np.array([np.full(d, np.inf), np.full(d, -np.inf)])
    elif corners.shape[1] != d:
        refuse("region", f"have corners of {d} dimensions, as the model or the first frame has", corners.shape)
    objects = objects_of(model, d)
    noise = settings.noise / (1 - settings.noise)
    return _State(objects, Background(noise, *corners), np.zeros((0, d)), len(objects.means))


@one_thread
def _advance(state: _State, x: Points, settings: _Settings) -> tuple[_State, Tracked]:
    """Return the state after one frame, and what is told of it."""
    state = _ready(state, x, settings)
    # moments are taken about the middle of the region, so that a large offset of the positions costs no precision
    corners = np.array([state.background.low, state.background.high])
    origin = corners.mean(axis=0) if np.isfinite(corners).all() else np.zeros(corners.shape[1])
    before, y = state.objects, x.positions - origin
    expected = replace(before, means=before.means + before.velocities - origin)
    steps, now = np.maximum(settings.step, 1 / (before.ages + 2)), expected
    posteriors = explain(now, y, state.background, settings.least)
    for _ in range(settings.iterations - 1):
        now, _ = learn(expected, y, posteriors, x.weights, steps)
        posteriors = explain(now, y, state.background, settings.least)
    free = x.weights * (1 - posteriors.sum(axis=1))
    loose = np.flatnonzero(free > 0.5 * x.weights)
    groups = [loose[g] for g in find_groups(y[loose], x.weights[loose], before.scale, settings.least)]
    middles = np.array([x.weights[g] @ y[g] / x.weights[g].sum() for g in groups]).reshape(-1, y.shape[1])
    seen = (before.missed == 0) & (x.weights @ posteriors >= SEEN * np.maximum(before.counts, settings.least))
    hidden = np.flatnonzero(~seen)
    posteriors[:, hidden] = 0.0
    limits = settings.reach + SLACK * before.missed[hidden]
    back = pair(expected.means[hidden] / before.scale, middles / before.scale, limits)
    for i, j in back:
        posteriors[groups[j], hidden[i]] = 1.0
        seen[hidden[i]] = True
    objects = _learned(before, expected, y, posteriors, x.weights, (steps, seen))
    objects = replace(objects, means=objects.means + origin)
    rest = [j for j in range(len(groups)) if j not in {j for _, j in back}]
    masses = np.array([x.weights[g].sum() for g in groups])
    stray = (1 - settings.step) * state.background.count + settings.step * max(free.sum() - masses.sum(), 0.0)
    stray = max(stray, 1e-3 * max(float(objects.counts.sum()), 1.0))  # never so rare that a speck pulls an object
    state = replace(state, objects=objects, background=replace(state.background, count=stray))
    noise = float(free.sum() / x.weights.sum()) if x.weights.sum() > 0 else 0.0
    return _turned(state, middles[rest] + origin, masses[rest], noise, settings)


def _ready(state: _State, x: Points, settings: _Settings) -> _State:
    """Return the state with a region that holds the points, and with counts scaled to the first points there are."""
    background, objects = state.background, state.objects
    if len(x.positions) and not settings.fixed:
        low, high = x.positions.min(axis=0), x.positions.max(axis=0)
        low, high = np.minimum(background.low, low), np.maximum(background.high, high)
        background = replace(background, low=low, high=high)
    total = float(x.weights.sum())
    if state.started or total == 0:
        return replace(state, background=background)
    objects = replace(objects, counts=objects.counts * total * (1 - settings.noise))
    return replace(state, objects=objects, background=replace(background, count=total * settings.noise), started=True)


def _learned(
    before: Objects, expected: Objects, y: Array, posteriors: Array, weights: Array, rule: tuple[Array, Array]
) -> Objects:
    """Return the objects after the M-step, their velocities and ages; `rule` is the steps and who is seen."""
    steps, seen = rule
    away = before.missed + 1
    late = seen & (before.missed > 0)
    now, alpha = learn(expected, y, posteriors, weights, np.where(late, np.maximum(steps, away / (away + 1)), steps))
    young = np.where(before.ages > 0, 6 / ((before.ages + 1) * (before.ages + 2)), 0.0)
    beta = np.where(late, 1 / away, np.maximum(alpha / (2 - alpha), young))  # of what alpha moved the mean by
    beta[(before.ages == 0) | ~seen] = 0.0
    return replace(
        now,
        velocities=before.velocities + beta[:, None] * (now.means - expected.means),
        ages=before.ages + seen,
        missed=np.where(seen, 0, away),
    )


def _turned(state: _State, middles: Array, masses: Array, noise: float, settings: _Settings) -> tuple[_State, Tracked]:
    """Return the state without those who were hidden too long and with the newly born, and the result of the frame."""
    objects = state.objects
    alive = np.flatnonzero(objects.missed <= settings.patience)
    deaths = np.delete(objects.identities, alive)
    old = state.middles if settings.births else state.middles[:0]
    pairs = pair(old / objects.scale, middles / objects.scale, np.full(len(old), settings.reach))
    i, j = np.array(sorted(pairs, key=lambda found: found[1]), dtype=int).reshape(-1, 2).T
    births = np.arange(state.next, state.next + len(pairs))
    objects = objects.take(alive).with_born(middles[j], masses[j], middles[j] - old[i], births)
    result = Tracked(
        objects.mixture, objects.identities, objects.missed == 0, objects.velocities,
        tuple(births.tolist()), tuple(deaths.tolist()), noise,
    )  # fmt: skip
    state = replace(state, objects=objects, middles=np.delete(middles, j, axis=0), next=state.next + len(pairs))
    return state, result

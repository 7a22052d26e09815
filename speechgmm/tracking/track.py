"""Tracking: a mixture that follows moving objects from one video frame to the next, one component for each object.

Each frame brings points, such as the pixels of the foreground. The statistics of the past, moved on with each
object's velocity, fade: S = (1 - step) * S + step * new (Cappé and Moulines 2009, eq. 10, with a constant step), and
an M-step makes the mixture of the frame. Velocities follow by an alpha-beta filter: of what is left between the
expected and the seen mean, the mean takes the share alpha, the velocity beta = alpha**2 / (2 - alpha) (T. R. Benedict
and G. W. Bordner 1962). Points that belong to no object go to a uniform background, so that specks of noise pull
nobody; where they gather in two frames running, an object is born.

Constants were chosen on the videos of `recipes/track_objects.py` by position alone, which is hard: with all
as they are, every object keeps its identity in 0.61 of the frames of ten videos. "0.52 to 0.63" means: with half the
constant, and with twice of it; "no change" that both keep 0.61 (`recipes/studies/tracking.py --constants`).
Symbols: n points, K objects, D dimensions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, integer, matrix, number, refuse
from speechgmm.looks import Shown
from speechgmm.mixture.covariance import Covariance
from speechgmm.mixture.model import GMM
from speechgmm.parallel import one_thread
from speechgmm.tracking.objects import Background, Objects, explain, learn
from speechgmm.tracking.points import WeightedPoints, find_groups, nearest_pairs

SEEN = 0.2
"""An object of which less than this share of its usual points is there is hidden: it moves on and learns nothing.

The usual points are at least `least`. 0.52 to 0.63: objects that are all but covered learn wrong velocities."""
SLACK = 0.5
"""How much farther a hidden object is looked for with each frame, in deviations: 0.50 to 0.61."""
LOOSE = 0.5
"""A point may be a new object's if more than this of it is no known object's: rather free than not.

0.58 with half of it; twice of it lets no object be born."""
RARE = 1e-3
"""The background counts for at least this share of the objects: not so rare that a speck pulls an object, where a
video has been without any for a while. No change on these videos, which always have some."""


@dataclass(frozen=True, eq=False)
class Tracked(Shown):
    """What is known after one video frame.

    Parameters
    ----------
    mixture : GMM or None
        One component for each object; None where there is none.
    identities : ndarray of int, shape (K,)
        A number for each component: the same as long as the object lives, and never used again.
    visible : ndarray of bool, shape (K,)
        False for objects that are hidden in this frame: their components are where they are expected.
    velocities : ndarray, shape (K, D)
        In units per frame.
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
    frames: Iterable[ArrayLike | WeightedPoints],
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
    """Follow objects through video frames, one component for each, and yield one mixture per frame.

    Parameters
    ----------
    model : GMM or Covariance
        The objects at the first frame; their identities are 0 to K - 1, and their typical shape is that of objects
        born later. Or only that shape, such as ``Diagonal([[25.0, 25.0]])``: then every object is born on the way.
        A tied covariance is one shape for all.
    frames : iterable of array_like (n, D) or WeightedPoints
        Read one by one, so that it may be a stream; n may be 0 in any of them.
    step : float
        The share of the new frame in the statistics, above 0 and at most 1. 0.5 follows turns within a few frames; less
        is steadier where objects move straight on. Identities kept: 0.55 with half of it, 0.12 with twice.
    iterations : int
        EM steps per frame. One is enough where objects move less than their own size beyond what is expected.
    patience : int
        After so many frames out of sight an object dies: 15 are half a second of video. 0.58 with 7, 0.57 with 30.
    births : bool
        Whether new objects are looked for.
    least : float
        The least weight of points that can be an object, or a hidden one again. 0.58 with 5, 0.51 with 20.
    reach : float
        How far a new object may move within one frame, and how far from its expected place a hidden one is looked
        for, in deviations of a new object. 0.14 with 2, 0.65 with 8, which takes farther groups for one object.
    noise : float
        The share of points that belongs to no object at the start, between 0 and 1; it is learned from then on, so
        that 0.025 and 0.1 change nothing.
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
        refuse("frames", "be iterable, one matrix of points for each video frame", type(frames).__name__)
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
    model: GMM | Covariance,
    frames: Iterable[ArrayLike | WeightedPoints],
    settings: _Settings,
    corners: Array | None,
) -> Iterator[Tracked]:
    state = None
    for i, frame in enumerate(frames):
        points = frame if isinstance(frame, WeightedPoints) else WeightedPoints(matrix(frame, f"frame {i}", minimum=0))
        if state is None:
            state = _start(model, points.positions.shape[1], settings, corners)
        d = len(state.objects.scale)
        if points.positions.shape[1] != d:
            rule = f"have points of {d} dimensions, as the model or the first frame has"
            refuse(f"frame {i}", rule, f"shape {points.positions.shape}")
        state, tracked = _advance(state, points, settings)
        yield tracked


def _start(model: GMM | Covariance, d: int, settings: _Settings, corners: Array | None) -> _State:
    """Return the state before the first frame, which has points of D dimensions."""
    if isinstance(model, GMM):
        d = model.n_dimensions
    elif model.take(np.array([0])).parameters.shape != model.shape(1, d):
        refuse("frame 0", "have points of as many dimensions as the covariance of new objects", f"{d} dimensions")
    if corners is None:
        corners = np.array([np.full(d, np.inf), np.full(d, -np.inf)])
    elif corners.shape[1] != d:
        refuse("region", f"have corners of {d} dimensions, as the model or the first frame has", corners.shape)
    objects = Objects.of(model, d)
    noise = settings.noise / (1 - settings.noise)
    return _State(objects, Background(noise, *corners), np.zeros((0, d)), len(objects.means))


@one_thread
def _advance(state: _State, points: WeightedPoints, settings: _Settings) -> tuple[_State, Tracked]:
    """Return the state after one frame, and what is told of it."""
    state = _ready(state, points, settings)
    # moments are taken about the middle of the region, so that a large offset of the positions costs no precision
    before, background, weights, origin = state.objects, state.background, points.weights, state.background.middle
    y = points.positions - origin
    expected = replace(before, means=before.means + before.velocities - origin)
    steps = np.maximum(settings.step, 1 / (before.ages + 2))
    posteriors = explain(expected, y, background, settings.least)
    for _ in range(settings.iterations - 1):
        now, _ = learn(expected, y, posteriors, weights, steps)
        posteriors = explain(now, y, background, settings.least)
    free = weights * (1 - posteriors.sum(axis=1))
    groups = find_groups(y, weights, np.flatnonzero(free > LOOSE * weights), before.scale, settings.least)
    seen = (before.missed == 0) & (weights @ posteriors >= SEEN * np.maximum(before.counts, settings.least))
    posteriors[:, ~seen] = 0.0
    hidden, limits = np.flatnonzero(~seen), settings.reach + SLACK * before.missed[~seen]
    back = nearest_pairs(expected.means[hidden] / before.scale, groups.means / before.scale, limits)
    for i, j in back:
        posteriors[groups.indices[j], hidden[i]], seen[hidden[i]] = 1.0, True
    late = seen & (before.missed > 0)
    steps = np.where(late, np.maximum(steps, (before.missed + 1) / (before.missed + 2)), steps)
    objects = _moved(before, expected, learn(expected, y, posteriors, weights, steps), seen)
    objects = replace(objects, means=objects.means + origin)
    stray = (1 - settings.step) * background.count + settings.step * max(free.sum() - groups.weights.sum(), 0.0)
    stray = max(stray, RARE * max(float(objects.counts.sum()), 1.0))
    noise = float(free.sum() / weights.sum()) if weights.sum() > 0 else 0.0
    state = replace(state, objects=objects, background=replace(background, count=stray))
    rest = np.setdiff1d(np.arange(len(groups.means)), [j for _, j in back])
    return _turned(state, groups.means[rest] + origin, groups.weights[rest], noise, settings)


def _ready(state: _State, points: WeightedPoints, settings: _Settings) -> _State:
    """Return the state with a region that holds the points, and with counts scaled to the first points there are."""
    background, objects, total = state.background, state.objects, float(points.weights.sum())
    if not settings.fixed:
        background = background.holding(points.positions)
    if state.started or total == 0:
        return replace(state, background=background)
    objects = replace(objects, counts=objects.counts * total * (1 - settings.noise))
    return replace(state, objects=objects, background=replace(background, count=total * settings.noise), started=True)


def _moved(before: Objects, expected: Objects, learned: tuple[Objects, Array], seen: Array) -> Objects:
    """Return the objects after the M-step, with their velocities and ages."""
    (now, alpha), away = learned, before.missed + 1
    beta = np.where(before.missed > 0, 1 / away, alpha / (2 - alpha))  # of what alpha moved the mean by
    beta[(before.ages == 0) | ~seen] = 0.0
    velocities = before.velocities + beta[:, None] * (now.means - expected.means)
    return replace(now, velocities=velocities, ages=before.ages + seen, missed=np.where(seen, 0, away))


def _turned(state: _State, middles: Array, masses: Array, noise: float, settings: _Settings) -> tuple[_State, Tracked]:
    """Return the state without those who were hidden too long and with the newly born, and the result of the frame."""
    objects, scale = state.objects, state.objects.scale
    alive = np.flatnonzero(objects.missed <= settings.patience)
    deaths = np.delete(objects.identities, alive)
    old = state.middles if settings.births else state.middles[:0]
    pairs = nearest_pairs(old / scale, middles / scale, np.full(len(old), settings.reach))
    i, j = np.array(sorted(pairs, key=lambda found: found[1]), dtype=int).reshape(-1, 2).T
    births = np.arange(state.next, state.next + len(pairs))
    objects = objects.take(alive).with_born(middles[j], masses[j], middles[j] - old[i], births)
    tracked = Tracked(
        objects.mixture, objects.identities, objects.missed == 0, objects.velocities,
        tuple(births.tolist()), tuple(deaths.tolist()), noise,
    )  # fmt: skip
    state = replace(state, objects=objects, middles=np.delete(middles, j, axis=0), next=state.next + len(pairs))
    return state, tracked

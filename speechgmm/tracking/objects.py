"""What tracking knows of the objects from one video frame to the next, and one step of EM on it.

Symbols: n points, K objects, D dimensions.
"""

from dataclasses import dataclass, replace

import numpy as np

from speechgmm.checks import Array
from speechgmm.looks import Shown
from speechgmm.mixture.covariance import Covariance
from speechgmm.mixture.e_step import density_and_posteriors
from speechgmm.mixture.model import GMM

THINNEST = 0.1
"""The least deviation of an object, as a share of that of a new one: points that coincide still have a density.

No change (see `track.py`)."""
SIDE = 4
"""No side of the background's region counts as less than so many deviations of a new object, which is what a filled
object covers: a region seen through one object's points is larger than that object. No change."""

ROWS = ("means", "counts", "velocities", "ages", "missed", "identities")
"""The fields of `Objects` that have a row for each object."""


@dataclass(frozen=True, eq=False)
class Objects(Shown):
    """K objects, a row each.

    Parameters
    ----------
    pool : Covariance of K + 1 components
        The first is what a new object looks like; it never learns, unless all share one covariance, which does.
    means : ndarray, shape (K, D)
    counts : ndarray, shape (K,)
        Points per frame, with fading memory.
    velocities : ndarray, shape (K, D)
        In units per frame.
    ages, missed : ndarray of int, shape (K,)
        In how many frames it was seen; for how many it is hidden now.
    identities : ndarray of int, shape (K,)
    scale : ndarray, shape (D,)
        The deviations of a new object.
    """

    pool: Covariance
    means: Array
    counts: Array
    velocities: Array
    ages: Array
    missed: Array
    identities: Array
    scale: Array

    @classmethod
    def of(cls, model: GMM | Covariance, d: int) -> "Objects":
        """Return the components of a mixture as objects that stand still, or no objects, but their looks."""
        if isinstance(model, GMM):
            size = np.log(np.broadcast_to(model.covariance.deviations(), model.means.shape)).sum(axis=1)
            typical = int(np.argsort(size, kind="stable")[len(size) // 2])
            pool = model.covariance.take(np.concatenate([[typical], np.arange(len(size))]))
            # none counts 0: what is imagined of it counts
            means, counts = model.means, np.maximum(model.weights, 1e-3 / len(size))
        else:
            pool, means, counts = model.take(np.array([0])), np.zeros((0, d)), np.zeros(0)
        scale = np.broadcast_to(pool.deviations()[:1], (1, d))[0]
        none = np.zeros(len(means), dtype=int)
        return cls(pool, means, counts, np.zeros(means.shape), none, none, np.arange(len(means)), scale)

    def take(self, indices: Array) -> "Objects":
        """Return the objects with these indices."""
        pool = self.pool.take(np.concatenate([[0], indices + 1]))
        return replace(self, pool=pool, **{name: getattr(self, name)[indices] for name in ROWS})

    def with_born(self, means: Array, counts: Array, velocities: Array, identities: Array) -> "Objects":
        """Return these objects and new ones, of which two frames are known."""
        none = np.zeros(len(means), dtype=int)
        born = means, counts, velocities, none + 2, none, identities
        rows = {name: np.concatenate([getattr(self, name), new]) for name, new in zip(ROWS, born, strict=True)}
        return replace(self, pool=self.pool.take(np.concatenate([np.arange(len(self.means) + 1), none])), **rows)

    @property
    def mixture(self) -> GMM | None:
        """The objects as a mixture, one component for each; None where there are none."""
        if not len(self.means):
            return None
        covariance = self.pool.take(np.arange(1, len(self.means) + 1))
        return GMM(self.counts / self.counts.sum(), self.means, covariance)


@dataclass(frozen=True, eq=False)
class Background(Shown):
    """Points that belong to no object: `count` per frame, anywhere between the corners `low` and `high` (D,)."""

    count: float
    low: Array
    high: Array

    def holding(self, positions: Array) -> "Background":
        """Return this background with corners moved so far out that it holds all positions (n, D)."""
        low, high = positions.min(axis=0, initial=np.inf), positions.max(axis=0, initial=-np.inf)
        return replace(self, low=np.minimum(self.low, low), high=np.maximum(self.high, high))

    @property
    def middle(self) -> Array:
        """The middle of the region (D,), or zeros where nothing is known of it."""
        known = np.isfinite(self.low).all() and np.isfinite(self.high).all()
        return np.mean([self.low, self.high], axis=0) if known else np.zeros(len(self.low))

    def log_density(self, scale: Array) -> float:
        """Return the log of the uniform density; no side of the region counts as less than `SIDE` deviations."""
        return -float(np.log(np.maximum(self.high - self.low, SIDE * scale)).sum())


def explain(objects: Objects, y: Array, background: Background, least: float) -> Array:
    """Return the posterior of each visible object for each point of `y` (n, D), shape (n, K): the E-step.

    Hidden objects explain nothing; what is missing to 1 is the background's. An object is expected to have `least`
    points at least, lest one that has lost its points leave them to the background for good.
    """
    result = np.zeros((len(y), len(objects.means)))
    visible = np.flatnonzero(objects.missed == 0)
    if visible.size and len(y):
        joint = np.empty((len(y), len(visible) + 1))
        joint[:, :-1] = objects.pool.take(visible + 1).log_components(y, objects.means[visible])
        joint[:, :-1] += np.log(np.maximum(objects.counts[visible], least))
        joint[:, -1] = np.log(background.count) + background.log_density(objects.scale)
        result[:, visible] = density_and_posteriors(joint)[1][:, :-1]
    return result


def learn(expected: Objects, y: Array, posteriors: Array, weights: Array, steps: Array) -> tuple[Objects, Array]:
    """Return the objects after S = (1 - step) * S + step * new and the M-step, and the share of the new in each.

    Parameters
    ----------
    expected : Objects
        Moved on to this frame: their imagined statistics are the S of the past.
    y : ndarray, shape (n, D)
    posteriors : ndarray, shape (n, K)
    weights : ndarray, shape (n,)
    steps : ndarray, shape (K,)
        Each object's step is reduced to the share of its points that are surely its own, the sum of squared
        posteriors over the sum of posteriors: where two objects cross, both rather move on as before.

    Returns
    -------
    Objects
    ndarray, shape (K,)
    """
    if not len(expected.means):
        return expected, np.zeros(0)
    new = posteriors * weights[:, None]
    counts = new.sum(axis=0)
    sure = (new * posteriors).sum(axis=0) / np.where(counts > 0, counts, 1.0)
    steps = steps * sure
    past, counts = (1 - steps) * expected.counts, steps * counts
    total = past + counts
    first = past[:, None] * expected.means + (new * steps).T @ y
    means = first / total[:, None]
    none, origin = np.zeros(1), np.zeros((1, y.shape[1]))
    shares = np.concatenate([np.zeros((len(y), 1)), new * steps], axis=1)
    second = expected.pool.imagined(np.concatenate([origin, expected.means]), np.concatenate([none, past]))
    second = second + expected.pool.second_moments(y, shares)
    rows = np.concatenate([none, total])
    values = expected.pool.estimate(second, np.concatenate([origin, first]), rows, np.concatenate([origin, means]))
    pool, _ = expected.pool.replaced(values, rows == 0, (THINNEST * expected.scale) ** 2)
    return replace(expected, pool=pool, means=means, counts=total), counts / total

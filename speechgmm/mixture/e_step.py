"""The E-step: what frames and a mixture say of each other, in blocks of fixed size, so that no (N, K) sums are needed.

This is the plain form, in float64, for every covariance; `compiled/e_step.py` has the fast one for independent
features. Frames are centered at the model's origin before anything else. Symbols: N frames, n of one block, K
components, D dimensions; y = x - origin; offsets = means - origin.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

BLOCK = 1024
"""Frames handled at once where nothing else says how many."""
CELLS = 30_000
"""Log densities, or features, held at once: they stay in a core's cache. It is no power of two, so that columns of an
array lie in different places of it."""
MOST, FEWEST = 8000, 200
"""Frames handled at once, whatever K and D."""
ROUNDING = float(np.finfo(np.float64).eps) / 4
"""Posteriors below this are left out of sums: they are less than the rounding of the others."""
OUT_OF_REACH = -1e300
"""Log densities below this are refused: such a frame lies 1e150 deviations away from every component."""
NOTHING = -100.0
"""The logarithm of what adds nothing to 1, however many there are: exponentials below underflow, which takes long."""


class Gaussians(Protocol):
    """What the E-step needs of a covariance."""

    @property
    def independent(self) -> bool:
        """Whether features are independent, given the component."""

    def log_densities(self, offsets: Array) -> Callable[[Array], Array]:
        """Return the function of frames y (n, D) that gives log N(y; offset_k, covariance_k), shape (n, K)."""

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum over frames of posterior * y y', as much of it as the covariance keeps."""

    def log_likelihood_of(self, offsets: Array, counts: Array, first: Array, second: Array) -> float | None:
        """Return that of the frames of one component, from their moments, or None."""

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return second moments of the same shape."""


@dataclass(frozen=True, eq=False)
class EStep:
    """A mixture made ready for frames (N, D).

    Parameters
    ----------
    covariance : Covariance
    weights : ndarray, shape (K,)
    offsets : ndarray, shape (K, D)
    origin : ndarray, shape (D,)
    """

    covariance: Gaussians
    weights: Array
    offsets: Array
    origin: Array

    @one_thread
    def log_density(self, x: Array) -> Array:
        """Return the log density of each frame, shape (N,), in nats."""
        result, alone = np.empty(len(x)), len(self.weights) == 1
        for rows, _, joint in (self._about_mean if alone else self)._joint(x):
            result[rows] = _checked_maximum(joint) if alone else _summed_over(joint, NOTHING)[0]
        return result

    @one_thread
    def posteriors(self, x: Array) -> Array:
        """Return the posterior of each component for each frame, shape (N, K)."""
        if len(self.weights) == 1:
            return np.ones((len(x), 1))
        result = np.empty((len(x), len(self.weights)))
        for rows, _, joint in self._joint(x):
            result[rows] = density_and_posteriors(joint)[1]
        return result

    @one_thread
    def labels(self, x: Array) -> Array:
        """Return the number of the most probable component of each frame, shape (N,)."""
        if len(self.weights) == 1:
            return np.zeros(len(x), np.intp)
        result = np.empty(len(x), np.intp)
        for rows, _, joint in self._joint(x):
            _checked_maximum(joint)
            result[rows] = np.ascontiguousarray(joint).argmax(axis=1)
        return result

    @one_thread
    def statistics(self, x: Array, sample_weight: Array | None = None) -> Statistics:
        """Return the sufficient statistics of the frames, each counted `sample_weight` (N,) times."""
        if len(self.weights) == 1 and self.covariance.independent and (alone := self._alone(x, sample_weight)):
            return alone

        def parts() -> Iterator[tuple[Array, Array, float]]:
            for rows, y, joint in self._joint(x):
                log_density, posteriors = density_and_posteriors(joint, least=NOTHING)
                np.copyto(posteriors, 0.0, where=posteriors < ROUNDING)
                if sample_weight is None:
                    yield y, posteriors, float(log_density.sum())
                else:
                    share = sample_weight[rows]
                    yield y, posteriors * share[:, None], float(log_density @ share)

        return self._summed(parts(), float(len(x) if sample_weight is None else sample_weight.sum()))

    def _alone(self, x: Array, sample_weight: Array | None) -> Statistics | None:
        """Return the statistics of one component, whose moments say how likely the frames are; None if they do not."""
        s = self.assigned(x, np.ones((len(x), 1)) if sample_weight is None else sample_weight[:, None])
        total = self.covariance.log_likelihood_of(self.offsets, s.counts, s.first, s.second)
        if total is None:
            return None
        total += float(s.counts @ self._log_weights)
        return Statistics.computed(s.origin, s.counts, s.first, s.second, total, s.frames)

    @one_thread
    def assigned(self, x: Array, posteriors: Array) -> Statistics:
        """Return the statistics of frames whose posteriors (N, K) are given."""
        parts = ((self._centered(x[rows]), np.asarray(posteriors[rows], np.float64), 0.0) for rows in self._blocks(x))
        return self._summed(parts, float(posteriors.sum(dtype=np.float64)))

    @cached_property
    def _about_mean(self) -> "EStep":
        """The same of one component, with its mean as the origin, which saves a pass over the frames."""
        return EStep(self.covariance, self.weights, np.zeros_like(self.offsets), self.origin + self.offsets[0])

    @cached_property
    def _log_densities(self) -> Callable[[Array], Array]:
        return self.covariance.log_densities(self.offsets)

    @cached_property
    def _log_weights(self) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(self.weights)

    def _blocks(self, x: Array) -> Iterator[slice]:
        """Yield the rows of each block: how many is fixed by K and D, so that sums come in one order."""
        k, d = self.offsets.shape
        size = max(FEWEST, min(MOST, CELLS // max(k, d)))
        return (slice(start, start + size) for start in range(0, len(x), size))

    def _centered(self, block: Array) -> Array:
        """Return frames about the origin, in float64, and in rows: what products round to depends on the layout."""
        return np.subtract(block, self.origin, order="C")

    def _joint(self, x: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Yield, block by block, its rows, the centered frames (n, D) and log(weight_k * density_k) (n, K)."""
        for rows in self._blocks(x):
            y = self._centered(x[rows])
            with np.errstate(over="ignore", invalid="ignore"):  # what is out of reach is refused later
                joint = self._log_densities(y)
                joint += self._log_weights
            yield rows, y, joint

    def _summed(self, parts: Iterable[tuple[Array, Array, float]], frames: float) -> Statistics:
        """Sum centered frames (n, D) by their posteriors (n, K), and log-likelihoods, in the order of the blocks."""
        counts, first, second, total = np.zeros(len(self.offsets)), np.zeros(self.offsets.shape), None, 0.0
        for y, posteriors, log_likelihood in parts:
            counts += np.add.reduce(posteriors, axis=0)
            first += posteriors.T @ y
            moments = self.covariance.second_moments(y, posteriors)
            second = moments if second is None else np.add(second, moments, out=second)
            total += log_likelihood
        if second is None:
            second = np.zeros_like(self.covariance.imagined(self.offsets, counts))
        return Statistics.computed(self.origin, counts, first, second, total, frames)


def density_and_posteriors(joint: Array, *, least: float = -np.inf) -> tuple[Array, Array]:
    """Return log(sum(exp(joint))) over components (n,) and the posteriors (n, K), which sum to 1.

    Logarithms of posteriors below `least` count as that.

    Raises
    ------
    InvalidInput
        If a frame is so far from every component that its density is zero in double precision.
    """
    density, posteriors, total = _summed_over(joint, least)
    posteriors /= total[:, None]
    return density, posteriors


def _summed_over(joint: Array, least: float) -> tuple[Array, Array, Array]:
    """Return log(sum(exp(joint))) (n,), the exponentials relative to the largest (n, K), and their sums (n,)."""
    top = _checked_maximum(joint)
    exponentials = np.subtract(joint, top[:, None])
    if least > -np.inf:
        np.maximum(exponentials, least, out=exponentials)
    np.exp(exponentials, out=exponentials)
    total = np.add.reduce(exponentials, axis=1)
    return top + np.log(total), exponentials, total


def _checked_maximum(joint: Array) -> Array:
    """Return the largest entry of each row, which must be within reach."""
    top = np.maximum.reduce(joint, axis=1)
    if not np.minimum.reduce(top) > OUT_OF_REACH:
        i = int(np.flatnonzero(~(top > OUT_OF_REACH))[0])
        refuse("every frame", "be within reach of the model", f"frame {i} of a block, whose density is zero")
    return np.asarray(top)

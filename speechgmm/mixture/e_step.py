"""The E-step: what frames and a mixture say of each other, in blocks of fixed size, so that no (N, K) sums are needed.

This is the plain form, in float64, for every covariance; `compiled/e_step.py` has the fast one for independent
features. Frames are centered at the model's origin before anything else. Symbols: N frames, n of one block, K
components, D dimensions; y = x - origin; offsets = means - origin.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

BLOCK = 1024
"""Frames handled at once: fixed, so that sums come in one order whatever shares the work."""
ROUNDING = float(np.finfo(np.float64).eps) / 4
"""Posteriors below this are left out of sums: they are less than the rounding of the others."""


class Gaussians(Protocol):
    """What the E-step needs of a covariance."""

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Return log N(y; offset_k, covariance_k), shape (n, K)."""

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum over frames of posterior * y y', as much of it as the covariance keeps."""

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
        return np.concatenate([density_and_posteriors(joint)[0] for _, joint in self._joint(x)] or [np.zeros(0)])

    @one_thread
    def posteriors(self, x: Array) -> Array:
        """Return the posterior of each component for each frame, shape (N, K)."""
        none = np.zeros((0, len(self.weights)))
        return np.concatenate([density_and_posteriors(joint)[1] for _, joint in self._joint(x)] or [none])

    @one_thread
    def statistics(self, x: Array, sample_weight: Array | None = None) -> Statistics:
        """Return the sufficient statistics of the frames, each counted `sample_weight` (N,) times."""
        shares = np.ones(len(x)) if sample_weight is None else sample_weight

        def parts() -> Iterator[tuple[Array, Array, float]]:
            for i, (y, joint) in enumerate(self._joint(x)):
                log_density, posteriors = density_and_posteriors(joint)
                share = shares[i * BLOCK : i * BLOCK + len(y)]
                posteriors[posteriors < ROUNDING] = 0.0
                yield y, posteriors * share[:, None], float(log_density @ share)

        return self._summed(parts(), float(shares.sum()))

    @one_thread
    def assigned(self, x: Array, posteriors: Array) -> Statistics:
        """Return the statistics of frames whose posteriors (N, K) are given."""
        given = (np.asarray(posteriors[i : i + BLOCK], np.float64) for i in range(0, len(x), BLOCK))
        parts = ((y, p, 0.0) for y, p in zip(self._centered(x), given, strict=True))
        return self._summed(parts, float(posteriors.sum(dtype=np.float64)))

    def _centered(self, x: Array) -> Iterator[Array]:
        """Yield the frames about the origin, block by block."""
        return (np.asarray(x[i : i + BLOCK], dtype=np.float64) - self.origin for i in range(0, len(x), BLOCK))

    def _joint(self, x: Array) -> Iterator[tuple[Array, Array]]:
        """Yield, block by block, the centered frames (n, D) and log(weight_k * density_k) (n, K)."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        for y in self._centered(x):
            with np.errstate(over="ignore", invalid="ignore"):  # what is out of reach is refused later
                joint = self.covariance.log_components(y, self.offsets) + log_weights
            yield y, joint

    def _summed(self, parts: Iterable[tuple[Array, Array, float]], frames: float) -> Statistics:
        """Sum centered frames (n, D) by their posteriors (n, K), and log-likelihoods, in the order of the blocks."""
        counts, first, total = np.zeros(len(self.offsets)), np.zeros(self.offsets.shape), 0.0
        second = np.zeros_like(self.covariance.imagined(self.offsets, counts))
        for y, posteriors, log_likelihood in parts:
            counts += posteriors.sum(axis=0)
            first += posteriors.T @ y
            second += self.covariance.second_moments(y, posteriors)
            total += log_likelihood
        return Statistics.computed(self.origin, counts, first, second, total, frames)


def density_and_posteriors(joint: Array) -> tuple[Array, Array]:
    """Return log(sum(exp(joint))) over components (n,) and the posteriors (n, K), which sum to 1.

    Raises
    ------
    InvalidInput
        If a frame is so far from every component that its density is zero in double precision.
    """
    top = joint.max(axis=1)
    if not np.isfinite(top).all():
        i = int(np.flatnonzero(~np.isfinite(top))[0])
        refuse("every frame", "be within reach of the model", f"frame {i} of a block, whose density is zero")
    posteriors = np.exp(joint - top[:, None])
    total = posteriors.sum(axis=1)
    posteriors /= total[:, None]
    return top + np.log(total), posteriors

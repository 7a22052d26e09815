"""Covariances: one protocol, and `Diagonal`; `spherical.py` and `matrices.py` hold the other kinds.

A covariance knows how frames spread around the means of K components; it carries the E-step whole, in blocks of
fixed size, so that no (N, K) array leaves it. Frames are centered at the model's origin before anything else, in
float64. Symbols: N frames, K components, D dimensions; y = x - origin; offsets = means - origin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import finite, numeric, refuse
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

Array = NDArray[Any]

__all__ = ["Covariance", "Diagonal"]

BLOCK = 1024
"""Frames handled at once: fixed, so that sums come in one order whatever shares the work."""
ROUNDING = float(np.finfo(np.float64).eps) / 4
"""Posteriors below this are left out of sums: they are less than the rounding of the others."""


@dataclass(frozen=True, eq=False)
class Covariance(ABC):
    """The protocol. A new kind of covariance answers the abstract methods; the E-step below is shared."""

    @property
    def parameters(self) -> Array:
        """The one array that a kind of covariance holds."""
        result: Array = getattr(self, fields(self)[0].name)
        return result

    @staticmethod
    @abstractmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return the shape of the parameters of K components in D dimensions."""

    @classmethod
    @abstractmethod
    def of(cls, variances: Array) -> Self:
        """Return the covariance of this kind that is nearest to independent features of variances (K, D)."""

    @abstractmethod
    def log_components(self, y: Array, offsets: Array) -> Array:
        """Return log N(y; offset_k, covariance_k), shape (n, K)."""

    @abstractmethod
    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum over frames of posterior * y y', as much of it as this kind keeps."""

    @abstractmethod
    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return the second moments about the origin of so many frames (K,) imagined in each component."""

    @classmethod
    @abstractmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return raw covariance parameters about the given offsets; components without counts may give NaN."""

    @abstractmethod
    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Return this covariance with new values where not `keep`, and how many of them were clipped.

        `floor`, broadcastable to (K, D), is the least variance; with `add` it is added to the new values instead.
        """

    @abstractmethod
    def take(self, indices: Array) -> Self:
        """Return the covariance of the components with these indices."""

    @abstractmethod
    def deviations(self) -> Array:
        """Return the standard deviations of each component in each dimension, broadcastable to (K, D)."""

    def least(self) -> Array:
        """Return independent variances, broadcastable to (K, D), that lie below the covariance in every direction."""
        return self.deviations() ** 2

    def shift(self) -> Array:
        """Return one step of a deviation in all directions at once, broadcastable to (K, D), for splitting."""
        return self.deviations()

    @abstractmethod
    def colored(self, normal: Array, components: Array) -> Array:
        """Turn standard normal draws (n, D) into draws around zero from the components (n,) named."""

    def log_joint(self, x: Array, weights: Array, offsets: Array, origin: Array) -> Iterator[tuple[Array, Array]]:
        """Yield, block by block, the centered frames (n, D) and log(weight_k * density_k) (n, K)."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        for start in range(0, len(x), BLOCK):
            y = np.asarray(x[start : start + BLOCK], dtype=np.float64) - origin
            with np.errstate(over="ignore", invalid="ignore"):  # `log_sum` refuses what is out of reach
                joint = self.log_components(y, offsets) + log_weights
            yield y, joint

    @one_thread
    def log_density(self, x: Array, weights: Array, offsets: Array, origin: Array) -> Array:
        """Return the log density of each frame, shape (N,), in nats."""
        blocks = [log_sum(joint)[0] for _, joint in self.log_joint(x, weights, offsets, origin)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    @one_thread
    def posteriors(self, x: Array, weights: Array, offsets: Array, origin: Array) -> Array:
        """Return the posterior of each component for each frame, shape (N, K)."""
        blocks = [log_sum(joint)[1] for _, joint in self.log_joint(x, weights, offsets, origin)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(weights)))

    @one_thread
    def statistics(
        self, x: Array, weights: Array, offsets: Array, origin: Array, *, sample_weight: Array | None = None
    ) -> Statistics:
        """Return the sufficient statistics of frames (N, D), each counted `sample_weight` (N,) times: the E-step."""
        shares = np.ones(len(x)) if sample_weight is None else sample_weight

        def parts() -> Iterator[tuple[Array, Array, float]]:
            for i, (y, joint) in enumerate(self.log_joint(x, weights, offsets, origin)):
                log_likelihood, posteriors = log_sum(joint)
                share = shares[i * BLOCK : i * BLOCK + len(y)]
                posteriors[posteriors < ROUNDING] = 0.0
                yield y, posteriors * share[:, None], float(log_likelihood @ share)

        return self._summed(parts(), offsets, origin, float(shares.sum()))

    @one_thread
    def assigned(self, x: Array, posteriors: Array, offsets: Array, origin: Array) -> Statistics:
        """Return the statistics of frames (N, D) whose posteriors (N, K) are given."""

        def parts() -> Iterator[tuple[Array, Array, float]]:
            for start in range(0, len(x), BLOCK):
                y = np.asarray(x[start : start + BLOCK], dtype=np.float64) - origin
                yield y, np.asarray(posteriors[start : start + BLOCK], dtype=np.float64), 0.0

        return self._summed(parts(), offsets, origin, float(posteriors.sum(dtype=np.float64)))

    def _summed(
        self, parts: Iterable[tuple[Array, Array, float]], offsets: Array, origin: Array, frames: float
    ) -> Statistics:
        """Sum centered frames (n, D) by their posteriors (n, K), and log-likelihoods, in the order of the blocks."""
        counts, first, total = np.zeros(len(offsets)), np.zeros(offsets.shape), 0.0
        second = np.zeros_like(self.imagined(offsets, counts))
        for y, posteriors, log_likelihood in parts:
            counts += posteriors.sum(axis=0)
            first += posteriors.T @ y
            second += self.second_moments(y, posteriors)
            total += log_likelihood
        return Statistics(origin, counts, first, second, total, frames)


def log_sum(joint: Array) -> tuple[Array, Array]:
    """Return log(sum(exp(joint))) over components (n,) and the normalized posteriors (n, K).

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


@dataclass(frozen=True, eq=False)
class Diagonal(Covariance):
    """A variance for each component and dimension.

    Parameters
    ----------
    variances : ndarray, shape (K, D)
        Positive and finite.
    """

    variances: Array

    def __post_init__(self) -> None:
        """Check the variances and hold them as read-only float64."""
        v = np.array(numeric(self.variances, "variances"), dtype=np.float64, order="C")
        if v.ndim != 2 or not v.size:
            refuse("variances", "be a matrix of shape (components, dimensions)", f"shape {v.shape}")
        finite(v, "variances")
        if v.min() <= 0:
            k, d = (int(i) for i in np.argwhere(v <= 0)[0])
            refuse("variances", "be above 0", f"{v[k, d]:g} at component {k}, dimension {d}")
        v.setflags(write=False)
        object.__setattr__(self, "variances", v)

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K, D)."""
        return k, d

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return the covariance with these variances (K, D)."""
        return cls(variances)

    @one_thread
    def log_density(self, x: Array, weights: Array, offsets: Array, origin: Array) -> Array:
        """Return the log density of each frame, shape (N,), in nats, by the compiled kernels."""
        from speechgmm.mixture import kernels

        return kernels.log_density(x, self.terms(x.dtype, weights, offsets, origin))

    @one_thread
    def statistics(
        self, x: Array, weights: Array, offsets: Array, origin: Array, *, sample_weight: Array | None = None
    ) -> Statistics:
        """Return the sufficient statistics of frames (N, D), by the compiled kernels where all count the same."""
        if sample_weight is not None:
            return super().statistics(x, weights, offsets, origin, sample_weight=sample_weight)
        from speechgmm.mixture import kernels

        terms = self.terms(x.dtype, weights, offsets, origin)
        counts, first, second, total = kernels.statistics(x, terms, len(weights))
        return Statistics(origin, counts, first, second, total, float(len(x)))

    def terms(self, dtype: Any, *mixture: Array) -> Any:
        """Return weights, offsets and origin laid out for the kernels: kept, for each block asks for the same."""
        from speechgmm.mixture import kernels

        kept = self.__dict__.get("kept")
        if kept is None or kept[0] != dtype or any(a is not b for a, b in zip(kept[1], mixture, strict=True)):
            weights, offsets, origin = mixture
            kept = dtype, mixture, kernels.terms((weights, offsets, self.variances), origin, dtype)
            object.__setattr__(self, "kept", kept)
        return kept[2]

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Expand the square, so that two matrix products do the work."""
        precisions = 1.0 / self.variances
        constant = -0.5 * (
            y.shape[1] * np.log(2 * np.pi) + np.log(self.variances).sum(axis=1) + (offsets**2 * precisions).sum(axis=1)
        )
        result: Array = (y * y) @ (-0.5 * precisions).T
        result += y @ (offsets * precisions).T
        result += constant
        return result

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of posterior * y**2, shape (K, D)."""
        result: Array = posteriors.T @ (y * y)
        return result

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return count * (variance + offset**2), shape (K, D)."""
        result: Array = counts[:, None] * (self.variances + offsets**2)
        return result

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return E[(y - offset)**2] = E[y**2] - 2 offset E[y] + offset**2, shape (K, D)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            n = counts[:, None]
            result: Array = second / n - 2 * offsets * (first / n) + offsets**2
        return result

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take new variances where not `keep` (K,), raised to the floor or with it added."""
        chosen = np.where(keep[:, None], self.variances, values + floor if add else values)
        low = chosen < (0.0 if add else floor)
        return type(self)(np.where(low, floor, chosen)), int(low.sum())

    def take(self, indices: Array) -> Self:
        """Return the variances of these components."""
        return type(self)(self.variances[indices])

    def deviations(self) -> Array:
        """Return the square root of the variances."""
        result: Array = np.sqrt(self.variances)
        return result

    def colored(self, normal: Array, components: Array) -> Array:
        """Scale by each component's deviations."""
        result: Array = normal * self.deviations()[components]
        return result

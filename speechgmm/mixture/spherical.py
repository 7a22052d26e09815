"""`Spherical`: one variance for each component, the same in all dimensions. Symbols as in `covariance.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import finite, numeric, refuse
from speechgmm.mixture.covariance import Covariance, Diagonal
from speechgmm.mixture.statistics import Statistics

Array = NDArray[Any]

__all__ = ["Spherical"]


@dataclass(frozen=True, eq=False)
class Spherical(Covariance):
    """One variance for each component.

    It is worked as a diagonal covariance of equal variances, by the compiled kernels, and keeps its second moments:
    the estimate is their mean over the dimensions.

    Parameters
    ----------
    variances : ndarray, shape (K,)
        Positive and finite.
    """

    variances: Array

    def __post_init__(self) -> None:
        """Check the variances and hold them as read-only float64."""
        v = np.array(numeric(self.variances, "variances"), dtype=np.float64, order="C")
        if v.ndim != 1 or not v.size:
            refuse("spherical variances", "be a vector of shape (components,)", f"shape {v.shape}")
        finite(v, "variances")
        if v.min() <= 0:
            k = int(v.argmin())
            refuse("variances", "be above 0", f"{v[k]:g} at component {k}")
        v.setflags(write=False)
        object.__setattr__(self, "variances", v)

    def diagonal(self, d: int) -> Diagonal:
        """Return the diagonal covariance that is equal in D dimensions; it is kept, with what it keeps itself."""
        kept: Diagonal | None = self.__dict__.get("kept")
        if kept is None or kept.variances.shape[1] != d:
            kept = Diagonal(np.repeat(self.variances[:, None], d, axis=1))
            object.__setattr__(self, "kept", kept)
        return kept

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K,)."""
        return (k,)

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return the mean variance of each component."""
        return cls(np.asarray(variances).mean(axis=1))

    def log_density(self, x: Array, weights: Array, offsets: Array, origin: Array) -> Array:
        """Return the log density of each frame, shape (N,), in nats, by the compiled kernels."""
        return self.diagonal(len(origin)).log_density(x, weights, offsets, origin)

    def statistics(
        self, x: Array, weights: Array, offsets: Array, origin: Array, *, sample_weight: Array | None = None
    ) -> Statistics:
        """Return the sufficient statistics of frames (N, D), as those of a diagonal covariance."""
        return self.diagonal(len(origin)).statistics(x, weights, offsets, origin, sample_weight=sample_weight)

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Return the log densities of the equal diagonal covariance."""
        return self.diagonal(y.shape[1]).log_components(y, offsets)

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of posterior * y**2, shape (K, D)."""
        result: Array = posteriors.T @ (y * y)
        return result

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return count * (variance + offset**2), shape (K, D)."""
        result: Array = counts[:, None] * (self.variances[:, None] + offsets**2)
        return result

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return the mean over dimensions of the diagonal estimate, shape (K,)."""
        result: Array = Diagonal.estimate(second, first, counts, offsets).mean(axis=1)
        return result

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take new variances where not `keep` (K,); the floor is its own mean over the dimensions."""
        least = np.atleast_2d(floor).mean(axis=1)
        chosen = np.where(keep, self.variances, values + least if add else values)
        low = chosen < (0.0 if add else least)
        return type(self)(np.where(low, least, chosen)), int(low.sum())

    def take(self, indices: Array) -> Self:
        """Return the variances of these components."""
        return type(self)(self.variances[indices])

    def deviations(self) -> Array:
        """Return the square root of the variances, shape (K, 1)."""
        result: Array = np.sqrt(self.variances)[:, None]
        return result

    def colored(self, normal: Array, components: Array) -> Array:
        """Scale by each component's deviation."""
        result: Array = normal * self.deviations()[components]
        return result

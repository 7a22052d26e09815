"""Covariances whose features are independent: `Diagonal`, `Spherical`, and the base of others.

Symbols: n frames of a block, K components, D dimensions; y = x - origin; offsets = means - origin.
"""

import functools
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.mixture.compiled.e_step import CompiledEStep
from speechgmm.mixture.covariance.protocol import LEAST, Covariance, IncompleteFrames


@dataclass(frozen=True, eq=False)
class Independent(Covariance):
    """A covariance of independent features: all follows from variances (K, D).

    A new kind holds variances in one array, states its `shape`, which with axes of length 1 appended is broadcastable
    to (K, D), and says in `pooled` how variances (K, D) make it.
    """

    independent: ClassVar[bool] = True
    named: ClassVar[str] = "variances"

    @classmethod
    def checked(cls, parameters: Array) -> Array:
        """Refuse variances that are not above 0, or so near to it that their inverses leave double precision."""
        if parameters.min() < LEAST:
            where = tuple(int(i) for i in np.argwhere(parameters < LEAST)[0])
            place = ", ".join(f"{axis} {i}" for axis, i in zip(("component", "dimension"), where, strict=False))
            rule = "be above 0" if parameters[where] <= 0 else f"be at least {LEAST:g}"
            refuse("variances", rule, f"{parameters[where]:g} at {place}")
        return parameters

    @classmethod
    @abstractmethod
    def pooled(cls, variances: Array, counts: Array | None = None) -> Array:
        """Return the parameters that variances (K, D) make, of components that count so many frames (K,).

        Variances of components without counts may be NaN. Without any counts all components weigh the same; the
        variances are then of shape (1 or K, 1 or D).
        """

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return the covariance that these variances (K, D) make."""
        return cls(cls.pooled(np.asarray(variances)))  # type: ignore[call-arg]

    @functools.cached_property
    def spread(self) -> Array:
        """The variances, broadcastable to (K, D)."""
        return self.parameters.reshape(self.parameters.shape + (1,) * (2 - self.parameters.ndim))

    def variances_of(self, k: int, d: int) -> Array:
        """Return the variances of K components in D dimensions, shape (K, D)."""
        spread = self.spread
        return spread if spread.shape == (k, d) else np.ascontiguousarray(np.broadcast_to(spread, (k, d)))

    def deviations(self) -> Array:
        """Return the square root of the variances."""
        return self._deviations

    @functools.cached_property
    def _deviations(self) -> Array:
        deviations = np.asarray(np.sqrt(self.spread))
        deviations.setflags(write=False)
        return deviations

    def dense(self, k: int, d: int) -> Array:
        """Return diagonal matrices."""
        return np.broadcast_to(self.deviations() ** 2, (k, d))[:, :, None] * np.eye(d)

    def colored(self, normal: Array, components: Array) -> Array:
        """Scale by each component's deviations."""
        return normal * self.deviations()[np.zeros_like(components) if self.shared else components]

    def e_step(self, weights: Array, offsets: Array, origin: Array, dtype: Any) -> CompiledEStep:
        """Lay the mixture out for the compiled loops."""
        return CompiledEStep.of(self, weights, self.variances_of(*offsets.shape), offsets, origin, dtype)

    def log_densities(self, offsets: Array) -> Callable[[Array], Array]:
        """Expand the square, so that two matrix products do the work; one component at the origin needs but one."""
        variances = self.variances_of(*offsets.shape)
        precisions = 1.0 / variances
        if len(offsets) == 1 and not offsets.any():
            return functools.partial(_of_one, precisions[0], float(np.log(2 * np.pi * variances).sum()))
        square, linear = -0.5 * precisions, offsets * precisions
        if self.parameters.ndim == 1 and len(self.parameters) == len(offsets):  # one variance for each component
            square = square[:, :1]
        logarithms = offsets.shape[1] * np.log(2 * np.pi) + np.log(variances).sum(axis=1)
        constant = -0.5 * (logarithms + (offsets * linear).sum(axis=1))[:, None]

        return functools.partial(_expanded, square, linear, constant)

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of posterior * y**2, shape (K, D)."""
        return np.asarray(posteriors.T @ (y * y))

    def log_likelihood_of(self, offsets: Array, counts: Array, first: Array, second: Array) -> float | None:
        """Return the expanded square of all frames at once."""
        variances = self.variances_of(*offsets.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = (second - 2 * offsets * first + counts[:, None] * offsets**2) / variances
            total = -0.5 * float((counts[:, None] * np.log(2 * np.pi * variances) + squares).sum())
        return total if math.isfinite(total) else None

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return count * (variance + offset**2), shape (K, D)."""
        return np.asarray(counts[:, None] * (self.spread + offsets**2))

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Pool E[(y - offset)**2] = E[y**2] - 2 offset E[y] + offset**2."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            n = counts[:, None]
            return cls.pooled(second / n - 2 * offsets * (first / n) + offsets**2, counts)

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take new variances where not `keep`, raised to the pooled floor or with it added."""
        least = self.pooled(np.atleast_2d(floor))
        chosen = values + least if add else values
        if keep.any():
            kept = keep.all() if self.shared else keep.reshape(-1, *[1] * (values.ndim - 1))
            chosen = np.where(kept, self.parameters, chosen)
        low = chosen < (0.0 if add else least)
        clipped = int(np.count_nonzero(low))
        raised = np.where(low, least, chosen) if clipped else chosen
        made = self.computed if raised.min() >= LEAST and raised.max() <= 1 / LEAST else type(self)  # which refuses it
        return made(raised), clipped  # type: ignore[call-arg]

    def incomplete(self, y: Array, offsets: Array, log_weights: Array) -> IncompleteFrames:
        """Return frames of which any entries are missing."""
        return _IncompleteFrames(np.broadcast_to(self.deviations() ** 2, offsets.shape), y, offsets, log_weights)

    def wishart_blocks(self) -> Array:
        """Return each variance as a matrix."""
        return self.parameters.reshape(1 if self.shared else len(self.parameters), -1, 1, 1)

    @classmethod
    def from_precisions(cls, precisions: Array) -> Self:
        """Return the covariance of variances 1 / precision."""
        return cls(1 / precisions)  # type: ignore[call-arg]

    @classmethod
    def from_precisions_cholesky(cls, factors: Array) -> Self:
        """Return the covariance of variances 1 / factor**2."""
        return cls(1 / factors**2)  # type: ignore[call-arg]

    @property
    def precisions(self) -> Array:
        """The inverse variances."""
        return np.asarray(self.precisions_cholesky**2)

    @property
    def precisions_cholesky(self) -> Array:
        """The inverse deviations."""
        return np.asarray(1 / np.sqrt(self.parameters))


@dataclass(frozen=True, eq=False)
class Diagonal(Independent):
    """A variance for each component and dimension.

    Parameters
    ----------
    variances : ndarray, shape (K, D)
        Positive and finite.

    Examples
    --------
    >>> from speechgmm.mixture import GMM
    >>> gmm = GMM([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], Diagonal([[1.0, 1.0], [1.0, 4.0]]))
    >>> gmm.log_density([[0.0, 0.0]]).round(3)
    array([-2.626])
    """

    variances: Array
    rule: ClassVar[str] = "be a matrix of shape (components, dimensions)"

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K, D)."""
        return k, d

    @classmethod
    def pooled(cls, variances: Array, counts: Array | None = None) -> Array:
        """Return the variances as they are."""
        return variances


@dataclass(frozen=True, eq=False)
class Spherical(Independent):
    """One variance for each component, the same in all dimensions.

    Parameters
    ----------
    variances : ndarray, shape (K,)
        Positive and finite.

    Examples
    --------
    >>> from speechgmm.mixture import GMM
    >>> gmm = GMM([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], Spherical([1.0, 4.0]))
    >>> gmm.posteriors([[0.0, 0.0]]).round(2)
    array([[0.73, 0.27]])
    """

    variances: Array
    named: ClassVar[str] = "spherical variances"
    rule: ClassVar[str] = "be a vector of shape (components,)"

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K,)."""
        return (k,)

    @classmethod
    def pooled(cls, variances: Array, counts: Array | None = None) -> Array:
        """Return the mean variance of each component."""
        return np.asarray(variances.mean(axis=1))


class _IncompleteFrames(IncompleteFrames):
    """Frames of any patterns: what is missing has the component's own moments."""

    def __init__(self, variances: Array, y: Array, offsets: Array, log_weights: Array) -> None:
        self.variances, self.offsets = variances, offsets
        self.missing = np.isnan(y).astype(np.float64)
        self.y = np.nan_to_num(y, nan=0.0)
        precisions = 1.0 / variances
        constants = np.log(2 * np.pi * variances) + offsets**2 * precisions
        square = self.y**2 @ precisions.T - 2 * self.y @ (offsets * precisions).T
        self.joint = -0.5 * (square + (1 - self.missing) @ constants.T) + log_weights

    def moments(self, posteriors: Array) -> tuple[Array, Array]:
        unseen = posteriors.T @ self.missing
        first = posteriors.T @ self.y + unseen * self.offsets
        return first, posteriors.T @ self.y**2 + unseen * (self.variances + self.offsets**2)

    def expected(self, posteriors: Array) -> Array:
        return np.asarray(self.y + self.missing * (posteriors @ self.offsets))

    def drawn(self, components: Array, rng: np.random.Generator) -> Array:
        normal = rng.standard_normal(self.y.shape)
        draw = self.offsets[components] + normal * np.sqrt(self.variances)[components]
        return np.asarray(self.y + self.missing * draw)


def _of_one(precisions: Array, logarithms: float, y: Array) -> Array:
    """Return the log density of frames y (n, D) under one component at the origin, shape (n, 1)."""
    joint = (y * y) @ precisions
    joint += logarithms
    joint *= -0.5
    return np.asarray(joint[:, None])


def _expanded(square: Array, linear: Array, constant: Array, y: Array) -> Array:
    """Return square y**2 + linear y + constant of frames y (n, D) as (n, K); the arrays are (K, D), and (K, 1).

    A square of shape (K, 1) counts for all dimensions.
    """
    joint = square * np.einsum("nd,nd->n", y, y) if square.shape[1] < y.shape[1] else square @ (y * y).T
    joint += linear @ y.T
    joint += constant
    return np.asarray(joint.T)

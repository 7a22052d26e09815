"""The protocol of covariances: what a kind of covariance answers so that everything else works with it.

A covariance knows how frames spread around the means of K components, and no more: the means come as an argument.
Symbols: N frames, n of one block, K components, D dimensions; y = x - origin; offsets = means - origin.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numpy as np

from speechgmm.checks import Array, floats, hold, refuse
from speechgmm.looks import Shown
from speechgmm.mixture.e_step import EStep

LEAST = 1e-306
"""The least variance: its inverse is still a double, and a variance of the largest frames lies below that inverse."""


@cache
def _only_field(kind: type) -> str:
    """Return the name of the one array of a kind of covariance."""
    return fields(kind)[0].name


@dataclass(frozen=True, eq=False)
class Covariance(Shown, ABC):
    """The protocol: a frozen dataclass of one array.

    Attributes
    ----------
    independent : bool
        Whether features are independent, given the component.
    shared : bool
        Whether all components have one covariance in common.
    """

    independent: ClassVar[bool]
    shared: ClassVar[bool] = False
    named: ClassVar[str] = "covariance parameters"
    rule: ClassVar[str] = "have the shape that their class states"
    """What the parameters are called in messages, and what these say if their shape is wrong."""

    def __post_init__(self) -> None:
        """Check the parameters and hold them as read-only float64."""
        name = _only_field(type(self))
        a = floats(getattr(self, name), self.named, largest=1 / LEAST)
        if a.ndim != len(self.shape(1, 1)) or not a.size or a.shape != self.shape(a.shape[0], a.shape[-1]):
            refuse(self.named, self.rule, f"shape {a.shape}")
        hold(self, **{name: self.checked(a)})

    @classmethod
    def computed(cls, parameters: Array) -> Self:
        """Return a covariance of float64 parameters that were just made and are known to be valid, without checks."""
        made = object.__new__(cls)
        hold(made, **{_only_field(cls): parameters})
        return made

    @cached_property
    def parameters(self) -> Array:
        """The one array that a covariance holds."""
        return np.asarray(getattr(self, _only_field(type(self))))

    @staticmethod
    @abstractmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return the shape of the parameters of K components in D dimensions: no scalar, K only first, D last."""

    @classmethod
    def n_parameters(cls, k: int, d: int) -> int:
        """Return how many numbers the covariance of K components in D dimensions is free to choose."""
        return math.prod(cls.shape(k, d))

    @classmethod
    @abstractmethod
    def checked(cls, parameters: Array) -> Array:
        """Return finite parameters of a right shape, or refuse what is no covariance."""

    @classmethod
    @abstractmethod
    def of(cls, variances: Array) -> Self:
        """Return the covariance of this kind that is nearest to independent features of variances (K, D)."""

    def take(self, indices: Array) -> Self:
        """Return the covariance of the components with these indices."""
        return self if self.shared else type(self)(self.parameters[indices])  # type: ignore[call-arg]

    @abstractmethod
    def dense(self, k: int, d: int) -> Array:
        """Return the covariance matrix of each of K components in D dimensions, shape (K, D, D)."""

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

    # What EM needs.

    def e_step(self, weights: Array, offsets: Array, origin: Array, dtype: Any) -> EStep:
        """Return a mixture made ready for frames of a type: here, in the plain form for all types."""
        return EStep(self, weights, offsets, origin)

    @abstractmethod
    def log_densities(self, offsets: Array) -> Callable[[Array], Array]:
        """Return the function of frames y (n, D) that gives log N(y; offset_k, covariance_k), shape (n, K)."""

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Return log N(y; offset_k, covariance_k), shape (n, K)."""
        return self.log_densities(offsets)(y)

    @abstractmethod
    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum over frames of posterior * y y', as much of it as this kind keeps."""

    def log_likelihood_of(self, offsets: Array, counts: Array, first: Array, second: Array) -> float | None:
        """Return the sum of log N(y; offset, covariance) over the frames of one component, from their moments.

        None stands for a kind, or a scale, for which the moments do not give it to rounding.
        """
        return None

    @abstractmethod
    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return the second moments about the origin of so many frames (K,) imagined in each component."""

    @classmethod
    @abstractmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return raw covariance parameters about the given offsets; components without counts may give NaN."""

    @abstractmethod
    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Return this covariance with new values where not `keep` (K,), and how many of them were clipped.

        `floor`, broadcastable to (K, D), is the least variance; with `add` it is added to the new values instead.
        """

    # What merging, missing values, variational Bayes and scikit-learn's attributes need.

    @staticmethod
    def merged(second: Array, member: Array) -> Array:
        """Return the second moments of groups, where `member` (G, K) is 1 for the components of each, else 0."""
        return np.tensordot(member, second, axes=1)

    @abstractmethod
    def incomplete(self, y: Array, offsets: Array, log_weights: Array) -> "IncompleteFrames":
        """Return incomplete frames (n, D), NaN where missing, under a mixture.

        Where features are correlated, the same entries are missing in all n frames.
        """

    @abstractmethod
    def wishart_blocks(self) -> Array:
        """Return the independent blocks whose inverses have Wishart priors, shape (G, B, P, P).

        G is K, or 1 where the covariance is shared. A block stands for D / (B P) dimensions.
        """

    @classmethod
    @abstractmethod
    def from_precisions(cls, precisions: Array) -> Self:
        """Return the covariance whose inverse is given, in the shape of the parameters."""

    @classmethod
    @abstractmethod
    def from_precisions_cholesky(cls, factors: Array) -> Self:
        """Return the covariance whose `precisions_cholesky` are given."""

    @property
    @abstractmethod
    def precisions(self) -> Array:
        """The inverse, in the shape of the parameters."""

    @property
    @abstractmethod
    def precisions_cholesky(self) -> Array:
        """Upper triangular U with precision = U U', or the square root of precisions, in the parameters' shape."""


class IncompleteFrames(ABC):
    """Some incomplete frames under a mixture: `joint` (n, K) is log(weight * density of what was observed)."""

    joint: Array

    @abstractmethod
    def moments(self, posteriors: Array) -> tuple[Array, Array]:
        """Return the expected first and second moments."""

    @abstractmethod
    def expected(self, posteriors: Array) -> Array:
        """Return the conditional expectation (n, D) of the frames, relative to the origin."""

    @abstractmethod
    def drawn(self, components: Array, rng: np.random.Generator) -> Array:
        """Return the frames (n, D) with what is missing drawn from the components (n,) named."""

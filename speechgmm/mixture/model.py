"""GMM: the parameters of a Gaussian mixture as one frozen value. Symbols: N frames, K components, D dimensions."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import LARGEST, Array, floats, hold, instance, integer, matrix, number_of, refuse, sample_weights
from speechgmm.looks import MOST_ROWS, Look, Shown, some_rows
from speechgmm.mixture.covariance import COVARIANCES, Covariance, Full
from speechgmm.mixture.e_step import EStep
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread
from speechgmm.storage import load, save

_FEATURES = 3
"""So many features of a component a notebook shows."""
WITHIN = 1e12
"""Deviations, and distances in deviations, whose squares and products float32 holds with room: see `check_reach`."""

COMPILED_FROM = {np.dtype(np.float32): 1 << 20, np.dtype(np.float64): 1 << 23}
"""N K D of one call from which the E-step is the compiled one, if there is one: a question of the data alone.

NumPy by itself, in float64, takes no longer than scikit-learn, and a call of less no longer than the compiler takes to
load. In float32, which is how speech comes, the compiled loops are much faster.
"""


@dataclass(frozen=True, eq=False)
class Sample(Shown):
    """Draws from a mixture: `frames` (N, D) and the index of the component (N,) that gave each."""

    frames: Array
    components: Array


@dataclass(frozen=True, eq=False)
class GMM(Shown):
    """A Gaussian mixture.

    Parameters
    ----------
    weights : array_like, shape (K,)
        At least 0, with sum 1.
    means : array_like, shape (K, D)
    covariance : Covariance
        `Diagonal`, `Spherical`, `Tied` or `Full`; for example ``Diagonal(variances)``.
    origin : array_like, shape (D,), optional
        The point about which statistics are taken; default: the mean of the mixture. It never changes the density;
        near the data it keeps large offsets from costing precision.

    Raises
    ------
    InvalidInput
        If shapes disagree, an entry is not finite, or the weights are no distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal(np.ones((2, 1))))
    >>> gmm.posteriors([[0.0]])
    array([[0.5, 0.5]])
    """

    KIND: ClassVar = "a mixture"

    weights: Array
    means: Array
    covariance: Covariance
    origin: Array = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Check the parameters and hold them as read-only float64."""
        means, weights = floats(self.means, "means", largest=LARGEST), floats(self.weights, "weights")
        if means.ndim != 2 or not means.size:
            refuse("means", "be a matrix of shape (components, dimensions)", f"shape {means.shape}")
        if weights.shape != means.shape[:1]:
            refuse("weights", f"have shape ({len(means)},), as the means say", f"shape {weights.shape}")
        if weights.min() < 0 or abs(weights.sum() - 1) > 1e-6:
            found = f"minimum {weights.min():g}, sum {weights.sum():g}"
            refuse("weights", f"be {len(means)} numbers of at least 0 with sum 1", found)
        instance(self.covariance, "the covariance", Covariance, "Give one such as Diagonal(variances).")
        if self.covariance.parameters.shape != self.covariance.shape(*means.shape):
            refuse("the covariance", f"fit means of shape {means.shape}", self.covariance.parameters.shape)
        given = weights @ means if self.origin is None else self.origin
        hold(self, weights=weights, means=means, origin=floats(given, "origin", shape=means.shape[1:], largest=LARGEST))

    @classmethod
    def computed(cls, weights: Array, means: Array, covariance: Covariance, origin: Array) -> Self:
        """Return a mixture of what an M-step has just made of valid statistics: held as it is, without checks.

        Training makes thousands of them; the constructor is the door for all that comes from outside.
        """
        made = object.__new__(cls)
        hold(made, weights=weights, means=means, covariance=covariance, origin=origin)
        return made

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_dimensions(self) -> int:
        """D."""
        return int(self.means.shape[1])

    def _look(self) -> Look:
        k, d = self.n_components, self.n_dimensions
        kind = type(self.covariance).__name__.lower()
        words = number_of(k, "component"), number_of(d, "feature"), kind
        deviations = np.broadcast_to(self.covariance.deviations(), (k, d))
        shown = range(min(d, _FEATURES))
        header = (">weight", *(f">{what} {i}" for what in ("mean", "deviation") for i in shown))
        heaviest = np.argsort(-self.weights, kind="stable")[:MOST_ROWS]
        rows = [[f"{v:.4g}" for v in (self.weights[c], *self.means[c, shown], *deviations[c, shown])] for c in heaviest]
        caption = "the heaviest components" + (f", {_FEATURES} of {d} features" if d > _FEATURES else "")
        return Look(words, tables=(some_rows(caption, header, rows, of=k),))

    @functools.cached_property
    def offsets(self) -> Array:
        """The means relative to the origin, shape (K, D)."""
        offsets = np.asarray(self.means - self.origin)
        offsets.setflags(write=False)
        return offsets

    @functools.cached_property
    def moments_shape(self) -> tuple[int, ...]:
        """The shape of second moments under this mixture."""
        return self.covariance.imagined(self.offsets, np.zeros(self.n_components)).shape

    @property
    def covariance_matrices(self) -> Array:
        """The covariance matrix of each component, shape (K, D, D), whatever the kind."""
        return self.covariance.dense(*self.means.shape)

    def e_step(self, dtype: Any) -> EStep:
        """Return this mixture made ready for frames of a type: kept, for each block asks for the same."""
        return self._e_step_of_float32 if dtype == np.float32 else self._e_step_of_float64

    @functools.cached_property
    def plain_e_step(self) -> EStep:
        """The mixture made ready for frames of any type, in float64."""
        return EStep(self.covariance, self.weights, self.offsets, self.origin)

    @functools.cached_property
    def _e_step_of_float32(self) -> EStep:
        return self.covariance.e_step(self.weights, self.offsets, self.origin, np.float32)

    @functools.cached_property
    def _e_step_of_float64(self) -> EStep:
        return self.covariance.e_step(self.weights, self.offsets, self.origin, np.float64)

    def e_step_for(self, frames: Array) -> EStep:
        """Return the E-step for these frames: the plain one where they are few."""
        few = len(frames) * self.means.size < COMPILED_FROM[frames.dtype]
        return self.plain_e_step if few else self.e_step(frames.dtype)

    def log_density(self, x: ArrayLike) -> Array:
        """Return the log density of each frame of `x` (N, D), shape (N,), in nats."""
        frames = self._check(x)
        return self.e_step_for(frames).log_density(frames)

    def labels(self, x: ArrayLike) -> Array:
        """Return the number of the most probable component of each frame of `x` (N, D), shape (N,)."""
        return self.plain_e_step.labels(self._check(x))

    def posteriors(self, x: ArrayLike) -> Array:
        """Return the posterior probability of each component for each frame of `x` (N, D), shape (N, K)."""
        return self.plain_e_step.posteriors(self._check(x))

    def statistics(self, x: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Statistics:
        """Return the sufficient statistics of the frames of `x` (N, D): the E-step.

        With `sample_weight` (N,), finite and at least 0, each frame counts so many times. This takes the plain path
        in float64.
        """
        frames = self._check(x)
        return self.summed(frames, None if sample_weight is None else sample_weights(sample_weight, len(frames)))

    def summed(self, frames: Array, weights: Array | None = None) -> Statistics:
        """Return what `statistics` does of frames and weights that have been checked: those of a fit, once for all."""
        e_step = self.e_step_for(frames) if weights is None else self.plain_e_step
        return e_step.statistics(frames, weights)

    def assigned(self, x: ArrayLike, posteriors: ArrayLike) -> Statistics:
        """Return the statistics of frames `x` (N, D) whose posteriors (N, K) are given, such as labels of clusters.

        The log-likelihood is 0: nothing was asked of this mixture but its kind of covariance and its origin.
        """
        frames, p = self._check(x), matrix(posteriors, "posteriors", dimensions=self.n_components, minimum=0)
        if len(p) != len(frames) or p.min(initial=0.0) < 0:
            rule = f"be at least 0, one row for each of {len(frames)} frames"
            refuse("posteriors", rule, f"shape {p.shape}, minimum {p.min(initial=0.0):g}")
        return self.plain_e_step.assigned(frames, p)

    def imagined(self, counts: ArrayLike | None = None) -> Statistics:
        """Return the statistics of frames imagined in each component, one or `counts` (K,): what a prior is made of."""
        n = np.ones(self.n_components) if counts is None else np.array(counts, dtype=np.float64)
        first, second = n[:, None] * self.offsets, self.covariance.imagined(self.offsets, n)
        return Statistics.computed(self.origin, n, first, second, 0.0, 0.0)

    def check_reach(self, what: str) -> None:
        """Refuse a mixture whose densities float32 cannot hold, in which speech is scored; `what` names it."""
        deviations = np.broadcast_to(self.covariance.deviations(), self.means.shape)
        low, high, far = deviations.min(), deviations.max(), (np.abs(self.offsets) / deviations).max()
        if not (low >= 1 / WITHIN and high <= WITHIN and far <= WITHIN):
            rule = (
                f"have deviations from {1 / WITHIN:g} to {WITHIN:g}, and means within {WITHIN:g} of them of its origin"
            )
            refuse(what, rule, f"deviations from {low:g} to {high:g}, means at up to {far:g}")

    def with_means(self, means: Array) -> Self:
        """Return the mixture with other means (K, D)."""
        return replace(self, means=means)

    def seen(self, x: Array) -> list[Array]:
        """Return what each mixture of a background model sees of frames (N, D); this one is alone and sees all."""
        return [x]

    @property
    def parts(self) -> tuple["GMM", ...]:
        """The mixtures of a background model: this one is alone."""
        return (self,)

    @property
    def shares(self) -> Array:
        """What each mixture of a background model weighs: this one is alone."""
        return np.ones(1)

    def take(self, indices: ArrayLike) -> "GMM":
        """Return the mixture of the components with these indices, their weights scaled to sum 1."""
        i = np.asarray(indices)
        w = self.weights[i]
        return replace(self, weights=w / w.sum(), means=self.means[i], covariance=self.covariance.take(i))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file; the same mixture gives the same bytes.

        Raises
        ------
        InvalidInput
            If the file cannot be written.
        """
        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *types: type) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
        types : type
            Kinds of covariance that are not of this package: nothing else is built from a file.

        Raises
        ------
        InvalidInput
            If the file is missing, damaged, or no speechgmm file.
        IncompatibleModel
            If it holds something else, or was written by a later version.
        """
        return cast(Self, load(path, cls, *COVARIANCES.values(), *types))

    def marginal(self, features: Sequence[int]) -> "GMM":
        """Return the mixture of d of the features, in this order, the others integrated out, with full covariances.

        Parameters
        ----------
        features : sequence of int
            Different numbers from 0 to D - 1.

        Raises
        ------
        InvalidInput
            If features are none, not different, or not among those of the mixture.

        Examples
        --------
        >>> from speechgmm.mixture import Diagonal
        >>> gmm = GMM([0.5, 0.5], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], Diagonal([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
        >>> one = gmm.marginal([2])
        >>> one.means.ravel().tolist(), one.covariance.parameters.ravel().round(6).tolist()
        ([2.0, 5.0], [3.0, 6.0])
        """
        i = [integer(f, "each of features", minimum=0, maximum=self.n_dimensions - 1) for f in features]
        if not i or len(set(i)) < len(i):
            refuse("features", "be different numbers, one at least", i)
        return GMM(self.weights, self.means[:, i], Full(self.covariance_matrices[:, i][:, :, i]), self.origin[i])

    @one_thread
    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Sample:
        """Draw `n` frames.

        Parameters
        ----------
        n : int
            How many; at least 1.
        seed : int or numpy.random.Generator
            The same seed gives the same frames.
        """
        rng = np.random.default_rng(seed)
        size = integer(n, "n", minimum=1)
        components = rng.choice(self.n_components, size=size, p=self.weights / self.weights.sum())
        normal = rng.standard_normal((size, self.n_dimensions))
        return Sample(self.means[components] + self.covariance.colored(normal, components), components)

    def _check(self, x: ArrayLike) -> Array:
        return matrix(x, dimensions=self.n_dimensions, minimum=0, tiny=True)

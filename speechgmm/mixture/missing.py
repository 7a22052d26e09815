"""Missing values: an E-step that leaves NaN entries out exactly, and imputation.

Z. Ghahramani and M. I. Jordan, "Supervised learning from incomplete data via an EM approach" (1994), section 2.2:
posteriors come from the marginal density of what was observed, and the moments of what was not are its conditional
mean and, for the second moments, conditional covariance. The statistics are of the same kind as those of complete rows,
so EM, adaptation and everything else go on as ever.

A row without any observed entry says nothing: its log density is 0, its posteriors are the weights, and statistics
leave it out. Symbols: N frames, K components, D dimensions; O of these observed and M missing; y = x - origin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import matrix, sample_weights
from speechgmm.mixture.covariance import BLOCK, log_sum
from speechgmm.mixture.em import statistics_of
from speechgmm.mixture.matrices import Full, Tied, square_root
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

Array = NDArray[Any]

__all__ = ["Incomplete", "impute", "observed_statistics"]


@dataclass(frozen=True, eq=False)
class Incomplete:
    """A mixture that reads NaN as missing: the door for incomplete rows, which `GMM` itself refuses.

    Parameters
    ----------
    model : GMM

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Full
    >>> gmm = GMM([1.0], [[0.0, 0.0]], Full([[[1.0, 0.8], [0.8, 1.0]]]))
    >>> impute(gmm, [[2.0, np.nan]])
    array([[2. , 1.6]])
    """

    model: GMM

    @one_thread
    def log_density(self, x: ArrayLike) -> Array:
        """Return the log density of the observed entries of each frame of `x` (N, D), shape (N,), in nats."""
        frames, complete = _split(self.model, x)
        result = np.zeros(len(frames))
        result[complete] = self.model.log_density(frames[complete])
        for rows, part in _parts(self.model, frames, ~complete):
            result[rows] = log_sum(part.joint)[0]
        return result

    @one_thread
    def posteriors(self, x: ArrayLike) -> Array:
        """Return the posterior of each component given the observed entries of `x` (N, D), shape (N, K)."""
        frames, complete = _split(self.model, x)
        result = np.tile(self.model.weights, (len(frames), 1))
        result[complete] = self.model.posteriors(frames[complete])
        for rows, part in _parts(self.model, frames, ~complete):
            result[rows] = log_sum(part.joint)[1]
        return result

    @one_thread
    def statistics(self, x: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Statistics:
        """Return the expected sufficient statistics of the frames of `x` (N, D): the E-step.

        Without any NaN these are the bits of ``GMM.statistics``.
        """
        model = self.model
        frames, complete = _split(model, x)
        if complete.all():
            return model.statistics(frames, sample_weight=sample_weight)
        shares = np.ones(len(frames)) if sample_weight is None else sample_weights(sample_weight, len(frames))
        weighted = None if sample_weight is None else shares[complete]
        result = model.statistics(frames[complete], sample_weight=weighted)
        for rows, part in _parts(model, frames, ~complete):
            log_likelihood, posteriors = log_sum(part.joint)
            share = shares[rows]
            posteriors *= share[:, None]
            counts, likelihood = posteriors.sum(axis=0), float(log_likelihood @ share)
            result += Statistics(model.origin, counts, *part.moments(posteriors), likelihood, float(share.sum()))
        return result


def observed_statistics(model: GMM, block: Any) -> Statistics:
    """Return the statistics of a block in which NaN is what was not observed: an E-step for `fit`."""
    statistics: Statistics = statistics_of(Incomplete(model), block)
    return statistics


@one_thread
def impute(model: GMM, x: ArrayLike, *, seed: int | np.random.Generator | None = None) -> Array:
    """Return `x` (N, D) as float64 with each NaN replaced by what the mixture expects there.

    Parameters
    ----------
    model : GMM
    x : array_like, shape (N, D)
    seed : int or numpy.random.Generator, optional
        Draw from the conditional distribution instead of taking its mean: several draws show how sure the mixture is,
        and keep the spread of the data. Default: the conditional expectation, which has the least squared error.
    """
    frames, complete = _split(model, x)
    result = frames.astype(np.float64)
    rng = None if seed is None else np.random.default_rng(seed)
    empty = np.isnan(frames).all(axis=1)
    if rng is None:
        result[empty] = model.weights @ model.means
    elif empty.any():
        result[empty] = model.sample(int(empty.sum()), rng).frames
    for rows, part in _parts(model, frames, ~complete):
        posteriors = log_sum(part.joint)[1]
        if rng is None:
            filled = part.expected(posteriors)
        else:
            bounds = posteriors.cumsum(axis=1)
            chosen = (rng.random((len(rows), 1)) * bounds[:, -1:] >= bounds).sum(axis=1)
            filled = part.drawn(chosen, rng)
        result[rows] = np.where(np.isnan(frames[rows]), filled + model.origin, frames[rows])
    return result


class _Part(ABC):
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


class _Independent(_Part):
    """Frames of any patterns where features are independent: what is missing has the component's own moments."""

    def __init__(self, model: GMM, y: Array) -> None:
        self.offsets = model.offsets
        self.variances = np.broadcast_to(model.covariance.deviations() ** 2, self.offsets.shape)
        self.missing = np.isnan(y).astype(np.float64)
        self.y = np.nan_to_num(y, nan=0.0)
        precisions = 1.0 / self.variances
        constants = np.log(2 * np.pi * self.variances) + self.offsets**2 * precisions
        square = self.y**2 @ precisions.T - 2 * self.y @ (self.offsets * precisions).T
        self.joint = -0.5 * (square + (1 - self.missing) @ constants.T) + _log(model.weights)

    def moments(self, posteriors: Array) -> tuple[Array, Array]:
        unseen = posteriors.T @ self.missing
        first = posteriors.T @ self.y + unseen * self.offsets
        return first, posteriors.T @ self.y**2 + unseen * (self.variances + self.offsets**2)

    def expected(self, posteriors: Array) -> Array:
        result: Array = self.y + self.missing * (posteriors @ self.offsets)
        return result

    def drawn(self, components: Array, rng: np.random.Generator) -> Array:
        normal = rng.standard_normal(self.y.shape)
        draw = self.offsets[components] + normal * np.sqrt(self.variances)[components]
        result: Array = self.y + self.missing * draw
        return result


class _Correlated(_Part):
    """Frames of one pattern where features are correlated: what is missing is regressed on what was observed."""

    def __init__(self, model: GMM, y: Array) -> None:
        self.tied = isinstance(model.covariance, Tied)
        c = np.atleast_3d(model.covariance.parameters.T).T  # (1, D, D) or (K, D, D)
        o, self.m = np.flatnonzero(~np.isnan(y[0])), np.flatnonzero(np.isnan(y[0]))
        lower = np.linalg.cholesky(c[:, o[:, None], o])
        inverse = np.linalg.inv(lower)
        regression = inverse @ c[:, o[:, None], self.m]  # (., O, M), of the whitened frames
        self.residual = c[:, self.m[:, None], self.m] - regression.transpose(0, 2, 1) @ regression
        z = (y[None, :, o] - model.offsets[:, None, o]) @ inverse.transpose(0, 2, 1)  # (K, n, O)
        self.completed = np.repeat(y[None], len(model.weights), axis=0)
        self.completed[:, :, self.m] = model.offsets[:, None, self.m] + z @ regression
        half = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        constant = _log(model.weights) - 0.5 * len(o) * np.log(2 * np.pi) - half
        self.joint = constant - 0.5 * (z**2).sum(axis=2).T

    def moments(self, posteriors: Array) -> tuple[Array, Array]:
        p = posteriors.T[:, :, None]
        first = (p * self.completed).sum(axis=1)
        weighted = np.sqrt(p) * self.completed
        second = weighted.transpose(0, 2, 1) @ weighted
        second[:, self.m[:, None], self.m] += posteriors.sum(axis=0)[:, None, None] * self.residual
        return first, second.sum(axis=0, keepdims=True) if self.tied else second

    def expected(self, posteriors: Array) -> Array:
        result: Array = (posteriors.T[:, :, None] * self.completed).sum(axis=0)
        return result

    def drawn(self, components: Array, rng: np.random.Generator) -> Array:
        result = self.completed[components, np.arange(len(components))]
        roots = square_root(self.residual)[np.zeros_like(components) if self.tied else components]
        normal = rng.standard_normal((len(components), len(self.m)))
        result[:, self.m] += np.einsum("nij,nj->ni", roots, normal)
        return result


def _split(model: GMM, x: ArrayLike) -> tuple[Array, Array]:
    """Return the checked frames, and which of them are complete."""
    frames = matrix(x, dimensions=model.n_dimensions, minimum=0, missing=True, tiny=True)
    complete: Array = np.logical_not(np.isnan(frames).any(axis=1))
    return frames, complete


def _parts(model: GMM, frames: Array, incomplete: Array) -> Iterator[tuple[Array, _Part]]:
    """Yield the incomplete frames that are not empty, in an order that the data alone fix: row numbers and their part.

    Where features are independent the patterns need no order; where not, frames of one pattern go together.
    """
    unseen = np.isnan(frames)
    rows = np.flatnonzero(incomplete & ~unseen.all(axis=1))
    correlated = isinstance(model.covariance, (Full, Tied))
    if correlated and len(rows):
        _, pattern = np.unique(np.packbits(unseen[rows], axis=1), axis=0, return_inverse=True)
        rows = rows[np.argsort(pattern.ravel(), kind="stable")]
        groups = np.split(rows, np.flatnonzero((np.diff(unseen[rows], axis=0)).any(axis=1)) + 1)
    else:
        groups = [rows]
    for group in groups:
        for start in range(0, len(group), BLOCK):
            some = group[start : start + BLOCK]
            y = frames[some].astype(np.float64) - model.origin
            with np.errstate(over="ignore", invalid="ignore"):  # `log_sum` refuses what is out of reach
                part = _Correlated(model, y) if correlated else _Independent(model, y)
            yield some, part


def _log(weights: Array) -> Array:
    """Return the logarithms of weights, -inf for zero."""
    with np.errstate(divide="ignore"):
        result: Array = np.log(weights)
    return result

"""Missing values: an E-step that leaves NaN entries out exactly, and imputation.

Z. Ghahramani and M. I. Jordan, "Supervised learning from incomplete data via an EM approach" (1994), section 2.2:
posteriors come from the marginal density of what was observed, and the moments of what was not are its conditional
mean and, for the second moments, conditional covariance. The statistics are of the same kind as those of complete rows,
so EM, adaptation and everything else go on as ever.

A row without any observed entry says nothing: its log density is 0, its posteriors are the weights, and statistics
leave it out. What covariances know of incomplete frames is with them (`Covariance.incomplete`). Symbols: N frames, K
components, D dimensions; y = x - origin.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, matrix, sample_weights
from speechgmm.looks import Shown
from speechgmm.mixture.covariance import IncompleteFrames
from speechgmm.mixture.e_step import BLOCK, density_and_posteriors
from speechgmm.mixture.em import statistics_of
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread


@dataclass(frozen=True, eq=False)
class Incomplete(Shown):
    """A mixture that reads NaN as missing: the door for incomplete rows, which `GMM` itself refuses.

    Parameters
    ----------
    model : GMM

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Full, impute
    >>> gmm = GMM([1.0], [[0.0, 0.0]], Full([[[1.0, 0.8], [0.8, 1.0]]]))
    >>> impute(gmm, [[2.0, np.nan]])
    array([[2. , 1.6]])
    """

    model: GMM

    @one_thread
    def log_density(self, x: ArrayLike) -> Array:
        """Return the log density of the observed entries of each frame of `x` (N, D), shape (N,), in nats."""
        return self._of_rows(x, self.model.log_density, 0, empty=np.zeros(()))

    def labels(self, x: ArrayLike) -> Array:
        """Return the number of the most probable component given what was observed of each frame, shape (N,)."""
        return np.asarray(self.posteriors(x).argmax(axis=1))

    @one_thread
    def posteriors(self, x: ArrayLike) -> Array:
        """Return the posterior of each component given the observed entries of `x` (N, D), shape (N, K)."""
        return self._of_rows(x, self.model.posteriors, 1, empty=self.model.weights)

    def _of_rows(self, x: ArrayLike, of_complete: Callable[[Array], Array], which: int, *, empty: Array) -> Array:
        """Return what is said of complete rows, of incomplete (by `density_and_posteriors`) and of empty ones."""
        frames, complete = _split(self.model, x)
        result = np.broadcast_to(empty, (len(frames), *empty.shape)).copy()
        result[complete] = of_complete(frames[complete])
        for rows, part in _parts(self.model, frames, ~complete):
            result[rows] = density_and_posteriors(part.joint)[which]
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
            log_likelihood, posteriors = density_and_posteriors(part.joint)
            share = shares[rows]
            posteriors *= share[:, None]
            counts, likelihood = posteriors.sum(axis=0), float(log_likelihood @ share)
            moments = part.moments(posteriors)
            result += Statistics.computed(model.origin, counts, *moments, likelihood, float(share.sum()))
        return result


def observed_statistics(model: GMM, block: Any) -> Statistics:
    """Return the statistics of a block in which NaN is what was not observed: an E-step for `fit`."""
    return statistics_of(Incomplete(model), block)


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

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Full
    >>> gmm = GMM([1.0], [[0.0, 0.0]], Full([[[1.0, 0.5], [0.5, 1.0]]]))
    >>> impute(gmm, [[4.0, np.nan], [np.nan, 1.0]]).round(6).tolist()
    [[4.0, 2.0], [0.5, 1.0]]
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
        posteriors = density_and_posteriors(part.joint)[1]
        if rng is None:
            filled = part.expected(posteriors)
        else:
            bounds = posteriors.cumsum(axis=1)
            chosen = (rng.random((len(rows), 1)) * bounds[:, -1:] >= bounds).sum(axis=1)
            filled = part.drawn(chosen, rng)
        result[rows] = np.where(np.isnan(frames[rows]), filled + model.origin, frames[rows])
    return result


def _split(model: GMM, x: ArrayLike) -> tuple[Array, Array]:
    """Return the checked frames, and which of them are complete."""
    frames = matrix(x, dimensions=model.n_dimensions, minimum=0, missing=True, tiny=True)
    return frames, np.logical_not(np.isnan(frames).any(axis=1))


def _parts(model: GMM, frames: Array, incomplete: Array) -> Iterator[tuple[Array, IncompleteFrames]]:
    """Yield the incomplete frames that are not empty, in an order that the data alone fix: row numbers and their part.

    Where features are independent the patterns need no order; where not, frames of one pattern go together.
    """
    unseen = np.isnan(frames)
    rows = np.flatnonzero(incomplete & ~unseen.all(axis=1))
    groups = [rows]
    if not model.covariance.independent and len(rows):
        _, pattern = np.unique(np.packbits(unseen[rows], axis=1), axis=0, return_inverse=True)
        rows = rows[np.argsort(pattern.ravel(), kind="stable")]
        groups = np.split(rows, np.flatnonzero((np.diff(unseen[rows], axis=0)).any(axis=1)) + 1)
    with np.errstate(divide="ignore"):
        log_weights = np.log(model.weights)
    for group in groups:
        for start in range(0, len(group), BLOCK):
            some = group[start : start + BLOCK]
            y = frames[some].astype(np.float64) - model.origin
            with np.errstate(over="ignore", invalid="ignore"):  # `density_and_posteriors` refuses what is out of reach
                part = model.covariance.incomplete(y, model.offsets, log_weights)
            yield some, part

"""Starts and M-steps as scikit-learn makes them, from the same random numbers.

Symbols: N rows, K components, D features.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus

from speechgmm.checks import Array
from speechgmm.errors import InvalidInput
from speechgmm.estimators.rows import RowBlocks
from speechgmm.mixture import GMM, ArrayBlocks, Floor, Statistics, Update, initialize
from speechgmm.mixture.blocks import weighted
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.maximize import m_step
from speechgmm.parallel import total

SLACK = 10 * float(np.finfo(np.float64).eps)
"""What scikit-learn adds to the counts of components."""
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)
"""scikit-learn's words, since code that catches the error may look at them."""


@functools.lru_cache(maxsize=8)
def added(reg_covar: float) -> Floor:
    """Return the floor that adds `reg_covar` to variances, clips nothing, and leaves lost components as they are."""
    return Floor(absolute=reg_covar, relative=0.0, occupancy=0.0, reseed=False, add=True)


def maximized(statistics: Statistics, model: GMM, floor: Floor) -> Update[GMM]:
    """Return the M-step's update, or scikit-learn's error where a component has collapsed.

    As there, counts are a few units of rounding larger than they are: a component of one row keeps a variance that is
    just above zero, also where nothing is added to it.
    """
    try:
        return m_step(statistics, model, floor=floor, slack=SLACK)
    except InvalidInput as error:
        raise InvalidInput(ILL_DEFINED) from error


def first(rows: RowBlocks, k: int, *, method: str, kind: str, rng: np.random.RandomState) -> tuple[Statistics, GMM]:
    """Return the statistics that a method begins with, and the mixture against which they are taken.

    Parameters
    ----------
    rows : RowBlocks
    k : int
        K, at most N.
    method : str
        One of `METHODS`. "kmeans": k-means labels. "k-means++", "random_from_data": one row for each component.
        "random": posteriors drawn at random. "split": the heaviest components are split in two until there are K.
    kind : str
        A `covariance_type`.
    rng : numpy.random.RandomState
        Read as scikit-learn reads it, so that the same state gives the same start; "split" is not one of theirs.

    Notes
    -----
    Where values are missing, the start is that of the rows filled with the means of their features.
    """
    filled = _filled(rows)
    mean, variance = filled.mean, filled.variance
    variance = np.where(variance > 0, variance, 1.0)
    empty = GMM(np.full(k, 1 / k), np.tile(mean, (k, 1)), COVARIANCES[kind].of(np.tile(variance, (k, 1))), mean)
    if method in SEEDS:
        seeds = SEEDS[method](filled, k, rng)
        statistics = empty.assigned(filled.frames[seeds], np.eye(k))
        if empty.covariance.shared:
            statistics = replace(statistics, second=statistics.second + _of_others(filled, seeds))
        return statistics, empty
    parts = zip(map(weighted, filled), POSTERIORS[method](filled, k, rng), strict=True)
    return total(empty.assigned(b.frames, b.weights[:, None] * posteriors) for b, posteriors in parts), empty


def _kmeans(rows: RowBlocks, k: int, rng: np.random.RandomState) -> Iterator[Array]:
    labels = KMeans(k, n_init=1, random_state=rng).fit(rows.frames, sample_weight=rows.weights).labels_
    return (np.eye(k)[some] for some in ArrayBlocks(labels, rows.size))


def _random(rows: RowBlocks, k: int, rng: np.random.RandomState) -> Iterator[Array]:
    for x in RowBlocks(rows.frames):
        drawn = rng.uniform(size=(len(x), k))
        yield drawn / drawn.sum(axis=1)[:, None]


def _random_from_data(rows: RowBlocks, k: int, rng: np.random.RandomState) -> Array:
    shares = None if rows.weights is None else rows.weights / rows.weights.sum()
    return rng.choice(len(rows.frames), size=k, replace=False, p=shares)


def _plusplus(rows: RowBlocks, k: int, rng: np.random.RandomState) -> Array:
    return kmeans_plusplus(_near(rows), k, sample_weight=rows.weights, random_state=rng)[1]


def _split(rows: RowBlocks, k: int, rng: np.random.RandomState) -> Iterator[Array]:
    width = float(rows.variance.mean())
    floor = Floor(absolute=1e-10 * width if width > 0 else 1.0)
    seed = np.random.default_rng(rng.randint(2**31))
    grown = initialize(rows.frames, k, method="split", covariance="diag", seed=seed, floor=floor)
    return map(grown.posteriors, RowBlocks(rows.frames))


POSTERIORS: dict[str, Callable[[RowBlocks, int, np.random.RandomState], Iterator[Array]]] = {
    "kmeans": _kmeans,
    "random": _random,
    "split": _split,
}
"""Each gives the posteriors (n, K) of the rows of each block."""
SEEDS: dict[str, Callable[[RowBlocks, int, np.random.RandomState], Array]] = {
    "k-means++": _plusplus,
    "random_from_data": _random_from_data,
}
"""Each gives the numbers of K rows, one for each component."""
METHODS = (*POSTERIORS, *SEEDS)


def _of_others(rows: RowBlocks, seeds: Array) -> Array:
    """Return the second moments about zero of all rows but the seeds, shape (1, D, D).

    scikit-learn counts them in the tied covariance that it starts from where each component has one row.
    """
    second = np.zeros((1, rows.frames.shape[1], rows.frames.shape[1]))
    for i, block in enumerate(map(weighted, replace(rows, frames=_near(rows)))):
        others = ~np.isin(np.arange(i * rows.size, i * rows.size + len(block.frames)), seeds)
        y = block.frames[others].astype(np.float64)
        second += y.T @ (y if rows.weights is None else y * block.weights[others, None])
    return second


def _filled(rows: RowBlocks) -> RowBlocks:
    """Return rows in which means stand for missing values, in float64 where float32 cannot hold their squares."""
    x = rows.frames
    if rows.incomplete:
        x = np.where(np.isnan(x), rows.mean, x).astype(x.dtype)
    if x.dtype != np.float64 and (np.abs(x).max() >= 1e15 or 0 < np.sqrt(rows.variance.max()) < 1e-15):
        x = x.astype(np.float64)
    return rows if x is rows.frames else replace(rows, frames=x)


def _near(rows: RowBlocks) -> Array:
    """Return the rows, moved to zero where they lie so far off that their squares would lose the digits that differ."""
    far = np.abs(rows.mean) > 1e4 * np.sqrt(rows.variance.max())
    return rows.frames - rows.mean if far.any() else rows.frames

"""Starts for EM as scikit-learn makes them, from the same random numbers. Symbols: N rows, K components, D features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.errors import InvalidInput
from speechgmm.estimators.em import ILL_DEFINED, maximized
from speechgmm.estimators.rows import BLOCK, Rows
from speechgmm.mixture import GMM, Floor, Statistics, Tied, initialize
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.em import total

Array = NDArray[Any]
Parts = Iterator[tuple[Array, Array]]

__all__ = ["METHODS", "first", "start"]


def start(rows: Rows, k: int, *, method: str, kind: str, floor: Floor, rng: np.random.RandomState) -> GMM:
    """Return the mixture that one M-step makes of the statistics of a method; see `first`.

    Raises
    ------
    InvalidInput
        If components collapse, or have no rows, and the floor adds nothing.
    """
    statistics, empty = first(rows, k, method=method, kind=kind, rng=rng)
    if not floor.absolute and not statistics.counts.all():
        raise InvalidInput(ILL_DEFINED)
    return maximized(statistics, empty, floor).model


def first(rows: Rows, k: int, *, method: str, kind: str, rng: np.random.RandomState) -> tuple[Statistics, GMM]:
    """Return the statistics that a method begins with, and the mixture against which they are taken.

    Parameters
    ----------
    rows : Rows
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
        statistics = empty.assigned(filled.x[seeds], np.eye(k))
        if isinstance(empty.covariance, Tied):
            statistics = replace(statistics, second=statistics.second + _of_others(filled, seeds))
        return statistics, empty
    parts = POSTERIORS[method](filled, k, rng)
    return total(empty.assigned(x, posteriors) for x, posteriors in parts), empty


def _kmeans(rows: Rows, k: int, rng: np.random.RandomState) -> Parts:
    from sklearn.cluster import KMeans

    labels = KMeans(k, n_init=1, random_state=rng).fit(rows.x, sample_weight=rows.weights).labels_
    for i, (x, weights) in enumerate(rows):
        hard = np.eye(k)[labels[i * BLOCK : i * BLOCK + len(x)]]
        yield x, hard if weights is None else hard * weights[:, None]


def _random(rows: Rows, k: int, rng: np.random.RandomState) -> Parts:
    for x, weights in rows:
        drawn = rng.uniform(size=(len(x), k))
        drawn /= drawn.sum(axis=1)[:, None]
        yield x, drawn if weights is None else drawn * weights[:, None]


def _random_from_data(rows: Rows, k: int, rng: np.random.RandomState) -> Array:
    shares = None if rows.weights is None else rows.weights / rows.weights.sum()
    return rng.choice(len(rows), size=k, replace=False, p=shares)


def _plusplus(rows: Rows, k: int, rng: np.random.RandomState) -> Array:
    from sklearn.cluster import kmeans_plusplus

    seeds: Array = kmeans_plusplus(_near(rows), k, sample_weight=rows.weights, random_state=rng)[1]
    return seeds


def _split(rows: Rows, k: int, rng: np.random.RandomState) -> Parts:
    width = float(rows.variance.mean())
    floor = Floor(absolute=1e-10 * width if width > 0 else 1.0)
    seed = np.random.default_rng(rng.randint(2**31))
    grown = initialize(rows.x, k, method="split", covariance="diag", seed=seed, floor=floor)
    for x, weights in rows:
        posteriors = grown.posteriors(x)
        yield x, posteriors if weights is None else posteriors * weights[:, None]


POSTERIORS: dict[str, Callable[[Rows, int, np.random.RandomState], Parts]] = {
    "kmeans": _kmeans,
    "random": _random,
    "split": _split,
}
"""Each gives rows and their posteriors, block by block."""
SEEDS: dict[str, Callable[[Rows, int, np.random.RandomState], Array]] = {
    "k-means++": _plusplus,
    "random_from_data": _random_from_data,
}
"""Each gives the numbers of K rows, one for each component."""
METHODS = (*POSTERIORS, *SEEDS)


def _of_others(rows: Rows, seeds: Array) -> Array:
    """Return the second moments about zero of all rows but the seeds, shape (1, D, D).

    scikit-learn counts them in the tied covariance that it starts from where each component has one row.
    """
    second = np.zeros((1, rows.x.shape[1], rows.x.shape[1]))
    for i, (x, weights) in enumerate(replace(rows, x=_near(rows))):
        others = ~np.isin(np.arange(i * BLOCK, i * BLOCK + len(x)), seeds)
        y = x[others].astype(np.float64)
        second += y.T @ (y if weights is None else y * weights[others, None])
    return second


def _filled(rows: Rows) -> Rows:
    """Return rows in which means stand for missing values, in float64 where float32 cannot hold their squares."""
    x = np.where(np.isnan(rows.x), rows.mean, rows.x).astype(rows.x.dtype) if rows.incomplete else rows.x
    largest, spread = np.abs(x).max(), np.sqrt(rows.variance.max())
    held = x.dtype == np.float64 or (largest < 1e15 and not 0 < spread < 1e-15)
    return replace(rows, x=x if held else x.astype(np.float64))


def _near(rows: Rows) -> Array:
    """Return the rows, moved to zero where they lie so far off that their squares would lose the digits that differ."""
    far = np.abs(rows.mean) > 1e4 * np.sqrt(rows.variance.max())
    return rows.x - rows.mean if far.any() else rows.x

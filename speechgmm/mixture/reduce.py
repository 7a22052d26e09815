"""Fewer components: weak ones removed, like ones merged.

To merge components is to add their statistics and to maximize: weight, mean and covariance of the mixture stay what
they were, as far as its kind of covariance tells them. Which pair is merged follows A. R. Runnalls, "Kullback-Leibler
approach to Gaussian mixture reduction", IEEE Transactions on Aerospace and Electronic Systems 43 (2007): the one with
the least bound B(i, j) on the divergence from the mixture before. Symbols: K components, D dimensions.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from speechgmm.checks import Array, integer, number, refuse
from speechgmm.looks import Shown
from speechgmm.mixture.model import GMM


@dataclass(frozen=True, eq=False)
class Reduction(Shown):
    """A smaller mixture.

    Parameters
    ----------
    model : GMM
    labels : ndarray of int, shape (K,)
        Which component of `model` each of the old ones is part of; -1 for those removed.
    cost : float
        An upper bound on the Kullback-Leibler divergence from the old mixture to the new, in nats per frame.
    """

    model: GMM
    labels: Array
    cost: float


def merge(model: GMM, i: int, j: int) -> GMM:
    """Return `model` with components i and j in one, at the place of the lower number.

    The new component has the weight, mean and covariance that the two had together (for a tied covariance: the shared
    matrix takes up what was between them), so that the mixture's own mean and covariance stay.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> pair = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [1.0]]))
    >>> merge(pair, 0, 1).covariance.variances
    array([[2.]])
    """
    k = model.n_components
    i, j = (integer(index, "a component", minimum=0, maximum=k - 1) for index in (i, j))
    if i == j:
        refuse("components that are merged", "be two", f"{i} twice")
    if model.weights[i] + model.weights[j] <= 0:
        refuse("components that are merged", "have weight", "two of weight 0", "Remove them with prune.")
    labels = np.arange(k)
    labels[max(i, j)] = min(i, j)
    return _grouped(model, np.unique(labels, return_inverse=True)[1])


def prune(model: GMM, least: float) -> GMM:
    """Return `model` without the components whose weight is below `least`; the others share their weight.

    Parameters
    ----------
    model : GMM
    least : float
        From 0 to 1. Components of weight 0 go in any case, the heaviest stays.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm = GMM([0.75, 0.24, 0.01], [[0.0], [1.0], [2.0]], Diagonal([[1.0]] * 3))
    >>> prune(gmm, 0.05).means.ravel().tolist()
    [0.0, 1.0]
    """
    strong = _strong(model, number(least, "the least weight", minimum=0.0, maximum=1.0))
    return model if strong.all() else model.take(np.flatnonzero(strong))


def reduce(model: GMM, n_components: int = 1, *, limit: float = np.inf) -> Reduction:
    """Merge the two components whose merging costs least, again and again.

    Parameters
    ----------
    model : GMM
    n_components : int
        Where to end.
    limit : float
        End also before a merger that costs more nats per frame. A hundredth of what a frame's log density varies by
        merges components that lie on each other and leaves clusters apart.

    Returns
    -------
    Reduction
        Components of weight 0 are removed first.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm = GMM([0.25, 0.25, 0.5], [[-0.1], [0.1], [9.0]], Diagonal([[1.0]] * 3))
    >>> smaller = reduce(gmm, 2)
    >>> smaller.model.weights.tolist(), smaller.labels.tolist(), smaller.cost < 0.01
    ([0.5, 0.5], [0, 0, 1], True)
    """
    integer(n_components, "n_components", minimum=1, maximum=model.n_components)
    limit = number(limit, "limit", minimum=0.0, unit=" nats")
    strong = _strong(model, 0.0)
    current, labels, cost = prune(model, 0.0), np.where(strong, np.cumsum(strong) - 1, -1), 0.0
    costs = _costs(current, range(current.n_components))
    while current.n_components > n_components:
        i, j = (int(index) for index in np.unravel_index(costs.argmin(), costs.shape))
        if costs[i, j] > limit:
            break
        cost += float(costs[i, j])
        current = merge(current, i, j)
        low, high = min(i, j), max(i, j)
        labels = np.where(labels == high, low, labels - (labels > high))
        costs = np.delete(np.delete(costs, high, axis=0), high, axis=1)
        if current.covariance.shared:  # whatever is merged, all components change
            costs = _costs(current, range(current.n_components))
            costs = np.minimum(costs, costs.T)
        else:
            costs[low] = costs[:, low] = _costs(current, [low])[low]
    return Reduction(current, labels, cost)


def _strong(model: GMM, least: float) -> Array:
    """Return which components stay (K,)."""
    strong = np.asarray((model.weights >= least) & (model.weights > 0))
    strong[model.weights.argmax()] = True
    return strong


def _costs(model: GMM, rows: Any) -> Array:
    """Return the bound B(i, j), in nats per frame, for the pairs with i in `rows`; infinite elsewhere, shape (K, K)."""
    k, shared = model.n_components, model.covariance.shared
    result = np.full((k, k), np.inf)
    for i in rows:
        for j in range(k):
            if i != j:
                pair = np.array([i, j])
                part, share = (model, 1.0) if shared else (model.take(pair), float(model.weights[pair].sum()))
                a, b = (i, j) if shared else (0, 1)
                result[i, j] = share * max(_half_entropy(merge(part, a, b)) - _half_entropy(part), 0.0)
    return result


def _half_entropy(model: GMM) -> float:
    """Return the sum of weight * log det covariance / 2, up to a constant, from the densities at the means."""
    zero = np.zeros((1, model.n_dimensions))
    at_means = model.covariance.log_components(zero, np.zeros_like(model.means))[0]
    return -float(model.weights @ at_means)


def _grouped(model: GMM, labels: Array) -> GMM:
    """Return the mixture whose components are sums of the old ones' moments; `labels` (K,) count from 0."""
    n = int(labels.max()) + 1
    member = np.equal.outer(np.arange(n), labels).astype(np.float64)
    weights = member @ model.weights
    first = member @ (model.weights[:, None] * model.offsets)
    second = model.covariance.merged(model.covariance.imagined(model.offsets, model.weights), member)
    alone = (member.sum(axis=1) == 1) | (weights == 0)
    oldest = member.argmax(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        offsets = np.where(alone[:, None], model.offsets[oldest], first / weights[:, None])
    values = model.covariance.estimate(second, first, weights, offsets)
    covariance, _ = model.covariance.take(oldest).replaced(values, alone, np.zeros((n, model.n_dimensions)))
    means = np.where(alone[:, None], model.means[oldest], offsets + model.origin)
    return replace(model, weights=weights, means=means, covariance=covariance)

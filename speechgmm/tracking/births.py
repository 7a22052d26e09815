"""Groups of points that no component explains: where new objects may be.

Flat-kernel mean shift (Fukunaga and Hostetler 1975) from the densest point, again and again. Symbols: n points, D
dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

__all__ = ["find_groups", "pair"]

REACH = 2.5
"""How far a group reaches from its middle, in standard deviations: a filled ellipse ends at 2, and with margin."""


def find_groups(points: Array, weights: Array, scale: Array, least: float) -> list[Array]:
    """Return the indices of points that lie together, group by group, the densest (by their weight) first.

    Parameters
    ----------
    points : ndarray, shape (n, D)
    weights : ndarray, shape (n,)
    scale : ndarray, shape (D,)
        The standard deviations of a usual group.
    least : float
        The least weight of a group; the search ends with the first that has less.
    """
    from scipy.spatial import KDTree

    groups: list[Array] = []
    z, rest = points / scale, np.flatnonzero(weights > 0)
    while weights[rest].sum() >= least:
        tree = KDTree(z[rest])
        near = tree.query_pairs(1.0, output_type="ndarray")
        crowd, w = weights[rest].astype(np.float64), weights[rest]
        np.add.at(crowd, near[:, 0], w[near[:, 1]])
        np.add.at(crowd, near[:, 1], w[near[:, 0]])
        middle = z[rest[int(crowd.argmax())]]
        for _ in range(10):
            inside = rest[tree.query_ball_point(middle, REACH, return_sorted=True)]
            moved = weights[inside] @ z[inside] / weights[inside].sum()
            if np.allclose(moved, middle, atol=1e-3):
                break
            middle = moved
        if weights[inside].sum() < least:
            break
        groups.append(inside)
        rest = np.setdiff1d(rest, inside, assume_unique=True)
    return groups


def pair(a: Array, b: Array, limits: Array) -> list[tuple[int, int]]:
    """Return pairs (i, j) of nearest rows of `a` (n, D) and `b` (m, D), each used once, within `limits` (n,).

    The nearest pair of all is taken first.
    """
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    distance[distance > np.asarray(limits)[:, None]] = np.inf
    pairs = []
    while distance.size and np.isfinite(distance.min()):
        i, j = (int(index) for index in np.unravel_index(distance.argmin(), distance.shape))
        pairs.append((i, j))
        distance[i, :], distance[:, j] = np.inf, np.inf
    return pairs

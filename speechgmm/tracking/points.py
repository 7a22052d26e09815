"""Points of a video frame, and the groups that they form: a group that no object explains may be a new one.

Flat-kernel mean shift (Fukunaga and Hostetler 1975) from the densest point, again and again. Symbols: n points, D
dimensions.
"""

from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, finite, hold, matrix, numeric, refuse
from speechgmm.looks import Shown

REACH = 2.5
"""How far a group reaches from its middle, in standard deviations: a filled ellipse ends at 2, and with margin.

0.02 to 0.58 (see `track.py`): half of an object is two objects."""
NEAR = 1.0
"""Where points lie densest is told by how many are within one deviation of each. No change."""
MOVES, CLOSE = 10, 1e-3
"""Mean shift ends after so many moves, or with one shorter than this (in deviations). No change."""


@dataclass(frozen=True, eq=False)
class WeightedPoints(Shown):
    """Points of one video frame with weights, such as pixels with their intensities.

    Parameters
    ----------
    positions : array_like, shape (n, D)
        n may be 0.
    weights : array_like, shape (n,), optional
        At least 0: a point of weight 2 counts as two points. Default: 1 each.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import Diagonal
    >>> from speechgmm.tracking import WeightedPoints, track
    >>> places = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = list(track(Diagonal([[1.0, 1.0]]), [WeightedPoints(places, np.full(50, 0.5))] * 3))
    >>> found[-1].identities.tolist()
    [0]
    """

    positions: Array
    weights: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Check both, and hold them as float64."""
        positions = matrix(self.positions, "positions", minimum=0).astype(np.float64)
        given = np.ones(len(positions)) if self.weights is None else numeric(self.weights, "the weights of points")
        weights = finite(given, "the weights of points").astype(np.float64)
        if weights.shape != positions.shape[:1]:
            refuse("the weights of points", f"have shape ({len(positions)},), as the positions say", weights.shape)
        if weights.min(initial=0.0) < 0:
            refuse("the weights of points", "be at least 0", f"{weights.min():g}")
        hold(self, positions=positions, weights=weights)


@dataclass(frozen=True, eq=False)
class Groups(Shown):
    """Groups of points: the `indices` of each one's points, their weighted means (m, D) and sums of weights (m,)."""

    indices: list[Array]
    means: Array
    weights: Array


def find_groups(y: Array, weights: Array, candidates: Array, scale: Array, least: float) -> Groups:
    """Return groups of points that lie together, the densest (by their weight) first.

    Parameters
    ----------
    y : ndarray, shape (n, D)
    weights : ndarray, shape (n,)
    candidates : ndarray of int
        The indices of the points that may be in a group.
    scale : ndarray, shape (D,)
        The standard deviations of a usual group.
    least : float
        The least weight of a group; the search ends with the first that has less.
    """
    from scipy.spatial import KDTree

    found: list[Array] = []
    z, rest = y / scale, candidates[weights[candidates] > 0]
    while weights[rest].sum() >= least:
        tree = KDTree(z[rest])
        near = tree.query_pairs(NEAR, output_type="ndarray")
        crowd, w = weights[rest].astype(np.float64), weights[rest]
        np.add.at(crowd, near[:, 0], w[near[:, 1]])
        np.add.at(crowd, near[:, 1], w[near[:, 0]])
        middle = z[rest[int(crowd.argmax())]]
        for _ in range(MOVES):
            inside = rest[tree.query_ball_point(middle, REACH, return_sorted=True)]
            moved = weights[inside] @ z[inside] / weights[inside].sum()
            if np.allclose(moved, middle, atol=CLOSE):
                break
            middle = moved
        if weights[inside].sum() < least:
            break
        found.append(inside)
        rest = np.setdiff1d(rest, inside, assume_unique=True)
    means = np.reshape([weights[g] @ y[g] / weights[g].sum() for g in found], (-1, y.shape[1]))
    return Groups(found, means, np.array([weights[g].sum() for g in found]))


def nearest_pairs(a: Array, b: Array, limits: Array) -> list[tuple[int, int]]:
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

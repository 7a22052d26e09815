"""Pictures of tracked objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speechgmm.checks import refuse
from speechgmm.plot.axes import axes
from speechgmm.plot.mixtures import COLORS
from speechgmm.tracking import Tracked

__all__ = ["plot_tracks"]


def plot_tracks(
    tracked: Sequence[Tracked], *, features: tuple[int, int] = (0, 1), labels: bool = True, ax: Any = None
) -> Any:
    """Draw the path of each object, thin and dotted where it was hidden, a dot at its birth and its number at the end.

    Parameters
    ----------
    tracked : sequence of Tracked
        What `track` gave, frame by frame.
    features : tuple of int
        The coordinate to the right and the one upward.
    labels : bool
        Whether to write the identities.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's. The upward axis is left as it is; for pixels, call ``ax.invert_yaxis()``.
    """
    if not tracked or any(not isinstance(t, Tracked) for t in tracked):
        refuse("tracked", "be a list of what track yields, not empty", type(tracked).__name__)
    ax = axes(ax)
    for identity in sorted({int(i) for t in tracked for i in t.identities}):
        path, visible = _path(tracked, identity, list(features))
        color = COLORS[identity % len(COLORS)]
        seen = np.where(visible[:, None], path, np.nan)
        ax.plot(*path.T, color=color, linewidth=1, linestyle=":", zorder=2)
        ax.plot(*seen.T, color=color, linewidth=2.2, zorder=3)
        ax.scatter(*path[0], s=40, color=color, edgecolors="white", zorder=4)
        if labels:
            box = {"boxstyle": "circle,pad=0.25", "facecolor": color, "edgecolor": "white"}
            ax.text(*path[-1], str(identity), color="white", fontsize=8, ha="center", va="center", bbox=box, zorder=5)
    return ax


def _path(tracked: Sequence[Tracked], identity: int, features: list[int]) -> tuple[Any, Any]:
    """Return where an object was (n, 2), and in which of these frames it was seen (n,)."""
    path, visible = [], []
    for t in tracked:
        for k in np.flatnonzero(t.identities == identity):
            assert t.mixture is not None
            path.append(t.mixture.means[k, features])
            visible.append(t.visible[k])
    return np.array(path), np.array(visible)

"""A picture of rates: a hundred people at the door for each rate that is asked, and who of them is let in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pictures

from speechgmm.plot.axes import IMPOSTOR

__all__ = ["draw"]

SIDE = 10
"""People in a row, and rows."""
OUTSIDE = "#d0d0d0"
WORDS = {"before": "The model alone", "after": "The store has learned from\nthose who are enrolled"}


def draw(found: Mapping[float, Mapping[str, Any]]) -> Any:
    """Return a figure with a row for each way and a column for each rate.

    Parameters
    ----------
    found : mapping of float to mapping
        By the rate that is asked, and by the way ("before", "after"): `strangers`, an interval of the share let in, and
        `owners`, the share of owners turned away.
    """
    ways = list(next(iter(found.values())))
    figure, axes = pictures.subplots(len(ways), len(found), (3.2 * len(found) + 0.8, 3.9 * len(ways) + 0.9))
    axes = np.reshape(axes, (len(ways), len(found)))
    for column, (rate, outcomes) in enumerate(found.items()):
        for row, way in enumerate(ways):
            _crowd(axes[row, column], rate, outcomes[way].strangers.estimate)
            let_in, turned = (_number(x) for x in (outcomes[way].strangers.estimate, outcomes[way].owners))
            told = f"strangers let in: {let_in}\nowners turned away: {turned} of 100"
            axes[row, column].set_xlabel(told, fontsize=12, labelpad=8)
        axes[0, column].set_title(f"at most {100 * rate:g} asked for", fontsize=13, pad=10)
    for row, way in enumerate(ways):
        axes[row, 0].set_ylabel(WORDS[way], fontsize=12)
    title = "Of a hundred strangers at the door, how many are let in?\n"
    figure.suptitle(title + "Red: let in. Framed: as many as were asked for.", fontsize=15)
    return figure


def _crowd(ax: Any, rate: float, share: float) -> None:
    """Draw a hundred people: those who are let in, and round as many as were asked for a line."""
    places = np.arange(SIDE * SIDE)
    x, y = places % SIDE, -(places // SIDE)
    inside = places < round(100 * share)
    ax.scatter(x, y, s=210, marker=_person(), c=np.where(inside, IMPOSTOR, OUTSIDE), linewidths=0)
    asked = round(100 * rate)
    whole, rest = divmod(asked, SIDE)
    corners = [(0, 0), (SIDE, 0), (SIDE, whole), (rest, whole), (rest, whole + 1), (0, whole + 1)]
    if not rest:
        corners = [(0, 0), (SIDE, 0), (SIDE, whole), (0, whole)]
    elif not whole:
        corners = [(0, 0), (rest, 0), (rest, 1), (0, 1)]
    around = np.array([*corners, corners[0]])
    ax.plot(around[:, 0] - 0.5, 0.5 - around[:, 1], color="black", linewidth=1.6, clip_on=False)
    ax.set(xlim=(-0.6, SIDE - 0.4), ylim=(-SIDE + 0.4, 0.6), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def _person() -> Any:
    """Return a marker: head and shoulders."""
    from matplotlib.path import Path

    head, body = Path.circle((0.0, 0.55), 0.38), Path.wedge(0.0, 180.0)
    shoulders = Path(body.vertices * [0.7, 0.95] + [0.0, -0.85], body.codes)
    return Path.make_compound_path(head, shoulders)


def _number(share: float) -> str:
    """Return a share as so many of a hundred, fractions of one person left out."""
    return f"{100 * share:.0f}" if share == 0 or share >= 0.005 else "fewer than 1"

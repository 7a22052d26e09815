"""What every picture shares: where it is drawn, and the colors."""

from __future__ import annotations

from typing import Any

from speechgmm.checks import extra

__all__ = ["GRID", "IMPOSTOR", "SYSTEMS", "TARGET", "axes", "grid", "ink", "shades"]

TARGET, IMPOSTOR = "#0b6e99", "#c8553d"
"""A blue and a red that stay apart for people who see colors differently, and in gray; on white and on black."""

SYSTEMS = (
    (TARGET, "-"),
    (IMPOSTOR, "--"),
    ("#8a6fb8", "-."),
    ("#7f8c2a", ":"),
    ("#c9821b", (0, (5, 1, 1, 1, 1, 1))),
    ("#4d8f7a", (0, (8, 2))),
)
"""Colors of several systems, each with a way to draw its line, so that no one has to tell colors apart."""

GRID = "#8c8c8c"
"""A gray for lines of help, on white and on black."""


def axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained")[1] if ax is None else ax


def grid(ax: Any) -> None:
    """Draw faint lines behind everything else, and no frame above and to the right."""
    ax.grid(color=GRID, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def ink() -> Any:
    """Return the color of text in the style in use, dark on light or light on dark."""
    return extra("matplotlib", "plot").rcParams["text.color"]


def shades() -> Any:
    """Return a color map from nothing at all (what lies beneath is seen) to the blue of targets."""
    colors = extra("matplotlib.colors", "plot")
    blue = colors.to_rgb(TARGET)
    return colors.LinearSegmentedColormap.from_list("shades", [(*blue, 0.0), (*blue, 1.0)])

"""What every picture shares: where it is drawn, and the colors."""

from __future__ import annotations

from typing import Any

from speechgmm.checks import extra

__all__ = ["IMPOSTOR", "TARGET", "axes", "ink", "shades"]

TARGET, IMPOSTOR = "#0b6e99", "#c8553d"
"""A blue and a red that stay apart for people who see colors differently, and in gray; on white and on black."""


def axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained")[1] if ax is None else ax


def ink() -> Any:
    """Return the color of text in the style in use, dark on light or light on dark."""
    return extra("matplotlib", "plot").rcParams["text.color"]


def shades() -> Any:
    """Return a color map from nothing at all (what lies beneath is seen) to the blue of targets."""
    colors = extra("matplotlib.colors", "plot")
    blue = colors.to_rgb(TARGET)
    return colors.LinearSegmentedColormap.from_list("shades", [(*blue, 0.0), (*blue, 1.0)])

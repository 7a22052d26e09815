"""What every picture shares: where it is drawn, and the colors."""

from __future__ import annotations

from typing import Any

from speechgmm.checks import extra

__all__ = ["IMPOSTOR", "TARGET", "axes"]

TARGET, IMPOSTOR = "#0b6e99", "#c8553d"
"""A blue and a red that stay apart for people who see colors differently, and in gray."""


def axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained")[1] if ax is None else ax

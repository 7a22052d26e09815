"""What every picture shares: where it is drawn, its colors, its grid and its legend."""

import os
from pathlib import Path
from typing import Any

from speechgmm.checks import choice, extra
from speechgmm.files import Kind, check_writable, replacing, starts_with

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7f7f7f")
"""Colors of components and objects by number, which stay apart for people who see colors differently.

Okabe and Ito 2008; the last two are added.
"""

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
"""A gray for grids and auxiliary lines, on white and on black."""


FORMATS = {
    ".png": Kind("a PNG picture", starts_with(b"\x89PNG")),
    ".jpg": Kind("a JPEG picture", starts_with(b"\xff\xd8\xff")),
    ".pdf": Kind("a PDF page", starts_with(b"%PDF")),
    ".svg": Kind("an SVG picture", starts_with(b"<?xml", b"<svg")),
}
"""Endings of pictures, and what such a file is."""


def axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained")[1] if ax is None else ax


def finish(ax: Any, *, legend: str = "best", fontsize: str = "small", grid: str = "both") -> Any:
    """Return the axes with a faint grid behind everything else, no frame above and to the right, and a legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    legend : str
        A place in matplotlib's words, or "below", which is under the axes.
    fontsize : str
        Of the legend.
    grid : str
        "both", or "y" for horizontal lines alone.
    """
    ax.grid(axis=grid, color=GRID, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.07), "ncols": 2}
    ax.legend(**(below if legend == "below" else {"loc": legend}), frameon=False, fontsize=fontsize)
    return ax


def shades() -> Any:
    """Return a color map from nothing at all (what lies beneath is seen) to the blue of targets."""
    colors = extra("matplotlib.colors", "plot")
    blue = colors.to_rgb(TARGET)
    return colors.LinearSegmentedColormap.from_list("shades", [(*blue, 0.0), (*blue, 1.0)])


def require() -> None:
    """Refuse to begin what cannot be drawn: MissingExtra without matplotlib."""
    extra("matplotlib.figure", "plot")


def check_picture(path: str | os.PathLike[str]) -> None:
    """Refuse a picture that cannot be drawn or written, before the work and not after it.

    Raises
    ------
    InvalidInput
        For another ending than those of `FORMATS`, or a path that must not or cannot be written to.
    MissingExtra
        Without matplotlib.
    """
    require()
    check_writable(path, FORMATS[choice(Path(path).suffix.lower(), f"the ending of {path}", FORMATS)])


def write_picture(ax: Any, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write the figure of these axes to a file, whole or not at all; its ending says in which format.

    Raises
    ------
    InvalidInput
        See `check_picture`.
    """
    ending = choice(Path(path).suffix.lower(), f"the ending of {path}", FORMATS)
    with replacing(path, FORMATS[ending]) as beside:
        ax.figure.savefig(beside, format=ending.removeprefix("."), dpi=dpi)

"""What every picture shares: where it is drawn, its colors, its grid and its legend."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechgmm.checks import choice, extra
from speechgmm.files import Kind, check_writable, replacing, starts_with
from speechgmm.plot.names import families, shown, width

_HUES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7f7f7f")
"""Okabe and Ito 2008; the last two are added."""
_DARK = ("#003a5c", "#7a5400", "#00543d", "#7d3f63", "#1f5f85", "#732f00", "#44306b", "#3b3b3b")
_LIGHT = ("#8fc4e8", "#f7d58f", "#86d3ba", "#ecc5da", "#b9e0f7", "#f2ad80", "#cbbbe2", "#c4c4c4")
COLORS = (*_HUES, *_DARK, *_LIGHT)
"""Colors of components and objects by number, number i that of ``i % 24``.

The first eight stay apart for people who see colors differently, and so do the same darker, and lighter.
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

_LEGEND = 66
"""Letters that a legend under axes of the usual width has room for in a row."""

GRID = "#8c8c8c"
"""A gray for grids and auxiliary lines, on white and on black."""


FORMATS = {
    ".png": Kind("a PNG picture", starts_with(b"\x89PNG")),
    ".jpg": Kind("a JPEG picture", starts_with(b"\xff\xd8\xff")),
    ".pdf": Kind("a PDF page", starts_with(b"%PDF")),
    ".svg": Kind("an SVG picture", starts_with(b"<?xml", b"<svg")),
}
"""Endings of pictures, and what such a file is."""


def axes(ax: Any, size: tuple[float, float] | None = None) -> Any:
    """Return the axes given, or those of a new figure, of this width and height in inches."""
    if ax is not None:
        return ax
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained", figsize=size)[1]


def shorter_side(ax: Any) -> float:
    """Return the shorter side of axes, in inches, before what is written around them takes its room."""
    place, size = ax.get_position(), ax.figure.get_size_inches()
    return float(min(place.width * size[0], place.height * size[1]))


def finish(ax: Any, *, fontsize: str = "small", grid: str = "both") -> Any:
    """Return the axes with a faint grid behind everything else, no frame above and to the right, and a legend below.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    fontsize : str
        Of the legend.
    grid : str
        "both", or "y" for horizontal lines alone.
    """
    ax.grid(axis=grid, color=GRID, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    legend_below(ax, fontsize=fontsize)
    if ax.get_aspect() != "auto":
        ax.figure.draw_without_rendering()  # axes of a fixed shape find their place in the second layout
    return ax


def legend_below(ax: Any, *, fontsize: str = "medium") -> None:
    """Draw the legend under the axes and what is written there, where it covers nothing."""
    handles, names = ax.get_legend_handles_labels()
    ticks = max((t.get_text().count("\n") for t in ax.get_xticklabels()), default=0) + 1
    under = 26 + 12 * ticks  # points, with room for the name of the axis, which may still come
    offset = extra("matplotlib.transforms", "plot").ScaledTranslation(0, -under / 72, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        handles, shown(names, _LEGEND), loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=0, frameon=False,
        bbox_transform=ax.transAxes + offset, ncols=_columns(names), prop={"family": families(names), "size": fontsize},
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _columns(names: Sequence[str]) -> int:
    """Return how many names, each behind its symbol, stand in a row under axes of the usual width."""
    return max(1, min(len(names), _LEGEND // (max(map(width, names), default=0) + 6)))


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

    Examples
    --------
    >>> check_picture("scores.doc")
    Traceback (most recent call last):
        ...
    speechgmm.errors.InvalidInput: the ending of scores.doc must be one of '.png', '.jpg', '.pdf', '.svg'; got '.doc'.
    """
    require()
    check_writable(path, FORMATS[choice(Path(path).suffix.lower(), f"the ending of {path}", FORMATS)])


def write_picture(ax: Any, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write the figure of these axes to a file, whole or not at all; its ending says in which format.

    Raises
    ------
    InvalidInput
        See `check_picture`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import os
    >>> import tempfile
    >>> from speechgmm.plot import plot_features, write_picture
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_picture(plot_features([[0.0, 1.0], [1.0, 0.0]]), f"{folder.name}/features.png")
    >>> os.listdir(folder.name)
    ['features.png']
    >>> plt.close("all")
    >>> folder.cleanup()
    """
    ending = choice(Path(path).suffix.lower(), f"the ending of {path}", FORMATS)
    with replacing(path, FORMATS[ending]) as beside:
        ax.figure.savefig(beside, format=ending.removeprefix("."), dpi=dpi)

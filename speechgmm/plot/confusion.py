"""Which label was taken for which, as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from speechgmm.evaluation.confusion import ConfusionMatrix
from speechgmm.plot.axes import axes, ink, shades

__all__ = ["plot_confusion"]

_NUMBERS = 15
_NAMES = 60
"""With more labels than these, the counts are not written into the cells, nor the names beside them."""


def plot_confusion(confusion: ConfusionMatrix, *, ax: Any = None) -> Any:
    """Show a confusion matrix: one row a true label, shaded by its shares, with the counts where there is room.

    Parameters
    ----------
    confusion : ConfusionMatrix
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.
    """
    ax = axes(ax)
    labels, counts, rates = confusion.labels, confusion.counts, confusion.rates
    image = ax.imshow(rates, cmap=shades(), vmin=0.0, vmax=1.0, interpolation="nearest")
    if len(labels) <= _NUMBERS:
        for i, j in np.argwhere(counts > 0).tolist():
            color = "white" if rates[i, j] > 0.85 else ink()
            ax.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, fontsize="small")
    if len(labels) <= _NAMES:
        size = "medium" if len(labels) <= _NUMBERS else max(3.0, 200.0 / len(labels))
        upright = len(labels) <= 6 and max(map(len, labels)) <= 8
        ax.set_yticks(range(len(labels)), labels, fontsize=size, parse_math=False)
        ax.set_xticks(range(len(labels)), labels, fontsize=size, rotation=0 if upright else 90, parse_math=False)
    else:
        ax.set(xticks=[], yticks=[])
    edges = np.arange(len(labels) + 1) - 0.5
    if len(labels) <= _NAMES:
        ax.hlines(edges, edges[0], edges[-1], color="0.5", linewidth=0.3)
        ax.vlines(edges, edges[0], edges[-1], color="0.5", linewidth=0.3)
    ax.tick_params(length=0)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(edges[-1], edges[0]), xlabel="taken for", ylabel="truth")
    ax.set_title(f"{confusion.total} decisions, {100 * confusion.accuracy:.1f} % right")
    ax.figure.colorbar(image, ax=ax, label="share of the row", pad=0.02)
    return ax

"""Pictures of the choice of a mixture."""

from __future__ import annotations

from typing import Any

from speechgmm.mixture import Choice
from speechgmm.plot.axes import axes
from speechgmm.plot.mixtures import COLORS

__all__ = ["plot_choice"]

_NAMES = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "cross_validated": "held-out log-likelihood (nats a frame)"}


def plot_choice(choice: Choice, *, criterion: str | None = None, ax: Any = None) -> Any:
    """Draw a criterion over component counts, a line for each kind of covariance, and a ring around the best.

    Parameters
    ----------
    choice : Choice
    criterion : str, optional
        "bic", "aic", "icl" or "cross_validated", which comes with bars of one standard error. Default: what the
        choice was made by.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.
    """
    name = criterion or choice.criterion
    best = choice.ranked(name)[0]
    ax = axes(ax)
    kinds = list(dict.fromkeys(c.covariance for c in choice.candidates))
    for kind, color in zip(kinds, COLORS, strict=False):
        line = sorted((c for c in choice.candidates if c.covariance == kind), key=lambda c: c.n_components)
        counts, values = [c.n_components for c in line], [c.value(name) for c in line]
        errors = [c.standard_error for c in line] if name == "cross_validated" else None
        ax.errorbar(counts, values, errors, marker="o", markersize=4, linewidth=1.6, color=color, label=kind, capsize=2)
    ring = {"s": 170, "facecolors": "none", "edgecolors": "0.15", "linewidths": 1.8, "zorder": 5}
    ax.scatter([best.n_components], [best.value(name)], **ring)
    ax.set_xticks(sorted({c.n_components for c in choice.candidates}))
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    title = f"Best: {best.n_components} components, {best.covariance}"
    ax.set(xlabel="components", ylabel=_NAMES[name], title=title)
    ax.legend(frameon=False)
    return ax

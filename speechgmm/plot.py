"""Pictures: each function takes ``ax=None`` and returns the axes, so that they can be combined.

matplotlib comes with the extra: ``python -m pip install 'speechgmm[plot]'``. Symbols: N frames, D dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import extra, matrix
from speechgmm.evaluation import Scores

__all__ = ["plot_features", "plot_scores"]

TARGET, IMPOSTOR = "#0b6e99", "#c8553d"
"""A blue and a red that stay apart for people who see colors differently, and in gray."""


def plot_features(x: ArrayLike, *, hop_length: float = 0.010, title: str = "", ax: Any = None) -> Any:
    """Show features (N, D) as an image: frames to the right, dimensions upward.

    Parameters
    ----------
    x : array_like, shape (N, D)
    hop_length : float
        Seconds from frame to frame.
    title : str
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.
    """
    frames = matrix(x)
    ax = _axes(ax)
    limit = float(np.percentile(np.abs(frames), 99)) or 1.0
    extent = (0.0, len(frames) * hop_length, -0.5, frames.shape[1] - 0.5)
    image = ax.imshow(
        frames.T, origin="lower", aspect="auto", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit,
        interpolation="nearest",
    )  # fmt: skip
    ax.figure.colorbar(image, ax=ax, label="value", pad=0.02)
    ax.set(xlabel="speech (s)", ylabel="dimension", title=title)
    return ax


def plot_scores(scores: Scores, *, ax: Any = None) -> Any:
    """Show every test's scores on one line: a dot for each enrolled speaker, the true speaker's filled.

    Parameters
    ----------
    scores : Scores
        With labels.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.
    """
    ax = _axes(ax)
    tests = list(dict.fromkeys(scores.test.tolist()))
    line = {test: i for i, test in enumerate(tests)}
    y = np.array([line[t] for t in scores.test.tolist()])
    target = scores.target == 1
    others = {"s": 18, "facecolors": "none", "edgecolors": IMPOSTOR, "linewidths": 0.9, "label": "another speaker"}
    ax.scatter(scores.score[~target], y[~target], **others)
    ax.scatter(scores.score[target], y[target], s=30, color=TARGET, label="the true speaker", zorder=3)
    ax.set_yticks(range(len(tests)), tests, fontsize="small" if len(tests) <= 40 else 4)
    ax.set_ylim(len(tests) - 0.5, -0.5)
    ax.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    ax.grid(axis="y", color="0.92", zorder=0)
    ax.set_axisbelow(True)
    ax.set(xlabel="log-likelihood ratio (nats per frame)", title="Each test against every enrolled speaker")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=2, frameon=False)
    return ax


def _axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot").subplots(layout="constrained")[1] if ax is None else ax

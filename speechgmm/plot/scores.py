"""Pictures of scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from speechgmm.evaluation import Scores
from speechgmm.plot.axes import IMPOSTOR, TARGET, axes

__all__ = ["plot_scores"]


def plot_scores(scores: Scores, *, ax: Any = None) -> Any:
    """Show every test's scores on one line: a dot for each enrolled speaker, the true speaker's filled.

    Parameters
    ----------
    scores : Scores
        With labels.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.
    """
    ax = axes(ax)
    tests = list(dict.fromkeys(scores.test.tolist()))
    line = {test: i for i, test in enumerate(tests)}
    y = np.array([line[t] for t in scores.test.tolist()])
    target = scores.target == 1
    others = {"s": 18, "facecolors": "none", "edgecolors": IMPOSTOR, "linewidths": 0.9, "label": "another speaker"}
    ax.scatter(scores.score[~target], y[~target], **others)
    ax.scatter(scores.score[target], y[target], s=30, color=TARGET, label="the true speaker", zorder=3)
    ax.set_yticks(range(len(tests)), tests, fontsize="small" if len(tests) <= 40 else 4, parse_math=False)
    ax.set_ylim(len(tests) - 0.5, -0.5)
    ax.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    ax.grid(axis="y", color="0.92", zorder=0)
    ax.set_axisbelow(True)
    ax.set(xlabel="log-likelihood ratio (nats per frame)", title="Each test against every enrolled speaker")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=2, frameon=False)
    return ax

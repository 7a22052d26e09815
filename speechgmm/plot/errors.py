"""Pictures of errors: DET curves, error against the amount of speech, and which label was taken for which.

Reference: A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.evaluation import Application, ConfusionMatrix, DurationBin, Hull, Scores, det_points, roc_hull
from speechgmm.plot.axes import GRID, IMPOSTOR, SYSTEMS, TARGET, axes, finish, shades

_TICKS = (1e-5, 1e-4, 1e-3, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9)
_HIGHEST = 0.6
"""Rates above this are not shown, unless the curve has nothing below."""
_POINTS = 400
"""Corners drawn: more are not seen."""
_NUMBERS, _NAMES = 15, 60
"""With more labels than these, the counts are not written into the cells, nor the names beside them."""


def plot_det(systems: Scores | Mapping[str, Scores], *, application: Application | None = None, ax: Any = None) -> Any:
    """Show misses against false alarms on normal-deviate axes, where Gaussian scores make a straight line.

    A filled circle marks the equal error rate, a square the least detection cost. Axes end where an error is one
    trial: below, the data say nothing.

    Parameters
    ----------
    systems : Scores or mapping of str to Scores
        Labeled scores of one system, or of several by name.
    application : Application, optional
        Of the detection cost; default: prior 0.01, costs 1.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Raises
    ------
    InvalidInput
        For no system, or scores without targets or nontargets.
    """
    tables = {"": systems} if isinstance(systems, Scores) else dict(systems)
    if not tables:
        refuse("systems", "be at least one", "none")
    ax = axes(ax)
    application = application or Application()
    lowest = [1.0, 1.0]
    for i, (name, scores) in enumerate(tables.items()):
        color, style = SYSTEMS[i % len(SYSTEMS)]
        pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
        points, hull = det_points(*pair), roc_hull(*pair)
        ends = 0.5 / len(pair[1]), 0.5 / len(pair[0])
        x, y = _thinned(_deviate(points.p_fa, ends[0]), _deviate(points.p_miss, ends[1]))
        label = (f"{name}: " if name else "") + f"EER {100 * hull.eer():.3g} %"
        ax.plot(x, y, color=color, linestyle=style, linewidth=1.8, label=label)
        _mark(ax, hull, application, ends, color)
        lowest = [min(low, max(1e-6, end)) for low, end in zip(lowest, ends, strict=True)]
    _deviate_axes(ax, lowest)
    ax.set(xlabel="false alarms (%)", ylabel="misses (%)")
    ax.plot([], [], "o", color=GRID, label="equal error rate")
    cost = f"prior {application.prior:g}, costs {application.cost_miss:g} and {application.cost_fa:g}"
    ax.plot([], [], "s", color=GRID, markerfacecolor="none", label=f"least cost ({cost})")
    return finish(ax, legend="upper right")


def plot_durations(bins: Sequence[DurationBin], *, ax: Any = None) -> Any:
    """Show error rates against the speech in a test: the equal error rate of each bin, and misses and false alarms.

    Parameters
    ----------
    bins : sequence of DurationBin
        See `speechgmm.evaluation.error_by_duration`. A bar is the interval of the equal error rate.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Raises
    ------
    InvalidInput
        For no bins.
    """
    if not bins:
        refuse("bins", "be at least one", "none")
    ax = axes(ax)
    x = np.arange(len(bins), dtype=float)
    misses, alarms, eer = 100 * np.array([(b.p_miss, b.p_fa, b.eer) for b in bins]).T
    ax.plot(x - 0.12, misses, "v", color=TARGET, markersize=6, label="misses at one threshold for all")
    ax.plot(x + 0.12, alarms, "^", color=IMPOSTOR, markersize=6, label="false alarms at it")
    ends = [(b.interval.low, b.interval.high) if b.interval else (b.eer, b.eer) for b in bins]
    low, high = 100 * np.array(ends).T
    bars = np.abs([np.minimum(low - eer, 0), np.maximum(high - eer, 0)])
    line = {"color": GRID, "linewidth": 1.2, "capsize": 3, "markersize": 6, "zorder": 1}
    ax.errorbar(x, eer, yerr=bars, fmt="o-", label="equal error rate, with its interval", **line)
    ax.set_xticks(x, [f"{_seconds(b.low)} to {_seconds(b.high)}\n{b.tests} tests" for b in bins], fontsize="small")
    ax.set(xlabel="speech in the test (s)", ylabel="error (%)", xlim=(-0.5, len(bins) - 0.5))
    ax.set_ylim(0, max(1.0, 1.1 * float(np.max([high, misses, alarms]))))
    return finish(ax, legend="upper right")


def plot_confusion(confusion: ConfusionMatrix, *, ax: Any = None) -> Any:
    """Show a confusion matrix: one row for each true label, shaded by its shares, with the counts if they fit.

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
            color = "white" if rates[i, j] > 0.85 else ax.title.get_color()
            ax.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, fontsize="small")
    edges = np.arange(len(labels) + 1) - 0.5
    ax.set(xticks=[], yticks=[])
    if len(labels) <= _NAMES:
        size = "medium" if len(labels) <= _NUMBERS else max(3.0, 200.0 / len(labels))
        upright = len(labels) <= 6 and max(map(len, labels)) <= 8
        ax.set_yticks(range(len(labels)), labels, fontsize=size, parse_math=False)
        ax.set_xticks(range(len(labels)), labels, fontsize=size, rotation=0 if upright else 90, parse_math=False)
        for lines in (ax.hlines, ax.vlines):
            lines(edges, edges[0], edges[-1], color="0.5", linewidth=0.3)
    ax.tick_params(length=0)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(edges[-1], edges[0]), xlabel="taken for", ylabel="truth")
    ax.set_title(f"{confusion.total} decisions, {100 * confusion.accuracy:.1f} % right")
    ax.figure.colorbar(image, ax=ax, label="share of the row", pad=0.02)
    return ax


def _deviate(rates: NDArray[Any], end: float) -> NDArray[Any]:
    """Return the normal deviates of rates, of 0 and 1 those of half a trial."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(rates, end, 1 - end)))


def _mark(ax: Any, hull: Hull, application: Application, ends: tuple[float, float], color: str) -> None:
    """Mark the equal error rate and the least cost."""
    rate = np.array([hull.eer()])
    ax.plot(_deviate(rate, ends[0]), _deviate(rate, ends[1]), "o", color=color, markersize=7, zorder=4)
    best = hull.best_vertex(**asdict(application))
    place = _deviate(hull.p_fa[[best]], ends[0]), _deviate(hull.p_miss[[best]], ends[1])
    ax.plot(*place, "s", color=color, markersize=8, markerfacecolor="none", markeredgewidth=1.6, zorder=4)


def _deviate_axes(ax: Any, lowest: Sequence[float]) -> None:
    """Set ticks at round rates, and limits that hold what the data can say."""
    for axis, low, limit in ((ax.xaxis, lowest[0], ax.set_xlim), (ax.yaxis, lowest[1], ax.set_ylim)):
        start = min(low, 0.1)
        shown = [t for t in _TICKS if start <= t <= _HIGHEST]
        if len(shown) > 9:  # small rates are far apart, large ones close together
            shown = [t for t in shown if t not in (0.002, 0.3, 0.5)]
        axis.set_ticks([float(_deviate(np.array([t]), 0)[0]) for t in shown], [f"{100 * t:g}" for t in shown])
        limit(*_deviate(np.array([0.95 * start, _HIGHEST]), 0))
    ax.set_aspect("equal", adjustable="box")


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return about `_POINTS` of the points, as far apart as can be along the curve."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    if len(x) <= _POINTS or not length[-1]:
        return x, y
    wanted = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)))
    return x[wanted], y[wanted]


def _seconds(length: float) -> str:
    return f"{length:.1f}" if length < 10 else f"{length:.0f}"

"""Pictures of errors: DET curves, error against the amount of speech, and which label was taken for which.

Reference: A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.evaluation import Application, ConfusionMatrix, DurationBin, Scores, bona_fide, det_points, roc_hull
from speechgmm.plot.axes import GRID, IMPOSTOR, SYSTEMS, TARGET, axes, finish, shades, shorter_side
from speechgmm.plot.names import LONGEST, length_for, name_ticks, width

_TICKS = (1e-5, 1e-4, 1e-3, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
_HIGHEST = 0.6
"""Rates above this are not shown, unless a system's equal error rate comes near it."""
_POINTS = 400
"""Corners drawn: more are not seen."""
_NUMBERS, _LINES = 15, 60
"""With more labels than these, the counts are not written into the cells, nor lines drawn between them."""


def plot_det(systems: Scores | Mapping[str, Scores], *, application: Application | None = None, ax: Any = None) -> Any:
    """Show misses against false alarms on normal-deviate axes, where Gaussian scores make a straight line.

    A filled circle marks the equal error rate, a square the least detection cost, where it lies within the axes. These
    end where an error is one trial: below, the data say nothing.

    Parameters
    ----------
    systems : Scores or mapping of str to Scores
        Labeled scores of one system, or of several by name; trials of attacks are left out.
    application : Application, optional
        Of the detection cost; default: prior 0.01, costs 1.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Raises
    ------
    InvalidInput
        For no system, or scores without targets or nontargets.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, -1.5], [1, 0, 0, 1])
    >>> ax = plot_det({"this system": scores})
    >>> ax.get_legend_handles_labels()[1]
    ['this system: EER 25 %', 'equal error rate', 'least cost (prior 0.01, costs 1 and 1)']
    >>> plt.close("all")
    """
    tables = {"": systems} if isinstance(systems, Scores) else dict(systems)
    if not tables:
        refuse("systems", "be at least one", "none")
    ax = axes(ax, (6.4, 5.2 + 0.2 * len(tables)))
    application = application or Application()
    lowest, worst, best = [1.0, 1.0], 0.0, []
    for i, (name, given) in enumerate(tables.items()):
        scores = bona_fide(given)
        color, style = SYSTEMS[i % len(SYSTEMS)]
        pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
        points, hull = det_points(*pair), roc_hull(*pair)
        ends = 0.5 / len(pair[1]), 0.5 / len(pair[0])
        x, y = _thinned(_deviate(points.p_fa, ends[0]), _deviate(points.p_miss, ends[1]))
        label = (f"{name}: " if name else "") + f"EER {100 * hull.eer():.3g} %"
        ax.plot(x, y, color=color, linestyle=style, linewidth=1.8, label=label)
        ax.plot(*_deviates(hull.eer(), hull.eer(), ends), "o", color=color, markersize=7, zorder=4)
        vertex = hull.best_vertex(**asdict(application))
        best.append((*_deviates(hull.p_fa[vertex], hull.p_miss[vertex], ends), color))
        worst = max(worst, hull.eer())
        lowest = [min(low, max(1e-6, end)) for low, end in zip(lowest, ends, strict=True)]
    _deviate_axes(ax, lowest, _HIGHEST if worst < 0.4 else 0.99)
    ax.set(xlabel="false alarms (%)", ylabel="misses (%)")
    ax.plot([], [], "o", color=GRID, label="equal error rate")
    _mark_least_costs(ax, best, application)
    return finish(ax)


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

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import Scores, error_by_duration
    >>> names, seconds = [f"{i}.wav" for i in range(40)], [10.0] * 20 + [2.0] * 20
    >>> scores = Scores(["ann"] * 40, names, [1.0, -1.0] * 20, [1, 0] * 20, test_seconds=seconds)
    >>> ax = plot_durations(error_by_duration(scores, 0.0, bins=2))
    >>> len(ax.get_legend_handles_labels()[1])
    3
    >>> plt.close("all")
    """
    if not bins:
        refuse("bins", "be at least one", "none")
    ax = axes(ax)
    x = np.arange(len(bins), dtype=float)
    misses, alarms, eer = 100 * np.array([(b.p_miss, b.p_fa, b.eer) for b in bins]).T
    sides = {"markersize": 6, "clip_on": False, "zorder": 3}  # an error of 0 lies on the axis
    ax.plot(x - 0.12, misses, "v", color=TARGET, label="misses at one threshold for all", **sides)
    ax.plot(x + 0.12, alarms, "^", color=IMPOSTOR, label="false alarms at it", **sides)
    ends = [(b.interval.low, b.interval.high) if b.interval else (b.eer, b.eer) for b in bins]
    low, high = 100 * np.array(ends).T
    bars = np.abs([np.minimum(low - eer, 0), np.maximum(high - eer, 0)])
    line = {"color": GRID, "linewidth": 1.2, "capsize": 3, "markersize": 6, "zorder": 2.5, "clip_on": False}
    ax.errorbar(x, eer, yerr=bars, fmt="o-", label="equal error rate, with its interval", **line)
    ax.set_xticks(x, [f"{_seconds(b.low)} to {_seconds(b.high)}\n{b.tests} tests" for b in bins], fontsize="small")
    ax.set(xlabel="speech in the test (s)", ylabel="error (%)", xlim=(-0.5, len(bins) - 0.5))
    ax.set_ylim(0, max(1.0, 1.1 * float(np.max([high, misses, alarms]))))
    return finish(ax)


def plot_confusion(confusion: ConfusionMatrix, *, ax: Any = None) -> Any:
    """Show a confusion matrix: one row for each true label, shaded by its shares, with the counts if they fit.

    Long names lose their middle. Where more labels than can be read side by side have room, every second, third, ...
    is named.

    Parameters
    ----------
    confusion : ConfusionMatrix
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's, which grows with the labels.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import confusion_matrix
    >>> ax = plot_confusion(confusion_matrix(["cat", "dog", "dog"], ["cat", "dog", "cat"]))
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '1']
    >>> plt.close("all")
    """
    labels, counts, rates = confusion.labels, confusion.counts, confusion.rates
    side = length_for(labels) if ax is None else 0.85 * shorter_side(ax)
    upright = sum(map(width, labels)) + len(labels) <= 40 and max(map(width, labels)) <= 40 / len(labels)
    names = min(LONGEST, max(map(width, labels))) * 0.09  # inches
    ax = axes(ax, (side + names + 1.5, side + (0.3 if upright else names) + 1.0))
    image = ax.imshow(rates, cmap=shades(), vmin=0.0, vmax=1.0, interpolation="nearest")
    if len(labels) <= _NUMBERS:
        for i, j in np.argwhere(counts > 0).tolist():
            color = "white" if rates[i, j] > 0.85 else ax.title.get_color()
            ax.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, fontsize="small")
    edges = np.arange(len(labels) + 1) - 0.5
    name_ticks(ax.yaxis, labels, 72 * side)
    name_ticks(ax.xaxis, labels, 72 * side, rotation=0 if upright else 90)
    if len(labels) <= _LINES:
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


def _deviates(p_fa: float, p_miss: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the place of a pair of rates."""
    return float(_deviate(np.array(p_fa), ends[0])), float(_deviate(np.array(p_miss), ends[1]))


def _mark_least_costs(ax: Any, best: Sequence[tuple[float, float, str]], application: Application) -> None:
    """Mark where each system's cost is least, as far as that lies within the axes, and say what the mark means."""
    cost = f"prior {application.prior:g}, costs {application.cost_miss:g} and {application.cost_fa:g}"
    inside = [(x, y, color) for x, y, color in best if x <= ax.get_xlim()[1] and y <= ax.get_ylim()[1]]
    mark = {"markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.6, "zorder": 4}
    for x, y, color in inside:
        ax.plot([x], [y], "s", color=color, **mark)
    label = f"least cost ({cost})" if inside else f"least cost ({cost}): beyond these axes"
    ax.plot([], [], color=GRID, marker="s" if inside else "", markerfacecolor="none", linestyle="none", label=label)


def _deviate_axes(ax: Any, lowest: Sequence[float], highest: float) -> None:
    """Set ticks at round rates, and limits that hold what the data can say, marks at the ends of it included."""
    for axis, low, limit in ((ax.xaxis, lowest[0], ax.set_xlim), (ax.yaxis, lowest[1], ax.set_ylim)):
        start = min(low, 0.1)
        shown = [t for t in _TICKS if start <= t <= highest]
        if len(shown) > 9:  # small rates are far apart, large ones close together
            close = (0.002, 0.3, 0.5) if highest <= _HIGHEST else (0.002, 0.005, 0.05, 0.3, 0.5, 0.6, 0.9, 0.95)
            shown = [t for t in shown if t not in close]
        axis.set_ticks([float(_deviate(np.array([t]), 0)[0]) for t in shown], [f"{100 * t:g}" for t in shown])
        first, last = _deviate(np.array([start, highest]), 0)
        limit(first - 0.03 * (last - first), last)
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

"""Pictures of scores: each test, histograms, the Tippett plot, and how far scores are the LLRs that they claim to be.

Reference: D. Meuwly, "Reconnaissance de locuteurs en sciences forensiques", thesis, Lausanne 2001; the curves cross, as
in G. S. Morrison et al., "Consensus on validation of forensic voice comparison", Science & Justice 61 (2021).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import integer
from speechgmm.evaluation import LlrBounds, Scores, roc_hull
from speechgmm.evaluation.chosen_trials import bona_fide
from speechgmm.evaluation.roc import check_both
from speechgmm.evaluation.trials import check_labels
from speechgmm.plot.axes import GRID, IMPOSTOR, TARGET, axes, finish
from speechgmm.plot.names import length_for, name_ticks

_STEPS = 500
"""Scores of a kind at which a curve is drawn: more steps are not seen."""


def plot_scores(scores: Scores, *, ax: Any = None) -> Any:
    """Show the scores of each test on one line: a dot for each enrolled speaker, the true speaker's filled.

    Parameters
    ----------
    scores : Scores
        With labels.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, 2.5], [1, 0, 0, 1])
    >>> ax = plot_scores(scores)
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['a.wav', 'b.wav']
    >>> plt.close("all")
    """
    scores = bona_fide(scores)
    line = {test: i for i, test in enumerate(dict.fromkeys(scores.test.tolist()))}
    height = length_for(list(line)) if ax is None else 0.85 * ax.get_position().height * ax.figure.get_size_inches()[1]
    ax = axes(ax, (6.4, height + 1.2))
    y = np.array([line[t] for t in scores.test.tolist()])
    target = scores.target == 1
    others = {"s": 18, "facecolors": "none", "edgecolors": IMPOSTOR, "linewidths": 0.9, "label": "another speaker"}
    ax.scatter(scores.score[~target], y[~target], **others)
    ax.scatter(scores.score[target], y[target], s=30, color=TARGET, label="the true speaker", zorder=3)
    name_ticks(ax.yaxis, list(line), 72 * height, size=9.0)
    ax.axvline(0.0, color=GRID, linewidth=0.8, zorder=0)
    ax.set(xlabel="score", title="Each test against every enrolled speaker", ylim=(len(line) - 0.5, -0.5))
    return finish(ax, fontsize="medium", grid="y")


def plot_histograms(scores: Scores, *, threshold: float | None = None, bins: int | None = None, ax: Any = None) -> Any:
    """Show how the scores of targets and of impostors are distributed, each as shares of its own kind.

    Parameters
    ----------
    scores : Scores
        With labels, of both kinds.
    threshold : float, optional
        Where a line is drawn, with the error rates that it makes.
    bins : int, optional
        Over the range of all scores but the outermost in a thousand at either end, which are counted in the last bins.
        Default: 12 to 60, about twice the root of the number of trials of the rarer kind.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, 2.5], [1, 0, 0, 1])
    >>> ax = plot_histograms(scores, threshold=0.0)
    >>> ax.get_legend_handles_labels()[1]
    ['impostors (2)', 'targets (2)', 'threshold 0: 0 % missed, 0 % accepted wrongly']
    >>> plt.close("all")
    """
    scores = bona_fide(scores)
    check_labels(scores)
    ax = axes(ax)
    kinds = [scores.score[scores.target == label] for label in (0, 1)]
    if bins is None:
        bins = int(np.clip(2 * np.sqrt(min(map(len, kinds))), 12, 60))
    integer(bins, "bins", minimum=2)
    edges = _edges(kinds, threshold, bins)
    looks = (("impostors", IMPOSTOR, "////"), ("targets", TARGET, ""))
    for values, (name, color, hatch) in zip(kinds, looks, strict=True):
        shares = 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / max(1, len(values))
        label = f"{name} ({len(values)})"
        ax.stairs(shares, edges, fill=True, facecolor=color, alpha=0.3, linewidth=0)
        ax.stairs(shares, edges, color=color, linewidth=1.6, hatch=hatch, label=label)
    if threshold is not None and np.isfinite(threshold):
        p_fa, p_miss = np.mean(kinds[0] >= threshold), np.mean(kinds[1] < threshold)
        label = f"threshold {threshold:.3g}: {100 * p_miss:.3g} % missed, {100 * p_fa:.3g} % accepted wrongly"
        ax.axvline(threshold, color=GRID, linewidth=1.6, linestyle="--", label=label)
    ax.set(xlabel="score", ylabel="share of the kind (%)", xlim=(edges[0], edges[-1]))
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    return finish(ax)


def plot_tippett(scores: Scores, *, bounds: LlrBounds | None = None, ax: Any = None) -> Any:
    """Show the Tippett plot: how many targets lie below each log-likelihood ratio, and how many nontargets reach it.

    At a threshold the curves are the shares of misses and of false accepts. What lies left of 0 of the targets, and
    right of it of the nontargets, misleads; the farther, the more.

    Parameters
    ----------
    scores : Scores
        LLRs in nats with labels, of both kinds. The outermost in a thousand of either kind may lie outside the axes.
    bounds : LlrBounds, optional
        The range that the data support (`speechgmm.evaluation.llr_bounds`); what lies beyond is shaded.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.evaluation import Scores
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, 2.5], [1, 0, 0, 1])
    >>> ax = plot_tippett(scores)
    >>> ax.get_legend_handles_labels()[1]
    ['targets below', 'impostors at or above']
    >>> plt.close("all")
    """
    scores = bona_fide(scores)
    check_labels(scores)
    kinds = check_both(*(scores.score[scores.target == label] for label in (1, 0)))
    ax = axes(ax)
    ends = [np.quantile(kind, (0.001, 0.999)) for kind in kinds]
    low, high = min(-1.0, *(e[0] for e in ends)), max(1.0, *(e[1] for e in ends))
    looks = (("targets below", TARGET, "-"), ("impostors at or above", IMPOSTOR, "--"))
    for kind, (name, color, style) in zip(kinds, looks, strict=True):
        x, below = _shares_below(np.sort(kind))
        shares = below if color == TARGET else 100 - below
        places = [min(low, x[0]), *x, max(high, x[-1])]  # each share holds up to the next place
        line = {"color": color, "linestyle": style, "linewidth": 1.8, "label": name}
        ax.step(places, [*shares, shares[-1]], where="post", **line)
    ax.axvline(0.0, color=GRID, linewidth=0.8)
    if bounds is not None:
        outside = {"color": GRID, "alpha": 0.18, "linewidth": 0}
        ax.axvspan(low, max(low, bounds.low), label="not supported by the data", **outside)
        ax.axvspan(min(high, bounds.high), high, **outside)
    ax.set(xlabel="log-likelihood ratio (nats)", ylabel="share of the kind (%)", xlim=(low, high), ylim=(0, 100))
    return finish(ax)


def plot_calibration(scores: Scores, *, bins: int = 12, ax: Any = None) -> Any:
    """Show how far scores are log-likelihood ratios: what each says, against what trials of about that score say.

    On the diagonal a score means what it says. Above it scores are too low, below it too high; a curve flatter than
    the diagonal is overconfident. Circles are bins of trials, the line is PAV's best nondecreasing map.

    Parameters
    ----------
    scores : Scores
        LLRs in nats with labels, of both kinds.
    bins : int
        Of about equally many targets and nontargets together, each kind counted as one half.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from speechgmm.evaluation import Scores
    >>> llr = np.random.default_rng(0).normal([[1.0], [-1.0]], 1.4, size=(2, 500)).ravel()
    >>> scores = Scores(["ann"] * 1000, [f"{i}.wav" for i in range(1000)], llr, [1] * 500 + [0] * 500)
    >>> ax = plot_calibration(scores)
    >>> len(ax.lines) > 0
    True
    >>> plt.close("all")
    """
    scores = bona_fide(scores)
    check_labels(scores)
    integer(bins, "bins", minimum=2)
    ax = axes(ax)
    targets, nontargets = (np.sort(scores.score[scores.target == label]) for label in (1, 0))
    hull = roc_hull(targets, nontargets)
    x, y = _binned(targets, nontargets, bins)
    seen = [*x, *y] or np.quantile(np.concatenate([targets, nontargets]), (0.05, 0.95))  # perfectly separated: no bin
    size = 1.15 * float(np.clip(np.abs(seen).max(), 2.0, 60.0))
    ax.axline((0, 0), slope=1, color=GRID, linewidth=1.2, linestyle="--", label="means what it says")
    steps = np.append(np.maximum(hull.thresholds[:-1], -10 * size), max(targets[-1], nontargets[-1]))
    ax.stairs(
        np.clip(hull.llr, -10 * size, 10 * size), steps, baseline=None, color=IMPOSTOR, linewidth=1.6, label="PAV"
    )
    ax.plot(x, y, "o", color=TARGET, markersize=7, label="trials in bins")
    ax.set(xlim=(-size, size), ylim=(-size, size), xlabel="score (nats)", ylabel="observed log-likelihood ratio (nats)")
    ax.set_aspect("equal", adjustable="box")
    return finish(ax)


def _shares_below(ascending: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return some scores (X,), both ends among them, and the shares (X + 1,) below the first and behind each, in %."""
    x = np.unique(ascending[np.unique(np.linspace(0, len(ascending) - 1, _STEPS).round().astype(int))])
    return x, 100 * np.append(0.0, np.searchsorted(ascending, x, side="right")) / len(ascending)


def _binned(targets: NDArray[Any], nontargets: NDArray[Any], bins: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean score and the observed LLR of each bin that holds both kinds; scores ascend."""
    fine = np.linspace(0, 1, 40 * bins + 1)
    places = np.unique(np.concatenate([np.quantile(kind, fine) for kind in (targets, nontargets)]))
    below = [np.searchsorted(kind, places) for kind in (targets, nontargets)]
    mass = below[0] / len(targets) + below[1] / len(nontargets)
    wanted = np.searchsorted(mass, np.linspace(0, 2, bins + 1)[1:-1])
    cuts = np.unique(np.minimum(wanted, len(mass) - 1))
    t, n = (np.concatenate([[0], at[cuts], [len(k)]]) for at, k in zip(below, (targets, nontargets), strict=True))
    sum_t, sum_n = (np.append(0.0, np.cumsum(kind)) for kind in (targets, nontargets))
    shares = np.stack([np.diff(t) / len(targets), np.diff(n) / len(nontargets)])
    sums = np.diff(sum_t[t]) / len(targets) + np.diff(sum_n[n]) / len(nontargets)
    both = (shares > 0).all(axis=0)
    shares = shares[:, both]
    return sums[both] / shares.sum(axis=0), np.log(shares[0] / shares[1])


def _edges(kinds: list[NDArray[Any]], threshold: float | None, bins: int) -> NDArray[Any]:
    """Return the edges of a histogram."""
    ends = [np.quantile(kind, (0.001, 0.999)) for kind in kinds if len(kind)]
    wanted = [*np.concatenate(ends), *([] if threshold is None or not np.isfinite(threshold) else [threshold])]
    low, high = min(wanted), max(wanted)
    margin = 0.02 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, bins + 1)

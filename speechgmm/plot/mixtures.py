"""Pictures of Gaussian mixtures, of the choice of one, and of tracked objects.

Symbols: N points, K components, D features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import extra, integer, matrix, number, refuse
from speechgmm.mixture import GMM, UBM, Choice
from speechgmm.plot.axes import COLORS, GRID, TARGET, axes, finish, legend_below
from speechgmm.tracking import Tracked

_CRITERIA = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "cross_validated": "held-out log-likelihood (nats per frame)"}


def plot_mixture(
    gmm: GMM | None,
    x: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    identities: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    features: tuple[int, int] = (0, 1),
    deviations: Sequence[float] = (1.0, 2.0),
    ax: Any = None,
) -> Any:
    """Draw points in the colors of their labels, and each component as ellipses of its covariance.

    Parameters
    ----------
    gmm : GMM, optional
        None draws points alone. A fitted estimator's is ``estimator.mixture_``.
    x : array_like, shape (N, D), optional
        None draws ellipses alone.
    labels : array_like of int, shape (N,), optional
        Which color each point takes: number i takes ``COLORS[i % 24]``. Default: the most probable component's
        identity.
    identities : array_like of int, shape (K,), optional
        The number, and so the color, of each component; default: 0 to K - 1. A component that is followed from
        picture to picture keeps its color by keeping its number.
    names : sequence of str, optional
        What the labels 0, 1, ... are called, for a legend.
    features : tuple of int
        The feature to the right and the one upward. Ellipses are those of the marginal mixture of the two.
    deviations : sequence of float
        At how many standard deviations ellipses are drawn; the default two hold 39 % and 86 % of a component.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Raises
    ------
    InvalidInput
        If neither a mixture nor points are given, or features, labels or identities do not fit them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm = GMM([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], Diagonal([[1.0, 1.0], [1.0, 4.0]]))
    >>> drawn = gmm.sample(100, seed=0)
    >>> ax = plot_mixture(gmm, drawn.frames, labels=drawn.components, names=["left", "right"])
    >>> sorted(ax.get_legend_handles_labels()[1])
    ['left', 'right']
    >>> plt.close("all")
    """
    points = None if x is None else matrix(x, "points", dimensions=None if gmm is None else gmm.n_dimensions)
    dimensions = gmm.n_dimensions if gmm is not None else 0 if points is None else points.shape[1]
    if not dimensions:
        refuse("plot_mixture", "have a mixture or points to draw", "neither")
    pair = [integer(f, "each of features", minimum=0, maximum=dimensions - 1) for f in features]
    ax = axes(ax)
    numbers = np.zeros(0, dtype=int)
    if gmm is not None:
        given = np.arange(gmm.n_components) if identities is None else identities
        numbers = _whole_numbers(given, "identities", gmm.n_components)
        _ellipses(ax, gmm, pair, numbers, deviations)
    if points is not None:
        if labels is None:
            labels = np.zeros(len(points), dtype=int) if gmm is None else numbers[gmm.posteriors(points).argmax(axis=1)]
        _points(ax, points[:, pair], _whole_numbers(labels, "labels", len(points)), names)
    ax.autoscale_view()
    return ax


def plot_adaptation(
    ubm: UBM, adapted: UBM, x: ArrayLike | None = None, *, features: tuple[int, int] = (0, 1), ax: Any = None
) -> Any:
    """Draw a background model and what adaptation made of it: an arrow from each mean to where it has moved.

    Parameters
    ----------
    ubm, adapted : GMM or Ensemble
        Of the same number of components; an ellipse is one standard deviation of the background's. Of an ensemble its
        first mixture is drawn, by the features that this sees.
    x : array_like, shape (N, D), optional
        Frames to draw, such as those that it was adapted to.
    features : tuple of int
        The feature to the right and the one upward.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Raises
    ------
    InvalidInput
        If the two are not of one shape, or the frames or features do not fit them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from speechgmm.mixture import GMM, Diagonal, adapt
    >>> ubm = GMM([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], Diagonal([[1.0, 1.0], [1.0, 4.0]]))
    >>> ax = plot_adaptation(ubm, adapt(ubm, ubm.statistics([[4.0, 2.0]] * 10)))
    >>> ax.get_legend_handles_labels()[1]
    ["the background's means", 'where they moved']
    >>> plt.close("all")
    """
    if adapted.means.shape != ubm.means.shape:
        refuse("the adapted mixture", f"have means of shape {ubm.means.shape}, as the UBM has", adapted.means.shape)
    frames = None if x is None else ubm.seen(matrix(x, dimensions=ubm.n_dimensions))[0]
    ubm, adapted = ubm.parts[0], adapted.parts[0]
    pair = [integer(f, "each of features", minimum=0, maximum=ubm.n_dimensions - 1) for f in features]
    ax = axes(ax)
    if frames is not None:
        right, up = frames[:, pair].T
        ax.plot(right, up, ".", color=COLORS[1], markersize=2.5, alpha=0.5, label="frames", zorder=1)
    for mean, covariance in zip(ubm.means[:, pair], ubm.marginal(pair).covariance_matrices, strict=True):
        ax.add_patch(_ellipse(mean, covariance, 1.0, fill=False, edgecolor=GRID, linewidth=0.6, alpha=0.6, zorder=2))
    ax.plot(*ubm.means[:, pair].T, "o", color=GRID, markersize=3, label="the background's means", zorder=3)
    steps = (adapted.means - ubm.means)[:, pair]
    scale = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.004, "zorder": 4}
    ax.quiver(*ubm.means[:, pair].T, *steps.T, color=TARGET, **scale)
    ax.plot(*adapted.means[:, pair].T, "o", color=TARGET, markersize=4, label="where they moved", zorder=5)
    ax.autoscale_view()
    ax.set(xlabel=f"feature {pair[0]}", ylabel=f"feature {pair[1]}")
    return finish(ax, fontsize="medium")


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

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from speechgmm.mixture import choose
    >>> x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 100)).reshape(-1, 1)
    >>> ax = plot_choice(choose(x, [1, 2, 3], covariances=["diag"]))
    >>> ax.lines[0].get_xdata().tolist()
    [1, 2, 3]
    >>> plt.close("all")
    """
    name = criterion or choice.criterion
    best = choice.ranked(name)[0]
    ax = axes(ax)
    kinds = dict.fromkeys(c.covariance for c in choice.candidates)
    for kind, color in zip(kinds, COLORS, strict=False):
        line = sorted((c for c in choice.candidates if c.covariance == kind), key=lambda c: c.n_components)
        counts, values = [c.n_components for c in line], [c.value(name) for c in line]
        errors = [c.standard_error for c in line] if name == "cross_validated" else None
        ax.errorbar(counts, values, errors, marker="o", markersize=4, linewidth=1.6, color=color, label=kind, capsize=2)
    ring = {"s": 170, "facecolors": "none", "edgecolors": "0.15", "linewidths": 1.8, "zorder": 5}
    ax.scatter([best.n_components], [best.value(name)], **ring)
    ax.set_xticks(sorted({c.n_components for c in choice.candidates}))
    title = f"Best: {best.n_components} components, {best.covariance}"
    ax.set(xlabel="components", ylabel=_CRITERIA[name], title=title)
    return finish(ax, fontsize="medium", grid="y")


def plot_tracks(
    tracked: Sequence[Tracked], *, features: tuple[int, int] = (0, 1), labels: bool = True, ax: Any = None
) -> Any:
    """Draw the path of each object, thin and dotted where it was hidden, a dot at its birth and its number at the end.

    Parameters
    ----------
    tracked : sequence of Tracked
        What `track` gave, frame by frame.
    features : tuple of int
        The coordinate to the right and the one upward.
    labels : bool
        Whether to write the identities.
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's. The upward axis is left as it is; for pixels, call ``ax.invert_yaxis()``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from speechgmm.mixture import Diagonal
    >>> from speechgmm.tracking import track
    >>> cloud = np.random.default_rng(0).normal(size=(50, 2))
    >>> ax = plot_tracks(list(track(Diagonal([[1.0, 1.0]]), [cloud + [2.0 * t, 0.0] for t in range(10)])))
    >>> [text.get_text() for text in ax.texts]  # the number of the object
    ['0']
    >>> plt.close("all")
    """
    if not tracked or any(not isinstance(t, Tracked) for t in tracked):
        refuse("tracked", "be a list of what track yields, not empty", type(tracked).__name__)
    ax = axes(ax)
    for identity in sorted({int(i) for t in tracked for i in t.identities}):
        path, visible = _path(tracked, identity, list(features))
        color = COLORS[identity % len(COLORS)]
        seen = np.where(visible[:, None], path, np.nan)
        ax.plot(*path.T, color=color, linewidth=1, linestyle=":", zorder=2)
        ax.plot(*seen.T, color=color, linewidth=2.2, zorder=3)
        ax.scatter(*path[0], s=40, color=color, edgecolors="white", zorder=4)
        if labels:
            box = {"boxstyle": "circle,pad=0.25", "facecolor": color, "edgecolor": "white"}
            ax.text(*path[-1], str(identity), color="white", fontsize=8, ha="center", va="center", bbox=box, zorder=5)
    return ax


def _points(ax: Any, xy: NDArray[Any], labels: NDArray[Any], names: Sequence[str] | None) -> None:
    """Draw a dot for each point, and a legend where there are names."""
    for label in np.unique(labels):
        here = labels == label
        name = names[label] if names is not None and label < len(names) else None
        color = COLORS[label % len(COLORS)]
        ax.scatter(*xy[here].T, s=22, color=color, edgecolors="white", linewidths=0.5, label=name, zorder=3)
    if names is not None:
        legend_below(ax)


def _ellipses(ax: Any, gmm: GMM, pair: list[int], numbers: NDArray[Any], deviations: Sequence[float]) -> None:
    """Draw each component's ellipses, filled so thinly that they can lie over each other, and a cross at its mean."""
    sizes = [number(d, "each of deviations", minimum=0.0, above=True) for d in deviations]
    both = gmm.marginal(pair)
    for mean, covariance, i in zip(both.means, both.covariance_matrices, numbers, strict=True):
        color = COLORS[i % len(COLORS)]
        for size in sizes:
            ax.add_patch(_ellipse(mean, covariance, size, facecolor=color, alpha=0.14, linewidth=0, zorder=1))
            ax.add_patch(_ellipse(mean, covariance, size, fill=False, edgecolor=color, linewidth=1.2, zorder=2))
        ax.plot(*mean, marker="+", color=color, markersize=9, markeredgewidth=2, zorder=4)


def _ellipse(mean: NDArray[Any], covariance: NDArray[Any], size: float, **look: Any) -> Any:
    """Return the ellipse of a Gaussian (2,), (2, 2) at so many standard deviations."""
    values, vectors = np.linalg.eigh(covariance)
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    width, height = 2 * size * np.sqrt(np.maximum(values[::-1], 0.0))
    return extra("matplotlib.patches", "plot").Ellipse(mean, width, height, angle=angle, **look)


def _whole_numbers(values: ArrayLike, what: str, size: int) -> NDArray[Any]:
    """Return whole numbers of at least 0, as many as `size`."""
    a = np.asarray(values)
    if a.shape != (size,) or a.dtype.kind not in "iu" or (a < 0).any():
        refuse(what, f"be {size} whole numbers of at least 0", f"an array of shape {a.shape} and type {a.dtype}")
    return a


def _path(tracked: Sequence[Tracked], identity: int, features: list[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where an object was (n, 2), and in which of these frames it was seen (n,)."""
    there = [(t, t.mixture, t.identities == identity) for t in tracked]
    path = [mixture.means[here][:, features] for _, mixture, here in there if mixture is not None]
    return np.concatenate(path), np.concatenate([t.visible[here] for t, _, here in there])

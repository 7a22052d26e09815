"""Starts for EM: k-means, random frames, or binary splitting to any number of components.

All three work on the data scaled by its standard deviations, so that units do not matter, and give the same start
for the same data and seed whatever the number of threads. Symbols: N frames, K components, D dimensions.
"""

import functools
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, choice, integer, refuse
from speechgmm.mixture.blocks import ArrayBlocks, as_blocks, sample_frames
from speechgmm.mixture.covariance import Covariance, covariance_type
from speechgmm.mixture.e_step import BLOCK
from speechgmm.mixture.em import Fit, Stop, StopRule, fit
from speechgmm.mixture.maximize import Floor, maximize, split
from speechgmm.mixture.model import GMM
from speechgmm.parallel import Threads, single_threaded, total

METHODS = ("kmeans", "random", "split")
MANY = 256
"""Beyond so many components splitting is the default: the time of k-means grows as their square."""
GROWING = Stop(0.0, 4)
"""EM iterations after each split: enough for halves to part, and few, for the EM that follows goes on from there."""


def initialize(
    blocks: ArrayLike | Iterable[ArrayLike],
    n_components: int,
    *,
    method: str | GMM | None = None,
    covariance: str | type[Covariance] = "diag",
    seed: int | np.random.Generator = 0,
    sample_size: int | None = None,
    floor: Floor = Floor(),
    n_threads: Threads = None,
) -> GMM:
    """Return a start for EM.

    Parameters
    ----------
    blocks : array_like (N, D), or re-iterable blocks of these
        Of weights only 0 counts: such frames are left out.
    n_components : int
        K; at most the number of frames.
    method : str or GMM, optional
        "kmeans": scikit-learn's k-means++ and Lloyd's algorithm, single-threaded. "random": the means are frames drawn
        without replacement, the covariance that of all frames. "split": from one component, the heaviest are split
        in two with four EM steps between, until there are exactly K; each size works on as many frames as a start of
        that size does. For 512 components on features of speech it takes less time than k-means, and EM ends as high
        (`recipes/benchmarks/em.py`); of clusters far apart it misses many. Default: "kmeans" up to 256 components,
        "split" beyond. A mixture is a start already, and is returned as it is.
    covariance : str or Covariance class
        "diag", "spherical", "tied" or "full", or another kind of covariance itself.
    seed : int or numpy.random.Generator
    sample_size : int, optional
        How many frames to work on; default 100 for each component, at least 20 000: it is a start, and EM sees all.
    floor : Floor
    n_threads : int or mapper, optional
        For splitting; default: the cores of this process. It changes the time and nothing else.

    Raises
    ------
    InvalidInput
        If there are fewer frames than components, or an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[-10.0], [-10.0], [10.0], [10.0]])
    >>> start = initialize(x, 2)
    >>> sorted(start.means.round(3).ravel().tolist()), start.weights.round(3).tolist()
    ([-10.0, 10.0], [0.5, 0.5])
    """
    k = integer(n_components, "n_components", minimum=1)
    if isinstance(method, GMM):
        if method.n_components != k:
            refuse("n_components", f"be {method.n_components}, as init has", k)
        return method
    method = choice(method or ("kmeans" if k <= MANY else "split"), "method", METHODS)
    kind = covariance_type(covariance)
    if np.ndim(floor.absolute) > 1:
        refuse("the absolute floor", "be one number, or one per dimension", f"shape {np.shape(floor.absolute)}")
    rng = np.random.default_rng(seed)
    size = sample_size_of(k) if sample_size is None else integer(sample_size, "sample_size", minimum=1)
    x = sample_frames(as_blocks(blocks), size, rng)
    if len(x) < k:
        refuse("n_components", f"be at most the {len(x)} frames it is trained on", k, "Use fewer, or more data.")
    whole = _whole(x, kind, floor)
    if method == "kmeans":
        return _kmeans(x, k, rng, whole, floor)
    if method == "random":
        return _random(x, k, rng, whole)
    if k == 1:
        return whole

    def some(size: int) -> Iterable[Any]:
        return as_blocks(sample_frames([x], sample_size_of(size), rng))

    return grow(whole, some, k, between=GROWING, stop=GROWING, floor=floor, n_threads=n_threads).model


def sample_size_of(k: int) -> int:
    """Return how many frames a start of K components works on: more did not change error rates."""
    return max(100 * k, 20_000)


def unit_gaussian(mean: Array, kind: type[Covariance]) -> GMM:
    """Return the Gaussian of variance 1 about a mean (D,): what the statistics of all frames are taken against."""
    return GMM(np.ones(1), mean[None], kind.of(np.ones((1, len(mean)))), mean)


def _whole(x: Array, kind: type[Covariance], floor: Floor) -> GMM:
    """Return the single Gaussian of all frames: its mean is the origin of everything that grows from it."""
    lowest = np.maximum(floor.absolute, np.finfo(float).tiny)
    unit = unit_gaussian(x.mean(axis=0, dtype=np.float64), kind)
    statistics = unit.assigned(x, np.ones((len(x), 1)))
    return maximize(statistics, unit, update="c", floor=replace(floor, absolute=lowest, occupancy=0.0)).model


def _random(x: Array, k: int, rng: np.random.Generator, whole: GMM) -> GMM:
    means = x[np.sort(rng.choice(len(x), size=k, replace=False))]
    return GMM(np.full(k, 1 / k), means, whole.covariance.take(np.zeros(k, int)), whole.origin)


def _kmeans(x: Array, k: int, rng: np.random.Generator, whole: GMM, floor: Floor) -> GMM:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    scaled = np.ascontiguousarray((x - whole.origin) / whole.covariance.deviations())
    kmeans = KMeans(k, n_init=1, max_iter=20, random_state=int(rng.integers(2**31)))
    with single_threaded(), warnings.catch_warnings():
        # fewer distinct frames than clusters: the empty ones are reseeded below
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = kmeans.fit(scaled).labels_
    start = _random(x, k, rng, whole)
    blocks = zip(ArrayBlocks(x, BLOCK), ArrayBlocks(labels, BLOCK), strict=True)
    parts = (start.assigned(frames, np.eye(k)[of_frames]) for frames, of_frames in blocks)
    return maximize(total(parts), start, floor=floor).model


def grow(
    start: GMM,
    blocks: Callable[[int], Iterable[Any]],
    n_components: int,
    *,
    between: StopRule,
    stop: StopRule,
    floor: Floor,
    n_threads: Threads = None,
) -> Fit[GMM]:
    """Split the heaviest components of `start` in two, again and again, until there are `n_components`, and run EM.

    Parameters
    ----------
    start : GMM
        Of at most as many components.
    blocks : callable
        Gives what EM works on with so many components: re-iterable blocks of frames, with weights or without.
    n_components : int
    between, stop : StopRule
        When EM ends that runs between two splits, and after the last.
    floor, n_threads
        As in `fit_gmm`.
    """
    m_step = functools.partial(maximize, floor=floor)
    model = start
    while model.n_components < n_components:
        model = split(model, min(model.n_components, n_components - model.n_components))
        if model.n_components < n_components:
            model = fit(model, blocks(model.n_components), m_step, stop=between, n_threads=n_threads).model
    return fit(model, blocks(n_components), m_step, stop=stop, n_threads=n_threads)

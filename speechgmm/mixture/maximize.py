"""The M-step: statistics (and a prior) -> GMM, with floors and a rule for components that lose their frames.

Symbols: K components, D dimensions.
"""

from dataclasses import dataclass, replace

import numpy as np

from speechgmm.checks import Array, finite, integer, number, numeric, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.looks import Shown
from speechgmm.mixture.em import Update
from speechgmm.mixture.ensemble import UBM
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread

TINY = float(np.finfo(float).tiny)
"""The least count that is not zero."""
SPLIT = 0.2
"""How far split components move apart, in standard deviations to each side (Young et al., HTK book)."""
_SHARE = 0.1
"""Of the count that is each component's if all count alike: who has so much is not lost, however little all count."""


@dataclass(frozen=True, eq=False)
class Floor(Shown):
    """What keeps a component from collapsing: least variances, or with `add` an amount added to every variance.

    Parameters
    ----------
    absolute : float or ndarray broadcastable to (K, D)
        The least variance, in squared units of the feature. The default only keeps constant features from zero.
        A full or tied covariance is kept from falling below diag(floor), by its eigenvalues in units of the floor; a
        spherical one has the mean over its dimensions.
    relative : float
        The least variance as a share of the variance of all counted frames in that dimension. The default lets a
        component be a hundredth as wide as the data; speech systems use 0.01.
    occupancy : float
        A component that counts fewer frames than this has lost them: it is reseeded (see `maximize`), or with
        `reseed` False keeps its mean and covariance. Frames may weigh little: a component that has a tenth of an
        equal share of all that is counted has not lost them, whatever the number.
    reseed : bool
    add : bool
        Add the amounts instead of clipping at them, as scikit-learn's `reg_covar` does. Clipping leaves variances
        above the floor as they are and never lowers the objective; adding widens all of them, and may.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import fit_gmm
    >>> x = np.array([[1.0], [1.0], [1.0], [5.0]])
    >>> fit_gmm(x, 1, floor=Floor(absolute=4.0)).model.covariance.variances.tolist()  # of the data it is 3
    [[4.0]]
    """

    absolute: float | Array = 1e-10
    relative: float = 1e-4
    occupancy: float = 0.5
    reseed: bool = True
    add: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        absolute = finite(numeric(self.absolute, "the absolute floor"), "the absolute floor")
        if absolute.min(initial=0.0) < 0:
            refuse("the absolute floor", "be at least 0", f"{absolute.min():g}")
        number(self.relative, "the relative floor", minimum=0.0, maximum=1.0)
        number(self.occupancy, "the occupancy floor", minimum=0.0, unit=" frames")

    def minimum(self, variance: Array) -> Array:
        """Return the least variances, or what is added to them, given the variance (D,) of all frames."""
        return np.maximum(self.absolute, self.relative * variance)


@one_thread
def maximize(
    statistics: Statistics,
    model: GMM,
    *,
    prior: Statistics | None = None,
    update: str = "wmc",
    floor: Floor = Floor(),
) -> Update[GMM]:
    """Return the mixture that maximizes the expected log-likelihood (Bishop 2006, eq. 9.24 to 9.26).

    Parameters
    ----------
    statistics : Statistics
        Taken against `model`.
    model : GMM
        Gives what is not updated, and what a component without frames keeps.
    prior : Statistics, optional
        Imagined statistics, added to those of the data.
    update : str
        Any of "w" (weights), "m" (means), "c" (covariances). Covariances are taken about the means of the result.
    floor : Floor
        Clipping a variance at a fixed floor is the maximum under that bound, so the objective still cannot fall.
        A component that has lost its frames by ``floor.occupancy`` is reseeded where means and covariances are updated:
        in the order of their numbers, each takes half of the component that is heaviest at that moment, the two
        moved 0.2 standard deviations apart. That step may lower the objective and is noted.

    Returns
    -------
    Update
        With the notes "floored" (how many variances were raised) and "reseeded" (how many components), if any.

    Examples
    --------
    >>> from speechgmm.mixture import Diagonal, GMM
    >>> one = GMM([1.0], [[0.0]], Diagonal([[1.0]]))
    >>> new = maximize(one.statistics([[3.0], [5.0]]), one).model
    >>> new.means.tolist(), new.covariance.variances.tolist()
    ([[4.0]], [[1.0]])
    """
    if not update or set(update) - set("wmc"):
        refuse("update", "be made of the letters w, m and c", repr(update))
    s = statistics if prior is None else statistics + prior
    check_against(s, model, "model")
    if s.counts.sum() <= 0:
        refuse("statistics", "count some frames", "none", "Nothing can be estimated from no data.")
    return m_step(s, model, update=update, floor=floor)


def m_step(
    s: Statistics, model: GMM, *, update: str = "wmc", floor: Floor = Floor(), slack: float = 0.0
) -> Update[GMM]:
    """Return what `maximize` does of statistics that were taken against the model, which nothing here checks.

    `slack` is added to the counts that are not 0.
    """
    counts = s.counts if not slack else np.where(s.counts > 0, s.counts + slack, 0.0)
    lost = counts < max(min(floor.occupancy, _SHARE * float(counts.sum()) / len(counts)), TINY)
    some_lost = bool(lost.any())
    offsets, means = model.offsets, model.means
    if "m" in update:
        offsets = s.first / (np.where(lost, 1.0, counts) if some_lost else counts)[:, None]
        means = offsets + model.origin
        if some_lost:
            offsets = np.where(lost[:, None], model.offsets, offsets)
            means = np.where(lost[:, None], model.means, means)
    covariance, floored = model.covariance, 0
    if "c" in update:
        values = covariance.estimate(s.second, s.first, counts, offsets)
        least = floor.minimum(s.variance if floor.relative else np.zeros(s.origin.size))
        covariance, floored = covariance.replaced(values, lost, least, add=floor.add)
    weights = counts / counts.sum() if "w" in update else model.weights
    made = GMM.computed if np.isfinite(means).all() else GMM  # which refuses what is not
    result = made(weights, means, covariance, model.origin)
    reseeded, source = 0, None
    if floor.reseed and {"m", "c"} <= set(update) and some_lost:
        result, source = _reseed(result, np.flatnonzero(lost))
        reseeded = int(lost.sum())
    notes = {"floored": floored, "reseeded": reseeded}
    return Update(result, {name: n for name, n in notes.items() if n}, source)


@one_thread
def split(model: GMM, n: int) -> GMM:
    """Return `model` with its `n` heaviest components split in two: K + n components.

    The halves share weight and covariance and move apart by 0.2 standard deviations to each side in every dimension;
    where features are correlated, by 0.2 times the symmetric square root of the covariance and a vector of ones.

    Examples
    --------
    >>> from speechgmm.mixture import Diagonal, GMM
    >>> gmm = GMM([0.75, 0.25], [[0.0], [9.0]], Diagonal([[1.0], [1.0]]))
    >>> halves = split(gmm, 1)
    >>> halves.n_components, sorted(halves.means.ravel().round(3).tolist())
    (3, [-0.2, 0.2, 9.0])
    """
    integer(n, "n", minimum=0, maximum=model.n_components)
    heavy = np.sort(np.argsort(-model.weights, kind="stable")[:n])
    keep = np.arange(model.n_components)
    grown = model.take(np.concatenate([keep, heavy]))
    steps = np.zeros(grown.n_components)
    steps[heavy], steps[len(keep) :] = -SPLIT, SPLIT
    weights = np.array(grown.weights)
    weights[steps != 0] = np.concatenate([model.weights[heavy], model.weights[heavy]]) / 2
    weights[steps == 0] = model.weights[np.setdiff1d(keep, heavy)]
    return replace(grown, weights=weights, means=grown.means + steps[:, None] * grown.covariance.shift())


def check_against(statistics: Statistics, model: UBM, name: str) -> None:
    """Refuse statistics of another shape or about another origin than the model's; `name` is its name in messages."""
    rule, found = f"be taken against this {name} of", f"shape {statistics.first.shape}, or another origin"
    if statistics.first.shape != model.means.shape or not np.array_equal(statistics.origin, model.origin):
        advice = f"Use {name.lower()}.statistics(frames)."
        refuse("statistics", f"{rule} shape {model.means.shape}", found, advice, error=IncompatibleModel)
    if statistics.second.shape != model.moments_shape:
        kind, found = type(model.covariance).__name__, f"second moments of shape {statistics.second.shape}"
        refuse("statistics", f"{rule} {kind} covariances", found, error=IncompatibleModel)


def _reseed(model: GMM, lost: Array) -> tuple[GMM, Array]:
    """Return `model` in which each lost component is one half of the heaviest at its turn, and what each grew from."""
    weights, source, steps = model.weights.copy(), np.arange(model.n_components), np.zeros(model.n_components)
    for component in lost:
        heavy = int(weights.argmax())
        weights[heavy] /= 2
        weights[component], source[component] = weights[heavy], source[heavy]
        steps[component] = steps[heavy] + SPLIT
        steps[heavy] -= SPLIT
    halves = model.take(source)
    means = halves.means + steps[:, None] * halves.covariance.shift()
    return replace(halves, weights=weights / weights.sum(), means=means), source

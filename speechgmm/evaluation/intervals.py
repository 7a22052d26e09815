"""How far to trust a number: confidence intervals by a bootstrap over speakers, and of shares of decisions.

The trials of one speaker are alike, and each speaker takes part in many, so that trials are no independent draws but
speakers are. A replicate draws as many persons as there are, with replacement; a trial counts as often as its enrolled
speaker was drawn times as often as the speaker of its test was, and once only where both are the same person. An
interval holds the middle of the replicates (percentiles), which suits sums and differences of many speakers. For rates
of tables of scores `jackknife` is truer: it knows that optima flatter. Neither says anything of other places,
telephones or languages. Shares of independent decisions have Wilson's interval.

References
----------
.. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13.
.. [2] N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
   authentication using joint bootstrap", ICASSP 2007.
.. [3] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.name_index import index_names

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate, and the interval from `low` to `high` that holds the truth with probability `level` (0 to 1)."""

    estimate: float
    low: float
    high: float
    level: float

    def turned(self) -> "Interval":
        """Return the interval of the other share: of what is right, where this is of what is wrong."""
        return Interval(1 - self.estimate, 1 - self.high, 1 - self.low, self.level)


def bootstrap(
    statistic: Callable[[Floats], Mapping[str, float]],
    speaker: ArrayLike,
    other: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return intervals for statistics of R weighted rows, by drawing the speakers of the rows anew.

    Parameters
    ----------
    statistic : callable
        Given weights (R,) from 0 up, it returns numbers by name; NaN where the weights leave nothing to measure.
        It is called with weights of 1 for the estimates, then once per replicate.
    speaker : array_like of str, shape (R,)
        The speaker of each row.
    other : array_like of str, shape (R,), optional
        The second speaker of each row, for trials: who is enrolled, and who speaks in the test.
    replicates : int
        At least 20; 1000 place the ends of a 95 % interval well.
    level : float
        Between 0 and 1.
    seed : int
        The same seed and rows give the same bits.

    Raises
    ------
    InvalidInput
        For fewer than two speakers, columns of different lengths, options out of range, or a statistic that is NaN in
        half of the replicates or more.

    Examples
    --------
    >>> import numpy as np
    >>> right = np.array([1.0, 0.0, 1.0, 1.0])
    >>> found = bootstrap(lambda w: {"rate": w @ right / w.sum()}, ["ann", "ann", "bob", "cid"])
    >>> found["rate"]
    Interval(estimate=0.75, low=0.5, high=1.0, level=0.95)
    """
    names = np.asarray(speaker, dtype=np.str_)
    if names.ndim != 1 or names.size == 0:
        checks.refuse("speaker", "hold the name of the speaker of each row", f"an array of shape {names.shape}")
    rows = len(names)
    if other is not None:
        second = np.asarray(other, dtype=np.str_)
        if second.shape != names.shape:
            checks.refuse("other", f"have one name for each of {rows} rows", f"shape {second.shape}")
        names = np.concatenate([names, second])
    people = index_names(names)
    first, last = people.codes[:rows], people.codes[-rows:]

    checks.number(level, "level", minimum=0, maximum=1, above=True)
    estimates = statistic(np.ones(rows))
    every = draws(len(people.names), replicates, seed)
    table = [statistic(weigh(times, first, last).astype(float)) for times in every]
    intervals = {}
    for name, estimate in estimates.items():
        values = np.array([found[name] for found in table])
        there = values[~np.isnan(values)]
        if 2 * len(there) <= len(values):
            found = f"a value in {len(there)} of {len(values)} replicates"
            checks.refuse(name, "be there in more than half of the replicates", found, "More speakers are needed.")
        low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        intervals[name] = Interval(float(estimate), float(low), float(high), float(level))
    return intervals


def draws(people: int, replicates: int, seed: int) -> Iterator[Counts]:
    """Yield how often each person is drawn, (P,), once per replicate; refuse fewer than two persons."""
    checks.integer(replicates, "replicates", minimum=20)
    checks.integer(seed, "seed", minimum=0)
    if people < 2:
        checks.refuse("speakers", "be at least two, for an interval over speakers", people)
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(rng.integers(people, size=people), minlength=people)


def weigh(times: NDArray[Any], first: NDArray[Any], last: NDArray[Any]) -> NDArray[Any]:
    """Return how often each trial counts, (R,), given how often each person was drawn."""
    once, same = times[first], first == last
    both = once * times[last]
    return np.asarray(np.where(same, once, both) if same.any() else both)


def accuracy(right: ArrayLike, groups: ArrayLike | None = None, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the share of right decisions.

    Parameters
    ----------
    right : array_like of bool, shape (U,)
    groups : array_like of str, shape (U,), optional
        Who or what each decision comes from. Decisions about one speaker are alike, so that with two groups or more
        the interval is that of a bootstrap over groups. Without them, or where no decision differs from the others
        and a bootstrap would have no width, it is Wilson's, for independent decisions.
    level : float
    seed : int

    Raises
    ------
    InvalidInput
        For no decisions, or groups that are not as many.

    Examples
    --------
    >>> found = accuracy([True, True, True, False])
    >>> round(found.low, 2), found.estimate, round(found.high, 2)
    (0.3, 0.75, 0.95)
    """
    hits = np.asarray(right, dtype=np.float64)
    if hits.ndim != 1 or not len(hits):
        checks.refuse("decisions", "be at least one", f"an array of shape {hits.shape}")
    if groups is not None and len(names := np.asarray(groups, dtype=np.str_)) != len(hits):
        checks.refuse("groups", f"be {len(hits)}, one for each decision", len(names))
    if groups is None or len(np.unique(names)) < 2 or np.ptp(hits) == 0:
        return wilson(int(hits.sum()), len(hits), level=level)
    return bootstrap(lambda w: {"accuracy": w @ hits / w.sum()}, names, level=level, seed=seed)["accuracy"]


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share of independent trials [3]_.

    Examples
    --------
    >>> round(wilson(10, 10).low, 3)
    0.722
    """
    n = checks.integer(trials, "trials", minimum=1)
    p = checks.integer(successes, "successes", minimum=0, maximum=n) / n
    z = NormalDist().inv_cdf((1 + checks.number(level, "level", minimum=0.01, maximum=0.9999)) / 2)
    center, width = p + z * z / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    scale = 1 + z * z / n
    return Interval(p, max(0.0, (center - width) / scale), min(1.0, (center + width) / scale), level)

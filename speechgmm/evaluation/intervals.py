"""How far to trust a rate: confidence intervals by a bootstrap over speakers.

The trials of one speaker are alike, and each speaker takes part in many, so that trials are no independent draws but
speakers are. A replicate draws as many persons as there are, with replacement; a trial counts as often as its enrolled
speaker was drawn times as often as the speaker of its test was, and once only where both are the same person. An
interval holds the middle of the replicates (percentiles). It says how much a rate would differ with other speakers of
the same kind; it says nothing of other rooms, telephones or languages, and where no replicate can see an error (an
EER of 0) its width is 0, which is no proof that there are none.

References
----------
.. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13.
.. [2] N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
   authentication using joint bootstrap", ICASSP 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.names import index_names

__all__ = ["Interval", "bootstrap", "draws", "intervals_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate, and the interval from `low` to `high` in which `level` (0 to 1) of the replicates lie."""

    estimate: float
    low: float
    high: float
    level: float


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
        It is called with weights of 1 for the estimates, then once a replicate.
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
    estimates = statistic(np.ones(rows))
    values = (
        statistic(weigh(times, first, last).astype(float)) for times in draws(len(people.names), replicates, seed)
    )
    return intervals_of(estimates, values, level=level)


def draws(people: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each person is drawn, (P,), once a replicate; refuse fewer than two persons."""
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
    both: NDArray[Any] = once * times[last]
    return np.where(same, once, both) if same.any() else both


def intervals_of(
    estimates: Mapping[str, float], replicates: Iterator[Mapping[str, float]], *, level: float
) -> dict[str, Interval]:
    """Return the middle of the replicates of each statistic; NaNs are left out, if fewer than half of all are."""
    checks.number(level, "level", minimum=0, maximum=1, above=True)
    table = [dict(found) for found in replicates]
    result = {}
    for name, estimate in estimates.items():
        values = np.array([found[name] for found in table])
        there = values[~np.isnan(values)]
        if 2 * len(there) <= len(values):
            found = f"a value in {len(there)} of {len(values)} replicates"
            checks.refuse(name, "be there in more than half of the replicates", found, "More speakers are needed.")
        low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        result[name] = Interval(float(estimate), float(low), float(high), float(level))
    return result

"""How high the best score for a stranger is: thresholds for a stated rate of false accepts, however many are enrolled.

A search asks for the best of S enrolled speakers; a stranger is accepted where that best score reaches the threshold.
The rates are counted on searches of strangers, for several sizes; between two of these thresholds are interpolated in
the logarithm of the size, and beyond them rates are *modeled*:

1. More speakers than were searched, S for m, are S / m independent draws: all best scores stay below the threshold
   with the probability of m to the power S / m. Scores of one test that go together make the true rate lower.
2. Searches of one person, or that one model wins, go together: they count for as many independent ones as vary as much
   (two-way clusters, Cameron, Gelbach and Miller 2011 [3]_). A rate that too few of these would exceed is marked.
3. Above the last scores that were often enough seen, excesses follow a generalized Pareto distribution (Pickands
   1975 [1]_), its two parameters by moments (Hosking and Wallis 1987 [2]_, section 2); its shape is drawn towards 0,
   the exponential tail, where there are few excesses.

.. [1] J. Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3 (1975).
.. [2] J. Hosking and J. Wallis, "Parameter and quantile estimation for the generalized Pareto distribution",
   Technometrics 29 (1987).
.. [3] A. Cameron, J. Gelbach and D. Miller, "Robust inference with multiway clustering", Journal of Business & Economic
   Statistics 29 (2011), section 2.2.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import FAR, Array, finite, floats, hold, integer, numeric, probability, refuse
from speechgmm.looks import Shown

SEEN = 10.0
"""A rate is supported by the data if at least so many independent searches would exceed the threshold."""
_TOGETHER = 0.1
"""How much searches go together is told by the highest tenth of their scores."""
_TAIL_SHARE = 0.05
_TAIL_LEAST = 25
_TRUST = 50.0
"""The tail is the highest twentieth of the scores, or 25 of them; its shape counts as if 50 more excesses said 0."""
_SHAPES = (-0.5, 0.2)
_POINTS = 120
"""Points at which the counted rates are kept: neighbors differ by a few per cent."""


@dataclass(frozen=True)
class Threshold:
    """The score from which to accept, and whether the tail's model gave it where the data see too few exceedances."""

    score: float
    extrapolated: bool


@dataclass(frozen=True, eq=False)
class Strangers(Shown):
    """The best scores of strangers, for several numbers of enrolled speakers.

    Parameters
    ----------
    sizes : ndarray, shape (J,)
        How many were searched, ascending, from 1 on.
    searches : ndarray, shape (J,)
        How many independent searches of each size they are worth.
    rates : ndarray, shape (J, P)
        Shares of the searches that exceed `scores`, ascending.
    scores : ndarray, shape (J, P)
        Descending.
    edge, scale, shape : ndarray, shape (J,)
        The generalized Pareto tail: the rate where it begins, its scale in units of score, its shape.
    """

    sizes: Array
    searches: Array
    rates: Array
    scores: Array
    edge: Array
    scale: Array
    shape: Array

    def __post_init__(self) -> None:
        """Check everything, and hold the arrays as read-only."""
        hold(self, **{f.name: floats(getattr(self, f.name), f.name, largest=FAR) for f in fields(self)})
        j = self.sizes.size
        if not j or {a.shape for a in (self.sizes, self.searches, self.edge, self.scale, self.shape)} != {(j,)}:
            refuse("rates of strangers", "have numbers for each size", f"{j} sizes and others")
        if self.rates.shape != self.scores.shape or self.rates.shape[:1] != (j,):
            refuse("rates of strangers", "have a score for each rate", f"{self.rates.shape}, {self.scores.shape}")
        whole = (self.sizes % 1 == 0).all() and (self.searches % 1 == 0).all() and (self.searches >= 1).all()
        laws = {
            "be counted for sizes that ascend from 1": whole and self.sizes[0] == 1 and _ascends(self.sizes),
            "ascend from above 0 to at most 1": self.rates.size and _ascends(self.rates) and _shares(self.rates),
            "be of scores that descend": (np.diff(self.scores) <= 0).all(),
            "have a tail that begins above 0 and at most at 1": _shares(self.edge),
            "have a tail of a scale of at least 0": (self.scale >= 0).all(),
            "have a tail of a shape from -1 to 1": (np.abs(self.shape) <= 1).all(),
        }
        for rule, holds in laws.items():
            if not holds:
                refuse("rates of strangers", rule, "others", "Train the model again.")

    def threshold(self, far: float, speakers: int = 1) -> Threshold:
        """Return the score that the best of `speakers` reaches for a share `far` of all strangers.

        Parameters
        ----------
        far : float
            False accepts per search, between 0 and 1, both left out.
        speakers : int
            How many are enrolled; 1 is verification.

        Examples
        --------
        >>> impostors = np.random.default_rng(0).normal(size=(2000, 50))
        >>> found = fit_strangers(impostors).threshold(0.01)
        >>> round(found.score, 1), found.extrapolated  # a standard normal exceeds 2.33 with probability 0.01
        (2.3, False)
        """
        far = probability(far, "far")
        integer(speakers, "the number of enrolled speakers", minimum=1)
        j = int(np.flatnonzero(self.sizes <= speakers)[-1])
        if self.sizes[j] < speakers < self.sizes[-1]:
            low, high = (self.threshold(far, int(self.sizes[i])) for i in (j, j + 1))
            share = np.log(speakers / self.sizes[j]) / np.log(self.sizes[j + 1] / self.sizes[j])
            score = (1 - share) * low.score + share * high.score
            return Threshold(float(score), low.extrapolated or high.extrapolated)
        rate = -np.expm1(np.log1p(-far) * self.sizes[j] / speakers)
        extrapolated = bool(rate * self.searches[j] < SEEN)
        if rate >= self.edge[j]:
            return Threshold(float(np.interp(np.log(rate), np.log(self.rates[j]), self.scores[j])), extrapolated)
        begin = float(np.interp(np.log(self.edge[j]), np.log(self.rates[j]), self.scores[j]))
        x, shape = np.log(self.edge[j] / rate), self.shape[j]
        excess = x if abs(shape) < 1e-9 else np.expm1(shape * x) / shape
        return Threshold(begin + float(self.scale[j] * excess), extrapolated)


def _ascends(rows: Array) -> bool:
    """Return whether numbers ascend along the last axis."""
    return bool((np.diff(rows) > 0).all())


def _shares(rates: Array) -> bool:
    """Return whether all are shares above 0, up to 1."""
    return bool(((rates > 0) & (rates <= 1)).all())


def fit_strangers(
    searches: Array | Iterable[ArrayLike],
    *,
    tested: ArrayLike | None = None,
    models: Iterable[ArrayLike] | None = None,
    seed: int = 0,
    tail: int = _TAIL_LEAST,
) -> Strangers:
    """Count how high strangers come.

    Parameters
    ----------
    searches : array_like, shape (T, M), or iterable of array_like (M,)
        For each test of a stranger the scores against M speakers, finite; M may differ from test to test.
    tested : array_like, shape (T,), optional
        Who speaks in each test. Default: somebody else in each.
    models : iterable of array_like (M,), optional
        For each test who the M speakers are. Default: others in each, so that no model makes searches go together.
    seed : int
        For the division of M into smaller searches.
    tail : int
        The tail is the highest twentieth of the scores, or this many of them.

    Raises
    ------
    InvalidInput
        If there is no search, a score is not finite, or names are not one for each test or score.

    Examples
    --------
    >>> import numpy as np
    >>> strangers = fit_strangers(np.random.default_rng(0).normal(size=(2000, 50)))
    >>> round(strangers.threshold(0.05).score, 1)  # a standard normal exceeds 1.64 so often
    1.6
    >>> strangers.threshold(0.05, speakers=50).score > strangers.threshold(0.05).score
    True
    """
    integer(seed, "seed", minimum=0)
    rng = np.random.default_rng(seed)
    given = [finite(numeric(s, "searches").astype(np.float64), "searches") for s in searches]
    least = min((r.size for r in given), default=0)
    if not least:
        refuse("searches of strangers", "be at least one, of at least one speaker each", f"{len(given)} rows")
    drawn = [rng.permutation(r.size) for r in given]
    rows = [r[i] for r, i in zip(given, drawn, strict=True)]
    who = _numbered(np.arange(len(rows)) if tested is None else tested, len(rows))
    owners = None if models is None else _owners(models, drawn)
    doubled = [2**i for i in range(least.bit_length()) if 2**i < least]
    sizes = [*doubled, least] if least > 1 else [1]
    best = [_best(rows, size) for size in sizes]
    curves = [_curve(b) for b in best]
    tails = np.array([_tail(b, tail) for b in best])
    rates, scores = (np.stack(part) for part in zip(*curves, strict=True))
    worth = np.array([_independent(rows, who, owners, size) for size in sizes])
    return Strangers(np.array(sizes), worth, rates, scores, *tails.T)


def _numbered(names: ArrayLike, size: int) -> Array:
    """Return a number for each of so many names, the same one for the same name."""
    every = np.ravel(np.asarray(names))
    if every.size != size:
        refuse("names of strangers or models", f"be {size}, as the scores are", every.size)
    return np.asarray(np.unique(every, return_inverse=True)[1])


def _owners(models: Iterable[ArrayLike], drawn: list[Array]) -> list[Array]:
    """Return numbers of the models of each search, in the order in which they were drawn."""
    names = [np.ravel(np.asarray(m)) for m in models]
    if [n.size for n in names] != [i.size for i in drawn]:
        refuse("models of searches", "be one for each score", f"{sum(n.size for n in names)} in {len(names)} searches")
    numbers = np.split(_numbered(np.concatenate(names), sum(map(len, names))), np.cumsum([n.size for n in names])[:-1])
    return [n[i] for n, i in zip(numbers, drawn, strict=True)]


def _independent(rows: list[Array], who: Array, owners: list[Array] | None, size: int) -> int:
    """Return how many independent searches those of `size` speakers are worth."""
    groups = [r[: len(r) // size * size].reshape(-1, size) for r in rows]
    best = np.concatenate([g.max(axis=1) for g in groups])
    high = (best > np.quantile(best, 1 - _TOGETHER)).astype(np.float64)
    n, share = len(best), high.mean()
    if n < 2 or share == 0:
        return n
    test = np.repeat(who, [len(g) for g in groups])
    apart = [_variance(high - share, test)]
    if owners is not None:
        won = np.concatenate(
            [
                o[: g.size].reshape(g.shape)[np.arange(len(g)), g.argmax(axis=1)]
                for o, g in zip(owners, groups, strict=True)
            ]
        )
        model, both = _variance(high - share, won), _variance(high - share, test * (1 + won.max()) + won)
        apart += [model, apart[0] + model - both]
    alone = n * share * (1 - share) * n / (n - 1)
    return max(1, int(n / max(1.0, max(apart) / alone)))


def _variance(left: Array, cluster: Array) -> float:
    """Return the variance of the sum of residuals that go together within clusters."""
    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], left)
    return float(len(sums) / max(len(sums) - 1, 1) * (sums**2).sum())


def _best(rows: list[Array], size: int) -> Array:
    """Return the best score of each group of `size` speakers, ascending."""
    groups = [r[: len(r) // size * size].reshape(-1, size).max(axis=1) for r in rows]
    return np.sort(np.concatenate(groups))


def _curve(best: Array) -> tuple[Array, Array]:
    """Return rates, ascending, and the scores that these shares exceed."""
    n = len(best)
    rates = np.geomspace(0.5 / n, 1.0, _POINTS)
    return rates, np.interp(1 - rates, (np.arange(n) + 0.5) / n, best)


def _tail(best: Array, least: int) -> tuple[float, float, float]:
    """Return where the tail begins, as a rate, its scale and its shape."""
    n = len(best)
    count = min(max(int(_TAIL_SHARE * n), least), n - 1)
    if count < 1:
        return 0.5, 0.0, 0.0
    begin = np.interp(1 - count / n, (np.arange(n) + 0.5) / n, best)
    excess = np.maximum(best[n - count :] - begin, 0.0)
    mean, variance = excess.mean(), excess.var()
    raw = 0.5 * (1 - mean**2 / variance) if variance > 0 else 0.0
    shape = float(np.clip(raw * count / (count + _TRUST), *_SHAPES))
    return count / n, float(mean * (1 - shape)), shape

"""Calibration: scores of any scale become log-likelihood ratios, for which thresholds follow from costs and priors.

The map is logistic regression (Brümmer and du Preez 2006 [1]_): affine in the score, with coefficients that may move
with side information such as the amount of speech. Training trials are weighted to a stated prior, which is then taken
out again, so that the result is a likelihood ratio and no posterior odds. At a small prior only the few trials near a
threshold far out say anything about the slope; it stays near the slope of prior one half unless they say otherwise.
Symbols: T trials, Q kinds of side information, M features.

.. [1] N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
   Language 20 (2006), sections 5 and 6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import FAR, Array, floats, hold, numeric, probability, refuse
from speechgmm.evaluation.roc import Application
from speechgmm.looks import Shown

_STRENGTH = 1.0
"""The penalty of slopes for standardized scores at prior one half, of the weight of about one trial. It keeps slopes
finite where the scores separate the two kinds perfectly, and shares weight among scores that say the same."""
_CHANGE = 2.0
"""The penalty of what another prior changes in the slopes: `recipes/benchmarks/penalty.py` compares costs."""
_ITERATIONS = 100
"""Of Newton's method at most; a dozen is usual."""
_NEAR = 1e-10
"""It ends when the next step would lower the loss by less than this share, which that step then squares."""
_EDGES = (0.02, 0.98)
"""Side information counts as if it lay within these quantiles of what the calibration was fitted on."""


@dataclass(frozen=True, eq=False)
class Calibration(Shown):
    """A map of scores to log-likelihood ratios, strictly increasing in the score.

    ``llr = slope * score + offset``, where both are affine in the logarithms u of the side information:
    ``slope = slopes[0] + u @ slopes[1:]``, and offset likewise. Each amount counts as if it lay between `low` and
    `high`: the map does not extrapolate.

    Parameters
    ----------
    slopes, offsets : array_like, shape (1 + Q,)
        In nats per unit of score, and in nats.
    low, high : array_like, shape (Q,)
        The least and the most side information that the map knows, above 0; in seconds where it is speech.

    Raises
    ------
    InvalidInput
        If shapes disagree, a number is not finite, or the slope is not positive everywhere.

    Examples
    --------
    >>> Calibration(slopes=[2.0], offsets=[-1.0], low=[], high=[])([0.0, 1.0])
    array([-1.,  1.])
    """

    slopes: Array
    offsets: Array
    low: Array
    high: Array

    def __post_init__(self) -> None:
        """Check the numbers and hold them as read-only float64."""
        hold(self, **{n: floats(getattr(self, n), n, largest=FAR) for n in ("slopes", "offsets", "low", "high")})
        q = self.low.size
        if {self.slopes.shape, self.offsets.shape} != {(1 + q,)} or self.low.shape != self.high.shape:
            shapes = [getattr(self, n).shape for n in ("slopes", "offsets", "low", "high")]
            refuse("a calibration", "have a slope and an offset more than kinds of side information", shapes)
        if (self.low <= 0).any() or (self.high < self.low).any():
            refuse("side information", "run from low above 0 to high", f"{self.low} to {self.high}")
        least = _least_slope(self.slopes, self.low, self.high)
        if least <= 0:
            refuse("the slope of a calibration", "be above 0 for all side information", f"{least:g}")

    def check_alone(self) -> None:
        """Refuse a map that needs side information, where there are scores alone."""
        if self.low.size:
            refuse("the map to LLRs", "know scores alone", f"{self.low.size} kinds of side information")

    def __call__(self, scores: ArrayLike, *side: ArrayLike) -> Array:
        """Return log-likelihood ratios in nats.

        Parameters
        ----------
        scores : array_like
        *side : array_like
            Q amounts above 0 that broadcast with the scores; NaN, not known, counts as the middle of its range.

        Raises
        ------
        InvalidInput
            If the number of kinds is another, or an amount is not above 0.
        """
        if len(side) != self.low.size:
            refuse("side information", f"be of {self.low.size} kind(s), as the calibration was fitted", len(side))
        slope, offset = self.slopes[0], self.offsets[0]
        for i, amounts in enumerate(side, 1):
            a = numeric(amounts, "side information").astype(np.float64)
            if (a <= 0).any():
                refuse("side information", "be above 0", f"{a.min():g}")
            u = np.log(np.clip(a, self.low[i - 1], self.high[i - 1]))
            u = np.where(np.isnan(u), (np.log(self.low[i - 1]) + np.log(self.high[i - 1])) / 2, u)
            slope, offset = slope + self.slopes[i] * u, offset + self.offsets[i] * u
        return np.asarray(slope * numeric(scores, "scores").astype(np.float64) + offset)


def fit_calibration(
    scores: ArrayLike,
    target: ArrayLike,
    *side: ArrayLike,
    prior: float = 0.5,
    weights: ArrayLike | None = None,
) -> Calibration:
    """Fit a calibration to labeled trials by logistic regression.

    Parameters
    ----------
    scores : array_like, shape (T,)
        Higher for targets.
    target : array_like, shape (T,)
        1 or 0.
    *side : array_like, shape (T,)
        Kinds of side information, each an amount above 0. Their logarithms move slope and offset; where the slope
        would then not be positive everywhere, they move the offset alone.
    prior : float
        Share of the targets' weight: where the map is to be most exact. The result is a likelihood ratio whatever
        it is.
    weights : array_like, shape (T,), optional
        How much a trial counts among those of its label, for example less where a speaker has many.

    Raises
    ------
    InvalidInput
        If there are no targets or no nontargets, or the scores are not higher for targets.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scores = np.concatenate([rng.normal(1, 1, 5000), rng.normal(-1, 1, 5000)])
    >>> fit_calibration(scores, np.arange(10000) < 5000).slopes.round(1)  # two Gaussians: the LLR is twice the score
    array([2.])
    """
    probability(prior, "prior")
    s, y, w, amounts = _trials(scores, target, side, weights)
    low, high = np.quantile(amounts, _EDGES, axis=0) if side else np.zeros((2, 0))
    u = np.log(np.clip(amounts, low, high))
    for kinds_in_slope, kinds in ((len(side), len(side)), (0, len(side)), (0, 0)):
        slopes, offsets = _line(s, y, w, u, kinds_in_slope, kinds, prior)
        if _least_slope(slopes, low, high) > 0:
            return Calibration(slopes, offsets, low, high)
    return refuse("scores", "be higher for targets than for nontargets", "scores that are not", "Turn their sign.")


def regress(
    features: Array, targets: NDArray[np.bool_], weights: Array, *, spread: Array, prior: float
) -> tuple[Array, float]:
    """Return slopes (M,) and offset of the LLR as a linear function of features (T, M), by logistic regression.

    It is fitted twice: at prior one half, where every trial counts, with slopes penalized towards 0; then at the stated
    prior, with slopes penalized towards the first ones. Penalized towards 0 there, they would shrink: at prior 0.001
    all targets together weigh as much as a thousandth of the trials, less than a penalty of the weight of one trial.

    Parameters
    ----------
    features : array, shape (T, M)
    targets : array of bool, shape (T,)
    weights : array, shape (T,)
        How much a trial counts among those of its kind.
    spread : array, shape (M,)
        In units of these, 0 counting as 1, slopes are penalized alike.
    prior : float
        Share of the targets' weight; its log odds are taken off the offset.
    """
    center, spread = features.mean(axis=0), np.where(spread == 0, 1.0, spread)
    x = np.column_stack([(features - center) / spread, np.ones(len(features))])
    found = _least_loss(x, targets, weights, 0.5, np.zeros(len(spread)), _STRENGTH)
    if away := (1 - 2 * prior) ** 2:  # in units of 1 - 2 prior, a change of slopes is penalized alike
        found = _least_loss(x, targets, weights, prior, found[:-1], _CHANGE / away)
    slopes = found[:-1] / spread
    return slopes, float(found[-1] - slopes @ center)


def _least_loss(
    x: Array, targets: NDArray[np.bool_], weights: Array, prior: float, start: Array, penalty: float
) -> Array:
    """Return the slopes, then the offset, of x (T, M + 1) with the least logistic loss and penalty, by Newton's method.

    Losses are weighted to the prior and sum to T times their mean; beside them stands half the penalty times the square
    of the slopes' distance from `start` (M,).
    """
    from scipy.special import expit

    shares = weights * np.where(targets, prior / weights[targets].sum(), (1 - prior) / weights[~targets].sum())
    shares, sign = len(x) * shares, np.where(targets, -1.0, 1.0)
    log_odds, ridge = np.log(prior) - np.log1p(-prior), np.append(np.full(len(start), penalty), 0.0)

    def loss(parameters: Array) -> float:
        losses = np.logaddexp(0, sign * (x @ parameters + log_odds))
        return float(shares @ losses + 0.5 * ridge @ (parameters - center) ** 2)

    center = np.append(start, 0.0)
    parameters, least = center, loss(center)
    for _ in range(_ITERATIONS):
        posterior = expit(x @ parameters + log_odds)
        gradient = x.T @ (shares * (posterior - targets)) + ridge * (parameters - center)
        curvature = (x.T * (shares * posterior * (1 - posterior))) @ x + np.diag(ridge)
        unit = np.sqrt(np.diag(curvature))
        step = np.linalg.solve(curvature / np.outer(unit, unit), gradient / unit) / unit
        if gradient @ step <= _NEAR * least:
            return parameters - step
        while (reached := loss(parameters - step)) > least:
            step = 0.5 * step
        parameters, least = parameters - step, reached
    return parameters


def bayes_threshold(*, prior: float, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
    """Return the log-likelihood ratio from which accepting costs less than rejecting, in nats.

    Parameters
    ----------
    prior : float
        Probability of a target before anything is heard, between 0 and 1, both left out.
    cost_miss, cost_fa : float
        Costs of a miss and of a false accept, above 0.

    Examples
    --------
    >>> round(bayes_threshold(prior=0.01), 3)
    4.595
    """
    return Application(prior, cost_miss, cost_fa).threshold


def posteriors(llr: ArrayLike, *, prior: float) -> Array:
    """Return the posterior of each enrolled speaker and, last, of a stranger.

    Parameters
    ----------
    llr : array_like, shape (S,)
        Calibrated log-likelihood ratios of one test, each speaker against strangers.
    prior : float
        That it is one of the S enrolled speakers, each as probable as the others.

    Returns
    -------
    ndarray, shape (S + 1,)

    Examples
    --------
    >>> posteriors([0.0, 0.0], prior=0.5)
    array([0.25, 0.25, 0.5 ])
    """
    x = floats(llr, "llr")
    if x.ndim != 1 or not x.size:
        refuse("llr", "hold one number for each of at least one speaker", f"shape {x.shape}")
    probability(prior, "prior")
    joint = np.append(x + np.log(prior / len(x)), np.log1p(-prior))
    shares = np.exp(joint - joint.max())
    return np.asarray(shares / shares.sum())


def _trials(
    scores: ArrayLike, target: ArrayLike, side: tuple[ArrayLike, ...], weights: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """Return checked scores (T,), labels (T,), weights (T,) and amounts (T, Q)."""
    s, y = floats(scores, "scores"), np.asarray(target)
    w = np.ones(len(y)) if weights is None else floats(weights, "weights")
    columns = [floats(a, "side information") for a in side]
    if s.ndim != 1 or any(a.shape != s.shape for a in (y, w, *columns)):
        shapes = [a.shape for a in (s, y, w, *columns)]
        refuse("scores, labels, weights and side information", "be vectors of one length", shapes)
    if not np.isin(y, (0, 1)).all():
        refuse("target", "be 1 or 0 in every trial", f"{y[~np.isin(y, (0, 1))][0]}")
    y = y.astype(bool)
    amounts = np.stack(columns, axis=1) if columns else np.zeros((len(s), 0))
    if (amounts <= 0).any():
        refuse("side information", "be above 0", f"{amounts.min():g}")
    if not y.any() or y.all():
        refuse("calibration", "be fitted to targets and nontargets", "none of one kind")
    if (w < 0).any() or not w[y].sum() or not w[~y].sum():
        refuse("weights", "be at least 0, and not all 0 among targets or nontargets", f"least {w.min():g}")
    return s, y, w, amounts


def _line(s: Array, y: Array, w: Array, u: Array, kinds_in_slope: int, kinds: int, prior: float) -> tuple[Array, Array]:
    """Return slopes and offsets (1 + Q,), moved by so many kinds of the side information (T, Q)."""
    center = prior * np.average(s[y], weights=w[y]) + (1 - prior) * np.average(s[~y], weights=w[~y])
    spread, middle = float(s.std()) or 1.0, u.mean(axis=0)
    v = u - middle
    products = (s - center)[:, None] / spread * v[:, :kinds_in_slope]
    features = np.column_stack([s, products, v[:, :kinds]])
    spreads = np.append(spread, np.ones(kinds_in_slope + kinds))
    found, offset = regress(features, y, w, spread=spreads, prior=prior)
    slopes, offsets = np.zeros((2, 1 + u.shape[1]))
    slopes[1 : 1 + kinds_in_slope], offsets[1 : 1 + kinds] = np.split(found[1:], [kinds_in_slope])
    slopes[1:] /= spread
    offsets[1:] -= center * slopes[1:]
    slopes[0], offsets[0] = found[0] - slopes[1:] @ middle, offset - offsets[1:] @ middle
    return slopes, offsets


def _least_slope(slopes: Array, low: Array, high: Array) -> float:
    """Return the least slope over all side information."""
    ends = np.log(np.stack([low, high], axis=1)) * slopes[1:, None]
    return float(slopes[0] + ends.min(axis=1).sum())

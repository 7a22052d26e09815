"""Variational Bayes: a fit whose superfluous components vanish, on the same statistics.

C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), section 10.2, for the Dirichlet and Normal-Wishart
posteriors; D. M. Blei and M. I. Jordan, "Variational inference for Dirichlet process mixtures" (2006), for weights by
stick breaking. The posterior of means and precisions is the M-step on statistics + the prior's imagined statistics;
what differs from EM is the E-step, whose weights carry the uncertainty (eq. 10.46), and the bound of the evidence.

Precisions have a Wishart prior: of matrices for full and tied covariances, of one dimension (a Gamma prior) for each
variance of a diagonal one and, with D times the degrees of freedom, for each spherical variance
(`Covariance.wishart_blocks`). (scikit-learn takes
the expected log determinant of a D-dimensional Wishart variable for all four, and counts N / K frames for tied ones.)
Symbols: N frames, K components, D dimensions; n counts, beta = beta0 + n, nu = nu0 + n (nu0 + N if tied); G = K, or 1
where components share their covariance.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, floats, hold, instance, number, refuse
from speechgmm.looks import Shown
from speechgmm.mixture.blocks import as_blocks, weighted
from speechgmm.mixture.covariance import Covariance
from speechgmm.mixture.em import Fit, Notes, Stop, StopRule, Update, expectation, fit
from speechgmm.mixture.initialize import initialize, unit_gaussian
from speechgmm.mixture.maximize import check_against
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics
from speechgmm.parallel import one_thread


@dataclass(frozen=True, eq=False)
class Prior(Shown):
    """What is believed before any frame.

    Parameters
    ----------
    mean : ndarray, shape (D,)
    covariance : Covariance
        Of one component: inv(W0), the scale matrix, as scikit-learn's `covariance_prior`; divided by the degrees of
        freedom it is the covariance that is expected.
    concentration : float
        Of the weights. Small values leave superfluous components empty.
    mean_precision : float
        beta0: how many frames the mean counts for.
    degrees : float
        nu0, above D - 1.
    process : bool
        Weights by stick breaking (a Dirichlet process) instead of a Dirichlet distribution of K weights.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import Full, fit_bayes
    >>> x = np.random.default_rng(0).normal([[0.0], [20.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> prior = Prior(np.array([10.0]), Full([[[1.0]]]), concentration=0.01, mean_precision=1.0, degrees=1.0)
    >>> fit_bayes(x, 6, prior=prior).model.without(5.0).n_components
    2
    """

    mean: Array
    covariance: Covariance
    concentration: float
    mean_precision: float
    degrees: float
    process: bool = True

    def __post_init__(self) -> None:
        """Check the parts."""
        mean = floats(self.mean, "the prior mean")
        instance(self.covariance, "the covariance of the prior", Covariance)
        instance(self.process, "process", bool)
        if mean.ndim != 1 or self.covariance.parameters.shape != self.covariance.shape(1, mean.size):
            found = f"shapes {mean.shape} and {self.covariance.parameters.shape}"
            refuse("the prior", "have a mean (D,) and the covariance of one component", found)
        hold(
            self,
            mean=mean,
            concentration=number(self.concentration, "the concentration", minimum=0.0, above=True, finite=True),
            mean_precision=number(
                self.mean_precision, "the mean precision", minimum=0.0, above=True, finite=True, unit=" frames"
            ),
            degrees=number(self.degrees, "the degrees of freedom", minimum=mean.size - 1.0, above=True, finite=True),
        )

    @classmethod
    def of(cls, statistics: Statistics, covariance: type[Covariance], k: int, *, process: bool = True) -> "Prior":
        """Return scikit-learn's defaults for K components, from the `statistics` of all frames as one component.

        Their mean and covariance, a concentration of 1 / K, one frame for the mean and D degrees of freedom.
        """
        n, mean = float(statistics.counts[0]), statistics.first[0] / statistics.counts[0]
        values = covariance.estimate(statistics.second, statistics.first, statistics.counts, mean[None])
        variance, center = statistics.variance, mean + statistics.origin
        constant = np.sqrt(variance) <= 1e-12 * np.abs(center)
        least = 1e-10 * np.where(constant, variance.mean() or 1.0, variance)
        start = covariance.of(np.ones(statistics.first.shape))
        own, _ = start.replaced(values * (n / max(n - 1.0, 1.0)), np.zeros(1, dtype=bool), least)
        return cls(center, own, 1.0 / k, 1.0, float(mean.size), process)

    def concentrations(self, counts: Array) -> Array:
        """Return the parameters of the Dirichlet distributions that make the weights of components with these counts.

        One distribution of K weights, shape (1, K), or one for each stick, shape (K, 2): 1 + n_k, and gamma + the
        counts after k. Without counts (zeros) they are those of the prior.
        """
        if not self.process:
            return np.asarray(self.concentration + counts)[None]
        later = np.append(np.cumsum(counts[:0:-1])[::-1], 0.0)
        return np.stack([1.0 + counts, self.concentration + later], axis=1)

    def weights(self, counts: Array) -> Array:
        """Return the posterior means of the weights, scaled to sum 1 where sticks leave a rest."""
        alpha = self.concentrations(counts)
        weights = alpha[0]
        if self.process:
            shares = alpha / alpha.sum(axis=1, keepdims=True)
            weights = shares[:, 0] * np.append(1.0, np.cumprod(shares[:-1, 1]))
        return np.asarray(weights / weights.sum())

    def log_weights(self, counts: Array) -> Array:
        """Return the expected logarithms of the weights (eq. 10.66)."""
        expected = _expected_logs(self.concentrations(counts))
        return expected[:, 0] + np.append(0.0, np.cumsum(expected[:-1, 1])) if self.process else expected[0]

    def divergence(self, counts: Array) -> float:
        """Return the divergence of the weights' posterior: of Beta distributions or of one Dirichlet distribution."""
        from scipy.special import gammaln

        before, after = self.concentrations(np.zeros(len(counts))), self.concentrations(counts)
        wholes = gammaln(after.sum(axis=1)) - gammaln(before.sum(axis=1))
        normalizers = (gammaln(before) - gammaln(after)).sum() + wholes.sum()
        return float(normalizers + ((after - before) * _expected_logs(after)).sum())


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a variational E-step returns: statistics, and how far the posterior is from the prior."""

    statistics: Statistics
    divergence: float

    def __add__(self, other: "Evidence") -> "Evidence":
        """Return the evidence of both sets of frames under the same posterior."""
        return Evidence(self.statistics + other.statistics, self.divergence)

    @property
    def mean_log_likelihood(self) -> float:
        """The lower bound of the log evidence, in nats per frame (eq. 10.70): it never falls."""
        s = self.statistics
        return (s.log_likelihood - self.divergence) / s.frames if s.frames > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Variational(Shown):
    """The posterior of a mixture: everything follows from the prior, the expected mixture and its counts.

    Parameters
    ----------
    prior : Prior
    model : GMM
        The posterior means of weights and means, and the inverse of the expected precisions.
    counts : ndarray, shape (K,)
        How many frames each component counts.
    """

    prior: Prior
    model: GMM
    counts: Array

    @one_thread
    def statistics(self, x: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Evidence:
        """Return the statistics of the frames of `x` (N, D) under expected log densities (eq. 10.46)."""
        model, scale = self.e_step
        return self._evidence(model.statistics(x, sample_weight=sample_weight), scale)

    def summed(self, frames: Array, weights: Array | None = None) -> Evidence:
        """Return what `statistics` does of frames and weights that have been checked."""
        model, scale = self.e_step
        return self._evidence(model.summed(frames, weights), scale)

    def _evidence(self, s: Statistics, scale: float) -> Evidence:
        return Evidence(replace(s, log_likelihood=s.log_likelihood + scale * s.frames), self.divergence())

    @property
    def e_step(self) -> tuple[GMM, float]:
        """The mixture whose posteriors are the responsibilities, and the log of the scale its density misses."""
        d = self.model.n_dimensions
        logs = self.prior.log_weights(self.counts)
        logs = logs + 0.5 * (_log_determinants(self.model.covariance, self.degrees, d) - d / self.precisions)
        scale = float(logs.max() + np.log(np.exp(logs - logs.max()).sum()))
        weights = np.exp(logs - scale)
        return replace(self.model, weights=weights / weights.sum()), scale

    @property
    def precisions(self) -> Array:
        """The beta of eq. 10.60, shape (K,)."""
        return self.prior.mean_precision + self.counts

    @property
    def degrees(self) -> Array:
        """The nu of eq. 10.63, shape (K,), or (1,) where components share their covariance."""
        shared = self.model.covariance.shared
        return self.prior.degrees + (self.counts.sum(keepdims=True) if shared else self.counts)

    def divergence(self) -> float:
        """Return the Kullback-Leibler divergence of the posterior from the prior, in nats."""
        prior, model, d = self.prior, self.model, self.model.n_dimensions
        ratio = prior.mean_precision / self.precisions
        offsets, c = model.offsets, model.covariance
        at_prior = c.log_components((prior.mean - model.origin)[None], offsets)[0]
        distance = 2 * (np.diagonal(c.log_components(offsets, offsets)) - at_prior)
        means = 0.5 * (d * (ratio - np.log(ratio) - 1) + prior.mean_precision * distance)
        return float(means.sum() + _wisharts(self) + prior.divergence(self.counts))

    def without(self, minimum: float = 1.0) -> GMM:
        """Return the mixture of the components that count at least `minimum` frames; the heaviest always stays."""
        return self.model.take(np.flatnonzero(self.counts >= min(minimum, self.counts.max())))


@one_thread
def posterior(evidence: Evidence, variational: Variational) -> Update[Variational]:
    """Return the posterior given the statistics of an E-step: the M-step on them and the prior's (eq. 10.58 to 10.63).

    Of the posterior so far only the prior and the mixture count, against which the statistics were taken.
    """
    prior, model, statistics = variational.prior, variational.model, evidence.statistics
    check_against(statistics, model, "model")
    k, d = model.means.shape
    if type(model.covariance) is not type(prior.covariance) or prior.mean.size != d:
        found = f"{type(prior.covariance).__name__} in {prior.mean.size} dimensions"
        refuse("the prior", f"be of a {type(model.covariance).__name__} covariance in {d} dimensions", found)
    beta, center = prior.mean_precision, (prior.mean - model.origin)[None]
    kind = prior.covariance.take(np.zeros(k, dtype=int))
    share = 1 / k if kind.shared else 1.0
    second = kind.imagined(np.zeros((k, d)), np.full(k, share)) + kind.second_moments(center, np.full((1, k), beta))
    first = np.repeat(beta * center, k, axis=0)
    s = statistics + Statistics.computed(model.origin, np.full(k, beta), first, second, 0.0, 0.0)
    offsets = s.first / s.counts[:, None]
    values = kind.estimate(s.second, s.first, s.counts, offsets)
    result = replace(variational, counts=statistics.counts)
    mass = s.counts.sum(keepdims=True) if kind.shared else s.counts
    values = values * (mass / result.degrees).reshape(-1, *[1] * (values.ndim - 1))
    covariance, _ = kind.replaced(values, np.zeros(k, dtype=bool), np.zeros(d))
    weights = prior.weights(statistics.counts)
    updated = replace(model, weights=weights, means=offsets + model.origin, covariance=covariance)
    return Update(replace(result, model=updated))


def fit_bayes(
    blocks: ArrayLike | Iterable[ArrayLike],
    n_components: int,
    *,
    covariance: str | type[Covariance] = "full",
    prior: Prior | None = None,
    process: bool = True,
    init: str | GMM | None = None,
    seed: int | np.random.Generator = 0,
    stop: StopRule = Stop(),
    n_threads: int | None = None,
    on_iteration: Callable[[int, float, Notes], None] | None = None,
) -> Fit[Variational]:
    """Fit the posterior of a mixture of at most `n_components`; those that the data do not need vanish.

    Parameters
    ----------
    blocks : array_like (N, D), or re-iterable blocks of these
    n_components : int
        K, an upper bound.
    covariance : str or Covariance class
        "diag", "spherical", "tied" or "full", or another kind; where no start is given.
    prior : Prior, optional
        Default: `Prior.of` the data, with `process`.
    process : bool
    init, seed, stop, n_threads, on_iteration
        As in `fit_gmm`; the objective is the lower bound of the log evidence.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import Stop
    >>> x = np.random.default_rng(0).normal([[0.0], [20.0]], 1.0, size=(2, 500)).reshape(-1, 1)
    >>> result = fit_bayes(x, 6, stop=Stop(1e-6, 200))
    >>> result.model.without(5.0).n_components
    2
    """
    data = as_blocks(blocks)
    start = initialize(data, n_components, method=init, covariance=covariance, seed=seed, n_threads=n_threads)
    if prior is None:
        kind = type(start.covariance)
        whole = expectation(unit_gaussian(start.origin, kind), data, e_step=_all, n_threads=n_threads)
        prior = Prior.of(whole, kind, n_components, process=process)
    evidence = Evidence(expectation(start, data, n_threads=n_threads), 0.0)
    first = posterior(evidence, Variational(prior, start, evidence.statistics.counts)).model
    return fit(first, data, posterior, stop=stop, n_threads=n_threads, on_iteration=on_iteration)


def _all(one: GMM, block: Any) -> Statistics:
    """Return the statistics of a block under a mixture of one component."""
    b = weighted(block)
    return one.assigned(b.frames, b.weights[:, None])


def _log_determinants(covariance: Covariance, degrees: Array, d: int) -> Array:
    """Return E[log det precision] + log det covariance (eq. 10.65), shape (G,)."""
    blocks, times = _blocks(covariance, d)
    nu, p = times * degrees[:, None], blocks.shape[2]
    each = _digammas(nu, p) + p * (np.log(2) - np.log(nu))
    return np.asarray(times * blocks.shape[1] * each[:, 0])


def _blocks(covariance: Covariance, d: int) -> tuple[Array, int]:
    """Return the blocks that have Wishart priors, shape (G, B, P, P), and how often each counts."""
    blocks = covariance.wishart_blocks()
    return blocks, d // (blocks.shape[1] * blocks.shape[2])


def _wisharts(v: Variational) -> float:
    """Return the divergence of the precisions' posterior from their prior."""
    from scipy.special import multigammaln

    blocks, times = _blocks(v.model.covariance, v.model.n_dimensions)
    nu, nu0, p = times * v.degrees[:, None], times * v.prior.degrees, blocks.shape[2]
    scale = v.prior.covariance.wishart_blocks() * times
    trace = np.trace(np.linalg.solve(blocks, np.broadcast_to(scale, blocks.shape)), axis1=2, axis2=3)
    logs = np.linalg.slogdet(blocks)[1] - np.linalg.slogdet(scale)[1] + p * np.log(nu)
    gammas = multigammaln(nu0 / 2, p) - multigammaln(nu / 2, p)
    expected = 0.5 * (nu - nu0) * (_digammas(nu, p))
    return float((0.5 * (nu0 * logs + trace - p * nu) + gammas + expected).sum())


def _expected_logs(alpha: Array) -> Array:
    """Return the expected logarithms of probabilities that have a Dirichlet distribution in each row."""
    from scipy.special import digamma

    return np.asarray(digamma(alpha) - digamma(alpha.sum(axis=1, keepdims=True)))


def _digammas(nu: Array, p: int) -> Array:
    """Return the sum over i < P of digamma((nu - i) / 2)."""
    from scipy.special import digamma

    return np.asarray(digamma(0.5 * (nu[..., None] - np.arange(p))).sum(axis=-1))

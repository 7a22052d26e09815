"""What is believed of a mixture before any frame, and what counts make of the weights. Symbols as in `bayes.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import finite, number, numeric, refuse
from speechgmm.mixture.covariance import Covariance
from speechgmm.mixture.statistics import Statistics

Array = NDArray[Any]

__all__ = ["Prior"]


@dataclass(frozen=True, eq=False)
class Prior:
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
    """

    mean: Array
    covariance: Covariance
    concentration: float
    mean_precision: float
    degrees: float
    process: bool = True

    def __post_init__(self) -> None:
        """Check the parts."""
        mean = np.array(finite(numeric(self.mean, "the prior mean"), "the prior mean"), dtype=np.float64)
        mean.setflags(write=False)
        object.__setattr__(self, "mean", mean)
        if mean.ndim != 1 or self.covariance.parameters.shape != self.covariance.shape(1, mean.size):
            found = f"shapes {mean.shape} and {self.covariance.parameters.shape}"
            refuse("the prior", "have a mean (D,) and the covariance of one component", found)
        number(self.concentration, "the concentration", minimum=0.0, above=True)
        number(self.mean_precision, "the mean precision", minimum=0.0, above=True, unit=" frames")
        number(self.degrees, "the degrees of freedom", minimum=mean.size - 1.0, above=True)

    @classmethod
    def of(cls, statistics: Statistics, covariance: type[Covariance], k: int, *, process: bool = True) -> Prior:
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

    def sticks(self, counts: Array) -> tuple[Array, Array]:
        """Return the parameters of the Beta distribution of each stick: 1 + n_k, and gamma + the counts after k."""
        later = np.append(np.cumsum(counts[:0:-1])[::-1], 0.0)
        return 1.0 + counts, self.concentration + later

    def weights(self, counts: Array) -> Array:
        """Return the posterior means of the weights, scaled to sum 1 where sticks leave a rest."""
        if self.process:
            a, b = self.sticks(counts)
            weights = a / (a + b) * np.cumprod(np.concatenate([[1.0], (b / (a + b))[:-1]]))
        else:
            weights = self.concentration + counts
        result: Array = weights / weights.sum()
        return result

    def log_weights(self, counts: Array) -> Array:
        """Return the expected logarithms of the weights (eq. 10.66)."""
        from scipy.special import digamma

        if self.process:
            a, b = self.sticks(counts)
            rest = np.cumsum(digamma(b) - digamma(a + b))
            sticks: Array = digamma(a) - digamma(a + b) + np.concatenate([[0.0], rest[:-1]])
            return sticks
        alpha = self.concentration + counts
        result: Array = digamma(alpha) - digamma(alpha.sum())
        return result

    def divergence(self, counts: Array) -> float:
        """Return the divergence of the weights' posterior: of Beta distributions or of one Dirichlet distribution."""
        from scipy.special import digamma, gammaln

        if self.process:
            after = np.stack(self.sticks(counts), axis=1)
            before = np.tile([1.0, self.concentration], (len(counts), 1))
        else:
            after, before = (self.concentration + counts)[None], np.full((1, len(counts)), self.concentration)
        whole = after.sum(axis=1, keepdims=True)
        expected = digamma(after) - digamma(whole)
        normalizers = (gammaln(before) - gammaln(after)).sum() + (
            gammaln(whole[:, 0]) - gammaln(before.sum(axis=1))
        ).sum()
        return float(normalizers + ((after - before) * expected).sum())

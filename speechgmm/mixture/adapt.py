"""MAP adaptation of a universal background model (Reynolds, Quatieri and Dunn 2000).

D. A. Reynolds, T. F. Quatieri and R. B. Dunn, "Speaker verification using adapted Gaussian mixture models",
Digital Signal Processing 10 (2000), eq. 11 to 14. Symbols: K components, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import number, refuse
from speechgmm.mixture.ensemble import UBM
from speechgmm.mixture.maximize import Floor, check_against, maximize
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics

_LETTERS = "wmc"
RELEVANCE = 4.0
"""How many frames the UBM counts for in each component: a small one lets a model be its own soon. For speakers 4, 8 and
16 are all but alike (`recipes/benchmarks/accuracy.py`)."""
_LEAST_SHARE = 1e-3
"""No variance falls below this share of the UBM's: it only keeps a component of one frame from collapsing."""
_MOST = 1e100
"""Far beyond any use; the products of such a relevance stay finite."""


def adapt(
    ubm: GMM,
    statistics: Statistics,
    *,
    relevance: float | Mapping[str, float] = RELEVANCE,
    update: str = "m",
) -> GMM:
    """Return the UBM moved towards data, each component as far as the data speak of it.

    With n_k the count of component k, alpha_k = n_k / (n_k + relevance) (eq. 14).

    Parameters
    ----------
    ubm : GMM
    statistics : Statistics
        Of the data, taken against the UBM, or, where adaptation is the M-step of `fit`, against the model so far.
    relevance : float or mapping
        How many frames the UBM counts for in each component; 16 is Reynolds'. A mapping such as
        ``{"w": 16, "m": 4, "c": 16}`` sets each apart; letters that it leaves out have the default.
    update : str
        Any of "w" (weights, eq. 11), "m" (means, eq. 12), "c" (covariances, eq. 13). Means alone is what works best
        with little data.

    Returns
    -------
    GMM
        With no data, the UBM. As relevance goes to 0, the maximum-likelihood estimate for every component that
        counts frames, as it goes to infinity, the UBM. A component with neither frames nor relevance stays.

    Notes
    -----
    Eq. 12 and 13 are the M-step on ``statistics + relevance * ubm.imagined()``. Variances are taken about the means
    of the result, which is eq. 13 wherever one relevance serves means and covariances, and stays positive where
    not. No variance falls below a thousandth of the UBM's own.

    Raises
    ------
    InvalidInput
        If relevance is negative or not finite, or update names anything else.
    IncompatibleModel
        If the statistics are of another number of components or another origin.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> ubm = GMM([0.5, 0.5], [[-10.0], [10.0]], Diagonal([[1.0], [1.0]]))
    >>> adapt(ubm, ubm.statistics([[14.0]] * 12), relevance=4.0).means.ravel().tolist()  # 12 / (12 + 4) of the way
    [-10.0, 13.0]
    """
    if not update or set(update) - set(_LETTERS):
        refuse("update", "be made of the letters w, m and c", repr(update))
    factors = _relevances(relevance)
    check_against(statistics, ubm, "UBM")
    floor = Floor(absolute=_LEAST_SHARE * ubm.covariance.least(), relative=0.0, occupancy=0.0, reseed=False)
    model = ubm
    for letter in "mc":
        prior = factors[letter] * ubm.imagined()
        if letter in update and (statistics.counts.sum() > 0 or factors[letter] > 0):
            model = maximize(statistics, model, prior=prior, update=letter, floor=floor).model
    if "w" in update:
        model = replace(model, weights=_weights(ubm.weights, statistics.counts, factors["w"]))
    return model


def adapted_offsets(ubm: UBM, statistics: Statistics, relevance: float | NDArray[Any]) -> NDArray[Any]:
    """Return the means alone, relative to the origin (K, D): eq. 12, what ``adapt(..., update="m")`` gives, at once.

    A store of thousands is adapted with it whenever it is read. The relevance may differ by component, (K, 1).
    """
    check_against(statistics, ubm, "UBM")
    counts = statistics.counts[:, None]
    away, total = statistics.first - counts * ubm.offsets, counts + relevance
    if (total > 0).all():
        return np.asarray(ubm.offsets + away / total)
    total = np.broadcast_to(total, away.shape)
    return np.asarray(ubm.offsets + np.divide(away, total, out=np.zeros(away.shape), where=total > 0))


def moved(ubm: UBM, statistics: Statistics, relevance: float | NDArray[Any]) -> UBM:
    """Return a background model, an ensemble too, with its means adapted: ``adapt(..., update="m")``."""
    return ubm.with_means(ubm.origin + adapted_offsets(ubm, statistics, relevance))


def _weights(weights: NDArray[Any], counts: NDArray[Any], relevance: float) -> NDArray[Any]:
    """Eq. 11: a weighted sum of the data's shares and the UBM's weights, scaled to sum 1."""
    total = counts.sum()
    if total <= 0:
        return weights
    with np.errstate(invalid="ignore"):
        alpha = np.where(counts > 0, counts / (counts + relevance), 0.0)
    adapted = alpha * counts / total + (1 - alpha) * weights
    return np.asarray(adapted / adapted.sum())


def _relevances(relevance: float | Mapping[str, float]) -> dict[str, float]:
    """Return the factor of each letter."""
    advice = "Give a number, or a mapping such as {'w': 16, 'm': 4, 'c': 16}."
    given = dict(relevance) if isinstance(relevance, Mapping) else dict.fromkeys(_LETTERS, relevance)
    if unknown := sorted(set(given) - set(_LETTERS)):
        refuse("relevance", "be given for w, m and c", ", ".join(unknown), advice)
    return {
        k: number(given.get(k, RELEVANCE), "relevance", minimum=0.0, maximum=_MOST, unit=" frames", advice=advice)
        for k in _LETTERS
    }

"""Score normalization: what a score would be if every model and every test met impostors alike.

Scores are matrices with a row for each model and a column for each test. A cohort of C other people gives each model
impostor tests and each test impostor models. Symbols: S models, T tests, C cohort.

.. [1] R. Auckenthaler, M. Carey and H. Lloyd-Thomas, "Score normalization for text-independent speaker verification
   systems", Digital Signal Processing 10 (2000): Z- and T-norm, ZT-norm.
.. [2] P. Kenny, "Bayesian speaker verification with heavy-tailed priors", Odyssey 2010: S-norm.
.. [3] D. Sturim and D. Reynolds, "Speaker adaptive cohort selection for T-norm", ICASSP 2005; P. Matějka et al.,
   "Analysis of score normalization in multilingual speaker recognition", Interspeech 2017: the adaptive ones.
"""

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, choice, finite, integer, numeric, refuse

TRIM = 0.1
"""The trimmed variant leaves out this share of the cohort at each end."""
_NORMAL_MAD = 1.482602218505602
"""The deviation of a normal distribution, in median absolute deviations."""


def z_norm(scores: ArrayLike, impostors: ArrayLike, *, center: str = "mean", top: int | None = None) -> Array:
    """Return scores relative to what each model gives to impostor tests [1]_.

    Parameters
    ----------
    scores : array_like, shape (S, T)
    impostors : array_like, shape (S, C)
        Each model against the tests of a cohort.
    center : str
        "mean" and deviation; "trimmed": the same without a tenth at each end; "median" and median absolute deviation,
        scaled to that of a normal distribution.
    top : int, optional
        Adaptive: of each row only so many highest cohort scores count; default: all.

    Returns
    -------
    ndarray, shape (S, T)

    Raises
    ------
    InvalidInput
        If shapes disagree, an entry is not finite, or the cohort is too small or gives the same score throughout.

    Examples
    --------
    >>> z_norm([[2.0, 4.0, 6.0]], [[-1.0, 1.0]])
    array([[2., 4., 6.]])
    """
    s, cohort = _matrix(scores, "scores"), _matrix(impostors, "cohort scores")
    if len(s) != len(cohort):
        refuse("cohort scores", f"have a row for each model, {len(s)}", len(cohort))
    choice(center, "center", tuple(CENTERS))
    if top is not None:
        integer(top, "top", minimum=2, maximum=cohort.shape[1], advice="It chooses from the cohort.")
        cohort = -np.partition(-cohort, top - 1, axis=1)[:, :top]
    if cohort.shape[1] < 2:
        refuse("a cohort", "be at least two people", cohort.shape[1])
    return _relative(s, cohort, center)


def t_norm(scores: ArrayLike, cohort: ArrayLike, *, center: str = "mean", top: int | None = None) -> Array:
    """Return scores relative to what impostor models give to each test [1]_.

    Parameters
    ----------
    scores : array_like, shape (S, T)
    cohort : array_like, shape (C, T)
        The models of a cohort against each test.
    center, top
        As in `z_norm`.

    Examples
    --------
    >>> t_norm([[2.0], [4.0]], [[-1.0], [1.0]])
    array([[2.],
           [4.]])
    """
    return z_norm(_matrix(scores, "scores").T, _matrix(cohort, "cohort scores").T, center=center, top=top).T


def zt_norm(
    scores: ArrayLike,
    impostors: ArrayLike,
    cohort: ArrayLike,
    cohort_impostors: ArrayLike,
    *,
    center: str = "mean",
    top: int | None = None,
) -> Array:
    """Return Z-normalized scores after T-norm with a Z-normalized cohort [1]_.

    Parameters
    ----------
    scores : array_like, shape (S, T)
    impostors : array_like, shape (S, Z)
        Each model against impostor tests.
    cohort : array_like, shape (C, T)
        The cohort's models against each test.
    cohort_impostors : array_like, shape (C, Z)
        The cohort's models against the impostor tests.
    center, top
        As in `z_norm`, in both steps.

    Examples
    --------
    >>> impostors, cohort_impostors = [[-1.0, 1.0]], [[-1.0, 1.0], [-1.0, 1.0]]
    >>> zt_norm([[4.0]], impostors, [[1.0], [3.0]], cohort_impostors)
    array([[2.]])
    """
    z = z_norm(scores, impostors, center=center, top=top)
    return t_norm(z, z_norm(cohort, cohort_impostors, center=center, top=top), center=center, top=top)


def s_norm(
    scores: ArrayLike,
    impostors: ArrayLike,
    cohort: ArrayLike,
    *,
    center: str = "mean",
    top: int | None = None,
) -> Array:
    """Return the mean of Z- and T-norm [2]_; with `top`, adaptive S-norm [3]_.

    Parameters
    ----------
    scores : array_like, shape (S, T)
    impostors : array_like, shape (S, C)
        Each model against the cohort's tests.
    cohort : array_like, shape (C, T)
        The cohort's models against each test.
    center, top
        As in `z_norm`.

    Examples
    --------
    >>> s_norm([[4.0]], impostors=[[-1.0, 1.0]], cohort=[[1.0], [3.0]])  # the mean of 4 by Z-norm and 2 by T-norm
    array([[3.]])
    """
    z, t = z_norm(scores, impostors, center=center, top=top), t_norm(scores, cohort, center=center, top=top)
    return np.asarray((z + t) / 2)


def _relative(scores: Array, cohort: Array, center: str) -> Array:
    """Return each row of scores relative to where that row of the cohort's lies and how far it spreads."""
    location, scale = CENTERS[center](cohort)
    if (scale <= 0).any():
        refuse("the scores of a cohort", "differ", f"the same throughout in row {int(np.argmin(scale))}")
    return np.asarray((scores - location) / scale)


def _mean(c: Array) -> tuple[Array, Array]:
    return c.mean(axis=1, keepdims=True), c.std(axis=1, keepdims=True)


def _trimmed(c: Array) -> tuple[Array, Array]:
    out = int(TRIM * c.shape[1])
    return _mean(np.sort(c, axis=1)[:, out : c.shape[1] - out])


def _median(c: Array) -> tuple[Array, Array]:
    location = np.median(c, axis=1, keepdims=True)
    return location, _NORMAL_MAD * np.median(np.abs(c - location), axis=1, keepdims=True)


CENTERS = {"mean": _mean, "trimmed": _trimmed, "median": _median}
"""Where scores lie and how far they spread."""


def _matrix(x: ArrayLike, what: str) -> Array:
    a = finite(numeric(x, what).astype(np.float64), what)
    if a.ndim != 2 or not a.size:
        refuse(what, "be a matrix with a row for each model and a column for each test", f"shape {a.shape}")
    return a

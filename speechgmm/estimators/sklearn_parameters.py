"""Parameters and attributes as scikit-learn has them: starting values and priors checked, types of fitted arrays.

Messages about starting values are scikit-learn's, since code that catches them may look at the words.
Symbols: K components, D features.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, finite, numeric
from speechgmm.errors import InvalidInput
from speechgmm.mixture import Covariance
from speechgmm.mixture.covariance import COVARIANCES


def cast(a: Array, dtype: Any) -> Array:
    """Return a copy in another type, unless numbers would become zero or infinite there."""
    with np.errstate(over="ignore", under="ignore"):
        small = a.astype(dtype)
    return small if np.isfinite(small).all() and not ((small == 0) & (a != 0)).any() else a.copy()


def covariance(kind: str, parameters: Array) -> Covariance:
    """Return the covariance of a `covariance_type` with these parameters."""
    return COVARIANCES[kind](parameters)  # type: ignore[call-arg]


def check_weights(given: ArrayLike, k: int) -> Array:
    """Return starting weights (K,): from 0 to 1, with sum 1."""
    weights = shaped(given, "weights", (k,))
    if weights.min() < 0 or weights.max() > 1:
        found = f"max value {weights.min():.5f}, min value {weights.max():.5f}"  # changed about there, too
        raise InvalidInput(f"The parameter 'weights' should be in the range [0, 1], but got {found}")
    single = getattr(given, "dtype", None) == np.float32
    if abs(weights.sum() - 1) > (1e-6 if single else 1e-8):
        raise InvalidInput(f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}")
    return np.asarray(weights / weights.sum())


def check_precisions(given: ArrayLike, kind: str, k: int, d: int) -> Covariance:
    """Return the covariance of starting precisions: positive, and symmetric where they are matrices."""
    precisions = shaped(given, f"{kind} precision", COVARIANCES[kind].shape(k, d))
    _check_positive(precisions, kind)
    return COVARIANCES[kind].from_precisions(precisions)


def check_covariance_prior(given: ArrayLike, kind: str, d: int) -> Covariance:
    """Return the prior covariance of one component: a matrix (D, D), variances (D,), or one number."""
    form = COVARIANCES[kind].shape(1, d)
    prior = shaped(given, f"{kind} covariance_prior", form if kind == "tied" else form[1:])
    _check_positive(prior, kind)
    return covariance(kind, prior.reshape(form))


def _check_positive(precisions: Array, kind: str) -> None:
    """Refuse what is not positive, or, of matrices, not symmetric and positive definite."""
    if COVARIANCES[kind].independent:
        if precisions.min() <= 0:
            raise InvalidInput(f"'{kind} precision' should be positive")
    elif not np.allclose(precisions, np.swapaxes(precisions, -1, -2)) or np.linalg.eigvalsh(precisions).min() <= 0:
        raise InvalidInput(f"'{kind} precision' should be symmetric, positive-definite")


def shaped(given: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """Return finite numbers of a shape."""
    a = finite(numeric(given, name), name).astype(np.float64)
    if a.shape != shape:
        raise InvalidInput(f"The parameter '{name}' should have the shape of {shape}, but got {a.shape}")
    return a

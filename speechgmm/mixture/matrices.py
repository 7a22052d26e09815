"""`Full` and `Tied`: covariances whose features are correlated. Symbols as in `covariance.py`.

A covariance matrix C = L L' (Cholesky) is used through W = inv(L)': z = y W has unit covariance, so that the square of
the Mahalanobis distance is the sum of (z - offset W)**2. `Full` takes that difference before it squares, which loses
nothing where C is ill-conditioned. `Tied` expands the square, which is faster, and loses digits where frames lie many
deviations from the origin. So do the estimates of both, for moments are about one origin common to all components:
where these lie r of their own deviations apart, covariances have relative errors of about 1e-16 r**2, so that
components farther apart than about 1e5 deviations lose digits that matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import finite, numeric, refuse
from speechgmm.mixture.covariance import Covariance

Array = NDArray[Any]

__all__ = ["Full", "Tied"]

LOG_TWO_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Full(Covariance):
    """A covariance matrix for each component.

    Parameters
    ----------
    matrices : ndarray, shape (K, D, D)
        Symmetric, positive definite and finite.
    """

    matrices: Array

    def __post_init__(self) -> None:
        """Check the matrices and hold them as read-only float64."""
        c = np.array(numeric(self.matrices, "matrices"), dtype=np.float64, order="C")
        if c.ndim != 3 or c.shape[1] != c.shape[2] or not c.size:
            refuse("covariance matrices", "have shape (components, dimensions, dimensions)", f"shape {c.shape}")
        object.__setattr__(self, "matrices", _checked(c, "covariance matrices"))
        _ = self.whitening

    @cached_property
    def lower(self) -> Array:
        """The Cholesky factors L, shape (K, D, D)."""
        return _cholesky(self.matrices)

    @cached_property
    def whitening(self) -> Array:
        """W = inv(L)', shape (K, D, D), C-contiguous."""
        return np.ascontiguousarray(np.linalg.inv(self.lower).transpose(0, 2, 1))

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K, D, D)."""
        return k, d, d

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return diagonal matrices."""
        return cls(_diagonal(np.asarray(variances)))

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Whiten the frames by one component after the other: a block and its whitened copy stay in the cache."""
        centers = np.einsum("kd,kde->ke", offsets, self.whitening)
        squares = np.empty((len(offsets), len(y)))
        for k, (w, center) in enumerate(zip(self.whitening, centers, strict=True)):
            z = y @ w
            z -= center
            np.einsum("nd,nd->n", z, z, out=squares[k])
        constant = -0.5 * y.shape[1] * LOG_TWO_PI - _half_log_determinants(self.lower)
        result: Array = -0.5 * squares.T + constant
        return result

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of posterior * y y', shape (K, D, D), over the frames that each component counts."""
        result = np.empty((posteriors.shape[1], y.shape[1], y.shape[1]))
        roots = np.sqrt(posteriors.T)
        for k, root in enumerate(roots):
            counted = np.flatnonzero(root)
            z = y[counted] * root[counted, None]
            result[k] = z.T @ z
        return result

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return count * (matrix + offset offset'), shape (K, D, D)."""
        result: Array = counts[:, None, None] * (self.matrices + offsets[:, :, None] * offsets[:, None, :])
        return result

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return E[(y - offset)(y - offset)'], shape (K, D, D)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            n = counts[:, None, None]
            cross = (first / counts[:, None])[:, :, None] * offsets[:, None, :]
            result: Array = second / n - (cross + cross.transpose(0, 2, 1)) + offsets[:, :, None] * offsets[:, None, :]
        return result

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take new matrices where not `keep` (K,), their eigenvalues in units of the floor raised to 1."""
        low = np.broadcast_to(floor, values.shape[:2])
        chosen = np.where(keep[:, None, None], self.matrices, values + _diagonal(low) if add else values)
        raised, n = (_added(chosen, low), 0) if add else _clipped(chosen, low)
        return type(self)(raised), n

    def take(self, indices: Array) -> Self:
        """Return the matrices of these components."""
        return type(self)(self.matrices[indices])

    def deviations(self) -> Array:
        """Return the square roots of the diagonals, shape (K, D)."""
        result: Array = np.sqrt(np.diagonal(self.matrices, axis1=1, axis2=2))
        return result

    def least(self) -> Array:
        """Return the diagonals times the least eigenvalue of the correlations, shape (K, D)."""
        return _least(self.matrices)

    def shift(self) -> Array:
        """Return the symmetric square root times a vector of ones: within reach also where features are correlated."""
        result: Array = square_root(self.matrices).sum(axis=2)
        return result

    def colored(self, normal: Array, components: Array) -> Array:
        """Multiply by the Cholesky factor of each component."""
        result = np.empty_like(normal)
        for k in np.unique(components):
            mine = components == k
            result[mine] = normal[mine] @ self.lower[k].T
        return result


@dataclass(frozen=True, eq=False)
class Tied(Covariance):
    """One covariance matrix for all components.

    Its second moments are those of all frames together, shape (1, D, D), whatever the posteriors.

    Parameters
    ----------
    matrix : ndarray, shape (D, D)
        Symmetric, positive definite and finite.
    """

    matrix: Array

    def __post_init__(self) -> None:
        """Check the matrix and hold it as read-only float64."""
        c = np.array(numeric(self.matrix, "matrix"), dtype=np.float64, order="C")
        if c.ndim != 2 or c.shape[0] != c.shape[1] or not c.size:
            refuse("a tied covariance matrix", "have shape (dimensions, dimensions)", f"shape {c.shape}")
        object.__setattr__(self, "matrix", _checked(c[None], "a tied covariance matrix")[0])
        _ = self.lower

    @cached_property
    def lower(self) -> Array:
        """The Cholesky factor L, shape (D, D)."""
        result: Array = _cholesky(self.matrix[None])[0]
        return result

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (D, D)."""
        return d, d

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return the diagonal matrix of the mean variances."""
        return cls(np.diag(np.mean(variances, axis=0)))

    def log_components(self, y: Array, offsets: Array) -> Array:
        """Whiten all frames once and expand the square, so that two matrix products do the work."""
        whitening = np.linalg.inv(self.lower).T
        z, centers = y @ whitening, offsets @ whitening
        half = _half_log_determinants(self.lower[None])
        constant = -0.5 * (y.shape[1] * LOG_TWO_PI + np.einsum("kd,kd->k", centers, centers)) - half
        result: Array = z @ centers.T
        result += constant
        result -= 0.5 * np.einsum("nd,nd->n", z, z)[:, None]
        return result

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of y y' over all frames, each counted as its posteriors sum to, shape (1, D, D)."""
        z = y * np.sqrt(posteriors.sum(axis=1))[:, None]
        result: Array = (z.T @ z)[None]
        return result

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return the sum over components of count * (matrix + offset offset'), shape (1, D, D)."""
        result: Array = (counts.sum() * self.matrix + (offsets * counts[:, None]).T @ offsets)[None]
        return result

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return the covariance of all frames about the offsets of their components, shape (D, D)."""
        cross = first.T @ offsets
        weighted = offsets * np.sqrt(counts)[:, None]  # a product with itself: exactly symmetric
        result: Array = (second[0] - (cross + cross.T) + weighted.T @ weighted) / counts.sum()
        return result

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take the new matrix unless all are kept; of floors that differ between components the largest counts."""
        low = np.broadcast_to(np.atleast_2d(floor).max(axis=0), len(values))[None]
        new = self.matrix if keep.all() else values + np.diag(low[0]) if add else values
        raised, n = (_added(new[None], low), 0) if add else _clipped(new[None], low)
        return type(self)(raised[0]), n

    def take(self, indices: Array) -> Self:
        """Return itself."""
        return self

    def deviations(self) -> Array:
        """Return the square root of the diagonal, shape (1, D)."""
        result: Array = np.sqrt(np.diagonal(self.matrix))[None]
        return result

    def least(self) -> Array:
        """Return the diagonals times the least eigenvalue of the correlations, shape (1, D)."""
        return _least(self.matrix[None])

    def shift(self) -> Array:
        """Return the symmetric square root times a vector of ones, shape (1, D)."""
        result: Array = square_root(self.matrix[None]).sum(axis=2)
        return result

    def colored(self, normal: Array, components: Array) -> Array:
        """Multiply by the Cholesky factor."""
        result: Array = normal @ self.lower.T
        return result


def _diagonal(variances: Array) -> Array:
    """Return diagonal matrices (K, D, D) of variances (K, D)."""
    result: Array = variances[:, :, None] * np.eye(variances.shape[1])
    return result


def _checked(matrices: Array, what: str) -> Array:
    """Return matrices (K, D, D) made exactly symmetric and read-only, or say what is wrong."""
    finite(matrices, what)
    turned = matrices.transpose(0, 2, 1)
    diagonal = np.abs(np.diagonal(matrices, axis1=1, axis2=2))
    scale = np.sqrt(diagonal)[:, :, None] * np.sqrt(diagonal)[:, None, :]
    if (np.abs(matrices - turned) > 1e-6 * scale).any():
        refuse(what, "be symmetric", f"a difference of {np.abs(matrices - turned).max():g} to the transpose")
    symmetric: Array = 0.5 * matrices + 0.5 * turned
    symmetric.setflags(write=False)
    return symmetric


def _cholesky(matrices: Array) -> Array:
    """Return the lower factors, or say which matrix has none."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(matrices)[:, 0]
        k = int(least.argmin())
        return refuse(
            "covariance matrices",
            "be positive definite",
            f"one whose least eigenvalue is {least[k]:g}, at component {k}",
            "Use a larger floor, or fewer components.",
        )


def _half_log_determinants(lower: Array) -> Array:
    """Return half of log det C, shape (K,), from Cholesky factors (K, D, D)."""
    result: Array = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    return result


def _clipped(matrices: Array, floor: Array) -> tuple[Array, int]:
    """Raise the eigenvalues of matrices (K, D, D) in units of the floor (K, D) to 1, and say how many were raised.

    This is the maximum of the expected log-likelihood under the bound that C - diag(floor) is positive semidefinite.
    A floor counts for at least what double precision can tell from zero beside the matrix's own diagonal.
    """
    d, eps = matrices.shape[1], float(np.finfo(np.float64).eps)
    own = np.diagonal(matrices, axis1=1, axis2=2)
    own = 16 * d * eps * np.where(own > 0, own, eps * own.max(axis=1, keepdims=True))
    unit = np.sqrt(np.maximum(np.maximum(floor, own), np.finfo(np.float64).tiny))
    scaled = matrices / unit[:, :, None] / unit[:, None, :]
    try:
        np.linalg.cholesky(scaled - np.eye(d))
        return matrices, 0
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scaled)
    raised = (vectors * np.maximum(values, 1)[:, None, :]) @ vectors.transpose(0, 2, 1)
    raised = raised * unit[:, :, None] * unit[:, None, :]
    return np.where(values[:, :1, None] < 1, raised, matrices), int(np.sum(values < 1))


def _added(matrices: Array, floor: Array) -> Array:
    """Return matrices to which the floor has been added; where rounding has made one indefinite, it is raised to it."""
    try:
        np.linalg.cholesky(matrices)
        return matrices
    except np.linalg.LinAlgError:
        return _clipped(matrices, floor)[0] if (floor > 0).all() else matrices


def _least(matrices: Array) -> Array:
    """Return variances (K, D) such that C - diag(variances) is positive semidefinite."""
    own = np.diagonal(matrices, axis1=1, axis2=2)
    unit = np.sqrt(own)
    correlations = matrices / unit[:, :, None] / unit[:, None, :]
    result: Array = own * np.maximum(np.linalg.eigvalsh(correlations)[:, :1], 0.0)
    return result


def square_root(matrices: Array) -> Array:
    """Return the symmetric square roots of matrices (K, D, D)."""
    values, vectors = np.linalg.eigh(matrices)
    result: Array = (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    return result

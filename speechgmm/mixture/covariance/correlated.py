"""Covariances whose features are correlated: `Full`, `Tied`, and the base of others.

A covariance matrix C = L L' (Cholesky) is used through W = inv(L)': z = y W has unit covariance, so that the square of
the Mahalanobis distance is the sum of (z - offset W)**2. `Full` takes that difference before it squares, which loses
nothing where C is ill-conditioned. `Tied` expands the square, which is faster, and loses digits where frames lie many
deviations from the origin. So do the estimates of both, for moments are about one origin common to all components:
where these lie r of their own deviations apart, covariances have relative errors of about 1e-16 r**2, so that
components farther apart than about 1e5 deviations lose digits that matter.

Symbols: n frames of a block, K components, D dimensions, G = K, or 1 where a covariance is shared; y = x - origin;
offsets = means - origin; O entries of a frame observed and M missing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import InvalidInput
from speechgmm.mixture.covariance.protocol import Covariance, IncompleteFrames
from speechgmm.mixture.e_step import CELLS
from speechgmm.parallel import single_threaded

LOG_TWO_PI = float(np.log(2 * np.pi))
FEW = 8
"""Up to so many features the products of all pairs are summed, and factors inverted, at once for all components."""


@dataclass(frozen=True, eq=False)
class Correlated(Covariance):
    """A covariance of correlated features: its parameters are G matrices (D, D)."""

    independent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the matrices; the factors say whether they are positive definite."""
        super().__post_init__()
        _ = self.lower

    @classmethod
    def n_parameters(cls, k: int, d: int) -> int:
        """Return how many entries of the matrices lie on and above the diagonals."""
        return super().n_parameters(k, d) // (d * d) * (d * (d + 1) // 2)

    @classmethod
    def checked(cls, parameters: Array) -> Array:
        """Return the matrices made exactly symmetric, or refuse those that are not."""
        turned = np.swapaxes(parameters, -1, -2)
        if np.array_equal(parameters, turned):  # as an M-step makes them
            return parameters
        root = np.sqrt(np.abs(np.diagonal(parameters, axis1=-2, axis2=-1)))
        difference = np.abs(parameters - turned)
        if (difference > 1e-6 * root[..., :, None] * root[..., None, :]).any():
            refuse(cls.named, "be symmetric", f"a difference of {difference.max():g} to the transpose")
        return np.asarray(0.5 * parameters + 0.5 * turned)

    @property
    def stack(self) -> Array:
        """The matrices, shape (G, D, D)."""
        return np.reshape(self.parameters, (-1, *self.parameters.shape[-2:]))

    @cached_property
    def lower(self) -> Array:
        """The Cholesky factors L, shape (G, D, D)."""
        return _cholesky(self.stack)

    @cached_property
    def inverse_lower(self) -> Array:
        """The inverses of the Cholesky factors, shape (G, D, D): z = inv(L) y has unit covariance."""
        return _inverse(self.lower)

    @cached_property
    def half_log_determinants(self) -> Array:
        """Half of log det C, shape (G,)."""
        return np.asarray(np.log(np.diagonal(self.lower, axis1=1, axis2=2)).sum(axis=1))

    def dense(self, k: int, d: int) -> Array:
        """Return the matrices, repeated where they are shared."""
        return np.broadcast_to(self.stack, (k, d, d))

    def deviations(self) -> Array:
        """Return the square roots of the diagonals, shape (G, D)."""
        return np.asarray(np.sqrt(np.diagonal(self.stack, axis1=1, axis2=2)))

    def least(self) -> Array:
        """Return the diagonals times the least eigenvalue of the correlations, shape (G, D)."""
        own = np.diagonal(self.stack, axis1=1, axis2=2)
        unit = np.sqrt(own)
        correlations = self.stack / unit[:, :, None] / unit[:, None, :]
        return np.asarray(own * np.maximum(np.linalg.eigvalsh(correlations)[:, :1], 0.0))

    def shift(self) -> Array:
        """Return the symmetric square roots times a vector of ones: within reach also where features are correlated."""
        return np.asarray(_square_root(self.stack).sum(axis=2))

    def colored(self, normal: Array, components: Array) -> Array:
        """Multiply by the Cholesky factor of each component."""
        drawn, chosen = np.empty_like(normal), np.zeros_like(components) if self.shared else components
        for g in np.unique(chosen):
            mine = chosen == g
            drawn[mine] = normal[mine] @ self.lower[g].T
        return drawn

    def replaced(self, values: Array, keep: Array, floor: Array, *, add: bool = False) -> tuple[Self, int]:
        """Take new matrices where not `keep`, their eigenvalues in units of the floor raised to 1.

        A shared matrix is taken unless all are kept; of floors that differ between components the largest counts.
        """
        new, d = values.reshape(self.stack.shape), values.shape[-1]
        if self.shared:
            keep, floor = np.array([keep.all()]), np.atleast_2d(floor).max(axis=0)
        chosen = new
        if add:
            chosen = np.array(new, order="C")
            chosen.reshape(-1, d * d)[:, :: d + 1] += floor
        if keep.any():
            chosen = np.where(keep[:, None, None], self.stack, chosen)
        raised, n = (chosen, 0) if add else _clipped(chosen, floor)
        try:
            return type(self)(raised.reshape(values.shape)), n  # type: ignore[call-arg]
        except InvalidInput:
            if not (add and np.isfinite(chosen).all() and (floor > 0).all()):
                raise
        # what was added is lost to rounding: eigenvalues are raised to it
        return type(self)(_clipped(chosen, floor)[0].reshape(values.shape)), 0  # type: ignore[call-arg]

    def incomplete(self, y: Array, offsets: Array, log_weights: Array) -> IncompleteFrames:
        """Return frames of which the same entries are missing."""
        return _IncompleteFrames(self, y, offsets, log_weights)

    def wishart_blocks(self) -> Array:
        """Return the matrices."""
        return self.stack[:, None]

    @classmethod
    def from_precisions(cls, precisions: Array) -> Self:
        """Return the covariance whose inverse matrices are given."""
        return cls.from_precisions_cholesky(np.linalg.cholesky(precisions))

    @classmethod
    def from_precisions_cholesky(cls, factors: Array) -> Self:
        """Return the covariance of precisions factor factor'."""
        inverse = np.linalg.inv(factors)
        return cls(np.swapaxes(inverse, -1, -2) @ inverse)  # type: ignore[call-arg]

    @property
    def precisions(self) -> Array:
        """The inverse matrices."""
        upper = self.precisions_cholesky
        return np.asarray(upper @ np.swapaxes(upper, -1, -2))

    @property
    def precisions_cholesky(self) -> Array:
        """W = inv(L)'."""
        return np.triu(np.swapaxes(self.inverse_lower, -1, -2)).reshape(self.parameters.shape)


@dataclass(frozen=True, eq=False)
class Full(Correlated):
    """A covariance matrix for each component.

    Parameters
    ----------
    matrices : ndarray, shape (K, D, D)
        Symmetric, positive definite and finite.

    Examples
    --------
    >>> from speechgmm.mixture import GMM
    >>> gmm = GMM([1.0], [[0.0, 0.0]], Full([[[1.0, 0.5], [0.5, 1.0]]]))
    >>> alike, opposite = gmm.log_density([[1.0, 1.0], [1.0, -1.0]])
    >>> bool(alike > opposite)
    True
    """

    matrices: Array
    named: ClassVar[str] = "covariance matrices"
    rule: ClassVar[str] = "have shape (components, dimensions, dimensions)"

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (K, D, D)."""
        return k, d, d

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return diagonal matrices."""
        return cls(_diagonal(np.asarray(variances)))

    def log_densities(self, offsets: Array) -> Callable[[Array], Array]:
        """Whiten the frames by some components after the others: a block and its whitened copies stay in the cache."""
        d = offsets.shape[1]
        turned = self.inverse_lower
        centers = turned @ offsets[:, :, None]
        constant = (-0.5 * d * LOG_TWO_PI - self.half_log_determinants)[:, None]

        return functools.partial(_whitened, turned, centers, constant)

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of posterior * y y', shape (K, D, D), over the frames that each component counts."""
        k, d = posteriors.shape[1], y.shape[1]
        if d <= FEW:
            above, beside = _pairs(d)
            sums = posteriors.T @ (y[:, above] * y[:, beside])
            moments = np.empty((k, d, d))
            moments[:, above, beside] = moments[:, beside, above] = sums
            return moments
        moments = np.empty((k, d, d))
        for c, share in enumerate(posteriors.T):
            counted = np.flatnonzero(share)
            z = y[counted]
            z *= np.sqrt(share[counted])[:, None]
            moments[c] = z.T @ z
        return moments

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return count * (matrix + offset offset'), shape (K, D, D)."""
        return np.asarray(counts[:, None, None] * (self.matrices + offsets[:, :, None] * offsets[:, None, :]))

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return E[(y - offset)(y - offset)'], shape (K, D, D)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            mean = second / counts[:, None, None]
            cross = (first / counts[:, None])[:, :, None] * offsets[:, None, :]
            mean -= cross + cross.transpose(0, 2, 1)
            mean += offsets[:, :, None] * offsets[:, None, :]
            return np.asarray(mean)


@dataclass(frozen=True, eq=False)
class Tied(Correlated):
    """One covariance matrix for all components.

    Its second moments are those of all frames together, shape (1, D, D), whatever the posteriors.

    Parameters
    ----------
    matrix : ndarray, shape (D, D)
        Symmetric, positive definite and finite.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM
    >>> gmm = GMM([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], Tied([[1.0, 0.5], [0.5, 1.0]]))
    >>> gmm.covariance.shared, gmm.covariance.parameters.shape
    (True, (2, 2))
    """

    matrix: Array
    shared: ClassVar[bool] = True
    named: ClassVar[str] = "a tied covariance matrix"
    rule: ClassVar[str] = "have shape (dimensions, dimensions)"

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return (D, D)."""
        return d, d

    @classmethod
    def of(cls, variances: Array) -> Self:
        """Return the diagonal matrix of the mean variances."""
        return cls(np.diag(np.mean(variances, axis=0)))

    @staticmethod
    def merged(second: Array, member: Array) -> Array:
        """Return the moments as they are: those of all frames."""
        return second

    def log_densities(self, offsets: Array) -> Callable[[Array], Array]:
        """Whiten all frames once and expand the square, so that two matrix products do the work."""
        whitening = self.inverse_lower[0]
        centers = offsets @ whitening.T
        constant = -0.5 * (offsets.shape[1] * LOG_TWO_PI + (centers**2).sum(axis=1)) - self.half_log_determinants

        return functools.partial(_expanded, whitening, centers, constant[:, None])

    def second_moments(self, y: Array, posteriors: Array) -> Array:
        """Return the sum of y y' over all frames, each counted as its posteriors sum to, shape (1, D, D)."""
        z = y * np.sqrt(posteriors.sum(axis=1))[:, None]
        return np.asarray([z.T @ z])

    def imagined(self, offsets: Array, counts: Array) -> Array:
        """Return the sum over components of count * (matrix + offset offset'), shape (1, D, D)."""
        return np.asarray([counts.sum() * self.matrix + (offsets * counts[:, None]).T @ offsets])

    @classmethod
    def estimate(cls, second: Array, first: Array, counts: Array, offsets: Array) -> Array:
        """Return the covariance of all frames about the offsets of their components, shape (D, D)."""
        cross = first.T @ offsets
        weighted = offsets * np.sqrt(counts)[:, None]  # a product with itself: exactly symmetric
        return np.asarray((second[0] - (cross + cross.T) + weighted.T @ weighted) / counts.sum())


class _IncompleteFrames(IncompleteFrames):
    """Frames of one pattern: what is missing is regressed on what was observed."""

    def __init__(self, covariance: Correlated, y: Array, offsets: Array, log_weights: Array) -> None:
        self.shared, c = covariance.shared, covariance.stack
        o, self.m = np.flatnonzero(~np.isnan(y[0])), np.flatnonzero(np.isnan(y[0]))
        lower = np.linalg.cholesky(c[:, o[:, None], o])
        inverse = _inverse(lower)
        regression = inverse @ c[:, o[:, None], self.m]  # (G, O, M), of the whitened frames
        self.residual = c[:, self.m[:, None], self.m] - regression.transpose(0, 2, 1) @ regression
        z = (y[None, :, o] - offsets[:, None, o]) @ inverse.transpose(0, 2, 1)  # (K, n, O)
        self.completed = np.repeat(y[None], len(offsets), axis=0)
        self.completed[:, :, self.m] = offsets[:, None, self.m] + z @ regression
        half = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        constant = log_weights - 0.5 * len(o) * LOG_TWO_PI - half
        self.joint = constant - 0.5 * (z**2).sum(axis=2).T

    def moments(self, posteriors: Array) -> tuple[Array, Array]:
        p = posteriors.T[:, :, None]
        first = (p * self.completed).sum(axis=1)
        weighted = np.sqrt(p) * self.completed
        second = weighted.transpose(0, 2, 1) @ weighted
        second[:, self.m[:, None], self.m] += posteriors.sum(axis=0)[:, None, None] * self.residual
        return first, second.sum(axis=0, keepdims=True) if self.shared else second

    def expected(self, posteriors: Array) -> Array:
        return np.asarray((posteriors.T[:, :, None] * self.completed).sum(axis=0))

    def drawn(self, components: Array, rng: np.random.Generator) -> Array:
        drawn = self.completed[components, np.arange(len(components))]
        roots = _square_root(self.residual)[np.zeros_like(components) if self.shared else components]
        normal = rng.standard_normal((len(components), len(self.m)))
        drawn[:, self.m] += np.einsum("nij,nj->ni", roots, normal)
        return drawn


def _diagonal(variances: Array) -> Array:
    """Return diagonal matrices (K, D, D) of variances (K, D)."""
    return np.asarray(variances[:, :, None] * np.eye(variances.shape[1]))


def _cholesky(matrices: Array) -> Array:
    """Return the lower factors of matrices (G, D, D), or say which matrix has none."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(matrices)[:, 0]
        found = f"one whose least eigenvalue is {least.min():g}, at component {least.argmin()}"
        refuse("covariance matrices", "be positive definite", found, "Use a larger floor, or fewer components.")


def _inverse(lower: Array) -> Array:
    """Return the inverses of lower triangular matrices (G, D, D).

    LAPACK's routine for triangles takes them one by one, which pays from some features on.
    """
    if lower.shape[1] <= FEW:
        return np.asarray(np.linalg.inv(lower))
    from scipy.linalg.lapack import dtrtri

    result = np.empty_like(lower)
    with single_threaded():  # holds SciPy's library, too, where the import has just loaded it
        for i, matrix in enumerate(lower):
            result[i] = dtrtri(matrix.T, lower=0)[0].T  # in Fortran's order the transpose lies as it is
    return result


def _clipped(matrices: Array, floor: Array) -> tuple[Array, int]:
    """Raise the eigenvalues of matrices (G, D, D) in units of the floor to 1, and say how many were raised.

    The floor is broadcastable to (G, D).
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


def _square_root(matrices: Array) -> Array:
    """Return the symmetric square roots of matrices (G, D, D)."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1))


@functools.cache
def _pairs(d: int) -> tuple[Array, Array]:
    """Return rows and columns of the entries on and above the diagonal of a matrix (D, D), for D of `FEW` or less."""
    return np.triu_indices(d)


def _whitened(turned: Array, centers: Array, constant: Array, y: Array) -> Array:
    """Return constant (K, 1) - |turned y - center|**2 / 2 of frames y (n, D) as (n, K); `turned` are (K, D, D)."""
    k, d, _ = turned.shape
    squares, some = np.empty((k, len(y))), max(1, CELLS // max(1, y.size))
    for start in range(0, k, some):
        here = slice(start, start + some)
        z = (turned[here].reshape(-1, d) @ y.T).reshape(-1, d, len(y))
        z -= centers[here]
        np.sum(np.multiply(z, z, out=z), axis=1, out=squares[here])
    squares *= -0.5
    squares += constant
    return squares.T


def _expanded(whitening: Array, centers: Array, constant: Array, y: Array) -> Array:
    """Return constant (K, 1) + center z - z**2 / 2 of frames y (n, D) as (n, K), where z = whitening y."""
    z = whitening @ y.T
    joint = centers @ z
    joint += constant
    np.multiply(z, z, out=z)
    joint -= 0.5 * z.sum(axis=0)
    return np.asarray(joint.T)

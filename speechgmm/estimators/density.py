"""What every fitted mixture can be asked, whatever fitted it. Symbols: N rows, K components, D features."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from speechgmm.checks import Array, integer, number, refuse, surely_in_range
from speechgmm.errors import InvalidInput
from speechgmm.estimators.rows import by_blocks, has_missing
from speechgmm.looks import Shown
from speechgmm.mixture import GMM
from speechgmm.mixture.missing import Incomplete


@dataclass(frozen=True, eq=False)
class DensityGrid(Shown):
    """A density on a grid, as ``ax.contour(*grid.axes, grid.density)`` or ``ax.plot(*grid.axes, grid.density)`` wants.

    Parameters
    ----------
    axes : tuple of ndarray, each of shape (P,)
        Where the grid lies along one feature or two.
    density : ndarray, shape (P,) or (P, P)
        Rows go with the second axis.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.estimators import GaussianMixture
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> grid = GaussianMixture(2).fit(x).density_grid(50)
    >>> len(grid.axes), grid.density.shape
    (2, (50, 50))
    """

    axes: tuple[Array, ...]
    density: Array


@dataclass(frozen=True, eq=False)
class _Surely:
    """A mixture that is asked of rows that have been checked."""

    model: GMM

    def log_density(self, x: Array) -> Array:
        return self.model.e_step_for(x).log_density(x)

    def labels(self, x: Array) -> Array:
        return self.model.plain_e_step.labels(x)

    def posteriors(self, x: Array) -> Array:
        return self.model.plain_e_step.posteriors(x)


class MixtureBase(DensityMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Questions to a fitted mixture; a subclass gives ``mixture_`` and ``_answering``."""

    _missing = True
    """Whether NaN is read as a missing value."""

    @property
    @abstractmethod
    def mixture_(self) -> GMM:
        """The fitted mixture as a `speechgmm.GMM`, in float64."""

    @property
    def _answering(self) -> tuple[GMM, float]:
        """The mixture that is asked for log densities and posteriors, and what is added to its log densities."""
        return self.mixture_, 0.0

    def predict(self, X: ArrayLike) -> Array:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (N, D)
            NaN where a value is missing.

        Returns
        -------
        labels : ndarray of int, shape (N,)
        """
        model, _, x = self._asked(X)
        return by_blocks(model.labels, x, len(self.weights_))

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the posterior probability of each component for each row, shape (N, K)."""
        model, _, x = self._asked(X)
        return self._typed(by_blocks(model.posteriors, x, len(self.weights_)), x)

    def score_samples(self, X: ArrayLike) -> Array:
        """Return the log density of each row, shape (N,), in nats."""
        model, constant, x = self._asked(X)
        return self._typed(by_blocks(model.log_density, x, len(self.weights_)) + constant, x)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the mean log density of the rows, in nats; `y` is ignored."""
        return float(np.mean(self.score_samples(X)))

    def log_pdf(self, X: ArrayLike) -> Array:
        """Return the log density of each row, shape (N,), in nats: `score_samples` by its name in statistics."""
        return self.score_samples(X)

    def pdf(self, X: ArrayLike) -> Array:
        """Return the density of each row, shape (N,)."""
        return np.asarray(np.exp(self.log_pdf(X)))

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Draw rows from the mixture, component after component; the same ``random_state`` gives scikit-learn's rows.

        Parameters
        ----------
        n_samples : int

        Returns
        -------
        X : ndarray, shape (n_samples, D)
        y : ndarray of int, shape (n_samples,)
            The component of each row.
        """
        gmm = self.mixture_
        if n_samples < 1:
            raise InvalidInput(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample."
            )
        rng = check_random_state(self.random_state)
        counts = rng.multinomial(n_samples, gmm.weights / gmm.weights.sum())
        drawn = np.empty((n_samples, gmm.n_dimensions))
        independent, shape = gmm.covariance.independent, gmm.means.shape
        spread = np.broadcast_to(gmm.covariance.deviations(), shape) if independent else gmm.covariance_matrices
        for mean, width, n, end in zip(gmm.means, spread, counts, np.cumsum(counts), strict=True):
            if independent:
                normal = rng.standard_normal((n, shape[1]))
                np.add(np.multiply(normal, width, out=normal), mean, out=drawn[end - n : end])
            else:
                drawn[end - n : end] = rng.multivariate_normal(mean, width, n)
        return drawn, np.repeat(np.arange(len(counts)), counts)

    def density_grid(
        self, points: int = 100, *, features: int | Sequence[int] | None = None, margin: float = 3.0
    ) -> DensityGrid:
        """Return the density of one feature or of two on a grid, for plotting; other features are integrated out.

        Parameters
        ----------
        points : int
            Along each axis.
        features : int or sequence of one or two int, optional
            Default: the first two, or the only one.
        margin : float
            How far the grid reaches beyond the outermost means, in standard deviations of each component.
        """
        gmm = self.mixture_
        given = range(min(2, gmm.n_dimensions)) if features is None else features
        chosen = list(given) if isinstance(given, Iterable) else [given]
        if not 1 <= len(chosen) <= 2 or len(set(chosen)) < len(chosen):
            refuse("features", "be one number or two different ones", chosen)
        chosen = [integer(f, "each of features", minimum=0, maximum=gmm.n_dimensions - 1) for f in chosen]
        size = integer(points, "points", minimum=2)
        reach = number(margin, "margin", minimum=0.0, above=True) * gmm.covariance.deviations()
        low, high = (gmm.means - reach).min(axis=0)[chosen], (gmm.means + reach).max(axis=0)[chosen]
        axes = tuple(np.linspace(a, b, size) for a, b in zip(low, high, strict=True))
        grid = np.stack([a.ravel() for a in np.meshgrid(*axes)], axis=1)
        density = np.exp(by_blocks(gmm.marginal(chosen).log_density, grid, gmm.n_components))
        return DensityGrid(axes, density.reshape((size,) * len(chosen)))

    def _asked(self, X: ArrayLike) -> tuple[GMM | Incomplete | _Surely, float, Array]:
        """Return what answers (see `_answering`), made ready for missing values, and the rows checked."""
        model, constant = self._answering  # says so where nothing has been fitted
        if self._as_wanted(X):
            return _Surely(model), constant, np.asarray(X)
        x = self._checked(X, reset=False)
        return Incomplete(model) if has_missing(x) else model, constant, x

    def _checked(self, X: ArrayLike, **rules: Any) -> Array:
        """Return rows as float32 or float64, row after row in memory."""
        finite = "allow-nan" if self._missing else True
        types = [np.float64, np.float32]
        return np.asarray(validate_data(self, X, dtype=types, ensure_all_finite=finite, order="C", **rules))

    def _as_wanted(self, X: Any) -> bool:
        """Whether rows are complete, and what `validate_data` would return: it takes longer than small questions do."""
        if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in (np.float64, np.float32):
            return False
        if not len(X) or X.shape[1] != getattr(self, "n_features_in_", 0) or hasattr(self, "feature_names_in_"):
            return False
        return surely_in_range(X)

    def _typed(self, answers: Array, x: Array) -> Array:
        """Return answers in float32 where both the rows and the data of the fit are."""
        return answers.astype(np.result_type(x, self.means_), copy=False)

    def __sklearn_tags__(self) -> Any:
        """Say whether missing values are understood."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._missing
        return tags

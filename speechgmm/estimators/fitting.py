"""Fitting a mixture as scikit-learn's estimators do: starts, warm starts, the best of several, warnings.

Symbols: N rows, K components, D features.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from speechgmm.checks import refuse
from speechgmm.estimators.density import MixtureBase
from speechgmm.estimators.em import Progress, Run, run
from speechgmm.estimators.rows import Rows, check_enough, rows_of
from speechgmm.estimators.starts import METHODS
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import one_thread

Array = NDArray[Any]

__all__ = ["MixtureFit"]


class MixtureFit(MixtureBase):
    """Fitting by EM; a subclass gives the start, the M-step, and what becomes of a model."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS))],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    @abstractmethod
    def _start(self, rows: Rows, rng: np.random.RandomState) -> Any:
        """Return the model that EM starts from."""

    @abstractmethod
    def _again(self, rows: Rows) -> Any:
        """Return the model of the last fit, to be continued on these rows."""

    @abstractmethod
    def _m_step(self, statistics: Any, model: Any) -> Any:
        """Return the update that statistics make of a model."""

    def _unit(self, rows: Rows) -> float:
        """Return what lower bounds a row are multiplied by."""
        return 1.0

    @abstractmethod
    def _publish(self, model: Any, dtype: Any) -> None:
        """Set the fitted attributes."""

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture by EM, and keep the best of ``n_init`` starts.

        Parameters
        ----------
        X : array-like of shape (N, D)
            At least two rows, and as many as components. NaN where a value is missing.
        y : ignored
        sample_weight : array-like of shape (N,), optional
            How often each row counts, at least 0: from the same start a weight of 2 is the same as the
            row twice, 0 the same as no row.

        Returns
        -------
        self : the fitted estimator

        Raises
        ------
        ValueError
            If parameters, rows or weights break a rule, or a component collapses while ``reg_covar`` is 0.

        Warns
        -----
        ConvergenceWarning
            If the best start did not settle within ``max_iter`` iterations.
        """
        self._fit(X, sample_weight)
        return self

    def fit_predict(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Array:
        """Fit as `fit` does, and return the most probable component of each row, shape (N,)."""
        self._fit(X, sample_weight)
        return self.predict(X)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
        self._validate_params()
        x = self._checked(X, reset=True, ensure_min_samples=2)
        rows = self._counted(x, sample_weight)
        check_enough(rows, self.n_components)
        self._check_parameters(rows)
        self._keep(self._best(rows), x.dtype)

    @one_thread
    def _best(self, rows: Rows) -> Run:
        """Return the best of all starts."""
        continued = self.warm_start and hasattr(self, "converged_")
        rng = check_random_state(self.random_state)
        progress = Progress(int(self.verbose), self.verbose_interval)
        before = self.lower_bound_ if continued else -np.inf
        if continued:
            self._check_same(rows)
        runs = []
        for number in range(1 if continued else self.n_init):
            progress.begin(number)
            model = self._again(rows) if continued else self._start(rows, rng)
            limits = {"tol": self.tol, "max_iter": self.max_iter, "before": before, "unit": self._unit(rows)}
            runs.append(run(model, rows, self._m_step, progress=progress, **limits))
        return max(runs, key=lambda r: r.lower_bound)

    def _check_same(self, rows: Rows) -> None:
        """Say why a warm start cannot go on from the last fit."""
        before, kind, d = self.mixture_, COVARIANCES[self.covariance_type], rows.x.shape[1]
        if type(before.covariance) is not kind or before.n_dimensions != d:
            found = f"{type(before.covariance).__name__} covariances of {before.n_dimensions} features"
            refuse("a warm start", f"go on with {kind.__name__} covariances of {d} features", found, "Fit a clone.")

    def _keep(self, best: Run, dtype: Any) -> None:
        """Set the fitted attributes, and warn where EM has not settled."""
        self._publish(best.model, dtype)
        self.converged_ = best.converged
        self.n_iter_ = len(best.lower_bounds)
        self.lower_bound_ = best.lower_bound
        self.lower_bounds_ = list(best.lower_bounds)
        if self.max_iter and not best.converged:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                "tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _counted(self, x: Array, sample_weight: ArrayLike | None) -> Rows:
        """Return the rows that count."""
        return rows_of(x, sample_weight)

    def _check_parameters(self, rows: Rows) -> None:
        """Check what `_validate_params` cannot, before anything is computed."""

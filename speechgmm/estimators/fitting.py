"""Fitting a mixture as scikit-learn's estimators do: starts, warm starts, the best of several, warnings.

Symbols: N rows, K components, D features.
"""

import functools
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from speechgmm.checks import Array, refuse
from speechgmm.estimators.density import MixtureBase
from speechgmm.estimators.rows import RowBlocks, allowed_threads, check_enough
from speechgmm.estimators.sklearn_parameters import cast
from speechgmm.estimators.starts import METHODS
from speechgmm.mixture import GMM, Fit, fit
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.em import Notes
from speechgmm.parallel import one_thread


@dataclass(frozen=True)
class StopAsSklearn:
    """scikit-learn's rule: EM ends when the lower bound changes by less than `tol`, or after `max_iterations`.

    Parameters
    ----------
    tol : float
    max_iterations : int
        0 leaves the start as it is.
    unit : float
        What objectives are multiplied by: 1 for nats per row, the number of rows for nats.
    before : float
        The lower bound of an earlier fit that is continued.
    """

    tol: float
    max_iterations: int
    unit: float = 1.0
    before: float = float("-inf")

    def change(self, objective: Sequence[float]) -> float:
        """Return how far the last iteration has moved the lower bound."""
        return self.unit * objective[-1] - (self.unit * objective[-2] if len(objective) > 1 else self.before)

    def settled(self, objective: Sequence[float], notes: Sequence[Notes]) -> bool:
        """Whether the last change was small."""
        return abs(self.change(objective)) < self.tol


@dataclass
class Printed:
    """What `verbose` prints of one fit: 0 nothing, 1 iterations, 2 times and changes as well; every `interval`."""

    verbose: int
    interval: int
    stop: StopAsSklearn

    def begin(self, number: int) -> None:
        """Start initialization `number`."""
        self.started = self.last = perf_counter()
        self.objective: list[float] = []
        self._print(f"Initialization {number}")

    def step(self, iteration: int, objective: float, notes: Notes) -> None:
        """Report an iteration."""
        self.objective.append(objective)
        if iteration % self.interval == 0:
            now, change = perf_counter(), self.stop.change(self.objective)
            self._print(f"  Iteration {iteration}", f"\t time lapse {now - self.last:.5f}s\t ll change {change:.5f}")
            self.last = now

    def end(self, bound: float, converged: bool) -> None:
        """Report the end."""
        lapse = f" time lapse {perf_counter() - self.started:.5f}s\t lower bound {bound:.5f}."
        self._print(f"Initialization {'converged' if converged else 'did not converge'}.", lapse)

    def _print(self, short: str, more: str = "") -> None:
        if self.verbose:
            print(short + (more if self.verbose >= 2 else ""))


@dataclass(eq=False, repr=False)
class MixtureFit(MixtureBase):
    """Fitting by EM, and its parameters; a subclass gives the start, the M-step, and what becomes of a model."""

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
    _absolute: ClassVar[bool] = False
    """Whether the sum of the rows' weights matters, and not only their ratios; lower bounds are then of all rows."""

    n_components: int = 1
    _: KW_ONLY
    covariance_type: Literal["full", "tied", "diag", "spherical"] = "full"
    tol: float = 1e-3
    reg_covar: float = 1e-6
    max_iter: int = 100
    n_init: int = 1
    init_params: Literal["kmeans", "k-means++", "random", "random_from_data", "split"] = "kmeans"
    random_state: int | np.random.RandomState | None = None
    warm_start: bool = False
    verbose: int = 0
    verbose_interval: int = 10

    @abstractmethod
    def _given(self, rows: RowBlocks) -> Any:
        """Return what the caller has set of the start, or the prior, checked: what `_validate_params` cannot check."""

    @abstractmethod
    def _start(self, rows: RowBlocks, given: Any, rng: np.random.RandomState) -> Any:
        """Return the model that EM starts from."""

    @abstractmethod
    def _again(self, rows: RowBlocks, given: Any) -> Any:
        """Return the model of the last fit, to be continued on these rows."""

    @abstractmethod
    def _m_step(self, statistics: Any, model: Any) -> Any:
        """Return the update that statistics make of a model."""

    @abstractmethod
    def _publish(self, model: Any, dtype: Any) -> None:
        """Set the fitted attributes."""

    def _set_attributes(self, gmm: GMM, dtype: Any) -> None:
        """Set the fitted attributes that describe the mixture, in the type of the data where that can hold them."""
        self.weights_ = cast(gmm.weights, dtype)
        self.means_ = cast(gmm.means, dtype)
        self.covariances_ = cast(gmm.covariance.parameters, dtype)
        self.precisions_ = cast(gmm.covariance.precisions, dtype)
        self.precisions_cholesky_ = cast(gmm.covariance.precisions_cholesky, dtype)

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
        return self._fit(X, sample_weight)

    def fit_predict(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Array:
        """Fit as `fit` does, and return the most probable component of each row, shape (N,)."""
        return self._fit(X, sample_weight).predict(X)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> Self:
        self._validate_params()
        x = self._checked(X, reset=True, ensure_min_samples=2)
        rows = RowBlocks.counted(x, sample_weight)
        if not self._absolute:
            rows = rows.relative()
        check_enough(rows, self.n_components)
        n_threads = allowed_threads(rows.frames.shape, self.n_components)  # BLAS is held to one from here on
        self._keep(self._best(rows, self._given(rows), n_threads), x.dtype)
        return self

    @one_thread
    def _best(self, rows: RowBlocks, given: Any, n_threads: int) -> Fit[Any]:
        """Return the best of all starts, with lower bounds for objectives."""
        continued = self.warm_start and hasattr(self, "converged_")
        rng = check_random_state(self.random_state)
        if continued:
            self._check_same(rows)
        before = self.lower_bound_ if continued else -np.inf
        stop = StopAsSklearn(self.tol, self.max_iter, rows.total if self._absolute else 1.0, before)
        printed = Printed(int(self.verbose), self.verbose_interval, stop)
        run = functools.partial(fit, e_step=rows.e_step, n_threads=n_threads, on_iteration=printed.step)
        fits = []
        for number in range(1 if continued else self.n_init):
            printed.begin(number)
            model = self._again(rows, given) if continued else self._start(rows, given, rng)
            found = run(model, rows, self._m_step, stop=stop)
            bounds = tuple(stop.unit * value for value in found.objective)
            fits.append(replace(found, objective=bounds))
            if bounds:
                printed.end(bounds[-1], found.converged)
        return max(fits, key=_lower_bound)

    def _check_same(self, rows: RowBlocks) -> None:
        """Say why a warm start cannot go on from the last fit."""
        before, kind, d = self.mixture_, COVARIANCES[self.covariance_type], rows.frames.shape[1]
        if type(before.covariance) is not kind or before.n_dimensions != d:
            found = f"{type(before.covariance).__name__} covariances of {before.n_dimensions} features"
            refuse("a warm start", f"go on with {kind.__name__} covariances of {d} features", found, "Fit a clone.")

    def _keep(self, best: Fit[Any], dtype: Any) -> None:
        """Set the fitted attributes, and warn where EM has not settled."""
        self._publish(best.model, dtype)
        self.converged_ = best.converged
        self.n_iter_ = len(best.objective)
        self.lower_bound_ = _lower_bound(best)
        self.lower_bounds_ = list(best.objective)
        if self.max_iter and not best.converged:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                "tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=4,
            )


def _lower_bound(fit: Fit[Any]) -> float:
    """Return the last lower bound; where there were no iterations, minus infinity."""
    return fit.objective[-1] if fit.objective else float("-inf")

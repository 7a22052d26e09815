"""`GaussianMixture`: scikit-learn's estimator of this name over the engine of this package.

Symbols: N rows, K components, D features.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from speechgmm.checks import Array, sample_weights
from speechgmm.errors import InvalidInput
from speechgmm.estimators import sklearn_parameters, starts
from speechgmm.estimators.fitting import MixtureFit
from speechgmm.estimators.rows import RowBlocks, allowed_threads, by_blocks, check_enough, has_missing
from speechgmm.mixture import GMM, StepwiseState, Update, impute, n_parameters, stepwise
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import one_thread


@dataclass(kw_only=True, eq=False, repr=False)
class GaussianMixture(MixtureFit):
    """A Gaussian mixture fitted by EM: scikit-learn's class with one import changed, and more.

    Beyond `sklearn.mixture.GaussianMixture` it takes ``sample_weight``, learns from incomplete rows (NaN) and from
    batches (`partial_fit`), has `impute`, `pdf`, `log_pdf`, `density_grid` and ``init_params="split"``, never holds an
    (N, K) array while fitting, keeps its precision in float32 and with features far from zero, and gives the same bits
    whatever the number of threads.

    Parameters
    ----------
    n_components : int
        K.
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float
        EM ends when the mean log-likelihood changes by less, in nats per row.
    reg_covar : float
        Added to variances.
    max_iter : int
    n_init : int
        How many starts; the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "split"}
        "split" grows the mixture from one component by splitting the heaviest in two, with EM between; it ignores
        weights of rows. The others use scikit-learn's random numbers, so that they start where it starts.
    random_state : int, RandomState instance or None
    warm_start : bool
        Begin each fit where the last one ended.
    verbose : int
        1 prints iterations, 2 times and changes as well.
    verbose_interval : int
    weights_init : array-like of shape (K,), optional
    means_init : array-like of shape (K, D), optional
    precisions_init : array-like, optional
        Inverse covariances, of the shape of ``covariances_``.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
    means_ : ndarray of shape (K, D)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Of shape (K, D, D) full, (D, D) tied, (K, D) diag, (K,) spherical. Attributes are float32 where the data are.
    mixture_ : GMM
        The same in float64, as a `speechgmm.GMM`; made anew where attributes have been set by hand.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        The mean log-likelihood of the last iteration, before its M-step, in nats per row.
    lower_bounds_ : list of float
        That of every iteration. With one row for each component ("k-means++", "random_from_data") scikit-learn starts
        from weights that do not sum to 1, so that its first entry is lower by log(N / K); the others are the same.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where columns have names.

    Notes
    -----
    A row in which every value is missing says nothing: its density is 1, its posteriors are the weights, and fits
    leave it out. A feature that is missing in every row is refused.

    Examples
    --------
    >>> from speechgmm import GaussianMixture
    >>> X = [[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]]
    >>> gm = GaussianMixture(2, random_state=0).fit(X)
    >>> gm.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> gm.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixtureFit._parameter_constraints,
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }

    weights_init: ArrayLike | None = None
    means_init: ArrayLike | None = None
    precisions_init: ArrayLike | None = None

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from one more batch by stepwise EM (Cappe and Moulines 2009).

        The first batch gives the start, and one step of EM on it; batch t = 2, 3, ... counts (t + 1)**-0.7 beside
        what has been learned before. After a `fit`, batches go on from what it found. See `speechgmm.mixture.stepwise`.

        Parameters
        ----------
        X : array-like of shape (N, D)
            The first batch must hold as many rows as there are components, and two; batches should be of one size.
            A later one whose values are all missing changes nothing.
        y : ignored
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        self : the estimator
            With ``n_iter_`` batches so far, ``lower_bound_`` the running mean of the log-likelihood, and ``converged_``
            False.
        """
        self._validate_params()
        first = not hasattr(self, "means_")
        x = self._checked(X, reset=first, ensure_min_samples=2 if first else 1)
        if not first and has_missing(x) and np.isnan(x).all():
            if sample_weight is not None:
                sample_weights(sample_weight, len(x))
            return self
        rows = RowBlocks.counted(x, sample_weight).relative()
        if first:
            check_enough(rows, self.n_components)
        state = self._after(rows, first, allowed_threads(x.shape, self.n_components))
        self._publish(state.model, x.dtype)
        self._state: StepwiseState | None = state
        self.converged_ = False
        self.n_iter_ = state.updates
        self.lower_bound_ = state.running.mean_log_likelihood
        self.lower_bounds_ = [self.lower_bound_]
        return self

    @one_thread
    def _after(self, rows: RowBlocks, first: bool, n_threads: int) -> StepwiseState:
        """Return the state of stepwise EM after these rows."""
        state: StepwiseState | None = getattr(self, "_state", None)
        if first:
            state = StepwiseState.of(self._start(rows, self._given(rows), check_random_state(self.random_state)))
        elif state is None or state.model is not self.mixture_:  # a fit, or attributes set by hand
            state = StepwiseState.of(self.mixture_)
        step = 1.0 if first else None
        return stepwise(state, rows, step=step, m_step=self._m_step, e_step=rows.e_step, n_threads=n_threads)

    @property
    def mixture_(self) -> GMM:
        """The fitted mixture as a `speechgmm.GMM`, in float64."""
        check_is_fitted(self)
        held: GMM | None = getattr(self, "_gmm", None)
        if held is not None and self._holds(held):
            return held
        weights, means = (np.asarray(a, dtype=np.float64) for a in (self.weights_, self.means_))
        return GMM(weights / weights.sum(), means, self._set_covariance())

    def impute(self, X: ArrayLike, *, draw: bool = False, random_state: Any = None) -> Array:
        """Return the rows with each missing value replaced by what the mixture expects there.

        Parameters
        ----------
        X : array-like of shape (N, D)
            NaN where a value is missing.
        draw : bool
            Draw from the conditional distribution instead of taking its mean, which has the least squared error:
            draws keep the spread of the data, and several show how sure the mixture is.
        random_state : int, RandomState instance or None
            For draws; None takes the estimator's own.

        Returns
        -------
        X : ndarray, shape (N, D)
            float64. A row without any value becomes the mean of the mixture, or a draw from it.
        """
        gmm = self.mixture_
        x = self._checked(X, reset=False)
        if not draw:
            return by_blocks(lambda rows: impute(gmm, rows), x, gmm.n_components)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        return impute(gmm, x, seed=int(rng.randint(2**31)))

    def aic(self, X: ArrayLike) -> float:
        """Return the Akaike information criterion on rows `X` (N, D): the lower, the better."""
        return -2 * self.score(X) * np.shape(X)[0] + 2 * n_parameters(self.mixture_)

    def bic(self, X: ArrayLike) -> float:
        """Return the Bayesian information criterion on rows `X` (N, D): the lower, the better."""
        n = np.shape(X)[0]
        return -2 * self.score(X) * n + n_parameters(self.mixture_) * math.log(n)

    def _given(self, rows: RowBlocks) -> dict[str, Any]:
        k, d = self.n_components, rows.frames.shape[1]
        given: dict[str, Any] = {}
        if self.weights_init is not None:
            given["weights"] = sklearn_parameters.check_weights(self.weights_init, k)
        if self.means_init is not None:
            given["means"] = sklearn_parameters.shaped(self.means_init, "means", (k, d))
        if self.precisions_init is not None:
            kind = self.covariance_type
            given["covariance"] = sklearn_parameters.check_precisions(self.precisions_init, kind, k, d)
        return given

    def _start(self, rows: RowBlocks, given: dict[str, Any], rng: np.random.RandomState) -> GMM:
        if len(given) == 3:
            return GMM(**given, origin=rows.mean)
        kind, k = self.covariance_type, self.n_components
        statistics, empty = starts.first(rows, k, method=self.init_params, kind=kind, rng=rng)
        if not self.reg_covar and not statistics.counts.all():
            raise InvalidInput(starts.ILL_DEFINED)
        return replace(self._m_step(statistics, empty).model, **given)

    def _again(self, rows: RowBlocks, given: dict[str, Any]) -> GMM:
        return replace(self.mixture_, origin=rows.mean)

    def _m_step(self, statistics: Any, model: GMM) -> Update[GMM]:
        # added, with nothing clipped; lost components stay where they are
        return starts.maximized(statistics, model, starts.added(self.reg_covar))

    def _publish(self, model: GMM, dtype: Any) -> None:
        self._gmm = model
        self._state = None
        self._set_attributes(model, dtype)
        self._factors = self.precisions_cholesky_.copy()

    def _holds(self, gmm: GMM) -> bool:
        """Whether the attributes still say what the fitted mixture says."""
        if not np.array_equal(np.asarray(getattr(self, "precisions_cholesky_", ())), self._factors):
            return False
        arrays = {"weights": gmm.weights, "means": gmm.means, "covariances": gmm.covariance.parameters}
        found = {name: np.asarray(getattr(self, f"{name}_", None)) for name in arrays}
        return all(np.array_equal(found[name], a.astype(found[name].dtype)) for name, a in arrays.items())

    def _set_covariance(self) -> Any:
        """Return the covariance that attributes set by hand mean: of `covariances_`, or of `precisions_cholesky_`."""
        factors = getattr(self, "precisions_cholesky_", None)
        held = getattr(self, "_factors", None)
        if hasattr(self, "covariances_") and (factors is None or held is None or np.array_equal(factors, held)):
            return sklearn_parameters.covariance(self.covariance_type, np.asarray(self.covariances_, dtype=np.float64))
        factors = np.asarray(self.precisions_cholesky_, dtype=np.float64)
        return COVARIANCES[self.covariance_type].from_precisions_cholesky(factors)

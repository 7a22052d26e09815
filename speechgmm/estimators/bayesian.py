"""`BayesianGaussianMixture`: scikit-learn's estimator of this name over the variational fit of this package.

Symbols: N rows, K components, D features.
"""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from speechgmm.checks import Array
from speechgmm.errors import InvalidInput
from speechgmm.estimators import sklearn_parameters, starts
from speechgmm.estimators.fitting import MixtureFit
from speechgmm.estimators.rows import RowBlocks, allowed_threads, by_blocks
from speechgmm.mixture import GMM, Update
from speechgmm.mixture.bayes import Evidence, Prior, Variational, posterior
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.em import expectation
from speechgmm.mixture.initialize import unit_gaussian

Positive = Interval(Real, 0.0, None, closed="neither")


@dataclass(kw_only=True, eq=False, repr=False)
class BayesianGaussianMixture(MixtureFit):
    """A mixture whose superfluous components vanish: a posterior by variational Bayes, with scikit-learn's interface.

    With full covariances every iteration is scikit-learn's, to rounding. For the others its formulas are not those of
    any prior (see `speechgmm.mixture.bayes`), and the fits here differ. NaN is refused.

    Parameters
    ----------
    n_components : int
        K, an upper bound.
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float
        The fit ends when the lower bound changes by less, in nats.
    reg_covar : float
        Added to the variances of the data.
    max_iter, n_init, init_params, random_state, warm_start, verbose, verbose_interval
        As in `GaussianMixture`.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
    weight_concentration_prior : float, optional
        Small values leave superfluous components empty. Default: 1 / K.
    mean_precision_prior : float, optional
        How many rows the prior mean counts for. Default: 1.
    mean_prior : array-like of shape (D,), optional
        Default: the mean of the rows.
    degrees_of_freedom_prior : float, optional
        Above D - 1. Default: D.
    covariance_prior : float or array-like, optional
        Of shape (D, D) full and tied, (D,) diag, a number spherical. Default: the covariance of the rows.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : ndarray
        Expectations under the posterior; shapes as in `GaussianMixture`.
    mixture_ : GMM
        These in float64, as a `speechgmm.GMM`.
    weight_concentration_ : tuple of two ndarray, or ndarray, of shape (K,)
        Of the sticks of a Dirichlet process, or of the Dirichlet distribution.
    mean_precision_ : ndarray of shape (K,)
    degrees_of_freedom_ : ndarray of shape (K,), or float
        One number where the covariance is tied.
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_
        The prior.
    posterior_ : Variational
        All of it as a `speechgmm.mixture.bayes.Variational`.
    converged_, n_iter_, n_features_in_, feature_names_in_
    lower_bound_ : float
        Of the log evidence of all rows at the last iteration, before its M-step, in nats. scikit-learn leaves constants
        out and takes it after the M-step, so that fits may end an iteration or more apart.
    lower_bounds_ : list of float

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.estimators import BayesianGaussianMixture
    >>> X = np.random.default_rng(0).normal([[0.0], [20.0]], 1.0, size=(2, 300)).reshape(-1, 1)
    >>> model = BayesianGaussianMixture(n_components=5, random_state=0, max_iter=500).fit(X)
    >>> int((model.weights_ > 0.02).sum())
    2
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixtureFit._parameter_constraints,
        "weight_concentration_prior_type": [StrOptions({"dirichlet_process", "dirichlet_distribution"})],
        "weight_concentration_prior": [None, Positive],
        "mean_precision_prior": [None, Positive],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Positive],
        "covariance_prior": [None, "array-like", Positive],
    }
    _missing = False
    _absolute = True

    n_components: int = 1
    weight_concentration_prior_type: Literal["dirichlet_process", "dirichlet_distribution"] = "dirichlet_process"
    weight_concentration_prior: float | None = None
    mean_precision_prior: float | None = None
    mean_prior: ArrayLike | None = None
    degrees_of_freedom_prior: float | None = None
    covariance_prior: float | ArrayLike | None = None

    @property
    def mixture_(self) -> GMM:
        """The expected mixture as a `speechgmm.GMM`, in float64."""
        check_is_fitted(self)
        return self.posterior_.model

    @property
    def _answering(self) -> tuple[GMM, float]:
        check_is_fitted(self)
        return self.posterior_.e_step

    def log_pdf(self, X: ArrayLike) -> Array:
        """Return the log density of each row under the expected mixture, shape (N,), in nats; it integrates to 1."""
        check_is_fitted(self)
        x = self._checked(X, reset=False)
        return self._typed(by_blocks(self.mixture_.log_density, x, len(self.weights_)), x)

    def _given(self, rows: RowBlocks) -> Prior:
        d, kind = rows.frames.shape[1], COVARIANCES[self.covariance_type]
        whole = expectation(unit_gaussian(rows.mean, kind), rows, n_threads=allowed_threads(rows.frames.shape, 1))
        process = self.weight_concentration_prior_type == "dirichlet_process"
        prior = Prior.of(whole, kind, self.n_components, process=process)
        given: dict[str, Any] = {
            "concentration": self.weight_concentration_prior,
            "mean_precision": self.mean_precision_prior,
            "degrees": self.degrees_of_freedom_prior,
        }
        if self.mean_prior is not None:
            given["mean"] = sklearn_parameters.shaped(self.mean_prior, "means", (d,))
        if self.covariance_prior is not None:
            form = self.covariance_type
            given["covariance"] = sklearn_parameters.check_covariance_prior(self.covariance_prior, form, d)
        if given["degrees"] is not None and given["degrees"] <= d - 1:
            found = f"greater than {d - 1}, but got {given['degrees']:.3f}."
            raise InvalidInput(f"The parameter 'degrees_of_freedom_prior' should be {found}")
        return replace(prior, **{name: value for name, value in given.items() if value is not None})

    def _start(self, rows: RowBlocks, given: Prior, rng: np.random.RandomState) -> Variational:
        kind, k = self.covariance_type, self.n_components
        statistics, empty = starts.first(rows, k, method=self.init_params, kind=kind, rng=rng)
        before = Variational(given, empty, statistics.counts)
        return self._m_step(Evidence(statistics, 0.0), before).model

    def _again(self, rows: RowBlocks, given: Prior) -> Variational:
        return replace(self.posterior_, prior=given, model=replace(self.mixture_, origin=rows.mean))

    def _m_step(self, evidence: Evidence, variational: Variational) -> Update[Variational]:
        s, shape = evidence.statistics, variational.model.means.shape
        if self.reg_covar:
            added = COVARIANCES[self.covariance_type].of(np.full(shape, float(self.reg_covar)))
            s = replace(s, second=s.second + added.imagined(np.zeros(shape), s.counts))
        return posterior(replace(evidence, statistics=s), variational)

    def _publish(self, model: Variational, dtype: Any) -> None:
        self.posterior_, prior = model, model.prior
        self._set_attributes(model.model, dtype)
        alpha = prior.concentrations(model.counts)
        self.weight_concentration_ = tuple(alpha.T) if prior.process else alpha[0]
        self.mean_precision_ = model.precisions
        shared = prior.covariance.shared
        self.degrees_of_freedom_ = float(model.degrees[0]) if shared else model.degrees
        self.weight_concentration_prior_ = prior.concentration
        self.mean_precision_prior_ = prior.mean_precision
        self.mean_prior_ = prior.mean
        self.degrees_of_freedom_prior_ = prior.degrees
        self.covariance_prior_ = prior.covariance.parameters if shared else prior.covariance.parameters[0]

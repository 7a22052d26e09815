"""Mixtures from and to scikit-learn's `GaussianMixture`. Symbols: K components, D dimensions.

`speechgmm.estimators.GaussianMixture` fits, and has its mixture as ``mixture_``; here is what moves a fitted mixture
between the two libraries.
"""

from typing import Any

import numpy as np

from speechgmm.checks import instance, refuse
from speechgmm.mixture import GMM
from speechgmm.mixture.covariance import COVARIANCES, Full


def from_scikit_learn(fitted: Any) -> GMM:
    """Return the mixture of a fitted `sklearn.mixture.GaussianMixture`.

    Its covariances follow from ``precisions_cholesky_``, by which scikit-learn computes densities; of matrices W the
    covariance is inv(W)' inv(W), of numbers w it is 1 / w**2.

    Parameters
    ----------
    fitted : sklearn.mixture.GaussianMixture
        Of any ``covariance_type``. What `BayesianGaussianMixture` computes is no log density of a mixture.

    Raises
    ------
    InvalidInput
        If it is another estimator, not fitted, or its attributes are no mixture.

    Examples
    --------
    >>> from sklearn.mixture import GaussianMixture
    >>> fitted = GaussianMixture(2, random_state=0).fit([[0.0], [1.0], [10.0], [11.0]])
    >>> from_scikit_learn(fitted).means.ravel().round(6).tolist()
    [10.5, 0.5]
    """
    from sklearn.mixture import GaussianMixture

    instance(fitted, "what is taken from scikit-learn", GaussianMixture, "Of an estimator of speechgmm take mixture_.")
    try:
        weights, means, factors = fitted.weights_, fitted.means_, fitted.precisions_cholesky_
    except AttributeError:
        refuse("the estimator of scikit-learn", "be fitted", "one that is not", "Call its fit first.")
    kind = COVARIANCES[fitted.covariance_type]
    try:
        covariance = kind.from_precisions_cholesky(np.asarray(factors, dtype=np.float64))
    except (np.linalg.LinAlgError, ValueError, TypeError) as error:
        refuse("precisions_cholesky_ of the estimator", f"be those of {fitted.covariance_type} covariances", error)
    weights = np.asarray(weights, dtype=np.float64)
    return GMM(weights / weights.sum(), np.asarray(means, dtype=np.float64), covariance)


def to_scikit_learn(gmm: GMM) -> Any:
    """Return a mixture as a fitted `sklearn.mixture.GaussianMixture`, ready to predict, score and sample.

    Parameters
    ----------
    gmm : GMM
        A kind of covariance that scikit-learn does not have becomes "full".

    Returns
    -------
    sklearn.mixture.GaussianMixture
        With ``weights_``, ``means_``, ``covariances_``, ``precisions_``, ``precisions_cholesky_`` and
        ``n_features_in_`` in float64, ``converged_`` true, ``n_iter_`` 0 and ``lower_bound_`` NaN, as no data were
        seen.

    Examples
    --------
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm = GMM([0.5, 0.5], [[0.0], [10.0]], Diagonal([[1.0], [4.0]]))
    >>> to_scikit_learn(gmm).predict([[1.0], [7.0]]).tolist()
    [0, 1]
    """
    from sklearn.mixture import GaussianMixture

    instance(gmm, "what becomes scikit-learn's", GMM, "Give one mixture: of an ensemble, one of its parts.")
    names = {kind: name for name, kind in COVARIANCES.items()}
    name = names.get(type(gmm.covariance), "full")
    covariance = gmm.covariance if type(gmm.covariance) in names else Full(gmm.covariance_matrices)
    made = GaussianMixture(gmm.n_components, covariance_type=name)
    made.weights_, made.means_ = gmm.weights.copy(), gmm.means.copy()
    made.covariances_ = covariance.parameters.copy()
    made.precisions_ = covariance.precisions.copy()
    made.precisions_cholesky_ = covariance.precisions_cholesky.copy()
    made.n_features_in_ = gmm.n_dimensions
    made.converged_, made.n_iter_, made.lower_bound_, made.lower_bounds_ = True, 0, float("nan"), []
    return made

"""Faces for scikit-learn: each estimator is a thin shell over the frozen values of the other rooms, one a file."""

from speechgmm.estimators.bayesian import BayesianGaussianMixture
from speechgmm.estimators.density import DensityGrid
from speechgmm.estimators.gaussian_mixture import GaussianMixture

__all__ = ["BayesianGaussianMixture", "DensityGrid", "GaussianMixture"]

"""Estimators with scikit-learn's interface: parameters, and attributes made of frozen values; one in each file."""

from speechgmm.estimators.bayesian import BayesianGaussianMixture
from speechgmm.estimators.density import DensityGrid
from speechgmm.estimators.gaussian_mixture import GaussianMixture
from speechgmm.estimators.gmm_classifier import GMMClassifier
from speechgmm.estimators.mfcc_transformer import MFCCTransformer

__all__ = ["BayesianGaussianMixture", "DensityGrid", "GMMClassifier", "GaussianMixture", "MFCCTransformer"]

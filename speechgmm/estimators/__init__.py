"""Faces for scikit-learn: each estimator is a thin shell over the frozen values of the other rooms, one a file."""

from speechgmm.estimators.audio_classifier import AudioClassifier, Candidate, Classified, load_classifier
from speechgmm.estimators.audio_training import ClassifierTraining, train_classifier
from speechgmm.estimators.bayesian import BayesianGaussianMixture
from speechgmm.estimators.class_mixtures import MixtureSettings
from speechgmm.estimators.classification import Classification, cross_validate, evaluate_classifier
from speechgmm.estimators.density import DensityGrid
from speechgmm.estimators.gaussian_mixture import GaussianMixture
from speechgmm.estimators.gmm_classifier import GMMClassifier
from speechgmm.estimators.mfcc_transformer import MFCCTransformer
from speechgmm.estimators.mixture_features import posterior_features, supervector
from speechgmm.estimators.score_features import FeatureScores, score_features
from speechgmm.estimators.sounds import labels_of

__all__ = [
    "AudioClassifier",
    "BayesianGaussianMixture",
    "Candidate",
    "Classification",
    "Classified",
    "ClassifierTraining",
    "DensityGrid",
    "FeatureScores",
    "GMMClassifier",
    "GaussianMixture",
    "MFCCTransformer",
    "MixtureSettings",
    "cross_validate",
    "evaluate_classifier",
    "labels_of",
    "load_classifier",
    "posterior_features",
    "score_features",
    "supervector",
    "train_classifier",
]

"""From recordings to labels: words, sounds, languages. One mixture for each class, and the likeliest class wins."""

from speechgmm.classification.classifier import AudioClassifier, Candidate, Classified, load_classifier
from speechgmm.classification.evaluate import Classification, cross_validate, evaluate_classifier
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.classification.score_features import FeatureScores, score_features
from speechgmm.classification.train import ClassifierTraining, train_classifier
from speechgmm.classification.vectors import posterior_features, supervector

__all__ = [
    "AudioClassifier",
    "Candidate",
    "Classification",
    "Classified",
    "ClassifierTraining",
    "FeatureScores",
    "MixtureSettings",
    "cross_validate",
    "evaluate_classifier",
    "load_classifier",
    "posterior_features",
    "score_features",
    "supervector",
    "train_classifier",
]

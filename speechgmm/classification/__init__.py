"""From recordings to labels: words, sounds, languages. A score for each class, and the likeliest class wins.

`train` turns labeled sounds into features, and these into a classifier: `mixtures` of all sounds, `calibration` and
rejection from those that are held out. `classifier` answers, and `evaluate` counts how often it is right.
"""

from speechgmm.classification.classifier import AudioClassifier, label_of, load_classifier
from speechgmm.classification.evaluate import Classification, cross_validate, evaluate_classifier
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.classification.score_features import FeatureScores, score_features
from speechgmm.classification.supervectors import posterior_features, supervector
from speechgmm.classification.train import ClassifierTraining, train_classifier

__all__ = [
    "AudioClassifier",
    "Classification",
    "ClassifierTraining",
    "FeatureScores",
    "MixtureSettings",
    "cross_validate",
    "evaluate_classifier",
    "label_of",
    "load_classifier",
    "posterior_features",
    "score_features",
    "supervector",
    "train_classifier",
]

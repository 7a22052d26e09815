"""Speaker models from Gaussian mixtures.

Recordings become matrices of features (N frames by D dimensions) by a front end, `MFCC`. A Gaussian mixture of K
components, `GMM`, trained on many people is a universal background model (UBM); front end and UBM together are a
`System`, made by `train_system`. Adapting the UBM to one person's recordings gives that person's model; the
`SpeakerStore` keeps what is needed for it. `identify` asks who speaks, `verify` whether it is a given speaker, and
`evaluate` how often the answers are right.

    corpus = speechgmm.read_corpus("manifest.csv")
    system = speechgmm.train_system(corpus.where(split="ubm")).system
    with speechgmm.SpeakerStore("speakers.db", system, create=True) as store:
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        print(speechgmm.identify(system, store, ["who.wav"]))

`GMMClassifier` and `AudioClassifier` tell other things apart in the same way: words, sounds, languages.

The rooms, from the ground up: `speechgmm.mixture` is the mathematics, `speechgmm.evaluation` the metrics,
`speechgmm.features` turns sound into features, `speechgmm.speakers` is everything about speakers,
`speechgmm.estimators` are mixtures for scikit-learn, `GaussianMixture` and the classifiers, `speechgmm.plot` draws,
`speechgmm.report` writes a page about scores, `speechgmm.cli` is the command line. Names are loaded when first used,
so importing this package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechgmm.classification import AudioClassifier, load_classifier, train_classifier
    from speechgmm.errors import SpeechGMMError
    from speechgmm.estimators import GaussianMixture, GMMClassifier, MFCCTransformer
    from speechgmm.evaluation import Evaluation, Rule, evaluate
    from speechgmm.features import MFCC, read_corpus
    from speechgmm.mixture import GMM, Diagonal, adapt, fit_gmm
    from speechgmm.speakers import (
        SpeakerStore,
        System,
        default_system,
        enroll,
        identify,
        load_system,
        score_corpus,
        train_system,
        verify,
    )

__version__ = "0.1.0"

_HOME = {
    "SpeechGMMError": "errors",
    "AudioClassifier": "classification",
    "GMMClassifier": "estimators",
    "MFCCTransformer": "estimators",
    "load_classifier": "classification",
    "train_classifier": "classification",
    "GaussianMixture": "estimators",
    "Evaluation": "evaluation",
    "Rule": "evaluation",
    "evaluate": "evaluation",
    "MFCC": "features",
    "read_corpus": "features",
    "GMM": "mixture",
    "Diagonal": "mixture",
    "adapt": "mixture",
    "fit_gmm": "mixture",
    "SpeakerStore": "speakers",
    "default_system": "speakers",
    "System": "speakers",
    "enroll": "speakers",
    "identify": "speakers",
    "load_system": "speakers",
    "score_corpus": "speakers",
    "train_system": "speakers",
    "verify": "speakers",
}

__all__ = [
    "GMM",
    "MFCC",
    "AudioClassifier",
    "Diagonal",
    "Evaluation",
    "GMMClassifier",
    "GaussianMixture",
    "MFCCTransformer",
    "Rule",
    "SpeakerStore",
    "SpeechGMMError",
    "System",
    "adapt",
    "default_system",
    "enroll",
    "evaluate",
    "fit_gmm",
    "identify",
    "load_classifier",
    "load_system",
    "read_corpus",
    "score_corpus",
    "train_classifier",
    "train_system",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name in _HOME:
        return getattr(importlib.import_module(f"speechgmm.{_HOME[name]}"), name)
    raise AttributeError(f"module 'speechgmm' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})

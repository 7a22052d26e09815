"""Speaker models from Gaussian mixtures.

Recordings become matrices of features (N frames by D dimensions) by a front end, `MFCC`. A Gaussian mixture of K
components, `GMM`, trained on many people is a universal background model (UBM); front end and UBM together are a
`System`, made by `train_system`. Adapting the UBM to one person's recordings gives that person's model; the
`SpeakerStore` keeps what is needed for it. `identify` asks who speaks, `verify` whether it is a given speaker, and
`evaluate` how often the answers are right::

    corpus = speechgmm.read_corpus("manifest.csv")
    system = speechgmm.train_system(corpus.where(split="ubm")).system
    with speechgmm.SpeakerStore("speakers.db", system, create=True) as store:
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        print(speechgmm.identify(system, store, ["who.wav"]))

`AudioClassifier` tells other things apart in the same way: words, sounds, languages.

The packages, each above those that it uses: `speechgmm.mixture` is the mathematics, `speechgmm.evaluation` the metrics
and the decisions; `speechgmm.features` turns sound into features, `speechgmm.tracking` follows moving objects;
`speechgmm.speakers` is everything about speakers, `speechgmm.classification` everything about classes, and
`speechgmm.plot` draws; `speechgmm.estimators` speaks scikit-learn's language, `speechgmm.interchange` those of Kaldi,
HTK, ONNX and C, `speechgmm.report` writes a page about scores; `speechgmm.cli` is the command line. Names are loaded
when first used, so importing this package is quick.
"""

from typing import TYPE_CHECKING

from speechgmm.later import later

if TYPE_CHECKING:
    from speechgmm.classification import AudioClassifier as AudioClassifier
    from speechgmm.classification import load_classifier as load_classifier
    from speechgmm.classification import train_classifier as train_classifier
    from speechgmm.errors import SpeechGMMError as SpeechGMMError
    from speechgmm.estimators import GaussianMixture as GaussianMixture
    from speechgmm.estimators import GMMClassifier as GMMClassifier
    from speechgmm.estimators import MFCCTransformer as MFCCTransformer
    from speechgmm.evaluation import Evaluation as Evaluation
    from speechgmm.evaluation import Rule as Rule
    from speechgmm.evaluation import evaluate as evaluate
    from speechgmm.features import MFCC as MFCC
    from speechgmm.features import read_corpus as read_corpus
    from speechgmm.mixture import GMM as GMM
    from speechgmm.mixture import Diagonal as Diagonal
    from speechgmm.mixture import fit_gmm as fit_gmm
    from speechgmm.mixture.adapt import adapt as adapt
    from speechgmm.speakers import SpeakerStore as SpeakerStore
    from speechgmm.speakers import System as System
    from speechgmm.speakers import adapt_system as adapt_system
    from speechgmm.speakers import default_system as default_system
    from speechgmm.speakers import enroll as enroll
    from speechgmm.speakers import identify as identify
    from speechgmm.speakers import load_system as load_system
    from speechgmm.speakers import score_corpus as score_corpus
    from speechgmm.speakers import train_system as train_system
    from speechgmm.speakers import verify as verify

__version__ = "0.1.0"

_NAMES = {
    "classification": "AudioClassifier load_classifier train_classifier",
    "errors": "SpeechGMMError",
    "estimators": "GMMClassifier GaussianMixture MFCCTransformer",
    "evaluation": "Evaluation Rule evaluate",
    "features": "MFCC read_corpus",
    "mixture": "Diagonal GMM adapt fit_gmm",
    "speakers": "SpeakerStore System adapt_system default_system enroll identify load_system score_corpus train_system "
    "verify",
}

__all__ = sorted(name for names in _NAMES.values() for name in names.split())

__getattr__, __dir__ = later(__name__, _NAMES)

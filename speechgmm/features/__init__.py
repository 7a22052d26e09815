"""Sound -> matrices of (frames, dimensions). It knows nothing of speakers as models, only as names in a corpus.

`FrontEnd` is what turns sound into features, `MFCC` the one that comes with the package, `preset` gives one by name,
`register_preset` a name to one of your own; `OwnFeatures` takes features of your own as they are, `with_features` puts
those of a Kaldi archive or a folder in the place of a corpus's sounds.
`read` reads sound, `read_corpus` lists recordings, `extract_all` and `training_frames` turn many into features.
"""

from typing import TYPE_CHECKING

from speechgmm.features.audio_limits import AudioLimits, audio_limits
from speechgmm.later import later

if TYPE_CHECKING:
    from speechgmm.features.acoustics import Acoustics
    from speechgmm.features.audio import Signal, read, sample_rate
    from speechgmm.features.corpus import Corpus, Recording
    from speechgmm.features.extraction import Extracted, Part, TrainingFrames, extract, extract_all, training_frames
    from speechgmm.features.feature_files import FEATURES, Written, check_features_place, write_features
    from speechgmm.features.feature_lists import listed_features, listed_hop_length, recordings_of, with_features
    from speechgmm.features.frontend import FrontEnd
    from speechgmm.features.layouts.read import read_corpus
    from speechgmm.features.mfcc import MFCC
    from speechgmm.features.normalize import Averages
    from speechgmm.features.own_features import OwnFeatures, own_frontend, read_features
    from speechgmm.features.presets import PRESETS, preset, preset_for, register_preset
    from speechgmm.features.sounds import Sound, common_rate
    from speechgmm.features.validation import in_other_splits, missing

__all__ = [
    "FEATURES",
    "MFCC",
    "PRESETS",
    "Acoustics",
    "AudioLimits",
    "Averages",
    "Corpus",
    "Extracted",
    "FrontEnd",
    "OwnFeatures",
    "Part",
    "Recording",
    "Signal",
    "Sound",
    "TrainingFrames",
    "Written",
    "audio_limits",
    "check_features_place",
    "common_rate",
    "extract",
    "extract_all",
    "in_other_splits",
    "listed_features",
    "listed_hop_length",
    "missing",
    "own_frontend",
    "preset",
    "preset_for",
    "read",
    "read_corpus",
    "read_features",
    "recordings_of",
    "register_preset",
    "sample_rate",
    "training_frames",
    "with_features",
    "write_features",
]

__getattr__, __dir__ = later(
    __name__,
    {
        "acoustics": "Acoustics",
        "audio": "Signal read sample_rate",
        "corpus": "Corpus Recording",
        "extraction": "Extracted Part TrainingFrames extract extract_all training_frames",
        "feature_files": "FEATURES Written check_features_place write_features",
        "feature_lists": "listed_features listed_hop_length recordings_of with_features",
        "frontend": "FrontEnd",
        "layouts.read": "read_corpus",
        "mfcc": "MFCC",
        "normalize": "Averages",
        "own_features": "OwnFeatures own_frontend read_features",
        "presets": "PRESETS preset preset_for register_preset",
        "sounds": "Sound common_rate",
        "validation": "in_other_splits missing",
    },
)

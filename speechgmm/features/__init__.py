"""Sound -> matrices of (frames, dimensions). It knows nothing of speakers as models, only as names in a corpus.

`FrontEnd` is what turns sound into features, `MFCC` the one that comes with the package, `preset` gives one by name.
`read` reads sound, `read_corpus` lists recordings, `extract_all` and `training_frames` turn many into features.
"""

from speechgmm.features.audio import Signal, read, sample_rate
from speechgmm.features.corpus import Corpus, Recording, read_corpus
from speechgmm.features.extraction import Extracted, Part, TrainingFrames, extract, extract_all, training_frames
from speechgmm.features.feature_files import FEATURES, Written, write_features
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.mfcc import MFCC
from speechgmm.features.presets import PRESETS, preset, preset_for
from speechgmm.features.sounds import Sound, common_rate

__all__ = [
    "FEATURES",
    "MFCC",
    "PRESETS",
    "Corpus",
    "Extracted",
    "FrontEnd",
    "Part",
    "Recording",
    "Signal",
    "Sound",
    "TrainingFrames",
    "Written",
    "common_rate",
    "extract",
    "extract_all",
    "preset",
    "preset_for",
    "read",
    "read_corpus",
    "sample_rate",
    "training_frames",
    "write_features",
]

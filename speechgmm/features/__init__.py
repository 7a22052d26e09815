"""Sound -> matrices of (frames, dimensions). It knows nothing of speakers as models, only as names in a corpus.

`MFCC` is the front end, `preset` gives one by name, `read` reads sound, `read_corpus` lists recordings, `extract_all`
and `training_frames` turn many of them into features.
"""

from speechgmm.features.audio import Signal, read, sample_rate
from speechgmm.features.corpus import Corpus, Recording, read_corpus
from speechgmm.features.extraction import (
    Extracted,
    Skipped,
    TrainingFrames,
    common_rate,
    extract,
    extract_all,
    training_frames,
)
from speechgmm.features.feature_files import Written, write_features
from speechgmm.features.mfcc import MFCC
from speechgmm.features.presets import PRESETS, preset

__all__ = [
    "MFCC",
    "PRESETS",
    "Corpus",
    "Extracted",
    "Recording",
    "Signal",
    "Skipped",
    "TrainingFrames",
    "Written",
    "common_rate",
    "extract",
    "extract_all",
    "preset",
    "read",
    "read_corpus",
    "sample_rate",
    "training_frames",
    "write_features",
]

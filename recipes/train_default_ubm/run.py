"""The model that comes with the package for 16 kHz: a UBM of 124 readers of audiobooks, calibrated, with a cohort.

Trains it, writes it to its place in the package, and checks it on ten readers whom it has never heard: half of them are
enrolled, the others are strangers. Then on the synthetic voices of `data/`, which are not what it is for.

    python recipes/train_default_ubm/run.py [--data DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import packaged_model
import running
import strangers

VOICES = packaged_model.DATA.parent.parent / "data" / "manifest.csv"
ABOUT = {
    "purpose": "read speech at 16 kHz, close microphone; calibrated within one recording of each background speaker"
}

if __name__ == "__main__":
    source = running.manifest(packaged_model.DATA, running.arguments(__doc__))
    model = packaged_model.train(source, ABOUT)
    packaged_model.write(model, "read_speech_16k.sgmm")
    for recordings in (source, VOICES):
        strangers.show_strangers(packaged_model.check(model, recordings))

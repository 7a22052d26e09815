"""The model that comes with the package: a UBM of 124 readers of audiobooks, calibrated, with a cohort (LibriSpeech).

Trains it, writes it to its place in the package, and checks it on ten readers whom it has never heard: half of them are
enrolled, the others are strangers. Then on the synthetic voices of `data/`, which are not what it is for.

    python recipes/train_default_ubm/run.py [--data DIR]
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import running  # noqa: E402
import strangers  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.evaluation import Interval  # noqa: E402

DATA = RECIPE.parent / "identify_readers"
VOICES = RECIPE.parent.parent / "data" / "manifest.csv"
MODEL = RECIPE.parent.parent / "speechgmm" / "models" / "read_speech_16k.sgmm"
ABOUT = {
    "purpose": "read speech at 16 kHz, close microphone; calibrated within one recording of each background speaker",
    "corpus": "LibriSpeech (train-clean-100), one utterance of each of 124 readers",
    "license": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
    "attribution": "LibriSpeech (c) 2014 by Vassil Panayotov, Guoguo Chen, Daniel Povey and Sanjeev Khudanpur, "
    "https://www.openslr.org/12; subset chosen by resemble-ai/Resemblyzer",
    "changes": "the recordings themselves are not in this file, only a statistical model of them",
}


def train(manifest: Path) -> speechgmm.System:
    """Return the model."""
    system = speechgmm.train_system(speechgmm.read_corpus(manifest).where(split="ubm")).system
    return dataclasses.replace(system, info={"about": ABOUT, **system.info})


def check(system: speechgmm.System, manifest: Path) -> dict[float, Interval]:
    """Return how often a model accepts those of a corpus' speakers who are not enrolled."""
    scores = running.scored(system, speechgmm.read_corpus(manifest))
    assert system.calibration is not None
    return strangers.false_accepts(system.calibration, scores, (0.01, 0.05, 0.1))


if __name__ == "__main__":
    source = running.manifest(DATA, running.arguments(__doc__))
    model = train(source)
    model.save(MODEL)
    print(f"{MODEL}: {MODEL.stat().st_size / 1e6:.1f} MB")
    for recordings in (source, VOICES):
        strangers.show_strangers(check(model, recordings))

"""Ten readers of audiobooks, told apart after four sentences each (LibriSpeech).

Trains a UBM on 124 other readers with one sentence each, enrolls ten from four sentences and tests six more of each.
Enrollment and test come from the same chapter, so this shows that everything works, not how well it would on another
day. The same model with a calibration comes with the package: recipes/train_default_ubm.

    python recipes/identify_readers/run.py [--data DIR]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import running  # noqa: E402

import speechgmm  # noqa: E402


def run(manifest: Path, *, seed: int = 0) -> Mapping[str, speechgmm.Evaluation]:
    """Return the error rates by sentence."""
    corpus = speechgmm.read_corpus(manifest)
    system = speechgmm.train_system(corpus.where(split="ubm"), calibrated=False, seed=seed).system
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, corpus.where(split="enroll"))
        scores = speechgmm.score_corpus(system, store, corpus.where(split="test")).scores
    return {"sentences": speechgmm.evaluate(scores)}


if __name__ == "__main__":
    running.show_evaluations(RECIPE, run(running.manifest(RECIPE, running.arguments(__doc__))))

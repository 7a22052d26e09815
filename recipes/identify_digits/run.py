"""Six speakers, told apart by one spoken digit of half a second (Free Spoken Digit Dataset).

The corpus has no background speakers, so the enrollment recordings of all six train the UBM too, which is why the
error rates flatter; its recordings are cut at the edges of the word, and each speaker sat once.

    python recipes/identify_digits/run.py [--data DIR]
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
    """Return the error rates by digit."""
    corpus = speechgmm.read_corpus(manifest)
    known = corpus.where(split="enroll")
    system = speechgmm.train_system(known, seed=seed).system
    with (
        tempfile.TemporaryDirectory() as folder,
        speechgmm.SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        speechgmm.enroll(system, store, known)
        scores = speechgmm.score_corpus(system, store, corpus.where(split="test")).scores
    return {"digits": speechgmm.evaluate(scores)}


if __name__ == "__main__":
    running.show_evaluations(RECIPE, run(running.manifest(RECIPE, running.arguments(__doc__))))

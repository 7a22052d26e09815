"""Ten spoken digits, told apart by one mixture for each word (Free Spoken Digit Dataset).

The official split (every voice was heard in training), and with each of the six speakers left out in turn.

    python recipes/classify_digits/run.py [--data DIR] [--picture OUT.png]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import running  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.classification import Classification, MixtureSettings, cross_validate, evaluate_classifier  # noqa: E402

FRONTEND = "word"
"""The recordings are cut at the edges of the words: every frame counts."""
SETTINGS = MixtureSettings(n_components=128, relevance=4.0, max_iterations=2)


def run(manifest: Path) -> Mapping[str, Classification]:
    """Return what was decided with known voices, and with unknown ones."""
    corpus = speechgmm.read_corpus(manifest)
    known, test = corpus.where(split="enroll"), corpus.where(split="test")
    words = known.column("text")
    made = speechgmm.train_classifier(known, words, frontend=FRONTEND, settings=SETTINGS, folds=0).classifier
    speakers = [r.speaker for r in corpus]
    left_out = cross_validate(
        corpus,
        corpus.column("text"),
        speakers,
        groups=speakers,
        frontend=FRONTEND,
        settings=SETTINGS,
        calibration_folds=0,
    )
    return {"known voices": evaluate_classifier(made, test, test.column("text")), "unknown voices": left_out}


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="confusion.png")
    manifest = running.manifest(RECIPE.parent / "identify_digits", given)
    running.show_classifications(RECIPE, run(manifest), given.picture)

"""Five prompted words on the telephone, callers disjoint (WUW Corpus II).

Every second caller, in order of name, trains; the others are tested.

    python recipes/classify_keywords/run.py [--data DIR] [--picture OUT.png]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

import running  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.classification import Classification, evaluate_classifier  # noqa: E402

WORDS = ["Onword", "Operator", "ThinkEngine", "Voyager", "Wildfire"]


def run(manifest: Path) -> Mapping[str, Classification]:
    """Return what was decided of the words of callers who were never heard before."""
    corpus = speechgmm.read_corpus(manifest).where(text=WORDS)
    train, test = corpus.where(speaker=corpus.speakers[::2]), corpus.where(speaker=corpus.speakers[1::2])
    callers = [r.speaker for r in train]
    made = speechgmm.train_classifier(train, train.column("text"), groups=callers, folds=2).classifier
    result = evaluate_classifier(made, test, test.column("text"), groups=[r.speaker for r in test])
    return {"unknown callers": result}


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="confusion.png")
    manifest = running.manifest(RECIPE.parent / "verify_telephone", given)
    running.show_classifications(RECIPE, run(manifest), given.picture)

"""Women and men by two mixtures: audiobooks (LibriSpeech) and telephone calls (WUW Corpus II), speakers disjoint.

Audiobooks: one utterance of each of 124 speakers, five folds of speakers. Calls: every second caller, in order of
name, trains, and the others are tested.

    python recipes/classify_gender/run.py [--data DIR] [--picture OUT.png]

DIR holds the prepared copies as `librispeech_mini` and `wuw2`.
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

SETTINGS = MixtureSettings(n_components=16)


def audiobooks(manifest: Path) -> Classification:
    """Return what was decided in five folds of speakers."""
    corpus = speechgmm.read_corpus(manifest).where(split="ubm")
    speakers = [r.speaker for r in corpus]
    folds = [str(corpus.speakers.index(s) % 5) for s in speakers]
    return cross_validate(corpus, corpus.column("gender"), folds, groups=speakers, settings=SETTINGS)


def calls(manifest: Path) -> Classification:
    """Return what was decided of callers who were never heard before."""
    corpus = speechgmm.read_corpus(manifest)
    train, test = corpus.where(speaker=corpus.speakers[::2]), corpus.where(speaker=corpus.speakers[1::2])
    callers = [r.speaker for r in train]
    training = speechgmm.train_classifier(train, train.column("gender"), groups=callers, settings=SETTINGS)
    made, speakers = training.classifier, [r.speaker for r in test]
    return evaluate_classifier(made, test, test.column("gender"), groups=speakers)


def run(librispeech: Path, wuw: Path) -> Mapping[str, Classification]:
    """Return what was decided in both corpora."""
    return {"audiobooks": audiobooks(librispeech), "telephone calls": calls(wuw)}


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="confusion.png")
    parts = {"identify_readers": "librispeech_mini", "verify_telephone": "wuw2"}
    manifests = [running.manifest(RECIPE.parent / recipe, given, copy) for recipe, copy in parts.items()]
    running.show_classifications(RECIPE, run(*manifests), given.picture)

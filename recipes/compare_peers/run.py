"""What others do with the same telephone calls: the copied tutorial, scikit-learn, bob.learn.em, and this package.

The lists are those of `recipes/verify_telephone`: 48 callers enroll from one call, and each utterance of their later
calls is scored against all 48. Shown are the equal error rate, the share identified, and the seconds from recordings to
scores on one thread.

    python recipes/compare_peers/run.py [--data DIR]

bob.learn.em is compared where it can be imported; README.md says how to make an environment for it.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import peers
import running
from peers import Array, Score

import speechgmm
from speechgmm.evaluation import eer
from speechgmm.features import Corpus


def this_package(quality: str) -> Score:
    """Return the scores of this package with all its defaults."""

    def score(corpus: Corpus) -> Array:
        system = speechgmm.train_system(corpus.where(split="ubm"), quality=quality, n_threads=1).system
        scores = running.scored(system, corpus)
        enroll, test = corpus.where(split="enroll"), corpus.where(split="test")
        row = {r.name: i for i, r in enumerate(test)}
        found = np.full((len(row), len(enroll.speakers)), np.nan)
        columns = {s: i for i, s in enumerate(enroll.speakers)}
        for speaker, name, value in zip(scores.speaker, scores.test, scores.score, strict=True):
            found[row[str(name)], columns[str(speaker)]] = value
        return found

    return score


WAYS: Mapping[str, Score] = {
    "tutorial, MFCC": peers.tutorial(peers.cepstra),
    "tutorial, MFCC scaled": peers.tutorial(lambda path: peers.cepstra(path, scaled=True)),
    "tutorial, MFCC, deltas": peers.tutorial(lambda path: peers.cepstra(path, deltas=True)),
    "tutorial, MFCC, deltas, scaled": peers.tutorial(lambda path: peers.cepstra(path, deltas=True, scaled=True)),
    "tutorial, our MFCC": peers.tutorial(peers.ours),
    "scikit-learn, UBM, our MFCC": peers.scikit_learn,
    "bob.learn.em, UBM, our MFCC": peers.bob,
    "speechgmm": this_package("default"),
    "speechgmm, best": this_package("best"),
}


def rates(corpus: Corpus, scores: Array) -> dict[str, float]:
    """Return the equal error rate of all trials, and the share of tests whose own speaker is the best."""
    names = np.array(corpus.where(split="enroll").speakers)
    spoken = np.array([r.speaker for r in corpus.where(split="test")])
    used = ~np.isnan(scores).any(axis=1)
    target = spoken[used, None] == names
    right = names[scores[used].argmax(axis=1)] == spoken[used]
    return {"EER": eer(scores[used][target], scores[used][~target]), "identified": float(right.mean())}


def run(manifest: Path, ways: Mapping[str, Score] = WAYS) -> dict[str, dict[str, float]]:
    """Print and return what each way reaches."""
    corpus, found = speechgmm.read_corpus(manifest), {}
    for name, score in ways.items():
        if score is peers.bob and importlib.util.find_spec("bob") is None:
            print(f"{name:32s}not here: bob.learn.em is not installed", flush=True)
            continue
        began = time.perf_counter()
        found[name] = rates(corpus, score(corpus)) | {"seconds": time.perf_counter() - began}
        f = found[name]
        print(f"{name:32s}EER {f['EER']:6.1%}{f['identified']:8.1%} identified{f['seconds']:8.0f} s", flush=True)
    return found


if __name__ == "__main__":
    run(running.manifest(Path(__file__).resolve().parent.parent / "verify_telephone", running.arguments(__doc__)))

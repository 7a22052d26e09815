"""The tutorial that is often copied: 16 scikit-learn components for each speaker, no background model.

On the telephone calls of `recipes/verify_telephone`: 48 callers enroll from one call and are identified in later calls
by the mixture that gives their utterance the highest likelihood. Once with the features of such tutorials (20 MFCC and
their deltas by librosa over every frame, scaled for each file, or not), and once with this package's front end.

    python recipes/studies/tutorial.py [--data DIR]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import scale

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import running

import speechgmm
from speechgmm.features import Corpus, read

RATE, COMPONENTS = 8000, 16
Extract = Callable[[str], NDArray[np.float64]]


def cepstra(path: str, *, deltas: bool, scaled: bool) -> NDArray[np.float64]:
    """Return 20 MFCC of every frame, 25 ms every 10 ms, with deltas and scaled if wanted."""
    signal = read(path).samples.astype(np.float64)
    x = librosa.feature.mfcc(y=signal, sr=RATE, n_mfcc=20, n_fft=256, win_length=200, hop_length=80)
    x = np.vstack([x, librosa.feature.delta(x)]) if deltas else x
    return scale(x.T) if scaled else x.T


def ours(path: str) -> NDArray[np.float64]:
    """Return the features of this package's front end, of speech frames alone."""
    return speechgmm.MFCC(sample_rate=RATE).from_file(path).astype(np.float64)


WAYS: Mapping[str, Extract] = {
    "MFCC": lambda path: cepstra(path, deltas=False, scaled=False),
    "MFCC, scaled": lambda path: cepstra(path, deltas=False, scaled=True),
    "MFCC and deltas": lambda path: cepstra(path, deltas=True, scaled=False),
    "MFCC and deltas, scaled": lambda path: cepstra(path, deltas=True, scaled=True),
    "this front end": ours,
}


def identified(corpus: Corpus, extract: Extract, *, n_init: int = 3) -> float:
    """Return the share of test utterances whose own speaker's mixture is the likeliest."""
    enroll, test = corpus.where(split="enroll"), corpus.where(split="test")
    tests = [extract(r.path) for r in test]
    starts = np.cumsum([0, *(len(x) for x in tests[:-1])])
    scores = []
    for speaker in enroll.speakers:
        frames = np.concatenate([extract(r.path) for r in enroll.where(speaker=speaker)])
        fitted = GaussianMixture(COMPONENTS, covariance_type="diag", max_iter=200, n_init=n_init, random_state=0)
        scores.append(np.add.reduceat(fitted.fit(frames).score_samples(np.concatenate(tests)), starts))
    best = np.argmax(scores, axis=0)
    return float(np.mean([enroll.speakers[i] == r.speaker for i, r in zip(best, test, strict=True)]))


def run(manifest: Path, ways: Mapping[str, Extract] = WAYS) -> dict[str, float]:
    """Print and return the share that each way identifies."""
    corpus, found = speechgmm.read_corpus(manifest), {}
    for name, extract in ways.items():
        found[name] = identified(corpus, extract)
        print(f"{name:25s}{found[name]:6.1%} identified", flush=True)
    return found


if __name__ == "__main__":
    run(running.manifest(Path(__file__).resolve().parent.parent / "verify_telephone", running.arguments(__doc__)))

"""Classification of words, timed beside scikit-learn and beside its own front end, in one process.

Spoken digits, official split. Both sides get the same features, extracted once, and the same number of components:
ours is `GMMClassifier` with a background of all classes, theirs one `sklearn.mixture.GaussianMixture` a class as it
comes. "The whole job" is reading the files, front end, training and prediction of all files of the split.

    python recipes/benchmarks/classify.py --manifest PATH/fsdd/metadata.csv [--components 64] [--rounds 3] [--json]

With `--folds` nothing is timed: each value of that column is held out in turn, and the back ends of
`train_classifier` are compared.

    python recipes/benchmarks/classify.py --manifest PATH/esc10/metadata.csv --label label --folds fold --preset sound
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from speechgmm.classification.backends import BACKENDS
from speechgmm.classification.train import SETTINGS, Labeled, extract_labeled, train_on_features
from speechgmm.estimators import GMMClassifier
from speechgmm.features import MFCC, Corpus, extract_all, read_corpus

Split = tuple[list[np.ndarray], np.ndarray]


def extract(frontend: MFCC, corpus: Corpus) -> Split:
    """Return the features and words of all recordings."""
    found = [e.features for e in extract_all(frontend, corpus)]
    return [x for x in found if x is not None], np.array([r.columns["text"] for r in corpus])


def ours(train: Split, test: Split, k: int) -> float:
    """Train, predict, and return the accuracy."""
    model = GMMClassifier(k, relevance=4.0, max_iter=2, priors="equal")
    return model.fit(*train).score(*test)


def theirs(train: Split, test: Split, k: int) -> float:
    """Do the same with one scikit-learn mixture for each class."""
    words = np.unique(train[1])
    models = []
    for word in words:
        x = np.concatenate([m for m, label in zip(*train, strict=True) if label == word])
        models.append(GaussianMixture(k, covariance_type="diag", random_state=0).fit(x))
    lengths = np.array([len(m) for m in test[0]])
    x, starts = np.concatenate(test[0]), np.cumsum(lengths) - lengths
    scores = np.stack([np.add.reduceat(m.score_samples(x), starts) for m in models], axis=1)
    return float((words[scores.argmax(axis=1)] == test[1]).mean())


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return seconds and result."""
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def compare(corpus: Corpus, frontend: MFCC, k: int, rounds: int) -> dict[str, Any]:
    """Return median seconds and accuracy of each side, and the ratios that count."""
    known, unknown = corpus.where(split="enroll"), corpus.where(split="test")
    warnings.simplefilter("ignore", ConvergenceWarning)
    ours(extract(frontend, known), extract(frontend, unknown), 2)  # compile, load libraries
    seconds: dict[str, list[float]] = {"front end": [], "ours": [], "scikit-learn": []}
    accuracy: dict[str, float] = {}
    for _ in range(rounds):
        front, (train, test) = timed(lambda: (extract(frontend, known), extract(frontend, unknown)))
        seconds["front end"].append(front)
        for name, side in (("ours", ours), ("scikit-learn", theirs)):
            took, accuracy[name] = timed(side, train, test, k)
            seconds[name].append(took)
    median = {name: statistics.median(s) for name, s in seconds.items()}
    ratios = {
        "scikit-learn over ours": median["scikit-learn"] / median["ours"],
        "whole job over front end": 1 + median["ours"] / median["front end"],
    }
    return {"components": k, "seconds": median, "accuracy": accuracy, "ratios": ratios}


def compare_backends(data: Labeled, sizes: Sequence[int], calibration_folds: int) -> dict[str, float]:
    """Return the share that is right, by back end and components, each fold held out in turn."""
    right: dict[str, list[bool]] = {}
    for fold in sorted({s.fold for s in data.sounds}):
        rest = replace(data, sounds=tuple(s for s in data.sounds if s.fold != fold))
        tested = [s for s in data.sounds if s.fold == fold]
        for k in sizes:
            ranked = []
            for backend in BACKENDS:
                made = train_on_features(
                    rest,
                    settings=replace(SETTINGS, n_components=k),
                    backend=backend,
                    folds=calibration_folds,
                    rejects=False,
                    n_threads=1,
                ).classifier
                features = [made.frontend.normalized(s.features) for s in tested]
                scores = np.concatenate([made.scores(x).classes for x in features])
                ranked.append(made.calibration.log_posteriors(scores) if made.calibration else scores)
            for name, scores in zip(BACKENDS, ranked, strict=True):
                labels = [made.labels[i] for i in scores.argmax(axis=1)]
                right.setdefault(f"{name} {k}", []).extend(a == s.label for a, s in zip(labels, tested, strict=True))
    return {name: float(np.mean(found)) for name, found in right.items()}


def show_backends(given: argparse.Namespace) -> None:
    """Print how often each back end is right."""
    corpus = read_corpus(given.manifest, label=given.label)
    labels, folds = corpus.column(given.label), corpus.column(given.folds, "fold")
    groups = None if given.groups is None else corpus.column(given.groups)
    data = extract_labeled(corpus, labels, groups=groups, folds=folds, frontend=given.preset, n_threads=1)
    found = compare_backends(data, given.components, given.calibration_folds)
    if given.json:
        print(json.dumps(found))
        return
    table = Table("back end and K", "right")
    for name, rate in found.items():
        table.add_row(name, f"{100 * rate:.1f} %")
    Console(width=110).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="spoken digits with the columns text and split")
    parser.add_argument("--components", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--label", default="text", help="column of what is told apart, with --folds")
    parser.add_argument("--folds", help="compare back ends: hold each value of this column out in turn")
    parser.add_argument("--groups", help="column of what calibration holds out as a whole, with --folds")
    parser.add_argument("--preset", default="speech", help="front end, with --folds")
    parser.add_argument("--calibration-folds", type=int, default=5, help="0: none, for less work")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.folds:
        show_backends(given)
        return
    frontend = MFCC(sample_rate=8000, n_mfcc=13, speech="none", silence=-200.0, min_speech=0.0)
    results = [compare(read_corpus(given.manifest), frontend, k, given.rounds) for k in given.components]
    if given.json:
        print(json.dumps({"results": results}))
        return
    table = Table("K", "ours, s", "right", "scikit-learn, s", "right", "ratio", "front end, s", "whole job")
    for r in results:
        s, a, ratio = r["seconds"], r["accuracy"], r["ratios"]
        table.add_row(
            str(r["components"]),
            f"{s['ours']:.2f}",
            f"{100 * a['ours']:.1f} %",
            f"{s['scikit-learn']:.1f}",
            f"{100 * a['scikit-learn']:.1f} %",
            f"{ratio['scikit-learn over ours']:.1f}",
            f"{s['front end']:.2f}",
            f"{ratio['whole job over front end']:.2f} x",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

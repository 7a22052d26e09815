"""What the defaults were chosen by: error rates of telephone utterances as one setting after the other is changed.

Raw scores on the calls of `recipes/verify_telephone`, 920 utterances against 48 callers: the relevance factor, the
number of components, and the width of deltas. These are the speakers that the defaults were chosen on, so that the best
of a row flatters.

    python recipes/studies/settings.py [--data DIR]
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import running

import speechgmm
from speechgmm.features import common_rate

RELEVANCES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def measure(
    corpus: speechgmm.Corpus, relevances: Iterable[float] = (4.0,), *, n_components: int = 256, delta_width: int = 3
) -> dict[float, speechgmm.Evaluation]:
    """Train once, and enroll and test with each relevance factor."""
    front = speechgmm.MFCC(sample_rate=common_rate(corpus), delta_width=delta_width)
    background = corpus.where(split="ubm")
    system = speechgmm.train_system(background, n_components=n_components, frontend=front, calibrated=False).system
    found = {}
    for relevance in relevances:
        changed = dataclasses.replace(system, relevance=relevance)
        found[relevance] = speechgmm.evaluate(running.scored(changed, corpus), replicates=0)
    return found


def run(manifest: Path) -> None:
    """Print a line for each setting."""
    corpus = speechgmm.read_corpus(manifest)
    _show("relevance", measure(corpus, RELEVANCES))
    for k in (64, 128, 512):
        _show(f"{k} components, relevance", measure(corpus, n_components=k))
    _show("deltas of width 2, relevance", measure(corpus, delta_width=2))


def _show(what: str, found: dict[float, speechgmm.Evaluation]) -> None:
    for relevance, e in found.items():
        told = f"EER {100 * e.eer:.1f} %, identified {100 * (e.identification_rate or 0):.1f} %"
        print(f"{what} {relevance:g}: {told}", flush=True)


if __name__ == "__main__":
    run(running.manifest(Path(__file__).resolve().parent.parent / "verify_telephone", running.arguments(__doc__)))

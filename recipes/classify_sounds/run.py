"""Environmental sounds: ESC-10 and ESC-50, the five official folds.

    python recipes/classify_sounds/run.py --data ESC-50-master [--picture OUT.png]

DIR is a copy of the repository https://github.com/karolpiczak/ESC-50 (600 MB; license CC BY-NC 3.0).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path[:0] = [str(RECIPE.parent), str(RECIPE)]

import running  # noqa: E402

from data import corpus_of  # noqa: E402
from speechgmm.classification import Classification, MixtureSettings, cross_validate  # noqa: E402
from speechgmm.classification.train import SETTINGS  # noqa: E402

BASELINES = {
    "listeners": "95.7   81.3",
    "random forest": "72.7   44.3",
    "SVM": "67.5   39.6",
    "k-NN": "66.7   32.2",
    "GMM, TEO-GTCC": "       68.9",
}
"""Published accuracy on ESC-10 and ESC-50 in percent: Piczak 2015; Agrawal 2017 (as the data set's README lists it)."""


def run(data: Path, *, settings: MixtureSettings = SETTINGS) -> Mapping[str, Classification]:
    """Return what was decided in the five folds of both sets."""
    results = {}
    for name in ("ESC-10", "ESC-50"):
        corpus = corpus_of(data, only_esc10=name == "ESC-10")
        folds = [r.columns["fold"] for r in corpus]
        clips = [r.speaker for r in corpus]
        results[name] = cross_validate(
            corpus, corpus.column("label"), folds, groups=clips, frontend="sound", settings=settings
        )
    return results


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="confusion.png")
    if given.data is None:
        sys.exit("give the folder of the repository karolpiczak/ESC-50 with --data")
    running.show_classifications(RECIPE, run(given.data), given.picture)
    print("published       ESC-10 ESC-50")
    for name, rates in BASELINES.items():
        print(f"{name:15} {rates} %")

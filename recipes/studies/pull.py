"""How far scores of strangers fall with a model's distance from the UBM: the constant `PULL` of `score_norm.py`.

Models are adapted to a quarter, half and four fifths of what each speaker enrolls, and score the tests of all others.
Within each test, scores are regressed on the models' distances. On the calls of `recipes/verify_telephone` and the
readers of `recipes/identify_readers`; then what the correction does to the utterances of the calls, with models of 64
components, which take less time than the default's.

    python recipes/studies/pull.py [--data DIR]

DIR holds prepared copies as `wuw2` and `librispeech_mini`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np

RECIPES = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(RECIPES))

import running  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.features import extract_all  # noqa: E402
from speechgmm.speakers import score_norm, speaker_models  # noqa: E402

SHARES = (0.25, 0.5, 0.8)
CORPORA = {"verify_telephone": "wuw2", "identify_readers": "librispeech_mini"}


def slope(manifest: Path, *, n_components: int = 256) -> float:
    """Return by how much scores of strangers change with each unit of distance, in nats per frame."""
    corpus = speechgmm.read_corpus(manifest)
    background = corpus.where(split="ubm")
    system = speechgmm.train_system(background, n_components=n_components, calibrated=False).system
    frames: dict[str, dict[str, list[np.ndarray]]] = {"enroll": {}, "test": {}}
    for part, of_speakers in frames.items():
        for e in extract_all(system.frontend, corpus.where(split=part)):
            if not e.error:
                of_speakers.setdefault(e.recording.speaker, []).append(e.usable())
    whole = {who: np.concatenate(x) for who, x in frames["enroll"].items()}
    sums = {(who, s): system.statistics(x[: round(s * len(x))]) for who, x in whole.items() for s in SHARES}
    models = speaker_models(system, sums)
    over, under = 0.0, 0.0
    for who, tests in frames["test"].items():
        strangers = np.array([name[0] != who for name in models.names])
        x = models.distances[strangers] - models.distances[strangers].mean()
        for test in tests:
            y = models.ratios(test)[strangers]
            over, under = over + x @ (y - y.mean()), under + x @ x
    return float(over / under)


def outcome(manifest: Path, *, n_components: int = 64) -> dict[float, tuple[float, float]]:
    """Return Cllr over the least possible and the share of tests identified, without the correction and with."""
    corpus, found = speechgmm.read_corpus(manifest), {}
    for pull in (0.0, score_norm.PULL):
        with mock.patch.object(score_norm, "PULL", pull):
            system = speechgmm.train_system(corpus.where(split="ubm"), n_components=n_components).system
            assert system.calibration is not None
            e = speechgmm.evaluate(running.scored(system, corpus), replicates=0)
        found[pull] = e.cllr / e.min_cllr, e.identification_rate or 0.0
    return found


if __name__ == "__main__":
    given = running.arguments(__doc__)
    manifests = {c: running.manifest(RECIPES / recipe, given, c) for recipe, c in CORPORA.items()}
    for corpus, path in manifests.items():
        print(f"{corpus}: {slope(path):+.3f} nats per frame for each unit of distance", flush=True)
    for pull, (over, rate) in outcome(manifests["wuw2"]).items():
        print(f"wuw2, with {pull:g} of the distance added: Cllr {over:.2f} times the least, {rate:.1%} identified")

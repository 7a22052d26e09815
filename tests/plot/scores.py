"""Scores to draw."""

import numpy as np

from speechgmm.evaluation import Scores


def matrix(*, enrolled=12, strangers=3, tests=5, columns=True, seed=0, prefix="s"):
    """Return LLR-like scores of every test against everybody enrolled."""
    rng = np.random.default_rng(seed)
    people = [f"{prefix}{i}" for i in range(enrolled + strangers)]
    rows = []
    for who in people:
        for k in range(tests):
            seconds = float(rng.uniform(1, 20))
            for model in people[:enrolled]:
                same = who == model
                score = rng.normal((2.0 if same else -2.0) * (1 + seconds / 20), 2.0)
                rows.append((model, f"{who}-{k}", score, int(same), who, seconds))
    speaker, test, score, target, who, seconds = zip(*rows, strict=True)
    more = {"test_speaker": list(who), "test_seconds": list(seconds)} if columns else {}
    return Scores(list(speaker), list(test), list(score), list(target), **more)

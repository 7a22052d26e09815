"""Tables of scores whose true rates are known, for tests of calibrations that are learned from tables."""

from __future__ import annotations

import numpy as np

from speechgmm.evaluation import Scores


def gaussian(
    speakers: int,
    tests: int = 4,
    *,
    seed: int = 0,
    models: float = 0.0,
    tested: float = 0.0,
    distance: float = 4.0,
    strangers: int = 0,
) -> Scores:
    """Scores of everybody's tests against everybody's models: of strangers standard normal, of owners moved up.

    Parameters
    ----------
    speakers, tests : int
        How many are enrolled, and how many tests each of them and of the `strangers` has.
    models, tested : float
        Shares of the variance that belong to a model, whoever is tested, and to whoever is tested.
    """
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers + strangers), tests)
    rest = np.sqrt(1 - models - tested) * rng.normal(size=(len(who), speakers))
    of_model = np.sqrt(models) * rng.normal(size=speakers)
    of_person = np.sqrt(tested) * rng.normal(size=speakers + strangers)
    own = who[:, None] == np.arange(speakers)
    score = rest + of_model + of_person[who][:, None] + distance * own
    test, model = np.indices(score.shape)
    names = np.array([f"p{i:03}" for i in range(speakers + strangers)])
    files = np.array([f"{names[p]}/{i:03}" for i, p in enumerate(who)])
    return Scores(
        names[model.ravel()], files[test.ravel()], score.ravel(), own.ravel(), test_speaker=names[who[test.ravel()]]
    )


def changed(scores: Scores, **columns: object) -> Scores:
    """The same table with other columns, whose names come without `test_speaker`."""
    kept = {"speaker": scores.speaker, "test": scores.test, "score": scores.score, "target": scores.target}
    return Scores(**{**kept, **columns})  # type: ignore[arg-type]


def rows_of(scores: Scores, rows: np.ndarray) -> Scores:
    """Some rows of a table, without `test_speaker`."""
    return Scores(scores.speaker[rows], scores.test[rows], scores.score[rows], scores.target[rows])

"""What is familiar to a model, learned from its own background speakers. Symbols: R recordings, M measures.

How probable a recording's frames are is asked of a UBM that did not know its speaker: that of a fold, as the
calibration makes them. What is usual is learned from all of these recordings, and the limit from distances between
each fold and the others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.errors import InvalidInput
from speechgmm.features import Part, TrainingFrames
from speechgmm.features.extraction import FramesKept
from speechgmm.mixture import UBM
from speechgmm.parallel import Threads, own_threads, threads
from speechgmm.speakers.familiarity import MEASURES, Familiarity, joint, measures

FOLDS = 4
LEAST_SPEAKERS = 4
"""With fewer there is nothing to learn a spread from."""
SHARE = 0.01
"""So many of the background's own held-out recordings lie beyond the limit, or fewer."""
_LEAST = 4.1
"""No limit is lower: other people's recordings of the same kind lie further out than those of the background, and a
hundred recordings hardly show where they end (`recipes/studies/familiarity.py` prints what this gives)."""
_PRIOR = 5.0
"""So many recordings the least spreads count for on each side of the median."""

TrainUBM = Callable[[Any, str], UBM]


class HeldOutMeasures:
    """The measures of background recordings under UBMs that did not know their speakers.

    Parameters
    ----------
    frames : TrainingFrames
    n_threads : int or mapper, optional
        Default: the cores of this process, which also measure where a mapper is given: each recording is asked once. It
        changes the time and nothing else.
    """

    def __init__(self, frames: TrainingFrames, *, n_threads: Threads = None) -> None:
        """Begin without any."""
        self._frames, self._n_threads = frames, own_threads(n_threads)
        self._folds: dict[int, list[Array]] = {}
        self._seen: set[int] = set()

    def watching(self, train_ubm: TrainUBM) -> TrainUBM:
        """Return what trains a UBM as `train_ubm` does, and measures the recordings that it did not see."""

        def train(blocks: Any, stage: str) -> UBM:
            ubm = train_ubm(blocks, stage)
            if isinstance(blocks, FramesKept):
                self._measure(blocks, ubm)
            return ubm

        return train

    def _measure(self, kept: FramesKept, ubm: UBM) -> None:
        """Measure the recordings that were left out, each in the first fold that leaves it out."""
        parts = self._frames.parts
        new = [i for i, p in enumerate(parts) if i not in self._seen and not kept.keep[p.start]]
        rows = threads(self._n_threads)(lambda i: self._of(parts[i], ubm), new)
        self._folds[len(self._folds)] = list(rows)
        self._seen.update(new)

    def _of(self, part: Part, ubm: UBM) -> Array:
        return measures(float(ubm.log_density(self._frames.of(part)).mean()), part.acoustics)

    def learn(self, train_ubm: TrainUBM) -> Familiarity | None:
        """Return what is familiar, None where there are fewer than four speakers.

        Where no fold was watched, UBMs of folds are trained.
        """
        speakers = self._frames.speakers
        if len(speakers) < LEAST_SPEAKERS:
            return None
        if not self._folds:
            train = self.watching(train_ubm)
            try:
                for i in range(FOLDS):
                    train(self._frames.without(set(speakers[i::FOLDS])), f"fold {i + 1} of {FOLDS}")
            except InvalidInput:  # too few frames in a fold for so many components
                return None
        folds = [np.array(rows) for rows in self._folds.values() if rows]
        return fit_familiarity(folds) if len(folds) > 1 else None


def fit_familiarity(folds: list[Array]) -> Familiarity:
    """Return what is familiar, from the measures (R, M) of recordings in at least two folds."""
    every = _usual(np.concatenate(folds), 1.0)
    apart = [joint(_usual(np.concatenate([x for x in folds if x is not fold]), 1.0).distances(fold)) for fold in folds]
    limit = max(_LEAST, float(np.quantile(np.concatenate(apart), 1 - SHARE)))
    return Familiarity(every.center, every.below, every.above, limit, every.recordings)


def _usual(rows: Array, limit: float) -> Familiarity:
    """Return medians and spreads of measures (R, M)."""
    center = np.median(rows, axis=0)
    least = np.array([m.spread for m in MEASURES[: rows.shape[1]]])

    def spread(side: Array) -> Array:
        squares = np.where(side, (rows - center) ** 2, 0.0).sum(axis=0)
        return np.maximum(np.sqrt((squares + _PRIOR * least**2) / (side.sum(axis=0) + _PRIOR)), least)

    return Familiarity(center, spread(rows <= center), spread(rows >= center), limit, len(rows))

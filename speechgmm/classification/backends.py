"""What tells classes apart: a mixture for each (`MixtureBackend`), or a linear machine (`machine.SupervectorMachine`).

Both sum what the frames of a recording say, so that a long recording goes through in blocks, and both give scores and
evidence of recordings, which calibration and rejection take alike. Symbols: N frames, D dimensions, U recordings,
C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speechgmm.checks import Array, choice, refuse
from speechgmm.classification.calibration import FileScores, file_sums, scores_of_sums
from speechgmm.classification.machine import SupervectorMachine, train_machine
from speechgmm.classification.mixtures import MixtureSettings, class_log_densities, train_mixtures
from speechgmm.mixture import GMM

BACKENDS = ("gmm", "svm")
"""Their names: a mixture for each class, and supervectors with a linear machine."""


class Backend(Protocol):
    """All that a classifier asks of what tells its classes apart."""

    def sums(self, x: Array, lengths: Array, *, n_threads: int | None = None) -> Array:
        """Return what is summed over the frames (N, D) of recordings of so many frames each (U,), shape (U, S)."""

    def file_scores(self, sums: Array, lengths: Array) -> FileScores:
        """Return the scores of recordings of so many frames (U,) from their sums (U, S)."""


@dataclass(frozen=True, eq=False)
class MixtureBackend:
    """One mixture for each class; scores are mean log densities."""

    mixtures: tuple[GMM, ...]

    def sums(self, x: Array, lengths: Array, *, n_threads: int | None = None) -> Array:
        """See `Backend`."""
        return file_sums(class_log_densities(self.mixtures, x, n_threads=n_threads), lengths)

    def file_scores(self, sums: Array, lengths: Array) -> FileScores:
        """See `Backend`."""
        return scores_of_sums(sums, lengths)


def train_backend(
    name: str, frames: Sequence[Sequence[Array]], settings: MixtureSettings, *, n_threads: int | None = None
) -> MixtureBackend | SupervectorMachine:
    """Train a back end of this name, one of `BACKENDS`, on the recordings (N, D) of each class."""
    if name == "svm":
        return train_machine(frames, settings, n_threads=n_threads)
    joined = [np.concatenate(list(of)) for of in frames]
    return MixtureBackend(train_mixtures(joined, settings, n_threads=n_threads).mixtures)


def check_backend(name: str, settings: MixtureSettings) -> None:
    """Refuse a back end that there is not, or settings that it cannot follow.

    Raises
    ------
    InvalidInput
    """
    if choice(name, "backend", BACKENDS) == "svm" and settings.relevance is None:
        advice = "Give a relevance, or leave --alone out; classes are trained alone by the back end gmm."
        refuse("relevance", "be a number for the back end svm", "none", advice)

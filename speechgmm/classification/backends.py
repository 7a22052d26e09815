"""What tells classes apart: a mixture for each (`MixtureBackend`), a machine (`machine.SupervectorMachine`), or both.

All sum what the frames of a recording say, so that a long recording goes through in blocks, and all give scores and
evidence of recordings, which calibration and rejection take alike. Symbols: N frames, D dimensions, U recordings,
C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from speechgmm.checks import Array, choice, refuse
from speechgmm.classification.calibration import FileScores, file_sums, scores_of_sums
from speechgmm.classification.machine import SupervectorMachine, train_machine
from speechgmm.classification.mixtures import MixtureSettings, class_log_densities, train_mixtures
from speechgmm.mixture import GMM

BACKENDS = ("both", "gmm", "svm")
"""Their names: a mixture for each class, supervectors with a linear machine, and both together. Mixtures tell words
apart better, the machine sounds; together they do as well as the better one, or better than either."""


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


@dataclass(frozen=True, eq=False)
class BothBackends:
    """Mixtures and a machine; a score is a mean log density, and what the machine says times its `weight`.

    Training learns the weight from recordings that are held out. Without these a unit of the machine, which is the half
    of what lies between a class and the others, counts like a nat per frame.
    """

    mixtures: MixtureBackend
    machine: SupervectorMachine
    weight: float = 1.0

    def sums(self, x: Array, lengths: Array, *, n_threads: int | None = None) -> Array:
        """See `Backend`."""
        both = (self.mixtures, self.machine)
        return np.concatenate([b.sums(x, lengths, n_threads=n_threads) for b in both], axis=1)

    def file_scores(self, sums: Array, lengths: Array) -> FileScores:
        """See `Backend`."""
        ours, theirs = self.parts(sums, lengths)
        classes = ours.classes + self.weight * theirs.classes
        return FileScores(classes, np.concatenate([ours.evidence, theirs.evidence], axis=1))

    def parts(self, sums: Array, lengths: Array) -> tuple[FileScores, FileScores]:
        """Return what the mixtures say, and the machine."""
        own = len(self.mixtures.mixtures) + 2
        return self.mixtures.file_scores(sums[:, :own], lengths), self.machine.file_scores(sums[:, own:], lengths)


Trained = MixtureBackend | SupervectorMachine | BothBackends


def train_backend(
    name: str, frames: Sequence[Sequence[Array]], settings: MixtureSettings, *, n_threads: int | None = None
) -> Trained:
    """Train a back end of this name, one of `BACKENDS`, on the recordings (N, D) of each class."""
    if name == "svm":
        return train_machine(frames, settings, n_threads=n_threads)
    made = train_mixtures([np.concatenate(list(of)) for of in frames], settings, n_threads=n_threads)
    mixtures = MixtureBackend(made.mixtures)
    if name == "gmm":
        return mixtures
    return BothBackends(mixtures, train_machine(frames, settings, background=made.background, n_threads=n_threads))


def parts_of(backend: Trained, sums: Array, lengths: Array) -> tuple[FileScores, ...]:
    """Return what each part of a back end says of recordings."""
    return backend.parts(sums, lengths) if isinstance(backend, BothBackends) else (backend.file_scores(sums, lengths),)


def with_weights(backend: Trained, weights: Array) -> Trained:
    """Return a back end whose parts have these weights (J,), the first of which is 1."""
    return replace(backend, weight=float(weights[1])) if isinstance(backend, BothBackends) else backend


def check_backend(name: str | None, settings: MixtureSettings) -> str:
    """Return the name of a back end, or refuse one that there is not, or settings that it cannot follow.

    None is both, or mixtures where classes are trained alone.

    Raises
    ------
    InvalidInput
    """
    alone = settings.relevance is None
    if name is None:
        return "gmm" if alone else "both"
    if choice(name, "backend", BACKENDS) != "gmm" and alone:
        advice = "Give a relevance, or leave --alone out; classes are trained alone by the back end gmm."
        refuse("relevance", f"be a number for the back end {name}", "none", advice)
    return name

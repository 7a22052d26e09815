"""AudioClassifier: front end, one mixture a class, calibration and rejection as one frozen value, saved as one file.

Symbols: N frames, D dimensions, U sounds, C classes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm import storage
from speechgmm.checks import matrix, refuse
from speechgmm.classification.calibration import ClassCalibration, FileScores, Rejection, file_scores
from speechgmm.classification.mixtures import log_densities
from speechgmm.errors import IncompatibleModel, TooLittleSpeech
from speechgmm.features import MFCC, Extracted, FrontEnd, Sound, extract_all
from speechgmm.features.sounds import listed
from speechgmm.mixture import GMM, Diagonal
from speechgmm.parallel import Progress

Array = NDArray[Any]

__all__ = ["AudioClassifier", "Candidate", "Classified", "load_classifier"]


@dataclass(frozen=True)
class Candidate:
    """A class, its `posterior` (None without calibration), and its mean log density in nats a frame."""

    label: str
    posterior: float | None
    score: float


@dataclass(frozen=True)
class Classified:
    """The answer for one sound.

    Parameters
    ----------
    file : str
    status : str
        "accepted"; "unknown" if it was rejected; "ranked" if the classifier is not calibrated; "too_little_speech" or
        "error" if it could not be used.
    label : str or None
        None if it was rejected or could not be used.
    candidates : tuple of Candidate
        All classes, the likeliest first.
    seconds : float
        Of the frames that count.
    error : str or None
    """

    file: str
    status: str
    label: str | None
    candidates: tuple[Candidate, ...]
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, eq=False)
class AudioClassifier:
    """Everything that turns sound into labels; made by `train_classifier`.

    Parameters
    ----------
    frontend : FrontEnd
    labels : tuple of str
        The classes, sorted.
    mixtures : tuple of GMM
        One a class, of features of this front end.
    calibration : ClassCalibration or None
        None where no recording could be held out: then posteriors are not known.
    rejection : Rejection or None
        None where fewer than three classes were trained, or no recording could be held out.
    info : mapping
        How it was made.

    Raises
    ------
    IncompatibleModel
        If the parts do not fit.
    """

    frontend: FrontEnd
    labels: tuple[str, ...]
    mixtures: tuple[GMM, ...]
    calibration: ClassCalibration | None = None
    rejection: Rejection | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if len(self.labels) < 2 or list(self.labels) != sorted(set(self.labels)):
            refuse("labels", "be two or more, different and sorted", ", ".join(map(repr, self.labels))[:200])
        wanted = (len(self.labels), self.frontend.n_dimensions)
        dimensions = {m.n_dimensions for m in self.mixtures}
        if len(self.mixtures) != wanted[0] or dimensions != {wanted[1]}:
            rule = f"be {wanted[0]}, one a label, of {wanted[1]} features, as the front end gives"
            refuse("mixtures", rule, f"{len(self.mixtures)} of {dimensions}", error=IncompatibleModel)

    @property
    def fingerprint(self) -> str:
        """Names front end and mixtures."""
        return storage.fingerprint(self.frontend, self.labels, self.mixtures)

    def classify(
        self,
        sounds: Iterable[Sound],
        *,
        far: float | None = None,
        n_threads: int | None = None,
        on_progress: Progress | None = None,
    ) -> tuple[Classified, ...]:
        """Return an answer for each sound, in order; a bad one does not lose the others.

        Parameters
        ----------
        sounds : iterable of paths, signals or recordings
        far : float, optional
            Reject what belongs to no class, so that foreign sounds are taken for a class at this rate. None rejects
            nothing.
        n_threads, on_progress
            See `speechgmm.features.extract_all`.

        Raises
        ------
        InvalidInput
            If there are no sounds, or `far` is given and the classifier cannot reject.
        """
        least = None if far is None else self._rejecting().threshold(far)
        answer = functools.partial(self.answer, least=least)
        return tuple(extract_all(self.frontend, listed(sounds), answer, n_threads=n_threads, on_progress=on_progress))

    def answer(self, sound: Extracted, *, least: float | None = None) -> Classified:
        """Return the answer for features that are there already, or for the error in their place.

        Parameters
        ----------
        sound : Extracted
        least : float, optional
            What ``rejection.values`` must reach, see `Rejection.threshold`.
        """
        if sound.features is None:
            status = "too_little_speech" if isinstance(sound.error, TooLittleSpeech) else "error"
            return Classified(sound.name, status, None, (), error=str(sound.error))
        scores = self.scores(sound.features)
        posteriors: list[float | None] = [None] * len(self.labels)
        ranking = scores.classes[0]
        if self.calibration:
            ranking = self.calibration.log_posteriors(scores.classes)[0]
            posteriors = list(np.exp(ranking).tolist())
        candidates = tuple(
            Candidate(self.labels[i], posteriors[i], float(scores.classes[0, i]))
            for i in np.argsort(-ranking, kind="stable")
        )
        known = least is None or float(self._rejecting().values(scores.evidence)[0]) >= least
        status = "unknown" if not known else "accepted" if self.calibration else "ranked"
        seconds = len(sound.features) * self.frontend.hop_length
        return Classified(sound.name, status, candidates[0].label if known else None, candidates, seconds)

    def predict(self, sounds: Iterable[Sound], *, far: float | None = None) -> tuple[str | None, ...]:
        """Return the label of each sound, None for one that is rejected; the first bad sound is an error.

        Raises
        ------
        SpeechGMMError
            What the front end refuses.
        """
        return tuple(a.label for a in self._good(sounds, far))

    def predict_proba(self, sounds: Iterable[Sound]) -> Array:
        """Return the posteriors (U, C) of the classes in the order of `labels`, for equal priors.

        Raises
        ------
        InvalidInput
            If the classifier is not calibrated.
        SpeechGMMError
            What the front end refuses.
        """
        if self.calibration is None:
            refuse("a classifier", "be calibrated for posteriors", "one that is not", "Train it with more recordings.")
        rows = [{c.label: c.posterior for c in a.candidates} for a in self._good(sounds, None)]
        return np.array([[row[label] for label in self.labels] for row in rows])

    def scores(self, features: ArrayLike) -> FileScores:
        """Return the scores of the features (N, D) of one sound."""
        x = matrix(features, dimensions=self.frontend.n_dimensions)
        return file_scores(log_densities(self.mixtures, x, n_threads=1), np.array([len(x)]))

    def summary(self) -> dict[str, Any]:
        """Return settings, sizes and how it was made, in types that JSON holds."""
        return {
            "type": "AudioClassifier",
            "fingerprint": self.fingerprint,
            "labels": list(self.labels),
            "components": [m.n_components for m in self.mixtures],
            "calibrated": self.calibration is not None,
            "rejects": self.rejection is not None,
            "frontend": self.frontend.settings,
            "info": dict(self.info),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file; the same classifier gives the same bytes."""
        storage.save(self, path)

    def _rejecting(self) -> Rejection:
        if self.rejection is None:
            refuse("a classifier", "know three classes or more to reject foreign sounds", self._why())
        return self.rejection

    def _why(self) -> str:
        few = len(self.labels) < 3
        return f"{len(self.labels)} classes" if few else "one that held nothing out: too few sounds, or folds=0"

    def _good(self, sounds: Iterable[Sound], far: float | None) -> tuple[Classified, ...]:
        least = None if far is None else self._rejecting().threshold(far)

        def answer(sound: Extracted) -> Classified:
            if sound.error:
                raise sound.error
            return self.answer(sound, least=least)

        return tuple(extract_all(self.frontend, listed(sounds), answer))


def load_classifier(path: str | os.PathLike[str]) -> AudioClassifier:
    """Read what `AudioClassifier.save` wrote.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, or no speechgmm file.
    IncompatibleModel
        If it holds something else, or was written by a later version.
    """
    types = (AudioClassifier, MFCC, GMM, Diagonal, ClassCalibration, Rejection)
    classifier: AudioClassifier = storage.load(path, *types)
    return classifier

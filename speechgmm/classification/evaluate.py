"""How often an AudioClassifier is right: on labeled sounds, or by cross-validation over given folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechgmm.checks import refuse
from speechgmm.classification.classifier import AudioClassifier, Classified
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.classification.train import SETTINGS, extract_labeled, train_on_features
from speechgmm.errors import Skipped
from speechgmm.evaluation import ConfusionMatrix, Interval, accuracy, confusion_matrix
from speechgmm.features import Extracted, FrontEnd, Recording, Sound
from speechgmm.features.sounds import listed
from speechgmm.parallel import Progress

__all__ = ["UNKNOWN", "Classification", "cross_validate", "evaluate_classifier"]

UNKNOWN = "(unknown)"
"""What a rejected sound was taken for."""


@dataclass(frozen=True)
class Classification:
    """What was decided of sounds whose labels are known.

    Parameters
    ----------
    labels : tuple of str
        All classes.
    names, truth, decisions, groups : tuple of str
        One a sound that could be used; "(unknown)" is the decision for one that was rejected.
    posteriors : tuple of float
        Of the true class; NaN without calibration.
    skipped : tuple of Skipped
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    truth: tuple[str, ...]
    decisions: tuple[str, ...]
    groups: tuple[str, ...]
    posteriors: tuple[float, ...]
    skipped: tuple[Skipped, ...]

    @property
    def confusion(self) -> ConfusionMatrix:
        """Which class was taken for which."""
        labels = self.labels + ((UNKNOWN,) if UNKNOWN in self.decisions else ())
        return confusion_matrix(self.truth, self.decisions, labels=labels)

    @property
    def accuracy(self) -> Interval:
        """The share that is right, with a 95 % interval: over groups where several are known, else Wilson's."""
        return accuracy(np.array(self.truth) == np.array(self.decisions), self.groups)

    @property
    def cross_entropy(self) -> float:
        """The mean of -log2 posterior of the true class, in bits; 0 is perfect, log2(C) is a guess."""
        return float(-np.mean(np.log2(np.maximum(self.posteriors, 1e-300))))

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers in types that JSON holds."""
        confusion, found = self.confusion, self.accuracy
        return {
            "files": len(self.truth),
            "accuracy": found.estimate,
            "interval": [found.low, found.high],
            "interval_level": found.level,
            "groups": len(set(self.groups)) if len(set(self.groups)) > 1 else None,
            "balanced_accuracy": confusion.balanced_accuracy,
            "cross_entropy_bits": self.cross_entropy,
            "labels": list(confusion.labels),
            "confusion": confusion.counts.tolist(),
        }


def evaluate_classifier(
    classifier: AudioClassifier,
    sounds: Iterable[Sound],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    far: float | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Classification:
    """Classify labeled sounds and compare; a bad one is left out and reported.

    Parameters
    ----------
    classifier : AudioClassifier
    sounds : iterable of paths, signals or recordings
    labels : sequence of str
        One a sound.
    groups : sequence of str, optional
        Speakers or sources, one a sound: the interval is then one over them.
    far, n_threads, on_progress
        See `AudioClassifier.classify` and `train_classifier`.

    Raises
    ------
    InvalidInput
        If a label is none of the classifier's, no sound can be used, or an argument does not fit.
    """
    every, labels = listed(sounds), list(labels)
    groups = [""] * len(every) if groups is None else list(groups)
    for what, column in (("labels", labels), ("groups", groups)):
        if len(column) != len(every):
            refuse(what, f"be {len(every)}, one a sound", len(column))
    if strange := sorted(set(labels) - set(classifier.labels)):
        known = ", ".join(classifier.labels[:20])
        refuse("labels", f"be among those of the classifier: {known}", repr(strange[0]), "Choose rows with --where.")

    answers = classifier.classify(every, far=far, n_threads=n_threads, on_progress=on_progress)
    return _compared(classifier.labels, answers, labels, groups)


def cross_validate(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    folds: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    frontend: FrontEnd | str = "speech",
    settings: MixtureSettings = SETTINGS,
    calibration_folds: int = 5,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Classification:
    """Hold each fold out in turn: train on the others, calibration included, and classify it.

    Parameters
    ----------
    sounds, labels, groups, frontend, settings, n_threads, on_progress
        See `train_classifier`.
    folds : sequence of str
        The fold of each sound.
    calibration_folds : int
        Parts of each training that are held out for its calibration; 0 decides by likelihood alone, for less work.

    Raises
    ------
    InvalidInput
        If there are fewer than two folds, a class occurs in one fold alone, or an argument does not fit.
    """
    every = listed(sounds)
    of = dict(enumerate(folds))
    if len(of) != len(every) or len(set(folds)) < 2:
        rule = f"be {len(every)}, one a sound, and two or more different ones"
        refuse("folds", rule, f"{len(of)}, {len(set(folds))} different")
    for label in sorted(set(labels)):
        if len({f for f, name in zip(folds, labels, strict=True) if name == label}) < 2:
            refuse("every class", "occur in at least two folds", f"{label!r} in one", "It could not be trained.")
    data = extract_labeled(
        every, labels, groups=groups, frontend=frontend, n_threads=n_threads, on_progress=on_progress
    )
    part = np.array([of[i] for i in data.kept])
    answers: dict[int, Classified] = {}
    names = sorted(set(part.tolist()))
    for done, fold in enumerate(names, 1):
        training = data.take(np.flatnonzero(part != fold))
        made = train_on_features(
            training, settings=settings, folds=calibration_folds, rejects=False, n_threads=n_threads
        )
        for i in np.flatnonzero(part == fold).tolist():
            answers[i] = made.classifier.answer(Extracted(Recording("", "", data.names[i]), data.frames[i], "", 0.0))
        if on_progress:
            on_progress("folds", done, len(names))
    found = _compared(tuple(sorted(set(labels))), [answers[i] for i in sorted(answers)], data.labels, data.groups)
    return Classification(**(vars(found) | {"skipped": data.skipped}))


def _compared(
    labels: tuple[str, ...], answers: Sequence[Classified], truth: Sequence[str], groups: Sequence[str]
) -> Classification:
    used = [i for i, a in enumerate(answers) if a.candidates]
    skipped = tuple(Skipped(a.file, a.error) for a in answers if a.error)
    if not used:
        refuse("sounds", "be at least one that can be used", f"none of {len(answers)}; the first: {skipped[0].reason}")
    nan = float("nan")
    posteriors = [next((c.posterior for c in answers[i].candidates if c.label == truth[i]), None) for i in used]
    return Classification(
        labels,
        tuple(answers[i].file for i in used),
        tuple(truth[i] for i in used),
        tuple(answers[i].label or UNKNOWN for i in used),
        tuple(groups[i] for i in used),
        tuple(nan if p is None else p for p in posteriors),
        skipped,
    )

"""An AudioClassifier from labeled sounds: mixtures on all of them, calibration and rejection on held-out ones.

Symbols: N frames, D dimensions, U sounds, C classes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm import __version__
from speechgmm.checks import integer, refuse
from speechgmm.classification.calibration import fit_class_calibration, fit_rejection
from speechgmm.classification.classifier import AudioClassifier
from speechgmm.classification.held_out import assign_folds, held_out_scores, left_out_evidence
from speechgmm.classification.mixtures import MixtureSettings, train_mixtures
from speechgmm.errors import Skipped
from speechgmm.features import FrontEnd, Sound, extract_all, preset_for
from speechgmm.features.sounds import listed
from speechgmm.parallel import Progress

Array = NDArray[Any]

__all__ = ["SETTINGS", "ClassifierTraining", "Labeled", "extract_labeled", "train_classifier", "train_on_features"]

SETTINGS = MixtureSettings(n_components=64, relevance=4.0, max_iterations=2)
"""64 to 128 components adapted in two steps from a background of all classes measured best on spoken words."""


@dataclass(frozen=True)
class ClassifierTraining:
    """A trained `classifier`, the sounds that were left out with the reason for each, and what to doubt of it."""

    classifier: AudioClassifier
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Labeled:
    """The features (N, D) of the sounds that could be used, what is known of each, and what was left out.

    `kept` holds their places in the list that was given.
    """

    frontend: FrontEnd
    kept: tuple[int, ...]
    frames: tuple[Array, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    def take(self, chosen: Array) -> Labeled:
        """Return the sounds with these indices."""
        i = chosen.tolist()
        return replace(
            self,
            kept=tuple(self.kept[j] for j in i),
            frames=tuple(self.frames[j] for j in i),
            names=tuple(self.names[j] for j in i),
            labels=tuple(self.labels[j] for j in i),
            groups=tuple(self.groups[j] for j in i),
        )


def train_classifier(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    frontend: FrontEnd | str = "speech",
    settings: MixtureSettings = SETTINGS,
    folds: int = 5,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> ClassifierTraining:
    """Train a classifier on labeled sounds; a bad one is left out and reported.

    Parameters
    ----------
    sounds : iterable of paths, signals or recordings
    labels : sequence of str
        One a sound.
    groups : sequence of str, optional
        Speakers, sessions or sources, one a sound: no group is held out in part. Without them posteriors suppose that
        voices and places to come are those of the training.
    frontend : FrontEnd or str
        Or a preset at the lowest rate of the sounds, from 8 kHz up: slower ones are left out.
    settings : MixtureSettings
    folds : int
        How many parts are held out in turn for calibration and rejection, two or more, each at the price of two more
        trainings; 0 makes neither.
    n_threads : int, optional
        Default: all cores. Results do not depend on it.
    on_progress : callable, optional
        Called with a stage, how much of it is done, and how much there is.

    Raises
    ------
    InvalidInput
        If there are fewer than two classes, a class without a usable sound, or an argument that does not fit.
    """
    data = extract_labeled(
        sounds, labels, groups=groups, frontend=frontend, n_threads=n_threads, on_progress=on_progress
    )
    return train_on_features(data, settings=settings, folds=folds, n_threads=n_threads, on_progress=on_progress)


def extract_labeled(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    frontend: FrontEnd | str = "speech",
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Labeled:
    """Return the features of labeled sounds; arguments as for `train_classifier`."""
    every, labels = listed(sounds), list(labels)  # a pandas column counts by its index, not by place
    names, kept, skipped = [], [], []
    reasons: dict[str, str] = {}
    groups = [""] * len(every) if groups is None else list(groups)
    for what, column in (("labels", labels), ("groups", groups)):
        if len(column) != len(every) or not all(isinstance(value, str) for value in column):
            refuse(what, f"be {len(every)} texts, one a sound", f"{len(column)}: {column[:3]}")
    front = preset_for(every, frontend) if isinstance(frontend, str) else frontend

    frames = []
    for i, f in enumerate(extract_all(front, every, stage="features", n_threads=n_threads, on_progress=on_progress)):
        if f.features is None:
            skipped.append(Skipped(f.name, str(f.error)))
            reasons.setdefault(labels[i], skipped[-1].reason)
            continue
        kept.append(i)
        names.append(f.name)
        frames.append(f.features)
    if lost := sorted(set(reasons) - {labels[i] for i in kept}):
        found = f"none for {lost[0]!r}; the first left out: {reasons[lost[0]]}"
        refuse("every class", "have at least one usable sound", found)
    known = (tuple(names), tuple(labels[i] for i in kept), tuple(groups[i] for i in kept))
    return Labeled(front, tuple(kept), tuple(frames), *known, tuple(skipped))


def train_on_features(
    data: Labeled,
    *,
    settings: MixtureSettings = SETTINGS,
    folds: int = 5,
    rejects: bool = True,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> ClassifierTraining:
    """Train a classifier on features; arguments as for `train_classifier`.

    Without `rejects` the half of the work that rejection takes is left out, and the classifier knows none.
    """
    if integer(folds, "folds", minimum=0) == 1:
        refuse("folds", "be two or more, or 0 for none", 1, "With one part held out, none is left to train on.")
    classes, codes = np.unique(np.array(data.labels), return_inverse=True)
    if len(classes) < 2:
        refuse("labels", "name at least two classes", f"only {str(classes[0])!r}", "One class alone is never confused.")
    mixtures = train_mixtures(
        [np.concatenate([data.frames[i] for i in np.flatnonzero(codes == c)]) for c in range(len(classes))],
        settings,
        n_threads=n_threads,
    ).mixtures
    calibration = rejection = None
    fold = assign_folds(data.names, codes, data.groups, folds)
    if (fold >= 0).any() and len(np.unique(codes[fold >= 0])) > 1:
        scores, held = held_out_scores(data.frames, codes, fold, settings, n_threads=n_threads, on_progress=on_progress)
        calibration = fit_class_calibration(scores, codes[held])
        if rejects and (
            found := left_out_evidence(data.frames, codes, fold, settings, n_threads=n_threads, on_progress=on_progress)
        ):
            rejection = fit_rejection(*found)
    labels = tuple(str(c) for c in classes)
    info = _info(data, labels, settings, folds)
    classifier = AudioClassifier(data.frontend, labels, mixtures, calibration, rejection, info)
    return ClassifierTraining(classifier, data.skipped, _doubts(data, classifier, settings, folds))


def _info(data: Labeled, labels: tuple[str, ...], settings: MixtureSettings, folds: int) -> dict[str, Any]:
    libraries = ("librosa", "numba", "numpy", "scikit-learn", "scipy")
    return {
        "versions": {"speechgmm": __version__, "python": platform.python_version()}
        | {name: version(name) for name in libraries},
        "settings": asdict(settings),
        "folds": folds,
        "data": {
            "sounds": {label: data.labels.count(label) for label in labels},
            "groups": len(set(data.groups) - {""}),
            "seconds": round(sum(map(len, data.frames)) * data.frontend.hop_length, 3),
            "skipped": len(data.skipped),
        },
    }


def _doubts(data: Labeled, made: AudioClassifier, settings: MixtureSettings, folds: int) -> tuple[str, ...]:
    doubts = []
    least, label = min((data.labels.count(label), label) for label in made.labels)
    if least < 5:
        doubts.append(f"{least} sound(s) of {label!r} are few: give ten or more of each class")
    if folds and made.calibration is None:
        doubts.append("fewer than two classes have two sounds or groups to hold out in turn: posteriors are not known")
    small = [(m.n_components, n) for m, n in zip(made.mixtures, made.labels, strict=True)]
    if min(small)[0] < settings.n_components and settings.relevance is None:
        doubts.append(f"{min(small)[1]!r} has too few frames for {settings.n_components} components: {min(small)[0]}")
    return tuple(doubts)

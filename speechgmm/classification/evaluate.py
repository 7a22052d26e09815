"""How often an AudioClassifier is right: on labeled sounds, or by cross-validation over given folds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from speechgmm.checks import number_of, refuse
from speechgmm.classification.backends import check_backend
from speechgmm.classification.classifier import AudioClassifier, label_of
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.classification.train import SETTINGS, LabeledSound, extract_labeled, text_columns, train_on_features
from speechgmm.errors import Skipped
from speechgmm.evaluation import Answer, ConfusionMatrix, Interval, Rule, accuracy, confusion_matrix
from speechgmm.features import FrontEnd, Sound
from speechgmm.features.sounds import listed
from speechgmm.looks import Look, Shown, share
from speechgmm.parallel import Progress, counted

UNKNOWN = "(unknown)"
"""What a rejected sound was taken for."""


@dataclass(frozen=True)
class Classification(Shown):
    """What was decided of U sounds whose labels are known.

    Parameters
    ----------
    labels : tuple of str
        All classes.
    answers : tuple of Answer
        One for each sound that could be used.
    truth, groups : tuple of str
        What each is, and where it comes from.
    skipped : tuple of Skipped
    """

    labels: tuple[str, ...]
    answers: tuple[Answer, ...]
    truth: tuple[str, ...]
    groups: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    def _look(self) -> Look:
        found, confusion = self.accuracy, self.confusion
        words = (
            number_of(len(self.truth), "sound"),
            number_of(len(self.labels), "label"),
            f"{share(found.estimate)} right",
        )
        told = f"{share(found.estimate)}, {100 * found.level:g} % within {share(found.low)} and {share(found.high)}"
        facts: dict[str, object] = {"right": told} | ({"left out": len(self.skipped)} if self.skipped else {})
        return Look(words, facts, confusion._look().tables)

    @property
    def names(self) -> tuple[str, ...]:
        """What each sound is called."""
        return tuple(a.name for a in self.answers)

    @property
    def decisions(self) -> tuple[str, ...]:
        """What each was taken for; "(unknown)" where it was rejected."""
        return tuple(label_of(a) or UNKNOWN for a in self.answers)

    @property
    def posteriors(self) -> tuple[float, ...]:
        """The posterior of the true class; NaN without calibration."""
        known = [{c.name: c.posterior for c in a.candidates if c.posterior is not None} for a in self.answers]
        return tuple(p.get(label, float("nan")) for p, label in zip(known, self.truth, strict=True))

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
    rule: Rule | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Classification:
    """Classify labeled sounds and compare; a bad one is left out and reported.

    Parameters
    ----------
    classifier : AudioClassifier
    sounds : iterable of paths, signals or recordings
    labels : sequence of str
        One for each sound.
    groups : sequence of str, optional
        Speakers or sources, one for each sound: the interval is then one over them.
    rule, n_threads, on_progress
        See `AudioClassifier.classify` and `train_classifier`.

    Raises
    ------
    InvalidInput
        If a label is none of the classifier's, no sound can be used, or an argument does not fit.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from speechgmm.classification import AudioClassifier
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> low, high = (GMM([1.0], [[mean]], Diagonal([[1.0]])) for mean in (-3.0, 3.0))
    >>> classifier = AudioClassifier(OwnFeatures(dimensions=1), ("high", "low"), (high, low))
    >>> folder = tempfile.TemporaryDirectory()
    >>> files = [f"{folder.name}/{i}.npy" for i in range(3)]
    >>> for file, value in zip(files, (2.0, 4.0, -2.0), strict=True):
    ...     np.save(file, np.full((50, 1), value))
    >>> evaluate_classifier(classifier, files, ["high", "high", "low"]).confusion.counts.tolist()
    [[2, 0], [0, 1]]
    >>> folder.cleanup()
    """
    every = listed(sounds)
    truth, sources = text_columns(len(every), labels=labels, groups=groups)
    if strange := sorted(set(truth) - set(classifier.labels)):
        known = ", ".join(classifier.labels[:20])
        refuse("labels", f"be among those of the classifier: {known}", repr(strange[0]), "Choose rows with --where.")
    answers = classifier.classify(every, rule=rule, n_threads=n_threads, on_progress=on_progress)
    skipped = tuple(Skipped(a.name, a.error) for a in answers if a.error)
    if len(skipped) == len(every):
        refuse("sounds", "be at least one that can be used", f"none of {len(every)}; the first: {skipped[0].reason}")
    told = [row for row in zip(answers, truth, sources, strict=True) if not row[0].error]
    usable, truths, origins = zip(*told, strict=True)
    return Classification(classifier.labels, usable, truths, origins, skipped)


def cross_validate(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    folds: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    frontend: FrontEnd | str | None = None,
    settings: MixtureSettings = SETTINGS,
    backend: str | None = None,
    calibration_folds: int = 5,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Classification:
    """Hold each fold out in turn: train on the others, calibration included, and classify it.

    Parameters
    ----------
    sounds, labels
        See `train_classifier`.
    folds : sequence of str
        The fold of each sound.
    groups, frontend, settings, backend
        See `train_classifier`.
    calibration_folds : int
        Parts of each training that are held out for its calibration; 0 decides by scores alone, for less work.
    n_threads, on_progress
        See `train_classifier`.

    Raises
    ------
    InvalidInput
        If there are fewer than two folds, a class occurs in one fold alone, or an argument does not fit.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from speechgmm.classification import MixtureSettings
    >>> folder = tempfile.TemporaryDirectory()
    >>> files, labels = [f"{folder.name}/{i}.npy" for i in range(8)], ["low", "high"] * 4
    >>> rng = np.random.default_rng(0)
    >>> for file, label in zip(files, labels, strict=True):
    ...     np.save(file, rng.normal(5.0 if label == "high" else -5.0, 1.0, (50, 1)))
    >>> settings = MixtureSettings(n_components=1)
    >>> found = cross_validate(files, labels, ["a"] * 4 + ["b"] * 4, settings=settings, backend="gmm")
    >>> found.accuracy.estimate
    1.0
    >>> folder.cleanup()
    """
    check_backend(backend, settings)
    every = listed(sounds)
    classes, parts = text_columns(len(every), labels=labels, folds=folds)
    if len(set(parts)) < 2:
        refuse("folds", "be two or more different ones", f"{parts[0]!r} alone")
    for label in sorted(set(classes)):
        if len({part for part, of in zip(parts, classes, strict=True) if of == label}) < 2:
            refuse("every class", "occur in at least two folds", f"{label!r} in one", "It could not be trained.")
    data = extract_labeled(
        every, classes, groups=groups, folds=parts, frontend=frontend, n_threads=n_threads, on_progress=on_progress
    )
    answers: dict[LabeledSound, Answer] = {}
    names = sorted({s.fold for s in data.sounds})
    for fold in counted(names, "folds", len(names), on_progress):
        rest = replace(data, sounds=tuple(s for s in data.sounds if s.fold != fold))
        made = train_on_features(
            rest, settings=settings, backend=backend, folds=calibration_folds, rejects=False, n_threads=n_threads
        )
        normalized = made.classifier.frontend.normalized
        answers |= {s: made.classifier.answer(s.name, normalized(s.features)) for s in data.sounds if s.fold == fold}
    told, truth, sources = zip(*((answers[s], s.label, s.group) for s in data.sounds), strict=True)
    return Classification(tuple(sorted(set(classes))), told, truth, sources, data.skipped)

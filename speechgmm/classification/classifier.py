"""AudioClassifier: front end, what tells classes apart, calibration and rejection as one value, saved as one file.

Symbols: N frames, D dimensions, U sounds, C classes.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import storage
from speechgmm.checks import (
    FAR,
    Array,
    enumerated,
    floats,
    hold,
    instance,
    matrix,
    name,
    number,
    number_of,
    refuse,
    sequence_of,
)
from speechgmm.classification.backends import BothBackends, MixtureBackend, Trained
from speechgmm.classification.calibration import ClassCalibration, FileScores, Rejection
from speechgmm.classification.machine import SupervectorMachine
from speechgmm.errors import IncompatibleModel
from speechgmm.evaluation import Answer, Answers, Rule, decide
from speechgmm.features import MFCC, Extracted, FrontEnd, OwnFeatures, Sound, extract_all
from speechgmm.features.sounds import listed
from speechgmm.features.spool import in_blocks
from speechgmm.looks import MOST_ROWS, Look, Shown
from speechgmm.mixture import GMM, Diagonal
from speechgmm.parallel import Progress, total


@dataclass(frozen=True, eq=False)
class AudioClassifier(Shown):
    """Everything that turns sound into labels; made by `train_classifier`.

    Parameters
    ----------
    frontend : FrontEnd
    labels : tuple of str
        The classes, sorted.
    mixtures : tuple of GMM
        One for each class, of features of this front end; none where a machine alone tells the classes apart.
    calibration : ClassCalibration or None
        None where no recording could be held out: then posteriors are not known.
    rejection : Rejection or None
        None where fewer than three classes were trained, or no recording could be held out.
    info : mapping
        How it was made.
    machine : SupervectorMachine, optional
        What tells the classes apart beside the mixtures, or alone.
    weight : float
        What a unit of the machine counts beside a nat per frame of the mixtures, where there are both.

    Raises
    ------
    IncompatibleModel
        If the parts do not fit.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> low, high = (GMM([1.0], [[mean]], Diagonal([[1.0]])) for mean in (-3.0, 3.0))
    >>> classifier = AudioClassifier(OwnFeatures(dimensions=1), ("high", "low"), (high, low))
    >>> answer = classifier.answer("a sound", [[2.0], [4.0]])
    >>> answer.status, [c.name for c in answer.candidates]
    ('ranked', ['high', 'low'])
    """

    KIND: ClassVar = "a classifier"
    LATER_FIELDS: ClassVar = {"machine": None}

    frontend: FrontEnd
    labels: tuple[str, ...]
    mixtures: tuple[GMM, ...]
    calibration: ClassCalibration | None = None
    rejection: Rejection | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    machine: SupervectorMachine | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        instance(self.frontend, "the front end", FrontEnd)
        instance(self.info, "info", Mapping)
        sequence_of(self.labels, "labels", str)
        sequence_of(self.mixtures, "mixtures", GMM)
        labels = tuple(name(label, "a label") for label in self.labels)
        if len(set(labels)) < 2 or list(self.labels) != sorted(self.labels) or len(set(labels)) < len(labels):
            refuse("labels", "be two or more, different and sorted", ", ".join(map(repr, self.labels))[:200])
        n = len(self.labels)
        if self.mixtures or self.machine is None:
            self._check_mixtures()
        if self.machine is not None:
            self._check_machine(self.machine)
        weight = number(self.weight, "the weight of the machine", minimum=0.0, maximum=FAR)
        if self.calibration is not None:
            instance(self.calibration, "the calibration", ClassCalibration)
            floats(self.calibration.offsets, "the offsets of the calibration", shape=(n,))
        if self.rejection is not None:
            instance(self.rejection, "the rejection", Rejection)
            shape = (3 * (bool(self.mixtures) + (self.machine is not None)),)
            floats(self.rejection.weights, "the weights of evidence", shape=shape)
        hold(self, labels=labels, mixtures=tuple(self.mixtures), weight=weight)

    def _look(self) -> Look:
        parts = ["mixtures"] if self.mixtures else []
        parts += ["a linear machine"] if self.machine is not None else []
        words = [number_of(len(self.labels), "label"), " and ".join(parts), type(self.frontend).__name__]
        words += [*([] if self.calibration else ["not calibrated"]), *([] if self.rejection else ["rejects nothing"])]
        facts = {
            "labels": enumerated(self.labels[:MOST_ROWS]) + (" ..." if len(self.labels) > MOST_ROWS else ""),
            "back end": " and ".join(parts),
            "components": enumerated(sorted({str(m.n_components) for m in self.mixtures}, key=int) or ["none"]),
            "front end": repr(self.frontend),
            "calibrated": "yes" if self.calibration else "no: posteriors are not known",
            "rejects": "yes" if self.rejection else "no: too few classes or sounds",
        }
        return Look(tuple(words), facts)

    def _check_mixtures(self) -> None:
        """Check that there is one for each label, of features of the front end."""
        n, d = len(self.labels), self.frontend.n_dimensions
        dimensions = {m.n_dimensions for m in self.mixtures}
        if len(self.mixtures) != n or dimensions != {d}:
            rule = f"be {n}, one for each label, of {d} features, as the front end gives"
            found = f"{len(self.mixtures)} of {' and '.join(map(str, sorted(dimensions)))}"
            refuse("mixtures", rule, found, error=IncompatibleModel)
        for label, mixture in zip(self.labels, self.mixtures, strict=True):
            mixture.check_reach(f"the mixture of {label}")

    def _check_machine(self, machine: SupervectorMachine) -> None:
        """Check that it tells the labels apart, by features of the front end."""
        instance(machine, "the machine", SupervectorMachine)
        n, d = len(self.labels), self.frontend.n_dimensions
        found = len(machine.offsets), machine.background.n_dimensions
        if found != (n, d):
            rule = f"be of {n} classes, as there are labels, and of {d} features, as the front end gives"
            refuse("the machine", rule, f"{found[0]} classes and {found[1]} features", error=IncompatibleModel)

    @classmethod
    def of(
        cls,
        frontend: FrontEnd,
        labels: tuple[str, ...],
        backend: Trained,
        calibration: ClassCalibration | None = None,
        rejection: Rejection | None = None,
        info: Mapping[str, Any] = MappingProxyType({}),
    ) -> "AudioClassifier":
        """Return the classifier with this back end."""
        parts: dict[str, Any]
        if isinstance(backend, BothBackends):
            parts = {"mixtures": backend.mixtures.mixtures, "machine": backend.machine, "weight": backend.weight}
        elif isinstance(backend, MixtureBackend):
            parts = {"mixtures": backend.mixtures}
        else:
            parts = {"mixtures": (), "machine": backend}
        return cls(frontend, labels, calibration=calibration, rejection=rejection, info=info, **parts)

    @property
    def backend(self) -> Trained:
        """What tells the classes apart: mixtures, the machine, or both."""
        if self.machine is None:
            return MixtureBackend(self.mixtures)
        if not self.mixtures:
            return self.machine
        return BothBackends(MixtureBackend(self.mixtures), self.machine, self.weight)

    @property
    def fingerprint(self) -> str:
        """Names front end and back end."""
        both = (self.mixtures, self.machine, self.weight) if self.mixtures and self.machine else None
        return storage.fingerprint(self.frontend, self.labels, both or self.machine or self.mixtures)

    def classify(
        self,
        sounds: Iterable[Sound],
        *,
        rule: Rule | None = None,
        n_threads: int | None = None,
        on_progress: Progress | None = None,
    ) -> Answers:
        """Return an answer for each sound, in order; a bad one does not lose the others.

        Parameters
        ----------
        sounds : iterable of paths, signals or recordings
        rule : Rule, optional
            ``Rule(far=0.05)`` rejects what belongs to no class: of foreign sounds about 5 % are taken for a class, as
            far as they are like the classes that training left out in turn. One kind of foreign sound may be let in
            several times as often, another never (`recipes/classify_digits`).
            None accepts the best class whatever it is.
        n_threads, on_progress
            See `speechgmm.features.extract_all`.

        Returns
        -------
        Answers
            The score of a candidate is its mean log density, in nats per frame; or what the machine says, 1 for a class
            and -1 for the others, as far as training went; or their weighted sum. The status is "accepted"; "unknown"
            if it was rejected; "ranked" if the classifier is not calibrated; "too_little_speech" or "error" if it
            could not be used.

        Raises
        ------
        InvalidInput
            If there are no sounds, or the rule asks for what the classifier does not know.
        """
        self._check(rule)

        def answer(sound: Extracted) -> Answer:
            if sound.error:
                return Answer.failed(sound.name, sound.error, rule)
            return self.answer(sound.name, sound.usable(), rule=rule)

        return Answers(extract_all(self.frontend, listed(sounds), answer, n_threads=n_threads, on_progress=on_progress))

    def answer(self, name: str, features: ArrayLike, *, rule: Rule | None = None) -> Answer:
        """Return the answer for the features (N, D) of one sound; `name` is what the answer calls it.

        Raises
        ------
        InvalidInput
            If the features do not fit, or the rule asks for what the classifier does not know.
        """
        rejection = self._check(rule)
        found = self.scores(features)
        ranking = self.calibration.log_posteriors(found.classes)[0] if self.calibration else found.classes[0]
        return decide(
            name,
            self.labels,
            found.classes[0],
            rule,
            rejection.strangers if rejection else None,
            speech_seconds=self.frontend.seconds(np.asarray(features)),
            posteriors=np.exp(ranking) if self.calibration else None,
            ranking=ranking,
            evidence=float(rejection.values(found.evidence)[0]) if rejection else None,
        )

    def predict(self, sounds: Iterable[Sound], *, rule: Rule | None = None) -> tuple[str | None, ...]:
        """Return the label of each sound, None for one that is rejected; the first bad sound is an error.

        Raises
        ------
        SpeechGMMError
            What the front end refuses.
        """
        self._check(rule)

        def label(sound: Extracted) -> str | None:
            return label_of(self.answer(sound.name, sound.usable(), rule=rule))

        return tuple(extract_all(self.frontend, listed(sounds), label))

    def predict_proba(self, sounds: Iterable[Sound]) -> Array:
        """Return the posteriors (U, C) of the classes in the order of `labels`, for equal priors.

        Raises
        ------
        InvalidInput
            If the classifier is not calibrated.
        SpeechGMMError
            What the front end refuses.
        """
        calibration = self.calibration
        if calibration is None:
            refuse("a classifier", "be calibrated for posteriors", "one that is not", "Train it with more recordings.")

        def posteriors(sound: Extracted) -> Array:
            return np.exp(calibration.log_posteriors(self.scores(sound.usable()).classes)[0])

        return np.array(list(extract_all(self.frontend, listed(sounds), posteriors)))

    def scores(self, features: ArrayLike) -> FileScores:
        """Return the scores of the features (N, D) of one sound."""
        d = self.frontend.n_dimensions
        backend = self.backend
        rows = features if isinstance(features, np.memmap) else matrix(features, dimensions=d)

        def sums(block: Array) -> Array:
            return backend.sums(matrix(block, dimensions=d), np.array([len(block)]), n_threads=1)

        return backend.file_scores(total(map(sums, in_blocks(rows))), np.array([len(rows)]))

    def summary(self) -> dict[str, Any]:
        """Return settings, sizes and how it was made, in types that JSON holds."""
        mixtures = self.mixtures or ((self.machine.background,) if self.machine else ())
        names = {MixtureBackend: "gmm", SupervectorMachine: "svm", BothBackends: "both"}
        return {
            "type": "AudioClassifier",
            "fingerprint": self.fingerprint,
            "labels": list(self.labels),
            "backend": names[type(self.backend)],
            "components": [m.n_components for m in mixtures],
            "calibrated": self.calibration is not None,
            "rejects": self.rejection is not None,
            "frontend": self.frontend.settings,
            "info": dict(self.info),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file; the same classifier gives the same bytes."""
        storage.save(self, path)

    def _check(self, rule: Rule | None) -> Rejection | None:
        """Return what a rule asks for."""
        if rule is None:
            return None
        if rule.asked_far is None:
            refuse("the rule of a classifier", "be a rate of foreign sounds", repr(rule), "Give it as Rule(far=0.05).")
        if self.rejection is None:
            few = len(self.labels) < 3
            found = f"{len(self.labels)} classes" if few else "one that held nothing out: too few sounds, or folds=0"
            refuse("a classifier", "know three classes or more to reject foreign sounds", found)
        return self.rejection


def label_of(answer: Answer) -> str | None:
    """Return the class that was accepted, or the likeliest where nothing is decided for want of a calibration.

    Examples
    --------
    >>> from speechgmm.evaluation import Answer, Candidate
    >>> label_of(Answer("a.wav", "accepted", decision="dog", candidates=(Candidate("dog", -1.0),)))
    'dog'
    >>> label_of(Answer("b.wav", "unknown", candidates=(Candidate("dog", -9.0),))) is None
    True
    """
    return answer.candidates[0].name if answer.status == "ranked" else answer.decision


def load_classifier(path: str | os.PathLike[str], *types: type) -> AudioClassifier:
    """Read what `AudioClassifier.save` wrote; `types` are front ends of your own that it may hold.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, or no speechgmm file.
    IncompatibleModel
        If it holds something else, or was written by a later version.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.classification import AudioClassifier
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> low, high = (GMM([1.0], [[mean]], Diagonal([[1.0]])) for mean in (-3.0, 3.0))
    >>> folder = tempfile.TemporaryDirectory()
    >>> classifier = AudioClassifier(OwnFeatures(dimensions=1), ("high", "low"), (high, low))
    >>> classifier.save(f"{folder.name}/levels.sgmm")
    >>> load_classifier(f"{folder.name}/levels.sgmm").labels
    ('high', 'low')
    >>> folder.cleanup()
    """
    known = (AudioClassifier, MFCC, OwnFeatures, GMM, Diagonal, ClassCalibration, Rejection, SupervectorMachine)
    return storage.load(path, *known, *types)

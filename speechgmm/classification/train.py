"""An AudioClassifier from labeled sounds: mixtures on all of them, calibration and rejection on those held out.

Sounds are held out in rounds: parts of all sounds in turn, and then whole classes in turn, which stand for what is
foreign. Symbols: N frames, D dimensions, U sounds, C classes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speechgmm.checks import Array, integer, refuse, visible
from speechgmm.classification.backends import Trained, check_backend, parts_of, train_backend, with_weights
from speechgmm.classification.calibration import FileScores, fit_class_calibration, fit_rejection
from speechgmm.classification.classifier import AudioClassifier
from speechgmm.classification.mixtures import MixtureSettings
from speechgmm.errors import Skipped
from speechgmm.features import FrontEnd, Sound, extract_all, own_frontend, preset_for
from speechgmm.features.sounds import listed
from speechgmm.looks import Shown
from speechgmm.mixture import RELEVANCE
from speechgmm.parallel import Progress
from speechgmm.storage import versions

SETTINGS = MixtureSettings(n_components=64, relevance=RELEVANCE, max_iterations=2)
"""Adapted in two steps from a background of all classes, which lends a class what its few recordings lack."""


@dataclass(frozen=True)
class ClassifierTraining(Shown):
    """A trained `classifier`, and the sounds that were left out with the reason for each."""

    classifier: AudioClassifier
    skipped: tuple[Skipped, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to doubt of the classifier."""
        made, warnings = self.classifier, []
        least, label = min((n, label) for label, n in made.info["data"]["sounds"].items())
        if least < 5:
            warnings.append(f"too few sounds: {least} of {label!r}; give ten or more of each class")
        if made.info["folds"] and made.calibration is None:
            lacking = "fewer than two classes have two sounds or groups to hold out in turn"
            warnings.append(f"{lacking}: posteriors are not known")
        settings = MixtureSettings(**made.info["settings"])
        if settings.relevance is not None or not made.mixtures:
            return tuple(warnings)
        k, label = min((m.n_components, label) for m, label in zip(made.mixtures, made.labels, strict=True))
        if k < settings.n_components:
            warnings.append(f"{label!r} has too few frames for {settings.n_components} components: {k}")
        return tuple(warnings)


@dataclass(frozen=True, eq=False)
class LabeledSound:
    """A sound that can be used, and what is known of it.

    Parameters
    ----------
    name, label : str
    features : ndarray, shape (N, D)
        Before normalization.
    group : str
        The speaker, session or source that it is from; empty for one by itself.
    fold : str
        The part of a cross-validation that it belongs to.
    """

    name: str
    label: str
    features: Array
    group: str = ""
    fold: str = ""

    @property
    def unit(self) -> tuple[str, str]:
        """What is held out as a whole: its group, or the sound alone."""
        return ("group", self.group) if self.group else ("sound", self.name)


@dataclass(frozen=True, eq=False)
class Labeled:
    """The `sounds` that can be used, their front end before it learns from them, and what was left out."""

    frontend: FrontEnd
    sounds: tuple[LabeledSound, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, eq=False)
class Round:
    """Sounds to train on, and others to score then: those of the classes that were trained, and foreign ones."""

    trained: tuple[LabeledSound, ...]
    known: tuple[LabeledSound, ...]
    foreign: tuple[LabeledSound, ...] = ()


def train_classifier(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    frontend: FrontEnd | str | None = None,
    settings: MixtureSettings = SETTINGS,
    backend: str | None = None,
    folds: int = 5,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> ClassifierTraining:
    """Train a classifier on labeled sounds; a bad one is left out and reported.

    Parameters
    ----------
    sounds : iterable of paths, signals or recordings
    labels : sequence of str
        One for each sound.
    groups : sequence of str, optional
        Speakers, sessions or sources, one for each sound: no group is held out in part. Without them posteriors
        suppose that voices and places to come are those of the training.
    frontend : FrontEnd or str, optional
        Or a preset at the lowest rate of the sounds, from 8 kHz up: slower ones are left out. Default: the preset
        "speech", or `OwnFeatures` for files of features (`.npy`), which no preset takes.
    settings : MixtureSettings
    backend : str, optional
        "gmm": a mixture for each class. "svm": how each recording differs from the background of all classes, as one
        row (a supervector), and a linear machine on these; `settings` are then those of the background. "both": the
        sum of what they say, weighted as recordings that are held out have it. Default: both, which is as right as the
        better one of them; mixtures where each class is trained alone.
    folds : int
        How many parts are held out in turn for calibration and rejection, two or more, each at the price of two more
        trainings; 0 makes neither.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    on_progress : callable, optional
        Called with a stage ("features", "mixtures" whatever the back end, "calibration", "rejection"), how much of it
        is done, and how much there is.

    Raises
    ------
    InvalidInput
        If there are fewer than two classes, a class without a usable sound, or an argument that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.classification import MixtureSettings
    >>> from speechgmm.features import Signal
    >>> rng = np.random.default_rng(0)
    >>> tones = [Signal(0.3 * np.sin(0.2 * np.arange(16000)) + rng.normal(0.0, 0.01, 16000), 16000) for _ in range(4)]
    >>> noises = [Signal(rng.normal(0.0, 0.1, 16000), 16000) for _ in range(4)]
    >>> settings = MixtureSettings(n_components=2)
    >>> labels = ["tone"] * 4 + ["noise"] * 4
    >>> training = train_classifier([*tones, *noises], labels, frontend="sound", settings=settings)
    >>> training.classifier.labels, training.classifier.predict(tones[:1] + noises[:1])
    (('noise', 'tone'), ('tone', 'noise'))
    """
    check_backend(backend, settings)
    data = extract_labeled(
        sounds, labels, groups=groups, frontend=frontend, n_threads=n_threads, on_progress=on_progress
    )
    return train_on_features(
        data, settings=settings, backend=backend, folds=folds, n_threads=n_threads, on_progress=on_progress
    )


def extract_labeled(
    sounds: Iterable[Sound],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    folds: Sequence[str] | None = None,
    frontend: FrontEnd | str | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Labeled:
    """Return the features of labeled sounds; arguments as for `train_classifier`, folds as for `cross_validate`."""
    every = listed(sounds)
    known = text_columns(len(every), labels=labels, groups=groups, folds=folds)
    front = frontend or own_frontend(every) or "speech"
    front = preset_for(every, front) if isinstance(front, str) else front
    extracted = extract_all(front.unnormalized, every, stage="features", n_threads=n_threads, on_progress=on_progress)
    found = list(zip(extracted, *known, strict=True))
    usable = tuple(LabeledSound(e.name, label, e.usable(), g, f) for e, label, g, f in found if not e.error)
    skipped = tuple(Skipped(e.name, str(e.error)) for e, *_ in found if e.error)
    reasons = {label: str(e.error) for e, label, *_ in reversed(found) if e.error}
    if lost := sorted(set(reasons) - set(_classes(usable))):
        first = f"none for {lost[0]!r}; the first left out: {reasons[lost[0]]}"
        refuse("every class", "have at least one usable sound", first)
    return Labeled(front, usable, skipped)


def text_columns(n: int, **given: Sequence[str] | None) -> list[list[str]]:
    """Return what is known of each of `n` sounds, column by column; empty texts where nothing is given.

    Raises
    ------
    InvalidInput
        If a column has not as many values, or one is no text or holds control or direction characters.
    """
    # a pandas column counts by its index, not by place
    found = {name: [""] * n if values is None else list(values) for name, values in given.items()}
    for name, values in found.items():
        if len(values) != n or not all(isinstance(value, str) for value in values):
            refuse(name, f"be {n} texts, one for each sound", f"{len(values)}: {values[:3]}")
    return [[visible(value, f"each of {name}") for value in values] for name, values in found.items()]


def train_on_features(
    data: Labeled,
    *,
    settings: MixtureSettings = SETTINGS,
    backend: str | None = None,
    folds: int = 5,
    rejects: bool = True,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> ClassifierTraining:
    """Train a classifier on features; arguments as for `train_classifier`.

    Without `rejects` the half of the work that rejection takes is left out, and the classifier knows none.

    Raises
    ------
    InvalidInput
        If there are fewer than two classes, `folds` is 1, or the back end cannot follow the settings.
    """
    backend = check_backend(backend, settings)
    if integer(folds, "folds", minimum=0) == 1:
        refuse("folds", "be two or more, or 0 for none", 1, "With one part held out, none is left to train on.")
    labels = _classes(data.sounds)
    if len(labels) < 2:
        refuse("labels", "name at least two classes", f"only {labels[0]!r}", "One class alone is never confused.")
    parts = fold_rounds(data.sounds, folds)
    if len(set(held := [labels.index(s.label) for part in parts for s in part.known])) < 2:
        parts = ()
    turns = class_rounds(data.sounds, parts) if rejects else ()
    report = on_progress or (lambda stage, done, total: None)

    def train(of: Sequence[LabeledSound]) -> _Made:
        return _trained(data.frontend, of, backend, settings, n_threads)

    made = train(data.sounds)
    report("mixtures", 1, 1)
    plan = {"calibration": parts, "rejection": turns}
    held_out = {stage: _held_out_scores(stage, r, train, n_threads, report) for stage, r in plan.items()}
    calibration, rejection, trained = None, None, made.backend
    if parts:
        classes = np.concatenate([[p.classes for p in found] for found in held_out["calibration"]], axis=1)
        calibration, weights = fit_class_calibration(classes, np.array(held))
        trained = with_weights(made.backend, weights)
    if turns:
        evidence = [np.concatenate([p.evidence for p in found], axis=1) for found in held_out["rejection"]]
        split = [np.split(rows, [len(r.known)]) for rows, r in zip(evidence, turns, strict=True)]
        rejection = fit_rejection(*(np.concatenate(rows) for rows in zip(*split, strict=True)))
    info = _info(data, settings, folds)
    classifier = AudioClassifier.of(made.frontend, labels, trained, calibration, rejection, info)
    return ClassifierTraining(classifier, data.skipped)


def fold_rounds(sounds: Sequence[LabeledSound], folds: int) -> tuple[Round, ...]:
    """Hold so many parts of the sounds out in turn; fewer than two hold nothing out.

    Whole groups are held out together, the groups of each class spread over the parts in the order of their names,
    whatever order the sounds come in. A class whose groups all meet in one part is always trained on.
    """
    if folds < 2:
        return ()
    in_order = dict.fromkeys(unit for _, unit in sorted((s.label, s.unit) for s in sounds))
    part = {unit: i % folds for i, unit in enumerate(in_order)}
    parts = {label: {part[s.unit] for s in sounds if s.label == label} for label in _classes(sounds)}
    out = {s: part[s.unit] for s in sounds if len(parts[s.label]) > 1}
    return tuple(
        Round(tuple(s for s in sounds if out.get(s) != i), tuple(s for s in sounds if out.get(s) == i))
        for i in sorted(set(out.values()))
    )


def class_rounds(sounds: Sequence[LabeledSound], rounds: Sequence[Round]) -> tuple[Round, ...]:
    """Leave a share of the classes out of each of these rounds too, so that every class is foreign once.

    There are none where fewer than two classes would remain, or fewer than two parts are held out.
    """
    labels = _classes(sounds)
    if len(rounds) < 2 or len(labels) < 3:
        return ()
    turns = min(max(len(rounds), 3), len(labels))  # of three or more at least two classes remain
    found = []
    for turn in range(turns):
        left, of = set(labels[turn::turns]), rounds[turn % len(rounds)]
        trained, known = (tuple(s for s in part if s.label not in left) for part in (of.trained, of.known))
        found.append(Round(trained, known, tuple(s for s in sounds if s.label in left)))
    return tuple(found) if any(r.known for r in found) else ()


@dataclass(frozen=True, eq=False)
class _Made:
    """What some sounds made: the front end, which has learned from them, and what tells their classes apart."""

    frontend: FrontEnd
    backend: Trained


def _trained(
    frontend: FrontEnd,
    sounds: Sequence[LabeledSound],
    backend: str,
    settings: MixtureSettings,
    n_threads: int | None,
) -> _Made:
    learned = frontend.learned(s.features for s in sounds)
    frames = [[learned.normalized(s.features) for s in sounds if s.label == c] for c in _classes(sounds)]
    return _Made(learned, train_backend(backend, frames, settings, n_threads=n_threads))


def _held_out_scores(
    stage: str,
    rounds: Sequence[Round],
    train: Callable[[Sequence[LabeledSound]], _Made],
    n_threads: int | None,
    report: Progress,
) -> list[tuple[FileScores, ...]]:
    """Train on some sounds in each round; return what each part of the back end says of the known, then the foreign."""
    found = []
    for done, part in enumerate(rounds, 1):
        made = train(part.trained)
        tested = [made.frontend.normalized(s.features) for s in (*part.known, *part.foreign)]
        lengths = np.array([len(x) for x in tested])
        sums = made.backend.sums(np.concatenate(tested), lengths, n_threads=n_threads)
        found.append(parts_of(made.backend, sums, lengths))
        report(stage, done, len(rounds))
    return found


def _classes(sounds: Sequence[LabeledSound]) -> tuple[str, ...]:
    return tuple(sorted({s.label for s in sounds}))


def _info(data: Labeled, settings: MixtureSettings, folds: int) -> dict[str, Any]:
    labels = [s.label for s in data.sounds]
    return {
        "versions": versions("numba", "numpy", "scikit-learn", "scipy"),
        "settings": asdict(settings),
        "folds": folds,
        "data": {
            "sounds": {label: labels.count(label) for label in sorted(set(labels))},
            "groups": len({s.group for s in data.sounds} - {""}),
            "seconds": round(sum(len(s.features) for s in data.sounds) * data.frontend.hop_length, 3),
            "skipped": len(data.skipped),
        },
    }

"""Scores of classes -> posteriors that mean what they say, and the rejection of what belongs to no class.

N. Brümmer and D. A. van Leeuwen, "On calibration of language recognition scores", Odyssey 2006, eq. 12: the log
likelihood of class c is taken to be ``scale * score_c + offset_c``; one scale and C offsets are fitted to scores of
recordings that the mixtures were not trained on. Of several scores each has a scale of its own: ibid., fusion. Symbols:
N frames, U recordings, C classes, J scores of a class.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from speechgmm.checks import FAR, Array, floats, hold, number, refuse
from speechgmm.evaluation.thresholds import Strangers, fit_strangers
from speechgmm.looks import Shown

TAIL = 5
"""Above the highest few foreign values rates are modeled: often some dozens are all there are, of which a quantile
takes in too many, and a tail of more values is no tail."""


@dataclass(frozen=True, eq=False)
class FileScores(Shown):
    """What the frames of recordings say together.

    Parameters
    ----------
    classes : ndarray, shape (U, C)
        Of mixtures the mean log density under each class, in nats per frame.
    evidence : ndarray, shape (U, 3 J)
        How much a recording is like any class. Of mixtures, for the likeliest class: its mean log density, its lead
        over a mixture of all classes for every frame anew, and its lead over the class that is best for each frame.
    """

    classes: Array
    evidence: Array


@dataclass(frozen=True, eq=False)
class ClassCalibration(Shown):
    """Log posterior of class c = scale * score_c + offset_c + a constant, for equal priors."""

    FORMER_NAMES: ClassVar = ("Calibration",)

    scale: float
    offsets: Array

    def __post_init__(self) -> None:
        """Check both, and hold the offsets as read-only float64."""
        scale = number(self.scale, "the scale of a calibration", minimum=0.0, maximum=FAR, above=True)
        hold(self, scale=scale, offsets=_vector(self.offsets, "the offsets of a calibration"))

    def log_posteriors(self, scores: Array) -> Array:
        """Return the log posteriors (U, C) of the scores (U, C) of classes."""
        from scipy.special import log_softmax

        return np.asarray(log_softmax(self.scale * scores + self.offsets, axis=1))


@dataclass(frozen=True, eq=False)
class Rejection(Shown):
    """How much a recording looks like one of the classes at all: a line through its evidence.

    Parameters
    ----------
    weights : ndarray, shape (3 J,)
    known, foreign : ndarray
        The values, sorted, of held-out recordings of the classes, and of classes that were left out in turn.
    """

    weights: Array
    known: Array
    foreign: Array

    def __post_init__(self) -> None:
        """Check everything, and hold the arrays as read-only float64."""
        weights = _vector(self.weights, "the weights of evidence")
        if len(weights) % 3:
            refuse("the weights of evidence", "be three for each part of what tells classes apart", len(weights))
        values = {n: _vector(getattr(self, n), f"the {n} values") for n in ("known", "foreign")}
        for name, found in values.items():
            if (np.diff(found) < 0).any():
                refuse(f"the {name} values", "be sorted", "values that are not")
        hold(self, weights=weights, **values)

    def values(self, evidence: Array) -> Array:
        """Return a number for each recording (U, 3 J): the higher, the less foreign."""
        return np.asarray(evidence @ self.weights)

    @functools.cached_property
    def strangers(self) -> Strangers:
        """How high the values of foreign recordings come: each is a search of one."""
        return fit_strangers(self.foreign[:, None], tail=TAIL)

    def threshold(self, far: float) -> float:
        """Return the value that the foreign sounds of the training reach at the rate `far`, above 0 and below 1."""
        return self.strangers.threshold(far).score

    def kept(self, far: float) -> float:
        """Return the share of held-out recordings of the classes that are kept at this rate."""
        return float((self.known >= self.threshold(far)).mean())


def _vector(x: Array, what: str) -> Array:
    """Return a vector of at least one number."""
    a = floats(x, what, largest=FAR)
    if a.ndim != 1 or not a.size:
        refuse(what, "be a vector of at least one number", f"shape {a.shape}")
    return a


def file_scores(densities: Array, lengths: Array) -> FileScores:
    """Return the scores of recordings.

    Parameters
    ----------
    densities : ndarray, shape (N, C)
        The log density of each frame under each class.
    lengths : ndarray, shape (U,)
        Frames of each recording.
    """
    return scores_of_sums(file_sums(densities, lengths), lengths)


def file_sums(densities: Array, lengths: Array) -> Array:
    """Return what `file_scores` is made of, shape (U, C + 2): sums over frames, which can be added."""
    from scipy.special import logsumexp

    any_class = logsumexp(densities, axis=1, keepdims=True) - np.log(densities.shape[1])
    best = densities.max(axis=1, keepdims=True)
    rows = np.concatenate([densities, any_class, best], axis=1)
    return np.asarray(np.add.reduceat(rows, np.cumsum(lengths) - lengths, axis=0))


def scores_of_sums(sums: Array, lengths: Array) -> FileScores:
    """Return the scores of recordings of so many frames (U,) from their sums (U, C + 2)."""
    means = sums / lengths[:, None]
    classes, others = means[:, :-2], means[:, -2:]
    top = classes.max(axis=1, keepdims=True)
    return FileScores(classes, np.concatenate([top, top - others], axis=1))


def fit_class_calibration(scores: Array, labels: Array) -> tuple[ClassCalibration, Array]:
    """Fit scales and offsets by maximum likelihood, every class weighing the same.

    Parameters
    ----------
    scores : ndarray, shape (J, U, C)
        Of recordings that nothing which scored them was trained on; J ways to score them.
    labels : ndarray of int, shape (U,)
        The place of each one's class. A class that never occurs keeps the offset 0.

    Returns
    -------
    calibration : ClassCalibration
        Of the sum of the J scores, each times its weight.
    weights : ndarray, shape (J,)
        The first is 1.

    Notes
    -----
    Offsets and the logarithms of the scales have a weak prior, a Gaussian of deviation 3 about 0 that counts like one
    recording, so that scores without a mistake have an answer too.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    j, _, c = scores.shape
    counts = np.bincount(labels, minlength=c)
    weights = 1.0 / counts[labels]
    truth = np.eye(c)[labels]

    def objective(parameters: Array) -> tuple[float, Array]:
        scales, offsets = np.exp(parameters[:j]), parameters[j:]
        log_p = log_softmax(np.tensordot(scales, scores, axes=1) + offsets, axis=1)
        error = weights[:, None] * (np.exp(log_p) - truth)
        prior = parameters / 9 * c / len(labels)  # one recording of an average class
        gradient = np.concatenate([scales * (error * scores).sum(axis=(1, 2)), error.sum(axis=0)]) + prior
        return float(-(weights * log_p[np.arange(len(labels)), labels]).sum() + 0.5 * (prior @ parameters)), gradient

    found = minimize(objective, np.zeros(j + c), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    scales, offsets = np.exp(found[:j]), found[j:]
    return ClassCalibration(float(scales[0]), offsets - offsets.mean()), scales / scales[0]


def fit_rejection(known: Array, foreign: Array) -> Rejection:
    """Fit the line that tells recordings of the classes (U, 3 J) from others (V, 3 J), by logistic regression."""
    from sklearn.linear_model import LogisticRegression

    evidence = np.concatenate([known, foreign])
    deviations = evidence.std(axis=0) + 1e-12
    labels = np.repeat([1, 0], [len(known), len(foreign)])
    line = LogisticRegression(class_weight="balanced").fit(evidence / deviations, labels)
    weights = line.coef_[0] / deviations
    return Rejection(weights, np.sort(known @ weights), np.sort(foreign @ weights))

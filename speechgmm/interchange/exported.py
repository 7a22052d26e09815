"""What is written for other programs: the mixtures of a model, and how scores are made of their log densities.

Whatever is exported, a mixture, a background model, the speakers of a store or classes, is the same: M models of P
mixtures each, of the frame's features or of some of them. The log density of a model is the weighted sum of those of
its mixtures. Symbols: N frames, M models, P mixtures of a model, K components, D features, S speakers, C cohort.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from speechgmm import storage
from speechgmm.checks import Array, refuse
from speechgmm.classification import AudioClassifier
from speechgmm.features import FrontEnd
from speechgmm.looks import Shown
from speechgmm.mixture import GMM, UBM, Ensemble
from speechgmm.speakers import Scorer, System

Exportable = GMM | Ensemble | System | Scorer | AudioClassifier
"""What can be exported as a scorer; of a `System` its background model is."""
NEVER = -1e300
"""The logarithm of a weight of 0: beside any other component it is nothing, and it is finite."""
_SYMBOLS = "N frames, D features, S speakers or classes; densities, scores and llr in nats, scores per frame"


@dataclass(frozen=True, eq=False)
class LLRMap(Shown):
    """From mean ratios against the background (S,) and against a cohort (C,), to calibrated log-likelihood ratios.

    With z the ratio of a speaker, less the mean of the cohort's and divided by their deviation (T-norm; without a
    cohort the ratio itself), v that mean divided by the deviation (0 without a cohort), and u the logarithm of the
    seconds of speech, clipped to `low` and `high`,

        llr = slope * (z - location(u) - proportion(u) * v) / exp(scale(u)) + offset,

    as `Scorer.score_test` computes it of one recording.

    Parameters
    ----------
    cohort : int
        C: models behind those of the speakers; 0 without T-norm.
    location, scale, proportion : ndarray, shape (S, 2)
        What each speaker's amount of enrolled speech makes of it: a at u = 0, and b, so that they are a + b u.
    low, high : float
        Seconds.
    hop_length : float
        Seconds of a frame.
    slope, offset : float
    """

    cohort: int
    location: Array
    scale: Array
    proportion: Array
    low: float
    high: float
    hop_length: float
    slope: float
    offset: float


@dataclass(frozen=True, eq=False)
class ExportedScorer(Shown):
    """What is written, whatever the form.

    Parameters
    ----------
    models : tuple of tuple of GMM
        M of P each. Of speakers the background comes first, a cohort last.
    columns : tuple of int
        The first feature that each of the P mixtures looks at.
    shares : ndarray, shape (P,)
        What the log density of each weighs.
    n_dimensions : int
        D, of a frame.
    labels : tuple of str
        Speakers or classes; none of a density.
    facts : dict
        What a reader has to know of the model, as text: fingerprint, settings of the front end, symbols.
    llr : LLRMap, optional
        Of speakers, where they are calibrated.
    posterior : tuple of float and ndarray, optional
        Of classes, scale and offsets (S,): log posteriors are the log softmax of scale * score + offset.
    """

    models: tuple[tuple[GMM, ...], ...]
    columns: tuple[int, ...]
    shares: Array
    n_dimensions: int
    labels: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    llr: LLRMap | None = None
    posterior: tuple[float, Array] | None = None

    @property
    def background(self) -> bool:
        """Whether the first model is taken off the others."""
        return bool(self.labels) and len(self.models) > len(self.labels)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What comes out, by name: "log_density", or "scores" and what follows from them."""
        if not self.labels:
            return ("log_density",)
        more = ("llr",) * (self.llr is not None) + ("log_posteriors",) * (self.posterior is not None)
        return ("scores", *more)


def exported_scorer(thing: Exportable) -> ExportedScorer:
    """Return what is written of a mixture, a system, the speakers of a store or a classifier.

    Parameters
    ----------
    thing : GMM, Ensemble, System, Scorer or AudioClassifier
        Of a system its background model; of a `Scorer` (``Scorer.of(system, store)``) the enrolled speakers.

    Raises
    ------
    InvalidInput
        If it is something else, or a classifier with a linear machine.

    Examples
    --------
    >>> import speechgmm
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> exported = exported_scorer(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])))
    >>> exported.outputs, exported.n_dimensions
    (('log_density',), 1)
    >>> exported_scorer(speechgmm.default_system()).shares.size  # the mixtures of its background model
    3
    """
    given: Any = thing
    if isinstance(thing, Scorer):
        return _of_speakers(thing)
    if isinstance(thing, AudioClassifier):
        return _of_classes(thing)
    if isinstance(thing, System):
        return _of_background(thing.ubm, _facts(thing.fingerprint, thing.frontend))
    if not isinstance(given, GMM | Ensemble):
        refuse("what is exported", "be a mixture, a System, a Scorer or an AudioClassifier", type(given).__name__)
    return _of_background(given, _facts(storage.fingerprint(given)))


def _of_background(ubm: UBM, facts: dict[str, str]) -> ExportedScorer:
    return ExportedScorer((ubm.parts,), _columns(ubm), ubm.shares, ubm.n_dimensions, facts=facts)


def _of_speakers(scorer: Scorer) -> ExportedScorer:
    """Return the speakers of a store, in its domain; with a calibration also what makes LLRs of their ratios."""
    system, models = scorer.system, scorer.models
    ubm = models.ubm
    llr = _llr_map(scorer)
    groups = [models] if llr is None or scorer.cohort is None else [models, scorer.cohort]
    every = [ubm.with_means(ubm.origin + g.means_of(i)) for g in groups for i in range(len(g.names))]
    return replace(
        _of_background(ubm, _facts(system.fingerprint, system.frontend)),
        models=tuple(one.parts for one in (ubm, *every)),
        labels=models.names,
        llr=llr,
    )


def _llr_map(scorer: Scorer) -> LLRMap | None:
    """Return what makes LLRs of the ratios of one recording, None where there is no calibration.

    Where single recordings of the best candidates count (`System.by_recording`), scores are no function of the ratios.
    """
    calibration, norm = scorer.calibration, scorer.norm
    if calibration is None or norm is None or scorer.by_recording is not None:
        return None
    amounts = calibration.levels.amounts
    design = amounts.design(scorer.models.speech_seconds, 1.0)[:, :2]

    def by_tested(weights: Array) -> Array:
        return np.stack([design @ weights[:2], design @ weights[2:]], axis=1)

    at_0, at_1 = calibration.llr([0.0, 1.0]).tolist()
    slope = (at_1 - at_0) / norm.scale
    return LLRMap(
        cohort=0 if scorer.cohort is None else len(scorer.cohort.names),
        location=by_tested(amounts.location),
        scale=by_tested(amounts.scale),
        proportion=by_tested(amounts.proportion),
        low=float(amounts.low[1]),
        high=float(amounts.high[1]),
        hop_length=float(scorer.system.frontend.hop_length),
        slope=slope,
        offset=at_0 - slope * norm.location,
    )


def _of_classes(classifier: AudioClassifier) -> ExportedScorer:
    """Return the mixtures of classes."""
    if classifier.machine is not None:
        rule, advice = "tell its classes apart by mixtures alone", "Train it with --backend gmm."
        refuse("a classifier that is exported", rule, "one with a linear machine", advice)
    known = classifier.calibration
    return ExportedScorer(
        tuple(mixture.parts for mixture in classifier.mixtures),
        (0,),
        np.ones(1),
        classifier.frontend.n_dimensions,
        classifier.labels,
        _facts(classifier.fingerprint, classifier.frontend),
        posterior=None if known is None else (known.scale, known.offsets),
    )


def _columns(ubm: UBM) -> tuple[int, ...]:
    """Return the first feature of each mixture."""
    return tuple(s * len(ubm.origin) for s in ubm.streams) if isinstance(ubm, Ensemble) else (0,)


def _facts(fingerprint: str, frontend: FrontEnd | None = None) -> dict[str, str]:
    """Return what a reader has to know."""
    found: dict[str, Any] = {"fingerprint": fingerprint, "symbols": _SYMBOLS}
    if frontend is not None:
        found["frontend"] = json.dumps(frontend.settings, sort_keys=True)
    return found


def whitening(part: GMM) -> Array:
    """Return W = inv(L)' of the covariances L L' of a mixture, shape (1 or K, D, D): y W has unit covariance."""
    kind = part.covariance
    dense = kind.dense(*part.means.shape)[: 1 if kind.shared else None]
    return np.ascontiguousarray(np.triu(np.linalg.inv(np.linalg.cholesky(dense)).swapaxes(1, 2)))


def log_constants(part: GMM) -> Array:
    """Return log(weight) - (D log(2 pi) + log det C) / 2 of each component, shape (K,); `NEVER` for a weight of 0."""
    k, d = part.means.shape
    peaks = part.covariance.log_components(np.zeros((1, d)), np.zeros((k, d)))[0]
    weights = part.weights
    log_weights = np.log(weights, out=np.full(k, NEVER), where=weights > 0)
    return np.asarray(log_weights + peaks)

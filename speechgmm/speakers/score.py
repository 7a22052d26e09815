"""Log-likelihood ratios of one test against all enrolled speakers at once.

The score of a test is the mean over its frames of log p(x | speaker) - log p(x | UBM), in nats a frame: exact, all
components. A speaker's model is the UBM with means adapted to all of their sessions, so the terms in x squared are
shared by all speakers. Symbols: N frames, K components, D dimensions, S speakers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.checks import refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.mixture import GMM, Statistics, adapt
from speechgmm.mixture.compiled.e_step import NEVER, log_sums
from speechgmm.parallel import threads, workers
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

Array = NDArray[Any]

__all__ = ["SpeakerModels", "adapted_model", "enrolled_models", "log_likelihood_ratios", "speaker_models"]

_CELLS = 1 << 17
"""How many densities (frames by components) of a speaker are held at most at once: they stay in the cache."""
_GROUP = 64
"""Speakers that one thread takes at a time."""


@dataclass(frozen=True, eq=False)
class SpeakerModels:
    """The adapted models of S speakers, laid out for scoring.

    Parameters
    ----------
    names : tuple of str
        S speakers.
    offsets : ndarray, shape (S, K, D)
        Adapted means, relative to the UBM's origin.
    seconds : ndarray, shape (S,)
        Speech in their enrollments, in seconds; NaN where not known.
    ubm : GMM
        What they were adapted from.
    fingerprint : str
        Of the system of that UBM.
    """

    names: tuple[str, ...]
    offsets: Array
    seconds: Array
    ubm: GMM
    fingerprint: str

    def terms(self, dtype: Any) -> tuple[Array, Array]:
        """Return the coefficients of log(weight * density) in [y, 1], (S + 1, D + 1, K), and in y**2, (D, K).

        y is relative to the UBM's origin. The UBM comes first, then the speakers; those of float32 are kept.
        """
        return self._single if dtype == np.float32 else self._terms(dtype)

    def columns(self, dtype: Any) -> tuple[Array, Array]:
        """Return the same by component: the coefficients in [y, 1] are (K, D + 1, S + 1); those of float32 are kept."""
        return self._single_columns if dtype == np.float32 else self._columns(dtype)

    @functools.cached_property
    def _single_columns(self) -> tuple[Array, Array]:
        return self._columns(np.float32)

    def _columns(self, dtype: Any) -> tuple[Array, Array]:
        linear, quadratic = self.terms(dtype)
        return np.ascontiguousarray(linear.transpose(2, 1, 0)), quadratic

    @functools.cached_property
    def _single(self) -> tuple[Array, Array]:
        return self._terms(np.float32)

    def _terms(self, dtype: Any) -> tuple[Array, Array]:
        precisions = 1.0 / self.ubm.covariance.deviations() ** 2
        weights = self.ubm.weights
        log_weights = np.where(weights > 0, np.log(np.where(weights > 0, weights, 1.0)), NEVER)
        shared = log_weights - 0.5 * np.log(2 * np.pi / precisions).sum(axis=1)
        linear = np.empty((len(self.names) + 1, precisions.shape[1] + 1, len(weights)), dtype)
        for one, offsets in zip(linear, [self.ubm.offsets, *self.offsets], strict=True):
            scaled = offsets * precisions
            one[:-1], one[-1] = scaled.T, shared - 0.5 * (offsets * scaled).sum(axis=1)
        return linear, np.ascontiguousarray(-0.5 * precisions.T, dtype=dtype)


def adapted_model(system: System, statistics: Statistics) -> GMM:
    """Return the model of one speaker: the UBM with its means adapted."""
    return adapt(system.ubm, statistics, relevance=system.relevance, update="m")


def speaker_models(
    system: System, statistics: Mapping[str, Statistics], seconds: Mapping[str, float] | None = None
) -> SpeakerModels:
    """Adapt a model for each speaker to their summed statistics against the system's UBM."""
    if not statistics:
        refuse("speakers to score against", "be at least one", "none", "Enroll somebody first.")
    names = tuple(sorted(statistics))
    offsets = np.stack([adapted_model(system, statistics[n]).offsets for n in names])
    known = np.array([(seconds or {}).get(n, np.nan) for n in names])
    return SpeakerModels(names, offsets, known, system.ubm, system.fingerprint)


def enrolled_models(system: System, store: SpeakerStore, *speakers: str) -> SpeakerModels:
    """Return the models of these enrolled speakers, or of all; kept until the store changes.

    Raises
    ------
    IncompatibleModel
        If the store is of another system.
    """
    store.check_system(system)

    def build() -> SpeakerModels:
        statistics: dict[str, Statistics] = {}
        seconds: dict[str, float] = {}
        for s in store.sessions(*speakers):
            statistics[s.speaker] = statistics[s.speaker] + s.statistics if s.speaker in statistics else s.statistics
            seconds[s.speaker] = seconds.get(s.speaker, 0.0) + s.seconds
        return speaker_models(system, statistics, seconds)

    return store.cached((system.fingerprint, system.relevance, speakers), build)


def check_test(system: System, models: SpeakerModels, features: ArrayLike) -> Array:
    """Return the features of a test as a matrix, or refuse features or models of another system."""
    if models.fingerprint != system.fingerprint:
        refuse("speaker models", "be of this system", "models of another", error=IncompatibleModel)
    return system.check_features(features)


def log_likelihood_ratios(
    system: System, models: SpeakerModels, features: ArrayLike, *, n_threads: int | None = None
) -> Array:
    """Return the mean log-likelihood ratio of a test against each speaker.

    Parameters
    ----------
    system : System
    models : SpeakerModels
    features : array_like, shape (N, D)
        Float32 features are scored in float32, others in float64.
    n_threads : int, optional
        Default: the cores of this process, where there are speakers enough. It changes the time and nothing else.

    Returns
    -------
    ndarray, shape (S,), float64
        In nats a frame; above 0 where the speaker explains the test better than the UBM does.

    Raises
    ------
    IncompatibleModel
        If features or models are not of this system.
    """
    x = check_test(system, models, features)
    linear, quadratic = models.terms(x.dtype)
    groups = [linear[a : a + _GROUP] for a in range(0, len(linear), _GROUP)]
    add = functools.partial(_log_densities, x, system.ubm.origin, quadratic)
    total = np.concatenate(list(threads(workers(n_threads, len(groups)))(add, groups)))
    result: Array = (total[1:] - total[0]) / len(x)
    return result


def _log_densities(x: Array, origin: Array, quadratic: Array, linear: Array) -> Array:
    """Return the log densities of frames (N, D), summed over these, of the models (S,) in a part of `terms`."""
    total = np.zeros(len(linear))
    most = max(1, _CELLS // quadratic.shape[1])
    step = -(-len(x) // -(-len(x) // most))
    for start in range(0, len(x), step):
        y = centered(x[start : start + step], origin)
        square = (y[:, :-1] ** 2) @ quadratic
        joint = np.empty_like(square)
        for i, one in enumerate(linear):
            np.matmul(y, one, out=joint)
            joint += square
            total[i] += log_sums(joint).sum()
    return total


def centered(x: Array, origin: Array) -> Array:
    """Return [x - origin, 1], (N, D + 1), in the type of x; the difference is taken in float64."""
    y = np.ones((len(x), x.shape[1] + 1), x.dtype)
    y[:, :-1] = x - origin
    return y

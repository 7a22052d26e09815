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
from speechgmm.parallel import one_thread
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

Array = NDArray[Any]

__all__ = ["SpeakerModels", "adapted_model", "enrolled_models", "log_likelihood_ratios", "speaker_models"]

_CELLS = 1 << 18
"""How many (frame, speaker, component) densities are held at once: a megabyte, which stays in the cache."""


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
        """Return the coefficients of log(weight * density) in [y, 1], (D + 1, (S + 1) K), and in y**2, (D, K).

        The UBM comes first, then the speakers; those of float32 are kept.
        """
        return self._single if dtype == np.float32 else self._terms(dtype)

    @functools.cached_property
    def _single(self) -> tuple[Array, Array]:
        return self._terms(np.float32)

    def _terms(self, dtype: Any) -> tuple[Array, Array]:
        from speechgmm.mixture.kernels import NEVER

        precisions = 1.0 / self.ubm.covariance.deviations() ** 2
        every = np.concatenate([self.ubm.offsets[None], self.offsets])
        weights = self.ubm.weights
        log_weights = np.where(weights > 0, np.log(np.where(weights > 0, weights, 1.0)), NEVER)
        shared = log_weights - 0.5 * np.log(2 * np.pi / precisions).sum(axis=1)
        constant = shared - 0.5 * (every**2 * precisions).sum(axis=2)
        linear = np.concatenate([every * precisions, constant[:, :, None]], axis=2)
        columns = linear.reshape(-1, linear.shape[2]).T
        return np.ascontiguousarray(columns, dtype=dtype), np.ascontiguousarray(-0.5 * precisions.T, dtype=dtype)


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


@one_thread
def log_likelihood_ratios(system: System, models: SpeakerModels, features: ArrayLike) -> Array:
    """Return the mean log-likelihood ratio of a test against each speaker.

    Parameters
    ----------
    system : System
    models : SpeakerModels
    features : array_like, shape (N, D)
        Float32 features are scored in float32, others in float64.

    Returns
    -------
    ndarray, shape (S,), float64
        In nats a frame; above 0 where the speaker explains the test better than the UBM does.

    Raises
    ------
    IncompatibleModel
        If features or models are not of this system.
    """
    x = system.check_features(features)
    if models.fingerprint != system.fingerprint:
        refuse("speaker models", "be of this system", "models of another", error=IncompatibleModel)
    from speechgmm.mixture import kernels

    linear, quadratic = models.terms(x.dtype)
    s, k = len(models.names) + 1, system.ubm.n_components
    total = np.zeros(s)
    step = max(1, _CELLS // (s * k))
    for start in range(0, len(x), step):
        y = (x[start : start + step] - system.ubm.origin).astype(x.dtype)
        joint = (np.concatenate([y, np.ones_like(y[:, :1])], axis=1) @ linear).reshape(len(y), s, k)
        joint += ((y * y) @ quadratic)[:, None]
        total += kernels.log_sum(joint.reshape(-1, k)).reshape(-1, s).sum(axis=0)
    result: Array = (total[1:] - total[0]) / len(x)
    return result

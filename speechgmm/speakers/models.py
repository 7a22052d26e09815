"""The models of enrolled speakers, laid out for scoring many of them at once, and their log-likelihood ratios.

A speaker's model is the UBM with means adapted to all of their sessions, so that all speakers share the terms in x
squared. The score of a test is the mean over its frames of log p(x | speaker) - log p(x | UBM), in nats per frame, by
all components. Symbols: N frames, K components, D dimensions, S speakers, C cohort.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechgmm.checks import Array, number_of, refuse
from speechgmm.looks import MOST_ROWS, Look, Shown, some_rows
from speechgmm.mixture import GMM, UBM, Ensemble, Statistics
from speechgmm.mixture.adapt import adapted_offsets, moved
from speechgmm.mixture.compiled.e_step import NEVER, log_sums, narrow
from speechgmm.mixture.covariance import Independent
from speechgmm.parallel import threads, workers
from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.recording_weights import as_spoken
from speechgmm.speakers.system import System

_CELLS = 1 << 18
"""How many densities (speakers by frames by components) are held at most at once: they stay in the cache, and one call
handles several speakers, so that threads seldom wait for the interpreter."""
GROUP = 64
"""Speakers that one thread takes at a time."""


@dataclass(frozen=True, eq=False)
class Terms(Shown):
    """What log(weight * density) is made of for the UBM, which comes first, and S speakers; y = x - origin.

    Parameters
    ----------
    linear : ndarray, shape (S + 1, D + 1, K)
        Coefficients in [y, 1].
    quadratic : ndarray, shape (D, K)
        In y squared: the same for all.
    """

    linear: Array
    quadratic: Array

    @functools.cached_property
    def columns(self) -> Array:
        """The coefficients in [y, 1] by component, (K, D + 1, S + 1)."""
        return np.ascontiguousarray(self.linear.transpose(2, 1, 0))

    @property
    def background(self) -> "Terms":
        """The terms of the UBM alone."""
        return Terms(self.linear[:1], self.quadratic)

    def log_densities(self, x: Array, origin: Array, models: slice) -> Array:
        """Return the log densities of frames (N, D), summed over these, of some of the models."""
        linear = self.linear[models]
        total = np.zeros(len(linear))
        most = max(1, _CELLS // self.quadratic.shape[1])
        step = -(-len(x) // -(-len(x) // most))
        for start in range(0, len(x), step):
            y = centered(x[start : start + step], origin, linear.dtype)
            square = (y[:, :-1] ** 2) @ self.quadratic
            at_once = max(1, _CELLS // square.size)
            joint = np.empty((min(at_once, len(linear)), *square.shape), square.dtype)
            for first in range(0, len(linear), at_once):
                some = linear[first : first + at_once]
                np.matmul(y, some, out=joint[: len(some)])
                joint[: len(some)] += square
                sums = log_sums(joint[: len(some)].reshape(-1, square.shape[1])).reshape(len(some), -1)
                total[first : first + at_once] += sums.sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class SpeakerModels(Shown):
    """The adapted models of S speakers, laid out for scoring.

    Parameters
    ----------
    names : tuple of str
        S speakers.
    offsets : ndarray, shape (S, K, D)
        Adapted means, relative to the UBM's origin.
    speech_seconds : ndarray, shape (S,)
        Speech in their enrollments; NaN where not known.
    ubm : GMM or Ensemble
        What they were adapted from and are scored against: the system's UBM, moved to their domain.
    fingerprint : str
        Of the system.
    damaged : tuple of DamagedSession
        The sessions in the store that these models had to do without.
    """

    names: tuple[str, ...]
    offsets: Array
    speech_seconds: Array
    ubm: UBM
    fingerprint: str
    damaged: tuple[DamagedSession, ...] = ()

    def _look(self) -> Look:
        words = [number_of(len(self.names), "speaker"), repr(self.ubm)]
        words += [f"{len(self.damaged)} damaged sessions left out"] if self.damaged else []
        each = zip(self.names[:MOST_ROWS], self.speech_seconds[:MOST_ROWS].tolist(), strict=True)
        rows = [(name, "" if math.isnan(s) else f"{s:.1f}") for name, s in each]
        table = some_rows("", ("speaker", ">speech enrolled, s"), rows, of=len(self.names))
        return Look(tuple(words), tables=(table,))

    def ratios(self, x: Array, n_threads: int | None = None) -> Array:
        """Return the mean log-likelihood ratios (S,) of frames that fit the UBM: see `log_likelihood_ratios`."""
        every = zip(self.parts, self.ubm.seen(x), strict=True)
        return np.asarray(self.ubm.shares @ np.stack([part._ratios(y, n_threads) for part, y in every]))

    def _ratios(self, x: Array, n_threads: int | None) -> Array:
        """Return the ratios under one mixture."""
        assert isinstance(self.ubm, GMM)
        if not isinstance(self.ubm.covariance, Independent):  # by definition, one speaker after the other
            speakers = (dataclasses.replace(self.ubm, means=self.ubm.origin + offsets) for offsets in self.offsets)
            unadapted = self.ubm.log_density(x)
            return np.array([(speaker.log_density(x) - unadapted).mean() for speaker in speakers])
        groups = [slice(a, a + GROUP) for a in range(0, len(self.names) + 1, GROUP)]
        add = functools.partial(self.terms(x.dtype).log_densities, x, self.ubm.origin)
        total = np.concatenate(list(threads(workers(n_threads, len(groups)))(add, groups)))
        return np.asarray((total[1:] - total[0]) / len(x))

    @property
    def parts(self) -> tuple["SpeakerModels", ...]:
        """The models under each mixture of an ensemble; those of one mixture are their own."""
        return self._split if isinstance(self.ubm, Ensemble) else (self,)  # itself is not kept: a circle stays for long

    @functools.cached_property
    def _split(self) -> tuple["SpeakerModels", ...]:
        assert isinstance(self.ubm, Ensemble)
        rows = zip(self.ubm.parts, self.ubm.split(self.offsets.swapaxes(0, 1)), strict=True)
        return tuple(dataclasses.replace(self, ubm=ubm, offsets=r.swapaxes(0, 1)) for ubm, r in rows)

    def means_of(self, i: int) -> Array:
        """Return the adapted means (K, D) of one speaker, relative to the UBM's origin."""
        return np.asarray(self.offsets[i])

    @functools.cached_property
    def background(self) -> Terms:
        """The terms of the UBM alone, in the precision in which float32 frames are scored."""
        nobody = np.empty((0, *self.ubm.means.shape))
        return SpeakerModels((), nobody, self.speech_seconds[:0], self.ubm, "").terms(np.float32)

    def take(self, indices: Array) -> "SpeakerModels":
        """Return the models with these indices (n,)."""
        names = tuple(self.names[i] for i in indices.tolist())
        seconds = self.speech_seconds[indices]
        return dataclasses.replace(self, names=names, offsets=self.offsets[indices], speech_seconds=seconds)

    def terms(self, dtype: Any) -> Terms:
        """Return the terms in the precision of frames, in float64 where float32 loses too much; those are kept."""
        return self._single if dtype == np.float32 else self._terms(dtype)

    @functools.cached_property
    def _single(self) -> Terms:
        return self._terms(np.float32)

    def _terms(self, dtype: Any) -> Terms:
        precisions, constant = self.shared
        largest = precisions.max(axis=1)
        linear = np.empty((len(self.names) + 1, precisions.shape[1] + 1, len(constant)), dtype)
        for one, offsets in zip(linear, [self.ubm.offsets, *self.offsets], strict=True):
            if not laid_out(one, offsets, precisions, constant, largest):
                return self._terms(np.float64)
        return Terms(linear, quadratic_terms(precisions, dtype))

    @functools.cached_property
    def shared(self) -> tuple[Array, Array]:
        """What all models of one mixture share: see `shared_terms`."""
        assert isinstance(self.ubm, GMM)
        return shared_terms(self.ubm)


def shared_terms(ubm: GMM) -> tuple[Array, Array]:
    """Return what all models of one mixture share: precisions (K, D), and what does not depend on means (K,)."""
    if not isinstance(ubm.covariance, Independent):
        found = type(ubm.covariance).__name__
        refuse("approximate scores", "be of a UBM whose features are independent", found, "Use the exact ones.")
    precisions = np.broadcast_to(1.0 / ubm.covariance.deviations() ** 2, ubm.means.shape)
    weights = ubm.weights
    log_weights = np.where(weights > 0, np.log(np.where(weights > 0, weights, 1.0)), NEVER)
    return precisions, log_weights - 0.5 * np.log(2 * np.pi / precisions).sum(axis=1)


def quadratic_terms(precisions: Array, dtype: Any) -> Array:
    """Return the coefficients (D, K) in y squared."""
    return np.ascontiguousarray(-0.5 * precisions.T, dtype=dtype)


def laid_out(linear: Array, offsets: Array, precisions: Array, constant: Array, largest: Array | None) -> bool:
    """Write the coefficients (D + 1, K) of a model from its means; False where float32 would lose too much of them.

    Precisions (K, D), their largest (K,) and the constant (K,) are those of `shared_terms`; without the largest all
    models are written.
    """
    scaled = offsets * precisions
    squares = (offsets * scaled).sum(axis=1)
    if linear.dtype == np.float32 and largest is not None and narrow(squares, largest).any():
        return False
    linear[:-1], linear[-1] = scaled.T, constant - 0.5 * squares
    return True


def speaker_offsets(ubm: UBM, statistics: Statistics, relevance: float) -> Array:
    """Return the means (K, D) of a speaker, relative to the origin, from the sum of their recordings."""
    return adapted_offsets(ubm, as_spoken(ubm, statistics), relevance)


def adapted_model(system: System, statistics: Statistics) -> UBM:
    """Return the model of one speaker: the UBM with its means adapted.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> adapted_model(system, system.ubm.statistics([[8.0]] * 4)).means.tolist()  # half of the way
    [[4.0]]
    """
    return moved(system.ubm, as_spoken(system.ubm, statistics), system.relevance)


def adapted_models(
    system: System,
    names: Iterable[str],
    statistics: Iterable[Statistics],
    speech_seconds: Iterable[float],
    ubm: UBM | None = None,
) -> SpeakerModels:
    """Adapt a model to each of the statistics, under names that may repeat, from the UBM or that of a domain."""
    start = system.ubm if ubm is None else ubm
    offsets = np.stack([speaker_offsets(start, s, system.relevance) for s in statistics])
    return SpeakerModels(tuple(names), offsets, np.array(list(speech_seconds)), start, system.fingerprint)


def speaker_models(
    system: System,
    statistics: Mapping[str, Statistics],
    speech_seconds: Mapping[str, float] | None = None,
    *,
    ubm: UBM | None = None,
) -> SpeakerModels:
    """Adapt a model for each speaker to their summed statistics against the system's UBM; speakers are sorted.

    Parameters
    ----------
    system : System
    statistics : mapping
        Each speaker's.
    speech_seconds : mapping, optional
    ubm : GMM or Ensemble, optional
        What they are adapted from and scored against: the system's UBM, or that of a domain.

    Examples
    --------
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import System
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])), relevance=4.0)
    >>> heard = {"bob": system.ubm.statistics([[-8.0]] * 4), "ann": system.ubm.statistics([[8.0]] * 4)}
    >>> models = speaker_models(system, heard)
    >>> models.names, models.offsets.shape
    (('ann', 'bob'), (2, 1, 1))
    """
    if not statistics:
        refuse("speakers to score against", "be at least one", "none", "Enroll somebody first.")
    names = sorted(statistics)
    known = [(speech_seconds or {}).get(n, np.nan) for n in names]
    return adapted_models(system, names, [statistics[n] for n in names], known, ubm)


def cohort_models(ubm: UBM, cohort: Array | None) -> SpeakerModels | None:
    """Return the models of a cohort (C, K, D), relative to the means of a background model; None without a cohort."""
    if cohort is None:
        return None
    names = tuple(f"cohort {i}" for i in range(len(cohort)))
    return SpeakerModels(names, ubm.offsets + cohort, np.full(len(names), np.nan), ubm, "")


def centered(x: Array, origin: Array, dtype: Any) -> Array:
    """Return [x - origin, 1], (N, D + 1), in a type; the difference is taken in float64."""
    y = np.ones((len(x), x.shape[1] + 1), dtype)
    y[:, :-1] = x - origin
    return y

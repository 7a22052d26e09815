"""Strangers and owners in random halves: some speakers of a corpus are enrolled, everybody else is a stranger.

All tests are scored against those who are enrolled, and decided on, as `identify` does it. A share is pooled over
halves; its interval draws the speakers of the tests anew. Symbols: S speakers, T tests, N enrolled, R rates.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import speechgmm
from speechgmm.evaluation import Interval, bootstrap
from speechgmm.features import Extracted, Recording
from speechgmm.parallel import threads
from speechgmm.speakers import RecordingSample, Scorer, Session, SpeakerStore, System, speaker_models
from speechgmm.speakers.sessions import sums_by_key

__all__ = [
    "RATES",
    "Half",
    "Material",
    "Spoken",
    "a_store",
    "accepted",
    "enrolled_once",
    "halves_of",
    "limits",
    "missed",
    "model_alone",
    "oracle",
]

Array = NDArray[Any]

RATES = (0.01, 0.05, 0.1)
"""Of strangers' searches, that are asked for."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """One test: who speaks, what it is called, and the recordings that are scored together."""

    speaker: str
    name: str
    sounds: tuple[Extracted, ...]

    @classmethod
    def of(cls, sounds: Sequence[Extracted]) -> Spoken:
        """Return these recordings of one speaker as a test; it is called like the first."""
        first = sounds[0].recording
        return cls(first.speaker, first.name, tuple(sounds))

    @property
    def speech_seconds(self) -> float:
        """Speech in all of them."""
        return sum(e.speech_seconds for e in self.sounds)


@dataclass(frozen=True, eq=False)
class Kept:
    """What a store keeps of everybody: the sessions of each speaker, and the samples of their recordings."""

    sessions: Mapping[str, tuple[Session, ...]]
    samples: tuple[RecordingSample, ...]

    @classmethod
    def of(cls, store: SpeakerStore) -> Kept:
        """Return what a store keeps."""
        samples, _ = store.samples(d for own in store.digests().values() for d in own)
        return cls({s: store.sessions(s) for s in store.speakers}, samples)


@dataclass(frozen=True, eq=False)
class Material:
    """A model, what is kept of each of S speakers who may be enrolled, and T tests of these speakers."""

    system: System
    kept: Kept
    tests: tuple[Spoken, ...]

    @property
    def sessions(self) -> Mapping[str, tuple[Session, ...]]:
        """The sessions of each speaker."""
        return self.kept.sessions

    @property
    def speakers(self) -> tuple[str, ...]:
        """Whom halves draw from, sorted."""
        return tuple(sorted(self.sessions))


@dataclass(frozen=True, eq=False)
class Half:
    """The searches of one half.

    Parameters
    ----------
    enrolled : tuple of str
        N speakers.
    speaker : ndarray of str, shape (T,)
        Who speaks in each test.
    scores : ndarray, shape (T, N)
    limits : ndarray, shape (R,)
        The thresholds for the rates that are asked; NaN where nothing is decided.
    """

    enrolled: tuple[str, ...]
    speaker: Array
    scores: Array
    limits: Array

    @property
    def target(self) -> Array:
        """Which trials are of an owner's test against themselves, (T, N)."""
        return np.asarray(self.speaker[:, None] == np.array(self.enrolled))

    @property
    def owners(self) -> Array:
        """Which tests are of somebody who is enrolled, (T,)."""
        return np.asarray(np.isin(self.speaker, self.enrolled))

    @property
    def best(self) -> Array:
        """The best score of each test, (T,)."""
        return np.asarray(self.scores.max(axis=1))

    @property
    def found(self) -> Array:
        """Which tests have their speaker as the best, (T,)."""
        return np.asarray(np.array(self.enrolled)[self.scores.argmax(axis=1)] == self.speaker)


@contextlib.contextmanager
def a_store(system: System) -> Iterator[SpeakerStore]:
    """Give a new store that is erased afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SpeakerStore(Path(folder) / "speakers.db", system, create=True) as store,
    ):
        yield store


def enrolled_once(system: System, recordings: Iterable[Recording], n_threads: int | None = None) -> Kept:
    """Return what a store keeps of everybody who speaks in recordings."""
    with a_store(system) as store:
        speechgmm.enroll(system, store, recordings, n_threads=n_threads)
        return Kept.of(store)


def model_alone(system: System, store: SpeakerStore) -> Scorer:
    """Return what scores with the model alone: without the domain of the store, and what this says of strangers."""
    sums = sums_by_key((session.speaker, session) for session in store.read()[0])
    statistics, seconds = ({s: getattr(x, of) for s, x in sums.items()} for of in ("statistics", "speech_seconds"))
    assert system.calibration is not None
    norm = system.calibration.levels.norm(len(sums))
    return Scorer(system, speaker_models(system, statistics, seconds), system.calibration, norm, {})


def limits(scorer: Scorer, rates: Sequence[float] = RATES) -> Array:
    """Return the normalized scores from which `identify` accepts at these rates; NaN where it decides nothing."""
    calibration, norm = scorer.calibration, scorer.norm
    if calibration is None or norm is None:
        return np.full(len(rates), np.nan)
    return np.array([calibration.threshold(rate, norm, len(scorer.models.names)).score for rate in rates])


def halves_of(
    material: Material,
    sizes: Sequence[int],
    *,
    halves: int,
    seed: int = 0,
    n_threads: int | None = None,
    scorer_of: Callable[[System, SpeakerStore], Scorer] = Scorer.of,
) -> dict[int, list[Half]]:
    """Return the searches of random halves by the number of enrolled, at most half of the speakers.

    The first who are drawn are enrolled in all sizes of a half. What scores is made of a system and a store.
    """
    speaker = np.array([t.speaker for t in material.tests])
    possible = [n for n in sorted(sizes) if n <= len(material.speakers) // 2]
    found: dict[int, list[Half]] = {n: [] for n in possible}
    for i in range(halves):
        order = np.random.default_rng([seed, i]).permutation(material.speakers).tolist()
        with a_store(material.system) as store:
            for before, n in zip([0, *possible], possible, strict=False):
                store.add([x for s in order[before:n] for x in material.sessions[s]], samples=material.kept.samples)
                scorer = scorer_of(material.system, store)
                scores = _scores(scorer, material.tests, n_threads)
                found[n].append(Half(scorer.models.names, speaker, scores, limits(scorer)))
    return found


def accepted(halves: Sequence[Half], thresholds: Sequence[float]) -> Interval:
    """Return the share of strangers' tests that reach the threshold of their half, with its 95 % interval."""
    who = np.concatenate([h.speaker[~h.owners] for h in halves])
    hit = np.concatenate([h.best[~h.owners] >= limit for h, limit in zip(halves, thresholds, strict=True)])
    people, code = np.unique(who, return_inverse=True)
    hits, tests = np.bincount(code, hit), np.bincount(code)
    return bootstrap(lambda w: {"far": float(w @ hits / (w @ tests))}, people)["far"]


def missed(halves: Sequence[Half], thresholds: Sequence[float]) -> float:
    """Return the share of owners' tests that are not found: another is the best, or the threshold is not reached."""
    found = [h.found[h.owners] & (h.best[h.owners] >= t) for h, t in zip(halves, thresholds, strict=True)]
    return float(1.0 - np.concatenate(found).mean())


def oracle(halves: Sequence[Half], rate: float) -> float:
    """Return the one threshold that accepts exactly this share of the strangers' searches of all halves."""
    return float(np.quantile(np.concatenate([h.best[~h.owners] for h in halves]), 1.0 - rate, method="hazen"))


def _scores(scorer: Scorer, tests: Sequence[Spoken], n_threads: int | None) -> Array:
    """Return the scores of tests, (T, N); a test that cannot be scored raises its error."""
    scored = list(threads(n_threads)(lambda test: scorer.score_test(test.sounds), tests))
    for s in scored:
        if s.error is not None and s.scores is None:
            raise s.error
    return np.stack([s.normalized for s in scored if s.normalized is not None])

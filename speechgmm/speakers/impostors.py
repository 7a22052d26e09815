"""Impostor trials among people: each one's speech against all the others, as that of a stranger.

Whoever is tested takes no part in the domain that the others are scored in, for a stranger does not either. A store
learns from these trials how high its strangers come, and training learns from those of made-up stores how far such
trials tell it. Symbols: S people, C cohort, N frames, D dimensions, T tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechgmm.checks import Array
from speechgmm.mixture import Statistics
from speechgmm.parallel import threads
from speechgmm.speakers.by_recording import ByRecording
from speechgmm.speakers.calibration import AmountNorm
from speechgmm.speakers.domain import People
from speechgmm.speakers.models import SpeakerModels, adapted_models, cohort_models
from speechgmm.speakers.score_norm import t_norm
from speechgmm.speakers.sessions import Moments
from speechgmm.speakers.system import System

MOST_EACH = 4
"""So many recordings of one person are tested at most, and so many make models of their own in these trials."""
FRAMES = 300
"""So many frames of a recording are tested: drawn at random they serve as well as all of a recording."""


@dataclass(frozen=True)
class Heard:
    """Speech of a test: features (N, D), and how many seconds they are."""

    features: Array
    speech_seconds: float


def drawn_frames(features: Array, speech_seconds: float, rng: Any) -> Heard:
    """Return up to `FRAMES` frames in random order, and the seconds of speech that they stand for."""
    chosen = rng.permutation(len(features))[:FRAMES]
    return Heard(features[chosen], speech_seconds * len(chosen) / len(features))


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A recording that is tested against a model of all others of one of the people.

    Parameters
    ----------
    place : int
        Whose it is.
    own : Statistics
        Its `contribution`, which the others are without.
    speech_seconds : float
    heard : Heard
    others : sequence of Moments
        What is known of the others.
    """

    place: int
    own: Statistics
    speech_seconds: float
    heard: Heard
    others: Sequence[Moments]


@dataclass(frozen=True, eq=False)
class ScoredTrials:
    """Scores relative to a cohort, and what `AmountNorm` needs beside them.

    Parameters
    ----------
    scores : ndarray, shape (S, T)
    enrolled : ndarray, shape (S,)
    tested : ndarray, shape (T,)
        Seconds of speech.
    level : ndarray, shape (T,)
        Of the cohort in each test.
    """

    scores: Array
    enrolled: Array
    tested: Array
    level: Array

    def alike(self, amounts: AmountNorm) -> Array:
        """Return the scores (S, T) that are alike for strangers, whatever the amounts of speech."""
        return amounts(self.scores, self.enrolled[:, None], self.tested, self.level)


def relative_to_cohort(raw: Array, models: int, weights: Array) -> tuple[Array, float]:
    """Return the T-normalized scores (S,) of one test, and the level of the cohort in it.

    Those of each recording are normalized, and so is their mean, which varies less among impostors than they do. The
    level is how far the cohort's mean lies above a score of 0, which is what the background gets, in its deviations.

    Parameters
    ----------
    raw : ndarray, shape (S + C, R)
        Scores of the test's R recordings against S models, then against the cohort. Without one they are only averaged,
        and the level is 0.
    models : int
        S.
    weights : ndarray, shape (R,)
        What each recording counts for.
    """

    def middle(x: Array) -> Array:
        return x[:, 0] if x.shape[1] == 1 else np.average(x, axis=1, weights=weights)

    if len(raw) == models:
        return middle(raw), 0.0
    every = np.concatenate([np.zeros((1, raw.shape[1])), raw])
    if raw.shape[1] > 1:
        every = middle(t_norm(every, raw[models:]))[:, None]
    background, own = np.split(t_norm(every[: 1 + models], every[1 + models :])[:, 0], [1])
    return own, -float(background[0])


def models_among(system: System, people: People) -> SpeakerModels:
    """Return the models of people in their domain."""
    return adapted_models(system, people.names, people.statistics, people.speech_seconds, ubm=people.domain(system.ubm))


def scored_by(
    system: System, models: SpeakerModels, recordings: Sequence[Sequence[Moments]], cohort: Array | None
) -> Callable[[Array], Array]:
    """Return what gives the raw scores (S + C,) of frames (N, S D): see `trials`."""
    others = cohort_models(models.ubm, cohort)
    by_recording = ByRecording(models, system.relevance, recordings.__getitem__) if system.by_recording else None

    def score(x: Array) -> Array:
        own = models.ratios(x, n_threads=1)
        own = own if by_recording is None else by_recording.scores([x], own)
        return own if others is None else np.concatenate([own, others.ratios(x, n_threads=1)])

    return score


def trials(
    system: System,
    models: SpeakerModels,
    recordings: Sequence[Sequence[Moments]],
    cohort: Array | None,
    tests: Sequence[Sequence[Heard]],
    *,
    n_threads: int | None = None,
) -> ScoredTrials:
    """Score tests, of one recording or of several, against models in their domain.

    Parameters
    ----------
    system : System
    models : SpeakerModels
    recordings : sequence
        What is known of the single recordings of each of these people.
    cohort : ndarray, shape (C, K, D), or None
        Means of other people, relative to the background's.
    tests : sequence of sequence of Heard
        The recordings of each.
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.
    """
    score = scored_by(system, models, recordings, cohort)

    def scored(test: Sequence[Heard]) -> tuple[Array, float, float]:
        raw = np.stack([score(h.features) for h in test], axis=1)
        seconds = np.array([h.speech_seconds for h in test])
        return *relative_to_cohort(raw, len(models.names), np.sqrt(seconds)), float(seconds.sum())

    scores, level, tested = zip(*threads(n_threads)(scored, tests), strict=True)
    return ScoredTrials(np.stack(scores, axis=1), models.speech_seconds, np.array(tested), np.array(level))


def impostor_trials(
    system: System,
    people: People,
    speech: Mapping[str, Sequence[Heard]],
    cohort: Array | None,
    *,
    n_threads: int | None = None,
) -> tuple[ScoredTrials, ...]:
    """Return the trials of each of the people with `speech`, by name, against all the others."""
    found = []
    for i, name in enumerate(people.names):
        others = people.without(i)
        if speech.get(name) and others.names:
            models = models_among(system, others)
            single = [own[:MOST_EACH] for own in others.recordings]
            found.append(trials(system, models, single, cohort, [[h] for h in speech[name]], n_threads=n_threads))
    return tuple(found)


def owner_trials(
    system: System,
    people: People,
    left_out: Sequence[LeftOut],
    cohort: Array | None,
    *,
    n_threads: int | None = None,
) -> ScoredTrials:
    """Return the trials (n, 1) of n recordings of people, each against a model of all others of the same person."""
    rest = [_without(people.statistics[r.place], r.own) for r in left_out]
    seconds = [float(people.speech_seconds[r.place]) - r.speech_seconds for r in left_out]
    names = [people.names[r.place] for r in left_out]
    models = adapted_models(system, names, rest, seconds, people.domain(system.ubm))
    tests = [[r.heard] for r in left_out]
    found = trials(system, models, [r.others for r in left_out], cohort, tests, n_threads=n_threads)
    own, (tested, level) = found.scores.diagonal(), (x[:, None] for x in (found.tested, found.level))
    return ScoredTrials(own[:, None], found.enrolled, tested, level)


def _without(every: Statistics, own: Statistics) -> Statistics:
    """Return statistics without a part of them, as far as means need them."""
    counts = np.maximum(every.counts - own.counts, 0.0)
    first = np.where(counts[:, None] > 0, every.first - own.first, 0.0)
    return Statistics.computed(every.origin, counts, first, every.second, 0.0, max(every.frames - own.frames, 0.0))

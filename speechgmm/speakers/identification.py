"""Who speaks? And: is it this speaker? Answers with what they rest on.

Without a calibration the scores are raw log-likelihood ratios per frame: they rank speakers, and a decision needs a
threshold that the caller knows. Symbols: N frames, S speakers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import integer, number
from speechgmm.errors import SpeechGMMError, TooLittleSpeech
from speechgmm.features import Corpus, Extracted, extract_all
from speechgmm.parallel import Mapper
from speechgmm.speakers.score import enrolled_models, log_likelihood_ratios
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

__all__ = ["Candidate", "Identification", "Verification", "identify", "pooled", "score_test", "verify"]


@dataclass(frozen=True)
class Candidate:
    """A speaker, the log-likelihood ratio in nats a frame, and the posterior (None without calibration)."""

    speaker: str
    llr: float
    posterior: float | None = None


@dataclass(frozen=True)
class Identification:
    """Who speaks in a file.

    Parameters
    ----------
    file : str
    status : str
        "ranked" (no calibration, so no decision), "too_little_speech" or "error".
    error : str or None
    speech_seconds : float
    decision : str or None
        The accepted speaker.
    candidates : tuple of Candidate
        The best first.
    """

    file: str
    status: str
    error: str | None
    speech_seconds: float
    decision: str | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Verification:
    """Whether files are spoken by a speaker.

    Parameters
    ----------
    speaker : str
    status : str
        "accepted", "rejected", or "ranked" where there is neither calibration nor threshold, "too_little_speech" or
        "error" where no file could be used.
    llr : float or None
        Mean over the frames of all usable files, in nats a frame.
    threshold : float or None
    accepted : bool or None
    speech_seconds : float
    errors : tuple of (file, message)
        The files that were left out.
    """

    speaker: str
    status: str
    llr: float | None
    threshold: float | None
    accepted: bool | None
    speech_seconds: float
    errors: tuple[tuple[str, str], ...]


def identify(
    system: System,
    store: SpeakerStore,
    files: Iterable[str | os.PathLike[str]],
    *,
    top: int = 5,
    mapper: Mapper | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Identification, ...]:
    """Rank the enrolled speakers for each file; a bad file is reported in its place.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    files : iterable of path
    top : int
        How many candidates to give.
    mapper, on_progress
        See `speechgmm.features.extract_all`.
    """
    integer(top, "top", minimum=1)
    models = enrolled_models(system, store)
    results = []
    for e in extract_all(system.frontend, Corpus.from_files(files), mapper=mapper, on_progress=on_progress):
        try:
            llr = score_test(system, store, e)
        except SpeechGMMError as error:
            results.append(Identification(e.recording.name, _status(error), str(error), e.seconds, None, ()))
            continue
        best = np.argsort(-llr, kind="stable")[:top]
        candidates = tuple(Candidate(models.names[i], float(llr[i])) for i in best)
        results.append(Identification(e.recording.name, "ranked", None, e.seconds, None, candidates))
    return tuple(results)


def verify(
    system: System,
    store: SpeakerStore,
    speaker: str,
    files: Iterable[str | os.PathLike[str]],
    *,
    threshold: float | None = None,
    mapper: Mapper | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Verification:
    """Score files, pooled into one test, against one speaker.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    speaker : str
    files : iterable of path
    threshold : float, optional
        Accept from this log-likelihood ratio on, in nats a frame.
    mapper, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    UnknownSpeaker
        If the speaker is not enrolled.
    """
    if threshold is not None:
        top = float(np.finfo(float).max)
        threshold = number(threshold, "threshold", minimum=-top, maximum=top, unit=" nats a frame")
    models = enrolled_models(system, store, speaker)
    parts, errors, status = [], [], "error"
    for e in extract_all(system.frontend, Corpus.from_files(files), mapper=mapper, on_progress=on_progress):
        try:
            store.refuse_enrolled(e.digest, e.recording.path)
            parts.append((log_likelihood_ratios(system, models, usable(e)), e.seconds))
        except SpeechGMMError as error:
            errors.append((e.recording.name, str(error)))
            status = _status(error)
    if not parts:
        return Verification(speaker, status, None, threshold, None, 0.0, tuple(errors))
    llr, seconds = float(pooled(parts)[0]), sum(s for _, s in parts)
    accepted = None if threshold is None else llr >= threshold
    status = {None: "ranked", True: "accepted", False: "rejected"}[accepted]
    return Verification(speaker, status, llr, threshold, accepted, seconds, tuple(errors))


def score_test(system: System, store: SpeakerStore, extracted: Extracted) -> NDArray[Any]:
    """Return the log-likelihood ratio (S,) of one extracted recording against every enrolled speaker.

    Raises
    ------
    SpeechGMMError
        If it could not be extracted.
    SameRecording
        If it is enrolled itself.
    """
    if extracted.digest:
        store.refuse_enrolled(extracted.digest, extracted.recording.path)
    return log_likelihood_ratios(system, enrolled_models(system, store), usable(extracted))


def usable(extracted: Extracted) -> NDArray[Any]:
    """Return the features, or raise the error that took their place."""
    if extracted.features is None:
        assert extracted.error is not None
        raise extracted.error
    return extracted.features


def pooled(parts: Iterable[tuple[NDArray[Any], float]]) -> NDArray[Any]:
    """Return the mean of scores, each weighted by its seconds: the score of all recordings as one test."""
    scores, seconds = zip(*parts, strict=True)
    if len(scores) == 1:  # to the last bit, which scaling and dividing would change
        only: NDArray[Any] = scores[0]
        return only
    result: NDArray[Any] = np.average(np.stack(scores), axis=0, weights=seconds)
    return result


def _status(error: SpeechGMMError) -> str:
    return "too_little_speech" if isinstance(error, TooLittleSpeech) else "error"

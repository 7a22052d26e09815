"""Who speaks? And: is it this speaker? Answers with what they rest on.

With a calibration, scores are log-likelihood ratios (LLR) in nats against strangers, and decisions follow from a
`Rule`. Without, they are raw, in nats a frame: they rank speakers, and a decision needs a threshold that the caller
knows. Symbols: N frames, S speakers, C cohort.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import integer, refuse
from speechgmm.errors import SameRecording, SpeechGMMError, TooLittleSpeech
from speechgmm.features import Corpus, Extracted, extract_all
from speechgmm.parallel import Progress
from speechgmm.speakers.cohort import cohort_distances, distances, normalized, score_all
from speechgmm.speakers.decision import Rule, amount, decide, threshold_for
from speechgmm.speakers.score import SpeakerModels, enrolled_models
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

__all__ = ["Candidate", "Identification", "Verification", "identify", "pooled", "score_test", "verify"]

TOGETHER = "all files together"
"""What an error is filed under that belongs to no one file."""


@dataclass(frozen=True)
class Candidate:
    """A speaker, the log-likelihood ratio, and the posterior; without calibration raw, in nats a frame, and None."""

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
        "accepted", "unknown", "ranked" (no calibration, so no decision), "too_little_speech" or "error".
    error : str or None
    speech_seconds : float
    decision : str or None
        The accepted speaker.
    candidates : tuple of Candidate
        The best first; also where there is speech to rank speakers by, but too little to decide.
    threshold : float or None
        The LLR from which the best candidate is accepted; None where nothing is decided, or costs decide.
    extrapolated : bool
        Whether the threshold lies beyond what the calibration's data can support.
    """

    file: str
    status: str
    error: str | None
    speech_seconds: float
    decision: str | None
    candidates: tuple[Candidate, ...]
    threshold: float | None = None
    extrapolated: bool = False


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
        Of all usable files together: calibrated, in nats, or else the mean over their frames, in nats a frame.
    threshold : float or None
    accepted : bool or None
    speech_seconds : float
    errors : tuple of (file, message)
        The files that were left out.
    extrapolated : bool
        As in `Identification`.
    """

    speaker: str
    status: str
    llr: float | None
    threshold: float | None
    accepted: bool | None
    speech_seconds: float
    errors: tuple[tuple[str, str], ...]
    extrapolated: bool = False


def identify(
    system: System,
    store: SpeakerStore,
    files: Iterable[str | os.PathLike[str]],
    *,
    rule: Rule = Rule(),  # noqa: B008  (a frozen value)
    top: int = 5,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Identification, ...]:
    """Rank the enrolled speakers for each file; a bad file is reported in its place.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    files : iterable of path
    rule : Rule
        When to accept the best; by default so that one stranger in a hundred is accepted.
    top : int
        How many candidates to give.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    InvalidInput
        If the rule needs a calibration, and the system has none.
    """
    integer(top, "top", minimum=1)
    models = enrolled_models(system, store)
    threshold_for(system.calibration, rule, len(models.names))
    results = []
    for e in extract_all(system.frontend, Corpus.from_files(files), n_threads=n_threads, on_progress=on_progress):
        try:
            llr = calibrated(system, store, models, score_test(system, store, e), e.speech_seconds)
        except SpeechGMMError as error:
            results.append(Identification(e.name, _status(error), str(error), e.speech_seconds, None, ()))
            continue
        results.append(_answer(system, models.names, llr, e, rule, top))
    return tuple(results)


def _answer(
    system: System, names: tuple[str, ...], llr: NDArray[Any], e: Extracted, rule: Rule, top: int
) -> Identification:
    """Decide on one file, and list the best candidates."""
    best = np.argsort(-llr, kind="stable")[:top]
    name, c = e.name, system.calibration
    if c is None:
        candidates = tuple(Candidate(names[i], float(llr[i])) for i in best)
        if rule.threshold is None:
            return Identification(name, "ranked", None, e.speech_seconds, None, candidates)
        status, decision = ("accepted", names[best[0]]) if llr[best[0]] >= rule.threshold else ("unknown", None)
        return Identification(name, status, None, e.speech_seconds, decision, candidates, rule.threshold)
    found = decide(c, llr, rule)
    candidates = tuple(Candidate(names[i], float(llr[i]), found.posteriors[i]) for i in best)
    try:
        c.check_speech(e.speech_seconds, name)
    except TooLittleSpeech as error:
        return Identification(name, _status(error), str(error), e.speech_seconds, None, candidates)
    status = "unknown" if found.accepted is None else "accepted"
    decision = None if found.accepted is None else names[found.accepted]
    return Identification(
        name, status, None, e.speech_seconds, decision, candidates, found.threshold, found.extrapolated
    )


def verify(
    system: System,
    store: SpeakerStore,
    speaker: str,
    files: Iterable[str | os.PathLike[str]],
    *,
    rule: Rule = Rule(),  # noqa: B008  (a frozen value)
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Verification:
    """Score files, pooled into one test, against one speaker.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    speaker : str
    files : iterable of path
    rule : Rule
        When to accept; by default so that one stranger in a hundred is accepted, where there is a calibration.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    UnknownSpeaker
        If the speaker is not enrolled.
    InvalidInput
        If the rule needs a calibration, and the system has none.
    """
    threshold, extrapolated = threshold_for(system.calibration, rule, 1)
    models = enrolled_models(system, store, speaker)
    parts, errors, status = [], [], "error"
    heard: set[str] = set()
    for e in extract_all(system.frontend, Corpus.from_files(files), n_threads=n_threads, on_progress=on_progress):
        try:
            refuse_heard(e, heard)
            store.refuse_enrolled(e.digest, e.recording.path)
            parts.append((score_all(system, models, e.usable()), e.speech_seconds))
        except SpeechGMMError as error:
            errors.append((e.name, str(error)))
            status = _status(error)
    if not parts:
        return Verification(speaker, status, None, threshold, None, 0.0, tuple(errors))
    seconds = sum(s for _, s in parts)
    llr = float(calibrated(system, store, models, pooled(parts), seconds)[0])
    if system.calibration is not None:
        try:
            system.calibration.check_speech(seconds, TOGETHER)
        except TooLittleSpeech as error:
            errors.append((TOGETHER, str(error)))
            return Verification(speaker, _status(error), llr, threshold, None, seconds, tuple(errors), extrapolated)
    accepted = None if threshold is None else llr >= threshold
    status = {None: "ranked", True: "accepted", False: "rejected"}[accepted]
    return Verification(speaker, status, llr, threshold, accepted, seconds, tuple(errors), extrapolated)


def score_test(system: System, store: SpeakerStore, extracted: Extracted) -> NDArray[Any]:
    """Return the raw score of one extracted recording against every enrolled speaker, then the cohort: (S + C,).

    Raises
    ------
    SpeechGMMError
        If it could not be extracted.
    SameRecording
        If it is enrolled itself.
    """
    if extracted.digest:
        store.refuse_enrolled(extracted.digest, extracted.recording.path)
    return score_all(system, enrolled_models(system, store), extracted.usable())


def calibrated(
    system: System, store: SpeakerStore, models: SpeakerModels, scores: NDArray[Any], seconds: float
) -> NDArray[Any]:
    """Return calibrated LLRs (S,) from the raw scores of `score_test`, or the same where there is no calibration."""
    c = system.calibration
    if c is None:
        return scores
    key = ("distances", system.fingerprint, system.relevance, models.names)
    own = store.cached(key, lambda: distances(models))
    z = normalized(scores[:, None], own, cohort_distances(system))[:, 0]
    return c.llr(z, amount(models.seconds, seconds))


def refuse_heard(extracted: Extracted, heard: set[str]) -> None:
    """Refuse a recording whose digest is among those heard in the same test, and add it to them.

    Raises
    ------
    SameRecording
    """
    if extracted.digest in heard:
        rule = "be given once in a test"
        refuse(extracted.recording.path, rule, "the same samples again", error=SameRecording)
    if extracted.digest:
        heard.add(extracted.digest)


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

"""Scores of whole test lists: every test of a corpus against every enrolled speaker, or the pairs of a trial list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import choice, refuse
from speechgmm.errors import Skipped, SpeechGMMError, UnknownSpeaker
from speechgmm.evaluation import Scores, Trials
from speechgmm.features import Recording, extract_all
from speechgmm.parallel import Progress
from speechgmm.speakers.identification import calibrated, pooled, refuse_heard, score_test
from speechgmm.speakers.score import SpeakerModels, enrolled_models
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

__all__ = ["Scored", "score_corpus", "score_trials"]


@dataclass(frozen=True, eq=False)
class Scored:
    """The `scores`, and the recordings that were left out with the reason for each."""

    scores: Scores
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, eq=False)
class _Test:
    """One test: a recording, or all of a session, with its scores (S,)."""

    name: str
    speaker: str
    session: str
    seconds: float
    llr: NDArray[Any]


def score_corpus(
    system: System,
    store: SpeakerStore,
    recordings: Iterable[Recording],
    *,
    by: str = "file",
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Scored:
    """Score every recording, or every session, against every enrolled speaker.

    The scores are calibrated log-likelihood ratios in nats, or raw ones, in nats a frame, without a calibration.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    recordings : iterable of Recording
        Their speakers say which trials are target trials; nobody needs to be enrolled for a recording to be a test.
    by : str
        "file", or "session" to pool all recordings of one (speaker, session): the mean over all their frames.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be scored; the first reason is given.
    """
    choice(by, "by", ("file", "session"))
    models = enrolled_models(system, store)
    tests, skipped = _score(system, store, models, recordings, by, n_threads, on_progress)
    pairs = [(t, i) for t in tests for i in range(len(models.names))]
    labels = [int(t.speaker == models.names[i]) for t, i in pairs]
    return Scored(_scores(models, pairs, labels), skipped)


def score_trials(
    system: System,
    store: SpeakerStore,
    trials: Trials,
    recordings: Iterable[Recording] | None = None,
    *,
    folder: str | Path = ".",
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Scored:
    """Score the pairs of a trial list.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    trials : Trials
        Tests are names of `recordings` or, without these, paths relative to `folder`.
    recordings : iterable of Recording, optional
    folder : path
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    UnknownSpeaker
        If a speaker of the list is not enrolled.
    InvalidInput
        If a test is not among the recordings, or none could be scored.
    """
    models = enrolled_models(system, store)
    place = {name: i for i, name in enumerate(models.names)}
    if lost := sorted(set(trials.speaker.tolist()) - set(place)):
        found = f"{lost[0]!r} ({len(lost)} in all)"
        refuse("the speakers of a trial list", "be enrolled", found, "Enroll them first.", error=UnknownSpeaker)
    names = list(dict.fromkeys(trials.test.tolist()))
    if recordings is None:
        wanted = [Recording(str(Path(folder) / n), "", n) for n in names]
    else:
        known = {r.name: r for r in recordings}
        if missing := [n for n in names if n not in known]:
            found = f"{missing[0]!r} ({len(missing)} in all)"
            refuse("the tests of a trial list", "be recordings of the manifest", found)
        wanted = [known[n] for n in names]
    tests, skipped = _score(system, store, models, wanted, "file", n_threads, on_progress)
    by_name = {t.name: t for t in tests}
    rows = zip(trials.speaker.tolist(), trials.test.tolist(), trials.target.tolist(), strict=True)
    kept = [(by_name[test], place[speaker], target) for speaker, test, target in rows if test in by_name]
    return Scored(_scores(models, [(t, i) for t, i, _ in kept], [k[2] for k in kept]), skipped)


def _score(
    system: System,
    store: SpeakerStore,
    models: SpeakerModels,
    recordings: Iterable[Recording],
    by: str,
    n_threads: int | None,
    on_progress: Progress | None,
) -> tuple[list[_Test], tuple[Skipped, ...]]:
    """Score recordings against all speakers, and pool those of a session where asked."""
    skipped = []
    groups: dict[tuple[str, str, str], list[tuple[NDArray[Any], float]]] = {}
    heard: dict[tuple[str, str], set[str]] = {}
    for e in extract_all(system.frontend, recordings, n_threads=n_threads, on_progress=on_progress):
        r = e.recording
        name = f"{r.speaker}/{r.session_name}" if by == "session" else r.name
        try:
            refuse_heard(e, heard.setdefault((name, r.speaker), set()))
            llr = score_test(system, store, e)
        except SpeechGMMError as error:
            skipped.append(Skipped(r.name, str(error)))
            continue
        groups.setdefault((name, r.speaker, r.session or ""), []).append((llr, e.speech_seconds))
    if not groups:
        found = f"none of {len(skipped)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        refuse("tests", "be at least one recording that can be scored", found)
    tests = []
    for key, parts in groups.items():
        seconds = sum(s for _, s in parts)
        tests.append(_Test(*key, seconds, calibrated(system, store, models, pooled(parts), seconds)))
    return tests, tuple(skipped)


def _scores(models: SpeakerModels, pairs: list[tuple[_Test, int]], labels: list[int]) -> Scores:
    """Return one row for each (test, index of speaker); columns that nothing is known of are left out."""
    tests, index = [t for t, _ in pairs], np.array([i for _, i in pairs])
    speakers, sessions = [t.speaker for t in tests], [t.session for t in tests]
    return Scores(
        speaker=np.array(models.names)[index],
        test=np.array([t.name for t in tests]),
        score=np.array([t.llr[i] for t, i in pairs]),
        target=np.array(labels, dtype=np.int8),
        test_speaker=np.array(speakers) if any(speakers) else None,
        session=np.array(sessions) if any(sessions) else None,
        enroll_seconds=models.seconds[index],
        test_seconds=np.array([t.seconds for t in tests]),
    )

"""From recordings to enrolled speakers: sound -> front end -> statistics against the UBM -> store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from speechgmm.errors import Skipped
from speechgmm.features import Extracted, Recording, extract_all
from speechgmm.parallel import Progress
from speechgmm.speakers.sessions import Session
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System
from speechgmm.storage import fingerprint

__all__ = ["Enrollment", "enroll", "enroll_features"]


@dataclass(frozen=True)
class Enrollment:
    """What was enrolled: names of (speaker, session) with their seconds of speech, and what was left out."""

    sessions: tuple[tuple[str, str, float], ...]
    skipped: tuple[Skipped, ...]


def enroll(
    system: System,
    store: SpeakerStore,
    recordings: Iterable[Recording],
    *,
    replace: bool = False,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Enrollment:
    """Enroll recordings under their speakers and sessions.

    A recording that cannot be used, or is enrolled already by whatever name, is left out and reported.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    recordings : iterable of Recording
        Those of one (speaker, session) are pooled; without a session each recording is its own.
    replace : bool
        Forget first what is enrolled of each (speaker, session) that has a usable recording. Then one that is
        enrolled already elsewhere refuses all.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Raises
    ------
    SameRecording
        If every good recording is enrolled already: then nothing changes.
    IncompatibleModel
        If the store is of another system.
    """
    store.check_system(system)
    skipped: list[Skipped] = []
    sessions: list[Session] = []
    for e in extract_all(system.frontend, recordings, n_threads=n_threads, on_progress=on_progress):
        if e.features is None:
            skipped.append(Skipped(e.name, str(e.error)))
            continue
        sessions.append(_session(system, e))
    forget = {(s.speaker, s.name) for s in sessions} if replace else ()
    refused = store.add(sessions, forget=forget, strict=replace)
    skipped += [Skipped(next(iter(s.recordings.values())), str(error)) for s, error in refused]
    lost = {id(s) for s, _ in refused}
    seconds: dict[tuple[str, str], float] = {}
    for s in sessions:
        if id(s) not in lost:
            seconds[s.speaker, s.name] = seconds.get((s.speaker, s.name), 0.0) + s.seconds
    done = tuple((speaker, name, total) for (speaker, name), total in seconds.items())
    return Enrollment(done, tuple(skipped))


def enroll_features(
    system: System, store: SpeakerStore, speaker: str, features: ArrayLike, *, session: str = "features"
) -> Session:
    """Enroll a speaker from features (N, D) of the system's front end instead of from sound."""
    store.check_system(system)
    x = system.check_features(features)
    seconds = len(x) * system.frontend.hop_length
    made = Session(speaker, session, system.statistics(x), seconds, {fingerprint(x): f"{session} of {speaker}"})
    store.add([made])
    return made


def _session(system: System, e: Extracted) -> Session:
    r = e.recording
    assert e.features is not None
    return Session(r.speaker, r.session_name, system.statistics(e.features), e.speech_seconds, {e.digest: r.name})

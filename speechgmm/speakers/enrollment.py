"""From recordings to enrolled speakers: sound -> front end -> statistics against the UBM -> store."""

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from speechgmm.checks import number_of
from speechgmm.errors import Skipped
from speechgmm.evaluation.decision import Unfamiliar
from speechgmm.features import Recording, extract_all
from speechgmm.looks import Look, Shown, some_rows
from speechgmm.mixture import Statistics
from speechgmm.parallel import Progress, total
from speechgmm.speakers.enrolled import surroundings
from speechgmm.speakers.recording_samples import sample_of, unit_of
from speechgmm.speakers.recording_weights import contribution
from speechgmm.speakers.sessions import (
    EnrolledRecording,
    RecordingSample,
    Session,
    SessionSummary,
    summable,
    summable_seconds,
    sums_by_key,
)
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_domain import Surroundings
from speechgmm.speakers.system import System
from speechgmm.storage import fingerprint


@dataclass(frozen=True)
class LittleSpeech:
    """A speaker with less speech than half of the models had that the calibration was fitted on.

    Parameters
    ----------
    speaker : str
    speech_seconds : float
        In all of their sessions.
    wanted_seconds : float
        That would do.
    """

    speaker: str
    speech_seconds: float
    wanted_seconds: float

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"{self.speaker} has {self.speech_seconds:.2f} s of speech enrolled, where half of the models that this "
            f"system was calibrated on had {self.wanted_seconds:.2f} s or more: many answers about {self.speaker} "
            f"will be 'unknown'. Enroll {self.wanted_seconds - self.speech_seconds:.2f} s more."
        )


@dataclass(frozen=True)
class UnfamiliarRecording:
    """An enrolled recording that is unlike those that the model and the store know: its name and why."""

    name: str
    why: Unfamiliar

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.name} is unfamiliar: {self.why.reason}"


@dataclass(frozen=True)
class Enrollment(Shown):
    """What has been added to each session, what was left out, who has `little` speech now, and what is `unfamiliar`."""

    sessions: tuple[SessionSummary, ...]
    skipped: tuple[Skipped, ...]
    little: tuple[LittleSpeech, ...] = ()
    unfamiliar: tuple[UnfamiliarRecording, ...] = ()

    def _look(self) -> Look:
        people = len({s.speaker for s in self.sessions})
        words = [number_of(people, "speaker"), number_of(len(self.sessions), "session")]
        told = {"left out": self.skipped, "with little speech": self.little, "unfamiliar": self.unfamiliar}
        words += [f"{len(those)} {what}" for what, those in told.items() if those]
        rows = [(s.speaker, s.name, len(s.recordings), f"{s.speech_seconds:.1f}") for s in self.sessions]
        added = some_rows("added", ("speaker", "session", ">recordings", ">speech, s"), rows)
        lost = [(s.name, s.reason) for s in self.skipped]
        left = (some_rows("left out", ("recording", "why"), lost),) if lost else ()
        doubts = "\n".join(map(str, (*self.little, *self.unfamiliar)))
        return Look(tuple(words), {"to beware of": doubts} if doubts else {}, (added, *left))


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

    Examples
    --------
    Two voices of the corpus of a checkout:

    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> done = enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> [(s.speaker, len(s.recordings)) for s in done.sessions]
    [('rms', 2), ('slt', 2)]
    >>> store.close()
    >>> folder.cleanup()
    """
    store.check_system(system)
    skipped: list[Skipped] = []
    sessions: list[Session] = []
    samples: list[RecordingSample] = []
    for e in extract_all(system.frontend, recordings, n_threads=n_threads, on_progress=on_progress):
        if e.error:
            skipped.append(Skipped(e.name, str(e.error)))
            continue
        statistics = total(map(system.ubm.statistics, e.blocks()))
        sample = sample_of(system.ubm, e.digest, statistics, e.usable(), e.speech_seconds, e.acoustics)
        samples.append(sample)
        sessions.append(_session(system, e.recording, e.digest, statistics, e.speech_seconds))
    forget = {(s.speaker, s.name) for s in sessions} if replace else ()
    refused = store.add(sessions, samples=samples, forget=forget, strict=replace)
    skipped += [Skipped(s.summary.recordings[0], str(error)) for s, error in refused]
    lost = {s for s, _ in refused}
    added = sums_by_key(((s.speaker, s.name), s) for s in sessions if s not in lost)
    little = little_speech(system, store, {speaker for speaker, _ in added})
    around = surroundings(system, store) if added else None
    taken = {digest for session in added.values() for digest in session.recordings}
    known = {digest: r for digest, r in store.recordings().items() if digest in taken} if around else {}
    told = _unfamiliar(around, samples, known)
    return Enrollment(tuple(s.summary for s in added.values()), tuple(skipped), little, told)


def unfamiliar_recordings(system: System, store: SpeakerStore) -> tuple[UnfamiliarRecording, ...]:
    """Return which enrolled recordings are unlike those of other people in the store and of the model's background.

    None are told of a system that knows nothing of what is familiar.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> unfamiliar_recordings(system, store)
    ()
    >>> store.close()
    >>> folder.cleanup()
    """
    if system.familiarity is None:
        return ()
    known = store.recordings()
    samples, _ = store.samples(known)
    return _unfamiliar(surroundings(system, store), samples, known)


def _unfamiliar(
    around: Surroundings | None, samples: Iterable[RecordingSample], known: Mapping[str, EnrolledRecording]
) -> tuple[UnfamiliarRecording, ...]:
    """Return which of these recordings are unfamiliar."""
    if around is None:
        return ()
    familiar = functools.cache(around.familiar)
    found = [(known[digest], s.measures) for digest, s in {s.digest: s for s in samples}.items() if digest in known]
    reasons = [(r.name, familiar(r.speaker).assess(measures)) for r, measures in found if measures.size]
    return tuple(UnfamiliarRecording(name, why) for name, why in reasons if why is not None)


def little_speech(system: System, store: SpeakerStore, speakers: Collection[str]) -> tuple[LittleSpeech, ...]:
    """Return who of these speakers has too little speech enrolled to be found; nobody without a calibration.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> from speechgmm.features import Recording
    >>> system, folder = speechgmm.default_system(), tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, [Recording("data/slt/s1_1.flac", "slt", "a piece", end=2.0)])
    >>> [(who.speaker, who.speech_seconds < who.wanted_seconds) for who in little_speech(system, store, ["slt"])]
    [('slt', True)]
    >>> store.close()
    >>> folder.cleanup()
    """
    wanted = 0.0 if system.calibration is None else system.calibration.usual_seconds
    if not speakers or not wanted:
        return ()
    held = dict.fromkeys(sorted(speakers), 0.0)
    for s in store.overview(*held):
        held[s.speaker] += s.speech_seconds
    return tuple(LittleSpeech(name, seconds, wanted) for name, seconds in held.items() if seconds < wanted)


def enroll_features(
    system: System, store: SpeakerStore, speaker: str, features: ArrayLike, *, session: str = "features"
) -> Session:
    """Enroll a speaker from features (N, D) of the system's front end instead of from sound.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import SpeakerStore, System
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> session = enroll_features(system, store, "ann", [[8.0]] * 300)
    >>> store.speakers, session.speech_seconds
    (('ann',), 3.0)
    >>> store.close()
    >>> folder.cleanup()
    """
    store.check_system(system)
    x = system.check_features(features)
    statistics, seconds, digest = system.ubm.statistics(x), system.frontend.seconds(x), fingerprint(x)
    recording = Recording("", speaker, f"{session} of {speaker}", session)
    made = _session(system, recording, digest, statistics, seconds)
    store.add([made], samples=[sample_of(system.ubm, digest, statistics, x, seconds)])
    return made


def _session(system: System, r: Recording, digest: str, statistics: Statistics, seconds: float) -> Session:
    """Return a session of one recording, in numbers that can be added exactly."""
    exact = summable(contribution(statistics), unit_of(system.ubm))
    return Session(r.speaker, r.session_name, exact, summable_seconds(seconds), {digest: r.name})

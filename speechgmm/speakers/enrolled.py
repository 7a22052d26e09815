"""Everybody in a store, ready to be scored: their domain, their models, and how high their impostors come.

Nothing of it is kept: it follows from who is enrolled, whatever the order in which they came. Symbols: D dimensions.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.features import Acoustics
from speechgmm.mixture import UBM, Statistics
from speechgmm.speakers.by_recording import RECORDINGS, ByRecording
from speechgmm.speakers.calibration import ASSURED, AmountNorm, StoreNorm, SystemCalibration, amount, impostor_level
from speechgmm.speakers.damage import DamagedSession, refuse_damaged, warn_of
from speechgmm.speakers.domain import MOST, People, content
from speechgmm.speakers.familiarity import Familiarity, measures
from speechgmm.speakers.impostors import MOST_EACH, Heard, LeftOut, drawn_frames, impostor_trials, owner_trials
from speechgmm.speakers.models import SpeakerModels, speaker_models
from speechgmm.speakers.packaged import default_system
from speechgmm.speakers.sessions import RecordingSample, Session, first_order, strange_to, sums_by_key
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

SMALLEST = 1e-9
"""A spread of raw scores is at least that, in nats per frame."""
_OWN_EACH, _OWN_SECONDS = 2, 1.0
"""So many recordings of one person are tested against their others, where these hold more than a second of speech."""
MOST_TESTED = 20
_RECORDINGS = 40
"""So many people are tested against each other at most, and so many recordings of all of them together, which takes
some tenths of a second."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a system knows of familiar recordings, and how those of each enrolled speaker measure."""

    background: Familiarity
    measured: Mapping[str, Array]

    def familiar(self, but: str | None = None) -> Familiarity:
        """Return what is familiar among the people enrolled; nobody vouches for their own recordings: all `but` one."""
        return self.background.among([m for name, m in self.measured.items() if name != but])


@dataclass(frozen=True, eq=False)
class Domain:
    """What follows from who is enrolled.

    Parameters
    ----------
    ubm : UBM
        The system's UBM, moved to where they were recorded.
    calibration : SystemCalibration or None
        The system's own; or, where it has none and people enough are enrolled, a borrowed one (see `borrowed`).
    norm : StoreNorm or None
        How high their impostors come; None without a calibration.
    surroundings : Surroundings or None
        What recordings are like those of the people enrolled, and of the background.
    damaged : tuple of DamagedSession
        What of the store it had to do without.
    """

    ubm: UBM
    calibration: SystemCalibration | None
    norm: StoreNorm | None
    surroundings: Surroundings | None
    damaged: tuple[DamagedSession, ...]


@dataclass(frozen=True, eq=False)
class Enrolled:
    """The `models` of enrolled speakers, the `domain` of the store, and `by_recording`, where single ones count."""

    models: SpeakerModels
    domain: Domain
    by_recording: ByRecording | None


def enrolled(system: System, store: SpeakerStore, *speakers: str, n_threads: int | None = None) -> Enrolled:
    """Return the models of these enrolled speakers, or of all, and their domain; kept until the store changes.

    Damaged sessions are left out, with a `DamagedSessionWarning` and as ``models.damaged``: a speaker's model is that
    of the sessions that are whole, and a speaker without any has none.

    Parameters
    ----------
    system : System
    store : SpeakerStore
    *speakers : str
    n_threads : int, optional
        Default: the cores of this process. It changes the time and nothing else.

    Raises
    ------
    UnknownSpeaker
        If one of them is not enrolled.
    InvalidInput
        If no session is whole, or none of one of the speakers that were asked for.
    IncompatibleModel
        If the store is of another system.
    """
    store.check_system(system)

    def build() -> Enrolled:
        asked = store.known(*speakers) if speakers else ()
        digests = store.digests()
        pool = _ordered(digests)[:MOST]
        sums, damaged = whole_sums(system, store, *(dict.fromkeys([*pool, *asked]) if asked else ()))
        if lost := [d for d in damaged if d.speaker not in sums and (d.speaker in asked if asked else not sums)]:
            refuse_damaged("the sessions to score against", lost)
        domain = _kept(system, store, pool, lambda: sums, digests, n_threads)
        wanted = {n: sums[n] for n in asked or sums}
        seconds = {name: s.speech_seconds for name, s in wanted.items()}
        models = speaker_models(system, {n: s.statistics for n, s in wanted.items()}, seconds, ubm=domain.ubm)
        told = tuple(dict.fromkeys([*(d for d in damaged if d.speaker in wanted or not asked), *domain.damaged]))
        models = dataclasses.replace(models, damaged=told)
        if not system.by_recording:
            return Enrolled(models, domain, None)

        recordings = {n: s.recordings for n, s in wanted.items()}
        return Enrolled(models, domain, single_recordings(system, store, models, recordings, told))

    found = store.cached((*_made_by(system), speakers), build)
    warn_of(found.models.damaged)
    return found


def enrolled_models(system: System, store: SpeakerStore, *speakers: str) -> SpeakerModels:
    """Return the models of these enrolled speakers, or of all, in the domain of the store: see `enrolled`."""
    return enrolled(system, store, *speakers).models


def domain_of(system: System, store: SpeakerStore, *, n_threads: int | None = None) -> Domain:
    """Return the domain of a store, as `enrolled` has it, without reading what is enrolled of all others."""
    store.check_system(system)
    digests = store.digests()
    pool = _ordered(digests)[:MOST]
    return _kept(system, store, pool, lambda: whole_sums(system, store, *pool)[0] if pool else {}, digests, n_threads)


def single_recordings(
    system: System,
    store: SpeakerStore,
    models: SpeakerModels,
    digests: Mapping[str, Iterable[str]],
    told: Sequence[DamagedSession] = (),
) -> ByRecording:
    """Return the single recordings of enrolled people, by the digests of each; `told`: what is known to be damaged."""

    def recordings(i: int) -> Sequence[RecordingSample]:
        samples, lost = _samples(store, {"": digests[models.names[i]]}, RECORDINGS)
        warn_of(tuple(d for d in lost if d not in told))
        return samples[""]

    return ByRecording(models, system.relevance, recordings)


def _made_by(system: System) -> tuple[object, ...]:
    """Return what of a system decides on what is kept beside a store."""
    return system.fingerprint, system.relevance, system.calibration, system.by_recording


def _kept(
    system: System,
    store: SpeakerStore,
    pool: Sequence[str],
    sums: Callable[[], Mapping[str, Session]],
    digests: Mapping[str, Iterable[str]],
    n_threads: int | None,
) -> Domain:
    """Return the domain of the people in the pool; kept until the store changes."""

    def build() -> Domain:
        every = sums()
        return _domain(system, store, [n for n in pool if n in every], every, digests, n_threads)

    return store.cached((*_made_by(system), "domain"), build)


def whole_sums(
    system: System, store: SpeakerStore, *speakers: str
) -> tuple[dict[str, Session], tuple[DamagedSession, ...]]:
    """Return what is enrolled of each speaker in whole sessions, and the damaged ones."""
    sessions, damaged = store.read(*speakers)
    strange = {s: reason for s in sessions if (reason := strange_to(system.ubm, s.statistics))}
    damaged += tuple(DamagedSession.of(s.speaker, s.name, why, store.location) for s, why in strange.items())
    return sums_by_key((s.speaker, s) for s in sessions if s not in strange), damaged


def _domain(
    system: System,
    store: SpeakerStore,
    pool: Sequence[str],
    sums: Mapping[str, Session],
    digests: Mapping[str, Iterable[str]],
    n_threads: int | None,
) -> Domain:
    """Return the domain of the people in the pool."""
    statistics = tuple(sums[n].statistics for n in pool)
    people = People(tuple(pool), statistics, np.array([sums[n].speech_seconds for n in pool]))
    ubm, size, calibration = people.domain(system.ubm), len(digests), system.calibration
    tested = people.first(MOST_TESTED)
    own = {n: sums[n].recordings for n in tested.names}
    every, damaged = _samples(store, own, MOST_EACH if system.by_recording else _each(own))
    tested = dataclasses.replace(tested, recordings=tuple(every[n] for n in tested.names))
    kept = {n: samples[: _each(own)] for n, samples in every.items()}
    familiarity = _measured(system, kept)
    if calibration is None and size < ASSURED:
        return Domain(ubm, None, None, familiarity, damaged)
    speech = {n: [heard(system.ubm, s) for s in own] for n, own in kept.items()}
    cohort = None if calibration is None else calibration.cohort
    trials = impostor_trials(system, tested, speech, cohort, n_threads=n_threads)
    if calibration is not None:
        levels = calibration.levels
        norm = levels.norm(size, [t.alike(levels.amounts) for t in trials])
    elif len(trials) >= ASSURED:
        calibration = borrowed()
        location, scale = impostor_level([t.scores for t in trials])
        norm = StoreNorm(size, location, max(scale, SMALLEST))
    else:
        return Domain(ubm, None, None, familiarity, damaged)
    calibration = _with_owners(system, tested, kept, calibration, norm, cohort, n_threads)
    return Domain(ubm, calibration, norm, familiarity, damaged)


def surroundings(system: System, store: SpeakerStore) -> Surroundings | None:
    """Return what recordings are like those of a store, from samples alone: no session is read and nobody is scored."""
    if system.familiarity is None:
        return None
    digests = store.digests()
    own = {n: digests[n] for n in _ordered(digests)[:MOST_TESTED]}
    return _measured(system, _samples(store, own, _each(own))[0])


def _ordered(digests: Mapping[str, Iterable[str]]) -> list[str]:
    """Return speakers in the order of their content."""
    return sorted(digests, key=lambda name: (content(name, digests[name]), name))


def _each(people: Sized) -> int:
    """Return how many recordings of each of these people are tested."""
    return int(np.clip(_RECORDINGS // max(len(people), 1), 1, MOST_EACH))


def _samples(
    store: SpeakerStore, recordings: Mapping[str, Iterable[str]], most: int
) -> tuple[dict[str, list[RecordingSample]], tuple[DamagedSession, ...]]:
    """Return what is kept of so many recordings of each of these people, given by digests, and what is damaged."""
    chosen = {n: sorted(digests)[:most] for n, digests in recordings.items()}
    samples, damaged = store.samples(d for own in chosen.values() for d in own)
    by_digest = {s.digest: s for s in samples}
    return {n: [by_digest[d] for d in own if d in by_digest] for n, own in chosen.items()}, damaged


def _measured(system: System, kept: Mapping[str, Sequence[RecordingSample]]) -> Surroundings | None:
    """Return how the recordings of people measure, None for a system that does not know what is familiar."""
    if system.familiarity is None:
        return None
    known = {n: own for n, own in kept.items() if own and all(s.measures.size for s in own)}
    return Surroundings(system.familiarity, {n: np.mean([s.measures for s in own], axis=0) for n, own in known.items()})


def _with_owners(
    system: System,
    people: People,
    kept: Mapping[str, Sequence[RecordingSample]],
    calibration: SystemCalibration,
    norm: StoreNorm,
    cohort: Array | None,
    n_threads: int | None,
) -> SystemCalibration:
    """Return a calibration that knows where the store's own people score against themselves."""
    ubm, left_out = system.ubm, []
    for i, name in enumerate(people.names):
        for s in kept[name][:_OWN_EACH]:
            if people.speech_seconds[i] - s.speech_seconds > _OWN_SECONDS:
                others = [r for r in people.recordings[i] if r is not s]
                left_out.append(
                    LeftOut(i, first_order(s.counts, s.first, ubm.origin), s.speech_seconds, heard(ubm, s), others)
                )
    if not left_out:
        return calibration
    found = owner_trials(system, people, left_out, cohort, n_threads=n_threads)
    scores = norm(found.alike(calibration.levels.amounts))[:, 0]
    amounts = amount(found.enrolled, found.tested[:, 0])
    owners = calibration.owners.met(scores, amounts, [r.place for r in left_out])
    return dataclasses.replace(calibration, owners=owners)


@functools.cache
def borrowed() -> SystemCalibration:
    """Return what a system without a calibration of its own decides by, where its store holds people enough.

    How high strangers come is told by the store's own impostor trials; how scores are spread about that, and what they
    say as log-likelihood ratios, is that of the packaged model. Amounts of speech are not corrected for.
    """
    calibration = default_system().calibration
    assert calibration is not None
    levels = calibration.levels
    plain = AmountNorm(np.zeros(3), np.zeros(3), levels.amounts.low, levels.amounts.high)
    return dataclasses.replace(calibration, levels=dataclasses.replace(levels, amounts=plain), usual_seconds=0.0)


def sample_of(
    ubm: UBM,
    digest: str,
    statistics: Statistics,
    features: Array,
    speech_seconds: float,
    acoustics: Acoustics | None = None,
) -> RecordingSample:
    """Return what is kept of a recording: its own statistics and measures, and some of its frames, drawn by its digest.

    Parameters
    ----------
    ubm : UBM
        Of the system.
    digest : str
        Of the recording.
    statistics : Statistics
    features : ndarray, shape (N, D)
    speech_seconds : float
    acoustics : Acoustics, optional
        How it sounds, where the front end says so.
    """
    seed = int.from_bytes(digest.encode()[:16], "big")
    drawn = drawn_frames(features, speech_seconds, np.random.default_rng(seed))
    largest = float(np.finfo(np.float16).max)
    origin, unit = _of_frames(ubm)
    frames = np.clip((drawn.features - origin) / unit, -largest, largest)
    return RecordingSample(
        digest,
        speech_seconds,
        statistics.counts,
        statistics.first,
        frames,
        drawn.speech_seconds,
        measures(statistics.mean_log_likelihood, acoustics),
    )


def heard(ubm: UBM, sample: RecordingSample) -> Heard:
    """Return the frames of a sample as features (n, S D) again."""
    if sample.frames.shape[1] != ubm.n_dimensions:
        found = f"{sample.frames.shape[1]} of {sample.digest}"
        refuse("a sample of a recording", f"have {ubm.n_dimensions} features", found, error=IncompatibleModel)
    origin, unit = _of_frames(ubm)
    features = origin + unit * sample.frames.astype(np.float64)
    return Heard(features.astype(np.float32), sample.frame_seconds)


def unit_of(ubm: UBM) -> Array:
    """Return the deviation (D,) of the components in each feature."""
    deviations = np.broadcast_to(ubm.covariance.deviations(), ubm.means.shape)
    return np.asarray(deviations.mean(axis=0))


def _of_frames(ubm: UBM) -> tuple[Array, Array]:
    """Return the origin and the deviation of each feature of a frame, which may hold several streams of D."""
    origin, unit = (np.resize(x, ubm.n_dimensions) for x in (ubm.origin, unit_of(ubm)))
    return origin, unit

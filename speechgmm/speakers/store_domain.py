"""The domain of a store: where its people were recorded, what recordings are like there, how high impostors come.

It follows from few of them, however many are enrolled (`domain.MOST`): as long as these are the same, and the same is
kept of them, it is not made anew. Nothing of it is kept in the store. Symbols: S people, T tests.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speechgmm.checks import Array
from speechgmm.looks import Shown
from speechgmm.mixture import UBM
from speechgmm.speakers.calibration import (
    ASSURED,
    MOST_TESTED,
    AmountNorm,
    StoreNorm,
    SystemCalibration,
    amount,
    impostor_level,
)
from speechgmm.speakers.damage import DamagedSession
from speechgmm.speakers.domain import People
from speechgmm.speakers.familiarity import Familiarity
from speechgmm.speakers.impostors import MOST_EACH, LeftOut, ScoredTrials, impostor_trials, owner_trials
from speechgmm.speakers.packaged import default_system
from speechgmm.speakers.recording_samples import heard
from speechgmm.speakers.recording_weights import contribution
from speechgmm.speakers.sessions import RecordingSample, Session, first_order
from speechgmm.speakers.system import System

SMALLEST = 1e-9
"""A spread of raw scores is at least that, in nats per frame."""
_OWN_EACH, _OWN_SECONDS = 2, 1.0
"""So many recordings of one person are tested against their others, where these hold more than a second of speech."""
_SHORTER = 0.5
"""Tests of less than such a share of the speech by which a store tests itself are not like its own."""
_RECORDINGS = 40
"""So many recordings of all people together are tested at most, which takes some tenths of a second."""


Samples = tuple[tuple[RecordingSample, ...], tuple[DamagedSession, ...]]


class HasSamples(Protocol):
    """A store, or a moment of it."""

    def samples(self, digests: Iterable[str], /) -> Samples:
        """Return what is kept of these recordings, and the sessions of those of which it is damaged."""


@dataclass(frozen=True, eq=False)
class Surroundings(Shown):
    """What a system knows of familiar recordings, and how those of each enrolled speaker measure."""

    background: Familiarity
    measured: Mapping[str, Array]

    def familiar(self, but: str | None = None) -> Familiarity:
        """Return what is familiar among the people enrolled; nobody vouches for their own recordings: all `but` one."""
        return self.background.among([m for name, m in self.measured.items() if name != but])


@dataclass(frozen=True, eq=False)
class Domain(Shown):
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
class Foundation:
    """What of a domain follows from its people, whoever else is enrolled.

    Parameters
    ----------
    ubm : UBM
    surroundings : Surroundings or None
    damaged : tuple of DamagedSession
        What of their recordings could not be read.
    recordings : tuple of str
        Those that were looked for, by digest.
    impostors : tuple of ScoredTrials
        Of each of some people, against the models of the others.
    owners : ScoredTrials or None
        Of recordings (T, 1) against a model of what else there is of the same person.
    places : tuple of int
        Whose these are.
    """

    ubm: UBM
    surroundings: Surroundings | None
    damaged: tuple[DamagedSession, ...]
    recordings: tuple[str, ...]
    impostors: tuple[ScoredTrials, ...] = ()
    owners: ScoredTrials | None = None
    places: tuple[int, ...] = ()

    def domain(self, system: System, size: int) -> Domain:
        """Return the domain of a store of so many people."""
        calibration = system.calibration
        if calibration is not None:
            levels = calibration.levels
            norm = levels.norm(size, [t.alike(levels.amounts) for t in self.impostors])
        elif size >= ASSURED and len(self.impostors) >= ASSURED:
            calibration = borrowed()
            location, scale = impostor_level([t.scores for t in self.impostors])
            tested = float(np.median(np.concatenate([t.tested for t in self.impostors])))
            norm = StoreNorm(size, location, max(scale, SMALLEST), _SHORTER * tested)
        else:
            return Domain(self.ubm, None, None, self.surroundings, self.damaged)
        calibration = self._with_owners(calibration, norm)
        return Domain(self.ubm, calibration, norm, self.surroundings, self.damaged)

    def _with_owners(self, calibration: SystemCalibration, norm: StoreNorm) -> SystemCalibration:
        """Return a calibration that knows where the store's own people score against themselves."""
        if (found := self.owners) is None:
            return calibration
        scores = norm(found.alike(calibration.levels.amounts))[:, 0]
        amounts = amount(found.enrolled, found.tested[:, 0])
        return dataclasses.replace(calibration, owners=calibration.owners.met(scores, amounts, self.places))


@dataclass(frozen=True, eq=False)
class DomainPeople:
    """What is read for a foundation.

    Parameters
    ----------
    everybody : People
        Of the domain.
    tested : People
        Those of them who are tested.
    kept : mapping
        What is kept of the recordings of these that are tested.
    damaged : tuple of DamagedSession
    looked_for : tuple of str
        Recordings, by digest.
    size : int
        How many people the store has.
    """

    everybody: People
    tested: People
    kept: Mapping[str, Sequence[RecordingSample]]
    damaged: tuple[DamagedSession, ...]
    looked_for: tuple[str, ...]
    size: int


def domain_people(system: System, store: HasSamples, pool: Mapping[str, Session], size: int) -> DomainPeople:
    """Return what is read for what follows from the people in the pool, of a store of so many."""
    statistics = tuple(s.statistics for s in pool.values())
    people = People(tuple(pool), statistics, np.array([s.speech_seconds for s in pool.values()]))
    tested = people.first(MOST_TESTED)
    own = {n: pool[n].recordings for n in tested.names}
    most = MOST_EACH if system.by_recording else _each(own)
    every, damaged = samples_each(store, own, most)
    tested = dataclasses.replace(tested, recordings=tuple(every[n] for n in tested.names))
    kept = {n: samples[: _each(own)] for n, samples in every.items()}
    looked_for = tuple(d for digests in own.values() for d in sorted(digests)[:most])
    return DomainPeople(people, tested, kept, damaged, looked_for, size)


def founded(system: System, read: DomainPeople, n_threads: int | None) -> Foundation:
    """Return what follows from the people of a domain."""
    ubm, measured = read.everybody.domain(system.ubm), _measured(system, read.kept)
    made = Foundation(ubm, measured, read.damaged, read.looked_for)
    if system.calibration is None and read.size < ASSURED:
        return made
    cohort = None if system.calibration is None else system.calibration.cohort
    speech = {n: [heard(system.ubm, s) for s in own] for n, own in read.kept.items()}
    trials = impostor_trials(system, read.tested, speech, cohort, n_threads=n_threads)
    made = dataclasses.replace(made, impostors=trials)
    if system.calibration is None and len(trials) < ASSURED:
        return made
    left_out = _left_out(system.ubm, read.tested, read.kept)
    owners = owner_trials(system, read.tested, left_out, cohort, n_threads=n_threads) if left_out else None
    return dataclasses.replace(made, owners=owners, places=tuple(r.place for r in left_out))


def _left_out(ubm: UBM, people: People, kept: Mapping[str, Sequence[RecordingSample]]) -> list[LeftOut]:
    """Return recordings of people of whom there is enough without them."""
    left_out = []
    for i, name in enumerate(people.names):
        for s in kept[name][:_OWN_EACH]:
            if people.speech_seconds[i] - s.speech_seconds > _OWN_SECONDS:
                others = [r for r in people.recordings[i] if r is not s]
                own = contribution(first_order(ubm, s.counts, s.first))
                left_out.append(LeftOut(i, own, s.speech_seconds, heard(ubm, s), others))
    return left_out


def surroundings_among(
    system: System, store: HasSamples, recordings: Mapping[str, Iterable[str]]
) -> Surroundings | None:
    """Return what recordings are like those of these people, given by digests, from what is kept of single ones."""
    return _measured(system, samples_each(store, recordings, _each(recordings))[0])


def _each(people: Sized) -> int:
    """Return how many recordings of each of these people are tested."""
    return int(np.clip(_RECORDINGS // max(len(people), 1), 1, MOST_EACH))


def samples_each(
    store: HasSamples, recordings: Mapping[str, Iterable[str]], most: int
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


@functools.cache
def borrowed() -> SystemCalibration:
    """Return what a system without a calibration of its own decides by, where its store holds people enough.

    How high strangers come is told by the store's own impostor trials; how scores are spread about that, and what they
    say as log-likelihood ratios, is that of the packaged model. Amounts of speech are not corrected for.
    """
    calibration = default_system().calibration
    assert calibration is not None
    levels = calibration.levels
    plain = AmountNorm(np.zeros(4), np.zeros(4), levels.amounts.low, levels.amounts.high)
    return dataclasses.replace(calibration, levels=dataclasses.replace(levels, amounts=plain), usual_seconds=0.0)

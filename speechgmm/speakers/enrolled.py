"""Everybody in a store, ready to be scored: their domain, their models, and how high their impostors come.

Nothing of it is kept in the store: it follows from who is enrolled, whatever the order in which they came. A process
that asks again, after others have changed the store, reads those who have changed alone, and has what a process that
has just started would have, to the bit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from speechgmm.checks import refuse
from speechgmm.mixture.adapt import adapted_offsets
from speechgmm.parallel import keep_freed_memory, threads, workers
from speechgmm.speakers.block_models import BlockLayout, BlockModels, ModelBlock, tidied
from speechgmm.speakers.by_recording import RECORDINGS, ByRecording
from speechgmm.speakers.damage import DamagedSession, refuse_damaged, warn_of
from speechgmm.speakers.domain import MOST
from speechgmm.speakers.models import GROUP, SpeakerModels
from speechgmm.speakers.sessions import (
    EnrolledRecording,
    RecordingSample,
    Session,
    strange_to,
    sums_by_key,
)
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_domain import (
    MOST_TESTED,
    Domain,
    Foundation,
    HasSamples,
    Surroundings,
    founded,
    samples_each,
    surroundings_among,
)
from speechgmm.speakers.store_moment import Person, StoreMoment
from speechgmm.speakers.system import System

T = TypeVar("T")
Damages = dict[str, tuple[DamagedSession, ...]]
"""The damaged sessions of speakers who have any."""


@dataclass(frozen=True, eq=False)
class Enrolled:
    """Enrolled speakers as they are scored.

    Parameters
    ----------
    models : SpeakerModels
    domain : Domain
        Of the store.
    by_recording : ByRecording or None
        Where single recordings count.
    recordings : mapping
        All recordings in the store by their digests.
    """

    models: SpeakerModels
    domain: Domain
    by_recording: ByRecording | None
    recordings: Mapping[str, EnrolledRecording]


@dataclass(frozen=True, eq=False)
class Followed:
    """What is kept of a store for one system, from one moment to the next.

    Parameters
    ----------
    pool : mapping
        The people of the domain, as they were when it was made.
    lost : dict
        Their damaged sessions, which are read again each time.
    foundation : Foundation or None
    everybody : Everybody or None
    """

    pool: Mapping[str, Person] = field(default_factory=dict)
    lost: Damages = field(default_factory=dict)
    foundation: Foundation | None = None
    everybody: "Everybody | None" = None


@dataclass(frozen=True, eq=False)
class Everybody:
    """The models of everybody in a store.

    Parameters
    ----------
    layout : BlockLayout
        Of the background model that they were adapted from.
    people : mapping
        As they were when they were read.
    damaged : dict
        Their damaged sessions, which are read again each time.
    blocks : tuple of ModelBlock
        Whose sessions are all damaged is in none.
    """

    layout: BlockLayout
    people: Mapping[str, Person] = field(default_factory=dict)
    damaged: Damages = field(default_factory=dict)
    blocks: tuple[ModelBlock, ...] = ()


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
    asked = store.known(*speakers) if speakers else ()
    found = store.cached((*_made_by(system), asked), lambda: _enrolled(system, store, asked, n_threads))
    warn_of(found.models.damaged)
    return found


def enrolled_models(system: System, store: SpeakerStore, *speakers: str) -> SpeakerModels:
    """Return the models of these enrolled speakers, or of all, in the domain of the store: see `enrolled`."""
    return enrolled(system, store, *speakers).models


def domain_of(system: System, store: SpeakerStore, *, n_threads: int | None = None) -> Domain:
    """Return the domain of a store, as `enrolled` has it, without reading what is enrolled of all others."""
    store.check_system(system)

    def build() -> Domain:
        with store.moment() as moment:
            foundation = _followed(system, moment, n_threads).foundation
            assert foundation is not None
            return foundation.domain(system, len(moment.contents.people))

    return store.cached((*_made_by(system), "domain"), build)


def single_recordings(
    system: System,
    store: HasSamples,
    models: SpeakerModels,
    digests: Callable[[str], Iterable[str]],
    told: Sequence[DamagedSession] = (),
) -> ByRecording:
    """Return the single recordings of enrolled people, by the digests of each; `told`: what is known to be damaged."""

    def recordings(i: int) -> Sequence[RecordingSample]:
        samples, lost = samples_each(store, {"": digests(models.names[i])}, RECORDINGS)
        warn_of(tuple(d for d in lost if d not in told))
        return samples[""]

    return ByRecording(models, system.relevance, recordings)


def _made_by(system: System) -> tuple[object, ...]:
    """Return what of a system decides on what is kept beside a store."""
    return system.fingerprint, system.relevance, system.calibration, system.by_recording


def whole_sums(
    system: System, store: SpeakerStore, *speakers: str
) -> tuple[dict[str, Session], tuple[DamagedSession, ...]]:
    """Return what is enrolled of each speaker in whole sessions, and the damaged ones."""
    sessions, damaged = store.read(*speakers)
    strange = {s: reason for s in sessions if (reason := strange_to(system.ubm, s.statistics))}
    damaged += tuple(DamagedSession.of(s.speaker, s.name, why, store.location) for s, why in strange.items())
    return sums_by_key((s.speaker, s) for s in sessions if s not in strange), damaged


def surroundings(system: System, store: SpeakerStore) -> Surroundings | None:
    """Return what recordings are like those of a store, from samples alone: no session is read and nobody is scored."""
    if system.familiarity is None:
        return None
    with store.moment() as moment:
        contents = moment.contents
        return surroundings_among(system, moment, {n: contents.digests(n) for n in contents.first(MOST_TESTED)})


def _enrolled(system: System, store: SpeakerStore, asked: Sequence[str], n_threads: int | None) -> Enrolled:
    """Return the models of these speakers, or of everybody, and the domain."""
    with store.moment() as moment:
        contents = moment.contents
        followed = _followed(system, moment, n_threads)
        assert followed.foundation is not None
        everybody = Everybody(BlockLayout(followed.foundation.ubm)) if asked else followed.everybody
        everybody = _read(system, moment, everybody, followed.foundation, asked, n_threads)
        if not asked:
            moment.memory[_made_by(system)] = replace(followed, everybody=everybody)
    domain = followed.foundation.domain(system, len(contents.people))
    held = {name for block in everybody.blocks for name in block.names}
    if lost := [d for n, own in everybody.damaged.items() if n not in held for d in own if asked or not held]:
        refuse_damaged("the sessions to score against", lost)
    if not held:
        refuse("speakers to score against", "be at least one", "none", "Enroll somebody first.")
    own = [d for name in sorted(everybody.damaged) for d in everybody.damaged[name]]
    told = tuple(dict.fromkeys([*own, *domain.damaged]))
    models = BlockModels(everybody.layout, everybody.blocks, system.fingerprint, told)
    single = None
    if system.by_recording:
        digests = lambda name: contents.digests(name, everybody.damaged.get(name, ()))  # noqa: E731
        single = single_recordings(system, store, models, digests, told)
    return Enrolled(models, domain, single, contents.recordings)


def _followed(system: System, moment: StoreMoment, n_threads: int | None) -> Followed:
    """Return what is kept of the store, its foundation as it is now."""
    contents, key = moment.contents, _made_by(system)
    before: Followed = moment.memory.pop(key, None) or Followed()
    pool = {name: contents.people[name] for name in contents.first(MOST)}
    if before.foundation is None or pool != before.pool or _mended(system, moment, before):
        sums: dict[str, Session] = {}
        lost: Damages = {}
        for whole, damaged in _whole(system, moment, pool, lambda whole: whole, n_threads):
            sums |= whole
            lost |= damaged
        order = [name for name in pool if name in sums]
        foundation = founded(system, moment, order, sums, len(contents.people), n_threads)
        everybody = before.everybody
        if before.foundation is not None and (before.foundation.ubm.means == foundation.ubm.means).all():
            foundation = replace(foundation, ubm=before.foundation.ubm)
        else:
            everybody = None  # whose models are given up before others are made
        before = Followed(pool, lost, foundation, everybody)
    moment.memory[key] = before
    return before


def _mended(system: System, moment: StoreMoment, before: Followed) -> bool:
    """Return whether anything that was damaged in the domain's people is not as it was."""
    assert before.foundation is not None
    lost: Damages = {}
    if before.lost:
        for _, again in _whole(system, moment, before.lost, lambda _: None, 1):
            lost |= again
    damaged = moment.samples(before.foundation.recordings)[1] if before.foundation.damaged else ()
    return lost != before.lost or damaged != before.foundation.damaged


def _read(
    system: System,
    moment: StoreMoment,
    before: Everybody | None,
    foundation: Foundation,
    asked: Sequence[str],
    n_threads: int | None,
) -> Everybody:
    """Return the models of everybody, or of those who are asked for; who is as before is not read."""
    if before is None or before.layout.ubm is not foundation.ubm:
        before = Everybody(BlockLayout(foundation.ubm))
    every = moment.contents.people
    people = {name: every[name] for name in asked} if asked else every
    changed = [n for n, person in people.items() if n in before.damaged or before.people.get(n) != person]
    gone = {*changed, *(before.people.keys() - people.keys())}
    blocks = [b if gone.isdisjoint(b.names) else _without(b, gone) for b in before.blocks]
    layout, damaged = before.layout, Damages()

    def adapted(whole: Mapping[str, Session]) -> list[ModelBlock]:
        means = (adapted_offsets(layout.ubm, s.statistics, system.relevance) for s in whole.values())
        return layout.blocks(list(whole), [s.speech_seconds for s in whole.values()], means)

    for made, lost in _whole(system, moment, changed, adapted, n_threads):
        blocks += made
        damaged |= lost
    return Everybody(layout, people, damaged, tuple(tidied(blocks)))


def _without(block: ModelBlock, names: set[str]) -> ModelBlock:
    return block.take([i for i, name in enumerate(block.names) if name not in names])


def _whole(
    system: System,
    moment: StoreMoment,
    names: Iterable[str],
    use: Callable[[dict[str, Session]], T],
    n_threads: int | None,
) -> Iterator[tuple[T, Damages]]:
    """Yield what is made of the whole sessions of some speakers at a time, and the damaged ones.

    Statistics are given up when they were used.
    """
    wanted = list(names)
    keep_freed_memory()

    def work(some: Sequence[str]) -> tuple[T, Damages]:
        whole, damaged = dict[str, Session](), Damages()
        for name, session in moment.sessions(some):
            if isinstance(session, Session) and (why := strange_to(system.ubm, session.statistics)):
                session = DamagedSession.of(session.speaker, session.name, why, moment.location)
            if isinstance(session, DamagedSession):
                damaged[name] = (*damaged.get(name, ()), session)
            else:
                whole[name] = whole[name] + session if name in whole else session
        return use(whole), damaged

    groups = [wanted[a : a + GROUP] for a in range(0, len(wanted), GROUP)]
    yield from threads(workers(n_threads, len(groups)))(work, groups)

"""What a process keeps of a store, and how it follows what others change: only who has changed is read again.

A store is read in short transactions, a few hundred people at a time, and what is made of them is made outside, so that
whoever would change it waits for little. People who were changed between two of these are read again, from where the
store is then; in the end all is of one moment, as if it had been read at once.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from speechgmm.parallel import keep_freed_memory, threads, workers
from speechgmm.speakers.block_models import BlockLayout, ModelBlock, tidied
from speechgmm.speakers.damage import DamagedSession, against
from speechgmm.speakers.domain import MOST
from speechgmm.speakers.models import GROUP, speaker_offsets
from speechgmm.speakers.sessions import RecordingSample, Session
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_domain import DomainPeople, Foundation, Samples, domain_people, founded
from speechgmm.speakers.store_moment import Contents, Person, StoreMoment
from speechgmm.speakers.store_reader import check_known
from speechgmm.speakers.system import System

T = TypeVar("T")
Damages = dict[str, tuple[DamagedSession, ...]]
"""The damaged sessions of speakers who have any."""
AT_ONCE = 4 * GROUP
"""So many people are read in one transaction."""
TIMES = 3
"""A store that is changed while it is read is looked at so often; the last time nobody may change it meanwhile."""


@dataclass(frozen=True, eq=False)
class PeopleRead:
    """What was read of some people: what is enrolled of each in whole sessions, and the damaged ones."""

    sums: dict[str, Session] = field(default_factory=dict)
    damaged: Damages = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        """Whether a speaker was read."""
        return name in self.sums or name in self.damaged

    def more(self, system: System, moment: StoreMoment, names: Iterable[str], n_threads: int | None) -> "PeopleRead":
        """Return what was read, and more people."""
        sums, damaged = dict(self.sums), dict(self.damaged)
        for whole, lost in _whole(system, moment, names, lambda whole: whole, n_threads):
            sums |= whole
            damaged |= lost
        return PeopleRead(sums, damaged)


@dataclass(frozen=True, eq=False)
class Pool:
    """The people of a domain.

    Parameters
    ----------
    people : mapping
        As they were when they were read.
    read : PeopleRead
        Whoever is damaged is read again each time.
    samples : mapping
        What is kept of their recordings that were looked for, by digest.
    """

    people: Mapping[str, Person] = field(default_factory=dict)
    read: PeopleRead = field(default_factory=PeopleRead)
    samples: Mapping[str, RecordingSample] = field(default_factory=dict)

    def unchanged(self, people: Mapping[str, Person]) -> list[str]:
        """Return which of these people are whole and as they were."""
        whole = self.read.sums.keys() - self.read.damaged.keys()
        return [n for n, person in people.items() if n in whole and self.people.get(n) == person]


@dataclass(frozen=True, eq=False)
class Everybody:
    """The models of people in a store.

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

    def changed(self, people: Mapping[str, Person]) -> list[str]:
        """Return which of these people are not as they were, or have to be read again."""
        return [n for n, person in people.items() if n in self.damaged or self.people.get(n) != person]


@dataclass(frozen=True, eq=False)
class Followed:
    """What is kept of a store for one system.

    Parameters
    ----------
    pool : Pool
    foundation : Foundation or None
    models : mapping
        Of everybody, or of whoever was asked for by another name.
    """

    pool: Pool = field(default_factory=Pool)
    foundation: Foundation | None = None
    models: Mapping[str, Everybody] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Samples:
    """The samples of a moment, of which some are known."""

    known: dict[str, RecordingSample]
    moment: StoreMoment

    def samples(self, digests: Iterable[str]) -> Samples:
        """Return what is kept of these recordings, and what is damaged."""
        wanted = list(digests)
        found, damaged = self.moment.samples(d for d in wanted if d not in self.known)
        self.known.update((s.digest, s) for s in found)
        return tuple(self.known[d] for d in wanted if d in self.known), damaged


def made_by(system: System) -> tuple[object, ...]:
    """Return what of a system decides on what is kept beside a store."""
    return system.fingerprint, system.relevance, system.calibration, system.by_recording


def followed_domain(system: System, store: SpeakerStore, n_threads: int | None) -> tuple[Contents, Foundation]:
    """Return what a store holds now, and what follows from the people of its domain."""
    with store.moment() as moment:
        before = _taken(system, moment)
        pool, new = _pool(system, moment, before, n_threads)
    followed = _founded(system, before, pool, new, n_threads)
    moment.keep(made_by(system), followed)
    assert followed.foundation is not None
    return moment.contents, followed.foundation


Chosen = Callable[[Contents], Mapping[str, Person]]
"""Says whose models are asked for."""


def these(*speakers: str) -> Chosen:
    """Return what chooses these speakers, or all; an `UnknownSpeaker` if one of them is not there any more."""

    def choose(contents: Contents) -> Mapping[str, Person]:
        if not speakers:
            return contents.people
        check_known(contents.people, *speakers)
        return {name: contents.people[name] for name in speakers}

    return choose


def followed_models(
    system: System,
    store: SpeakerStore,
    choose: Chosen,
    n_threads: int | None,
    *,
    kept: str | None = None,
    times: int = TIMES,
) -> tuple[Contents, Foundation, Everybody]:
    """Return what a store holds now, what follows from the people of its domain, and the models of some or of all.

    They are `kept` by this name, if there is one, and followed the next time.
    """
    contents, foundation, models, whole = _models_now(system, store, choose, n_threads, kept, alone=times == 1)
    if whole:
        return contents, foundation, models
    return followed_models(system, store, choose, n_threads, kept=kept, times=times - 1)


def _models_now(
    system: System, store: SpeakerStore, choose: Chosen, n_threads: int | None, kept: str | None, *, alone: bool
) -> tuple[Contents, Foundation, Everybody, bool]:
    """Do as `followed_models`, but that people who were changed meanwhile may be missing, if not `alone`.

    And say whether all are there.
    """
    with contextlib.ExitStack() as reading:
        moment = reading.enter_context(store.moment())
        contents, people = moment.contents, choose(moment.contents)
        before = _taken(system, moment)
        pool, new = _pool(system, moment, before, n_threads)
        old = None if new or kept is None else before.models.get(kept)
        changed = people if old is None else old.changed(people)
        late, read = [n for n in changed if n not in pool.read], pool.read
        if len(late) <= AT_ONCE:
            read = read.more(system, moment, late, n_threads)
        if not alone:
            reading.close()
        before = _founded(system, before, pool, new, n_threads)
        foundation, others = before.foundation, {name: m for name, m in before.models.items() if name != kept}
        assert foundation is not None
        found = before.models.get(kept or "") or Everybody(BlockLayout(foundation.ubm))
        before = replace(before, models=others)  # models are given up before others are made
        later = _later(store, contents, moment if alone else None)
        found = _models(system, found, people, read, later, n_threads)
    moment.keep(made_by(system), replace(before, models=others | ({} if kept is None else {kept: found})))
    return contents, foundation, found, len(found.people) == len(people)


def _taken(system: System, moment: StoreMoment) -> Followed:
    """Take what is kept of the store out of its memory."""
    found: Followed = moment.memory.pop(made_by(system), None) or Followed()
    return found


def _pool(
    system: System, moment: StoreMoment, before: Followed, n_threads: int | None
) -> tuple[Pool, DomainPeople | None]:
    """Return the people of the domain, and what is tested of them if they are not as they were."""
    contents, old = moment.contents, before.pool
    people = {name: contents.people[name] for name in contents.first(MOST)}
    if before.foundation is not None and people == old.people and not _mended(system, moment, before):
        return old, None
    same = old.unchanged(people)
    read = PeopleRead({n: old.read.sums[n] for n in same})
    read = read.more(system, moment, [n for n in people if n not in read], n_threads)
    digests = (d for n in same for d in contents.digests(n))
    samples = _Samples({d: old.samples[d] for d in digests if d in old.samples}, moment)
    sums = {n: read.sums[n] for n in people if n in read.sums}
    new = domain_people(system, samples, sums, len(contents.people))
    return Pool(people, read, {d: samples.known[d] for d in new.looked_for if d in samples.known}), new


def _founded(system: System, before: Followed, pool: Pool, new: DomainPeople | None, n_threads: int | None) -> Followed:
    """Return what is kept of the store, its foundation as it is now."""
    if new is None:
        return before
    foundation, models = founded(system, new, n_threads), before.models
    if before.foundation is not None and (before.foundation.ubm.means == foundation.ubm.means).all():
        foundation = replace(foundation, ubm=before.foundation.ubm)
    else:
        models = {}
    return Followed(pool, foundation, models)


def _mended(system: System, moment: StoreMoment, before: Followed) -> bool:
    """Return whether anything that was damaged in the domain's people is not as it was."""
    assert before.foundation is not None
    lost = before.pool.read.damaged
    again = PeopleRead().more(system, moment, lost, 1).damaged if lost else {}
    damaged = moment.samples(before.foundation.recordings)[1] if before.foundation.damaged else ()
    return again != lost or damaged != before.foundation.damaged


Later = Callable[[Sequence[str]], Iterator[tuple[StoreMoment, list[str]]]]
"""Yields some of these people at a time, and a moment at which they are what they were."""


def _later(store: SpeakerStore, contents: Contents, moment: StoreMoment | None) -> Later:
    """Return what goes through people later, at one moment, or in others, in which some may be missing."""

    def go(names: Sequence[str]) -> Iterator[tuple[StoreMoment, list[str]]]:
        if moment:
            yield moment, list(names)
            return
        for a in range(0, len(names), AT_ONCE):
            with store.moment() as now:
                same = (n for n in names[a : a + AT_ONCE] if now.contents.people.get(n) == contents.people[n])
                yield now, list(same)

    return go


def _models(
    system: System,
    before: Everybody,
    people: Mapping[str, Person],
    read: PeopleRead,
    later: Later,
    n_threads: int | None,
) -> Everybody:
    """Return the models of people; who is as before is kept, and who was not read yet is read."""
    changed = before.changed(people)
    gone = {*changed, *(before.people.keys() - people.keys())}
    blocks = [b if gone.isdisjoint(b.names) else _without(b, gone) for b in before.blocks]
    layout, found = before.layout, {n: p for n, p in people.items() if n not in gone or n in read}
    damaged = {n: read.damaged[n] for n in changed if n in read.damaged}

    def adapted(whole: Mapping[str, Session]) -> list[ModelBlock]:
        means = (speaker_offsets(layout.ubm, s.statistics, system.relevance) for s in whole.values())
        return layout.blocks(list(whole), [s.speech_seconds for s in whole.values()], means)

    held = [n for n in changed if n in read.sums]
    groups = [{n: read.sums[n] for n in held[a : a + GROUP]} for a in range(0, len(held), GROUP)]
    for made in threads(workers(n_threads, len(groups)))(adapted, groups):
        blocks += made
    for moment, some in later([n for n in changed if n not in read]):
        for made, lost in _whole(system, moment, some, adapted, n_threads):
            blocks += made
            damaged |= lost
        found |= {n: people[n] for n in some}
    return Everybody(layout, found, damaged, tuple(tidied(blocks)))


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
        for name, found in moment.sessions(some):
            session = against(system.ubm, found, moment.location)
            if isinstance(session, DamagedSession):
                damaged[name] = (*damaged.get(name, ()), session)
            else:
                whole[name] = whole[name] + session if name in whole else session
        return use(whole), damaged

    groups = [wanted[a : a + GROUP] for a in range(0, len(wanted), GROUP)]
    yield from threads(workers(n_threads, len(groups)))(work, groups)

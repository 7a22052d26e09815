"""Everybody in a store by an index: the models that it holds, and beside them those of who was enrolled since."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.speakers.block_models import BlockModels
from speechgmm.speakers.damage import warn_of
from speechgmm.speakers.enrolled import Enrolled, single_recordings
from speechgmm.speakers.following import followed_models, made_by
from speechgmm.speakers.index import WRITE_ANEW, Changes, SpeakerIndex
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_moment import Contents, Person
from speechgmm.speakers.system import System


@dataclass(frozen=True, eq=False)
class Indexed(Enrolled):
    """Enrolled speakers by an index; their models are those of the index that still hold, and then those since.

    Parameters
    ----------
    live : ndarray of int, shape (n,)
        The places in the index of the models that still hold.
    since : SpeakerModels or None
        Of who was enrolled since it was written, or enrolled again.
    """

    live: Array
    since: SpeakerModels | None


def enrolled_by_index(
    system: System, store: SpeakerStore, index: SpeakerIndex, *, n_threads: int | None = None
) -> Indexed:
    """Return everybody in a store by an index of it, kept until the store changes: see `enrolled`.

    Raises
    ------
    IncompatibleModel
        If the index is of another system or store; or if since it was written anything was removed, more than a
        thousand people were enrolled, or one of those whose recordings tell how they sound together.
    """
    index.check(system, store)
    found = store.cached((*made_by(system), index.head), lambda: _indexed(system, store, index, n_threads))
    warn_of(found.models.damaged)
    return found


def _indexed(system: System, store: SpeakerStore, index: SpeakerIndex, n_threads: int | None) -> Indexed:
    changes = Changes((), np.zeros(0, bool))

    def choose(now: Contents) -> Mapping[str, Person]:
        nonlocal changes
        changes = index.changes(now)
        return {name: now.people[name] for name in changes.since}

    contents, foundation, since = followed_models(system, store, choose, n_threads, kept="since")
    if not np.array_equal(foundation.ubm.means, index.head.ubm.means):
        got = "another, because one of the two hundred people who tell it was enrolled since"
        refuse("an index", "be of the domain of the store as it is now", got, WRITE_ANEW, error=IncompatibleModel)
    lost = tuple(d for name in sorted(since.damaged) for d in since.damaged[name])
    layout, fingerprint = index.head.layout, system.fingerprint
    more = BlockModels(layout, since.blocks, fingerprint) if since.blocks else None
    live = np.flatnonzero(~changes.stale)
    names = [*(index.head.names[i] for i in live.tolist()), *(more.names if more else ())]
    models = BlockModels(layout, [index.block, *since.blocks], fingerprint, lost, names)
    domain, single = foundation.domain(system, len(contents.people)), None
    if system.by_recording:
        digests = lambda name: contents.digests(name, since.damaged.get(name, ()))  # noqa: E731
        single = single_recordings(system, store, models, digests, (*lost, *domain.damaged))
    return Indexed(models, domain, single, contents.recordings, live, more)

"""Everybody in a store by an index: the models that it holds, and beside them those of who was enrolled since."""

import functools
from collections.abc import Iterable

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.speakers.block_models import BlockModels
from speechgmm.speakers.damage import DamagedSession, warn_of
from speechgmm.speakers.enrolled import Enrolled, single_recordings
from speechgmm.speakers.following import followed_models, made_by
from speechgmm.speakers.index import WRITE_ANEW, SpeakerIndex
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System


class IndexedModels(SpeakerModels):
    """The models of an index, mapped, and behind them those of who was enrolled since it was written.

    Parameters
    ----------
    index : SpeakerIndex
    stale : ndarray of bool, shape (S,), optional
        Which of its models hold no more; default: none.
    since : SpeakerModels, optional
        Of who was enrolled since, or enrolled again.
    damaged : tuple of DamagedSession
        The sessions of these that their models had to do without.
    """

    index: SpeakerIndex
    live: Array
    since: SpeakerModels | None

    def __init__(
        self,
        index: SpeakerIndex,
        stale: Array | None = None,
        since: SpeakerModels | None = None,
        damaged: tuple[DamagedSession, ...] = (),
    ) -> None:
        head, stale = index.head, np.zeros(len(index.head.names), bool) if stale is None else stale
        live = np.flatnonzero(~stale)
        names = head.names if len(live) == len(head.names) else tuple(head.names[i] for i in live.tolist())
        seconds = head.speech_seconds[live]
        if since is not None:
            names, seconds = names + since.names, np.concatenate([seconds, since.speech_seconds])
        vars(self).update(names=names, speech_seconds=seconds, ubm=head.ubm, fingerprint=head.fingerprint)
        vars(self).update(damaged=damaged, index=index, live=live, since=since)

    @property
    def offsets(self) -> Array:
        """Adapted means, relative to the UBM's origin, (S, K, D): read, and not kept."""
        return self._offsets(range(len(self.names)))

    def means_of(self, i: int) -> Array:
        """Return the adapted means (K, D) of one speaker, relative to the UBM's origin."""
        if i < len(self.live):
            return np.asarray(self.index.offsets[self.live[i]])
        assert self.since is not None
        return self.since.means_of(i - len(self.live))

    def take(self, indices: Array) -> SpeakerModels:
        """Return the models with these indices (n,)."""
        names = tuple(self.names[i] for i in indices.tolist())
        seconds = self.speech_seconds[indices]
        return SpeakerModels(names, self._offsets(indices.tolist()), seconds, self.ubm, self.fingerprint)

    def _offsets(self, indices: Iterable[int]) -> Array:
        return np.array([self.means_of(i) for i in indices]).reshape(-1, *self.ubm.means.shape)

    @functools.cached_property
    def _split(self) -> tuple[SpeakerModels, ...]:
        """What all share in each mixture, of nobody: whoever is scored is taken first."""
        return self.take(np.arange(0)).parts


def indexed(system: System, store: SpeakerStore, index: SpeakerIndex, *, n_threads: int | None = None) -> Enrolled:
    """Return everybody in a store by an index of it, kept until the store changes: see `enrolled`.

    Raises
    ------
    IncompatibleModel
        If the index is of another system or store; or if since it was written anything was removed, more than a
        thousand people were enrolled, or one of those whose recordings tell how they sound together.
    """
    index.check(system, store)

    def build() -> Enrolled:
        return _indexed(system, store, index, n_threads)

    found: Enrolled = store.cached((*made_by(system), index.head), build)
    warn_of(found.models.damaged)
    return found


def _indexed(system: System, store: SpeakerStore, index: SpeakerIndex, n_threads: int | None) -> Enrolled:
    contents, foundation, since = followed_models(
        system, store, lambda now: {n: now.people[n] for n in index.changes(now).since}, n_threads, kept="since"
    )
    if not np.array_equal(foundation.ubm.means, index.head.ubm.means):
        got = "another, because one of the two hundred people who tell it was enrolled since"
        refuse("an index", "be of the domain of the store as it is now", got, WRITE_ANEW, error=IncompatibleModel)
    lost = tuple(d for name in sorted(since.damaged) for d in since.damaged[name])
    more = BlockModels(since.layout, since.blocks, system.fingerprint) if since.blocks else None
    models = IndexedModels(index, index.changes(contents).stale, more, lost)
    domain, single = foundation.domain(system, len(contents.people)), None
    if system.by_recording:
        digests = lambda name: contents.digests(name, since.damaged.get(name, ()))  # noqa: E731
        single = single_recordings(system, store, models, digests, (*lost, *domain.damaged))
    return Enrolled(models, domain, single, contents.recordings)

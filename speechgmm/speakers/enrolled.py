"""Everybody in a store, ready to be scored: their domain, their models, and how high their impostors come.

Nothing of it is kept in the store: it follows from who is enrolled, whatever the order in which they came. A process
that asks again, after others have changed the store, reads those who have changed alone, and has what a process that
has just started would have, to the bit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from speechgmm.checks import number_of, refuse
from speechgmm.looks import Look, Shown
from speechgmm.speakers.block_models import BlockModels
from speechgmm.speakers.by_recording import RECORDINGS, ByRecording
from speechgmm.speakers.calibration import MOST_TESTED
from speechgmm.speakers.damage import DamagedSession, refuse_damaged, warn_of
from speechgmm.speakers.following import followed_domain, followed_models, made_by, these
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.sessions import (
    EnrolledRecording,
    RecordingSample,
)
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_domain import (
    Domain,
    HasSamples,
    Surroundings,
    samples_each,
    surroundings_among,
)
from speechgmm.speakers.system import System


@dataclass(frozen=True, eq=False)
class Enrolled(Shown):
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

    def _look(self) -> Look:
        seen = self.models._look()
        words = (seen.words[0], number_of(len(self.recordings), "recording"), repr(self.models.ubm))
        return Look(words, tables=seen.tables)


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

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import SpeakerStore, System, enroll_features
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = enroll_features(system, store, "ann", [[8.0]] * 300)
    >>> found = enrolled(system, store)
    >>> found.models.names, found.domain.damaged
    (('ann',), ())
    >>> store.close()
    >>> folder.cleanup()
    """
    store.check_system(system)
    asked = store.known(*speakers) if speakers else ()
    found = store.cached((*made_by(system), asked), lambda: _enrolled(system, store, asked, n_threads))
    warn_of(found.models.damaged)
    return found


def enrolled_models(system: System, store: SpeakerStore, *speakers: str) -> SpeakerModels:
    """Return the models of these enrolled speakers, or of all, in the domain of the store: see `enrolled`.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.features import OwnFeatures
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> from speechgmm.speakers import SpeakerStore, System, enroll_features
    >>> system = System(OwnFeatures(dimensions=1), GMM([1.0], [[0.0]], Diagonal([[1.0]])))
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = enroll_features(system, store, "ann", [[8.0]] * 300)
    >>> enrolled_models(system, store).names
    ('ann',)
    >>> store.close()
    >>> folder.cleanup()
    """
    return enrolled(system, store, *speakers).models


def domain_of(system: System, store: SpeakerStore, *, n_threads: int | None = None) -> Domain:
    """Return the domain of a store, as `enrolled` has it, without reading what is enrolled of all others."""
    store.check_system(system)

    def build() -> Domain:
        contents, foundation = followed_domain(system, store, n_threads)
        return foundation.domain(system, len(contents.people))

    return store.cached((*made_by(system), "domain"), build)


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


def surroundings(system: System, store: SpeakerStore) -> Surroundings | None:
    """Return what recordings are like those of a store, from samples alone: no session is read and nobody is scored."""
    if system.familiarity is None:
        return None
    with store.moment() as moment:
        contents = moment.contents
        return surroundings_among(system, moment, {n: contents.digests(n) for n in contents.first(MOST_TESTED)})


def _enrolled(system: System, store: SpeakerStore, asked: Sequence[str], n_threads: int | None) -> Enrolled:
    """Return the models of these speakers, or of everybody, and the domain."""
    kept = None if asked else "everybody"
    contents, foundation, everybody = followed_models(system, store, these(*asked), n_threads, kept=kept)
    domain = foundation.domain(system, len(contents.people))
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

"""An index: the models of very many enrolled speakers in a file that is mapped into memory, for `identify`.

A store keeps statistics, of which models are adapted whenever it is read; with a hundred thousand people that takes
minutes, and more memory than there is. An index is written once, block by block, and read where it is needed: of each
speaker first an outline (see `outlines`), and the whole model of the few that are likely. It belongs to one state of
one store, and is refused once anything was enrolled or removed: it would still know who was forgotten.

The file: a mark; the adapted means, float32, (S, K, D); outlines, float32, (S, B + K); the head, as `storage` writes
values, with a digest; its length in 8 bytes. Symbols: S speakers, K components, D dimensions, B vectors of a basis.
"""

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import numpy as np

from speechgmm import storage
from speechgmm.checks import (
    FAR,
    Array,
    floats,
    hold,
    instance,
    integer,
    number,
    number_of,
    numeric,
    refuse,
    sequence_of,
)
from speechgmm.errors import IncompatibleModel
from speechgmm.files import Kind, check_readable, replacing, starts_with
from speechgmm.looks import Look, Shown
from speechgmm.mixture import GMM, UBM, Ensemble
from speechgmm.mixture.adapt import adapted_offsets
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import Progress
from speechgmm.speakers.damage import DamagedSession, refuse_damaged, warn_of
from speechgmm.speakers.enrolled import domain_of
from speechgmm.speakers.following import PeopleRead
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.outlines import Outlines
from speechgmm.speakers.sessions import Session
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_reader import check_known
from speechgmm.speakers.system import System

_MARK = b"speechgmm index of speakers, 1\n\0"
_KIND = Kind("an index of speakers", starts_with(_MARK))
_NUMBER = np.dtype("<f4")
_LENGTH = 8
SECTION = 8192
"""Speakers whose outlines are compared at once. A part of an index is made of whole sections, so that parts that are
searched apart give the bits of the whole."""
SAMPLE = 1024
"""Speakers from whom the basis of outlines is learned, spread evenly over all."""
_ANEW = "Write it anew: SpeakerIndex.write."
_BLOCK = 512
"""Speakers that are read and written at once."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some of very many speakers: `names`, `speech_seconds` (n,), and adapted means about the origin (n, K, D)."""

    names: tuple[str, ...]
    speech_seconds: Array
    offsets: Array


@dataclass(frozen=True, eq=False)
class IndexHead(Shown):
    """What an index is of.

    Parameters
    ----------
    fingerprint : str
        Of the system.
    relevance : float
        With which it adapted the speakers.
    state : str
        Of the store.
    names : tuple of str
        S speakers.
    speech_seconds : ndarray, shape (S,)
        Enrolled of each.
    outlines : Outlines
    narrow : bool
        Whether a speaker has to be scored in float64, for all are then.
    """

    KIND: ClassVar = "the head of an index of speakers"
    PARTS: ClassVar = (Outlines, GMM, Ensemble, *COVARIANCES.values())

    fingerprint: str
    relevance: float
    state: str
    names: tuple[str, ...]
    speech_seconds: Array
    outlines: Outlines
    narrow: bool

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        instance(self.fingerprint, "the fingerprint", str)
        instance(self.state, "the state of a store", str)
        relevance = number(self.relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames")
        sequence_of(self.names, "the names of an index", str)
        if not self.names:
            refuse("an index", "be of at least one speaker", "none")
        instance(self.outlines, "how outlines are taken", Outlines)
        instance(self.narrow, "narrow", bool)
        seconds = numeric(self.speech_seconds, "speech_seconds").astype(np.float64)
        unknown = np.isnan(seconds)
        known = floats(np.where(unknown, 0.0, seconds), "speech_seconds", shape=(len(self.names),), largest=FAR)
        held = np.where(unknown, np.nan, known)
        hold(self, relevance=relevance, names=tuple(self.names), speech_seconds=held)


@dataclass(frozen=True, eq=False)
class SpeakerIndex(Shown):
    """The enrolled speakers of a store, or a range of them, ready to be searched: see `identify`.

    Made by `SpeakerIndex.open`, after `SpeakerIndex.write`. Any number of processes may read one file.

    Parameters
    ----------
    head : IndexHead
        Of all S speakers.
    numbers : ndarray, shape (S K D + S (B + K),)
        The adapted means and the outlines, mapped; they stay what they were if another file takes the place of this.
    start, stop : int
        The speakers of this part.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> corpus, system = speechgmm.read_corpus("data/manifest.csv"), speechgmm.default_system()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = speechgmm.SpeakerStore(f"{folder.name}/people.db", system, create=True)
    >>> _ = speechgmm.enroll(system, store, corpus.where(speaker=("slt", "rms"), split="enroll"))
    >>> _ = SpeakerIndex.write(system, store, f"{folder.name}/people.index")
    >>> index = SpeakerIndex.open(f"{folder.name}/people.index", system, store)
    >>> (answer,) = speechgmm.identify(system, store, ["data/slt/s2_1.flac"], index=index)
    >>> answer.decision
    'slt'
    >>> store.close()
    >>> folder.cleanup()
    """

    head: IndexHead
    numbers: Array
    start: int
    stop: int

    def _look(self) -> Look:
        part = () if self.stop - self.start == len(self.head.names) else (f"{self.start} to {self.stop} of them",)
        return Look((number_of(len(self.head.names), "speaker"), *part, f"of the model {self.head.fingerprint}"))

    @classmethod
    def write(
        cls,
        system: System,
        store: SpeakerStore,
        path: str | os.PathLike[str],
        *,
        n_threads: int | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        """Write an index of everybody in a store. It appears whole, or not at all.

        It holds models of people's voices, also of those who are removed from the store later: write it anew then, or
        remove it. Damaged sessions are left out, with a `DamagedSessionWarning`. In memory are the outlines and a few
        hundred models at a time; in the file 4 bytes for each mean, 12 GB for 100 000 speakers and 512 components.

        Parameters
        ----------
        system : System
            Its UBM has independent features.
        store : SpeakerStore
        path : path
            A file.
        n_threads : int, optional
            Default: the cores of this process. It changes the time and nothing else.
        on_progress : callable, optional
            Called with "indexed", how many speakers are written, and how many there are.

        Raises
        ------
        InvalidInput
            If nobody is enrolled, or the file cannot be written.
        IncompatibleModel
            If the store is of another system.
        """
        names, state = store.speakers, store.state()
        if not names:
            refuse("speakers to index", "be at least one", "none", "Enroll somebody first.")
        domain = domain_of(system, store, n_threads=n_threads)
        sample = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(SAMPLE, len(names))).astype(int))]
        damaged: dict[DamagedSession, None] = dict.fromkeys(domain.damaged)

        def read(some: Sequence[str]) -> Iterator[Block]:
            for begin in range(0, len(some), _BLOCK):
                own = some[begin : begin + _BLOCK]
                with store.moment() as moment:
                    check_known(moment.contents.people, *own)
                    found = PeopleRead().more(system, moment, own, n_threads)
                damaged.update((d, None) for lost in found.damaged.values() for d in lost)
                if found.sums:
                    yield _block(domain.ubm, system.relevance, found.sums)
                if on_progress and some is names:
                    on_progress("indexed", min(begin + _BLOCK, len(names)), len(names))

        known = [b.offsets for b in read(sample)] or [b.offsets for b in read(names)]
        if not known:
            refuse_damaged("the sessions to index", list(damaged))
        outlines = Outlines.learned(domain.ubm, np.concatenate(known))
        write_blocks(path, system, state, outlines, read(names))
        warn_of(tuple(damaged))

    @classmethod
    def open(cls, path: str | os.PathLike[str], system: System, store: SpeakerStore) -> "SpeakerIndex":
        """Open an index that was written of this system and this store, as it is now.

        Sizes are checked, and the head by its digest; models are mapped, and read when they are scored.

        Raises
        ------
        InvalidInput
            If the file is missing, is no index, or is damaged.
        IncompatibleModel
            If it is of another system or store, or the store has changed since.
        """
        index = read_index(path)
        index.check(system, store)
        return index

    def check(self, system: System, store: SpeakerStore) -> None:
        """Refuse an index that is not of this system, and of this store as it is now.

        Raises
        ------
        IncompatibleModel
        """
        told = {
            "this model": (self.head.fingerprint, system.fingerprint),
            "its relevance factor": (self.head.relevance, system.relevance),
            "the store as it is now": (self.head.state, store.cached("state", store.state)),
        }
        for what, (found, wanted) in told.items():
            if found != wanted:
                refuse("an index", f"be of {what}", "one of another", _ANEW, error=IncompatibleModel)

    def part(self, number: int, of: int) -> "SpeakerIndex":
        """Return one of several parts, counted from 0, for a worker of its own: a range of whole sections.

        Parts differ by at most a section of 8192 speakers, and some are empty where there are more parts than sections.
        What several workers find is put together by `IndexScorer.merged`.
        """
        of = integer(of, "the number of parts", minimum=1)
        number = integer(number, "the number of a part", minimum=0, maximum=of - 1)
        ends = [min(self.n_sections * i // of * SECTION, len(self.head.names)) for i in (number, number + 1)]
        return SpeakerIndex(self.head, self.numbers, *ends)

    @property
    def n_sections(self) -> int:
        """How many sections there are of all S speakers."""
        return -(-len(self.head.names) // SECTION)

    @property
    def sections(self) -> list[range]:
        """The places of the speakers of this part, section by section."""
        return [range(a, min(a + SECTION, self.stop)) for a in range(self.start, self.stop, SECTION)]

    @functools.cached_property
    def models(self) -> SpeakerModels:
        """The models of all S speakers; their means are mapped, and read where somebody takes them."""
        h = self.head
        return SpeakerModels(h.names, self._mapped[0], h.speech_seconds, h.outlines.ubm, h.fingerprint)

    def offsets_of(self, places: Iterable[int]) -> Iterator[Array]:
        """Yield the adapted means (K, D) of some of the S speakers, mapped."""
        return (self._mapped[0][i] for i in places)

    def outlines_of(self, places: range | Array) -> Array:
        """Return the outlines (n, B + K) of some of the S speakers."""
        rows = slice(places.start, places.stop) if isinstance(places, range) else places
        return np.asarray(self._mapped[1][rows])

    @functools.cached_property
    def _mapped(self) -> tuple[Array, Array]:
        n, (k, d) = len(self.head.names), self.head.outlines.ubm.means.shape
        offsets, outlines = np.split(self.numbers, [n * k * d])
        return offsets.reshape(n, k, d), outlines.reshape(n, self.head.outlines.size)


def _block(ubm: UBM, relevance: float, sums: Mapping[str, Session]) -> Block:
    """Adapt the models of some speakers from what is enrolled of each."""
    seconds = np.array([s.speech_seconds for s in sums.values()])
    return Block(tuple(sums), seconds, np.stack([adapted_offsets(ubm, s.statistics, relevance) for s in sums.values()]))


def write_blocks(
    path: str | os.PathLike[str], system: System, state: str, outlines: Outlines, blocks: Iterable[Block]
) -> None:
    """Write an index of blocks of speakers, whose models were adapted from the background model of the outlines."""
    names: list[str] = []
    seconds, taken, narrow = [], [], False
    with replacing(path, _KIND) as beside, beside.open("wb") as file:
        file.write(_MARK)
        for block in blocks:
            offsets = block.offsets.astype(_NUMBER)
            file.write(offsets.data)
            taken.append(outlines.of(offsets).astype(_NUMBER))
            narrow = narrow or outlines.are_narrow(offsets)
            names += block.names
            seconds.append(block.speech_seconds)
        for rows in taken:
            file.write(np.ascontiguousarray(rows).data)
        head = IndexHead(
            system.fingerprint, system.relevance, state, tuple(names), np.concatenate(seconds), outlines, narrow
        )
        told = storage.dumps(head)
        file.write(told + len(told).to_bytes(_LENGTH, "little"))


def read_index(path: str | os.PathLike[str]) -> SpeakerIndex:
    """Open an index whatever it is of: sizes are checked, and the head."""
    check_readable(path, "an index")
    try:
        with open(path, "rb") as file:
            head = _head(file, os.fspath(path))
            k, d = head.outlines.ubm.means.shape
            size = len(head.names) * (k * d + head.outlines.size)
            numbers = np.memmap(file, _NUMBER, "r", len(_MARK), (size,)).view(np.ndarray)
    except OSError as error:
        refuse("an index", "be a file that can be read", f"{os.fspath(path)} ({error.strerror})")
    return SpeakerIndex(head, numbers, 0, len(head.names))


def _head(file: IO[bytes], path: str) -> IndexHead:
    """Return the head of an index, or refuse a file that is none, or not a whole one."""
    if file.read(len(_MARK)) != _MARK:
        refuse("an index", "be a file that SpeakerIndex.write made", path)
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - _LENGTH, 0))
    length = int.from_bytes(file.read(_LENGTH), "little")
    before = size - _LENGTH - length
    if before < len(_MARK):
        refuse(f"the index {path}", "be whole", f"{size} bytes, whose head is not there", _ANEW)
    file.seek(before)
    head: IndexHead = storage.loads(file.read(length), IndexHead, source=f"the index {path}")
    k, d = head.outlines.ubm.means.shape
    wanted: Any = len(_MARK) + len(head.names) * (k * d + head.outlines.size) * _NUMBER.itemsize
    if before != wanted:
        found = f"{before} bytes before its head"
        refuse(f"the index {path}", f"hold {wanted} bytes of models", found, _ANEW)
    return head

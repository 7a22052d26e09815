"""An index: the models of very many enrolled speakers in a file that is mapped into memory, for `identify`.

A store keeps statistics, of which models are adapted whenever it is read; with a hundred thousand people that takes
minutes, and more memory than there is. An index is written once, block by block, and read where it is needed: of each
speaker first an outline (see `outlines`), and the whole model of the few that are likely. It belongs to one store. Who
was enrolled since is scored from there, beside it; once anything was removed the index is refused: it would still know
who was forgotten.

The file: a mark; the models of each mixture as float32 frames are scored, (S + 1, D + 1, K), those of the background
first; outlines: the size of a step and squares, float32, (2, S, K), and steps, (S, K, D), of 8 bits; the head, as
`storage` writes values, with a digest; its length in 8 bytes. Symbols: S speakers, K components, D dimensions.
"""

import contextlib
import functools
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.parallel import Progress
from speechgmm.speakers.block_models import BlockLayout, BlockModels, CompactBlock
from speechgmm.speakers.damage import DamagedSession, refuse_damaged, warn_of
from speechgmm.speakers.enrolled import domain_of
from speechgmm.speakers.following import PeopleRead
from speechgmm.speakers.models import SpeakerModels, speaker_offsets
from speechgmm.speakers.outlines import OutlineRows, Outlines
from speechgmm.speakers.sessions import Session
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.store_moment import Contents
from speechgmm.speakers.system import System

_BEGINNING = b"speechgmm index of speakers, "
_MARK = _BEGINNING + b"2\n\0"
INDEX = Kind("an index of speakers", starts_with(_BEGINNING))
"""How an index is told from other files."""
_NUMBER = np.dtype("<f4")
_LENGTH = 8
MOST_SINCE = 1000
"""So many people who were enrolled since are scored beside an index; then it is to be written anew."""
WRITE_ANEW = "Write it anew: speechgmm speakers index, or SpeakerIndex.write in Python."
"""What to do with an index that is refused."""
_BLOCK = 512
"""Speakers that are read and written at once."""
_COPIED = 2**20


@dataclass(frozen=True, eq=False)
class Block:
    """Some of very many speakers: `names`, `speech_seconds` (n,), and adapted means about the origin (n, K, D).

    And the `marks` of what the store holds of them, and of those among them who are left out.
    """

    names: tuple[str, ...]
    speech_seconds: Array
    offsets: Array
    marks: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class IndexHead(Shown):
    """What an index is of.

    Parameters
    ----------
    fingerprint : str
        Of the system.
    relevance : float
        With which it adapted the speakers.
    marks : ndarray of uint64
        Of all rows of the store: see `Person.marks`.
    names : tuple of str
        S speakers.
    speech_seconds : ndarray, shape (S,)
        Enrolled of each.
    ubm : GMM or Ensemble
        The background model of the store's domain; its features are independent.
    narrow : bool
        Whether a speaker has to be scored in float64, for all are then.
    """

    KIND: ClassVar = "the head of an index of speakers"
    PARTS: ClassVar = (GMM, Ensemble, *COVARIANCES.values())

    fingerprint: str
    relevance: float
    marks: Array
    names: tuple[str, ...]
    speech_seconds: Array
    ubm: UBM
    narrow: bool

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        instance(self.fingerprint, "the fingerprint", str)
        marks = np.asarray(self.marks)
        if marks.ndim != 1 or marks.dtype != np.uint64:
            refuse("the marks of a store's rows", "be numbers of 64 bits", f"shape {marks.shape}, {marks.dtype}")
        relevance = number(self.relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames")
        sequence_of(self.names, "the names of an index", str)
        if not self.names:
            refuse("an index", "be of at least one speaker", "none")
        Outlines(self.ubm)
        instance(self.narrow, "narrow", bool)
        seconds = numeric(self.speech_seconds, "speech_seconds").astype(np.float64)
        unknown = np.isnan(seconds)
        known = floats(np.where(unknown, 0.0, seconds), "speech_seconds", shape=(len(self.names),), largest=FAR)
        held = np.where(unknown, np.nan, known)
        hold(self, relevance=relevance, names=tuple(self.names), speech_seconds=held)

    @functools.cached_property
    def outlines(self) -> Outlines:
        """How its outlines are taken."""
        return Outlines(self.ubm)

    @functools.cached_property
    def layout(self) -> BlockLayout:
        """How its models are laid out."""
        return BlockLayout(self.ubm)

    @functools.cached_property
    def known(self) -> frozenset[int]:
        """The marks."""
        return frozenset(self.marks.tolist())


@dataclass(frozen=True, eq=False)
class Changes:
    """What of a store an index does not hold.

    Parameters
    ----------
    since : tuple of str
        Who was enrolled since it was written, or enrolled again.
    stale : ndarray of bool, shape (S,)
        Which of its speakers were enrolled again.
    """

    since: tuple[str, ...]
    stale: Array


@dataclass(frozen=True, eq=False)
class SpeakerIndex(Shown):
    """The enrolled speakers of a store, or a range of them, ready to be searched: see `identify`.

    Made by `SpeakerIndex.open`, after `SpeakerIndex.write`. Any number of processes may read one file.

    Parameters
    ----------
    head : IndexHead
        Of all S speakers.
    block : CompactBlock
        The models of all S speakers, mapped; they stay what they were if another file takes the place of this.
    rows : OutlineRows
        Of all S speakers, mapped.
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
    block: CompactBlock
    rows: OutlineRows
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
    ) -> tuple[DamagedSession, ...]:
        """Write an index of everybody in a store. It appears whole, or not at all.

        It holds models of people's voices, also of those who are removed from the store later: write it anew then, or
        remove it. Damaged sessions are left out, with a `DamagedSessionWarning`. In memory are a few hundred models at
        a time; in the file 5 bytes for each mean, 16 GB for 100 000 speakers and 512 components.

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

        Returns
        -------
        tuple of DamagedSession
            What was left out.

        Raises
        ------
        InvalidInput
            If nobody is enrolled, or the file cannot be written.
        IncompatibleModel
            If the store is of another system.
        """
        people = store.contents.people
        names = sorted(people)
        if not names:
            refuse("speakers to index", "be at least one", "none", "Enroll somebody first.")
        domain = domain_of(system, store, n_threads=n_threads)
        damaged: dict[DamagedSession, None] = dict.fromkeys(domain.damaged)

        def read() -> Iterator[Block]:
            whole = 0
            for begin in range(0, len(names), _BLOCK):
                with store.moment() as moment:
                    now = moment.contents.people
                    own = [n for n in names[begin : begin + _BLOCK] if now.get(n) == people[n]]
                    found = PeopleRead().more(system, moment, own, n_threads)
                damaged.update((d, None) for lost in found.damaged.values() for d in lost)
                marks = frozenset[int]().union(*(people[n].marks for n in own))
                yield _block(domain.ubm, system.relevance, found.sums, marks)
                whole += len(found.sums)
                if on_progress:
                    on_progress("indexed", min(begin + _BLOCK, len(names)), len(names))
            if not whole:
                refuse_damaged("the sessions to index", list(damaged))

        write_blocks(path, system, domain.ubm, read())
        warn_of(left_out := tuple(damaged))
        return left_out

    @classmethod
    def open(cls, path: str | os.PathLike[str], system: System, store: SpeakerStore) -> "SpeakerIndex":
        """Open an index that was written of this system and this store.

        Sizes are checked, and the head by its digest; models are mapped, and read when they are scored.

        Raises
        ------
        InvalidInput
            If the file is missing, is no index, or is damaged.
        IncompatibleModel
            If it is of another system or store, or anything was removed since, or more than a thousand people enrolled.
        """
        index = read_index(path)
        index.check(system, store)
        return index

    def check(self, system: System, store: SpeakerStore) -> None:
        """Refuse an index that is not of this system and this store, or that holds what was removed from it.

        Raises
        ------
        IncompatibleModel
        """
        told = {
            "this model": (self.head.fingerprint, system.fingerprint),
            "its relevance factor": (self.head.relevance, system.relevance),
        }
        for what, (found, wanted) in told.items():
            if found != wanted:
                refuse("an index", f"be of {what}", "one of another", WRITE_ANEW, error=IncompatibleModel)
        store.cached(("changes", self.head), lambda: self.changes(store.contents))

    def changes(self, contents: Contents) -> Changes:
        """Return who was enrolled since the index was written, or enrolled again.

        Raises
        ------
        IncompatibleModel
            If anything was removed since, or more than a thousand people were enrolled.
        """
        known, left, since = self.head.known, len(self.head.known), []
        for name, person in contents.people.items():
            held = len(person.marks & known)
            left -= held
            if held < len(person.marks):
                since.append(name)
        if left:
            rule, got = "be of the store as it is now", "one of another, or of which something was removed since"
            refuse("an index", rule, got, WRITE_ANEW, error=IncompatibleModel)
        if len(since) > MOST_SINCE:
            rule = f"be of the store as it is now, but for {MOST_SINCE} people"
            refuse("an index", rule, f"{len(since)} who were enrolled since", WRITE_ANEW, error=IncompatibleModel)
        again = set(since)
        stale = np.array([name in again for name in self.head.names], bool)
        return Changes(tuple(sorted(since)), stale)

    def part(self, number: int, of: int) -> "SpeakerIndex":
        """Return one of several parts, counted from 0, for a worker of its own.

        What several workers find is put together by `IndexScorer.merged`.
        """
        of = integer(of, "the number of parts", minimum=1)
        number = integer(number, "the number of a part", minimum=0, maximum=of - 1)
        start, stop = (len(self.head.names) * i // of for i in (number, number + 1))
        return replace(self, start=start, stop=stop)

    def outlines_of(self, places: slice) -> OutlineRows:
        """Return the outlines of some of the S speakers."""
        return OutlineRows(*(x[places] for x in self.rows))

    def take(self, places: Array) -> SpeakerModels:
        """Return the models of some of the S speakers (n,)."""
        block = self.block.take(places.tolist())
        return BlockModels(self.head.layout, [block], self.head.fingerprint, names=block.names)


def _block(ubm: UBM, relevance: float, sums: Mapping[str, Session], marks: frozenset[int]) -> Block:
    """Adapt the models of some speakers from what is enrolled of each."""
    offsets = np.empty((len(sums), *ubm.means.shape))
    for row, session in zip(offsets, sums.values(), strict=True):
        row[:] = speaker_offsets(ubm, session.statistics, relevance)
    return Block(tuple(sums), np.array([s.speech_seconds for s in sums.values()]), offsets, marks)


def write_blocks(path: str | os.PathLike[str], system: System, ubm: UBM, blocks: Iterable[Block]) -> None:
    """Write an index of blocks of speakers, whose models were adapted from a background model."""
    outlines, names, seconds, marks, narrow = Outlines(ubm), list[str](), [np.empty(0)], set[int](), False
    layout, background = BlockLayout(ubm), ubm.offsets[None]
    with contextlib.ExitStack() as files:
        beside = files.enter_context(replacing(path, INDEX))
        file = files.enter_context(beside.open("wb"))
        others = len(ubm.parts) - 1 + len(OutlineRows._fields)
        parts: list[Any] = [
            file,
            *(files.enter_context(tempfile.TemporaryFile(dir=beside.parent)) for _ in range(others)),
        ]
        file.write(_MARK)
        _write(parts, _laid_out(layout, background))
        for block in blocks:
            rows = outlines.of(block.offsets)
            _write(parts, [*_laid_out(layout, block.offsets), rows.size, rows.squares, rows.steps])
            narrow = narrow or outlines.are_narrow(block.offsets)
            names += block.names
            seconds.append(block.speech_seconds)
            marks |= block.marks
        for part in parts[1:]:
            part.seek(0)
            shutil.copyfileobj(part, file, _COPIED)
        known = np.array(sorted(marks), np.uint64)
        head = IndexHead(
            system.fingerprint, system.relevance, known, tuple(names), np.concatenate(seconds), ubm, narrow
        )
        told = storage.dumps(head)
        file.write(told + len(told).to_bytes(_LENGTH, "little"))


def _laid_out(layout: BlockLayout, offsets: Array) -> list[Array]:
    """Return models as float32 frames are scored, (n, D + 1, K) of each mixture, from their means (n, K, D)."""
    linear = tuple(x[1:] for x in layout.empty(len(offsets)))
    for row, own in enumerate(offsets):
        layout.lay_out(linear, row, own, checked=False)
    return [x.astype(_NUMBER, copy=False) for x in linear]


def _write(files: Sequence[Any], arrays: Sequence[Array]) -> None:
    for file, array in zip(files, arrays, strict=False):  # of the background there is no outline
        file.write(np.ascontiguousarray(array).data)


def read_index(path: str | os.PathLike[str]) -> SpeakerIndex:
    """Open an index whatever it is of: sizes are checked, and the head."""
    check_readable(path, "an index")
    try:
        with open(path, "rb") as file:
            head = _head(file, os.fspath(path))
            mapped = np.memmap(file, np.uint8, "r", len(_MARK), (_size(head),)).view(np.ndarray)
    except OSError as error:
        refuse("an index", "be a file that can be read", f"{os.fspath(path)} ({error.strerror})")
    ends = np.cumsum([math.prod(shape) * kind.itemsize for shape, kind in _arrays(head)])
    found = [
        piece.view(kind).reshape(shape)
        for piece, (shape, kind) in zip(np.split(mapped, ends[:-1]), _arrays(head), strict=True)
    ]
    *linear, size, squares, steps = found
    block = CompactBlock(head.names, head.speech_seconds, tuple(linear))
    return SpeakerIndex(head, block, OutlineRows(steps, size, squares), 0, len(head.names))


def _arrays(head: IndexHead) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the shapes and types of models and outlines, in the order of the file."""
    n, (k, d) = len(head.names), head.ubm.means.shape
    linear = [(n + 1, part.means.shape[1] + 1, part.n_components) for part in head.ubm.parts]
    return [*((shape, _NUMBER) for shape in [*linear, (n, k), (n, k)]), ((n, k, d), np.dtype(np.int8))]


def _size(head: IndexHead) -> int:
    """Return how many bytes models and outlines take."""
    return sum(math.prod(shape) * kind.itemsize for shape, kind in _arrays(head))


def _head(file: IO[bytes], path: str) -> IndexHead:
    """Return the head of an index, or refuse a file that is none, or not a whole one."""
    if not (mark := file.read(len(_MARK))).startswith(_BEGINNING):
        refuse("an index", "be a file that SpeakerIndex.write made", path)
    if mark != _MARK:
        refuse(f"the index {path}", "be of the form that this version writes", "another", WRITE_ANEW)
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - _LENGTH, 0))
    length = int.from_bytes(file.read(_LENGTH), "little")
    before = size - _LENGTH - length
    if before < len(_MARK):
        refuse(f"the index {path}", "be whole", f"{size} bytes, whose head is not there", WRITE_ANEW)
    file.seek(before)
    head: IndexHead = storage.loads(file.read(length), IndexHead, source=f"the index {path}")
    wanted = len(_MARK) + _size(head)
    if before != wanted:
        found = f"{before} bytes before its head"
        refuse(f"the index {path}", f"hold {wanted} bytes of models", found, WRITE_ANEW)
    return head

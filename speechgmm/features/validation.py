"""What is asked of a corpus as a whole, however it is laid out: before the work begins, and without opening a sound."""

import math
import os
from collections.abc import Iterable, Sequence

from speechgmm.checks import refuse
from speechgmm.features import archives
from speechgmm.features.corpus import Corpus, Recording
from speechgmm.features.problems import Problems

SPLIT = "split"
"""The column that says what a recording is for."""


def check_listed(recordings: Sequence[Recording], problems: Problems) -> None:
    """Collect parts that hold nothing, recordings that are listed twice, and different ones of the same name."""
    seen: dict[tuple[str, float, float | None, str], Recording] = {}
    names: dict[str, Recording] = {}
    for r in recordings:
        with problems:
            if not (0 <= r.start < (math.inf if r.end is None else r.end)):
                found = f"{r.start:g} to {'the end' if r.end is None else format(r.end, 'g')} s in {r.place}"
                refuse(problems.source, "list parts that end after they start, at 0 s or later", found)
            part = (os.path.normpath(r.path), r.start, r.end, str(r.channel))
            if (first := seen.setdefault(part, r)) is not r:
                refuse(problems.source, "list each recording once", f"{r.name} twice{_both(first, r)}")
            if (first := names.setdefault(r.name, r)) is not r:
                refuse(problems.source, "call each recording by a name of its own", f"{r.name} twice{_both(first, r)}")


def _both(first: Recording, second: Recording) -> str:
    """Return where two recordings are listed, or where they lie if they are not."""
    if second.row:
        return f", in {first.row} and in {second.row}"
    return f", as {first.path} and as {second.path}"


def in_other_splits(recordings: Iterable[Recording]) -> tuple[tuple[Recording, Recording], ...]:
    """Return whom a background has in common with other splits: a recording of each, and one of another split.

    Whoever the background knows is no stranger to it, so that rates that are measured on such people flatter. Of a
    corpus of which `Corpus.where` has chosen some splits the others are looked at; any other recordings have none.

    Examples
    --------
    >>> import speechgmm
    >>> corpus = speechgmm.read_corpus("data/manifest.csv")
    >>> in_other_splits(corpus.where(split="ubm"))
    ()
    >>> (own, other), *_ = in_other_splits(corpus.where(split="enroll"))
    >>> own.speaker == other.speaker, other.columns["split"]
    (True, 'test')
    """
    if not isinstance(recordings, Corpus):
        return ()
    chosen = {r.columns.get(SPLIT) for r in recordings}
    here = {r.speaker: r for r in reversed(recordings.recordings) if r.speaker}
    found: dict[str, tuple[Recording, Recording]] = {}
    for r in recordings.others:
        split = r.columns.get(SPLIT)
        if split and split not in chosen and r.speaker in here:
            found.setdefault(r.speaker, (here[r.speaker], r))
    return tuple(found.values())


def missing(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    """Return the recordings whose files are not there, in their order.

    They are left out of whatever is done with the corpus; this says so before the work begins. It asks the file system
    once for each file and opens none.

    Examples
    --------
    >>> from speechgmm.features import Corpus
    >>> [r.name for r in missing(Corpus.from_files(["data/slt/s1_1.flac", "nobody.flac"]))]
    ['nobody.flac']
    """
    every = tuple(recordings)
    there = {path: os.path.exists(archives.file_of(path)) for path in {r.path for r in every}}
    return tuple(r for r in every if not there[r.path])

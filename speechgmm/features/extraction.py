"""Features of many recordings: in order, on several threads, in constant memory. Symbols: N frames, D dimensions."""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numpy as np

from speechgmm.checks import Array, integer, refuse
from speechgmm.errors import Skipped, SpeechGMMError
from speechgmm.features.acoustics import Acoustics
from speechgmm.features.corpus import Recording
from speechgmm.features.feature_cache import KeptFeatures, feature_cache
from speechgmm.features.frontend import FrontEnd
from speechgmm.features.problems import refuse_failures
from speechgmm.features.sounds import Sound, recording_of
from speechgmm.features.spool import Spool, in_blocks
from speechgmm.looks import Shown
from speechgmm.mixture import ArrayBlocks
from speechgmm.parallel import BlockViews, HearsSeconds, Progress, Threads, counted, threads

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Extracted(Shown):
    """The features of a sound, or the error that it met.

    Parameters
    ----------
    recording : Recording
    features : ndarray, shape (N, D), or None where there is an `error`
        Of a long recording they lie in a temporary file, which is mapped into memory; `blocks` reads it.
    digest : str
        Names the recording by its samples; empty where they could not be read.
    speech_seconds : float
    error : SpeechGMMError or None
    acoustics : Acoustics or None
        How it sounds before normalization, where the front end says so.
    """

    recording: Recording
    features: Array | None
    digest: str
    speech_seconds: float
    error: SpeechGMMError | None = None
    acoustics: Acoustics | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.recording.name

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process with the features themselves, which may lie in a file of this one."""
        return {**vars(self), "features": None if self.features is None else np.array(self.features)}

    def usable(self) -> Array:
        """Return the features, or raise the error that took their place."""
        if self.error:
            raise self.error
        return np.asanyarray(self.features)

    def blocks(self) -> Iterator[Array]:
        """Return the features in blocks of at most 32 768 frames, one at a time in memory, or raise the error."""
        return in_blocks(self.usable())


@dataclass(frozen=True)
class Part:
    """Which of many frames are those of a recording: from `start` on, and before `stop`; and how it sounds."""

    recording: Recording
    start: int
    stop: int
    acoustics: Acoustics | None = None


@dataclass(frozen=True, eq=False)
class TrainingFrames(Shown):
    """All frames of many recordings as re-iterable `blocks`, whence they are, and what was left out.

    Parameters
    ----------
    frontend : FrontEnd
        With what it has learned from these recordings.
    blocks : ArrayBlocks
    unnormalized : ndarray, shape (N, D)
        The same frames before normalization, of which a part can be taken for a recording of its own.
    parts : tuple of Part
        The recordings in their order.
    speech_seconds : float
    skipped : tuple of Skipped
    """

    frontend: FrontEnd
    blocks: ArrayBlocks
    unnormalized: Array
    parts: tuple[Part, ...]
    speech_seconds: float
    skipped: tuple[Skipped, ...]

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, sorted."""
        return tuple(sorted({p.recording.speaker for p in self.parts}))

    def of(self, part: Part) -> Array:
        """Return the frames (n, D) of one recording."""
        return self.blocks.frames[part.start : part.stop]

    def unnormalized_of(self, part: Part) -> Array:
        """Return the frames (n, D) of one recording before normalization."""
        return self.unnormalized[part.start : part.stop]

    def without(self, speakers: Collection[str]) -> "FramesKept":
        """Return the frames of all other speakers, as re-iterable blocks that copy a block at a time."""
        keep = np.zeros(len(self.blocks.frames), dtype=bool)
        for p in self.parts:
            keep[p.start : p.stop] = p.recording.speaker not in speakers
        return FramesKept(self.blocks, keep)


@dataclass(frozen=True, eq=False)
class FramesKept(BlockViews):
    """The frames of `blocks` that are kept, `keep` of shape (N,), block by block; of some blocks it may be none."""

    blocks: ArrayBlocks
    keep: Array

    def views(self) -> Iterator[Callable[[Array], Array]]:
        """Yield what gives of each block what is kept of it."""
        for start in range(0, len(self.keep), self.blocks.size):
            yield functools.partial(_rows, keep=self.keep[start : start + self.blocks.size])


def _rows(block: Array, keep: Array) -> Array:
    """Return some frames of a block."""
    return block[keep]


def extract(frontend: FrontEnd, sound: Sound, name: str = "the sound") -> Extracted:
    """Read one sound and return its features, or its error; `name` is that of a signal, which lies in no file.

    Where a `feature_cache` is asked for, features of files are taken from there, or kept there.

    Examples
    --------
    >>> from speechgmm.features import MFCC
    >>> found = extract(MFCC(sample_rate=16000), "data/slt/s1_1.flac")
    >>> found.error is None, found.features.shape[1]
    (True, 60)
    >>> extract(MFCC(sample_rate=16000), "nobody.flac").error is None
    False
    """
    recording, digest = recording_of(sound, name), ""
    cache = feature_cache()
    entry = None if cache is None else cache.entry(frontend, recording)
    kept = None if entry is None else entry.read()
    if kept is None:
        try:
            blocks, digest = frontend.hear(sound, recording)
            plain = frontend if entry is None else frontend.unnormalized
            features, acoustics = plain.listened(blocks, what=recording.path or name)
        except SpeechGMMError as error:
            return Extracted(recording, None, digest, 0.0, error)
        if entry is None:
            return Extracted(recording, features, digest, frontend.seconds(features), acoustics=acoustics)
        kept = entry.write(KeptFeatures(features, digest, acoustics))
    x = frontend.normalized(kept.features)
    return Extracted(recording, x, kept.digest, frontend.seconds(x), acoustics=kept.acoustics)


@overload
def extract_all(
    frontend: FrontEnd,
    sounds: Iterable[Sound],
    *,
    stage: str = ...,
    max_failures: int | None = ...,
    n_threads: Threads = ...,
    on_progress: Progress | None = ...,
) -> Iterator[Extracted]: ...
@overload
def extract_all(
    frontend: FrontEnd,
    sounds: Iterable[Sound],
    then: Callable[[Extracted], R],
    *,
    stage: str = ...,
    max_failures: int | None = ...,
    n_threads: Threads = ...,
    on_progress: Progress | None = ...,
) -> Iterator[R]: ...
def extract_all(
    frontend: FrontEnd,
    sounds: Iterable[Sound],
    then: Callable[[Extracted], Any] | None = None,
    *,
    stage: str = "recordings",
    max_failures: int | None = None,
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> Iterator[Any]:
    """Yield the features of sounds in their order; a bad one has its error in their place and does not lose the others.

    Parameters
    ----------
    frontend : FrontEnd
    sounds : iterable of paths, signals or recordings
    then : callable, optional
        Called with each `Extracted` on the thread that made it; what it returns is yielded instead.
    stage : str
        What progress calls this work.
    max_failures : int, optional
        How many bad ones there may be. Default: any number.
    n_threads : int or mapper, optional
        Default: the cores of this process. It changes the time and nothing else. Workers of a cluster read recordings
        by the same paths, each with the cache that its own environment names; features, or what `then` made of them,
        come back whole.
    on_progress : callable, optional
        Called with the stage, how many are done, and how many there are. Where it `HearsSeconds`, it is told the
        seconds of speech so far.

    Raises
    ------
    BadCorpus
        Once there are more bad ones than `max_failures`.

    Examples
    --------
    >>> from speechgmm.features import MFCC
    >>> sounds = ["data/slt/s1_1.flac", "nobody.flac"]
    >>> [(e.name, e.error is None) for e in extract_all(MFCC(sample_rate=16000), sounds)]
    [('data/slt/s1_1.flac', True), ('nobody.flac', False)]
    """
    every, heard, failures = tuple(sounds), 0.0, list[Skipped]()
    most = None if max_failures is None else integer(max_failures, "max_failures", minimum=0)

    work = functools.partial(_extracted, frontend, then)
    done = counted(threads(n_threads)(work, enumerate(every)), stage, len(every), on_progress)
    for seconds, failure, result in done:
        heard += seconds
        if isinstance(on_progress, HearsSeconds):
            on_progress.heard(stage, heard)
        if failure:
            failures.append(failure)
            if most is not None and len(failures) > most:
                refuse_failures(failures, most)
        yield result


def _extracted(
    frontend: FrontEnd, then: Callable[[Extracted], Any] | None, numbered: tuple[int, Sound]
) -> tuple[float, Skipped | None, Any]:
    """Extract one of many sounds; return its seconds of speech, why it failed if it did, and what is yielded."""
    i, sound = numbered
    e = extract(frontend, sound, f"sound {i}")
    failure = Skipped(e.name, str(e.error)) if e.error else None
    return e.speech_seconds, failure, e if then is None else then(e)


def training_frames(
    frontend: FrontEnd,
    recordings: Iterable[Recording],
    *,
    max_failures: int | None = None,
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> TrainingFrames:
    """Extract the features of recordings once, into unnamed temporary files that EM then reads again and again.

    The front end first learns from all of them what it needs to know for their normalization. Other parameters are
    those of `extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be used; the first reason is given.
    BadCorpus
        If more than `max_failures` could not.

    Examples
    --------
    >>> import speechgmm
    >>> from speechgmm.features import MFCC
    >>> corpus = speechgmm.read_corpus("data/manifest.csv").where(speaker=("slt", "rms"), split="enroll")
    >>> frames = training_frames(MFCC(sample_rate=16000), corpus)
    >>> frames.speakers, len(frames.parts), frames.skipped
    (('rms', 'slt'), 4, ())
    """
    parts: list[Part] = []
    skipped: list[Skipped] = []
    plain = frontend.unnormalized
    how: dict[str, Any] = {"max_failures": max_failures, "n_threads": n_threads, "on_progress": on_progress}
    extracted = extract_all(plain, recordings, stage="features", **how)
    spool = Spool(in_memory=0)
    for e in extracted:
        if e.error:
            skipped.append(Skipped(e.name, str(e.error)))
            continue
        parts.append(Part(e.recording, len(spool), len(spool) + len(e.usable()), e.acoustics))
        for block in e.blocks():
            spool.add(block)
    if not parts:
        found = f"none of {len(skipped)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        refuse("a corpus", "hold at least one usable recording", found)
    learned = frontend.learned(spool.rows(p.start, p.stop) for p in parts)
    normalized = spool
    if plain != frontend:
        normalized = Spool((learned.normalized(spool.rows(p.start, p.stop)) for p in parts), in_memory=0)
    x = normalized.array()
    return TrainingFrames(learned, ArrayBlocks(x), spool.array(), tuple(parts), learned.seconds(x), tuple(skipped))

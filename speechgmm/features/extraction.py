"""Features of many recordings: in order, on several threads, in constant memory. Symbols: N frames, D dimensions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.errors import SpeechGMMError
from speechgmm.features import audio
from speechgmm.features.corpus import Recording
from speechgmm.features.mfcc import MFCC
from speechgmm.mixture import ArrayBlocks
from speechgmm.parallel import Mapper, threads

Array = NDArray[Any]

__all__ = [
    "Extracted",
    "FramesKept",
    "Skipped",
    "TrainingFrames",
    "common_rate",
    "extract",
    "extract_all",
    "training_frames",
]


@dataclass(frozen=True, eq=False)
class Extracted:
    """The features of a recording, or the error that it met.

    Parameters
    ----------
    recording : Recording
    features : ndarray, shape (N, D), or None where there is an `error`
    digest : str
        Names the recording by its samples; empty where they could not be read.
    seconds : float
        Speech, in seconds.
    error : SpeechGMMError or None
    """

    recording: Recording
    features: Array | None
    digest: str
    seconds: float
    error: SpeechGMMError | None = None


@dataclass(frozen=True)
class Skipped:
    """A recording that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """All frames of many recordings as re-iterable `blocks`, whence they are, and what was left out.

    Parameters
    ----------
    blocks : ArrayBlocks
    parts : tuple of (Recording, int, int)
        The recordings in their order, each with the first of its frames and the one after its last.
    seconds : float
        Speech, in seconds.
    skipped : tuple of Skipped
    """

    blocks: ArrayBlocks
    parts: tuple[tuple[Recording, int, int], ...]
    seconds: float
    skipped: tuple[Skipped, ...]

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, sorted."""
        return tuple(sorted({r.speaker for r, _, _ in self.parts}))

    def without(self, speakers: Collection[str]) -> FramesKept:
        """Return the frames of all other speakers, as re-iterable blocks that copy a block at a time."""
        keep = np.zeros(len(self.blocks.frames), dtype=bool)
        for recording, start, stop in self.parts:
            keep[start:stop] = recording.speaker not in speakers
        return FramesKept(self.blocks, keep)


@dataclass(frozen=True, eq=False)
class FramesKept:
    """The frames of `blocks` that are kept, `keep` of shape (N,), block by block."""

    blocks: ArrayBlocks
    keep: Array

    def __iter__(self) -> Iterator[Array]:
        """Yield what is kept of each block."""
        start = 0
        for block in self.blocks:
            kept = self.keep[start : start + len(block)]
            start += len(block)
            if kept.any():
                yield block[kept]


def extract(frontend: MFCC, recording: Recording) -> Extracted:
    """Read one recording and return its features, or its error."""
    digest = ""
    try:
        signal = audio.read(recording.path, channel=recording.channel, start=recording.start, end=recording.end)
        digest = signal.digest
        features = frontend.from_signal(signal, what=recording.path)
    except SpeechGMMError as error:
        return Extracted(recording, None, digest, 0.0, error)
    return Extracted(recording, features, digest, len(features) * frontend.hop_length)


def extract_all(
    frontend: MFCC,
    recordings: Iterable[Recording],
    *,
    mapper: Mapper | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Extracted]:
    """Yield the features of recordings in their order.

    Parameters
    ----------
    frontend : MFCC
    recordings : iterable of Recording
    mapper : callable, optional
        Shaped like the builtin `map`; default: the threads of this machine.
    on_progress : callable, optional
        Called with how many are done.
    """
    work = (mapper or threads())(lambda r: extract(frontend, r), recordings)
    for done, extracted in enumerate(work, 1):
        yield extracted
        if on_progress:
            on_progress(done)


def common_rate(recordings: Iterable[Recording], *, minimum: int = 0) -> int:
    """Return the lowest sampling rate of the recordings that can be opened, in Hz.

    Parameters
    ----------
    recordings : iterable of Recording
    minimum : int
        Lower rates count only where no recording has so much.

    Raises
    ------
    SpeechGMMError
        If none can be opened: the first one's error.
    """
    rates, first = set(), None
    for path in {r.path: None for r in recordings}:
        try:
            rates.add(audio.sample_rate(path))
        except SpeechGMMError as error:
            first = first or error
    if first and not rates:
        raise first
    return min({r for r in rates if r >= minimum} or rates, default=16000)


def training_frames(
    frontend: MFCC,
    recordings: Iterable[Recording],
    *,
    mapper: Mapper | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> TrainingFrames:
    """Extract the features of recordings once, into an unnamed temporary file that EM then reads again and again.

    Raises
    ------
    InvalidInput
        If no recording could be used; the first reason is given.
    """
    parts: list[tuple[Recording, int, int]] = []
    skipped, seconds, frames = [], 0.0, 0
    with tempfile.TemporaryFile(prefix="speechgmm-") as spool:
        for e in extract_all(frontend, recordings, mapper=mapper, on_progress=on_progress):
            if e.features is None:
                skipped.append(Skipped(e.recording.name, str(e.error)))
                continue
            parts.append((e.recording, frames, frames + len(e.features)))
            spool.write(np.ascontiguousarray(e.features, dtype="<f4").tobytes())
            seconds, frames = seconds + e.seconds, frames + len(e.features)
        if not parts:
            found = f"none of {len(skipped)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
            refuse("a corpus", "hold at least one usable recording", found)
        spool.flush()
        # the map keeps the file alive after its handle and name are gone
        x = np.memmap(spool, dtype="<f4", mode="r", shape=(frames, frontend.n_dimensions))
    return TrainingFrames(ArrayBlocks(x), tuple(parts), seconds, tuple(skipped))

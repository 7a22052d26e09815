"""What is classified: paths, signals, or recordings of a corpus. Symbols: N frames, D dimensions, U sounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.errors import SpeechGMMError
from speechgmm.features import MFCC, Recording, Signal, common_rate, extract, preset
from speechgmm.parallel import Mapper, threads

Array = NDArray[Any]
R = TypeVar("R")
Sound = str | os.PathLike[str] | Signal | Recording | Array
"""A path, a signal, a recording of a corpus, or samples in [-1, 1] at the front end's own rate."""

__all__ = ["Features", "Sound", "frontend_for", "labels_of", "listed", "map_sounds"]

_LOWEST, _HIGHEST = 8000, 48000
"""The rates of presets, in Hz."""


@dataclass(frozen=True, eq=False)
class Features:
    """The features (N, D) of a sound, or the error that it met."""

    name: str
    frames: Array | None
    error: SpeechGMMError | None = None


def listed(sounds: Iterable[Sound], what: str = "sounds") -> tuple[Sound, ...]:
    """Return sounds as a tuple; one path alone is refused, as it would be taken for a list of letters.

    Raises
    ------
    InvalidInput
        If it is no list, or an empty one.
    """
    samples = isinstance(sounds, np.ndarray) and sounds.dtype.kind not in "OU"
    if samples or isinstance(sounds, (str, os.PathLike, Signal, Recording)):
        refuse(what, "be a list of paths, signals or recordings", type(sounds).__name__, "Put it into a list.")
    found = tuple(sounds)
    if not found:
        refuse(what, "be at least one", "none")
    return found


def map_sounds(
    function: Callable[[Features], R],
    frontend: MFCC,
    sounds: Sequence[Sound],
    *,
    mapper: Mapper | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[R]:
    """Yield what a function makes of the features of each sound, in order; a bad sound has its error instead of them.

    Parameters
    ----------
    function : callable
        Called with `Features`, on the worker that extracted them.
    frontend : MFCC
    sounds : sequence of sounds
    mapper, on_progress
        See `speechgmm.features.extract_all`.
    """
    work = (mapper or threads())(lambda i: function(_extract(frontend, sounds[i], i)), range(len(sounds)))
    for done, result in enumerate(work, 1):
        yield result
        if on_progress:
            on_progress(done)


def frontend_for(sounds: Sequence[Sound], name: str) -> MFCC:
    """Return the preset of this name at the lowest rate of the sounds that is at least 8 kHz, at most 48 kHz.

    Raises
    ------
    InvalidInput
        If all rates are below 8 kHz, or there is no such preset.
    """
    rates = [s.sample_rate for s in sounds if isinstance(s, Signal)]
    recordings = [r for s in sounds if (r := _recording(s))]
    if recordings:
        rates.append(common_rate(recordings, minimum=_LOWEST))
    if not rates:
        refuse(
            "sounds", "be paths or signals with a rate", "bare samples", "Give a front end, or Signal(samples, rate)."
        )
    return preset(name, min(*([r for r in rates if r >= _LOWEST] or rates), _HIGHEST))


def labels_of(recordings: Iterable[Recording], column: str = "label") -> tuple[str, ...]:
    """Return the label of each recording: what its corpus says in this column.

    Raises
    ------
    InvalidInput
        If there is no such column, or a recording has nothing in it.
    """
    labels = []
    for r in recordings:
        if column not in r.columns:
            refuse("the label", f"name a column: {', '.join(r.columns)}", repr(column), "Choose one with --label.")
        if not r.columns[column]:
            refuse(f"the column {column!r}", "hold a label for every recording", f"nothing for {r.name}")
        labels.append(r.columns[column])
    return tuple(labels)


def _recording(sound: Sound) -> Recording | None:
    if isinstance(sound, (str, os.PathLike)):
        return Recording(os.fspath(sound), "", os.fspath(sound))
    return sound if isinstance(sound, Recording) else None


def _extract(frontend: MFCC, sound: Sound, i: int) -> Features:
    if recording := _recording(sound):
        found = extract(frontend, recording)
        return Features(recording.name, found.features, found.error)
    name = f"sound {i}"
    try:
        signal = sound if isinstance(sound, Signal) else Signal(np.asarray(sound), frontend.sample_rate)
        return Features(name, frontend.from_signal(signal, what=name))
    except SpeechGMMError as error:
        return Features(name, None, error)

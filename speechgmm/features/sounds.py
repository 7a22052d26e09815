"""What can be heard: paths, signals and samples beside the recordings of a corpus, and the rates that they have."""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import SpeechGMMError, SpeechGMMWarning
from speechgmm.features import archives, audio
from speechgmm.features.audio import Signal
from speechgmm.features.corpus import Recording

Sound = str | os.PathLike[str] | Signal | Recording | Array
"""A path, a signal, a recording of a corpus, or samples in [-1, 1] at the front end's own rate."""

_NAMED = 5
"""How many sounds of a rate a warning names."""

FEATURES = (".npy", *archives.ENDINGS)
"""How files end that hold features in the place of sound."""


def listed(sounds: Iterable[Sound]) -> tuple[Sound, ...]:
    """Return sounds as a tuple; one path alone is refused, as it would be taken for a list of letters.

    Raises
    ------
    InvalidInput
        If it is no list, or an empty one.
    """
    samples = isinstance(sounds, np.ndarray) and sounds.dtype.kind not in "OU"
    if samples or isinstance(sounds, (str, os.PathLike, Signal, Recording)):
        refuse("sounds", "be a list of paths, signals or recordings", type(sounds).__name__, "Put it into a list.")
    found = tuple(sounds)
    if not found:
        refuse("sounds", "be at least one", "none")
    return found


def recording_of(sound: Sound, name: str) -> Recording:
    """Return the recording that a sound is; `name` is that of signals and samples, which lie in no file."""
    if isinstance(sound, Recording):
        return sound
    if isinstance(sound, (str, os.PathLike)):
        return Recording(os.fspath(sound), "", os.fspath(sound))
    return Recording("", "", name)


def is_features(path: str) -> bool:
    """Return whether a path is one of features: of a file, or of a place in a Kaldi archive."""
    return path.lower().endswith(FEATURES) or archives.is_place(path)


@contextlib.contextmanager
def stream_sound(sound: Sound, recording: Recording, sample_rate: int) -> Iterator[audio.Stream]:
    """Give a sound block by block; bare samples count as of `sample_rate` Hz.

    Raises
    ------
    SpeechGMMError
        If it cannot be read, or is no sound.
    """
    if recording.path:
        r = recording
        with audio.stream(r.path, channel=r.channel, start=r.start, end=r.end) as stream:
            yield stream
        return
    samples, rate = (sound.samples, sound.sample_rate) if isinstance(sound, Signal) else (sound, sample_rate)
    yield audio.Stream(rate, iter([audio.check_signal(np.asarray(samples), recording.name)]))


def common_rate(sounds: Iterable[Sound], *, minimum: int = 0, told: bool = False) -> int:
    """Return the lowest sampling rate of the sounds that can be opened, in Hz.

    Parameters
    ----------
    sounds : iterable of paths, signals or recordings
    minimum : int
        Lower rates count only where no sound has so much.
    told : bool
        Warn where there are several rates, and name the sounds of the rarer ones: that of a single telephone call would
        make all others ones too. It costs nothing, since every file's header is read anyway.

    Raises
    ------
    SpeechGMMError
        If none can be opened: the first one's error. If all are bare samples, whose rate nobody knows.

    Warns
    -----
    SpeechGMMWarning
        Of mixed rates, if asked for.

    Examples
    --------
    >>> common_rate(["data/slt/s1_1.flac", "data/rms/s1_1.flac"])
    16000
    """
    found: dict[int, list[str]] = {}
    seen: set[str] = set()
    first: SpeechGMMError | None = None
    for sound in sounds:
        recording = recording_of(sound, "a signal")
        if recording.path in seen:
            continue
        try:
            if isinstance(sound, Signal):
                found.setdefault(sound.sample_rate, []).append(recording.place)
            elif recording.path:  # bare samples have none
                seen.add(recording.path)
                found.setdefault(audio.sample_rate(recording.path), []).append(recording.place)
        except SpeechGMMError as error:
            first = first or error
    if first and not found:
        raise first
    if not found:
        advice = "Give a front end, or Signal(samples, rate)."
        refuse("sounds", "be at least one, with a rate", "bare samples or none", advice)
    lowest = min({r for r in found if r >= minimum} or found)
    if told and len(found) > 1:
        _warn_of_rates(found, lowest)
    return lowest


def _warn_of_rates(found: dict[int, list[str]], taken: int) -> None:
    """Say which sounds have which rates, the rarer ones by name."""
    usual = max(found, key=lambda rate: len(found[rate]))
    told = []
    for rate in sorted(found):
        names = [] if rate == usual else found[rate][:_NAMED] + ["..."] * (len(found[rate]) > _NAMED)
        told.append(f"{rate} Hz {len(found[rate])}" + (f" ({', '.join(names)})" if names else ""))
    lower = ", and lower ones are left out" if min(found) < taken else ""
    message = f"the sampling rates are mixed: {'; '.join(told)}. All are taken at {taken} Hz{lower}"
    warnings.warn(message, SpeechGMMWarning, stacklevel=3)

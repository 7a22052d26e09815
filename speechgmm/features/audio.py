"""Reading sound: every format that libsndfile knows, one channel or their mean, at the rate that a model wants.

Signals are float32 in [-1, 1] whatever the file holds. Seconds and hertz outside; samples stay in `speechgmm.features`.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import refuse
from speechgmm.errors import AudioError

Array = NDArray[Any]

__all__ = ["Signal", "check_signal", "read", "resample", "sample_rate"]

_SIZES = re.compile(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
_ENDLESS = ("ended unexpectedly", "Junk after the last page", "Seems to be a truncated file")
"""What libsndfile's log says of a file without its end."""
_UNKNOWN = 2**62
"""From here on a header's number of samples means that nobody knew it: so writes a FLAC encoder into a pipe."""
_CHUNK = 1 << 24
"""Samples read at once: a header that lies must not cost memory."""
_ESTIMATED = {"MP3": 0.95}
"""Formats whose header only estimates the length, and how much of it must be there."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One channel of sound: `samples` (float32, in [-1, 1]) at `sample_rate` Hz."""

    samples: Array
    sample_rate: int

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / self.sample_rate

    @property
    def digest(self) -> str:
        """Names the recording by its samples: copies in other lossless formats have the same."""
        return hashlib.sha256(np.ascontiguousarray(self.samples).data).hexdigest()[:32]


def read(
    path: str | os.PathLike[str],
    *,
    channel: int | str = "mix",
    start: float = 0.0,
    end: float | None = None,
) -> Signal:
    """Read a recording, or the part of it from `start` to `end` seconds.

    Parameters
    ----------
    path : path
        WAV, FLAC, OGG, MP3, AIFF, AU or anything else that libsndfile reads.
    channel : int or "mix"
        A channel, counted from 0, or the mean of all.
    start, end : float
        In seconds; `end` None is the end of the file.

    Raises
    ------
    AudioError
        If the file is missing, no sound, truncated or empty, holds NaN, or has no such channel or part.
    """
    import soundfile

    name = str(path)
    _exists(Path(path))
    try:
        with _sequential()(name) as file:
            samples = _samples(file, name, start, end)
            rate, fmt, claimed = int(file.samplerate), str(file.format), int(file.frames)
            log = file.extra_info
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: an ending that stands for headerless sound
        _unreadable(name, str(error))
    if start == 0 and end is None:
        _whole(name, len(samples), claimed, fmt, log)
    return Signal(check_signal(_channel(samples, channel, name), name), rate)


def sample_rate(path: str | os.PathLike[str]) -> int:
    """Return the sampling rate of a file, in Hz, from its header alone."""
    import soundfile

    _exists(Path(path))
    try:
        return int(soundfile.info(str(path)).samplerate)
    except (soundfile.LibsndfileError, TypeError) as error:
        _unreadable(str(path), str(error))


def resample(signal: Signal, rate: int, *, what: str = "the signal") -> Signal:
    """Return the signal at `rate` Hz; a lower rate is never raised, for it would leave bands empty.

    Raises
    ------
    AudioError
        If the signal's own rate is lower.
    """
    if signal.sample_rate == rate:
        return signal
    if signal.sample_rate < rate:
        refuse(
            what,
            f"have at least the model's rate of {rate} Hz",
            f"{signal.sample_rate} Hz",
            f"Train a model with sample_rate={signal.sample_rate}, or record at {rate} Hz or more.",
            error=AudioError,
        )
    import librosa

    samples = librosa.resample(signal.samples, orig_sr=signal.sample_rate, target_sr=rate, res_type="soxr_hq")
    return Signal(np.ascontiguousarray(samples, dtype=np.float32), rate)


def check_signal(samples: Array, what: str) -> Array:
    """Return one channel of samples as float32, refusing what cannot be speech: nothing, NaN, or several channels."""
    a = np.asarray(samples)
    if a.dtype.kind in "iu":
        refuse(
            what,
            "be float samples in [-1, 1]",
            f"samples of type {a.dtype}",
            "Divide 16-bit samples by 32768.",
            error=AudioError,
        )
    if a.ndim != 1 or a.dtype.kind != "f":
        found = f"an array of shape {a.shape} and type {a.dtype}"
        refuse(what, "be one channel of float samples", found, "Choose a channel first.", error=AudioError)
    if not len(a):
        refuse(what, "hold samples", "none: the recording is empty", "Record it again.", error=AudioError)
    if not np.isfinite(a).all():
        bad = int((~np.isfinite(a)).sum())
        refuse(
            what,
            "hold finite samples",
            f"{bad} NaN or infinite of {len(a)}",
            "Write the file again; something before it divided by zero.",
            error=AudioError,
        )
    return np.ascontiguousarray(a, dtype=np.float32)


def _exists(path: Path) -> None:
    if path.is_dir():
        refuse("a recording", "be a file", f"the folder {path}", "Name the files in it.", error=AudioError)
    if not path.exists():
        refuse("a recording", "exist", f"{path}, which does not", "Check the path.", error=AudioError)


def _unreadable(name: str, why: str) -> NoReturn:
    if "lost sync" in why or "unexpectedly" in why:
        _truncated(name, why.removeprefix("Error : ").rstrip("."))
    why = why.removeprefix(f"Error opening {name!r}: ").rstrip(".")
    advice = "Convert it to WAV or FLAC; a file's ending does not make it one."
    refuse(name, "be a sound file that libsndfile reads", f"a file it does not ({why})", advice, error=AudioError)


def _truncated(name: str, found: str) -> NoReturn:
    refuse(name, "be whole", f"a truncated file ({found})", "Copy or record it again.", error=AudioError)


@functools.cache
def _sequential() -> Any:
    """Return a SoundFile that reads straight on: soundfile seeks after each read, and GSM and streamed FLAC cannot."""
    import soundfile

    class Sequential(soundfile.SoundFile):  # type: ignore[misc]
        can_seek = soundfile.SoundFile.seekable

        def seekable(self) -> bool:
            return False

    return Sequential


def _samples(file: Any, name: str, start: float, end: float | None) -> Array:
    """Return the samples (n, channels) of the part from `start` to `end` seconds."""
    finite = math.isfinite(start) and (end is None or math.isfinite(end))
    last = round(end * file.samplerate) if finite and end is not None else file.frames
    first = round(start * file.samplerate) if finite else -1
    if not 0 <= first < max(last, 1) or last > max(file.frames, 1):
        refuse(
            f"the part of {name}",
            f"lie within its {file.frames / file.samplerate:.2f} s",
            f"{start:g} to {'the end' if end is None else format(end, 'g')} s",
            error=AudioError,
        )
    jump = first if file.can_seek() else 0
    if jump:
        file.seek(jump)
    parts: list[Array] = []
    left = last - jump
    while left > 0 or not parts:
        size = min(left, _CHUNK)
        parts.append(file.read(size, dtype="float32", always_2d=True))
        left = left - size if len(parts[-1]) == size else 0
    result: Array = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return result[first - jump :]


def _whole(name: str, found: int, claimed: int, fmt: str, log: str) -> None:
    """Refuse a file that holds less than its header says."""
    if claimed < _UNKNOWN and found < claimed * _ESTIMATED.get(fmt, 1.0):
        _truncated(name, f"{found} of {claimed} samples")
    if any(sign in log for sign in _ENDLESS):
        _truncated(name, "the stream has no end")
    for size, actual in _SIZES.findall(log):
        if int(actual) < int(size) and not _placeholder(int(size)):
            _truncated(name, f"{actual} of {size} bytes")


def _placeholder(size: int) -> bool:
    """Say whether a header's size stands for none: streams have one of about 2 or 4 GiB, or more than any file."""
    return size > 2**30 and (size + 4096) % 2**31 < 8192


def _channel(samples: Array, channel: int | str, name: str) -> Array:
    if samples.shape[1] == 1 and channel in ("mix", 0):
        return samples[:, 0]
    if channel == "mix":
        return samples.mean(axis=1, dtype=np.float32)
    if isinstance(channel, (str, bool)) or not 0 <= channel < samples.shape[1]:
        rule = f"be 'mix' or one of its {samples.shape[1]} channels, counted from 0"
        refuse(f"the channel of {name}", rule, repr(channel), error=AudioError)
    return samples[:, channel]

"""Reading sound: every format that libsndfile knows, one channel or their mean, at the rate that a model wants.

Signals are float32 in [-1, 1] whatever the file holds. Seconds and hertz outside; samples stay in `speechgmm.features`.
"""

import contextlib
import hashlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.compiler import prepare_cache
from speechgmm.errors import AudioError
from speechgmm.files import check_readable

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
    name = str(path)
    with _opened(name) as file:
        samples, rate = _samples(file, name, start, end), int(file.samplerate)
        if start == 0 and end is None:
            _whole(file, name, len(samples))
    return Signal(check_signal(_channel(samples, channel, name), name), rate)


def sample_rate(path: str | os.PathLike[str]) -> int:
    """Return the sampling rate of a file, in Hz, from its header alone."""
    with _opened(str(path)) as file:
        return int(file.samplerate)


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
        advice = f"Train a model with sample_rate={signal.sample_rate}, or record at {rate} Hz or more."
        _unusable(what, f"have at least the model's rate of {rate} Hz", f"{signal.sample_rate} Hz", advice)
    prepare_cache()
    import librosa

    samples = librosa.resample(signal.samples, orig_sr=signal.sample_rate, target_sr=rate, res_type="soxr_hq")
    return Signal(np.ascontiguousarray(samples, dtype=np.float32), rate)


def check_signal(samples: Array, what: str) -> Array:
    """Return one channel of samples as float32, refusing what cannot be speech: nothing, NaN, or several channels."""
    a = np.asarray(samples)
    if a.ndim != 1 or a.dtype.kind != "f":
        found = f"an array of shape {a.shape} and type {a.dtype}"
        advice = "Choose a channel first; divide 16-bit samples by 32768."
        _unusable(what, "be one channel of float samples in [-1, 1]", found, advice)
    if not len(a):
        _unusable(what, "hold samples", "none: the recording is empty", "Record it again.")
    if bad := len(a) - int(np.isfinite(a).sum()):
        advice = "Write the file again; something before it divided by zero."
        _unusable(what, "hold finite samples", f"{bad} NaN or infinite of {len(a)}", advice)
    return np.ascontiguousarray(a, dtype=np.float32)


def _unusable(what: str, rule: str, found: str, advice: str = "") -> NoReturn:
    refuse(what, rule, found, advice, error=AudioError)


def _truncated(name: str, found: str) -> NoReturn:
    _unusable(name, "be whole", f"a truncated file ({found})", "Copy or record it again.")


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Any]:
    """Give a sound file that is open for reading, and say what is wrong with it where that fails."""
    import soundfile

    check_readable(name, "a recording", error=AudioError)
    if Path(name).is_dir():
        _unusable("a recording", "be a file", f"the folder {name}", "Name the files in it.")
    if not Path(name).exists():
        _unusable("a recording", "exist", f"{name}, which does not", "Check the path.")
    try:
        with soundfile.SoundFile(name if os.name == "nt" else os.fsencode(name)) as file:  # bytes that are no text, too
            yield file
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: an ending that stands for headerless sound
        why = re.sub(r"^Error opening b?(['\"]).*?\1: ", "", str(error)).removeprefix("Error : ").rstrip(".")
        if "lost sync" in why or "unexpectedly" in why:
            _truncated(name, why)
        advice = "Convert it to WAV or FLAC; a file's ending does not make it one."
        _unusable(name, "be a sound file that libsndfile reads", f"a file it does not ({why})", advice)


def _samples(file: Any, name: str, start: float, end: float | None) -> Array:
    """Return the samples (n, channels) of the part from `start` to `end` seconds."""
    finite = math.isfinite(start) and (end is None or math.isfinite(end))
    last = round(end * file.samplerate) if finite and end is not None else file.frames
    first = round(start * file.samplerate) if finite else -1
    if not 0 <= first < max(last, 1) or last > max(file.frames, 1):
        found = f"{start:g} to {'the end' if end is None else format(end, 'g')} s"
        _unusable(f"the part of {name}", f"lie within its {file.frames / file.samplerate:.2f} s", found)
    jump = first if file.seekable() else 0
    if jump:
        file.seek(jump)
    file.seekable = lambda: False  # soundfile would seek after each read, which GSM and streamed FLAC cannot
    parts: list[Array] = []
    left = last - jump
    while left > 0 or not parts:
        size = min(left, _CHUNK)
        parts.append(file.read(size, dtype="float32", always_2d=True))
        left = left - size if len(parts[-1]) == size else 0
    return np.concatenate(parts)[first - jump :]


def _whole(file: Any, name: str, found: int) -> None:
    """Refuse a file that holds less than its header says."""
    if file.frames < _UNKNOWN and found < file.frames * _ESTIMATED.get(file.format, 1.0):
        _truncated(name, f"{found} of {file.frames} samples")
    if any(sign in file.extra_info for sign in _ENDLESS):
        _truncated(name, "the stream has no end")
    for size, actual in _SIZES.findall(file.extra_info):
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
        _unusable(f"the channel of {name}", rule, repr(channel))
    return samples[:, channel]

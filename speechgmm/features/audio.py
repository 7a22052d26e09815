"""Reading sound: every format that libsndfile or FFmpeg knows, one channel or their mean, at the rate a model wants.

Signals are float32 in [-1, 1] whatever the file holds. Seconds and hertz outside; samples stay in `speechgmm.features`.
A recording is read block by block (`stream`), so that its length costs no memory; `read` joins the blocks.
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.errors import AudioError
from speechgmm.features.audio_limits import audio_limits
from speechgmm.features.pyav import open_av
from speechgmm.features.sndfile import open_sndfile
from speechgmm.features.source import Source, concatenated, unusable
from speechgmm.files import check_readable
from speechgmm.looks import Look, Shown

OVERSHOOT = 0.05
"""A part may end so many seconds after its file, and is trimmed: rounding to one decimal gives as much, and windows of
25 ms and frames of 10 ms counted in whole ones give less."""
_CHUNK = 1 << 20
"""Numbers read at once: neither a long file nor a header that lies may cost memory."""
_LOUDEST = 2.0**31
"""The largest magnitude of a sample: 32-bit integers taken as floats are the loudest that anybody writes."""


@dataclass(frozen=True, eq=False)
class Signal(Shown):
    """One channel of sound: `samples` (float32, in [-1, 1]) at `sample_rate` Hz.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 16000).astype(np.float32)
    >>> Signal(tone, 16000).seconds
    0.5
    """

    samples: Array
    sample_rate: int

    def _look(self) -> Look:
        return Look((f"{self.seconds:.2f} s", f"{self.sample_rate} Hz"))

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / self.sample_rate

    @property
    def digest(self) -> str:
        """Names the recording by its samples: copies in other lossless formats have the same."""
        digest = Digest()
        digest.add(self.samples)
        return str(digest)


class Digest:
    """What names a recording by its samples, which come in blocks of any sizes; `str` gives it."""

    def __init__(self) -> None:
        """Begin without samples."""
        self._sha = hashlib.sha256()

    def add(self, samples: Array) -> None:
        """Add a block of float32 samples."""
        self._sha.update(np.ascontiguousarray(samples).data)

    def of(self, blocks: Iterable[Array]) -> Iterator[Array]:
        """Yield blocks as they are, and add each."""
        for block in blocks:
            self.add(block)
            yield block

    def __str__(self) -> str:
        """Return the name."""
        return self._sha.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Stream:
    """One channel of sound at `sample_rate` Hz as `blocks` of float32 samples, which come once.

    After the last block the iterator raises an AudioError if the sound is not usable as it is.
    """

    sample_rate: int
    blocks: Iterator[Array]


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
        WAV, FLAC, OGG, MP3, AIFF, AU or anything else that libsndfile reads; with the extra `formats` also M4A, AAC,
        WebM, AMR, WMA, videos and whatever else FFmpeg finds sound in, which it decodes through PyAV.
    channel : int or "mix"
        A channel, counted from 0, or the mean of all.
    start, end : float
        In seconds; `end` None is the end of the file. An `end` at most 0.05 s after the file's own is trimmed to it:
        times are rounded, and encoders pad.

    Raises
    ------
    AudioError
        If the file is missing, no sound, truncated or empty, holds NaN or samples of more than 2**31 times full scale,
        has no such channel or part, or is beyond the limits of a sound file (`audio_limits.py`).
    MissingExtra
        If it is of a format that needs PyAV, which is not installed.

    Examples
    --------
    >>> signal = read("data/slt/s1_1.flac", start=1.0, end=1.5)
    >>> signal.sample_rate, len(signal.samples)
    (16000, 8000)
    """
    with stream(path, channel=channel, start=start, end=end) as found:
        return Signal(concatenated(list(found.blocks)), found.sample_rate)


@contextlib.contextmanager
def stream(
    path: str | os.PathLike[str],
    *,
    channel: int | str = "mix",
    start: float = 0.0,
    end: float | None = None,
) -> Iterator[Stream]:
    """Give a recording, or a part of it, block by block in constant memory; else the same as `read`."""
    name = str(path)
    with _opened(name) as source:
        one = (_channel(samples, channel, name) for samples in _part(source, name, start, end))
        yield Stream(source.sample_rate, checked(one, name))


def sample_rate(path: str | os.PathLike[str]) -> int:
    """Return the sampling rate of a file, in Hz, from its header (or first frame) alone.

    Examples
    --------
    >>> sample_rate("data/slt/s1_1.flac")
    16000
    """
    with _opened(str(path)) as source:
        return source.sample_rate


def resample(signal: Signal, rate: int, *, what: str = "the signal") -> Signal:
    """Return the signal at `rate` Hz; a lower rate is never raised, for it would leave bands empty.

    Raises
    ------
    AudioError
        If the signal's own rate is lower.
    """
    if signal.sample_rate == rate:
        return signal
    blocks = resampled(Stream(signal.sample_rate, iter([signal.samples])), rate, what=what)
    return Signal(concatenated(list(blocks)), rate)


def resampled(sound: Stream, rate: int, *, what: str) -> Iterator[Array]:
    """Return the blocks of a stream at `rate` Hz; errors as those of `resample`, before the first block is read."""
    if sound.sample_rate == rate:
        return sound.blocks
    if sound.sample_rate < rate:
        low = sound.sample_rate
        packaged = "for speakers the packaged one, which a new store takes by itself, or " if low >= 8000 else ""
        advice = (
            f"Record at {rate} Hz or more, or use a model of at most {low} Hz: {packaged}one trained with "
            f"sample_rate={low}; on the command line: speechgmm train --sample-rate {low}."
        )
        unusable(what, f"have at least the model's rate of {rate} Hz", f"{low} Hz", advice)
    return _converted(sound, rate)


def _converted(sound: Stream, rate: int) -> Iterator[Array]:
    """Yield blocks at a lower rate: soxr's samples, and zeros for the last part of a sample period."""
    import soxr

    converter = soxr.ResampleStream(sound.sample_rate, rate, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in sound.blocks:
        out = converter.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
        taken, given = taken + len(block), given + len(out)
        yield out
    rest = converter.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
    missing = -(-taken * rate // sound.sample_rate) - given
    yield np.pad(rest[:missing], (0, max(0, missing - len(rest))))


def check_signal(samples: Array, what: str) -> Array:
    """Return one channel of samples as float32, refusing what cannot be speech: nothing, NaN, or several channels."""
    a = np.asarray(samples)
    if a.ndim != 1 or a.dtype.kind != "f":
        found = f"an array of shape {a.shape} and type {a.dtype}"
        advice = "Choose a channel first; divide 16-bit samples by 32768."
        unusable(what, "be one channel of float samples in [-1, 1]", found, advice)
    return np.ascontiguousarray(concatenated(list(checked([a], what))), dtype=np.float32)


def checked(blocks: Iterable[Array], what: str) -> Iterator[Array]:
    """Yield the blocks of one channel, and refuse them after the last if they are empty, not finite or far too loud."""
    n = bad = 0
    peak = 0.0
    for block in blocks:
        top = max(-float(block.min()), float(block.max())) if len(block) else 0.0
        if not top <= _LOUDEST:
            finite = np.isfinite(block)
            bad += len(block) - int(finite.sum())
            top = float(np.abs(block[finite]).max(initial=0.0))
        n, peak = n + len(block), max(peak, top)
        yield block
    if not n:
        unusable(what, "hold samples", "none: the recording is empty", "Record it again.")
    if bad:
        advice = "Write the file again; something before it divided by zero."
        unusable(what, "hold finite samples", f"{bad} NaN or infinite of {n}", advice)
    if peak > _LOUDEST:
        rule = f"hold samples within {_LOUDEST:.0f} times full scale, which is 1"
        unusable(what, rule, f"one of magnitude {peak:g}", "Scale it to [-1, 1].")


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Source]:
    """Give a sound file that is open for reading, and say what is wrong with it where that fails."""
    check_readable(name, "a recording", error=AudioError)
    if os.path.isdir(name):
        unusable("a recording", "be a file", f"the folder {name}", "Name the files in it.")
    if not os.path.exists(name):
        unusable("a recording", "exist", f"{name}, which does not", "Check the path.")
    found = open_sndfile(name)
    with open_av(name, found) if isinstance(found, str) else found as source:
        audio_limits().check(source, name)
        yield source


def _part(source: Source, name: str, start: float, end: float | None) -> Iterator[Array]:
    """Yield the samples (n, channels) of the part from `start` to `end` seconds, block by block."""
    rate, stated, limits = source.sample_rate, source.frames, audio_limits()
    first, last = _sample(start, rate), None if end is None else _sample(end, rate)
    span = f"{start:g} to {'the end' if end is None else format(end, 'g')} s"

    def check(frames: int) -> None:
        """Refuse what is no part of a file of so many samples."""
        over = 0 if last is None else last - frames
        if not 0 <= first < max(frames, 1) or over > round(OVERSHOOT * rate) or (last is not None and last <= first):
            advice = f"An end up to {OVERSHOOT:g} s after the file's own is trimmed to it."
            unusable(f"the part of {name}", f"lie within its {frames / rate:.2f} s", span, advice)

    if stated is not None:
        check(stated)
    elif first < 0 or (last is not None and last <= first):
        check(sum(map(len, limits.checked(source.blocks(0, None, _CHUNK), source, name))))
    stop = min((n for n in (last, stated) if n is not None), default=None)
    # where the length is not known the file is decoded from its beginning
    limits.check_samples(first if stated is None or stop is None else stop - first, source, name)
    found = 0
    for samples in limits.checked(source.blocks(first, stop, _CHUNK), source, name):
        found += len(samples)
        yield samples
    if first == 0 and last is None:
        source.check_whole(found)
    elif stated is None and source.frames is not None:  # the end came, and told how long the file is
        check(source.frames)


def _sample(seconds: float, rate: int) -> int:
    """Return the sample at so many seconds, -1 where there is none."""
    return round(seconds * rate) if math.isfinite(seconds * rate) else -1


def _channel(samples: Array, channel: int | str, name: str) -> Array:
    """Return a channel of samples (n, channels), or their mean."""
    if samples.shape[1] == 1 and channel in ("mix", 0):
        return samples[:, 0]
    if channel == "mix":
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            return samples.mean(axis=1, dtype=np.float32)
    if isinstance(channel, (str, bool)) or not 0 <= channel < samples.shape[1]:
        rule = f"be 'mix' or one of its {samples.shape[1]} channels, counted from 0"
        unusable(f"the channel of {name}", rule, repr(channel))
    return samples[:, channel]

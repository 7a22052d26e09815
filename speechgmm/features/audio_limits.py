"""What a sound file may be at most: its duration, channels, sampling rate, and the bytes that it decodes to.

A file of some kilobytes may say that it holds years, or decode to them: whoever opens files of strangers must be able
to say when that ends. Reading takes constant memory whatever the limits; they bound its time, and the disk on which
features wait. The environment variable ``SPEECHGMM_AUDIO_LIMITS`` holds limits for a process and those that it starts,
as in ``SPEECHGMM_AUDIO_LIMITS="max_seconds=3600 max_channels=2"``; a program may also say `AudioLimits.applied`.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NoReturn

from speechgmm import checks
from speechgmm.checks import Array, refuse
from speechgmm.features.source import Source, unusable

VARIABLE = "SPEECHGMM_AUDIO_LIMITS"
"""The environment variable that holds limits."""


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """What a sound file may be at most, to be read.

    Parameters
    ----------
    max_seconds : float
        Of a recording, or of the part of it that is read, in seconds. Default: 24 hours, as of recorders
        that run all day.
    max_channels : int
        Default: 64, more than arrays of microphones have that are sold.
    min_sample_rate, max_sample_rate : int
        In Hz. Default: 1 to 768 000, the highest rate of converters.
    max_decoded_bytes : int
        Of all channels as float32 samples. Default: 2**36, some 24 hours of two channels at 96 kHz.

    Raises
    ------
    InvalidInput
        If a limit is out of its range.

    Examples
    --------
    >>> str(AudioLimits(max_seconds=600, max_channels=2))
    'max_seconds=600.0 max_channels=2 min_sample_rate=1 max_sample_rate=768000 max_decoded_bytes=68719476736'
    """

    max_seconds: float = 86400.0
    max_channels: int = 64
    min_sample_rate: int = 1
    max_sample_rate: int = 768_000
    max_decoded_bytes: int = 1 << 36

    def __post_init__(self) -> None:
        """Check the limits."""
        seconds = checks.number(self.max_seconds, "max_seconds", minimum=0, above=True, unit=" s")
        counts = {f.name: checks.integer(getattr(self, f.name), f.name, minimum=1) for f in fields(self)[1:]}
        checks.hold(self, max_seconds=seconds, **counts)
        if self.min_sample_rate > self.max_sample_rate:
            found = f"{self.min_sample_rate} above {self.max_sample_rate} Hz"
            refuse("min_sample_rate", "be at most max_sample_rate", found)

    def __str__(self) -> str:
        """Return the limits as the environment variable says them."""
        return " ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Read with these limits in a `with` statement: in all threads, and in processes that are started meanwhile."""
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(self)
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = before

    def check(self, source: Source, name: str) -> None:
        """Refuse an open file for what its header says of rate and channels.

        Raises
        ------
        AudioError
        """
        low, high = self.min_sample_rate, self.max_sample_rate
        if not low <= source.sample_rate <= high:
            _beyond(name, f"have a sampling rate of {low} to {high} Hz", f"{source.sample_rate} Hz", "sample_rate")
        if not 1 <= source.channels <= self.max_channels:
            _beyond(name, f"have 1 to {self.max_channels} channels", f"{source.channels}", "channels")

    def check_samples(self, frames: int, source: Source, name: str) -> None:
        """Refuse so many samples of each channel, before or after they are decoded.

        Raises
        ------
        AudioError
        """
        seconds = frames / source.sample_rate
        if seconds > self.max_seconds:
            _beyond(
                name, f"last at most {self.max_seconds:g} s where it is read", f"{seconds:.0f} s or more", "seconds"
            )
        if (size := 4 * frames * source.channels) > self.max_decoded_bytes:
            rule = f"decode to at most {self.max_decoded_bytes} bytes where it is read"
            _beyond(name, rule, f"{size} or more", "decoded_bytes")

    def checked(self, blocks: Iterable[Array], source: Source, name: str) -> Iterator[Array]:
        """Yield the blocks of an open file, and refuse it where there are more than the limits let."""
        frames = 0
        for block in blocks:
            frames += len(block)
            self.check_samples(frames, source, name)
            yield block


def audio_limits() -> AudioLimits:
    """Return the limits that the environment says; what it does not say has its default.

    Raises
    ------
    InvalidInput
        If it says anything else.

    Examples
    --------
    >>> audio_limits().max_channels
    64
    """
    return _said(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _said(text: str) -> AudioLimits:
    """Return limits such as ``max_seconds=3600 max_channels=2``."""
    known = {f.name: float if f.name == "max_seconds" else int for f in fields(AudioLimits)}
    told: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in known or name in told:
            rule = f"be limits such as max_seconds=3600, divided by spaces, each of them one of {', '.join(known)}"
            refuse(VARIABLE, rule, repr(word))
        try:
            told[name] = known[name](value)
        except ValueError:
            refuse(f"{name} in {VARIABLE}", "be a number", repr(value))
    return AudioLimits(**told)


def _beyond(name: str, rule: str, found: str, limit: str) -> NoReturn:
    """Refuse a file that is beyond a limit."""
    names = " or ".join(f.name for f in fields(AudioLimits) if f.name.endswith(limit))
    advice = f"Cut or convert it; if you trust it, set {names} of {VARIABLE}."
    unusable(name, rule, found, advice)

"""Sound files that libsndfile decodes, through soundfile: WAV, FLAC, OGG, MP3, AIFF, AU and their kin."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from speechgmm.checks import Array
from speechgmm.features.source import Source, truncated, unusable

ENDINGS = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .snd .w64 .rf64 .caf .sph .nist .voc".split()  # noqa: SIM905
)
"""How names of such files end."""

_SIZES = re.compile(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
_ENDLESS = ("ended unexpectedly", "Junk after the last page", "Seems to be a truncated file")
"""What libsndfile's log says of a file without its end."""
_UNKNOWN = 2**62
"""From here on a header's number of samples means that nobody knew it: so writes a FLAC encoder into a pipe."""
_ESTIMATED = {"MP3": 0.95}
"""Formats whose header only estimates the length, and how much of it must be there."""
_FOREIGN = (1, 4)
"""libsndfile's errors for a format, and for an encoding, that it does not know."""


class SndFile(Source):
    """A file that libsndfile has opened."""

    def __init__(self, name: str, file: Any) -> None:
        """Take an open `soundfile.SoundFile`."""
        self._name, self._file = name, file
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.frames = file.frames if file.frames < _UNKNOWN else None
        self._seekable = file.seekable() and self.frames is not None
        file.seekable = lambda: False  # soundfile would seek after each read, which GSM and streamed FLAC cannot

    def blocks(self, first: int, last: int | None, size: int) -> Iterator[Array]:
        """Yield the samples from `first` on and before `last` (or the end) as float32 (n, C), `size` numbers each."""
        position, step = 0, max(1, size // self.channels)
        if first and self._seekable:
            position = self._asked(self._file.seek, first)
        while last is None or position < last:
            wanted = step if last is None else min(step, last - position)
            samples = self._asked(self._file.read, wanted, dtype="float32", always_2d=True)
            yield samples[max(0, first - position) :]
            position += len(samples)
            if len(samples) < wanted:
                self.frames = position if self.frames is None else self.frames
                break

    def _asked(self, method: Callable[..., Any], *arguments: Any, **how: Any) -> Any:
        """Return what a method of the open file does, or say what is wrong with the file."""
        import soundfile

        try:
            return method(*arguments, **how)
        except soundfile.LibsndfileError as error:
            refuse_unreadable(self._name, _reason(error))

    def check_whole(self, found: int) -> None:
        """Refuse a file that has given `found` samples of each channel and should have more."""
        if self.frames is not None and found < self.frames * _ESTIMATED.get(self._file.format, 1.0):
            truncated(self._name, f"{found} of {self.frames} samples")
        log = self._file.extra_info
        if any(sign in log for sign in _ENDLESS):
            truncated(self._name, "the stream has no end")
        for size, actual in _SIZES.findall(log):
            if int(actual) < int(size) and not _placeholder(int(size)):
                truncated(self._name, f"{actual} of {size} bytes")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_sndfile(name: str) -> SndFile | str:
    """Open a file, or return why it is of no kind that libsndfile knows.

    Raises
    ------
    AudioError
        If it is of such a kind and cannot be read.
    """
    import soundfile

    try:
        # bytes, for a name may hold some that are no text
        return SndFile(name, soundfile.SoundFile(name if os.name == "nt" else os.fsencode(name)))
    except soundfile.LibsndfileError as error:
        if error.code in _FOREIGN:
            return _reason(error)
        refuse_unreadable(name, _reason(error))
    except TypeError as error:  # an ending that stands for headerless sound
        refuse_unreadable(name, _reason(error))


def _reason(error: Exception) -> str:
    return re.sub(r"^Error opening b?(['\"]).*?\1: ", "", str(error)).removeprefix("Error : ").rstrip(".")


def refuse_unreadable(name: str, why: str) -> NoReturn:
    """Refuse a file for the reason that libsndfile gave."""
    if "lost sync" in why or "unexpectedly" in why:
        truncated(name, why)
    advice = "Convert it to WAV or FLAC; a file's ending does not make it one."
    unusable(name, "be a sound file that libsndfile reads", f"a file it does not ({why})", advice)


def _placeholder(size: int) -> bool:
    """Say whether a header's size stands for none: streams have one of about 2 or 4 GiB, or more than any file."""
    return size > 2**30 and (size + 4096) % 2**31 < 8192

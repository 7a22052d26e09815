"""Sound files that FFmpeg decodes, through PyAV: M4A, AAC, WebM, AMR, WMA and the sound tracks of videos.

PyAV comes with the extra `formats`. Only files of a kind that libsndfile does not know get here.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from speechgmm.checks import Array, extra, refuse
from speechgmm.errors import AudioError, MissingExtra
from speechgmm.features.sndfile import refuse_unreadable
from speechgmm.features.source import Source, regrouped, truncated, unusable

_AUDIO = (
    ".m4a .m4b .m4r .aac .adts .weba .mka .amr .awb .wma .ac3 .eac3 .dts .ape .wv .tta .tak .mpc .mpga .mpa .spx .ra "
    ".oma .dsf .dss .qcp .gsm .xwma"
)
_VIDEO = ".mp4 .m4v .mov .qt .3gp .3gpp .3g2 .webm .mkv .wmv .asf .avi .flv .f4v .mpg .mpeg .mts .m2ts .ogv .ogm .rm"
ENDINGS = frozenset(_AUDIO.split() + _VIDEO.split())
"""How names of such files end."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dss,dts,dtshd,eac3,flac,flv,gsm,iff,loas,m4v,matroska,mov,mp3,"
    "mpc,mpc8,mpeg,mpegts,ogg,oma,qcp,rm,sox,tak,tta,voc,w64,wav,wv,xwma"
)
"""The containers that are opened: no playlists, which would lead to other files and into the network."""
_EXACT = {"mov,mp4,m4a,3gp,3g2,mj2": 0.99, "matroska,webm": 0.95}
"""Containers that say how long their sound is, and how much of it must be there."""
_PLANES = 8
"""Channels that a frame may have apart from each other: of more, PyAV reads pointers behind the end of their list."""
_SLACK = 0.1
"""Seconds that may be missing besides: delay and padding of encoders."""


class AVFile(Source):
    """The sound of a file that FFmpeg has opened: of several tracks the one that it calls the best.

    What an encoder put before and after the sound is cut off as the file says. The rate is that of the first frame. A
    part is found by decoding from the beginning, for a jump would land beside the sample.
    """

    def __init__(self, name: str, container: Any, stream: Any) -> None:
        """Take an open container and one of its streams, and decode the first frame."""
        self._name, self._container, self._stream = name, container, stream
        self.resources = contextlib.ExitStack()
        self.frames = None
        stream.codec_context.thread_count = 1  # the same bits everywhere
        frames = self._frames()
        first = next(frames, None)
        self.sample_rate = int((first or stream).sample_rate)
        self.channels = (first.layout if first else stream.layout).nb_channels
        self._decoded = itertools.chain([] if first is None else [first], frames)

    def blocks(self, first: int, last: int | None, size: int) -> Iterator[Array]:
        """Yield the samples from `first` on and before `last` (or the end) as float32 (n, C), `size` numbers each."""
        return regrouped(self._part(first, last), max(1, size // self.channels))

    def _part(self, first: int, last: int | None) -> Iterator[Array]:
        position = 0
        for frame in self._decoded:
            samples = self._samples(frame)
            yield samples[max(0, first - position) : None if last is None else last - position]
            position += len(samples)
            if last is not None and position >= last:
                return
        self.frames = position

    def _frames(self) -> Iterator[Any]:
        """Yield the frames of the stream as they are decoded."""
        import av

        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    truncated(self._name, "a packet lacks its end")
                yield from packet.decode()
        except (av.FFmpegError, EOFError) as error:
            truncated(self._name, f"FFmpeg says: {_reason(error)}")
        except IndexError:  # PyAV knows the tracks of the beginning alone
            unusable(self._name, "begin with all of its tracks", "one that begins further on", "Convert it to WAV.")

    def _samples(self, frame: Any) -> Array:
        """Return the samples of a frame as float32 (n, C), integers divided by their full scale."""
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
            rule = f"keep to {self.sample_rate} Hz and {self.channels} channel(s)"
            found = f"{frame.sample_rate} Hz and {frame.layout.nb_channels} channel(s) further on"
            unusable(self._name, rule, found, "Convert it to WAV or FLAC.")
        if frame.format.is_planar and self.channels > _PLANES:
            rule = f"have at most {_PLANES} channels in this format"
            unusable(self._name, rule, f"{self.channels}", "Convert it to WAV or FLAC.")
        a = frame.to_ndarray()
        a = a.T if frame.format.is_planar else a.reshape(-1, self.channels)
        if a.dtype.kind == "u":
            a = a.astype(np.int16) - 128
            return a.astype(np.float32) / np.float32(128)
        scale = 2.0 ** (8 * a.dtype.itemsize - 1) if a.dtype.kind == "i" else 1.0
        return a.astype(np.float32) / np.float32(scale)

    def check_whole(self, found: int) -> None:
        """Refuse a file that has given `found` samples of each channel and should have more."""
        seconds = _stated_seconds(self._container, self._stream)
        least = _EXACT.get(self._container.format.name, 0.0) * seconds - _SLACK
        if found / self.sample_rate < least:
            truncated(self._name, f"{found / self.sample_rate:.2f} of {seconds:.2f} s")

    def close(self) -> None:
        """Close the file."""
        self.resources.close()


def open_av(name: str, why: str) -> AVFile:
    """Open a file of a kind that libsndfile does not know, which says `why`.

    Raises
    ------
    MissingExtra
        If the name ends like a sound file that PyAV reads, and PyAV is not installed.
    AudioError
        If FFmpeg does not read it either, or it has no sound.
    """
    ours = Path(name).suffix.lower() in ENDINGS
    try:
        av = extra("av", "formats")
    except MissingExtra:
        if not ours:
            refuse_unreadable(name, why)
        rule = "be of a format that libsndfile reads, as PyAV is not installed"
        advice = "Install it with: python -m pip install 'speechgmm[formats]', or convert the file to WAV or FLAC."
        refuse(name, rule, f"a file that it does not ({why})", advice, error=MissingExtra)
    with contextlib.ExitStack() as resources:
        try:
            options = {"format_whitelist": _CONTAINERS}
            opened = av.open(f"file:{name}", options=options, metadata_errors="replace")
            container = resources.enter_context(opened)
            found = AVFile(name, container, _stream(name, container))
        except (av.FFmpegError, AudioError) as error:
            if not ours:
                refuse_unreadable(name, why)
            if isinstance(error, AudioError):
                raise
            _refuse_unreadable(name, _reason(error))
        except UnicodeEncodeError:
            unusable(name, "have a name in UTF-8 for FFmpeg", "another", "Rename the file.")
        found.resources = resources.pop_all()
    return found


def _refuse_unreadable(name: str, why: str) -> NoReturn:
    advice = "It may be damaged: copy or record it again, or convert it to WAV or FLAC."
    unusable(name, "be a sound file that libsndfile or FFmpeg reads", f"a file that neither does ({why})", advice)


def _stream(name: str, container: Any) -> Any:
    """Return the stream of sound that is heard."""
    if not container.streams.audio:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        unusable(name, "hold a sound track", f"a file of {found}", "Choose a file with sound.")
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        unusable(name, "hold sound that FFmpeg decodes", "a sound track that it does not", "Convert it to WAV or FLAC.")
    return stream


def _stated_seconds(container: Any, stream: Any) -> float:
    """Return how long the sound is by the container, 0 where it does not say."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6
    return 0.0


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", "") or error).rstrip(".")

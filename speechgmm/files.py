"""Files: what is read must be one, and what is written appears whole, at its place, over nothing of another kind.

A path may lead anywhere: to a device, a pipe, a symbolic link, the store that somebody meant to read. Every module that
opens a file by its path asks here first.
"""

import contextlib
import mmap
import os
import shutil
import stat
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import InvalidInput, SpeechGMMError

__all__ = [
    "Kind",
    "Whole",
    "check_readable",
    "check_writable",
    "give_back",
    "has_member",
    "passes_on",
    "replacing",
    "starts_with",
]

PathLike = str | os.PathLike[str]
_WHAT = "the file to write"
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}
"""Names of streams that are open already: what they lead to must not be opened anew, which would begin at its start."""


@dataclass(frozen=True)
class Kind:
    """What a file holds, such as "a table of scores", and how such a file is told from others.

    Parameters
    ----------
    name : str
        With its article, for messages.
    recognizes : callable
        Takes the path of a regular file that is not empty; says whether it is of this kind. An error of this package or
        of the system, or text that is none, means that it is not.
    """

    name: str
    recognizes: Callable[[Path], bool]


def starts_with(*beginnings: bytes) -> Callable[[Path], bool]:
    """Return a function that says whether a file begins with one of these bytes, in small or capital letters."""
    length = max(map(len, beginnings))

    def recognizes(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(length).lower().startswith(tuple(b.lower() for b in beginnings))

    return recognizes


def has_member(name: str) -> Callable[[Path], bool]:
    """Return a function that says whether a file is a zip archive, such as ``.npz``, with this member."""

    def recognizes(path: Path) -> bool:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return name in archive.namelist()

    return recognizes


def check_readable(
    path: PathLike, what: str, *, pipes: bool = False, error: type[SpeechGMMError] = InvalidInput
) -> None:
    """Refuse what is there and is no regular file: a device never ends, and a named pipe waits for somebody to write.

    Parameters
    ----------
    path : path
        A folder or a path where there is nothing passes: the caller has better words for it. A name that no file can
        have is refused.
    what : str
        For the message, such as "a recording".
    pipes : bool
        Let pass a pipe that this process holds already, such as ``/dev/stdin``, for what is read once, from its start.
    error : type
        The error to raise.

    Raises
    ------
    InvalidInput
        Or `error`.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    except ValueError:  # a NUL in it, or what is no Unicode
        refuse(what, "have a name that a file can have", ascii(os.fspath(path)), error=error)
    held = stat.S_ISFIFO(mode) and os.path.realpath(path).startswith("/proc/")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (pipes and held)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        found, advice = f"{os.fspath(path)}, which is {kind}", "Write it to a file first."
        refuse(what, "be a regular file", found, advice, error=error)


def check_writable(path: PathLike, kind: Kind) -> None:
    """Refuse a path that must not or cannot be written to; to be asked before long work, `replacing` asks again.

    A file of the same kind or an empty one may be replaced. Anything else is kept: a store, a recording or a manifest
    is easily named in place of the result. What is no regular file, such as ``/dev/stdout``, is written through.

    Raises
    ------
    InvalidInput
        If the folder does not exist, the file cannot be written, or it holds something of another kind.
    """
    if "\0" in os.fspath(path):
        refuse(_WHAT, "have a name without NUL", repr(path))
    try:
        target = Path(os.path.realpath(path))
        if passes_on(path):
            _check_access(path, path)
            return
        if not target.parent.is_dir():
            refuse(_WHAT, "be in a folder that exists", path, f"Make it first: mkdir -p {target.parent}")
        if target.is_dir():
            _cannot(path, "it is a folder")
        _check_access(path, target.parent)
        if not target.exists():
            return
        _check_access(path, target)
        if target.stat().st_size and not _is(kind, target):
            found = f"{os.fspath(path)}, which holds something else"
            refuse(_WHAT, f"be new, empty or {kind.name}", found, "Give another name, or remove that file first.")
    except OSError as error:
        _cannot(path, error.strerror)


@contextlib.contextmanager
def replacing(path: PathLike, kind: Kind) -> Iterator[Path]:
    """Give a path to write to; if all goes well, what is there then takes the place of `path`, and else it is removed.

    The file appears whole or not at all: it is written beside `path` and renamed. A symbolic link stays, and the file
    that it leads to is replaced; the new file has the owner and the mode of the old one. What is no regular file, such
    as ``/dev/stdout``, is written through.

    Raises
    ------
    InvalidInput
        See `check_writable`; or if writing or renaming fails.
    """
    check_writable(path, kind)
    target = Path(os.path.realpath(path))
    folder = Path(tempfile.gettempdir()) if passes_on(path) else target.parent
    beside = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        _create(beside, like=target)
        yield beside
        if passes_on(path):
            with beside.open("rb") as source, _sink(path) as sink:
                shutil.copyfileobj(source, sink)
        else:
            os.replace(beside, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        _cannot(path, error.strerror)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


class Whole:
    """A file for NumPy to write arrays to: to files of Python it writes through a stream of C.

    That stream loses its end without a word where the disk is full when it is closed.

    Parameters
    ----------
    file : file object
        Open for writing bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def _is(kind: Kind, path: Path) -> bool:
    try:
        return kind.recognizes(path)
    except (OSError, SpeechGMMError, UnicodeDecodeError, zipfile.BadZipFile):
        return False


def passes_on(path: PathLike) -> bool:
    """Say whether what is written to a path goes elsewhere: through a device, a pipe or a standard stream."""
    place = Path(path)
    return str(place) in _STREAMS or (place.exists() and not place.is_file() and not place.is_dir())


def _sink(path: PathLike) -> IO[bytes]:
    """Open what passes on; a standard stream goes on behind what it was given before."""
    if (stream := _STREAMS.get(str(Path(path)))) is None:
        return open(path, "wb")
    for text in (sys.stdout, sys.stderr):
        text.flush()
    return os.fdopen(os.dup(stream), "wb")


def _create(path: Path, *, like: Path) -> None:
    """Make an empty file with the owner and the mode of another one, if there is that."""
    path.touch(0o600 if like.exists() else 0o666, exist_ok=False)
    if like.is_file():
        with contextlib.suppress(AttributeError, PermissionError):  # not everywhere, and not for everybody
            os.chown(path, like.stat().st_uid, like.stat().st_gid)
        shutil.copymode(like, path)


def _check_access(path: PathLike, place: PathLike) -> None:
    if not os.access(place, os.W_OK):
        _cannot(path, "permission denied")


def _cannot(path: PathLike, why: str | None) -> NoReturn:
    refuse(_WHAT, "name a file that can be written", f"{os.fspath(path)} ({why})")


def give_back(array: Array) -> None:
    """Give back the memory of an array that is mapped from a file, where it is one: what is read again is mapped again.

    Pages that it shares with what stands beside it stay.
    """
    held: object = array
    while isinstance(held, np.ndarray):
        held = held.base
    if not isinstance(held, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = array.ctypes.data - np.frombuffer(held, np.uint8).ctypes.data
    first, last = -(-start // mmap.PAGESIZE), (start + array.nbytes) // mmap.PAGESIZE
    if last > first:
        held.madvise(mmap.MADV_DONTNEED, first * mmap.PAGESIZE, (last - first) * mmap.PAGESIZE)

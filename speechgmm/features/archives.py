"""Kaldi archives (Povey et al. 2011): matrices under names in an `.ark` file, and lists of their places (`.scp`).

A matrix is at a place, ``feats.ark:17``, the byte where it begins, and a range of it may be taken: of
``feats.ark:17[0:99]`` the first hundred frames, as Kaldi counts. Matrices are float or double, compressed or text.
kaldiio decodes and encodes them; what it would run (pipes) or unpickle does not reach it.
Symbols: N frames, D dimensions.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NoReturn

import numpy as np

from speechgmm.checks import Array, extra, refuse
from speechgmm.files import Kind, check_readable

_PLACE = re.compile(r"(?P<file>.+\.ark):(?P<offset>\d{1,18})(?:\[(?P<range>[\d:,]+)\])?", re.DOTALL | re.IGNORECASE)
_RANGE = re.compile(r"(?::|(\d+):(\d+))?(?:,(?::|(\d+):(\d+)))?")
ENDINGS = (".ark", ".scp")
"""How archives and lists of places in them end."""
_LONGEST = 4096
"""Bytes of a name; an archive begins with one."""


def is_place(path: str) -> bool:
    """Return whether a path is a place in an archive.

    Examples
    --------
    >>> is_place("feats.ark:17"), is_place("feats.ark:17[0:99]"), is_place("feats.ark")
    (True, True, False)
    """
    return _PLACE.fullmatch(path) is not None


def file_of(place: str) -> str:
    """Return the archive in which a place is."""
    found = _PLACE.fullmatch(place)
    return place if found is None else found["file"]


def read_matrix(place: str) -> Array:
    """Return the matrix (N, D) at a place, as float32 or float64, whichever it is there; text is float64.

    Raises
    ------
    InvalidInput
        If there is no such place, or no matrix at it.
    MissingExtra
        If kaldiio is not installed.
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        advice = "Give the whole archive with --features, and its recordings by name."
        refuse(place, "be the place of one matrix, as in feats.ark:17", "a whole file", advice)
    if not os.path.isfile(found["file"]):
        refuse("a file of features", "exist", f"{found['file']}, which does not", "Check the path.")
    with open(found["file"], "rb") as file:
        if (offset := int(found["offset"])) >= os.fstat(file.fileno()).st_size:
            _no_matrix(place, "the end of the file")
        file.seek(offset)
        x = _matrix(file, place)
    return x if found["range"] is None else _part(x, found["range"], place)


def places(archive: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the place of each matrix of an archive, in its order; binary ones are passed over unread.

    Raises
    ------
    InvalidInput
        If it is no archive.
    """
    check_readable(archive, "an archive")
    with open(archive, "rb") as file:
        while name := _name(file, os.fspath(archive)):
            place = f"{os.fspath(archive)}:{file.tell()}"
            yield name, place
            if (end := _end(file, place)) is None:
                _text(file, place)
            else:
                file.seek(end)


class ArchiveWriter:
    """Writes matrices (N, D) of float32 to a new archive.

    Parameters
    ----------
    file : binary file
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Begin with none."""
        self._file = file
        self._save = extra("kaldiio.matio", "kaldi").write_array

    def put(self, name: str, x: Array) -> int:
        """Write a matrix under a name; return the byte where it begins."""
        self._file.write(f"{name} ".encode())
        begins = self._file.tell()
        self._save(self._file, np.ascontiguousarray(x, dtype=np.float32))
        return begins


def check_names(names: Iterable[str]) -> None:
    """Refuse names that an archive cannot hold, as names there end at the first space."""
    if bad := [n for n in names if n.split() != [n]]:
        advice = "Give the recordings other names: a Kaldi directory and lhotse do so by utterance."
        refuse("the names in an archive", "be without spaces", f"{bad[0]!r} ({len(bad)} in all)", advice)


_SIZES = {b"FM ": (4, 0), b"DM ": (8, 0), b"CM ": (1, 8), b"CM2 ": (2, 0), b"CM3 ": (1, 0)}
"""Bytes of an entry, and of what stands before each column."""


def _end(file: IO[bytes], place: str) -> int | None:
    """Return the byte where the matrix ends at which a file stands, None of text; the file still stands there.

    A matrix that would be larger than the rest of its file, or that has less than one row or column, is refused.
    """
    start = file.tell()
    head = file.read(32)
    file.seek(start)
    if head[:2] != b"\0B":
        if not head.lstrip(b" \n").startswith(b"["):
            _no_matrix(place, repr(head[:5]))
        return None
    kind = next((k for k in _SIZES if head[2:].startswith(k)), None)
    if kind is None:
        _no_matrix(place, f"one of the kind {head[2:5]!r}")
    at = 2 + len(kind)
    packed = "<xixi" if kind in (b"FM ", b"DM ") else "<8xii"
    try:
        rows, columns = struct.unpack_from(packed, head, at)
    except struct.error:
        _no_matrix(place, "the end of the file")
    entry, column = _SIZES[kind]
    end = start + at + struct.calcsize(packed) + rows * columns * entry + columns * column
    if rows < 1 or columns < 1 or end > os.fstat(file.fileno()).st_size:
        _no_matrix(place, f"one of {rows} frames of {columns} features, or a part of it")
    return end


def _matrix(file: IO[bytes], place: str) -> Array:
    """Return the matrix at which a file stands."""
    if _end(file, place) is None:
        return _text(file, place)
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused later
            return np.asarray(extra("kaldiio.matio", "kaldi").read_matrix_or_vector(file))
    except (ValueError, AssertionError) as error:
        _no_matrix(place, f"this: {error}")


def _text(file: IO[bytes], place: str) -> Array:
    """Return a matrix in text, rows on lines between brackets; kaldiio refuses one whose first number has no point."""
    body = bytearray()
    while (at := body.find(b"]")) < 0:
        if not (more := file.read(1 << 16)):
            _no_matrix(place, "text without an end")
        body += more
    file.seek(at + 1 - len(body), os.SEEK_CUR)
    if file.read(1) not in (b"\n", b""):
        _no_matrix(place, "more text behind it")
    rows = [line.split() for line in bytes(body[:at]).replace(b"[", b"", 1).split(b"\n") if line.strip()]
    try:
        return np.array([[float(v) for v in row] for row in rows])
    except ValueError as error:
        _no_matrix(place, f"this: {error}")


def _part(x: Array, ranged: str, place: str) -> Array:
    """Return the rows and columns of a range, both ends of which count."""
    found = _RANGE.fullmatch(ranged)
    given = () if found is None else [None if b is None else int(b) for b in found.groups()]
    pairs = zip(given[::2], given[1::2], x.shape, strict=True) if given else ()
    kept = [(0, n) if b is None or e is None else (b, e + 1) for b, e, n in pairs]
    if not kept or not all(0 <= b < e <= n for (b, e), n in zip(kept, x.shape, strict=True)):
        rule = f"lie within the {x.shape[0]} frames of {x.shape[1]} features, as in [0:99] or [0:99,0:12]"
        refuse(f"the range of {place}", rule, ranged)
    rows, columns = (slice(*bounds) for bounds in kept)
    return np.ascontiguousarray(x[rows, columns])


def _name(file: IO[bytes], archive: str) -> str:
    """Return the name at which a file stands, which then stands behind it; nothing at the end of the file."""
    found = bytearray()
    while (c := file.read(1)) not in (b" ", b""):
        found += c
        if len(found) > _LONGEST or c in b"\0\n":
            break
    if not found and c == b"":
        return ""
    try:
        if c != b" ":
            raise ValueError("a name must end in a space")
        return found.decode()
    except ValueError as error:
        refuse(archive, "be a Kaldi archive", f"this at byte {file.tell() - len(found)}: {error}")


def _no_matrix(place: str, found: str) -> NoReturn:
    refuse(place, "be the place of a matrix in a Kaldi archive", found)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        name = _name(file, str(path))
        _end(file, str(path))  # refuses what is no matrix
    return bool(name)


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        fields = file.readline().split(maxsplit=1)
    return len(fields) == 2 and is_place(fields[1].strip())


ARCHIVE = Kind("a Kaldi archive", _is_archive)
LIST = Kind("a list of places in archives", _is_list)

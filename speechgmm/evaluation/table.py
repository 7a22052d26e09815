"""Tables in text, read by columns: tab-separated lines under a header, a block of lines at a time.

The bytes of a field are gathered for all lines of a block at once, names are told apart as numbers
(`speechgmm.evaluation.names`), and each different field is parsed once. A block with anything unusual in it (blank
lines, missing fields, a number that is none) is parsed line by line instead, so that a refusal names its line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.evaluation import text
from speechgmm.evaluation.names import Index, factorize
from speechgmm.evaluation.text import PathLike

__all__ = ["Table", "read_table"]

Bytes = NDArray[np.uint8]

_BLOCK = 1 << 22
"""Bytes in a block."""
_WIDEST = 512
"""Fields of more bytes than these are parsed line by line."""


class Table:
    """The columns of a table of R rows while it is read: blocks of values, names as numbers, and numbers of lines."""

    def __init__(self, header: Sequence[str]) -> None:
        self.header = tuple(header)
        self._lines: list[Sequence[int]] = []
        self._blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in header}
        self._names: dict[str, dict[str, int]] = {name: {} for name in header}

    def append(self, lines: Sequence[int], values: dict[str, NDArray[Any]]) -> None:
        """Add the rows of a block; text comes as an array of str."""
        self._lines.append(lines)
        for name, column in values.items():
            self._blocks[name].append(column)

    def codes(self, name: str, different: Sequence[str]) -> NDArray[np.int32]:
        """Return the numbers of some names of a column, old or new."""
        known = self._names[name]
        return np.array([known.setdefault(n, len(known)) for n in different], dtype=np.int32)

    def take(self, name: str) -> Any:
        """Return one whole column, names as an `Index`, and forget it here."""
        column = np.concatenate(self._blocks.pop(name))
        if text.is_text(name):
            names = np.array(list(self._names[name]))
            order = np.argsort(names)
            place = np.empty(len(order), dtype=np.int32)
            place[order] = np.arange(len(order), dtype=np.int32)
            return Index(names[order], place[column])
        column.setflags(write=False)
        return column

    def line(self, row: int) -> int:
        """Return the number of the line that held a row."""
        for lines in self._lines:
            if row < len(lines):
                return lines[row]
            row -= len(lines)
        raise IndexError(row)

    @property
    def empty(self) -> bool:
        """Whether there is no row."""
        return not self._lines


def read_table(path: PathLike, check_header: Callable[[Sequence[str]], None]) -> Table:
    """Read a table of scores; `check_header` refuses the names of its columns or not.

    Raises
    ------
    InvalidInput
        For a file that cannot be read or is empty, and with the line number for a row of the wrong length or a field
        that is not what its column holds.
    """
    content = text.read(path).removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    table, line = None, 1
    for block in _blocks(content):
        if table is None:
            head, _, block = block.partition(b"\n")
            while not head.strip(b" ") and block:
                line += 1
                head, _, block = block.partition(b"\n")
            if not head.strip(b" "):
                continue
            header = _decode(path, head).split("\t")
            check_header(header)
            table, line = Table(header), line + 1
        if block:
            line += _append(path, table, block, line)
    if table is None:
        checks.refuse(os.fspath(path), "hold at least a header and a row", "an empty file")
    return table


def _blocks(content: bytes) -> Iterator[bytes]:
    """Yield whole lines of about `_BLOCK` bytes together."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start + _BLOCK)
        stop = len(content) if end < 0 else end + 1
        yield content[start:stop]
        start = stop


def _append(path: PathLike, table: Table, block: bytes, first: int) -> int:
    """Add the rows of a block whose first line has this number; return how many lines it has."""
    if not block.endswith(b"\n"):
        block += b"\n"
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    tabs = np.flatnonzero(data == ord("\t"))
    width = len(table.header)
    if len(tabs) == len(ends) * (width - 1):
        marks = np.column_stack([np.append(-1, ends[:-1]), tabs.reshape(len(ends), -1), ends])
        if (np.diff(marks, axis=1) > 0).all() and np.diff(marks, axis=1).max() <= _WIDEST:
            try:
                values = {n: _column(table, n, data, marks[:, i : i + 2]) for i, n in enumerate(table.header)}
                table.append(range(first, first + len(ends)), values)
                return len(ends)
            except (ValueError, KeyError):
                pass  # the slow way finds the line
    _append_slowly(path, table, block, first)
    return len(ends)


def _column(table: Table, name: str, data: Bytes, marks: NDArray[np.int64]) -> NDArray[Any]:
    """Return one column of a block, its fields between two marks a line, (R, 2); ValueError if one is bad."""
    starts, lengths = marks[:, 0] + 1, marks[:, 1] - marks[:, 0] - 1
    columns = np.arange(-(-max(1, int(lengths.max())) // 8) * 8)
    places = np.minimum(starts[:, None] + columns, len(data) - 1)
    fields = np.where(columns < lengths[:, None], data[places], np.uint8(0))
    if name == "score":
        if not lengths.all():
            raise ValueError("an empty field")
        scores = fields.view(f"S{len(columns)}").ravel().astype(np.float64)
        if not np.isfinite(scores).all():
            raise ValueError("not finite")
        return scores
    found = factorize(fields.view(np.uint64))
    if found is None:
        raise ValueError("two fields of one hash")
    stands, codes = found
    different = [bytes(fields[row, : lengths[row]]).decode("utf-8") for row in stands]
    if text.is_text(name):
        return table.codes(name, text.values_of(name, different))[codes]
    return np.array(text.values_of(name, different), dtype=text.TYPES[name])[codes]


def _append_slowly(path: PathLike, table: Table, block: bytes, first: int) -> None:
    """Add the rows of a block line by line."""
    lines = enumerate(_decode(path, block).split("\n"), first)
    rows = [(number, line.split("\t")) for number, line in lines if line.strip(" ")]
    width = len(table.header)
    for number, row in rows:
        if len(row) != width:
            text.refuse_line(path, number, f"hold {width} fields divided by tabs, as the header does", len(row))
    if not rows:
        return
    numbers = [number for number, _ in rows]
    values: dict[str, NDArray[Any]] = {}
    for name, fields in zip(table.header, zip(*(row for _, row in rows), strict=True), strict=True):
        column = text.parse(path, numbers, name, fields)
        if text.is_text(name):
            values[name] = table.codes(name, column)
        else:
            values[name] = np.array(column, dtype=text.TYPES[name])
    table.append(numbers, values)


def _decode(path: PathLike, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        checks.refuse(os.fspath(path), "be UTF-8 text", f"this: {error}")

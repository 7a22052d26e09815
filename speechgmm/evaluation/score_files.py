"""Trials and scores in files.

Two text formats of trials are in common use: `label enroll test` with the label 1 or 0 (VoxCeleb, Nagrani et al.
2017) and `enroll test target|nontarget` (Kaldi, Povey et al. 2011). Scores are tab-separated with a header, or the
same columns as arrays in a `.npz` file. Text is UTF-8, and lines are counted from 1.

Large tables of text are read by columns, a block of lines at a time: the bytes of a field are gathered for all lines of
a block at once, names are told apart as numbers (`speechgmm.evaluation.name_index`), and each different field is parsed
once. A block with anything unusual in it (blank lines, missing fields, a number that is none) is parsed line by line
instead, so that a refusal names its line.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.name_index import NameIndex, factorize, index_names, repeated, sorted_index
from speechgmm.evaluation.trials import Scores, Trials, columns
from speechgmm.storage import replacing

__all__ = ["read_scores", "read_trials", "write_scores", "write_trials"]

PathLike = str | os.PathLike[str]

_ROWS = 100_000
"""Rows that are turned into text together."""
_BLOCK = 1 << 22
"""Bytes of text that are read together."""
_WIDEST = 512
"""Fields of more bytes than these are parsed line by line."""


def read_trials(path: PathLike) -> Trials:
    """Read a list of trials, in the style of VoxCeleb or of Kaldi, whichever fits the whole file.

    Blank lines are ignored. Where both styles fit every line, the file is taken to be Kaldi's.

    Raises
    ------
    InvalidInput
        For a file that cannot be read or is empty, and with the line number for a line of neither style, a line of the
        other style, or a repeated trial.
    """
    lines = enumerate(_decode(path, _text(path)).split("\n"), 1)
    rows = {number: line.split() for number, line in lines if line.strip()}
    if not rows:
        checks.refuse(os.fspath(path), "hold at least a trial", "an empty file")
    for number, row in rows.items():
        if len(row) != 3:
            _refuse_line(path, number, "hold three fields", f"{len(row)} in {' '.join(row)!r}")
    labels = {
        "kaldi": [{"target": 1, "nontarget": 0}.get(row[2]) for row in rows.values()],
        "voxceleb": [{"1": 1, "0": 0}.get(row[0]) for row in rows.values()],
    }
    style = min(labels, key=lambda s: (labels[s].count(None), labels[s][0] is None))
    numbers, start = list(rows), 0 if style == "kaldi" else 1
    if None in labels[style]:
        first = numbers[labels[style].index(None)]
        rule = "read '1|0 enroll test' or 'enroll test target|nontarget', in one style throughout the file"
        _refuse_line(path, first, rule, repr(" ".join(rows[first])))
    speaker, test = (index_names(np.array([row[i] for row in rows.values()])) for i in (start, start + 1))
    _refuse_repeated_line(path, numbers.__getitem__, speaker, test)
    return Trials(speaker, test, np.array(labels[style], dtype=np.int8))


def write_trials(trials: Trials, path: PathLike, *, style: str = "voxceleb") -> None:
    """Write a list of labeled trials; the file appears whole or not at all.

    Parameters
    ----------
    trials : Trials
    path : path-like
    style : {"voxceleb", "kaldi"}
        `label enroll test` or `enroll test target|nontarget`.

    Raises
    ------
    InvalidInput
        For trials without a label, names with spaces, or a place that cannot be written to.
    """
    checks.choice(style, "style", ("voxceleb", "kaldi"))
    unknown = int((trials.target == -1).sum())
    if unknown:
        checks.refuse("target", "be 1 or 0 in a file of trials", f"{unknown} of {len(trials)} trials without a label")
    for name in (*trials.speakers.names.tolist(), *trials.tests.names.tolist()):
        if name.split() != [name]:
            checks.refuse("names in a file of trials", "be free of spaces and line ends", repr(name))
    rows = zip(trials.speaker.tolist(), trials.test.tolist(), trials.target.tolist(), strict=True)
    if style == "voxceleb":
        _write(path, (f"{y} {s} {t}\n" for s, t, y in rows))
    else:
        _write(path, (f"{s} {t} {'target' if y else 'nontarget'}\n" for s, t, y in rows))


def read_scores(path: PathLike) -> Scores:
    """Read a table of scores: tab-separated text with a header, or arrays where the name ends in `.npz`.

    The columns `speaker test score target` are required, `test_speaker session enroll_seconds test_seconds` optional,
    in any order; an empty target or length is one that is not known. Blank lines are ignored.

    Raises
    ------
    InvalidInput
        For a file that cannot be read, missing or unknown columns, no rows, and with the line number for a row of the
        wrong length, a field that is not what its column holds, or a repeated pair.
    """
    if os.fspath(path).endswith(".npz"):
        return _read_arrays(path)
    found = _read_columns(path)
    held = found.take()
    try:
        return Scores(**held)
    except InvalidInput:
        _refuse_repeated_line(path, found.line, held["speaker"], held["test"])
        raise


def write_scores(scores: Scores, path: PathLike) -> None:
    """Write a table of scores that `read_scores` gives back exactly; the file appears whole or not at all.

    Parameters
    ----------
    scores : Scores
    path : path-like
        A name ending in `.npz` makes a file of arrays (no pickle); any other name tab-separated text.

    Raises
    ------
    InvalidInput
        For names with tabs or line ends (in text), or a place that cannot be written to.
    """
    held = columns(scores)
    if not os.fspath(path).endswith(".npz"):
        _write(path, _lines(held))
        return
    whole: dict[str, Any] = {name: c.names[c.codes] if isinstance(c, NameIndex) else c for name, c in held.items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **whole)


# Text


_NUMBERS = {"score": np.float64, "target": np.int8, "enroll_seconds": np.float64, "test_seconds": np.float64}
"""The types of the columns that hold no text."""
_RULES = {
    "speaker": "not be empty",
    "test": "not be empty",
    "score": "be a finite number",
    "target": "be 1, 0 or empty",
    "enroll_seconds": "be a finite number of seconds, at least 0, or empty",
    "test_seconds": "be a finite number of seconds, at least 0, or empty",
}
"""What the fields of a column must be; other columns hold any text."""


def _parse(name: str, field: str) -> Any:
    """Return the value of a field; ValueError if it breaks the rule of its column."""
    if name == "target":
        return ("0", "1").index(field) if field else -1
    if name not in _NUMBERS:
        if not field and name in _RULES:
            raise ValueError(field)
        return field
    if not field and name != "score":
        return math.nan
    value = float(field)
    if not math.isfinite(value) or (value < 0 and name != "score"):
        raise ValueError(field)
    return value


def _rendered(name: str, values: list[Any]) -> list[str]:
    """Return the fields of a column, of which `_parse` makes exactly the same values."""
    if name == "target":
        return [("0", "1", "")[value] for value in values]
    if name in _NUMBERS:
        return ["" if math.isnan(value) else repr(value) for value in values]
    for value in values:
        if any(mark in value for mark in "\t\n\r"):
            advice = "Write a .npz file instead."
            checks.refuse(name, "be free of tabs and line ends in a text file", repr(value), advice)
    return values


def _lines(held: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table, some at a time."""
    yield "\t".join(held) + "\n"
    names = {n: np.array(_rendered(n, c.names.tolist())) for n, c in held.items() if isinstance(c, NameIndex)}
    for start in range(0, len(held["score"]), _ROWS):
        rows = slice(start, start + _ROWS)
        texts = [
            names[name][column.codes[rows]].tolist() if name in names else _rendered(name, column[rows].tolist())
            for name, column in held.items()
        ]
        yield "".join("\t".join(row) + "\n" for row in zip(*texts, strict=True))


def _write(path: PathLike, lines: Iterable[str]) -> None:
    """Write lines, which bring their line ends with them."""
    try:
        with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    except UnicodeEncodeError as error:
        checks.refuse("names in a text file", "be valid Unicode", f"this: {error}")


def _content(path: PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        checks.refuse(os.fspath(path), "be a readable file", f"this: {error.strerror}")


def _text(path: PathLike) -> bytes:
    """Return the content of a file without a mark of byte order, each line with an end of the same kind."""
    content = _content(path).removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content if content.endswith(b"\n") else content + b"\n"


def _decode(path: PathLike, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        checks.refuse(os.fspath(path), "be UTF-8 text", f"this: {error}")


def _refuse_line(path: PathLike, number: int, rule: str, found: object) -> NoReturn:
    checks.refuse(f"{os.fspath(path)}, line {number},", rule, found)


def _refuse_repeated_line(path: PathLike, line: Callable[[int], int], speakers: NameIndex, tests: NameIndex) -> None:
    """Refuse the first line whose pair of names an earlier line holds."""
    again = repeated(speakers, tests)
    if again:
        first, second = map(line, again)
        pair = [index.names[index.codes[again[1]]] for index in (speakers, tests)]
        rule = "hold a pair of speaker and test that no other line holds"
        _refuse_line(path, second, rule, f"speaker '{pair[0]}' with test '{pair[1]}', which line {first} holds too")


def _check_header(path: PathLike, header: Sequence[str]) -> None:
    """Refuse missing, unknown or repeated columns, and name them."""
    required = [field.name for field in fields(Scores) if field.default is MISSING]
    known = [field.name for field in fields(Scores)]
    faults = {
        "missing": [name for name in required if name not in header],
        "unknown": [name for name in header if name not in known],
        "repeated": [name for i, name in enumerate(header) if name in header[:i]],
    }
    for fault, names in faults.items():
        if names:
            rule = f"have the columns {', '.join(required)} and no others than {', '.join(known[len(required) :])}"
            checks.refuse(os.fspath(path), rule, f"{fault} {', '.join(map(repr, names))}")


# Tables of text, by blocks


class _Columns:
    """The columns of a table of R rows while it is read: blocks of values, names as numbers, and numbers of lines."""

    def __init__(self, header: Sequence[str]) -> None:
        self.header = tuple(header)
        self.lines: list[Sequence[int]] = []
        self._blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in header}
        self._names: dict[str, dict[str, int]] = {name: {} for name in header}

    def append(self, lines: Sequence[int], values: Sequence[NDArray[Any]]) -> None:
        """Add the rows of a block."""
        self.lines.append(lines)
        for blocks, column in zip(self._blocks.values(), values, strict=True):
            blocks.append(column)

    def array(self, name: str, values: Sequence[Any]) -> NDArray[Any]:
        """Return values of a column as it is kept: numbers, and names as numbers, old or new."""
        if name in _NUMBERS:
            return np.array(values, dtype=_NUMBERS[name])
        known = self._names[name]
        return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int32)

    def take(self) -> dict[str, Any]:
        """Return the whole columns, names as a `NameIndex`, and forget them here one by one."""
        taken: dict[str, Any] = {}
        for name, names in self._names.items():
            column = np.concatenate(self._blocks.pop(name))
            column.setflags(write=False)
            taken[name] = column if name in _NUMBERS else sorted_index(np.array(list(names)), column)
        return taken

    def line(self, row: int) -> int:
        """Return the number of the line that held a row."""
        return next(islice(chain.from_iterable(self.lines), row, None))


def _read_columns(path: PathLike) -> _Columns:
    content = _text(path)
    blank = len(content) - len(content.lstrip(b" \n"))
    if blank == len(content):
        checks.refuse(os.fspath(path), "hold at least a header and a row", "an empty file")
    start = content.rfind(b"\n", 0, blank) + 1
    end = content.find(b"\n", start)
    header = _decode(path, content[start:end]).split("\t")
    _check_header(path, header)
    table, line = _Columns(header), content.count(b"\n", 0, end) + 2
    while (start := end + 1) < len(content):
        end = content.find(b"\n", min(start + _BLOCK, len(content) - 1))
        block = content[start : end + 1]
        count = block.count(b"\n")
        try:
            table.append(range(line, line + count), _values(table, block))
        except ValueError:
            table.append(*_values_slowly(path, table, block, line))
        line += count
    if not any(table.lines):
        checks.refuse(os.fspath(path), "hold at least one row below the header", "none")
    return table


def _values(table: _Columns, block: bytes) -> list[NDArray[Any]]:
    """Return the values of a block by columns; ValueError if there is anything unusual in it."""
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    tabs = np.flatnonzero(data == ord("\t"))
    if len(tabs) != len(ends) * (len(table.header) - 1):
        raise ValueError("fields are missing")
    marks = np.column_stack([np.append(-1, ends[:-1]), tabs.reshape(len(ends), -1), ends])
    widths = np.diff(marks, axis=1)
    if widths.min() <= 0 or widths.max() > _WIDEST:
        raise ValueError("tabs and ends of lines do not take turns, or a field is wide")
    return [_column(table, n, data, marks[:, i : i + 2]) for i, n in enumerate(table.header)]


def _column(table: _Columns, name: str, data: NDArray[np.uint8], marks: NDArray[np.int64]) -> NDArray[Any]:
    """Return one column of a block, its fields between two marks on each line, (R, 2); ValueError if one is bad."""
    starts, lengths = marks[:, 0] + 1, marks[:, 1] - marks[:, 0] - 1
    places = np.arange(-(-max(1, int(lengths.max())) // 8) * 8)
    characters = data[np.minimum(starts[:, None] + places, len(data) - 1)]
    fields = np.where(places < lengths[:, None], characters, np.uint8(0))
    if name == "score":
        scores = fields.view(f"S{len(places)}").ravel().astype(np.float64)
        if not (lengths.all() and np.isfinite(scores).all()):
            raise ValueError("a field is empty or not finite")
        return scores
    found = factorize(fields.view(np.uint64))
    if found is None:
        raise ValueError("two fields have one hash")
    stands, codes = found
    different = [bytes(fields[row, : lengths[row]]).decode("utf-8") for row in stands]
    return table.array(name, [_parse(name, field) for field in different])[codes]


def _values_slowly(path: PathLike, table: _Columns, block: bytes, first: int) -> tuple[list[int], list[NDArray[Any]]]:
    """Return the numbers and the values of the lines of a block that are not blank, or refuse the first bad one."""
    lines = enumerate(_decode(path, block).split("\n"), first)
    rows = {number: line.split("\t") for number, line in lines if line.strip(" ")}
    width = len(table.header)
    for number, row in rows.items():
        if len(row) != width:
            _refuse_line(path, number, f"hold {width} fields divided by tabs, as the header does", len(row))
    values: list[list[Any]] = [[] for _ in table.header]
    for i, name in enumerate(table.header):
        for number, row in rows.items():
            try:
                values[i].append(_parse(name, row[i]))
            except ValueError:
                checks.refuse(f"{os.fspath(path)}, line {number}: {name}", _RULES[name], repr(row[i]))
    return list(rows), [table.array(name, column) for name, column in zip(table.header, values, strict=True)]


# Arrays


def _read_arrays(path: PathLike) -> Scores:
    """Read the `.npz` form of a table of scores."""
    content = _content(path)
    try:
        if not content.startswith(b"PK"):  # NumPy would take it for a pickle, and say so
            raise zipfile.BadZipFile("File is not a zip file")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            held = {name: _kept(file[name]) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        checks.refuse(os.fspath(path), "be a readable .npz file of plain arrays", f"this: {error}")
    _check_header(path, list(held))
    try:
        return Scores(**held)
    except InvalidInput as error:
        raise InvalidInput(f"{os.fspath(path)}: {error}") from None


def _kept(column: NDArray[Any]) -> NDArray[Any] | NameIndex:
    """Return a column of a file as `Scores` keeps it, so that never more than one column of names is there in full."""
    if column.dtype.kind == "U" and column.ndim == 1 and column.size:
        return index_names(column)
    column.setflags(write=False)
    return column

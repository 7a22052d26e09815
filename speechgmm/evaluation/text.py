"""Text files of one row a line: fields in, fields out, and refusals that name the line.

Lines are counted from 1. Files are UTF-8, written beside their place and renamed, so that nobody sees half a file.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from speechgmm import checks

PathLike = str | os.PathLike[str]

TYPES = {"score": np.float64, "target": np.int8, "enroll_seconds": np.float64, "test_seconds": np.float64}
"""The columns of a table of scores that hold numbers."""


def rows(path: PathLike, what: str, separator: str | None) -> tuple[list[int], list[list[str]]]:
    """Return the numbers and the fields of all lines that are not blank; refuse a file without `what`."""
    try:
        content = read(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        checks.refuse(os.fspath(path), "be UTF-8 text", f"this: {error}")
    blank = " " if separator else None  # a row of tabs alone has fields, if empty ones
    lines = [(i, line) for i, line in enumerate(content.split("\n"), 1) if line.strip(blank)]
    if not lines:
        checks.refuse(os.fspath(path), f"hold at least {what}", "an empty file")
    return [i for i, _ in lines], [line.split(separator) for _, line in lines]


def refuse_line(path: PathLike, number: int, rule: str, found: object) -> NoReturn:
    """Raise InvalidInput for one line of a file."""
    checks.refuse(f"{os.fspath(path)}, line {number},", rule, found)


def is_text(name: str) -> bool:
    """Whether a column of a table of scores holds text."""
    return name not in TYPES


def parse(path: PathLike, numbers: Sequence[int], name: str, fields: Sequence[str]) -> list[Any]:
    """Return the values of the column `name`, or refuse the first line that holds none."""
    convert, rule = _COLUMNS.get(name, (str, ""))
    values = []
    for number, field in zip(numbers, fields, strict=True):
        try:
            values.append(convert(field))
        except (ValueError, KeyError):
            checks.refuse(f"{os.fspath(path)}, line {number}: {name}", rule, repr(field))
    return values


def values_of(name: str, fields: Sequence[str]) -> list[Any]:
    """Return the values of the column `name`; ValueError or KeyError if a field holds none."""
    convert, _ = _COLUMNS.get(name, (str, ""))
    return [convert(field) for field in fields]


def render(name: str, values: list[Any]) -> list[str]:
    """Return the fields of the column `name`, from which `parse` makes exactly the same values."""
    if name == "target":
        return [("0", "1", "")[value] for value in values]
    if name == "score" or name.endswith("_seconds"):
        return ["" if math.isnan(value) else repr(value) for value in values]
    for value in values:
        if any(mark in value for mark in "\t\n\r"):
            advice = "Write a .npz file instead."
            checks.refuse(name, "be free of tabs and line ends in a text file", repr(value), advice)
    return values


def read(path: PathLike) -> bytes:
    """Return the whole content of a file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        checks.refuse(os.fspath(path), "be a readable file", f"this: {error.strerror}")


def write(lines: Iterable[str], path: PathLike) -> None:
    """Write lines, which bring their line ends with them."""
    content = io.BytesIO()
    try:
        for line in lines:
            content.write(line.encode("utf-8"))
    except UnicodeEncodeError as error:
        checks.refuse("names in a text file", "be valid Unicode", f"this: {error}")
    replace(content.getbuffer(), path)


def replace(content: bytes | memoryview, path: PathLike) -> None:
    """Write beside `path`, then rename."""
    beside = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        checks.refuse(os.fspath(path), "be a place that can be written to", f"this: {error.strerror}")
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _number(field: str) -> float:
    value = float(field)
    if not math.isfinite(value):
        raise ValueError(field)
    return value


def _seconds(field: str) -> float:
    value = _number(field) if field else math.nan
    if value < 0:
        raise ValueError(field)
    return value


def _name(field: str) -> str:
    if not field:
        raise ValueError(field)
    return field


_LABELS = {"1": 1, "0": 0, "": -1}
_LENGTH = "be a finite number of seconds, at least 0, or empty"
_COLUMNS: dict[str, tuple[Callable[[str], Any], str]] = {
    "speaker": (_name, "not be empty"),
    "test": (_name, "not be empty"),
    "score": (_number, "be a finite number"),
    "target": (_LABELS.__getitem__, "be 1, 0 or empty"),
    "enroll_seconds": (_seconds, _LENGTH),
    "test_seconds": (_seconds, _LENGTH),
}
"""How a field of each column becomes a value, and the rule that it obeys; the fields of other columns are text."""

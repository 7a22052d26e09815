"""Data frames: of pandas where somebody asks for one, of pandas or polars where a table is read from one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from speechgmm.checks import extra, refuse

FRAME = "the data frame"
"""What messages call one."""


def is_frame(value: Any) -> bool:
    """Return whether a value is a data frame: it names its columns, and gives each by its name."""
    return all(hasattr(value, name) for name in ("columns", "shape", "__getitem__"))


def frame_of(columns: Mapping[str, Any], *, floats: Iterable[str] = (), whole: Iterable[str] = ()) -> Any:
    """Return a frame of pandas with these columns; those of `floats` and of `whole` numbers may have gaps.

    Raises
    ------
    MissingExtra
        If pandas is not installed.
    """
    pandas = extra("pandas", "frames")
    types = dict.fromkeys(floats, "float64") | dict.fromkeys(whole, "Int64")
    return pandas.DataFrame({name: pandas.Series(column, dtype=types.get(name)) for name, column in columns.items()})


def cells(frame: Any, name: Any) -> list[Any]:
    """Return what a column holds, as values of Python's."""
    return list(frame[name].to_list())


def is_missing(value: Any) -> bool:
    """Return whether a cell says nothing: None, NaN, NaT or NA."""
    return value is None or type(value).__name__ == "NAType" or value != value


def cell_text(value: Any) -> str:
    """Return a cell as the text that a CSV would hold: nothing for what is missing, whole numbers without a point.

    Examples
    --------
    >>> [cell_text(v) for v in ("ann", 3.0, 0.5, None, float("nan"))]
    ['ann', '3', '0.5', '', '']
    """
    if is_missing(value):
        return ""
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))  # pandas makes floats of whole numbers beside missing ones
    return str(value)


def header_of(frame: Any, names: Iterable[str], what: str) -> list[str]:
    """Return what the columns of a data frame are called: those of `names` by these, whatever their case.

    Raises
    ------
    InvalidInput
        If `what`, the thing that is read, does not come as a data frame.
    """
    if not is_frame(frame):
        refuse(what, "be a data frame of pandas or polars", type(frame).__name__)
    known = {name.casefold(): name for name in names}
    return [known.get(name.casefold(), name) for name in map(str.strip, map(str, frame.columns))]


@dataclass(frozen=True)
class FrameCells:
    """What a data frame says in the columns that are known, asked for by row (from 0) and column.

    A cell that is missing or empty, or whose column is not there, says None, or "" where text is asked for. Numbers and
    truth values may also stand as text, as in a CSV file that was read so.
    """

    columns: Mapping[str, Sequence[Any]]
    rows: int

    @classmethod
    def of(cls, frame: Any, what: str, required: Sequence[str], optional: Sequence[str]) -> Self:
        """Return the cells of a data frame, or refuse one without a required column, or with a known one twice."""
        header = header_of(frame, (*required, *optional), what)
        repeated = [name for i, name in enumerate(header) if name in header[:i] and name in (*required, *optional)]
        for fault, names in {"missing": [n for n in required if n not in header], "repeated": repeated}.items():
            if names:
                rule = f"have the columns {', '.join(required)}, and each column under a name of its own"
                refuse(FRAME, rule, f"{fault} {', '.join(map(repr, names))}")
        known = zip(header, frame.columns, strict=True)
        held = {name: cells(frame, column) for name, column in known if name in (*required, *optional)}
        return cls(held, len(frame))

    def refuse(self, row: int, name: str, rule: str, found: object, advice: str = "") -> NoReturn:
        """Refuse a cell, and name its column and row."""
        refuse(f"{name} in {FRAME}, row {row},", rule, found, advice)

    def cell(self, row: int, name: str) -> Any:
        """Return what stands in a cell, None where nothing does."""
        value = self.columns[name][row] if name in self.columns else None
        return None if is_missing(value) or value == "" else value

    def text(self, row: int, name: str) -> str:
        """Return a cell as text."""
        return cell_text(self.cell(row, name))

    def filled(self, row: int, name: str) -> str:
        """Return a cell as text, or refuse it where there is none."""
        if not (text := self.text(row, name)):
            advice = "Read a CSV file with keep_default_na=False, if this is a name such as NA or None."
            self.refuse(row, name, "be filled", "nothing", advice)
        return text

    def number(self, row: int, name: str) -> float | None:
        """Return a cell as a number, or refuse it where it is none."""
        value = self.cell(row, name)
        try:
            found = None if value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            self.refuse(row, name, "be a number", repr(value))
        return None if is_missing(found) else found

    def whole(self, row: int, name: str) -> int | None:
        """Return a cell as a whole number from 0 up, or refuse it where it is none."""
        found = self.number(row, name)
        if found is not None and (found < 0 or not found.is_integer()):
            self.refuse(row, name, "be a whole number, at least 0", f"{found:g}")
        return None if found is None else int(found)

    def known(self, row: int, name: str) -> float:
        """Return a cell as a number, or refuse it where it is none or not there."""
        if (found := self.number(row, name)) is None:
            self.refuse(row, name, "be a number", "nothing")
        return found

    def flag(self, row: int, name: str) -> bool | None:
        """Return a cell as true or false, or refuse it where it is neither."""
        value = self.cell(row, name)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().casefold(), value)
        if value is not None and value not in (True, False):
            self.refuse(row, name, "be True or False", repr(value))
        return None if value is None else bool(value)

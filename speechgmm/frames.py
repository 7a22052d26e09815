"""Data frames: of pandas where somebody asks for one, of pandas or polars where a table is read from one."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from speechgmm.checks import extra

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

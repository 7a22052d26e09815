"""The columns of tables of trials and scores: checked when a table is made, read-only from then on."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from speechgmm import checks
from speechgmm.evaluation.name_index import NameIndex, Names, check_no_nul, index_names, visible_names

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]
Seen = TypeVar("Seen")
"""What a column is seen as from outside."""


class TableColumn(Generic[Seen]):
    """A column of a table: checked when the table is made, read-only from then on.

    It is a descriptor, which dataclasses take as the declaration of a field. Names are kept as a `NameIndex` and
    written out when first asked for: ten million of them take half a gigabyte.

    Parameters
    ----------
    check : callable
        Given what the caller gave and the name of the column, it returns an array or a `NameIndex`.
    optional : bool
        Whether a table may be without this column, which then is None.
    """

    def __init__(self, check: Callable[[Any, str], Any], *, optional: bool = False) -> None:
        self._check, self._optional = check, optional

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, table: None, owner: type) -> Any: ...
    @overload
    def __get__(self, table: object, owner: type) -> Seen: ...
    def __get__(self, table: object | None, owner: type) -> Any:
        if table is not None:
            kept = vars(table)[self._name]
            return kept.full if isinstance(kept, NameIndex) else kept
        if self._optional:  # a dataclass asks for the default of the field in this way
            return None
        raise AttributeError(self._name)

    def __set__(self, table: object, given: ArrayLike | NameIndex | None) -> None:
        vars(table)[self._name] = None if given is None and self._optional else self._check(given, self._name)


def name_column(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return text as an index, or as it is if it has a shape that no column has."""
    if isinstance(given, NameIndex):
        return given
    if isinstance(given, (list, tuple)):
        check_no_nul(given)
    words = np.asarray(given)
    if words.dtype.kind == "O":
        check_no_nul(words.flat)
    if not words.size or (words.dtype.kind in "OT" and all(isinstance(word, str) for word in words.flat)):
        words = words.astype(str)
    if words.dtype.kind != "U" or not words.ndim:
        checks.refuse(what, "hold text", f"an array of type {words.dtype}" if words.ndim else f"one value, {given!r}")
    return indexed(words)


def indexed(column: NDArray[Any]) -> NDArray[Any] | NameIndex:
    """Return names as they are kept, and as it is what is no column of names."""
    return index_names(column) if column.dtype.kind == "U" and column.ndim == 1 and column.size else column


def speaker_column(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return names of speakers or sessions, each in its one spelling."""
    column = name_column(given, what)
    return visible_names(column, what) if isinstance(column, NameIndex) else column


def filled_speaker_column(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return names of speakers of which no entry is empty."""
    return filled_column(speaker_column(given, what), what)


def filled_column(given: ArrayLike | NameIndex, what: str) -> NameIndex | Names:
    """Return text of which no entry is empty."""
    column = name_column(given, what)
    if isinstance(column, NameIndex) and column.names[0] == "":
        checks.refuse(what, "hold no empty names", f"'' in row {int(np.argmin(column.codes))}")
    return column


def number_column(given: ArrayLike, what: str) -> Floats:
    """Return finite numbers."""
    return _frozen(checks.finite(checks.numeric(given, what), what), np.float64)


def length_column(given: ArrayLike, what: str) -> Floats:
    """Return seconds, NaN where not known."""
    seconds = checks.numeric(given, what)
    good = np.isnan(seconds) | ((seconds >= 0) & (seconds < np.inf))
    _check_every(good, seconds, what, "be finite and at least 0 s, or NaN where not known")
    return _frozen(seconds, np.float64)


def label_column(given: ArrayLike, what: str) -> Labels:
    """Return labels: 1, 0, or -1 where not known."""
    labels = np.asarray(given)
    rule = "be 1 (target), 0 (nontarget) or -1 (not known), as whole numbers"
    if labels.size and labels.dtype.kind not in "iub":
        checks.refuse(what, rule, f"an array of type {labels.dtype}")
    _check_every(np.isin(labels, (1, 0, -1)), labels, what, rule)
    return _frozen(labels, np.int8)


def _check_every(good: NDArray[np.bool_], values: NDArray[Any], what: str, rule: str) -> None:
    """Refuse a column with a bad entry, and show the first one."""
    if not good.all():
        first = int(np.argmin(good))
        checks.refuse(what, rule, f"{values.ravel()[first].item()!r} in row {first}")


def _frozen(column: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """Return a read-only copy of a column."""
    column = column.astype(kind)
    column.setflags(write=False)
    return column

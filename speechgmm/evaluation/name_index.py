"""Columns of names as numbers: which different names there are, and which of them each of T rows holds.

Ten million names are numbered in the order in which they first appear, a block of rows at a time, so that text is
sorted only once, and only the different names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from speechgmm import checks

Names = NDArray[np.str_]
Codes = NDArray[np.int32]

_ROWS = 1 << 14
"""Rows looked at together, so that their names stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class NameIndex:
    """The S different names of a column, sorted, and for each of T rows the place of its name among them.

    Parameters
    ----------
    names : array of str, shape (S,)
    codes : array of int32, shape (T,)
        Row t holds names[codes[t]].
    """

    names: Names
    codes: Codes

    def __len__(self) -> int:
        """Return the number of rows, T."""
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the column, (T,)."""
        return self.codes.shape

    @cached_property
    def full(self) -> Names:
        """The names of all rows, (T,), read-only."""
        column = self.names[self.codes]
        column.setflags(write=False)
        return column

    def take(self, rows: NDArray[np.int64]) -> "NameIndex":
        """Return these rows, without the names that none of them holds."""
        used, codes = np.unique(self.codes[rows], return_inverse=True)
        return NameIndex(self.names[used], codes.astype(np.int32))


class Numbering(dict[str, int]):
    """Numbers of names, from 0 in the order in which they are first asked for; an empty name only where it may be."""

    def __init__(self, *, empty: bool = True) -> None:
        super().__init__()
        self._empty = empty

    def __missing__(self, name: str) -> int:
        """Return the number of a new name; ValueError if it is empty and must not be."""
        if not (name or self._empty):
            raise ValueError("an empty name")
        return self.setdefault(name, len(self))

    def index(self, numbers: Codes) -> NameIndex:
        """Return the column whose row t holds the name with the number numbers[t].

        Raises
        ------
        InvalidInput
            If a name holds a NUL: NumPy drops those at the end, and two names would become one.
        """
        check_no_nul(self)
        names = np.array(list(self))
        order = np.argsort(names)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return NameIndex(names[order], place[numbers])


def index_names(column: Names | list[str]) -> NameIndex:
    """Return the different names of a column and where they stand.

    Raises
    ------
    InvalidInput
        If a name holds a NUL.

    Examples
    --------
    >>> found = index_names(np.array(["bob", "ann", "bob"]))
    >>> found.names.tolist(), found.codes.tolist()
    (['ann', 'bob'], [1, 0, 1])
    """
    if isinstance(column, list):
        check_no_nul(column)
        column = np.array(column)
    heads = np.flatnonzero(np.append(True, column[1:] != column[:-1]))
    if 4 * len(heads) < len(column):  # long runs of one name, as in a list of tests
        found = index_names(column[heads])
        return NameIndex(found.names, np.repeat(found.codes, np.diff(np.append(heads, len(column)))))
    numbering, numbers = Numbering(), np.empty(len(column), dtype=np.int32)
    for start in range(0, len(column), _ROWS):
        block = column[start : start + _ROWS].tolist()
        numbers[start : start + _ROWS] = np.fromiter(map(numbering.__getitem__, block), np.int32, len(block))
    return numbering.index(numbers)


def join_names(columns: Sequence[NameIndex]) -> NameIndex:
    """Return several columns, one below the other.

    Examples
    --------
    >>> join_names([index_names(["bob"]), index_names(["ann", "bob"])]).full.tolist()
    ['bob', 'ann', 'bob']
    """
    names, place = np.unique(np.concatenate([c.names for c in columns]), return_inverse=True)
    places = np.split(place.astype(np.int32), np.cumsum([len(c.names) for c in columns])[:-1])
    return NameIndex(names, np.concatenate([p[c.codes] for p, c in zip(places, columns, strict=True)]))


def check_no_nul(names: Iterable[object]) -> None:
    """Refuse names with a NUL, those at the end included, which NumPy drops."""
    if bad := next((n for n in names if isinstance(n, str) and "\0" in n), None):
        checks.refuse("a name", "hold no NUL characters", ascii(bad))


def visible_names(index: NameIndex, what: str) -> NameIndex:
    """Return the column with each name as `checks.visible` gives it: two spellings of one become one."""
    given = index.names.tolist()
    names = [checks.visible(n, what) for n in given]
    if names == given:
        return index
    found, place = np.unique(np.array(names), return_inverse=True)
    return NameIndex(found, place.astype(np.int32)[index.codes])


def repeated(first: NameIndex, second: NameIndex) -> tuple[int, int] | None:
    """Return the two rows of the first pair of names that occurs again, or None."""
    pairs = first.codes.astype(np.int64) * len(second.names) + second.codes
    if len(first.names) * len(second.names) <= 4 * len(pairs) + 1000:
        once = int(np.bincount(pairs).max()) == 1
    else:
        once = len(np.unique(pairs)) == len(pairs)
    if once:
        return None
    order = np.argsort(pairs, kind="stable")
    again = int(order[1:][np.diff(pairs[order]) == 0].min())
    return int(np.argmax(pairs == pairs[again])), again

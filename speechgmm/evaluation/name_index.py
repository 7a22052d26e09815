"""Columns of names as numbers: which different names there are, and which of them each of T rows holds.

Ten million names are told apart by a 64-bit hash of their characters, so that whole numbers are sorted and not text;
each name is then compared with the one that stands for its hash, and should two names share a hash, text is sorted
after all. The answer is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NameIndex", "factorize", "index_names", "repeated", "sorted_index"]

Names = NDArray[np.str_]
Codes = NDArray[np.int32]

_ROWS = 1 << 18
"""Rows looked at together, so that they stay in the processor's cache."""


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

    def take(self, rows: NDArray[np.int64]) -> NameIndex:
        """Return these rows, without the names that none of them holds."""
        used, codes = np.unique(self.codes[rows], return_inverse=True)
        return NameIndex(self.names[used], codes.astype(np.int32))


def index_names(column: Names) -> NameIndex:
    """Return the different names of a column and where they stand.

    Examples
    --------
    >>> found = index_names(np.array(["bob", "ann", "bob"]))
    >>> found.names.tolist(), found.codes.tolist()
    (['ann', 'bob'], [1, 0, 1])
    """
    characters = np.ascontiguousarray(column).view(np.uint32).reshape(len(column), -1)
    heads = np.flatnonzero(_changes(characters))
    if 4 * len(heads) < len(column):  # long runs of one name, as in a list of tests
        found = index_names(column[heads])
        return NameIndex(found.names, np.repeat(found.codes, np.diff(np.append(heads, len(column)))))
    told_apart = factorize(characters)
    if told_apart is None:
        names, places = np.unique(column, return_inverse=True)
        return NameIndex(names, places.astype(np.int32))
    stands, codes = told_apart
    return sorted_index(column[stands], codes)


def sorted_index(names: Names, codes: Codes) -> NameIndex:
    """Return the index of different names in any order, of which row t holds names[codes[t]]."""
    order = np.argsort(names)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return NameIndex(names[order], place[codes])


def factorize(words: NDArray[Any]) -> tuple[Codes, Codes] | None:
    """Return one row (S,) for each different row of a (T, W) matrix of whole numbers, and which one stands for each.

    None if two different rows have the same hash.
    """
    hashes = np.empty(len(words), dtype=np.uint64)
    for start in range(0, len(words), _ROWS):
        hashes[start : start + _ROWS] = _hash(words[start : start + _ROWS])
    different = np.unique(hashes)
    codes = np.searchsorted(different, hashes).astype(np.int32)
    stands = np.empty(len(different), dtype=np.int32)
    stands[codes] = np.arange(len(codes), dtype=np.int32)
    models = words[stands]
    for start in range(0, len(words), _ROWS):
        block = slice(start, start + _ROWS)
        if not np.array_equal(words[block], models[codes[block]]):
            return None
    return stands, codes


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


def _changes(words: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows differ from the row before; the first does."""
    changes = np.ones(len(words), dtype=bool)
    for start in range(1, len(words), _ROWS):
        block = slice(start, min(start + _ROWS, len(words)))
        np.any(words[block] != words[start - 1 : block.stop - 1], axis=1, out=changes[block])
    return changes


def _hash(words: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row: FNV-1a by words, with the high bits mixed in after each."""
    value = np.full(len(words), 0xCBF29CE484222325, dtype=np.uint64)
    for j in range(words.shape[1]):
        value ^= words[:, j]
        value *= np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    return value

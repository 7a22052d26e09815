"""Sums over blocks in a fixed order, wherever the blocks are: as a tree, whose shape their number alone decides.

Up to 16 blocks are added one after the other. Of more, each 16 in a row make one sum, and so do each 16 of these sums,
and so on: the same bits on any number of threads and on any cluster, and at most five sums in memory for each level.
"""

import functools
import itertools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from speechgmm.checks import refuse
from speechgmm.parallel.local import Threads, threads

T = TypeVar("T")
R = TypeVar("R")
View = Callable[[Any], Any]

FAN_IN = 16
"""So many values in a row make one sum: equal shares of that many blocks for 2, 4, 8 or 16 threads."""


class BlockViews(ABC):
    """Blocks that are made of others, one of each: workers that hold the others make them where they are.

    A class derived from it has the others as `blocks`.

    Examples
    --------
    >>> class Halves(BlockViews):
    ...     def __init__(self, blocks):
    ...         self.blocks = blocks
    ...     def views(self):
    ...         return (lambda block: block / 2 for _ in self.blocks)
    >>> list(Halves([2.0, 4.0]))
    [1.0, 2.0]
    """

    blocks: Iterable[Any]

    @abstractmethod
    def views(self) -> Iterator[Callable[[Any], Any]]:
        """Yield for each of the other blocks the function that makes one of it, which can be pickled."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the blocks that are made."""
        for block, view in zip(self.blocks, self.views(), strict=False):
            yield view(block)


@dataclass(frozen=True, eq=False)
class BlockRange:
    """Some of many blocks, in a row, by their numbers: workers that hold the blocks sum these where they are.

    Examples
    --------
    >>> list(BlockRange(["a", "b", "c", "d"], range(1, 3)))
    ['b', 'c']
    """

    blocks: Iterable[Any]
    numbers: range

    def __iter__(self) -> Iterator[Any]:
        """Yield these blocks; those before them are not made where they can be indexed."""
        start, stop = self.numbers.start, self.numbers.stop
        inner = innermost(self.blocks)
        indexed = hasattr(inner, "__getitem__")
        some = map(inner.__getitem__, self.numbers) if indexed else itertools.islice(inner, start, stop)
        for block, view in zip(some, itertools.islice(views_of(self.blocks), start, stop), strict=False):
            yield view(block)


def innermost(blocks: Iterable[Any]) -> Any:
    """Return the blocks of which all others are made."""
    while isinstance(blocks, BlockViews):
        blocks = blocks.blocks
    return blocks


def views_of(blocks: Iterable[Any]) -> Iterator[View]:
    """Yield for each block of the innermost blocks the function that makes the outermost one of it."""
    if not isinstance(blocks, BlockViews):
        return itertools.repeat(_same)
    pairs = zip(views_of(blocks.blocks), blocks.views(), strict=False)
    return (functools.partial(_both, inner, outer) for inner, outer in pairs)


def _same(block: Any) -> Any:
    return block


def _both(first: View, second: View, block: Any) -> Any:
    return second(first(block))


@runtime_checkable
class SummingMapper(Protocol):
    """A mapper that can sum blocks where they are."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Yield `function(item)` in the order of `items`."""

    def group_sums(self, function: Callable[[Any], Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """Yield in order, for each `FAN_IN` blocks in a row, the sum of `function(block)`, from left to right."""


def folded(parts: Iterable[Any]) -> Any:
    """Return the sum of at least one value, from left to right."""
    return functools.reduce(operator.add, parts)


def total(parts: Iterable[Any]) -> Any:
    """Return the sum of the statistics of blocks: as a tree in their own order, a few of them in memory.

    Examples
    --------
    >>> total(str(i % 10) for i in range(20))
    '01234567890123456789'
    """
    sums = _groups(iter(parts))
    for first in sums:
        for second in sums:
            return total(itertools.chain((first, second), sums))
        return first
    return refuse("blocks", "hold at least one block of frames", "none")


def sum_over(function: Callable[[Any], Any], blocks: Iterable[Any], n_threads: Threads = None) -> Any:
    """Return the sum of `function(block)` over blocks as `total` has it, in the same bits whoever does the work.

    Parameters
    ----------
    function : callable
    blocks : re-iterable blocks
    n_threads : int or mapper, optional
        Default: the cores of this process. A `SummingMapper` keeps blocks where they are from one call to the next.

    Examples
    --------
    >>> import numpy as np
    >>> sum_over(np.sum, [np.ones(3), np.ones(4)], n_threads=2).item()
    7.0
    """
    if callable(n_threads) and isinstance(n_threads, SummingMapper):  # the second is slow: not for numbers
        return total(n_threads.group_sums(function, blocks))
    return total(map(function, blocks) if n_threads == 1 else threads(n_threads)(function, blocks))


def _groups(parts: Iterator[Any]) -> Iterator[Any]:
    """Yield the sums of each `FAN_IN` values in a row."""
    for first in parts:
        yield folded(itertools.chain((first,), itertools.islice(parts, FAN_IN - 1)))

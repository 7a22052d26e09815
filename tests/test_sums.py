"""Sums over blocks: a tree whose shape the number of blocks alone decides, a few sums a level in memory."""

from __future__ import annotations

import functools
import gc
import math
import operator
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.parallel import BlockViews, SummingMapper, own_threads, sum_over, threads, total


@dataclass(frozen=True, eq=False)
class Term:
    """A sum that remembers how it was made."""

    made: str

    def __add__(self, other: Term) -> Term:
        return Term(f"({self.made}+{other.made})")


def slow(parts: list[Term]) -> Term:
    """The sum level by level: each 16 in a row from left to right, again and again."""
    while len(parts) > 1:
        parts = [functools.reduce(operator.add, parts[i : i + 16]) for i in range(0, len(parts), 16)]
    return parts[0]


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 272, 273, 1000, 4096, 4097])
def test_the_tree_is_that_of_the_levels(n: int) -> None:
    terms = [Term(str(i)) for i in range(n)]
    assert total(iter(terms)).made == slow(terms).made
    if n <= 16:
        assert total(terms).made == functools.reduce(operator.add, terms).made


@given(st.integers(1, 600), st.integers(1, 5))
def test_sums_of_groups_are_summed_to_the_same_tree(n: int, n_threads: int) -> None:
    terms = [Term(str(i)) for i in range(n)]
    groups = [functools.reduce(operator.add, terms[i : i + 16]) for i in range(0, n, 16)]
    assert total(groups).made == total(terms).made
    assert sum_over(lambda i: terms[i], range(n), n_threads).made == total(terms).made


def test_a_few_sums_a_level_are_in_memory() -> None:
    alive: weakref.WeakSet[Term] = weakref.WeakSet()
    most = 0

    class Counted(Term):
        def __init__(self, made: str) -> None:
            super().__init__(made)
            alive.add(self)

        def __add__(self, other: Term) -> Term:
            nonlocal most
            gc.collect(0)
            most = max(most, len(alive))
            return Counted("")

    n = 16**3
    total(Counted("") for _ in range(n))
    assert most <= 5 * math.log(n, 16)  # of 4096


def test_without_blocks_there_is_no_sum() -> None:
    with pytest.raises(InvalidInput, match="blocks must hold at least one block of frames; got none"):
        total([])


@dataclass(frozen=True, eq=False)
class Times(BlockViews):
    """Blocks times a number, which is another one for each."""

    blocks: Any
    first: float

    def views(self) -> Iterator[Any]:
        for i in range(3):
            yield functools.partial(operator.mul, self.first + i)


def test_views_are_made_of_each_block_and_of_views() -> None:
    blocks = [np.full(2, 1.0), np.full(1, 10.0), np.zeros(0)]
    assert [b.tolist() for b in Times(blocks, 2.0)] == [[2, 2], [30], []]
    assert [b.tolist() for b in Times(Times(blocks, 2.0), 5.0)] == [[10, 10], [180], []]


class Elsewhere:
    """A mapper that sums groups itself."""

    def __call__(self, function: Any, items: Any) -> Iterator[Any]:
        return map(function, items)

    def group_sums(self, function: Any, blocks: Any) -> Iterator[Any]:
        made = list(map(function, blocks))
        for i in range(0, len(made), 16):
            yield functools.reduce(operator.add, made[i : i + 16])


def test_a_mapper_stands_where_a_number_of_threads_does() -> None:
    here = Elsewhere()
    assert isinstance(here, SummingMapper)
    assert threads(here) is here
    assert [own_threads(n) for n in (3, None, here)] == [3, None, None]
    terms = [Term(str(i)) for i in range(300)]
    assert sum_over(lambda t: t, terms, here).made == sum_over(lambda t: t, terms, map).made == total(terms).made

"""Names as numbers: against NumPy's sorting of text, and pairs that occur again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.evaluation import name_index
from speechgmm.evaluation.name_index import NameIndex, index_names, repeated

words = st.lists(st.text("aäb\U0001f600 ", max_size=3), min_size=1, max_size=40)
runs = st.lists(st.tuples(st.sampled_from(["ann", "bob", "c"]), st.integers(1, 30)), min_size=1, max_size=6)


def same_as_numpy(column):
    found = index_names(column)
    names, codes = np.unique(column, return_inverse=True)
    np.testing.assert_array_equal(found.names, names)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.full, column)
    assert found.codes.dtype == np.int32
    assert len(found) == len(column)


@given(words)
def test_names_and_codes_are_those_of_numpy(column):
    same_as_numpy(np.array(column, dtype=np.str_))


@given(runs)
def test_long_runs_too(parts):
    same_as_numpy(np.array([name for name, count in parts for _ in range(count)]))


def test_blocks_meet(monkeypatch):
    monkeypatch.setattr(name_index, "_ROWS", 3)
    same_as_numpy(np.array(["a", "a", "b", "b", "b", "b", "a", "c", "c", "a"]))
    same_as_numpy(np.repeat(["x", "y", "x"], [7, 5, 8]))


def test_columns_that_are_views_are_read_right():
    column = np.array(["a", "x", "b", "x", "a", "x"])[::2]
    same_as_numpy(column)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=30), st.booleans())
def test_the_first_pair_that_occurs_again(pairs, wide):
    first, second = zip(*pairs, strict=True)
    size = 2000 if wide else 31  # many names and few rows are looked up in another way
    labels = np.array([f"{i:05d}" for i in range(size)])
    found = repeated(NameIndex(labels, np.array(first, np.int32)), NameIndex(labels, np.array(second, np.int32)))
    place, expected = {}, None
    for i, pair in enumerate(pairs):
        if pair in place:
            expected = (place[pair], i)
            break
        place[pair] = i
    assert found == expected

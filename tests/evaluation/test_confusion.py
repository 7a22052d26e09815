"""The confusion matrix against a count by hand, its laws, and what it refuses."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import ConfusionMatrix, confusion_matrix

decided = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcdx")), min_size=1, max_size=30)


@given(decided)
def test_every_entry_is_a_count(pairs):
    found = confusion_matrix(*zip(*pairs, strict=True))
    expected = Counter(pairs)
    assert found.labels == tuple(sorted({label for pair in pairs for label in pair}))
    for i, true in enumerate(found.labels):
        for j, told in enumerate(found.labels):
            assert found.counts[i, j] == expected[true, told]
    assert found.total == len(pairs)
    assert found.accuracy == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    mistakes = found.confusions()
    assert {(a, b): n for a, b, n in mistakes} == {pair: n for pair, n in expected.items() if pair[0] != pair[1]}
    assert [n for *_, n in mistakes] == sorted((n for *_, n in mistakes), reverse=True)


@given(decided)
def test_rates_recall_and_balanced_accuracy(pairs):
    found = confusion_matrix(*zip(*pairs, strict=True))
    recall = []
    for i, label in enumerate(found.labels):
        own = [told for true, told in pairs if true == label]
        for j, other in enumerate(found.labels):
            assert found.rates[i, j] == pytest.approx(own.count(other) / len(own) if own else 0)
        assert math.isnan(found.recall[i]) == (not own)
        recall += [own.count(label) / len(own)] if own else []
    assert found.balanced_accuracy == pytest.approx(sum(recall) / len(recall))


def test_labels_in_the_order_given():
    found = confusion_matrix(["b", "a"], ["b", "b"], labels=["b", "a", "c"])
    assert found.labels == ("b", "a", "c")
    np.testing.assert_array_equal(found.counts, [[1, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert found.confusions(1) == (("a", "b", 1),)


def test_no_decisions_have_no_accuracy():
    empty = ConfusionMatrix(("a", "b"), np.zeros((2, 2), dtype=int))
    assert math.isnan(empty.accuracy)
    assert math.isnan(empty.balanced_accuracy)
    assert empty.confusions() == ()


def test_it_can_be_stored(tmp_path):
    made = confusion_matrix(["a", "ä"], ["ä", "ä"])
    storage.save(made, tmp_path / "m")
    back = storage.load(tmp_path / "m", ConfusionMatrix)
    assert back.labels == made.labels
    np.testing.assert_array_equal(back.counts, made.counts)


def test_counts_are_frozen():
    counts = np.ones((1, 1), dtype=int)
    made = ConfusionMatrix(("a",), counts)
    counts[0, 0] = 5
    assert made.counts[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        made.counts[0, 0] = 2


@pytest.mark.parametrize(
    ("truth", "decisions", "options", "message"),
    [
        (["a"], ["a", "b"], {}, r"decisions must be as many as there are truths \(1\); got 2"),
        ([], [], {}, "truth must hold at least one label; got none"),
        (["a", 1], ["a", "a"], {}, "truth must be a one-dimensional array of text; got 1"),
        (["a"], [None], {}, "decisions must be a one-dimensional array of text; got None"),
        ([["a"]], ["a"], {}, r"truth must be a one-dimensional array of text; got \(1, 1\)"),
        (["a"], ["x"], {"labels": ["a", "b"]}, "decisions must hold only the labels given; got 'x'. Known are a, b"),
        (["x"], ["a"], {"labels": ["a", "b"]}, "truth must hold only the labels given; got 'x'"),
        (["a"], ["a"], {"labels": ["a", "a"]}, "labels must differ from each other; got 'a' twice"),
    ],
)
def test_refusals(truth, decisions, options, message):
    with pytest.raises(InvalidInput, match=message):
        confusion_matrix(truth, decisions, **options)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2, 3]], r"counts must have a row and a column for each of 2 labels; got \(1, 3\)"),
        ([[1.0, 0.0], [0.0, 1.0]], "counts must be whole numbers, at least 0; got float64"),
        ([[1, -1], [0, 1]], "counts must be whole numbers, at least 0; got int64 from -1"),
    ],
)
def test_counts_that_are_none_are_refused(counts, message):
    with pytest.raises(InvalidInput, match=message):
        ConfusionMatrix(("a", "b"), np.array(counts))

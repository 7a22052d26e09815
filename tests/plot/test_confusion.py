"""What the picture of a confusion matrix shows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from speechgmm.evaluation import ConfusionMatrix, confusion_matrix
from speechgmm.plot import plot_confusion


def many(n):
    names = tuple(f"label {i}" for i in range(n))
    return ConfusionMatrix(names, np.eye(n, dtype=int))


def test_counts_names_and_shades():
    ax = plot_confusion(confusion_matrix(["a", "a", "b"], ["a", "b", "b"]))
    assert sorted(t.get_text() for t in ax.texts) == ["1", "1", "1"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"] == [t.get_text() for t in ax.get_xticklabels()]
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0.5, 0.5], [0, 1]])
    assert ax.get_title() == "3 decisions, 66.7 % right"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("taken for", "truth")
    top, bottom = ax.get_ylim()
    assert top > bottom, "the first label is at the top"


@pytest.mark.parametrize(("n", "numbers", "names"), [(15, 15, 15), (16, 0, 16), (60, 0, 60), (61, 0, 0)])
def test_with_many_labels_numbers_and_then_names_are_left_out(n, numbers, names):
    ax = plot_confusion(many(n))
    assert (len(ax.texts), len(ax.get_xticks())) == (numbers, names)
    ax.figure.canvas.draw()


def test_given_axes_are_used():
    ax = plt.subplots()[1]
    assert plot_confusion(many(2), ax=ax) is ax


def test_text_is_light_on_dark():
    with plt.style.context("dark_background"):
        ax = plot_confusion(confusion_matrix(["a", "a", "a"], ["a", "a", "b"]))
    assert {t.get_color() for t in ax.texts} == {"white"}

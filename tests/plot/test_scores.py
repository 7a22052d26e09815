"""What pictures of scores show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores
from speechgmm.plot import plot_calibration, plot_histograms
from tests.plot.scores import matrix


def labels(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def calibrated(n=20_000, factor=1.0, shift=0.0):
    """LLRs of Gaussians at +-2 with variance 4, and a strange version of them."""
    rng = np.random.default_rng(0)
    target = np.arange(n) % 2
    llr = rng.normal(4.0 * target - 2.0, 2.0)
    return Scores(["m"] * n, [f"t{i}" for i in range(n)], factor * llr + shift, target)


def test_shares_of_each_kind_add_up_to_all():
    ax = plot_histograms(matrix())
    areas = [np.sum(stairs.get_data().values) for stairs in ax.patches]
    np.testing.assert_allclose(areas, 100)
    assert labels(ax) == ["impostors (840)", "targets (60)"]


def test_the_threshold_is_drawn_with_its_errors():
    scores = Scores(["m"] * 4, list("abcd"), [0.0, 1.0, 2.0, 3.0], [0, 1, 0, 1])
    ax = plot_histograms(scores, threshold=1.5)
    assert "threshold 1.5: 50 % missed, 50 % accepted wrongly" in labels(ax)
    assert next(found for found in ax.lines if found.get_linestyle() == "--").get_xdata()[0] == 1.5
    assert ax.get_xlim()[0] < 0 < 3 < ax.get_xlim()[1]


def test_an_infinite_threshold_is_not_drawn():
    assert len(plot_histograms(matrix(), threshold=np.inf).lines) == 0


def test_small_sets_have_few_bins_and_any_number_can_be_asked_for():
    assert len(plot_histograms(matrix(enrolled=3, tests=2)).patches[0].get_data().values) == 12
    assert len(plot_histograms(matrix(), bins=33).patches[0].get_data().values) == 33


def test_equal_scores_are_drawn():
    scores = Scores(["m"] * 4, list("abcd"), [1.0] * 4, [0, 1, 0, 1])
    plot_histograms(scores, threshold=1.0).figure.canvas.draw()
    plot_calibration(scores).figure.canvas.draw()


def test_calibrated_scores_lie_on_the_diagonal():
    ax = plot_calibration(calibrated())
    x, y = next(found for found in ax.lines if found.get_marker() == "o").get_data()
    assert len(x) >= 10
    np.testing.assert_allclose(y[1:-1], x[1:-1], atol=0.35)  # the outermost bins hold few trials of one kind
    assert labels(ax) == ["means what it says", "PAV", "trials in bins"]
    assert ax.get_aspect() == 1


@pytest.mark.parametrize(("factor", "shift"), [(3.0, 0.0), (1.0, 5.0)])
def test_other_scores_do_not(factor, shift):
    ax = plot_calibration(calibrated(factor=factor, shift=shift))
    x, y = next(found for found in ax.lines if found.get_marker() == "o").get_data()
    np.testing.assert_allclose(factor * np.array(y[1:-1]) + shift, x[1:-1], atol=0.35 * factor)


def test_bins_of_one_kind_alone_have_no_circle():
    scores = Scores(["m"] * 4, list("abcd"), [0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1])
    assert len(next(m for m in plot_calibration(scores).lines if m.get_marker() == "o").get_xdata()) == 0


@pytest.mark.parametrize("draw", [plot_histograms, plot_calibration])
def test_bad_input_is_refused(draw):
    unlabeled = Scores(["m"] * 2, list("ab"), [0.0, 1.0], [-1, 1])
    with pytest.raises(InvalidInput, match="target must be 1 or 0 in every trial"):
        draw(unlabeled)
    with pytest.raises(InvalidInput, match="bins must be at least 2; got 1"):
        draw(matrix(), bins=1)


@pytest.mark.parametrize("draw", [plot_histograms, plot_calibration])
def test_given_axes_are_used(draw):
    ax = plt.subplots()[1]
    assert draw(matrix(), ax=ax) is ax

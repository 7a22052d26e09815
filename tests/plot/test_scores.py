"""What pictures of scores show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores, llr_bounds
from speechgmm.plot import plot_calibration, plot_det, plot_histograms, plot_scores, plot_tippett
from tests.plot.scores import matrix


def labels(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def calibrated(n=20_000, factor=1.0, shift=0.0):
    """LLRs of Gaussians at +-2 with variance 4, and a strange version of them."""
    rng = np.random.default_rng(0)
    target = np.arange(n) % 2
    llr = rng.normal(4.0 * target - 2.0, 2.0)
    return Scores(["m"] * n, [f"t{i}" for i in range(n)], factor * llr + shift, target)


@pytest.mark.parametrize("draw", [plot_calibration, plot_det, plot_histograms, plot_scores, plot_tippett])
def test_attacks_are_in_no_picture(draw):
    plain = matrix()
    names, n = [f"attack {i}" for i in range(30)], len(plain)
    held = [*plain.speaker, *plain.speaker[:30]], [*plain.test, *names], [*plain.score, *[9.0] * 30]
    mixed = Scores(*held, [*plain.target, *[1] * 30], attack=[*[""] * n, *["replayed"] * 30])

    def drawn(scores):
        ax = draw(scores)
        points = [found.get_offsets().tolist() for found in ax.collections]
        values = [found.get_data().values.tolist() for found in ax.patches if hasattr(found, "get_data")]
        return [line.get_xydata().tolist() for line in ax.lines], points, values

    np.testing.assert_equal(drawn(mixed), drawn(plain))


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
    plot_tippett(scores).figure.canvas.draw()


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


@pytest.mark.parametrize("draw", [plot_histograms, plot_calibration, plot_tippett])
def test_bad_input_is_refused(draw):
    unlabeled = Scores(["m"] * 2, list("ab"), [0.0, 1.0], [-1, 1])
    with pytest.raises(InvalidInput, match="target must be 1 or 0 in every trial"):
        draw(unlabeled)
    if draw is not plot_tippett:
        with pytest.raises(InvalidInput, match="bins must be at least 2; got 1"):
            draw(matrix(), bins=1)


def curve(ax, name):
    """The share of a kind at any LLR that lies between two steps of a drawn curve."""
    line = next(found for found in ax.lines if found.get_label().startswith(name))
    assert line.get_drawstyle() == "steps-post"
    x, y = map(np.asarray, line.get_data())
    assert (np.diff(x) >= 0).all()
    return lambda llr: y[np.searchsorted(x, llr, side="right") - 1]


@pytest.mark.parametrize("seed", range(4))
def test_tippett_curves_are_the_errors_at_each_threshold(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(-9, 9, 40) / 2 + 1.0, rng.integers(-9, 9, 90) / 2 - 1.0  # many equal scores
    every = np.concatenate(kinds)
    scores = Scores(["m"] * 130, [f"t{i}" for i in range(130)], every, [1] * 40 + [0] * 90)
    ax = plot_tippett(scores)
    missed, accepted = curve(ax, "targets below"), curve(ax, "impostors at or above")
    for llr in np.arange(-8, 8) / 2 + 0.25:
        assert missed(llr) == pytest.approx(100 * sum(x < llr for x in kinds[0]) / 40)
        assert accepted(llr) == pytest.approx(100 * sum(x >= llr for x in kinds[1]) / 90)
    assert labels(ax) == ["targets below", "impostors at or above"]


def test_tippett_curves_of_many_scores_have_few_steps_and_are_the_same_to_half_a_percent():
    scores = calibrated()
    ax = plot_tippett(scores)
    assert max(len(line.get_xdata()) for line in ax.lines) < 600
    missed = curve(ax, "targets below")
    for llr in np.linspace(-3, 6, 37):
        assert missed(llr) == pytest.approx(100 * np.mean(scores.score[scores.target == 1] < llr), abs=0.5)


def test_what_the_data_do_not_support_is_shaded():
    scores = calibrated()
    bounds = llr_bounds(*(scores.score[scores.target == label] for label in (1, 0)))
    ax = plot_tippett(scores, bounds=bounds)
    left, right = (patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches)
    assert (left.x0, right.x1) == pytest.approx(ax.get_xlim())
    assert (left.x1, right.x0) == pytest.approx((bounds.low, bounds.high))
    assert labels(ax) == ["targets below", "impostors at or above", "not supported by the data"]


def test_a_tippett_plot_needs_both_kinds():
    with pytest.raises(InvalidInput, match="nontarget_scores must hold at least one score; got none"):
        plot_tippett(Scores(["m"], ["a"], [0.0], [1]))


@pytest.mark.parametrize("draw", [plot_histograms, plot_calibration, plot_tippett])
def test_given_axes_are_used(draw):
    ax = plt.subplots()[1]
    assert draw(matrix(), ax=ax) is ax

"""What DET curves, pictures of error by duration and confusion matrices show."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import ndtr

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import (
    Application,
    ConfusionMatrix,
    DurationBin,
    Interval,
    Scores,
    confusion_matrix,
    det_points,
    eer,
    roc_hull,
)
from speechgmm.plot import plot_confusion, plot_det, plot_durations
from tests.plot.scores import matrix


def split(scores):
    return scores.score[scores.target == 1], scores.score[scores.target == 0]


def line(ax, label):
    return next(found for found in ax.lines if str(found.get_label()).startswith(label))


def test_the_curve_is_the_staircase_on_normal_deviates():
    scores = matrix()
    ax = plot_det(scores)
    points = det_points(*split(scores))
    ends = 0.5 / (scores.target == 0).sum(), 0.5 / (scores.target == 1).sum()
    x, y = line(ax, "EER").get_data()
    np.testing.assert_allclose(ndtr(x), np.clip(points.p_fa, ends[0], 1 - ends[0]), atol=1e-12)
    np.testing.assert_allclose(ndtr(y), np.clip(points.p_miss, ends[1], 1 - ends[1]), atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("false alarms (%)", "misses (%)")
    assert ax.get_aspect() == 1


def test_equal_error_and_least_cost_are_marked():
    scores, application = matrix(), Application(0.2, 5.0, 1.0)
    ax = plot_det(scores, application=application)
    circle, square = (next(m for m in ax.lines if m.get_marker() == kind and len(m.get_xdata())) for kind in "os")
    assert ndtr(circle.get_xdata()[0]) == pytest.approx(eer(*split(scores)))
    assert ndtr(circle.get_ydata()[0]) == pytest.approx(eer(*split(scores)))
    hull = roc_hull(*split(scores))
    cost = 0.2 * 5 * ndtr(square.get_ydata()[0]) + 0.8 * ndtr(square.get_xdata()[0])
    assert cost == pytest.approx((0.2 * 5 * hull.p_miss + 0.8 * hull.p_fa).min(), abs=1e-3)
    assert "least cost (prior 0.2, costs 5 and 1)" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_several_systems_differ_in_color_and_in_line():
    systems = {f"system {i}": matrix(seed=i) for i in range(6)}
    ax = plot_det(systems)
    lines = [line(ax, name) for name in systems]
    assert len({found.get_color() for found in lines}) == 6
    assert len({str(found._dash_pattern) for found in lines}) == 6
    assert all(": EER" in found.get_label() for found in lines)


def test_ticks_are_round_rates_and_lie_within_the_limits():
    for scores in (matrix(), matrix(enrolled=3, tests=2)):
        ax = plot_det(scores)
        for ticks, labels, limits in (
            (ax.get_xticks(), ax.get_xticklabels(), ax.get_xlim()),
            (ax.get_yticks(), ax.get_yticklabels(), ax.get_ylim()),
        ):
            assert len(ticks) >= 3
            assert [float(t.get_text()) for t in labels] == pytest.approx(100 * ndtr(ticks))
            assert all(limits[0] <= t <= limits[1] + 1e-9 for t in ticks)


def test_of_very_many_corners_some_hundred_are_drawn():
    rng = np.random.default_rng(0)
    n = 5000
    scores = Scores(["m"] * 2 * n, [f"t{i}" for i in range(2 * n)], rng.normal(size=2 * n), [0, 1] * n)
    x, y = line(plot_det(scores), "EER").get_data()
    assert 100 < len(x) <= 400
    assert (np.diff(x) <= 0).all()
    assert (np.diff(y) >= 0).all()


@pytest.mark.parametrize(
    ("score", "target"),
    [([1.0, 0.0], [1, 0]), ([0.0, 1.0], [1, 0]), ([1.0, 1.0], [1, 0]), ([5.0, 1.0, 1.0], [1, 0, 0])],
)
def test_degenerate_scores_are_drawn(score, target):
    ax = plot_det(Scores(["m"] * len(score), list("abc")[: len(score)], score, target))
    ax.figure.canvas.draw()


def test_no_system_is_refused():
    with pytest.raises(InvalidInput, match="systems must be at least one; got none"):
        plot_det({})


BINS = (
    DurationBin(1.0, 2.5, 10, 10, 90, 0.2, 0.3, 0.1, Interval(0.2, 0.1, 0.35, 0.95)),
    DurationBin(2.6, 14.0, 11, 11, 99, 0.1, 0.05, 0.12, None),
)


def test_durations_show_rates_intervals_and_lengths():
    ax = plot_durations(BINS)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1.0 to 2.5\n10 tests", "2.6 to 14\n11 tests"]
    np.testing.assert_allclose(line(ax, "misses").get_ydata(), [30, 5])
    np.testing.assert_allclose(line(ax, "false alarms").get_ydata(), [10, 12])
    bars = ax.containers[0]
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [20, 10])
    np.testing.assert_allclose(bars.lines[2][0].get_segments()[0][:, 1], [10, 35])
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] >= 35


def test_durations_without_bins_are_refused():
    with pytest.raises(InvalidInput, match="bins must be at least one; got none"):
        plot_durations(())


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


@pytest.mark.parametrize(("n", "numbers", "names"), [(15, 15, 15), (16, 0, 16), (60, 0, 60), (61, 0, 31), (100, 0, 50)])
def test_with_many_labels_numbers_and_then_some_names_are_left_out(n, numbers, names):
    ax = plot_confusion(many(n))
    assert (len(ax.texts), len(ax.get_xticks())) == (numbers, names)
    ax.figure.canvas.draw()
    for axis in (ax.xaxis, ax.yaxis):
        boxes = [t.get_window_extent() for t in axis.get_ticklabels()]
        assert all(t.get_fontsize() >= 7 for t in axis.get_ticklabels())
        places = sorted((b.x0, b.x1) if axis is ax.xaxis else (b.y0, b.y1) for b in boxes)
        assert all(a[1] <= b[0] + 1 for a, b in itertools.pairwise(places))


LONG = tuple(f"the word number {i:02} as it was said in {'the recording ' * 14}" for i in range(12))
SCRIPTS = ("你好世界", "こんにちは", "안녕하세요", "a\u202eb", "plain", "$x_1$", "línea\nnueva")


@pytest.mark.parametrize("names", [LONG[:2], LONG, SCRIPTS])
def test_names_of_any_length_and_script_lie_within_the_picture(names, tmp_path):
    ax = plot_confusion(ConfusionMatrix(names, np.eye(len(names), dtype=int)))
    ax.figure.savefig(tmp_path / "c.png")  # warnings are errors
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert len(set(labels)) == len(names)
    page = ax.figure.bbox
    for text in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    assert ax.get_window_extent().width > page.width / 3


def test_the_legend_covers_nothing_and_everything_is_within_the_picture():
    systems = {f"{'a long name of a system ' * 8}{i}": matrix(seed=i) for i in range(6)}
    durations = (*BINS, DurationBin(15.0, 20.0, 9, 9, 80, 0.0, 0.0, 0.0, Interval(0.0, 0.0, 0.0, 0.95)))
    for ax in (plot_det(matrix()), plot_det(systems), plot_durations(durations)):
        ax.figure.canvas.draw()
        legend, inside, page = ax.get_legend().get_window_extent(), ax.get_window_extent(), ax.figure.bbox
        assert legend.y1 < ax.xaxis.label.get_window_extent().y0
        assert page.y0 <= legend.y0
        assert page.x0 <= legend.x0 < legend.x1 <= page.x1
        assert inside.height > page.height / 3


def test_marks_lie_within_the_axes_or_are_said_to_lie_beyond():
    for seed in range(3):
        scores = matrix(seed=seed)
        perfect = Scores(scores.speaker, scores.test, scores.score + 50.0 * scores.target, scores.target)
        for ax in (plot_det(scores, application=Application(0.3)), plot_det(perfect)):
            marks = [m for m in ax.lines if m.get_marker() in ("o", "s") and len(m.get_xdata())]
            assert len(marks) == 2
            for m in marks:
                assert ax.get_xlim()[0] < m.get_xdata()[0] < ax.get_xlim()[1]
                assert ax.get_ylim()[0] < m.get_ydata()[0] < ax.get_ylim()[1]
    backward = plot_det(Scores(scores.speaker, scores.test, -scores.score, scores.target))
    circle = next(m for m in backward.lines if m.get_marker() == "o" and len(m.get_xdata()))
    assert ndtr(circle.get_xdata()[0]) == pytest.approx(0.5)
    assert "least cost (prior 0.01, costs 1 and 1): beyond these axes" in [
        t.get_text() for t in backward.get_legend().get_texts()
    ]


def test_an_error_of_zero_is_marked_whole():
    ax = plot_durations((*BINS, DurationBin(15.0, 20.0, 9, 9, 80, 0.0, 0.0, 0.0, None)))
    assert all(not found.get_clip_on() for found in ax.lines if len(found.get_xdata()) == 3)


def test_text_is_light_on_dark():
    with plt.style.context("dark_background"):
        ax = plot_confusion(confusion_matrix(["a", "a", "a"], ["a", "a", "b"]))
    assert {t.get_color() for t in ax.texts} == {"white"}


def test_given_axes_are_used():
    for draw, what in ((plot_det, matrix()), (plot_durations, BINS), (plot_confusion, many(2))):
        ax = plt.subplots()[1]
        assert draw(what, ax=ax) is ax

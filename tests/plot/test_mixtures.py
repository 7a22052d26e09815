"""Pictures of mixtures, choices and tracks show the numbers that they are given, each in the color of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full, Spherical, Tied, choose
from speechgmm.plot import plot_adaptation, plot_choice, plot_mixture, plot_tracks
from speechgmm.plot.axes import COLORS
from speechgmm.tracking import track

PAIR = GMM([0.5, 0.5], [[0.0, 9.0, 1.0], [5.0, 9.0, -1.0]], Diagonal([[4.0, 9.0, 1.0], [1.0, 9.0, 0.25]]))


def test_ellipses_have_the_axes_of_the_covariances() -> None:
    ax = plot_mixture(PAIR, features=(0, 2), deviations=[2.0])
    outlines = [p for p in ax.patches if not p.get_fill()]
    assert [tuple(p.center) for p in outlines] == [(0.0, 1.0), (5.0, -1.0)]
    for patch, (right, up) in zip(outlines, [(2.0, 1.0), (1.0, 0.5)], strict=True):
        corners = patch.get_patch_transform().transform([[1, 0], [-1, 0], [0, 1], [0, -1]]) - patch.center
        np.testing.assert_allclose(np.abs(corners).max(axis=0), [2 * right, 2 * up], atol=1e-9)


@pytest.mark.parametrize("kind", [Diagonal, Spherical, Tied, Full])
def test_every_kind_of_covariance_is_drawn(kind: type) -> None:
    gmm = GMM(PAIR.weights, PAIR.means, kind.of(np.full((2, 3), 4.0)))
    ax = plot_mixture(gmm, deviations=[1.5])
    assert [(round(p.width, 9), round(p.height, 9)) for p in ax.patches] == [(6.0, 6.0)] * 4


def test_an_ellipse_leans_as_its_features_correlate() -> None:
    gmm = GMM([1.0], [[0.0, 0.0]], Full([[[2.0, 1.0], [1.0, 2.0]]]))
    outline = plot_mixture(gmm, deviations=[1.0]).patches[1]
    assert outline.angle % 180 == pytest.approx(45)
    assert (outline.width, outline.height) == pytest.approx((2 * 3**0.5, 2.0))


def test_points_and_components_wear_the_color_of_their_number() -> None:
    ax = plot_mixture(PAIR, PAIR.means, identities=[4, 1])
    assert [to_hex(c.get_facecolor()[0]) for c in ax.collections] == [COLORS[1], COLORS[4]]
    assert to_hex(ax.patches[1].get_edgecolor()) == COLORS[4]
    other = plot_mixture(None, PAIR.means, labels=[0, 2], names=["oak", "elm", "yew"])
    assert [t.get_text() for t in other.get_legend().get_texts()] == ["oak", "yew"]
    assert not other.patches
    assert len(plot_mixture(None, PAIR.means).collections) == 1


def test_twenty_four_components_have_colors_of_their_own() -> None:
    assert len(set(COLORS)) == 24
    many = GMM(np.full(25, 1 / 25), np.arange(50.0).reshape(25, 2), Spherical(np.ones(25)))
    edges = [to_hex(p.get_edgecolor()) for p in plot_mixture(many, deviations=[1.0]).patches if not p.get_fill()]
    assert edges == [*COLORS, COLORS[0]]


def test_a_legend_of_names_covers_no_point(tmp_path) -> None:
    x = np.random.default_rng(0).uniform(size=(300, 2))
    ax = plot_mixture(None, x, labels=np.arange(300) % 3, names=["oak", "elm", "yew"])
    ax.set(xlabel="length", ylabel="width")
    ax.figure.savefig(tmp_path / "m.png")
    assert ax.get_legend().get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0


def test_adaptation_is_drawn_as_arrows_from_the_background() -> None:
    moved = replace(PAIR, means=PAIR.means + np.array([1.0, 0.0, 2.0]))
    ax = plot_adaptation(PAIR, moved, PAIR.means, features=(0, 2))
    several = (Ensemble((one, one), (0, 1)) for one in (PAIR, moved))
    again = plot_adaptation(*several, np.hstack([PAIR.means] * 2), features=(0, 2))
    for a, b in zip(ax.lines, again.lines, strict=True):
        np.testing.assert_array_equal(a.get_xydata(), b.get_xydata())
    arrows = ax.collections[0]
    np.testing.assert_allclose(arrows.get_offsets(), PAIR.means[:, [0, 2]])
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), np.tile([1.0, 2.0], (2, 1)))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "frames",
        "the background's means",
        "where they moved",
    ]
    assert [(p.width, p.height) for p in ax.patches] == [(4.0, 2.0), (2.0, 1.0)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 0", "feature 2")
    with pytest.raises(InvalidInput, match=r"the adapted mixture must have means of shape \(2, 3\), as the UBM has"):
        plot_adaptation(PAIR, GMM([1.0], [[0.0, 0.0, 0.0]], Spherical([1.0])))
    with pytest.raises(InvalidInput, match="each of features must be at least 0 and at most 2; got 3"):
        plot_adaptation(PAIR, moved, features=(0, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gmm": None}, "a mixture or points to draw; got neither"),
        ({"gmm": PAIR, "features": (0, 3)}, "each of features must be at least 0 and at most 2; got 3"),
        ({"gmm": PAIR, "x": [[1.0, 2.0]]}, "points must have 3 features per frame"),
        ({"gmm": PAIR, "identities": [1]}, "identities must be 2 whole numbers"),
        ({"gmm": PAIR, "x": PAIR.means, "labels": [0.5, 1.0]}, "labels must be 2 whole numbers of at least 0"),
        ({"gmm": PAIR, "deviations": [0.0]}, "each of deviations must be above 0"),
    ],
)
def test_refusals(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plot_mixture(**arguments)


def test_lines_are_the_criterion_and_the_ring_is_around_the_best() -> None:
    x = np.random.default_rng(0).normal([[0.0], [10.0]], 1.0, size=(2, 60)).reshape(-1, 1)
    choice = choose(x, [3, 1, 2], covariances=["full", "tied"], folds=3, starts=1)
    ax = plot_choice(choice)
    lines = ax.get_lines()[:2]
    for line, kind in zip(lines, ("full", "tied"), strict=True):
        assert line.get_xdata().tolist() == [1, 2, 3]
        expected = [c.bic for k in (1, 2, 3) for c in choice.candidates if (c.covariance, c.n_components) == (kind, k)]
        assert line.get_ydata().tolist() == expected
    ring = ax.collections[-1].get_offsets()
    assert ring.tolist() == [[choice.best.n_components, choice.best.bic]]
    assert ax.get_ylabel() == "BIC"
    assert str(choice.best.n_components) in ax.get_title()
    other = plot_choice(choice, criterion="cross_validated", ax=ax)
    assert other is ax
    assert "held-out" in ax.get_ylabel()


def test_a_criterion_that_was_not_measured_is_refused() -> None:
    choice = choose(np.arange(9.0)[:, None], [1], covariances=["diag"])
    with pytest.raises(InvalidInput, match=r"the criterion must have been measured"):
        plot_choice(choice, criterion="cross_validated")


def test_paths_have_the_places_and_the_colors_of_their_identities() -> None:
    cloud = np.random.default_rng(0).normal(size=(40, 2))
    frames = [
        np.concatenate([c for c in (cloud + t, cloud - 30 - t) if t not in (6, 7) or c[0, 0] > 0]) for t in range(12)
    ]
    tracked = list(track(Diagonal([[1.0, 1.0]]), frames))
    ax = plot_tracks(tracked)
    lines = ax.get_lines()
    assert len(lines) == 4
    assert [to_hex(line.get_color()) for line in lines] == [COLORS[0], COLORS[0], COLORS[1], COLORS[1]]
    for i in (0, 1):
        dotted, solid = (np.array(line.get_data()).T for line in lines[2 * i : 2 * i + 2])
        assert dotted[-1].tolist() == tracked[-1].mixture.means[i].tolist()
        assert len(dotted) == 11
        hidden = np.array([not t.visible[i] for t in tracked[1:]])
        assert np.isnan(solid[:, 0]).tolist() == hidden.tolist()
    assert np.isnan(np.array(lines[1].get_data() + lines[3].get_data(), dtype=float)).any()
    assert [t.get_text() for t in ax.texts] == ["0", "1"]
    assert not plot_tracks(tracked, labels=False).texts


@pytest.mark.parametrize("tracked", [[], [1, 2]])
def test_what_is_not_tracked_is_refused(tracked: list) -> None:
    with pytest.raises(InvalidInput, match=r"tracked must be a list of what track yields, not empty; got list"):
        plot_tracks(tracked)

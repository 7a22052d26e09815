"""Pictures of mixtures: the ellipses are those of the covariances, the points wear their labels' colors."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Full, Spherical, Tied
from speechgmm.plot import plot_mixture
from speechgmm.plot.mixtures import COLORS

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

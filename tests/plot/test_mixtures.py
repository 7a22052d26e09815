"""Pictures of mixtures: the ellipses are those of the covariances, the points wear their labels' colors."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal
from speechgmm.plot import plot_mixture
from speechgmm.plot.mixtures import COLORS

matplotlib.use("Agg")

PAIR = GMM([0.5, 0.5], [[0.0, 9.0, 1.0], [5.0, 9.0, -1.0]], Diagonal([[4.0, 9.0, 1.0], [1.0, 9.0, 0.25]]))


def test_ellipses_have_the_axes_of_the_covariances() -> None:
    ax = plot_mixture(PAIR, features=(0, 2), deviations=[2.0])
    outlines = [p for p in ax.patches if not p.get_fill()]
    assert [tuple(p.center) for p in outlines] == [(0.0, 1.0), (5.0, -1.0)]
    for patch, (right, up) in zip(outlines, [(2.0, 1.0), (1.0, 0.5)], strict=True):
        corners = patch.get_patch_transform().transform([[1, 0], [-1, 0], [0, 1], [0, -1]]) - patch.center
        np.testing.assert_allclose(np.abs(corners).max(axis=0), [2 * right, 2 * up], atol=1e-9)


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

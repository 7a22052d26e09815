"""Pictures of choices and of tracks show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from speechgmm.errors import InvalidInput
from speechgmm.mixture import Diagonal, choose
from speechgmm.plot import plot_choice, plot_tracks
from speechgmm.plot.mixtures import COLORS
from speechgmm.tracking import track


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

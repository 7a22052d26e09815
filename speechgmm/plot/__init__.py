"""Pictures: each function takes ``ax=None`` and returns the axes, so that they can be combined.

matplotlib comes with the extra: ``python -m pip install 'speechgmm[plot]'``.
"""

from speechgmm.plot.choice import plot_choice
from speechgmm.plot.features import plot_features
from speechgmm.plot.mixtures import plot_mixture
from speechgmm.plot.scores import plot_scores
from speechgmm.plot.tracks import plot_tracks

__all__ = ["plot_choice", "plot_features", "plot_mixture", "plot_scores", "plot_tracks"]

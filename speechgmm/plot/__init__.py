"""Pictures: each function takes ``ax=None`` and returns the axes, so that they can be combined.

matplotlib comes with the extra: ``python -m pip install 'speechgmm[plot]'``.
"""

from speechgmm.plot.features import plot_features
from speechgmm.plot.mixtures import plot_mixture
from speechgmm.plot.scores import plot_scores

__all__ = ["plot_features", "plot_mixture", "plot_scores"]

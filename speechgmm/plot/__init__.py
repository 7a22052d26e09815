"""Pictures: each function takes ``ax=None`` and returns the axes, so that they can be combined.

matplotlib comes with the extra: ``python -m pip install 'speechgmm[plot]'``.
"""

from speechgmm.plot.confusion import plot_confusion
from speechgmm.plot.features import plot_features
from speechgmm.plot.scores import plot_scores

__all__ = ["plot_confusion", "plot_features", "plot_scores"]

"""Pictures: each function takes ``ax=None`` and returns the axes, so that they can be combined.

matplotlib comes with the extra: ``python -m pip install 'speechgmm[plot]'``.
"""

from speechgmm.plot.axes import check_picture, write_picture
from speechgmm.plot.errors import plot_confusion, plot_det, plot_durations
from speechgmm.plot.features import plot_features
from speechgmm.plot.mixtures import plot_adaptation, plot_choice, plot_mixture, plot_tracks
from speechgmm.plot.scores import plot_calibration, plot_histograms, plot_scores, plot_tippett

__all__ = [
    "check_picture",
    "plot_adaptation",
    "plot_calibration",
    "plot_choice",
    "plot_confusion",
    "plot_det",
    "plot_durations",
    "plot_features",
    "plot_histograms",
    "plot_mixture",
    "plot_scores",
    "plot_tippett",
    "plot_tracks",
    "write_picture",
]

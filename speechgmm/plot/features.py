"""Pictures of features. Symbols: N frames, D dimensions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import matrix
from speechgmm.plot.axes import axes


def plot_features(x: ArrayLike, *, hop_length: float = 0.010, title: str = "", ax: Any = None) -> Any:
    """Show features (N, D) as an image: frames to the right, dimensions upward.

    Parameters
    ----------
    x : array_like, shape (N, D)
    hop_length : float
        Seconds from frame to frame.
    title : str
    ax : matplotlib.axes.Axes, optional
        Default: a new figure's.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ax = plot_features(np.random.default_rng(0).normal(size=(100, 13)), title="Noise")
    >>> ax.get_title(), ax.images[0].get_array().shape
    ('Noise', (13, 100))
    >>> plt.close("all")
    """
    frames = matrix(x)
    ax = axes(ax)
    limit = float(np.percentile(np.abs(frames), 99)) or 1.0
    extent = (0.0, len(frames) * hop_length, -0.5, frames.shape[1] - 0.5)
    image = ax.imshow(
        frames.T, origin="lower", aspect="auto", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit,
        interpolation="nearest",
    )  # fmt: skip
    ax.figure.colorbar(image, ax=ax, label="value", pad=0.02)
    ax.set(xlabel="speech (s)", ylabel="dimension", title=title)
    return ax

"""The sufficient statistics of a Gaussian mixture: values that can be added and scaled.

Everything in this package is that algebra: EM sums the statistics of blocks, MAP adaptation adds a multiple of a
model's own imagined statistics, enrollment adds sessions. Symbols: N frames, K components, D dimensions.
"""

from dataclasses import dataclass, fields

import numpy as np

from speechgmm.checks import Array, number, refuse
from speechgmm.errors import IncompatibleModel


@dataclass(frozen=True, eq=False)
class Statistics:
    """Zeroth, first and second moments of frames under a mixture, taken about the mixture's origin.

    Moments about an origin near the data cost no precision where the features carry a large offset.

    Parameters
    ----------
    origin : ndarray, shape (D,)
        The point about which moments are taken: the model's own, fixed at initialization and saved with it.
    counts : ndarray, shape (K,)
        Sum over frames of the posterior of each component.
    first : ndarray, shape (K, D)
        Sum over frames of posterior * (x - origin).
    second : ndarray
        Sum over frames of posterior * (x - origin)**2, shape (K, D), for diagonal and spherical covariances; of
        posterior * (x - origin)(x - origin)', shape (K, D, D), for full ones; of all components together, shape
        (1, D, D), for tied ones.
    log_likelihood : float
        Sum over frames of the log density, in nats.
    frames : float
        How many frames were counted (after scaling, not a whole number).

    Examples
    --------
    >>> import numpy as np
    >>> s = Statistics(np.zeros(1), np.ones(2), np.ones((2, 1)), np.ones((2, 1)), -3.0, 2.0)
    >>> (s + 0.5 * s).counts
    array([1.5, 1.5])
    """

    origin: Array
    counts: Array
    first: Array
    second: Array
    log_likelihood: float
    frames: float

    def __post_init__(self) -> None:
        """Hold arrays as read-only float64."""
        for name in ("origin", "counts", "first", "second"):
            a = np.array(getattr(self, name), dtype=np.float64, order="C")
            a.setflags(write=False)
            object.__setattr__(self, name, a)
        k, d = self.counts.size, self.origin.size
        if self.first.shape != (k, d):
            refuse("the first moments", f"have shape ({k}, {d}), as counts and origin say", self.first.shape)

    def __add__(self, other: "Statistics") -> "Statistics":
        """Return the statistics of both sets of frames."""
        if not isinstance(other, Statistics):
            return NotImplemented
        what = "statistics that are added"
        if self.second.shape != other.second.shape:
            found = f"{self.second.shape} and {other.second.shape}"
            refuse(what, "be of mixtures of one shape", found, error=IncompatibleModel)
        if not np.array_equal(self.origin, other.origin):
            rule, advice = "be taken about the same origin", "Take both against the same model."
            refuse(what, rule, "two different ones", advice, error=IncompatibleModel)
        moments = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)[1:]}
        return Statistics(self.origin, **moments)

    def __mul__(self, scale: float) -> "Statistics":
        """Return the statistics of the same frames, each counted `scale` times (at least 0)."""
        if not isinstance(scale, (int, float, np.integer, np.floating)):
            return NotImplemented
        scale = number(scale, "the scale of statistics", minimum=0.0, maximum=float(np.finfo(float).max))
        return Statistics(self.origin, **{f.name: getattr(self, f.name) * scale for f in fields(self)[1:]})

    __rmul__ = __mul__

    @property
    def mean_log_likelihood(self) -> float:
        """The log density per frame, in nats; NaN where nothing was counted."""
        return self.log_likelihood / self.frames if self.frames > 0 else float("nan")

    @property
    def variance(self) -> Array:
        """The variance (D,) of all counted frames together, about their common mean."""
        total = self.counts.sum()
        if total <= 0:
            return np.zeros(self.origin.size)
        mean = self.first.sum(axis=0) / total
        square = self.second.sum(axis=0)
        return np.asarray(np.maximum((np.diagonal(square) if square.ndim == 2 else square) / total - mean**2, 0.0))

"""The sufficient statistics of a Gaussian mixture: values that can be added and scaled.

Everything in this package is that algebra: EM sums the statistics of blocks, MAP adaptation adds a multiple of a
model's own imagined statistics, enrollment adds sessions. Symbols: N frames, K components, D dimensions.
"""

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from speechgmm.checks import Array, floats, hold, number, number_of, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.looks import Look, Shown


@dataclass(frozen=True, eq=False)
class Statistics(Shown):
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

    Raises
    ------
    InvalidInput
        If shapes disagree, a number is not finite, or a count is below 0.

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
        """Check everything, and hold arrays as read-only float64."""
        origin, counts = floats(self.origin, "the origin of statistics"), floats(self.counts, "counts")
        first, second = floats(self.first, "the first moments"), floats(self.second, "the second moments")
        if origin.ndim != 1 or counts.ndim != 1 or not origin.size or not counts.size:
            found = f"shapes {counts.shape} and {origin.shape}"
            refuse("counts and origin of statistics", "be vectors (components,) and (dimensions,)", found)
        k, d = counts.size, origin.size
        if first.shape != (k, d):
            refuse("the first moments", f"have shape ({k}, {d}), as counts and origin say", first.shape)
        if second.shape[1:] not in {(d,), (d, d)} or not len(second):
            refuse("the second moments", f"have shape (., {d}) or (., {d}, {d}), as the origin says", second.shape)
        if counts.min() < 0:
            refuse("counts", "be at least 0", f"{counts.min():g} of component {int(counts.argmin())}")
        likelihood = number(self.log_likelihood, "the log-likelihood", finite=True)
        frames = number(self.frames, "the number of frames", minimum=0.0, finite=True)
        hold(self, origin=origin, counts=counts, first=first, second=second, log_likelihood=likelihood, frames=frames)
        try:
            with np.errstate(over="raise", invalid="raise"):
                held = not math.isinf(self.mean_log_likelihood) and np.isfinite(self.variance).all()
        except FloatingPointError:
            held = False
        if not held:
            refuse("moments", "have means and variances that double precision can hold", "larger ones")

    @classmethod
    def computed(
        cls, origin: Array, counts: Array, first: Array, second: Array, log_likelihood: float, frames: float
    ) -> Self:
        """Return statistics of float64 arrays that were just computed: held as they are, without copies and checks.

        Training makes thousands of them; the constructor is the door for all that comes from outside.
        """
        made = object.__new__(cls)
        vars(made).update(zip(_FIELDS, (origin, counts, first, second, log_likelihood, frames), strict=True))
        for a in (origin, counts, first, second):
            a.setflags(write=False)
        return made

    def _look(self) -> Look:
        k, d = self.first.shape
        facts = {"frames": f"{self.frames:g}"}
        if self.frames > 0:
            facts["log-likelihood"] = f"{self.log_likelihood / self.frames:.4f} nats per frame"
        return Look((f"{self.frames:g} frames", number_of(k, "component"), number_of(d, "feature")), facts)

    def __add__(self, other: "Statistics") -> "Statistics":
        """Return the statistics of both sets of frames."""
        if not isinstance(other, Statistics):
            return NotImplemented
        self.check_same(other)
        return Statistics.computed(self.origin, *(getattr(self, name) + getattr(other, name) for name in _SUMS))

    def check_same(self, other: "Statistics") -> None:
        """Refuse statistics that were taken against another model: they cannot be added to these.

        Raises
        ------
        IncompatibleModel
        """
        what = "statistics that are added"
        if self.second.shape != other.second.shape or self.counts.shape != other.counts.shape:
            found = f"{self.second.shape} and {other.second.shape}"
            refuse(what, "be of mixtures of one shape", found, error=IncompatibleModel)
        if not np.array_equal(self.origin, other.origin):
            rule, advice = "be taken about the same origin", "Take both against the same model."
            refuse(what, rule, "two different ones", advice, error=IncompatibleModel)

    def __mul__(self, scale: float) -> "Statistics":
        """Return the statistics of the same frames, each counted `scale` times (at least 0)."""
        if not isinstance(scale, (int, float, np.integer, np.floating)):
            return NotImplemented
        scale = number(scale, "the scale of statistics", minimum=0.0, maximum=float(np.finfo(float).max))
        return Statistics.computed(self.origin, *(getattr(self, name) * scale for name in _SUMS))

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


_FIELDS = tuple(f.name for f in fields(Statistics))
_SUMS = _FIELDS[1:]
"""What is added and scaled: all but the origin."""

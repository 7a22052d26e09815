"""Several mixtures over the same frames as one model, whose log density is a weighted mean of theirs.

Each looks at one stream of features: at the same ones as the others with another number of components, or at other
ones. Their components stand one below the other, so that statistics, adaptation and stores see one mixture of all of
them. Symbols: N frames, P mixtures, K components of all together, S streams, D dimensions of a stream.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike

from speechgmm.checks import Array, enumerated, hold, instance, integer, matrix, number_of, refuse, sequence_of
from speechgmm.looks import Look, Shown, some_rows
from speechgmm.mixture.covariance import Diagonal, Independent
from speechgmm.mixture.model import GMM
from speechgmm.mixture.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Ensemble(Shown):
    """Mixtures whose log densities are averaged: a product of powers of their densities, not scaled to sum 1.

    Speakers are told apart by how it changes when means are adapted. Mixtures that differ err differently: coarse ones
    hold where speakers or texts are few, fine ones where there are many. Each weighs by the root of its components:
    fine ones hold fewer frames in each, adapt less, and their ratios spread less by about that.

    Parameters
    ----------
    parts : tuple of GMM
        P of them, of independent features, about one origin.
    streams : tuple of int, optional
        The stream that each looks at, counted from 0; default: there is one stream, which all look at. A frame holds
        the streams one after the other, D features each.

    Raises
    ------
    InvalidInput
        If the mixtures do not fit each other, or a stream is nobody's.

    Examples
    --------
    >>> import numpy as np
    >>> from speechgmm.mixture import GMM, Diagonal, Ensemble
    >>> one = GMM([1.0], [[0.0]], Diagonal(np.ones((1, 1))), np.zeros(1))
    >>> two = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal(np.ones((2, 1))), np.zeros(1))
    >>> both = Ensemble((one, two))
    >>> both.n_components, both.statistics([[3.0]]).counts.round(2).tolist()
    (3, [1.0, 0.0, 1.0])
    """

    KIND: ClassVar = "an ensemble of mixtures"
    PARTS: ClassVar = (GMM,)

    parts: tuple[GMM, ...]
    streams: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the mixtures fit each other."""
        sequence_of(self.parts, "the mixtures of an ensemble", GMM)
        if not self.parts:
            refuse("an ensemble", "hold at least one mixture", "none")
        streams: Sequence[int] = self.streams or (0,) * len(self.parts)
        sequence_of(streams, "the streams of an ensemble", int)
        numbers = tuple(integer(s, "a stream", minimum=0) for s in streams)
        if len(numbers) != len(self.parts) or sorted(set(numbers)) != list(range(len(set(numbers)))):
            refuse("the streams", f"be one for each of {len(self.parts)} mixtures, from 0 up without gaps", numbers)
        for part in self.parts:
            instance(part.covariance, "the covariance of a mixture in an ensemble", Independent)
            if not np.array_equal(part.origin, self.parts[0].origin):
                refuse("the mixtures of an ensemble", "be of as many features each, about one origin", "others")
        hold(self, parts=tuple(self.parts), streams=numbers)

    def _look(self) -> Look:
        sizes = enumerated([str(part.n_components) for part in self.parts])
        streams = number_of(len(set(self.streams)), "stream")
        words = f"{sizes} components", number_of(self.n_dimensions, "feature"), streams
        told = [(part.n_components, part.n_dimensions, s) for part, s in zip(self.parts, self.streams, strict=True)]
        rows = [(*row, f"{100 * share:.1f} %") for row, share in zip(told, self.shares, strict=True)]
        header = (">components", ">features", ">stream", ">share of the score")
        return Look(words, tables=(some_rows("the mixtures", header, rows),))

    @property
    def n_components(self) -> int:
        """K, of all mixtures together."""
        return sum(p.n_components for p in self.parts)

    @property
    def n_dimensions(self) -> int:
        """S D: the features of a frame."""
        return len(self.origin) * len(set(self.streams))

    @property
    def origin(self) -> Array:
        """The point (D,) about which statistics of each stream are taken."""
        return self.parts[0].origin

    @functools.cached_property
    def means(self) -> Array:
        """The means of all mixtures, one below the other, shape (K, D)."""
        return _read_only(np.concatenate([p.means for p in self.parts]))

    @functools.cached_property
    def offsets(self) -> Array:
        """The means relative to the origin, shape (K, D)."""
        return _read_only(np.concatenate([p.offsets for p in self.parts]))

    @property
    def moments_shape(self) -> tuple[int, ...]:
        """The shape of second moments under all mixtures, (K, D)."""
        return self.means.shape

    @functools.cached_property
    def covariance(self) -> Diagonal:
        """The variances of all mixtures, one below the other."""
        every = [cast(Independent, p.covariance).variances_of(*p.means.shape) for p in self.parts]
        return Diagonal(np.concatenate(every))

    @functools.cached_property
    def shares(self) -> Array:
        """What the log density of each mixture weighs, shape (P,), with sum 1."""
        roots = np.sqrt([p.n_components for p in self.parts])
        return _read_only(roots / roots.sum())

    def with_means(self, means: Array) -> "Ensemble":
        """Return the ensemble with other means (K, D)."""
        return replace(self, parts=tuple(p.with_means(m) for p, m in zip(self.parts, self.split(means), strict=True)))

    def split(self, rows: Array) -> list[Array]:
        """Return the rows (K, ...) of each mixture."""
        return np.split(rows, list(itertools.accumulate(p.n_components for p in self.parts))[:-1])

    def seen(self, x: Array) -> list[Array]:
        """Return what each mixture sees of frames (N, S D), shape (N, D)."""
        d = len(self.origin)
        return [np.ascontiguousarray(x[:, s * d : (s + 1) * d]) for s in self.streams]

    def statistics(self, x: ArrayLike) -> Statistics:
        """Return the sufficient statistics of the frames of `x` (N, S D) under each mixture, one below the other."""
        frames = matrix(x, dimensions=self.n_dimensions, minimum=0, tiny=True)
        return self._joined([p.statistics(y) for p, y in zip(self.parts, self.seen(frames), strict=True)])

    def log_density(self, x: ArrayLike) -> Array:
        """Return the weighted mean of the log densities of the mixtures, shape (N,), of frames `x` (N, S D), nats."""
        frames = matrix(x, dimensions=self.n_dimensions, minimum=0, tiny=True)
        every = [p.log_density(y) for p, y in zip(self.parts, self.seen(frames), strict=True)]
        return np.asarray(self.shares @ every)

    def imagined(self, counts: ArrayLike | None = None) -> Statistics:
        """Return the statistics of frames imagined in each component, one or `counts` (K,)."""
        n = np.ones(self.n_components) if counts is None else np.array(counts, dtype=np.float64)
        return self._joined([p.imagined(c) for p, c in zip(self.parts, self.split(n), strict=True)])

    def _joined(self, every: Sequence[Statistics]) -> Statistics:
        """Return the statistics of all mixtures, one below the other."""
        counts, first, second = (np.concatenate([getattr(s, n) for s in every]) for n in ("counts", "first", "second"))
        likelihood = float(self.shares @ [s.log_likelihood for s in every])
        return Statistics.computed(self.origin, counts, first, second, likelihood, every[0].frames)

    def check_reach(self, what: str) -> None:
        """Refuse mixtures whose densities float32 cannot hold; `what` names them."""
        for part in self.parts:
            part.check_reach(what)


UBM = GMM | Ensemble
"""What a background model is."""


def _read_only(x: Array) -> Array:
    x.setflags(write=False)
    return x

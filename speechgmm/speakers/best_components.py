"""Log densities of many models at once in which each frame counts its best components alone.

The background model says which those are (Reynolds, Quatieri and Dunn 2000, section 3.5). Symbols: N frames, K
components, D dimensions, S models.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array
from speechgmm.parallel import one_thread, threads, workers
from speechgmm.speakers.models import SpeakerModels, centered, quadratic_terms

_FRAMES = 512
_SPEAKERS = 512
"""Frames handled at once, and models that one thread takes at a time: their log-sums stay in the cache."""


def top_log_densities(models: SpeakerModels, x: Array, c: int, columns: Array, n_threads: int | None) -> Array:
    """Return log densities in which each frame (N, D) counts its c best components, summed over frames.

    They are of the models whose `Terms.columns` are given, and these may be others under the same mixture: the first is
    the background's, which says what is best.
    """
    quadratic, total = quadratic_terms(models.shared[0], columns.dtype), np.zeros(columns.shape[2])
    c = min(c, len(columns))
    groups = [columns[:, :, a : a + _SPEAKERS] for a in range(0, len(total), _SPEAKERS)]
    mapper = threads(workers(n_threads, len(groups)))
    for start in range(0, len(x), _FRAMES):
        y = centered(x[start : start + _FRAMES], models.ubm.origin, columns.dtype)
        chosen = _Chosen.of(y, columns, quadratic, c)
        total += np.concatenate(list(mapper(chosen.log_densities, groups)))
    return total


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The pairs of a frame and one of its best components, ordered by component.

    Parameters
    ----------
    y : ndarray, shape (N, D + 1)
        [y, 1] of each frame.
    frame : ndarray, shape (P,)
        Of each pair.
    square : ndarray, shape (P,)
        The part of the log density that all speakers share.
    parts : list of (component, first pair, last pair + 1)
    """

    y: Array
    frame: Array
    square: Array
    parts: list[tuple[int, int, int]]

    @classmethod
    @one_thread
    def of(cls, y: Array, columns: Array, quadratic: Array, c: int) -> "_Chosen":
        """Choose the c components that are likeliest under the UBM, which is the first of the columns."""
        square = (y[:, :-1] ** 2) @ quadratic
        ubm = y @ np.ascontiguousarray(columns[:, :, 0].T) + square
        best = np.argpartition(ubm, -c, axis=1)[:, -c:] if c < ubm.shape[1] else np.tile(np.arange(c), (len(y), 1))
        order = np.argsort(best, axis=None, kind="stable")
        component, frame = best.ravel()[order], np.repeat(np.arange(len(y)), c)[order]
        edges = np.flatnonzero(np.diff(component, prepend=-1, append=len(columns)))
        parts = [(int(component[a]), int(a), int(b)) for a, b in itertools.pairwise(edges)]
        return cls(y, frame, square[frame, component], parts)

    def log_densities(self, columns: Array) -> Array:
        """Return the log densities (S,) of the models in these columns (K, D + 1, S), summed over frames."""
        from speechgmm.mixture.compiled.loops import add_log_sums

        shape = len(self.y), columns.shape[2]
        top, total = np.full(shape, np.finfo(columns.dtype).min), np.zeros(shape, columns.dtype)
        joint = np.empty((max(b - a for _, a, b in self.parts), shape[1]), columns.dtype)
        for component, a, b in self.parts:
            np.matmul(self.y[self.frame[a:b]], columns[component], out=joint[: b - a])
            add_log_sums(joint[: b - a], self.square[a:b], self.frame[a:b], top, total)
        return np.asarray((top + np.log(total)).sum(axis=0, dtype=np.float64))

"""What is looked at first of each of very many speakers: an outline, which takes a quarter of the room of a model.

The ratio of a test is the sum over frames of log(sum_k p_tk exp(e_tk)), with p the posteriors under the background
model and e_tk = z_tk . d_k - |d_k|**2 / 2, where d_k are a speaker's means relative to the background's and z_tk the
frame, both in deviations. To the second order in d, with the squares of z at their mean of 1, that is

    sum_k f_k . d_k - c_k |d_k|**2 / 2,    f_k = sum_t p_tk z_tk,    c_k = sum_t p_tk**2,

where the covariance between components is left out. An outline holds |d_k|**2 for each component, and d_k in whole
steps, 127 of which are the largest of it: their rounding is noise over thousands of numbers, which the sum averages
out. Symbols: N frames, K components, D dimensions, S speakers, R tests.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speechgmm.checks import Array, instance
from speechgmm.looks import Shown
from speechgmm.mixture import GMM, UBM, Ensemble
from speechgmm.mixture.compiled.e_step import narrow
from speechgmm.mixture.covariance import Independent
from speechgmm.parallel import one_thread

STEPS = 127
"""The largest number of eight bits."""


class OutlineRows(NamedTuple):
    """The outlines of S speakers: `steps` (S, K, D), int8, a step's `size` (S, K), and `squares` (S, K), float32."""

    steps: Array
    size: Array
    squares: Array


@dataclass(frozen=True, eq=False)
class MomentsOfTest:
    """What outlines are compared with: the moments of a test, per frame, weighted by the shares of the mixtures.

    Parameters
    ----------
    linear : ndarray, shape (K, D)
        f, in deviations.
    curvature : ndarray, shape (K,)
        c.
    """

    linear: Array
    curvature: Array


@dataclass(frozen=True, eq=False)
class Outlines(Shown):
    """How the outlines of speakers are taken, and compared with tests.

    Parameters
    ----------
    ubm : GMM or Ensemble
        The background model of their domain; its features are independent.
    """

    ubm: UBM

    def __post_init__(self) -> None:
        """Check the background model."""
        if not isinstance(self.ubm, Ensemble):
            instance(self.ubm, "the UBM of outlines", GMM)
        for part in self.ubm.parts:
            instance(part.covariance, "the covariance of a UBM whose speakers are indexed", Independent)

    @functools.cached_property
    def deviations(self) -> Array:
        """Of each component, (K, D)."""
        return np.broadcast_to(self.ubm.covariance.deviations(), self.ubm.means.shape).astype(np.float32)

    def of(self, offsets: Array) -> OutlineRows:
        """Return the outlines of speakers from their adapted means (S, K, D)."""
        away = (offsets - self.ubm.offsets).astype(np.float32) / self.deviations
        size = np.abs(away).max(axis=2) / np.float32(STEPS)
        steps = np.divide(away, size[:, :, None], out=np.zeros_like(away), where=size[:, :, None] > 0)
        return OutlineRows(np.rint(steps).astype(np.int8), size, np.einsum("skd,skd->sk", away, away))

    def are_narrow(self, offsets: Array) -> bool:
        """Say whether one of these speakers (S, K, D) has to be scored in float64."""
        precisions = 1.0 / self.deviations**2
        squares = np.einsum("skd,kd->sk", np.square(offsets, dtype=np.float32), precisions)
        return bool(narrow(squares, precisions.max(axis=1)).any())

    @one_thread
    def moments(self, blocks: Iterable[Array]) -> MomentsOfTest:
        """Return the moments of a test from blocks of its frames (n, S D)."""
        parts, frames = self.ubm.parts, 0
        every = [np.zeros((part.n_components, part.means.shape[1] + 1)) for part in parts]
        for x in blocks:
            frames += len(x)
            for part, y, total in zip(parts, self.ubm.seen(x), every, strict=True):
                p = part.posteriors(y)
                total[:, :-1] += p.T @ (y - part.origin) - p.sum(axis=0)[:, None] * part.offsets
                total[:, -1] += np.square(p).sum(axis=0)
        shares = np.repeat(self.ubm.shares, [part.n_components for part in parts])
        whole = np.concatenate(every) * shares[:, None] / frames
        return MomentsOfTest((whole[:, :-1] / self.deviations).astype(np.float32), whole[:, -1].astype(np.float32))

    def scores(self, rows: OutlineRows, tests: Iterable[MomentsOfTest]) -> Array:
        """Return the ratios (S, R) that outlines tell of tests, nats per frame, whoever else there is."""
        from speechgmm.mixture.compiled import loops

        found = []
        for test in tests:
            found.append(np.empty(len(rows.steps)))
            loops.compare(rows.steps, rows.size, rows.squares, test.linear, test.curvature, found[-1])
        return np.stack(found, axis=1)

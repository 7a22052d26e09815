"""What is looked at first of each of very many speakers: an outline of a few hundred numbers, beside their whole model.

The ratio of a test is the sum over frames of log(sum_k p_tk exp(e_tk)), with p the posteriors under the background
model and e_tk = z_tk . d_k - |d_k|**2 / 2, where d_k are a speaker's means relative to the background's and z_tk the
frame, both in deviations. To the second order in d, with the squares of z at their mean of 1, that is

    sum_k f_k . d_k - c_k |d_k|**2 / 2,    f_k = sum_t p_tk z_tk,    c_k = sum_t p_tk**2,

where the covariance between components is left out. An outline holds |d_k|**2 for each component, and the coordinates
of d in a basis: the principal components of a sample of speakers, each component weighted by the root of its weight, as
it counts in tests. Symbols: N frames, K components, D dimensions, S speakers, B vectors of the basis.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, floats, hold, instance, refuse
from speechgmm.looks import Shown
from speechgmm.mixture import GMM, UBM, Ensemble
from speechgmm.mixture.compiled.e_step import narrow
from speechgmm.mixture.covariance import Independent
from speechgmm.parallel import one_thread

BASIS = 256
"""Vectors of the basis, at most."""
_LEAST_VARIANCE = 1e-5
"""Directions in which speakers vary less than that, beside where they vary most or lie, are rounding."""
_LEAST_WEIGHT = 1e-12


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
    """How the outlines of speakers are taken.

    Parameters
    ----------
    ubm : GMM or Ensemble
        The background model of their domain; its features are independent.
    center : ndarray, shape (K, D)
        The mean of the sample, in deviations, weighted.
    basis : ndarray, shape (K D, B)
        Orthonormal.
    """

    ubm: UBM
    center: Array
    basis: Array

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if not isinstance(self.ubm, Ensemble):
            instance(self.ubm, "the UBM of outlines", GMM)
        for part in self.ubm.parts:
            instance(part.covariance, "the covariance of a UBM whose speakers are indexed", Independent)
        k, d = self.ubm.means.shape
        center = floats(self.center, "the center of outlines", shape=(k, d)).astype(np.float32)
        basis = floats(self.basis, "the basis of outlines").astype(np.float32)
        if basis.ndim != 2 or len(basis) != k * d:
            refuse("the basis of outlines", f"have {k * d} rows, as the UBM has means", f"shape {basis.shape}")
        hold(self, center=center, basis=basis)

    @classmethod
    @one_thread
    def learned(cls, ubm: UBM, sample: Array) -> "Outlines":
        """Return outlines whose basis is learned from the adapted means of some speakers (S, K, D)."""
        k, d = ubm.means.shape
        plain = cls(ubm, np.zeros((k, d)), np.zeros((k * d, 0)))
        x = (plain.away(sample) * plain.weight).reshape(len(sample), -1)
        center = x.mean(axis=0)
        x -= center
        variances, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
        variances, vectors = variances[::-1][:BASIS], vectors[:, ::-1][:, :BASIS]
        some = variances > _LEAST_VARIANCE * max(float(variances[0]), len(sample) * float(np.square(center).sum()))
        basis = x.T @ (vectors[:, some] / np.sqrt(variances[some]))
        return cls(ubm, center.reshape(k, d), basis)

    @property
    def size(self) -> int:
        """B + K: how many numbers an outline has."""
        return self.basis.shape[1] + len(self.center)

    @functools.cached_property
    def deviations(self) -> Array:
        """Of each component, (K, D)."""
        return np.broadcast_to(self.ubm.covariance.deviations(), self.ubm.means.shape).astype(np.float32)

    @functools.cached_property
    def shares(self) -> Array:
        """What each component's mixture weighs in a ratio, (K, 1)."""
        sizes = [part.n_components for part in self.ubm.parts]
        return np.repeat(self.ubm.shares, sizes)[:, None].astype(np.float32)

    @functools.cached_property
    def weight(self) -> Array:
        """How much each component counts in the basis, (K, 1)."""
        weights = np.concatenate([part.weights for part in self.ubm.parts])[:, None]
        return np.sqrt(self.shares * np.maximum(weights, _LEAST_WEIGHT)).astype(np.float32)

    def away(self, offsets: Array) -> Array:
        """Return how far adapted means (S, K, D) lie from the background's, in deviations, float32."""
        return np.asarray((offsets - self.ubm.offsets).astype(np.float32) / self.deviations)

    @one_thread
    def of(self, offsets: Array) -> Array:
        """Return the outlines (S, B + K) of speakers from their adapted means (S, K, D)."""
        away = self.away(offsets)
        squares = np.einsum("skd,skd->sk", away, away)
        away *= self.weight
        away -= self.center
        return np.concatenate([away.reshape(len(away), -1) @ self.basis, squares], axis=1)

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
        whole = np.concatenate(every) * self.shares / frames
        return MomentsOfTest((whole[:, :-1] / self.deviations).astype(np.float32), whole[:, -1].astype(np.float32))

    @one_thread
    def scores(self, outlines: Array, tests: list[MomentsOfTest]) -> Array:
        """Return the ratios (S, R) of R tests that outlines (S, B + K) tell, nats per frame."""
        linear = np.stack([(t.linear / self.weight).ravel() for t in tests], axis=1)
        curvature = np.stack([-0.5 * t.curvature for t in tests], axis=1)
        constant = self.center.ravel() @ linear
        found = outlines @ np.concatenate([self.basis.T @ linear, curvature])
        return np.asarray(found + constant, dtype=np.float64)

    @one_thread
    def refined(self, outlines: Array, offsets: Iterable[Array], tests: list[MomentsOfTest]) -> Array:
        """Return the same (S, R) with the means (K, D) of each speaker themselves in the place of the coordinates.

        One speaker after the other, so that nobody's score depends on who else is asked for.
        """
        linear = [t.linear / self.deviations for t in tests]
        constant = [float((self.ubm.offsets * g).sum()) for g in linear]
        found = [[np.vdot(o, g) - c for g, c in zip(linear, constant, strict=True)] for o in offsets]
        squares = outlines[:, self.basis.shape[1] :]
        curved = [[0.5 * np.vdot(s, t.curvature) for t in tests] for s in squares]
        return np.array(found, dtype=np.float64) - np.array(curved, dtype=np.float64)

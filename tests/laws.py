"""Strategies and assertions shared by the tests of laws. Symbols: N frames, K components, D dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray

from speechgmm.mixture import GMM, UBM, Diagonal, Fit, Full, Spherical, Statistics, Tied
from speechgmm.mixture.compiled.e_step import TOLERANCE
from speechgmm.mixture.covariance import COVARIANCES
from tests import oracle

Array = NDArray[Any]


def tenths(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of one decimal place: they meet each other often, and keep failures readable."""
    return st.integers(round(low * 10), round(high * 10)).map(lambda i: i / 10)


@st.composite
def gmms(draw: st.DrawFn, *, components: int = 4, dimensions: int = 3, origins: bool = True) -> GMM:
    """Mixtures of up to so many components and dimensions, with unequal weights, about any origin near by."""
    k, d = draw(st.integers(1, components)), draw(st.integers(1, dimensions))
    shares = draw(nps.arrays(float, k, elements=st.integers(1, 9)))
    means = draw(nps.arrays(float, (k, d), elements=tenths(-5, 5)))
    variances = draw(nps.arrays(float, (k, d), elements=tenths(0.1, 4)))
    origin = draw(st.none() | nps.arrays(float, d, elements=tenths(-3, 3))) if origins else None
    return GMM(shares / shares.sum(), means, Diagonal(variances), origin)


def frames(dimensions: int, *, minimum: int = 1, maximum: int = 12) -> st.SearchStrategy[Array]:
    """Matrices (N, D) with many equal entries."""
    shape = st.tuples(st.integers(minimum, maximum), st.just(dimensions))
    return nps.arrays(float, shape, elements=tenths(-8, 8))


@st.composite
def problems(draw: st.DrawFn, *, minimum: int = 1, maximum: int = 12, **sizes: Any) -> tuple[GMM, Array]:
    """A mixture and frames of its dimensions."""
    gmm = draw(gmms(**sizes))
    return gmm, draw(frames(gmm.n_dimensions, minimum=minimum, maximum=maximum))


def random_gmm(k: int, d: int, seed: int = 0) -> GMM:
    """One mixture of unequal weights."""
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.5, 2.0, k)
    return GMM(shares / shares.sum(), rng.normal(0, 3, (k, d)), Diagonal(rng.uniform(0.3, 2.0, (k, d))))


def plain(gmm: GMM) -> oracle.Mixture:
    """The same mixture for the oracle."""
    variances = gmm.covariance.deviations() ** 2
    return oracle.Mixture(gmm.weights.tolist(), gmm.means.tolist(), variances.tolist())


def variances(gmm: GMM) -> Array:
    """The variances (K, D) of a diagonal mixture."""
    assert isinstance(gmm.covariance, Diagonal)
    return gmm.covariance.variances


def close(actual: Any, expected: Any, *, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    """Assert equality up to rounding."""
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def same_gmm(actual: GMM, expected: GMM | oracle.Mixture, *, rtol: float = 1e-8, atol: float = 1e-8) -> None:
    """Assert that two mixtures are equal up to rounding."""
    a, b = plain(actual), plain(expected) if isinstance(expected, GMM) else expected
    for name in oracle.Mixture._fields:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=atol, err_msg=name)


def same_bits(actual: UBM, expected: UBM) -> None:
    """Assert that two mixtures, or ensembles, are equal to the last bit."""
    for a, e in zip(actual.parts, expected.parts, strict=True):
        assert a.weights.tobytes() == e.weights.tobytes()
        assert a.means.tobytes() == e.means.tobytes()
        assert a.origin.tobytes() == e.origin.tobytes()
        assert variances(a).tobytes() == variances(e).tobytes()


def same_statistics(actual: Statistics, expected: Statistics, *, atol: float = 1e-9, rtol: float = 1e-9) -> None:
    """Assert that statistics are equal up to rounding, about the same origin."""
    np.testing.assert_array_equal(actual.origin, expected.origin)
    for name in ("counts", "first", "second", "log_likelihood", "frames"):
        a, b = getattr(actual, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)


def never_falls(result: Fit[Any], *, slack: float = 1e-9, loss: float = 0.0) -> None:
    """Assert that the objective rose or stayed at every step which did not reseed a component.

    `slack` is relative, for the rounding of sums; each objective may be off by `loss`, in nats per frame.
    """
    steps = list(zip(result.objective, result.objective[1:], result.notes, strict=False))
    checked = [(a, b) for a, b, notes in steps if "reseeded" not in notes]
    assert checked, "every step reseeded: nothing was tested"
    for before, after in checked:
        assert after >= before - slack * (1 + abs(before)) - 2 * loss, result.objective


def float32_loss(gmm: GMM) -> float:
    """What float32 may lose of a log density of a diagonal mixture to rounding, in nats: what the kernel promises.

    The expanded square adds and subtracts terms as large as offset**2 / variance, each rounded to float32.
    """
    square = ((gmm.means - gmm.origin) ** 2 / variances(gmm)).sum(axis=1).max()
    return min(float(np.finfo(np.float32).eps * square), TOLERANCE)


FAMILY = [(kind, k, d) for kind in COVARIANCES for k in (1, 4) for d in (1, 5)]
"""Every kind of covariance at the sizes where laws are tested."""


def family_gmm(kind: str, k: int, d: int, seed: int = 0) -> GMM:
    """One mixture of a kind of covariance, its features correlated where the kind allows it."""
    rng = np.random.default_rng(seed)
    root = rng.normal(0, 0.5, (k, d, d)) + np.eye(d)
    c = root @ root.transpose(0, 2, 1) + 0.3 * np.eye(d)
    v = rng.uniform(0.3, 2.0, (k, d))
    kinds = {"diag": Diagonal(v), "spherical": Spherical(v[:, 0]), "tied": Tied(c[0]), "full": Full(c)}
    shares = rng.uniform(0.5, 2.0, k)
    return GMM(shares / shares.sum(), rng.normal(0, 3, (k, d)), kinds[kind])


def matrices(gmm: GMM) -> Array:
    """The covariance matrices (K, D, D) of any mixture."""
    c = gmm.covariance
    if isinstance(c, Full):
        return c.matrices
    if isinstance(c, Tied):
        return np.repeat(c.matrix[None], gmm.n_components, axis=0)
    variances = np.broadcast_to(c.deviations() ** 2, gmm.means.shape)
    return variances[:, :, None] * np.eye(gmm.n_dimensions)


def gaussians(gmm: GMM) -> oracle.Gaussians:
    """The same mixture for the oracle."""
    return oracle.Gaussians(gmm.weights.tolist(), gmm.means.tolist(), matrices(gmm).tolist())


def same_mixture(actual: GMM, expected: GMM | oracle.Gaussians, *, rtol: float = 1e-8, atol: float = 1e-8) -> None:
    """Assert that two mixtures of any kind are equal up to rounding."""
    b = gaussians(expected) if isinstance(expected, GMM) else expected
    for x, y, name in zip((actual.weights, actual.means, matrices(actual)), b, b._fields, strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol, err_msg=name)

"""Merging keeps what the mixture was, pairs that cost least go first, and weak components can be removed."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Covariance, Diagonal, Full, Spherical, Tied, merge, prune, reduce

KINDS = (Diagonal, Spherical, Tied, Full)


def matrices(covariance: Covariance, k: int, d: int) -> np.ndarray:
    """The covariance matrices (K, D, D) of any kind, from its second moments about the means."""
    if isinstance(covariance, (Full, Tied)):
        return np.broadcast_to(covariance.parameters, (k, d, d))
    return np.broadcast_to(covariance.deviations() ** 2, (k, d))[:, :, None] * np.eye(d)


def moments(gmm: GMM) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the whole mixture, in plain sums."""
    mean = gmm.weights @ gmm.means
    own = matrices(gmm.covariance, *gmm.means.shape)
    total = sum(w * (c + np.outer(m - mean, m - mean)) for w, m, c in zip(gmm.weights, gmm.means, own, strict=True))
    return mean, total


def mixture(kind: type[Covariance], k: int, d: int, seed: int = 0) -> GMM:
    rng = np.random.default_rng(seed)
    shares, root = rng.uniform(0.5, 2, k), rng.normal(size=(k, d, d))
    full = root @ root.transpose(0, 2, 1) + np.eye(d)
    values = {
        Diagonal: rng.uniform(0.5, 2, (k, d)),
        Spherical: rng.uniform(0.5, 2, k),
        Tied: full[0],
        Full: full,
    }
    return GMM(shares / shares.sum(), rng.normal(0, 4, (k, d)), kind(values[kind]))


def kept(kind: type[Covariance], covariance: np.ndarray) -> np.ndarray:
    """As much of a covariance as a kind can tell."""
    if kind is Diagonal:
        return np.diag(covariance)
    return np.trace(covariance) if kind is Spherical else covariance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 5])
def test_merging_keeps_the_mixtures_weight_mean_and_covariance(kind: type[Covariance], d: int) -> None:
    gmm = mixture(kind, 4, d)
    merged = merge(gmm, 3, 1)
    assert merged.n_components == 3
    assert merged.weights[1] == pytest.approx(gmm.weights[1] + gmm.weights[3])
    (mean, covariance), (old_mean, old_covariance) = moments(merged), moments(gmm)
    np.testing.assert_allclose(mean, old_mean, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(kept(kind, covariance), kept(kind, old_covariance), rtol=1e-10, atol=1e-10)
    for old, new in ((0, 0), (2, 2)):
        assert merged.means[new].tobytes() == gmm.means[old].tobytes()


@pytest.mark.parametrize("kind", [Diagonal, Spherical, Full])
def test_the_others_keep_their_covariances_to_the_bit(kind: type[Covariance]) -> None:
    gmm = mixture(kind, 4, 3)
    merged = merge(gmm, 0, 2)
    assert merged.covariance.parameters[1].tobytes() == gmm.covariance.parameters[1].tobytes()
    assert merged.covariance.parameters[2].tobytes() == gmm.covariance.parameters[3].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_down_to_one_component_is_the_gaussian_of_the_mixture(kind: type[Covariance]) -> None:
    gmm = mixture(kind, 5, 3)
    result = reduce(gmm)
    assert result.model.n_components == 1
    assert result.labels.tolist() == [0] * 5
    np.testing.assert_allclose(result.model.means[0], moments(gmm)[0], atol=1e-12)
    expected = kept(kind, moments(gmm)[1])
    np.testing.assert_allclose(kept(kind, moments(result.model)[1]), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_bounds_the_divergence(kind: type[Covariance]) -> None:
    gmm = mixture(kind, 6, 2, seed=3)
    for k in (5, 3, 1):
        result = reduce(gmm, k)
        x = gmm.sample(4000, 0).frames
        divergence = float(np.mean(gmm.log_density(x) - result.model.log_density(x)))
        assert divergence <= result.cost + 0.05, k


def test_the_pair_of_least_bound_goes_first() -> None:
    gmm = mixture(Full, 5, 2, seed=1)

    def bound(i: int, j: int) -> float:
        w, c = gmm.weights[[i, j]], gmm.covariance.parameters[[i, j]]
        d = gmm.means[i] - gmm.means[j]
        both = (w[:, None, None] * c).sum(axis=0) / w.sum() + w.prod() / w.sum() ** 2 * np.outer(d, d)
        return 0.5 * (w.sum() * np.log(np.linalg.det(both)) - w @ np.log(np.linalg.det(c)))

    bounds = {(i, j): bound(i, j) for i in range(5) for j in range(i + 1, 5)}
    i, j = min(bounds, key=bounds.__getitem__)
    result = reduce(gmm, 4)
    assert result.labels[i] == result.labels[j]
    assert result.cost == pytest.approx(bounds[i, j])
    assert reduce(gmm, limit=0.9 * bounds[i, j]).model is gmm


@pytest.mark.parametrize("kind", KINDS)
def test_equal_components_become_one_at_no_cost(kind: type[Covariance]) -> None:
    gmm = mixture(kind, 2, 3)
    twice = GMM(
        gmm.weights[[0, 1, 0]] / gmm.weights[[0, 1, 0]].sum(),
        gmm.means[[0, 1, 0]],
        gmm.covariance.take(np.array([0, 1, 0])),
    )
    result = reduce(twice, limit=1e-9)
    assert result.labels.tolist() == [0, 1, 0]
    x = gmm.sample(50, 0).frames
    np.testing.assert_allclose(result.model.log_density(x), twice.log_density(x), rtol=1e-9)


def test_weak_components_are_removed_and_the_heaviest_stays() -> None:
    gmm = GMM([0.5, 0.02, 0.48, 0.0], [[0.0], [1.0], [2.0], [3.0]], Diagonal(np.ones((4, 1))))
    assert prune(gmm, 0.05).means.ravel().tolist() == [0.0, 2.0]
    assert prune(gmm, 0.0).n_components == 3
    assert prune(gmm, 1.0).means.ravel().tolist() == [0.0]
    assert reduce(gmm, 2).labels.tolist() == [0, 1, 1, -1]
    one = GMM([1.0], [[0.0]], Diagonal([[1.0]]))
    assert prune(one, 0.5) is one


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: merge(g, 1, 1), r"components that are merged must be two; got 1 twice"),
        (lambda g: merge(g, 0, 9), r"a component must be at least 0 and at most 3; got 9"),
        (lambda g: merge(g, 2, 3), r"components that are merged must have weight; got two of weight 0"),
        (lambda g: prune(g, 2.0), r"the least weight must be at least 0 and at most 1; got 2"),
        (lambda g: reduce(g, 0), r"n_components must be at least 1 and at most 4; got 0"),
        (lambda g: reduce(g, 2, limit=-1.0), r"limit must be at least 0 nats; got -1 nats"),
    ],
)
def test_bad_input_is_refused(call, message: str) -> None:
    gmm = GMM([0.5, 0.5, 0.0, 0.0], [[0.0], [1.0], [2.0], [3.0]], Diagonal(np.ones((4, 1))))
    with pytest.raises(InvalidInput, match=message):
        call(gmm)

"""Several mixtures as one model: what it says is the weighted mean of what they say, and it adapts as they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, Diagonal, Ensemble, Full, Spherical, adapt
from speechgmm.mixture.adapt import moved
from speechgmm.mixture.maximize import check_against
from speechgmm.storage import dumps, loads
from tests.laws import close


def mixture(k: int, d: int, seed: int, origin: float = 0.0) -> GMM:
    rng = np.random.default_rng(seed)
    weights, variances = rng.dirichlet(np.ones(k)), rng.uniform(0.5, 2, (k, d))
    return GMM(weights, rng.normal(0, 2, (k, d)), Diagonal(variances), np.full(d, origin))


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[Ensemble, np.ndarray]:
    """An ensemble of one to four mixtures over one to three streams, and frames."""
    d, streams = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    seen = [*range(streams), *draw(st.lists(st.integers(0, streams - 1), max_size=2))]
    seed = draw(st.integers(0, 999))
    parts = tuple(mixture(draw(st.integers(1, 5)), d, seed + i, origin=0.5) for i in range(len(seen)))
    x = np.random.default_rng(seed).normal(0, 2, (draw(st.integers(1, 30)), d * streams))
    return Ensemble(parts, tuple(seen)), x


@given(ensembles())
def test_it_says_the_weighted_mean_of_what_its_mixtures_say(given_: tuple[Ensemble, np.ndarray]) -> None:
    ensemble, x = given_
    d = len(ensemble.origin)
    seen = [x[:, s * d : (s + 1) * d] for s in ensemble.streams]
    roots = [np.sqrt(p.n_components) for p in ensemble.parts]
    expected = sum(r * p.log_density(y) for r, p, y in zip(roots, ensemble.parts, seen, strict=True)) / sum(roots)
    close(ensemble.log_density(x), expected)
    s = ensemble.statistics(x)
    one_by_one = [p.statistics(y) for p, y in zip(ensemble.parts, seen, strict=True)]
    for name in ("counts", "first", "second"):
        close(getattr(s, name), np.concatenate([getattr(o, name) for o in one_by_one]))
    assert s.frames == len(x)
    close(s.log_likelihood, expected.sum())
    close(s.counts.sum(), len(x) * len(ensemble.parts))
    assert ensemble.n_components == len(ensemble.means) == sum(p.n_components for p in ensemble.parts)
    assert ensemble.n_dimensions == x.shape[1]


@given(ensembles(), st.floats(0.1, 50))
def test_its_mixtures_adapt_each_as_if_it_were_alone(given_: tuple[Ensemble, np.ndarray], relevance: float) -> None:
    ensemble, x = given_
    found = moved(ensemble, ensemble.statistics(x), relevance)
    assert isinstance(found, Ensemble)
    assert found.streams == ensemble.streams
    for part, new, y in zip(ensemble.parts, found.parts, ensemble.seen(x), strict=True):
        expected = adapt(part, part.statistics(y), relevance=relevance, update="m")
        close(new.means, expected.means)
        np.testing.assert_array_equal(new.weights, part.weights)
    check_against(found.statistics(x), ensemble, "UBM")


@given(ensembles())
def test_stored_and_loaded_it_is_the_same(given_: tuple[Ensemble, np.ndarray]) -> None:
    ensemble, x = given_
    again = loads(dumps(ensemble), Ensemble, Diagonal)
    assert dumps(again) == dumps(ensemble)
    np.testing.assert_array_equal(again.log_density(x), ensemble.log_density(x))


def test_one_mixture_alone_is_that_mixture() -> None:
    gmm = mixture(4, 3, 0)
    x = np.random.default_rng(1).normal(size=(20, 3))
    ensemble = Ensemble((gmm,))
    np.testing.assert_array_equal(ensemble.log_density(x), gmm.log_density(x))
    np.testing.assert_array_equal(ensemble.statistics(x).first, gmm.statistics(x).first)
    assert (gmm.parts, gmm.shares.tolist()) == ((gmm,), [1.0])
    assert gmm.seen(x)[0] is x


def test_a_fine_mixture_weighs_more_by_the_root_of_its_components() -> None:
    assert Ensemble((mixture(1, 2, 0), mixture(9, 2, 1))).shares.tolist() == [0.25, 0.75]


def test_spherical_variances_are_told_for_each_feature() -> None:
    round_ = GMM([1.0], [[0.0, 0.0]], Spherical([4.0]), np.zeros(2))
    other = mixture(2, 2, 0)
    ensemble = Ensemble((round_, other))
    assert ensemble.covariance.variances[0].tolist() == [4.0, 4.0]
    close(ensemble.covariance.variances[1:], other.covariance.deviations() ** 2)


GMM_2 = mixture(2, 3, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((),), "an ensemble must hold at least one mixture; got none"),
        (("ab",), "the mixtures of an ensemble must be a tuple, each of a GMM; got a str"),
        (((GMM_2, 1),), "the mixtures of an ensemble, at 1, must be a GMM; got an int"),
        (((GMM_2, mixture(2, 2, 0)),), "must be of as many features each, about one origin; got others"),
        (((GMM_2, mixture(2, 3, 0, 1.0)),), "must be of as many features each, about one origin; got others"),
        (((GMM_2,), (1,)), r"the streams must be one for each of 1 mixtures, from 0 up without gaps; got \(1,\)"),
        (((GMM_2, GMM_2), (0,)), "the streams must be one for each of 2 mixtures"),
        (((GMM_2, GMM_2), (0, 2)), r"from 0 up without gaps; got \(0, 2\)"),
        (((GMM_2,), (-1,)), "a stream must be at least 0; got -1"),
        (((GMM_2,), (0.0,)), "the streams of an ensemble, at 0, must be an int; got a float"),
        (
            ((GMM([1.0], [[0.0, 0.0]], Full([np.eye(2)])),),),
            "the covariance of a mixture in an ensemble must be an Independent; got a Full",
        ),
    ],
)
def test_what_makes_no_ensemble_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Ensemble(*arguments)


def test_frames_of_another_shape_and_statistics_of_another_model_are_refused() -> None:
    both = Ensemble((GMM_2, mixture(3, 3, 1)), (0, 1))
    for method in (both.statistics, both.log_density):
        with pytest.raises(InvalidInput, match="6"):
            method(np.zeros((4, 3)))
    with pytest.raises(IncompatibleModel, match=r"statistics must be taken against this UBM of shape \(5, 3\)"):
        moved(both, GMM_2.statistics(np.zeros((4, 3))), 1.0)
    far = GMM([1.0], [[1e13, 0.0, 0.0]], Diagonal(np.ones((1, 3))), np.zeros(3))
    with pytest.raises(InvalidInput, match="the UBM must have deviations"):
        Ensemble((GMM_2, far)).check_reach("the UBM")

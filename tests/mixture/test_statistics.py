"""Statistics: the algebra, and the E-step against the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, Diagonal, Spherical, Statistics
from tests import laws, oracle


@given(laws.problems(minimum=0))
def test_statistics_equal_the_oracle(problem):
    gmm, x = problem
    s = gmm.statistics(x)
    expected = oracle.statistics(oracle.rows(x), laws.plain(gmm), gmm.origin.tolist())
    for name in oracle.Moments._fields:
        actual = getattr(s, name)
        laws.close(actual, np.reshape(getattr(expected, name), np.shape(actual)))
    assert s.frames == len(x)


@given(laws.problems(minimum=2), st.data())
def test_blocks_added_are_the_whole(problem, data):
    gmm, x = problem
    cut = data.draw(st.integers(0, len(x)))
    laws.same_statistics(gmm.statistics(x[:cut]) + gmm.statistics(x[cut:]), gmm.statistics(x))


def test_frames_beyond_one_internal_block_are_all_counted():
    gmm = laws.random_gmm(3, 2)
    x = gmm.sample(5000).frames
    parts = [gmm.statistics(x[i : i + 1000]) for i in range(0, 5000, 1000)]
    laws.same_statistics(sum(parts[1:], start=parts[0]), gmm.statistics(x), atol=1e-6)
    assert gmm.statistics(x).counts.sum() == pytest.approx(5000)


@given(laws.problems(), st.floats(0, 100))
def test_scaling_counts_every_frame_so_often(problem, scale):
    gmm, x = problem
    s = gmm.statistics(x)
    scaled = scale * s
    laws.same_statistics(s * scale, scaled)
    np.testing.assert_array_equal(scaled.second, scale * s.second)
    assert scaled.log_likelihood == scale * s.log_likelihood
    assert scaled.frames == scale * len(x)


@given(laws.problems(), st.integers(1, 4))
def test_scaling_by_a_whole_number_is_repeated_addition(problem, times):
    gmm, x = problem
    laws.same_statistics(times * gmm.statistics(x), gmm.statistics(np.tile(x, (times, 1))))


@given(laws.problems(), st.floats(0, 1))
def test_addition_commutes_and_scaling_distributes(problem, step):
    gmm, x = problem
    a, b = gmm.statistics(x), gmm.statistics(x[::2])
    laws.same_statistics(a + b, b + a, atol=0)
    laws.same_statistics(step * (a + b), step * a + step * b)
    laws.same_statistics((1 - step) * a + step * a, a)


def test_numpy_numbers_scale_from_either_side():
    s = laws.random_gmm(2, 2).statistics(np.ones((3, 2)))
    for scale in (np.float64(2), np.float32(2), np.int64(2), 2):
        laws.same_statistics(scale * s, s + s)
        laws.same_statistics(s * scale, s + s)


@given(laws.problems())
def test_variance_is_that_of_all_frames(problem):
    gmm, x = problem
    laws.close(gmm.statistics(x).variance, oracle.variance(oracle.rows(x)))


def test_mean_log_likelihood_is_per_frame_and_nan_without_any():
    gmm = laws.random_gmm(2, 2)
    x = gmm.sample(7).frames
    assert gmm.statistics(x).mean_log_likelihood == pytest.approx(gmm.log_density(x).mean())
    empty = gmm.statistics(x[:0])
    assert np.isnan(empty.mean_log_likelihood)
    np.testing.assert_array_equal(empty.variance, np.zeros(2))


def test_imagined_statistics_have_the_moments_of_each_component():
    gmm = laws.random_gmm(3, 2)
    imagined = gmm.imagined()
    np.testing.assert_array_equal(imagined.counts, np.ones(3))
    laws.close(imagined.first, gmm.means - gmm.origin)
    laws.close(imagined.second, laws.variances(gmm) + (gmm.means - gmm.origin) ** 2)
    assert imagined.frames == 0.0
    assert imagined.log_likelihood == 0.0


def test_arrays_are_held_read_only_and_apart_from_what_was_given():
    counts = np.ones(2)
    s = Statistics(np.zeros(1), counts, np.ones((2, 1)), np.ones((2, 1)), 0.0, 2.0)
    counts[0] = 5.0
    assert s.counts[0] == 1.0
    for name in ("origin", "counts", "first", "second"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(s, name)[...] = 0.0


def about(origin, means=((0.0,), (1.0,))):
    means = np.array(means)
    return GMM(np.full(len(means), 1 / len(means)), means, Diagonal(np.ones_like(means)), [origin] * means.shape[1])


def test_addition_refuses_another_origin():
    a, b = about(0.0).statistics([[1.0]]), about(0.5).statistics([[1.0]])
    with pytest.raises(IncompatibleModel, match="must be taken about the same origin; got two different ones"):
        a + b


def test_addition_refuses_another_shape():
    a, b = about(0.0).statistics([[1.0]]), about(0.0, [[0.0], [1.0], [2.0]]).statistics([[1.0]])
    with pytest.raises(IncompatibleModel, match=r"must be of mixtures of one shape; got \(2, 1\) and \(3, 1\)"):
        a + b


def test_addition_refuses_what_is_no_statistics():
    with pytest.raises(TypeError, match="unsupported operand"):
        about(0.0).statistics([[1.0]]) + 1


@pytest.mark.parametrize("scale", [-1.0, -1e-300, float("nan"), float("inf"), float("-inf"), np.float32("nan")])
def test_scaling_refuses_negatives_nan_and_infinity(scale):
    s = about(0.0).statistics([[1.0]])
    with pytest.raises(InvalidInput, match="the scale of statistics must be at least 0"):
        s * scale


def test_scaling_refuses_what_is_no_number():
    s = about(0.0).statistics([[1.0]])
    with pytest.raises(InvalidInput, match="the scale of statistics must be a number; got True"):
        True * s
    for wrong in ("2", [2.0], None):
        with pytest.raises(TypeError, match=r"(unsupported operand|can't multiply)"):
            s * wrong


def test_moments_of_the_wrong_shape_are_refused():
    with pytest.raises(InvalidInput, match=r"first moments must have shape \(2, 1\), .*; got \(1, 2\)"):
        Statistics(np.zeros(1), np.ones(2), np.ones((1, 2)), np.ones((2, 1)), 0.0, 2.0)


@pytest.mark.numeric
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance", [Diagonal([[0.5, 2.0, 1e-3]]), Spherical([0.3])])
def test_moments_say_how_likely_the_frames_of_one_component_are(covariance, weighted):
    rng = np.random.default_rng(0)
    gmm = GMM([1.0], [[1.0, -2.0, 0.5]], covariance, origin=[0.9, 0.0, 0.4])
    x = gmm.means + rng.normal(size=(5000, 3))
    weights = rng.uniform(0, 3, len(x)) if weighted else np.ones(len(x))
    found = gmm.statistics(x, sample_weight=weights if weighted else None)
    y = x - gmm.origin
    np.testing.assert_allclose(found.counts, [weights.sum()], rtol=1e-12)
    np.testing.assert_allclose(found.first[0], weights @ y, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.second[0], weights @ y**2, rtol=1e-12)
    assert found.log_likelihood == pytest.approx(weights @ gmm.log_density(x), rel=1e-11)
    assert found.frames == pytest.approx(weights.sum(), rel=1e-15)


def test_a_frame_out_of_reach_of_one_component_is_refused():
    gmm = GMM([1.0], [[0.0]], Diagonal([[1e-20]]))
    with pytest.raises(InvalidInput, match="be within reach of the model"):
        gmm.statistics([[0.0], [1e150]])

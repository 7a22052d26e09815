"""GMM and Diagonal: densities, posteriors, invariances, sampling and refusals."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, adapt, maximize
from tests import laws, oracle


@given(laws.problems())
def test_log_density_and_posteriors_equal_the_oracle(problem):
    gmm, x = problem
    mixture = laws.plain(gmm)
    laws.close(gmm.log_density(x), [oracle.log_density(row, mixture) for row in oracle.rows(x)])
    laws.close(gmm.posteriors(x), [oracle.posteriors(row, mixture) for row in oracle.rows(x)])


@given(laws.problems(), st.data())
def test_the_origin_never_changes_the_density(problem, data):
    gmm, x = problem
    origin = data.draw(nps.arrays(float, gmm.n_dimensions, elements=laws.tenths(-3, 3)))
    moved = GMM(gmm.weights, gmm.means, gmm.covariance, origin)
    laws.close(moved.log_density(x), gmm.log_density(x))
    laws.close(moved.posteriors(x), gmm.posteriors(x))


@given(laws.problems())
def test_posteriors_sum_to_one_and_to_the_counts(problem):
    gmm, x = problem
    posteriors = gmm.posteriors(x)
    assert posteriors.min() >= 0
    laws.close(posteriors.sum(axis=1), 1.0)
    laws.close(posteriors.sum(axis=0), gmm.statistics(x).counts)
    laws.close(gmm.log_density(x).sum(), gmm.statistics(x).log_likelihood)


@given(laws.problems(minimum=2), st.data())
def test_the_order_of_components_does_not_matter(problem, data):
    gmm, x = problem
    order = data.draw(st.permutations(range(gmm.n_components)))
    turned = gmm.take(order)
    laws.close(turned.log_density(x), gmm.log_density(x))
    laws.close(turned.posteriors(x), gmm.posteriors(x)[:, order])
    s = gmm.statistics(x)
    for step in (lambda g, s: maximize(s, g).model, lambda g, s: adapt(g, s, update="wmc")):
        # ties for the heaviest component are broken by number: leave out steps that reseed
        if s.counts.min() >= 0.5:
            at_same_origin = GMM(turned.weights, turned.means, turned.covariance, gmm.origin)
            laws.same_gmm(step(at_same_origin, at_same_origin.statistics(x)), step(gmm, s).take(order))


@given(laws.problems(origins=False), st.data())
def test_affine_maps_shift_the_log_density_by_the_jacobian(problem, data):
    gmm, x = problem
    d = gmm.n_dimensions
    scale = data.draw(nps.arrays(float, d, elements=st.sampled_from([-3.0, -0.5, 0.01, 1.0, 40.0])))
    shift = data.draw(nps.arrays(float, d, elements=laws.tenths(-50, 50)))
    mapped = GMM(gmm.weights, gmm.means * scale + shift, Diagonal(laws.variances(gmm) * scale**2))
    y = x * scale + shift
    jacobian = np.log(np.abs(scale)).sum()
    laws.close(mapped.log_density(y), gmm.log_density(x) - jacobian, atol=1e-7)
    laws.close(mapped.posteriors(y), gmm.posteriors(x), atol=1e-7)
    before, after = maximize(gmm.statistics(x), gmm).model, maximize(mapped.statistics(y), mapped).model
    expected = GMM(before.weights, before.means * scale + shift, Diagonal(laws.variances(before) * scale**2))
    # reseeding moves means along +deviation, which no reflection maps; the default floors follow the scale
    # only where the absolute one does not bite
    if gmm.statistics(x).counts.min() >= 0.5 and laws.variances(before).min() > 1e-4:
        laws.same_gmm(after, expected, rtol=1e-6, atol=1e-6 * scale.max() ** 2)


def test_float32_frames_give_what_float64_frames_of_the_same_values_give_to_their_precision():
    gmm = laws.random_gmm(3, 4)
    x = gmm.sample(1000).frames.astype(np.float32)
    single, double = gmm.statistics(x), gmm.statistics(x.astype(np.float64))
    laws.close(gmm.log_density(x), gmm.log_density(x.astype(np.float64)), rtol=1e-5)
    laws.close(single.mean_log_likelihood, double.mean_log_likelihood, rtol=0, atol=1e-5)
    for name in ("counts", "first", "second"):
        exact = getattr(double, name)
        assert np.linalg.norm(getattr(single, name) - exact) <= 1e-5 * np.linalg.norm(exact), name


def test_a_component_of_weight_zero_takes_no_part():
    gmm = GMM([1.0, 0.0], [[0.0], [5.0]], Diagonal(np.ones((2, 1))))
    alone = GMM([1.0], [[0.0]], Diagonal(np.ones((1, 1))))
    x = np.linspace(-9, 9, 13)[:, None]
    laws.close(gmm.log_density(x), alone.log_density(x))
    np.testing.assert_array_equal(gmm.posteriors(x)[:, 1], 0.0)


def test_no_frames_give_no_densities():
    gmm = laws.random_gmm(3, 2)
    x = np.zeros((0, 2))
    assert gmm.log_density(x).shape == (0,)
    assert gmm.posteriors(x).shape == (0, 3)
    assert gmm.statistics(x).frames == 0.0


def test_take_scales_weights_to_sum_one():
    gmm = GMM([0.2, 0.3, 0.5], [[0.0], [1.0], [2.0]], Diagonal([[1.0], [2.0], [3.0]]))
    part = gmm.take([2, 0])
    laws.close(part.weights, [5 / 7, 2 / 7])
    np.testing.assert_array_equal(part.means, [[2.0], [0.0]])
    np.testing.assert_array_equal(laws.variances(part), [[3.0], [1.0]])
    np.testing.assert_array_equal(part.origin, gmm.origin)


def test_shapes_and_default_origin():
    gmm = GMM([0.25, 0.75], [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0]], Diagonal(np.ones((2, 3))))
    assert (gmm.n_components, gmm.n_dimensions) == (2, 3)
    np.testing.assert_array_equal(gmm.origin, [3.0, 1.0, 0.0])
    np.testing.assert_array_equal(gmm.offsets, gmm.means - gmm.origin)


def test_parameters_are_read_only_and_apart_from_what_was_given():
    weights, means, v = np.array([0.5, 0.5]), np.zeros((2, 1)), np.ones((2, 1))
    gmm = GMM(weights, means, Diagonal(v))
    weights[0], means[0], v[0] = 9.0, 9.0, 9.0
    assert gmm.weights[0] == 0.5
    assert gmm.means[0, 0] == 0.0
    assert laws.variances(gmm)[0, 0] == 1.0
    for array in (gmm.weights, gmm.means, gmm.origin, laws.variances(gmm)):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_moments_of_a_large_sample_are_those_of_the_mixture():
    gmm = GMM([0.2, 0.8], [[-3.0, 100.0], [2.0, -50.0]], Diagonal([[0.25, 9.0], [4.0, 1.0]]))
    n = 100_000
    sample = gmm.sample(n, seed=1)
    assert sample.frames.shape == (n, 2)
    for k in range(2):
        mine = sample.frames[sample.components == k]
        v = laws.variances(gmm)[k]
        assert abs(len(mine) / n - gmm.weights[k]) < 5 * np.sqrt(0.16 / n)
        assert (np.abs(mine.mean(axis=0) - gmm.means[k]) < 5 * np.sqrt(v / len(mine))).all()
        assert (np.abs(mine.var(axis=0) - v) < 5 * v * np.sqrt(2 / len(mine))).all()
        assert abs(np.corrcoef(mine.T)[0, 1]) < 5 / np.sqrt(len(mine))


def test_the_same_seed_gives_the_same_draws():
    gmm = laws.random_gmm(3, 2)
    a, b, other = gmm.sample(50, seed=7), gmm.sample(50, np.random.default_rng(7)), gmm.sample(50, seed=8)
    assert a.frames.tobytes() == b.frames.tobytes()
    assert a.components.tobytes() == b.components.tobytes()
    assert a.frames.tobytes() != other.frames.tobytes()


ONE = Diagonal(np.ones((1, 1)))
TWO = Diagonal(np.ones((2, 1)))

REFUSED = {
    "weights 0.5": (lambda: GMM(0.5, [[0.0]], ONE), "weights must have shape (1,), as the means say; got shape ()"),
    "no weights": (lambda: GMM([], [[0.0]], ONE), "weights must have shape (1,), as the means say; got shape (0,)"),
    "sum 0.9": (lambda: GMM([0.5, 0.4], [[0.0], [1.0]], TWO), "weights must be 2 numbers of at least 0 with sum 1"),
    "negative": (lambda: GMM([1.5, -0.5], [[0.0], [1.0]], TWO), "got minimum -0.5, sum 1."),
    "NaN weight": (lambda: GMM([np.nan], [[0.0]], ONE), "weights must be finite; got 1 NaN or infinite of 1 entries"),
    "text": (lambda: GMM(["1"], [[0.0]], ONE), "weights must hold real numbers; got an array of type <U1"),
    "vector means": (lambda: GMM([1.0], [0.0], ONE), "means must be a matrix of shape (components, dimensions)"),
    "no means": (lambda: GMM([], np.zeros((0, 2)), ONE), "(components, dimensions); got shape (0, 2)"),
    "NaN mean": (lambda: GMM([1.0], [[np.inf]], ONE), "means must be finite"),
    "ragged means": (lambda: GMM([1.0], [[0.0], [0.0, 1.0]], ONE), "means must be a rectangular array of numbers"),
    "complex means": (lambda: GMM([1.0], [[1j]], ONE), "means must hold real numbers"),
    "other shape": (lambda: GMM([1.0], [[0.0]], TWO), "the covariance must fit means of shape (1, 1); got (2, 1)"),
    "bare array": (
        lambda: GMM([1.0], [[0.0]], np.ones((1, 1))),
        "be a Covariance; got a ndarray. Give one such as Diagonal(variances)",
    ),
    "origin": (lambda: GMM([1.0], [[0.0]], ONE, [0.0, 0.0]), "origin must have shape (1,); got shape (2,)"),
    "NaN origin": (lambda: GMM([1.0], [[0.0]], ONE, [np.nan]), "origin must be finite"),
    "zero variance": (lambda: Diagonal([[1.0, 0.0]]), "variances must be above 0; got 0 at component 0, dimension 1"),
    "NaN variance": (lambda: Diagonal([[np.nan]]), "variances must be finite"),
    "vector": (lambda: Diagonal([1.0]), "variances must be a matrix of shape (components, dimensions); got shape (1,)"),
    "no variances": (lambda: Diagonal(np.zeros((0, 3))), "(components, dimensions); got shape (0, 3)"),
    "text variances": (lambda: Diagonal([["a"]]), "variances must hold real numbers"),
    "n = 0": (lambda: laws.random_gmm(2, 1).sample(0), "n must be at least 1; got 0"),
    "n = 1.5": (lambda: laws.random_gmm(2, 1).sample(1.5), "n must be a whole number; got 1.5"),
    "out of reach": (
        lambda: laws.random_gmm(2, 1).log_density([[0.0], [1e151]]),
        "every frame must be within reach of the model; got frame 1 of a block, whose density is zero",
    ),
    "one vector": (lambda: laws.random_gmm(2, 1).log_density([0.0]), "frames must be a matrix of shape"),
    "NaN frame": (lambda: laws.random_gmm(2, 1).statistics([[np.nan]]), "frames must be finite"),
    "two features": (
        lambda: laws.random_gmm(2, 1).posteriors([[0.0, 1.0]]),
        "frames must have 1 features per frame, as the model has; got shape (1, 2)",
    ),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()


@pytest.mark.parametrize("k", [1, 5, 40])
def test_labels_are_the_most_probable_components(k):
    gmm = laws.random_gmm(k, 3)
    x = gmm.sample(3000).frames
    np.testing.assert_array_equal(gmm.labels(x), gmm.posteriors(x).argmax(axis=1))
    assert gmm.labels(x[:0]).shape == (0,)

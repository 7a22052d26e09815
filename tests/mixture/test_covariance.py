"""The laws of every kind of covariance, and how the kinds contain each other."""

import re

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import (
    GMM,
    Diagonal,
    Floor,
    Full,
    Spherical,
    Statistics,
    Stop,
    Tied,
    adapt,
    fit_gmm,
    initialize,
    maximize,
    split,
)
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.e_step import BLOCK
from tests import laws, oracle

RNG = np.random.default_rng
KEEP = Floor(absolute=0.0, relative=0.0, occupancy=0.0, reseed=False)
family = pytest.mark.parametrize(("kind", "k", "d"), laws.FAMILY)
kinds = pytest.mark.parametrize("kind", COVARIANCES)


def problem(kind, k, d, n=120):
    """A mixture and frames not far from it."""
    gmm = laws.family_gmm(kind, k, d)
    return gmm, 1.3 * gmm.sample(n, seed=2).frames + 0.3


def parameters(gmm):
    return gmm.weights, gmm.means, gmm.covariance.parameters


@family
def test_densities_and_posteriors_equal_the_oracle(kind, k, d):
    gmm, x = problem(kind, k, d)
    expected = [oracle.gaussian_posteriors(row, laws.gaussians(gmm)) for row in oracle.rows(x)]
    laws.close(gmm.posteriors(x), [p for p, _ in expected])
    laws.close(gmm.log_density(x), [density for _, density in expected])
    laws.close(gmm.statistics(x).log_likelihood, sum(density for _, density in expected))


@family
def test_a_step_of_em_equals_the_oracle(kind, k, d):
    gmm, x = problem(kind, k, d)
    step = maximize(gmm.statistics(x), gmm, floor=KEEP).model
    laws.same_mixture(step, oracle.gaussian_step(oracle.rows(x), laws.gaussians(gmm), kind))


@family
def test_weighted_frames_equal_repeated_frames_and_the_oracle(kind, k, d):
    gmm, x = problem(kind, k, d)
    times = RNG(3).integers(0, 4, len(x))
    weighted, repeated = gmm.statistics(x, sample_weight=times), gmm.statistics(np.repeat(x, times, axis=0))
    laws.same_statistics(weighted, repeated)
    laws.same_statistics(gmm.statistics(x, sample_weight=np.ones(len(x))), gmm.statistics(x))
    half = 0.5 * times
    laws.same_statistics(gmm.statistics(x, sample_weight=half), 0.5 * weighted)
    step = maximize(gmm.statistics(x, sample_weight=half), gmm, floor=KEEP).model
    laws.same_mixture(step, oracle.gaussian_step(oracle.rows(x), laws.gaussians(gmm), kind, half.tolist()))


@family
def test_weights_of_zero_count_nothing(kind, k, d):
    gmm, x = problem(kind, k, d)
    nothing = gmm.statistics(x, sample_weight=np.zeros(len(x)))
    assert nothing.frames == nothing.log_likelihood == nothing.counts.sum() == np.abs(nothing.second).max() == 0
    with pytest.raises(InvalidInput, match="statistics must count some frames"):
        maximize(nothing, gmm)


@family
def test_blocks_added_are_the_whole_beyond_one_internal_block(kind, k, d):
    gmm = laws.family_gmm(kind, k, d)
    x = gmm.sample(2 * BLOCK + 100).frames
    whole = gmm.statistics(x)
    laws.same_statistics(gmm.statistics(x[:700]) + gmm.statistics(x[700:]), whole, atol=1e-7)
    laws.close(gmm.log_density(x).sum(), whole.log_likelihood)
    laws.close(gmm.posteriors(x).sum(axis=0), whole.counts)


@family
@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_the_objective_never_falls_and_every_start_has_its_components(kind, k, d, init):
    _, x = problem(kind, k, d, n=120)
    result = fit_gmm(x, k, init=init, covariance=kind, stop=Stop(0.0, 12), floor=Floor(relative=1e-3))
    assert type(result.model.covariance) is COVARIANCES[kind]
    assert result.model.means.shape == (k, d)
    if k > 1 or init == "random":  # one component is at its maximum from the start
        laws.never_falls(result)


@family
def test_what_a_mixture_imagines_gives_it_back(kind, k, d):
    gmm = laws.family_gmm(kind, k, d)
    laws.same_mixture(maximize(10 * gmm.imagined(gmm.weights), gmm, floor=KEEP).model, gmm)
    one = gmm.imagined()
    np.testing.assert_array_equal(one.counts, np.ones(k))
    laws.same_statistics(gmm.imagined(np.full(k, 2.5)), 2.5 * one)


@family
def test_adaptation_has_its_limits(kind, k, d):
    ubm, x = problem(kind, k, d, n=200)
    s = ubm.statistics(x)
    laws.same_mixture(adapt(ubm, 0 * s, relevance=16, update="wmc"), ubm)
    laws.same_mixture(adapt(ubm, s, relevance=1e12, update="wmc"), ubm)
    ml = maximize(s, ubm, floor=Floor(absolute=1e-3 * ubm.covariance.deviations() ** 2, relative=0.0, occupancy=0.0))
    laws.same_mixture(adapt(ubm, s, relevance=1e-10, update="wmc"), ml.model, rtol=1e-6, atol=1e-6)
    prior = 4.0 * ubm.imagined()
    laws.same_mixture(adapt(ubm, s, update="mc"), maximize(s, ubm, prior=prior, update="mc", floor=KEEP).model)


@family
def test_the_origin_never_changes_the_density_nor_a_step(kind, k, d):
    gmm, x = problem(kind, k, d)
    moved = GMM(*parameters(gmm)[:2], gmm.covariance, np.full(d, 3.0))
    laws.close(moved.log_density(x), gmm.log_density(x))
    a, b = (maximize(g.statistics(x), g, floor=KEEP).model for g in (gmm, moved))
    laws.same_mixture(a, b)


@family
def test_the_order_of_components_does_not_matter(kind, k, d):
    gmm, x = problem(kind, k, d)
    order = RNG(0).permutation(k)
    turned = gmm.take(order)
    laws.close(turned.posteriors(x), gmm.posteriors(x)[:, order])
    laws.close(turned.log_density(x), gmm.log_density(x))


@family
def test_the_number_of_threads_changes_no_bit(kind, k, d):
    blocks = np.array_split(problem(kind, k, d, n=900)[1].astype(np.float32), 7)
    fits = [fit_gmm(blocks, k, covariance=kind, n_threads=n, stop=Stop(0.0, 3)) for n in (1, 2, 3)]
    assert len({storage.dumps(f.model) for f in fits}) == 1


@family
def test_a_mixture_comes_back_from_its_file(kind, k, d):
    gmm = laws.family_gmm(kind, k, d)
    again = storage.loads(storage.dumps(gmm), GMM, COVARIANCES[kind])
    assert type(again.covariance) is COVARIANCES[kind]
    for a, b in zip(parameters(again), parameters(gmm), strict=True):
        assert a.tobytes() == b.tobytes()


@family
def test_moments_of_a_large_sample_are_those_of_the_mixture(kind, k, d):
    gmm, n = laws.family_gmm(kind, k, d), 40_000
    sample = gmm.sample(n, seed=1)
    for i in range(k):
        mine, c = sample.frames[sample.components == i], laws.matrices(gmm)[i]
        v = np.diag(c)
        assert (np.abs(mine.mean(axis=0) - gmm.means[i]) < 5 * np.sqrt(v / len(mine))).all()
        found = np.cov(mine.T, bias=True).reshape(d, d)
        assert (np.abs(found - c) < 6 * np.sqrt((np.outer(v, v) + c**2) / len(mine))).all()


@family
def test_splitting_moves_halves_apart_by_what_the_component_allows(kind, k, d):
    gmm = laws.family_gmm(kind, k, d)
    grown = split(gmm, k)
    laws.close(grown.weights, np.tile(gmm.weights, 2) / 2)
    laws.close((grown.means[:k] + grown.means[k:]) / 2, gmm.means)
    step = (grown.means[k:] - grown.means[:k]) / 2
    squares = np.einsum("kd,kde,ke->k", step, np.linalg.inv(laws.matrices(gmm)), step)
    laws.close(squares, 0.2**2 * d)  # Mahalanobis: one deviation in each of D directions, scaled by 0.2


@family
def test_posteriors_may_be_given(kind, k, d):
    gmm, x = problem(kind, k, d)
    s, given = gmm.statistics(x), gmm.assigned(x, gmm.posteriors(x))
    for name in ("counts", "first", "second", "frames"):
        laws.close(getattr(given, name), getattr(s, name))
    assert given.log_likelihood == 0.0


@family
def test_float32_frames_give_what_float64_frames_of_the_same_values_give(kind, k, d):
    gmm = laws.family_gmm(kind, k, d)
    x = gmm.sample(500).frames.astype(np.float32)
    single, double = gmm.statistics(x), gmm.statistics(x.astype(np.float64))
    laws.same_statistics(single, double, rtol=1e-4, atol=1e-3)


@family
@pytest.mark.parametrize("floor", [0.3, "one a dimension", "one a component"])
def test_no_variance_in_any_direction_falls_below_the_floor(kind, k, d, floor):
    amounts = {"one a dimension": RNG(0).uniform(0.1, 0.6, d), "one a component": RNG(0).uniform(0.1, 0.6, (k, d))}
    absolute = amounts.get(floor, floor)
    x = RNG(1).normal(0, np.linspace(0.1, 2, d), (40, d))
    start = GMM(np.full(k, 1 / k), x[:k] + 0.01, COVARIANCES[kind].of(np.ones((k, d))))
    model = start
    for _ in range(30):
        step = maximize(model.statistics(x), model, floor=Floor(absolute=absolute, relative=0.0, reseed=False))
        model = step.model
    low = np.broadcast_to(absolute, (k, d))
    if kind == "spherical":
        low = np.repeat(low.mean(axis=1, keepdims=True), d, axis=1)
    if kind == "tied":
        low = np.repeat(low.max(axis=0, keepdims=True), k, axis=0)
    rest = laws.matrices(model) - low[:, :, None] * np.eye(d)
    assert np.linalg.eigvalsh(rest).min() > -1e-12
    if kind != "spherical" or d == 1:
        assert step.notes["floored"] >= 1
        assert np.linalg.eigvalsh(rest).min() < 1e-12  # and it is what holds some of them


@kinds
def test_a_clipped_covariance_is_the_best_under_the_bound(kind):
    x = RNG(0).normal(0, [0.2, 1.0, 0.5], (60, 3)) @ np.array([[1.0, 0.7, 0.1], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    model = GMM([1.0], x.mean(axis=0)[None], COVARIANCES[kind].of(np.ones((1, 3))))
    floor = np.array([0.3, 0.1, 0.5]) * (4 if kind == "spherical" else 1)
    best = maximize(model.statistics(x), model, floor=Floor(absolute=floor, relative=0.0))
    assert best.notes["floored"] >= 1
    rng, least = RNG(1), floor.mean() if kind == "spherical" else np.diag(floor)
    for _ in range(200):  # others that keep the bound, near and far
        a = rng.normal(0, 1, (3, 3)) * rng.choice([0.01, 0.3])
        extra = rng.choice([0.0, 0.5, 1.0]) * (laws.matrices(best.model)[0] - np.diag(floor)) + a @ a.T
        other = {
            "full": lambda e: Full((least + e)[None]),
            "tied": lambda e: Tied(least + e),
            "diag": lambda e: Diagonal(np.maximum(np.diag(least + e), floor)[None]),
            "spherical": lambda e: Spherical([max(least + np.diag(e).mean(), least)]),
        }[kind](extra)
        other = GMM([1.0], best.model.means, other)
        assert other.statistics(x).log_likelihood <= best.model.statistics(x).log_likelihood + 1e-9


@family
def test_an_added_floor_is_added(kind, k, d):
    gmm, x = problem(kind, k, d)
    s = gmm.statistics(x)
    bare, added = (maximize(s, gmm, floor=f) for f in (KEEP, Floor(0.25, 0.0, occupancy=0.0, reseed=False, add=True)))
    laws.close(laws.matrices(added.model), laws.matrices(bare.model) + 0.25 * np.eye(d))
    assert added.notes == {}
    part = Floor(absolute=0.0, relative=0.5, occupancy=0.0, reseed=False, add=True)
    share = 0.5 * x.var(axis=0)
    share = share if kind != "spherical" else np.full(d, share.mean())
    laws.close(laws.matrices(maximize(s, gmm, floor=part).model), laws.matrices(bare.model) + np.diag(share))


@kinds
def test_a_component_without_frames_keeps_its_covariance(kind):
    gmm = laws.family_gmm(kind, 4, 2)
    far = GMM(gmm.weights, [*gmm.means[:3], [900.0, 900.0]], gmm.covariance)
    x = laws.family_gmm(kind, 4, 2, seed=3).sample(50).frames
    for floor in (Floor(reseed=False), Floor(0.1, 0.0, reseed=False, add=True)):
        step = maximize(far.statistics(x), far, floor=floor).model
        laws.close(step.means[3], [900.0, 900.0])
        if kind != "tied":
            laws.close(step.covariance.take([3]).parameters, far.covariance.take([3]).parameters)
    assert maximize(far.statistics(x), far).notes["reseeded"] >= 1


@pytest.mark.parametrize(("k", "d"), [(1, 1), (4, 1), (1, 5), (4, 5)])
def test_full_given_diagonal_matrices_is_diagonal(k, d):
    diagonal, x = problem("diag", k, d)
    full = GMM(diagonal.weights, diagonal.means, Full.of(laws.variances(diagonal)))
    laws.close(full.log_density(x), diagonal.log_density(x))
    laws.close(full.posteriors(x), diagonal.posteriors(x))
    a, b = full.statistics(x), diagonal.statistics(x)
    laws.close(a.counts, b.counts)
    laws.close(a.first, b.first)
    laws.close(np.diagonal(a.second, axis1=1, axis2=2), b.second)
    laws.close(a.variance, b.variance)
    laws.close(np.diagonal(full.imagined().second, axis1=1, axis2=2), diagonal.imagined().second)
    laws.close(full.sample(9).frames, diagonal.sample(9).frames)
    laws.same_mixture(split(full, k), split(diagonal, k))
    laws.close(full.covariance.deviations(), diagonal.covariance.deviations())
    steps = [maximize(g.statistics(x), g, floor=KEEP).model for g in (full, diagonal)]
    laws.close(steps[0].covariance.deviations(), steps[1].covariance.deviations())


@pytest.mark.parametrize("d", [1, 5])
def test_tied_is_full_with_one_component(d):
    full, x = problem("full", 1, d)
    tied = GMM(full.weights, full.means, Tied(full.covariance.matrices[0]))
    laws.same_statistics(tied.statistics(x), full.statistics(x))
    laws.close(tied.log_density(x), full.log_density(x))
    laws.same_mixture(*(maximize(g.statistics(x), g).model for g in (tied, full)))
    laws.same_mixture(*(fit_gmm(x, 1, covariance=c, stop=Stop(0.0, 4)).model for c in ("tied", "full")))
    laws.close(tied.sample(9).frames, full.sample(9).frames)
    laws.same_mixture(split(tied, 1), split(full, 1))


@pytest.mark.parametrize("k", [1, 4])
def test_in_one_dimension_full_diagonal_and_spherical_are_one(k):
    x = problem("diag", k, 1, n=200)[1]
    fits = [fit_gmm(x, k, covariance=c, stop=Stop(0.0, 6)).model for c in ("diag", "spherical", "full")]
    laws.same_mixture(fits[1], fits[0])
    laws.same_mixture(fits[2], fits[0])


@kinds
def test_scales_of_the_data_do_not_matter(kind):
    x = laws.family_gmm(kind, 3, 4).sample(300).frames
    floor, stop = Floor(absolute=0.0, relative=1e-6), Stop(0.0, 8)
    here, there = (fit_gmm(s * x, 3, covariance=kind, floor=floor, stop=stop).model for s in (1.0, 2.0**20))
    laws.close(there.means / 2.0**20, here.means)
    laws.close(laws.matrices(there) / 2.0**40, laws.matrices(here))


@kinds
def test_rotations_do_not_matter_where_features_may_be_correlated(kind):
    gmm, x = problem("full", 4, 5, n=200)
    turn = np.linalg.qr(RNG(0).normal(size=(5, 5)))[0]
    start = GMM(gmm.weights, gmm.means, COVARIANCES[kind].of(np.ones((4, 5))))
    turned = GMM(start.weights, start.means @ turn, start.covariance)
    for _ in range(5):
        start = maximize(start.statistics(x), start, floor=KEEP).model
        turned = maximize(turned.statistics(x @ turn), turned, floor=KEEP).model
    same = np.allclose(turned.covariance.parameters, start.covariance.parameters)
    expected = turn.T @ laws.matrices(start) @ turn
    assert np.allclose(laws.matrices(turned), expected) == (kind != "diag")
    assert same == (kind == "spherical")


@pytest.mark.parametrize("d", [2, 8, 9, 40])
def test_factors_are_inverted_to_rounding(d):
    """Small matrices are inverted all in one call, larger ones by LAPACK's routine for triangles, one by one."""
    y = RNG(d).normal(size=(3, 4 * d, d)) * np.geomspace(1e-3, 1e3, d)
    full = Full(y.transpose(0, 2, 1) @ y)
    inverse = full.inverse_lower
    laws.close(inverse @ full.lower, np.tile(np.eye(d), (3, 1, 1)))
    assert np.array_equal(Tied(full.matrices[1]).inverse_lower[0], inverse[1])


def test_what_is_symmetric_is_held_as_it_is():
    y = RNG(0).normal(size=(30, 5))
    assert np.array_equal(Tied(y.T @ y).matrix, y.T @ y)
    nearly = y.T @ y + 1e-9 * np.tri(5)
    assert np.array_equal(Tied(nearly).matrix, Tied(nearly).matrix.T)


def test_parameters_are_read_only_and_apart_from_what_was_given():
    for kind, shape in (("spherical", (2,)), ("tied", (2, 2)), ("full", (2, 2, 2))):
        given = COVARIANCES[kind].of(np.ones((2, 2))).parameters.copy()
        c = COVARIANCES[kind](given)
        assert c.parameters.shape == shape == c.shape(2, 2)
        given[...] = 9.0
        assert c.parameters.max() == 1.0
        with pytest.raises(ValueError, match="read-only"):
            c.parameters[...] = 0.0


def test_statistics_of_different_kinds_do_not_mix():
    x = np.ones((3, 2))
    diagonal, full, tied = (laws.family_gmm(c, 4, 2) for c in ("diag", "full", "tied"))
    about = [GMM(g.weights, g.means, g.covariance, np.zeros(2)) for g in (diagonal, full, tied)]
    s = [g.statistics(x) for g in about]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        with pytest.raises(IncompatibleModel, match="must be of mixtures of one shape"):
            s[i] + s[j]
        with pytest.raises(
            IncompatibleModel,
            match="second moments of shape",
        ):
            maximize(s[i], about[j])


ONE = laws.family_gmm("full", 2, 2)
X = np.zeros((3, 2))

REFUSED = {
    "spherical matrix": (lambda: Spherical([[1.0]]), "spherical variances must be a vector of shape (components,)"),
    "no variances": (lambda: Spherical([]), "spherical variances must be a vector"),
    "zero": (lambda: Spherical([1.0, 0.0]), "variances must be above 0; got 0 at component 1"),
    "NaN": (lambda: Spherical([np.nan]), "variances must be finite"),
    "full of a matrix": (lambda: Full(np.eye(2)), "must have shape (components, dimensions, dimensions)"),
    "full not square": (lambda: Full(np.ones((1, 2, 3))), "must have shape (components, dimensions, dimensions)"),
    "full infinite": (lambda: Full([[[np.inf]]]), "covariance matrices must be finite"),
    "not symmetric": (lambda: Full([[[1.0, 0.5], [0.2, 1.0]]]), "be symmetric; got a difference of 0.3"),
    "indefinite": (
        lambda: Full([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]),
        "must be positive definite; got one whose least eigenvalue is -1, at component 1. Use a larger floor",
    ),
    "negative": (lambda: Full([[[-1.0]]]), "must be positive definite"),
    "tied of matrices": (lambda: Tied(np.ones((1, 1, 1))), "must have shape (dimensions, dimensions)"),
    "tied singular": (lambda: Tied(np.ones((2, 2))), "must be positive definite"),
    "tied infinite": (lambda: Tied([[np.nan]]), "a tied covariance matrix must be finite"),
    "text": (lambda: Tied([["a"]]), "matrix must hold real numbers"),
    "other K": (lambda: GMM([1.0], [[0.0]], Spherical([1.0, 1.0])), "the covariance must fit means of shape (1, 1)"),
    "other D": (lambda: GMM([1.0], [[0.0]], Tied(np.eye(2))), "fit means of shape (1, 1); got (2, 2)"),
    "full other": (lambda: GMM([1.0], [[0.0]], Full(np.ones((2, 1, 1)))), "fit means of shape (1, 1); got (2, 1, 1)"),
    "kind": (lambda: initialize(X, 1, covariance="block"), "covariance must be one of 'diag', 'spherical', 'tied'"),
    "kind in training": (lambda: fit_gmm(X, 1, covariance="block"), "covariance must be one of 'diag', 'spherical'"),
    "weights short": (
        lambda: ONE.statistics(X, sample_weight=[1.0, 2.0]),
        "sample weights must have shape (3,), one for each frame; got shape (2,)",
    ),
    "weight negative": (
        lambda: ONE.statistics(X, sample_weight=[1.0, -2.0, 0.0]),
        "sample weights must be at least 0; got -2 at frame 1",
    ),
    "weight NaN": (lambda: ONE.statistics(X, sample_weight=[1, np.nan, 1]), "sample weights must be finite"),
    "posteriors": (lambda: ONE.assigned(X, [[1.0, 0.0]]), "be at least 0, one row for each of 3 frames; got shape (1,"),
    "posteriors negative": (lambda: ONE.assigned(X, np.full((3, 2), -1.0)), "minimum -1"),
    "posteriors wide": (lambda: ONE.assigned(X, np.ones((3, 3))), "posteriors must have 2 features"),
    "out of reach": (lambda: ONE.statistics([[0.0, 1e150]] * 2 + [[1e160, 1.0]]), "have a largest magnitude from"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()


def test_variance_of_matrices_is_that_of_all_frames():
    s = Statistics(np.zeros(2), np.array([2.0]), np.zeros((1, 2)), [[[4.0, 1.0], [1.0, 9.0]]], 0.0, 2.0)
    laws.close(s.variance, [2.0, 4.5])

"""The M-step against the textbook, floors, lost components and splitting."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, Diagonal, Floor, Statistics, maximize, split
from tests import laws, oracle

KEEP = Floor(reseed=False, occupancy=0.0)


@given(laws.problems(minimum=2))
def test_one_step_is_the_textbook_step(problem):
    gmm, x = problem
    s = gmm.statistics(x)
    assume(s.counts.min() > 1e-6)
    expected = oracle.em_step(oracle.rows(x), laws.plain(gmm), absolute=1e-10, relative=1e-4)
    laws.same_gmm(maximize(s, gmm, floor=KEEP).model, expected)


@given(laws.problems(minimum=2), st.integers(1, 4))
def test_several_steps_are_those_of_the_oracle(problem, steps):
    gmm, x = problem
    floor = Floor(absolute=0.05, relative=0.1, occupancy=0.0, reseed=False)
    model = gmm
    for _ in range(steps):
        s = model.statistics(x)
        assume((s.counts > 1e-3).all())
        model = maximize(s, model, floor=floor).model
    expected = oracle.em(oracle.rows(x), laws.plain(gmm), steps, absolute=0.05, relative=0.1)
    laws.same_gmm(model, expected, rtol=1e-6, atol=1e-6)


@given(laws.problems())
def test_the_step_never_lowers_the_likelihood(problem):
    model, x = problem
    floor = Floor(absolute=1e-3, relative=0.0, occupancy=0.0, reseed=False)  # below every start
    before = model.statistics(x)
    for _ in range(3):
        model = maximize(before, model, floor=floor).model
        after = model.statistics(x)
        assert after.log_likelihood >= before.log_likelihood - 1e-9 * (1 + abs(before.log_likelihood))
        before = after


@given(laws.problems(), st.sampled_from(["w", "m", "c", "wm", "wc", "mc", "cmw"]))
def test_only_what_is_named_is_updated(problem, update):
    gmm, x = problem
    s = gmm.statistics(x)
    part, whole = maximize(s, gmm, update=update, floor=KEEP).model, maximize(s, gmm, floor=KEEP).model
    np.testing.assert_array_equal(part.weights, (whole if "w" in update else gmm).weights)
    np.testing.assert_array_equal(part.means, (whole if "m" in update else gmm).means)
    if "c" not in update:
        assert part.covariance is gmm.covariance
    elif "m" in update:
        np.testing.assert_array_equal(laws.variances(part), laws.variances(whole))


@given(laws.problems())
def test_covariances_alone_are_taken_about_the_given_means(problem):
    gmm, x = problem
    posteriors = gmm.posteriors(x)
    counts = posteriors.sum(axis=0)
    assume(counts.min() > 1e-6)
    result = maximize(gmm.statistics(x), gmm, update="c", floor=KEEP).model
    square = (x[:, None, :] - gmm.means) ** 2
    expected = (posteriors[:, :, None] * square).sum(axis=0) / counts[:, None]
    laws.close(laws.variances(result), np.maximum(expected, KEEP.minimum(np.array(oracle.variance(oracle.rows(x))))))


@given(laws.problems(), st.floats(0.1, 10))
def test_a_prior_is_statistics_that_are_added(problem, relevance):
    gmm, x = problem
    s, prior = gmm.statistics(x), relevance * gmm.imagined()
    a, b = maximize(s, gmm, prior=prior), maximize(s + prior, gmm)
    laws.same_bits(a.model, b.model)
    assert a.notes == b.notes


@given(laws.problems(), st.floats(0.1, 10))
def test_scaled_statistics_give_the_same_mixture(problem, scale):
    gmm, x = problem
    s = gmm.statistics(x)
    assume(s.counts.min() > 1e-6)
    laws.same_gmm(maximize(scale * s, gmm, floor=KEEP).model, maximize(s, gmm, floor=KEEP).model)


@given(laws.problems(), st.floats(1e-12, 1e12))
def test_weights_of_another_scale_give_the_same_mixture_by_the_default_floors(problem, scale):
    gmm, x = problem
    weights = np.random.default_rng(len(x)).uniform(0.5, 2, len(x))
    s = gmm.statistics(x, sample_weight=weights)
    assume(s.counts.min() > 0.1001 * s.counts.mean())
    scaled = gmm.statistics(x, sample_weight=scale * weights)
    laws.same_gmm(maximize(scaled, gmm).model, maximize(s, gmm).model)


def test_frames_that_weigh_little_still_move_the_mean():
    model = GMM([1.0], [[4.0]], Diagonal([[1.0]]))
    x = np.full((200, 1), 5.0) + np.linspace(-1, 1, 200)[:, None]
    update = maximize(model.statistics(x, sample_weight=np.full(200, 1 / 400)), model)
    assert update.model.means[0, 0] == pytest.approx(5.0)
    assert update.notes == {}


FLOORS = [
    Floor(absolute=0.3, relative=0.0),
    Floor(absolute=0.0, relative=0.05),
    Floor(absolute=np.array([0.01, 0.5]), relative=1e-4),
    Floor(absolute=0.2, relative=0.02, occupancy=3.0),
    Floor(absolute=0.2, relative=0.02, occupancy=3.0, reseed=False),
]


@pytest.mark.parametrize("floor", FLOORS, ids=range(len(FLOORS)))
def test_duplicate_frames_leave_every_variance_at_or_above_the_floor(floor):
    x = np.repeat([[0.0, 1.0], [4.0, -2.0], [4.5, 7.0]], [7, 5, 4], axis=0)
    minimum = np.maximum(floor.absolute, floor.relative * x.var(axis=0))
    model = GMM(np.full(3, 1 / 3), x[[0, 8, 15]] + 0.1, Diagonal(np.ones((3, 2))))
    for _ in range(20):
        update = maximize(model.statistics(x), model, floor=floor)
        model = update.model
        assert (laws.variances(model) >= minimum * (1 - 1e-12)).all()
        assert update.notes["floored"] >= 1
    laws.close(laws.variances(model), np.broadcast_to(minimum, (3, 2)))
    assert update.notes == {"floored": 6}


@given(laws.problems(components=3, dimensions=2), st.floats(0.01, 2.0), st.floats(0.0, 0.5))
def test_no_variance_falls_below_the_floor(problem, absolute, relative):
    gmm, x = problem
    floor = Floor(absolute=absolute, relative=relative)
    model = maximize(gmm.statistics(x), gmm, floor=floor).model
    minimum = np.maximum(absolute, relative * x.var(axis=0))
    assert (laws.variances(model) >= minimum * (1 - 1e-9)).all()


def hand_made(counts, means, deviations):
    """A model and statistics whose M-step has these counts, means and deviations."""
    counts, means, deviations = np.array(counts), np.array(means), np.array(deviations)
    model = GMM(np.full(len(counts), 1 / len(counts)), means, Diagonal(deviations**2), np.zeros(means.shape[1]))
    n = counts[:, None]
    return Statistics(model.origin, counts, n * means, n * (deviations**2 + means**2), 0.0, counts.sum()), model


def test_a_lost_component_takes_half_of_the_heaviest():
    s, model = hand_made([10.0, 0.0, 6.0, 0.25], [[0.0], [7.0], [-9.0], [8.0]], [[2.0], [1.0], [3.0], [1.0]])
    update = maximize(s, model, floor=Floor(relative=0.0))
    assert update.notes == {"reseeded": 2}
    total = 16.0  # what the two lost components counted is shared by the rest
    # component 1 halves component 0, which leaves 2 as the heaviest for component 3
    laws.close(update.model.weights, np.array([5.0, 5.0, 3.0, 3.0]) / total)
    laws.close(np.sort(update.model.means[[0, 1], 0]), [0.0 - 0.2 * 2, 0.0 + 0.2 * 2])
    laws.close(np.sort(update.model.means[[2, 3], 0]), [-9.0 - 0.2 * 3, -9.0 + 0.2 * 3])
    laws.close(laws.variances(update.model)[:, 0], [4.0, 4.0, 9.0, 9.0])


def test_a_lost_component_stays_where_it_was_without_reseeding():
    s, model = hand_made([10.0, 0.0, 6.0, 0.25], [[0.0], [7.0], [-9.0], [8.0]], [[2.0], [1.0], [3.0], [1.0]])
    update = maximize(s, model, floor=Floor(relative=0.0, reseed=False))
    assert update.notes == {}
    laws.close(update.model.weights, s.counts / s.counts.sum())
    np.testing.assert_array_equal(update.model.means[[1, 3]], model.means[[1, 3]])
    np.testing.assert_array_equal(laws.variances(update.model)[[1, 3]], laws.variances(model)[[1, 3]])


@pytest.mark.parametrize("update", ["w", "m", "c", "wm", "wc"])
def test_nothing_is_reseeded_where_means_or_covariances_are_held(update):
    s, model = hand_made([10.0, 0.0], [[0.0], [7.0]], [[2.0], [1.0]])
    assert maximize(s, model, update=update).notes == {}


def test_the_occupancy_floor_is_the_bound_of_what_is_lost():
    s, model = hand_made([10.0, 0.5], [[0.0], [7.0]], [[2.0], [1.0]])
    assert maximize(s, model, floor=Floor(occupancy=0.5)).notes == {}
    assert maximize(s, model, floor=Floor(occupancy=0.6)).notes == {"reseeded": 1}


def test_the_heaviest_is_never_lost_however_little_all_count():
    s, model = hand_made([0.3, 0.001], [[1.0], [7.0]], [[2.0], [1.0]])
    update = maximize(s, model, floor=Floor(occupancy=40.0, relative=0.0))
    assert update.notes == {"reseeded": 1}
    laws.close(update.model.weights, [0.5, 0.5])
    laws.close(np.sort(update.model.means[:, 0]), [1.0 - 0.2 * 2, 1.0 + 0.2 * 2])
    alone, single = hand_made([0.3], [[0.0]], [[2.0]])
    assert maximize(alone, single).notes == {}


@given(laws.gmms(), st.data())
def test_split_halves_the_heaviest(gmm, data):
    k = gmm.n_components
    n = data.draw(st.integers(0, k))
    grown = split(gmm, n)
    heavy = np.sort(np.argsort(-gmm.weights, kind="stable")[:n])
    rest = np.setdiff1d(np.arange(k), heavy)
    assert grown.n_components == k + n
    laws.close(grown.weights[rest], gmm.weights[rest])
    np.testing.assert_array_equal(grown.means[rest], gmm.means[rest])
    for new, old in enumerate(heavy):
        pair = [old, k + new]
        laws.close(grown.weights[pair], gmm.weights[old] / 2)
        laws.close(laws.variances(grown)[pair], laws.variances(gmm)[[old, old]])
        laws.close(grown.means[pair].mean(axis=0), gmm.means[old])
        laws.close(np.abs(np.diff(grown.means[pair], axis=0)[0]), 0.4 * np.sqrt(laws.variances(gmm)[old]))
    laws.close(grown.weights.sum(), 1.0)
    np.testing.assert_array_equal(grown.origin, gmm.origin)


def both(origin=0.0, k=2, d=1):
    model = GMM(np.full(k, 1 / k), np.zeros((k, d)), Diagonal(np.ones((k, d))), np.full(d, origin))
    return model.statistics(np.zeros((2, d))), model


REFUSED = {
    "letters": (lambda: maximize(*both(), update="wv"), InvalidInput, "update must be made of the letters w, m and c"),
    "no letter": (lambda: maximize(*both(), update=""), InvalidInput, "update must be made of the letters w, m and c"),
    "components": (
        lambda: maximize(both(k=3)[0], both()[1]),
        IncompatibleModel,
        "statistics must be taken against this model of shape (2, 1); got shape (3, 1)",
    ),
    "dimensions": (lambda: maximize(both(d=2)[0], both()[1]), IncompatibleModel, "got shape (2, 2)"),
    "origin": (lambda: maximize(both(origin=1.0)[0], both()[1]), IncompatibleModel, "or another origin"),
    "no data": (lambda: maximize(0 * both()[0], both()[1]), InvalidInput, "statistics must count some frames"),
    "negative": (lambda: Floor(absolute=-1.0), InvalidInput, "the absolute floor must be at least 0; got -1"),
    "one negative": (lambda: Floor(absolute=[1.0, -2.0]), InvalidInput, "the absolute floor must be at least 0"),
    "NaN": (lambda: Floor(absolute=[np.nan]), InvalidInput, "the absolute floor must be finite"),
    "text floor": (lambda: Floor(absolute="a"), InvalidInput, "the absolute floor must hold real numbers"),
    "relative": (lambda: Floor(relative=1.5), InvalidInput, "the relative floor must be at least 0 and at most 1"),
    "occupancy": (lambda: Floor(occupancy=-1), InvalidInput, "the occupancy floor must be at least 0 frames"),
    "too many": (lambda: split(both()[1], 3), InvalidInput, "n must be at least 0 and at most 2; got 3"),
    "too few": (lambda: split(both()[1], -1), InvalidInput, "n must be at least 0 and at most 2; got -1"),
}


@pytest.mark.parametrize(("call", "error", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()

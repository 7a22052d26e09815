"""MAP adaptation: Reynolds' equations, their limits, and what iterating does."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, RELEVANCE, Diagonal, Full, Stop, Tied, Update, adapt, fit, maximize
from tests import laws, oracle

UPDATES = ["w", "m", "c", "wm", "wc", "mc", "wmc"]
relevances = st.floats(0.05, 50)
few = settings(max_examples=15)
"""For laws that are tried with each of seven updates."""


def iterated(ubm, blocks, iterations, *, n_threads=1, **settings):
    """Adapt again and again: posteriors come from the model so far, the prior is always the UBM."""
    stop = Stop(0.0, iterations)
    return fit(ubm, blocks, lambda s, _: Update(adapt(ubm, s, **settings)), stop=stop, n_threads=n_threads).model


@given(laws.problems(), relevances, st.sampled_from(["w", "m", "wm", "mc", "wmc"]))
def test_adaptation_equals_equations_11_to_14(problem, relevance, update):
    ubm, x = problem
    adapted = adapt(ubm, ubm.statistics(x), relevance=relevance, update=update)
    expected = oracle.map_adapt(oracle.rows(x), laws.plain(ubm), relevance, update.replace("c", "v"))
    laws.same_gmm(adapted, expected)
    np.testing.assert_array_equal(adapted.origin, ubm.origin)


@given(laws.problems(), relevances)
def test_covariances_alone_spread_about_the_means_of_the_ubm(problem, relevance):
    ubm, x = problem
    adapted = adapt(ubm, ubm.statistics(x), relevance=relevance, update="c")
    posteriors = ubm.posteriors(x)
    square = (posteriors[:, :, None] * (x[:, None, :] - ubm.means) ** 2).sum(axis=0)
    counts = posteriors.sum(axis=0)[:, None]
    laws.close(laws.variances(adapted), (square + relevance * laws.variances(ubm)) / (counts + relevance))
    np.testing.assert_array_equal(adapted.means, ubm.means)


@given(laws.problems(), st.floats(0.1, 30), st.floats(0.1, 30), st.floats(0.1, 30))
def test_each_letter_has_its_own_relevance(problem, w, m, c):
    ubm, x = problem
    s = ubm.statistics(x)
    adapted = adapt(ubm, s, relevance={"w": w, "m": m, "c": c}, update="wmc")
    laws.close(adapted.weights, adapt(ubm, s, relevance=w, update="w").weights)
    laws.close(adapted.means, adapt(ubm, s, relevance=m, update="m").means)
    # about the adapted means: what the data and c imagined frames of each component spread around them
    n, mean = s.counts[:, None], adapted.means - ubm.origin
    data = s.second - 2 * mean * s.first + n * mean**2
    imagined = laws.variances(ubm) + (adapted.means - ubm.means) ** 2
    floor = 1e-3 * laws.variances(ubm)
    laws.close(laws.variances(adapted), np.maximum((data + c * imagined) / (n + c), floor))


@given(laws.problems())
def test_the_default_is_means_with_relevance_four(problem):
    ubm, x = problem
    s = ubm.statistics(x)
    laws.same_bits(adapt(ubm, s), adapt(ubm, s, relevance=RELEVANCE, update="m"))
    assert RELEVANCE == 4.0
    laws.same_bits(adapt(ubm, s, relevance={}, update="wmc"), adapt(ubm, s, relevance=4, update="cmw"))


@pytest.mark.parametrize("update", UPDATES)
@few
@given(ubm=laws.gmms(), relevance=st.sampled_from([0.0, 1e-3, 4.0, 1e6]))
def test_no_data_gives_the_ubm(update, ubm, relevance):
    nothing = ubm.statistics(np.zeros((0, ubm.n_dimensions)))
    laws.same_gmm(adapt(ubm, nothing, relevance=relevance, update=update), ubm)


@pytest.mark.parametrize("update", UPDATES)
@few
@given(problem=laws.problems())
def test_relevance_to_infinity_gives_the_ubm(update, problem):
    ubm, x = problem
    laws.same_gmm(adapt(ubm, ubm.statistics(x), relevance=1e12, update=update), ubm)


@pytest.mark.parametrize("relevance", [0.0, 1e-9])
@given(problem=laws.problems(minimum=2))
def test_relevance_to_zero_gives_maximum_likelihood(relevance, problem):
    ubm, x = problem
    s = ubm.statistics(x)
    assume(s.counts.min() > 0.01)
    ml = oracle.em_step(oracle.rows(x), laws.plain(ubm))
    floored = np.maximum(ml.variances, 1e-3 * laws.variances(ubm))
    expected = oracle.Mixture(ml.weights, ml.means, floored.tolist())
    laws.same_gmm(adapt(ubm, s, relevance=relevance, update="wmc"), expected, rtol=1e-5, atol=1e-5)


def test_a_component_without_frames_stays_at_any_relevance():
    ubm = GMM([0.2, 0.3, 0.5], [[0.0], [1.0], [900.0]], Diagonal([[1.0], [2.0], [3.0]]))
    x = np.linspace(-2, 3, 11)[:, None]
    s = ubm.statistics(x)
    assert s.counts[2] == 0.0
    for relevance in (0.0, 1e-9, 4.0):
        adapted = adapt(ubm, s, relevance=relevance, update="wmc")
        laws.close(adapted.means[2], 900.0, rtol=1e-12)
        laws.close(laws.variances(adapted)[2], 3.0)
        # eq. 11 leaves its weight, which the scaling to sum 1 then takes a share of
        alpha = s.counts / (s.counts + relevance) if relevance else np.array([1.0, 1.0, 0.0])
        raw = alpha * s.counts / 11 + (1 - alpha) * ubm.weights
        laws.close(adapted.weights, raw / raw.sum())
    seen = maximize(s, ubm, update="m").model.means[:2]
    laws.close(adapt(ubm, s, relevance=0.0).means[:2], seen)


@given(laws.problems(minimum=2), relevances, st.data())
def test_pieces_are_as_good_as_all_at_once(problem, relevance, data):
    ubm, x = problem
    cut = data.draw(st.integers(0, len(x)))
    pieces = ubm.statistics(x[:cut]) + ubm.statistics(x[cut:])
    together = ubm.statistics(x)
    laws.same_gmm(*(adapt(ubm, s, relevance=relevance, update="wmc") for s in (pieces, together)))


@given(
    laws.problems(),
    st.fixed_dictionaries(dict.fromkeys("wmc", st.sampled_from([0.0, 1e-6, 0.5, 16.0, 1e6]))),
    st.sampled_from(UPDATES),
)
def test_variances_stay_positive_and_weights_sum_to_one(problem, relevance, update):
    ubm, x = problem
    adapted = adapt(ubm, ubm.statistics(x), relevance=relevance, update=update)
    assert (laws.variances(adapted) >= 1e-3 * laws.variances(ubm) * (1 - 1e-12)).all()
    assert adapted.weights.min() >= 0
    laws.close(adapted.weights.sum(), 1.0)
    assert adapted.n_components == ubm.n_components


def test_one_frame_far_off_cannot_collapse_a_component():
    ubm = laws.random_gmm(3, 2)
    adapted = adapt(ubm, ubm.statistics([[40.0, 40.0]]), relevance=0.0, update="mc")
    heaviest = ubm.posteriors([[40.0, 40.0]]).argmax()
    laws.close(laws.variances(adapted)[heaviest], 1e-3 * laws.variances(ubm)[heaviest])


@given(laws.problems(), relevances)
def test_means_move_along_the_line_to_the_data(problem, relevance):
    ubm, x = problem
    s = ubm.statistics(x)
    assume(s.counts.min() > 1e-3)
    alpha = s.counts / (s.counts + relevance)
    target = s.first / s.counts[:, None] + ubm.origin
    adapted = adapt(ubm, s, relevance=relevance)
    laws.close(adapted.means - ubm.means, alpha[:, None] * (target - ubm.means), atol=1e-8)


@pytest.mark.parametrize("update", UPDATES)
@few
@given(problem=laws.problems(), relevance=relevances)
def test_one_iteration_is_plain_adaptation(update, problem, relevance):
    ubm, x = problem
    once = iterated(ubm, [x], 1, relevance=relevance, update=update)
    laws.same_bits(once, adapt(ubm, ubm.statistics(x), relevance=relevance, update=update))


@given(laws.problems(), st.integers(2, 4))
def test_iterating_takes_posteriors_from_the_model_so_far_and_the_prior_from_the_ubm(problem, iterations):
    ubm, x = problem
    expected = ubm
    for _ in range(iterations):
        expected = adapt(ubm, expected.statistics(x), update="wmc")
    laws.same_bits(iterated(ubm, [x], iterations, update="wmc"), expected)


@given(laws.problems(), relevances)
def test_iterating_never_lowers_the_penalized_objective(problem, relevance):
    ubm, x = problem
    mixture, frames = laws.plain(ubm), oracle.rows(x)

    def objective(model):
        prior = oracle.log_prior(model.means.tolist(), mixture, relevance)
        return math.fsum(oracle.log_density(row, laws.plain(model)) for row in frames) + prior

    models = [ubm, *(iterated(ubm, [x], i, relevance=relevance) for i in (1, 2, 3, 5))]
    values = [objective(m) for m in models]
    assert all(b >= a - 1e-8 * (1 + abs(a)) for a, b in itertools.pairwise(values))


def test_threads_change_no_bit():
    ubm = laws.random_gmm(4, 3)
    blocks = np.array_split(laws.random_gmm(4, 3, seed=1).sample(900).frames, 5)
    laws.same_bits(iterated(ubm, blocks, 3, n_threads=2), iterated(ubm, blocks, 3, n_threads=1))


UBM = GMM([0.4, 0.6], [[0.0], [1.0]], Diagonal(np.ones((2, 1))))
S = UBM.statistics([[0.5]])


@pytest.mark.parametrize("covariance", [Full([[[1, 0.9999], [0.9999, 1]]]), Tied([[1, 0.9999], [0.9999, 1]])])
def test_nothing_to_learn_changes_no_correlation(covariance):
    """A floor made of the deviations alone would raise the small eigenvalue of correlated features."""
    ubm = GMM([1.0], [[3.0, -2.0]], covariance)
    adapted = adapt(ubm, ubm.statistics(np.zeros((0, 2))), update="mc")
    laws.close(adapted.means, ubm.means)
    laws.close(adapted.covariance.parameters, covariance.parameters, rtol=1e-9)


REFUSED = {
    "v": (
        lambda: adapt(UBM, S, update="wmv"),
        InvalidInput,
        "update must be made of the letters w, m and c; got 'wmv'",
    ),
    "nothing": (lambda: adapt(UBM, S, update=""), InvalidInput, "update must be made of the letters w, m and c"),
    "negative": (lambda: adapt(UBM, S, relevance=-1), InvalidInput, "relevance must be at least 0 frames"),
    "infinite": (lambda: adapt(UBM, S, relevance=np.inf), InvalidInput, "got inf frames. Give a number, or a mapping"),
    "NaN": (lambda: adapt(UBM, S, relevance=np.nan), InvalidInput, "relevance must be at least 0 frames"),
    "text": (lambda: adapt(UBM, S, relevance="16"), InvalidInput, "relevance must be a number; got '16'"),
    "other letter": (lambda: adapt(UBM, S, relevance={"v": 1}), InvalidInput, "be given for w, m and c; got v"),
    "letter negative": (lambda: adapt(UBM, S, relevance={"w": -1}), InvalidInput, "relevance must be at least 0"),
    "shape": (
        lambda: adapt(UBM, laws.random_gmm(3, 1).statistics([[0.5]])),
        IncompatibleModel,
        "statistics must be taken against this UBM of shape (2, 1); got shape (3, 1), or another origin. "
        "Use ubm.statistics(frames).",
    ),
    "origin": (
        lambda: adapt(UBM, GMM(UBM.weights, UBM.means, UBM.covariance, [0.0]).statistics([[0.5]])),
        IncompatibleModel,
        "or another origin",
    ),
}


@pytest.mark.parametrize(("call", "error", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()

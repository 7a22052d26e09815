"""Laws of the metrics, slow oracles that follow the definitions, and cases done by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import (
    NIST,
    Failures,
    Scores,
    actual_dcf,
    cllr,
    cmc,
    det_points,
    eer,
    evaluate,
    identification_rate,
    min_cllr,
    min_dcf,
    open_set_rate,
    roc_hull,
    roc_points,
)

# few distinct whole numbers: many ties, and exact arithmetic
tied = st.lists(st.integers(-6, 6), min_size=1, max_size=30)
spread = st.lists(st.floats(-50, 50), min_size=1, max_size=30)
endless = st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 1.0, math.inf]), min_size=1, max_size=12)
either = st.one_of(st.tuples(tied, tied), st.tuples(spread, spread))
any_kind = st.one_of(either, st.tuples(endless, endless))
priors = st.floats(0.001, 0.999)
by_order = [eer, min_dcf, min_cllr]  # the metrics that depend on the order of the scores only


# Oracles


def brute_rates(targets, nontargets):
    """(threshold, P_fa, P_miss) at every threshold, by counting."""
    for threshold in sorted({*targets, *nontargets}):
        p_fa = sum(s >= threshold for s in nontargets) / len(nontargets)
        p_miss = sum(s < threshold for s in targets) / len(targets)
        yield threshold, p_fa, p_miss
    yield math.inf, 0.0, 1.0  # none is accepted, not even infinity


def brute_min_dcf(targets, nontargets, prior, cost_miss, cost_fa):
    costs = [prior * cost_miss * m + (1 - prior) * cost_fa * f for _, f, m in brute_rates(targets, nontargets)]
    return min(costs) / min(prior * cost_miss, (1 - prior) * cost_fa)


def brute_hull_eer(targets, nontargets):
    """The EER on the hull: the lowest crossing of the diagonal by a chord of any two points of the ROC."""
    points = [(f, m) for _, f, m in brute_rates(targets, nontargets)]
    crossings = []
    for f0, m0 in points:
        for f1, m1 in points:
            if m0 - f0 <= 0 <= m1 - f1 and m0 - f0 < m1 - f1:
                share = (f0 - m0) / ((m1 - f1) - (m0 - f0))
                crossings.append(m0 + share * (m1 - m0))
    return min(crossings)


def brute_cllr(targets, nontargets):
    c_t = sum(math.inf if s == -math.inf else math.log2(1 + math.exp(-s)) for s in targets) / len(targets)
    c_n = sum(math.inf if s == math.inf else math.log2(1 + math.exp(s)) for s in nontargets) / len(nontargets)
    return (c_t + c_n) / 2


def isotonic_posteriors(targets, nontargets):
    """scikit-learn's PAV: scores, and the posterior of a target at each."""
    scores = np.array([*targets, *nontargets], dtype=float)
    labels = np.r_[np.ones(len(targets)), np.zeros(len(nontargets))]
    distinct, group = np.unique(scores, return_inverse=True)
    weight = np.bincount(group)
    return distinct, isotonic_regression(np.bincount(group, labels) / weight, sample_weight=weight)


# The structure


@given(any_kind)
def test_roc_points_are_the_rates_at_every_threshold(pair):
    roc = roc_points(*pair)
    expected = np.array(list(brute_rates(*pair)))
    np.testing.assert_array_equal(roc.thresholds, expected[:, 0])
    np.testing.assert_allclose(roc.p_fa, expected[:, 1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(roc.p_miss, expected[:, 2], rtol=0, atol=1e-15)


@given(any_kind)
def test_hull_is_convex_and_below_every_point_of_the_roc(pair):
    hull, roc = roc_hull(*pair), roc_points(*pair)
    assert (hull.p_fa[0], hull.p_miss[0], hull.p_fa[-1], hull.p_miss[-1]) == (1, 0, 0, 1)
    assert (np.diff(hull.p_fa) <= 0).all()
    assert (np.diff(hull.p_miss) >= 0).all()
    x, y = np.cumsum(hull.nontargets), np.cumsum(hull.targets)
    turns = hull.nontargets[:-1] * hull.targets[1:] - hull.targets[:-1] * hull.nontargets[1:]
    assert (turns > 0).all()
    assert (x[-1], y[-1]) == (len(pair[1]), len(pair[0]))
    for weight in (0, 0.1, 0.5, 0.9, 1):  # no line lies lower for the ROC than for its hull
        cost = weight * roc.p_miss + (1 - weight) * roc.p_fa
        assert (weight * hull.p_miss + (1 - weight) * hull.p_fa).min() <= cost.min() + 1e-12


@given(any_kind)
def test_det_points_are_the_corners_of_the_staircase(pair):
    det = det_points(*pair)
    rates = {(f, m) for _, f, m in brute_rates(*pair)}
    found = list(zip(det.p_fa.tolist(), det.p_miss.tolist(), strict=True))
    assert found[0] == (1, 0)
    assert found[-1] == (0, 1)
    for rate in found:
        assert any(rate == pytest.approx(other, abs=1e-12) for other in rates)
    for f0, m0 in rates:  # each point of the ROC lies between two corners on a level or an upright
        below = [f for f, m in found if m == pytest.approx(m0, abs=1e-12)]
        assert below
        assert min(below) - 1e-12 <= f0 <= max(below) + 1e-12
    assert len(found) <= 2 * len(set(pair[0])) + 2


@given(either)
def test_the_best_vertex_and_the_threshold_of_equal_errors(pair):
    hull = roc_hull(*pair)
    best = hull.best_vertex(prior=0.3, cost_miss=2.0)
    cost = (0.3 * 2 * hull.p_miss + 0.7 * hull.p_fa) / 0.6
    assert cost[best] == pytest.approx(hull.min_dcf(prior=0.3, cost_miss=2.0))
    cut = hull.eer_threshold()
    fa = sum(s >= cut for s in pair[1]) / len(pair[1])
    miss = sum(s < cut for s in pair[0]) / len(pair[0])
    assert abs(fa - miss) == pytest.approx(np.abs(hull.p_fa - hull.p_miss).min())


@given(either)
def test_hull_vertices_are_thresholds_of_the_roc(pair):
    hull = roc_hull(*pair)
    rates = {threshold: (f, m) for threshold, f, m in brute_rates(*pair)}
    for threshold, f, m in zip(hull.thresholds, hull.p_fa, hull.p_miss, strict=True):
        assert (f, m) == pytest.approx(rates[threshold], abs=1e-12)


@given(either)
def test_blocks_are_those_of_scikit_learns_isotonic_regression(pair):
    hull = roc_hull(*pair)
    scores, posteriors = isotonic_posteriors(*pair)
    block = np.searchsorted(hull.thresholds, scores, side="right") - 1
    own = hull.targets / (hull.targets + hull.nontargets)
    np.testing.assert_allclose(own[block], posteriors, rtol=0, atol=1e-12)
    assert (np.diff(own) > 0).all()


@given(any_kind)
def test_llrs_of_the_blocks_increase_and_follow_from_their_counts(pair):
    hull = roc_hull(*pair)
    odds = len(pair[0]) / len(pair[1])
    for llr, t, n in zip(hull.llr, hull.targets, hull.nontargets, strict=True):
        expected = -math.inf if t == 0 else math.inf if n == 0 else math.log(t / n / odds)
        assert llr == pytest.approx(expected, abs=1e-12)
    assert (hull.llr[1:] > hull.llr[:-1]).all()


# The metrics against their oracles


@given(any_kind, priors, st.floats(0.1, 10), st.floats(0.1, 10))
def test_min_dcf_is_the_least_cost_of_all_thresholds(pair, prior, cost_miss, cost_fa):
    found = min_dcf(*pair, prior=prior, cost_miss=cost_miss, cost_fa=cost_fa)
    assert found == pytest.approx(brute_min_dcf(*pair, prior, cost_miss, cost_fa), rel=1e-9, abs=1e-12)


@given(any_kind)
def test_eer_is_where_the_hull_crosses_the_diagonal(pair):
    assert eer(*pair) == pytest.approx(brute_hull_eer(*pair), abs=1e-12)


@given(any_kind)
def test_cllr_is_the_formula(pair):
    assert cllr(*pair) == pytest.approx(brute_cllr(*pair), rel=1e-12)


@given(either)
def test_min_cllr_is_cllr_of_isotonic_llrs(pair):
    targets, nontargets = (np.asarray(x, dtype=float) for x in pair)
    scores, posterior = isotonic_posteriors(targets, nontargets)
    with np.errstate(divide="ignore"):
        llr = np.log(posterior) - np.log1p(-posterior) - math.log(len(targets) / len(nontargets))
    llr[posterior < 1e-12], llr[posterior > 1 - 1e-12] = -np.inf, np.inf
    at_t, at_n = llr[np.searchsorted(scores, targets)], llr[np.searchsorted(scores, nontargets)]
    oracle = (np.logaddexp(0, -at_t).mean() + np.logaddexp(0, at_n).mean()) / 2 / math.log(2)
    assert min_cllr(*pair) == pytest.approx(oracle, abs=1e-9)


@given(either, priors)
def test_actual_dcf_decides_at_the_bayes_threshold(pair, prior):
    threshold = math.log((1 - prior) / prior)
    miss = sum(s < threshold for s in pair[0]) / len(pair[0])
    fa = sum(s >= threshold for s in pair[1]) / len(pair[1])
    if min(abs(s - threshold) for s in (*pair[0], *pair[1])) > 1e-9:  # rounding may decide at the threshold itself
        expected = (prior * miss + (1 - prior) * fa) / min(prior, 1 - prior)
        assert actual_dcf(*pair, prior=prior) == pytest.approx(expected, rel=1e-9)


def test_actual_dcf_accepts_a_score_at_the_threshold():
    assert actual_dcf([0.0], [-1.0], prior=0.5) == 0
    assert actual_dcf([1.0], [0.0], prior=0.5) == 1


# Laws


@pytest.mark.parametrize("metric", by_order)
@pytest.mark.parametrize("transform", [lambda x: 3 * x + 7, lambda x: x**3, np.exp2], ids=["affine", "cube", "exp2"])
@given(pair=st.tuples(tied, tied))
def test_increasing_maps_of_the_scores_change_nothing(metric, transform, pair):
    mapped = [transform(np.array(x, dtype=float)) for x in pair]
    assert metric(*mapped) == metric(*pair)


@pytest.mark.parametrize("metric", [*by_order, cllr, actual_dcf])
@given(pair=either, copies=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_repeating_all_trials_of_a_kind_changes_nothing(metric, pair, copies):
    repeated = [list(x) * k for x, k in zip(pair, copies, strict=True)]
    assert metric(*repeated) == pytest.approx(metric(*pair), abs=1e-12)


@pytest.mark.parametrize("metric", [*by_order, cllr])
@given(pair=either)
def test_turning_the_sign_and_swapping_the_roles_changes_nothing(metric, pair):
    options = {"prior": 0.5} if metric is min_dcf else {}
    swapped = [[-s for s in pair[1]], [-s for s in pair[0]]]
    assert metric(*swapped, **options) == pytest.approx(metric(*pair, **options), abs=1e-12)


@given(either, priors)
def test_swapped_roles_take_the_other_prior(pair, prior):
    swapped = [[-s for s in pair[1]], [-s for s in pair[0]]]
    assert min_dcf(*swapped, prior=1 - prior) == pytest.approx(min_dcf(*pair, prior=prior), rel=1e-9, abs=1e-12)


@given(any_kind)
def test_eer_on_the_hull_is_at_most_the_raw_one_and_a_half(pair):
    raw = min(max(f, m) for _, f, m in brute_rates(*pair))
    assert eer(*pair) <= min(raw, 0.5) + 1e-12


@given(either)
def test_eer_is_the_least_error_rate_at_the_hardest_prior(pair):
    hull = roc_hull(*pair)
    weights = np.linspace(0, 1, 501)[:, None]
    least = (weights * hull.p_miss + (1 - weights) * hull.p_fa).min(axis=1)
    assert least.max() <= eer(*pair) + 1e-12
    assert least.max() == pytest.approx(eer(*pair), abs=2 / 500)


@given(either)
def test_bounds(pair):
    assert 0 <= min_cllr(*pair) <= 1 + 1e-12
    assert min_cllr(*pair) <= cllr(*pair) + 1e-12
    assert 0 <= min_dcf(*pair) <= 1
    assert min_dcf(*pair) <= actual_dcf(*pair) + 1e-12


@given(st.tuples(endless, endless))
def test_infinities_are_only_the_outermost_scores(pair):
    finite = [[max(-9.0, min(9.0, s)) for s in x] for x in pair]
    for metric in (eer, min_dcf, min_cllr):
        assert metric(*pair) == pytest.approx(metric(*finite), abs=1e-12)
    assert actual_dcf(*pair, prior=0.3) == actual_dcf(*finite, prior=0.3)


@given(spread, st.booleans())
def test_one_target_alone(nontargets, first):
    target = max(nontargets) + 1 if first else min(nontargets) - 1
    assert eer([target], nontargets) == pytest.approx(0 if first else 0.5)
    assert min_cllr([target], nontargets) == pytest.approx(0 if first else 1)
    assert min_dcf([target], nontargets) == pytest.approx(0 if first else 1)


@given(tied, tied)
def test_perfect_separation_costs_nothing(low, high):
    targets, nontargets = [s + 20 for s in high], low
    assert [metric(targets, nontargets) for metric in by_order] == [0, 0, 0]


@given(st.integers(1, 9), st.integers(1, 9), st.floats(-5, 5))
def test_identical_scores_say_nothing(t, n, score):
    assert [metric([score] * t, [score] * n) for metric in by_order] == [0.5, 1, 1]


def test_scores_upside_down_are_as_bad_as_none():
    assert [metric([0, 1], [2, 3]) for metric in by_order] == [0.5, 1, 1]


# By hand


def test_a_case_by_hand():
    targets, nontargets = [1.0, 3.0, 4.0], [0.0, 2.0]
    hull = roc_hull(targets, nontargets)
    np.testing.assert_array_equal(hull.thresholds, [0, 1, 3, np.inf])
    np.testing.assert_array_equal(hull.p_fa, [1, 0.5, 0, 0])
    np.testing.assert_allclose(hull.p_miss, [0, 0, 1 / 3, 1])
    np.testing.assert_array_equal(hull.targets, [0, 1, 2])
    np.testing.assert_array_equal(hull.nontargets, [1, 1, 0])
    assert eer(targets, nontargets) == pytest.approx(0.2)  # (0.5, 0) to (0, 1/3) meets the diagonal at 0.2
    assert min_dcf(targets, nontargets, prior=0.5) == pytest.approx(1 / 3)
    assert min_dcf(targets, nontargets, prior=0.01) == pytest.approx(1 / 3)
    assert min_dcf(targets, nontargets, prior=0.9) == pytest.approx(0.5)
    posterior = (1 / 3) / (1 / 3 + 1 / 2)
    assert min_cllr(targets, nontargets) == pytest.approx(
        -(math.log2(posterior) / 3 + math.log2(1 - posterior) / 2) / 2
    )


def test_nist_costs_by_hand():
    # SRE 2008: P = 0.01, C_miss = 10, C_fa = 1; normalizer 0.1; one miss of four and one false alarm of a hundred
    targets, nontargets = [0, 5, 5, 5], [1] * 99 + [5]
    cost = (0.1 * 0.25 + 0.99 * 0.01) / 0.1
    assert min_dcf(targets, nontargets, prior=0.01, cost_miss=10) == pytest.approx(cost)


def test_the_table_of_nist():
    expected = {
        "SRE08": [(0.01, 10, 1)],
        "SRE10": [(0.001, 1, 1)],
        "SRE12": [(0.01, 1, 1), (0.001, 1, 1)],
        "SRE16": [(0.01, 1, 1), (0.005, 1, 1)],
        "SRE18 CMN2": [(0.01, 1, 1), (0.005, 1, 1)],
        "SRE18 VAST": [(0.05, 1, 1)],
        "SRE19 CTS": [(0.01, 1, 1), (0.005, 1, 1)],
        "SRE19 AV": [(0.05, 1, 1)],
    }
    assert {k: [(p.prior, p.cost_miss, p.cost_fa) for p in points] for k, points in NIST.items()} == expected
    with pytest.raises(TypeError):
        NIST["SRE99"] = ()


def test_cllr_of_large_scores_neither_overflows_nor_loses_them():
    assert cllr([1e4], [-1e4]) == 0
    assert cllr([-1e4], [1e4]) == pytest.approx(1e4 / math.log(2))


def test_float32_scores_are_taken_as_they_are():
    x = np.float32([0.1, 0.2, 0.3])
    assert eer(x, x - 1) == eer(x.astype(float), (x - 1).astype(float))


def test_a_large_case_agrees_with_theory():
    rng = np.random.default_rng(0)
    targets, nontargets = rng.normal(2, 2, 100_000), rng.normal(-2, 2, 100_000)
    # equal variances 2 d with means +-d: these are calibrated LLRs, with EER = Phi(-d / sqrt(2 d)), here d = 2
    assert eer(targets, nontargets) == pytest.approx(0.5 * math.erfc(1 / math.sqrt(2)), abs=0.003)
    assert cllr(targets, nontargets) == pytest.approx(min_cllr(targets, nontargets), abs=0.003)


# Identification


def table(rows):
    return Scores(*zip(*rows, strict=True))


CLOSED = [
    ("ann", "a", 3.0, 1),
    ("bob", "a", 1.0, 0),
    ("cid", "a", 2.0, 0),
    ("ann", "b", 2.0, 0),
    ("bob", "b", 1.0, 1),
    ("cid", "b", 0.0, 0),
]
OPEN = [("ann", "x", 9.0, 0), ("bob", "x", 8.0, 0), ("cid", "x", 7.0, 0)]


@pytest.mark.parametrize(("rank", "rate"), [(1, 0.5), (2, 1.0), (9, 1.0)])
def test_identification_rate_by_hand(rank, rate):
    assert identification_rate(table(CLOSED), rank=rank) == rate


def test_ties_count_against_the_system():
    scores = table([("ann", "a", 1.0, 1), ("bob", "a", 1.0, 0), ("cid", "a", 0.0, 0)])
    assert identification_rate(scores) == 0
    assert identification_rate(scores, rank=2) == 1


def test_tests_without_a_target_or_with_two_are_not_counted():
    two = [("ann", "t", 0.0, 1), ("bob", "t", 0.0, 1), ("cid", "t", 9.0, 0)]
    assert identification_rate(table(CLOSED + OPEN + two)) == 0.5


@given(st.data())
def test_identification_rate_against_a_loop(data):
    speakers, tests = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    score = np.array(data.draw(st.lists(st.integers(0, 4), min_size=speakers * tests, max_size=speakers * tests)))
    score = score.reshape(tests, speakers).astype(float)
    own = [data.draw(st.integers(0, speakers - 1)) for _ in range(tests)]
    rank = data.draw(st.integers(1, 3))
    rows = [
        (f"s{s}", f"t{t}", score[t, s], int(s == own[t]))
        for t, s in data.draw(st.permutations([(t, s) for t in range(tests) for s in range(speakers)]))
    ]
    hits = 0
    for t in range(tests):
        better = [s for s in range(speakers) if s != own[t] and score[t, s] >= score[t, own[t]]]
        hits += len(better) + 1 <= rank
    assert identification_rate(table(rows), rank=rank) == pytest.approx(hits / tests)


# Evaluation


def test_evaluate_is_the_metrics_together():
    scores = table(CLOSED)
    pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
    options = {"prior": 0.2, "cost_miss": 5.0, "cost_fa": 2.0}
    found = evaluate(scores, **options)
    assert (found.trials, found.targets, found.nontargets, found.tests) == (6, 2, 4, 2)
    assert (found.eer, found.cllr, found.min_cllr) == (eer(*pair), cllr(*pair), min_cllr(*pair))
    assert (found.min_dcf, found.actual_dcf) == (min_dcf(*pair, **options), actual_dcf(*pair, **options))
    assert (found.prior, found.cost_miss, found.cost_fa) == (0.2, 5.0, 2.0)
    assert found.identification_rate == 0.5
    assert found.left_out == (
        "open_set: no test is of a stranger (without a target trial)",
        "durations: there is no column test_seconds",
        "failures: there is no column failed, so that nobody knows of any",
        "intervals: target trials of 2 speakers; fewer than 5 are too few to draw from",
    )


def matrix(seed=0, enrolled=10, strangers=3, tests=4):
    """Scores of each test of some enrolled speakers and strangers against everybody enrolled, all columns filled."""
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(enrolled + strangers)]
    columns = [
        (model, f"{who}-{k}", rng.normal(3.0 * (who == model)), int(who == model), who, "", 9.0, 1.0 + k + 4 * i)
        for i, who in enumerate(people)
        for k in range(tests)
        for model in people[:enrolled]
    ]
    return table(columns)


def test_evaluate_of_a_whole_table_leaves_nothing_out():
    scores = dataclasses.replace(matrix(strangers=25), failures=Failures())
    found = evaluate(scores, replicates=50)
    pair = scores.score[scores.target == 1], scores.score[scores.target == 0]
    assert found.left_out == ("identification_rate: 100 of 140 tests not counted, with no target trial (open set)",)
    assert (found.speakers, found.tests) == (10, 140)
    np.testing.assert_array_equal(found.cmc, cmc(scores, 10))
    assert found.open_set == open_set_rate(scores, 0.01)
    assert found.confusion.accuracy == pytest.approx(found.identification_rate)
    assert found.durations[0].eer > 0
    for cost in found.nist:
        costs = [{"prior": p.prior, "cost_miss": p.cost_miss, "cost_fa": p.cost_fa} for p in NIST[cost.name]]
        assert cost.min_dcf == pytest.approx(np.mean([min_dcf(*pair, **c) for c in costs]))
        assert cost.actual_dcf == pytest.approx(np.mean([actual_dcf(*pair, **c) for c in costs]))
    for name in ("eer", "min_dcf", "actual_dcf", "cllr", "min_cllr", "identification_rate"):
        interval = found.intervals[name]
        assert interval.estimate == pytest.approx(getattr(found, name)), name
        assert interval.low <= interval.high, name
    assert found.intervals["open_set_rate"].estimate == found.open_set.rate
    assert found.intervals["min_dcf SRE10"].estimate == pytest.approx(found.nist[1].min_dcf)


@pytest.mark.parametrize(
    ("strangers", "tests", "reason"),
    [
        (3, 4, "12 tests of strangers cannot tell a rate of 0.01"),
        (4, 25, "tests of 4 strangers; fewer than 5 are too few to draw from"),
    ],
)
def test_evaluate_says_where_strangers_are_too_few_for_an_interval(strangers, tests, reason):
    found = evaluate(matrix(strangers=strangers, tests=tests), replicates=20)
    assert found.left_out[-1] == f"intervals: open_set_rate: {reason}"
    assert "open_set_rate" not in found.intervals
    assert "identification_rate" in found.intervals


def test_evaluate_without_replicates_says_so():
    found = evaluate(matrix(), replicates=0)
    assert found.intervals == {}
    assert "intervals: not asked for (0 replicates)" in found.left_out
    assert all(d.interval is None for d in found.durations)


def test_evaluate_says_where_strangers_are_not_told_apart():
    scores = matrix()
    bare = Scores(scores.speaker, scores.test, scores.score, scores.target)
    reason = "intervals: without the column test_speaker each test of a stranger counts as another stranger"
    assert reason in evaluate(bare, replicates=20).left_out


def test_lengths_that_nobody_knows_are_a_missing_column():
    scores = matrix()
    bare = Scores(scores.speaker, scores.test, scores.score, scores.target, test_seconds=np.full(len(scores), np.nan))
    assert "durations: no length is known" in evaluate(bare, replicates=0).left_out


def test_the_same_seed_gives_the_same_evaluation():
    many = matrix(enrolled=25)  # more than replicates, so that groups are drawn
    first, second, other = (evaluate(many, replicates=20, seed=seed).as_dict() for seed in (1, 1, 2))
    assert first == second != other


def test_as_dict_goes_through_json():
    for scores in (table(CLOSED), matrix()):
        found = evaluate(scores, replicates=20).as_dict()
        assert json.loads(json.dumps(found)) == found
        wanted = {"trials", "targets", "eer", "min_dcf", "cllr", "min_cllr", "identification_rate", "left_out"}
        assert wanted | {"nist", "cmc", "open_set", "durations", "confusions", "intervals"} <= set(found)
    assert set(found["intervals"]["eer"]) == {"estimate", "low", "high", "level"}
    assert set(found["confusions"][0]) == {"speaker", "taken_for", "tests"}
    assert set(found["nist"]["SRE08"]) == {"min_dcf", "actual_dcf"}


def test_evaluate_says_which_tests_it_does_not_count():
    two = [("ann", "t", 0.0, 1), ("bob", "t", 0.0, 1), ("cid", "t", 9.0, 0)]
    found = evaluate(table(CLOSED + OPEN + two))
    assert found.identification_rate == 0.5
    assert found.left_out[:2] == (
        "identification_rate: 1 of 4 tests not counted, with no target trial (open set)",
        "identification_rate: 1 of 4 tests not counted, with more than one target trial",
    )


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (CLOSED[:-1], "1 of 2 tests are not scored against all 3 speakers"),
        ([("ann", "a", 1.0, 1), ("ann", "b", 0.0, 0)], "there is one speaker only"),
        (
            [("ann", "a", 1.0, 1), ("bob", "a", 1.0, 1), ("ann", "b", 0.0, 0)],
            "no test has exactly one target trial",
        ),
    ],
)
def test_evaluate_leaves_out_an_identification_rate_that_would_mislead(rows, why):
    found = evaluate(table(rows))
    assert found.identification_rate is None
    assert (found.cmc, found.confusion, found.open_set) == ((), None, None)
    assert found.as_dict()["left_out"][0] == f"identification_rate, cmc, confusions, open_set: {why}"


# Refusals


@pytest.mark.parametrize("metric", [*by_order, cllr, actual_dcf, roc_points, roc_hull])
@pytest.mark.parametrize(
    ("targets", "nontargets", "message"),
    [
        ([], [1.0], r"target_scores must hold at least one score; got none\. Without target trials"),
        ([1.0], [], r"nontarget_scores must hold at least one score; got none\. Without nontarget trials"),
        ([1.0, math.nan], [1.0], r"target_scores must hold numbers; got 1 NaN of 2"),
        ([1.0], [-math.nan], r"nontarget_scores must hold numbers; got 1 NaN of 1"),
        ([[1.0]], [1.0], r"target_scores must be one-dimensional; got shape \(1, 1\)"),
        ([1.0], ["a"], "nontarget_scores must hold real numbers"),
    ],
)
def test_bad_scores_are_refused(metric, targets, nontargets, message):
    with pytest.raises(InvalidInput, match=message):
        metric(targets, nontargets)


@pytest.mark.parametrize("metric", [min_dcf, actual_dcf])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": 0}, "prior must be above 0 and below 1; got 0"),
        ({"prior": 1}, "prior must be above 0 and below 1; got 1"),
        ({"prior": math.nan}, "prior must be above 0"),
        ({"prior": "much"}, "prior must be a number; got 'much'"),
        ({"cost_miss": 0}, "cost_miss must be above 0; got 0"),
        ({"cost_fa": -1}, "cost_fa must be above 0; got -1"),
        ({"cost_fa": math.inf}, "cost_fa must be finite; got inf"),
    ],
)
def test_bad_applications_are_refused(metric, options, message):
    with pytest.raises(InvalidInput, match=message):
        metric([1.0], [0.0], **options)


@pytest.mark.parametrize("function", [evaluate, identification_rate])
def test_unlabeled_trials_are_refused(function):
    rows = [("ann", "a", 1.0, 1), ("bob", "a", 0.0, -1), ("cid", "a", 0.0, -1)]
    message = (
        r"target must be 1 or 0 in every trial; got 2 of 3 trials without a label, "
        r"the first speaker 'bob' with test 'a'\. Take the labels from a list of trials \(join, or --trials\)\."
    )
    with pytest.raises(InvalidInput, match=message):
        function(table(rows))


@pytest.mark.parametrize(("target", "kind"), [(0, "target_scores"), (1, "nontarget_scores")])
def test_one_kind_of_trials_alone_is_refused(target, kind):
    with pytest.raises(InvalidInput, match=f"^{kind} must hold at least one score; got none"):
        evaluate(table([("ann", "a", 1.0, target)]))


def test_identification_without_any_target_is_refused():
    with pytest.raises(InvalidInput, match=r"scores must hold a test with exactly one target trial, .*; got none"):
        identification_rate(table(OPEN))


def test_a_rank_below_one_is_refused():
    with pytest.raises(InvalidInput, match="rank must be at least 1; got 0"):
        identification_rate(table(CLOSED), rank=0)

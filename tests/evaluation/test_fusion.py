"""Fusion: known mixtures, simulated systems, what is the same whatever the order, and what is refused."""

import numpy as np
import pytest
from scipy.special import logit

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Fusion, Scores, cllr, eer, fit_fusion, min_cllr


def table(score, target, prefix="t"):
    rows = len(score)
    return Scores(["m"] * rows, [f"{prefix}{i}" for i in range(rows)], score, target)


def split(scores):
    return scores.score[scores.target == 1], scores.score[scores.target == 0]


def simulated(seed, n=4000):
    """Two systems with independent errors, one on a strange scale: their LLRs are d * x - d**2 / 2."""
    rng = np.random.default_rng(seed)
    target = (np.arange(n) % 4 == 0).astype(int)
    first = rng.normal(2.0 * target, 1.0)
    second = rng.normal(1.5 * target, 1.0)
    return {"a": table(first, target), "b": table(100 + 40 * second, target)}


def test_weights_recover_a_known_mixture():
    fusion = fit_fusion(simulated(0, 100_000))
    np.testing.assert_allclose(fusion.weights, [2.0, 1.5 / 40], rtol=0.05)
    assert fusion.offset == pytest.approx(-(2.0**2) / 2 - 1.5**2 / 2 - 1.5 * 100 / 40, abs=0.25)
    assert (fusion.systems, fusion.trials, fusion.prior) == (("a", "b"), 100_000, 0.5)


def test_complementary_systems_are_better_together():
    fusion, fresh = fit_fusion(simulated(0)), simulated(1)
    fused = fusion(fresh)
    best = min(eer(*split(t)) for t in fresh.values())
    assert eer(*split(fused)) < 0.8 * best
    assert cllr(*split(fused)) < 1.05 * min_cllr(*split(fused))


def test_a_system_fused_with_itself_is_a_calibration_of_it():
    one = simulated(0)["b"]
    alone, twice = fit_fusion({"x": one}), fit_fusion({"x": one, "y": one})
    np.testing.assert_allclose(twice({"x": one, "y": one}).score, alone({"x": one}).score, rtol=1e-2, atol=1e-2)
    assert twice.weights[0] == pytest.approx(twice.weights[1])
    assert eer(*split(alone({"x": one}))) == eer(*split(one))
    assert cllr(*split(alone({"x": one}))) < 1.05 * min_cllr(*split(one))


@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_the_prior_is_taken_off_again(prior):
    fusion = fit_fusion(simulated(0, 60_000), prior=prior)
    np.testing.assert_allclose(fusion.weights, [2.0, 1.5 / 40], rtol=0.1)
    assert cllr(*split(fusion(simulated(1)))) < 0.5


def test_it_is_the_maximum_of_the_weighted_likelihood():
    tables, prior = simulated(3, 800), 0.2
    fusion = fit_fusion(tables, prior=prior)
    target = tables["a"].target == 1

    def loss(weights, offset):
        x = weights[0] * tables["a"].score + weights[1] * tables["b"].score + offset + logit(prior)
        return prior * np.logaddexp(0, -x[target]).mean() + (1 - prior) * np.logaddexp(0, x[~target]).mean()

    least = loss(fusion.weights, fusion.offset)
    for i, step in ((0, 0.3), (1, 0.01)):
        for sign in (1, -1):
            moved = fusion.weights + sign * step * (np.arange(2) == i)
            assert loss(moved, fusion.offset) > least
    assert loss(fusion.weights, fusion.offset + 0.3) > least < loss(fusion.weights, fusion.offset - 0.3)


def test_tables_are_joined_by_names_and_the_first_one_orders():
    tables = simulated(0, 400)
    order = np.random.default_rng(0).permutation(400)
    b = tables["b"]
    mixed = {"a": tables["a"], "b": Scores(*(c[order] for c in (b.speaker, b.test, b.score, b.target)))}
    fusion = fit_fusion(mixed)
    np.testing.assert_array_equal(fusion.weights, fit_fusion(tables).weights)
    np.testing.assert_array_equal(fusion(mixed).score, fusion(tables).score)
    np.testing.assert_array_equal(fusion({"b": tables["b"], "a": tables["a"]}).score, fusion(tables).score)


def test_perfect_separation_and_a_constant_system_keep_finite_weights():
    target = np.arange(40) % 2
    fusion = fit_fusion({"x": table(10.0 * target, target), "flat": table(np.ones(40), target)})
    assert np.isfinite(fusion.weights).all()
    assert fusion.weights[0] > 0 == fusion.weights[1]


def test_new_trials_need_no_labels():
    fusion, fresh = fit_fusion(simulated(0)), simulated(1, 8)
    bare = {name: table(t.score, [-1] * 8) for name, t in fresh.items()}
    np.testing.assert_array_equal(fusion(bare).score, fusion(fresh).score)
    assert (fusion(bare).target == -1).all()


def test_it_can_be_stored(tmp_path):
    fusion, fresh = fit_fusion(simulated(0)), simulated(1)
    storage.save(fusion, tmp_path / "f")
    np.testing.assert_array_equal(storage.load(tmp_path / "f", Fusion)(fresh).score, fusion(fresh).score)


A = table([0.0, 1.0, 2.0], [0, 1, 1])


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ({}, {}, "the tables of scores must be at least one; got none"),
        ({"a": A}, {"prior": 0}, "prior must be above 0 and below 1; got 0"),
        ({"a": A}, {"prior": 1}, "prior must be above 0 and below 1; got 1"),
        ({"a": table([0.0, 1.0], [-1, 1])}, {}, "target must be 1 or 0 in every trial; got 1 of 2 trials without"),
        ({"a": table([0.0, 1.0], [1, 1])}, {}, "the trials must be of both kinds, .*; got 2 targets of 2"),
        (
            {"a": A, "b": table([0.0], [0])},
            {},
            r"the tables of scores must hold the same trials \(3 for 'a'\); got 1 for 'b'",
        ),
        (
            {"a": A, "b": table([0.0, 1.0, 2.0], [0, 1, 1], "u")},
            {},
            "the scores of 'b' must score every trial of 'a'; got 3 of 3 trials without a score, the first speaker 'm' "
            "with test 't0'",
        ),
        (
            {"a": A, "b": table([0.0, 1.0, 2.0], [0, 1, 0])},
            {},
            "the labels of 'b' and 'a' must agree; got 1 that differ, the first speaker 'm' with test 't2'",
        ),
    ],
)
def test_what_cannot_be_fused_is_refused(tables, options, message):
    with pytest.raises(InvalidInput, match=message):
        fit_fusion(tables, **options)


@pytest.mark.parametrize("names", [("a",), ("a", "c"), ("a", "b", "c")])
def test_other_systems_are_refused(names):
    fusion = fit_fusion(simulated(0, 100))
    with pytest.raises(
        InvalidInput, match="the tables of scores must be those of the systems fused, 'a', 'b'; got 'a'"
    ):
        fusion(dict.fromkeys(names, A))

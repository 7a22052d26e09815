"""Calibration: scores become likelihood ratios, whatever their scale and the prior of the training trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logit
from scipy.stats import norm

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import cllr, min_cllr
from speechgmm.evaluation.calibration import Calibration, bayes_threshold, fit_calibration, posteriors
from speechgmm.evaluation.roc import Application

N = 4000
Case = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def gaussians() -> Case:
    """Scores of two normal distributions of one deviation, whose LLR is known: 2 (s - 1), labels, and that LLR."""
    rng = np.random.default_rng(0)
    target = np.arange(2 * N) < N
    s = np.where(target, 2.0, 0.0) + rng.normal(size=2 * N)
    return s, target, 2 * (s - 1)


def test_the_map_of_two_gaussians_is_their_likelihood_ratio(gaussians: Case) -> None:
    s, target, truth = gaussians
    found = fit_calibration(s, target)
    assert found.slopes[0] == pytest.approx(2, abs=0.1)
    assert np.abs(found(s) - truth).max() < 0.4
    assert cllr(found(s)[target], found(s)[~target]) < 1.02 * min_cllr(found(s)[target], found(s)[~target])


@pytest.mark.parametrize("prior", [0.01, 0.1, 0.5, 0.9])
def test_neither_the_prior_nor_the_number_of_trials_moves_the_likelihood_ratio(gaussians: Case, prior: float) -> None:
    s, target, truth = gaussians
    few = np.concatenate([np.arange(500), np.arange(N, 2 * N)])  # one target to eight nontargets
    for rows in (slice(None), few):
        found = fit_calibration(s[rows], target[rows], prior=prior)
        assert np.median(np.abs(found(s) - truth)) < 0.25  # posterior odds would be off by up to log(99) = 4.6


def gaussian_trials(seed: int, n: int, slope: float = 3.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """So many targets and as many nontargets: their LLR is slope * s - slope**2 / 2."""
    target = np.arange(2 * n) < n
    return np.random.default_rng(seed).normal(size=2 * n) + slope * target, target


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.01, 0.999])
def test_it_is_the_least_of_the_losses_and_penalties_that_are_stated(prior: float) -> None:
    """An independent minimizer, of the two problems as the docstring of `regress` has them."""
    s, target = gaussian_trials(4, 40)
    x = (s - s.mean()) / s.std()

    def loss(parameters: Any, share: float, start: float, penalty: float) -> float:
        posterior = parameters[0] * x + parameters[1] + logit(share)
        losses = np.logaddexp(0, np.where(target, -posterior, posterior))
        mean = share * losses[target].mean() + (1 - share) * losses[~target].mean()
        return float(len(s) * mean + penalty * (parameters[0] - start) ** 2 / 2)

    least = {"method": "Nelder-Mead", "options": {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000}}
    slope, offset = minimize(loss, [0, 0], (0.5, 0, 1.0), **least).x
    if prior != 0.5:
        penalty = 2.0 / (1 - 2 * prior) ** 2
        slope, offset = minimize(loss, [slope, offset], (prior, slope, penalty), **least).x
    found = fit_calibration(s, target, prior=prior)
    assert found.slopes[0] == pytest.approx(slope / s.std(), rel=1e-5)
    assert found(s.mean()) == pytest.approx(offset, abs=1e-5)


@pytest.mark.parametrize(
    ("prior", "oracle", "most"), [(0.1, 0.3365, 0.3400), (0.01, 0.6330, 0.652), (0.001, 0.8604, 0.89)]
)
def test_at_a_small_prior_few_trials_give_decisions_that_cost_little_more_than_those_of_the_true_ratio(
    prior: float, oracle: float, most: float
) -> None:
    """300 and 300 trials; with slopes penalized towards 0 by one trial the costs are 0.342, 0.793 and 1."""
    costs, truth = [], Calibration([3.0], [-4.5], [], [])

    def cost(c: Calibration) -> float:
        least = (bayes_threshold(prior=prior) - c.offsets[0]) / c.slopes[0]
        return float(Application(prior).cost(norm.cdf(least - 3), norm.sf(least)))

    assert cost(truth) == pytest.approx(oracle, abs=1e-4)
    for seed in range(50):
        found = fit_calibration(*gaussian_trials(seed, 300), prior=prior)
        assert 1.7 < found.slopes[0] < 4.5
        costs.append(cost(found))
    assert oracle < np.mean(costs) < most


@given(distance=st.floats(1e-12, 1e-3), sign=st.sampled_from([1, -1]))
def test_next_to_prior_one_half_is_next_to_its_calibration(distance: float, sign: int) -> None:
    s, target = gaussian_trials(5, 30)
    half, near = (fit_calibration(s, target, prior=0.5 + away) for away in (0.0, sign * distance))
    np.testing.assert_allclose(near(s), half(s), atol=50 * distance)


@pytest.mark.parametrize("prior", [1e-300, 1e-9, 1 - 1e-9])
def test_separated_scores_get_finite_slopes_at_any_prior(prior: float) -> None:
    found = fit_calibration([0.0, 1.0, 1e6, 1e6 + 1], [0, 0, 1, 1], prior=prior)
    assert 0 < found.slopes[0] < 1e-4
    assert np.isfinite(found.offsets).all()


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_scale_and_shift_of_the_scores_do_not_matter(scale: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    target = np.arange(300) < 100
    s = rng.normal(size=300) + 2 * target
    moved = scale * s + shift
    np.testing.assert_allclose(
        fit_calibration(moved, target)(moved), fit_calibration(s, target)(s), atol=2e-3, rtol=1e-3
    )


def test_side_information_moves_slope_and_offset() -> None:
    rng = np.random.default_rng(0)
    n = 40000
    target, seconds = np.arange(n) < n // 2, rng.uniform(1, 10, n)
    mean = 1 + np.log(seconds)  # the LLR is mean * s - mean**2 / 2
    s = target * mean + rng.normal(size=n)
    truth = mean * s - mean**2 / 2
    with_side, without = fit_calibration(s, target, seconds), fit_calibration(s, target)
    assert np.median(np.abs(with_side(s, seconds) - truth)) < 0.3
    assert np.median(np.abs(without(s) - truth)) > 0.45
    for fitted in (with_side(s, seconds), without(s)):
        assert min_cllr(fitted[target], fitted[~target]) < 1


def test_side_information_is_not_extrapolated_and_may_be_unknown() -> None:
    c = Calibration(slopes=[1.0, 0.5], offsets=[0.0, 1.0], low=[1.0], high=[np.e**2])
    np.testing.assert_allclose(c([1.0, 1.0, 1.0], [1e-6, 1.0, 1e6]), [1.0, 1.0, 4.0])
    np.testing.assert_allclose(c(1.0, np.nan), c(1.0, np.e))


def test_where_the_slope_would_turn_side_information_moves_the_offset_alone() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    target, amount = np.arange(n) < n // 2, np.where(rng.random(n) < 0.5, 1.0, 100.0)
    s = np.where(amount > 1, -0.3, 1.0) * target * 2 + rng.normal(size=n)  # with much speech the scores turn over
    found = fit_calibration(s, target, amount)
    assert found.slopes[1] == 0
    assert found.slopes[0] > 0


def test_perfectly_separated_scores_get_a_finite_slope() -> None:
    found = fit_calibration([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1])
    assert 0 < found.slopes[0] < 100
    assert (np.sign(found([0.0, 3.0])) == [-1, 1]).all()


def test_weights_count_as_repetition_does() -> None:
    rng = np.random.default_rng(3)
    target = np.arange(900) < 300
    s = rng.normal(size=900) + target
    times = rng.integers(1, 4, 900)
    repeated = fit_calibration(np.repeat(s, times), np.repeat(target, times))
    weighted = fit_calibration(s, target, weights=times)
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, rtol=0.05)
    np.testing.assert_allclose(weighted.offsets, repeated.offsets, rtol=0.1, atol=0.02)


def test_it_is_stored(tmp_path: Any) -> None:
    c = Calibration(slopes=[1.0, 0.5], offsets=[0.0, 1.0], low=[1.0], high=[2.0])
    storage.save(c, tmp_path / "c")
    again = storage.load(tmp_path / "c", Calibration)
    assert storage.dumps(again) == storage.dumps(c)
    with pytest.raises(ValueError, match="read-only"):
        c.slopes[0] = 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1, 1]), "targets and nontargets; got none of one kind"),
        (([1.0, 2.0], [0, 1, 1]), "vectors of one length"),
        (([1.0, 2.0], [0, 2]), "target must be 1 or 0 in every trial; got 2"),
        (([1.0, np.nan], [0, 1]), "scores must be finite"),
        (([2.0, 1.0], [0, 1]), "scores must be higher for targets"),
        (([1.0, 2.0], [0, 1], [0.0, 1.0]), "side information must be above 0; got 0"),
    ],
)
def test_bad_trials_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        fit_calibration(*arguments)


def test_bad_weights_and_priors_are_refused() -> None:
    with pytest.raises(InvalidInput, match="weights must be at least 0"):
        fit_calibration([0.0, 1.0], [0, 1], weights=[0.0, 1.0])
    for prior in (0.0, 1.0, np.nan):
        with pytest.raises(InvalidInput, match="prior must be above 0"):
            fit_calibration([0.0, 1.0], [0, 1], prior=prior)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([1.0], [0.0, 1.0], [], []), "a slope and an offset more"),
        (([1.0, 0.0], [0.0, 1.0], [2.0], [1.0]), "run from low above 0 to high"),
        (([1.0, -1.0], [0.0, 0.0], [1.0], [np.e**2]), "slope of a calibration must be above 0 .*; got -1"),
        (([np.inf], [0.0], [], []), "slopes must be finite"),
    ],
)
def test_a_calibration_that_is_none_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Calibration(*fields)


def test_using_it_wrongly_is_refused() -> None:
    c = Calibration(slopes=[1.0, 0.5], offsets=[0.0, 1.0], low=[1.0], high=[2.0])
    with pytest.raises(InvalidInput, match="be of 1 kind"):
        c([1.0])
    with pytest.raises(InvalidInput, match="be above 0; got -1"):
        c([1.0], -1.0)


@given(
    prior=st.floats(1e-6, 1 - 1e-6),
    cost_miss=st.floats(1e-3, 1e3),
    cost_fa=st.floats(1e-3, 1e3),
    llr=st.floats(-20, 20),
)
def test_the_bayes_threshold_parts_what_costs_less(prior: float, cost_miss: float, cost_fa: float, llr: float) -> None:
    threshold = bayes_threshold(prior=prior, cost_miss=cost_miss, cost_fa=cost_fa)
    odds = prior / (1 - prior) * np.exp(llr)
    if abs(llr - threshold) > 1e-6:
        assert (llr > threshold) == (odds * cost_miss > cost_fa)


def test_bad_costs_are_refused() -> None:
    for wrong in ({"prior": 1.0}, {"prior": 0.5, "cost_miss": 0.0}, {"prior": 0.5, "cost_fa": np.inf}):
        with pytest.raises(InvalidInput, match=r"must be (above 0|finite)"):
            bayes_threshold(**wrong)


@given(llr=st.lists(st.floats(-700, 700), min_size=1, max_size=6), prior=st.floats(1e-3, 0.999))
def test_posteriors_follow_bayes(llr: list[float], prior: float) -> None:
    found = posteriors(llr, prior=prior)
    assert found.shape == (len(llr) + 1,)
    assert found.sum() == pytest.approx(1)
    with np.errstate(divide="ignore"):
        odds = np.log(found[:-1]) - np.log(found[-1])
    seen = (found[:-1] > 1e-200) & (found[-1] > 1e-200)
    expected = np.array(llr) + np.log(prior / len(llr)) - np.log1p(-prior)
    np.testing.assert_allclose(odds[seen], expected[seen], atol=1e-9)


def test_bad_posteriors_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one speaker"):
        posteriors([], prior=0.5)
    with pytest.raises(InvalidInput, match="prior must be above 0"):
        posteriors([0.0], prior=1.0)

"""Thresholds for a stated rate of false accepts, on simulated scores whose true rates are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation.thresholds import Strangers, fit_strangers

LAWS = {"normal": stats.norm(), "logistic": stats.logistic(), "Gumbel": stats.gumbel_r()}


def simulated(law: Any, tests: int, speakers: int, seed: int = 0) -> Strangers:
    return fit_strangers(law.rvs(size=(tests, speakers), random_state=np.random.default_rng(seed)))


def rate(law: Any, threshold: float, speakers: int) -> float:
    """The true rate at which the best of so many independent scores reaches a threshold."""
    return float(-np.expm1(speakers * law.logcdf(threshold)))


@pytest.mark.parametrize("far", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_rates_hold_from_one_speaker_to_ten_thousand(law: Any, far: float) -> None:
    found = simulated(law, 20_000, 30)
    for speakers in (1, 3, 10, 100, 1000, 10_000):
        threshold = found.threshold(far, speakers)
        true = rate(law, threshold.score, speakers)
        if not threshold.extrapolated:
            assert far / 2 < true < 2 * far, speakers
        assert far / 10 < true < 10 * far, speakers


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_with_few_data_the_answer_says_what_is_extrapolated(law: Any) -> None:
    for seed in range(5):
        found = simulated(law, 640, 15, seed)
        for far, speakers in [(0.05, 1), (0.05, 15), (0.1, 24), (0.1, 60), (0.01, 1)]:
            threshold = found.threshold(far, speakers)
            assert not threshold.extrapolated
            assert far / 2 < rate(law, threshold.score, speakers) < 2 * far
        for far, speakers in [(0.01, 100), (0.1, 1000), (0.01, 10_000), (1e-4, 1)]:
            assert found.threshold(far, speakers).extrapolated


def test_thresholds_rise_with_speakers_and_fall_with_the_rate() -> None:
    found = simulated(LAWS["normal"], 600, 16)
    rates = np.geomspace(1e-6, 0.9, 60)
    for speakers in (1, 5, 16, 17, 400, 10_000):
        scores = [found.threshold(float(far), speakers).score for far in rates]
        assert (np.diff(scores) <= 1e-12).all()
    for far in (0.001, 0.05, 0.3):
        scores = [found.threshold(far, n).score for n in (1, 2, 4, 8, 16, 32, 1000, 10_000)]
        assert np.diff(scores).min() > -0.15  # sizes are counted each by itself, so that neighbors may cross a little
    steps = np.diff([found.threshold(0.05, n).score for n in range(1, 17)])
    assert steps.min() > -0.02  # one more speaker does not make it easier for strangers


def test_counted_rates_are_those_of_the_scores_themselves() -> None:
    scores = np.random.default_rng(0).normal(size=(500, 8))
    found = fit_strangers(scores)
    assert found.sizes.tolist() == [1, 2, 4, 8]
    assert found.searches == pytest.approx([4000, 2000, 1000, 500], rel=0.1)
    assert found.searches.max() <= 4000
    for far in (0.1, 0.3, 0.5, 0.8):
        threshold = found.threshold(far, 8).score
        assert np.mean(scores.max(axis=1) >= threshold) == pytest.approx(far, abs=0.01)
        assert np.mean(scores >= found.threshold(far, 1).score) == pytest.approx(far, abs=0.01)


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.15])
def test_a_generalized_pareto_tail_is_found_and_carried_on(shape: float) -> None:
    """Above any limit u excesses of a generalized Pareto distribution follow another: same shape, scale 1 + shape u."""
    law, n = stats.genpareto(shape), 20_000
    found = fit_strangers(law.ppf((np.arange(n) + 0.5) / n)[:, None])
    begin = law.isf(found.edge[0])
    assert found.shape[0] == pytest.approx(shape, rel=0.12)  # 1000 excesses, beside which 50 say 0
    assert found.scale[0] == pytest.approx(1 + shape * begin, rel=0.03)
    for far in (0.01, 0.001, 0.0002):
        assert found.threshold(far).score - begin == pytest.approx(law.isf(far) - begin, rel=0.04)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_tail_begins_so_high_that_the_bulk_of_the_scores_bends_it_little(law: Any) -> None:
    """Of scores without any chance in them the rates come back; a longer tail would miss them by how the law bends."""
    for n, far, off in ((100, 0.05, 0.05), (300, 0.01, 0.06), (20_000, 0.001, 0.04), (20_000, 0.0001, 0.3)):
        found = fit_strangers(law.ppf((np.arange(n) + 0.5) / n)[:, None]).threshold(far).score
        assert law.sf(found) == pytest.approx(far, rel=off), (n, far)


def by_moments(scores: Any, far: float, *, shaped: bool) -> float:
    """The threshold of a tail of the 25 highest scores by moments alone, or of an exponential one."""
    u, excess = scores[-26], scores[-25:] - scores[-26]
    m, v = excess.mean(), excess.var()
    shape = 0.5 * (1 - m**2 / v) if shaped else 0.0
    return u + float(stats.genpareto.isf(far * len(scores) / 25, shape, scale=m * (1 - shape)))


def test_few_excesses_say_little_of_the_shape_and_many_say_all() -> None:
    """Of 25 excesses the shape is drawn towards 0: nearer to the asked rate than all of it, or than none."""
    far, off = 1e-4, {}
    for name, law in LAWS.items():
        errors = []
        for seed in range(80):
            scores = np.sort(law.ppf(np.random.default_rng(seed).random(300)))
            found = fit_strangers(scores[:, None]).threshold(far).score
            others = by_moments(scores, far, shaped=True), by_moments(scores, far, shaped=False)
            errors.append(law.logsf([found, *others]) - np.log(far))
        off[name] = np.sqrt(np.mean(np.square(errors), axis=0))
    ours, all_of_it, none_of_it = np.mean(list(off.values()), axis=0)
    assert ours < 0.8 * all_of_it
    assert ours < 0.95 * none_of_it
    assert off["normal"][0] < 0.8 * off["normal"][2], "the tail of a normal distribution ends sooner"


def test_a_rate_is_called_extrapolated_where_it_may_be_wrong_by_a_factor_of_two_and_not_before() -> None:
    fars, near = np.geomspace(0.002, 0.5, 120), []
    for law in LAWS.values():
        for seed in range(150):
            found = fit_strangers(law.ppf(np.random.default_rng(seed).random((200, 1))))
            least = next(float(far) for far in fars if not found.threshold(far).extrapolated)
            near.append([0.5 < law.sf(found.threshold(far).score) / far < 2 for far in (least, least / 2)])
    told, untold = np.mean(near, axis=0)
    assert told > 0.975
    assert untold < 0.975, "half of the least rate that is not flagged is less sure"


@pytest.mark.parametrize("far", [0.01, 0.1, 0.5])
def test_between_counted_sizes_the_best_score_grows_with_the_logarithm_of_the_size(far: float) -> None:
    """The best of S Gumbel scores is a Gumbel score that lies log S higher: there the threshold is known exactly."""
    rates, sizes = np.geomspace(1e-3, 0.999, 2000), np.array([1, 8, 64])
    best = stats.gumbel_r.isf(rates) + np.log(sizes)[:, None]
    none = np.zeros(3)
    made = Strangers(sizes, none + 1e6, np.tile(rates, (3, 1)), best, none + 0.001, none + 1.0, none)
    for speakers in (1, 2, 3, 6, 8, 9, 20, 40, 63, 64):
        expected = stats.gumbel_r.isf(far) + np.log(speakers)
        assert made.threshold(far, speakers).score == pytest.approx(expected, abs=1e-3), speakers


def test_scores_that_go_together_make_the_true_rate_lower_not_higher() -> None:
    rng = np.random.default_rng(0)

    def draw(tests: int, speakers: int) -> Any:
        return 0.7 * rng.normal(size=(tests, 1)) + 0.7 * rng.normal(size=(tests, speakers))

    found = fit_strangers(draw(5000, 15))
    best = draw(5000, 300).max(axis=1)
    assert np.mean(best >= found.threshold(0.1, 300).score) < 0.1


def test_rows_of_different_lengths_and_degenerate_scores() -> None:
    rng = np.random.default_rng(0)
    ragged = fit_strangers([rng.normal(size=n) for n in (7, 5, 6, 9) * 50])
    assert ragged.sizes.tolist() == [1, 2, 4, 5]
    equal = fit_strangers(np.ones((50, 3)))
    assert equal.threshold(0.01, 3).score == 1.0
    steep = fit_strangers(np.concatenate([np.zeros(475), np.linspace(9.0, 9.001, 25)])[:, None])  # nothing like a tail
    assert 9.0 <= steep.threshold(0.01).score < steep.threshold(1e-9).score < 19.0
    one = fit_strangers([[0.5]])
    assert one.threshold(0.1).extrapolated
    assert one.threshold(0.1).score == 0.5


def test_it_is_stored_and_the_same_seed_gives_the_same_bits(tmp_path: Any) -> None:
    found = simulated(LAWS["normal"], 100, 6)
    storage.save(found, tmp_path / "s")
    assert storage.dumps(storage.load(tmp_path / "s", Strangers)) == storage.dumps(found)
    assert storage.dumps(simulated(LAWS["normal"], 100, 6)) == storage.dumps(found)


def test_bad_input_is_refused() -> None:
    found = simulated(LAWS["normal"], 50, 4)
    for far in (0.0, 1.0, -0.1, np.nan):
        with pytest.raises(InvalidInput, match="far must be above 0"):
            found.threshold(far)
    with pytest.raises(InvalidInput, match="the number of enrolled speakers must be at least 1"):
        found.threshold(0.1, 0)
    with pytest.raises(InvalidInput, match="at least one, of at least one speaker each; got 0 rows"):
        fit_strangers([])
    with pytest.raises(InvalidInput, match="searches must be finite"):
        fit_strangers([[1.0, np.nan]])
    with pytest.raises(InvalidInput, match="have numbers for each size"):
        Strangers([1, 2], [5], [[0.1]], [[1.0]], [0.5], [1.0], [0.0])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="have a score for each rate"):
        Strangers([1], [5], [[0.1, 0.2]], [[1.0]], [0.5], [1.0], [0.0])  # type: ignore[arg-type]


def corpus(people: int, of_models: float, of_tests: float, seed: int) -> dict[str, Any]:
    """Searches of stores of four, by the others of their fold; models and tests have parts of a variance of 1."""
    rng, kept = np.random.default_rng(seed), {"searches": [], "tested": [], "models": []}
    model, test = rng.normal(0, np.sqrt(of_models), people), rng.normal(0, np.sqrt(of_tests), people)
    left = np.sqrt(1 - of_models - of_tests)
    for fold in np.array_split(np.arange(people), 4):
        for _ in range(12):
            order = rng.permutation(fold)
            for t in order[4:]:
                kept["searches"].append(model[order[:4]] + test[t] + rng.normal(0, left, 4))
                kept["tested"].append(t)
                kept["models"].append(order[:4])
    return kept


@pytest.mark.parametrize(("of_models", "of_tests"), [(0.0, 0.0), (0.0, 0.4), (0.4, 0.0), (0.3, 0.3)])
def test_searches_of_the_same_people_are_worth_as_many_as_vary_as_much(of_models: float, of_tests: float) -> None:
    """Over corpora, the rate above a fixed threshold varies as that of so many independent searches."""
    made = [corpus(48, of_models, of_tests, seed) for seed in range(40)]
    best = np.array([[s.max() for s in c["searches"]] for c in made])
    share = (best > np.quantile(best, 0.9)).mean(axis=1)
    true = 0.09 / share.var(ddof=1)
    told = np.median([fit_strangers(**c).searches[-1] for c in made])
    assert 0.6 * true < told < 1.9 * true
    if of_models + of_tests == 0:
        assert told > 0.8 * best.shape[1]
    else:
        assert told < 0.5 * best.shape[1]
        alone = np.median([fit_strangers(c["searches"]).searches[-1] for c in made[:5]])
        assert alone > 0.95 * best.shape[1], "without names nothing goes together"


@pytest.mark.parametrize(("of_models", "of_tests"), [(0.0, 0.2), (0.3, 0.1), (0.5, 0.1)])
def test_an_unflagged_rate_holds_within_a_factor_of_two_though_people_come_again(
    of_models: float, of_tests: float
) -> None:
    law, left = np.random.default_rng(1), np.sqrt(1 - of_models - of_tests)
    scores = law.normal(0, np.sqrt(of_models), (40_000, 4)) + law.normal(0, left, (40_000, 4))
    strangers = np.sort(scores.max(axis=1) + law.normal(0, np.sqrt(of_tests), 40_000))
    right, flagged = [], []
    for seed in range(30):
        found = fit_strangers(**corpus((32, 64)[seed % 2], of_models, of_tests, seed))
        for far in (0.01, 0.05, 0.1, 0.2):
            limit = found.threshold(far, 4)
            true = 1 - np.searchsorted(strangers, limit.score) / len(strangers)
            flagged.append(limit.extrapolated)
            right += [far / 2 < true < 2 * far] * (not limit.extrapolated)
    assert np.mean(right) >= 0.92
    assert 0.2 < np.mean(flagged) < 0.8


def test_names_of_people_count_as_names_alone() -> None:
    made = corpus(32, 0.2, 0.2, 0)
    found = fit_strangers(**made)
    named = fit_strangers(
        made["searches"],
        tested=[f"p{t}" for t in made["tested"]],
        models=[[f"m{i}" for i in m] for m in made["models"]],
    )
    assert named.searches.tolist() == found.searches.tolist()
    np.testing.assert_array_equal(named.scores, fit_strangers(made["searches"]).scores)  # they move no threshold


def test_names_that_do_not_fit_are_refused() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(InvalidInput, match="names of strangers or models must be 5, as the scores are; got 4"):
        fit_strangers(scores, tested=list("abcd"))
    with pytest.raises(InvalidInput, match="models of searches must be one for each score; got 10 in 5 searches"):
        fit_strangers(scores, models=[["a", "b"]] * 5)

"""Calibration at training time, on made speakers of whom strangers can be drawn without end."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from speechgmm import storage
from speechgmm.errors import IncompatibleModel
from speechgmm.evaluation.thresholds import Strangers
from speechgmm.features import OwnFeatures
from speechgmm.features.normalize import Normalization
from speechgmm.mixture import fit_gmm
from speechgmm.speakers import System, held_out, load_system
from speechgmm.speakers.calibration import (
    FADE,
    LEAST_PEOPLE,
    AmountNorm,
    ImpostorLevels,
    StoreNorm,
    SystemCalibration,
    amount,
    impostor_level,
)
from speechgmm.speakers.costs import error_table
from speechgmm.speakers.held_out import Material, SimulatedStore, _tests, divide, simulate_stores, store_sizes
from speechgmm.speakers.impostors import ScoredTrials, relative_to_cohort
from speechgmm.speakers.train_calibration import LEAST_SPEAKERS, _fit, _fit_amounts, calibrate, normalized_by
from tests.speakers.conftest import tiny_system
from tests.speakers.made import (
    FRONTEND,
    background,
    calibration_by_hand,
    calibration_of,
    uncalibrated,
)

BY_HAND = calibration_by_hand(tiny_system())


def calibration(system: System) -> Any:
    assert system.calibration is not None
    return system.calibration


def test_what_was_measured_is_said(calibrated: System) -> None:
    measured = calibration(calibrated).measured
    assert (measured["by"], measured["speakers"], measured["enrolled"]) == ("recordings", 64, 12)
    least, usual, most = measured["seconds"]
    assert 0.5 <= least < usual <= most == 2.4
    assert measured["enroll_seconds"][0] == 1.2  # one of six recordings, to five
    assert measured["enroll_seconds"][2] == 6.0
    assert calibration(calibrated).usual_seconds == pytest.approx(measured["enroll_seconds"][1], abs=0.01)
    assert calibration(calibrated).least_seconds == pytest.approx(least, abs=0.01)
    np.testing.assert_array_equal(calibration(calibrated).levels.sizes, [1, 2, 3, 5, 8, 12])
    for name in ("eer", "cllr", "min_cllr"):
        value, low, high = measured[name]
        assert low <= value <= high
    assert measured["cllr"][0] < 1.25 * measured["min_cllr"][0] + 0.05
    assert [r["asked"] for r in measured["per_search"]] == [0.01, 0.05, 0.1]
    for r in measured["per_search"]:
        assert 0 <= r["low"] <= r["measured"] <= r["high"]
        assert 0 <= r["missed"] < 1
        assert r["low"] <= r["asked"] <= r["high"], "the threshold is that of a search among twelve"
    json.dumps(calibrated.summary(), allow_nan=False)


def test_saved_and_loaded_it_is_the_same(calibrated: System, tmp_path: Any) -> None:
    calibrated.save(tmp_path / "m")
    loaded = load_system(tmp_path / "m")
    assert storage.dumps(loaded) == (tmp_path / "m").read_bytes()
    assert loaded.fingerprint == calibrated.fingerprint


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads() -> None:
    frames = background(LEAST_SPEAKERS)
    one, three = (calibration_of(uncalibrated(frames), frames, searches=8, n_threads=n) for n in (1, 3))
    assert storage.dumps(one) == storage.dumps(three)


def test_who_calibrates_has_not_trained_the_model_that_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = background(LEAST_SPEAKERS)
    knew: list[Any] = []
    scored: list[tuple[Any, set[str]]] = []

    def train(blocks: Any, stage: str) -> Any:
        ubm = fit_gmm(blocks, 4, n_threads=1).model
        knew.append((ubm, np.concatenate(list(blocks))))
        return ubm

    def watch(system: Any, speakers: Any, cohort: Any, **how: Any) -> Any:
        scored.append((system.ubm, set(speakers)))
        return simulate_stores(system, speakers, cohort, **how)

    monkeypatch.setattr("speechgmm.speakers.held_out.SEARCHES", 8)
    monkeypatch.setattr("speechgmm.speakers.train_calibration.simulate_stores", watch)
    assert calibrate(uncalibrated(frames), frames, train, n_threads=1) is not None
    assert sorted(s for _, fold in scored for s in fold) == list(frames.speakers)
    for (ubm, rows), (scorer, fold) in zip(knew, scored, strict=True):
        assert scorer is ubm
        np.testing.assert_array_equal(rows, np.concatenate(list(frames.without(fold))))


def test_too_few_speakers_are_not_calibrated() -> None:
    few = background(LEAST_SPEAKERS - 1)
    assert calibration_of(uncalibrated(few), few) is None
    enough = background(LEAST_SPEAKERS)
    assert calibration_of(uncalibrated(enough), enough, searches=8) is not None


@pytest.mark.parametrize(
    ("how", "by", "parts"),
    [
        ({"recordings": 6, "session": True}, "sessions", 3),
        ({"recordings": 2, "session": True}, "recordings", 2),
        ({"recordings": 9}, "recordings", 4),
        ({"recordings": 1, "frames": 850}, "pieces", 4),
        ({"recordings": 1, "frames": 310}, "pieces", 2),
    ],
)
def test_speech_is_divided_by_the_first_way_that_works(how: Any, by: str, parts: int) -> None:
    made = background(25, **how)
    found = divide(made, least=20)
    assert found.by == by
    assert len(found.speakers) == 25
    for material in found.speakers.values():
        assert {m.part for m in material} == set(range(parts))
        assert sum(len(m.features) for m in material) == how["recordings"] * how.get("frames", 120)
    if by == "sessions":
        rows = {id(m.features.base): m.part for m in found.speakers["s003"]}
        assert rows
        assert [m.part for m in found.speakers["s003"]][::2] == [m.part for m in found.speakers["s003"]][1::2]


def test_recordings_too_short_to_cut_are_not_divided() -> None:
    assert divide(background(25, recordings=1, frames=150), least=20).speakers == {}


def test_pieces_are_normalized_each_by_itself() -> None:
    frontend = dataclasses.replace(FRONTEND, normalization="mean_variance")
    made = dataclasses.replace(background(20, recordings=1, frames=400), frontend=frontend)
    found = divide(made, least=20).speakers["s000"]
    assert [len(m.features) for m in found] == [100, 300]
    whole = made.blocks.frames[:400]
    np.testing.assert_array_equal(found[1].features, Normalization.of([piece := whole[100:]], "mean_variance")(piece))


@pytest.mark.parametrize(
    ("speakers", "sizes"), [(1, [1]), (5, [1, 2, 3]), (16, [1, 2, 3, 5, 8, 12]), (30, [1, 2, 3, 5, 8, 12, 20])]
)
def test_stores_leave_a_quarter_of_the_speakers_as_strangers(speakers: int, sizes: list[int]) -> None:
    assert store_sizes(speakers) == sizes


def test_nobody_is_tested_with_what_is_enrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    system, rng = tiny_system(), np.random.default_rng(0)
    speakers = {}  # each with stretches of 8, 16, 32 and 64 frames, whose sums say which they are
    for name in "abcdefgh":
        x = [rng.normal(0, 2, (8 << j, 3)).astype(np.float32) for j in range(4)]
        speakers[name] = [Material(name, j, part, part, 0.01 * len(part)) for j, part in enumerate(x)]
    cohort = rng.normal(0, 0.5, (5, *system.ubm.means.shape))
    monkeypatch.setattr(held_out, "SEARCHES", 20)
    monkeypatch.setattr(held_out, "_WHOLE", 1.0)
    stores = held_out.simulate_stores(system, speakers, cohort, n_threads=1)
    assert sorted({len(s.names) for s in stores}) == [1, 2, 3, 5]
    for s in stores:
        assert s.tests.scores.shape == (len(s.names), len(s.tested))
        # as storage reads them back: sums over an array are rounded by its layout
        assert all(t.scores.flags.c_contiguous for t in (s.tests, *s.own))
        held, heard = (np.round(100 * x).astype(int) for x in (s.tests.enrolled, s.tests.tested))
        for i, name in enumerate(s.names):
            own = s.tested == name
            assert own.any()
            assert not (held[i] & heard[own]).any()
            assert (held[i] | heard[own] == 120).all(), "one part is left out"
        assert s.stranger.sum() == 2 * (8 - len(s.names))
        np.testing.assert_array_equal(s.target.sum(axis=0), (~s.stranger).astype(int))
        shapes = [(len(s.names) - 1, 3)] * len(s.names) if len(s.names) > 1 else []
        assert [t.scores.shape for t in s.own] == shapes


@given(st.lists(st.floats(0.2, 50), min_size=2, max_size=2), st.floats(0.2, 50), st.floats(-4, 1), st.integers(0, 99))
def test_no_rank_changes_among_speakers_with_one_amount(
    enrolled: list[float], tested: float, level: float, seed: int
) -> None:
    c = BY_HAND
    scores = np.sort(np.random.default_rng(seed).normal(0, 3, 7))
    norm = c.levels.norm(5)
    found = norm(c.levels.amounts(scores, enrolled[0], tested, level))
    assert (np.diff(found) > 0).all()
    assert (np.diff(c.llr(found)) > 0).all()
    other = norm(c.levels.amounts(scores, enrolled[1], tested, level))
    assert (np.diff(other) > 0).all()


def test_amounts_are_taken_out_of_strangers_scores() -> None:
    """Made scores whose place and spread move with amounts and the cohort come out with one place and one spread."""
    rng, stores = np.random.default_rng(0), []
    truth = [[-1, 0.8, -0.3, 0.1], [0.2, -0.3, 0.25, -0.1], [-0.7, 0.3, 0.05, -0.04]]

    def made(e: Any, t: Any, level: Any) -> Any:
        place, spread, proportion = (a + b * e + c * t + d * e * t for a, b, c, d in truth)
        return place + proportion * level + np.exp(spread) * rng.normal(size=np.broadcast(e, t, level).shape)

    for _ in range(240):
        enrolled, tested, level = np.exp(rng.uniform(0, 3, 4)), np.exp(rng.uniform(-1, 2, 30)), rng.normal(-2, 1, 30)
        scores = made(np.log(enrolled)[:, None], np.log(tested), level)
        stores.append(SimulatedStore(tuple("abcd"), ScoredTrials(scores, enrolled, tested, level), ("z",) * 30, ()))
    norm = _fit_amounts(stores)
    for found, right in zip((norm.location, norm.scale, norm.proportion), truth, strict=True):
        np.testing.assert_allclose(found, right, atol=0.06)
    for e in (1.5, 15.0):
        for t in (0.5, 6.0):
            for level in (-3.0, 0.0):
                found = norm(made(np.log(e), np.log(t), np.full(4000, level)), e, t, level)
                assert abs(found.mean()) < 0.15
                assert 0.8 < found.std() < 1.25


def test_files_of_before_know_neither_the_product_of_amounts_nor_the_cohorts_level() -> None:
    former = AmountNorm([-0.4, 0.3, -0.1], [0.1, -0.2, 0.15], [0.1, 0.1], [60.0, 30.0])
    now = AmountNorm([-0.4, 0.3, -0.1, 0.0], [0.1, -0.2, 0.15, 0.0], [0.1, 0.1], [60.0, 30.0], np.zeros(4))
    scores = np.random.default_rng(0).normal(size=9)
    np.testing.assert_array_equal(former(scores, 7.0, 2.0, -3.0), now(scores, 7.0, 2.0, 5.0))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99), st.floats(-5, 5))
def test_the_level_is_where_the_cohort_lies_in_its_deviations(s: int, r: int, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    raw, weights = rng.normal(size=(s + 5, r)), rng.uniform(0.5, 2, r)
    scores, level = relative_to_cohort(raw, s, weights)
    mean, spread = raw[s:].mean(axis=0), raw[s:].std(axis=0)
    together = np.average((raw - mean) / spread, axis=1, weights=weights)
    above = np.average(mean / spread, weights=weights)
    again = together[s:].std() if r > 1 else 1.0
    np.testing.assert_allclose(scores, together[:s] / again, atol=1e-12)
    assert level == pytest.approx(above / again)
    moved, higher = relative_to_cohort(raw + shift, s, weights)  # what all models are given alike
    np.testing.assert_allclose(moved, scores, atol=1e-9)
    assert higher == pytest.approx(np.average((mean + shift) / spread, weights=weights) / again, abs=1e-9)


def test_without_a_cohort_scores_are_averaged() -> None:
    raw = np.array([[1.0, 4.0], [2.0, -1.0]])
    scores, level = relative_to_cohort(raw, 2, np.array([1.0, 2.0]))
    np.testing.assert_allclose(scores, [3.0, 0.0])
    assert level == 0.0
    np.testing.assert_array_equal(relative_to_cohort(raw[:, :1], 2, np.array([0.7]))[0], raw[:, 0])


def test_simulated_tests_are_of_half_a_second_up_to_all_of_a_part() -> None:
    """Recordings of a part go together, whole, as in a call; half of the tests are of one recording."""
    rng = np.random.default_rng(0)
    seconds = {0: (1.0, 3.0, 2.0), 1: (4.0,)}
    own = [
        Material("ann", part, x, x, s)
        for part, amounts in seconds.items()
        for s in amounts
        for x in [np.full((round(s * 100), 1), float(part))]
    ]
    tests = [t for _ in range(400) for t in _tests(OwnFeatures(dimensions=1), own, rng)]
    for test in tests:
        assert len({h.features[0, 0] for h in test}) == 1, "one part"
        assert all(len(h.features) == round(100 * h.speech_seconds) for h in test)
        assert len(test) == 1 or {h.speech_seconds for h in test} <= {1.0, 2.0, 3.0}
    heard = np.array([sum(h.speech_seconds for h in t) for t in tests])
    assert 0.49 < heard.min() < 0.6
    assert heard.max() == 6.0
    assert 0.1 < np.mean([len(t) > 1 for t in tests]) < 0.25
    assert 0.5 < np.mean(np.isin(heard, (1.0, 2.0, 3.0, 4.0))) < 0.75


def test_llrs_are_exact_where_acceptance_of_rare_owners_is_decided() -> None:
    """Where owners spread more than strangers no line is exact everywhere; it is to be so at a prior of about 0.1."""
    owners, others = stats.norm(3, 2), stats.norm(0, 1)
    scores = np.concatenate([law.ppf((np.arange(n) + 0.5) / n) for law, n in ((owners, 1000), (others, 4000))])
    ones = np.ones(len(scores))
    tested = np.repeat(["a", "z"], (1000, 4000))
    store = SimulatedStore(("a",), ScoredTrials(scores[None], ones[:1], ones, 0 * ones), tuple(tested.tolist()), ())
    found = _fit([[store]], BY_HAND.cohort)

    def cost(threshold: Any, prior: float) -> Any:
        return prior * owners.cdf(threshold) + (1 - prior) * others.sf(threshold)

    def paid(prior: float) -> float:
        """What Bayes decisions by these LLRs cost, as a multiple of the least that any threshold costs."""
        llrs = found.llr(normalized_by(found.levels, store)[0])
        accepted = np.interp(np.log((1 - prior) / prior), np.sort(llrs), np.sort(scores))
        return float(cost(accepted, prior) / cost(np.linspace(-5, 9, 5000), prior).min())

    assert paid(0.1) < 1.015
    assert paid(0.1) < min(paid(0.01), paid(0.5))


def test_an_amount_that_is_not_known_is_a_usual_one_and_far_ones_are_the_nearest() -> None:
    norm = BY_HAND.levels.amounts
    middle = np.sqrt(norm.low * norm.high)
    np.testing.assert_allclose(norm([1.0], np.nan, np.nan, -2.0), norm([1.0], *middle, -2.0))
    np.testing.assert_array_equal(norm([1.0], 0.0, 1e9, -2.0), norm([1.0], norm.low[0], norm.high[1], -2.0))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_what_training_knows_gives_way_to_the_stores_own_trials(size: int) -> None:
    levels = BY_HAND.levels
    own = [np.random.default_rng(i).normal(2.0, 0.5, 50) for i in range(size)]
    known, found = levels.norm(size), levels.norm(size, own)
    assert known.size == found.size == size
    assert found.assures(0.1) == (size >= 5)
    if size < LEAST_PEOPLE:
        assert found == known
        return
    level, spread = impostor_level(own)
    share = (size - 1) / (size - 1 + FADE)
    assert found.location == pytest.approx(share * level + (1 - share) * known.location)
    assert np.log(found.scale) == pytest.approx(share * np.log(spread) + (1 - share) * np.log(known.scale))
    same = levels.norm(size, [np.zeros(9)] * size)  # trials that are all alike divide by no 0
    assert 0 < same.scale < known.scale
    assert np.isfinite(same([0.0, 1e3])).all()


def test_one_who_is_enrolled_under_two_names_does_not_move_the_level() -> None:
    rng = np.random.default_rng(0)
    trials = [rng.normal(size=(11, 3)) for _ in range(12)]
    doubled = [t.copy() for t in trials]
    doubled[0][0] += 30.0
    doubled[1][0] += 30.0
    (a, b), (c, d) = impostor_level(trials), impostor_level(doubled)
    assert abs(a - c) < 0.05
    assert abs(b - d) < 0.1


def test_the_level_of_impostors_is_the_normal_distribution_of_their_upper_tail() -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    normal = stats.norm(0.7, 1.6).ppf(shares)
    assert impostor_level([normal]) == pytest.approx((0.7, 1.6), rel=1e-3)
    below = np.where(normal < 0.7, 3 * normal - 1.4, normal)  # how far the low ones lie changes nothing
    assert impostor_level([below]) == pytest.approx((0.7, 1.6), rel=1e-3)


def gumbel(sizes: list[int]) -> SystemCalibration:
    """A calibration of stores of these sizes, in which the best of n independent scores lies log n higher."""
    rates, none = np.geomspace(1e-5, 0.999, 2000), np.zeros(1)

    def strangers(size: int) -> Strangers:
        searched = np.unique([1, size])
        scores = stats.gumbel_r.isf(rates) + np.log(searched)[:, None] + 0.1 * np.log(size)
        each = [np.repeat(x, len(searched)) for x in (none + 1e-5, none + 1, none)]
        return Strangers(searched, [10**6] * len(searched), np.tile(rates, (len(searched), 1)), scores, *each)

    known = np.array(sizes, dtype=np.float64)
    levels = ImpostorLevels(BY_HAND.levels.amounts, known, 2 + 0.3 * np.log(known), 1.4 * known**-0.2)
    return dataclasses.replace(BY_HAND, levels=levels, strangers=tuple(map(strangers, sizes)))


def test_between_sizes_of_stores_levels_follow_the_logarithm_of_the_size() -> None:
    levels = gumbel([1, 4, 32]).levels
    for size in (1, 2, 3, 4, 7, 20, 31, 32):
        known = levels.norm(size)
        assert known.location == pytest.approx(2 + 0.3 * np.log(size))
        assert known.scale == pytest.approx(1.4 * size**-0.2)


def score_of(c: SystemCalibration, size: int, searched: int, far: float = 0.05) -> float:
    return c.threshold(far, StoreNorm(size, 0.0, 1.0), searched).score - float(stats.gumbel_r.isf(far))


def test_a_threshold_is_the_mean_of_what_stores_of_about_the_size_say() -> None:
    """Half or twice the size counts exp(-1 / 2) of the same size; stores too small to know their strangers do not."""
    c = gumbel([1, 2, 3, 5, 10])
    share = 1 / (1 + np.exp(-0.5))
    for searched, slope in ((1, 0.1), (5, 1.1)):
        expected = share * slope * np.log(5) + (1 - share) * slope * np.log(10)
        assert score_of(c, 5, searched) == pytest.approx(expected, abs=2e-3)
    middle = gumbel([1, 5, 20])
    assert score_of(middle, 10, 10) == pytest.approx(1.1 * np.log(10), abs=2e-3)
    assert score_of(middle, 10, 1) == pytest.approx(0.1 * np.log(10), abs=2e-3)
    assert score_of(middle, 10, 20) == pytest.approx(1.1 * np.log(10) + np.log(2), abs=2e-3)
    for size in (1, 2, 3):
        assert score_of(c, size, size) == pytest.approx(1.1 * np.log(size), abs=2e-3)
    assert score_of(c, 4, 4) == pytest.approx(1.1 * np.log(3) + np.log(4 / 3), abs=2e-3)


def test_beyond_simulated_stores_thresholds_grow_at_half_pace_until_the_most_are_tested() -> None:
    c = gumbel([1, 5])
    at_5 = 1.1 * np.log(5)
    for size, more in ((5, 1), (10, np.sqrt(2)), (20, 2), (60, 6), (100, 10)):
        assert score_of(c, size, size) == pytest.approx(at_5 + np.log(more), abs=2e-3)
        assert score_of(c, size, 1) == pytest.approx(0.1 * np.log(5), abs=2e-3)  # one is one, among however many
    many = gumbel([1, 30])
    assert score_of(many, 60, 60) == pytest.approx(1.1 * np.log(30) + np.log(2), abs=2e-3)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.005, 0.5))
def test_thresholds_move_evenly_with_size_and_rate(size: int, searched: int, far: float) -> None:
    c, norm = BY_HAND, BY_HAND.levels.norm(size)
    t = c.threshold(far, norm, searched)
    assert c.threshold(far / 2, norm, searched).score >= t.score
    assert c.threshold(far, norm, searched + 1).score >= t.score


def test_what_a_rate_costs_is_told_for_the_size_of_the_search() -> None:
    c = BY_HAND
    for size in (1, 5, 8):
        for cost in error_table(c, c.levels.norm(8), 3.0, size):
            threshold = c.threshold(cost.far, c.levels.norm(8), size).score
            mean = c.owners.mean[0] + c.owners.mean[1] * np.log(1 / (1 / 3 + 1 / cost.test_seconds))
            assert cost.speakers == size
            assert cost.missed == pytest.approx(stats.norm.cdf(threshold, mean, c.owners.deviation))


@given(st.floats(-5, 5), st.floats(0.01, 1e3), st.floats(0.01, 1e3))
def test_fewer_owners_are_missed_with_more_speech_and_lower_thresholds(score: float, a: float, b: float) -> None:
    owners = BY_HAND.owners
    less, more = sorted((a, b))
    assert 0 <= owners.missed(score, more) <= owners.missed(score, less) <= 1
    assert owners.missed(score - 1, a) <= owners.missed(score, a)


def test_a_cohort_of_another_shape_is_refused() -> None:
    system = tiny_system()
    c = dataclasses.replace(calibration_by_hand(system), cohort=np.arange(60.0).reshape(3, 4, 5))
    with pytest.raises(IncompatibleModel, match=r"the cohort must have means of shape \(4, 3\)"):
        dataclasses.replace(system, calibration=c)


def test_the_shorter_side_decides_how_much_speech_there_is() -> None:
    np.testing.assert_allclose(amount([1.0, 10.0, 1e9], [1.0, 1e9, 3.0]), [0.5, 10.0, 3.0], rtol=1e-6)
    assert np.isnan(amount(np.nan, 3.0))

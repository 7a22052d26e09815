"""Calibration at training time, on made speakers of whom strangers can be drawn without end."""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
from typing import Any

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.evaluation import Calibration, cllr, fit_strangers, min_cllr
from speechgmm.features.normalize import normalize
from speechgmm.speakers import System, SystemCalibration, load_system, speaker_models
from speechgmm.speakers.calibration import amount
from speechgmm.speakers.held_out import PARTS, adapt_cohort, divide, score_held_out
from speechgmm.speakers.models import SpeakerModels, cohort_models
from speechgmm.speakers.score_norm import PULL, cohort_norm
from speechgmm.speakers.train_calibration import LEAST_SPEAKERS, calibrate
from tests.speakers.made import FRONTEND, background, calibration_of, speaker_frames, uncalibrated

HOP = FRONTEND.hop_length


@pytest.fixture(scope="module")
def frames() -> Any:
    return background(60)


@pytest.fixture(scope="module")
def calibrated(frames: Any) -> System:
    plain = uncalibrated(frames)
    return dataclasses.replace(plain, calibration=calibration_of(plain, frames))


def total(system: System, recordings: list[Any]) -> Any:
    return functools.reduce(operator.add, map(system.statistics, recordings))


def cohort_of(system: System) -> SpeakerModels:
    found = cohort_models(system)
    assert found is not None
    return found


def calibration(system: System) -> Any:
    assert system.calibration is not None
    return system.calibration


@pytest.fixture(scope="module")
def met(calibrated: System) -> tuple[Any, Any]:
    """LLRs (T, S) of tests of 12 enrolled speakers, five each, then of strangers, and who speaks (-1 for these)."""
    rng = np.random.default_rng(99)
    own = [speaker_frames(rng, 9, 120) for _ in range(12)]
    statistics = {
        f"{i:02}": functools.reduce(operator.add, map(calibrated.statistics, r[:4])) for i, r in enumerate(own)
    }
    models = speaker_models(calibrated, statistics, dict.fromkeys(statistics, 480 * HOP))
    tests = [(i, x) for i, r in enumerate(own) for x in r[4:]]
    tests += [(-1, speaker_frames(rng, 1, 120)[0]) for _ in range(800)]
    cohort = cohort_of(calibrated)
    raw = np.stack([np.concatenate([models.ratios(x), cohort.ratios(x)]) for _, x in tests], axis=1)
    z = cohort_norm(raw, models.distances, cohort.distances)
    llr = calibration(calibrated).llr(z, amount(models.speech_seconds[:, None], 1.2))
    return llr.T, np.array([i for i, _ in tests])


@pytest.mark.parametrize("far", [0.05, 0.1])
def test_strangers_are_accepted_at_the_stated_rate(calibrated: System, met: tuple[Any, Any], far: float) -> None:
    llr, who = met
    threshold = calibration(calibrated).strangers.threshold(far, llr.shape[1])
    assert not threshold.extrapolated
    assert far / 2 < np.mean(llr[who < 0].max(axis=1) >= threshold.score) < 2 * far
    mine = llr[who >= 0]
    assert np.mean(mine[np.arange(len(mine)), who[who >= 0]] >= threshold.score) > 0.6


def test_a_likelihood_ratio_means_what_it_says(met: tuple[Any, Any]) -> None:
    llr, who = met
    target = who[:, None] == np.arange(llr.shape[1])
    assert cllr(llr[target], llr[~target]) < min_cllr(llr[target], llr[~target]) + 0.06  # of 60 targets


def test_what_was_measured_is_said(calibrated: System) -> None:
    measured = calibration(calibrated).measured
    assert (measured["by"], measured["speakers"], measured["enrolled"], measured["tests"]) == (
        "recordings",
        60,
        15,
        360,
    )
    assert measured["seconds"] == [1.2, 1.2, 1.2]
    assert measured["enroll_seconds"] == [2.4, 4.8, 6.0]  # two of six recordings, to five
    assert calibration(calibrated).usual_seconds == pytest.approx(4.8)
    for name in ("eer", "cllr", "min_cllr"):
        value, low, high = measured[name]
        assert low <= value <= high
    assert [r["asked"] for r in measured["per_search"]] == [0.01, 0.05, 0.1]
    for r in measured["per_search"]:
        assert r["low"] <= r["asked"] <= r["high"]
        assert 0 <= r["missed"] < 1
    json.dumps(calibrated.summary(), allow_nan=False)


def test_saved_and_loaded_it_is_the_same(calibrated: System, tmp_path: Any) -> None:
    calibrated.save(tmp_path / "m")
    loaded = load_system(tmp_path / "m")
    assert storage.dumps(loaded) == (tmp_path / "m").read_bytes()
    assert loaded.fingerprint == calibrated.fingerprint


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(frames: Any, calibrated: System) -> None:
    from speechgmm.mixture import fit_gmm

    plain = dataclasses.replace(calibrated, calibration=None)
    again = calibrate(plain, frames, lambda blocks, stage: fit_gmm(blocks, 4, n_threads=3).model, n_threads=3)
    assert storage.dumps(again) == storage.dumps(calibration(calibrated))


def test_who_calibrates_has_not_trained_the_model_that_scores(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from speechgmm.mixture import fit_gmm

    knew: list[Any] = []
    scored: list[tuple[Any, set[str]]] = []

    def train(blocks: Any, stage: str) -> Any:
        ubm = fit_gmm(blocks, 4, n_threads=1).model
        knew.append((ubm, np.concatenate(list(blocks))))
        return ubm

    def watch(system: Any, material: Any, cohort: Any, **how: Any) -> Any:
        scored.append((system.ubm, {m.speaker for m in material}))
        return score_held_out(system, material, cohort, **how)

    monkeypatch.setattr("speechgmm.speakers.train_calibration.score_held_out", watch)
    assert calibrate(uncalibrated(frames), frames, train, n_threads=1) is not None
    assert sorted(s for _, fold in scored for s in fold) == list(frames.speakers)
    for (ubm, rows), (scorer, fold) in zip(knew, scored, strict=True):
        assert scorer is ubm
        np.testing.assert_array_equal(rows, np.concatenate(list(frames.without(fold))))


def test_too_few_speakers_are_not_calibrated() -> None:
    few = background(LEAST_SPEAKERS - 1)
    assert calibration_of(uncalibrated(few), few) is None
    enough = background(LEAST_SPEAKERS)
    assert calibration_of(uncalibrated(enough), enough) is not None


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
    found = divide(made, FRONTEND, least=20)
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
    assert divide(background(25, recordings=1, frames=150), FRONTEND, least=20).speakers == {}


def test_pieces_are_normalized_each_by_itself() -> None:
    frontend = dataclasses.replace(FRONTEND, normalization="mean_variance")
    made = background(20, recordings=1, frames=400)
    found = divide(made, frontend, least=20).speakers["s000"]
    assert [len(m.features) for m in found] == [100, 300]
    whole = made.blocks.frames[:400]
    np.testing.assert_array_equal(found[1].features, normalize(whole[100:], "mean_variance"))


def test_no_test_is_scored_against_a_model_that_holds_it(frames: Any) -> None:
    system = uncalibrated(frames)
    held = divide(frames, FRONTEND, least=20).speakers
    material = [m for s in sorted(held)[:5] for m in held[s]]
    cohort = adapt_cohort(system, frames, leave_out=frozenset(sorted(held)[:5]), n_threads=1)
    assert len(cohort.names) == 40
    assert not set(cohort.names) & set(sorted(held)[:5])
    t = score_held_out(system, material, cohort, n_threads=1)
    assert t.scores.shape == (5 * (PARTS + 2), 30)
    same = t.enrolled[:, None] == t.tested[None]
    np.testing.assert_array_equal(t.impostor, ~same)
    assert not (t.target & ~same).any()
    # with what a model holds, its score is higher than any score of a target
    assert t.scores[same & ~t.target].mean() > t.scores[t.target].mean()
    # each test is left out by one of its speaker's four models, and by one of the two halves
    assert (t.target.sum(axis=0) == 2).all()
    assert (t.search.sum(axis=0) == 5).all()
    assert ((t.search & t.target).sum(axis=0) == 1).all()


def test_the_pull_makes_scores_of_strangers_alike_whatever_is_enrolled(frames: Any) -> None:
    system = uncalibrated(frames)
    rng = np.random.default_rng(3)
    people = [speaker_frames(rng, 16, 120) for _ in range(30)]
    strangers = [speaker_frames(rng, 1, 120)[0] for _ in range(60)]
    means = []
    for held in (1, 4, 16):
        sums = {
            f"{i:02}": functools.reduce(operator.add, map(system.statistics, p[:held])) for i, p in enumerate(people)
        }
        models = speaker_models(system, sums)
        raw = np.stack([models.ratios(x) for x in strangers], axis=1)
        q = models.distances
        means.append((raw.mean(), (raw + PULL * q[:, None]).mean(), raw.std()))
    plain, fair = np.ptp([m[0] for m in means]), np.ptp([m[1] for m in means])
    assert fair < plain


def test_distances_are_weighted_squares(calibrated: System) -> None:
    models = cohort_of(calibrated)
    ubm = calibrated.ubm
    expected = [
        sum(
            w * ((m - u) ** 2 / v).sum()
            for w, m, u, v in zip(ubm.weights, mean, ubm.offsets, ubm.covariance.deviations() ** 2, strict=True)
        )
        for mean in models.offsets
    ]
    np.testing.assert_allclose(models.distances, expected, rtol=1e-10)


def test_a_cohort_of_another_shape_is_refused(calibrated: System) -> None:
    c = dataclasses.replace(calibration(calibrated), cohort=np.zeros((3, 4, 5)))
    with pytest.raises(IncompatibleModel, match=r"the cohort must have means of shape \(4, 4\)"):
        dataclasses.replace(calibrated, calibration=c)


def test_the_shorter_side_decides_how_much_speech_there_is() -> None:
    np.testing.assert_allclose(amount([1.0, 10.0, 1e9], [1.0, 1e9, 3.0]), [0.5, 10.0, 3.0], rtol=1e-6)
    assert np.isnan(amount(np.nan, 3.0))


def test_a_bad_calibration_is_refused() -> None:
    strangers = fit_strangers(np.zeros((3, 2)))
    llr = Calibration([1.0, 0.0], [0.0, 0.0], [1.0], [9.0])
    with pytest.raises(
        InvalidInput, match="the map to LLRs must know the amount of speech, and nothing else; got 0 kind"
    ):
        SystemCalibration(np.zeros((2, 1, 1)), Calibration([1.0], [0.0], [], []), strangers, 0.5)
    with pytest.raises(InvalidInput, match="the cohort must be at least two models"):
        SystemCalibration(np.zeros((1, 1, 1)), llr, strangers, 0.5)
    with pytest.raises(InvalidInput, match="the cohort must be finite"):
        SystemCalibration(np.full((2, 1, 1), np.nan), llr, strangers, 0.5)
    with pytest.raises(InvalidInput, match="least_seconds must be at least 0"):
        SystemCalibration(np.zeros((2, 1, 1)), llr, strangers, -1)
    for usual in (-1.0, np.inf, np.nan):
        with pytest.raises(InvalidInput, match="usual_seconds must be at least 0 s and at most"):
            SystemCalibration(np.zeros((2, 1, 1)), llr, strangers, 0.5, usual_seconds=usual)

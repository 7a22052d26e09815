"""Calibrations that are learned from anybody's scores: laws, rates in simulation, files, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.evaluation import (
    Calibration,
    Interval,
    Scores,
    TableCalibration,
    calibrate_scores,
    load_calibration,
    write_scores,
)
from speechgmm.evaluation import learn_calibration as module
from speechgmm.evaluation.false_accepts import Impostors
from speechgmm.evaluation.table_calibration import HeldOutRates
from tests.evaluation.tables import changed, gaussian, rows_of


def learned(scores: Scores, **options: Any) -> TableCalibration:
    """A calibration with intervals of few replicates."""
    return calibrate_scores(scores, **{"replicates": 20, **options})


ASKED = np.array([0.01, 0.05, 0.1, 0.01, 0.05, 0.1])
TABLE = gaussian(16, models=0.2, tested=0.1)
MADE = learned(TABLE)


# Laws


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
def test_the_order_of_scores_is_kept_also_outside_of_what_was_seen(scores: list[float]) -> None:
    table = Scores([f"m{i}" for i in range(len(scores))], ["t"] * len(scores), scores, [-1] * len(scores))
    llrs = MADE.llrs(table)
    order = np.argsort(table.score)
    assert (np.diff(llrs.score[order]) >= 0).all()
    assert MADE.outside(table) == sum(not TABLE.score.min() <= s <= TABLE.score.max() for s in scores)
    np.testing.assert_allclose([MADE.score_at(x) for x in llrs.score], scores, rtol=1e-9, atol=1e-9)


@given(st.floats(-5, 5), st.integers(-6, 6))
@settings(max_examples=8, deadline=None)
def test_a_shift_and_a_scale_of_all_scores_change_no_decision(shift: float, octaves: int) -> None:
    scale = 10.0**octaves
    moved = learned(changed(TABLE, score=scale * (TABLE.score + shift)))
    for a, b in zip(MADE.thresholds(), moved.thresholds(), strict=True):
        assert a.llr == pytest.approx(b.llr, abs=1e-4)
        assert a.score + shift == pytest.approx(b.score / scale, abs=1e-4)
        assert (a.extrapolated, a.assured) == (b.extrapolated, b.assured)
    other = gaussian(12, seed=9, models=0.2, tested=0.1)
    one, two = MADE.false_accepts(other), moved.false_accepts(changed(other, score=scale * (other.score + shift)))
    assert [f.accepted.estimate for f in one] == pytest.approx([f.accepted.estimate for f in two])


@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_changes_no_bit(seed: int) -> None:
    rows = np.random.default_rng(seed).permutation(len(TABLE))
    columns = {n: getattr(TABLE, n)[rows] for n in ("speaker", "test", "score", "target", "test_speaker")}
    assert storage.dumps(learned(Scores(**columns))) == storage.dumps(MADE)


def test_scores_that_are_llrs_stay_as_they_are() -> None:
    """Two normal distributions at a distance d: the LLR of x is d x - d**2 / 2."""
    d = 3.0
    table = gaussian(30, 10, distance=d)
    found = learned(changed(table, score=d * table.score - d**2 / 2))
    assert found.llr.slopes[0] == pytest.approx(1.0, abs=0.1)
    assert found.llr.offsets[0] == pytest.approx(0.0, abs=0.25)
    assert found.held_out.cllr.estimate == pytest.approx(found.held_out.min_cllr.estimate, abs=0.03)


# Rates


def test_asked_rates_hold_for_independent_strangers() -> None:
    """By the true rates at the thresholds of several calibrations, and by counting in other people's scores."""
    true, counted = [], []
    for seed in range(6):
        found = learned(gaussian(30, 6, seed=seed))
        log_below = stats.norm.logcdf([t.score for t in found.thresholds()])
        true.append(-np.expm1(log_below * [t.speakers for t in found.thresholds()]))
        counted.append([f.accepted.estimate for f in found.false_accepts(gaussian(30, 6, seed=100 + seed))])
        own = [f.accepted for f in found.held_out.false_accepts]
        assert all(i.low <= far <= i.high for i, far in zip(own, ASKED, strict=True))
    for shares in (true, counted):
        assert np.mean(shares, axis=0)[[0, 1, 2, 4, 5]] == pytest.approx(ASKED[[0, 1, 2, 4, 5]], rel=0.2)
    assert 0.005 < np.mean(true, axis=0)[3] < 0.02  # of 180 searches less than two are one in a hundred


def test_assured_rates_are_at_most_twice_as_high_for_others() -> None:
    """With a fifth of the variance in the models; what few speakers cannot tell is not assured."""
    assert not any(t.assured for t in MADE.thresholds() if t.speakers > 1)
    found = learned(gaussian(40, 4, models=0.2, seed=3))
    assured = [t for t in found.thresholds() if t.assured]
    assert {(t.far, t.speakers) for t in assured} >= {(0.05, 1), (0.1, 1)}
    rng = np.random.default_rng(0)
    for t in assured:
        best = rng.normal(size=(100_000, t.speakers)).max(axis=1)
        assert (best >= t.score).mean() < 2 * t.far


def test_held_out_speakers_are_judged_by_what_does_not_know_them(monkeypatch: pytest.MonkeyPatch) -> None:
    taught: dict[int, set[int]] = {}
    judged: list[tuple[Impostors, Any]] = []

    def learn(score: Any, target: Any, impostors: Impostors, *rest: Any) -> Any:
        made = plain_learn(score, target, impostors, *rest)
        taught[id(made.strangers)] = {*impostors.enrolled.tolist(), *impostors.tested.tolist()}
        return made

    def count(parts: Any, *rest: Any) -> Any:
        judged.extend(parts)
        return plain_count(parts, *rest)

    plain_learn, plain_count = module._learn, module.count_false_accepts
    monkeypatch.setattr(module, "_learn", learn)
    monkeypatch.setattr(module, "count_false_accepts", count)
    learned(gaussian(13, strangers=3))
    pairs = set()
    for impostors, strangers in judged:
        pairs |= set(zip(impostors.enrolled.tolist(), impostors.tested.tolist(), strict=True))
        assert not taught[id(strangers)] & {*impostors.enrolled.tolist(), *impostors.tested.tolist()}
        assert len(taught[id(strangers)]) == 8
    assert pairs == {(model, who) for model in range(13) for who in range(16) if model != who}


def test_what_is_learned_and_kept_is_that_of_everybody() -> None:
    assert module.fit_calibration(TABLE.score, TABLE.target).slopes[0] == pytest.approx(MADE.llr.slopes[0])
    prior = module.fit_calibration(TABLE.score, TABLE.target, prior=0.02).slopes[0]
    assert learned(TABLE, prior=0.02).llr.slopes[0] == pytest.approx(prior)
    llrs = MADE.llrs(TABLE).score.reshape(64, 16)
    strangers = np.where(TABLE.target.reshape(64, 16) == 1, -np.inf, llrs)
    assert (strangers >= MADE.threshold(0.1).score).sum() / (64 * 15) == pytest.approx(0.1, abs=0.005)
    assert (strangers.max(axis=1) >= MADE.threshold(0.25, 15).score).mean() == pytest.approx(0.25, abs=0.02)
    counts = (MADE.targets, MADE.nontargets, MADE.tests, MADE.models, MADE.speakers, MADE.unnamed)
    assert counts == (64, 960, 64, 16, 16, 0)
    assert (MADE.low, MADE.high) == (TABLE.score.min(), TABLE.score.max())


# What is unsure


def test_doubts_are_told_in_words() -> None:
    told = MADE.doubts()
    assert told[0].startswith(
        "too few strangers come so high: a model of the tail gives the threshold for 1 % of trials,"
    )
    rest = "more than twice as much may be accepted of other speakers: 16 speakers tell no more"
    assert told[1] == f"where a rate is not assured, {rest}"
    assert len(told) == 2


def test_tests_with_one_model_each_tell_of_trials_alone() -> None:
    scores = gaussian(16, 6)
    place = np.array([int(name[1:]) for name in scores.speaker])
    who, test = (np.array([int(name[part]) for name in scores.test]) for part in (slice(1, 4), slice(5, 8)))
    other = (who + 1 + test % 15) % 16  # for each test another model
    found = learned(rows_of(scores, (place == who) | (place == other)))
    assert [f.speakers for f in found.held_out.false_accepts] == [1, 1, 1]
    assert not any(t.assured for t in found.thresholds() if t.speakers > 1)
    assert (
        "most tests are scored against 1 model other than their speaker's: thresholds of searches" in found.doubts()[1]
    )


def test_rates_that_do_not_hold_are_told() -> None:
    held_out = MADE.held_out
    bad = held_out.false_accepts[1]
    bad = type(bad)(bad.far, bad.speakers, Interval(0.2, 0.15, 0.25, 0.95), False)
    rates = HeldOutRates(held_out.eer, held_out.cllr, held_out.min_cllr, (bad,))
    told = with_changes(held_out=rates).doubts()[-1]
    assert told == "where 5 % of trials was asked, 15 to 25 % of held-out strangers were accepted"


def test_tests_of_nobody_known_are_told() -> None:
    scores = gaussian(12, strangers=4)
    found = learned(changed(scores))
    assert (found.unnamed, found.speakers) == (16, 28)
    assert found.doubts()[-1].startswith("16 tests name neither a test_speaker nor a target trial: each counts as")
    assert learned(scores).unnamed == 0


# Files


def with_changes(**fields: Any) -> TableCalibration:
    names = ("llr", "strangers", "low", "high", "held_out", "targets", "nontargets", "tests", "models", "speakers")
    return TableCalibration(**{**{n: getattr(MADE, n) for n in (*names, "unnamed")}, **fields})


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sgmm"
    MADE.save(path)
    again = load_calibration(path)
    assert storage.dumps(again) == storage.dumps(MADE)
    assert again.as_dict() == MADE.as_dict()
    assert (again.llrs(TABLE).score == MADE.llrs(TABLE).score).all()
    MADE.save(path)  # over a file of its own kind


def test_files_of_another_kind(tmp_path: Path) -> None:
    storage.save(MADE.llr, tmp_path / "llr")
    with pytest.raises(IncompatibleModel, match="must hold a TableCalibration; got a Calibration"):
        load_calibration(tmp_path / "llr")
    write_scores(TABLE, tmp_path / "scores")
    with pytest.raises(InvalidInput, match="must be new, empty or a calibration of scores"):
        MADE.save(tmp_path / "scores")
    with pytest.raises(InvalidInput, match="the model file must exist"):
        load_calibration(tmp_path / "none")


def test_bad_parts_are_refused() -> None:
    cases: dict[str, dict[str, Any]] = {
        "llr of a calibration must be a Calibration": {"llr": 1.0},
        "the map to LLRs must know scores alone; got 1 kinds": {
            "llr": Calibration([1.0, 0.0], [0.0, 0.0], [1.0], [2.0])
        },
        "the slope of the map must be at least 1e-100": {"llr": Calibration([1e-120], [0.0], [], [])},
        "the highest score must be at least": {"low": 1.0, "high": 0.0},
        "tests must be at least 1; got 0": {"tests": 0},
        "unnamed must be at least 0; got -1": {"unnamed": -1},
        "held_out of a calibration must be a HeldOutRates": {"held_out": None},
    }
    for message, fields in cases.items():
        with pytest.raises(InvalidInput, match=message):
            with_changes(**fields)
    rates = MADE.held_out
    with pytest.raises(InvalidInput, match="false accepts must be a tuple, each of a FalseAccepts"):
        HeldOutRates(rates.eer, rates.cllr, rates.min_cllr, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="Cllr must be at least 0"):
        HeldOutRates(rates.eer, Interval(-1.0, 0.0, 1.0, 0.95), rates.min_cllr, rates.false_accepts)


# What is refused


def test_scores_that_nothing_can_be_learned_from() -> None:
    own = TABLE.target == 1
    cases = {
        "must be learned from targets and nontargets; got no nontargets": rows_of(TABLE, own),
        "must be learned from targets and nontargets; got no targets": rows_of(TABLE, ~own),
        "a calibration must be learned from targets and nontargets; got no nontargets": Scores(
            ["a", "b", "a", "b"], ["t", "t", "u", "u"], [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 0]
        ),  # of one person
        "speakers with target trials must be at least 8; got 7. What is learned from half": gaussian(7),
        "scores must be higher for targets than for nontargets": changed(TABLE, score=-TABLE.score),
        "scores must be higher for targets than": changed(TABLE, score=np.ones(len(TABLE))),
        "target must be 1 or 0 in every trial": changed(TABLE, target=np.full(len(TABLE), -1)),
    }
    for message, scores in cases.items():
        with pytest.raises(InvalidInput, match=message):
            learned(scores)
    for name, value in (("prior", 1.0), ("replicates", 19), ("seed", -1)):
        with pytest.raises(InvalidInput, match=f"{name} must be"):
            calibrate_scores(TABLE, **{name: value})  # type: ignore[arg-type]


def test_halves_of_which_nothing_can_be_learned() -> None:
    place = np.array([int(name[1:]) for name in TABLE.speaker])
    who = np.array([int(name[1:4]) for name in TABLE.test])
    with pytest.raises(InvalidInput, match="a half without nontarget trials"):
        learned(rows_of(TABLE, (place == who) | ((place == 0) & (who == 1))))
    part = module._parts(np.arange(16), 16, 0)
    low = np.isin(part, (2, 3))[place]  # in one half targets lie below strangers, and in the other far above them
    with pytest.raises(InvalidInput, match="of half of the speakers, by whom the other half is judged: scores must be"):
        learned(changed(TABLE, score=np.where(place == who, np.where(low, -3.0, 20.0), TABLE.score)))


def test_tables_without_strangers_have_no_rates() -> None:
    scores = Scores(["a", "b"], ["t", "u"], [1.0, 2.0], [1, 1])
    with pytest.raises(InvalidInput, match="hold a trial of a stranger, for rates of false accepts; got none"):
        MADE.false_accepts(scores)
    with pytest.raises(InvalidInput, match="target must be 1 or 0"):
        MADE.false_accepts(changed(scores, target=[1, -1]))

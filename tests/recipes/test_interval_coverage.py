"""The simulation behind the intervals: its truths, and that intervals hold them, on few repetitions."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pytest

from tests.recipes.test_recipes import RECIPES, script


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = script(RECIPES / "benchmarks" / "interval_coverage.py", monkeypatch)
    monkeypatch.setattr(found, "TRIALS", 1_000_000)
    return found


def test_the_truth_is_that_of_two_gaussians(coverage: ModuleType) -> None:
    truth = coverage.detection_truth()
    assert truth["eer"] == pytest.approx(0.0668, abs=1e-4)  # half of three deviations
    for prior in (0.5, 0.1, 0.01):
        assert truth[f"actual_dcf {prior}"] == pytest.approx(truth[f"min_dcf {prior}"], rel=1e-2)
    assert truth["cllr"] == pytest.approx(truth["min_cllr"], rel=1e-2)


def test_many_rivals_make_searches_harder(coverage: ModuleType) -> None:
    few, many = (coverage.search_truth(n, 0.3) for n in (5, 40))
    assert few["identification_rate"] > many["identification_rate"]
    assert few["strangers_accepted"] < many["strangers_accepted"]


def test_a_share_of_the_models_is_what_it_says(coverage: ModuleType) -> None:
    rng = np.random.default_rng(0)
    llr = np.stack([coverage.draw(rng, 30, 0.3)[30:] for _ in range(40)]) / coverage.HEIGHT
    assert llr.var() == pytest.approx(1.0, rel=0.05)
    assert llr.mean(axis=(1, 2)).var() == pytest.approx(0.3, rel=0.2)


def test_intervals_hold_the_truth_about_as_often_as_they_say(coverage: ModuleType) -> None:
    found = coverage.coverage(12, 0.3, 40)
    for name, row in found.items():
        assert row["coverage"] >= 0.8, name  # by a bootstrap 0.4 of min Cllr
        assert 0 < row["width"] < 1.5, name


def test_it_prints_a_table(
    coverage: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["interval_coverage.py", "--repetitions", "2", "--speakers", "6", "--shares", "0"])
    coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert "| rate | 6 speakers, 0 % in models |" in lines
    assert any(line.startswith("| min_cllr | ") for line in lines)


def test_few_trials_cost_little_more_than_the_true_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    penalty = script(RECIPES / "benchmarks" / "penalty.py", monkeypatch)
    found = {name: cost for name, (cost, _) in penalty.measure(0.01, 300, seeds=10).items()}
    assert found["oracle"] < found["ours"] < min(found["no penalty"], found["fixed"])


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = script(RECIPES / "benchmarks" / "flags.py", monkeypatch)
    monkeypatch.setattr(found, "TRIALS", 200_000)
    return found


def test_simulated_backgrounds_are_as_in_training(flags: ModuleType) -> None:
    stores = flags.background(20, 0.3, np.random.default_rng(0))
    assert list(stores) == [1, 2, 3]
    for size, kept in stores.items():
        assert {len(s) for s in kept["searches"]} == {len(m) for m in kept["models"]} == {size}
        assert not any(t in m for t, m in zip(kept["tested"], kept["models"], strict=True))
        assert len(kept["searches"]) == len(kept["tested"])
    every = np.concatenate([np.ravel(s) for seed in range(20) for s in _searches(flags, seed)])
    assert every.var() == pytest.approx(1.0, rel=0.1)


def _searches(flags: ModuleType, seed: int) -> list[np.ndarray]:
    found: list[np.ndarray] = flags.background(20, 0.3, np.random.default_rng(seed))[1]["searches"]
    return found


def test_what_is_not_flagged_is_right_more_often_than_if_searches_were_independent(
    flags: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["flags.py", "--repetitions", "4", "--people", "40", "--shares", "0.5"]
    monkeypatch.setattr("sys.argv", [*options, "--json"])
    flags.main()
    (row,) = json.loads(capsys.readouterr().out)
    assert row["right"] >= 0.9
    assert row["right"] > row["right if independent"]
    assert row["flagged"] > row["flagged if independent"]
    monkeypatch.setattr("sys.argv", options)
    flags.main()
    assert "| 40 | 50 |" in capsys.readouterr().out

"""The scripts that measure calibrations of anybody's scores, on made scores."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from speechgmm.classification.supervectors import supervector
from tests import laws
from tests.recipes.test_recipes import RECIPES, script


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES / "benchmarks"))
    return script(RECIPES / "benchmarks" / "anybodys_scores.py", monkeypatch)


def test_half_of_the_speakers_teach_and_the_others_are_accepted(scores: ModuleType) -> None:
    people = [f"p{i:02}" for i in range(20)]
    tests = [SimpleNamespace(speaker=who) for who in people for _ in range(4)]
    own = np.array([[t.speaker == model for model in people] for t in tests])
    made = SimpleNamespace(speakers=people, tests=tests)
    table = np.random.default_rng(0).normal(size=own.shape) + 4 * own
    halves = [scores.one_half(table, made, (0, i)) for i in range(3)]
    found = scores.pooled(halves)
    assert [(r["far"], r["searched"]) for r in found["rates"]] == [(x, n) for n in (1, 9) for x in (0.01, 0.05, 0.1)]
    for r in found["rates"]:
        assert r["low"] <= r["accepted"] <= r["high"]
        assert r["accepted"] == np.mean([h["rates"][found["rates"].index(r)][0].accepted.estimate for h in halves])
        assert r["broken"] <= r["assured"] <= 3
    assert 0.05 < found["rates"][2]["accepted"] < 0.2
    assert found["min_cllr"] < found["cllr"] < 0.5


def test_tables_hold_the_tests_and_models_of_some_people(scores: ModuleType) -> None:
    table = scores.table_of(np.arange(12.0).reshape(4, 3), ["a", "b", "c"], ["a", "b", "b", "d"], ["b", "c", "d"])
    assert table.score.tolist() == [4.0, 5.0, 7.0, 8.0, 10.0, 11.0]
    assert table.speaker.tolist() == ["b", "c"] * 3
    assert table.test.tolist() == ["test 1"] * 2 + ["test 2"] * 2 + ["test 3"] * 2
    assert table.target.tolist() == [1, 0, 1, 0, 0, 0]
    assert table.test_speaker.tolist() == ["b"] * 4 + ["d"] * 2


def test_rows_of_cosines_are_supervectors(scores: ModuleType) -> None:
    one = laws.family_gmm("diag", 3, 2)
    frames = [np.random.default_rng(i).normal(size=(20, 2)) for i in range(3)]
    plain = np.stack([supervector(one, [x], relevance=4.0)[0] for x in frames])
    rows = scores.rows_of(one, [one.statistics(x) for x in frames], 4.0)
    np.testing.assert_allclose(rows, plain / np.linalg.norm(plain, axis=1, keepdims=True))


def test_simulated_rates_are_those_of_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    study = script(RECIPES / "studies" / "assured_rates.py", monkeypatch)
    found = study.run(3, speakers=(16,), shares=((0.3, 0.1),))
    (row,) = found.values()
    assert list(row) == ["counted", "by bootstrap", "held out", "assured", "twice", "half"]
    assert row["counted"] >= 2 / 3
    assert row["held out"] > 0.8
    best = study.best_of(1, (0.3, 0.1))
    assert best.std() == pytest.approx(1.0, abs=0.02)

"""The campaign of very many speakers, in small: its made speakers, its references, and that it tells who is missed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from speechgmm.speakers import search
from speechgmm.speakers.outlines import Outlines
from tests.recipes.test_recipes import RECIPES, script
from tests.speakers.made import with_calibration
from tests.speakers.test_index import made_people, system_of


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES / "benchmarks"))
    return script(RECIPES / "benchmarks" / "many_speakers.py", monkeypatch)


def test_the_first_of_made_speakers(recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = with_calibration(system_of(8, 4))
    means = made_people(system, 9, 0.4)
    tests = np.stack([system.ubm.with_means(system.ubm.origin + m).sample(60, 0).frames for m in means[:6]])
    real = recipe.Real(system, means, np.full(9, 20.0), np.full((8, 4), 0.2), tests.astype(np.float32))
    monkeypatch.setattr(recipe, "BLOCK", 64)
    blocks = list(recipe.blocks(real, 300))
    assert [len(b.names) for b in blocks] == [9, 64, 64, 64, 64, 35]
    assert all(np.array_equal(a.offsets, b.offsets) for a, b in zip(blocks, recipe.blocks(real, 300), strict=True))
    recipe.write_blocks(tmp_path / "index", system, system.ubm, blocks)
    scorer = recipe.scorer_of(system, tmp_path / "index")
    given = [recipe.as_test(x, i) for i, x in enumerate(real.tests)]
    told = recipe.firsts(scorer, given, 6)
    assert told["the shortlist holds the first"] == 6
    assert told["the first of a search is that of all speakers exactly"] == "6 of 6"
    monkeypatch.setattr(search, "shortlisted", lambda _: 1)
    monkeypatch.setattr(
        Outlines,
        "scores",
        lambda _, rows, tests: -np.add.outer(np.arange(len(rows.steps)), 0.0 * np.arange(len(tests))),
    )
    missed = recipe.firsts(scorer, given, 0)["tests in which it does not"]
    assert len(missed) > 3, "a first stage that knows nothing is told"

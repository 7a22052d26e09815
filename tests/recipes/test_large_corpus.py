"""The benchmark of a large corpus, on a minute of sound."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.recipes.test_recipes import CORPORA, RECIPES, script

pytestmark = pytest.mark.skipif(not CORPORA.is_dir(), reason="no corpora beside the checkout (../shared/corpora)")


def test_a_minute_goes_through_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = script(RECIPES / "benchmarks" / "large_corpus.py", monkeypatch)
    given = argparse.Namespace(data=CORPORA, folder=tmp_path / "a", hours=0.02, components=4, million=0.02)
    found = recipe.train(given)
    assert 0.02 <= found["sound, h"] < 0.03
    assert found["EM, iterations"] > 1
    assert found["most memory, MB"] > 0
    assert (given.folder / "4.sgmm").is_file()
    passed = recipe.passes(given)
    plain, after = passed["plain EM"], passed["EM after 2 stepwise passes"]
    assert plain[0] < plain[10] < plain[20]
    assert after[0] > plain[0]
    told = recipe.pages(given)
    assert all(value > -1 for value in told.values())
    assert len(told) == 4


def test_the_same_hours_are_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = script(RECIPES / "benchmarks" / "large_corpus.py", monkeypatch)
    job = (1.08, ("fsdd", next(iter(recipe.read_corpus(CORPORA / "fsdd")))))
    for name in "ab":
        (tmp_path / name / "audio").mkdir(parents=True)
    one, again = (recipe._copy(job, tmp_path / name) for name in "ab")
    assert one == again
    (x, rate), (y, _) = (sf.read(tmp_path / name / one[0]) for name in "ab")
    assert rate == 16_000
    np.testing.assert_array_equal(x, y)

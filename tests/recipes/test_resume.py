"""The recipe that kills a training: what it starts, and how it tells a kill from an end and from a failure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.recipes.test_recipes import RECIPES, script


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script(RECIPES / "benchmarks" / "resume.py", monkeypatch)


def test_a_kill_an_end_and_a_failure(recipe: ModuleType, tmp_path: Path) -> None:
    model = tmp_path / "m"
    assert recipe.killed([sys.executable, "-S", "-c", "import time; time.sleep(60)"], model, 0.2)
    failing = "import sys; print('a reason', file=sys.stderr); sys.exit(3)"
    with pytest.raises(SystemExit, match=r"(?s)left with exit status 3 and no model.*a reason"):
        recipe.killed([sys.executable, "-S", "-c", failing], model)
    model.touch()
    assert not recipe.killed([sys.executable, "-S", "-c", "raise SystemExit(1)"], model), "recordings were left out"


def test_what_it_starts(recipe: ModuleType) -> None:
    given = argparse.Namespace(corpus="c.csv", where=["split=ubm", "a=b"], components=[4, 8])
    wanted = "-m speechgmm train c.csv -o m --where split=ubm --where a=b --components 4 --components 8"
    assert recipe.command(given, Path("m"))[1:] == wanted.split()

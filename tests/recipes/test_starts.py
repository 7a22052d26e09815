"""The benchmark of how long a command takes in a process of its own, in small."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.recipes.test_recipes import RECIPES, ROOT, script

BENCHMARK = RECIPES / "benchmarks" / "starts.py"


def test_commands_are_run_in_turns_with_those_of_another_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = script(BENCHMARK, monkeypatch)
    run: list[tuple[str, Path]] = []
    whole = recipe.took

    def took(words: list[str], checkout: Path, folder: Path) -> tuple[float, float]:
        run.append((words[0], checkout))
        if words != ["--help"] or checkout != recipe.HERE:
            return 9.0, 9.5
        processor, clock = whole(words, checkout, folder)
        return float(processor), float(clock)

    monkeypatch.setattr(recipe, "took", took)
    words = ["--people", "1", "--rounds", "1", "--where", "speaker=rms", "--beside", "/elsewhere"]
    monkeypatch.setattr(sys, "argv", ["starts.py", str(ROOT / "data" / "manifest.csv"), *words])
    recipe.main()
    line = r"^(\S+), (\S+): processor (\d+\.\d\d) s \(.*\), clock (\d+\.\d\d) s \(.*\)$"
    found = re.findall(line, capsys.readouterr().out, re.MULTILINE)
    turn = [(c, place) for c in ("--help", "info", "identify") for place in (recipe.HERE, Path("/elsewhere"))]
    assert run == [("enroll", recipe.HERE), *turn, *turn]
    assert [(command, Path(place)) for command, place, *_ in found] == turn
    told = [seconds == ["9.00", "9.50"] for _, _, *seconds in found]
    assert told == [False] + 5 * [True], "what was measured, and whose it is"


def test_what_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = script(BENCHMARK, monkeypatch)
    with pytest.raises(SystemExit, match=r"info none\.db left with exit status 1:\nspeechgmm: .* got none\.db"):
        recipe.took(["info", "none.db"], recipe.HERE, tmp_path)
    with pytest.raises(SystemExit, match="nobody has more than 3 recordings"):
        recipe.parts(recipe.Corpus.from_files(["a.wav"] * 3, speaker="ann"), 1)

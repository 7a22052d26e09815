"""The table of largest differences: every format and kind, and none that is not within 1e-5 nats."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechgmm.features import read_corpus
from tests.recipes.test_recipes import RECIPES, ROOT, script


def test_every_format_is_within_what_is_stated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script(RECIPES / "benchmarks" / "interchange.py", monkeypatch)
    rows = module.mixtures(tmp_path, ((3, 2),))
    formats = {"Kaldi", "HTK", "to scikit-learn", "from scikit-learn", "ONNX"}
    assert formats <= {row["format"] for row in rows}
    assert all(row["nats"] < 1e-9 for row in rows if "float32" not in row["format"])
    rounded = [row["nats"] for row in rows if row["format"] == "all in float32"]
    assert [1e-9 < nats < 1e-3 for nats in rounded] == [True, True]  # diagonal and spherical
    module.show(rows)
    assert "largest difference" in capsys.readouterr().out


def test_speakers_are_within_what_float32_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = script(RECIPES / "benchmarks" / "interchange.py", monkeypatch)
    few = read_corpus(ROOT / "data" / "manifest.csv").where(speaker=["rms", "slt"])
    monkeypatch.setattr(module, "read_corpus", lambda _: few)
    monkeypatch.setattr(module, "TESTS", 1)
    rows = module.speakers(Path("of nobody"), tmp_path)
    assert {row["covariance"] for row in rows} == {"2 speakers, ratios", "2 speakers, LLRs"}
    assert all(row["nats"] < (1e-9 if "ratios" in row["covariance"] else 1e-3) for row in rows)

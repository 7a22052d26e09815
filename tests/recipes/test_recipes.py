"""Every recipe reaches the numbers that it states; real recordings where they are at hand."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPES, CORPORA = ROOT / "recipes", ROOT.parent / "shared" / "corpora"


def script(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load a recipe as a module of its own name."""
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location(f"recipe_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quickstart_identifies_every_voice_and_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = script(RECIPES / "quickstart.py", monkeypatch).run(tmp_path)
    assert result.tests == 30
    assert result.identification_rate == 1.0
    assert result.eer < 0.03
    assert (tmp_path / "quickstart.png").stat().st_size > 20_000
    assert "Identified 100% of 30 tests" in capsys.readouterr().out


def test_iris_finds_the_species_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = script(RECIPES / "iris.py", monkeypatch).run(tmp_path)
    assert result["adjusted_rand"] >= 0.90
    assert result["astray"] == 5
    assert (tmp_path / "iris.png").stat().st_size > 20_000
    assert "Adjusted Rand index 0.904; 5 of 150 flowers" in capsys.readouterr().out


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("recipe", "corpus"),
    [("identify_digits", "fsdd"), ("identify_readers", "librispeech_mini"), ("verify_telephone", "wuw2")],
)
def test_real_speech_reaches_the_stated_numbers(
    recipe: str, corpus: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (CORPORA / corpus).exists():
        pytest.skip(f"the recordings of {corpus} are not beside the checkout (../shared/corpora)")
    module = script(RECIPES / recipe / "run.py", monkeypatch)
    results = module.run(CORPORA / corpus / "metadata.csv")
    expected = json.loads((RECIPES / recipe / "expected.json").read_text(encoding="utf-8"))
    assert set(results) == set(expected)
    for name, bands in expected.items():
        assert results[name].tests == bands["tests"]
        for key in ("eer", "identification_rate"):
            low, high = bands[key]
            assert low <= getattr(results[name], key) <= high, f"{name}: {key}"
    sys.modules["running"].show(RECIPES / recipe, results)
    assert next(iter(expected)) in capsys.readouterr().out


def test_the_benchmark_of_em_compares_like_with_like(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "benchmarks" / "em.py", monkeypatch)
    x = module.frames_of(None, 1500)
    found = module.compare(x, 3, 1)
    assert found["components"] == 3
    assert found["frames"] == 1500
    assert len(found["seconds"]) == 6
    assert min(found["seconds"].values()) > 0
    start = module.fit_gmm(x, 3).model
    ours = module.ours(x.astype(float), start, 1)().model
    theirs = module.sklearn(x.astype(float), start)
    theirs()
    model = theirs.__closure__[[type(c.cell_contents).__name__ for c in theirs.__closure__].index("GaussianMixture")]
    assert abs(model.cell_contents.means_ - ours.means).max() < 1e-9, "one step from the same start is the same step"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/run.py")), ids=lambda p: p.parent.name)
def test_a_run_step_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100

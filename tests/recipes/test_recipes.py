"""Every recipe reaches the numbers that it states; real recordings where they are at hand.

On real recordings a part of the corpus is heard, small enough for every run, and has bands of its own ("small" in
`expected.json`); the whole is the campaign: ``python -m pytest -m campaign``.
"""

from __future__ import annotations

import csv
import importlib.util
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from speechgmm import Evaluation, default_system
from tests.documents import run_once

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPES, CORPORA = ROOT / "recipes", ROOT.parent / "shared" / "corpora"


def script(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load a recipe as a module of its own name."""
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location(f"recipe_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


def test_quickstart_identifies_every_voice_and_draws_it() -> None:
    run = run_once("python recipes/quickstart.py")
    assert run.status == 0
    (rate,) = re.findall(r"^Identified 100% of 30 tests; equal error rate ([\d.]+)%\.$", run.printed, re.M)
    assert float(rate) < 3
    assert run.printed.count("right") == 30
    assert "wrong" not in run.printed
    assert (run.folder / "results" / "quickstart.png").stat().st_size > 20_000


def test_iris_finds_the_species_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = script(RECIPES / "iris.py", monkeypatch).run(tmp_path)
    assert result["adjusted_rand"] >= 0.90
    assert result["astray"] == 5
    assert (tmp_path / "iris.png").stat().st_size > 20_000
    assert "Adjusted Rand index 0.904; 5 of 150 flowers" in capsys.readouterr().out


Row = Mapping[str, str]
"""A line of a manifest."""
SIZES = ["small", pytest.param("whole", marks=pytest.mark.campaign)]


def every(n: int, row: Row) -> bool:
    """Whether this is the test of a split, or a take of the Free Spoken Digit Dataset whose number n divides."""
    return row["split"] == "test" or int(Path(row["path"]).stem.split("_")[2]) % n == 0


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("recipe", "corpus", "few"),
    [
        ("identify_digits", "fsdd", lambda row: every(10, row)),
        ("identify_readers", "librispeech_mini", lambda row: row["split"] != "ubm" or int(row["speaker"]) % 3 == 0),
    ],
    ids=["digits", "readers"],
)
def test_real_speech_reaches_the_stated_numbers(
    recipe: str,
    corpus: str,
    few: Callable[[Row], bool],
    size: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    manifest = manifest_of(corpus) if size == "whole" else part_of(corpus, few, tmp_path)
    module = script(RECIPES / recipe / "run.py", monkeypatch)
    results = module.run(manifest)
    check_bands(recipe, results, size)
    sys.modules["running"].show_evaluations(RECIPES / recipe, results)
    assert next(iter(results)) in capsys.readouterr().out


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
def test_telephone_calls_reach_the_stated_numbers_and_strangers_the_stated_rates(
    size: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    module = script(RECIPES / "verify_telephone" / "run.py", monkeypatch)
    if size == "whole":
        manifest, n_components = manifest_of("wuw2"), None
    else:
        manifest, n_components = part_of("wuw2", lambda row: int(row["speaker"][1:]) % 3 == 0, tmp_path), 32
    halves = 1 if size == "whole" else 20  # of eight strangers each, one tells nothing
    found = module.measure(manifest, n_components=n_components, replicates=0, halves=halves)  # bands are of estimates
    check_bands("verify_telephone", found.results, size)
    for asked, share in found.accepted.items():
        assert share.low <= 2 * asked
        if size == "whole" or asked > 0.05:  # eight strangers are too few for five in a hundred
            assert share.high >= asked / 5  # fewer than asked, as the README says
    calibrated = found.results["utterances"]
    assert calibrated.cllr < 1.25 * calibrated.min_cllr
    sys.modules["running"].show_evaluations(RECIPES / "verify_telephone", found.results)
    sys.modules["strangers"].show_strangers(found.accepted)
    assert "Strangers accepted per search" in capsys.readouterr().out


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
def test_the_packaged_model_accepts_readers_it_never_heard_as_often_as_asked(
    size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, module = manifest_of("librispeech_mini"), script(RECIPES / "packaged_model.py", monkeypatch)
    found = module.check(default_system(), manifest, halves=10 if size == "whole" else 3)
    for asked in (0.05, 0.1):
        assert found[asked].low <= 2 * asked
        assert found[asked].high >= asked / 2


def manifest_of(corpus: str) -> Path:
    """The manifest of real recordings, or a reason to skip."""
    if not (CORPORA / corpus).exists():
        pytest.skip(f"the recordings of {corpus} are not beside the checkout (../shared/corpora)")
    return CORPORA / corpus / "metadata.csv"


def part_of(corpus: str, kept: Callable[[Row], bool], folder: Path) -> Path:
    """The manifest of some of a corpus's real recordings, or a reason to skip."""
    whole = manifest_of(corpus)
    with whole.open(encoding="utf-8", newline="") as file:
        rows = [{**row, "path": str(whole.parent / row["path"])} for row in csv.DictReader(file) if kept(row)]
    with (folder / f"{corpus}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / f"{corpus}.csv"


def bands_of(recipe: str, size: str) -> dict[str, Any]:
    """What a recipe states of the whole corpus, or of the part that tests hear in every run, where that is less."""
    expected = json.loads((RECIPES / recipe / "expected.json").read_text(encoding="utf-8"))
    return expected if size == "whole" else {name: bands.get("small", bands) for name, bands in expected.items()}


def check_bands(recipe: str, results: Mapping[str, Evaluation], size: str) -> None:
    """Compare error rates with what the recipe states."""
    expected = bands_of(recipe, size)
    assert set(results) == set(expected)
    for name, bands in expected.items():
        assert results[name].tests == bands["tests"]
        for key in ("eer", "identification_rate"):
            low, high = bands[key]
            assert low <= getattr(results[name], key) <= high, f"{name}: {key}"


def benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load a benchmark, with nothing to wait for between its jobs."""
    monkeypatch.syspath_prepend(str(RECIPES / "benchmarks"))
    module = script(RECIPES / "benchmarks" / f"{name}.py", monkeypatch)
    monkeypatch.setattr(sys.modules["side_by_side"], "PAUSE", 0.0)
    return module


def test_the_benchmark_of_scoring_compares_like_with_like(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("scoring", monkeypatch)
    system, models, tests = module.made(3, 4)
    x, speaker = tests[0]
    exact = module.log_likelihood_ratios(system, models, x)
    theirs = [float(score) for score in module.loop(models, x)()]
    assert abs(np.array(theirs) - system.ubm.log_density(x.astype(float)).mean() - exact).max() < 1e-4
    assert models.names[int(exact.argmax())] == speaker == "s0"
    assert module.ranks(module.top_ratios, system, models, tests).tolist() == [0]


def test_the_benchmark_of_the_front_end_gives_sixty_features(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("frontend", monkeypatch)
    recording = str(sorted((RECIPES.parent / "data").rglob("*.flac"))[0])
    assert module.librosa_alone(recording, 16000).shape[1] == 60
    taken: list[str] = []
    module.over([recording] * 2, taken.append)()
    assert taken == [recording] * 2


def test_the_benchmark_of_em_compares_like_with_like(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("em", monkeypatch)
    x = module.frames_of(None, 1500)
    found = module.one_iteration(x, 3, 1)
    assert found["of"] == "3 components, 1500 frames"
    assert len(found["seconds"]) == 6
    assert min(found["seconds"].values()) > 0
    start = module.fit_gmm(x, 3).model
    ours = module.ours(x.astype(float), start, 1)().model
    theirs = module.sklearn(x.astype(float), start)
    theirs()
    model = theirs.__closure__[[type(c.cell_contents).__name__ for c in theirs.__closure__].index("GaussianMixture")]
    assert abs(model.cell_contents.means_ - ours.means).max() < 1e-9, "one step from the same start is the same step"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_benchmark_in_place_of_scikit_learn_keeps_to_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("drop_in", monkeypatch)
    for budget, rounds in ((1e9, 3), (18.0, 2), (0.0, 1)):  # a round takes five ticks, the look at the budget included
        clock = map(float, itertools.count()).__next__
        found = module.in_turns({"a": list, "b": list}, 3, pause=0.0, budget=budget, clock=clock)
        assert found == {"a": [1.0] * rounds, "b": [1.0] * rounds}
    cell = module.measured((1, "tied", 40, 2, 2), ("predict",), module.How(3, 0.0, 1.0, time.perf_counter))
    assert (cell.rounds, cell.heavy, list(cell.seconds)) == ({"predict": 1}, False, ["predict"])
    assert min(cell.seconds["predict"]) > 0


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/run.py")), ids=lambda p: p.parent.name)
def test_a_run_step_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100

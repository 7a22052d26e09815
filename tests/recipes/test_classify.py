"""The recipes of classification reach the numbers that they state, and read the layouts that they say."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speechgmm.classification import MixtureSettings
from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, read_corpus
from tests.kinds import KINDS, sound
from tests.recipes.test_recipes import RECIPES, SIZES, Row, bands_of, every, manifest_of, part_of, script
from tests.sounds import write

FEW: dict[str, dict[str, Callable[[Row], bool]]] = {
    "classify_digits": {"fsdd": lambda row: every(5, row)},
    "classify_keywords": {"wuw2": lambda row: True},
    "classify_gender": {
        "librispeech_mini": lambda row: row["split"] == "ubm" and int(row["speaker"]) % 3 == 0,
        "wuw2": lambda row: Path(row["path"]).stem[-1] == "5",
    },
}
"""What a recipe hears of each corpus in every run."""


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("recipe", FEW)
def test_real_speech_reaches_the_stated_numbers(
    recipe: str,
    size: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    manifests = [
        manifest_of(corpus) if size == "whole" else part_of(corpus, few, tmp_path)
        for corpus, few in FEW[recipe].items()
    ]
    results = script(RECIPES / recipe / "run.py", monkeypatch).run(*manifests)
    expected = bands_of(recipe, size)
    assert set(results) == set(expected)
    for name, band in expected.items():
        low, high = band["accuracy"]
        assert len(results[name].truth) == band["files"]
        assert low <= results[name].accuracy.estimate <= high, name
    sys.modules["running"].show_classifications(RECIPES / recipe, results, tmp_path / "c.png")
    assert next(iter(expected)) in capsys.readouterr().out
    assert (tmp_path / "c.png").stat().st_size > 10_000


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
def test_foreign_words_are_accepted_about_as_stated_but_not_each_of_them(
    size: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The mean of the two digits that differ most is within a factor of two; each by itself is not."""
    manifest = manifest_of("fsdd") if size == "whole" else part_of("fsdd", lambda row: every(5, row), tmp_path)
    monkeypatch.syspath_prepend(str(RECIPES / "classify_digits"))
    module = script(RECIPES / "classify_digits" / "foreign.py", monkeypatch)
    accepted, kept = module.measure(manifest, "67")
    assert accepted.shape == kept.shape == (2, len(module.STATED))
    assert (np.diff(accepted) >= 0).all()
    stated = module.STATED.index(0.1)
    six, seven = accepted[:, stated]
    assert 0.05 <= accepted[:, stated].mean() <= 0.2
    assert six >= (0.15 if size == "whole" else 0.12)
    assert seven <= 0.05
    assert kept[:, stated].mean() >= (0.9 if size == "whole" else 0.85)
    module.show(accepted, kept, "67", tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000


def esc(folder: Path, *, categories: tuple[str, ...] = KINDS, clips: int = 2) -> Path:
    """A small copy of the layout of ESC-50: clips of half a second, of which the first three categories are ESC-10."""
    rows = []
    for target, category in enumerate(categories):
        for fold in range(1, 6):
            for i in range(clips):
                name = f"{fold}-{100 * target + 10 * fold + i}-A-{target}.wav"
                write(folder / "audio" / name, sound(category, 10 * fold + i, 44100), 44100)
                rows.append(
                    {
                        "filename": name,
                        "fold": fold,
                        "target": target,
                        "category": category,
                        "esc10": str(target < 3),
                        "src_file": f"{1000 * target + fold}",
                        "take": "AB"[i],
                    }
                )
    (folder / "meta").mkdir()
    with (folder / "meta" / "esc50.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_environmental_sounds_from_a_small_copy_of_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(RECIPES / "classify_sounds"))
    module = script(RECIPES / "classify_sounds" / "run.py", monkeypatch)
    results = module.run(esc(tmp_path), settings=MixtureSettings(n_components=4, relevance=4.0, max_iterations=2))
    assert {name: len(r.truth) for name, r in results.items()} == {"ESC-10": 30, "ESC-50": 40}
    assert results["ESC-10"].labels == tuple(sorted(KINDS[:3]))
    assert results["ESC-50"].accuracy.estimate > 0.8
    assert len(set(results["ESC-50"].groups)) == 20
    sys.modules["running"].show_classifications(RECIPES / "classify_sounds", results, tmp_path / "c.png")
    assert "ESC-50" in capsys.readouterr().out


def test_a_layout_that_is_not_esc_50_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "classify_sounds" / "data.py", monkeypatch)
    with pytest.raises(InvalidInput, match=r"have the file meta.esc50\.csv; got none in .*--data"):
        module.corpus_of(tmp_path, only_esc10=False)
    good = esc(tmp_path / "good", categories=KINDS[3:], clips=1)
    assert len(module.corpus_of(good, only_esc10=False)) == 5
    meta = good / "meta" / "esc50.csv"
    text = meta.read_text(encoding="utf-8")
    meta.write_text(text.replace("True", "False"), encoding="utf-8")
    with pytest.raises(InvalidInput, match="list at least one clip of the subset; got none among 5"):
        module.corpus_of(good, only_esc10=True)
    next((good / "audio").iterdir()).unlink()
    with pytest.raises(InvalidInput, match="hold every clip that its meta file lists"):
        module.corpus_of(good, only_esc10=False)
    meta.write_text(text.replace("category", "kind"), encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"have the columns filename, fold, category.*; got none named category"):
        module.corpus_of(good, only_esc10=False)


def test_the_benchmark_of_classification_compares_like_with_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script(RECIPES / "benchmarks" / "classify.py", monkeypatch)
    lines = ["path,speaker,text,split"]
    for kind in KINDS:
        for i in range(6):
            write(tmp_path / kind / f"{i}.wav", sound(kind, i), 8000)
            lines.append(f"{kind}/{i}.wav,s,{kind},{'test' if i > 3 else 'enroll'}")
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    found = module.compare(read_corpus(tmp_path / "m.csv"), MFCC(sample_rate=8000, speech="none"), 2, 1)
    assert set(found["seconds"]) == {"front end", "ours", "scikit-learn"}
    assert min(found["accuracy"].values()) > 0.7
    assert found["ratios"]["whole job over front end"] > 1

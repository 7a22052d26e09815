"""The recipe for VoxCeleb on a small copy of its layout, made from readers, and its plan."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from speechgmm.errors import InvalidInput
from tests.recipes.test_recipes import CORPORA, RECIPES, script

READERS = CORPORA / "librispeech_mini"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Folders `dev` and `test` with readers under names as VoxCeleb's, and a list of trials."""
    if not READERS.is_dir():
        pytest.skip("the recordings of librispeech_mini are not beside the checkout (../shared/corpora)")
    with (READERS / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    background = [r for r in rows if r["split"] == "ubm"][:24]
    tested = [r for r in rows if r["split"] != "ubm"][:50]
    numbers: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    for part, chosen in (("dev", background), ("test", tested)):
        for row in chosen:
            speaker = f"id{10_001 + numbers.setdefault(row['speaker'], len(numbers))}"
            own = names.setdefault(f"{part}/{speaker}", [])
            own.append(f"{speaker}/{'video':_<11}/{len(own) + 1:05d}.flac")
            (tmp_path / part / "wav" / own[-1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / part / "wav" / own[-1]).symlink_to(READERS / row["path"])
    people = [own for place, own in names.items() if place.startswith("test/")]
    lines = [f"1 {own[0]} {other}" for own in people for other in own[1:4]]
    lines += [f"0 {own[0]} {others[1]}" for own in people for others in people if own is not others]
    (tmp_path / "trials.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_small_copy_is_trained_on_scored_and_taken_up_again(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEECHGMM_CACHE", str(copy / "work" / "features"))
    recipe = script(RECIPES / "voxceleb" / "run.py", monkeypatch)
    places = (copy / "dev" / "wav", copy / "test" / "wav", copy / "trials.txt", copy / "work")
    found = recipe.run(*places, n_components=8, replicates=20)
    assert found.skipped == ()
    assert found.evaluation.targets == 15
    assert found.evaluation.nontargets == 20
    assert found.evaluation.eer < 0.15
    assert sorted(p.name for p in (copy / "work").iterdir()) == ["8.sgmm", "features", "scores.npz"]
    assert len(list((copy / "work" / "features").glob("*/*.features"))) == 24 + 20
    model = (copy / "work" / "8.sgmm").stat().st_mtime_ns
    assert recipe.run(*places, n_components=8, replicates=20).evaluation == found.evaluation
    assert (copy / "work" / "8.sgmm").stat().st_mtime_ns == model
    recipe.show(found)
    shown = capsys.readouterr()
    assert "this model" in shown.out
    assert "18.8" in shown.out
    assert "features: 24 of 24" in shown.err


def test_people_of_the_trials_are_none_of_the_background(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = script(RECIPES / "voxceleb" / "run.py", monkeypatch)
    shutil.copytree(copy / "test" / "wav" / "id10025", copy / "dev" / "wav" / "id10025", symlinks=True)
    rule = "the people of --dev must be none of those of --test; got 1 of them, such as id10025"
    with pytest.raises(InvalidInput, match=rule):
        recipe.run(copy / "dev" / "wav", copy / "test" / "wav", copy / "trials.txt", copy / "work")


def test_the_plan_grows_with_hours_and_shrinks_with_cores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = script(RECIPES / "voxceleb" / "plan.py", monkeypatch)
    short, long = plan.steps(10.0, 512), plan.steps(20.0, 512)
    assert long[0].core_seconds == 2 * short[0].core_seconds
    assert long[0].disk == 2 * short[0].disk == pytest.approx(20 * 360_000 * 240 / 1e9)
    assert plan.seconds(long[0], 16) < plan.seconds(long[0], 2) / 6
    monkeypatch.setattr("sys.argv", ["plan.py"])
    plan.main()
    assert "10 nodes" in capsys.readouterr().out

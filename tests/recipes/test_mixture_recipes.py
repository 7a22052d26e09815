"""The recipes of what a mixture is good for reach the numbers that they state, and draw them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechgmm.mixture import GMM, Diagonal
from speechgmm.tracking import Tracked
from tests.recipes.test_recipes import RECIPES, script

NAMES = ("density", "impute", "track_objects", "choose_components", "customers")


def test_density_is_near_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = script(RECIPES / "density.py", monkeypatch).run(tmp_path)
    assert 0 < found["divergence"] < 0.06
    assert found["divergence"] < found["kernel_density"] < found["one_gaussian"]
    assert found["regions"] == 3
    assert found["new_data_in_place"] == pytest.approx(0.95, abs=0.02)
    assert (tmp_path / "density.png").stat().st_size > 50_000


def test_regions_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "density.py", monkeypatch)
    pdf = np.zeros((9, 9))
    pdf[1, 1], pdf[7, 1], pdf[7, 7] = 5.0, 5.0, 0.1
    assert module.regions(pdf) == 2
    assert module.regions(pdf, share=0.999) == 3


def test_a_mixture_imputes_better_than_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = script(RECIPES / "impute.py", monkeypatch).run(tmp_path)
    for name in ("iris", "speech"):
        others = [errors[name][method] for method in ("mean", "KNNImputer", "IterativeImputer")]
        assert errors[name]["mixture"] < 0.95 * min(others), name
        assert errors[name]["least_rise"] > 0, name
    assert errors["iris"]["mixture"] < 0.55
    assert errors["speech"]["mixture"] < 0.85
    assert (tmp_path / "impute.png").stat().st_size > 20_000
    assert "IterativeImputer" in capsys.readouterr().out


def test_identities_are_kept_in_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script(RECIPES / "track_objects.py", monkeypatch)
    found = module.run(tmp_path)
    assert found["identities_kept"] >= 0.95
    assert found["objects"] == 5
    assert (tmp_path / "track_objects.png").stat().st_size > 50_000
    from PIL import Image

    with Image.open(tmp_path / "track_objects.gif") as animation:
        assert animation.n_frames == 100
        animation.seek(60)
        assert len(np.unique(np.asarray(animation.convert("RGB")).reshape(-1, 3), axis=0)) > 20, "objects keep colors"
    assert (tmp_path / "track_objects.gif").stat().st_size < 1_000_000
    assert "frames per second" in capsys.readouterr().out


def test_the_video_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "track_objects.py", monkeypatch)
    truth = module.video(60)
    assert truth.images.shape == (60, 240, 320)
    assert truth.visible[:10, 4].max() == 0
    assert truth.visible[10:, 4].max() == 1
    assert truth.visible[39, 3] > 0
    assert truth.visible[40:, 3].max() == 0
    centers = module.video(300).centers
    near = np.linalg.norm(centers[:, :, None] - centers[:, None], axis=3) < 12
    assert np.triu(near.any(axis=0), 1).sum() >= 3, "objects cross"


def test_an_identity_that_changes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "track_objects.py", monkeypatch)
    places = np.array([[0.0, 0.0], [50.0, 50.0]])
    kept = sys.modules["moving_objects"].identities_kept
    truth = sys.modules["moving_objects"].Video(np.zeros((8, 1, 1)), np.array([places] * 8), np.ones((8, 2)))
    mixture = GMM([0.5, 0.5], places, Diagonal(np.ones((2, 2))))
    right = [Tracked(mixture, np.array([4, 7]), np.ones(2, bool), np.zeros((2, 2)), (), (), 0.0)] * 8
    assert kept(truth, right) == 1.0
    swapped = replace(right[0], identities=np.array([7, 4]))
    assert kept(truth, right[:5] + [swapped] * 3) == 5 / 8
    assert kept(truth, [replace(right[0], mixture=None), *right[1:]]) == 7 / 8
    assert module.identities_kept is kept


def test_a_folder_of_images_is_read_and_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    module = script(RECIPES / "track_objects.py", monkeypatch)
    with pytest.raises(SystemExit, match="must hold images of one size; got 0 images"):
        module.read(tmp_path)
    frame = np.zeros((60, 80), dtype=np.uint8)
    for t in range(24):
        image = frame.copy()
        image[20:30, 2 * t + 5 : 2 * t + 15] = 200
        image[45:53, 68 - 2 * t : 76 - 2 * t] = 120
        Image.fromarray(image).save(tmp_path / f"{t:03d}.png")
    assert module.read(tmp_path).shape == (24, 60, 80)
    found = module.run(tmp_path / "out", images=tmp_path)
    assert found["objects"] == 2
    assert "identities_kept" not in found
    assert (tmp_path / "out" / "track_objects.gif").exists()
    Image.fromarray(frame[:5]).save(tmp_path / "other.png")
    with pytest.raises(SystemExit, match="must hold images of one size; got 25 images"):
        module.read(tmp_path)


def test_the_right_number_of_components_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = script(RECIPES / "choose_components.py", monkeypatch).run(tmp_path)
    assert [found[name] for name in ("bic", "icl", "merged")] == [5, 5, 5]
    assert found["rand_index"] > 0.9
    assert found["merged_moment_error"] < 1e-12
    assert (tmp_path / "choose_components.png").stat().st_size > 50_000


def test_customers_fall_into_the_segments_that_they_are_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = script(RECIPES / "customers.py", monkeypatch).run(tmp_path)
    assert found["groups"] == 5
    assert found["mixture"] > 0.9
    assert found["mixture"] > found["truth"] - 0.02
    assert found["kmeans"] < found["mixture"] - 0.15
    assert found["share_error"] < 0.03 < found["unweighted_share_error"]
    assert found["new_right"] > 0.95
    assert found["new_promised"] == pytest.approx(found["new_right"], abs=0.02)
    assert (tmp_path / "customers.png").stat().st_size > 50_000
    told = capsys.readouterr().out
    assert all(name in told for name in ("connoisseurs", "how sure", "Adjusted Rand index"))


def test_a_survey_has_gaps_and_weights_that_make_up_for_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "shoppers.py", monkeypatch)
    survey = module.ask(4000, seed=3)
    assert survey.weights.mean() == pytest.approx(1)
    assert np.isnan(survey.answers).mean(axis=0) == pytest.approx([0.1, 0.33, 0.1, 0.1], abs=0.03)
    shares = np.bincount(survey.segments, survey.weights) / survey.weights.sum()
    np.testing.assert_allclose(shares, module.truth().weights, atol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_short(name: str) -> None:
    assert len((RECIPES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 100

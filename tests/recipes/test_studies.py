"""The scripts behind figures in the text run, here on small data; the figures themselves are of real recordings."""

from __future__ import annotations

import functools
import importlib

import pytest

from speechgmm import read_corpus, train_system
from tests.recipes.test_recipes import RECIPES, ROOT, script

STUDIES, MANIFEST = RECIPES / "studies", ROOT / "data" / "manifest.csv"


def test_peers_tell_synthetic_voices_apart_on_the_same_lists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script(RECIPES / "compare_peers" / "run.py", monkeypatch)
    monkeypatch.setattr(module.peers, "COMPONENTS", 16)
    ways = ("tutorial, MFCC, deltas, scaled", "scikit-learn, UBM, our MFCC", "bob.learn.em, UBM, our MFCC")
    found = module.run(MANIFEST, {name: module.WAYS[name] for name in ways})
    assert found[ways[0]]["identified"] > 0.5
    assert found[ways[1]]["identified"] > 0.8
    assert found[ways[1]]["EER"] < 0.2
    told = capsys.readouterr().out
    assert ways[2] in found or "bob.learn.em is not installed" in told


def test_this_package_is_scored_on_the_lists_of_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(RECIPES / "compare_peers" / "run.py", monkeypatch)
    corpus = read_corpus(MANIFEST)
    few = {"calibrated": False, "n_components": 8}
    monkeypatch.setattr(module.speechgmm, "train_system", functools.partial(train_system, **few))
    scores = module.this_package("default")(corpus)
    assert scores.shape == (len(corpus.where(split="test")), len(corpus.where(split="enroll").speakers))
    assert module.rates(corpus, scores)["identified"] > 0.8


def test_more_enrolled_speech_finds_more_speakers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = script(STUDIES / "enrollment.py", monkeypatch).run(MANIFEST, (0.5, 5.0, 1e4))
    assert list(found) == [0.5, 5.0]
    assert found[0.5]["accepted"] < found[5.0]["accepted"]
    assert found[5.0]["impostors"] < found[0.5]["impostors"] < found[5.0]["true"]
    assert "10000 s is left out" in capsys.readouterr().out


def test_adaptation_keeps_more_strangers_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = script(STUDIES / "adaptation.py", monkeypatch).run(MANIFEST, (8.0,), halves=3)
    assert list(found) == ["as it is", "relevance 8"]
    before, after = found.values()
    assert after["strangers at 5%"] < before["strangers at 5%"]
    assert after["identified"] > 0.8
    assert "relevance" in capsys.readouterr().out


def test_identities_are_counted_over_videos(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = script(STUDIES / "tracking.py", monkeypatch).run(1, frames=60)
    assert found["position and brightness"][0] > 0.95
    assert "position alone: " in capsys.readouterr().out


def test_constants_of_tracking_are_halved_and_doubled_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(STUDIES / "tracking.py", monkeypatch)
    place = importlib.import_module("speechgmm.tracking.track")
    as_it_is = place.LOOSE
    monkeypatch.setattr(module, "CONSTANTS", {"track": "LOOSE"})
    monkeypatch.setattr(module, "SETTINGS", {"patience": 15})
    found = module.vary(1, frames=40)
    assert list(found) == ["LOOSE", "patience"]
    assert found["LOOSE"][1] == 0, "what nothing may be cannot be born"
    assert found["patience"][0] > 0
    assert as_it_is == place.LOOSE

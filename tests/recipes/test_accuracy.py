"""Ways to tell speakers apart, compared on small data: the campaign on real recordings runs outside CI."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import speechgmm
from recipes.babble import VOICES, babble
from recipes.halves import a_store
from speechgmm import evaluation
from speechgmm.evaluation import Interval
from speechgmm.features import read, read_corpus
from speechgmm.speakers import enrolled
from speechgmm.speakers.models import cohort_models
from tests.recipes.test_recipes import RECIPES, ROOT, script

MANIFEST = ROOT / "data" / "manifest.csv"
WAY = {"n_components": (16,), "kind": "mfcc"}


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield monkeypatch


@pytest.fixture(scope="module")
def accuracy(patched: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's script, for which synthetic voices are every corpus."""
    patched.syspath_prepend(str(RECIPES / "benchmarks"))
    found = script(RECIPES / "benchmarks" / "accuracy.py", patched)
    patched.setattr(sys.modules["corpora"], "prepare", lambda recipe, data: MANIFEST)
    patched.setitem(found.WAYS, "defaults", found.Way(**WAY))
    patched.setitem(found.WAYS, "first release", found.Way(**WAY, normalization="mean_variance", power=1.0))
    return found


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What was said on the way."""
    return []


@pytest.fixture(scope="module")
def searches(accuracy: ModuleType, told: list[str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("cache")
    return accuracy.Searches(accuracy.Recordings(None, folder, 1), folder, told.append)


@given(decibels=st.floats(-20, 40), loud=st.floats(0.01, 1), others=st.lists(st.floats(0.01, 1), min_size=1))
@settings(max_examples=25, deadline=None)
def test_others_are_so_much_less_loud_together(decibels: float, loud: float, others: list[float]) -> None:
    speech = loud * np.tile([1.0, -1.0], 800)
    heard = babble(speech, [np.full(200, o) for o in others], 8000, np.random.default_rng(0), decibels=decibels)
    up, down = heard[0], heard[1]
    assert max(abs(up), abs(down)) == pytest.approx(0.5)
    assert (up + down) / (up - down) == pytest.approx(10 ** (-decibels / 20), rel=1e-6)


def test_eight_others_are_equally_loud() -> None:
    t = np.arange(1600)
    others = [level * np.sin(2 * np.pi * 40 * k * t / 1600) for k, level in enumerate(np.linspace(0.1, 1, 12), 1)]
    heard = babble(np.sin(2 * np.pi * 700 * t / 1600), others, 8000, np.random.default_rng(0))
    heights = np.abs(np.fft.rfft(heard))[40:520:40]
    there = heights > 0.5 * heights.max()
    assert there.sum() == VOICES
    np.testing.assert_allclose(heights[there], heights.max(), rtol=0.01)
    assert heights[~there].max() < 1e-9 * heights.max()


@pytest.mark.parametrize("corpus", ["wuw2", "fsdd"])
def test_babble_is_of_others_in_the_background(
    accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, corpus: str
) -> None:
    module, drawn = sys.modules["recordings"], []
    as_it_is = module.babble

    def watched(speech: Any, others: Any, rate: int, rng: Any, *, decibels: float) -> Any:
        drawn.append(([x.tobytes() for x in others], decibels))
        return as_it_is(speech, others, rate, rng, decibels=decibels)

    monkeypatch.setattr(module, "babble", watched)
    every = read_corpus(MANIFEST)
    background = every.where(split="enroll" if corpus == "fsdd" else "ubm")
    speakers = {read(r.path).samples.tobytes(): r.speaker for r in background}
    heard = module.Recordings(None, tmp_path, 1).of(corpus, "test", babble=True)
    for r, copy, (others, decibels) in zip(every.where(split="test"), heard, drawn, strict=True):
        assert dataclasses.replace(copy, path=r.path) == r
        assert len(set(others)) == VOICES
        assert r.speaker not in {speakers[o] for o in others}
        assert decibels == 10.0
    again = module.Recordings(None, tmp_path, 1).of(corpus, "test", babble=True)
    assert tuple(again) == tuple(heard)
    assert len(drawn) == len(heard), "what is there is taken"
    elsewhere = module._among(next(iter(every.where(split="test"))), background, tmp_path / "elsewhere")
    assert Path(elsewhere.path).read_bytes() == Path(next(iter(heard)).path).read_bytes()


def test_rows_are_named_by_what_they_are(accuracy: ModuleType) -> None:
    names = [r.name for r in accuracy.ROWS]
    assert len(set(names)) == len(names) == 3 * 2 * (7 + 7 + 6 + 6)
    assert {"wuw2", "wuw2/all/sessions", "wuw2+babble", "malayalam_msc/5s/2s", "fsdd+telephone/5s"} < set(names)
    assert "fsdd/all/sessions" not in names, "where a speaker has one session it is no test"
    (row,) = (r for r in accuracy.ROWS if r.name == "wuw2+babble/5s/0.5s")
    assert row == accuracy.Row("wuw2", "babble", 5.0, 0.5)
    assert row.title == "wuw2+babble/5s/0.5s: wuw2, tests in babble at 10 dB; 5 s enrolled, tested 0.5 s"


@pytest.mark.parametrize(("by", "place"), [("recording", 0), ("session", 1)])
def test_searches_are_those_of_a_store_with_the_same_people(
    accuracy: ModuleType, searches: Any, by: str, place: int
) -> None:
    row, way, corpus = accuracy.Row("wuw2", by=by), accuracy.WAYS["first release"], read_corpus(MANIFEST)
    found = searches.of(row, way)
    everybody = corpus.where(split="enroll").speakers
    assert sorted(found[1].enrolled + found[2].enrolled) == sorted(found[0].enrolled) == sorted(everybody)
    system, cohort = searches._trained(row, way)
    assert system.relevance == way.relevance
    with a_store(system) as store:
        speechgmm.enroll(system, store, corpus.where(split="enroll", speaker=found[place].enrolled))
        models = enrolled(system, store).models
    others = cohort_models(models.ubm, cohort)
    assert others is not None
    order = [models.names.index(s) for s in found[place].enrolled]
    wanted: dict[tuple[str, str], list[Any]] = {}
    for r in corpus.where(split="test"):
        x = system.frontend.from_file(r.path)
        own, level = models.ratios(x, 1), others.ratios(x, 1)
        both = [(scores - level.mean()) / level.std() for scores in (own[order], level)]
        wanted.setdefault((r.speaker, r.session_name if by == "session" else r.name), []).append((both, len(x)))
    tests = sorted(wanted, key=lambda test: test[0])
    assert found[place].speaker.tolist() == [speaker for speaker, _ in tests]
    for scores, heard in zip(found[place].scores, map(wanted.__getitem__, tests), strict=True):
        own, level = (np.average([both[i] for both, _ in heard], axis=0, weights=[n for _, n in heard]) for i in (0, 1))
        np.testing.assert_allclose(scores, (own - level.mean()) / level.std() if len(heard) > 1 else own, atol=0.01)


def test_amounts_are_enrolled_and_tested_to_the_frame(accuracy: ModuleType, searches: Any) -> None:
    row, way = accuracy.Row("wuw2", enroll_seconds=5.0, test_seconds=2.0), accuracy.WAYS["first release"]
    system, _ = searches._trained(row, way)
    people, tests = searches._people(row, way, system), searches._tests(row, system)
    assert len(people) == 10
    for statistics, seconds, single in people.values():
        assert seconds == pytest.approx(5.0)
        assert statistics.frames == pytest.approx(500)
        assert sum(x.counts.sum() for x in single) == pytest.approx(500, abs=0.01)
    assert len(tests) > 10
    for test in tests:
        assert sum(len(e.usable()) for e in test.sounds) == 200
        assert len({e.recording.session_name for e in test.sounds}) == 1
        for e in test.sounds:
            np.testing.assert_allclose(e.usable().mean(axis=0), 0, atol=1e-3, err_msg="normalized by itself")
    assert [len(t.sounds) for t in searches._tests(dataclasses.replace(row, test_seconds=0.5), system)] == [1] * 30
    mixed = sys.modules["accuracy_material"]._mixed
    heard = searches._heard(row, system.frontend, "test")
    names = [e.name for e in mixed(heard)]
    assert names == [e.name for e in mixed(heard[::-1])], "nothing depends on the order in a manifest"
    assert names != sorted(names) == sorted(e.name for e in heard)
    with pytest.raises(sys.modules["recordings"].Skip, match="0 speakers have so much speech, and 6 is the least"):
        searches.of(dataclasses.replace(row, test_seconds=100.0), way)


def test_babble_is_in_the_tests_alone_and_the_telephone_in_all(accuracy: ModuleType, searches: Any) -> None:
    way = accuracy.WAYS["defaults"]
    clean, babbled, called = (accuracy.Row("wuw2", c) for c in ("clean", "babble", "telephone"))
    system, _ = searches._trained(clean, way)
    assert searches._trained(babbled, way)[0].fingerprint == system.fingerprint
    assert searches._trained(called, way)[0].frontend.sample_rate == 8000 < system.frontend.sample_rate
    plain = system.frontend
    for split, spoiled in (("enroll", False), ("test", True)):
        own, others = ([e.usable() for e in searches._heard(row, plain, split)] for row in (clean, babbled))
        same = [len(a) == len(b) and bool((a == b).all()) for a, b in zip(own, others, strict=True)]
        assert not any(same) if spoiled else all(same)
    ahead = []
    for row in (clean, babbled, called):
        everybody = searches.of(row, way)[0]
        ahead.append(everybody.scores[everybody.target].mean() - everybody.scores[~everybody.target].mean())
    assert ahead[0] > ahead[1] > 0
    assert ahead[2] > 0


def test_a_corpus_whose_background_is_enrolled_has_no_cohort(accuracy: ModuleType, searches: Any) -> None:
    row, way = accuracy.Row("fsdd"), accuracy.WAYS["defaults"]
    system, cohort = searches._trained(row, way)
    assert cohort is None
    assert system.info["data"]["recordings"] == len(read_corpus(MANIFEST).where(split="enroll"))
    assert searches.of(row, way)[0].found.mean() > 0.8


def test_what_was_made_before_is_taken(
    accuracy: ModuleType, searches: Any, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    row, way = accuracy.Row("wuw2"), accuracy.WAYS["defaults"]
    before = searches.of(row, way)
    told.clear()
    module = sys.modules["accuracy_material"]
    for name in ("extract_all", "training_frames"):
        monkeypatch.setattr(module, name, None)
    monkeypatch.setattr(module.speechgmm, "train_system", None)
    for a, b in zip(before, searches.of(row, way), strict=True):
        assert a.enrolled == b.enrolled
        np.testing.assert_array_equal(a.scores, b.scores)
    assert told == ["wuw2: 10 speakers, 30 tests"]
    assert len(searches.of(row, way, most=2)[0].scores) == 20


def test_strangers_and_enrolled_impostors_are_told_apart(accuracy: ModuleType, searches: Any) -> None:
    row = accuracy.Row("wuw2", test_seconds=0.5)
    others, ours = (searches.of(row, accuracy.WAYS[way]) for way in ("defaults", "first release"))
    found = accuracy.beside(ours, others)
    eers = []
    for side in (ours, others):
        everybody, *halves = side
        target = everybody.speaker[:, None] == np.array(everybody.enrolled)
        eers.append({"eer_enrolled": evaluation.eer(everybody.scores[target], everybody.scores[~target])})
        apart = []
        for half in halves:
            inside = np.isin(half.speaker, half.enrolled)
            target = half.speaker[:, None] == np.array(half.enrolled)
            assert 0 < inside.sum() < len(inside)
            apart.append(evaluation.eer(half.scores[target], half.scores[~inside].ravel()))
        eers[-1]["eer_strangers"] = np.mean(apart)
    for name in ("eer_enrolled", "eer_strangers"):
        assert found[name].estimate == pytest.approx(eers[0][name])
        assert found[f"{name} change"].estimate == pytest.approx(eers[0][name] - eers[1][name])
        assert found[f"{name} change"].low < found[f"{name} change"].high
    same = accuracy.beside(ours, ours)
    assert {(i.low, i.high) for name, i in same.items() if name.endswith("change")} == {(0.0, 0.0)}


def test_each_corpus_counts_alike_in_what_is_told_of_all(accuracy: ModuleType) -> None:
    def row(change: float, width: float = 0.01) -> dict[str, Interval]:
        ends = Interval(change, change - width, change + width, 0.95)
        return {f"{name} change": ends for name in ("eer_strangers", "eer_enrolled", "identified")}

    rows = {"a": row(0.02), "a/5s": row(0.04), "a/5s/1s": row(0.03, 0.05), "b": row(-0.06)}
    found = accuracy.together(rows, {name: name[0] for name in rows})
    assert found["eer_enrolled"] == {"change": pytest.approx(-0.015), "better": 1, "worse": 2, "rows": 4}
    assert found["identified"] == {"change": pytest.approx(-0.015), "better": 2, "worse": 1, "rows": 4}


def test_the_table_is_printed_row_by_row(
    accuracy: ModuleType, searches: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (accuracy.Row("wuw2"), accuracy.Row("wuw2", test_seconds=100.0))
    monkeypatch.setattr(accuracy, "ROWS", rows)
    options = ["--threads", "1", "--cache", str(searches.folder), "--rows", "wuw2*", "--ways", "first release"]
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *options])
    accuracy.main()
    shown = capsys.readouterr()
    lines = [line.strip("| ").split(" | ") for line in shown.out.splitlines()]
    assert lines[0] == ["row", "way", "EER, strangers", "EER, enrolled", "identified"]
    assert [line[:2] for line in lines[2:]] == [
        ["wuw2", "defaults"],
        ["wuw2", "first release"],
        ["all", "first release"],
    ]
    assert {len(line) for line in lines} == {5}
    assert "wuw2/all/100s is left out: 0 speakers have so much speech" in shown.err
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *options, "--json"])
    accuracy.main()
    found = json.loads(capsys.readouterr().out)
    assert list(found["rows"]["wuw2"]) == ["defaults", "first release"]
    assert f"{100 * found['rows']['wuw2']['defaults']['identified'][0]:.1f}" == lines[2][4]
    assert found["together"]["first release"]["identified"]["rows"] == 1
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--list"])
    accuracy.main()
    assert capsys.readouterr().out.splitlines() == [r.title for r in rows]

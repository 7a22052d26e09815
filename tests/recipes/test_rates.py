"""Counting of strangers let in and owners turned away; the campaign that does it on real recordings runs outside CI."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.halves import Half, Kept, Material, Spoken, a_store, accepted, halves_of, limits, missed, oracle
from speechgmm import adapt, evaluation
from speechgmm.evaluation import Interval
from speechgmm.features import Extracted, Recording, read, read_corpus
from speechgmm.speakers import Scorer, System, enroll_features
from tests.recipes.test_recipes import RECIPES, ROOT, manifest_of, script
from tests.speakers.made import background, calibration_of, speaker_frames, uncalibrated


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's script; `module` finds what it is made of."""
    monkeypatch.syspath_prepend(str(RECIPES / "benchmarks"))
    return script(RECIPES / "benchmarks" / "rates.py", monkeypatch)


def module(name: str) -> ModuleType:
    return sys.modules[name]


def half(seed: int, enrolled: int = 4, people: int = 12, tests: int = 5) -> Half:
    """Scores that are higher for a speaker's own tests, of half of the people or fewer."""
    rng = np.random.default_rng(seed)
    names = np.array([f"p{i:02}" for i in range(people)])
    inside = sorted(rng.permutation(names)[:enrolled].tolist())
    speaker = np.repeat(names, tests)
    scores = rng.normal(size=(len(speaker), enrolled)) + 1.5 * (speaker[:, None] == np.array(inside))
    return Half(tuple(inside), speaker, scores, np.array([1.0]))


def by_hand(halves: list[Half], limit: float) -> tuple[float, float]:
    """Strangers let in and owners turned away, test by test."""
    strangers, owners = [], []
    for h in halves:
        for who, row in zip(h.speaker, h.scores, strict=True):
            best = h.enrolled[int(np.argmax(row))]
            if who in h.enrolled:
                owners.append(not (best == who and max(row) >= limit))
            else:
                strangers.append(max(row) >= limit)
    return sum(strangers) / len(strangers), sum(owners) / len(owners)


@given(seed=st.integers(0, 10**6), enrolled=st.integers(1, 6), limit=st.floats(-2, 3))
@settings(max_examples=15, deadline=None)
def test_shares_are_those_counted_by_hand(seed: int, enrolled: int, limit: float) -> None:
    both = [half(seed, enrolled), half(seed + 1, enrolled)]
    let_in, turned_away = by_hand(both, limit)
    found = accepted(both, [limit, limit])
    assert found.estimate == pytest.approx(let_in)
    assert found.low <= found.estimate <= found.high
    assert missed(both, [limit, limit]) == pytest.approx(turned_away)


def test_each_half_has_its_own_threshold() -> None:
    both = [half(0), half(1)]
    everybody, nobody = -np.inf, np.inf
    assert accepted(both, [everybody, nobody]).estimate == 0.5
    assert missed(both, [nobody, nobody]) == 1.0
    wrong = np.mean([~h.found[h.owners] for h in both])
    assert missed(both, [everybody, everybody]) == pytest.approx(wrong)


def test_the_oracle_lets_in_exactly_what_was_asked() -> None:
    both = [half(seed, tests=25) for seed in range(2)]
    for rate in (0.01, 0.05, 0.1):
        limit = oracle(both, rate)
        assert accepted(both, [limit, limit]).estimate == pytest.approx(rate, abs=1 / 400)


def test_the_verdict_says_what_is_wrong(rates: ModuleType) -> None:
    judged = module("rates_counts").judged

    def verdict(
        rate: float, share: float, high: float = 1.0, *, over: float = 0.0, n: int = 5, others: int = 20
    ) -> str:
        return judged(Interval(share, 0.0, high, 0.95), 0.4 + over, 0.4, rate, n, others)

    assert verdict(0.01, 0.03) == verdict(0.05, 0.1) == verdict(0.1, 0.2) == "ok"
    assert verdict(0.01, 0.031) == verdict(0.05, 0.101) == verdict(0.1, 0.201) == "too many"
    assert verdict(0.1, 0.02, 0.049) == "too few"
    assert verdict(0.1, 0.02, 0.051) == verdict(0.1, 0.02, 0.04, others=14) == "ok"
    assert verdict(0.01, 0.01, over=0.14) == verdict(0.05, 0.05, over=0.09) == "ok"
    assert verdict(0.01, 0.01, over=0.16) == verdict(0.05, 0.05, over=0.11) == "misses"
    assert verdict(0.05, 0.0, 0.0, over=0.5) == "too few, misses"
    assert verdict(0.05, 1.0, n=4) == "-"


def test_accuracies_are_those_of_the_package(rates: ModuleType) -> None:
    counts, one = module("rates_counts"), half(3)
    found = counts.accuracy([one], [one])
    target, stranger = one.scores[one.target], one.scores[~one.owners].ravel()
    impostor = one.scores[one.owners][~one.target[one.owners]]
    assert found["eer_strangers"].estimate == pytest.approx(evaluation.eer(target, stranger))
    assert found["eer_enrolled"].estimate == pytest.approx(evaluation.eer(target, impostor))
    assert found["identified"].estimate == one.found[one.owners].mean()
    assert found["identified change"] == Interval(0.0, 0.0, 0.0, 0.95)
    assert counts.worse(found) == []


def test_what_is_worse_is_named_and_what_is_better_is_not(rates: ModuleType) -> None:
    counts, good = module("rates_counts"), [half(seed, tests=20) for seed in (4, 5)]
    bad = [dataclasses.replace(h, scores=h.scores - 1.2 * h.target) for h in good]
    assert counts.worse(counts.accuracy(bad, good)) == ["eer_strangers", "eer_enrolled", "identified"]
    assert counts.worse(counts.accuracy(good, bad)) == []
    alone = [half(6, enrolled=1)]
    assert "eer_enrolled" not in counts.accuracy(alone, alone), "one who is enrolled has no enrolled impostor"


def test_halves_come_back_from_json(rates: ModuleType) -> None:
    counts, one = module("rates_counts"), half(7)
    one = dataclasses.replace(one, limits=np.array([1.0, np.nan]))
    told = json.loads(json.dumps(counts.stored(one), allow_nan=False))
    back = counts.loaded(told, one.speaker.tolist(), [3, 1])
    assert back.enrolled == one.enrolled
    assert back.speaker.tolist() == [one.speaker[3], one.speaker[1]]
    np.testing.assert_allclose(back.scores, one.scores[[3, 1]], rtol=1e-6)
    np.testing.assert_array_equal(back.limits, one.limits)


def test_two_runs_are_compared_on_the_tests_and_halves_of_both(rates: ModuleType) -> None:
    counts, both = module("rates_counts"), [half(8, tests=20), half(9, tests=20)]
    names = [f"t{i}" for i in range(len(both[0].speaker))]

    def row(halves: list[Half], names: list[str]) -> dict[str, object]:
        tests = {"name": names, "speaker": halves[0].speaker.tolist()}
        return {"tests": tests, "cells": [{"enrolled": 4, "halves": [counts.stored(h) for h in halves]}]}

    worse = [dataclasses.replace(h, scores=h.scores - 1.2 * h.target) for h in both]
    order = np.arange(len(names))[::-1]
    turned = [dataclasses.replace(h, speaker=h.speaker[order], scores=h.scores[order]) for h in both]
    (same,) = rates.compared(row(both, names), row(turned[::-1], [names[i] for i in order]))
    assert same["enrolled"] == 4
    assert same["halves"] == 2
    assert same["accuracy"]["eer_strangers change"] == [0.0, 0.0, 0.0]
    (less,) = rates.compared(row(worse, names), row(both[:1], names))
    assert less["halves"] == 1
    assert less["worse"] == ["eer_strangers", "eer_enrolled", "identified"]


def test_what_is_not_as_promised_is_named(rates: ModuleType) -> None:
    fine = {"0.01": {"verdict": "ok"}, "0.05": {"verdict": "ok"}}
    many = {"0.01": {"verdict": "too many, misses"}, "0.05": {"verdict": "nothing is decided"}}
    cells = [
        {"enrolled": 2, "rates": many, "worse_than_raw": []},
        {"enrolled": 5, "rates": many, "worse_than_raw": []},
        {"enrolled": 10, "rates": fine, "worse_than_raw": ["identified"]},
        {"enrolled": 20, "rates": fine, "worse_than_raw": []},
    ]
    assert rates.broken([{"row": "a", "cells": cells}, {"row": "b", "skipped": "no model"}]) == [
        "a, 5 enrolled: 1% too many, misses; 5% nothing is decided",
        "a, 10 enrolled: identified worse than raw",
    ]


def extracted(name: str, frames: int) -> Extracted:
    x = np.arange(2.0 * frames).reshape(-1, 2)
    return Extracted(Recording(name, "s", name), x, name, 0.01 * frames)


def test_amounts_are_cut_to_the_frame(rates: ModuleType) -> None:
    cut, rows = module("recordings").cut, [extracted("a", 70), extracted("b", 50), extracted("c", 120)]
    found = cut(rows, 100)
    assert [[(e.name, len(e.features)) for e in one] for one in found] == [[("a", 70), ("b", 30)], [("c", 100)]]
    assert [round(sum(e.speech_seconds for e in one), 9) for one in found] == [1.0, 1.0]
    assert len(cut(rows, 100, 1)) == 1
    assert cut(rows, 241) == []


def test_tests_of_a_speaker_are_spread(rates: ModuleType) -> None:
    spread = module("recordings").spread
    assert spread(list(range(9)), 3) == [0, 4, 8]
    assert spread(list(range(2)), 3) == spread([0, 1], None) == [0, 1]


def test_a_telephone_limits_the_band_and_keeps_who_speaks(rates: ModuleType, tmp_path: Path) -> None:
    recording = next(iter(read_corpus(ROOT / "data" / "manifest.csv")))
    called = module("recordings")._called(recording, tmp_path)
    assert (called.speaker, called.session, called.name) == (recording.speaker, recording.session, recording.name)
    heard, sound = read(called.path), read(recording.path)
    assert heard.sample_rate == 8000
    assert heard.seconds == pytest.approx(sound.seconds, abs=0.01)
    written = Path(called.path).stat().st_mtime_ns
    assert module("recordings")._called(recording, tmp_path) == called
    assert Path(called.path).stat().st_mtime_ns == written, "what is there is taken"


@pytest.fixture(scope="module")
def made() -> tuple[System, dict[str, list[np.ndarray]]]:
    """A calibrated system, and recordings of eight people whom it does not know."""
    frames = background(24)
    system = uncalibrated(frames)
    system = dataclasses.replace(system, calibration=calibration_of(system, frames))
    rng = np.random.default_rng(1)
    return system, {f"p{i}": speaker_frames(rng, 4, 120) for i in range(8)}


def test_halves_are_scored_as_a_store_of_the_same_people_scores(
    made: tuple[System, dict[str, list[np.ndarray]]],
) -> None:
    system, people = made
    with a_store(system) as store:
        for name, x in people.items():
            enroll_features(system, store, name, np.concatenate(x[:3]))
        kept = Kept.of(store)
    seconds = system.frontend.seconds(people["p0"][3])
    sounds = {s: Extracted(Recording(f"{s}.wav", s, f"{s}.wav"), x[3], s, seconds) for s, x in people.items()}
    material = Material(system, kept, tuple(Spoken.of([e]) for e in sounds.values()))
    found = halves_of(material, (4, 1, 5), halves=2, seed=3, n_threads=1)
    assert list(found) == [1, 4], "at most half of them are enrolled"
    for small, large in zip(found[1], found[4], strict=True):
        assert set(small.enrolled) < set(large.enrolled)
        assert (np.diff(large.limits) < 0).all(), "the more strangers may be let in, the lower the threshold"
    one = found[4][1]
    with a_store(system) as store:
        store.add([x for s in sorted(one.enrolled) for x in kept.sessions[s]], samples=kept.samples)
        scorer = Scorer.of(system, store)
        scores = [scorer.score_test([e]).normalized for e in sounds.values()]
    assert one.enrolled == scorer.models.names
    np.testing.assert_array_equal(one.scores, np.stack(scores))
    uncalibrated_scorer = dataclasses.replace(scorer, calibration=None)
    assert np.isnan(limits(uncalibrated_scorer)).all(), "nothing is decided without a calibration"


def test_raw_scores_are_those_of_models_adapted_from_the_ubm(
    rates: ModuleType, made: tuple[System, dict[str, list[np.ndarray]]]
) -> None:
    system, people = made
    with a_store(system) as store:
        for name, x in people.items():
            enroll_features(system, store, name, x[0])
        kept = Kept.of(store)
    sounds = [Extracted(Recording("a", "p0", "a"), x, str(i), len(x) * 1.0) for i, x in enumerate(people["p0"][1:3])]
    raw = module("rates_material").raw_scores(Material(system, kept, (Spoken.of(sounds),)), 1)
    model = adapt(system.ubm, system.ubm.statistics(people["p3"][0]), relevance=system.relevance, update="m")
    x = np.concatenate([e.features for e in sounds])
    wanted = (model.log_density(x.astype(float)) - system.ubm.log_density(x.astype(float))).mean()
    assert raw[0, 3] == pytest.approx(wanted, abs=1e-4)


def test_a_row_is_measured_and_shown(
    rates: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(module("corpora"), "prepare", lambda recipe, data: ROOT / "data" / "manifest.csv")
    row = next(r for r in rates.ROWS if r.name == "crowd")
    told: list[str] = []
    materials = rates.Materials(ROOT / "data", tmp_path, 2, told.append)
    found = json.loads(json.dumps(rates.measure(row, materials, sizes=(5,), halves=1, seed=0, most=1)))
    (cell,) = found["cells"]
    assert (cell["enrolled"], cell["strangers"]) == (5, 5)
    assert len(found["tests"]["name"]) == 10
    assert set(cell["rates"]) == {"0.01", "0.05", "0.1"}
    assert 0 <= cell["rates"]["0.1"]["missed_by_oracle"] <= 1
    assert told
    from rich.console import Console

    rates.show(found, Console(width=rates.WIDTH))
    rates.show({"title": "another", "skipped": "nobody has so much speech"}, Console(width=rates.WIDTH))
    shown = capsys.readouterr().out
    assert "crowd: packaged 16 kHz -> malayalam_msc, by recording (10 tests" in shown
    assert "another: left out, nobody has so much speech" in shown


def test_a_hundred_strangers_are_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(RECIPES / "other_microphones"))
    recipe = script(RECIPES / "other_microphones" / "run.py", monkeypatch)
    found = recipe.measure(ROOT / "data" / "manifest.csv", sizes=(3,), halves=1, speakers=6)
    assert set(found) == {(3, rate) for rate in (0.01, 0.05, 0.1)}
    recipe.show(found)
    assert "10%" in capsys.readouterr().out
    picture = tmp_path / "strangers.png"
    recipe.pictures.save(recipe.hundred_strangers.draw({rate: found[3, rate] for rate in (0.01, 0.1)}), picture)
    assert picture.stat().st_size > 10_000


@pytest.mark.corpora
def test_the_model_alone_lets_strangers_in_on_other_microphones(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of("malayalam_msc")
    monkeypatch.syspath_prepend(str(RECIPES / "other_microphones"))
    recipe = script(RECIPES / "other_microphones" / "run.py", monkeypatch)
    found = recipe.measure(manifest, sizes=(5,), halves=1, speakers=12)
    assert found[5, 0.01]["before"].strangers.estimate > 0.3

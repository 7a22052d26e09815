"""The benchmark of attacks: what they do to sound, and how they are counted, by the packaged model."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console
from scipy import signal

from speechgmm.features import Recording, read, read_corpus
from tests.cli.running import MANIFEST
from tests.recipes.test_recipes import RECIPES, script

RATE = 16000


@pytest.fixture
def attacks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES / "benchmarks"))
    return script(RECIPES / "benchmarks" / "attacks.py", monkeypatch)


def band_levels(x: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """The power of a sound between some frequencies, in dB."""
    frequencies, power = signal.welch(x, RATE, nperseg=512)
    parts = [power[(frequencies >= low) & (frequencies < high)] for low, high in itertools.pairwise(edges)]
    return 10 * np.log10([part.mean() for part in parts])


def test_a_loudspeaker_passes_its_band(attacks: ModuleType) -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=RATE)
    quiet = attacks.Playback((400.0, 5000.0), 1e-3, 0.1, 60.0, 80.0)
    heard = quiet(noise, RATE, np.random.default_rng(1))
    low, inside, high = band_levels(heard, (0, 150, 5000, 8000))
    assert low < inside - 15
    assert high < inside - 10
    passed = signal.sosfilt(signal.butter(4, (400, 5000), "bandpass", fs=RATE, output="sos"), noise)
    assert heard == pytest.approx(passed, abs=2e-3)  # nothing is driven, hardly an echo, hardly noise
    loud = attacks.Playback((400.0, 5000.0), 1e-3, 0.1, 60.0, 6.0)(noise, RATE, np.random.default_rng(1))
    assert np.std(loud - passed) == pytest.approx(np.std(passed) / 2, rel=0.05)


def test_a_room_echoes(attacks: ModuleType) -> None:
    click = np.zeros(RATE)
    click[1000] = 1.0
    room = attacks.Playback((80.0, 7500.0), 1e-3, 0.5, 0.0, 120.0)
    heard = room(click, RATE, np.random.default_rng(0))
    first, later = heard[1040 : 1040 + RATE // 8], heard[1040 + RATE // 4 : 1040 + RATE // 4 + RATE // 8]
    fall = 10 * np.log10(np.sum(first**2) / np.sum(later**2))
    assert fall == pytest.approx(30, abs=3)  # 60 dB in half a second


def test_silence_stays_silent(attacks: ModuleType) -> None:
    for attack in attacks.MADE.values():
        heard = attack(np.zeros(RATE), RATE, np.random.default_rng(0))
        assert np.isfinite(heard).all()
        assert abs(heard).max() < 1e-4


def test_what_is_rebuilt_has_the_smooth_spectrum(attacks: ModuleType) -> None:
    shaped = signal.lfilter([1.0], [1.0, -0.9], np.random.default_rng(0).normal(size=2 * RATE))
    heard = attacks.rebuilt(shaped, RATE, np.random.default_rng(1))
    edges = (100, 500, 1000, 2000, 4000, 8000)
    differences = band_levels(heard, edges) - band_levels(shaped, edges)
    assert np.ptp(differences) < 3
    assert len(heard) == len(shaped)
    assert abs(np.corrcoef(heard, shaped)[0, 1]) < 0.1  # another sound


def test_without_a_synthesizer_nothing_is_spoken(
    attacks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    people = [("ann", "F"), ("bob", "M"), ("cid", "")]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(attacks.spoken(people, tmp_path)) == []
    program = tmp_path / "espeak-ng"
    program.write_text('#!/bin/sh\necho "$@" > "$4"\n')
    program.chmod(0o755)
    said = list(attacks.spoken(people, tmp_path))
    assert [r.speaker for r in said] == ["ann"] * 3 + ["bob"] * 3 + ["cid"] * 3
    assert {r.columns["attack"] for r in said} == {"synthetic"}
    assert len({r.name for r in said}) == 9
    voices = [Path(r.path).read_text().split()[1] for r in said]
    assert {v[:4] for v in voices[:3]} == {"en+f"}
    assert {v[:4] for v in voices[3:6]} == {"en+m"}
    assert all(text in Path(r.path).read_text() for r, text in zip(said, attacks.SENTENCES * 3, strict=True))


def test_an_attack_is_a_file_that_its_name_draws(attacks: ModuleType, tmp_path: Path) -> None:
    first = next(iter(read_corpus(MANIFEST)))
    made = [attacks.attacked(first, "rebuilt", tmp_path) for _ in range(2)]
    assert made[0] == made[1]
    assert (made[0].speaker, made[0].columns["attack"]) == (first.speaker, "rebuilt")
    other = attacks.attacked(Recording(first.path, first.speaker, "other name"), "rebuilt", tmp_path)
    assert not np.array_equal(read(other.path).samples, read(made[0].path).samples)


def test_a_few_people_are_attacked(attacks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    corpus = read_corpus(MANIFEST)
    people = corpus.where(split="test").speakers[:6]
    enrolled, tests = (corpus.where(split=split, speaker=people) for split in ("enroll", "test"))
    few = [next(r for r in tests if r.speaker == who) for who in people]
    scores, found, _ = attacks.measure(enrolled, few, tmp_path)
    assert len(scores) == 4 * 6 * 6
    for errors in found.values():
        assert [(s.species, s.presentations) for s in errors.species] == [(name, 6) for name in sorted(attacks.MADE)]
    assert found[0.05].threshold < found[0.01].threshold
    text = io.StringIO()
    attacks.show("six", scores, found, Console(file=text, width=130))
    for s in found[0.01].species:
        assert f"APCER: {s.species}" in text.getvalue()
        assert attacks.told(s.apcer, s.interval) in text.getvalue()
    assert "BPCER100" in text.getvalue()

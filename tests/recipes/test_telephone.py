"""Simulated telephones: what they let through, what mu-law loses, and who calls by which of them."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import welch

from tests.recipes.test_recipes import RECIPES, ROOT, script
from tests.sounds import voice

NOISE = np.random.default_rng(0).normal(0, 0.05, 16 * 8000)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script(RECIPES / "telephone.py", monkeypatch)


def decibels(samples: np.ndarray, frequencies: list[float]) -> np.ndarray:
    """Return the power of noise at 8 kHz within 5 % of each frequency, relative to that at 1 kHz, in dB."""
    at, power = welch(samples, 8000, nperseg=1024)
    near = [(at > 0.95 * f) & (at < 1.05 * f) for f in (1000.0, *frequencies)]
    levels = np.array([10 * np.log10(power[n].mean()) for n in near])
    return levels[1:] - levels[0]


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("band", [(300.0, 3400.0), (150.0, 3700.0)])
def test_the_line_limits_the_band(module: ModuleType, band: tuple[float, float], order: int) -> None:
    heard = module.Telephone(band=band, order=order, coded=False)(NOISE, 8000)
    frequencies = [0.6 * band[0], band[0], 700.0, 2500.0, band[1]]
    warped, (low, high) = (np.tan(np.pi * np.array(f) / 8000) for f in (frequencies, band))
    butterworth = -10 * np.log10(1 + np.abs((warped**2 - low * high) / ((high - low) * warped)) ** (2 * order))
    np.testing.assert_allclose(decibels(heard, frequencies), butterworth, atol=2.0)
    assert butterworth[0] < -3.5 * order
    assert butterworth[[1, -1]] == pytest.approx(-3.01, abs=0.01)
    assert len(module.Telephone()(NOISE, 16000)) == len(NOISE) // 2


def test_the_handset_colors_the_sound(module: ModuleType) -> None:
    flat = module.Telephone(coded=False)
    bright = dataclasses.replace(flat, tilt=3.0, resonances=((1500.0, 0.4, 6.0),))
    frequencies = [600.0, 1500.0, 3000.0]
    found = decibels(bright(NOISE, 8000), frequencies) - decibels(flat(NOISE, 8000), frequencies)
    wanted = bright.gains(frequencies) - bright.gains(1000.0)
    np.testing.assert_allclose(found, wanted, atol=0.5)
    assert wanted[1] > 4.0


def test_mu_law_is_what_libsndfile_writes_and_close_to_what_was_said(module: ModuleType) -> None:
    steps = np.arange(-32768, 32768).astype(np.int16)
    found = module.mu_law(steps / 32768)
    coded = io.BytesIO()
    sf.write(coded, steps, 8000, format="WAV", subtype="ULAW")
    coded.seek(0)
    np.testing.assert_array_equal(32768 * found, sf.read(coded, dtype="int16")[0])
    inside = np.abs(steps / 32768) < 8158 / 8192
    error = np.abs(found - steps / 32768)[inside]
    magnitude = np.abs(steps[inside]) / 4 + 33
    assert (error <= (magnitude / 32 + 1) / 8192).all()
    for level in (0.01, 0.03, 0.1):
        said = np.random.default_rng(1).normal(0, level, 50_000)
        noise = module.mu_law(said) - said
        assert 10 * np.log10(np.mean(said**2) / np.mean(noise**2)) > 35.0


def test_a_telephone_is_the_same_whenever_it_rings(module: ModuleType) -> None:
    sound = voice(1.0)
    first, again, other = (module.telephone(number)(sound, 16000) for number in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert len({module.telephone(n) for n in range(16)}) == 16
    assert {module.telephone(n).band for n in range(16)} == set(module.BANDS)
    quiet = module.telephone(3)(0.01 * sound, 16000)
    assert np.std(quiet) == pytest.approx(10 ** (module.LEVEL / 20), rel=0.02) == pytest.approx(np.std(first), rel=0.02)
    np.testing.assert_array_equal(module.telephone(3)(np.zeros(800), 16000), np.zeros(400))
    with pytest.raises(ValueError, match="a multiple of 8000 Hz; got 44100"):
        module.telephone(3)(sound, 44100)


def test_background_speakers_stay_whole_and_call_by_two_telephones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "corpus.csv"
    lines = [f"{ROOT}/data/{who}/s1_1.flac,{who},ubm" for who in ("awb", "es_f2", "es_f3", "es_m1")]
    lines += [f"{ROOT}/data/rms/s1_1.flac,rms,enroll", f"{ROOT}/data/rms/s2_1.flac,rms,test"]
    manifest.write_text("\n".join(["path,speaker,split", *lines]))
    simulate = script(RECIPES / "train_default_ubm" / "run_8k.py", monkeypatch).simulate
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(simulate(manifest, tmp_path / name))
    for file in made[0].parent.iterdir():
        assert file.read_bytes() == (made[1].parent / file.name).read_bytes()
    with made[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    background = [r for r in rows if r["split"] == "ubm"]
    calls = {(r["speaker"], r["session"], r["path"]) for r in background}
    assert len(calls) == 8
    assert len({(speaker, session) for speaker, session, _ in calls}) == 8
    others = [r["session"] for r in rows if r["split"] != "ubm"]
    assert len(others) == 2 == len(set(others))
    assert not {int(s.split()[-1]) for s in others} & {int(s.split()[-1]) for _, s, _ in calls}
    for _, _, path in calls:  # the pieces of a call are all of it
        pieces = [r for r in background if r["path"] == path]
        assert [r["start"] for r in pieces[1:]] == [r["end"] for r in pieces[:-1]]
        assert (pieces[0]["start"], pieces[-1]["end"]) == ("0.0", "")
        assert sf.info(made[0].parent / path).samplerate == 8000

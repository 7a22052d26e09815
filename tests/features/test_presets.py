"""Front ends by name, from 8 to 48 kHz."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.classification import MixtureSettings, load_classifier, train_classifier
from speechgmm.cli.options import PresetName
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import MFCC, PRESETS, FrontEnd, Signal, preset, preset_for, presets, register_preset
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import System, load_system
from tests.sounds import Array, voice


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "_REGISTERED", {})
    monkeypatch.setattr(storage, "_KNOWN", {})


@dataclass(frozen=True)
class Loudness(FrontEnd):
    """A front end of one's own: the levels of both halves of each step."""

    sample_rate: int = 16000
    hop_length: float = 0.01
    floor: float = 1e-9

    @property
    def n_dimensions(self) -> int:
        return 2

    def __call__(self, signal: Any, *, what: str = "the signal") -> Array:
        half = round(self.hop_length * self.sample_rate / 2)
        frames = np.reshape(signal[: len(signal) // (2 * half) * 2 * half], (-1, 2, half))
        result: Array = np.log((frames**2).mean(axis=2) + self.floor).astype(np.float32)
        return result


def loudness(rate: int) -> Loudness:
    return Loudness(sample_rate=rate)


def test_speech_is_the_default_front_end() -> None:
    assert preset("speech", 8000) == MFCC(sample_rate=8000)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_word_keeps_every_frame_however_short(rate: int) -> None:
    f = preset("word", rate)
    changed = {name: v for name, v in asdict(f).items() if v != getattr(MFCC(sample_rate=rate), name)}
    assert changed == {"n_mfcc": 13, "speech": "none", "silence": -200.0, "min_speech": 0.0}
    click = np.zeros(rate // 25)
    click[rate // 50] = 0.5
    assert f(click).shape == (2, 39)


def test_the_command_line_knows_every_preset() -> None:
    assert get_args(PresetName) == tuple(PRESETS)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000])
def test_sound_keeps_every_frame_and_the_level(rate: int) -> None:
    f = preset("sound", rate)
    changed = {name: v for name, v in asdict(f).items() if v != getattr(MFCC(sample_rate=rate), name)}
    assert changed == {
        "n_mels": 40,
        "fmin": 20.0,
        "win_length": 0.040,
        "hop_length": 0.020,
        "preemphasis": 0.0,
        "deltas": 1,
        "speech": "none",
        "silence": -200.0,
        "normalization": "none",
    }
    signal = np.concatenate([np.zeros(rate // 2), 0.1 * np.random.default_rng(0).normal(size=rate // 2)])
    x = f(signal)
    assert x.shape == (49, 40)
    assert x[30:, 0].mean() > x[:20, 0].mean() + 10


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_rates_and_names_out_of_range_are_refused(name: str) -> None:
    for rate in (7999, 48001):
        with pytest.raises(InvalidInput, match=r"sample_rate must be at least 8000 and at most 48000; got \d+"):
            preset(name, rate)
    known = "'speech', 'linear', 'both', 'word', 'sound', 'kaldi', 'htk'"
    with pytest.raises(InvalidInput, match=f"preset must be one of {known}; got 'musik'"):
        preset("musik")


def test_a_front_end_of_ones_own_has_a_name_like_others() -> None:
    with pytest.raises(InvalidInput, match=r"preset must be one of 'speech', .*; got 'loudness'"):
        preset("loudness")
    register_preset("loudness", loudness)
    assert preset("loudness") == Loudness()
    assert preset_for([Signal(voice(0.2, 11025), 11025)], "loudness") == Loudness(sample_rate=11025)
    with pytest.raises(InvalidInput, match=r"preset must be one of 'speech', .*, 'htk', 'loudness'; got 'musik'"):
        preset("musik")
    register_preset("loudness", lambda rate: Loudness(sample_rate=8000))
    assert preset("loudness", 16000) == Loudness(sample_rate=8000)
    assert tuple(PRESETS) == get_args(PresetName)


BAD: list[tuple[Any, Callable[[int], Any], str]] = [
    ("sound", loudness, r"the name of a preset must be none of 'speech', .*'htk'; got 'sound'\. Give it another\."),
    (" ", loudness, r"the name of a preset must be text that is not blank; got ' '"),
    (3, loudness, r"the name of a preset must be text that is not blank; got 3"),
    ("a\u202e", loudness, r"the name of a preset must hold no control or format characters; got U\+202E"),
    ("own", lambda rate: None, r"what makes the preset 'own' at 16000 Hz must be a FrontEnd; got a NoneType"),
    ("own", lambda rate: Loudness, r"what makes the preset 'own' at 16000 Hz must be a FrontEnd; got an ABCMeta"),
]


@pytest.mark.parametrize(("name", "make", "message"), BAD)
def test_what_cannot_be_registered_is_refused(name: Any, make: Callable[[int], Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        register_preset(name, make)
    assert (presets._REGISTERED, storage._KNOWN) == ({}, {})


def test_models_of_a_registered_front_end_are_read(tmp_path: Path) -> None:
    ubm = GMM(np.full(2, 0.5), np.array([[0.0, 1.0], [2.0, 3.0]]), Diagonal(np.ones((2, 2))))
    System(Loudness(floor=1e-6), ubm).save(tmp_path / "m.sgmm")
    with pytest.raises(IncompatibleModel, match=r"hold only .*; got a Loudness"):
        load_system(tmp_path / "m.sgmm")
    assert load_system(tmp_path / "m.sgmm", Loudness).frontend == Loudness(floor=1e-6)
    register_preset("loudness", loudness)
    assert load_system(tmp_path / "m.sgmm").frontend == Loudness(floor=1e-6)


def test_a_classifier_takes_the_registered_name(tmp_path: Path) -> None:
    register_preset("loudness", loudness)
    sounds = [Signal((0.01 if i % 2 else 1) * voice(1.0, seed=i), 16000) for i in range(6)]
    settings = MixtureSettings(n_components=2)
    trained = train_classifier(sounds, ["loud", "soft"] * 3, frontend="loudness", settings=settings).classifier
    assert trained.frontend == Loudness()
    trained.save(tmp_path / "c.sgmm")
    read = load_classifier(tmp_path / "c.sgmm")
    assert read.fingerprint == trained.fingerprint
    assert [a.decision for a in read.classify(sounds[:2])] == ["loud", "soft"]

"""Front ends by name, from 8 to 48 kHz."""

from __future__ import annotations

from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest

from speechgmm.cli.options import PresetName
from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, PRESETS, preset


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

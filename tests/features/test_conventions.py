"""Features as other toolkits have them: Kaldi's by kaldi-native-fbank, HTK's by the formulas of its book."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, mfcc, preset, read
from speechgmm.features.conventions import CONVENTIONS
from tests.features.test_long_recordings import pieces
from tests.sounds import CORPORA, Array, steps, voice

REAL = ("librispeech_mini", "fsdd", "wuw2")
SOME = 4
"""Recordings of each corpus."""
SHORT = voice(0.3, 8000, seed=2).astype(np.float32)


def made(rate: int) -> dict[str, Array]:
    """Sounds in steps of 16 bits, as both toolkits read them."""
    noise = np.random.default_rng(rate).normal(0, 0.1, rate)
    silent = np.concatenate([np.zeros(rate // 4), noise[: rate // 4]])
    sounds = {"noise": noise, "voice": voice(1.0, rate), "offset": noise / 10 + 0.2, "digital silence": silent}
    return {name: (steps(y) / 32768).astype(np.float32) for name, y in sounds.items()}


def real(corpus: str) -> list[tuple[Array, int]]:
    """Some recordings of a corpus."""
    found = sorted(p for p in (CORPORA / corpus).rglob("*") if p.suffix in (".wav", ".flac", ".opus", ".ogg", ".mp3"))
    if not found:
        pytest.skip(f"the recordings of {corpus} are not beside the checkout (../shared/corpora)")
    signals = [read(p) for p in found[:: math.ceil(len(found) / SOME)]]
    return [(s.samples, s.sample_rate) for s in signals]


def kaldi(y: Array, rate: int, *, bands: bool = False) -> Array:
    """What kaldi-native-fbank gives by Kaldi's defaults, without dither."""
    knf = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank is not installed")
    options = knf.FbankOptions() if bands else knf.MfccOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = rate, 0
    options.mel_opts.num_bins = 23
    made = knf.OnlineFbank(options) if bands else knf.OnlineMfcc(options)
    made.accept_waveform(rate, (32768 * np.asarray(y, np.float32)).tolist())
    made.input_finished()
    return np.array([made.get_frame(i) for i in range(made.num_frames_ready)])


@functools.cache
def mel(f: float) -> float:
    return 2595 * math.log10(1 + f / 700)  # HTK book, eq. 5.13


def slow_bands(frame: Array, rate: int, window: Array, channels: int, low: float, exponent: int) -> list[float]:
    """Sums of magnitudes or powers under triangles over mel, of a frame with pre-emphasis of 0.97 (eq. 5.1)."""
    size = 2
    while size < len(frame):
        size *= 2
    emphasized = np.array([(1 - 0.97) * frame[0], *(frame[1:] - 0.97 * frame[:-1])])
    strength = np.abs(np.fft.fft(emphasized * window, size)) ** exponent
    step = (mel(rate / 2) - mel(low)) / (channels + 1)
    centers = [mel(low) + j * step for j in range(channels + 2)]
    sums = [0.0] * channels
    for k in range(size // 2 + 1):
        m = mel(k * rate / size)
        for j in range(1, channels + 1):
            if centers[j - 1] < m <= centers[j]:
                sums[j - 1] += float(strength[k]) * (m - centers[j - 1]) / (centers[j] - centers[j - 1])
            elif centers[j] < m < centers[j + 1]:
                sums[j - 1] += float(strength[k]) * (centers[j + 1] - m) / (centers[j + 1] - centers[j])
    return sums


def slow_cepstra(m: list[float], orders: int) -> list[float]:
    """Liftered cepstra from the first on (eq. 5.12, 5.14), the zeroth apart: the sum times sqrt(2 / channels)."""
    n = len(m)
    c = [
        math.sqrt(2 / n) * sum(m[j - 1] * math.cos(math.pi * i / n * (j - 0.5)) for j in range(1, n + 1))
        for i in range(orders + 1)
    ]
    return [c[0], *((1 + 22 / 2 * math.sin(math.pi * i / 22)) * c[i] for i in range(1, orders + 1))]


def slow_frames(y: Array, rate: int) -> list[Array]:
    """Frames of 25 ms each 10 ms, in steps of 16 bits."""
    s, length = 32768 * np.asarray(y, np.float64), rate * 25 // 1000
    return [s[start : start + length] for start in range(0, len(s) - length + 1, rate // 100)]


def htk(y: Array, rate: int, *, bands: bool = False) -> Array:
    """HTK's MFCC_0 (or its FBANK), one frame after the other by the equations of the HTK book.

    TARGETRATE 10 ms, WINDOWSIZE 25 ms, USEHAMMING, PREEMCOEF 0.97, NUMCHANS 26, NUMCEPS 12, CEPLIFTER 22, and USEPOWER
    and ZMEANSOURCE false.
    """
    rows = []
    for frame in slow_frames(y, rate):
        n = np.arange(1, len(frame) + 1)
        hamming = 0.54 - 0.46 * np.cos(2 * np.pi * (n - 1) / (len(frame) - 1))  # 5.2
        m = [math.log(max(b, 1.0)) for b in slow_bands(frame, rate, hamming, 26, 0.0, 1)]
        c = slow_cepstra(m, 12)
        rows.append(m if bands else [*c[1:], c[0]])
    return np.array(rows)


def slow_kaldi(y: Array, rate: int) -> Array:
    """Kaldi's default MFCC in float64, one frame after the other."""
    rows = []
    for frame in slow_frames(y, rate):
        x = frame - frame.mean()
        n = np.arange(len(x))
        povey = (0.5 - 0.5 * np.cos(2 * np.pi * n / (len(x) - 1))) ** 0.85
        m = [math.log(max(b, 2.0**-23)) for b in slow_bands(x, rate, povey, 23, 20.0, 2)]
        rows.append([math.log(max(float(x @ x), 2.0**-23)), *slow_cepstra(m, 12)[1:]])
    return np.array(rows)


ORACLES = {"kaldi": kaldi, "htk": htk}


@pytest.mark.parametrize("sound", made(8000))
@pytest.mark.parametrize("rate", [8000, 11025, 16000])
@pytest.mark.parametrize("name", ORACLES)
def test_features_agree_with_the_toolkit(name: str, rate: int, sound: str) -> None:
    y = made(rate)[sound]
    f = preset(name, rate)
    found, expected = f(y), ORACLES[name](y, rate)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    bands = dataclasses.replace(f, kind="mel")
    np.testing.assert_allclose(bands(y), ORACLES[name](y, rate, bands=True), rtol=0, atol=1e-3)


@pytest.mark.parametrize("sound", made(8000))
def test_cepstra_of_kaldi_are_its_formulas(sound: str) -> None:
    y = made(8000)[sound]
    np.testing.assert_allclose(preset("kaldi", 8000)(y), slow_kaldi(y, 8000), rtol=0, atol=1e-4)


@pytest.mark.corpora
@pytest.mark.parametrize("corpus", REAL)
def test_features_of_real_recordings_are_those_of_htk(corpus: str) -> None:
    for y, rate in real(corpus):
        y = y[rate // 2 :][:rate] if len(y) > 2 * rate else y
        np.testing.assert_allclose(preset("htk", rate)(y), htk(y, rate), rtol=0, atol=1e-3)


@pytest.mark.corpora
@pytest.mark.parametrize("corpus", REAL)
def test_features_of_real_recordings_are_those_of_kaldi(corpus: str) -> None:
    """Kaldi's float32 shows where a band lies 80 dB below the loudest one, in some sibilants; not in its formulas."""
    off = []
    for y, rate in real(corpus):
        y = y[rate // 2 :][:rate] if len(y) > 2 * rate else y
        found = preset("kaldi", rate)(y)
        np.testing.assert_allclose(found, slow_kaldi(y, rate), rtol=0, atol=1e-4)
        off.extend(np.abs(found - kaldi(y, rate)).max(axis=1))
    assert np.mean(np.array(off) > 1e-3) < 0.005
    assert max(off) < 0.01


@given(st.sampled_from(sorted(CONVENTIONS)), st.integers(700, 2400), st.integers(200, 3000), st.integers(1, 40))
def test_in_blocks_it_is_the_same(name: str, length: int, samples: int, frames: int) -> None:
    f = dataclasses.replace(preset(name, 8000), deltas=1)
    whole = f(SHORT[:length])
    assert len(whole) == (length - 200) // 80 + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mfcc, "_SAMPLES", samples)
        patch.setattr(mfcc, "_FRAMES", frames)
        # a matrix product of another shape rounds otherwise
        np.testing.assert_allclose(f.from_blocks(pieces(SHORT[:length], 777)), whole, rtol=1e-5, atol=1e-4)


@given(st.sampled_from(sorted(CONVENTIONS)), st.floats(0.2, 0.9))
def test_a_gain_moves_the_level_and_nothing_else(name: str, gain: float) -> None:
    f = preset(name, 8000)
    level = 12 if CONVENTIONS[name].level_last else 0
    y = made(8000)["noise"]  # quiet bands would meet the least that HTK takes
    loud, soft = f(y), f(np.float32(gain) * y)
    moved = loud - soft
    by = -math.log(gain) * {"kaldi": 2, "htk": math.sqrt(2 * 26)}[name]
    np.testing.assert_allclose(moved[:, level], by, atol=1e-3)
    np.testing.assert_allclose(np.delete(moved, level, axis=1), 0, atol=1e-3)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_how_a_recording_sounds_is_told_of_the_same_cepstra_and_of_powers(name: str) -> None:
    y = made(16000)["noise"]
    f, bands = preset(name), dataclasses.replace(preset(name), kind="mel")
    found, expected = f(y) @ f._bases[0], bands(y) @ bands._bases[0]
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=1e-4)
    assert np.corrcoef(found[:, 0], expected[:, 0])[0, 1] > (0.999 if CONVENTIONS[name].level_last else 0.4)
    power = bands._bases[1] @ np.ones(bands.n_dimensions) * CONVENTIONS[name].exponent
    np.testing.assert_allclose(power, 2)
    assert all(np.isfinite(dataclasses.astuple(f.listened([y])[1])))


@pytest.mark.parametrize("name", ORACLES)
def test_settings_go_with_a_convention_as_without(name: str) -> None:
    y = np.concatenate([voice(1.0), np.zeros(16000)])
    f = dataclasses.replace(preset(name), deltas=2, speech="gaussians", silence=-75.0, normalization="mean_variance")
    x = f(y)
    assert x.shape[1] == f.n_dimensions == 39
    assert 20 < len(x) < 110
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-4)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"convention": "spro"}, r"convention must be one of 'kaldi', 'htk'; got 'spro'"),
    ({"convention": "htk", "kind": "lfcc"}, r"kind of the convention 'htk' must be one of 'mfcc', 'mel'; got 'lfcc'"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_what_no_toolkit_has_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        MFCC(**settings)


def test_bands_without_a_frequency_are_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"mel bands must each hold a frequency of a 256-point transform; got \d+ of"
    ):
        dataclasses.replace(preset("kaldi", 8000), n_mels=100)(SHORT)


def test_older_front_ends_keep_their_fingerprints() -> None:
    assert MFCC(prominence=20.0, min_speech=0.1).fingerprint == "4720786acb4fb0a0"
    assert MFCC(sample_rate=8000, kind="lfcc", prominence=20.0, min_speech=0.1).fingerprint == "0884bfdb8c229f5a"
    assert MFCC().fingerprint != "4720786acb4fb0a0"

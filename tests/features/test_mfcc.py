"""The front end against its definition in plain loops, and everything that it promises or refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
from threadpoolctl import threadpool_limits

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput, TooLittleSpeech
from speechgmm.features import MFCC, Averages, preset
from speechgmm.features.filterbanks import mel_bands
from speechgmm.features.levels import FLOOR
from speechgmm.features.normalize import METHODS
from speechgmm.features.spectrum import powers
from speechgmm.parallel import threads
from tests.sounds import ROOT, Array, steps, voice, write

PLAIN: dict[str, Any] = {
    "dither": 0.0,
    "deltas": 0,
    "speech": "none",
    "silence": -200.0,
    "min_speech": 0.0,
    "normalization": "none",
}
"""Settings under which every frame comes out as it is."""


def slow_cepstra(signal: Array, f: MFCC) -> Array:
    """MFCC (N, n_mfcc) from the definitions, one frame after the other; only the mel bands are librosa's."""
    window, hop = round(f.win_length * f.sample_rate), round(f.hop_length * f.sample_rate)
    size = 2 ** math.ceil(math.log2(window))
    y = np.asarray(signal, dtype=np.float32).astype(np.float64)
    emphasized = [y[0]] + [y[t] - f.preemphasis * y[t - 1] for t in range(1, len(y))]
    hamming = [0.54 - 0.46 * math.cos(2 * math.pi * i / window) for i in range(window)]
    m = int(f.n_mels or 0)
    bands = librosa.filters.mel(sr=f.sample_rate, n_fft=size, n_mels=m, fmin=f.fmin, fmax=f.fmax)
    if f.kind == "lfcc":
        bands = linear_bands(f.sample_rate, size, m, float(f.fmin or 0), float(f.fmax or 0))
    rows = []
    for start in range(0, len(y) - window + 1, hop):
        frame = np.array(emphasized[start : start + window]) * hamming
        power = np.abs(np.fft.fft(frame, size)[: size // 2 + 1]) ** 2
        log_mel = np.log(np.maximum(bands.astype(np.float64) @ power, 1e-12))
        row = []
        for i in range(f.n_mfcc):
            scale = math.sqrt((1 if i == 0 else 2) / m)  # orthonormal DCT-II
            row.append(scale * sum(log_mel[j] * math.cos(math.pi * i * (j + 0.5) / m) for j in range(m)))
        rows.append(row)
    return np.array(rows)


def linear_bands(rate: int, size: int, m: int, low: float, high: float) -> Array:
    """Triangles (m, bins) of area 1 over frequencies in Hz, whose feet are the peaks of their neighbors."""
    step = (high - low) / (m + 1)
    rows = []
    for j in range(m):
        left, peak, right = (low + (j + i) * step for i in range(3))
        row = []
        for b in range(size // 2 + 1):
            hz = b * rate / size
            inside = (hz - left) / step if left <= hz <= peak else (right - hz) / step if peak < hz <= right else 0.0
            row.append(inside / step)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "lfcc"},
        {"kind": "lfcc", "sample_rate": 8000, "fmin": 300.0, "fmax": 3400.0, "n_mels": 15},
        {"sample_rate": 8000},
        {"sample_rate": 8000, "preemphasis": 0.0},
        {"sample_rate": 11025, "win_length": 0.020, "hop_length": 0.005},
        {"sample_rate": 16000, "n_mfcc": 40, "n_mels": 40, "fmin": 0.0, "fmax": 8000.0},
        {"sample_rate": 16000, "win_length": 0.032, "hop_length": 0.016, "preemphasis": 1.0},
        {"sample_rate": 8000, "win_length": 0.016, "hop_length": 0.016, "fmin": 300.0, "fmax": 3400.0, "n_mels": 15},
        {"sample_rate": 22050, "n_mfcc": 1},
    ],
    ids=str,
)
def test_cepstra_are_the_definition(settings: dict[str, Any]) -> None:
    frontend = MFCC(**{"n_mfcc": 13} | PLAIN | settings)
    signal = voice(0.4, frontend.sample_rate, seed=3)
    found = frontend(signal)
    expected = slow_cepstra(signal, frontend)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("rate", "window", "hop", "size"), [(8000, 200, 80, 256), (16000, 400, 160, 512), (11025, 275, 55, 512)]
)
def test_powers_and_bands_are_those_of_librosa(rate: int, window: int, hop: int, size: int) -> None:
    signal = voice(4.0, rate, seed=5).astype(np.float32)
    transform = librosa.stft(signal, n_fft=size, hop_length=hop, win_length=window, window="hamming", center=False)
    found = powers(signal, window, hop, size)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, transform.real**2 + transform.imag**2)
    for n_mels, low, high in ((15, 300.0, 3400.0), (24, 0.0, rate / 2), (30, 20.0, 0.45 * rate)):
        wanted = librosa.filters.mel(sr=rate, n_fft=size, n_mels=n_mels, fmin=low, fmax=high)
        np.testing.assert_array_equal(mel_bands(rate, size, n_mels, low, high), wanted)


@pytest.mark.parametrize("kind", ["mfcc", "mel"])
def test_features_are_those_of_librosa(kind: str) -> None:
    frontend = MFCC(sample_rate=16000, kind=kind, n_mfcc=13, **PLAIN | {"preemphasis": 0.0})
    signal = voice(2.0, 16000, seed=6).astype(np.float32)
    padded = np.pad(signal, 56)  # a window of 400 samples lies in the middle of 512
    settings = {"n_fft": 512, "hop_length": 160, "win_length": 400, "window": "hamming", "center": False}
    transform = librosa.stft(padded, **settings)
    mel = librosa.filters.mel(sr=16000, n_fft=512, n_mels=frontend.n_mels, fmin=frontend.fmin, fmax=frontend.fmax)
    with threadpool_limits(1):  # as the front end holds BLAS: two threads of some kernels round otherwise
        bands = np.log(np.maximum(mel @ (transform.real**2 + transform.imag**2), FLOOR))
    wanted = bands if kind == "mel" else librosa.feature.mfcc(S=bands, n_mfcc=13)
    np.testing.assert_array_equal(frontend(signal), wanted.T)


def test_an_impulse_gives_the_spectrum_of_the_window_it_falls_into() -> None:
    frontend = MFCC(sample_rate=8000, n_mfcc=5, **PLAIN)
    signal = np.zeros(2000)
    signal[1000] = 0.5
    found = frontend(signal)
    np.testing.assert_allclose(found, slow_cepstra(signal, frontend), atol=2e-3)
    # windows of 200 samples start every 80; the emphasized impulse lies at 1000 and 1001
    touched = [start <= 1001 and start + 200 > 1000 for start in range(0, 1801, 80)]
    np.testing.assert_array_equal(found[:, 0] > found[0, 0] + 1, touched)


@pytest.mark.parametrize("settings", [{}, {"deltas": 0}, {"deltas": 1, "n_mfcc": 5, "normalization": "none"}], ids=str)
def test_both_kinds_of_cepstra_stand_beside_each_other(settings: dict[str, Any]) -> None:
    signal = np.concatenate([voice(0.5), np.zeros(4000), voice(0.5, seed=1)])
    mel, linear, both = (MFCC(kind=k, **settings) for k in ("mfcc", "lfcc", "mfcc+lfcc"))
    found = both(signal)
    assert (both.n_streams, mel.n_streams) == (2, 1)
    assert both.n_dimensions == 2 * mel.n_dimensions == found.shape[1]
    np.testing.assert_allclose(found, np.hstack([mel(signal), linear(signal)]), atol=1e-5)
    x, acoustics = both.listened([signal.astype(np.float32)])
    np.testing.assert_array_equal(x, found)
    expected = mel.listened([signal.astype(np.float32)])[1]
    assert (acoustics is None) == (expected is None)
    if acoustics and expected:
        np.testing.assert_allclose(dataclasses.astuple(acoustics), dataclasses.astuple(expected), rtol=1e-5)


@pytest.mark.parametrize("deltas", [1, 2])
@pytest.mark.parametrize("width", [1, 3])
def test_deltas_are_taken_over_all_frames_before_speech_is_chosen(deltas: int, width: int) -> None:
    how = PLAIN | {"silence": -60.0}
    signal = np.concatenate([voice(0.5), np.zeros(4000), voice(0.5, seed=1)])
    all_frames = MFCC(**PLAIN | {"deltas": deltas, "delta_width": width})(signal)
    chosen = MFCC(**how | {"deltas": deltas, "delta_width": width})(signal)
    kept = [i for i, row in enumerate(all_frames) if any((row == c).all() for c in chosen)]
    assert 0 < len(chosen) < len(all_frames)
    assert len(kept) == len(chosen)
    np.testing.assert_array_equal(chosen, all_frames[kept])
    static = all_frames[:, :20]
    n = len(static)
    for i in range(n):
        slope = sum(t * (static[min(i + t, n - 1)] - static[max(i - t, 0)]) for t in range(1, width + 1))
        expected = slope / (2 * sum(t * t for t in range(1, width + 1)))
        np.testing.assert_allclose(all_frames[i, 20:40], expected, atol=1e-4)


@pytest.mark.parametrize(("rate", "window", "hop"), [(8000, 200, 80), (16000, 400, 160), (11025, 276, 110)])
def test_a_frame_for_every_whole_window(rate: int, window: int, hop: int) -> None:
    frontend = MFCC(sample_rate=rate, **PLAIN)
    signal = voice(1.0, rate)
    for frames in (1, 2, 3, 20):
        for extra, expected in ((0, frames), (1, frames), (hop - 1, frames), (hop, frames + 1)):
            n = window + (frames - 1) * hop + extra
            assert frontend(signal[:n]).shape == (expected, 20), (n, expected)


@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("normalization", ["none", "mean", "mean_variance"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_are_frames_by_dimensions_in_float32(deltas: int, normalization: str, dtype: type) -> None:
    frontend = MFCC(n_mfcc=12, deltas=deltas, normalization=normalization)
    x = frontend(voice().astype(dtype))
    assert frontend.n_dimensions == 12 * (deltas + 1)
    assert x.shape[1] == frontend.n_dimensions
    assert 20 < len(x) < 198
    assert x.dtype == np.float32
    assert x.flags["C_CONTIGUOUS"]
    assert np.isfinite(x).all()


def test_mean_0_and_variance_1_over_the_speech_frames() -> None:
    x = MFCC()(voice()).astype(np.float64)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("normalization", METHODS)
@pytest.mark.parametrize("rasta", [None, 0.94])
def test_what_is_normalized_later_is_what_is_normalized_at_once(normalization: str, rasta: float | None) -> None:
    f = MFCC(sample_rate=8000, normalization=normalization, rasta=rasta)
    y = voice(8.0, 8000)
    f = f.learned([f.unnormalized(y)])
    np.testing.assert_array_equal(f.normalized(f.unnormalized(y)), f(y))


def test_rasta_of_cepstra_is_that_of_log_bands_and_forgets_the_channel() -> None:
    plain = dict(PLAIN, n_mels=24, rasta=0.94)
    bands, cepstra = MFCC(kind="mel", **plain), MFCC(n_mfcc=24, **plain)
    y = voice()
    turned = scipy.fft.dct(bands(y).astype(np.float64), norm="ortho", axis=1)
    np.testing.assert_allclose(cepstra(y), turned, rtol=0, atol=1e-3)
    np.testing.assert_allclose(cepstra(0.25 * y), cepstra(y), atol=1e-3)
    assert np.abs(MFCC(n_mfcc=24, **plain | {"rasta": None})(0.25 * y)[:, 0] - cepstra(y)[:, 0]).min() > 1


def test_the_signal_is_left_alone() -> None:
    signal = voice().astype(np.float32)
    for dither in (0.0, 1.0):
        before = signal.copy()
        MFCC(dither=dither)(signal)
        np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize("gain", [0.1, 0.25, 2.0, 2.7])
@pytest.mark.parametrize("normalization", ["mean", "mean_variance"])
def test_a_gain_changes_nothing(gain: float, normalization: str) -> None:
    frontend = MFCC(dither=0.0, silence=-200.0, normalization=normalization)
    signal = voice()
    np.testing.assert_allclose(frontend(gain * signal), frontend(signal), atol=5e-3)


@pytest.mark.parametrize("offset", [0.01, -0.2])
def test_a_constant_offset_does_not_look_like_speech(offset: float) -> None:
    frontend = MFCC(dither=0.0)
    signal = voice()
    assert abs(len(frontend(signal + offset)) - len(frontend(signal))) <= 1
    with pytest.raises(TooLittleSpeech):
        frontend(np.full(16000, offset))


def test_a_float_recording_and_its_16_bit_copy_are_nearly_the_same() -> None:
    frontend = MFCC(speech="none", deltas=0)
    signal = voice()
    floats, ints = frontend(signal), frontend(steps(signal) / 32768)
    assert floats.shape == ints.shape
    loud = np.sort(np.argsort(-frontend(signal)[:, 0])[:80])
    for i in range(13):
        assert np.corrcoef(floats[loud, i], ints[loud, i])[0, 1] > 0.98
    # differences of 1e-4, seven times the step of 16 bits, are below the noise between words, and move words little
    moved = frontend(signal + np.random.default_rng(0).uniform(-1e-4, 1e-4, len(signal)))
    for i in range(4):
        assert np.corrcoef(floats[loud, i], moved[loud, i])[0, 1] > 0.95


@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_the_same_recording_gives_the_same_bits(tmp_path: Path, dither: float) -> None:
    frontend = MFCC(dither=dither)
    paths = [write(tmp_path / f"{i}.flac", steps(voice(1.0, seed=i))) for i in range(6)]
    alone = [frontend.from_file(p).tobytes() for p in paths]
    assert len(set(alone)) == len(paths)
    backwards = [MFCC(dither=dither).from_file(p).tobytes() for p in reversed(paths)]
    assert backwards == alone[::-1]
    for n in (1, 2, 3):
        assert [x.tobytes() for x in threads(n)(frontend.from_file, paths)] == alone


def test_another_process_gives_the_same_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", steps(voice(1.0)))
    code = (
        "import hashlib, sys; from speechgmm.features import MFCC; "
        "print(hashlib.sha256(MFCC().from_file(sys.argv[1]).tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(MFCC().from_file(path).tobytes()).hexdigest()


def test_dither_is_small_and_belongs_to_the_samples() -> None:
    signal = np.round(voice(1.0) * 32768) / 32768
    with_dither, without = (MFCC(**PLAIN | {"dither": d})(signal) for d in (1.0, 0.0))
    assert not np.array_equal(with_dither, without)
    loud = without[:, 0] > np.percentile(without[:, 0], 70)
    np.testing.assert_allclose(with_dither[loud, :2], without[loud, :2], atol=0.5)
    # another recording gets other noise: the difference between two dithered silences is not 0
    silent = MFCC(**PLAIN | {"dither": 1.0})
    first, second = silent(np.zeros(8000)), silent(np.zeros(8080))
    assert not np.array_equal(first, second[: len(first)])


@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_digital_silence_has_no_speech_and_gives_no_warning(dither: float) -> None:
    with pytest.raises(TooLittleSpeech, match=r"its loudest frame at -(90|91|120) dB"):
        MFCC(dither=dither)(np.zeros(16000))
    x = MFCC(dither=dither, speech="none", silence=-200.0)(np.zeros(16000))
    assert x.shape == (98, 60)
    assert np.isfinite(x).all()
    assert (x.std() < 1e-9) == (dither == 0.0)


@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_digital_silence_beside_speech_is_not_kept(dither: float) -> None:
    frontend = MFCC(dither=dither)
    signal = voice()
    padded = frontend(np.concatenate([np.zeros(16000), signal, np.zeros(16000)]))
    assert np.isfinite(padded).all()
    assert abs(len(padded) - len(frontend(signal))) < 30


NOISE = np.random.default_rng(0).normal(0, 1, 16000)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros(16000), r"0\.000 s of speech in 1\.00 s of sound, its loudest frame at -\d+ dB"),
        (np.full(16000, 0.5), r"0\.000 s of speech in 1\.00 s of sound"),
        (10 ** (-80 / 20) * NOISE, r"0\.000 s of speech in 1\.00 s of sound, its loudest frame at -(78|79|80) dB"),
        (0.1 * NOISE[:48], r"0\.003 s of sound"),
        (0.1 * NOISE[:1], r"0\.000 s of sound"),
        (0.1 * NOISE[:399], r"0\.025 s of sound"),
        (0.1 * NOISE[:1000], r"0\.06\d s of sound"),
    ],
    ids=["silence", "offset", "low noise", "3 ms", "one sample", "less than a window", "less than min_speech"],
)
@pytest.mark.parametrize("speech", ["gaussians", "none"])
def test_too_little_speech(signal: Array, message: str, speech: str) -> None:
    rule = r"^a\.wav must hold at least 0\.08 s of speech; got "
    with pytest.raises(TooLittleSpeech, match=rule + message + r".*\. Record more, or louder\.$"):
        MFCC(speech=speech)(signal, what="a.wav")


def test_min_speech_counts_speech_and_not_sound() -> None:
    signal = np.concatenate([voice(0.5), 10 ** (-80 / 20) * NOISE, NOISE * 10 ** (-80 / 20)])
    x = MFCC(min_speech=0.1)(signal)
    seconds = len(x) * 0.010
    assert MFCC(min_speech=seconds)(signal).shape == x.shape
    with pytest.raises(
        TooLittleSpeech, match=rf"at least {seconds + 0.01:g} s of speech; got {seconds:.3f} s of speech"
    ):
        MFCC(min_speech=seconds + 0.01)(signal)


@pytest.mark.parametrize("signal", [np.zeros(16000), 10 ** (-80 / 20) * NOISE], ids=["silence", "noise"])
def test_no_frame_of_speech_is_too_little_even_if_none_is_asked_for(signal: Array) -> None:
    with pytest.raises(TooLittleSpeech):
        MFCC(min_speech=0.0)(signal)


BAD = [
    ({"sample_rate": 999}, r"sample_rate must be at least 1000 and at most 1000000; got 999\. It is in Hz\."),
    ({"sample_rate": 16.0}, r"sample_rate must be a whole number; got 16\.0"),
    ({"sample_rate": "16000"}, r"sample_rate must be a whole number; got '16000'"),
    ({"sample_rate": True}, r"sample_rate must be a whole number; got True"),
    ({"n_mels": 1}, r"n_mels must be at least 2 and at most 1000; got 1"),
    ({"n_mfcc": 0}, r"n_mfcc must be at least 1 and at most \d+; got 0\. It is at most n_mels\."),
    ({"n_mfcc": 41, "n_mels": 40}, r"n_mfcc must be at least 1 and at most 40; got 41"),
    ({"kind": "bark"}, r"kind must be one of 'mfcc', 'mel', 'lfcc', 'mfcc\+lfcc'; got 'bark'"),
    ({"n_mfcc": 20.5}, r"n_mfcc must be a whole number; got 20\.5"),
    ({"fmin": -1.0}, r"fmin must be at least 0 Hz; got -1 Hz"),
    ({"fmin": math.nan}, r"fmin must be at least 0 Hz; got nan Hz"),
    ({"fmin": 500.0, "fmax": 500.0}, r"fmax must be above 500 Hz and at most 8000 Hz; got 500 Hz"),
    ({"fmax": 8001.0}, r"fmax must be above \d+ Hz and at most 8000 Hz; got 8001 Hz"),
    ({"sample_rate": 8000, "fmax": 5000.0}, r"fmax must be above \d+ Hz and at most 4000 Hz; got 5000 Hz"),
    ({"win_length": 25}, r"win_length must be at least 0\.002 s and at most 1 s; got 25 s\. It is in seconds\."),
    ({"win_length": 0.001}, r"win_length must be at least 0\.002 s"),
    ({"hop_length": 0.030}, r"hop_length must be at least 0\.001 s and at most 0\.025 s; got 0\.03 s"),
    ({"hop_length": 160}, r"hop_length must be at least 0\.001 s and at most 0\.025 s; got 160 s"),
    ({"hop_length": 0}, r"hop_length must be at least 0\.001 s"),
    ({"preemphasis": 1.5}, r"preemphasis must be at least 0 and at most 1; got 1\.5"),
    ({"preemphasis": None}, r"preemphasis must be a number; got None"),
    ({"dither": -1.0}, r"dither must be at least 0 and at most 1000; got -1"),
    ({"dither": math.inf}, r"dither must be at least 0 and at most 1000; got inf"),
    ({"deltas": 3}, r"deltas must be at least 0 and at most 2; got 3"),
    ({"deltas": True}, r"deltas must be a whole number; got True"),
    ({"delta_width": 0}, r"delta_width must be at least 1 and at most 20; got 0"),
    ({"speech": "webrtc"}, r"speech must be one of 'none', 'gaussians'; got 'webrtc'"),
    ({"silence": 10.0}, r"silence must be at least -200 dB and at most 0 dB; got 10 dB"),
    ({"prominence": -1.0}, r"prominence must be at least 0 dB and at most 200 dB; got -1 dB"),
    ({"min_speech": -0.1}, r"min_speech must be at least 0 s and at most 60 s; got -0\.1 s"),
    (
        {"normalization": "cmvn"},
        r"normalization must be one of 'none', .*'sliding', 'warped'; got 'cmvn'",
    ),
    ({"averages": (0.0, 1.0)}, r"averages must be an Averages; got a tuple"),
    (
        {"averages": Averages((0.0,) * 60, (1.0,) * 60), "normalization": "mean"},
        r"averages must be of 60 features, for",
    ),
    ({"averages": Averages((0.0,), (1.0,))}, r"averages must be of 60 features, .*; got those of 1"),
    ({"rasta": 1.0}, r"rasta must be at least 0 and at most 0\.999; got 1"),
    ({"convention": "spro"}, r"convention must be one of 'kaldi', 'htk'; got 'spro'"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[str(s) for s, _ in BAD])
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        MFCC(**settings)


def test_every_setting_is_checked() -> None:
    fields = {f.name for f in dataclasses.fields(MFCC)}
    assert {name for settings, _ in BAD for name in settings} == fields


def test_the_averages_are_a_setting_like_others(tmp_path: Path) -> None:
    usual = Averages(tuple(np.linspace(-1, 1, 60).tolist()), (2.0,) * 60)
    f, plain = MFCC(averages=usual), MFCC()
    assert len({f.fingerprint, plain.fingerprint, MFCC(averages=Averages(usual.mean, (3.0,) * 60)).fingerprint}) == 3
    assert f == MFCC(averages=usual)
    assert MFCC(**json.loads(json.dumps(f.settings))) == f
    storage.save(f, tmp_path / "f.sgmm")
    assert storage.load(tmp_path / "f.sgmm", MFCC) == f
    plain.check_same(f, "what training has learned, and nobody has chosen,")


def test_a_gain_changes_little_beside_usual_speech() -> None:
    x = voice(5.0, 16000)
    plain = MFCC(dither=0.0, silence=-200.0)
    f = plain.learned([plain.unnormalized(x)])
    loud, soft = (f(gain * x) for gain in (1.0, 0.5))
    assert 0.001 < np.abs(loud - soft).max() < 0.05


def test_settings_are_named_and_frozen() -> None:
    with pytest.raises(TypeError):
        MFCC(16000)  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        MFCC().n_mfcc = 13  # type: ignore[misc]


@pytest.mark.parametrize("rate", [2000, 8000, 11025, 16000, 22050, 44100, 48000])
def test_defaults_fit_the_rate(rate: int) -> None:
    f = MFCC(sample_rate=rate)
    assert f.n_mels is not None
    assert f.fmin is not None
    assert f.fmax is not None
    assert f.n_mfcc < f.n_mels
    assert 0 < f.fmin < 150 < f.fmax < rate / 2
    spelled_out = MFCC(**dataclasses.asdict(f))
    assert spelled_out == f
    assert spelled_out.fingerprint == f.fingerprint
    signal = voice(1.0, rate) if rate > 4000 else np.random.default_rng(0).normal(0, 0.1, rate)
    x = f(signal)
    assert (x.std(axis=0) > 0.9).all(), "a mel band without a single frequency"


def test_mel_bands_are_what_cepstra_are_made_of() -> None:
    plain = dict(PLAIN, n_mels=24)
    bands, cepstra = MFCC(kind="mel", **plain), MFCC(n_mfcc=24, **plain)
    assert (bands.n_dimensions, MFCC(kind="mel", n_mels=24).n_dimensions) == (24, 72)
    x = bands(voice())
    assert x.shape[1] == 24
    turned = scipy.fft.dct(x.astype(np.float64), norm="ortho", axis=1)
    np.testing.assert_allclose(turned, cepstra(voice()), rtol=0, atol=1e-3)


OTHER = {
    "sample_rate": 16001,
    "kind": "mel",
    "n_mfcc": 19,
    "n_mels": 31,
    "fmin": 51.0,
    "fmax": 7599.0,
    "win_length": 0.026,
    "hop_length": 0.011,
    "preemphasis": 0.96,
    "dither": 0.5,
    "deltas": 1,
    "delta_width": 4,
    "speech": "none",
    "silence": -74.0,
    "prominence": 20.0,
    "min_speech": 0.2,
    "normalization": "mean",
    "averages": Averages((0.0,) * 60, (1.0,) * 60),
    "convention": "kaldi",
    "rasta": 0.94,
}
BASE = MFCC(n_mels=30, fmin=50.0, fmax=7600.0)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(MFCC)])
def test_every_setting_changes_the_fingerprint_and_is_named(name: str) -> None:
    other = dataclasses.replace(BASE, **{name: OTHER[name]})
    assert other != BASE
    assert other.fingerprint != BASE.fingerprint
    if name == "averages":
        return
    was, now = (f"{name}={f.settings[name]!r}".replace(".", r"\.") for f in (BASE, other))
    with pytest.raises(IncompatibleModel, match=f"^mine must be of the same front end: {was}; got {now}\\. Use the"):
        BASE.check_same(other, "mine")


def test_check_same_names_all_differences_and_nothing_else() -> None:
    other = dataclasses.replace(BASE, n_mfcc=13, deltas=0)
    with pytest.raises(IncompatibleModel, match=r"front end: n_mfcc=20, deltas=2; got n_mfcc=13, deltas=0\."):
        BASE.check_same(other, "mine")
    BASE.check_same(MFCC(n_mels=30, fmin=50.0, fmax=7600.0), "mine")


@pytest.mark.parametrize(
    "same",
    [
        {"fmin": 50},
        {"sample_rate": np.int64(16000), "n_mels": np.int32(30)},
        {"fmax": np.float64(7600), "dither": 1, "silence": -75},
    ],
    ids=str,
)
def test_the_type_of_a_number_is_no_setting(same: dict[str, Any]) -> None:
    other = dataclasses.replace(BASE, silence=-75.0, dither=1.0)
    assert dataclasses.replace(other, **same).fingerprint == other.fingerprint


@pytest.mark.parametrize("frontend", [MFCC(), MFCC(sample_rate=8000, n_mfcc=13, deltas=0), preset("sound")])
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, frontend: MFCC) -> None:
    storage.save(frontend, tmp_path / "f")
    loaded = storage.load(tmp_path / "f", MFCC)
    assert loaded == frontend
    assert loaded.fingerprint == frontend.fingerprint
    signal = voice(1.0, frontend.sample_rate)
    np.testing.assert_array_equal(loaded(signal), frontend(signal))


def test_from_file_names_the_file_and_takes_a_channel(tmp_path: Path) -> None:
    both = np.stack([voice(1.0), np.zeros(16000)], axis=1)
    path = write(tmp_path / "two.wav", both, subtype="FLOAT")
    np.testing.assert_array_equal(MFCC().from_file(path, channel=0), MFCC()(both[:, 0]))
    with pytest.raises(TooLittleSpeech, match=r"two\.wav must hold"):
        MFCC().from_file(path, channel=1)


def test_bands_without_a_frequency_are_refused() -> None:
    narrow = MFCC(sample_rate=8000, n_mels=40, n_mfcc=20, win_length=0.005, hop_length=0.005)
    rule = r"mel bands must each hold a frequency of a 64-point transform; got \d+ of 40 empty\. Use fewer bands"
    with pytest.raises(InvalidInput, match=rule):
        narrow(np.random.default_rng(0).normal(0.0, 0.1, 8000))

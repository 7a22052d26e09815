"""Speech activity: which frames of made levels, and of real recordings, are speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from speechgmm.features import MFCC, read
from speechgmm.features.speech_detection import METHODS, speech_frames
from tests.laws import tenths
from tests.sounds import CORPORA, Array

SILENCE = -75.0
FLOOR = -120.0
"""The level of a frame of digital silence."""


def around(level: float, n: int, *, spread: float = 2.0, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(level, spread, n)


def speech(level: Array, method: str = "gaussians", silence: float = SILENCE, prominence: float = 16.0) -> Array:
    found = speech_frames(level, method, silence=silence, prominence=prominence)
    assert found.shape == level.shape
    assert found.dtype == bool
    return found


@pytest.mark.parametrize("quiet", [-70, -60, -50])
@pytest.mark.parametrize("loud", [-22, -10])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_clear_clusters_are_told_apart(quiet: float, loud: float, share: float) -> None:
    n = round(share * 500)
    level = np.concatenate([around(quiet, 500 - n), around(loud, n, spread=3)])
    expected = np.arange(500) >= 500 - n
    mixed = np.random.default_rng(1).permutation(500)
    found = speech(level[mixed])
    assert np.mean(found == expected[mixed]) > 0.99


def test_order_does_not_matter() -> None:
    level = np.concatenate([around(-60, 70), around(-20, 50)])
    mixed = np.random.default_rng(1).permutation(len(level))
    np.testing.assert_array_equal(speech(level[mixed]), speech(level)[mixed])


def test_alternation_keeps_every_other_frame() -> None:
    level = np.tile([-60.0, -20.0], 50)
    np.testing.assert_array_equal(speech(level), level == -20.0)


@pytest.mark.parametrize("spread", [0.5, 2.0, 4.0])
def test_a_recording_that_is_all_speech_keeps_most_frames(spread: float) -> None:
    assert speech(around(-20, 400, spread=spread)).mean() > 0.4


@pytest.mark.parametrize("level", [-5.0, -40.0, -74.0])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_equal_levels_are_all_speech(level: float, n: int) -> None:
    assert speech(np.full(n, level)).all()


@pytest.mark.parametrize("level", [SILENCE, -80.0, FLOOR])
@pytest.mark.parametrize("method", METHODS)
def test_equal_levels_at_or_below_silence_are_none(level: float, method: str) -> None:
    assert not speech(np.full(50, level), method).any()


@pytest.mark.parametrize("loud", [-74.0, -65.0, -56.0])
@pytest.mark.parametrize("method", METHODS)
def test_frames_below_silence_are_none_however_near_the_others_are(loud: float, method: str) -> None:
    level = np.tile([-76.0, loud, loud], 30)
    np.testing.assert_array_equal(speech(level, method), level > SILENCE)


@pytest.mark.parametrize("method", METHODS)
def test_digital_silence_around_speech_changes_nothing_of_it(method: str) -> None:
    words = np.where(np.arange(300) % 30 < 20, around(-20, 300), around(-55, 300))
    framed = np.concatenate([np.full(200, FLOOR), words, np.full(200, FLOOR)])
    found = speech(framed, method)
    assert not found[:200].any()
    assert not found[500:].any()
    assert found[200:500][words > -30].all()


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_weak_sounds_of_words_are_speech_and_pauses_are_not(spread: float) -> None:
    """Many consonants lie some 9 dB below vowels, noise between words 25 dB or more: both make two clear Gaussians."""
    loud = around(-15, 200, spread=spread)
    for below, expected in ((9, True), (28, False), (45, False)):
        found = speech(np.concatenate([around(-15 - below, 200, spread=spread, seed=1), loud]))
        assert (found[:200] == expected).mean() > 0.97, below
        assert found[200:].mean() > 0.97


@given(nps.arrays(float, st.integers(2, 80), elements=tenths(-70, 0)), st.sampled_from([0.0, 10.0, 16.0, 20.0, 200.0]))
def test_whatever_is_near_the_loud_end_is_speech(level: Array, prominence: float) -> None:
    found, near = speech(level, prominence=prominence), level > np.percentile(level, 95) - prominence + 1e-6
    assert found[near].all()
    np.testing.assert_array_equal(found[~near], speech(level, prominence=0.0)[~near])


def test_others_who_talk_farther_below_are_not_speech() -> None:
    level = np.concatenate([around(-37, 300, spread=0.5), around(-20, 300, spread=0.5)])
    assert speech(level)[:300].mean() < 0.02
    assert speech(level, prominence=20.0)[:300].all()


def test_dips_of_a_steady_noise_are_not_speech_however_wide_that_is() -> None:
    """Far below both means the wider Gaussian explains more, and it is that of speech."""
    dips = np.full(5, -74.0)
    level = np.concatenate([around(-60, 300, spread=0.7), around(-30, 300, spread=9), dips])
    found = speech(level)
    assert not found[:300].any()
    assert found[300:600].mean() > 0.95
    assert not found[600:].any()


@given(nps.arrays(float, st.integers(1, 80), elements=tenths(-120, 0)), st.sampled_from(METHODS))
def test_laws_for_any_levels(level: Array, method: str) -> None:
    found = speech(level, method)
    assert not found[level <= SILENCE].any()
    # no frame is left out that is louder than one which is kept
    if found.any():
        np.testing.assert_array_equal(found, level >= level[found].min())
    # whatever is audible, the loudest frame is speech
    assert found.any() == (level > SILENCE).any()
    if method == "none":
        np.testing.assert_array_equal(found, level > SILENCE)


@pytest.mark.parametrize("method", METHODS)
def test_how_silent_silence_is_changes_nothing(method: str) -> None:
    """Far below all else it would be a Gaussian of its own, and the noise between words speech."""
    words = np.concatenate([around(-60, 100), around(-20, 100)])
    first = speech(np.concatenate([np.full(100, SILENCE), words]), method)
    for deeper in (-90.0, FLOOR, -190.0):
        np.testing.assert_array_equal(speech(np.concatenate([np.full(100, deeper), words]), method), first)


@given(nps.arrays(float, st.integers(2, 60), elements=tenths(-70, -20)), st.integers(-4, 20))
def test_a_gain_changes_nothing_while_all_is_audible(level: Array, gain: int) -> None:
    np.testing.assert_array_equal(speech(level + gain, silence=-200.0), speech(level, silence=-200.0))


def real_recordings() -> list[Path]:
    """Every so many-th file of each corpus."""
    found = []
    for corpus in ("fsdd", "librispeech_mini", "wuw2"):
        files = sorted(p for p in (CORPORA / corpus).rglob("*") if p.suffix in (".wav", ".flac"))
        found += files[:: max(1, len(files) // 12)]
    return found


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.exists(), reason="the real recordings of ../shared/corpora are not here")
def test_every_real_recording_holds_speech() -> None:
    files = real_recordings()
    assert len(files) > 10
    for path in files:
        signal = read(path)
        frontend = MFCC(sample_rate=signal.sample_rate)
        share = len(frontend.from_signal(signal)) * frontend.hop_length / signal.seconds
        assert 0.05 < share <= 1.0, path

"""Limits of sound files: what is beyond one is refused by name, before it is decoded or in constant memory."""

from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speechgmm.errors import AudioError, InvalidInput
from speechgmm.features import MFCC, AudioLimits, audio_limits, read, sample_rate
from speechgmm.features.audio import stream
from speechgmm.parallel import threads
from tests.sounds import voice, with_flac_total, write

RATE = 8000
HOUR = 3600
ADVICE = "Cut or convert it; if you trust it, set {} of SPEECHGMM_AUDIO_LIMITS."


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write(tmp_path / "a.wav", np.stack([voice(1.0, RATE)] * 2, axis=1), RATE)


@pytest.mark.parametrize(
    ("limits", "words", "names"),
    [
        ({"max_seconds": 0.9}, "must last at most 0.9 s where it is read; got 1 s or more", "max_seconds"),
        ({"max_channels": 1}, "must have 1 to 1 channels; got 2", "max_channels"),
        (
            {"max_sample_rate": 7999},
            "must have a sampling rate of 1 to 7999 Hz; got 8000 Hz",
            "min_sample_rate or max_sample_rate",
        ),
        (
            {"min_sample_rate": 8001},
            "must have a sampling rate of 8001 to 768000 Hz; got 8000 Hz",
            "min_sample_rate or max_sample_rate",
        ),
        ({"max_decoded_bytes": 63_999}, "must decode to at most 63999 bytes where it is read; got 64000 or more", None),
    ],
)
def test_what_is_beyond_a_limit_is_refused(second: Path, limits: dict[str, Any], words: str, names: str | None) -> None:
    with AudioLimits(**limits).applied():
        with pytest.raises(
            AudioError, match=re.escape(f"a.wav {words}. {ADVICE.format(names or 'max_decoded_bytes')}")
        ):
            read(second)
        with pytest.raises(AudioError, match=re.escape(words)):
            MFCC(sample_rate=RATE).from_file(second)
        with pytest.raises(AudioError, match=re.escape(words)):
            next(threads(2)(read, [second]))
    assert len(read(second).samples) == RATE


@pytest.mark.parametrize(
    "limits",
    [
        {"max_seconds": 1.0},
        {"max_channels": 2},
        {"min_sample_rate": RATE, "max_sample_rate": RATE},
        {"max_decoded_bytes": 2 * 4 * RATE},
    ],
)
def test_what_is_at_a_limit_is_read(second: Path, limits: dict[str, Any]) -> None:
    with AudioLimits(**limits).applied():
        assert len(read(second).samples) == RATE


def test_the_part_that_is_read_counts_and_rates_cost_nothing(second: Path) -> None:
    with AudioLimits(max_seconds=0.5).applied():
        assert len(read(second, start=0.5).samples) == len(read(second, end=0.5).samples) == RATE // 2
        assert sample_rate(second) == RATE
        with pytest.raises(AudioError, match=r"must last at most 0\.5 s"):
            read(second, start=0.25, end=1.0)


def silence(path: Path, seconds: int, codec: str) -> Path:
    """Write silence, a frame at a time."""
    import av

    with av.open(str(path), "w") as container:
        out = container.add_stream(codec, rate=RATE)
        out.layout = "mono"
        kind = out.codec_context.format.name
        size = RATE * 10
        zeros = np.zeros((1, size), np.float32 if kind.startswith("flt") else np.int16)
        for i in range(seconds * RATE // size):
            frame = av.AudioFrame.from_ndarray(zeros, format=kind, layout="mono")
            frame.sample_rate, frame.pts = RATE, i * size
            container.mux(out.encode(frame))
        container.mux(out.encode(None))
    return path


@pytest.fixture(scope="module", params=["flac", "endless.flac", "ogg", "m4a"])
def bomb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """An hour of silence in a small file, and whether its header says so."""
    form = request.param
    path = tmp_path_factory.mktemp("bomb") / f"a.{form}"
    if form == "m4a":
        silence(path, HOUR, "aac")
    elif form == "ogg":
        with sf.SoundFile(path, "w", RATE, 1) as file:  # libsndfile's encoder cannot take it all at once
            for _ in range(HOUR):
                file.write(np.zeros(RATE, np.float32))
    else:
        write(path, np.zeros(HOUR * RATE, np.int16), RATE)
    if form == "endless.flac":
        with_flac_total(path, 0)
    return path, form in ("flac", "ogg")


def test_a_small_file_that_decodes_to_hours_ends_at_the_limit(bomb: tuple[Path, bool]) -> None:
    path, told = bomb
    assert path.stat().st_size < HOUR * RATE * 4 / 50
    tracemalloc.start()
    try:
        with (
            AudioLimits(max_seconds=60).applied(),
            pytest.raises(AudioError, match="must last at most 60 s where") as caught,
            stream(path) as found,
        ):
            for _ in found.blocks:
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found_seconds = int(re.findall(r"got (\d+) s or more", str(caught.value))[0])
    assert found_seconds == HOUR if told else 60 <= found_seconds < 200  # a block is 131 s
    assert peak < 30e6


def test_without_a_limit_in_its_way_it_is_read_in_constant_memory(bomb: tuple[Path, bool]) -> None:
    path, _ = bomb
    tracemalloc.start()
    try:
        with stream(path) as found:
            n = sum(map(len, found.blocks))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n == pytest.approx(HOUR * RATE, abs=4096)
    assert peak < 30e6 < 4 * n


def test_a_part_that_begins_beyond_the_limit_is_refused_where_all_before_it_would_be_decoded(tmp_path: Path) -> None:
    path = silence(tmp_path / "a.m4a", 20, "aac")
    with AudioLimits(max_seconds=5).applied():
        assert len(read(path, end=4.0).samples) == 4 * RATE
        with pytest.raises(AudioError, match=r"must last at most 5 s where it is read; got 10 s or more"):
            read(path, start=10.0, end=11.0)
    with pytest.raises(AudioError, match=r"must last at most 86400 s where it is read"):
        read(path, start=1e300)
    with pytest.raises(AudioError, match=r"must lie within its 20\.\d\d s; got 1e\+308 to the end s"):
        read(path, start=1e308)


def test_a_header_that_promises_years_is_refused_unread(tmp_path: Path) -> None:
    path = with_flac_total(write(tmp_path / "a.flac", np.zeros(RATE, np.int16), RATE), 2**36 - 1)
    with pytest.raises(AudioError, match=r"must last at most 86400 s where it is read; got 8589935 s or more"):
        read(path)


def test_the_environment_holds_limits(monkeypatch: pytest.MonkeyPatch, second: Path) -> None:
    monkeypatch.delenv("SPEECHGMM_AUDIO_LIMITS", raising=False)
    assert audio_limits() == AudioLimits()
    monkeypatch.setenv("SPEECHGMM_AUDIO_LIMITS", "max_seconds=0.5 max_channels=2")
    assert audio_limits() == AudioLimits(max_seconds=0.5, max_channels=2)
    with pytest.raises(AudioError, match=r"must last at most 0\.5 s"):
        read(second)
    inner = AudioLimits(max_seconds=1 / 3)
    with AudioLimits().applied():
        assert len(read(second).samples) == RATE
        with inner.applied():
            assert audio_limits() == inner
        assert audio_limits() == AudioLimits()
    assert os.environ["SPEECHGMM_AUDIO_LIMITS"] == "max_seconds=0.5 max_channels=2"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("seconds=5", "SPEECHGMM_AUDIO_LIMITS must be limits such as max_seconds=3600, divided by spaces"),
        ("max_seconds=5 max_seconds=6", "got 'max_seconds=6'"),
        ("max_seconds", "max_seconds in SPEECHGMM_AUDIO_LIMITS must be a number; got ''"),
        ("max_channels=1.5", "max_channels in SPEECHGMM_AUDIO_LIMITS must be a number; got '1.5'"),
        ("max_seconds=nan", "max_seconds must be above 0 s; got nan s"),
        ("max_channels=0", "max_channels must be at least 1; got 0"),
        ("max_sample_rate=5 min_sample_rate=6", "min_sample_rate must be at most max_sample_rate; got 6 above 5 Hz"),
    ],
)
def test_limits_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, second: Path, said: str, words: str) -> None:
    monkeypatch.setenv("SPEECHGMM_AUDIO_LIMITS", said)
    with pytest.raises(InvalidInput, match=re.escape(words)):
        read(second)

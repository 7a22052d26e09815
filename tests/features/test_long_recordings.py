"""Recordings of any length: block by block the same features, from memory that does not grow."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.features import (
    MFCC,
    FrontEnd,
    Recording,
    Signal,
    audio,
    extract,
    extract_all,
    mfcc,
    read,
    speech_detection,
    spool,
)
from speechgmm.features.levels import FLOOR, Levels
from speechgmm.features.source import regrouped
from speechgmm.features.spool import Spool, in_blocks
from tests.sounds import ROOT, Array, steps, voice, write

RATE = 8000
LONG = voice(6.0, RATE, seed=5).astype(np.float32)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"deltas": 0, "normalization": "none", "speech": "none", "silence": -200.0},
    {"deltas": 1, "delta_width": 9, "normalization": "mean"},
    {"dither": 0.0, "preemphasis": 0.0},
    {"win_length": 0.030, "hop_length": 0.030},
    {"win_length": 0.020, "hop_length": 0.002, "deltas": 1},
    {"win_length": 0.0256, "hop_length": 0.0101, "kind": "mel"},
    {"normalization": "sliding", "rasta": 0.94},
    {"normalization": "warped", "deltas": 0},
]


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def pieces(samples: Array, size: int) -> list[Array]:
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def small_blocks(patch: pytest.MonkeyPatch, samples: int, rows: int, in_memory: int) -> None:
    """Let the front end take so little at once."""
    patch.setattr(mfcc, "_SAMPLES", samples)
    patch.setattr(mfcc, "_ROWS", rows)
    patch.setattr(speech_detection, "_BLOCK", rows)
    patch.setattr(spool, "BLOCK", 60 * rows)
    patch.setattr(Spool.__init__, "__kwdefaults__", {"in_memory": in_memory})


@pytest.mark.numeric
@settings(max_examples=25)
@given(
    st.sampled_from(SETTINGS),
    st.integers(6000, len(LONG)),
    st.integers(500, 30_000),
    st.integers(1, 400),
    st.sampled_from([0, 3000, 1 << 24]),
    st.sampled_from([0.0, 0.3, -0.02]),
)
def test_features_in_blocks_are_those_of_the_whole(
    how: dict[str, Any], length: int, samples: int, rows: int, in_memory: int, offset: float
) -> None:
    frontend = MFCC(sample_rate=RATE, **{"n_mels": 20, "n_mfcc": 13, "fmin": 200.0, "silence": -100.0} | how)
    signal = LONG[:length] + np.float32(offset)
    whole = frontend(signal)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, samples, rows, in_memory)
        found = frontend(signal)
    assert found.dtype == np.float32
    # mel bands of a handful of frames are a matrix product of another shape, which rounds otherwise
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=5e-5)


@pytest.mark.numeric
@pytest.mark.parametrize("how", SETTINGS[:4], ids=str)
def test_a_minute_in_blocks_is_the_same_to_1e_5(monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]) -> None:
    frontend = MFCC(sample_rate=RATE, **how)
    signal = voice(60.0, RATE).astype(np.float32)
    whole = frontend(signal)
    small_blocks(monkeypatch, 100_003, 700, 10_000)
    np.testing.assert_allclose(frontend(signal), whole, rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(0, 20_000), max_size=6), st.integers(1, 50_000))
def test_how_a_signal_comes_changes_no_bit(cuts: list[int], rest: int) -> None:
    frontend = MFCC(sample_rate=RATE)
    signal = LONG[:40_000]
    parts = np.split(signal, np.sort(np.minimum(np.cumsum(cuts, dtype=int), len(signal))))
    parts = [*parts[:-1], *pieces(parts[-1], rest)]
    assert sum(map(len, parts)) == len(signal)
    np.testing.assert_array_equal(frontend.from_blocks(parts), frontend(signal))


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize("n", [1, 2, 777, 50_001])
def test_resampling_in_blocks_is_that_of_the_whole(rate: int, n: int) -> None:
    signal = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
    whole = librosa.resample(signal, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
    for size in (n, 1000, 37):
        stream = audio.Stream(rate, iter(pieces(signal, size)))
        found = np.concatenate(list(audio.resampled(stream, RATE, what="it")))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-7)


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_levels_are_those_of_each_window(window: int, hop: int, lengths: list[int]) -> None:
    hop = min(hop, window)
    rng = np.random.default_rng(0)
    y = rng.normal(0.5, 0.01, window + sum(lengths)).astype(np.float32)
    y[len(y) // 2 :] -= 0.4  # the offset of the first block is not that of the whole
    levels, start, seen = Levels(window, hop), 0, 0
    for stop in (*np.cumsum([window, *lengths]).tolist(),):
        levels.add(y[start:stop], stop - seen)
        start, seen = start + max(0, (stop - start - window) // hop + 1) * hop, stop
    centered = y.astype(np.float64) - y.astype(np.float64).mean()
    frames = [centered[i : i + window] for i in range(0, len(y) - window + 1, hop)]
    expected = [10 * np.log10(max(np.mean(f**2), FLOOR)) for f in frames]
    np.testing.assert_allclose(levels.decibels(), expected, atol=1e-6)


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_regrouped_rows_stay_in_order(lengths: list[int], size: int) -> None:
    rows = np.arange(sum(lengths))
    blocks = list(regrouped(np.split(rows, np.cumsum(lengths, dtype=int)), size))
    assert [len(b) for b in blocks[:-1]] == [size] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate([*blocks, rows[:0]]), rows)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from([(), (3,)]), st.sampled_from([0, 60, 10**6])
)
def test_spooled_rows_are_what_was_added(lengths: list[int], shape: tuple[int, ...], in_memory: int) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, *shape)).astype(np.float32) for n in lengths]
    every = np.concatenate(parts)
    rows = Spool(parts, in_memory=in_memory)
    assert len(rows) == len(every)
    np.testing.assert_array_equal(rows.rows(1, len(every)), every[1:])
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([*rows, every[:0]]), every)
    if len(every):
        assert isinstance(rows.array(), np.memmap) == (every.nbytes > in_memory)
        np.testing.assert_array_equal(rows.array(), every)
        for size in (1, 4, 1000):
            np.testing.assert_array_equal(np.concatenate(list(in_blocks(rows.array(), size))), every)


def test_mapped_features_outlive_what_made_them_and_leave_no_file(spools: Path) -> None:
    frontend = MFCC(sample_rate=RATE)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, 5000, 100, 0)
        x = frontend(LONG)
    gc.collect()
    assert isinstance(x, np.memmap)
    assert os.listdir(spools) == []
    np.testing.assert_allclose(x, frontend(LONG), atol=5e-5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named_and_loses_this_recording_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{n}.wav", LONG[: n * RATE], RATE) for n in (1, 5)]
    small_blocks(monkeypatch, 5000, 100, 100_000)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: open("/dev/full", "r+b"))  # noqa: SIM115
    short, long = extract_all(MFCC(sample_rate=RATE), paths)
    assert short.error is None
    message = (
        r"a temporary file in \S+ must be written; got No space left on device\. Free some space there, or let TMPDIR"
    )
    with pytest.raises(InvalidInput, match=message):
        long.usable()


@dataclass(frozen=True)
class Powers(FrontEnd):
    """A front end of one's own, that takes whole signals."""

    sample_rate: int = RATE
    hop_length: float = 0.01

    @property
    def n_dimensions(self) -> int:
        return 1

    def __call__(self, signal: Any, *, what: str = "the signal") -> Array:
        frames = np.asarray(signal)[: len(signal) // 80 * 80].reshape(-1, 80)
        return (frames**2).mean(axis=1, keepdims=True)


@pytest.mark.parametrize("rate", [RATE, 16000])
def test_a_front_end_that_takes_whole_signals_gets_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    path = write(tmp_path / "a.wav", steps(voice(3.0, rate)), rate)
    expected = Powers()(audio.resample(read(path), RATE).samples)
    monkeypatch.setattr(audio, "_CHUNK", 1000)
    small_blocks(monkeypatch, 5000, 100, 0)
    signal = read(path)
    for found in (Powers().from_file(path), Powers().from_signal(signal), extract(Powers(), path).usable()):
        np.testing.assert_array_equal(found, expected)


def test_digests_do_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.flac", np.stack([steps(voice(2.0)), steps(voice(2.0, seed=1))], axis=1))
    expected = {channel: read(path, channel=channel).digest for channel in ("mix", 0, 1)}
    assert expected["mix"] == Signal(read(path).samples, 16000).digest
    monkeypatch.setattr(audio, "_CHUNK", 999)
    for channel, digest in expected.items():
        assert read(path, channel=channel).digest == digest
        assert extract(MFCC(sample_rate=RATE), Recording(str(path), "", "a", channel=channel)).digest == digest


PROGRAM = """
import resource, sys
import numpy as np
from speechgmm.features import MFCC, Recording
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import SpeakerStore, System, enroll, identify
folder, start, stop = sys.argv[1:]
means = np.random.default_rng(0).normal(size=(16, 60))
system = System(MFCC(sample_rate=8000), GMM(np.full(16, 1 / 16), means, Diagonal(np.ones((16, 60)))))
peaks = []
with SpeakerStore(folder + "/s.db", system, create=True) as store:
    for name in (start, stop):
        assert not enroll(system, store, [Recording(name + ".enroll.wav", name, name)]).skipped
        assert identify(system, store, [name + ".test.wav"])[0].error is None
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(*peaks)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems count memory otherwise")
def test_enrolling_and_identifying_long_recordings_takes_no_more_memory(tmp_path: Path) -> None:
    """The second took 237 MB more when all was held at once, and 52 now."""
    minute = steps(voice(60.0, RATE))
    for name, minutes in (("short", 1), ("long", 12)):
        for kind, gain in (("enroll", 1.0), ("test", 0.5)):
            sound = np.tile((gain * minute).astype(np.int16), minutes)
            write(tmp_path / f"{name}.{kind}.wav", sound, RATE)
    names = [str(tmp_path / name) for name in ("short", "long")]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    short, long = map(int, done.stdout.split())
    assert long - short < 110, f"{short} MB grew to {long} MB"

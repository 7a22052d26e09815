"""Features of many recordings: in order, the same on any number of threads, with nothing left behind."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import AudioError, BadCorpus, InvalidInput, TooLittleSpeech
from speechgmm.features import MFCC, Averages, Recording, extract, extract_all, read, read_corpus, training_frames
from tests.sounds import Array, cut, steps, voice, write

FRONTEND = MFCC(sample_rate=8000, n_mfcc=8, deltas=1)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Eight recordings of different lengths, three of them no good."""
    root = tmp_path_factory.mktemp("recordings")
    found = []
    for i in range(8):
        path = write(root / f"{i}.wav", steps(voice(0.3 + 0.2 * (i % 5), 8000, seed=i)), 8000)
        found.append(Recording(str(path), f"speaker {i}", f"{i}.wav"))
    cut(root / "2.wav", 0.5)
    (root / "4.wav").unlink()
    write(root / "6.wav", np.zeros(8000), 8000)
    return found


BAD = {"2.wav": AudioError, "4.wav": AudioError, "6.wav": TooLittleSpeech}
REASONS = {"2.wav": "must be whole", "4.wav": "must exist", "6.wav": r"at least 0.08 s of speech"}


@pytest.fixture(scope="module")
def features(recordings: list[Recording]) -> list[Array]:
    """Those of the good recordings, one after the other."""
    return [FRONTEND.from_file(r.path) for r in recordings if r.name not in BAD]


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_extract_says_what_it_found(recordings: list[Recording], features: list[Array]) -> None:
    found = extract(FRONTEND, recordings[0])
    assert found.recording is recordings[0]
    assert found.error is None
    assert found.features is not None
    np.testing.assert_array_equal(found.features, features[0])
    assert found.digest == read(recordings[0].path).digest
    assert found.speech_seconds == pytest.approx(0.010 * len(features[0]))


@pytest.mark.parametrize("name", BAD)
def test_extract_returns_the_error_of_a_bad_recording(recordings: list[Recording], name: str) -> None:
    found = extract(FRONTEND, next(r for r in recordings if r.name == name))
    assert found.features is None
    assert found.speech_seconds == 0.0
    assert type(found.error) is BAD[name]
    assert bool(found.digest) == (name == "6.wav")


def test_extract_takes_part_and_channel(tmp_path: Path) -> None:
    both = np.stack([voice(2.0, 8000, seed=s) for s in (1, 2)], axis=1).astype(np.float32)
    path = write(tmp_path / "two.wav", both, 8000, subtype="FLOAT")
    found = extract(FRONTEND, Recording(str(path), "ann", "two", start=0.5, end=1.5, channel=1))
    assert found.features is not None
    np.testing.assert_array_equal(found.features, FRONTEND(both[4000:12000, 1]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_order_and_bits_are_those_of_one_thread(recordings: list[Recording], features: list[Array], n: int) -> None:
    found = list(extract_all(FRONTEND, recordings, n_threads=n))
    assert [e.recording for e in found] == recordings
    assert {e.recording.name: type(e.error) for e in found if e.error} == BAD
    good = [e.features for e in found if e.features is not None]
    assert [x.tobytes() for x in good] == [x.tobytes() for x in features]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_training_frames_are_all_good_ones_in_order(
    recordings: list[Recording], features: list[Array], spools: Path, n: int
) -> None:
    seen: list[tuple[str, int, int]] = []
    frames = training_frames(FRONTEND, recordings, n_threads=n, on_progress=lambda *news: seen.append(news))
    learned = frames.frontend
    assert isinstance(learned, MFCC)
    assert learned.averages == Averages.of(frames.unnormalized_of(p) for p in frames.parts)
    for part in frames.parts:  # what training sees is what the front end that it leaves gives later
        np.testing.assert_array_equal(frames.of(part), extract(learned, part.recording).features)
        plain = extract(learned.unnormalized, part.recording).features
        np.testing.assert_array_equal(frames.unnormalized_of(part), plain)
    expected = np.concatenate([frames.of(part) for part in frames.parts])
    ends = np.cumsum([0, *map(len, features)]).tolist()
    np.testing.assert_array_equal(frames.blocks.frames, expected)
    assert training_frames(learned, recordings).frontend is learned
    assert frames.blocks.frames.dtype == np.float32
    assert len(frames.parts) == 5
    assert [(p.start, p.stop) for p in frames.parts] == list(itertools.pairwise(ends))
    assert frames.speech_seconds == pytest.approx(0.010 * len(expected))
    assert [s.name for s in frames.skipped] == list(BAD)
    for skipped in frames.skipped:
        assert REASONS[skipped.name] in skipped.reason
    assert seen == [("features", done, 8) for done in range(1, 9)]
    assert os.listdir(spools) == []


def test_blocks_can_be_read_again_and_again(recordings: list[Recording], features: list[Array]) -> None:
    plain = dataclasses.replace(FRONTEND, normalization="mean_variance")
    blocks = training_frames(plain, recordings).blocks
    first, second = ([b.copy() for b in blocks] for _ in range(2))
    assert [b.tobytes() for b in first] == [b.tobytes() for b in second]
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(features))


def held_open(folder: Path) -> bool:
    """Whether this process has a file of the folder open or mapped, by whatever name it once had."""
    links = [os.readlink(f) for f in Path("/proc/self/fd").iterdir() if f.is_symlink()]
    return any(str(folder) in text for text in (*links, Path("/proc/self/maps").read_text()))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see which files are open")
def test_the_spool_is_gone_with_the_last_reference(recordings: list[Recording], spools: Path) -> None:
    frames = training_frames(FRONTEND, recordings)
    assert held_open(spools)
    del frames
    gc.collect()
    assert not held_open(spools)


def test_segments_that_end_little_after_their_file_are_used(tmp_path: Path) -> None:
    write(tmp_path / "call.wav", voice(2.0, 8000), 8000)
    (tmp_path / "wav.scp").write_text("call call.wav\n")
    (tmp_path / "utt2spk").write_text("u1 ann\nu2 ann\nu3 ann\nu4 ann\n")
    (tmp_path / "segments").write_text("u1 call 0 1.00\nu2 call 1 2.005\nu3 call 1 2.05\nu4 call 1 2.06\n")
    (tmp_path / "corpus.csv").write_text("path,speaker,start,end\ncall.wav,ann,1,2.05\ncall.wav,ann,1,2.06\n")
    frames = training_frames(FRONTEND, read_corpus(tmp_path))
    assert [p.recording.name for p in frames.parts] == ["u1", "u2", "u3"]
    assert [s.name for s in frames.skipped] == ["u4"]
    assert "must lie within its 2.00 s; got 1 to 2.06 s. An end up to 0.05 s after" in frames.skipped[0].reason
    assert isinstance(frames.frontend, MFCC)
    last = frames.frontend(read(tmp_path / "call.wav").samples[8000:])
    for part in frames.parts[1:]:
        np.testing.assert_array_equal(frames.of(part), last)
    rows = training_frames(FRONTEND, read_corpus(tmp_path / "corpus.csv"))
    assert [p.recording.name for p in rows.parts] == ["call.wav@1-2.05"]
    assert [s.name for s in rows.skipped] == ["call.wav@1-2.06"]


def test_progress_counts_bad_recordings_too(recordings: list[Recording]) -> None:
    seen: list[tuple[str, int, int]] = []
    list(extract_all(FRONTEND, recordings, on_progress=lambda *news: seen.append(news)))
    assert seen == [("recordings", done, 8) for done in range(1, 9)]


@pytest.mark.parametrize("n", [1, 3])
def test_speech_is_told_to_those_who_hear_seconds(recordings: list[Recording], n: int) -> None:
    class Listening:
        def __init__(self) -> None:
            self.news: list[tuple[str, float]] = []

        def __call__(self, stage: str, done: int, total: int) -> None:
            self.news.append((stage, done))

        def heard(self, stage: str, seconds: float) -> None:
            self.news.append((stage, seconds))

    listening = Listening()
    speech = [e.speech_seconds for e in extract_all(FRONTEND, recordings, n_threads=n, on_progress=listening)]
    told = [("recordings", x) for i in range(8) for x in (pytest.approx(sum(speech[: i + 1])), i + 1)]
    assert listening.news == told
    assert speech[2] == speech[4] == 0 < min(speech[:2])


@pytest.mark.parametrize("n", [1, 3])
def test_more_failures_than_allowed_end_the_work_and_are_named(recordings: list[Recording], n: int) -> None:
    allowed = list(extract_all(FRONTEND, recordings, max_failures=3, n_threads=n))
    assert sum(e.error is not None for e in allowed) == 3
    came = []
    with pytest.raises(BadCorpus) as refused:
        came.extend(e.recording.name for e in extract_all(FRONTEND, recordings, max_failures=1, n_threads=n))
    head, *rest = str(refused.value).splitlines()
    assert head == "recordings that cannot be used must be at most 1; got 2 so far:"
    assert [line.partition(":")[0] for line in rest] == ["2.wav", "4.wav"]
    assert refused.value.problems == tuple(rest)
    with pytest.raises(BadCorpus, match=r"at most 0; got 1 so far:\n2\.wav: "):
        training_frames(FRONTEND, recordings, max_failures=0, n_threads=n)
    with pytest.raises(InvalidInput, match=r"max_failures must be at least 0; got -1"):
        list(extract_all(FRONTEND, recordings, max_failures=-1))


def test_a_corpus_without_one_good_recording_is_refused(recordings: list[Recording], spools: Path) -> None:
    bad = [r for r in recordings if r.name in BAD]
    with pytest.raises(
        InvalidInput,
        match=r"a corpus must hold at least one usable recording; got none of 3; the first: .*2\.wav must be",
    ):
        training_frames(FRONTEND, bad)
    with pytest.raises(InvalidInput, match=r"at least one usable recording; got none of 0\.$"):
        training_frames(FRONTEND, [])
    assert os.listdir(spools) == []


def test_an_error_elsewhere_leaves_nothing_behind(recordings: list[Recording], spools: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training_frames(FRONTEND, recordings, n_threads=2, on_progress=stop)
    assert os.listdir(spools) == []

"""Features that are kept between runs: the same bits, never half of an entry nor an outdated one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import speechgmm
from speechgmm.errors import InvalidInput, SpeechGMMError
from speechgmm.features import Extracted, FrontEnd, OwnFeatures, Recording, Signal, extract, extract_all, preset
from speechgmm.features import feature_cache as module
from speechgmm.features.feature_cache import FeatureCache, KeptFeatures, feature_cache
from tests.kinds import sound

RATE = 8000
SPEECH = preset("speech", RATE)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureCache:
    for name in (module.LIMIT_VARIABLE, module.TYPE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "kept"))
    found = feature_cache()
    assert found is not None
    return found


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return written(tmp_path / "a.wav", 0)


def written(path: Path, seed: int, seconds: float = 1.5) -> Path:
    x = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    soundfile.write(path, 0.1 * np.sin(np.arange(len(x)) * 0.3) * (1 + x), RATE)
    return path


def entries(cache: FeatureCache) -> list[Path]:
    return sorted(p for p in cache.folder.rglob("*") if p.is_file())


def without_audio(frontend: FrontEnd, wav: Path | Recording, monkeypatch: pytest.MonkeyPatch) -> Extracted:
    with monkeypatch.context() as patch:
        patch.setattr(FrontEnd, "hear", lambda *_: pytest.fail("audio was read"))
        return extract(frontend, wav)


def same(one: Extracted, other: Extracted) -> None:
    assert one.usable().tobytes() == other.usable().tobytes()
    assert (one.digest, one.acoustics, one.speech_seconds) == (other.digest, other.acoustics, other.speech_seconds)


@pytest.mark.parametrize("name", ["speech", "both", "sound", "word"])
def test_a_second_run_reads_no_audio_and_gives_the_same_bits(name, wav, cache, monkeypatch) -> None:
    frontend = preset(name, RATE).learned([np.ones((3, preset(name, RATE).n_dimensions))])
    first = extract(frontend, wav)
    again = without_audio(frontend, wav, monkeypatch)
    monkeypatch.delenv(module.VARIABLE)
    for found in (first, again):
        same(found, extract(frontend, wav))
    assert cache.info() == module.CacheInfo(str(cache.folder), 1, entries(cache)[0].stat().st_size, module.LIMIT)


def test_a_recording_of_several_blocks_has_the_same_bits(tmp_path, cache, monkeypatch) -> None:
    from speechgmm.features import spool

    monkeypatch.setattr(spool, "BLOCK", 1 << 12)
    monkeypatch.setattr(spool, "IN_MEMORY", 1 << 12)
    frontend = SPEECH.learned([np.ones((3, SPEECH.n_dimensions))])
    long = written(tmp_path / "long.wav", 1, 8.0)
    found = extract(frontend, long), without_audio(frontend, long, monkeypatch)
    monkeypatch.delenv(module.VARIABLE)
    for e in found:
        same(e, extract(frontend, long))


def test_a_training_from_the_cache_gives_the_same_model(tmp_path, cache, monkeypatch) -> None:
    corpus = [Recording(str(written(tmp_path / f"{i}.wav", i)), f"s{i % 3}", str(i)) for i in range(6)]
    models = [speechgmm.train_system(corpus, n_components=2, frontend=SPEECH, n_threads=1).system for _ in range(2)]
    monkeypatch.setattr(FrontEnd, "hear", lambda *_: pytest.fail("audio was read"))
    models.append(speechgmm.train_system(corpus, n_components=2, frontend=SPEECH, n_threads=2).system)
    monkeypatch.undo()
    models.append(speechgmm.train_system(corpus, n_components=2, frontend=SPEECH, n_threads=1).system)
    assert len({m.fingerprint for m in models}) == 1


def test_what_differs_has_an_entry_of_its_own(wav, cache, monkeypatch) -> None:
    recording = Recording(str(wav), "", "a")
    parts = [recording, replace(recording, end=1.0), replace(recording, start=0.2), replace(recording, channel=0)]
    for frontend in (SPEECH, replace(SPEECH, n_mfcc=12)):
        for part in parts:
            kept = extract(frontend, part)
            with monkeypatch.context() as patch:
                patch.delenv(module.VARIABLE)
                same(kept, extract(frontend, part))
    assert cache.info().recordings == 8
    extract(replace(SPEECH, normalization="mean"), wav)  # what is kept is not normalized yet
    assert cache.info().recordings == 8


def test_a_file_that_has_changed_is_read_anew(wav, cache, monkeypatch) -> None:
    old = extract(SPEECH, wav)
    written(wav, 7)
    os.utime(wav, ns=(1, 1))
    new = extract(SPEECH, wav)
    assert new.digest != old.digest
    monkeypatch.delenv(module.VARIABLE)
    same(new, extract(SPEECH, wav))


@pytest.mark.parametrize("change", [lambda wav: os.utime(wav, ns=(5, 5)), os.unlink], ids=["changed", "gone"])
def test_a_file_that_changes_while_it_is_read_is_not_kept(change, wav, cache, monkeypatch) -> None:
    hear = FrontEnd.hear

    def changing(self, sound, recording):
        found = hear(self, sound, recording)
        change(wav)
        return found

    monkeypatch.setattr(FrontEnd, "hear", changing)
    assert extract(SPEECH, wav).error is None
    assert cache.info().recordings == 0


def test_what_is_no_file_of_sound_is_not_kept(tmp_path, cache) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 2), np.float32))
    found = extract_all(SPEECH, [Signal(sound("tone", 1), RATE), sound("tone", 2), tmp_path / "none.wav"])
    assert [e.error is None for e in found] == [True, True, False]
    assert extract(OwnFeatures(dimensions=2), tmp_path / "x.npy").error is None
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    assert extract(SPEECH, tmp_path / "bad.wav").error is not None
    assert not cache.folder.exists()


def test_nothing_is_kept_unless_it_is_asked_for(wav, monkeypatch) -> None:
    monkeypatch.delenv(module.VARIABLE, raising=False)
    assert feature_cache() is None
    assert extract(SPEECH, wav).error is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_half_an_entry_is_never_served(data, wav, cache) -> None:
    whole = extract(SPEECH, wav)
    (path,) = entries(cache)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(data.draw(st.sampled_from([content[:cut], content + content[: cut + 1], content[cut + 1 :]])))
    entry = cache.entry(SPEECH, Recording(str(wav), "", "a"))
    assert entry is not None
    assert entry.read() is None
    same(extract(SPEECH, wav), whole)
    assert path.read_bytes() == content


def test_an_array_of_another_version_is_no_entry(wav, cache) -> None:
    whole = extract(SPEECH, wav)
    (path,) = entries(cache)
    content = path.read_bytes()
    path.write_bytes(content[:6] + b"\x02" + content[7:])
    entry = cache.entry(SPEECH, Recording(str(wav), "", "a"))
    assert entry is not None
    assert entry.read() is None
    same(extract(SPEECH, wav), whole)
    assert path.read_bytes() == content


def test_an_entry_that_cannot_be_finished_is_refused_and_leaves_nothing(wav, cache, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SpeechGMMError, match=r"a folder that can be written; got No space left on device\. Free some"):
        extract(SPEECH, wav)
    assert entries(cache) == []


def test_a_process_that_is_killed_leaves_nothing_that_is_served(wav, cache) -> None:
    kill = (
        "import os, signal, sys\n"
        "from speechgmm.features import extract, preset\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "extract(preset('speech', 8000), sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", kill, wav], env={**os.environ, module.VARIABLE: str(cache.folder)})
    assert done.returncode == -9
    (left,) = entries(cache)
    assert left.suffix == ".unfinished"
    assert cache.info().recordings == 0
    assert extract(SPEECH, wav).error is None
    replace(cache, limit=1).added(2)
    assert entries(cache) == [left], "somebody may still be writing it"
    os.utime(left, (1, 1))
    replace(cache, limit=1).added(2)  # where room is made, what was never finished goes
    assert entries(cache) == []


def test_two_writers_and_readers_at_once(tmp_path, cache) -> None:
    files = [written(tmp_path / f"{i}.wav", i) for i in range(4)]
    expected = [extract(SPEECH, f).usable().tobytes() for f in files]
    cache.clear()
    barrier = threading.Barrier(8)

    def work(i: int) -> bytes:
        barrier.wait()
        return extract(SPEECH, files[i % 4]).usable().tobytes()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == expected * 2
    assert cache.info().recordings == 4
    assert len(entries(cache)) == 4


def test_what_was_not_used_for_longest_goes(tmp_path, cache, monkeypatch) -> None:
    files = [written(tmp_path / f"{i}.wav", i) for i in range(4)]
    extract(SPEECH, files[0])
    size = cache.info().bytes
    monkeypatch.setenv(module.LIMIT_VARIABLE, str(3 * size + size // 2))
    small = feature_cache()
    assert small is not None
    for f in files[1:3]:
        extract(SPEECH, f)
    for i, path in enumerate(entries(cache)):
        os.utime(path, (1000 + i, 1000 + i))
    extract(SPEECH, files[0])  # used now
    extract(SPEECH, files[3])
    assert small.info().bytes <= 3.5 * size
    for f in (files[0], files[3]):
        without_audio(SPEECH, f, monkeypatch)


def test_kept_for_this_user_alone_and_cleared(wav, cache) -> None:
    extract(SPEECH, wav)
    (path,) = entries(cache)
    if os.name == "posix":
        assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]
    assert cache.clear().recordings == 1
    assert cache.info().recordings == 0
    assert entries(cache) == []


def test_half_of_the_bytes_for_three_digits(wav, cache, monkeypatch) -> None:
    whole, size = extract(SPEECH, wav), cache.info().bytes
    monkeypatch.setenv(module.TYPE_VARIABLE, "float16")
    first, second = extract(SPEECH, wav), without_audio(SPEECH, wav, monkeypatch)
    same(first, second)
    assert second.usable().dtype == np.float32
    np.testing.assert_allclose(second.usable(), whole.usable(), atol=2e-2)
    assert cache.info().bytes < 1.6 * size
    entry = feature_cache().entry(SPEECH, Recording(str(wav), "", "a"))  # type: ignore[union-attr]
    far = KeptFeatures(np.full((2, 60), 1e6, np.float32), "d", None)
    assert entry is not None
    assert np.isfinite(entry.write(far).features).all()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            module.LIMIT_VARIABLE,
            "much",
            "CACHE_LIMIT must be a number of bytes above 0; got 'much'. Give it as",
        ),
        (module.LIMIT_VARIABLE, "0 GB", "SPEECHGMM_CACHE_LIMIT must be a number of bytes above 0"),
        (module.TYPE_VARIABLE, "float8", "SPEECHGMM_CACHE_TYPE must be one of 'float32', 'float16'; got 'float8'"),
    ],
)
def test_a_variable_that_says_nothing_is_refused(variable, value, words, wav, cache, monkeypatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput, match=words):
        extract(SPEECH, wav)


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("2kB", 2000), ("1.5 GB", 15 * 10**8), ("1T", 10**12)])
def test_limits_have_units(text, expected, cache, monkeypatch) -> None:
    monkeypatch.setenv(module.LIMIT_VARIABLE, text)
    assert feature_cache().limit == expected  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_written_is_said(wav, tmp_path, cache, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(SpeechGMMError, match=r"must be a folder that can be written; got .*Free some space, or let"):
        extract(SPEECH, wav)

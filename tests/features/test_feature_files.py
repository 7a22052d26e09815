"""Features written to a file, the front end for sounds of any kind, and lists of files."""

import json

import numpy as np
import pytest
import soundfile

from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, Corpus, common_rate, preset, write_features


@pytest.fixture
def noises(tmp_path):
    """Files of noise: at 16 kHz, at 8 kHz, and a missing one."""
    rng = np.random.default_rng(0)
    for name, rate in (("a.wav", 16000), ("b.flac", 8000)):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(rate), rate)
    return [str(tmp_path / name) for name in ("a.wav", "b.flac", "missing.wav")]


def test_numpy_reads_what_was_written(noises, tmp_path):
    frontend, done = preset("sound", 8000), []
    corpus = Corpus.from_files(noises)
    written = write_features(
        frontend, corpus, tmp_path / "any name", n_threads=2, on_progress=lambda *news: done.append(news)
    )
    assert done == [("recordings", i, 3) for i in (1, 2, 3)]
    with np.load(tmp_path / "any name", allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    assert MFCC(**json.loads(str(held.pop("frontend")))) == frontend
    assert list(held) == noises[:2]
    for w in written[:2]:
        np.testing.assert_array_equal(held[w.name], frontend.from_file(w.name))
        assert held[w.name].dtype == np.float32
        assert (w.frames, w.error) == (len(held[w.name]), None)
        assert w.speech_seconds == pytest.approx(w.frames * frontend.hop_length)
    assert (written[2].name, written[2].frames) == (noises[2], 0)
    assert "missing.wav, which does not" in written[2].error


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "a"], "differ from each other and from 'frontend'; got 'a'"),
        (["frontend"], "got 'frontend'"),
        (["missing"], "none of 1; the first: a recording must exist"),
    ],
)
def test_nothing_is_left_behind_by_a_refusal(tmp_path, names, words):
    with pytest.raises(InvalidInput, match=words):
        write_features(MFCC(), Corpus.from_files(names), tmp_path / "f.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to(noises, tmp_path):
    with pytest.raises(InvalidInput, match="be in a folder that exists"):
        write_features(preset("sound", 8000), Corpus.from_files(noises), tmp_path / "no" / "f.npz")


def test_files_are_named_as_given():
    corpus = Corpus.from_files(["./a.wav", "b.wav"], speaker="ann", session="s")
    assert [(r.path, r.name, r.speaker, r.session) for r in corpus] == [
        ("./a.wav", "./a.wav", "ann", "s"),
        ("b.wav", "b.wav", "ann", "s"),
    ]
    assert [r.session_name for r in Corpus.from_files(["b.wav"])] == ["b.wav"]
    with pytest.raises(InvalidInput, match="be at least one"):
        Corpus.from_files([])


def test_the_common_rate_is_the_lowest_of_those_that_can_be_opened(noises):
    assert common_rate(Corpus.from_files(noises)) == 8000
    assert common_rate(Corpus.from_files(noises[:1])) == 16000
    assert common_rate(Corpus.from_files(noises), minimum=8000) == 8000
    assert common_rate(Corpus.from_files(noises), minimum=8001) == 16000
    assert common_rate(Corpus.from_files(noises), minimum=48000) == 8000
    with pytest.raises(InvalidInput, match="missing"):
        common_rate(Corpus.from_files(noises[2:]))

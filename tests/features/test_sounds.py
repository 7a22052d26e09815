"""What can be heard: paths, signals, samples and recordings go the same way through a front end."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.errors import AudioError, InvalidInput
from speechgmm.features import MFCC, Corpus, Recording, Signal, common_rate, extract_all, preset_for, read
from speechgmm.features.sounds import listed
from tests.sounds import voice, write

FRONTEND = MFCC(sample_rate=8000)


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "voice.wav", voice(1.0, 8000), 8000)


def test_all_kinds_of_sounds_give_the_same_features(path):
    signal = read(path)
    sounds = [path, str(path), Recording(str(path), "ann", "a"), signal, signal.samples]
    found = list(extract_all(FRONTEND, sounds))
    for e in found:
        np.testing.assert_array_equal(e.usable(), FRONTEND.from_file(path))
        assert e.digest == signal.digest
    assert [e.name for e in found] == [str(path), str(path), "a", "sound 3", "sound 4"]
    assert [e.recording.speaker for e in found] == ["", "", "ann", "", ""]


def test_what_follows_is_done_with_each_and_bad_sounds_say_why(path):
    sounds = [path, np.zeros((3, 2)), np.array(["text"]), "missing.wav"]
    names = list(extract_all(FRONTEND, sounds, lambda e: (e.name, type(e.error))))
    assert names == [
        (str(path), type(None)),
        ("sound 1", AudioError),
        ("sound 2", AudioError),
        ("missing.wav", AudioError),
    ]
    bad = list(extract_all(FRONTEND, sounds))[1]
    with pytest.raises(AudioError, match="sound 1 must be one channel of float samples"):
        bad.usable()


def test_one_sound_alone_is_no_list(path):
    for sound in (path, str(path), read(path), read(path).samples, Recording("a.wav", "", "a.wav")):
        with pytest.raises(InvalidInput, match="sounds must be a list of paths, signals or recordings"):
            listed(sound)
    with pytest.raises(InvalidInput, match="sounds must be at least one; got none"):
        listed([])


def test_rates_come_from_headers_and_signals(path):
    wide = Signal(np.zeros(10, np.float32), 44100)
    assert common_rate([wide, path]) == 8000
    assert common_rate([wide, path], minimum=16000) == 44100
    assert preset_for([wide], "sound").sample_rate == 44100
    assert preset_for([Signal(wide.samples, 96000)], "speech").sample_rate == 48000
    with pytest.raises(InvalidInput, match="sounds must be at least one, with a rate; got bare samples or none"):
        common_rate([wide.samples])


def test_a_column_of_a_corpus():
    rows = [
        Recording(f"{n}.wav", "ann", f"{n}.wav", columns={"label": n, "fold": f}) for n, f in (("yes", "1"), ("no", ""))
    ]
    corpus = Corpus(tuple(rows), "example")
    assert corpus.column("label") == ("yes", "no")
    with pytest.raises(
        InvalidInput, match=r"the label must name a column: label, fold; got 'word'\. Choose one of these"
    ):
        corpus.column("word")
    with pytest.raises(
        InvalidInput, match=r"the column 'fold' must hold a fold for every recording; got nothing for no\.wav"
    ):
        corpus.column("fold", "fold")

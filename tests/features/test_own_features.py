"""Features of your own: what is read, what is refused, and that they take the place of recordings."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import MFCC, OwnFeatures, Recording, Signal, extract, own_frontend, read_features
from tests.sounds import voice, write

FRONTEND = OwnFeatures(dimensions=3, hop_length=0.02)


@pytest.fixture
def x() -> Any:
    return np.random.default_rng(0).normal(size=(50, 3))


def saved(path: Path, x: Any) -> str:
    with path.open("wb") as file:
        np.save(file, x)
    return str(path)


@pytest.mark.parametrize("kind", ["f4", "f8", ">f8", "i2", "?", "f2"])
def test_features_are_taken_as_they_are(tmp_path: Path, x: Any, kind: str) -> None:
    given = (10 * x).astype(kind)
    path = saved(tmp_path / "a.NPY", np.asfortranarray(given))
    found = extract(FRONTEND, path)
    assert found.error is None
    np.testing.assert_array_equal(found.usable(), given.astype(np.float32))
    assert found.usable().dtype == np.float32
    assert (found.speech_seconds, found.name) == (pytest.approx(1.0), path)
    np.testing.assert_array_equal(FRONTEND.from_file(path), found.usable())
    array = extract(FRONTEND, given.astype(np.float64))
    np.testing.assert_array_equal(array.usable(), found.usable())
    assert array.digest == found.digest != extract(FRONTEND, given[:-1].astype(np.float64)).digest != ""


def test_a_part_is_counted_by_the_step(tmp_path: Path, x: Any) -> None:
    path = saved(tmp_path / "a.npy", x)
    part = extract(FRONTEND, Recording(path, "ann", "a.npy", start=0.2, end=0.5)).usable()
    np.testing.assert_array_equal(part, x[10:25].astype(np.float32))
    for start, end in ((0.5, 1.5), (0.9, 0.2), (2.0, None), (math.nan, None), (0.0, math.inf)):
        found = extract(FRONTEND, Recording(path, "ann", "a.npy", start=start, end=end))
        with pytest.raises(InvalidInput, match=r"the part of .*a\.npy must lie within its 1\.00 s; got "):
            found.usable()
    with pytest.raises(InvalidInput, match=r"the channel of .*a\.npy must be left out, as features have none; got 1"):
        extract(FRONTEND, Recording(path, "ann", "a.npy", channel=1)).usable()


@dataclass(frozen=True, kw_only=True)
class Texts(OwnFeatures):
    """A front end of one's own, which takes what is no sound."""

    def hear(self, sound: Any, recording: Recording) -> Any:
        return [np.full((4, 1), len(recording.path), np.float32)], "a text"


def test_a_front_end_says_itself_what_it_hears() -> None:
    found = extract(Texts(dimensions=1), "who.txt")
    assert (found.error, found.digest, found.usable().tolist()) == (None, "a text", [[7.0]] * 4)


def test_what_the_model_does_not_take_is_refused(tmp_path: Path, x: Any) -> None:
    sound, features = write(tmp_path / "a.wav", voice(1.0)), saved(tmp_path / "a.npy", x)
    takes_no_sound = (
        "must be features, in a .npy file or a Kaldi archive, as this model takes no sound; got something else"
    )
    for given in (str(sound), Signal(voice(1.0), 16000), voice(1.0)):
        with pytest.raises(IncompatibleModel, match=takes_no_sound):
            extract(FRONTEND, given).usable()
    with pytest.raises(IncompatibleModel, match=takes_no_sound):
        FRONTEND.from_signal(Signal(voice(1.0), 16000))
    with pytest.raises(
        IncompatibleModel, match=r"a\.npy must be sound, as MFCC\(.*\) takes it; got a file of features"
    ):
        extract(MFCC(), features).usable()
    with pytest.raises(IncompatibleModel, match=r"a\.npy must have 4 features per frame, as the model has; got 3"):
        extract(OwnFeatures(dimensions=4), features).usable()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(5), r"bad\.npy must be a matrix of shape \(frames, dimensions\); got an array of shape \(5,\)"),
        (np.zeros((0, 3)), r"bad\.npy must hold at least 1 frame\(s\) of at least one feature"),
        (np.full((2, 3), np.nan), r"bad\.npy must be finite; got 6 NaN or infinite of 6 entries"),
        (np.full((2, 3), 1e40), r"bad\.npy must be finite; got 6 NaN or infinite of 6 entries"),
        (np.zeros((2, 3), complex), r"bad\.npy must hold real numbers; got an array of type complex128"),
        (np.array([["a", "b", "c"]]), r"bad\.npy must hold real numbers"),
    ],
)
def test_arrays_that_are_no_features_are_refused(tmp_path: Path, x: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        extract(FRONTEND, saved(tmp_path / "bad.npy", x)).usable()


def test_nothing_is_unpickled_and_no_header_believed(tmp_path: Path, x: Any) -> None:
    path = tmp_path / "bad.npy"
    with path.open("wb") as file:
        np.save(file, np.array([print, {}], dtype=object), allow_pickle=True)
    message = r"bad\.npy must be a \.npy file of plain numbers; got this"
    with pytest.raises(InvalidInput, match=message):
        read_features(path)
    whole = io.BytesIO()
    np.save(whole, x)
    good, shape = whole.getvalue(), b"(50, 3), }"
    huge = shape.replace(b"50", b"5" + 17 * b"0")
    lies = [good.replace(shape.ljust(len(huge)), huge), good[:100]]
    lies += [good.replace(shape, other) for other in (b"(50, -3),}", b"(51, 3), }", b"(50, 3)), ", b"((((((((((")]
    for content in (b"", b"text", good[:200], good[:-1], *lies):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=message):
            read_features(path)
    np.savez(tmp_path / "a.npz", x=x)
    (tmp_path / "a.npz").rename(path)
    with pytest.raises(InvalidInput, match="got an archive of several"):
        read_features(path)
    with pytest.raises(InvalidInput, match=r"a file of features must exist; got .*none\.npy, which does not"):
        read_features(tmp_path / "none.npy")


def test_files_of_features_bring_their_own_front_end(tmp_path: Path, x: Any) -> None:
    features, sound = saved(tmp_path / "a.npy", x), str(write(tmp_path / "a.wav", voice(1.0)))
    bad = str(tmp_path / "none.npy")
    assert own_frontend([bad, features]) == OwnFeatures(dimensions=3)
    assert own_frontend([sound, Signal(voice(1.0), 16000), voice(1.0)]) is None
    with pytest.raises(InvalidInput, match=r"be of sound, or of features in files, not of both; got .*a\.npy and"):
        own_frontend([features, sound])
    with pytest.raises(InvalidInput, match=r"none\.npy, which does not"):
        own_frontend([bad])


@pytest.mark.parametrize("settings", [{"dimensions": 0}, {"dimensions": 1.5}, {"dimensions": 3, "hop_length": 0}])
def test_settings_out_of_range_are_refused(settings: Any) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        OwnFeatures(**settings)


def test_it_says_what_it_is() -> None:
    assert str(FRONTEND) == "OwnFeatures(dimensions=3)"
    assert FRONTEND.settings == {"kind": "features", "dimensions": 3, "hop_length": 0.02}
    assert FRONTEND.fingerprint != OwnFeatures(dimensions=3).fingerprint

"""Checkpoints: a training that is ended anywhere goes on to the same bits, and to nobody else's."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import OwnFeatures, Recording
from speechgmm.features.extraction import FramesKept
from speechgmm.mixture import GMM, ArrayBlocks, Fit
from speechgmm.mixture.covariance import Diagonal
from speechgmm.speakers import held_out, remove_checkpoint, train_system
from speechgmm.speakers.checkpoints import Checkpoints, Plan
from speechgmm.speakers.train import Training
from tests import laws

PLAN = "plan-of-training.safetensors"
PEOPLE = 20
"""As few as a calibration takes."""


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Fewer simulated stores and a smaller cohort than of real speech."""
    with mock.patch.object(held_out, "SEARCHES", 20), mock.patch.object(held_out, "COHORT", 8):
        yield


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    return made_up(tmp_path_factory.mktemp("features"))


def made_up(folder: Path, seed: int = 0) -> list[Recording]:
    """Three recordings of each of some people, as features in files."""
    rng, found = np.random.default_rng(seed), []
    for person in range(PEOPLE):
        places = rng.normal(0, 1.5, (3, 4))
        for i in range(3):
            path = folder / f"p{person:02}_{i}.npy"
            np.save(path, (places[rng.integers(0, 3, 120)] + rng.normal(size=(120, 4))).astype(np.float32))
            found.append(Recording(str(path), f"p{person:02}", path.name))
    return found


def trained(recordings: list[Recording], folder: Path | None, *, resume: bool = True, **changed: Any) -> Training:
    settings: dict[str, Any] = {"n_components": [2, 3], "n_threads": 1}
    return train_system(recordings, checkpoint=folder, resume=resume, **settings | changed)


def bits(training: Training) -> bytes:
    return storage.dumps(training.system)


@pytest.fixture(scope="module")
def whole(recordings: list[Recording]) -> bytes:
    """The system of a training that keeps nothing."""
    return bits(trained(recordings, None, resume=False))


@pytest.fixture(scope="module")
def kept(recordings: list[Recording], whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files that a training keeps, by name."""
    folder = tmp_path_factory.mktemp("kept") / "c"
    training = trained(recordings, folder, resume=False)
    assert bits(training) == whole
    assert training.warnings == ()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(kept: dict[str, bytes], tmp_path: Path) -> Path:
    """A folder with all that a training keeps."""
    (tmp_path / "c").mkdir()
    for name, data in kept.items():
        (tmp_path / "c" / name).write_bytes(data)
    return tmp_path / "c"


class Ended(BaseException):
    """What ends a training in these tests."""


def ending(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let what is trained end after so many values were kept."""
    keep, left = Checkpoints.keep, [after]

    def kept_and_ended(self: Checkpoints, what: str, value: Any, **how: Any) -> None:
        keep(self, what, value, **how)
        left[0] -= 1
        if not left[0]:
            raise Ended

    monkeypatch.setattr(Checkpoints, "keep", kept_and_ended)


def ended_again_and_again(monkeypatch: pytest.MonkeyPatch, every: int, *args: Any, **settings: Any) -> tuple[int, Any]:
    """Train until it ends, each time from what the one before had kept; how often it was ended, and what it gave."""
    for times in range(1000):
        with monkeypatch.context() as patch:
            ending(patch, every)
            try:
                return times, trained(*args, **settings)
            except Ended:
                pass
    raise AssertionError("it does not get on")


def test_ended_after_each_iteration_it_ends_in_the_same_bits(
    recordings: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncalibrated = {"calibrated": False, "n_components": [2, 3, 4]}
    whole = trained(recordings, None, **uncalibrated)
    times, found = ended_again_and_again(monkeypatch, 1, recordings, tmp_path / "c", **uncalibrated)
    assert times > 3 + len(whole.system.info["em"]["objective"]), "the start of each mixture, and each iteration"
    assert bits(found) == bits(whole)
    assert found.warnings == whole.warnings


def test_a_calibrated_one_too(
    recordings: list[Recording], whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, found = ended_again_and_again(monkeypatch, 9, recordings, tmp_path / "c")
    assert times > 4
    assert found.system.calibration is not None
    assert found.system.familiarity is not None
    assert bits(found) == whole


def test_nothing_is_done_twice(recordings: list[Recording], folder: Path, whole: bytes) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("this was done already")

    with (
        mock.patch("speechgmm.speakers.train_ubm.initialize", never),
        mock.patch("speechgmm.mixture.em.expectation", never),
        mock.patch("speechgmm.speakers.train_calibration.simulate_stores", never),
    ):
        assert bits(trained(recordings, folder, n_threads=2)) == whole


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another kind"])
def test_what_is_damaged_is_done_again(
    recordings: list[Recording], folder: Path, whole: bytes, damage: str, kept: dict[str, bytes]
) -> None:
    names = [next(n for n in sorted(kept) if n.startswith(start)) for start in ("EM-mixture-1", "fold-2-of-4-stores")]
    for name in (*names, *([PLAN] if damage != "another kind" else [])):
        data = bytearray(kept[name])
        data[-1] ^= 1
        other = storage.dumps(OwnFeatures(dimensions=2))
        damaged = {"cut": data[:-9], "flipped": data, "empty": b"", "another kind": other}
        (folder / name).write_bytes(damaged[damage])
    training = trained(recordings, folder)
    assert bits(training) == whole
    assert len(training.warnings) == 2 + (damage != "another kind")
    for warning in training.warnings:
        assert "damaged, so that its part of the training was done again: " in warning
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 1}, "with seed 0 for 1. Train as then, or without resume: then it is replaced"),
        ({"n_components": 3}, r"with components \[\(2, 3\)\] for \[\(3,\)\]"),
        ({"relevance": 5, "calibrated": False}, "with calibrated True for False and relevance 8.0 for 5.0"),
        (
            {"frontend": OwnFeatures(dimensions=4, hop_length=0.02)},
            "with front end .* and other recordings or features",
        ),
    ],
)
def test_another_training_is_refused(
    recordings: list[Recording], folder: Path, kept: dict[str, bytes], changed: dict[str, Any], words: str
) -> None:
    rule = "the folder of checkpoints .*c must be of this training; got that of another one, "
    with pytest.raises(IncompatibleModel, match=rule + words):
        trained(recordings, folder, **changed)
    assert {path.name for path in folder.iterdir()} == set(kept)


def test_other_data_and_versions_are_refused(recordings: list[Recording], folder: Path, tmp_path: Path) -> None:
    for others in (recordings[:-1], recordings[::-1], made_up(tmp_path, seed=1)):
        with pytest.raises(IncompatibleModel, match="that of another one, with other recordings or features"):
            trained(others, folder)
    updated = mock.patch.object(storage, "version", return_value="9.9")
    with updated, pytest.raises(IncompatibleModel, match=r"numpy .* for 9\.9"):
        trained(recordings, folder)


def test_the_plan_of_a_later_version_is_refused(recordings: list[Recording], folder: Path) -> None:
    later = dataclasses.make_dataclass("Plan", ["settings", "data", "weather"], frozen=True)
    storage.save(later({}, "", "fair"), folder / "later")
    os.replace(folder / "later", folder / PLAN)
    with pytest.raises(IncompatibleModel, match=r"hold only the settings of Plan; got also weather\. It was written"):
        trained(recordings, folder)
    assert (folder / PLAN).exists()


def test_without_resume_it_begins_anew(recordings: list[Recording], folder: Path, kept: dict[str, bytes]) -> None:
    (folder / f".{'0' * 32}.tmp").write_bytes(b"half a file of a process that was killed")
    training = trained(recordings, folder, resume=False, seed=1, calibrated=False)
    assert training.system.info["seed"] == 1
    assert not {path.name for path in folder.iterdir()} & (kept.keys() - {PLAN})
    assert not list(folder.glob(".*"))


def test_the_folder_is_removed_with_what_is_ours_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    remove_checkpoint(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    remove_checkpoint(folder)
    assert not folder.exists()
    remove_checkpoint(folder)


def test_a_refused_training_leaves_no_folder(recordings: list[Recording], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="n_components must be at most the"):
        trained(recordings, tmp_path / "c", n_components=100_000)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("none/c", "must be in a folder that exists; got .*none/c. Make it first: mkdir -p"),
        ("file", "must name a folder that can be written; got .*file .Not a directory"),
        ("other", "must be new, empty or of checkpoints; got .*other, which holds 'x.wav'. Give another name, or move"),
        ("a\0b", "must have a name without NUL; got '.*x00b'"),
    ],
)
def test_other_places_are_refused_and_kept(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.wav").write_text("mine")
    for use in (lambda: trained([], tmp_path / place, resume=False), lambda: remove_checkpoint(tmp_path / place)):
        with pytest.raises(InvalidInput, match=f"(?s)the folder of checkpoints {words}"):
            use()
    assert (tmp_path / "other" / "x.wav").read_text() == (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InvalidInput, match=r"must name a folder that can be written; got .*c \(permission denied\)"):
        Checkpoints(folder)


def test_a_full_disk_ends_no_training(recordings: list[Recording], tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch.object(storage, "save", full):
        training = trained(recordings, tmp_path / "c", calibrated=False)
    assert bits(training) == bits(trained(recordings, None, calibrated=False))
    assert len(training.warnings) == 1, "told once"
    words = "not all of the training could be kept, so that less could be gone on with: [Errno 28]"
    assert words in training.warnings[0]


def test_what_is_of_other_frames_has_another_place(tmp_path: Path) -> None:
    """A fold of the calibration and one that tells what is familiar have one name, and may leave out other people."""
    kept = Checkpoints(tmp_path / "c")
    kept.begin(Plan({}, ""), resume=False)
    x = np.zeros((4, 1), np.float32)
    blocks = [FramesKept(ArrayBlocks(x), np.arange(4) < n) for n in (2, 3)]
    fits = [Fit(laws.random_gmm(k, 1), (), (), converged=False) for k in (2, 3)]
    for frames, so_far in zip(blocks, fits, strict=True):
        kept.once("fold 1 of 4, mixture 1", lambda so_far=so_far: so_far, Fit, GMM, Diagonal, blocks=frames)
    for frames, so_far in zip(blocks, fits, strict=True):
        again = kept.once("fold 1 of 4, mixture 1", lambda: None, Fit, GMM, Diagonal, blocks=frames)
        assert storage.dumps(again) == storage.dumps(so_far)

"""Files: what is read is a file, and what is written appears whole, at its place, and over nothing of another kind."""

from __future__ import annotations

import functools
import io
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechgmm.errors import AudioError, InvalidInput
from speechgmm.evaluation import Scores, Trials, evaluate, read_scores, read_trials, write_scores, write_trials
from speechgmm.features import MFCC, Corpus, read, read_corpus, write_features
from speechgmm.files import Kind, Whole, check_readable, check_writable, give_back, replacing, starts_with
from speechgmm.mixture import GMM, Diagonal
from speechgmm.plot import check_picture, plot_scores, write_picture
from speechgmm.report import write_report
from speechgmm.storage import load, save

NOTES = Kind("a note", starts_with(b"note"))
NOISE = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
SCORES = Scores(
    speaker=np.array(["a", "b"] * 2),
    test=np.array(["x", "x", "y", "y"]),
    score=np.array([2.0, -1.0, 0.5, 1.0]),
    target=np.array([1, 0, 0, 1]),
)
TRIALS = Trials(speaker=SCORES.speaker, test=SCORES.test, target=SCORES.target)


def write(path: Path, text: str = "note 2") -> None:
    with replacing(path, NOTES) as beside:
        beside.write_text(text)


# At its place, and whole


def test_a_file_is_written_beside_and_then_renamed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("note 1")
    with replacing(path, NOTES) as beside:
        assert beside.parent == path.parent
        beside.write_text("note 2")
        assert path.read_text() == "note 1"
    assert path.read_text() == "note 2"
    with pytest.raises(TypeError, match="data must be str"), replacing(path, NOTES) as beside:
        beside.write_text(1)
    assert path.read_text() == "note 2"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_failure_half_way_keeps_the_old_file_and_nothing_else(step, error, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("note 1")

    def fail(*args):
        raise error

    def attempt():
        with replacing(path, NOTES) as beside:
            beside.write_text("no")
            if step == "write":
                fail()
            monkeypatch.setattr("speechgmm.files.os.replace", fail)

    with pytest.raises(InvalidInput if isinstance(error, OSError) else KeyboardInterrupt):
        attempt()
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.txt"]
    assert path.read_text() == "note 1"


@pytest.mark.parametrize("order", ["C", "F"])
def test_every_byte_of_an_array_goes_through_the_file_that_can_refuse_it(tmp_path, order):
    class Counting(io.FileIO):
        written = 0

        def write(self, data):
            self.written += len(data)
            return super().write(data)

    x = np.asarray(np.arange(12.0).reshape(3, 4), order=order)
    with Counting(tmp_path / "x.npy", "w") as file:
        np.save(Whole(file), x)
    assert file.written == (tmp_path / "x.npy").stat().st_size
    assert np.array_equal(np.load(tmp_path / "x.npy"), x)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(mode, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("note 1")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "note 2"


def test_a_new_file_has_the_usual_mode(tmp_path):
    write(tmp_path / "a.txt")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_a_file_that_root_replaces_keeps_its_owner(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("note 1")
    os.chown(path, 1234, 1235)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_followed(there, tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.txt", tmp_path / "link.txt"
    if there:
        target.write_text("note 1")
    link.symlink_to("far/a.txt")
    write(link)
    assert os.readlink(link) == "far/a.txt"
    assert target.read_text() == "note 2"
    assert os.listdir(tmp_path / "far") == ["a.txt"]


# Through what is no regular file


def test_a_device_stays_one(tmp_path):
    before = os.stat(os.devnull)
    write(Path(os.devnull))
    save(GMM(np.ones(1), np.zeros((1, 2)), Diagonal(np.ones((1, 2)))), os.devnull)
    write_scores(SCORES, os.devnull)
    after = os.stat(os.devnull)
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_rdev) == (after.st_ino, after.st_rdev)


def test_a_named_pipe_is_written_through(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()))
    reader.start()
    write(path, "note " * 100_000)
    reader.join(timeout=60)
    assert heard == [b"note " * 100_000]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


WRITER = """
from tests.test_files import SCORES
from speechgmm.evaluation import write_scores
print("before")
write_scores(SCORES, "/dev/stdout")
print("after")
"""


@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_goes_on_where_it_was(to_file, tmp_path):
    """Also where it is a file: opened by its name it would begin anew."""
    path = tmp_path / "out"
    with path.open("wb") as out:
        done = subprocess.run([sys.executable, "-c", WRITER], stdout=out if to_file else subprocess.PIPE, check=True)
    text = path.read_text() if to_file else done.stdout.decode()
    before, *table, after = text.splitlines()
    assert (before, after) == ("before", "after")
    assert table[0].split("\t") == ["speaker", "test", "score", "target"]
    assert len(table) == 5


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_stream_was_given_before_stays(stream, capfd):
    print("before", file=getattr(sys, stream))
    write(Path("/dev", stream), "note\n")
    print("after", file=getattr(sys, stream))
    assert getattr(capfd.readouterr(), stream[3:]) == "before\nnote\nafter\n"


def test_a_reader_who_has_gone_is_told_as_such(tmp_path):
    """As the command line ends without a word where a pipe is read by ``head``."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: path.open("rb").close())
    reader.start()
    with pytest.raises(BrokenPipeError):
        write(path, "note " * 100_000)
    reader.join(timeout=60)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_full_device_is_refused():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(InvalidInput, match=r"a file that can be written; got /dev/full \(No space left on device\)"):
        write(Path("/dev/full"))


# Places that cannot be written


def a_file_for_a_folder(path: Path) -> Path:
    (path / "file").write_text("text")
    return path / "file" / "value"


def a_folder_of_that_name(path: Path) -> Path:
    (path / "value" / "inside").mkdir(parents=True)
    return path / "value"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (lambda path: path / "missing" / "value", r"be in a folder that exists; got .*value. Make it first: mkdir -p"),
        (a_file_for_a_folder, "be in a folder that exists"),
        (a_folder_of_that_name, r"name a file that can be written; got .*value \(it is a folder\)"),
        (lambda path: path / ("x" * 300), r"name a file that can be written; got .*xxx \(File name too long\)"),
        (lambda path: Path(""), r"name a file that can be written; got \. \(it is a folder\)"),
        (lambda path: Path("a\0b"), "have a name without NUL; got "),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_and_leaves_nothing(where, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = where(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for attempt in (write, lambda p: check_writable(p, NOTES)):
        with pytest.raises(InvalidInput, match=f"the file to write must {words}"):
            attempt(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_is_write_protected_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("note 1")
    monkeypatch.setattr("speechgmm.files.os.access", lambda place, mode: Path(place) != path)  # root may write anything
    with pytest.raises(InvalidInput, match=r"name a file that can be written; got .*a.txt \(permission denied\)"):
        write(path)


# Over nothing of another kind


def _model(path: Path) -> None:
    save(GMM(np.ones(1), np.zeros((1, 2)), Diagonal(np.ones((1, 2)))), path)


@functools.cache
def _axes() -> Any:
    return plot_scores(SCORES)


def _features(path: Path) -> None:
    soundfile.write(path.parent / "in.wav", NOISE, 16000)
    frontend = MFCC(sample_rate=16000, n_mfcc=5)
    write_features(frontend, Corpus.from_files([path.parent / "in.wav"]), path)


WRITERS = {
    "model.sgmm": _model,
    "settings.sgmm": lambda path: save(MFCC(sample_rate=16000), path),
    "scores.tsv": lambda path: write_scores(SCORES, path),
    "scores.npz": lambda path: write_scores(SCORES, path),
    "trials.txt": lambda path: write_trials(TRIALS, path),
    "features.npz": _features,
    "report.html": lambda path: write_report(SCORES, evaluate(SCORES), path),
    "picture.png": lambda path: write_picture(_axes(), path),
    "picture.svg": lambda path: write_picture(_axes(), path),
    "picture.pdf": lambda path: write_picture(_axes(), path),
    "picture.jpg": lambda path: write_picture(_axes(), path),
}
INPUTS = {
    "store.db": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(100)),
    "sound.wav": lambda path: soundfile.write(path, NOISE, 16000),
    "sound.flac": lambda path: soundfile.write(path, NOISE, 16000),
    "manifest.csv": lambda path: path.write_text("path,speaker\na.wav,ann\n"),
    "wav.scp": lambda path: path.write_text("a a.wav\n"),
    "zeros": lambda path: path.write_bytes(bytes(9)),
    "more.npz": lambda path: np.savez(path, x=NOISE),
}
SAME = [{"scores.tsv", "scores.npz"}]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of each kind that we read or write."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, make in (WRITERS | INPUTS).items():
        make(folder / name)
    return {name: (folder / name).read_bytes() for name in WRITERS | INPUTS}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("there", [*WRITERS, *INPUTS])
def test_only_a_file_of_the_same_kind_is_replaced(writer, there, files, tmp_path):
    path = tmp_path / f"there{Path(writer).suffix}"
    path.write_bytes(files[there])
    if writer == there or {writer, there} in SAME:
        WRITERS[writer](path)
        return
    with pytest.raises(InvalidInput, match=r"the file to write must be new, empty or an? .*; got .*there.*, which"):
        WRITERS[writer](path)
    assert path.read_bytes() == files[there]


@pytest.mark.parametrize("writer", WRITERS)
def test_an_empty_file_is_replaced(writer, tmp_path):
    path = tmp_path / writer
    path.touch()
    WRITERS[writer](path)
    assert path.stat().st_size


def test_pictures_have_one_of_these_endings(tmp_path):
    for name in ("a", "a.html", "a.wav"):
        with pytest.raises(InvalidInput, match=r"the ending of .* must be one of '.png', '.jpg', '.pdf', '.svg'"):
            check_picture(tmp_path / name)
        with pytest.raises(InvalidInput, match=r"the ending of .* must be one of"):
            write_picture(_axes(), tmp_path / name)
    assert not list(tmp_path.iterdir())


# Reading


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def listening(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


@pytest.mark.parametrize(
    ("make", "found"),
    [(fifo, "a pipe"), (listening, "a socket"), (lambda path: Path("/dev/zero"), "a device")],
    ids=["pipe", "socket", "device"],
)
@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (read, "a recording"),
        (read_corpus, "a corpus"),
        (read_scores, "a table"),
        (read_trials, "a table"),
        (lambda path: load(path, GMM), "the model file"),
    ],
)
def test_what_is_no_file_is_not_waited_for(reader, what, make, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    path = make(Path("x"))
    with pytest.raises(InvalidInput, match=f"{what} must be a regular file; got .*, which is {found}. Write it"):
        reader(path)


def test_what_is_not_there_is_the_callers_to_tell(tmp_path):
    check_readable(tmp_path / "missing", "a recording")
    check_readable(tmp_path, "a recording")
    for name in ("a\0b", "\ud800"):
        with pytest.raises(AudioError, match=r"a recording must have a name that a file can have; got '.*\\"):
            check_readable(name, "a recording", error=AudioError)
    with pytest.raises(AudioError, match="a recording must be a regular file"):
        check_readable("/dev/null", "a recording", error=AudioError)


def test_a_pipe_that_is_held_already_gives_a_table():
    code = "from speechgmm.evaluation import read_scores; print(len(read_scores('/dev/stdin')))"
    text = io.StringIO()
    text.write("speaker\ttest\tscore\ttarget\na\tx\t1.0\t1\nb\tx\t0.5\t0\n")
    done = subprocess.run([sys.executable, "-c", code], input=text.getvalue().encode(), capture_output=True, check=True)
    assert done.stdout == b"2\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is mapped is told by /proc, on Linux")
def test_memory_that_is_given_back_is_read_again(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "numbers").write_bytes(b"x" * 32 + rng.bytes(2**24))

    def mapped():
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1]) / 1024

    with (tmp_path / "numbers").open("rb") as file:
        whole = np.memmap(file, np.uint8, "r", 32).view(np.ndarray)
    first, rest = np.split(whole, [2**23 + 5])
    rows = rest[: 2**22].reshape(64, -1)
    before, wanted = mapped(), (int(first.sum()), int(rows.sum()))
    held = mapped()
    assert held - before > 11
    give_back(rows[3:])
    assert 3.5 < held - mapped() < 4.5
    assert (int(first.sum()), int(rows.sum())) == wanted
    give_back(whole)
    assert mapped() - before < 1
    for other in (np.zeros(9), whole[:0], whole[40:50]):  # no file, nothing, less than a page
        give_back(other)
    assert int(rows.sum()) == wanted[1]

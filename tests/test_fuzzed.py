"""Files from strangers: those that once did harm, and some new ones, end in success or an error of this package.

The readers run in a process of their own, with 500 MB beside what it begins with and 2 s of the processor for each
file (`recipes/benchmarks/fuzz.py`). How a file in `tests/fuzzed` was spoiled is the first part of its name, what it was
before the last: the readers go by its ending.
"""

from __future__ import annotations

import argparse
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import AudioError, InvalidInput
from speechgmm.evaluation import read_scores, read_trials
from speechgmm.features import (
    MFCC,
    extract_all,
    listed_features,
    missing,
    read,
    read_corpus,
    read_features,
    sample_rate,
)
from speechgmm.features.archives import ArchiveWriter
from speechgmm.mixture import Ensemble
from speechgmm.speakers import load_export, load_system
from tests.laws import random_gmm
from tests.recipes.test_recipes import RECIPES, script
from tests.sounds import voice, write

KEPT = Path(__file__).parent / "fuzzed"
FILES = sorted(path for path in KEPT.glob("*/*") if path.is_file())
KINDS = ("models", "audio", "manifests", "trials", "scores", "archives", "exports", "stores", "calibrations")
KINDS += ("mixtures",)
INPUTS = 40
"""New files of each kind."""


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def fuzz(patch: pytest.MonkeyPatch) -> ModuleType:
    return script(RECIPES / "benchmarks" / "fuzz.py", patch)


@pytest.fixture(scope="module")
def seeds(fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = fuzz.write_seeds(tmp_path_factory.mktemp("seeds"))
    return found


@pytest.fixture(scope="module")
def reader(fuzz: ModuleType, seeds: dict[str, list[Path]]) -> Iterator[Any]:
    if not Path("/proc/self/statm").is_file():
        pytest.skip("how much memory a process has is read from /proc")
    started = fuzz.Reader(seeds["models"][0].parent.parent)
    yield started
    started.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.parametrize("command", [False, True], ids=["reader", "command"])
def test_a_file_that_did_harm_does_none(reader: Any, path: Path, command: bool) -> None:
    told = reader.read(path.parent.name, path, command=command)
    assert told["ended"] in ("accepted", "refused"), told


def test_files_are_small_and_of_kinds_that_are_read(fuzz: ModuleType) -> None:
    assert sum(path.stat().st_size for path in FILES) < 500_000
    assert tuple(fuzz.KINDS) == KINDS
    assert {path.parent.name for path in FILES} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_accepted(reader: Any, seeds: dict[str, list[Path]], kind: str) -> None:
    for path in seeds[kind]:
        told = reader.read(kind, path)
        assert told["ended"] == ("refused" if path.name == "headerless.raw" else "accepted"), (path, told)


@pytest.mark.parametrize("kind", KINDS)
def test_new_files_end_in_success_or_an_error_of_ours(
    fuzz: ModuleType, reader: Any, seeds: dict[str, list[Path]], kind: str, tmp_path: Path
) -> None:
    given = argparse.Namespace(seed=20261126, inputs=INPUTS, commands=0.25)
    found = fuzz.campaign(kind, seeds[kind], given, reader, tmp_path)
    assert [t.failures for t in found.values()] == [[], []]
    assert [t.ended.total() for t in found.values()] == [INPUTS, INPUTS // 4]
    assert found[kind].ended["refused"] > INPUTS // 4
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_spoils_alike(fuzz: ModuleType, seeds: dict[str, list[Path]]) -> None:
    for kind in KINDS:
        once, again, other = (list(fuzz.inputs(kind, seeds[kind], seed, 15)) for seed in (1, 1, 2))
        assert once == again != other


def test_what_dies_hangs_or_takes_too_much_fails(
    fuzz: ModuleType, seeds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "fuzz_reading.py"
    program.write_text(
        "import os, sys, time, json\n"
        "print(json.dumps({'bytes': 5}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    if 'dies' in line: os.abort()\n"
        "    if 'hangs' in line: time.sleep(99)\n"
        "    print(json.dumps({'ended': 'accepted', 'error': '', 'cpu': 1.5, 'bytes': 7}), flush=True)\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(tmp_path / "fuzz.py"))
    monkeypatch.setattr(fuzz, "WAIT", 1.0)
    reader, tally = fuzz.Reader(tmp_path), fuzz.Tally()
    try:
        for name in ("dies", "fine", "hangs", "fine"):
            tally.add(reader.read("models", Path(name)), reader.began, Path(name))
    finally:
        reader.close()
    assert [(f["file"], f["error"]) for f in tally.failures] == [("dies", "died (-6)"), ("hangs", "hung")]
    assert tally.row["accepted"] == tally.row["failed"] == 2
    assert tally.row["most memory, MB"] == 0


def test_a_reader_says_what_must_not_happen(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading = script(RECIPES / "benchmarks" / "fuzz_reading.py", monkeypatch)
    path = tmp_path / "a"

    def raises(error: BaseException) -> Any:
        def reader(_: Path) -> None:
            raise error

        return reader

    for error, ended in (
        (InvalidInput("no"), "refused"),
        (InvalidInput(""), "failed"),
        (InvalidInput("x" * 30_000), "failed"),
        (ValueError("x"), "failed"),
        (MemoryError(), "failed"),
        (RuntimeWarning("x"), "failed"),
    ):
        monkeypatch.setitem(reading.READERS, "trials", raises(error))
        assert reading.read("trials", path)["ended"] == ended
    monkeypatch.setattr(reading, "SECONDS", -1.0)
    monkeypatch.setitem(reading.READERS, "trials", lambda _: None)
    assert reading.read("trials", path)["error"] == "too slow"


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        ("speechgmm: a\x1b[2Jb\n", 1, "the terminal gets '\\x1b'"),
        ("Traceback\n", 1, "a line of standard error is 'Traceback"),
        ("", 1, "refused without a word"),
        ("speechgmm: x\n", 70, "exit status 70"),
        ("speechgmm: x\n", 1, None),
    ],
)
def test_a_command_is_held_to_its_words(
    lines: str, status: int, words: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reading = script(RECIPES / "benchmarks" / "fuzz_reading.py", monkeypatch)

    def main(_: list[str]) -> None:
        reading.sys.stderr.write(lines)
        raise SystemExit(status)

    monkeypatch.setattr(reading, "main", main)
    told = reading.read("models", tmp_path / "a", command=True)
    assert told["ended"] == ("refused" if words is None else "failed")
    assert words is None or words in told["message"]


# What the campaign found, each with its words


def test_a_message_is_short_whatever_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"ann {'x' * 50_000}END other\n")
    with pytest.raises(InvalidInput, match=r"line 1, must read .*; got 'ann x+ \.\.\. x+END other'\.$") as caught:
        read_trials(tmp_path / "a")
    assert len(str(caught.value)) < 2000


OPENERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "sound": (read, ""),
    "rate": (sample_rate, ""),
    "corpus": (read_corpus, ""),
    "features": (read_features, ".npy"),
    "place": (read_features, ".ark:3"),
    "list": (listed_features, ".scp"),
    "archive": (listed_features, ".ark"),
    "scores": (read_scores, ""),
    "arrays": (read_scores, ".npz"),
    "trials": (read_trials, ""),
    "model": (load_system, ""),
    "export": (load_export, ""),
}


@pytest.mark.parametrize(("opener", "ending"), OPENERS.values(), ids=OPENERS.keys())
@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 3000, "a\0b", "\ud800"], ids=["long", "deep", "NUL", "no Unicode"])
def test_a_name_that_no_file_can_have_is_refused(opener: Callable[[str], Any], ending: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"must (exist|be a readable file|have a name that a file can have); got "):
        opener(name + ending)


def test_a_path_that_no_file_can_have_does_not_lose_the_others(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", voice(0.5))
    (tmp_path / "a.csv").write_text(f"path,speaker\n{'x' * 5000}.wav,ann\na.wav,ann\n")
    corpus = read_corpus(tmp_path / "a.csv")
    assert [r.name for r in missing(corpus)] == [f"{'x' * 5000}.wav"]
    found = list(extract_all(MFCC(sample_rate=16000), corpus))
    assert [e.error is None for e in found] == [False, True]


def archive(path: Path, **members: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            if isinstance(content, bytes):
                file.writestr(f"{name}.npy", content)
            else:
                with file.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asarray(content))
    return path


GOOD: dict[str, Any] = {"speaker": ["ann", "bob"], "test": ["t", "t"], "score": [1.0, 2.0]}
_HEAD = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }"


def headed(shape: str, kind: str = "<f8") -> bytes:
    text = (_HEAD % (kind, shape)).ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + bytes(16)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"score": b"no array"}, "got this: the magic string is not correct"),
        ({"score": headed("(((")}, "must be a readable .npz file of plain arrays; got this: "),
        ({"score": headed(str(2**50))}, r"got this: 'score.npy' of shape \(1125899906842624,\) is larger than its "),
        ({"speaker": headed(str(2**32), "<U0")}, r"'speaker.npy' of shape \(4294967296,\) is larger than its "),
        ({"score": np.zeros(9_000_000)}, r"got this: its \d+ bytes unpack to 72000\d+, which no table of scores does"),
        (
            {"speaker": np.array([0x110000, 1, 2, 3], "<u4").view("<U2")},
            "'speaker' is no text: it has characters beyond",
        ),
    ],
)
def test_arrays_of_scores_that_are_none(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    assert len(read_scores(archive(tmp_path / "good.npz", **GOOD))) == 2
    with pytest.raises(InvalidInput, match=words):
        read_scores(archive(tmp_path / "bad.npz", **GOOD | changed))


def test_scores_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    other = {
        name: np.asarray(column).astype(np.asarray(column).dtype.newbyteorder(">")) for name, column in GOOD.items()
    }
    assert read_scores(archive(tmp_path / "a.npz", **other)).speaker.tolist() == GOOD["speaker"]


def test_a_compressed_archive_of_infinities_is_refused_without_a_warning(tmp_path: Path) -> None:
    for kind, columns in ((b"CM ", struct.pack("<4H", 0, 1, 2, 65535)), (b"CM3 ", b"")):
        path = tmp_path / "a.ark"
        path.write_bytes(b"u \0B" + kind + struct.pack("<ffii", -np.inf, np.inf, 3, 1) + columns + bytes(3))
        with pytest.raises(InvalidInput, match="must be finite; got 3 NaN or infinite of 3"):
            read_features(f"{path}:2")


def test_entries_without_a_byte_are_no_numbers(tmp_path: Path) -> None:
    for kind in ("|S0", "<U0", "|V0"):
        (tmp_path / "a.npy").write_bytes(headed(f"{2**40}, 1", kind))
        with pytest.raises(InvalidInput, match=r"must be a \.npy file of plain numbers; got "):
            read_features(tmp_path / "a.npy")


def test_a_place_behind_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.ark").open("wb") as file:
        ArchiveWriter(file).put("u", np.ones((2, 3)))
        size = file.tell()
    for offset in (size, 10**18 - 1):
        with pytest.raises(
            InvalidInput, match="must be the place of a matrix in a Kaldi archive; got the end of the file"
        ):
            read_features(f"{tmp_path / 'a.ark'}:{offset}")


def test_a_channel_of_thousands_of_digits_is_a_name_that_no_channel_has(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", voice(0.2))
    (tmp_path / "a.csv").write_text(f"path,speaker,channel\na.wav,ann,{'9' * 5000}\n")
    found = next(iter(read_corpus(tmp_path / "a.csv")))
    with pytest.raises(AudioError, match=r"must be 'mix' or one of its 1 channels, counted from 0; got '999"):
        read(found.path, channel=found.channel)


def test_packed_lines_that_unpack_to_much_are_refused(tmp_path: Path) -> None:
    path = KEPT / "manifests" / "line-of-40-MB-cuts.jsonl.gz"
    with pytest.raises(
        InvalidInput, match="must be JSON lines that unpack to what they say; got much more, of what repeats"
    ):
        read_corpus(path)


def test_lines_of_a_channel_list_without_channels_are_refused(tmp_path: Path) -> None:
    sources = [{"type": "file", "channels": [0], "source": "a.wav"}]
    said = {"id": "u", "start": 0, "duration": 1, "channel": [], "speaker": "ann"}
    cut = {"id": "c", "start": 0, "supervisions": [said], "recording": {"id": "r", "sources": sources}}
    (tmp_path / "cuts.jsonl").write_text(json.dumps(cut))
    with pytest.raises(InvalidInput, match=r"line 1 of .* must be as lhotse writes it; got this: IndexError"):
        read_corpus(tmp_path / "cuts.jsonl")


def test_a_stream_of_enormous_number_is_refused_at_once() -> None:
    gmm = random_gmm(2, 2)
    with pytest.raises(InvalidInput, match=r"the streams must be one for each of 2 mixtures, from 0 up without gaps"):
        Ensemble((gmm, gmm), (0, 2**62))


def test_more_channels_than_planes_are_refused() -> None:
    pytest.importorskip("av")
    with pytest.raises(
        AudioError, match=r"must have at most 8 channels in this format; got 21. Convert it to WAV or FLAC"
    ):
        read(KEPT / "audio" / "planes-of-21-channels-sound.aac")


def test_a_track_that_begins_further_on_is_refused() -> None:
    pytest.importorskip("av")
    with pytest.raises(AudioError, match="must begin with all of its tracks; got one that begins further on"):
        read(KEPT / "audio" / "track-further-on-sound.flv")

"""Kaldi archives: kaldiio and this package read what the other wrote, to the bit; nothing else is run or believed."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from speechgmm.errors import InvalidInput, MissingExtra
from speechgmm.features import Corpus, OwnFeatures, extract, listed_features, read_features, write_features
from speechgmm.features.archives import ArchiveWriter, is_place, places

matrices = st.lists(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 7), st.integers(1, 4)),
        elements=st.floats(-100, 100, width=32),
    ),
    min_size=1,
    max_size=4,
)


def saved(path: Path, every: dict[str, Any], **options: Any) -> Path:
    kaldiio.save_ark(str(path), every, scp=str(path.with_suffix(".scp")), **options)
    return path


def named(every: list[Any]) -> dict[str, Any]:
    return {f"utt-{i}": x for i, x in enumerate(every)}


@given(every=matrices)
def test_what_kaldiio_writes_is_read_to_the_bit(every: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, wanted = tmp_path_factory.mktemp("ark"), named(every)
    ark = saved(folder / "a.ark", wanted)
    for listing in (ark, folder / "a.scp"):
        found = listed_features(listing)
        assert [r.name for r in found] == list(wanted)
        for r in found:
            x = read_features(r.path)
            assert (x.dtype, x.tobytes()) == (wanted[r.name].dtype, wanted[r.name].tobytes())


@given(every=matrices)
def test_kaldiio_reads_what_is_written_to_the_bit(every: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, wanted = tmp_path_factory.mktemp("ark"), {n: x.astype(np.float32) for n, x in named(every).items()}
    with (folder / "a.ark").open("wb") as file:
        writer = ArchiveWriter(file)
        begins = {n: writer.put(n, np.asfortranarray(x)) for n, x in wanted.items()}
    found = dict(kaldiio.load_ark(str(folder / "a.ark")))
    assert list(found) == list(wanted)
    assert all(found[n].tobytes() == x.tobytes() for n, x in wanted.items())
    for n, at in begins.items():
        assert kaldiio.load_mat(f"{folder / 'a.ark'}:{at}").tobytes() == wanted[n].tobytes()
    assert dict(places(folder / "a.ark")) == {n: f"{folder / 'a.ark'}:{at}" for n, at in begins.items()}


@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_matrices_are_those_of_kaldiio(tmp_path: Path, method: int) -> None:
    rng = np.random.default_rng(method)
    every = named([rng.uniform(0, 1, size=(n, 3)).astype(np.float32) for n in (1, 4, 30)])
    ark = saved(tmp_path / "a.ark", every, compression_method=method)
    wanted = dict(kaldiio.load_ark(str(ark)))
    for name, place in places(ark):
        np.testing.assert_array_equal(read_features(place), wanted[name])
        np.testing.assert_allclose(read_features(place), every[name], atol=0.05 if method != 6 and method != 4 else 1)


def test_text_is_read_whatever_its_first_number_looks_like(tmp_path: Path) -> None:
    """kaldiio takes a matrix that begins with a whole number for one of whole numbers."""
    every = {"a": [[-1.0, 0.25], [1e-7, 3.0]], "b": [[2.5]], "c": [[1.0, 2.0]]}
    text = "a  [\n  -1 0.25 \n  1e-07 3 ]\nb  [\n  2.5 ]\nc  [\n  1 2 ]\n"
    (tmp_path / "t.ark").write_text(text)
    found = {r.name: read_features(r.path).tolist() for r in listed_features(tmp_path / "t.ark")}
    assert found == every
    saved(tmp_path / "k.ark", {n: np.array(x) for n, x in every.items()}, text=True)
    assert {r.name: read_features(r.path).tolist() for r in listed_features(tmp_path / "k.scp")} == every


def test_a_range_counts_as_kaldi_counts(tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    ark = saved(tmp_path / "a.ark", {"a": x})
    for ranged, wanted in {"[0:4]": x[:5], "[2:2,1:2]": x[2:3, 1:3], "[:,0:0]": x[:, :1], "[3:19]": x[3:]}.items():
        np.testing.assert_array_equal(read_features(f"{ark}:2{ranged}"), wanted)
        np.testing.assert_array_equal(kaldiio.load_mat(f"{ark}:2{ranged}"), wanted)
    for ranged in ("[0:20]", "[5:4]", "[0:3,0:3]", "[1]", "[::]"):
        with pytest.raises(InvalidInput, match=r"the range of .* must lie within the 20 frames of 3 features"):
            read_features(f"{ark}:2{ranged}")


def test_a_place_is_one_and_nothing_else_is() -> None:
    assert all(map(is_place, ["a.ark:1", "/x y/A.ARK:0", "a.ark:5[0:9]", "b:c.ark:7"]))
    assert not any(map(is_place, ["a.ark", "a.wav:1", "cat a.ark:1 |", "a.ark:x", "a.ark:-1", "12:30", "a.ark:1[x]"]))


def archived(*values: Any, flag: bytes = b"FM ", rows: int = 1, columns: int = 2) -> bytes:
    return (
        b"\0B" + flag + b"\4" + struct.pack("<i", rows) + b"\4" + struct.pack("<i", columns) + struct.pack("<2f", 1, 2)
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archived(rows=2), "got one of 2 frames of 2 features, or a part of it"),
        (archived(rows=-1), "got one of -1 frames of 2 features"),
        (archived(rows=0), "got one of 0 frames of 2 features"),
        (archived(rows=2**31 - 1, columns=2**31 - 1), "or a part of it"),
        (archived()[:9], "got the end of the file"),
        (archived(flag=b"XM "), r"got one of the kind b'XM '"),
        (b"\0BFV \4\1\0\0\0\0\0\0\0", r"got one of the kind b'FV '"),
        (b"PKL" + b"\x80\x04.", r"got b'PKL"),
        (b"RIFF....WAVE", "got b'RIFF.'"),
        (b"", "got the end of the file"),
        (b" [\n 1 2\n", "got text without an end"),
        (b" [\n 1 2\n 3 ]\n", "got this: "),
        (b" [\n 1 x ]\n", "got this: could not convert"),
        (b" [ 1 2 ] 3\n", "got more text behind it"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.ark").write_bytes(b"utt " + content)
    with pytest.raises(InvalidInput, match=r"a\.ark:4 must be the place of a matrix in a Kaldi archive; .*" + message):
        read_features(tmp_path / "a.ark:4")
    assert archived() == archived(rows=1), "the good one of these"


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "a.ark"), {"a": np.zeros((2, 2))}, write_function="pickle")
    for run in (lambda: read_features(f"{tmp_path / 'a.ark'}:2"), lambda: listed_features(tmp_path / "a.ark")):
        with pytest.raises(InvalidInput, match="must be the place of a matrix"):
            run()


@pytest.mark.parametrize("content", [b"no archive\n", b"\0B", b"utt\n", b"x" * 5000, b"\xff\xff "])
def test_files_that_are_no_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ark").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"must be (a Kaldi archive|the place of a matrix)"):
        listed_features(tmp_path / "a.ark")


def test_whole_files_and_missing_ones_are_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"feats\.scp must be the place of one matrix, .*; got a whole file\. Give the"
    ):
        read_features("feats.scp")
    with pytest.raises(InvalidInput, match=r"a file of features must exist; got .*none\.ark, which does not"):
        read_features(tmp_path / "none.ark:5")
    found = extract(OwnFeatures(dimensions=3), str(tmp_path / "none.ark:5"))
    assert "which does not" in str(found.error)


def test_without_kaldiio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ark = saved(tmp_path / "a.ark", {"a": np.zeros((2, 2), np.float32)})
    monkeypatch.setitem(sys.modules, "kaldiio.matio", None)
    with pytest.raises(MissingExtra, match=r"kaldiio must be installed for this; .*'speechgmm\[kaldi\]'"):
        read_features(f"{ark}:2")
    with pytest.raises(MissingExtra, match=r"speechgmm\[kaldi\]"):
        ArchiveWriter(io.BytesIO())
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(MissingExtra, match=r"speechgmm\[kaldi\]"):
        write_features(OwnFeatures(dimensions=2), Corpus.from_files([tmp_path / "a.npy"]), tmp_path / "b.ark")
    assert not (tmp_path / "b.ark").exists()

"""Features under the names of recordings: lists, archives and folders; what is written is what is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest

from speechgmm.errors import BadCorpus, InvalidInput
from speechgmm.features import (
    Corpus,
    OwnFeatures,
    Recording,
    extract_all,
    listed_features,
    listed_hop_length,
    missing,
    preset,
    read_corpus,
    recordings_of,
    with_features,
    write_features,
)
from tests.sounds import DATA

FRONTEND = OwnFeatures(dimensions=3)
PLACES = ("f.scp", "f.ark", "f/")


@pytest.fixture
def given(tmp_path: Path) -> Corpus:
    """Three matrices, under the names of recordings."""
    rng, made = np.random.default_rng(0), []
    for name in ("a/1.wav", "a/2.wav", "b/1.wav"):
        path = tmp_path / "given" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.normal(size=(rng.integers(5, 20), 3)).astype(np.float32))
        made.append(Recording(str(path), name[0], name))
    return Corpus(tuple(made), "given")


def features(frontend: Any, corpus: Corpus) -> list[Any]:
    return [e.usable() for e in extract_all(frontend, corpus)]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_written_is_read_under_the_same_names_to_the_bit(given: Corpus, tmp_path: Path, place: str) -> None:
    done = write_features(FRONTEND, given, f"{tmp_path}/{place}")
    assert [(w.name, w.error) for w in done] == [(r.name, None) for r in given]
    for corpus in (with_features(given, tmp_path / place), listed_features(tmp_path / place)):
        assert [r.name for r in corpus] == [r.name for r in given]
        for a, b in zip(features(FRONTEND, given), features(FRONTEND, corpus), strict=True):
            assert a.tobytes() == b.tobytes()
    assert with_features(given, tmp_path / place).speakers == ("a", "b")
    assert listed_hop_length(tmp_path / place) == 0.01


def test_the_same_features_are_the_same_bytes(given: Corpus, tmp_path: Path) -> None:
    for n in (1, 2):
        write_features(FRONTEND, given, tmp_path / "f.ark", n_threads=n)
        (tmp_path / "f.ark").rename(tmp_path / f"{n}.ark")
    assert (tmp_path / "1.ark").read_bytes() == (tmp_path / "2.ark").read_bytes()


def test_sound_is_written_as_the_front_end_hears_it_and_read_by_kaldiio(tmp_path: Path) -> None:
    corpus, frontend = Corpus(read_corpus(DATA / "manifest.csv").recordings[:2], "m"), preset("sound")
    write_features(frontend, corpus, tmp_path / "f.scp")
    found = kaldiio.load_scp(str(tmp_path / "f.scp"))
    for r in corpus:
        assert found[r.name].tobytes() == frontend.from_file(r.path).tobytes()
    assert listed_hop_length(tmp_path / "f.scp") == frontend.hop_length == 0.02


def test_features_of_parts_are_under_the_names_of_parts(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,speaker,start,end\na.wav,x,0,1\na.wav,x,2,3\n")
    corpus = read_corpus(tmp_path / "m.csv")
    kaldiio.save_ark(str(tmp_path / "f.ark"), {r.name: np.full((4, 3), i, np.float32) for i, r in enumerate(corpus)})
    found = with_features(corpus, tmp_path / "f.ark")
    assert [(r.start, r.end) for r in found] == [(0.0, None)] * 2
    assert [x[0, 0] for x in features(FRONTEND, found)] == [0.0, 1.0]


def test_lists_are_relative_to_the_working_folder_or_to_themselves(
    given: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    kaldiio.save_ark("in/f.ark", {"u": np.ones((2, 3), np.float32)}, scp="in/f.scp")
    assert features(FRONTEND, recordings_of(["u"], "in/f.scp"))[0].tolist() == [[1.0] * 3] * 2
    (tmp_path / "in" / "g.scp").write_text("u f.ark:2[0:0]\n")
    assert len(features(FRONTEND, recordings_of(["u"], "in/g.scp"))[0]) == 1
    assert [r.speaker for r in recordings_of(["u"], "in/g.scp", speaker="ann", session="s")] == ["ann"]
    (tmp_path / "in" / "g.scp").write_text("u none.ark:2\n")
    assert [r.name for r in missing(listed_features("in/g.scp"))] == ["u"]


def test_a_folder_names_files_with_their_endings_or_without(given: Corpus, tmp_path: Path) -> None:
    for name in ("a/1", "a/2.wav", "b/1.wav"):
        path = tmp_path / "f" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.zeros((2, 3)))
    assert [Path(r.path).name for r in with_features(given, tmp_path / "f")] == ["1.npy", "2.wav.npy", "1.wav.npy"]
    both = Corpus((Recording("x", "", "a/1.wav"), Recording("x", "", "a/1.flac")), "both")
    with pytest.raises(InvalidInput, match=r"must list each recording once; got a/1\.flac twice, as .*1\.npy and as"):
        with_features(both, tmp_path / "f")
    odd = Corpus((Recording("x", "", "a/1.2"),), "odd")
    with pytest.raises(InvalidInput, match=r"hold every recording; got none of a/1\.2"):
        with_features(odd, tmp_path / "f")


def test_recordings_without_features_are_told_together_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,speaker\na.wav,x\nb.wav,x\nc.wav,y\n")
    kaldiio.save_ark(str(tmp_path / "f.ark"), {"b.wav": np.zeros((1, 3))})
    with pytest.raises(BadCorpus) as found:
        with_features(read_corpus(tmp_path / "m.csv"), tmp_path / "f.ark")
    assert [p.partition("got ")[2].split(". ")[0] for p in found.value.problems] == [
        "none of a.wav (line 2)",
        "none of c.wav (line 4)",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.scp", None, r"a list of features must exist; got .*none\.scp, which does not\. Give a Kaldi list"),
        ("f.txt", "", r"a list of features must be of a known kind; got .*f\.txt\. Give a Kaldi list"),
        ("f.scp", "", r"f\.scp must list features; got none"),
        ("f.ark", "", r"f\.ark must list features; got none"),
        (
            "f.scp",
            "u copy-feats ark:x ark:- |\n",
            r"line 1 of .* must name a place .*; got copy-feats .* \|\. Write arch",
        ),
        ("f.scp", "u a.ark\nv b.mat:7\n", r"2 of them:\nline 1 of .* got a\.ark\. .*\nline 2 of .* got b\.mat:7"),
        ("f.scp", "u a.ark:1\nu b.ark:2\n", r"line 2 of .* must hold a key of its own and a value"),
        ("f.ark", "u  [\n 1 ]\nu  [\n 2 ]\n", r"must hold each name once; got 'u' twice"),
    ],
)
def test_lists_that_say_nothing_usable_are_refused(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=message):
        listed_features(tmp_path / name)


def test_the_step_is_that_of_frame_shift_beside_them(given: Corpus, tmp_path: Path) -> None:
    write_features(OwnFeatures(dimensions=3, hop_length=0.0125), given, tmp_path / "f.ark")
    assert (tmp_path / "frame_shift").read_text() == "0.0125\n"
    assert listed_hop_length(tmp_path / "f.ark") == listed_hop_length(tmp_path) == 0.0125
    with pytest.raises(InvalidInput, match=r"features of 0\.01 s a frame must lie beside .*; got one of 0\.0125 s in"):
        write_features(FRONTEND, given, tmp_path / "g.scp")
    assert not (tmp_path / "g.ark").exists()
    for text in ("fast", "0", "nan", ""):
        (tmp_path / "frame_shift").write_text(text)
        with pytest.raises(InvalidInput, match=r"frame_shift must "):
            listed_hop_length(tmp_path / "f.ark")


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("a 1", "f.ark", r"the names in an archive must be without spaces; got 'a 1' \(1 in all\)"),
        ("../a", "f/", r"be paths inside the folder that is written; got \.\./a\. Write a \.npz"),
        ("/a", "f/", "be paths inside the folder that is written; got /a"),
    ],
)
def test_names_that_cannot_be_held_are_refused(
    given: Corpus, tmp_path: Path, name: str, place: str, message: str
) -> None:
    one = Corpus((Recording(given.recordings[0].path, "", name),), "one")
    with pytest.raises(InvalidInput, match=message):
        write_features(FRONTEND, one, f"{tmp_path}/{place}")
    assert not (tmp_path / place).exists()
    if place == "f.ark":
        write_features(FRONTEND, one, tmp_path / "f.npz")


@pytest.mark.parametrize("place", PLACES)
def test_names_differ_and_other_files_are_kept(given: Corpus, tmp_path: Path, place: str) -> None:
    twice = Corpus((*given.recordings, given.recordings[0]), "twice")
    with pytest.raises(InvalidInput, match=r"the names of recordings must differ from each other; got 'a/1\.wav'"):
        write_features(FRONTEND, twice, f"{tmp_path}/{place}")
    (tmp_path / place.rstrip("/")).write_text("something else")
    with pytest.raises(InvalidInput, match="the file to write must be new, empty or "):
        write_features(FRONTEND, given, f"{tmp_path}/{place}")
    assert (tmp_path / place.rstrip("/")).read_text() == "something else"


def test_a_refusal_leaves_no_archive_and_no_list(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="be at least one that can be used; got none of 1"):
        write_features(FRONTEND, Corpus.from_files(["none.npy"]), tmp_path / "f.scp")
    assert list(tmp_path.iterdir()) == []

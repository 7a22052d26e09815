"""Layouts of corpora beside CSV, folders and Kaldi directories: what is recognized, what it gives, what is refused."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import BadCorpus, InvalidInput
from speechgmm.features import Recording, read_corpus

Make = Callable[..., Path]
LIBRISPEECH = ("19/198/19-198-0000.flac", "19/198/19-198-0001.flac", "26/495/26-495-0000.flac")
VOXCELEB = ("id10001/1zcIwhmdeo4/00001.wav", "id10001/7gWzIy6y-_Q/00002.wav", "id10270/5r0dWxy17C8/00001.wav")
FOLDERS = "a folder with a subfolder for each speaker or label"


def told(path: Any, **options: Any) -> list[tuple[str, str, str | None]]:
    return [(r.name, r.speaker, r.session) for r in read_corpus(path, **options)]


@pytest.mark.parametrize("above", ["", "train-clean-100/", "LibriSpeech/dev-other/"])
def test_librispeech(folder: Make, above: str) -> None:
    root = folder(*(above + name for name in LIBRISPEECH), above + "19/198/19-198.trans.txt", "SPEAKERS.TXT")
    corpus = read_corpus(root)
    assert corpus.layout == "LibriSpeech's folders, speaker/chapter/file"
    assert told(root) == [("19-198-0000", "19", "198"), ("19-198-0001", "19", "198"), ("26-495-0000", "26", "495")]
    assert [r.path for r in corpus] == [str(root / (above + name)) for name in LIBRISPEECH]
    assert {r.columns["subset"] for r in corpus} == {above.rstrip("/")}
    assert corpus.column("label") == ("19", "19", "26")
    one = [(r.name, r.speaker) for r in read_corpus(root / above / "19")]
    assert one == [("19-198-0000", "19"), ("19-198-0001", "19")], "the folder of one speaker is still theirs"


@pytest.mark.parametrize("above", ["", "wav/", "dev/aac/"])
def test_voxceleb_is_called_as_its_lists_of_trials_call_it(folder: Make, above: str) -> None:
    root = folder(*(above + name for name in VOXCELEB), "vox1_meta.csv")
    corpus = read_corpus(root)
    assert corpus.layout == "VoxCeleb's folders, speaker/video/file"
    assert told(root) == [(n, *n.split("/")[:2]) for n in VOXCELEB]
    assert {r.columns["subset"] for r in corpus} == {above.rstrip("/")}
    if above:
        assert corpus.where(subset=above.rstrip("/")).speakers == ("id10001", "id10270")
    assert [r.speaker for r in read_corpus(root / above / "id10001")] == ["id10001"] * 2


def test_a_file_that_does_not_follow_the_pattern_is_named_and_never_guessed_at(folder: Make) -> None:
    root = folder(*("wav/" + name for name in VOXCELEB), "noise/1.wav", "wav/id10001/short/00001.wav")
    with pytest.raises(BadCorpus) as found:
        read_corpus(root)
    assert [p.split(" must lie as idSPEAKER/VIDEO/NUMBER")[0] for p in found.value.problems] == [
        str(root / "noise/1.wav"),
        str(root / "wav/id10001/short/00001.wav"),
    ]
    assert str(found.value).startswith(f"{root} must be without mistakes; got 2 of them:\n{root / 'noise/1.wav'} must")
    assert "as other sound files in" in found.value.problems[0]
    assert "Move it elsewhere, or list what counts in a CSV." in found.value.problems[0]


def test_two_copies_of_a_recording_are_told_apart_from_two_recordings(folder: Make) -> None:
    root = folder("wav/" + VOXCELEB[0], *("aac/" + name for name in VOXCELEB))
    words = (
        rf"must call each recording by a name of its own; got {VOXCELEB[0]} twice, as \S*/aac/\S* and as \S*/wav/\S*"
    )
    with pytest.raises(InvalidInput, match=words):
        read_corpus(root)
    assert len(read_corpus(root / "aac")) == 3


def test_where_both_readings_agree_a_folder_of_speakers_is_one(folder: Make) -> None:
    root = folder(*LIBRISPEECH, "ann/monday/1.wav")
    assert read_corpus(root).layout == FOLDERS
    assert [(r.speaker, r.session) for r in read_corpus(root)] == [
        *(("19", "198"),) * 2,
        ("26", "495"),
        ("ann", "monday"),
    ]


@pytest.mark.parametrize(
    "name", ["19/198/19-199-0000.flac", "19/198/20-198-0000.flac", "a/b/a-b-0000.flac", "19/198/0000.flac"]
)
def test_nothing_like_librispeech_but_its_pattern_is_taken_for_it(folder: Make, name: str) -> None:
    assert read_corpus(folder(name)).layout == FOLDERS


@pytest.mark.parametrize(
    "name", ["id1001/1zcIwhmdeo4/00001.wav", "id10001/short/00001.wav", "id10001/1zcIwhmdeo4/1.wav"]
)
def test_nothing_like_voxceleb_but_its_pattern_is_taken_for_it(folder: Make, name: str) -> None:
    assert read_corpus(folder(name)).layout == FOLDERS


@pytest.mark.parametrize("with_segments", [False, True])
def test_a_kaldi_directory_of_features_alone(tmp_path: Path, with_segments: bool) -> None:
    (tmp_path / "feats.scp").write_text("u1 f.ark:3\nu2 /far/f.ark:99[0:5]\n")
    (tmp_path / "utt2spk").write_text("u1 ann\nu2 bob\n")
    if with_segments:
        (tmp_path / "segments").write_text("u1 call 0 1\nu2 call 1 2\n")
    found = [(r.path, r.speaker, r.name, r.end, r.row) for r in read_corpus(tmp_path)]
    assert found == [
        (f"{tmp_path / 'f.ark'}:3", "ann", "u1", None, "line 1 of feats.scp"),
        ("/far/f.ark:99[0:5]", "bob", "u2", None, "line 2 of feats.scp"),
    ]
    (tmp_path / "feats.scp").write_text("u1 f.ark:3\nu2 f.mat\nu3 x |\n")
    with pytest.raises(BadCorpus, match=r"line 2 of .*feats\.scp must name a place in an archive.*\nline 3 of"):
        read_corpus(tmp_path)


# lhotse: objects as lhotse 1.33 writes them


def recording(name: str, *, channels: tuple[int, ...] = (0,), **other: Any) -> dict[str, Any]:
    source = {"type": "file", "channels": list(channels), "source": f"{name}.wav"}
    made = {"id": name, "sources": [source], "sampling_rate": 16000, "num_samples": 16000, "duration": 1.0}
    return made | {"channel_ids": list(channels)} | other


def said(name: str, of: str, **other: Any) -> dict[str, Any]:
    return {"id": name, "recording_id": of, "start": 0, "duration": 1.0, "channel": 0, **other}


def cut(recorded: dict[str, Any], *supervisions: dict[str, Any], start: float = 0.0, **other: Any) -> dict[str, Any]:
    made = {"id": "c", "start": start, "duration": 1.0, "channel": 0, "supervisions": list(supervisions)}
    return made | {"recording": recorded, "type": "MonoCut"} | other


def written(path: Path, *items: Any) -> Path:
    text = "".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in items)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


ANN = said("a-1", "a", speaker="ann", gender="f", custom={"session": "s1", "snr": 3.5, "words": ["x"]})
BOB = said("b-1", "b", speaker="bob", start=0.25, duration=0.5, channel=1)
BOTH = said("b-2", "b", speaker="cid", start=0.25, duration=0.25, channel=[0, 1])
FOUND = [
    Recording("a.wav", "ann", "a-1", "s1", 0.0, None, "mix"),
    Recording("b.wav", "bob", "b-1", None, 0.25, 0.75, 1),
    Recording("b.wav", "cid", "b-2", None, 0.25, 0.5, "mix"),
]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("prefix", ["", "x_"])
def test_supervisions_beside_recordings(tmp_path: Path, ending: str, prefix: str) -> None:
    written(tmp_path / f"{prefix}recordings.{ending}", recording("a"), recording("b", channels=(0, 1)))
    path = written(tmp_path / f"{prefix}supervisions.{ending}", ANN, BOB, "", BOTH)
    for place in [path] if prefix else [path, tmp_path]:
        corpus = read_corpus(place)
        assert corpus.layout == "a manifest of lhotse"
        for r, wanted in zip(corpus, FOUND, strict=True):
            assert (r.speaker, r.name, r.session) == (wanted.speaker, wanted.name, wanted.session)
            assert (r.start, r.end, r.channel) == (wanted.start, wanted.end, wanted.channel)
            assert r.path == str(tmp_path / wanted.path)
        assert [r.row for r in corpus] == ["line 1", "line 2", "line 4"]
        first = corpus.recordings[0].columns
        assert (first["gender"], first["snr"], first["recording"], "words" in first) == ("f", "3.5", "a", False)
        assert corpus.where(gender="f").speakers == ("ann",)


def test_cuts_hold_their_recordings(tmp_path: Path) -> None:
    late = {**BOB, "start": 0.15}
    path = written(
        tmp_path / "cuts.jsonl", cut(recording("a"), ANN), cut(recording("b", channels=(0, 1)), late, start=0.1)
    )
    assert [(r.name, r.start, r.end) for r in read_corpus(path)] == [("a-1", 0.0, None), ("b-1", 0.25, 0.75)]


def test_recordings_alone_do_where_nobody_needs_to_be_known(tmp_path: Path) -> None:
    path = written(tmp_path / "recordings.jsonl", recording("a"), recording("b"))
    assert told(path, label=None) == [("a", "", None), ("b", "", None)]
    cuts = written(tmp_path / "cuts.jsonl", cut(recording("a"), start=0.5))
    assert [(r.name, r.start, r.end) for r in read_corpus(cuts, label=None)] == [("c", 0.5, 1.5)]
    with pytest.raises(InvalidInput, match=r"recordings\.jsonl must say who speaks; got recordings alone\. Give the"):
        read_corpus(path)
    with pytest.raises(InvalidInput, match=r"line 1 of .* must say who speaks; got a cut without supervisions"):
        read_corpus(cuts)


MEMORY = recording("a", sources=[{"type": "memory", "channels": [0], "source": "UklGRg=="}])
SPEED = recording("a", transforms=[{"name": "Speed", "kwargs": {"factor": 1.1}}])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["{", "{"], r"got 2 of them:\nline 1 of .* must be a JSON object with an id; got '\{'\.\nline 2"),
        (['["a"]'], r"line 1 of .* must be a JSON object with an id; got '\[\"a\"\]'"),
        ([{"id": "m", "tracks": [], "type": "MixedCut"}], r"or a cut of one recording; got MixedCut\. .*save_audios"),
        ([cut(MEMORY, ANN)], r"line 1 of .* must be of a sound file; got a source of the type 'memory'\. Write the"),
        ([cut(SPEED, ANN)], r"must be of sound as it lies in its file; got a recording with transforms\. Write the"),
        ([cut(recording("a"), said("a-1", "a"))], r"line 1 of .* must name the speaker; got none"),
        ([cut(recording("a"), {**ANN, "channel": 3})], r"of channels that lie in one file; got \[3\] of 1 files"),
        ([cut(recording("a", channels=(0, 1, 2)), {**ANN, "channel": [0, 1]})], "be of one channel, or of all"),
        ([cut(recording("a"), {**ANN, "duration": "1"})], r"the duration in line 1 of .* must be a number of seconds"),
        ([cut(recording("a"), {**ANN, "duration": 0})], r"that end after they start.*0 to 0 s in a-1 \(line 1\)"),
        ([said("a-1", "a", speaker="ann")], r"in a file of the same name with 'recordings' for 'supervisions'; got an"),
    ],
)
def test_manifests_of_lhotse_that_cannot_be_used_are_refused(tmp_path: Path, items: list[Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_corpus(written(tmp_path / "c.jsonl", *items))


PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text("ab\0", max_size=3)
SOURCE = st.dictionaries(st.sampled_from(["type", "channels", "x"]), PLAIN | st.lists(PLAIN, max_size=2))
JUNK = PLAIN | SOURCE | st.lists(PLAIN | SOURCE, max_size=2)
KEYS = ("id", "start", "channel", "supervisions", "recording", "type")


@given(key=st.sampled_from(KEYS), inner=st.sampled_from([None, *ANN]), junk=JUNK)
def test_whatever_stands_in_a_manifest_of_lhotse_is_read_or_refused(
    key: str, inner: str | None, junk: Any, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("lhotse") / "c.jsonl"
    made = cut(recording("a"), ANN if inner is None else {**ANN, inner: junk})
    for item in ({**made, key: junk}, made, cut({**recording("a"), "sources": junk, "duration": junk}, ANN)):
        written(path, item)
        with contextlib.suppress(InvalidInput):
            assert all(isinstance(r, Recording) for r in read_corpus(path))


def test_supervisions_without_their_recordings_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "supervisions.jsonl", ANN, BOB)
    with pytest.raises(InvalidInput, match=r"must lie beside its recordings, .*; got no such file\. Rename"):
        read_corpus(path)
    written(tmp_path / "recordings.jsonl", recording("a"))
    with pytest.raises(InvalidInput, match=r"line 2 of .* must be of a recording that is listed; got 'b'"):
        read_corpus(path)
    for name, content in (("c.jsonl.gz", b"no gzip"), ("c.jsonl", b"\xff\n"), ("c.jsonl.gz", gzip.compress(b"{}")[:9])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match="must be JSON lines; got this: "):
            read_corpus(tmp_path / name)


# data frames


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame])
def test_a_data_frame_is_a_corpus(make: Any) -> None:
    frame = make({"Path": ["a.wav", "/b.wav"], "speaker": ["ann", "bob"], "end": [1.5, None], "channel": [0, None]})
    corpus = read_corpus(frame)
    assert [(r.path, r.speaker, r.end, r.channel, r.row) for r in corpus] == [
        ("a.wav", "ann", 1.5, 0, "row 0"),
        ("/b.wav", "bob", None, "mix", "row 1"),
    ]
    assert (corpus.source, corpus.layout) == ("the data frame", "a data frame")
    assert corpus.where(path="/b.wav").speakers == ("bob",)
    with pytest.raises(
        InvalidInput, match=r"the data frame must have the column speaker; got path\. Name them path and"
    ):
        read_corpus(make({"path": ["a.wav"]}))
    with pytest.raises(BadCorpus, match=r"row 0 of the data frame must name a path and a speaker; .*\nrow 1 of"):
        read_corpus(make({"path": ["a.wav", None], "speaker": [None, "ann"]}))
    assert told(make({"path": ["a.wav"]}), label=None) == [("a.wav", "", None)]


@given(rows=st.lists(st.tuples(st.text("abc", min_size=1), st.text("xy", min_size=1), st.floats(0.5, 9)), min_size=1))
def test_frames_say_what_the_same_csv_says(rows: list[tuple[str, str, float]], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("frame")
    given_rows = {(str(folder / p), end): (str(folder / p), who, end) for p, who, end in rows}.values()
    table = {n: list(c) for n, c in zip(("path", "speaker", "end"), zip(*given_rows, strict=True), strict=True)}
    pandas.DataFrame(table).to_csv(folder / "m.csv", index=False)
    wanted = read_corpus(folder / "m.csv").recordings
    for made in (pandas.DataFrame(table), polars.DataFrame(table)):
        assert [(r.path, r.speaker, r.end) for r in read_corpus(made)] == [(r.path, r.speaker, r.end) for r in wanted]


@pytest.mark.parametrize("given_place", [3, None, ["a.wav"]])
def test_what_is_no_place_is_refused(given_place: Any) -> None:
    with pytest.raises(InvalidInput, match="a corpus must be a path or a data frame of pandas or polars; got"):
        read_corpus(given_place)

"""Manifests: what each kind may hold, what it gives, and how each mistake is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speechgmm.errors import InvalidInput, SpeechGMMWarning
from speechgmm.features import Corpus, Recording, read_corpus
from tests.sounds import DATA

Make = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path) -> Make:
    """Write a manifest, and return its path."""

    def make(content: str | bytes, name: str = "corpus.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.fixture
def kaldi(tmp_path: Path) -> Make:
    """Make a Kaldi directory of these files, and return its path."""

    def make(**files: str | bytes) -> Path:
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return make


NFC, NFD = "Ren\u00e9", "Rene\u0301"


def test_two_spellings_are_one_speaker(manifest: Make, folder: Make, kaldi: Make) -> None:
    path = manifest(f"path,speaker,session,label\na.wav,{NFC},{NFD},{NFD}\nb.wav,{NFD},{NFC},{NFC}\n{NFD}.wav,bob,,x\n")
    corpus = read_corpus(path)
    assert corpus.speakers == (NFC, "bob")
    assert [r.session_name for r in corpus][:2] == [NFC, NFC]
    assert corpus.column("label") == (NFC, NFC, "x")
    for spelled in (NFC, NFD):
        assert len(corpus.where(speaker=spelled)) == len(corpus.where(label=[spelled])) == 2
    assert corpus.recordings[2].path == str(path.parent / f"{NFD}.wav"), "a path is what the disk calls it"
    assert read_corpus(folder(f"{NFC}/a.wav", f"{NFD}/b.wav")).speakers == (NFC,)
    utterances = kaldi(wav_scp="u1 a.wav\nu2 b.wav\n", utt2spk=f"u1 {NFC}\nu2 {NFD}\n")
    assert read_corpus(utterances).speakers == (NFC,)


@pytest.mark.parametrize(
    ("name", "point"),
    [("a\u202eb", "202E"), ("a\u2067", "2067"), ("a\0", "0000"), ("a\u200b", "200B"), ("\x1b[2J", "001B")],
)
def test_names_that_cannot_be_seen_are_refused_with_their_line(manifest: Make, name: str, point: str) -> None:
    rule = rf"must hold no control or format characters; got U\+{point}"
    with pytest.raises(InvalidInput, match=rf"the speaker in line 2 of .*corpus\.csv {rule}"):
        read_corpus(manifest(f"path,speaker\na.wav,{name}\n"))
    with pytest.raises(InvalidInput, match=f"a session's name {rule}"):
        read_corpus(manifest(f"path,speaker,session\na.wav,x,{name}\n"))
    with pytest.raises(InvalidInput, match=f"the column 'label' {rule}"):
        read_corpus(manifest(f"path,speaker,label\na.wav,x,{name}\n")).column("label")


def test_joiners_are_spelling() -> None:
    persian, family = "می\u200cخواهم", "\U0001f469\u200d\U0001f467"
    assert [Recording("a", name, "a").speaker for name in (persian, family)] == [persian, family]


def test_a_session_named_by_its_file_escapes_what_cannot_be_seen() -> None:
    assert Recording("p", "ann", "a\tb\udce1.wav").session_name == "a\\tb\\udce1.wav"


PLAIN = "path,speaker,session,split\na/1.wav,ann,s1,ubm\nb/1.wav,bob,,test\n"
ROWS = [("a/1.wav", "ann", "s1", "ubm"), ("b/1.wav", "bob", None, "test")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", PLAIN),
        ("bom.csv", "\ufeff" + PLAIN),
        ("windows.csv", PLAIN.replace("\n", "\r\n")),
        ("table.tsv", PLAIN.replace(",", "\t")),
        ("spaces.csv", PLAIN.replace(",", " , ")),
        ("blank.csv", PLAIN.replace("b/1", "\nb/1") + "\n\n"),
        ("unended.csv", PLAIN.rstrip("\n")),
        ("quoted.csv", PLAIN.replace("a/1.wav", '"a/1.wav"')),
        (
            "german.csv",
            "\ufeff" + PLAIN.replace(",", ";").replace("path;speaker", "Path;SPEAKER").replace("\n", "\r\n"),
        ),
        ("excel.csv", PLAIN.replace("\n", ",,\n") + ",,,,,\n,,,,,\n"),
        ("tabs.csv", PLAIN.replace(",", "\t")),
        ("commas.tsv", PLAIN),
        ("quoted-header.csv", PLAIN.replace("path,speaker", '"path","Speaker"')),
        ("above.csv", "\n\n" + PLAIN),
        ("order.csv", "split,speaker,session,path\nubm,ann,s1,a/1.wav\ntest,bob,,b/1.wav\n"),
    ],
)
def test_csv_and_tsv(manifest: Make, name: str, content: str) -> None:
    path = manifest(content, name)
    corpus = read_corpus(path)
    assert [(r.name, r.speaker, r.session, r.columns["split"]) for r in corpus] == ROWS
    assert [r.path for r in corpus] == [str(path.parent / "a/1.wav"), str(path.parent / "b/1.wav")]
    assert [r.session_name for r in corpus] == ["s1", "b/1.wav"]
    assert (len(corpus), corpus.speakers, corpus.source) == (2, ("ann", "bob"), str(path))
    assert all((r.start, r.end, r.channel) == (0.0, None, "mix") for r in corpus)


def test_absolute_paths_and_commas_in_quotes(manifest: Make, tmp_path: Path) -> None:
    corpus = read_corpus(manifest(f'path,speaker,text\n{tmp_path}/x.wav,Ann,"one, two"\n"a,b.wav",Ünal 李,-\n'))
    assert [r.path for r in corpus] == [f"{tmp_path}/x.wav", f"{tmp_path}/a,b.wav"]
    assert [r.columns["text"] for r in corpus] == ["one, two", "-"]
    assert corpus.speakers == ("Ann", "Ünal 李")


def test_start_end_and_channel(manifest: Make) -> None:
    corpus = read_corpus(
        manifest("path,speaker,start,end,channel\na.wav,x,1.5,2.25,1\na.wav,y,,3,mix\na.wav,z,4,,\na.wav,w,,,left\n")
    )
    assert [(r.start, r.end, r.channel) for r in corpus] == [
        (1.5, 2.25, 1),
        (0.0, 3.0, "mix"),
        (4.0, None, "mix"),
        (0.0, None, "left"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"the manifest .*corpus\.csv must have the columns path and speaker; got an empty file"),
        ("path,text\na,b\n", r"must have the column speaker; got path, text"),
        (
            "a.wav,ann\nb.wav,bob\n",
            r"must have the columns path and speaker; got a\.wav, ann\. Its first line names them, divided by commas, "
            r"semicolons or tabs, as in: path,speaker",
        ),
        ("path|speaker\na|b\n", r"must have the columns path and speaker; got path\|speaker\. Its first line"),
        ("path,speaker;note\na,b;c\n", r"must have the column speaker; got path, speaker;note"),
        ("path,speaker,speaker\na,b,c\n", r"have one column of each name, in whatever case; got 'speaker' several"),
        ("path,speaker,Path\na,b,c\n", r"have one column of each name, in whatever case; got 'path' several times"),
        ("path,speaker,Note,note\na,b,c,d\n", r"of each name, in whatever case; got 'Note' and 'note' several times"),
        ("path,speaker\n", r"must list at least one recording; got none\. Give a CSV with the columns path"),
        ("path,speaker\na.wav,\n", r"line 2 of .* must name a path and a speaker; got path 'a\.wav', speaker ''"),
        ("path,speaker\na.wav,  \n", r"line 2 of .* must name a path and a speaker"),
        ("path,speaker\na.wav,x\n,ann\n", r"line 3 of .* must name a path and a speaker; got path '', speaker 'ann'"),
        (
            "path,speaker\na.wav\n",
            r"line 2 of .* must hold 2 fields divided by commas, as the header does; got 1 in 'a\.wav'",
        ),
        (
            "path,speaker\na.wav,ann,more\n",
            r"line 2 of .* must hold 2 fields divided by commas, as the header does; got 3 in",
        ),
        ("\npath;speaker\n\na.wav;ann\nb.wav\n", r"line 5 of .* must hold 2 fields divided by semicolons"),
        ("path,speaker\na.wav,ann\na.wav,bob\n", r"corpus\.csv must list each recording once; got a\.wav twice"),
        ("path,speaker,start\na,b,x\n", r"the start in line 2 of .* must be a number of seconds; got 'x'"),
        ("path,speaker,end\na,b,1:30\n", r"the end in line 2 of .* must be a number of seconds; got '1:30'"),
        (b"path,speaker\na.wav,J\xfcrgen\n", r"must be UTF-8 text; got this: 'utf-8' codec .* call .* 'CSV UTF-8'"),
        ("path,speaker\na.wav,ann\n".encode("utf-16"), r"must be UTF-8 text"),
    ],
)
def test_bad_manifests_are_refused(manifest: Make, content: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_corpus(manifest(content))


def test_a_decimal_comma_where_semicolons_divide(manifest: Make) -> None:
    corpus = read_corpus(manifest("path;speaker;start;end\na.wav;x;1,5;2,25\n"))
    assert [(r.start, r.end) for r in corpus] == [(1.5, 2.25)]
    with pytest.raises(InvalidInput, match="must be a number of seconds; got '1,5'"):
        read_corpus(manifest('path,speaker,start\na.wav,x,"1,5"\n'))


def test_columns_are_asked_for_in_whatever_case(manifest: Make) -> None:
    corpus = read_corpus(manifest("Path;Speaker;Split;Word\na;x;test;yes\nb;y;ubm;no\n"))
    assert corpus.where(split="test").speakers == corpus.where(SPLIT="test").speakers == ("x",)
    assert corpus.column("word") == corpus.column("Word") == ("yes", "no")
    assert read_corpus(manifest("Path,Emotion\na,sad\n"), label="emotion").column("emotion") == ("sad",)
    with pytest.raises(InvalidInput, match="must name a path and an emotion; got path 'a', emotion ''"):
        read_corpus(manifest("path,emotion\na,\n"), label="emotion")


def test_parts_of_one_file_are_no_duplicates(manifest: Make) -> None:
    rows = "path,speaker,start,end,channel\na,x,0,5,0\na,x,5,9,0\na,x,0,5,1\n"
    assert [r.name for r in read_corpus(manifest(rows))] == ["a@0-5#0", "a@5-9#0", "a@0-5#1"]
    with pytest.raises(InvalidInput, match="must list each recording once; got a@5-9#0 twice"):
        read_corpus(manifest(rows + "a,y,5.0,9.0,0\n"))


def test_parts_late_in_a_long_file_have_names_of_their_own(manifest: Make) -> None:
    corpus = read_corpus(manifest("path,speaker,start,end\na,x,12345.678,12350\na,x,12345.712,12350\n"))
    assert [r.name for r in corpus] == ["a@12345.678-12350", "a@12345.712-12350"]


def test_the_embedded_corpus_is_listed_whole() -> None:
    corpus = read_corpus(DATA / "manifest.csv")
    assert len(corpus) == 90
    assert len(corpus.speakers) == 18
    assert all(Path(r.path).exists() for r in corpus)


def test_missing_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"a corpus must exist; got .*none\.csv, which does not\. Give a CSV .*, a folder"
    ):
        read_corpus(tmp_path / "none.csv")


def test_where_keeps_rows_in_their_order(manifest: Make) -> None:
    corpus = read_corpus(
        manifest("path,speaker,split,label\n1,a,ubm,x\n2,b,test,x\n3,a,test,y\n4,c,enroll,\n5,b,ubm,x\n")
    )
    assert [r.name for r in corpus.where(split="test")] == ["2", "3"]
    assert [r.name for r in corpus.where(split=["test", "ubm"])] == ["1", "2", "3", "5"]
    assert [r.name for r in corpus.where(split={"test"}, label="x")] == ["2"]
    assert [r.name for r in corpus.where(split="ubm").where(speaker="b")] == ["5"]
    assert [r.name for r in corpus.where(label="")] == ["4"]
    assert corpus.where() == corpus
    assert len(corpus) == 5
    assert corpus.where(split="test").source == corpus.source


def test_where_refuses_unknown_columns_and_empty_results(manifest: Make) -> None:
    corpus = read_corpus(manifest(PLAIN))
    with pytest.raises(
        InvalidInput,
        match=r"the condition must name a column of .*corpus\.csv: path, session, speaker, split; got 'spilt'",
    ):
        corpus.where(spilt="ubm")
    with pytest.raises(InvalidInput, match=r"keep at least one of the 2 recordings of .*; got split=dev, session=s1"):
        corpus.where(split="dev", session="s1")
    with pytest.raises(InvalidInput, match="keep at least one"):
        corpus.where(split="ub")


def test_folder_of_folders(folder: Make) -> None:
    root = folder(
        *("ann/1.wav", "ann/2.FLAC", "bob/day 1/1.wav", "bob/day 1/2.mp3", "bob/y/m/1.ogg", "cid/notes.txt"),
        *(".cache/1.wav", "ann/.hidden.wav", "dot.d/a.b.wav"),
    )
    found = [(r.name, r.speaker, r.session, r.session_name) for r in read_corpus(root)]
    assert found == [
        ("ann/1.wav", "ann", None, "ann/1.wav"),
        ("ann/2.FLAC", "ann", None, "ann/2.FLAC"),
        ("bob/day 1/1.wav", "bob", "day 1", "day 1"),
        ("bob/day 1/2.mp3", "bob", "day 1", "day 1"),
        ("bob/y/m/1.ogg", "bob", "y/m", "y/m"),
        ("dot.d/a.b.wav", "dot.d", None, "dot.d/a.b.wav"),
    ]
    assert [r.name for r in read_corpus(root).where(session="day 1", speaker="bob")] == found_names(found, "day 1")
    assert all(Path(r.path).exists() for r in read_corpus(root))


def test_sounds_in_no_subfolder_are_named(folder: Make) -> None:
    root = folder("ann/1.wav", *(f"{n}.m4a" for n in range(7)), ".hidden.wav", "notes.txt")
    words = r"7 sound files in .* left out, for being in no subfolder: 0\.m4a, .*4\.m4a, \.\.\.\. Move each"
    with pytest.warns(SpeechGMMWarning, match=words):
        assert [r.name for r in read_corpus(root)] == ["ann/1.wav"]


def test_nobody_needs_to_be_named_where_no_label_is_asked_for(folder: Make, manifest: Make, kaldi: Make) -> None:
    root = folder("1.wav", "ann/2.wav", "ann/monday/3.wav", ".hidden.wav", "notes.txt")
    found = [(r.name, r.speaker, r.session) for r in read_corpus(root, label=None)]
    assert found == [("1.wav", "", None), ("ann/2.wav", "ann", None), ("ann/monday/3.wav", "ann", "monday")]
    listed = read_corpus(manifest("path,room\na.wav,hall\nb.wav,\n"), label=None)
    assert [(r.name, r.speaker, r.columns["room"]) for r in listed] == [("a.wav", "", "hall"), ("b.wav", "", "")]
    assert [r.speaker for r in read_corpus(manifest(PLAIN), label=None)] == [
        r.speaker for r in read_corpus(manifest(PLAIN))
    ]
    with pytest.raises(InvalidInput, match=r"have the column path; got file\. .* as in: path$"):
        read_corpus(manifest("file\na.wav\n"), label=None)
    with pytest.raises(InvalidInput, match=r"line 3 of .* must name a path; got path ''"):
        read_corpus(manifest("path,room\na.wav,hall\n,hall\n"), label=None)
    spoken = kaldi(wav_scp="r1 /far/a.wav\n", segments="u1 r1 0 2\nu2 r1 2 4\n")
    assert [(r.name, r.speaker, r.end) for r in read_corpus(spoken, label=None)] == [("u1", "", 2.0), ("u2", "", 4.0)]
    with pytest.raises(InvalidInput, match="a folder with sound files"):
        read_corpus(root / "ann" / "none", label=None)


def found_names(rows: list[tuple[str, str, str | None, str]], session: str) -> list[str]:
    return [name for name, _, s, _ in rows if s == session]


@pytest.mark.parametrize("names", [["a/notes.txt"], ["1.wav", "2.wav"], [".git/x.wav"]])
def test_folders_without_recordings_of_speakers_are_refused(folder: Make, names: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"must list at least one recording; got none\. .* one subfolder for each"):
        read_corpus(folder(*names))


def test_kaldi_directory_without_segments(kaldi: Make) -> None:
    root = kaldi(wav_scp="r1 /far/a.wav\nr2 near/b c.flac\n", utt2spk="r2 bob\nr1 ann\n")
    assert list(read_corpus(root)) == [
        Recording(
            path,
            speaker,
            name,
            columns={"path": listed, "speaker": speaker, "utterance": name, "recording": name},
        )
        for path, listed, speaker, name in (
            ("/far/a.wav", "/far/a.wav", "ann", "r1"),
            (str(root / "near/b c.flac"), "near/b c.flac", "bob", "r2"),
        )
    ]


@pytest.mark.parametrize("space", [" ", "\t", "   "])
def test_kaldi_directory_with_segments(kaldi: Make, space: str) -> None:
    files = {
        "wav_scp": "call a.wav\nother b.wav\n",
        "segments": "u1 call 0.5 2.25\nu2 call 3 -1\n\nu3 other 0.00 1.00\n",
        "utt2spk": "u1 ann\nu2 bob\nu3 ann\nunused cid\n",
    }
    root = kaldi(**{name: text.replace(" ", space) for name, text in files.items()})
    corpus = read_corpus(root)
    assert [(r.name, r.speaker, r.path, r.start, r.end) for r in corpus] == [
        ("u1", "ann", str(root / "a.wav"), 0.5, 2.25),
        ("u2", "bob", str(root / "a.wav"), 3.0, None),
        ("u3", "ann", str(root / "b.wav"), 0.0, 1.0),
    ]
    assert [r.name for r in corpus.where(recording="call")] == ["u1", "u2"]
    assert [r.session_name for r in corpus] == ["u1", "u2", "u3"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"wav_scp": "r1 sph2pipe -f wav a.sph |\n", "utt2spk": "r1 a\n"},
            r"wav\.scp must name sound files; got a command for r1: sph2pipe .*\| \(line 1\)\. Run the commands once",
        ),
        ({"wav_scp": "r1 a.wav\n"}, r"must have the files wav\.scp \(or feats\.scp\) and utt2spk; got no .*utt2spk"),
        (
            {"wav_scp": "r1 a.wav\nr2 b.wav\nr3 c.wav\n", "utt2spk": "r1 ann\n"},
            r"utt2spk must name the speaker of every utterance; got none for r2 \(2 in all\)",
        ),
        (
            {"wav_scp": "r1 a.wav\n", "utt2spk": "r1 a\n", "segments": "u1 r9 0 1\n"},
            r"segments must read 'utterance recording start end' with a recording of wav\.scp; got u1 r9 0 1",
        ),
        ({"wav_scp": "r1 a.wav\n", "utt2spk": "u1 a\n", "segments": "u1 r1 0\n"}, "must read 'utterance recording"),
        ({"wav_scp": "r1 a.wav\n", "utt2spk": "u1 a\n", "segments": "u1 r1 0 1 2\n"}, "must read 'utterance recording"),
        (
            {"wav_scp": "r1 a.wav\n", "utt2spk": "u1 a\n", "segments": "u1 r1 zero 1\n"},
            r"u1 in .*segments must be a number of seconds; got 'zero'",
        ),
        (
            {"wav_scp": "r1 a.wav\n", "utt2spk": "u1 a\nu2 a\n", "segments": "u1 r1 0 1\nu2 r1 0 1\n"},
            "must list each recording once; got u2 twice",
        ),
        ({"wav_scp": "", "utt2spk": "r1 a\n"}, r"the corpus .* must list at least one recording; got none"),
        ({"wav_scp": "r1 a.wav\nr1 b.wav\n", "utt2spk": "r1 a\n"}, r"line 2 of .*wav\.scp must hold a key of its own"),
        ({"wav_scp": "r1 a.wav\n", "utt2spk": "r1\n"}, r"line 1 of .*utt2spk must hold a key of its own and a value"),
        ({"wav_scp": b"r1 J\xfcrgen.wav\n", "utt2spk": "r1 a\n"}, r"wav\.scp must be text in UTF-8; got 'utf-8' codec"),
    ],
)
def test_bad_kaldi_directories_are_refused(kaldi: Make, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_corpus(kaldi(**files))


@pytest.mark.parametrize("name", ["feats.scp", "wav.scp", "feats.ark"])
def test_a_part_of_a_kaldi_directory_is_no_corpus(manifest: Make, name: str) -> None:
    words = rf"a corpus must say who speaks; got .*{name} alone\. Give the Kaldi directory that it lies in, or a corpus"
    with pytest.raises(InvalidInput, match=words):
        read_corpus(manifest("u a.ark:2\n", name))


def test_files_have_names():
    with pytest.raises(InvalidInput, match="files must be at least one; got none"):
        Corpus.from_files([])
    with pytest.raises(InvalidInput, match=r"files must have names; got \['a.wav', ''\]"):
        Corpus.from_files(["a.wav", ""])


def test_links_to_folders_are_followed_and_never_in_a_circle(folder: Make, tmp_path: Path) -> None:
    root = folder("ann/1.wav", "ann/monday/2.wav")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "3.wav").touch()
    (root / "bob").symlink_to(elsewhere)  # as corpora are often put together
    (elsewhere / "back").symlink_to(root)
    (root / "ann" / "up").symlink_to(root / "ann")
    (root / "cid").mkdir()
    (root / "cid" / "4.wav").symlink_to(elsewhere / "3.wav")
    corpus = read_corpus(root)
    found = [(r.name, r.speaker) for r in corpus]
    assert found == [("ann/1.wav", "ann"), ("ann/monday/2.wav", "ann"), ("bob/3.wav", "bob"), ("cid/4.wav", "cid")]

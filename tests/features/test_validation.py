"""A corpus is checked as a whole: all problems together, each with its line, before any sound is opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import BadCorpus, InvalidInput, SpeechGMMWarning
from speechgmm.features import Corpus, Recording, common_rate, in_other_splits, missing, preset_for, read_corpus


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_all_problems_of_a_csv_are_told_together_with_their_lines(tmp_path: Path) -> None:
    rows = ["a.wav,ann,,", "b.wav,,,", "c.wav,ann,2,2", "c.wav,ann,x,3", "./a.wav,bob,,", "d.wav", "e.wav,eve,-1,3"]
    path = csv(tmp_path / "m.csv", "\n".join(["path,speaker,start,end", *rows]))
    with pytest.raises(BadCorpus) as found:
        read_corpus(path)
    wanted = (
        f"line 3 of {path} must name a path and a speaker; got path 'b.wav', speaker ''.",
        f"the start in line 5 of {path} must be a number of seconds; got 'x'.",
        f"line 7 of {path} must hold 4 fields divided by commas, as the header does; got 1 in 'd.wav'.",
        f"{path} must list parts that end after they start, at 0 s or later; got 2 to 2 s in c.wav (line 4).",
        f"{path} must list each recording once; got ./a.wav twice, in line 2 and in line 6.",
        f"{path} must list parts that end after they start, at 0 s or later; got -1 to 3 s in e.wav (line 8).",
    )
    assert found.value.problems == wanted
    assert str(found.value) == "\n".join([f"{path} must be without mistakes; got 6 of them:", *wanted])


def test_a_long_list_is_shown_in_part_and_kept_whole(tmp_path: Path) -> None:
    path = csv(tmp_path / "m.csv", "path,speaker\n" + "a.wav,\n" * 25)
    with pytest.raises(BadCorpus) as found:
        read_corpus(path)
    assert len(found.value.problems) == 25
    assert str(found.value).splitlines()[20:] == [found.value.problems[19], "and 5 more problems"]


@given(bad=st.sets(st.integers(0, 9), min_size=1))
def test_what_is_refused_is_exactly_what_is_wrong(bad: set[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [f"{i}.wav,{'' if i in bad else 'ann'}" for i in range(10)]
    path = csv(tmp_path_factory.mktemp("m") / "m.csv", "\n".join(["path,speaker", *lines]))
    with pytest.raises(InvalidInput) as found:
        read_corpus(path)
    problems = getattr(found.value, "problems", (str(found.value),))
    assert [p.split(" of ")[0] for p in problems] == [f"line {i + 2}" for i in sorted(bad)]


@pytest.mark.parametrize(("start", "end"), [("nan", ""), ("", "nan"), ("3", "1"), ("1", "1"), ("inf", "")])
def test_parts_that_hold_nothing_are_refused(tmp_path: Path, start: str, end: str) -> None:
    with pytest.raises(InvalidInput, match=r"must list parts that end after they start, .* s in a\.wav \(line 2\)"):
        read_corpus(csv(tmp_path / "m.csv", f"path,speaker,start,end\na.wav,ann,{start},{end}\n"))


def test_kaldi_directories_tell_all_their_problems(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("r1 a.wav\nr2 b.wav\nr2 c.wav\nr3\n")
    (tmp_path / "utt2spk").write_text("u1 ann\nu2 bob\nu3\nu4 cid\n")
    (tmp_path / "segments").write_text("u1 r1 0 1\nu2 r9 0 1\nu4 r1 5 5\nu5 r1 0 1\n")
    with pytest.raises(BadCorpus) as found:
        read_corpus(tmp_path)
    heads = [p.split(" must ")[0].replace(f"{tmp_path}", ".") for p in found.value.problems]
    assert heads == [
        "line 3 of ./wav.scp",
        "line 4 of ./wav.scp",
        "line 3 of ./utt2spk",
        "./utt2spk",
        "./segments",
        ".",
    ]
    assert "u2 r9 0 1" in found.value.problems[4]
    assert "5 to 5 s in u4 (line 3 of segments)" in found.value.problems[5]


def test_commands_in_wav_scp_are_refused_with_the_way_to_files(tmp_path: Path) -> None:
    """The loop that the message gives is run, and what it makes is read."""
    import subprocess

    commands = "".join(f"u{i} printf sound{i} |\n" for i in range(3))
    (tmp_path / "wav.scp").write_text(commands)
    (tmp_path / "utt2spk").write_text("u0 ann\nu1 ann\nu2 bob\n")
    with pytest.raises(InvalidInput, match=r"for u0: printf sound0 \| \(lines 1, 2, 3\)\. Run the commands") as found:
        read_corpus(tmp_path)
    loop = str(found.value).partition("that they make: ")[2]
    subprocess.run(["bash", "-c", loop], cwd=tmp_path, check=True)
    (tmp_path / "new.scp").rename(tmp_path / "wav.scp")
    assert [Path(r.path).read_text() for r in read_corpus(tmp_path)] == ["sound0", "sound1", "sound2"]
    (tmp_path / "wav.scp").write_text("".join(f"u{i} true |\n" for i in range(30)))
    with pytest.raises(InvalidInput, match="19, 20 and others, 30 in all"):
        read_corpus(tmp_path)


SPLITS = "path,speaker,split\n1,ann,ubm\n2,bob,test\n3,ann,test\n4,cid,enroll\n5,cid,test\n6,bob,ubm\n7,ann,enroll\n"


def test_who_of_a_background_is_in_another_split(tmp_path: Path) -> None:
    corpus = read_corpus(csv(tmp_path / "m.csv", SPLITS))

    def found(recordings: Iterable[Recording]) -> list[tuple[str, str]]:
        return [(mine.row, other.row) for mine, other in in_other_splits(recordings)]

    assert found(corpus.where(split="ubm")) == [("line 7", "line 3"), ("line 2", "line 4")]
    assert found(corpus.where(split="enroll", speaker="cid")) == [("line 5", "line 6")]
    labeled = csv(tmp_path / "l.csv", "path,split\n1,ubm\n2,test\n")
    for none in (
        corpus,
        corpus.where(split=("test", "enroll", "ubm")),
        corpus.where(speaker="cid"),
        corpus.where(split=("test", "enroll"), speaker="cid"),
        list(corpus.where(split="ubm")),
        read_corpus(labeled, label=None).where(split="ubm"),
    ):
        assert found(none) == []


def test_files_that_are_not_there_are_told_beforehand(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    corpus = read_corpus(csv(tmp_path / "m.csv", "path,speaker,start\na.wav,x,\nb.wav,x,\nb.wav,x,5\n"))
    assert [r.place for r in missing(corpus)] == ["b.wav (line 3)", "b.wav@5- (line 4)"]
    assert missing(corpus.where(path="a.wav")) == ()


def test_mixed_rates_are_told_with_their_lines(tmp_path: Path) -> None:
    rows = ["path,speaker"]
    for i in range(8):
        rate = 16000 if i < 7 else 8000
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(rate), rate)
        rows.append(f"{i}.wav,ann")
    corpus = read_corpus(csv(tmp_path / "m.csv", "\n".join(rows)))
    words = r"mixed: 8000 Hz 1 \(7\.wav \(line 9\)\); 16000 Hz 7\. All are taken at 8000 Hz$"
    with pytest.warns(SpeechGMMWarning, match=words):
        assert preset_for(corpus, "speech").sample_rate == 8000  # type: ignore[attr-defined]
    with pytest.warns(SpeechGMMWarning, match=r"8000 Hz 1 .*; 16000 Hz 7\. All are taken at 16000 Hz, and lower ones"):
        assert common_rate(corpus, minimum=9000, told=True) == 16000
    assert common_rate(corpus) == 8000
    assert common_rate(Corpus(corpus.recordings[:7], "m"), told=True) == 16000
    few = [Recording(str(tmp_path / f"{i}.wav"), "x", f"{i}") for i in range(7)]
    for i in range(8):
        soundfile.write(tmp_path / f"low{i}.wav", np.zeros(8000), 8000)
    more = [Recording(str(tmp_path / f"low{i}.wav"), "x", f"low{i}") for i in range(8)]
    with pytest.warns(SpeechGMMWarning, match=r"8000 Hz 8; 16000 Hz 7 \(0, 1, 2, 3, 4, \.\.\.\)\. All"):
        common_rate([*few, *more], told=True)

"""Corpora on the command line: what was recognized is said, and all that is wrong with a corpus is told before work."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from tests.cli.running import DATA, run

VOICES = {"id10001": "rms", "id10002": "slt"}


def test_voxceleb_and_its_official_trials(using, tmp_path):
    names = {}
    for speaker, voice in VOICES.items():
        for number, session in enumerate(("s1_1", "s2_1"), 1):
            name = f"{speaker}/{voice + 'video':_<11}/{number:05d}.flac"
            (tmp_path / "wav" / name).parent.mkdir(parents=True, exist_ok=True)
            names[voice, session] = shutil.copy(DATA / voice / f"{session}.flac", tmp_path / "wav" / name) and name
    trials = tmp_path / "veri_test.txt"
    same, other = (names["rms", "s1_1"], names["rms", "s2_1"]), (names["slt", "s1_1"], names["rms", "s2_1"])
    trials.write_text(f"1 {' '.join(same)}\n0 {' '.join(other)}\n")
    score = ("score", *using[:2], "--manifest", tmp_path / "wav", "--trials", trials, "-o", tmp_path / "s", "--json")
    done = run(*score)
    assert (done.status, done.document["targets"], done.document["trials"]) == (0, 1, 2)
    said = f"{tmp_path / 'wav'} is VoxCeleb's folders, speaker/video/file: 4 recordings of 2 speakers\n"
    assert done.err == f"speechgmm: {said}"
    (tmp_path / "wav" / "readme.wav").touch()
    shutil.move(tmp_path / "wav", tmp_path / "vox" / "wav")
    refused = run("train", tmp_path / "vox", "-o", tmp_path / "m")
    refused.refused("must lie as idSPEAKER/VIDEO/NUMBER", "readme.wav")


def test_a_manifest_of_lhotse(own, tmp_path):
    recording = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": str(DATA / "rms" / "s2_1.flac")}]}
    said = {"id": "u", "recording_id": "r", "start": 0.5, "duration": 1.5, "channel": 0, "speaker": "new"}
    (tmp_path / "recordings.jsonl").write_text(json.dumps(recording))
    (tmp_path / "supervisions.jsonl").write_text(json.dumps(said))
    done = run("enroll", *own, "--manifest", tmp_path, "--json")
    assert [(s["speaker"], s["session"]) for s in done.document["sessions"]] == [("new", "u")]
    assert 0 < done.document["sessions"][0]["speech_seconds"] <= 1.5
    assert "is a manifest of lhotse: 1 recording of 1 speaker\n" in done.err


def test_all_that_is_wrong_is_told_line_by_line(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,speaker,start,end\na.wav,,,\nb.wav,x,3,3\nc.wav,x,,\nc.wav,y,,\n")
    done = run("train", path, "-o", tmp_path / "m", "--json")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"speechgmm: {path} must be without mistakes; got 3 of them:",
        f"speechgmm: line 2 of {path} must name a path and a speaker; got path 'a.wav', speaker ''.",
        f"speechgmm: {path} must list parts that end after they start, at 0 s or later; "
        "got 3 to 3 s in b.wav (line 3).",
        f"speechgmm: {path} must list each recording once; got c.wav twice, in line 4 and in line 5.",
    ]
    assert not (tmp_path / "m").exists()


@pytest.fixture
def rows(tmp_path):
    """The rows of a small corpus of one rate, with a missing file."""
    files = [DATA / voice / f"s1_{n}.flac" for voice in ("rms", "slt") for n in (1, 2)]
    return [f"{f},{f.parent.name}" for f in files] + ["gone.wav,rms", "lost.wav,slt"]


def test_missing_files_are_told_before_the_work_and_mixed_rates_too(rows, tmp_path):
    soundfile.write(tmp_path / "low.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 8000)
    path = tmp_path / "m.csv"
    path.write_text("\n".join(["path,speaker", *rows]))
    train = ("train", path, "-o", tmp_path / "m", "--components", 2, "--json")
    done = run(*train)
    assert (done.status, [s["file"] for s in done.document["skipped"]]) == (1, ["gone.wav", "lost.wav"])
    first = f"speechgmm: 2 of 6 files of {path} missing: gone.wav (line 6), lost.wav (line 7)\n"
    assert done.err.startswith(first)
    path.write_text("\n".join(["path,speaker", *rows[:4], "low.wav,rms"]))
    with pytest.warns(match=r"mixed: 8000 Hz 1 \(low\.wav \(line 6\)\); 16000 Hz 4\. All are taken at 8000 Hz"):
        assert run(*train).status == 0


def test_train_says_which_background_speakers_are_in_another_split(rows, tmp_path):
    path = tmp_path / "m.csv"
    splits = ("ubm", "test", "ubm", "enroll")
    path.write_text("\n".join(["path,speaker,split", *(f"{r},{s}" for r, s in zip(rows, splits, strict=False))]))
    done = run("train", path, "-o", tmp_path / "m", "--where", "split=ubm", "--components", 2)
    assert done.status == 0
    assert "speechgmm: 2 background speakers in another split too; whoever the background knows is no str" in done.err
    for words in ("rms (", "s1_1.flac (line 2); test: ", "s1_2.flac (line 3))"):
        assert words in done.err


@pytest.mark.parametrize("command", ["train", "features"])
def test_too_many_failures_end_a_command_that_names_them(tmp_path, command):
    path = tmp_path / "m.csv"
    good = "".join(f"{DATA / name}.flac,{name[:3]}\n" for name in ("rms/s1_1", "slt/s1_1"))
    path.write_text(f"path,speaker\nsilent.wav,rms\n{good}zero.wav,slt\n")
    for name in ("silent.wav", "zero.wav"):
        soundfile.write(tmp_path / name, np.zeros(16000), 16000)
    output = tmp_path / "out.npz"
    what = (path,) if command == "train" else ("--manifest", path)
    done = run(command, *what, "-o", output, "--max-failures", 1, *("--components", 2) * (command == "train"))
    assert (done.status, done.out) == (1, "")
    assert "speechgmm: recordings that cannot be used must be at most 1; got 2 so far:" in done.err
    for name in ("silent.wav", "zero.wav"):
        assert f"speechgmm: {name}: {tmp_path / name} must hold at least 0.08 s of speech" in done.err
    assert not output.exists()

"""The command adapt: unlabeled recordings in, another model out."""

import pytest

from tests.cli.running import DATA, MANIFEST, run
from tests.sounds import voice, write


@pytest.fixture
def flat(tmp_path):
    """A folder of recordings of whoever, without subfolders."""
    for i in range(3):
        write(tmp_path / "heard" / f"{i}.wav", voice(2.0, seed=i))
    return tmp_path / "heard"


def test_a_flat_folder_adapts_a_model_and_info_says_so(made, flat, tmp_path):
    out = tmp_path / "mine.sgmm"
    done = run("adapt", made.model, flat, "-o", out, "--json")
    assert (done.status, done.err) == (0, "")
    before = run("info", made.model, "--json").document
    assert done.document["model"] == str(out)
    assert done.document["fingerprint"] not in (before["fingerprint"], None)
    (told,) = done.document["info"]["adapted"]
    assert (told["from"], told["recordings"], told["skipped"]) == (before["fingerprint"], 3, 0)
    shown = run("info", out).out
    assert f"adapted to   3 recordings, {told['speech_seconds']:.1f} s of speech (0 left out), from the model" in shown
    assert before["fingerprint"] in shown
    store = ("--store", tmp_path / "s.db")
    assert run("enroll", "--model", out, *store, "rms", DATA / "rms" / "s1_1.flac").status == 0
    found = run("identify", *store, DATA / "rms" / "s2_1.flac")
    found.refused("of a packaged model where no --model is given", done.document["fingerprint"], "Give --model")
    assert run("identify", "--model", out, *store, DATA / "rms" / "s2_1.flac").status == 0


def test_without_a_model_the_packaged_one_for_these_recordings(flat, tmp_path):
    done = run("adapt", flat, "-o", tmp_path / "a.sgmm")
    assert done.status == 0
    assert "yes, before it was adapted: its rates were not measured since" in done.out
    assert "EER" not in done.out
    assert "measured before this adaptation" in done.err
    assert "sample_rate=16000" in done.out
    write(flat / "call.wav", voice(2.0, 8000), 8000)
    assert "sample_rate=8000" in run("adapt", flat, "-o", tmp_path / "b.sgmm").out


def test_a_list_of_paths_and_a_corpus_do_as_well(made, flat, tmp_path):
    (flat / "paths.csv").write_text("path,room\n0.wav,hall\n1.wav,hall\n2.wav,van\nnone.wav,van\n")
    done = run("adapt", made.model, flat / "paths.csv", "-o", tmp_path / "a.sgmm", "--where", "room=van", "--json")
    assert done.status == 1
    assert [s["file"] for s in done.document["skipped"]] == ["none.wav"]
    assert "left out: " in done.err
    assert "none.wav, which does not" in done.err
    assert (tmp_path / "a.sgmm").exists()
    corpus = run("adapt", made.model, MANIFEST, "-o", tmp_path / "b.sgmm", "--where", "speaker=rms", "--json")
    assert corpus.document["info"]["adapted"][0]["recordings"] == 5


def test_what_is_refused(made, flat, tmp_path):
    out = ("-o", tmp_path / "a.sgmm")
    run("adapt", made.model, tmp_path / "no", *out).refused("a corpus must exist", "a folder with sound files")
    run("adapt", made.model, made.store, *out).refused("UTF-8")
    run("adapt", tmp_path / "no", flat, *out).refused("the model file must exist")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_text("no sound")
    run("adapt", made.model, tmp_path / "bad", *out).refused("at least one that can be used", "a.wav")
    run("adapt", made.model, flat, "-o", made.store).refused(made.store)
    assert not out[1].exists()
    run("adapt", made.model, flat, flat, *out).misused("give one MODEL and one folder")
    run("adapt", *out).misused("Missing argument")

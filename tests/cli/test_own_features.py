"""Features of your own on the command line: from a CSV of .npy files to answers, equal to those of the sound itself."""

import csv

import numpy as np
import pytest

from speechgmm.errors import SameRecording
from speechgmm.evaluation import read_scores
from speechgmm.features import OwnFeatures
from speechgmm.speakers import SpeakerStore, enroll_features, load_system
from tests.cli.conftest import few_of
from tests.cli.running import DATA, MANIFEST, run

RMS, SLT = "rms/s2_1.flac", "slt/s2_1.flac"


@pytest.fixture(scope="module")
def own(made, tmp_path_factory):
    """The manifest with the features of each recording in its place, and a model of them."""
    folder, frontend = tmp_path_factory.mktemp("own"), load_system(made.model).frontend
    with MANIFEST.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        path = folder / f"{row['path']}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, frontend.from_file(DATA / row["path"]))
        row["path"] += ".npy"
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    train = ("train", folder / "m.csv", "-o", folder / "model", "--where", "split=ubm", "--components", 16, "--json")
    assert run(*train).status == 0
    return folder


def test_the_model_says_what_it_takes(own, made):
    of_features, of_sound = load_system(own / "model"), load_system(made.model)
    assert of_features.frontend == OwnFeatures(dimensions=60)
    np.testing.assert_array_equal(of_features.ubm.means, of_sound.ubm.means)
    shown = run("info", own / "model")
    assert "features (.npy files, Kaldi archives), no sound" in shown.out
    assert "kind=features, dimensions=60, hop_length=0.01" in shown.out
    assert run("info", own / "model", "--json").document["frontend"]["kind"] == "features"
    assert "takes" in run("info", made.model).out


def test_answers_and_scores_are_those_of_the_sound(own, made, ranking, tmp_path):
    mine = ("--model", own / "model", "--store", tmp_path / "s.db")
    done = run("enroll", *mine, "--manifest", own / "m.csv", "--where", "split=enroll", "--json")
    assert (done.status, done.document["sessions"]) == (0, made.enrolled.document["sessions"])
    few_of(tmp_path / "s.db")  # of more people some frames count, which are drawn by the digest of what was given
    files = [own / f"{name}.npy" for name in (RMS, SLT)]
    told = run("identify", *mine, *files, "--json").document["files"]
    heard = run("identify", *ranking, DATA / RMS, DATA / SLT, "--json").document["files"]
    for of_features, of_sound in zip(told, heard, strict=True):
        for name in ("speech_seconds", "status"):
            assert of_features[name] == of_sound[name]
        for a, b in zip(of_features["candidates"], of_sound["candidates"], strict=True):
            assert (a["speaker"], a["llr"]) == (b["speaker"], pytest.approx(b["llr"], rel=1e-4))  # summed otherwise
    assert run("verify", *mine, "rms", files[0], "--threshold", -5).status == 0
    score = ("score", *mine, "--manifest", own / "m.csv", "--where", "split=test", "-o", tmp_path / "scores")
    assert run(*score).status == 0
    tests = ("--manifest", MANIFEST, "--where", "split=test")
    assert run("score", *ranking, *tests, "-o", tmp_path / "of_sound").status == 0
    found, wanted = (read_scores(tmp_path / name).score for name in ("scores", "of_sound"))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    again = own / "rms" / "s1_1.flac.npy"
    run("enroll", *mine, "again", again).refused("be enrolled once", "enrolled as 'rms'")
    system = load_system(own / "model")
    with SpeakerStore(tmp_path / "s.db", system) as store, pytest.raises(SameRecording, match="enrolled as 'rms'"):
        enroll_features(system, store, "again", np.load(again).astype(np.float64))


def test_sound_and_features_do_not_mix(own, made, ranking, tmp_path):
    both = tmp_path / "both.csv"
    both.write_text(f"path,speaker\n{own / RMS}.npy,rms\n{DATA / SLT},slt\n")
    run("train", both, "-o", tmp_path / "m").refused("not of both", f"{own / RMS}.npy and {DATA / SLT}")
    done = run("identify", *ranking, DATA / RMS, own / f"{RMS}.npy", "--json")
    assert (done.status, [f["status"] for f in done.document["files"]]) == (1, ["ranked", "error"])
    assert "must be sound, as MFCC(" in done.err
    mine = ("--model", own / "model", "--store", tmp_path / "s.db")
    assert run("enroll", *mine, "rms", own / "rms" / "s1_1.flac.npy").status == 0
    np.save(tmp_path / "few.npy", np.zeros((9, 13)))
    done = run("identify", *mine, DATA / RMS, tmp_path / "few.npy", own / f"{RMS}.npy", "--json")
    assert [f["status"] for f in done.document["files"]] == ["error", "error", "ranked"]
    assert f"{DATA / RMS} must be features, in a .npy file or a Kaldi archive, as this model takes no sound" in done.err
    assert f"{tmp_path / 'few.npy'} must have 60 features per frame, as the model has; got 13" in done.err
    run("identify", "--model", own / "model", "--store", made.store, own / f"{RMS}.npy").refused("OwnFeatures", "MFCC")
    run("train", own / "m.csv", "-o", tmp_path / "m", "--sample-rate", 8000).refused("must be sound, as MFCC(")


def test_classes_of_features(own, tmp_path):
    train = ("classify", "train", own / "m.csv", "--label", "gender", "--components", 4, "-o", tmp_path / "c", "--json")
    told = run(*train).document
    assert (told["frontend"]["kind"], told["info"]["data"]["sounds"]) == ("features", {"f": 45, "m": 45})
    files = [own / f"{name}.npy" for name in (RMS, SLT)]
    told = run("classify", "predict", tmp_path / "c", *files, "--json").document["files"]
    assert [f["label"] for f in told] == ["m", "f"]
    refused = ("the preset 'speech' must be for sound; got", ".npy, a file of features. Leave the preset out.")
    for command in (train[:-1], ("features", files[0], "-o", tmp_path / "f.npz")):
        run(*command, "--preset", "speech").refused(*refused)

"""classify train, predict and evaluate: tables, JSON, files, and what they refuse."""

import csv

import numpy as np
import pytest

from speechgmm.classification import load_classifier, train_classifier
from speechgmm.classification.train import SETTINGS
from speechgmm.errors import SpeechGMMWarning
from speechgmm.features import preset, read_corpus
from tests.cli.running import run
from tests.kinds import KINDS, sound
from tests.sounds import cut, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three kinds of eight sounds each, in a folder a kind, and a manifest with folds and sources."""
    root = tmp_path_factory.mktemp("labeled")
    rows = []
    for kind in KINDS[1:]:
        for i in range(8):
            write(root / kind / f"{i}.wav", sound(kind, i), 8000)
            rows.append({"path": f"{kind}/{i}.wav", "kind": kind, "fold": i % 2, "speaker": f"m{i % 4}"})
    with (root / "m.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


FAST = ("--components", 4, "--preset", "sound")


@pytest.fixture(scope="module")
def trained(folder):
    """What train says of the model that it writes."""
    told = run("classify", "train", folder, "-o", folder / "m.sgmm", *FAST, "--json")
    assert told.status == 0
    return told.document


@pytest.fixture(scope="module")
def model(folder, trained):
    return folder / "m.sgmm"


def test_train_tells_what_it_made(folder, model, trained):
    assert (trained["type"], trained["labels"], trained["calibrated"]) == ("AudioClassifier", list(KINDS[1:]), True)
    assert trained["frontend"]["speech"] == "none"
    assert trained["info"]["data"]["sounds"] == dict.fromkeys(KINDS[1:], 8)
    corpus = read_corpus(folder)
    settings = type(SETTINGS)(n_components=4, relevance=4.0, max_iterations=2)
    labels = [r.speaker for r in corpus]
    called = train_classifier(corpus, labels, frontend=preset("sound", 8000), settings=settings).classifier
    assert called.fingerprint == trained["fingerprint"] == load_classifier(model).fingerprint
    shown = run("info", model)
    assert "click (8), noise (8), tone (8)" in shown.out
    assert run("info", model, "--json").document["type"] == "AudioClassifier"
    assert max(map(len, shown.out.splitlines())) <= 80


def test_supervectors_are_another_back_end(folder, trained, tmp_path):
    assert trained["backend"] == "both"
    model, options = tmp_path / "m.sgmm", (*FAST, "--backend", "svm")
    told = run("classify", "train", folder, "-o", model, *options, "--json").document
    assert (told["backend"], told["components"], told["calibrated"]) == ("svm", [4], True)
    assert told["fingerprint"] != trained["fingerprint"]
    assert "supervectors of a background, and a linear machine" in run("info", model).out
    found = run("classify", "predict", model, folder / "tone" / "0.wav", "--far", 0.5, "--json").document
    assert found["files"][0]["candidates"][0]["label"] == "tone"
    by_folds = ("classify", "evaluate", folder / "m.csv", "--label", "kind", "--folds", "fold")
    assert run(*by_folds, *options, "--json").document["accuracy"] > 0.9
    run("classify", "train", folder, "-o", model, *FAST, "--backend", "knn").refused(
        "one of 'both', 'gmm', 'svm'; got 'knn'"
    )
    run(*by_folds, *options, "--alone").refused("relevance must be a number for the back end svm", "--alone")


def test_rows_that_are_left_out_need_no_label(folder, tmp_path):
    manifest = folder / "split.csv"
    rows = [
        f"{kind}/{i}.wav,{kind if i < 4 else ''},{'train' if i < 4 else 'test'}" for kind in KINDS[1:] for i in range(8)
    ]
    manifest.write_text("\n".join(["path,label,split", *rows]), encoding="utf-8")
    told = run("classify", "train", manifest, "--where", "split=train", "-o", tmp_path / "m", *FAST, "--json").document
    assert told["info"]["data"]["sounds"] == dict.fromkeys(KINDS[1:], 4)
    told = run("classify", "train", manifest, "-o", tmp_path / "m", *FAST)
    told.refused("the column 'label' must hold a label for every recording; got nothing for click/4.wav")


def test_a_file_below_8_khz_does_not_stop_the_others(folder, tmp_path):
    rows = [f"{folder}/{kind}/{i}.wav,{kind}" for kind in KINDS[1:] for i in range(2)]
    low = write(tmp_path / "low.wav", sound("tone", 0, 4000), 4000)
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(["path,label", *rows, f"{low},tone"]), encoding="utf-8")
    with pytest.warns(
        SpeechGMMWarning, match=r"mixed: 4000 Hz 1 \(\S*low\.wav \(line 8\)\); .* lower ones are left out"
    ):
        told = run("classify", "train", manifest, "-o", tmp_path / "m", *FAST, "--json")
    assert told.status == 1
    assert [s["file"] for s in told.document["skipped"]] == [str(low)]
    assert "at least the model's rate of 8000 Hz; got 4000 Hz" in told.err
    assert load_classifier(tmp_path / "m").frontend.sample_rate == 8000
    with pytest.warns(SpeechGMMWarning, match="rates are mixed: 4000 Hz 1 .*; 8000 Hz 1"):
        told = run("features", folder / "tone" / "0.wav", low, "--preset", "sound", "-o", tmp_path / "f.npz")
    assert told.status == 1
    assert [row[0] for row in told.rows[:1]] == [str(folder / "tone" / "0.wav")]


def test_a_classifier_that_held_nothing_out(folder, tmp_path):
    rows = [f"{folder}/{kind}/0.wav,{kind}" for kind in KINDS[1:]]
    manifest, model = tmp_path / "m.csv", tmp_path / "m"
    manifest.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    assert run("classify", "train", manifest, "-o", model, *FAST).status == 0
    assert "no: too few classes or sounds" in run("info", model).out
    assert "entropy" not in run("classify", "evaluate", manifest, "--model", model).out
    assert run("classify", "evaluate", manifest, "--model", model, "--json").document["cross_entropy_bits"] is None


def test_features_of_a_classifier(folder, model, tmp_path):
    told = run("features", folder / "tone" / "0.wav", "--model", model, "-o", tmp_path / "f.npz", "--json")
    frontend = load_classifier(model).frontend
    assert (told.status, told.document["fingerprint"]) == (0, frontend.fingerprint)
    with np.load(tmp_path / "f.npz") as held:
        expected = frontend.from_file(folder / "tone" / "0.wav")
        np.testing.assert_array_equal(held[str(folder / "tone" / "0.wav")], expected)


def test_predict_gives_labels_and_posteriors(folder, model):
    files = [folder / kind / "0.wav" for kind in KINDS[1:]]
    told = run("classify", "predict", model, *files, "--top", 2, "--json").document
    assert told["calibrated"] is True
    assert [f["label"] for f in told["files"]] == list(KINDS[1:])
    assert [f["file"] for f in told["files"]] == [str(f) for f in files]
    assert [len(f["candidates"]) for f in told["files"]] == [2, 2, 2]
    assert {"label", "posterior"} <= set(told["files"][0]["candidates"][0])
    shown = run("classify", "predict", model, "--manifest", folder / "m.csv", "--where", "kind=tone")
    assert [row[:2] for row in shown.rows] == [[f"tone/{i}.wav", "tone"] for i in range(8)]
    strange = write(folder.parent / "chirp.wav", sound("chirp", 0), 8000)
    told = run("classify", "predict", model, strange, "--far", 1e-6, "--json").document
    assert (told["files"][0]["status"], told["files"][0]["label"]) == ("unknown", None)
    assert run("classify", "predict", model, strange, "--far", 1e-6).rows[0][1] == "unknown"
    run("classify", "predict", model, strange, "--far", 0).misused("far must be above 0")


def test_evaluate_by_a_model_and_by_folds(folder, model, tmp_path):
    by_model = run("classify", "evaluate", folder / "m.csv", "--label", "kind", "--model", model, "--json").document
    assert (by_model["files"], by_model["accuracy"], by_model["groups"]) == (24, 1.0, 4)
    shown = run("classify", "evaluate", folder / "m.csv", "--label", "kind", "--model", model).out
    assert "100.0 %, 95 % interval 86.2 to 100.0 % over files" in shown  # Wilson's: no speaker differs from another
    assert np.array(by_model["confusion"]).tolist() == (8 * np.eye(3, dtype=int)).tolist()
    picture = tmp_path / "c.png"
    options = ("--label", "kind", "--folds", "fold", *FAST, "--picture", picture)
    by_folds = run("classify", "evaluate", folder / "m.csv", *options)
    assert by_folds.status == 0
    assert "over speakers" in by_folds.out or "over files" in by_folds.out
    assert "cross-entropy" in by_folds.out
    assert [row[0] for row in by_folds.rows] == list(KINDS[1:])
    assert picture.stat().st_size > 10_000
    told = run(
        "classify", "evaluate", folder / "m.csv", "--label", "kind", "--folds", "fold", *FAST, "--alone", "--json"
    )
    low, high = told.document["interval"]
    assert 0.8 < low <= told.document["accuracy"] <= high


def test_a_picture_of_labels_of_any_length_and_script_says_nothing_on_the_terminal(folder, tmp_path):
    names = dict(zip(KINDS[1:], ("你好世界", "long name " * 20, "$a_{"), strict=True))
    rows = [f"{folder}/{kind}/{i}.wav,{names[kind]},{i % 2}" for kind in KINDS[1:] for i in range(4)]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,fold", *rows]), encoding="utf-8")
    options = ("--folds", "fold", *FAST, "--picture", tmp_path / "c.png", "--json")
    told = run("classify", "evaluate", tmp_path / "m.csv", *options)  # warnings are errors
    assert (told.status, told.err) == (0, "")
    assert (tmp_path / "c.png").stat().st_size > 10_000


def test_one_bad_file_is_reported_and_the_others_are_kept(folder, model, tmp_path):
    bad = cut(write(tmp_path / "cut.flac", sound("tone", 0), 8000), 0.4)
    told = run("classify", "predict", model, bad, folder / "tone" / "0.wav", "--json")
    assert told.status == 1
    assert [f["label"] for f in told.document["files"]] == [None, "tone"]
    assert told.document["files"][0]["status"] == "error"
    assert told.err.count("\n") == 1
    assert "cut.flac" in told.err


def test_what_is_refused(folder, model, tmp_path):
    manifest, output = folder / "m.csv", tmp_path / "m"
    run("classify", "train", manifest, "-o", output).refused(
        "the label must name a column: path, kind, fold, speaker; got 'label'. Choose one of these."
    )
    run("classify", "train", manifest, "-o", output, "--label", "word").refused("got 'word'")
    run("classify", "train", folder, "-o", output, "--label", "word").refused("the label must name a column", "'word'")
    where = ("--where", "kind=tone")
    run("classify", "train", manifest, "-o", output, "--label", "kind", *where, *FAST).refused("at least two classes")
    (tmp_path / "empty").mkdir()
    run("classify", "train", tmp_path / "empty", "-o", output).refused("one subfolder")
    run("classify", "evaluate", manifest, "--label", "fold", "--model", model).refused(
        "'0'", "Choose rows with --where"
    )
    run("classify", "evaluate", manifest, "--label", "kind", "--folds", "part").refused(
        "the fold must name a column: path, kind, fold, speaker; got 'part'"
    )
    run("classify", "predict", manifest, folder / "tone" / "0.wav").refused("be a speechgmm file")
    run("classify", "predict", model).misused("give files, or --manifest")
    run("classify", "predict", model, "a.wav", "--where", "a=b").misused("give files, or --manifest")
    run("classify", "evaluate", manifest, "--label", "kind").misused("give --model")
    run("classify", "evaluate", manifest, "--folds", "fold", "--model", model).misused("give --model")

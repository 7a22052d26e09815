"""Features from elsewhere on the command line: a Kaldi list goes through every command, and sound is refused."""

import kaldiio
import numpy as np
import pytest

from speechgmm.evaluation import read_scores
from speechgmm.features import OwnFeatures, read_corpus
from speechgmm.speakers import load_system
from speechgmm.storage import fingerprint
from tests.cli.conftest import few_of
from tests.cli.running import DATA, MANIFEST, run

RMS, SLT = "rms/s2_1.flac", "slt/s2_1.flac"


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Features of the whole manifest as Kaldi's preset has them, a model of these, and one of the sound itself."""
    folder = tmp_path_factory.mktemp("lists")
    written = run("features", "--manifest", MANIFEST, "--preset", "kaldi", "-o", folder / "f.scp", "--json")
    assert (written.status, len(written.document["files"])) == (0, 90)
    train = ("train", MANIFEST, "--where", "split=ubm", "--components", 8, "--json", "-o")
    assert run(*train, folder / "own", "--features", folder / "f.scp").status == 0
    assert run(*train, folder / "sound", "--preset", "kaldi").status == 0
    return folder


def test_training_on_features_is_training_on_sound_to_the_bit(lists):
    own, sound = load_system(lists / "own"), load_system(lists / "sound")
    assert own.frontend == OwnFeatures(dimensions=13, hop_length=0.010)
    assert fingerprint(own.ubm) == fingerprint(sound.ubm)
    assert (own.info["em"], own.info["data"]) == (sound.info["em"], sound.info["data"])


def test_features_that_a_model_has_normalized_make_the_same_model(made, tmp_path):
    """What training learns of normalization is in the model, which is therefore asked for the features."""
    given = ("--manifest", MANIFEST, "--where", "split=ubm")
    assert run("features", *given, "--model", made.model, "-o", f"{tmp_path}/npy/").status == 0
    train = ("train", *given[1:], "--features", tmp_path / "npy", "--components", 16, "-o", tmp_path / "own")
    assert run(*train).status == 0
    assert fingerprint(load_system(tmp_path / "own").ubm) == fingerprint(load_system(made.model).ubm)


def test_every_command_takes_them(lists, tmp_path):
    by_name, test = ("--features", lists / "f.scp"), ("--manifest", MANIFEST, "--where", "split=test")
    answers = {}
    for kind, source in {"own": by_name, "sound": ()}.items():
        using = ("--model", lists / kind, "--store", tmp_path / f"{kind}.db")
        names = [RMS, SLT] if source else [DATA / RMS, DATA / SLT]
        enroll = ("enroll", *using, "--manifest", MANIFEST, "--where", "split=enroll", *source, "--json")
        assert len(run(*enroll).document["sessions"]) == 10
        few_of(tmp_path / f"{kind}.db")
        found = run("identify", *using, *names, *source, "--json").document["files"]
        assert [f["file"] for f in found] == [str(n) for n in names]
        verified = run("verify", *using, "rms", names[0], *source, "--threshold", -50, "--json").document
        assert run("score", *using, *test, *source, "-o", tmp_path / f"{kind}.tsv").status == 0
        scores = read_scores(tmp_path / f"{kind}.tsv").score
        answers[kind] = [[(c["speaker"], c["llr"]) for c in f["candidates"]] for f in found], verified["llr"], scores
    (own, own_llr, own_scores), (sound, sound_llr, sound_scores) = answers["own"], answers["sound"]
    assert [[n for n, _ in f] for f in own] == [[n for n, _ in f] for f in sound]
    np.testing.assert_allclose(own_scores, sound_scores, rtol=1e-4, atol=1e-5)  # summed otherwise
    assert own_llr == pytest.approx(sound_llr, rel=1e-4)
    using = ("--model", lists / "own", "--store", tmp_path / "own.db")
    one = run("enroll", *using, "new", "awb/s1_1.flac", *by_name, "--session", "s", "--json").document["sessions"]
    assert [(s["speaker"], s["session"]) for s in one] == [("new", "s")]
    shown = run("info", lists / "own").out
    assert "features (.npy files, Kaldi archives), no sound" in shown


def test_trials_name_features(lists, tmp_path):
    (tmp_path / "trials").write_text(f"{RMS} rms/s1_1.flac target\n{SLT} rms/s1_1.flac nontarget\n")
    score = ("score", "--model", lists / "own", "--trials", tmp_path / "trials", "--features", lists / "f.ark")
    assert run(*score, "-o", tmp_path / "s", "--json").document["trials"] == 2


def test_a_model_of_features_is_adapted_by_features(lists, tmp_path):
    adapt = ("adapt", lists / "own", MANIFEST, "--where", "split=test", "-o", tmp_path / "m", "--json")
    done = run(*adapt, "--features", lists / "f.scp")
    assert (done.status, load_system(tmp_path / "m").frontend) == (0, OwnFeatures(dimensions=13))
    run(*adapt).refused("be at least one that can be used", "as this model takes no sound")


def test_classes(lists, tmp_path):
    by_name = ("--features", lists / "f.scp")
    train = ("classify", "train", MANIFEST, "--label", "gender", "--components", 2, "--where", "split=ubm", *by_name)
    assert run(*train, "-o", tmp_path / "c", "--json").document["frontend"]["kind"] == "features"
    told = run("classify", "predict", tmp_path / "c", RMS, SLT, *by_name, "--json").document["files"]
    assert [(f["file"], f["label"]) for f in told] == [(RMS, "m"), (SLT, "f")]
    listed = ("--manifest", MANIFEST, "--where", "speaker=rms", *by_name)
    assert len(run("classify", "predict", tmp_path / "c", *listed, "--json").document["files"]) == 5
    evaluate = ("classify", "evaluate", MANIFEST, "--label", "gender", "--where", "split=test", *by_name, "--json")
    assert run(*evaluate, "--model", tmp_path / "c").status == 0
    assert run(*evaluate, "--folds", "session", "--components", 2).status in (0, 1)
    predict = ("classify", "predict", tmp_path / "c", DATA / RMS, "--json")
    assert "as this model takes no sound" in run(*predict).document["files"][0]["error"]


def test_the_step_is_told_or_stands_beside_the_features(tmp_path):
    rng = np.random.default_rng(0)
    kaldiio.save_ark(str(tmp_path / "f.ark"), {f"u{i}": rng.normal(size=(100, 3)) for i in range(4)})
    (tmp_path / "m.csv").write_text("path,speaker\n" + "".join(f"u{i},s{i}\n" for i in range(4)))
    train = ("train", tmp_path / "m.csv", "-o", tmp_path / "m", "--components", 2, "--features", tmp_path / "f.ark")
    for shift, given, wanted in ((None, (), 0.01), ("0.0125\n", (), 0.0125), ("0.0125", ("--hop-length", 0.02), 0.02)):
        if shift:
            (tmp_path / "frame_shift").write_text(shift)
        told = run(*train, *given, "--json").document
        assert told["frontend"]["hop_length"] == wanted
        assert told["info"]["data"]["speech_seconds"] == pytest.approx(400 * wanted)
    (tmp_path / "k").mkdir()
    kaldiio.save_ark(str(tmp_path / "k" / "f.ark"), {"u": rng.normal(size=(60, 3))}, scp=str(tmp_path / "k/feats.scp"))
    (tmp_path / "k" / "utt2spk").write_text("u ann\n")
    (tmp_path / "k" / "frame_shift").write_text("0.05")
    told = run("train", tmp_path / "k", "-o", tmp_path / "m", "--components", 2, "--json").document
    assert (told["frontend"]["hop_length"], told["info"]["data"]["frames"]) == (0.05, 60)
    run("train", MANIFEST, "-o", tmp_path / "m", "--hop-length", 0.02).misused("--hop-length is of features")
    run("features", "u0", "u1", "--features", tmp_path / "f.ark", "-o", f"{tmp_path}/npy/", "--json")
    assert np.load(tmp_path / "npy" / "u1.npy").shape == (100, 3)
    assert (tmp_path / "npy" / "frame_shift").read_text() == "0.0125\n"


def test_what_is_refused(lists, tmp_path):
    train = ("train", MANIFEST, "--where", "split=ubm", "-o", tmp_path / "m", "--features")
    run(*train, tmp_path / "none.scp").refused("a list of features must exist")
    run(*train, lists / "f.scp", "--preset", "speech").refused("the preset 'speech' must be for sound")
    run(*train, lists / "f.scp", "--sample-rate", 16000).refused("must be sound, as MFCC(")
    kaldiio.save_ark(str(tmp_path / "f.ark"), {r.name: np.zeros((2, 3)) for r in read_corpus(MANIFEST).recordings[:-2]})
    done = run(
        "score",
        "--model",
        lists / "own",
        "--store",
        "s.db",
        "--manifest",
        MANIFEST,
        "-o",
        tmp_path / "s",
        "--features",
        tmp_path / "f.ark",
    )
    assert (done.status, done.err.count("must hold every recording; got none of ")) == (1, 2)
    identify = ("identify", "--model", lists / "own", "--store", tmp_path / "s.db")
    run(*identify, "who.wav", "--features", lists / "f.scp").refused("got none of who.wav")
    for wrong in ((), (RMS, "--manifest", MANIFEST), (RMS, "--where", "split=ubm")):
        run("features", *wrong, "-o", tmp_path / "f.npz").misused("give files, or --manifest with --where as you like")

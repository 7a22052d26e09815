"""What the commands refuse: exit status 1 with one line, 2 for wrong usage; and one bad file that loses no other."""

import contextlib
import dataclasses
import json
import shutil
import sqlite3
import sys

import numpy as np
import pytest
import soundfile

from speechgmm import cli
from speechgmm.evaluation import read_scores
from speechgmm.speakers import load_system
from tests.cli.running import DATA, MANIFEST, run

RMS = DATA / "rms" / "s2_1.flac"
NEW = DATA / "awb" / "s1_1.flac"


@pytest.fixture
def bad(tmp_path):
    """Silence, text that calls itself sound, and nothing at all."""
    silent, text = tmp_path / "silent.wav", tmp_path / "text.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    text.write_text("this is no sound")
    return silent, text, tmp_path / "missing.wav"


@pytest.fixture
def mixed(tmp_path):
    """A manifest of two good recordings with a missing one between them."""
    path = tmp_path / "mixed.csv"
    path.write_text(f"path,speaker\n{RMS},rms\nmissing.wav,ann\n{NEW},awb\n")
    return path


# Input


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    "command",
    [("enroll", "x", NEW), ("identify", NEW), ("verify", "rms", NEW), ("score", "--manifest", MANIFEST, "-o", "s")],
)
def test_a_store_of_another_model_is_not_one_of_the_package(made, command, as_json):
    done = run(*command, "--store", made.store, *as_json)
    done.refused(made.store, "be of a packaged model where no --model is given", "Give --model")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_model_that_is_none(made, tmp_path, as_json):
    missing, text = tmp_path / "missing", tmp_path / "text"
    text.write_text("this is no model")
    export = tmp_path / "export"
    assert run("speakers", "export", "--store", made.store, "-o", export).status == 0
    cases = {missing: "exist", text: "speechgmm file", made.store: "speechgmm file", export: "hold a System"}
    for path, words in cases.items():
        run("identify", "--model", path, "--store", made.store, RMS, *as_json).refused(path, words)
    run("info", missing, *as_json).refused(missing, "a file or a database URL")
    run("info", tmp_path).refused(tmp_path, "a file or a database URL")


def test_a_damaged_model(made, tmp_path):
    data = bytearray(made.model.read_bytes())
    data[-9] ^= 1
    (tmp_path / "m").write_bytes(data)
    run("info", tmp_path / "m").refused(tmp_path / "m", "be unchanged since it was saved")


def test_a_store_that_is_none(made, tmp_path):
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("this is no database" * 100)
    for command in (
        ("list",),
        ("show", "rms"),
        ("remove", "rms"),
        ("rename", "a", "b"),
        ("export", "-o", tmp_path / "o"),
    ):
        run("speakers", *command, "--store", missing, "--json").refused(missing, "exist")
        run("speakers", *command, "--store", text).refused(text, "be a speechgmm store")
    for command in (("identify", RMS), ("verify", "rms", RMS), ("score", "--manifest", MANIFEST, "-o", tmp_path / "o")):
        run(*command, "--model", made.model, "--store", missing).refused(missing, "exist")
        run(*command, "--model", made.model, "--store", text).refused(text, "be a speechgmm store")
    assert not missing.exists()
    run("speakers", "list", "--store", "nosuchdb://x/y").refused("nosuchdb")


def test_a_store_of_another_model(made, own, other, tmp_path):
    using = ("--model", other, *own[2:])
    for command in (("identify", RMS), ("verify", "rms", RMS), ("enroll", "x", NEW)):
        run(*command, *using).refused(own[3], "be of this model's UBM", "Use the model that it was made with")
    eight = tmp_path / "eight"
    fast = ("--where", "speaker=awb", "--components", 2, "--sample-rate", 8000)
    assert run("train", MANIFEST, "-o", eight, *fast).status == 0
    run("identify", RMS, "--model", eight, *own[2:]).refused("sample_rate=8000", "sample_rate=16000")


def test_speakers_and_sessions_that_are_not_there(own, store):
    run("verify", "nobody", RMS, *own).refused("be enrolled", "'nobody'")
    run("speakers", "show", "nobody", *store).refused("'nobody'", "rms")
    run("speakers", "remove", "nobody", *store).refused("'nobody'")
    run("speakers", "remove", "rms", "--session", "s9", *store).refused("'s9'", "s1")
    run("speakers", "rename", "nobody", "x", *store).refused("'nobody'")
    run("speakers", "rename", "rms", "slt", *store).refused("be free", "'slt'")
    run("speakers", "rename", "rms", " ", *store).refused("a speaker's name")
    run("speakers", "export", "nobody", *store, "-o", store[1].parent / "o").refused("'nobody'")


def test_a_store_that_is_empty(made, tmp_path, bad):
    using = ("--model", made.model, "--store", tmp_path / "new.db")
    done = run("enroll", *using, "ann", *bad, "--json")
    assert done.status == 1
    assert done.document["sessions"] == []
    assert [s["file"] for s in done.document["skipped"]] == [str(f) for f in bad]
    run("identify", *using, RMS).refused("Enroll somebody first")
    assert run("enroll", *using, "ann", bad[0]).out == "nobody enrolled\n"


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "exist"),
        ("", "have the columns path and speaker"),
        ("path,speaker\n", "list at least one recording"),
        ("path,who\na.wav,ann\n", "have the column speaker"),
        ("path,speaker\na.wav\n", "line 2"),
        ("path,speaker\na.wav,ann\na.wav,bob\n", "list each recording once"),
        ("path,speaker\na.wav,ann\n", "a.wav, which does not"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, content, words, as_json):
    path = tmp_path / "c.csv"
    if content is not None:
        path.write_text(content)
    run("train", path, "-o", tmp_path / "m", *as_json).refused(words)
    assert not (tmp_path / "m").exists()


def test_conditions_on_columns_or_values_that_are_not_there(tmp_path):
    train = ("train", MANIFEST, "-o", tmp_path / "m", "--where")
    run(*train, "splat=ubm").refused(MANIFEST, "'splat'", "speaker, split")
    run(*train, "split=nope").refused(MANIFEST, "split=nope", "90 recordings")
    run(*train, "self=x").refused("'self'")


def test_what_cannot_be_written_is_refused_before_the_work(using, made, tmp_path, monkeypatch):
    monkeypatch.setattr("speechgmm.speakers.train.training_frames", lambda *_, **__: pytest.fail("worked first"))
    nowhere = tmp_path / "no" / "where"
    for command in (
        ("train", MANIFEST),
        ("score", *using, "--manifest", MANIFEST),
        ("features", RMS, "--preset", "sound"),
        ("speakers", "export", "--store", made.store),
    ):
        run(*command, "-o", nowhere).refused(nowhere, "be in a folder that exists", "mkdir -p")
        run(*command, "-o", tmp_path).refused(tmp_path, "can be written")


def test_too_many_components(tmp_path):
    done = run("train", MANIFEST, "-o", tmp_path / "m", "--where", "speaker=awb", "--components", 5000)
    done.refused("5000")


def test_decisions_need_a_calibrated_model(ranking):
    for options in (("--far", 0.01), ("--prior", 0.1), ("--prior", 0.1, "--cost-miss", 10, "--cost-fa", 1)):
        run("identify", *ranking, RMS, *options, "--json").refused("be calibrated", options[0].strip("-"))
        run("verify", *ranking, "rms", RMS, *options).refused("be calibrated", "threshold")
    run("identify", *ranking, RMS, "--cost-fa", 3).misused("need --prior")
    run("identify", *ranking, RMS, "--far", 0.1, "--prior", 0.1).misused("--far, or --prior")


@pytest.mark.parametrize("rate", [0, 1, 2, -1, "nan", "inf"])
@pytest.mark.parametrize("name", ["far", "prior"])
def test_rates_are_refused_in_the_same_words_everywhere(using, name, rate):
    words, option = f"{name} must be above 0 and below 1; got {rate}.", f"--{name}={rate}"
    run("identify", *using, RMS, option).misused(words)
    run("verify", *using, "rms", RMS, option).misused(words)
    if name == "far":
        run("classify", "predict", "no-model", RMS, option).misused(words)
        run("classify", "evaluate", "no-corpus", "--model", "no-model", option).misused(words)


def test_trials_of_nobody_and_of_nothing(using, tmp_path):
    trials, score = tmp_path / "t", ("score", *using, "-o", tmp_path / "s", "--trials", tmp_path / "t")
    run(*score).refused(trials, "readable file")
    trials.write_text("1 nobody a.wav\n")
    run(*score).refused("be enrolled", "'nobody'")
    trials.write_text("1 rms nothing.wav\n")
    run(*score, "--manifest", MANIFEST).refused("nothing.wav", "be recordings of the manifest")
    run(*score).refused("nothing.wav")
    trials.write_text("1 rms\n")
    run(*score).refused(trials, "line 1")
    assert not (tmp_path / "s").exists()


def test_scores_that_are_none(tmp_path):
    path = tmp_path / "s"
    run("evaluate", path, "--json").refused(path, "readable file")
    path.write_text("speaker\ttest\nann\ta\n")
    run("evaluate", path).refused(path, "missing 'score'")
    path.write_text("speaker\ttest\tscore\ttarget\nann\ta\t1\t\n")
    run("evaluate", path).refused("without a label")
    path.write_text("speaker\ttest\tscore\ttarget\nann\ta\t1\t1\n")
    run("evaluate", path).refused("nontarget")


def test_a_report_that_cannot_be_written(made, tmp_path):
    missing = tmp_path / "missing" / "r.html"
    run("evaluate", made.scores, "--report", missing).refused("in a folder that exists", missing, "mkdir")
    run("evaluate", made.scores, "--report", tmp_path).refused("name a file that can be written", tmp_path)
    run("evaluate", tmp_path / "missing.tsv", "--report", tmp_path / "r.html").refused("readable file")
    assert list(tmp_path.iterdir()) == []


def test_a_report_without_matplotlib(made, tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    told = run("evaluate", made.scores, "--report", tmp_path / "r.html")
    told.refused("matplotlib must be installed", "speechgmm[plot]")
    assert not (tmp_path / "r.html").exists()
    assert run("evaluate", made.scores, "--json").status == 0


def test_features_of_one_name_twice(tmp_path, monkeypatch):
    run("features", RMS, RMS, "--preset", "sound", "-o", tmp_path / "f.npz").refused("differ from each other", RMS)
    monkeypatch.chdir(tmp_path)
    shutil.copy(RMS, "frontend")
    run("features", "frontend", "--preset", "sound", "-o", "f.npz").refused("'frontend'")
    run("features", "missing.wav", "--preset", "sound", "-o", "f.npz").refused("missing.wav")
    assert [p.name for p in tmp_path.iterdir()] == ["frontend"]


def test_a_name_that_is_no_text_is_refused(own):
    run("enroll", *own, "\udcff", NEW).refused("a speaker's name", "U+DCFF (surrogate)")


# One bad file does not lose the others


def test_train_writes_the_model_all_the_same(mixed, tmp_path):
    train = ("train", mixed, "-o", tmp_path / "m", "--components", 2)
    done = run(*train, "--json")
    assert done.status == 1
    (skipped,) = done.document["skipped"]
    assert skipped["file"] == "missing.wav"
    assert "missing.wav, which does not" in skipped["error"]
    assert done.err.endswith(f"speechgmm: left out: {skipped['error']}\n")  # which names it
    assert load_system(tmp_path / "m").info["data"]["recordings"] == 2
    shown = run(*train)
    assert shown.status == 1
    assert "2 recordings of 2 speakers" in shown.out
    assert "(1 left out)" in shown.out


def test_train_leaves_out_recordings_of_a_lower_rate(tmp_path):
    soundfile.write(tmp_path / "low.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    (tmp_path / "c.csv").write_text(f"path,speaker\n{RMS},rms\nlow.wav,ann\n")
    done = run("train", tmp_path / "c.csv", "-o", tmp_path / "m", "--components", 2, "--sample-rate", 16000)
    assert done.status == 1
    assert "low.wav" in done.err
    assert "8000 Hz" in done.err


def test_identify_reports_a_bad_file_in_its_place(ranking, bad):
    enrolled = DATA / "rms" / "s1_1.flac"
    files = (RMS, *bad, enrolled, NEW)
    done = run("identify", *ranking, *files, "--top", 1, "--json")
    assert done.status == 1
    told = done.document["files"]
    assert [f["file"] for f in told] == [str(f) for f in files]
    assert [f["status"] for f in told] == ["ranked", "too_little_speech", "error", "error", "error", "ranked"]
    for file in told[1:5]:
        assert file["candidates"] == []
        assert file["file"] in file["error"]
    assert "enrolled as 'rms'" in told[4]["error"]
    shown = run("identify", *ranking, *files, "--top", 1)
    assert shown.status == 1
    assert [row[0] for row in shown.rows[:6]] == [str(f) for f in files]
    assert shown.rows[1][1:] == ["0.00", "too", "little", "speech"]
    assert shown.err.count("\n") == 4
    assert shown.err == done.err


def test_verify_uses_the_files_that_are_good(ranking, bad):
    done = run("verify", *ranking, "rms", bad[0], RMS, "--json")
    assert done.status == 3
    told = done.document
    assert told["status"] == "ranked"
    assert told["llr"] == run("verify", *ranking, "rms", RMS, "--json").document["llr"]
    assert [f["file"] for f in told["files"] if f["error"]] == [str(bad[0])]
    none = run("verify", *ranking, "rms", bad[0], "--json", "--threshold", 0)
    assert none.status == 3
    assert [none.document[k] for k in ("status", "llr", "accepted")] == ["too_little_speech", None, None]
    assert "too little speech" in run("verify", *ranking, "rms", bad[0]).out
    missing = run("verify", *ranking, "rms", bad[2], "--json", "--threshold", 0)
    assert (missing.status, missing.document["status"]) == (1, "error")
    accepted = ("verify", *ranking, "rms", RMS, "--threshold", -50)
    assert run(*accepted).status == 0
    assert (run(*accepted, bad[2]).status, run(*accepted, bad[2], "--json").document["accepted"]) == (1, True)


def test_enroll_and_score_leave_out_bad_files(own, mixed, bad, tmp_path):
    done = run("enroll", *own, "ann", bad[1], NEW, "--json")
    assert done.status == 1
    assert [s["speaker"] for s in done.document["sessions"]] == ["ann"]
    assert [s["file"] for s in done.document["skipped"]] == [str(bad[1])]
    done = run("score", *own, "--manifest", mixed, "-o", tmp_path / "s", "--json")
    assert done.status == 1
    assert [s["file"] for s in done.document["skipped"]] == ["missing.wav", str(NEW)]
    assert set(read_scores(tmp_path / "s").test.tolist()) == {str(RMS)}


def test_features_leave_out_bad_files(tmp_path, bad):
    done = run("features", RMS, *bad, "--preset", "speech", "-o", tmp_path / "f.npz", "--json")
    assert done.status == 1
    assert [bool(f["error"]) for f in done.document["files"]] == [False, True, True, True]
    assert [f["frames"] > 0 for f in done.document["files"]] == [True, False, False, False]
    with np.load(tmp_path / "f.npz") as held:
        assert set(held) == {str(RMS), "frontend"}


# Usage


def test_wrong_usage(using, made, tmp_path):
    out = ("-o", tmp_path / "o")
    store = ("--store", made.store)
    run("enroll", *using).misused("SPEAKER and at least one FILE, or --manifest")
    run("enroll", *using, "ann").misused("SPEAKER and at least one FILE")
    run("enroll", *using, "ann", NEW, "--manifest", MANIFEST).misused("give no SPEAKER")
    run("enroll", *using, "--manifest", MANIFEST, "--session", "x").misused("--session")
    run("enroll", *using, "ann", NEW, "--where", "split=ubm").misused("--manifest")
    run("enroll", "ann", NEW).misused("--store")
    run("identify", *using).misused("FILE")
    run("identify", *using, RMS, "--top", 0).misused("--top")
    run("identify", *using, RMS, "--far", 0.1, "--prior", 0.1).misused("--far, or --prior")
    run("verify", *using, "rms").misused("FILE")
    run("verify", *using, "rms", RMS, "--threshold", 0, "--far", 0.1).misused("--threshold, or --far")
    run("score", *using, *out).misused("--manifest")
    run("score", "--manifest", MANIFEST, *out).misused("give --store, or --trials of recordings on both sides")
    run("score", *using, "--where", "a=b", "--trials", "t", *out).misused("--manifest")
    run("score", *using, "--manifest", MANIFEST, "--trials", "t", "--by", "file", *out).misused("--by")
    run("score", *using, "--manifest", MANIFEST, "--by", "day", *out).misused("--by")
    run("score", *using, "--manifest", MANIFEST).misused("-o")
    run("train", MANIFEST, *out, "--where", "split").misused("COLUMN=VALUE", "'split'")
    run("train", MANIFEST, *out, "--where", "=ubm").misused("COLUMN=VALUE")
    run("train", MANIFEST, *out, "--components", 0).misused("--components")
    run("train", MANIFEST, *out, "--components", "many").misused("--components")
    run("train", MANIFEST, *out, "--threads", 0).misused("--threads")
    run("features", RMS, *out, "--preset", "speech", "--model", made.model).misused("--model or --preset, not both")
    run("features", RMS, *out, "--preset", "music").misused("--preset")
    run("speakers", "show", *store).misused("S")
    run("speakers", "sing", *store).misused("sing")
    run("sing").misused("sing")
    assert not (tmp_path / "o").exists()


def test_an_interrupt_and_an_error_of_our_own(made, monkeypatch):
    def raising(error):
        def load(*_):
            raise error

        return load

    monkeypatch.setattr("speechgmm.speakers.load_system", raising(KeyboardInterrupt()))
    done = run("info", made.model)
    assert (done.status, done.out) == (130, "")
    assert "Traceback" not in done.err
    monkeypatch.setattr("speechgmm.speakers.load_system", raising(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["info", str(made.model)])


def test_refusals_leave_standard_output_empty_under_json(using):
    done = run("verify", *using, "nobody", RMS, "--json")
    done.refused("nobody")
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.out)


def test_evaluate_names_the_table_and_keeps_it(tmp_path):
    table = tmp_path / "scores.tsv"
    table.write_text("speaker\ttest\tscore\ttarget\na\tx\t1.0\t1\n")
    run("evaluate", table).refused(str(table), "must hold at least one score")
    run("evaluate", table, "--report", table).refused(table, "must be new, empty or a web page")
    assert table.read_text().startswith("speaker\t")


# Damaged stores, and databases of others


@pytest.fixture
def damaged(own):
    """Options with a store in which one bit of rms's session has flipped, and what follows from it."""
    with contextlib.closing(sqlite3.connect(own[3])) as db:
        ((value,),) = db.execute("select value from speechgmm_sessions where speaker = 'rms'").fetchall()
        flipped = value[:-9] + bytes([value[-9] ^ 1]) + value[-8:]
        db.execute("update speechgmm_sessions set value = ? where speaker = 'rms'", [flipped])
        db.commit()
    return own


REMOVAL = "speechgmm speakers remove rms --session s1 --store "


def test_a_damaged_session_is_named_and_the_others_go_on(damaged, using, tmp_path):
    path, without = damaged[3], shutil.copy(using[3], tmp_path / "without.db")
    assert run("speakers", "remove", "rms", "--store", without).status == 0
    rest = run("identify", *using[:3], without, RMS, "--top", 20, "--json").document
    done = run("identify", *damaged, RMS, "--top", 20, "--json")
    assert done.status == 0
    (told,) = done.document["damaged"]
    assert (told["speaker"], told["session"], told["removal"]) == ("rms", "s1", f"{REMOVAL}{path}")
    assert "another digest" in told["error"]
    assert done.err.count("\n") == 1
    for words in ("session s1 of rms is damaged and left out", f"Remove it, and enroll it anew: {REMOVAL}{path}"):
        assert words in done.err
    assert done.document["files"][0]["candidates"] == rest["files"][0]["candidates"]
    run("verify", *damaged, "rms", RMS, "--json").refused("must be whole; got session s1 of rms", f"{REMOVAL}{path}")
    other = run("verify", *damaged, "slt", RMS, "--json")
    assert (other.status, other.document["damaged"], other.err) == (3, [], "")  # RMS is not slt
    scored = run("score", *damaged, "--manifest", MANIFEST, "--where", "split=test", "-o", tmp_path / "s", "--json")
    assert (scored.status, scored.document["speakers"], scored.document["damaged"]) == (0, 9, [told])
    assert run("identify", *using, RMS, "--json").document["damaged"] == []


def test_a_damaged_store_can_be_looked_at_and_mended(damaged, store, tmp_path):
    damage = f"{REMOVAL}{store[1]}"
    for command in (("speakers", "list", *store), ("speakers", "show", "rms", *store), ("info", store[1])):
        shown, told = run(*command), run(*command, "--json")
        assert (shown.status, told.status) == (0, 0)
        assert damage in shown.err == told.err
        assert [d["speaker"] for d in told.document["damaged"]] == ["rms"]
    assert run("speakers", "show", "slt", *store, "--json").document["damaged"] == []
    export = run("speakers", "export", *store, "-o", tmp_path / "o", "--json")
    assert (export.status, export.document["sessions"], len(export.document["damaged"])) == (1, 9, 1)
    assert "rms" not in export.document["speakers"]
    run("speakers", "rename", "rms", "x", *store).refused("must be whole", damage)
    assert run(*damage.split()[1:]).status == 0
    assert run("info", store[1], "--json").document["damaged"] == []
    assert run("enroll", *damaged, "rms", RMS).status == 0


def test_the_database_of_another_program_is_not_enrolled_into(made, tmp_path):
    path = tmp_path / "contacts.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("create table contacts (name text)")
        db.commit()
    before = path.read_bytes()
    run("enroll", "--model", made.model, "--store", path, "ann", NEW).refused(path, "something else, with 'contacts'")
    run("speakers", "list", "--store", path).refused(path, "something else")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["contacts.sqlite"]


def test_names_of_files_cannot_move_the_cursor(using, tmp_path):
    name = tmp_path / "a\x1b[2Jb\u202ec.wav"
    shutil.copy(RMS, name)
    shown = run("identify", *using, name)
    assert shown.status == 0
    assert "a\\x1b[2Jb\\u202ec.wav" in shown.out
    assert run("identify", *using, name, "--json").document["files"][0]["file"] == str(name)
    missing = run("identify", *using, tmp_path / "x\x1b[2J.wav")
    assert "x\\x1b[2J.wav" in missing.err


@pytest.mark.parametrize(
    "strange", [{"em": 1}, {"data": {"x": 1}}, {"about": []}, {"versions": 3}, {"em": {"objective": []}}]
)
def test_info_of_a_model_that_was_made_elsewhere(made, tmp_path, strange):
    system = load_system(made.model)
    dataclasses.replace(system, info=strange).save(tmp_path / "m")
    told = run("info", tmp_path / "m")
    assert (told.status, told.err) == (0, "")
    assert "not as train tells it" in told.out
    assert system.fingerprint in told.out
    assert run("info", tmp_path / "m", "--json").document["info"] == strange

"""What each command does when all goes well: its table, its JSON, its files."""

import contextlib
import csv
import dataclasses
import json
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechgmm
from speechgmm.cli.identify import EXTRAPOLATED, NOT_ASSURED, TOO_SHORT, rule_note
from speechgmm.cli.info import NO_MODEL
from speechgmm.evaluation import Answer, Rule, Scores, bona_fide, join, read_scores, read_trials, write_scores
from speechgmm.features import MFCC, preset_for, read_corpus
from speechgmm.speakers import NOT_REACHED, load_export
from speechgmm.speakers.calibration import StoreNorm
from speechgmm.speakers.train import UNCALIBRATED
from tests.cli.running import DATA, KNOWN, MANIFEST, run

RMS = DATA / "rms" / "s2_1.flac"
SLT = DATA / "slt" / "s2_1.flac"
NEW = DATA / "awb" / "s1_1.flac"


# train, info


def test_train_writes_the_model_that_one_call_trains(made):
    told = made.trained.document
    assert made.trained.status == 0
    assert (told["model"], told["type"], told["calibrated"]) == (str(made.model), "System", False)
    assert (told["components"], told["dimensions"], told["relevance"], told["skipped"]) == (16, 60, 8.0, [])
    assert told["info"]["data"]["recordings"] == 40
    assert told["info"]["data"]["speakers"] == 8
    assert told["info"]["em"]["objective"] == sorted(told["info"]["em"]["objective"])
    background = read_corpus(MANIFEST).where(split="ubm")
    called = speechgmm.train_system(background, n_components=16, frontend=preset_for(background, "speech")).system
    assert speechgmm.load_system(made.model).fingerprint == called.fingerprint == told["fingerprint"]


FEW = "too few people: {}; use many, with little of each\n"


def test_train_doubts_what_is_too_little(tmp_path):
    done = run("train", MANIFEST, "-o", tmp_path / "m", "--where", "speaker=awb", "--components", 256, "--json")
    assert done.status == 0
    little, few, uncalibrated = done.document["warnings"]
    assert re.fullmatch(r"\d+ s of speech are little for 256 components: use more .* at most \d+ components", little)
    assert few == FEW.format("1 background speaker").strip()
    assert uncalibrated == UNCALIBRATED
    assert done.err == f"speechgmm: {little}\nspeechgmm: {few}\nspeechgmm: {uncalibrated}\n"


def test_train_shows_a_summary_and_the_trace(tmp_path):
    where = ("--where", "speaker=awb", "--where", "speaker=kal16", "--where", "session=s1")
    done = run("train", MANIFEST, "-o", tmp_path / "m", *where, "--components", 2, "--sample-rate", 8000, "--seed", 3)
    assert (done.status, done.err) == (
        0,
        f"speechgmm: {FEW.format('2 background speakers')}speechgmm: {UNCALIBRATED}\n",
    )
    assert "4 recordings of 2 speakers" in done.out
    assert "sample_rate=8000" in done.out
    trace = speechgmm.load_system(tmp_path / "m").info["em"]["objective"]
    shown = run("info", tmp_path / "m")
    assert [row[:2] for row in shown.rows] == [[str(i), f"{o:.4f}"] for i, o in enumerate(trace, 1)]
    assert max(map(len, done.out.replace(str(tmp_path), "").splitlines())) <= 80


def test_threads_change_nothing_and_the_seed_does(tmp_path):
    fast = ("--where", "speaker=awb", "--components", 4)
    for name, options in {"a": ("--threads", 1), "b": ("--threads", 3), "c": ("--seed", 1)}.items():
        assert run("train", MANIFEST, "-o", tmp_path / name, *fast, *options).status == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_info_of_a_model(made):
    told = run("info", made.model, "--json")
    summary = {k: v for k, v in made.trained.document.items() if k not in ("model", "skipped", "warnings")}
    assert told.document == summary | {"errors_by_speech": []}
    shown = run("info", made.model).out
    for text in (summary["fingerprint"], "no: scores rank", "16 components of 60 features", "8 frames", "n_mfcc=20"):
        assert text in shown
    assert "40 recordings of 8 speakers" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_info_of_a_store(made):
    with contextlib.closing(sqlite3.connect(made.store)) as db:
        held = {t: db.execute(f"select value from speechgmm_{t}").fetchall() for t in ("sessions", "samples")}
    told = run("info", made.store, "--json").document
    assert told.pop("speech_seconds") == pytest.approx(78.5, rel=0.2)
    assert told == {
        "type": "SpeakerStore",
        "fingerprint": made.trained.document["fingerprint"],
        "speakers": 10,
        "sessions": 10,
        "recordings": 20,
        "bytes_per_session": sum(len(v) for (v,) in held["sessions"]) // 10,
        "bytes_per_recording": sum(len(v) for (v,) in held["samples"]) // 20,
        "errors_by_speech": None,
        "damaged": [],
        "encrypted": False,
        "packaged": None,
        "unfamiliar": None,
    }
    shown = run("info", made.store).out
    assert "store of speakers" in shown
    assert "personal data" in shown
    assert NO_MODEL in shown
    assert run("info", f"sqlite:///{made.store}", "--json").document["speakers"] == 10


# enroll


def test_enroll_from_a_manifest(made):
    told = made.enrolled.document
    assert made.enrolled.status == 0
    assert tuple(sorted(s["speaker"] for s in told["sessions"])) == KNOWN
    assert {s["session"] for s in told["sessions"]} == {"s1"}
    assert all(s["speech_seconds"] == round(s["speech_seconds"], 3) > 3 for s in told["sessions"])
    assert told["skipped"] == []


def test_enroll_files_each_its_own_session_or_all_one(own, store):
    awb = [DATA / "awb" / f"s1_{i}.flac" for i in (1, 2)]
    done = run("enroll", *own, "new one", *awb)
    assert done.status == 0
    assert [row[2] for row in done.rows] == [str(f) for f in awb]
    assert run("enroll", *own, "other", DATA / "kal16" / "s1_1.flac", "--session", "day 1").status == 0
    shown = run("speakers", "show", "other", *store, "--json").document["sessions"]
    assert [s["session"] for s in shown] == ["day 1"]


def test_enroll_again_needs_replace(own, store):
    again = ("enroll", *own, "new", NEW)
    assert run(*again).status == 0
    run(*again).refused(NEW, "be enrolled once", "enrolled as 'new'", "Leave it out")
    assert run(*again, "--replace", "--session", "later").status == 1  # the other session holds it still
    assert run(*again, "--replace").status == 0
    assert len(run("speakers", "show", "new", *store, "--json").document["sessions"]) == 1


# identify, verify

FIELDS = {
    "file",
    "status",
    "error",
    "speech_seconds",
    "threshold",
    "missed",
    "wanted_seconds",
    "assured",
    "unfamiliar",
    "decision",
    "candidates",
}


def test_identify_in_json(ranking):
    told = run("identify", *ranking, RMS, SLT, "--top", 3, "--json")
    assert (told.status, told.err) == (0, "")
    document = told.document
    assert set(document) == {"calibrated", "rule", "files", "damaged"}
    assert document["rule"] is None
    assert document["calibrated"] is False
    for file, path, speaker in zip(document["files"], (RMS, SLT), ("rms", "slt"), strict=True):
        assert set(file) == FIELDS
        assert all(file[name] is None for name in ("threshold", "missed", "wanted_seconds", "assured"))
        assert (file["file"], file["status"], file["error"], file["decision"]) == (str(path), "ranked", None, None)
        assert 1 < file["speech_seconds"] < 5
        assert len(file["candidates"]) == 3
        assert file["candidates"][0]["speaker"] == speaker
        llr = [c["llr"] for c in file["candidates"]]
        assert llr == sorted(llr, reverse=True)
        assert all(set(c) == {"speaker", "llr", "posterior"} and c["posterior"] is None for c in file["candidates"])


def test_identify_in_a_table(ranking):
    shown = run("identify", *ranking, RMS, "--top", 2)
    assert (shown.status, shown.err) == (0, "")
    first, second = shown.rows[:2]
    assert first[0] == str(RMS)
    assert first[2:5] == ["ranked", "1", "rms"]
    assert second[0] == "2"
    assert float(first[5]) > float(second[2])
    assert "uncalibrated" in shown.out
    assert len(run("identify", *ranking, RMS, "--json").document["files"][0]["candidates"]) == 4


def test_verify_in_json(ranking):
    told = run("verify", *ranking, "rms", RMS, "--json").document
    assert list(told) == [
        "calibrated",
        "speaker",
        "status",
        "llr",
        "threshold",
        "accepted",
        "speech_seconds",
        "extrapolated",
        "missed",
        "wanted_seconds",
        "assured",
        "unfamiliar",
        "files",
        "damaged",
    ]
    assert (told["calibrated"], told["speaker"], told["status"]) == (False, "rms", "ranked")
    assert (told["threshold"], told["accepted"]) == (None, None)
    assert told["files"] == [{"file": str(RMS), "error": None}]
    ranked = run("identify", *ranking, RMS, "--top", 1, "--json").document["files"][0]["candidates"][0]
    assert told["llr"] == pytest.approx(ranked["llr"], rel=1e-5)


@pytest.mark.parametrize(("threshold", "status"), [(-5, "accepted"), (50, "rejected")])
def test_verify_against_a_threshold(ranking, threshold, status):
    done = run("verify", *ranking, "rms", RMS, "--threshold", threshold, "--json")
    assert done.status == (0 if status == "accepted" else 3)
    told = done.document
    assert (told["status"], told["threshold"], told["accepted"]) == (status, threshold, status == "accepted")
    shown = run("verify", *ranking, "rms", RMS, "--threshold", threshold).out
    assert status in shown
    assert "uncalibrated" not in shown


def test_verify_in_a_table_says_that_it_decides_nothing(ranking):
    done = run("verify", *ranking, "rms", RMS)
    assert done.status == 3  # nobody was accepted
    assert done.err == ""
    assert "ranked" in done.out
    assert "uncalibrated" in done.out
    assert "in 1 of 1 files" in done.out


PEOPLE = ("rms", "slt", "es_f1", "es_m3", "es_david")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """A store of the packaged model with three people, and what enroll said of each."""
    store = tmp_path_factory.mktemp("packaged") / "p.db"
    said = {}
    for speaker in PEOPLE[:3]:
        files = [DATA / speaker / f"s1_{i}.flac" for i in (1, 2)]
        said[speaker] = run("enroll", "--store", store, speaker, *files, "--json")
    return store, said


@pytest.fixture(scope="module")
def five(packaged, tmp_path_factory):
    """The same store with five people."""
    store = shutil.copy(packaged[0], tmp_path_factory.mktemp("five") / "p.db")
    for speaker in PEOPLE[3:]:
        done = run("enroll", "--store", store, speaker, *(DATA / speaker / f"s1_{i}.flac" for i in (1, 2)))
    assert "rates are assured" not in done.out
    return store


def test_enroll_says_who_has_little_speech_and_whether_enough_are_enrolled(packaged, tmp_path):
    usual = speechgmm.default_system().calibration.usual_seconds
    for enrolled, (speaker, done) in enumerate(packaged[1].items(), 1):
        seconds = sum(s["speech_seconds"] for s in done.document["sessions"])
        wanted = pytest.approx(usual, abs=1e-3)
        little = {"speaker": speaker, "speech_seconds": pytest.approx(seconds, abs=0.01), "wanted_seconds": wanted}
        assert done.document["little_speech"] == ([little] if seconds < usual else [])
        said = f"speechgmm: {speaker} has {seconds:.2f} s of speech enrolled"
        assert (done.status, done.err.startswith(said)) == (0, seconds < usual)
        strange = [u["file"] for u in done.document["unfamiliar"]]
        assert strange == [
            n for n in (str(DATA / speaker / f"s1_{i}.flac") for i in (1, 2)) if f"{n} is unfam" in done.err
        ]
        assert (done.document["enrolled"], done.document["assured"]) == (enrolled, False)
    shown = run("enroll", "--store", tmp_path / "s.db", "rms", DATA / "rms" / "s1_1.flac").out
    assert "1 person is enrolled: from 5 on" in shown


def test_a_model_without_a_calibration_assures_no_rate_of_very_short_tests(using, tmp_path):
    """It knows of strangers what the store's own recordings tell."""
    x, rate = soundfile.read(RMS)
    loud = int(np.abs(x).argmax())
    soundfile.write(short := tmp_path / "short.wav", x[max(loud - rate // 2, 0) : loud + rate // 2], rate)
    told = run("identify", *using, RMS, short, "--json").document["files"]
    assert [file["assured"] for file in told] == [True, False]
    assert told[1]["speech_seconds"] < 1.1
    words = "fewer than 20 speakers, and does not know what strangers score in tests of less than 1.5 s of speech"
    for shown in (run("identify", *using, RMS, short).out, run("verify", *using, "rms", short).out):
        assert words in shown
        assert TOO_SHORT.format(1.5) in shown
        assert NOT_ASSURED not in shown
    assert words not in run("identify", *using, RMS).out


@pytest.mark.parametrize("enrolled", [3, 5])
def test_decisions_of_the_packaged_model(packaged, five, enrolled):
    store = ("--store", packaged[0] if enrolled == 3 else five)
    told = run("identify", *store, RMS, NEW, "--far", 0.05, "--json").document
    assert told["calibrated"] is True
    rule = told["rule"]
    assert set(rule) == {"far", "prior", "cost_miss", "cost_fa", "threshold", "extrapolated"}
    assert (rule["far"], rule["prior"]) == (0.05, 0.5)
    assert rule["extrapolated"] is (enrolled < 5), "too few independent searches of so small stores were simulated"
    assert {rule["threshold"]} == {file["threshold"] for file in told["files"]}
    for file in told["files"]:
        assert set(file) == FIELDS
        best = file["candidates"][0]
        accepted = best["llr"] >= file["threshold"]
        assert (file["status"], file["decision"]) == (("accepted", best["speaker"]) if accepted else ("unknown", None))
        assert 0 < sum(c["posterior"] for c in file["candidates"]) < 1 + 1e-9
        assert 0 <= file["missed"] <= 1
        assert file["missed"] <= 0.1 or file["wanted_seconds"] is None or file["wanted_seconds"] > 0
        assert file["assured"] is (enrolled >= 5 and file["unfamiliar"] is None)
    few = any(not file["assured"] and file["unfamiliar"] is None for file in told["files"])
    assert told["files"][0]["candidates"][0]["speaker"] == "rms"
    shown = run("identify", *store, RMS, NEW).out
    assert "; 5 % of strangers reach it" in shown
    assert (NOT_ASSURED in shown) is few
    assert shown.count("missed: ") == 1
    done = run("verify", *store, "rms", RMS, "--json")
    told = done.document
    assert (told["calibrated"], told["accepted"]) == (True, told["llr"] >= told["threshold"])
    assert (told["status"], done.status) == (("accepted", 0) if told["accepted"] else ("rejected", 3))
    assert 0 <= told["missed"] <= 1
    assert told["assured"] is (enrolled >= 5 and told["unfamiliar"] is None)
    few = not told["assured"] and told["unfamiliar"] is None
    shown = run("verify", *store, "rms", RMS).out
    assert "nats per frame" not in shown
    assert "5 % of strangers reach it" in shown
    assert (NOT_ASSURED in shown) is few


def test_people_enough_are_decided_without_a_calibration_of_the_model(using, ranking):
    few, ten = (run("identify", *options, RMS, "--json").document for options in (ranking, using))
    assert (few["calibrated"], few["files"][0]["status"], few["rule"]) == (False, "ranked", None)
    file = ten["files"][0]
    assert (ten["calibrated"], ten["rule"]["threshold"], file["assured"]) == (True, file["threshold"], True)
    assert file["status"] == ("accepted" if file["candidates"][0]["llr"] >= file["threshold"] else "unknown")
    assert "before five people are enrolled" in run("identify", *ranking, RMS).out
    assert "5 % of strangers reach it" in run("identify", *using, RMS).out


def test_other_rules_of_the_packaged_model(packaged):
    store = ("--store", packaged[0])
    assert EXTRAPOLATED in run("identify", *store, RMS, "--far", 0.0001).out
    shown = run("identify", *store, RMS, "--prior", 0.5, "--cost-fa", 10).out
    assert "accepted at least expected cost, with a prior of 0.5" in shown
    assert NOT_ASSURED not in shown
    assert "threshold  -5 nats\n" in run("verify", *store, "rms", RMS, "--threshold", -5).out


def answer(missed, wanted_seconds=None, threshold=2.0, **more):
    return Answer("a.wav", "unknown", 1.0, threshold=threshold, missed=missed, wanted_seconds=wanted_seconds, **more)


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (
            [answer(0.04, 2.0)],
            ["+2.00 nats; 5 %", "missed: 4 % of enrolled .* so much speech, or more$"],
        ),
        (
            [answer(0.46, 5.0), answer(0.12, 10.0), answer(None)],
            ["+2.00 nats; 5 %", "missed: 12 to 46 % of .* more; to bring that to 10 % takes 10 s or more$"],
        ),
        ([answer(0.46, 5.0), answer(0.2)], ["+2.00 nats; 5 %", "missed: 20 to 46 % of .* longer tests do not"]),
        ([answer(0.05), answer(0.2, 3.0)], ["+2.00 nats; 5 %", "missed: 5 to 20 % of .* more; .* takes 3 s"]),
        (
            [answer(float("nan"), assured=False, extrapolated=True)],
            ["+2.00 nats; 5 %", f"{EXTRAPOLATED}$", f"{re.escape(NOT_ASSURED)}$"],
        ),
        ([answer(None, threshold=None)], ["accepted so that 5 % of strangers would be$"]),
    ],
)
def test_the_costs_of_several_answers_are_one_line(answers, lines):
    told = rule_note(StoreNorm(2, 0.0, 1.0), Rule(), answers).strip().splitlines()
    assert len(told) == len(lines)
    for line, wanted in zip(told, lines, strict=True):
        assert re.search(wanted.replace("+", "[+]"), line), line


def test_narrow_tables_keep_file_answer_and_speaker(packaged, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("speechgmm.cli.output._WIDE", 60)
    shown = run("identify", "--store", packaged[0], RMS, "--top", 1).out
    head = shown.splitlines()[0].split()
    assert head[0] == "file"
    assert {"answer", "speaker", "LLR"} <= set(head)
    assert "no room for: speech, s; rank" in shown


def test_info_tells_what_rates_cost(packaged, five):
    model = run("info", Path(speechgmm.__file__).parent / "models" / "read_speech_16k.sgmm", "--json").document[
        "errors_by_speech"
    ]
    store = run("info", five, "--json").document["errors_by_speech"]
    sizes = speechgmm.default_system().calibration.levels.sizes
    assert sorted({c["speakers"] for c in model}) == [1, int(sizes[-1])]
    assert {c["speakers"] for c in store} == {5}
    for costs in (model, store):
        assert [(c["speakers"], c["far"], c["test_seconds"]) for c in costs] == sorted(
            (n, far, s) for n in {c["speakers"] for c in costs} for far in (0.01, 0.05, 0.1) for s in (2, 5, 10, 30)
        )
        for by in ("far", "test_seconds"):  # who lets in more strangers, or hears more, misses fewer
            rest = [n for n in ("speakers", "far", "test_seconds") if n != by]
            for key in {tuple(c[n] for n in rest) for c in costs}:
                missed = [c["missed"] for c in costs if tuple(c[n] for n in rest) == key]
                assert missed == sorted(missed, reverse=True)
                assert 0 <= missed[-1] <= missed[0] <= 1
    shown = run("info", five)
    assert [row[:3] for row in shown.rows] == [["5", rate, "%"] for rate in ("1", "5", "10")]
    listed = [c["missed"] for c in store]
    assert [float(cell) for row in shown.rows for cell in row[3::2]] == [round(100 * m) for m in listed]
    assert "s enrolled of each" in shown.out


def test_info_of_a_store_takes_its_own_model_or_none(made, other, ranking, packaged):
    run("info", made.store, "--model", other).refused("be of this model's UBM")
    of_ten = run("info", made.store, "--model", made.model)
    assert NO_MODEL not in of_ten.out
    assert {row[0] for row in of_ten.rows} == {"10"}
    assert run("info", ranking[3], *ranking[:2], "--json").document["errors_by_speech"] == []
    run("info", made.model, "--model", made.model).misused("--model says of which model a STORE is")
    assert NO_MODEL not in run("info", packaged[0]).out


# score, evaluate


def test_score_every_test_against_every_speaker(made):
    scores = read_scores(made.scores)
    assert made.scored.document == {
        "scores": str(made.scores),
        "trials": 300,
        "targets": 30,
        "tests": 30,
        "speakers": 10,
        "skipped": [],
        "damaged": [],
    }
    assert len(scores) == 300
    assert scores.test_speaker is not None
    assert scores.session is not None
    assert np.isfinite(scores.test_seconds).all()


def test_score_by_session(using, tmp_path):
    done = run(
        "score", *using, "--manifest", MANIFEST, "--where", "split=test", "--by", "session", "-o", tmp_path / "s"
    )
    assert (done.status, done.err) == (0, "")
    assert "trials    100" in done.out
    assert set(read_scores(tmp_path / "s").test.tolist()) == {f"{name}/s2" for name in KNOWN}


def test_score_the_pairs_of_a_list(made, using, tmp_path):
    (tmp_path / "rms").mkdir()
    (tmp_path / "slt").mkdir()
    for path in (RMS, SLT):
        shutil.copy(path, tmp_path / path.parent.name)
    (tmp_path / "trials").write_text("1 rms rms/s2_1.flac\n0 rms slt/s2_1.flac\n0 es_f1 rms/s2_1.flac\n")
    by_path, by_name = tmp_path / "a.npz", tmp_path / "b.tsv"
    alone = run("score", *using, "--trials", tmp_path / "trials", "-o", by_path, "--json")
    assert alone.document["trials"] == 3
    both = run("score", *using, "--trials", tmp_path / "trials", "--manifest", MANIFEST, "-o", by_name, "--json")
    assert both.document["targets"] == 1
    a, b = read_scores(by_path), read_scores(by_name)
    every = read_scores(made.scores)
    whole = dict(zip(zip(every.speaker.tolist(), every.test.tolist(), strict=True), every.score, strict=True))
    for scores in (a, b):
        assert scores.target.tolist() == [1, 0, 0]
        expected = [whole[pair] for pair in zip(scores.speaker.tolist(), scores.test.tolist(), strict=True)]
        assert scores.score == pytest.approx(expected)


def test_score_recordings_against_recordings_without_a_store(made, tmp_path):
    (tmp_path / "trials").write_text("1 rms/s1_1.flac rms/s2_1.flac\n0 slt/s1_1.flac rms/s2_1.flac\n")
    score = ("score", "--model", made.model, "--trials", tmp_path / "trials", "-o", tmp_path / "s")
    told = run(*score, "--manifest", MANIFEST, "--json")
    assert (told.status, told.document["trials"], told.document["targets"]) == (0, 2, 1)
    by_name = read_scores(tmp_path / "s")
    assert by_name.speaker.tolist() == ["rms/s1_1.flac", "slt/s1_1.flac"]
    for speaker in ("rms", "slt"):
        (tmp_path / speaker).mkdir()
        for name in ("s1_1.flac", "s2_1.flac"):
            shutil.copy(DATA / speaker / name, tmp_path / speaker)
    assert run(*score).status == 0
    assert read_scores(tmp_path / "s").score.tolist() == by_name.score.tolist()
    by_hand = ("--model", made.model, "--store", tmp_path / "db")
    for name, other in (("rms", "slt"), ("slt", "rms")):  # each under the name of the other one
        assert run("enroll", *by_hand, f"{name}/s1_1.flac", DATA / other / "s1_1.flac").status == 0
    assert run(*score, "--store", tmp_path / "db", "--manifest", MANIFEST).status == 0
    # a store rounds its statistics to parts of 2**-24
    assert read_scores(tmp_path / "s").score.tolist() == pytest.approx(by_name.score.tolist()[::-1], rel=1e-6)


NO_REPORT = {"report": None, "calibration": None}


@pytest.fixture(scope="module")
def told(made):
    """What evaluate says of the scores, as JSON."""
    return run("evaluate", made.scores, "--json")


def test_evaluate(made, told):
    assert told.document == speechgmm.evaluate(read_scores(made.scores)).as_dict() | NO_REPORT
    assert told.document["trials"] == 300
    assert told.document["eer"] < 0.1
    shown = run("evaluate", made.scores)
    assert (shown.status, shown.err) == (0, "")
    ends = told.document["intervals"]["eer"]
    line = f"{100 * told.document['eer']:.2f} % ({100 * ends['low']:.2f} to {100 * ends['high']:.2f})"
    assert f"equal error rate  {line}" in shown.out
    assert "in brackets       95 % intervals over speakers" in shown.out
    assert shown.out.count("left out") == 1
    assert "left out: open_set: no test is of a stranger" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 86


def test_evaluate_writes_a_report(made, tmp_path):
    told = run("evaluate", made.scores, "--report", tmp_path / "r.html", "--json").document
    assert told["report"] == str(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h1>Evaluation of scores.tsv</h1>" in page
    assert f"{100 * told['eer']:.2f} %" in page
    assert "open_set: no test is of a stranger" in page
    assert page.count("<svg") == 6  # the commands write the lengths that error by duration needs


def test_evaluate_tells_errors_at_the_threshold_and_what_failed(told, made):
    shown = run("evaluate", made.scores).out
    errors, bounds, ends = told.document["errors"], told.document["llr_bounds"], told.document["intervals"]["p_miss"]
    missed, low, high = (f"{100 * x:.2f}" for x in (errors["p_miss"], ends["low"], ends["high"]))
    assert f"missed            {missed} % ({low} to {high}) of targets, below an LLR of +4.60" in shown
    assert f"LLRs supported    {bounds['low']:+.2f} to {bounds['high']:+.2f}; {bounds['below']} scores below" in shown
    accepted, mistaken = (f"{100 * errors[name]:.2f} %" for name in ("strangers_accepted", "owners_mistaken"))
    assert f"strangers         {accepted}" in shown
    assert "of searches among 9 accept one" in shown
    assert f"owners mistaken   {mistaken}" in shown
    assert "failed            0 of 30 tests, 0 of 10 speakers" in shown
    assert "condition" not in shown


def test_evaluate_by_columns_that_score_keeps(using, tmp_path):
    (tmp_path / "short.wav").write_bytes((DATA / "rms" / "s2_1.flac").read_bytes()[:50])  # no sound at all
    rows = [
        f"{DATA / who / name},{who},{room}"
        for who in KNOWN
        for name, room in (("s2_1.flac", "hall"), ("s2_2.flac", ""))
    ]
    (tmp_path / "m.csv").write_text("\n".join(["path,speaker,Room", *rows, "short.wav,rms,hall"]))
    score = ("score", *using, "--manifest", tmp_path / "m.csv", "-o", tmp_path / "s")
    run(*score)
    plain = read_scores(tmp_path / "s")
    assert (plain.failures, len(plain)) == (None, 200)  # a program that reads scores finds numbers alone
    done = run(*score, "--keep", "room", "--failures")
    assert (done.status, done.err.count("left out")) == (1, 1)
    made = read_scores(tmp_path / "s")
    assert set(made.conditions["Room"][made.tests.codes == 0]) == {"hall"}
    told = run("evaluate", tmp_path / "s", "--by", "ROOM", "--by", "test_seconds", "--json").document
    assert [c["column"] for c in told["conditions"]][:2] == ["Room", "test_seconds"]
    assert told["conditions"][0]["value"] == "hall"
    assert told["conditions"][0]["targets"] == 10
    assert (told["failures"]["tests"], told["failures"]["tests_tried"], told["failures"]["nontargets"]) == (1, 21, 9)
    shown = run("evaluate", tmp_path / "s", "--by", "room")
    assert shown.status == 0
    row = next(line.split() for line in shown.out.splitlines() if line.startswith("Room hall"))
    assert row[:5] == ["Room", "hall", "10", "10", "90"]
    assert "left out: conditions: Room says nothing of 100 of 200 trials" in shown.out
    run("evaluate", tmp_path / "s", "--by", "mood").refused("a condition must be a column of the scores", "'mood'")
    run(*score, "--keep", "mood").refused("a column that is kept must be one of the recordings", "Room", "'mood'")
    run(*score, "--keep", "speaker").refused("a condition must have a name", "'speaker'")


def test_evaluate_tells_attacks_apart(using, tmp_path):
    rows = [f"{DATA / who / 's2_1.flac'},{who},{who in ('rms', 'slt')},," for who in KNOWN]
    rows += [f"{DATA / who / 's2_2.flac'},{who},,replayed," for who in KNOWN]
    (tmp_path / "m.csv").write_text("\n".join(["path,speaker,Room,Attack,x", *rows]))
    score = ("score", *using, "--manifest", tmp_path / "m.csv", "--keep", "room", "-o", tmp_path / "s")
    counts = run(*score, "--keep", "attack", "--json").document
    assert (counts["trials"], counts["targets"], counts["attacks"]) == (200, 10, 100)
    evaluate = ("evaluate", tmp_path / "s", "--by", "room")
    told = run(*evaluate, "--json").document
    assert (
        told
        == json.loads(json.dumps(speechgmm.evaluate(read_scores(tmp_path / "s"), by=["room"]).as_dict())) | NO_REPORT
    )
    replayed = told["attacks"]["species"][0]
    assert (replayed["species"], replayed["presentations"], told["trials"]) == ("replayed", 10, 100)
    write_scores(bona_fide(read_scores(tmp_path / "s")), tmp_path / "own")
    own = run("evaluate", tmp_path / "own", "--by", "room", "--json").document
    for name in own.keys() - {"attacks", "left_out"}:
        assert told[name] == own[name], name
    assert own["attacks"] is None
    shown = run(*evaluate).out
    share, low, high = (100 * x for x in (replayed["apcer"], replayed["interval"]["low"], replayed["interval"]["high"]))
    words = f"replayed 10 10 0 {share:.2f} % {low:.2f} to {high:.2f} %"
    assert words.split() in [line.split() for line in shown.splitlines()]
    bpcer = 100 * told["attacks"]["bpcer"]
    assert f"highest APCER {share:.2f} % (replayed), BPCER {bpcer:.2f} % (" in shown
    assert f"BPCER20 {100 * told['attacks']['trade_offs'][1]['bpcer']:.2f} %" in shown
    assert "BPCER100: 10 of replayed cannot show 1 %: none is accepted" in shown
    assert "left out: attacks: 90 trials against other models" in shown
    run("evaluate", tmp_path / "s", "--by", "attack").refused("a condition must be a column", "told apart in any case")
    text = (tmp_path / "s").read_text().splitlines()
    (tmp_path / "s").write_text("\n".join([text[0], *(line for line in text if "\treplayed" in line)]))
    run("evaluate", tmp_path / "s").refused(tmp_path / "s", "hold bona fide trials beside those of attacks")


def test_evaluate_tells_conditions_of_attacks(few, tmp_path):
    rows = np.arange(len(few))
    kinds = np.where(rows % 3 == 0, "replayed", "")
    places = np.where(rows % 2 == 0, "hall", "car")
    target = np.where(kinds == "", few.target, -1)
    held = Scores(few.speaker, few.test, few.score, target, attack=kinds, conditions={"room": places})
    write_scores(held, tmp_path / "s.npz")
    told = run("evaluate", tmp_path / "s.npz", "--by", "room", "--json").document["attacks"]["conditions"]
    assert [c["value"] for c in told] == ["car", "hall"]
    shown = [line.split() for line in run("evaluate", tmp_path / "s.npz", "--by", "room").out.splitlines()]
    for c in told:
        expected = f"room {c['value']} replayed {c['presentations']} {100 * c['apcer']:.2f} %"
        assert expected.split() in shown


def test_keep_needs_a_manifest(using, tmp_path):
    run("score", *using, "--trials", "t", "--keep", "room", "-o", tmp_path / "s").misused("--keep takes columns of a")


def test_evaluate_reads_arrays(made, told, tmp_path):
    write_scores(read_scores(made.scores), tmp_path / "s.npz")
    assert run("evaluate", tmp_path / "s.npz", "--json").document == told.document


def test_evaluate_names_what_it_left_out(tmp_path):
    (tmp_path / "s").write_text("speaker\ttest\tscore\ttarget\nann\ta\t1\t1\nbob\ta\t0\t0\nbob\tb\t0\t0\n")
    told = run("evaluate", tmp_path / "s", "--json").document
    shown = run("evaluate", tmp_path / "s").out
    assert told["left_out"] == [
        "identification_rate: 1 of 2 tests not counted, with no target trial (open set)",
        "open_set: 1 of 1 tests of strangers are not scored against all speakers",
        "durations: there is no column test_seconds",
        "failures: there is no column failed, so that nobody knows of any",
        "intervals: target trials of 1 speaker; fewer than 5 are too few to draw from",
    ]
    assert all(f"left out: {reason}" in shown for reason in told["left_out"])


def test_evaluate_has_null_for_a_rate_that_is_not_there(tmp_path):
    (tmp_path / "s").write_text("speaker\ttest\tscore\ttarget\nann\ta\t1\t1\nann\tb\t0\t0\n")
    assert run("evaluate", tmp_path / "s", "--json").document["identification_rate"] is None
    assert "identified        -" in run("evaluate", tmp_path / "s").out


@pytest.fixture
def few(made):
    """Scores of four speakers: too few to draw from, so that intervals take no time."""
    every = read_scores(made.scores)
    rows = np.isin(every.speaker, KNOWN[:4])
    return Scores(every.speaker[rows], every.test[rows], every.score[rows], every.target[rows])


def test_evaluate_scores_of_another_system_with_the_labels_of_a_list(few, tmp_path):
    rows = list(zip(few.speaker.tolist(), few.test.tolist(), few.score.tolist(), few.target.tolist(), strict=True))
    listed = rows[::-2]
    kaldi, trials, voxceleb = tmp_path / "scores", tmp_path / "trials", tmp_path / "veri_test.txt"
    kaldi.write_text("".join(f"{s} {t} {x!r}\n" for s, t, x, _ in rows))
    trials.write_text("".join(f"{s} {t} {'target' if y else 'nontarget'}\n" for s, t, _, y in listed))
    voxceleb.write_text("".join(f"{y} {s} {t}\n" for s, t, _, y in listed[::-1]))
    run("evaluate", kaldi).refused(kaldi, "120 trials without a label", "--trials")
    told = run("evaluate", kaldi, "--trials", trials, "--json").document
    assert (told["trials"], told["targets"]) == (60, sum(y for *_, y in listed))
    expected = speechgmm.evaluate(join(few, read_trials(trials)))
    assert (told["eer"], told["cllr"]) == (expected.eer, expected.cllr)
    shown = run("evaluate", kaldi, "--trials", voxceleb)
    assert (shown.status, shown.err) == (0, "")
    assert f"left out: 60 of 120 scores, which {voxceleb} does not list" in shown.out
    write_scores(few, tmp_path / "own.tsv")
    again = run("evaluate", tmp_path / "own.tsv", "--trials", voxceleb, "--json").document
    assert again["eer"] == pytest.approx(told["eer"], abs=1e-12)
    trials.write_text("rms target\n")
    run("evaluate", kaldi, "--trials", trials).refused(f"speechgmm: {trials}, line 1, must hold 3 fields")
    trials.write_text("rms nowhere.wav target\n")
    run("evaluate", kaldi, "--trials", trials).refused(kaldi, "'rms' with test 'nowhere.wav'", "Score these")


def test_evaluate_for_another_application(few, tmp_path):
    table, options = tmp_path / "scores.tsv", ("--prior", 0.2, "--cost-miss", 3, "--cost-fa", 2)
    write_scores(few, table)
    told = run("evaluate", table, *options, "--json").document
    expected = speechgmm.evaluate(few, prior=0.2, cost_miss=3, cost_fa=2)
    assert told == expected.as_dict() | NO_REPORT
    assert (told["prior"], told["cost_miss"], told["cost_fa"]) == (0.2, 3, 2)
    assert "prior 0.2, costs 3 and 2" in run("evaluate", table, *options).out
    for name in ("prior", "cost-miss", "cost-fa"):
        run("evaluate", table, f"--{name}=0").misused(f"{name.replace('-', '_')} must be above 0")


# speakers


def test_speakers_list(made, store):
    told = run("speakers", "list", *store, "--json").document["speakers"]
    assert tuple(s["speaker"] for s in told) == KNOWN
    assert all((s["sessions"], s["recordings"]) == (1, 2) and s["speech_seconds"] > 3 for s in told)
    assert [row[:3] for row in run("speakers", "list", *store).rows] == [[name, "1", "2"] for name in KNOWN]


def test_speakers_show(store):
    told = run("speakers", "show", "rms", *store, "--json").document
    (session,) = told["sessions"]
    assert session["session"] == "s1"
    assert session["recordings"] == ["rms/s1_1.flac", "rms/s1_2.flac"]
    assert told["speech_seconds"] == session["speech_seconds"]
    rows = run("speakers", "show", "rms", *store).rows
    assert [row[-1] for row in rows] == session["recordings"]
    assert rows[0][0] == "s1"


def test_speakers_remove_and_rename(own, store):
    assert run("speakers", "rename", "rms", "Robert", *store).out == "renamed rms to Robert\n"
    told = {"removed": "slt", "session": None, "not_reached": NOT_REACHED}
    assert run("speakers", "remove", "slt", *store, "--json").document == told
    said = run("speakers", "remove", "es_f1", "--session", "s1", *store).out
    assert said == f"removed session s1 of es_f1\nnot reached: {NOT_REACHED}\n"
    left = [s["speaker"] for s in run("speakers", "list", *store, "--json").document["speakers"]]
    assert left == sorted({"Robert", *KNOWN} - {"rms", "slt", "es_f1"})
    told = run("identify", *own, RMS, "--top", 1, "--json").document["files"][0]
    assert told["candidates"][0]["speaker"] == "Robert"
    again = run("speakers", "rename", "Robert", "rms", *store, "--json")
    assert again.document == {"old": "Robert", "new": "rms"}


def test_speakers_export(made, store, tmp_path):
    some, every = tmp_path / "some", tmp_path / "every"
    done = run("speakers", "export", "rms", "slt", *store, "-o", some, "--json")
    assert done.document == {"output": str(some), "speakers": ["rms", "slt"], "sessions": 2, "damaged": []}
    assert run("speakers", "export", *store, "-o", every).out == f"wrote 10 sessions of 10 speakers to {every}\n"
    held = load_export(every)
    assert held.fingerprint == made.trained.document["fingerprint"]
    assert [s.speaker for s in held.sessions] == list(KNOWN)


def test_speakers_index(made, own, store, tmp_path):
    index = tmp_path / "people.index"
    done = run("speakers", "index", *own, "-o", index, "--json")
    told = {"output": str(index), "speakers": 10, "bytes": index.stat().st_size, "damaged": []}
    assert done.document == told
    exact = run("identify", *own, RMS, NEW, "--json").document
    found = run("identify", *own, RMS, NEW, "--index", index, "--json").document
    for a, b in zip(exact["files"], found["files"], strict=True):
        assert (a["status"], a["decision"]) == (b["status"], b["decision"])
        llrs = [[c["llr"] for c in file["candidates"]] for file in (a, b)]
        assert llrs[0] == pytest.approx(llrs[1], abs=1e-3)
    assert run("speakers", "index", *own, "-o", index).out == f"wrote 10 speakers to {index}\n"
    told = run("info", index, "--json").document
    assert (told["type"], told["speakers"]) == ("SpeakerIndex", 10)
    assert (told["fingerprint"], told["bytes"]) == (made.trained.document["fingerprint"], index.stat().st_size)
    assert re.search(r"^type +index of speakers\n.*^speakers +10$", run("info", index).out, re.M | re.S)
    run("speakers", "remove", "slt", *store)
    run("identify", *own, RMS, "--index", index).refused(
        "be of the store as it is now; got one of another, or of which"
    )
    run("speakers", "index", *own, "-o", store[1]).refused("must be new, empty or an index of speakers")
    run("identify", *own, RMS, "--index", RMS).refused("an index must be a file that SpeakerIndex.write made")


def test_speakers_check(made, own, store):
    done = run("speakers", "check", *own, "--json")
    assert (done.status, done.document["passed"], done.document["damaged"]) == (0, True, [])
    assert done.document["fingerprint"] == made.trained.document["fingerprint"]
    said = run("speakers", "check", *store).out
    assert said.endswith("can be read, and nothing is wrong\n")
    with contextlib.closing(sqlite3.connect(store[1])) as db:
        db.execute("delete from speechgmm_samples where digest in (select digest from speechgmm_samples limit 1)")
        db.commit()
    done = run("speakers", "check", *own, "--json")
    assert (done.status, done.document["passed"]) == (1, False)
    assert done.document["damaged"][0]["error"].endswith("nothing is kept of it")
    assert "is damaged and left out" in done.err


def test_speakers_import(made, store, tmp_path):
    some, other = tmp_path / "some", ("--store", tmp_path / "other.db")
    assert run("speakers", "export", "rms", "slt", *store, "-o", some).status == 0
    told = run("info", some, "--json").document
    assert (told["type"], told["speakers"], told["sessions"]) == ("SpeakerExport", ["rms", "slt"], 2)
    assert told["fingerprint"] == made.trained.document["fingerprint"]
    assert told["samples"] == told["recordings"] > 2
    assert "export of speakers" in run("info", some).out
    done = run("speakers", "import", some, *other)
    assert done.status == 2
    assert "give --model: the store is new" in done.err
    done = run("speakers", "import", some, *other, "--model", made.model, "--json")
    wanted = {"imported": str(some), "speakers": ["rms", "slt"], "sessions": 2, "recordings": told["recordings"]}
    assert done.document == {**wanted, "known": []}
    asked = ("--model", made.model, RMS, "--json")
    best = run("identify", *other, *asked).document["files"][0]["candidates"][0]
    assert best["speaker"] == "rms"
    run("speakers", "import", some, *other).refused("must be enrolled once")
    run("speakers", "remove", "slt", *other)
    run("speakers", "rename", "rms", "Robert", *other)
    run("speakers", "import", some, *other).refused("must be enrolled once; got the same samples, enrolled as 'Robert'")
    run("speakers", "import", RMS, *other).refused(RMS)
    run("speakers", "import", made.model, *other).refused("must hold")


# features


def test_features_of_a_model(made, tmp_path):
    done = run("features", RMS, SLT, "--model", made.model, "-o", tmp_path / "f.npz", "--json")
    frontend = speechgmm.load_system(made.model).frontend
    told = done.document
    assert (told["dimensions"], told["fingerprint"]) == (60, frontend.fingerprint)
    with np.load(tmp_path / "f.npz", allow_pickle=False) as held:
        assert set(held) == {str(RMS), str(SLT), "frontend"}
        np.testing.assert_array_equal(held[str(RMS)], frontend.from_file(RMS))
        assert MFCC(**json.loads(str(held["frontend"]))) == frontend
        frames = [len(held[f["file"]]) for f in told["files"]]
    assert [f["frames"] for f in told["files"]] == frames
    assert [f["error"] for f in told["files"]] == [None, None]
    assert list(tmp_path.iterdir()) == [tmp_path / "f.npz"]


@pytest.mark.parametrize(
    ("preset", "frontend"),
    [("speech", MFCC()), *((n, speechgmm.features.preset(n, 16000)) for n in ("word", "sound", "kaldi"))],
)
def test_features_of_a_preset(tmp_path, preset, frontend):
    shown = run("features", RMS, "--preset", preset, "-o", tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz") as held:
        np.testing.assert_array_equal(held[str(RMS)], frontend.from_file(RMS))
        assert json.loads(str(held["frontend"])) == frontend.settings
        assert shown.rows[0][:2] == [str(RMS), str(len(held[str(RMS)]))]


def test_features_give_the_same_bytes_again(tmp_path):
    for name in ("a.npz", "b.npz"):
        assert run("features", RMS, "--preset", "speech", "-o", tmp_path / name).status == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# --where, --manifest


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        (["split=test"], 30),
        (["split=test", "split=enroll"], 50),
        (["split=test", "gender=f"], 15),
        (["split=test", "speaker=rms", "speaker=slt"], 6),
        (["split=test", "text=Nothing on the shelf looked cheaper than the cracked yellow teapot."], None),
    ],
)
def test_where_means_and_across_columns_and_or_within_one(using, tmp_path, conditions, rows):
    wanted = {
        c.split("=")[0]: {x.split("=")[1] for x in conditions if x.startswith(c.split("=")[0])} for c in conditions
    }
    with MANIFEST.open() as file:
        kept = [r["path"] for r in csv.DictReader(file) if all(r[c] in v for c, v in wanted.items())]
    assert rows in (None, len(kept))
    options = [x for c in conditions for x in ("--where", c)]
    done = run("score", *using, "--manifest", MANIFEST, *options, "-o", tmp_path / "s", "--json")
    skipped = [s["file"] for s in done.document["skipped"]]
    scored = dict.fromkeys(read_scores(tmp_path / "s").test.tolist())
    assert sorted([*scored, *skipped]) == sorted(kept)
    assert len(skipped) == (20 if "split=enroll" in conditions else 0)  # enrolled recordings are no tests


def test_a_folder_and_a_kaldi_directory_are_corpora_too(using, tmp_path):
    folder, kaldi = tmp_path / "folder", tmp_path / "kaldi"
    (folder / "rms").mkdir(parents=True)
    shutil.copy(RMS, folder / "rms")
    kaldi.mkdir()
    (kaldi / "wav.scp").write_text(f"utt1 {RMS}\n")
    (kaldi / "utt2spk").write_text("utt1 rms\n")
    (tmp_path / "trials").write_text("rms utt1 target\nslt utt1 nontarget\n")
    assert run("score", *using, "--manifest", folder, "-o", tmp_path / "a", "--json").document["targets"] == 1
    both = ("--manifest", kaldi, "--trials", tmp_path / "trials")
    assert run("score", *using, *both, "-o", tmp_path / "b", "--json").document["trials"] == 2


def test_info_of_a_model_that_says_nothing_of_its_making(made, tmp_path):
    dataclasses.replace(speechgmm.load_system(made.model), info={}).save(tmp_path / "bare")
    done = run("info", tmp_path / "bare")
    assert (done.status, done.err) == (0, "")
    assert "16 components of 60 features" in done.out


# train, several mixtures


def test_train_has_mixtures_of_both_kinds_of_cepstra(made, tmp_path):
    where = ("--where", "speaker=awb", "--where", "speaker=kal16", "--where", "session=s1")
    sizes = ("--components", 2, "--components", 4)
    told = run("train", MANIFEST, "-o", tmp_path / "b", *where, *sizes, "--json").document
    assert (told["components"], told["mixtures"], told["dimensions"]) == (12, [2, 4, 2, 4], 120)
    assert told["frontend"]["kind"] == "mfcc+lfcc"
    same = ("train", MANIFEST, "-o", tmp_path / "p", *where, *sizes, "--preset", "both")
    assert run(*same).status == 0
    assert (tmp_path / "p").read_bytes() == (tmp_path / "b").read_bytes()
    shown = run("info", tmp_path / "b").out
    assert "2, 4, 2 and 4 components of 120 features" in shown
    assert "averages=learned\n" in shown
    assert "sample_rate=8000" in run(*same, "--sample-rate", 8000).out
    known = ("--model", tmp_path / "b", "--store", tmp_path / "s.db")
    for voice in ("rms", "slt"):
        assert run("enroll", *known, voice, DATA / voice / "s1_1.flac").status == 0
    answers = run("identify", *known, RMS, SLT, "--json").document["files"]
    assert [a["candidates"][0]["speaker"] for a in answers] == ["rms", "slt"]
    run("identify", "--model", made.model, *known[2:], RMS).refused("must be of the same front end", "mfcc+lfcc")


def test_train_best_has_twice_the_mixtures_and_asks_single_recordings(tmp_path):
    where = ("--where", "speaker=awb", "--where", "speaker=kal16", "--where", "session=s1")
    told = run("train", MANIFEST, "-o", tmp_path / "b", *where, "--json").document
    best = run("train", MANIFEST, "-o", tmp_path / "b", *where, "--quality", "best", "--json").document
    assert len(best["mixtures"]) == 2 * len(set(best["mixtures"])) >= len(told["mixtures"])
    assert best["frontend"]["kind"] == "mfcc+lfcc"
    assert (told["by_recording"], best["by_recording"]) == (False, True)
    assert "the best are scored by each of their recordings" in run("info", tmp_path / "b").out
    done = run("train", MANIFEST, "-o", tmp_path / "m", "--quality", "best", "--components", 4)
    assert done.status == 2
    assert "give --quality best or --components, not both" in done.err
    assert run("train", MANIFEST, "-o", tmp_path / "m", "--quality", "good").status == 2
    assert not (tmp_path / "m").exists()

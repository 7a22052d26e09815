"""The outside of the command line: start-up, streams, terminals, interrupts, and tables that cut no name."""

import json
import math
import os
import subprocess
import sys

import pytest

import speechgmm
from speechgmm.cli import output
from speechgmm.errors import Skipped
from tests.cli.running import DATA, MANIFEST, ROOT, run, run_apart, run_on_terminal

RMS = DATA / "rms" / "s2_1.flac"
HEAVY = ("librosa", "numba", "sklearn", "scipy", "sqlalchemy", "soundfile", "safetensors", "numpy")
COMMANDS = ("train", "enroll", "identify", "verify", "score", "evaluate", "info", "features")
SPEAKERS = ("list", "show", "remove", "rename", "export")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom speechgmm.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert not e.code\n"
        f"print(*[m for m in {HEAVY[:-1]} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    for command in (*COMMANDS, "speakers"):
        assert command in done.stdout


def test_version_and_no_command():
    done = run_apart("--version")
    assert (done.status, done.out, done.err) == (0, f"speechgmm {speechgmm.__version__}\n", "")
    assert "Usage" in run().out + run().err


@pytest.mark.parametrize("command", [*((c,) for c in COMMANDS), *(("speakers", c) for c in SPEAKERS)])
def test_each_command_has_help_and_json(command):
    done = run(*command, "--help")
    assert done.status == 0
    assert "--json" in done.out
    assert "Parameters" not in done.out


def test_usage_lines_name_what_must_be_given_as_it_is():
    usage = {
        ("identify",): "identify [OPTIONS] FILE...",
        ("enroll",): "enroll [OPTIONS] [SPEAKER] [FILE]...",
        ("speakers", "remove"): "speakers remove [OPTIONS] SPEAKER",
        ("classify", "predict"): "classify predict [OPTIONS] MODEL [FILE]...",
    }
    for command, line in usage.items():
        assert f"Usage: speechgmm {line}\n" in "\n".join(x.strip() for x in run(*command, "--help").out.splitlines())
    assert "the one of the package" not in run("classify", "evaluate", "--help").out
    assert "Usage: speechgmm identify [OPTIONS] FILE..." in run("identify").err


@pytest.mark.parametrize(
    ("name", "reason", "line"),
    [
        ("a.wav", "a.wav must be whole; got half.", "left out: a.wav must be whole; got half."),
        ("x/a.wav", "a recording must exist; got /d/x/a.wav, which does not.", "left out: a recording must exist;"),
        ("a.wav", "/d/ba.wav must be whole; got half.", "left out a.wav: /d/ba.wav must"),
        ("utt1", "/d/a.wav must be whole; got half.", "left out utt1: /d/a.wav must"),
        ("a", "a recording must exist; got /d/a, which does not.", "left out a: a recording must exist"),
    ],
)
def test_what_was_left_out_is_named_once(capsys, name, reason, line):
    import typer

    with pytest.raises(typer.Exit):
        output.emit(True, {}, errors=[(name, reason)])
    assert capsys.readouterr().err.startswith(f"speechgmm: {line}")


def test_nothing_but_the_result_is_written_where_nobody_watches(using, made, tmp_path):
    done = run_apart("identify", *using, RMS, "--json")
    assert (done.status, done.err) == (0, "")
    assert done.document["files"][0]["candidates"][0]["speaker"] == "rms"
    fast = ("--where", "speaker=awb", "--components", 2)
    done = run_apart("train", MANIFEST, "-o", tmp_path / "m", *fast)
    assert (done.status, done.err.count("\n")) == (0, 2)
    assert done.err.startswith("speechgmm: 1 background speaker(s) are few")
    assert "speechgmm: not calibrated: of the background speakers fewer than 20" in done.err
    assert "\x1b" not in done.out
    refused = run_apart("identify", "--model", tmp_path / "none", "--store", made.store, RMS)
    refused.refused(tmp_path / "none")


def test_progress_is_drawn_on_a_terminal_and_the_result_stays_clean(tmp_path):
    fast = ("--where", "speaker=awb", "--components", 4)
    done = run_on_terminal("train", MANIFEST, "-o", tmp_path / "m", *fast, "--json")
    assert done.status == 0
    assert done.document["components"] == 4
    for text in ("features", "5/5", "EM", "/20"):
        assert text in done.err
    done = run_on_terminal("features", RMS, "--preset", "sound", "-o", tmp_path / "f.npz", "--json")
    assert done.document["files"][0]["file"] == str(RMS)
    assert "recordings" in done.err


def test_control_c_ends_the_work_without_a_traceback(tmp_path):
    done = run_on_terminal("train", MANIFEST, "-o", tmp_path / "m", "--components", 512, interrupt_at="features")
    assert done.status == 130
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_meets_no_traceback(made):
    command = f"{sys.executable} -m speechgmm speakers list --store {made.store} | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_names_are_whole_and_read_literally_in_tables(own, store, tmp_path):
    name = "[bold]Zoë :smile: " + "x" * 150
    session = "a session " + "y" * 150
    assert run("enroll", *own, name, DATA / "awb" / "s1_1.flac", "--session", session).status == 0
    assert name in run("speakers", "list", *store).out
    shown = run("speakers", "show", name, *store).out
    assert session in shown
    assert str(DATA / "awb" / "s1_1.flac") in shown
    best = run("identify", *own, DATA / "awb" / "s1_2.flac", "--top", 1).out
    assert name in best
    assert not [line for line in best.splitlines() if line != line.rstrip()]
    told = run("speakers", "list", *store, "--json").document["speakers"]
    assert name in [s["speaker"] for s in told]


def test_a_terminal_of_80_columns_folds_names_and_cuts_none(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    long = "".join(f"{i:04d}" for i in range(40))
    output.emit(False, {}, output.table("name", ">n", rows=[(long, 7)]), output.facts({"a": long}))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "".join(line.replace(" 7", "").removeprefix("a").strip() for line in lines[2:])
    assert text == long * 2


def test_an_output_that_knows_no_such_letters_shows_them_escaped(own, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert run("enroll", *own, "Zoë", DATA / "awb" / "s1_1.flac").status == 0
    done = run_apart("speakers", "list", *own[2:], env=environment)
    assert done.status == 0
    assert "Zo\\xeb" in done.out


def test_json_has_null_for_what_is_not_finite_and_rounds_seconds(capsys):
    output.emit(True, {"a": math.nan, "b": [math.inf, 1], "speech_seconds": 1.23456, "llr": 1.23456, "c": (None,)})
    told = json.loads(capsys.readouterr().out)
    assert told == {"a": None, "b": [None, 1], "speech_seconds": 1.235, "llr": 1.23456, "c": [None]}


def test_refusals_are_one_line_whatever_the_reason_says(capsys):
    import typer

    with pytest.raises(typer.Exit):
        output.emit(True, {}, errors=[("a.wav", "first\nsecond"), ("b.wav", None)])
    assert capsys.readouterr().err == "speechgmm: left out a.wav: first second\n"
    output.emit(True, {}, errors=[("b.wav", None)], skipped=[])
    assert json.loads(capsys.readouterr().out) == {"skipped": []}
    with pytest.raises(typer.Exit):
        output.emit(True, {"a": 1}, skipped=[Skipped("a.wav", "why")])
    told = capsys.readouterr()
    assert json.loads(told.out) == {"a": 1, "skipped": [{"file": "a.wav", "error": "why"}]}
    assert told.err == "speechgmm: left out a.wav: why\n"

"""The outside of the command line: start-up, streams, terminals, interrupts, and tables that cut no name."""

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import speechgmm
from speechgmm.cli import output
from speechgmm.errors import Skipped
from tests.cli.running import DATA, MANIFEST, ROOT, run, run_apart, run_on_terminal

RMS = DATA / "rms" / "s2_1.flac"
HEAVY = ("librosa", "numba", "sklearn", "scipy", "sqlalchemy", "soundfile", "safetensors", "matplotlib", "numpy")
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


NOT_NEEDED = (
    "librosa",
    "sklearn",
    "matplotlib",
    "scipy.signal",
    "scipy.stats",
    "scipy.optimize",
    "scipy.sparse",
    "soxr",
    "sqlalchemy.orm",
    "pandas",
    "speechgmm.classification",
    "speechgmm.interchange",
    "speechgmm.report",
    "speechgmm.plot",
    "speechgmm.evaluation.attacks",
    "speechgmm.evaluation.false_accepts",
    "speechgmm.evaluation.jackknife",
    "speechgmm.evaluation.summary",
    "speechgmm.features.feature_files",
    "speechgmm.features.presets",
    "speechgmm.speakers.adaptation",
    "speechgmm.speakers.held_out",
    "speechgmm.speakers.train",
)
"""What takes long to import, and what no command needs that hears one recording or tells of a model."""


def test_one_recording_imports_no_more_than_it_needs(tmp_path):
    store = str(tmp_path / "s.db")
    for speaker in ("rms", "slt"):
        assert run("enroll", "--store", store, speaker, DATA / speaker / "s1_1.flac").status == 0
    another = ("enroll", "--store", store, "awb", str(DATA / "awb" / "s1_1.flac"))
    for command in (("identify", "--store", store, str(RMS)), ("info", store), another):
        code = (
            "import sys\nfrom speechgmm.cli import main\n"
            f"try:\n    main({list(command)})\nexcept SystemExit as e:\n    assert not e.code\n"
            f"print('imported:', *[m for m in {NOT_NEEDED} if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1].strip() == "imported:", command


def test_a_process_of_its_own_seldom_looks_for_garbage_and_not_at_its_end():
    code = (
        "import gc, sys\nfrom speechgmm.cli import main\n"
        "usual, sys.argv = gc.get_threshold(), ['speechgmm', '--version']\n"
        "try:\n    main({})\nexcept SystemExit as e:\n    assert not e.code\n"
        "now, frozen = gc.get_threshold(), gc.get_freeze_count()\n"
        "print(now[0] > usual[0], now[1:] == usual[1:], frozen > 10_000, gc.isenabled())"
    )
    for arguments, changed in (("", True), ("sys.argv[1:]", False)):
        words = [sys.executable, "-c", code.format(arguments)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        version, found = done.stdout.splitlines()
        assert version == f"speechgmm {speechgmm.__version__}"
        assert found == f"{changed} True {changed} True"


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
    assert done.err.startswith("speechgmm: too few people: 1 background speaker; use many")
    assert "speechgmm: not calibrated: of the background speakers fewer than 20" in done.err
    assert "\x1b" not in done.out
    run("identify", "--model", tmp_path / "none", "--store", made.store, RMS).refused(tmp_path / "none")


def test_progress_is_drawn_on_a_terminal_and_the_result_stays_clean(tmp_path):
    fast = ("--where", "speaker=awb", "--components", 4)
    done = run_on_terminal("train", MANIFEST, "-o", tmp_path / "m", *fast, "--json")
    assert done.status == 0
    assert done.document["mixtures"] == [4, 4]
    for text in ("features", "5/5", "min of speech", "x real time", "left", "EM", "/40"):
        assert text in done.err


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


COLUMNS = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">posterior")
ANSWERS = (
    ("/home/ann/recordings/2026/monday_meeting.wav", 12.34, "accepted", 1, "Ann-Kathrin Müller", "+12.345", "0.998"),
    ("", "", "", 2, "李小龙李小龙李小龙", "+1.345", "0.001"),
    ("who.wav", 3.2, "too little speech", "", "", "", ""),
)


def shown_at(monkeypatch, capsys, width, *parts):
    """The lines of a terminal of this width."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")  # without styles
    output.emit(False, {}, *parts)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("width", "lost", "head"),
    [
        (120, [], "file"),
        (80, ["speech, s", "rank", "LLR"], "file"),
        (60, ["speech, s", "rank", "LLR", "posterior"], "file"),
        (40, ["speech, s", "rank", "LLR", "posterior"], "file      /home/ann/recordings/2026/mond"),
        (30, ["speech, s", "rank", "LLR", "posterior"], "file      /home/ann/recordings"),
    ],
)
def test_narrow_terminals_lose_numbers_first_and_then_get_lines(monkeypatch, capsys, width, lost, head):
    lines = shown_at(monkeypatch, capsys, width, output.table(*COLUMNS, rows=ANSWERS))
    assert max(map(cell_len, lines)) <= width
    assert lines[0].split("  ")[0] == head.split("  ")[0]
    assert lines[0].startswith(head)
    told = " ".join(lines).partition("no room for: ")[2]
    assert told == "; ".join(lost)
    if width <= 40:
        for text in (
            "answer    accepted",
            "speaker   Ann-Kathrin Müller",
            "speaker   李小龙李小龙李小龙",
            "file      who.wav",
        ):
            assert text in lines


names = st.text(st.characters(categories=["L", "N"], max_codepoint=0xD000), max_size=50)


@given(rows=st.lists(st.tuples(names, st.floats(0, 1e5), names, names), max_size=4), width=st.integers(24, 130))
def test_no_letter_of_a_name_is_lost_at_any_width(rows, width):
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "dumb")
        table = output.table("file", ">n", "answer", "speaker", rows=rows)
        output.emit(False, {}, table, output.facts({a: b for a, _, b, _ in rows if a}))
    shown = Counter(out.getvalue())
    letters = Counter(
        "".join(a + b + c for a, _, b, c in rows) + "".join({a: a + b for a, _, b, _ in rows if a}.values())
    )
    assert all(shown[letter] >= n for letter, n in letters.items())
    assert max(map(cell_len, out.getvalue().splitlines()), default=0) <= width


def test_what_is_made_of_numbers_loses_none(monkeypatch, capsys):
    confusion = output.table("truth", *(f">label {i}" for i in range(6)), rows=[("a", *range(6))], spare=())
    lines = shown_at(monkeypatch, capsys, 40, confusion)
    assert lines == ["truth     a", *(f"label {i}   {i}" for i in range(6))]


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


def test_who_waits_for_a_store_is_told_on_a_terminal_alone(monkeypatch, capsys):
    output.say_waiting("s.db")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    output.say_waiting("s.db")
    told = "speechgmm: waiting for another process, which holds the store s.db; Ctrl-C ends this\n"
    assert capsys.readouterr() == ("", told)


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

"""What files, damaged stores and tables hold never moves a terminal's cursor, and is never markup in a page."""

import contextlib
import os
import re
import shutil
import sqlite3

import pytest

from tests.cli.running import DATA, run, run_on_terminal

NASTY = "\x1b[2J\x07<script>alert(1)</script>\u202e\x9b31m"
"""Clears the screen, rings, is markup, turns the direction of text, and colors it by a C1 control."""
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
VOICE = DATA / "slt" / "s2_1.flac"


def clean(done):
    """Hold what a command has said to be seen as it is."""
    assert not RAW.search(done.out), ascii(done.out)
    assert not RAW.search(done.err), ascii(done.err)
    assert "Traceback" not in done.err
    return done


@pytest.fixture
def forged(made, tmp_path):
    """A store in which somebody has written over what stands in its columns."""
    path = shutil.copy(made.store, tmp_path / "forged.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        for table, column in (
            ("sessions", "speaker"),
            ("sessions", "session"),
            ("recordings", "speaker"),
            ("recordings", "session"),
            ("recordings", "name"),
            ("sessions", "seconds"),
            ("audit", "version"),
            ("audit", "action"),
            ("audit", "time"),
        ):
            row = f"(select max(rowid) from speechgmm_{table})"
            db.execute(f"update speechgmm_{table} set {column} = ? where rowid = {row}", (NASTY,))
        db.execute("insert into speechgmm_notes values ('rms', ?), (?, 'x')", (NASTY, NASTY))
        db.commit()
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("speakers", "list"),
        ("speakers", "show", "rms"),
        ("speakers", "show", NASTY),
        ("speakers", "remove", NASTY),
        ("speakers", "rename", NASTY, NASTY),
        ("speakers", "annotate", NASTY, "--note", "x"),
        ("speakers", "annotate", "rms", "--note", NASTY),
        ("speakers", "annotate", "rms", "--keep-until", NASTY),
        ("speakers", "purge"),
        ("speakers", "check"),
        ("speakers", "audit"),
        ("identify", VOICE, "--model"),
        ("verify", NASTY, VOICE, "--model"),
        ("verify", "rms", VOICE, "--model"),
        ("enroll", NASTY, VOICE, "--model"),
    ],
    ids=lambda words: " ".join(map(str, words[:2])).replace(NASTY, "nasty"),
)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_a_forged_store_reaches_no_terminal_raw(command, as_json, forged, made):
    if command[-1] == "--model":
        command = (*command, made.model)
    clean(run(*command, "--store", forged, *as_json))


def test_a_forged_store_reaches_no_terminal_raw_by_info_and_export(forged, made, tmp_path):
    clean(run("info", forged, "--model", made.model))
    clean(run("speakers", "export", "-o", tmp_path / "out", "--store", forged))
    clean(run("speakers", "export", "-o", tmp_path / NASTY.replace("/", ""), "--store", forged))


def test_what_damage_is_told_on_a_terminal_is_escaped(forged):
    done = run_on_terminal("speakers", "check", "--store", forged)
    told = re.sub("\x1b\\[[?0-9;]*[a-zA-Z]|\r", "", done.err) if "\x1b[2J" not in done.err else done.err
    assert not RAW.search(told.replace("\n", ""))
    assert not RAW.search(done.out)
    assert "\\x1b[2J" in done.err + done.out


@pytest.mark.parametrize("form", ["wrong option", "wrong command", "wrong value", "no file", "wrong column"])
def test_what_is_refused_is_shown_escaped(form, made, forged):
    words = {
        "wrong option": ("info", f"--{NASTY}"),
        "wrong command": (NASTY,),
        "wrong value": ("identify", VOICE, "--model", made.model, "--store", made.store, "--top", NASTY),
        "no file": ("info", os.fspath(DATA / NASTY)),
        "wrong column": ("train", DATA / "manifest.csv", "--where", f"{NASTY}=1", "-o", "x"),
    }[form]
    done = clean(run(*words))
    assert done.status in (1, 2)


def scores(path, columns, values):
    header = ["speaker", "test", "score", "target", *columns]
    rows = [[f"s{i % 2}", f"t{i}", f"{(-1) ** i * (i % 7 + 1)}", f"{(i + 1) % 2}", *values] for i in range(60)]
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("where", ["column", "value", "file"])
def test_names_in_tables_reach_neither_terminal_nor_page_raw(where, tmp_path):
    markup = "<script>alert(1)</script>"
    column, value = {"column": (NASTY, "a"), "value": ("room", NASTY)}.get(where, (markup, markup))
    name = f"{NASTY.replace('/', '')}.tsv" if where == "file" else "scores.tsv"
    table, page = scores(tmp_path / name, [column], [value]), tmp_path / "page.html"
    clean(run("evaluate", table, "--by", column))
    done = clean(run("evaluate", table, "--by", column, "--report", page))
    if where == "file":
        assert done.status == 0, done.err
    if done.status == 0:
        text = page.read_text()
        assert "<script" not in text
        assert "&lt;script" in text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    clean(run("calibrate", table, "-o", tmp_path / "calibration"))

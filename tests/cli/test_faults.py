"""Commands on a full or read-only disk, and commands that are ended: one line, and files that are whole."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests import faults
from tests.cli.running import DATA, MANIFEST, ROOT, Run, run

VOICE = DATA / "slt" / "s2_1.flac"
FAST = ("--where", "speaker=awb", "--components", 2)


def apart(script, *args, **environment):
    """Run a command in a process of its own, after a script that prepares it."""
    script += "\nimport sys\nfrom speechgmm.cli import main\nmain(sys.argv[1:])"
    command = [sys.executable, "-W", "error", "-c", script, *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def here(made, tmp_path):
    """A folder with a store, a model and a table of scores, and a key elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    for source, name in ((made.store, "s.db"), (made.model, "m"), (made.scores, "scores.tsv")):
        shutil.copy(source, folder / name)
    (tmp_path / "key").write_bytes(bytes(range(32)))
    return folder


def commands(here):
    """Commands that write in a folder."""
    store = ("--store", here / "s.db")
    return {
        "enroll": ("enroll", "ann", VOICE, "--model", here / "m", *store),
        "new store": ("enroll", "ann", VOICE, "--model", here / "m", "--store", here / "new.db"),
        "remove": ("speakers", "remove", "rms", *store),
        "rekey": ("speakers", "rekey", "--new-key-file", here.parent / "key", *store),
        "export": ("speakers", "export", "-o", here / "out", *store),
        "index": ("speakers", "index", "--model", here / "m", "-o", here / "index", *store),
        "train": ("train", MANIFEST, *FAST, "-o", here / "m"),
        "report": ("evaluate", here / "scores.tsv", "--report", here / "page.html"),
        "score": ("score", "--manifest", MANIFEST, "--where", "speaker=slt", "--where", "split=test",
                  "--model", here / "m", *store, "-o", here / "scores.tsv"),
        "features": ("features", VOICE, "--preset", "speech", "-o", here / "f.npz"),
    }  # fmt: skip


def state(here):
    """The bytes of all files, but empty ones, of a store that was to be made, and what resumes a training."""
    return {path.name: data for path in sorted(here.iterdir()) if path.is_file() and (data := path.read_bytes())}


WORDS = {errno.ENOSPC: ("disk is full", "No space left on device"), errno.EROFS: ("readonly", "Read-only", "unable")}


@pytest.mark.parametrize("error", WORDS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "name", ["enroll", "new store", "remove", "rekey", "export", "index", "train", "report", "features"]
)
def test_a_full_or_read_only_disk_is_named_in_one_line(name, error, here, tmp_path):
    if why := faults.missing():
        pytest.skip(why)
    before = state(here)
    kinds = faults.CHANGES | (faults.KINDS["open"] if error == errno.EROFS else 0)
    script = f"from pathlib import Path\nfrom tests import faults\nfaults.arm(Path({str(here)!r}), {kinds}, {error})"
    done = apart(script, *commands(here)[name], **faults.compiled(tmp_path))
    assert (done.status, done.out) == (1, "")
    told = [line for line in done.err.splitlines() if "too few people" not in line and "not calibrated" not in line]
    assert len(told) == 1, done.err
    assert told[0].startswith("speechgmm: ")
    assert str(here) in told[0]
    assert any(word in told[0] for word in WORDS[error])
    for path in here.glob("*-journal"):  # of a store: nothing could be undone, and the next who opens it does so
        with contextlib.closing(sqlite3.connect(here / path.name.removesuffix("-journal"))) as db:
            db.execute("select * from sqlite_master").fetchall()
    for path in here.glob(".*.tmp"):  # what cannot be removed
        path.unlink()
    assert state(here) == before
    again = run(*commands(here)[name])
    assert again.status == 0, again.err


AT = {
    "enroll": ("speechgmm.speakers.store_tables", "StoreTables.put_sample"),
    "rekey": ("speechgmm.speakers.store_tables", "StoreTables.set_meta"),
    "train": ("pathlib", "Path.write_bytes"),
    "score": ("speechgmm.files", "os.replace"),
    "report": ("pathlib", "Path.write_bytes"),
}
"""The function behind which a command is ended: much is written then, and nothing is done."""
ENDED = """
import {module} as module, os, functools
plain = module.{function}
def ended(*args, **how):
    {before}
    done = plain(*args, **how)
    if "checkpoint" not in str(args[0]):
        os.kill(os.getpid(), {number})
    return done
module.{function} = ended
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("name", AT)
def test_a_command_that_is_ended_leaves_files_whole(name, how, here):
    number = getattr(signal, how)
    before = state(here)
    module, function = AT[name]
    early = f"os.kill(os.getpid(), {int(number)})" if name == "score" else "pass"
    script = ENDED.format(module=module, function=function, number=int(number), before=early)
    usual = "default_int_handler" if how == "SIGINT" else "SIG_DFL"  # whoever runs the tests may have them ignored
    script += f"import signal\nsignal.signal(signal.{how}, signal.{usual})\n"
    done = apart(script, *commands(here)[name])
    assert (done.status, done.out) == (128 + number, ""), done.err
    told = [line for line in done.err.splitlines() if "too few people" not in line and "not calibrated" not in line]
    assert told == ["speechgmm: interrupted before it was done"]
    assert state(here) == before, sorted(os.listdir(here))


def test_what_a_process_was_told_to_ignore_does_not_end_it(here):
    script = "import os, signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    script += ENDED.format(module="pathlib", function="Path.write_bytes", number=int(signal.SIGHUP), before="pass")
    done = apart(script, *commands(here)["export"])
    assert done.status == 0, done.err
    assert (here / "out").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "commands that ran here have put it back"

"""How these tests call the command line: in this process, in another one, or on a terminal of its own."""

import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from speechgmm.cli import main

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
MANIFEST = DATA / "manifest.csv"
KNOWN = ("es_andrea", "es_belinda", "es_david", "es_f1", "es_f4", "es_m3", "es_m5", "es_m7", "rms", "slt")


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON object on standard output."""
        found = json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert isinstance(found, dict)
        assert self.out.count("\n") == 1
        return found

    @property
    def rows(self):
        """The fields of the lines of a table, under its header and rule."""
        lines = self.out.splitlines()
        rule = next(i for i, line in enumerate(lines) if line.startswith("──"))
        return [line.split() for line in lines[rule + 1 :] if line.strip()]

    def refused(self, *words):
        """Assert exit status 1 with one line on standard error that holds these words, and nothing else.

        But for the line that says how a folder was understood.
        """
        assert (self.status, self.out) == (1, "")
        lines = [line for line in self.err.splitlines() if " is a folder with a subfolder for each" not in line]
        assert len(lines) == 1
        assert lines[0].startswith("speechgmm: ")
        for word in words:
            assert str(word) in self.err

    def misused(self, *words):
        """Assert exit status 2 and these words on standard error."""
        assert (self.status, self.out) == (2, "")
        text = " ".join(self.err.replace("│", " ").split())
        for word in ("Usage", *words):
            assert word in text


def run(*args):
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as exit_:
        main([str(a) for a in args])
    assert "\x1b" not in out.getvalue() + err.getvalue()
    return Run(int(exit_.value.code or 0), out.getvalue(), err.getvalue())


def run_apart(*args, **options):
    """Run a command in a process of its own; warnings are errors there too."""
    command = [sys.executable, "-W", "error", "-m", "speechgmm", *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", **options)
    return Run(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*args, interrupt_at=None):
    """Run a command whose standard error is a terminal and whose output is a pipe; return the Run.

    With `interrupt_at`, press Ctrl-C as soon as that text is seen.
    """
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "speechgmm", *map(str, args)]
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # by a shell that runs the tests beside others
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    signal.signal(signal.SIGINT, ignored)
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal has no other end any more
            break
        if not piece:
            break
        seen += piece
        if interrupt_at and interrupt_at.encode() in seen:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    return Run(process.returncode, out.decode(), seen.decode())

"""Where commands run: standard streams that are closed or full, and names of files that are no text."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.cli.running import DATA, ROOT, run, run_apart

RMS = DATA / "rms" / "s2_1.flac"


@pytest.fixture
def batch(tmp_path):
    """A recording whose name is no Unicode text, before one whose name is."""
    odd = os.fsencode(tmp_path) + b"/a\xff.flac"
    try:
        shutil.copy(RMS, odd)
    except OSError:
        pytest.skip("this file system takes Unicode names alone")
    return os.fsdecode(odd), shutil.copy(RMS, tmp_path / "b.flac")


def test_a_name_that_is_no_text_does_not_lose_the_others(using, batch):
    done = run_apart("identify", *using, *batch, "--json")
    assert (done.status, done.err) == (0, "")
    odd, plain = json.loads(done.out)["files"]
    assert odd["file"] == batch[0]
    assert odd["candidates"] == plain["candidates"]
    assert "a\\udcff.flac" in run("identify", *using, *batch).out


def test_a_name_that_is_no_text_is_enrolled_shown_and_exported(own, batch, tmp_path):
    assert run("enroll", *own, "ann", batch[0], "--session", "s").status == 0
    assert "a\\udcff.flac" in run("speakers", "show", "ann", *own[2:]).out
    assert run("speakers", "export", "ann", *own[2:], "-o", tmp_path / "o").status == 0
    assert run("features", batch[0], "-o", tmp_path / "o.npz", "--preset", "speech").status == 0


@pytest.mark.parametrize("closed", ["1", "2", "0 1 2"])
def test_closed_streams_lose_nothing(closed, made, tmp_path):
    """Neither a traceback nor output into the next file that is opened, which takes the number of a closed stream."""
    store = shutil.copy(made.store, tmp_path / "own.db")
    command = f"{sys.executable} -m speechgmm speakers rename rms ann --store {store}"
    closing = " ".join(f"{number}>&-" for number in closed.split())
    done = subprocess.run(["sh", "-c", f"{command} {closing}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "ann" in run("speakers", "list", "--store", store).out


def test_a_full_device_is_told(made):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    command = f"{sys.executable} -m speechgmm info {made.model} > /dev/full"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("speechgmm: the output must be written")


def test_a_name_that_is_no_text_is_scored(using, batch, tmp_path):
    manifest = tmp_path / "folder"
    (manifest / "rms").mkdir(parents=True)
    for path in batch:
        shutil.copy(path, manifest / "rms")
    assert run("score", *using, "--manifest", manifest, "-o", tmp_path / "scores.tsv").status == 0
    assert {r.split("\t")[1] for r in (tmp_path / "scores.tsv").read_text().splitlines()[1:]} == {
        "rms/a\\udcff.flac",
        "rms/b.flac",
    }

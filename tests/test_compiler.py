"""Where compiled code is kept: a folder that can be written, of this user alone, and damage is compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from speechgmm import compiler
from speechgmm.errors import InvalidInput, SpeechGMMWarning

ROOT = Path(__file__).resolve().parents[1]
NOWHERE = Path("/proc/nowhere")
"""A folder that even root cannot make."""

PROGRAM = """
import sys
from pathlib import Path
from speechgmm import compiler
compiler._beside = lambda: Path("/proc/nowhere")
compiler.prepare_cache()
from {module} import double
assert double(2) == 4
print(double.stats.cache_hits[next(iter(double.stats.cache_hits))] if double.stats.cache_hits else 0)
"""
MODULE = "import numba\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_of_this_user_alone_and_told_once(folder, recwarn):
    with pytest.warns(SpeechGMMWarning, match=r"compiled code is kept in .*Set NUMBA_CACHE_DIR to keep it"):
        made = compiler._temporary()
    assert made.parent == folder
    assert made.stat().st_mode & 0o777 == 0o700
    recwarn.clear()
    assert compiler._temporary() == made
    assert not recwarn.list


@pytest.mark.parametrize("squat", ["open to all", "a link"])
def test_code_is_never_read_from_a_folder_where_others_write(squat, folder):
    place = folder / f"speechgmm-{os.getuid()}"
    if squat == "a link":
        (folder / "elsewhere").mkdir()
        place.symlink_to("elsewhere")
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.warns(SpeechGMMWarning, match="compiled code is kept in"):
        made = compiler._temporary()
    assert made != place
    assert made.stat().st_mode & 0o777 == 0o700


def test_no_folder_at_all_is_refused(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(NOWHERE))
    with pytest.raises(InvalidInput, match="a folder for compiled code must be one that can be written; got none"):
        compiler._temporary()


def test_without_a_home_there_is_no_folder_there(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert compiler._home() is None
    assert not compiler._writable(None)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert compiler._home() == Path("/somewhere/numba")


def test_an_installation_and_a_home_that_are_closed_and_code_that_is_damaged(tmp_path):
    """Damage is what a crash or a full disk leaves: the index, then the code, cut short."""
    module, places = tmp_path / "made_for_a_test.py", tmp_path / "tmp"
    module.write_text(MODULE)
    (tmp_path / "__pycache__").write_text("a file, so that no folder can be made here")
    places.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(NOWHERE), "TMPDIR": str(places)}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{tmp_path}"

    def hits():
        code = PROGRAM.format(module=module.stem)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout), done.stderr

    first, warned = hits()
    assert first == 0
    assert str(places) in warned
    assert hits() == (1, "")
    for ending in ("*.nbi", "*.nbc"):
        (damaged,) = places.rglob(ending)
        damaged.write_bytes(damaged.read_bytes()[:20])
        assert hits() == (0, "")
        assert hits() == (1, "")

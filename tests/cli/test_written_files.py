"""What commands write: through devices and links, and never over their own inputs or a file of another kind."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.running import DATA, MANIFEST, run, run_apart

RMS = DATA / "rms" / "s2_1.flac"


@pytest.fixture
def inputs(made, tmp_path):
    """Copies of what commands read, by name."""
    trials = tmp_path / "trials.txt"
    trials.write_text(f"1 rms {RMS}\n0 slt {RMS}\n")
    copied = {"model": made.model, "store": made.store, "scores": made.scores, "sound": RMS, "corpus": MANIFEST}
    return {n: Path(shutil.copy(p, tmp_path / f"{n}{p.suffix}")) for n, p in copied.items()} | {"trials": trials}


def writers(inputs):
    """The commands that write a file, and the option that names it."""
    using = ("--model", inputs["model"], "--store", inputs["store"])
    classes = ("--label", "speaker", "--components", 2, "--where", "speaker=rms", "--where", "speaker=slt")
    return {
        "train": ("train", MANIFEST, "--where", "speaker=awb", "--components", 2, "-o"),
        "score": ("score", *using, "--trials", inputs["trials"], "-o"),
        "features": ("features", inputs["sound"], "--model", inputs["model"], "-o"),
        "export": ("speakers", "export", "--store", inputs["store"], "-o"),
        "report": ("evaluate", inputs["scores"], "--report"),
        "calibrate": ("calibrate", inputs["scores"], "-o"),
        "classify train": ("classify", "train", MANIFEST, *classes, "-o"),
        "picture": ("classify", "evaluate", MANIFEST, *classes, "--folds", "session", "--picture"),
    }


WRITERS = ("train", "score", "features", "export", "report", "calibrate", "classify train", "picture")
OWN = {"train": "model", "score": "scores"}
"""What a command may replace: a file of its own kind."""


@pytest.mark.parametrize("writer", WRITERS)
def test_no_command_writes_over_what_it_or_another_reads(writer, inputs):
    command = writers(inputs)[writer]
    for name, path in inputs.items():
        if OWN.get(writer) == name:
            continue
        before = path.read_bytes()
        place = path
        if writer == "picture":  # whose name must end as pictures do
            place = Path(shutil.copy(path, path.with_suffix(".png")))
        run(*command, place).refused(place, "must be new, empty or a")
        assert place.read_bytes() == before


@pytest.mark.parametrize("writer", [w for w in WRITERS if w != "picture"])
def test_a_device_is_written_through(writer, inputs):
    done = run(*writers(inputs)[writer], os.devnull)
    assert done.status == 0, done.err
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("writer", ["score", "export"])
def test_a_link_is_followed_and_a_mode_kept(writer, inputs, tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    target.touch(mode=0o640)
    link.symlink_to("target")
    for _ in range(2):  # into the empty file, then over its own kind
        assert run(*writers(inputs)[writer], link).status == 0
    assert link.is_symlink()
    assert target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_scores_go_from_command_to_command(inputs):
    scored = run_apart(*writers(inputs)["score"], "/dev/stdout", "--json")
    *table, document = scored.out.splitlines()
    assert table[0].startswith("speaker\ttest\tscore")
    assert document.startswith("{")

"""train --resume: killed at any moment and called again, it writes the same bytes."""

import os
import shutil
import subprocess
import sys
from unittest import mock

import pytest

from speechgmm.features import read_corpus
from speechgmm.speakers import held_out, train_system
from tests.cli.running import ROOT, run
from tests.people import twenty_people

SIZES = (2, 3)
FEW = {"SEARCHES": 20, "COHORT": 8}
"""Fewer simulated stores and a smaller cohort than of real speech."""
PROGRAM = f"""
import os, pathlib, random, signal, sys, time
import sklearn.cluster
from speechgmm.cli import main
from speechgmm.speakers import held_out
vars(held_out).update({FEW})
folder, command, moments = pathlib.Path(sys.argv[1]), sys.argv[2:], random.Random(0)
for files in [*sorted(moments.sample(range(14), 10)), 1000]:
    child = os.fork()
    if not child:
        main(command)
    while not (ended := os.waitpid(child, os.WNOHANG)[0]) and len(list(folder.glob("*"))) < files:
        time.sleep(0.001)
    if not ended:
        time.sleep(moments.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
assert files == 1000, "it ended before"
"""
"""Trains in processes that need not import anything, and kills ten of them, each when so many files are kept."""
TRAIN = ("--components", SIZES[0], "--components", SIZES[1], "--threads", 1)


@pytest.fixture(scope="module", autouse=True)
def small():
    with mock.patch.multiple(held_out, **FEW):
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Twenty people, three files of features each: as few as a calibration takes."""
    return twenty_people(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def whole(corpus):
    """The bytes of a model that nothing interrupted, and the folder of all that was kept."""
    recordings, kept = read_corpus(corpus), corpus.parent / "kept"
    training = train_system(recordings, n_components=list(SIZES), n_threads=1, checkpoint=kept)
    training.system.save(corpus.parent / "whole")
    return (corpus.parent / "whole").read_bytes(), kept


@pytest.fixture
def model(whole, tmp_path):
    """A place for a model, and beside it what a killed training would have left."""
    shutil.copytree(whole[1], tmp_path / "m.checkpoint")
    return tmp_path / "m"


def test_killed_at_ten_random_moments_it_ends_in_the_same_bytes(corpus, whole, tmp_path):
    model, folder = tmp_path / "m", tmp_path / "m.checkpoint"
    command = [sys.executable, "-c", PROGRAM, folder, "train", corpus, "-o", model, *TRAIN, "--resume"]
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # no thread that a fork would lose
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert model.read_bytes() == whole[0]
    assert not folder.exists()


def test_it_goes_on_and_says_so(corpus, whole, model):
    with mock.patch.object(held_out, "adapt_cohort", side_effect=AssertionError("this was done already")):
        done = run("train", corpus, "-o", model, *TRAIN, "--resume")
    assert (done.status, done.err) == (0, f"speechgmm: going on with {model}.checkpoint\n")
    assert model.read_bytes() == whole[0]
    assert [path.name for path in model.parent.iterdir()] == ["m"]


def test_where_there_is_nothing_it_starts_and_says_so(corpus, tmp_path):
    done = run("train", corpus, "-o", tmp_path / "m", "--components", 2, "--where", "speaker=p0", "--resume", "--json")
    assert done.status == 0
    assert done.err.startswith(f"speechgmm: no {tmp_path / 'm'}.checkpoint to go on with: from the start\n")
    assert done.document["components"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_another_training_is_refused_and_kept(corpus, model):
    done = run("train", corpus, "-o", model, *TRAIN, "--seed", 1, "--resume")
    assert (done.status, done.out) == (1, "")
    told = (
        f"the folder of checkpoints {model}.checkpoint must be of this training; got that of another one, with seed 0"
    )
    assert told in done.err
    assert "for 1. Train as then, or without resume: then it is replaced." in done.err
    assert model.with_name("m.checkpoint").is_dir()
    assert not model.exists()


def test_without_resume_it_begins_anew(corpus, model):
    done = run("train", corpus, "-o", model, "--components", 2, "--where", "speaker=p0", "--json")
    assert (done.status, done.document["components"]) == (0, 2)
    assert [path.name for path in model.parent.iterdir()] == ["m"]


def test_a_damaged_file_is_named(corpus, whole, model):
    damaged = next(model.with_name("m.checkpoint").glob("EM-mixture-2*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    done = run("train", corpus, "-o", model, *TRAIN, "--resume")
    assert done.status == 0
    assert f"damaged, so that its part of the training was done again: {damaged} must be a whole model file" in done.err
    assert model.read_bytes() == whole[0]


def test_a_link_has_its_folder_beside_the_file(corpus, whole, model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to(model)
    model.touch()
    done = run("train", corpus, "-o", link, *TRAIN, "--resume")
    assert (done.status, done.err) == (0, f"speechgmm: going on with {model}.checkpoint\n")
    assert link.read_bytes() == model.read_bytes() == whole[0]


def test_what_is_no_folder_of_checkpoints_is_kept(corpus, model):
    folder = model.with_name("m.checkpoint")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "mine").write_text("mine")
    for resume in ((), ("--resume",)):
        done = run("train", corpus, "-o", model, *TRAIN, *resume)
        assert (done.status, done.out) == (1, "")
        assert f"the folder of checkpoints must be new, empty or of checkpoints; got {folder}, which holds" in done.err
    assert (folder / "mine").read_text() == "mine"


def test_a_device_keeps_nothing(corpus):
    run("train", corpus, "-o", "/dev/null", "--resume").misused("--resume takes a file as MODEL")

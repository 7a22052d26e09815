"""One small model and one store of ten enrolled voices, made by the commands themselves, for all tests here."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from speechgmm.speakers import SpeakerStore
from tests.cli.running import MANIFEST, Run, run


@dataclass(frozen=True)
class Made:
    """Files that commands made, and what they said."""

    folder: Path
    model: Path
    store: Path
    scores: Path
    trained: Run
    enrolled: Run
    scored: Run


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    model, store, scores = folder / "m.safetensors", folder / "s.db", folder / "scores.tsv"
    trained = run(
        "train", MANIFEST, "-o", model, "--where", "split=ubm", "--preset", "speech", "--components", 16, "--json"
    )
    using = ("--model", model, "--store", store, "--manifest", MANIFEST)
    enrolled = run("enroll", *using, "--where", "split=enroll", "--json")
    scored = run("score", *using, "--where", "split=test", "-o", scores, "--json")
    return Made(folder, model, store, scores, trained, enrolled, scored)


@pytest.fixture
def using(made):
    """Options of the commands that read."""
    return ("--model", made.model, "--store", made.store)


@pytest.fixture(scope="session")
def ranking(made):
    """Options of the commands that read, with a store of too few people for decisions: the model is uncalibrated."""
    return ("--model", made.model, "--store", few_of(shutil.copy(made.store, made.folder / "few.db")))


def few_of(path):
    """Leave four people in a store of the embedded voices."""
    with SpeakerStore(path) as store:
        for speaker in set(store.speakers) - {"rms", "slt", "es_f1", "es_m3"}:
            store.remove(speaker)
    return path


@pytest.fixture
def own(made, tmp_path):
    """Options with a store that the test may change."""
    return ("--model", made.model, "--store", shutil.copy(made.store, tmp_path / "own.db"))


@pytest.fixture
def store(own):
    return own[2:]


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """A model of other recordings."""
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    assert (
        run(
            "train",
            MANIFEST,
            "-o",
            path,
            "--where",
            "speaker=awb",
            "--preset",
            "speech",
            "--components",
            4,
            "--seed",
            1,
        ).status
        == 0
    )
    return path

"""A small system trained on the embedded corpus, a store with three enrolled voices, and a tiny made system."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm.features import MFCC, Corpus, Recording, TrainingFrames, read_corpus
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import SpeakerStore, System, Training, enroll, train_system
from speechgmm.speakers.store_moment import StoreMoment
from tests import servers
from tests.sounds import DATA
from tests.speakers import made

ENROLLED = ("es_f1", "rms", "slt")
"""The voices in the store, each with the two files of its session s1."""


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return read_corpus(DATA / "manifest.csv")


@pytest.fixture(scope="session")
def background(corpus: Corpus) -> tuple[Recording, ...]:
    """One recording of each background voice."""
    return tuple(r for r in corpus.where(split="ubm", session="s1") if r.name.endswith("s1_1.flac"))


@pytest.fixture(scope="session")
def training(background: tuple[Recording, ...]) -> Training:
    return train_system(background, n_components=8, n_threads=1)


@pytest.fixture(scope="session")
def system(training: Training) -> System:
    return training.system


@pytest.fixture(scope="session")
def filled(system: System, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the three voices, never to be changed."""
    path = tmp_path_factory.mktemp("store") / "filled.db"
    with SpeakerStore(path, system, create=True) as store:
        enroll(system, store, corpus.where(speaker=ENROLLED, split="enroll"))
    return path


@pytest.fixture
def store(filled: Path, system: System, tmp_path: Path) -> Iterator[SpeakerStore]:
    """A copy of it."""
    with SpeakerStore(shutil.copy(filled, tmp_path / "store.db"), system) as copy:
        yield copy


@pytest.fixture(scope="session")
def tiny() -> System:
    """Four components over three features: for everything that needs no sound."""
    return tiny_system()


def tiny_system(seed: int = 0, **settings: float) -> System:
    rng = np.random.default_rng(seed)
    ubm = GMM([0.1, 0.2, 0.3, 0.4], rng.normal(0, 2, (4, 3)), Diagonal(rng.uniform(0.5, 2, (4, 3))))
    return System(MFCC(sample_rate=8000, n_mfcc=3, deltas=0), ubm, **settings)


@pytest.fixture
def new(tiny: System, tmp_path: Path) -> Iterator[SpeakerStore]:
    """An empty store of the tiny system."""
    with SpeakerStore(tmp_path / "new.db", tiny, create=True) as store:
        yield store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server, which is stopped when the tests end."""
    if why := servers.missing():
        pytest.skip(why)
    with servers.postgresql() as url:
        yield url


@pytest.fixture
def on_server(postgresql: str) -> Iterator[str]:
    """The URL of a place on the server where nothing is."""
    import sqlalchemy as sa

    name, engine = f"test_{uuid.uuid4().hex}", sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    yield f"{postgresql}?options=-csearch_path%3D{name}"
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(name, cascade=True))
    engine.dispose()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Who was read, each time that somebody was."""
    found: list[set[str]] = []
    module = importlib.import_module("speechgmm.speakers.following")
    whole = module._whole

    def kept(system: System, moment: StoreMoment, names: Iterable[str], *rest: Any) -> Any:
        if wanted := set(names):
            found.append(wanted)
        return whole(system, moment, names, *rest)

    monkeypatch.setattr(module, "_whole", kept)
    return found


@pytest.fixture(scope="session")
def made_frames() -> TrainingFrames:
    """Frames of made background speakers."""
    return made.background(64)


@pytest.fixture(scope="session")
def calibrated(made_frames: TrainingFrames) -> System:
    """A system that was trained on them and calibrated, with stores of up to 12 people."""
    plain = made.uncalibrated(made_frames)
    return dataclasses.replace(plain, calibration=made.calibration_of(plain, made_frames, searches=120))

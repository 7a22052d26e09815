"""Everything that can be exported: systems, the speakers of stores with and without a calibration, classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speechgmm.classification import AudioClassifier
from speechgmm.classification.calibration import ClassCalibration
from speechgmm.features import OwnFeatures, read_corpus
from speechgmm.mixture import GMM, Diagonal
from speechgmm.speakers import Scorer, SpeakerStore, System, enroll_features, train_system
from tests.interchange.mixtures import a_mixture
from tests.people import twenty_people

PEOPLE = ("ann", "bob", "c?e*/\u00e9", "dan", "eve", "flo")
"""Enrolled speakers; one name holds what C would take for something else."""


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    """A calibrated system of two mixtures, of features of people."""
    corpus = read_corpus(twenty_people(tmp_path_factory.mktemp("people")))
    found = train_system(corpus, n_components=[2, 3], n_threads=1).system
    assert found.calibration is not None
    return found


def enrolled(system: System, path: Path, people: tuple[str, ...] = PEOPLE) -> Scorer:
    """Return what scores tests against people in a new store."""
    rng = np.random.default_rng(5)
    with SpeakerStore(path, system, create=True) as store:
        for name in people:
            for session in "ab":
                x = rng.normal(0, 1, 4) + rng.normal(size=(int(rng.integers(100, 900)), 4))
                enroll_features(system, store, name, x, session=session)
        return Scorer.of(system, store)


@pytest.fixture(scope="session")
def calibrated(system: System, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return enrolled(system, tmp_path_factory.mktemp("store") / "s.db")


@pytest.fixture(scope="session")
def raw(system: System, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """Speakers of a system without a calibration, too few to borrow one."""
    plain = dataclasses.replace(system, calibration=None)
    return enrolled(plain, tmp_path_factory.mktemp("store") / "s.db", PEOPLE[:3])


@pytest.fixture(scope="session")
def classes() -> AudioClassifier:
    """Three classes of features, of unlike sizes and origins, calibrated."""
    mixtures = tuple(a_mixture("diag", k, seed=k) for k in (2, 3, 4))
    calibration = ClassCalibration(2.5, np.array([0.3, -0.1, -0.2]))
    return AudioClassifier(OwnFeatures(dimensions=4), ("a", "b", "c d"), mixtures, calibration)


@pytest.fixture
def cut() -> GMM:
    """A mixture with a component of weight 0."""
    return GMM([0.5, 0.0, 0.5], [[0.0, 1.0], [9.0, 9.0], [2.0, 0.0]], Diagonal(np.ones((3, 2))))

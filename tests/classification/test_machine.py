"""The linear machine on supervectors: laws of its rows and planes, and a classifier made of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm import storage
from speechgmm.classification import (
    AudioClassifier,
    ClassifierTraining,
    MixtureSettings,
    cross_validate,
    evaluate_classifier,
    load_classifier,
    posterior_features,
    score_features,
    supervector,
    train_classifier,
)
from speechgmm.classification.machine import SupervectorMachine, least_squares, raw_rows, recording_sums, unit_rows
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.evaluation.decision import Rule
from speechgmm.features import Signal, preset
from speechgmm.features.spool import FRAMES, Spool
from tests import laws
from tests.kinds import KINDS, files, sound

SETTINGS = MixtureSettings(n_components=4, relevance=4.0, max_iterations=2)
TRAIN, TEST = range(6), range(8, 11)


@pytest.fixture(scope="module")
def trained(kinds: Path) -> ClassifierTraining:
    return train_classifier(*files(kinds, TRAIN), frontend="sound", settings=SETTINGS, backend="svm", folds=3)


@pytest.fixture(scope="module")
def made(trained: ClassifierTraining) -> AudioClassifier:
    return trained.classifier


@settings(max_examples=25)
@given(problem=laws.problems(minimum=4), cut=st.integers(1, 3))
def test_sums_of_parts_are_the_sums_of_the_whole(problem, cut) -> None:
    gmm, x = problem
    whole, one, two = recording_sums(gmm, [x, x[:cut], x[cut:]], n_threads=1)
    laws.close(one + two, whole, rtol=1e-7, atol=1e-7)
    again = recording_sums(gmm, [x[::-1]], n_threads=1)[0]
    laws.close(again, whole, rtol=1e-7, atol=1e-7)


@settings(max_examples=25)
@given(problem=laws.problems(minimum=4))
def test_a_row_is_a_supervector_and_shares_of_components(problem) -> None:
    gmm, x = problem
    rows = raw_rows(gmm, recording_sums(gmm, [x, x[:2]], n_threads=1), 4.0)
    size = gmm.n_components * gmm.n_dimensions
    laws.close(rows[:, :size], supervector(gmm, [x, x[:2]], relevance=4.0), rtol=1e-6, atol=1e-7)
    laws.close(rows[:, size:] ** 2, posterior_features(gmm, [x, x[:2]]), rtol=1e-5, atol=1e-6)
    center = rows.mean(axis=0)
    lengths = np.linalg.norm(unit_rows(gmm, rows, center), axis=1)
    assert (lengths < 1 + 1e-9).all()
    np.testing.assert_array_equal(unit_rows(gmm, center[None], center), 0.0 * center[None])


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), u=st.integers(4, 12), j=st.integers(1, 15))
def test_planes_are_the_least_of_their_cost(seed, u, j) -> None:
    """Both ways of solving: the gradient of the cost is nothing, and recordings in any order give the same."""
    rng = np.random.default_rng(seed)
    rows, labels = rng.normal(size=(u, j)), np.concatenate([[0, 1, 2], rng.integers(0, 3, u - 3)])
    weights, offsets = least_squares(rows, labels, cost=3.0)
    error = rows @ weights.T + offsets - (2.0 * (labels[:, None] == np.arange(3)) - 1.0)
    laws.close(error.sum(axis=0), 0.0 * offsets, atol=1e-8)
    laws.close(weights + 3.0 * error.T @ rows, 0.0 * weights, atol=1e-7)
    order = rng.permutation(u)
    for one, other in zip(least_squares(rows[order], labels[order], cost=3.0), (weights, offsets), strict=True):
        laws.close(one, other, rtol=1e-6, atol=1e-8)


def test_files_in_labels_and_posteriors_out(made: AudioClassifier, kinds: Path) -> None:
    paths, truth = files(kinds, TEST)
    assert (made.mixtures, made.summary()["backend"]) == ((), "svm")
    assert made.summary()["components"] == [4]
    assert list(made.predict(paths)) == truth
    np.testing.assert_allclose(made.predict_proba(paths).sum(axis=1), 1.0)
    found = evaluate_classifier(made, paths, truth, rule=Rule(far=0.5))
    assert found.accuracy.estimate > 0.5
    assert made.rejection is not None


def test_saved_and_loaded_gives_the_same_bits(made: AudioClassifier, kinds: Path, tmp_path: Path) -> None:
    made.save(tmp_path / "m.sgmm")
    loaded = load_classifier(tmp_path / "m.sgmm")
    paths, _ = files(kinds, TEST)
    assert loaded.classify(paths, rule=Rule(far=0.2)) == made.classify(paths, rule=Rule(far=0.2))
    assert (loaded.fingerprint, loaded.summary()) == (made.fingerprint, made.summary())
    assert storage.dumps(loaded) == storage.dumps(made)
    with pytest.raises(IncompatibleModel, match="must hold a mixture for each class; got a machine in their place"):
        score_features(np.zeros((3, 40)), tmp_path / "m.sgmm")


def test_order_of_files_and_threads_do_not_matter(made: AudioClassifier, kinds: Path) -> None:
    paths, labels = files(kinds, TRAIN)
    order = np.random.default_rng(0).permutation(len(paths))
    shuffled, names = [paths[i] for i in order], [labels[i] for i in order]
    arguments = {"frontend": "sound", "settings": SETTINGS, "backend": "svm", "folds": 3}
    other = train_classifier(shuffled, names, **arguments).classifier
    tests, _ = files(kinds, TEST)
    np.testing.assert_allclose(other.predict_proba(tests), made.predict_proba(tests), atol=1e-4)
    one = train_classifier(paths, labels, **arguments, n_threads=1).classifier
    assert one.fingerprint == made.fingerprint
    assert one.predict_proba(tests).tobytes() == made.predict_proba(tests).tobytes()


def test_foreign_sounds_are_rejected(kinds: Path) -> None:
    arguments = {"frontend": "sound", "settings": SETTINGS, "backend": "svm", "folds": 3}
    made = train_classifier(*files(kinds, TRAIN, KINDS[1:]), **arguments).classifier
    answers = made.classify([Signal(sound("chirp", i), 8000) for i in range(6)], rule=Rule(far=0.1))
    assert sum(a.status == "unknown" for a in answers) >= 4
    known = made.predict(files(kinds, TEST, KINDS[1:])[0], rule=Rule(far=0.1))
    assert sum(label is not None for label in known) >= 7


def test_cross_validation_takes_the_back_end(kinds: Path) -> None:
    paths, labels = files(kinds, range(4))
    folds = [str(i % 2) for i in range(len(paths))]
    arguments = {"frontend": preset("sound", 8000), "settings": SETTINGS}
    found = cross_validate(paths, labels, folds, **arguments, backend="svm", calibration_folds=0)
    for fold in "01":
        inside, outside = ([i for i, f in enumerate(folds) if (f == fold) is held] for held in (True, False))
        rest = [paths[i] for i in outside], [labels[i] for i in outside]
        made = train_classifier(*rest, **arguments, backend="svm", folds=0).classifier
        told = made.classify([paths[i] for i in inside])
        assert [found.answers[i].candidates for i in inside] == [a.candidates for a in told]


def test_a_long_sound_is_scored_block_by_block(made: AudioClassifier) -> None:
    assert made.machine is not None
    x = made.machine.background.sample(FRAMES + 99).frames.astype(np.float32)
    n = np.array([len(x)])
    whole = made.backend.file_scores(made.backend.sums(x, n, n_threads=1), n)
    for rows in (x, Spool([x], in_memory=0).array()):
        found = made.scores(rows)
        # a short block is worked in float64, a long one in float32
        np.testing.assert_allclose(found.classes, whole.classes, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.evidence, whole.evidence, rtol=1e-3, atol=1e-3)


def test_arguments_that_do_not_fit_are_refused(made: AudioClassifier, kinds: Path) -> None:
    sounds = files(kinds, range(2))
    folds = ["0", "1"] * (len(sounds[0]) // 2)
    alone = dataclasses.replace(SETTINGS, relevance=None)
    for backend, settings_, words in (
        ("knn", SETTINGS, "backend must be one of 'both', 'gmm', 'svm'; got 'knn'"),
        ("svm", alone, "relevance must be a number for the back end svm; got none"),
        ("both", alone, "relevance must be a number for the back end both; got none"),
    ):
        with pytest.raises(InvalidInput, match=words):
            train_classifier(*sounds, frontend="sound", settings=settings_, backend=backend)
        with pytest.raises(InvalidInput, match=words):
            cross_validate(*sounds, folds, frontend="sound", settings=settings_, backend=backend)
    machine, background = made.machine, made.machine.background
    with pytest.raises(IncompatibleModel, match="mixtures must be 4, one for each label"):
        dataclasses.replace(made, mixtures=(background,) * 3)
    with pytest.raises(IncompatibleModel, match="the machine must be of 3 classes, as there are labels, and of 40 f"):
        dataclasses.replace(made, labels=made.labels[:3], calibration=None, rejection=None)
    with pytest.raises(InvalidInput, match="the machine must be a SupervectorMachine; got a str"):
        dataclasses.replace(made, machine="svm")
    with pytest.raises(InvalidInput, match="the offsets of planes must be a vector of two numbers or more; got shape"):
        dataclasses.replace(machine, offsets=[1.0])
    for field in ("center", "weights"):
        with pytest.raises(InvalidInput, match=f"the {field} of .* must have shape"):
            dataclasses.replace(machine, **{field: np.zeros(3)})
    with pytest.raises(InvalidInput, match="relevance must be at least 0 frames"):
        SupervectorMachine(background, machine.center, machine.weights, machine.offsets, -1.0)
    with pytest.raises(InvalidInput, match="the background must be a GMM"):
        dataclasses.replace(machine, background=None)


def test_both_back_ends_say_the_weighted_sum_of_what_each_says(kinds: Path, tmp_path: Path) -> None:
    sounds, arguments = files(kinds, TRAIN), {"frontend": "sound", "settings": SETTINGS}
    both, gmm, svm = (
        train_classifier(*sounds, **arguments, backend=b, folds=3).classifier for b in (None, "gmm", "svm")
    )
    assert [m.summary()["backend"] for m in (both, gmm, svm)] == ["both", "gmm", "svm"]
    assert len({m.fingerprint for m in (both, gmm, svm)}) == 3
    x = both.frontend.from_signal(Signal(sound("tone", 9), 8000))
    ours, theirs, together = gmm.scores(x), svm.scores(x), both.scores(x)
    assert 0 < both.weight != 1
    np.testing.assert_allclose(together.classes, ours.classes + both.weight * theirs.classes, rtol=1e-12)
    np.testing.assert_allclose(together.evidence, np.concatenate([ours.evidence, theirs.evidence], axis=1), rtol=1e-12)
    both.save(tmp_path / "m.sgmm")
    again = load_classifier(tmp_path / "m.sgmm")
    assert again.fingerprint == both.fingerprint != dataclasses.replace(both, weight=2 * both.weight).fingerprint
    assert again.scores(x).classes.tobytes() == together.classes.tobytes()
    assert train_classifier(*sounds, **arguments, folds=0).classifier.weight == 1.0
    alone = dataclasses.replace(SETTINGS, relevance=None)
    assert train_classifier(*sounds, frontend="sound", settings=alone, folds=0).classifier.summary()["backend"] == "gmm"


def test_usual_speech_is_learned_from_what_is_trained_on_and_nothing_else(kinds: Path) -> None:
    paths, labels = files(kinds, range(4))
    folds = [str(i % 2) for i in range(len(paths))]
    arguments = {"frontend": preset("word", 8000), "settings": SETTINGS}
    found = cross_validate(paths, labels, folds, **arguments, calibration_folds=0)
    inside = [i for i, f in enumerate(folds) if f == "0"]
    rest = [[x for x, f in zip(column, folds, strict=True) if f == "1"] for column in (paths, labels)]
    made = train_classifier(*rest, **arguments, folds=0).classifier
    assert made.frontend.averages is not None
    assert made.frontend == arguments["frontend"].learned(
        arguments["frontend"].unnormalized.from_file(p) for p in rest[0]
    )
    told = made.classify([paths[i] for i in inside])
    for i, answer in zip(inside, told, strict=True):
        mine = {c.name: c.score for c in found.answers[i].candidates}
        assert mine == pytest.approx({c.name: c.score for c in answer.candidates}, rel=1e-5)

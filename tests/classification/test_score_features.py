"""Feature matrices against mixtures and saved models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.classification import MixtureSettings, score_features, train_classifier
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import fit_gmm
from speechgmm.mixture.covariance import COVARIANCES
from tests.kinds import KINDS
from tests.laws import random_gmm


def test_scores_of_frames_segments_and_files(tmp_path: Path) -> None:
    one, two = random_gmm(3, 2), random_gmm(2, 2, seed=5)
    storage.save(two, tmp_path / "two.sgmm")
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 3, (7, 2)), rng.normal(0, 3, (4, 2))
    found = score_features([a, b], {"one": one, "two": tmp_path / "two.sgmm"})
    assert found.models == ("one", "two")
    both = np.concatenate([a, b])
    np.testing.assert_array_equal(found.frames, np.stack([one.log_density(both), two.log_density(both)], axis=1))
    # one file alone goes through a matrix product of another shape, which may round otherwise
    np.testing.assert_allclose(found.frames[:7], np.stack([one.log_density(a), two.log_density(a)], axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.files[1], [one.log_density(b).sum(), two.log_density(b).sum()])
    segments = found.segments(3, file=0)
    assert segments.shape == (3, 2)
    np.testing.assert_allclose(segments.sum(axis=0), found.files[0])
    np.testing.assert_allclose(segments[2], found.frames[6])
    np.testing.assert_allclose(found.segments(9, file=1)[0], found.files[1])
    with pytest.raises(InvalidInput, match="length must be at least 1; got 0"):
        found.segments(0)
    with pytest.raises(InvalidInput, match="file must be at least 0 and at most 1; got 2"):
        found.segments(1, file=2)
    with pytest.raises(InvalidInput, match="models must be at least one; got none"):
        score_features(a, {})
    with pytest.raises(IncompatibleModel, match=r"models must be of the same number of features; got 2 and 3\."):
        score_features(a, {"a": one, "b": random_gmm(1, 3)})


@pytest.mark.parametrize("kind", COVARIANCES)
def test_scores_by_saved_mixtures_of_all_kinds(tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(1).normal(0, 3, (40, 2))
    gmm = fit_gmm(x, 2, covariance=kind).model
    storage.save(gmm, tmp_path / "m.sgmm")
    np.testing.assert_array_equal(score_features(x, {"m": tmp_path / "m.sgmm"}).frames[:, 0], gmm.log_density(x))


def test_scores_by_a_saved_classifier(kinds: Path, tmp_path: Path) -> None:
    paths = [str(kinds / kind / f"{i:02}.wav") for kind in KINDS for i in range(12)]
    labels = [kind for kind in KINDS for _ in range(12)]
    settings = MixtureSettings(n_components=2)
    made = train_classifier(paths, labels, frontend="sound", settings=settings, folds=0).classifier
    made.save(tmp_path / "m.sgmm")
    x = made.frontend.from_file(paths[0])
    found = score_features(x, tmp_path / "m.sgmm")
    assert found.models == made.labels
    np.testing.assert_allclose(found.files / len(x), made.scores(x).classes)

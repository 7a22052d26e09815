"""MFCCTransformer in pipelines, and what a mixture gives to other models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from speechgmm import storage
from speechgmm.classification import MixtureSettings, posterior_features, score_features, supervector, train_classifier
from speechgmm.errors import AudioError, IncompatibleModel, InvalidInput
from speechgmm.estimators import GMMClassifier, MFCCTransformer
from speechgmm.features import MFCC, preset
from speechgmm.mixture import adapt, fit_gmm
from speechgmm.mixture.covariance import COVARIANCES
from tests.estimators.conftest import KINDS
from tests.laws import random_gmm


def listed(kinds: Path) -> tuple[list[str], list[str]]:
    paths = [str(kinds / kind / f"{i:02}.wav") for kind in KINDS for i in range(12)]
    return paths, [kind for kind in KINDS for _ in range(12)]


def test_matrices_feed_a_classifier_and_statistics_any_model(kinds: Path) -> None:
    paths, labels = listed(kinds)
    mixtures = make_pipeline(MFCCTransformer("sound"), GMMClassifier(4, relevance=4.0)).fit(paths[::2], labels[::2])
    assert mixtures.score(paths[1::2], labels[1::2]) > 0.8
    plain = make_pipeline(MFCCTransformer("sound", output="statistics"), LinearDiscriminantAnalysis())
    assert plain.fit(paths[::2], labels[::2]).score(paths[1::2], labels[1::2]) > 0.9
    fronts = [preset("sound", 8000), MFCC(sample_rate=8000, speech="none", deltas=0)]
    search = GridSearchCV(plain, {"mfcctransformer__frontend": fronts}, cv=2, error_score="raise").fit(paths, labels)
    assert search.best_params_["mfcctransformer__frontend"] in fronts


def test_statistics_are_means_and_deviations_with_names(kinds: Path) -> None:
    paths, _ = listed(kinds)
    t = MFCCTransformer("sound").fit(paths[:3])
    assert t.frontend_ == preset("sound", 8000)
    matrices = t.transform(paths[:3])
    assert matrices[1].tobytes() == t.frontend_.from_file(paths[1]).tobytes()
    assert list(t.get_feature_names_out()[:2]) == ["mfcc0", "mfcc1"]
    bands = MFCCTransformer(MFCC(sample_rate=8000, kind="mel")).fit(paths[:1])
    assert list(bands.get_feature_names_out()[:2]) == ["mel0", "mel1"]
    s = clone(t).set_params(output="statistics").fit(paths[:3])
    rows = s.transform(paths[:3])
    expected = [[*m.astype(float).mean(axis=0), *m.astype(float).std(axis=0)] for m in matrices]
    np.testing.assert_allclose(rows, expected, rtol=1e-12)
    assert list(s.get_feature_names_out()[[0, 40]]) == ["mfcc0_mean", "mfcc0_deviation"]


def test_a_transformer_refuses(kinds: Path) -> None:
    paths, _ = listed(kinds)
    with pytest.raises(InvalidInput, match="output must be one of 'matrices', 'statistics'; got 'mean'"):
        MFCCTransformer(output="mean").fit(paths)
    with pytest.raises(NotFittedError):
        MFCCTransformer().transform(paths)
    with pytest.raises(AudioError, match="a recording must exist"):
        MFCCTransformer("sound").fit(paths).transform(["no.wav"])


def test_posterior_features_and_supervectors() -> None:
    gmm, rng = random_gmm(3, 2), np.random.default_rng(1)
    a, b = rng.normal(0, 3, (7, 2)), rng.normal(0, 3, (4, 2))
    shares = posterior_features(gmm, [a, b])
    np.testing.assert_allclose(shares, [gmm.posteriors(a).mean(axis=0), gmm.posteriors(b).mean(axis=0)])
    np.testing.assert_array_equal(posterior_features(gmm, np.concatenate([a, b]), lengths=[7, 4]), shares)
    rows = supervector(gmm, [a, b], relevance=4.0)
    adapted = adapt(gmm, gmm.statistics(b), relevance=4.0)
    expected = np.sqrt(gmm.weights)[:, None] * (adapted.means - gmm.means) / gmm.covariance.deviations()
    np.testing.assert_allclose(rows[1], expected.ravel())
    assert supervector(gmm, a).shape == (1, 6)
    np.testing.assert_allclose(supervector(gmm, a, relevance=1e9), 0, atol=1e-6)
    with pytest.raises(InvalidInput, match="features must have 2 features per frame"):
        supervector(gmm, a[:, :1])


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
    with pytest.raises(IncompatibleModel, match=r"models must be of the same number of features; got \[2, 3\]"):
        score_features(a, {"a": one, "b": random_gmm(1, 3)})


@pytest.mark.parametrize("kind", COVARIANCES)
def test_scores_by_saved_mixtures_of_all_kinds(tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(1).normal(0, 3, (40, 2))
    gmm = fit_gmm(x, 2, covariance=kind).model
    storage.save(gmm, tmp_path / "m.sgmm")
    np.testing.assert_array_equal(score_features(x, {"m": tmp_path / "m.sgmm"}).frames[:, 0], gmm.log_density(x))


def test_scores_by_a_saved_classifier(kinds: Path, tmp_path: Path) -> None:
    paths, labels = listed(kinds)
    settings = MixtureSettings(n_components=2)
    made = train_classifier(paths, labels, frontend="sound", settings=settings, folds=0).classifier
    made.save(tmp_path / "m.sgmm")
    x = made.frontend.from_file(paths[0])
    found = score_features(x, tmp_path / "m.sgmm")
    assert found.models == made.labels
    np.testing.assert_allclose(found.files / len(x), made.scores(x).classes)

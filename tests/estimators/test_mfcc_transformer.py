"""MFCCTransformer in pipelines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from speechgmm.errors import AudioError, InvalidInput
from speechgmm.estimators import GMMClassifier, MFCCTransformer
from speechgmm.features import MFCC, preset
from tests.kinds import KINDS


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

"""Log-likelihood ratios against the plain definition, in both precisions and in every odd case."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.features import MFCC, Extracted, Recording
from speechgmm.features.spool import FRAMES, Spool
from speechgmm.mixture import GMM, Diagonal, adapt, fit_gmm
from speechgmm.speakers import (
    SpeakerModels,
    SpeakerStore,
    System,
    adapted_model,
    enroll_features,
    enrolled_models,
    linear_ratios,
    log_likelihood_ratios,
    speaker_models,
    top_ratios,
)
from speechgmm.speakers import models as layout
from speechgmm.speakers.domain import People
from speechgmm.speakers.score import Scorer
from tests import oracle
from tests.laws import close, problems, random_gmm, same_gmm
from tests.laws import plain as as_plain
from tests.sounds import Array


def system_of(ubm: GMM, relevance: float = 4.0) -> System:
    """A system around a mixture; its front end is never called."""
    d = ubm.n_dimensions
    return System(MFCC(sample_rate=8000, n_mfcc=d, n_mels=max(2, d), deltas=0), ubm, relevance)


def expected_llr(system: System, enrolled: Array, x: Array) -> float:
    """The definition, through the package's own densities: they have tests of their own."""
    model = adapt(system.ubm, system.ubm.statistics(enrolled), relevance=system.relevance, update="m")
    return float(np.mean(model.log_density(x) - system.ubm.log_density(x)))


def voices(d: int, speakers: int = 5, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {f"s{i}": rng.normal(rng.normal(0, 2, d), 1.5, (30 + 10 * i, d)) for i in range(speakers)}


def domain_of(system: System, *enrolled: Array) -> System:
    """The system with its UBM moved to people."""
    statistics = tuple(map(system.statistics, enrolled))
    people = People(tuple(map(str, range(len(enrolled)))), statistics, np.ones(len(enrolled)))
    return dataclasses.replace(system, ubm=people.domain(system.ubm))


def models_of(system: System, frames: dict[str, Array]) -> SpeakerModels:
    return speaker_models(system, {name: system.statistics(x) for name, x in frames.items()})


@given(problems(minimum=1), st.integers(0, 3), st.sampled_from([0.5, 4.0, 16.0]))
def test_the_score_is_that_of_the_paper(problem: tuple[GMM, Array], seed: int, relevance: float) -> None:
    ubm, x = problem
    system = system_of(ubm, relevance)
    enrolled = np.random.default_rng(seed).normal(0, 3, (6, ubm.n_dimensions))
    found = log_likelihood_ratios(system, models_of(system, {"ann": enrolled}), x)
    plain = as_plain(ubm)
    adapted = oracle.map_adapt(oracle.rows(enrolled), plain, relevance, "m")
    close(found, [oracle.llr(oracle.rows(x), adapted, plain)], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("relevance", [0.25, 4.0, 100.0])
@pytest.mark.parametrize(("k", "d"), [(1, 1), (4, 3), (16, 20), (64, 60)])
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_all_speakers_at_once_are_each_alone(k: int, d: int, relevance: float, dtype: type, atol: float) -> None:
    system = system_of(random_gmm(k, d), relevance)
    enrolled = voices(d)
    x = np.random.default_rng(9).normal(0, 2, (200, d)).astype(dtype)
    found = log_likelihood_ratios(system, models_of(system, enrolled), x)
    assert found.dtype == np.float64
    close(found, [expected_llr(system, e, x) for e in enrolled.values()], rtol=atol, atol=atol)


def narrow_system(narrow: int, variance: float, k: int = 16, d: int = 12) -> tuple[System, Array]:
    """A system some of whose components are narrow, and frames in float32 that lie on the means."""
    rng = np.random.default_rng(5)
    means, variances = rng.normal(0, 1, (k, d)), np.full((k, d), 0.5)
    variances[:narrow] = variance
    x = means[rng.integers(k, size=300)] + 0.1 * np.sqrt(variance) * rng.normal(size=(300, d))
    return system_of(GMM(np.full(k, 1 / k), means, Diagonal(variances))), x.astype(np.float32)


@pytest.mark.parametrize("score", [log_likelihood_ratios, top_ratios])
@pytest.mark.parametrize(("narrow", "variance"), [(1, 1e-4), (16, 1e-4), (16, 1e-6)])
def test_components_too_narrow_for_float32_are_scored_in_float64(score: Scorer, narrow: int, variance: float) -> None:
    system, x = narrow_system(narrow, variance)
    models = models_of(system, {"ann": x[:50].astype(np.float64) + 0.003, "bob": x[100:110].astype(np.float64)})
    assert models.terms(x.dtype).linear.dtype == np.float64
    close(score(system, models, x), score(system, models, x.astype(np.float64)), rtol=0, atol=1e-6)
    plain = dataclasses.replace(models)
    single = {name: getattr(models._terms(np.float64), name).astype(np.float32) for name in ("linear", "quadratic")}
    vars(plain)["_single"] = layout.Terms(**single)
    assert np.abs(score(system, plain, x) - score(system, models, x)).max() > 1e-5  # what float32 would lose


def test_a_speaker_too_far_out_for_float32_turns_all_to_float64() -> None:
    system, x = narrow_system(0, 1.0)
    models = models_of(system, {"ann": x[:50]})
    assert models.terms(x.dtype).linear.dtype == np.float32
    far = dataclasses.replace(models, offsets=models.offsets + 100.0)
    assert far.terms(x.dtype).linear.dtype == np.float64


@pytest.mark.parametrize("offset", [0.0, 100.0, -1e4])
def test_an_offset_of_all_features_changes_nothing(offset: float) -> None:
    ubm = random_gmm(8, 4)
    assert isinstance(ubm.covariance, Diagonal)
    system = system_of(ubm)
    moved = system_of(GMM(ubm.weights, ubm.means + offset, Diagonal(ubm.covariance.variances)))
    enrolled, x = voices(4), np.random.default_rng(9).normal(0, 2, (50, 4))
    found = log_likelihood_ratios(moved, models_of(moved, {n: e + offset for n, e in enrolled.items()}), x + offset)
    close(found, log_likelihood_ratios(system, models_of(system, enrolled), x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cells", [1, 7, 100, 5000, 1 << 30])
def test_blocks_do_not_matter(cells: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    system = system_of(random_gmm(4, 3))
    models = models_of(system, voices(3))
    x = np.random.default_rng(9).normal(0, 2, (101, 3)).astype(dtype)
    whole = log_likelihood_ratios(system, models, x)
    monkeypatch.setattr(layout, "_CELLS", cells)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    close(log_likelihood_ratios(system, models, x), whole, rtol=tolerance, atol=tolerance)


def test_repeated_and_reordered_frames_score_the_same() -> None:
    system = system_of(random_gmm(4, 3))
    models = models_of(system, voices(3))
    x = np.random.default_rng(9).normal(0, 2, (31, 3))
    whole = log_likelihood_ratios(system, models, x)
    close(log_likelihood_ratios(system, models, x[::-1]), whole)
    close(log_likelihood_ratios(system, models, np.tile(x, (3, 1))), whole)
    halves = [log_likelihood_ratios(system, models, part) * len(part) for part in (x[:10], x[10:])]
    close(sum(halves) / len(x), whole)


def test_a_speaker_is_closer_to_their_own_voice() -> None:
    system = system_of(random_gmm(4, 3))
    enrolled = voices(3)
    models = models_of(system, enrolled)
    for i, x in enumerate(enrolled.values()):
        llr = log_likelihood_ratios(system, models, x)
        assert np.argmax(llr) == i
        assert llr[i] > 0


@pytest.mark.parametrize("scale", [0.0, 1e-12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_speaker_of_whom_nothing_is_known_is_the_ubm(scale: float, dtype: type) -> None:
    system = system_of(random_gmm(4, 3))
    known = system.statistics(voices(3)["s0"])
    models = speaker_models(system, {"somebody": scale * known, "ann": known})
    x = np.random.default_rng(9).normal(0, 2, (50, 3)).astype(dtype)
    llr = dict(zip(models.names, log_likelihood_ratios(system, models, x), strict=True))
    close(llr["somebody"], 0.0, atol=1e-6 if dtype is np.float32 else 1e-9)
    assert abs(llr["ann"]) > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_component_of_weight_0_counts_for_nothing(dtype: type) -> None:
    ubm = random_gmm(3, 2)
    assert isinstance(ubm.covariance, Diagonal)
    more = GMM(
        [*ubm.weights, 0.0],
        np.vstack([ubm.means, [[0.0, 0.0]]]),
        Diagonal(np.vstack([ubm.covariance.variances, [[1.0, 1.0]]])),
        ubm.origin,
    )
    system, padded = system_of(ubm), system_of(more)
    enrolled, x = voices(2), np.random.default_rng(9).normal(0, 2, (50, 2)).astype(dtype)
    found = log_likelihood_ratios(padded, models_of(padded, enrolled), x)
    tolerance = 1e-10 if dtype is np.float64 else 1e-4
    close(found, log_likelihood_ratios(system, models_of(system, enrolled), x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("far", [100.0, 1e5])
def test_frames_far_from_every_component_stay_finite(far: float) -> None:
    system = system_of(random_gmm(4, 3))
    llr = log_likelihood_ratios(system, models_of(system, voices(3)), np.full((5, 3), far))
    assert np.isfinite(llr).all()


def test_adapted_model_is_the_ubm_with_other_means() -> None:
    system = system_of(random_gmm(4, 3), 7.0)
    x = voices(3)["s1"]
    found = adapted_model(system, system.statistics(x))
    same_gmm(found, oracle.map_adapt(oracle.rows(x), as_plain(system.ubm), 7.0, "m"))
    np.testing.assert_array_equal(found.weights, system.ubm.weights)


def test_speakers_are_sorted_with_their_seconds() -> None:
    system = system_of(random_gmm(2, 2))
    s = system.statistics(np.zeros((3, 2)))
    models = speaker_models(system, {"b": s, "c": s, "a": s}, {"c": 2.0, "a": 1.0})
    assert models.names == ("a", "b", "c")
    np.testing.assert_array_equal(models.speech_seconds, [1.0, np.nan, 2.0])
    assert models.offsets.shape == (3, 2, 2)
    assert models.fingerprint == system.fingerprint


def fill(system: System, store: SpeakerStore, batch: list[tuple[str, str, Array]]) -> SpeakerModels:
    for speaker, name, x in batch:
        enroll_features(system, store, speaker, x, session=name)
    return enrolled_models(system, store)


def test_order_of_enrollment_does_not_matter(tiny: System, tmp_path: Any) -> None:
    rng = np.random.default_rng(3)
    batch = [(s, n, rng.normal(0, 2, (20, 3))) for s in ("ann", "bob", "cid") for n in ("x", "y")]
    with SpeakerStore(tmp_path / "1", tiny, create=True) as one, SpeakerStore(tmp_path / "2", tiny, create=True) as two:
        first, second = fill(tiny, one, batch), fill(tiny, two, batch[::-1])
    assert first.names == second.names == ("ann", "bob", "cid")
    np.testing.assert_array_equal(first.offsets, second.offsets)
    np.testing.assert_allclose(first.speech_seconds, 0.4)


def test_enrolled_models_are_those_of_all_sessions_together(new: SpeakerStore, tiny: System) -> None:
    parts = [np.random.default_rng(i).normal(i, 2, (20, 3)) for i in range(3)]
    models = fill(tiny, new, [("ann", f"session {i}", x) for i, x in enumerate(parts)])
    x = np.concatenate(parts)
    alone = speaker_models(tiny, {"ann": tiny.statistics(x)}, ubm=domain_of(tiny, x).ubm)
    close(models.offsets, alone.offsets, atol=1e-6)


def test_relevance_is_chosen_when_scoring(new: SpeakerStore, tiny: System) -> None:
    x = np.random.default_rng(3).normal(1, 2, (40, 3))
    enroll_features(tiny, new, "ann", x)
    for relevance in (0.5, 4.0, 64.0):
        system = dataclasses.replace(tiny, relevance=relevance)
        found = log_likelihood_ratios(system, enrolled_models(system, new), x)
        moved = domain_of(system, x)
        adapted = adapt(moved.ubm, system.statistics(x), relevance=relevance, update="m")
        close(found, [np.mean(adapted.log_density(x) - moved.ubm.log_density(x))], atol=1e-6)


def test_features_that_go_together_are_scored_by_definition() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(0, 1, (2000, 3)) @ rng.normal(0, 1, (3, 3)) + rng.choice([-3.0, 3.0], (2000, 1))
    enrolled, x = mixed[:50] + 1.0, mixed[:40]
    for kind in ("full", "tied", "spherical"):
        system = system_of(fit_gmm(mixed, 2, covariance=kind).model)
        models = models_of(system, {"ann": enrolled, "bob": enrolled - 3.0})
        found = log_likelihood_ratios(system, models, x)
        close(found, [expected_llr(system, e, x) for e in (enrolled, enrolled - 3.0)])
        if kind != "spherical":
            for scorer in (top_ratios, linear_ratios):
                with pytest.raises(InvalidInput, match="approximate scores must be of a UBM whose features are indep"):
                    scorer(system, models, x)


def test_nobody_to_score_against_is_refused(new: SpeakerStore, tiny: System) -> None:
    for models in (lambda: speaker_models(tiny, {}), lambda: enrolled_models(tiny, new)):
        with pytest.raises(InvalidInput, match=r"speakers to score against must be at least one; got none\. Enroll"):
            models()


def test_what_does_not_fit_is_refused(tiny: System) -> None:
    models = models_of(tiny, voices(3))
    with pytest.raises(IncompatibleModel, match=r"frames must have 3 features, as this UBM .*; got shape \(5, 4\)"):
        log_likelihood_ratios(tiny, models, np.zeros((5, 4)))
    with pytest.raises(InvalidInput, match="hold at least 1 frame"):
        log_likelihood_ratios(tiny, models, np.zeros((0, 3)))
    other = dataclasses.replace(tiny, ubm=random_gmm(4, 3, seed=5))
    with pytest.raises(IncompatibleModel, match=r"speaker models must be of this system; got models of another"):
        log_likelihood_ratios(other, models, np.zeros((5, 3)))
    with pytest.raises(IncompatibleModel, match="statistics must be taken against this UBM"):
        speaker_models(other, {"ann": tiny.statistics(np.zeros((5, 3)))})


@pytest.mark.parametrize("mapped", [False, True])
def test_a_long_test_is_scored_block_by_block(tiny: System, new: SpeakerStore, mapped: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (FRAMES * 2 + 77, 3)).astype(np.float32)
    for name in ("ann", "bob"):
        enroll_features(tiny, new, name, rng.normal(rng.normal(0, 2, 3), 1.0, (200, 3)))
    features = Spool([x], in_memory=0).array() if mapped else x
    extracted = Extracted(Recording("long.wav", "", "long"), features, "digest", len(x) * 0.01)
    assert [len(block) for block in extracted.blocks()] == [FRAMES, FRAMES, 77]
    scorer = Scorer.of(tiny, new)
    found = scorer.score_test([extracted]).scores
    np.testing.assert_allclose(found, log_likelihood_ratios(tiny, scorer.models, x), rtol=1e-9)

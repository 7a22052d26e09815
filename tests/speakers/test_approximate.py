"""Top-C and linear scores against their definitions, and against the exact ratio that they stand for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, adapt
from speechgmm.speakers import (
    SpeakerModels,
    System,
    best_components,
    deviation,
    linear_ratios,
    linear_ratios_of,
    log_likelihood_ratios,
    speaker_models,
    top_ratios,
)
from speechgmm.speakers import models as layout
from tests.laws import close, random_gmm
from tests.speakers.test_score import models_of, system_of, voices

Array = Any


def problem(k: int = 16, d: int = 5, frames: int = 70, dtype: type = np.float64) -> tuple[System, SpeakerModels, Array]:
    system = system_of(random_gmm(k, d))
    return system, models_of(system, voices(d)), np.random.default_rng(9).normal(0, 2, (frames, d)).astype(dtype)


def joint(gmm: GMM, x: Array) -> Array:
    """Return log(weight * density), (N, K), component by component."""
    return np.stack([np.log(gmm.weights[k]) + gmm.take([k]).log_density(x) for k in range(gmm.n_components)], axis=1)


def adapted(system: System, enrolled: Array) -> GMM:
    return adapt(system.ubm, system.statistics(enrolled), relevance=system.relevance, update="m")


@pytest.mark.parametrize("c", [1, 3, 16])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_top_c_is_its_definition(c: int, dtype: type, tolerance: float) -> None:
    system, models, x = problem(dtype=dtype)
    found = top_ratios(system, models, x, n_components=c)
    ubm = joint(system.ubm, x.astype(float))
    best = np.argsort(-ubm, axis=1)[:, :c]
    for value, enrolled in zip(found, voices(5).values(), strict=True):
        speaker = joint(adapted(system, enrolled), x.astype(float))
        parts = [np.logaddexp.reduce(np.take_along_axis(a, best, axis=1), axis=1) for a in (speaker, ubm)]
        close(value, np.mean(parts[0] - parts[1]), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("c", [16, 17, 1000])
def test_all_components_are_the_exact_ratio(c: int, dtype: type, tolerance: float) -> None:
    system, models, x = problem(dtype=dtype)
    exact = log_likelihood_ratios(system, models, x)
    close(top_ratios(system, models, x, n_components=c), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["_FRAMES", "_SPEAKERS"])
@pytest.mark.parametrize("size", [1, 2, 17, 1 << 30])
def test_blocks_do_not_matter(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    system, models, x = problem()
    whole = top_ratios(system, models, x, n_components=4)
    monkeypatch.setattr(best_components, name, size)
    close(top_ratios(system, models, x, n_components=4), whole)


@pytest.mark.parametrize("far", [1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_far_from_the_ubm_do_not_overflow(far: float, dtype: type) -> None:
    system, models, x = problem()
    x = np.concatenate([x, np.full((2, 5), far), np.full((2, 5), -far)]).astype(dtype)
    found, exact = top_ratios(system, models, x, n_components=16), log_likelihood_ratios(system, models, x)
    close(found, exact, rtol=1e-4, atol=1e-5 * far)


@pytest.mark.parametrize("scorer", [top_ratios, log_likelihood_ratios])
def test_the_number_of_threads_changes_no_bit(scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    system, models, x = problem(dtype=np.float32)
    monkeypatch.setattr(best_components, "_SPEAKERS", 2)
    monkeypatch.setattr(layout, "GROUP", 2)
    one, two, three, default = (scorer(system, models, x, n_threads=n) for n in (1, 2, 3, None))
    assert one.tobytes() == two.tobytes() == three.tobytes() == default.tobytes()
    monkeypatch.undo()  # one group again
    for n in (0, 1.5):
        with pytest.raises(InvalidInput, match="n_threads must be"):
            scorer(system, models, x, n_threads=n)


def test_linear_is_its_definition() -> None:
    system, models, x = problem()
    found = linear_ratios(system, models, x)
    posteriors, ubm = system.ubm.posteriors(x), system.ubm
    variances = ubm.covariance.deviations() ** 2
    for value, enrolled in zip(found, voices(5).values(), strict=True):
        shift = adapted(system, enrolled).means - ubm.means
        parts = posteriors[:, :, None] * (x[:, None] - ubm.means) * shift / variances
        close(value, parts.sum() / len(x), rtol=1e-4, atol=1e-4)


def test_linear_is_the_slope_of_the_exact_ratio() -> None:
    system, models, x = problem()
    little = dataclasses.replace(models, offsets=system.ubm.offsets + 1e-3 * (models.offsets - system.ubm.offsets))
    close(linear_ratios(system, little, x), log_likelihood_ratios(system, little, x), rtol=0.05, atol=1e-5)
    close(linear_ratios(system, little, x), 1e-3 * linear_ratios(system, models, x), rtol=1e-2, atol=1e-5)


def test_many_tests_are_each_alone() -> None:
    system, models, x = problem()
    parts = [x[:10], x[10:], x]
    together = linear_ratios_of(system, models, [system.statistics(p) for p in parts])
    assert together.shape == (3, 5)
    close(together, [linear_ratios(system, models, p) for p in parts], rtol=1e-5, atol=1e-5)
    close(10 * together[0] + 60 * together[1], 70 * together[2], rtol=1e-4, atol=1e-4)


def test_deviation_is_the_largest_difference() -> None:
    system, models, x = problem()
    tests = [x[:30], x[30:60], x[60:]]
    exact = [log_likelihood_ratios(system, models, t) for t in tests]
    for scorer in (linear_ratios, top_ratios):
        found = deviation(scorer, system, models, tests)
        expected = max(np.abs(scorer(system, models, t) - e).max() for t, e in zip(tests, exact, strict=True))
        assert (found.largest, found.tests, found.speakers) == (expected, 3, 5)
    assert deviation(log_likelihood_ratios, system, models, tests).largest == 0.0


def test_deviation_takes_a_sample() -> None:
    system, models, x = problem()
    tests = [x[i : i + 5] for i in range(0, 70, 5)]
    first, again = (deviation(linear_ratios, system, models, tests, sample=4, seed=1) for _ in range(2))
    assert first == again
    assert first.tests == 4
    assert first.largest <= deviation(linear_ratios, system, models, tests, sample=99).largest


@pytest.mark.parametrize("scorer", [top_ratios, linear_ratios])
def test_models_or_features_of_another_system_are_refused(scorer: Any) -> None:
    system, models, x = problem()
    other, foreign, _ = problem(k=3)
    with pytest.raises(IncompatibleModel, match="speaker models must be of this system"):
        scorer(system, foreign, x)
    with pytest.raises(IncompatibleModel, match="frames must have 5 features"):
        scorer(system, models, x[:, :4])
    with pytest.raises(IncompatibleModel, match="speaker models must be of this system"):
        linear_ratios_of(system, foreign, [system.statistics(x)])
    with pytest.raises(IncompatibleModel, match="statistics must be taken against this UBM"):
        linear_ratios_of(system, models, [other.statistics(x)])


def test_nothing_to_score_is_refused() -> None:
    system, models, x = problem()
    with pytest.raises(InvalidInput, match="n_components must be at least 1"):
        top_ratios(system, models, x, n_components=0)
    with pytest.raises(InvalidInput, match="tests must be at least one"):
        linear_ratios_of(system, models, [])
    with pytest.raises(InvalidInput, match="tests must be at least one"):
        deviation(linear_ratios, system, models, [])


def test_a_component_of_weight_0_is_never_among_the_best() -> None:
    system, _, x = problem(k=3)
    ubm = GMM([*system.ubm.weights[:2] / system.ubm.weights[:2].sum(), 0.0], system.ubm.means, system.ubm.covariance)
    silent = system_of(ubm)
    models = speaker_models(silent, {"a": silent.statistics(x)})
    close(top_ratios(silent, models, x, n_components=2), log_likelihood_ratios(silent, models, x))

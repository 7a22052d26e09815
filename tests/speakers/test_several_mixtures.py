"""Background models of several mixtures, over one stream of features or two, in everything that speakers need."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.features import MFCC, Corpus, Recording, preset
from speechgmm.mixture import GMM, Diagonal, Ensemble, Statistics, adapt
from speechgmm.speakers import (
    SpeakerModels,
    SpeakerStore,
    System,
    Training,
    adapt_system,
    enroll,
    identify,
    linear_ratios,
    load_system,
    log_likelihood_ratios,
    speaker_models,
    top_ratios,
    train_system,
)
from speechgmm.speakers.domain import FRAMES, People
from speechgmm.speakers.enrolled import enrolled
from speechgmm.speakers.recording_samples import heard, sample_of
from speechgmm.speakers.train import FEW_FRAMES, _as_frames_allow, _sizes
from tests.sounds import Array

BOTH = preset("both", 16000)


def two_streams(seed: int = 0) -> System:
    """A system of three mixtures over two streams of three features."""
    rng = np.random.default_rng(seed)

    def mixture(k: int) -> GMM:
        variances = rng.uniform(0.5, 2, (k, 3))
        return GMM(rng.dirichlet(np.ones(k)), rng.normal(0, 2, (k, 3)), Diagonal(variances), np.full(3, 0.3))

    ubm = Ensemble((mixture(2), mixture(5), mixture(3)), (0, 1, 0))
    return System(MFCC(sample_rate=8000, n_mfcc=3, deltas=0, kind="mfcc+lfcc"), ubm)


def voices(speakers: int = 4, seed: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {f"s{i}": rng.normal(rng.normal(0, 2, 6), 1.5, (40 + 10 * i, 6)) for i in range(speakers)}


def models_of(system: System, enrolled_: dict[str, Array]) -> SpeakerModels:
    statistics = {name: system.statistics(x) for name, x in enrolled_.items()}
    return speaker_models(system, statistics, dict.fromkeys(statistics, 1.0))


def expected(system: System, enrolled_: Array, x: Array) -> float:
    """The weighted mean of what each mixture says by itself."""
    assert isinstance(system.ubm, Ensemble)
    ratios, weights = [], []
    for part, stream in zip(system.ubm.parts, system.ubm.streams, strict=True):
        own, test = (a[:, 3 * stream : 3 * stream + 3] for a in (enrolled_, x))
        model = adapt(part, part.statistics(own), relevance=system.relevance)
        ratios.append(np.mean(model.log_density(test) - part.log_density(test)))
        weights.append(part.n_components**0.5)
    return float(np.average(ratios, weights=weights))


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_scores_are_the_weighted_mean_of_those_of_each_mixture(dtype: type, atol: float) -> None:
    system, people = two_streams(), voices()
    models, x = models_of(system, people), voices(1, seed=9)["s0"].astype(dtype)
    wanted = [expected(system, people[name], x) for name in models.names]
    for n_threads in (1, 3):
        found = log_likelihood_ratios(system, models, x, n_threads=n_threads)
        np.testing.assert_allclose(found, wanted, atol=atol)
    np.testing.assert_allclose(top_ratios(system, models, x, n_components=9), wanted, atol=max(atol, 1e-9))
    chosen = models.take(np.array([2, 0]))
    np.testing.assert_allclose(chosen.ratios(x), [wanted[2], wanted[0]], atol=atol)


def test_linear_scores_are_first_order_in_all_means() -> None:
    system, x = two_streams(), voices(1, seed=9)["s0"]
    near = {name: 1e-4 * voice + x[: len(voice)][:1] for name, voice in voices().items()}
    models = models_of(dataclasses.replace(system, relevance=1e5), near)
    models = dataclasses.replace(models, fingerprint=system.fingerprint)
    exact = log_likelihood_ratios(system, models, x)
    np.testing.assert_allclose(linear_ratios(system, models, x), exact, rtol=0.02, atol=1e-6)


def test_the_domain_counts_frames_alike_for_mixtures_of_all_sizes() -> None:
    system, people = two_streams(), voices()
    assert isinstance(system.ubm, Ensemble)
    statistics = tuple(system.statistics(x) for x in people.values())
    pool = People(tuple(people), statistics, np.ones(len(people)))
    moved = pool.domain(system.ubm)
    assert isinstance(moved, Ensemble)
    mean = np.mean([len(x) for x in people.values()])
    for i, part in enumerate(system.ubm.parts):
        own = [part.statistics(y) * (mean / len(x)) for x in people.values() for y in [system.ubm.seen(x)[i]]]
        pooled: Statistics = sum(own[1:], start=own[0])
        wanted = adapt(part, pooled, relevance=FRAMES / part.n_components)
        np.testing.assert_allclose(moved.parts[i].means, wanted.means, atol=1e-9)


def test_what_a_store_keeps_of_a_recording_has_all_streams() -> None:
    system, x = two_streams(), voices(1)["s0"].astype(np.float32)
    sample = sample_of(system.ubm, "digest", system.statistics(x), x, 0.4)
    assert sample.frames.shape == (40, 6)
    again = heard(system.ubm, sample).features
    drawn = x[np.lexsort(x.T)]
    np.testing.assert_allclose(again[np.lexsort(again.T)], drawn, atol=0.01)


@pytest.fixture(scope="module")
def both(background: tuple[Recording, ...]) -> Training:
    return train_system(background, n_components=(2, 8), frontend=BOTH, n_threads=1)


def test_each_stream_gets_a_mixture_of_each_size(both: Training, background: tuple[Recording, ...]) -> None:
    ubm = both.system.ubm
    assert isinstance(ubm, Ensemble)
    assert ubm.streams == (0, 0, 1, 1)
    assert [p.n_components for p in ubm.parts] == [2, 8, 2, 8]
    assert both.system.summary()["mixtures"] == [2, 8, 2, 8]
    assert both.system.summary()["components"] == 20
    again = train_system(background, n_components=(2, 8), frontend=BOTH, n_threads=3).system
    assert again.fingerprint == both.system.fingerprint
    mel = train_system(background, n_components=8, frontend=preset("speech", 16000), n_threads=1).system
    assert isinstance(mel.ubm, GMM)
    np.testing.assert_allclose(ubm.parts[1].means, mel.ubm.means, atol=0.05)  # features differ by rounding
    objective = both.system.info["em"]["objective"]
    assert objective == sorted(objective)


def test_speakers_are_found_by_all_of_it(both: Training, corpus: Corpus, tmp_path: Path) -> None:
    both.system.save(tmp_path / "both.sgmm")
    system = load_system(tmp_path / "both.sgmm")
    assert system.fingerprint == both.system.fingerprint
    tests = list(corpus.where(split="test"))
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        enroll(system, store, corpus.where(split="enroll"))
        answers = identify(system, store, [r.path for r in tests])
        before = enrolled(system, store).models
        enroll(system, store, corpus.where(split="ubm", speaker="awb"))
        assert enrolled(system, store).models.offsets.shape[0] == len(before.names) + 1
        store.remove("awb")
        after = enrolled(system, store).models
    assert after.offsets.tobytes() == before.offsets.tobytes()
    right = [a.candidates[0].name == r.speaker for a, r in zip(answers, tests, strict=True)]
    assert np.mean(right) > 0.8


def test_it_moves_to_other_microphones_as_a_whole(both: Training, corpus: Corpus) -> None:
    done = adapt_system(both.system, corpus.where(split="enroll"), relevance=8.0).system
    assert isinstance(done.ubm, Ensemble)
    assert isinstance(both.system.ubm, Ensemble)
    for old, new in zip(both.system.ubm.parts, done.ubm.parts, strict=True):
        assert np.abs(new.means - old.means).max() > 0.05


@pytest.mark.parametrize(
    ("quality", "streams", "frames", "sizes"),
    [
        ("default", 1, 10**6, [(64, 128, 256)]),
        ("default", 2, 10**6, [(64, 256), (128,)]),
        ("best", 1, 10**6, [(64, 128, 256)]),
        ("best", 2, 10**6, [(64, 128, 256), (64, 128, 256)]),
        ("default", 2, 12_000, [(64, 240), (128,)]),
        ("best", 2, 5_000, [(64, 100), (64, 100)]),
        ("default", 2, 100, [(64,), (64,)]),
    ],
)
def test_few_frames_get_coarse_mixtures_alone(
    quality: str, streams: int, frames: int, sizes: list[tuple[int, ...]]
) -> None:
    assert _as_frames_allow(_sizes(None, quality, streams), frames) == sizes


def test_a_small_background_trains_without_further_words(corpus: Corpus) -> None:
    made = train_system(corpus.where(split="ubm", session="s1"), calibrated=False)
    ubm, frames = made.system.ubm, made.system.info["data"]["frames"]
    most = max(64, frames // FEW_FRAMES)
    assert isinstance(ubm, Ensemble)
    assert [p.n_components for p in ubm.parts] == [64, min(256, most), min(128, most)]
    assert ubm.streams == (0, 0, 1)
    assert made.system.frontend == dataclasses.replace(BOTH, averages=made.system.frontend.averages)
    assert made.warnings == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quality": "good"}, "quality must be one of 'default', 'best'; got 'good'"),
        ({"n_components": ()}, "n_components must be a number, or several; got none"),
        ({"n_components": (4, 0)}, "n_components must be at least 1; got 0"),
    ],
)
def test_sizes_that_make_no_model_are_refused(
    background: tuple[Recording, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        train_system(background[:1], **settings)

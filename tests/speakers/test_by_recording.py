"""Scores by single recordings: what they are, and that everything that scores agrees on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Trials
from speechgmm.features import Corpus, Recording
from speechgmm.mixture import GMM, Ensemble, Full, adapt
from speechgmm.speakers import (
    SpeakerStore,
    System,
    by_recording,
    enroll,
    identify,
    load_system,
    score_trials,
    train_system,
    verify,
)
from speechgmm.speakers.by_recording import ByRecording, soft_maximum
from speechgmm.speakers.sessions import first_order
from tests.laws import close
from tests.sounds import Array
from tests.speakers.test_several_mixtures import models_of, two_streams, voices

SYSTEM = two_streams()
SPOKEN = {name: np.array_split(x, 1 + i % 3) for i, (name, x) in enumerate(voices(6).items())}
"""What each person has enrolled: one recording, two or three."""
TEST = voices(1, seed=9)["s0"].astype(np.float32)


def of(spoken: dict[str, list[Array]], system: System = SYSTEM) -> ByRecording:
    models = models_of(system, {name: np.concatenate(x) for name, x in spoken.items()})
    moments = [[system.statistics(x) for x in spoken[name]] for name in models.names]
    return ByRecording(models, system.relevance, moments.__getitem__)


def expected(people: ByRecording, spoken: dict[str, list[Array]], x: Array) -> Array:
    """By definition: a mixture for each recording, all of its components, one speaker after the other."""
    assert isinstance(SYSTEM.ubm, Ensemble)
    found = []
    for name, own in zip(people.models.names, people.models.offsets, strict=True):
        model, ratios = SYSTEM.ubm.with_means(SYSTEM.ubm.origin + own), []
        for recording in spoken[name]:
            ratio = 0.0
            every = zip(SYSTEM.ubm.parts, model.parts, SYSTEM.ubm.streams, SYSTEM.ubm.shares, strict=True)
            for part, speaker, stream, share in every:
                own_x, test = (a[:, 3 * stream : 3 * stream + 3].astype(float) for a in (recording, x))
                moved = adapt(speaker, part.statistics(own_x), relevance=SYSTEM.relevance)
                ratio += share * np.mean(moved.log_density(test) - part.log_density(test))
            ratios.append(ratio)
        found.append(np.log(np.mean(np.exp(20 * np.array(ratios)))) / 20)
    return np.array(found)


def test_scores_are_soft_maxima_over_models_of_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    people = of(SPOKEN)
    wanted = expected(people, SPOKEN, TEST)
    base = people.models.ratios(TEST)
    close(people.scores([TEST], base), wanted, rtol=1e-4, atol=1e-5)  # each mixture has fewer than ten components
    close(people.scores(np.array_split(TEST, 3), base), wanted, rtol=1e-4, atol=1e-5)
    close(people.scores([TEST.astype(float)], base), wanted, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(by_recording, "RECORDINGS", 1)
    first = {name: own[:1] for name, own in SPOKEN.items()}
    close(of(SPOKEN).scores([TEST], base), expected(people, first, TEST), rtol=1e-4, atol=1e-5)


def test_only_the_best_are_asked_and_the_others_move_along(monkeypatch: pytest.MonkeyPatch) -> None:
    people = of(SPOKEN)
    base = people.models.ratios(TEST)
    every = people.scores([TEST], base)
    monkeypatch.setattr(by_recording, "BEST", 3)
    some = of(SPOKEN).scores([TEST], base)
    best = np.argsort(-base)[:3]
    others = np.argsort(-base)[3:]
    close(some[best], every[best], rtol=1e-6)
    close(some[others], base[others] + np.median(every[best] - base[best]), rtol=1e-6)


def test_of_whom_no_recording_is_known_moves_along() -> None:
    whole = of(SPOKEN)
    base = whole.models.ratios(TEST)
    lost = 2
    some = ByRecording(whole.models, whole.relevance, lambda i: [] if i == lost else whole.recordings(i))
    found, every = some.scores([TEST], base), whole.scores([TEST], base)
    known = np.arange(len(base)) != lost
    close(found[known], every[known], rtol=1e-6)
    close(found[lost], base[lost] + np.median((every - base)[known]), rtol=1e-6)
    none = ByRecording(whole.models, whole.relevance, lambda i: [])
    assert none.scores([TEST], base) is base


def test_some_of_the_people_score_as_among_all() -> None:
    people = of(SPOKEN)
    base = people.models.ratios(TEST)
    chosen = np.array([4, 1])
    close(people.take(chosen).scores([TEST], base[chosen]), people.scores([TEST], base)[chosen], rtol=1e-6)


def test_what_was_laid_out_is_not_asked_for_again() -> None:
    people, asked = of(SPOKEN), list[int]()

    def recordings(i: int) -> Any:
        asked.append(i)
        return people.recordings(i)

    counted = ByRecording(people.models, people.relevance, recordings)
    base = people.models.ratios(TEST)
    first = counted.scores([TEST], base)
    assert counted.scores([TEST], base).tobytes() == first.tobytes()
    assert sorted(asked) == list(range(len(base)))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9), st.floats(-5, 5))
def test_a_soft_maximum_lies_between_mean_and_maximum(values: list[float], by: float) -> None:
    x = np.array(values)
    found = soft_maximum(x)
    assert x.mean() - 1e-9 <= found <= x.max() + 1e-9
    assert found >= x.max() - np.log(len(x)) / 20 - 1e-9
    close(soft_maximum(x + by), found + by, atol=1e-9)
    close(soft_maximum(x[::-1]), found, atol=1e-9)


def test_first_order_statistics_adapt_means_as_whole_ones_do() -> None:
    part = SYSTEM.ubm.parts[0]
    whole = part.statistics(TEST[:, :3])
    some = first_order(part, whole.counts.astype(np.float32), whole.first.astype(np.float32))
    close(adapt(part, some).means, adapt(part, whole).means, rtol=1e-5, atol=1e-6)


def test_recordings_of_dependent_features_cannot_count(tiny: System) -> None:
    k, d = tiny.ubm.means.shape
    full = GMM(np.full(k, 1 / k), tiny.ubm.means, Full(np.tile(np.eye(d), (k, 1, 1))))
    with pytest.raises(InvalidInput, match="a UBM whose speakers' recordings count must be an Independent; got a Full"):
        System(tiny.frontend, full, by_recording=True)
    with pytest.raises(InvalidInput, match="by_recording must be a bool"):
        System(tiny.frontend, tiny.ubm, by_recording=1)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def best(background: tuple[Recording, ...]) -> System:
    return train_system(background, n_components=(2, 8), quality="best", n_threads=1).system


def test_the_best_quality_counts_single_recordings(
    best: System, system: System, corpus: Corpus, tmp_path: Path
) -> None:
    assert (best.by_recording, system.by_recording) == (True, False)
    best.save(tmp_path / "best.sgmm")
    again = load_system(tmp_path / "best.sgmm")
    assert again.by_recording
    assert again.summary()["by_recording"] is True
    tests = [r.path for r in corpus.where(split="test", speaker=("rms", "slt"))]
    with SpeakerStore(tmp_path / "s.db", again, create=True) as store:
        enroll(again, store, corpus.where(speaker=("rms", "slt", "es_f1"), split="enroll"))
        found = identify(again, store, tests)
        plain = identify(dataclasses.replace(again, by_recording=False), store, tests)
        for test, answer, other in zip(tests, found, plain, strict=True):
            assert f"/{answer.candidates[0].name}/" in test
            assert answer.candidates[0].score != other.candidates[0].score
            alone = verify(again, store, answer.candidates[0].name, [test])
            close(alone.candidates[0].score, answer.candidates[0].score, rtol=1e-5)
        store.remove("es_f1")
        with SpeakerStore(tmp_path / "t.db", again, create=True) as never:
            enroll(again, never, reversed(corpus.where(speaker=("rms", "slt"), split="enroll").recordings))
            assert identify(again, store, tests) == identify(again, never, tests)


def test_a_recording_against_another_scores_as_if_enrolled_alone(best: System, corpus: Corpus, tmp_path: Path) -> None:
    enrolled = corpus.where(split="enroll", speaker=("rms", "slt")).recordings
    test = corpus.where(split="test", speaker="rms").recordings[0]
    raw = dataclasses.replace(best, calibration=None)
    pairs = Trials([r.path for r in enrolled], [test.path] * len(enrolled), [-1] * len(enrolled))
    found = score_trials(raw, None, pairs).scores
    with SpeakerStore(tmp_path / "s.db", raw, create=True) as store:
        enroll(raw, store, [dataclasses.replace(r, speaker=r.path) for r in enrolled])
        wanted = score_trials(raw, store, pairs, folder="/").scores
    assert found.speaker.tolist() == wanted.speaker.tolist()
    close(found.score, wanted.score, rtol=1e-4, atol=1e-5)

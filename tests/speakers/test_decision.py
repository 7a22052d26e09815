"""Whom to accept: by a rate, by costs, from a threshold on; and when there is too little speech to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Answer, Calibration, Rule, Strangers, decide, fit_strangers, posteriors, threshold_for
from speechgmm.features import Corpus
from speechgmm.speakers import (
    SpeakerStore,
    System,
    SystemCalibration,
    default_system,
    enroll,
    identify,
    score_corpus,
    verify,
)
from speechgmm.speakers.calibration import amount
from tests.sounds import voice, write

FAR = 0.05


@pytest.fixture(scope="module")
def strangers() -> Strangers:
    """Their LLRs are normal with mean -3 and deviation 2."""
    return fit_strangers(np.random.default_rng(0).normal(-3, 2, (4000, 20)))


def answer_to(llr: list[float], rule: Rule, strangers: Strangers) -> Answer:
    """Decide on a test against speakers 0, 1 and so on."""
    p = posteriors(llr, prior=rule.stated_prior)[:-1]
    names = [str(i) for i in range(len(llr))]
    return decide("a test", names, np.array(llr), rule, strangers, speech_seconds=1.0, posteriors=p)


def test_a_rate_per_search_asks_more_of_more_speakers(strangers: Strangers) -> None:
    found = [threshold_for(strangers, Rule(far=FAR), n) for n in (1, 10, 100, 10_000)]
    scores = [t.score for t in found if t is not None]
    assert np.diff(scores).min() > 0.5
    assert [t and t.extrapolated for t in found] == [False, False, False, True]
    assert scores[0] == pytest.approx(-3 + 2 * 1.645, abs=0.1)
    assert threshold_for(strangers, Rule(), 10) == threshold_for(strangers, Rule(far=0.01), 10)


def test_decide_by_rate_and_by_threshold(strangers: Strangers) -> None:
    threshold = threshold_for(strangers, Rule(far=FAR), 3)
    assert threshold is not None
    limit = threshold.score
    for rule in (Rule(far=FAR), Rule(threshold=limit)):
        assert answer_to([-1.0, limit, -3.0], rule, strangers).decision == "1"
        assert answer_to([-1.0, float(np.nextafter(limit, -9)), -3.0], rule, strangers).decision is None
        assert answer_to([-1.0, limit, -3.0], rule, strangers).threshold == limit


@given(
    llr=st.lists(st.floats(-30, 30), min_size=1, max_size=5),
    prior=st.floats(0.001, 0.999),
    cost_miss=st.floats(0.01, 100),
    cost_fa=st.floats(0.01, 100),
)
def test_costs_decide_for_what_is_expected_to_cost_less(
    llr: list[float], prior: float, cost_miss: float, cost_fa: float
) -> None:
    strangers = fit_strangers(np.zeros((3, 2)))
    rule = Rule(prior=prior, cost_miss=cost_miss, cost_fa=cost_fa)
    joint = np.append(np.exp(llr) * prior / len(llr), 1 - prior)
    p = joint / joint.sum()
    best = int(np.argmax(llr))
    accepting, refusing = cost_fa * (1 - p[best]), cost_miss * (1 - p[-1])
    found = answer_to(llr, rule, strangers)
    told = {c.name: c.posterior for c in found.candidates}
    np.testing.assert_allclose([told[str(i)] for i in range(len(llr))], p[:-1], rtol=1e-6, atol=1e-12)
    if abs(accepting - refusing) > 1e-9 * (accepting + refusing):
        assert (found.decision == str(best)) == (accepting < refusing)
    assert (found.threshold is None) == (len(llr) > 1)


def test_the_shorter_side_decides_how_much_speech_there_is() -> None:
    np.testing.assert_allclose(amount([1.0, 10.0, 1e9], [1.0, 1e9, 3.0]), [0.5, 10.0, 3.0], rtol=1e-6)
    assert np.isnan(amount(np.nan, 3.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"far": 0.0}, "far must be above 0"),
        ({"far": 1.0}, "far must be above 0 and below 1; got 1"),
        ({"prior": 1.5}, "prior must be above 0"),
        ({"far": 0.1, "prior": 0.1}, "a false-accept rate, a prior with costs, or a threshold; got far and prior"),
        ({"far": 0.1, "threshold": 0.0}, "got far and threshold"),
        ({"cost_fa": 10.0}, "costs must come with a prior; got costs without one"),
        ({"prior": 0.1, "cost_miss": 0.0}, "cost_miss must be above 0"),
        ({"threshold": np.inf}, "threshold must be at least"),
        ({"threshold": np.nan}, "threshold must be at least"),
        ({"threshold": "1"}, "threshold must be a number"),
    ],
)
def test_bad_rules_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Rule(**settings)


def test_a_bad_calibration_is_refused(strangers: Strangers) -> None:
    llr = Calibration([1.0], [0.0], [], [])
    with pytest.raises(InvalidInput, match="the cohort must be at least two models"):
        SystemCalibration(np.zeros((1, 1, 1)), llr, strangers, 0.5)
    with pytest.raises(InvalidInput, match="the cohort must be finite"):
        SystemCalibration(np.full((2, 1, 1), np.nan), llr, strangers, 0.5)
    with pytest.raises(InvalidInput, match="least_seconds must be at least 0"):
        SystemCalibration(np.zeros((2, 1, 1)), llr, strangers, -1)


# The model of the package, on the embedded voices


@pytest.fixture(scope="module")
def packaged() -> System:
    return default_system()


@pytest.fixture(scope="module")
def people(packaged: System, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeakerStore]:
    path = tmp_path_factory.mktemp("packaged") / "s.db"
    with SpeakerStore(path, packaged, create=True) as store:
        enroll(packaged, store, corpus.where(split="enroll"))
        yield store


def test_it_says_what_it_is_and_how_good(packaged: System) -> None:
    about, calibration = packaged.info["about"], packaged.calibration
    assert calibration is not None
    assert "CC BY 4.0" in about["license"]
    assert "LibriSpeech (c) 2014 by Vassil Panayotov" in about["attribution"]
    assert "within one recording of each background speaker" in about["purpose"]
    assert calibration.cohort.shape == (40, *packaged.ubm.means.shape)
    measured = calibration.measured
    assert (measured["by"], measured["speakers"]) == ("pieces", 118)
    for rate in measured["per_search"][1:]:  # cross-fitted: asked 5 and 10 %
        assert rate["asked"] / 2 < rate["measured"] < 2 * rate["asked"]


def test_decisions_follow_from_the_threshold_and_are_mostly_right(
    packaged: System, people: SpeakerStore, corpus: Corpus
) -> None:
    own = list(corpus.where(split="test"))
    answers = identify(packaged, people, [r.path for r in own], rule=Rule(far=0.05))
    accepted = [a for a in answers if a.status == "accepted"]
    assert len(accepted) > 15
    right = [r.speaker == a.decision for r, a in zip(own, answers, strict=True) if a.status == "accepted"]
    assert np.mean(right) > 0.9
    for a in answers:
        assert a.threshold == answers[0].threshold
        assert (a.status == "accepted") == (a.candidates[0].score >= (a.threshold or 0.0))
        assert a.decision == (a.candidates[0].name if a.status == "accepted" else None)
        assert 0 < sum(c.posterior or 0.0 for c in a.candidates) < 1 + 1e-9


def test_many_enrolled_and_a_rare_rate_are_extrapolated(packaged: System, people: SpeakerStore, corpus: Corpus) -> None:
    path = corpus.where(split="test", speaker="rms").recordings[0].path
    assert not identify(packaged, people, [path], rule=Rule(far=0.1))[0].extrapolated
    assert identify(packaged, people, [path], rule=Rule(far=1e-4))[0].extrapolated


def test_verification_is_calibrated_too(packaged: System, people: SpeakerStore, corpus: Corpus) -> None:
    files = [r.path for r in corpus.where(split="test", speaker="rms")]
    mine, other = (verify(packaged, people, s, files, rule=Rule(far=0.05)) for s in ("rms", "slt"))
    assert (mine.status, other.status) == ("accepted", "rejected")
    assert mine.threshold == other.threshold
    bayes = verify(packaged, people, "rms", files, rule=Rule(prior=0.01, cost_miss=10, cost_fa=1))
    assert bayes.threshold == pytest.approx(np.log(99 / 10))
    assert bayes.candidates[0].score == mine.candidates[0].score


def test_identify_verify_and_score_agree(packaged: System, people: SpeakerStore, corpus: Corpus) -> None:
    tests = corpus.where(split="test", speaker="rms")
    scores = score_corpus(packaged, people, tests).scores
    llr = {(s, t): x for s, t, x in zip(scores.speaker, scores.test, scores.score, strict=True)}
    for r, answer in zip(tests, identify(packaged, people, [r.path for r in tests], top=99), strict=True):
        for c in answer.candidates:
            assert c.score == llr[c.name, r.name]
        one = verify(packaged, people, "rms", [r.path]).candidates[0].score
        assert one == pytest.approx(llr["rms", r.name], rel=1e-5)


def test_too_little_speech_to_decide_is_an_answer(packaged: System, people: SpeakerStore, tmp_path: Path) -> None:
    short = write(tmp_path / "short.wav", voice(1.0))
    (answer,) = identify(packaged, people, [short])
    assert (answer.status, answer.decision) == ("too_little_speech", None)
    assert "of speech for a decision" in (answer.error or "")
    assert answer.threshold is not None
    assert len(answer.candidates) == 5
    found = verify(packaged, people, "rms", [short])
    assert (found.name, found.status, found.decision) == (str(short), "too_little_speech", None)
    assert re.match(r".*short\.wav must hold at least 1\.00 s of speech for a decision", found.error or "")
    several = verify(packaged, people, "rms", [short, tmp_path / "none.wav"])
    assert (several.error or "").startswith("all files together must hold at least")
    assert [s.name for s in several.skipped] == [str(tmp_path / "none.wav")]

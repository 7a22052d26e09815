"""The model that comes with the package, on the embedded voices: decisions, and when there is too little speech."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Rule
from speechgmm.features import Corpus, Signal
from speechgmm.speakers import (
    SpeakerStore,
    System,
    default_system,
    enroll,
    identify,
    packaged_rate,
    packaged_with,
    score_corpus,
    verify,
)
from tests.sounds import voice, write


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
    least, usual, most = measured["enroll_seconds"]
    assert 0.5 <= least < usual < most < 20
    assert calibration.usual_seconds == pytest.approx(usual, abs=0.01)
    assert (measured["by"], measured["speakers"]) == ("pieces", 115)
    for rate in measured["per_search"][1:]:  # cross-fitted: asked 5 and 10 %
        assert rate["asked"] / 2 < rate["measured"] < 2 * rate["asked"]


def test_the_one_for_telephones_says_so_too(packaged: System) -> None:
    by_telephone = default_system(8000)
    about, calibration = by_telephone.info["about"], by_telephone.calibration
    assert calibration is not None
    assert {k: v for k, v in about.items() if k != "purpose"} == {
        k: v for k, v in packaged.info["about"].items() if k != "purpose"
    }
    assert "simulated telephones" in about["purpose"]
    assert "from one telephone to another" in about["purpose"]
    assert calibration.cohort.shape == (40, *by_telephone.ubm.means.shape) == (40, 448, 60)
    measured = calibration.measured
    assert (measured["by"], measured["speakers"]) == ("sessions", 124)
    for rate in measured["per_search"][1:]:  # cross-fitted: asked 5 and 10 %
        assert rate["asked"] / 2 < rate["measured"] < 2 * rate["asked"]


def test_which_packaged_model_fits(packaged: System, tmp_path: Path) -> None:
    for name, rate in (("a.wav", 8000), ("b.wav", 11025), ("c.wav", 16000), ("d.wav", 44100), ("e.wav", 4000)):
        write(tmp_path / name, voice(0.5, rate), rate)
    (tmp_path / "bad.wav").write_text("no sound")

    def of(*names: str) -> int:
        return packaged_rate([tmp_path / f"{name}.wav" for name in names])

    assert [of(name) for name in "abcde"] == [8000, 8000, 16000, 16000, 8000]
    assert (of("c", "d"), of("d", "b", "c"), of("bad", "none"), of("bad", "a")) == (16000, 8000, 16000, 8000)
    assert packaged_rate([]) == packaged_rate([np.zeros(9)]) == 16000
    assert packaged_rate([Signal(np.zeros(9, dtype=np.float32), 8000)]) == 8000
    for system in (packaged, default_system(8000)):
        found = packaged_with(system.fingerprint)
        assert found is not None
        assert found.frontend == system.frontend
    assert packaged_with("0" * 16) is None
    with pytest.raises(InvalidInput, match=r"packaged model must be 16000 or 8000; got 11025\. Train a model"):
        default_system(11025)


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
        assert a.assured, "ten are enrolled"
        assert 0 < (a.missed or 0.0) < 1
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
    rarer = verify(packaged, people, "rms", files, rule=Rule(far=0.001))
    assert (rarer.threshold or 0.0) > (mine.threshold or 0.0)
    assert (rarer.missed or 0.0) > (mine.missed or 0.0) > 0
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
        assert one == llr["rms", r.name]


def test_too_little_speech_to_decide_is_an_answer(packaged: System, people: SpeakerStore, tmp_path: Path) -> None:
    short = write(tmp_path / "short.wav", voice(0.4))
    (answer,) = identify(packaged, people, [short])
    assert (answer.status, answer.decision) == ("too_little_speech", None)
    assert "of speech for a decision" in (answer.error or "")
    assert answer.threshold is not None
    assert len(answer.candidates) == 5
    found = verify(packaged, people, "rms", [short])
    assert (found.name, found.status, found.decision) == (str(short), "too_little_speech", None)
    least = 0.0 if packaged.calibration is None else packaged.calibration.least_seconds
    assert re.match(rf".*short\.wav must hold at least {least:.2f} s of speech for a decision", found.error or "")
    several = verify(packaged, people, "rms", [short, tmp_path / "none.wav"])
    assert (several.error or "").startswith("all files together must hold at least")
    assert [s.name for s in several.skipped] == [str(tmp_path / "none.wav")]


def test_little_enrolled_speech_is_said_until_there_is_enough(packaged: System, tmp_path: Path) -> None:
    sounds = [write(tmp_path / f"{i}.wav", voice(seconds, seed=i)) for i, seconds in enumerate((1.5, 2.0, 9.0))]
    assert packaged.calibration is not None
    wanted = packaged.calibration.usual_seconds
    with SpeakerStore(tmp_path / "s.db", packaged, create=True) as store:
        one, two, enough = (enroll(packaged, store, Corpus.from_files([s], speaker="ann")) for s in sounds)
        held = [s.speech_seconds for s in store.overview("ann")]
        assert [x.speaker for x in (*one.little, *two.little)] == ["ann", "ann"]
        assert one.little[0].speech_seconds == held[0]
        assert two.little[0].speech_seconds == pytest.approx(held[0] + held[1])
        assert two.little[0].wanted_seconds == wanted < sum(held)
        assert enough.little == ()
        more = wanted - held[0]
        assert str(one.little[0]) == (
            f"ann has {held[0]:.2f} s of speech enrolled, where half of the models that this system was calibrated on "
            f"had {wanted:.2f} s or more: many answers about ann will be 'unknown'. Enroll {more:.2f} s more."
        )
        again = enroll(packaged, store, Corpus.from_files([tmp_path / "none.wav"], speaker="bob"))
        assert (again.sessions, again.little) == ((), ())


def test_without_a_calibration_nobody_knows_what_is_little(system: System, tmp_path: Path) -> None:
    sound = write(tmp_path / "0.wav", voice(2.0))
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        assert enroll(system, store, Corpus.from_files([sound], speaker="ann")).little == ()

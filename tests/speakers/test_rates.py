"""Decisions keep their rate: strangers from another domain, any amounts of speech, and one threshold for all ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.speakers import SpeakerStore, System, domain
from speechgmm.speakers.calibration import amount
from speechgmm.speakers.score import CandidateLimits, Scorer
from tests.sounds import Array
from tests.speakers.conftest import tiny_system
from tests.speakers.made import FRAMES, calibration_by_hand, enroll_frames, extracted, speaker_frames

SHIFT, SCALE = 1.5, 1.25
"""What another channel does to all features, in deviations of a frame."""
STORES, STRANGERS, OWN = 12, 50, 2
"""Stores of each size, tests of strangers in each, and of each person enrolled."""
RATES = (0.05, 0.1)


def channel(x: Array) -> Array:
    """The frames (N, 4) as they are heard elsewhere."""
    return (SCALE * x + SHIFT).astype(np.float32)


def margins(
    system: System, size: int, folder: Path, held: tuple[int, int], length: tuple[int, int]
) -> tuple[Array, Array]:
    """How far LLRs lie above their thresholds, (R, tests): of strangers, the best of a search; of owners, their own."""
    strangers, owners = [], []
    rng = np.random.default_rng([size, *held, *length])
    for i in range(STORES):
        people, tests = {}, []
        for s in range(size):
            own = speaker_frames(rng, int(rng.integers(*held, endpoint=True)) + OWN, 120)
            people[f"{s:02}"] = [channel(x) for x in own[OWN:]]
            tests += [(s, x) for x in own[:OWN]]
        tests += [(-1, speaker_frames(rng, 1, 120)[0]) for _ in range(STRANGERS)]
        with SpeakerStore(folder / f"{size} {i}", system, create=True) as store:
            enroll_frames(system, store, people)
            scorer = Scorer.of(system, store)
        for who, x in tests:
            test = extracted(system, channel(x[: int(rng.integers(*length, endpoint=True))]))
            scores = scorer.score_test([test]).scores
            assert scores is not None
            place = int(np.argmax(scores)) if who < 0 else who
            limits = scorer.limits(test.speech_seconds, place)
            assert limits is not None
            above = [scores[place] - limits.threshold(far, size).score for far in RATES]
            (strangers if who < 0 else owners).append(above)
    return np.array(strangers).T, np.array(owners).T


@pytest.fixture(autouse=True)
def made_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The domain moves as it did when the calibration was made."""
    monkeypatch.setattr(domain, "FRAMES", FRAMES)


USUAL, LITTLE, MUCH = ((3, 5), (60, 120)), ((1, 2), (50, 80)), ((9, 12), (110, 120))
"""Recordings of 1.2 s that are enrolled, and frames of a test."""


@pytest.mark.parametrize(
    ("size", "amounts"), [(5, USUAL), (12, USUAL), (12, LITTLE), (5, MUCH)], ids=["5", "12", "12, little", "5, much"]
)
def test_strangers_of_another_domain_are_accepted_at_the_stated_rate(
    calibrated: System, tmp_path: Path, size: int, amounts: Any
) -> None:
    strangers, owners = margins(calibrated, size, tmp_path, *amounts)
    for far, stranger, owner in zip(RATES, strangers, owners, strict=True):
        assert far / 4 < np.mean(stranger >= 0) < 2 * far
        oracle = np.quantile(stranger, 1 - far)  # accepts exactly so many
        assert np.mean(owner < 0) < np.mean(owner < oracle) + 0.2, "and not because all are refused"


SYSTEM = tiny_system()
BY_HAND = calibration_by_hand(SYSTEM)
AMOUNT = st.floats(0.05, 200.0)


@given(st.integers(1, 30), st.floats(0.005, 0.5), AMOUNT, AMOUNT, st.floats(-4, 6))
def test_the_threshold_of_llrs_is_that_of_normalized_scores(
    size: int, far: float, enrolled: float, tested: float, z: float
) -> None:
    c, norm = BY_HAND, BY_HAND.levels.norm(size)
    limits, plain = CandidateLimits(c, norm, enrolled, tested), c.threshold(far, norm, size)
    found = limits.threshold(far, size)
    assert found.extrapolated == plain.extrapolated
    if abs(z - plain.score) > 1e-9:
        llr = float(c.llr(z))
        assert (llr >= found.score) == (z >= plain.score)
    missed = float(limits.missed(found.score))
    assert missed == pytest.approx(float(c.owners.missed(plain.score, amount(enrolled, tested))), abs=1e-9)
    wanted = limits.wanted_seconds(far, size)
    if wanted is not None:
        assert c.owners.missed(plain.score, amount(enrolled, wanted)) <= 0.1
    assert limits.wanted_seconds(far, size, missed=0.0) is None
    assert limits.wanted_seconds(far, size, missed=1.0) == 1.0


def test_the_threshold_needs_no_amount() -> None:
    c, norm = BY_HAND, BY_HAND.levels.norm(5)
    found = CandidateLimits(c, norm, float("nan"), float("nan")).threshold(0.05, 5).score
    assert found == pytest.approx(float(c.llr(c.threshold(0.05, norm, 5).score)))


def test_among_speakers_with_one_amount_llrs_rank_as_raw_scores(calibrated: System, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people = {f"{i}": [channel(x) for x in speaker_frames(rng, 4, 120)] for i in range(6)}
    with SpeakerStore(tmp_path / "s", calibrated, create=True) as store:
        enroll_frames(calibrated, store, people)
        scorer = Scorer.of(calibrated, store)
    for _ in range(20):
        test = extracted(calibrated, channel(speaker_frames(rng, 1, 80)[0]))
        scored = scorer.score_test([test])
        assert scored.normalized is not None
        raw = scorer.models.ratios(test.usable())
        np.testing.assert_array_equal(np.argsort(scored.scores), np.argsort(raw))
        np.testing.assert_array_equal(np.argsort(scored.normalized), np.argsort(raw))

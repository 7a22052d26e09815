"""Conditions apart: each against the evaluation of its own trials; what divides a column; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores, Trials, cllr, eer, evaluate, join
from speechgmm.evaluation.conditions import in_ranges
from tests.evaluation.tables import gaussian


def table(**changed: object) -> Scores:
    """Twelve speakers; the first half of everybody's tests by telephone."""
    scores = gaussian(12, tests=6, seed=3)
    device = ["phone" if int(name[-3:]) % 6 < 3 else "laptop" for name in scores.test]
    seconds = [1.0 + int(name[-3:]) % 8 for name in scores.test]
    held = {"test_speaker": scores.test_speaker, "test_seconds": seconds, "conditions": {"Device": device}}
    return Scores(scores.speaker, scores.test, scores.score, scores.target, **held | changed)  # type: ignore[arg-type]


def test_each_condition_is_evaluated_alone() -> None:
    scores = table()
    found = evaluate(scores, prior=0.2, by=["device"])
    assert [(c.column, c.value) for c in found.conditions] == [("Device", "laptop"), ("Device", "phone")]
    for c in found.conditions:
        rows = scores.conditions["Device"] == c.value
        alone = join(scores, Trials(scores.speaker[rows], scores.test[rows], scores.target[rows]))
        expected = evaluate(alone, prior=0.2)
        kinds = [alone.score[alone.target == label] for label in (1, 0)]
        assert (c.eer, c.cllr) == (eer(*kinds), cllr(*kinds))
        assert (c.p_miss, c.p_fa) == (expected.errors.p_miss, expected.errors.p_fa)
        assert (c.tests, c.targets, c.nontargets, c.speakers) == (36, 36, 36 * 11, 12)
        for name in ("p_miss", "p_fa"):
            assert c.intervals[name] == expected.intervals[name]
        for name in ("eer", "cllr"):
            assert c.intervals[name].estimate == pytest.approx(expected.intervals[name].estimate)
            assert c.intervals[name].low < getattr(c, name) < c.intervals[name].high
        assert c.doubt == ""


def test_numbers_are_divided_into_ranges_of_about_equally_many_trials() -> None:
    seconds = evaluate(table(), by=["test_seconds"]).conditions
    assert [c.value for c in seconds] == ["1 to 2", "3 to 4", "5 to 6", "7 to 8"]
    words = [f"{x:g}" for x in table().test_seconds]  # type: ignore[union-attr]
    texts = evaluate(table(conditions={"SNR": words}), by=["snr"]).conditions
    assert [(c.column, c.value, c.targets) for c in texts] == [("SNR", c.value, c.targets) for c in seconds]


def test_few_numbers_are_taken_by_themselves() -> None:
    scores = table(conditions={"floor": [str(int(name[-3:]) % 3) for name in table().test]})
    assert [c.value for c in evaluate(scores, by=["floor"]).conditions] == ["0", "1", "2"]


def test_the_same_value_stays_in_one_range() -> None:
    numbers = np.repeat([1.0, 2.0, 3.0, np.nan], [50, 3, 47, 5])
    found = in_ranges(numbers, 4)
    assert (found[-5:] == -1).all()
    assert {len(set(found[numbers == x])) for x in (1.0, 2.0, 3.0)} == {1}
    assert in_ranges(np.arange(25.0), 4).max() == 1  # a tenth of 25, and no more
    assert in_ranges(np.full(3, np.nan), 4).tolist() == [-1, -1, -1]


def test_unasked_are_seconds_enrolled_and_a_few_sessions() -> None:
    scores = table()
    enrolled = np.char.str_len(scores.speaker) + scores.speakers.codes
    sessions = [f"day {int(name[-3:]) % 2}" for name in scores.test]
    found = evaluate(table(enroll_seconds=enrolled, session=sessions)).conditions
    assert list(dict.fromkeys(c.column for c in found)) == ["enroll_seconds", "session"]
    assert evaluate(table(enroll_seconds=[7.0] * len(scores), session=["s"] * len(scores))).conditions == ()
    many = [f"call {int(name[-3:])}" for name in scores.test]
    assert evaluate(table(session=many)).conditions == ()
    assert evaluate(table(enroll_seconds=enrolled), by=[]).conditions == ()


def test_what_is_not_known_is_counted_and_left_out() -> None:
    device = ["" if i < 100 else "phone" for i in range(len(table()))]
    found = evaluate(table(conditions={"device": device}), by=["device"])
    assert [c.value for c in found.conditions] == ["phone"]
    assert "conditions: device says nothing of 100 of 864 trials" in found.left_out
    silent = evaluate(table(test_seconds=np.full(len(table()), np.nan)), by=["test_seconds"])
    assert silent.conditions == ()
    assert "conditions: test_seconds says nothing of 864 of 864 trials" in silent.left_out


def test_few_speakers_are_named_and_have_no_intervals() -> None:
    scores = table()
    rare = ["hall" if name[:4] in ("p001", "p002") else "room" for name in scores.test]
    hall, room = evaluate(table(conditions={"place": rare}), by=["place"]).conditions
    assert (hall.speakers, hall.intervals) == (2, {})
    assert hall.doubt == "target trials of 2 speakers: too few to tell"
    assert hall.eer is not None
    assert room.doubt == ""
    assert room.intervals.keys() == {"eer", "cllr", "p_miss", "p_fa"}


def test_a_condition_of_one_kind_has_no_rates() -> None:
    scores = table()
    kind = np.where(scores.target == 1, "own", "other").tolist()
    other, own = evaluate(table(conditions={"kind": kind}), by=["kind"]).conditions
    assert (other.doubt, own.doubt) == ("no target trials", "no nontarget trials")
    assert (other.eer, other.cllr, other.p_miss, other.p_fa, other.intervals) == (None, None, None, None, {})
    assert (own.targets, other.targets) == (72, 0)


def test_without_replicates_there_are_no_intervals_and_no_doubts() -> None:
    found = evaluate(table(), by=["device"], replicates=0).conditions
    assert {(c.doubt, len(c.intervals)) for c in found} == {("", 0)}


def test_they_are_in_the_document() -> None:
    found = evaluate(table(), by=["device"]).as_dict()["conditions"][0]
    assert found["value"] == "laptop"
    assert found["intervals"]["eer"]["level"] == 0.95


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"a condition must be a column of .*, Device; got 'room'\. score --keep"):
        evaluate(table(), by=["room"])
    with pytest.raises(InvalidInput, match=r"a condition must be a column of the scores: .*; got 'score'"):
        evaluate(table(), by=["score"])
    with pytest.raises(InvalidInput, match=r"the column 'test' must have at most 50 different values; got 72\. Give a"):
        evaluate(table(), by=["test"])

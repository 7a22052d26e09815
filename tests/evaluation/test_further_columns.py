"""What a table of scores holds beside its columns: conditions by names of one's own, and trials that failed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Failures, Scores, Trials, join, read_scores, write_scores

LOST = Failures(tests=Trials(["ann", "bob"], ["z", "z"], [1, -1]), speakers=Trials(["cid"], ["x"], [0]))
SCORES = Scores(
    ["ann", "bob", "ann"], ["x", "x", "y"], [1.5, -2.0, 0.25], [1, 0, -1],
    session=["", "mon", ""], test_seconds=[3.0, 3.0, np.nan],
    conditions={"device": ["phone", "phone", ""], "SNR (dB)": [12, 3.5, np.nan]}, failures=LOST,
)  # fmt: skip
HEAD = "speaker\ttest\tscore\ttarget\tfailed\n"


def held(scores: Scores) -> dict[str, object]:
    """All that a table says."""
    names = ("speaker", "test", "score", "target", "test_speaker", "session", "enroll_seconds", "test_seconds")
    found = {n: None if (c := getattr(scores, n)) is None else c.tolist() for n in names}
    found |= {n: c.tolist() for n, c in scores.conditions.items()}
    lists = {} if scores.failures is None else scores.failures.lists
    rows = {n: list(zip(t.speaker.tolist(), t.test.tolist(), t.target.tolist(), strict=True)) for n, t in lists.items()}
    return found | {"known": scores.failures is not None} | rows


def test_conditions_are_text() -> None:
    assert SCORES.conditions["device"].tolist() == ["phone", "phone", ""]
    assert SCORES.conditions["SNR (dB)"].tolist() == ["12.0", "3.5", ""]
    assert Scores(["a"], ["x"], [1.0], [1]).conditions == {}
    with pytest.raises(TypeError):
        SCORES.conditions["device"] = np.array(["a"] * 3)  # type: ignore[index]


@pytest.mark.parametrize("kind", ["tsv", "npz"])
@pytest.mark.parametrize("failures", [LOST, Failures(), Failures(speakers=LOST.speakers), None])
def test_files_give_them_back(tmp_path: Path, kind: str, failures: Failures | None) -> None:
    made = Scores(
        SCORES.speaker, SCORES.test, SCORES.score, SCORES.target,
        test_seconds=SCORES.test_seconds, conditions=SCORES.conditions, failures=failures,
    )  # fmt: skip
    write_scores(made, tmp_path / f"s.{kind}")
    back = read_scores(tmp_path / f"s.{kind}")
    expected, found = held(made), held(back)
    np.testing.assert_equal(found.pop("test_seconds"), expected.pop("test_seconds"))
    assert found == expected


def test_a_file_with_failures_can_be_read_by_people(tmp_path: Path) -> None:
    write_scores(SCORES, tmp_path / "s.tsv")
    assert (tmp_path / "s.tsv").read_text() == (
        "speaker\ttest\tscore\ttarget\tsession\ttest_seconds\tdevice\tSNR (dB)\tfailed\n"
        "ann\tx\t1.5\t1\t\t3.0\tphone\t12.0\t\n"
        "bob\tx\t-2.0\t0\tmon\t3.0\tphone\t3.5\t\n"
        "ann\ty\t0.25\t\t\t\t\t\t\n"
        "ann\tz\t\t1\t\t\t\t\ttest\n"
        "bob\tz\t\t\t\t\t\t\ttest\n"
        "cid\tx\t\t0\t\t\t\t\tspeaker\n"
    )


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_tables_of_spreadsheets_may_say_it_too(tmp_path: Path, delimiter: str) -> None:
    rows = ["Speaker,Test,Score,Target,Device,Failed", "ann,x,1.5,1,phone,", "ann,z,,1,,test"]
    (tmp_path / "s.csv").write_text("\n".join(rows).replace(",", delimiter))
    found = held(read_scores(tmp_path / "s.csv"))
    assert (found["score"], found["Device"], found["test"]) == ([1.5], ["phone"], [("ann", "z", 1)])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a\tx\t1\t1\t\na\ty\t\t1\t\n", "line 3, must have a score, or say .*'test' or 'speaker'; got the score nan"),
        ("a\tx\t1\t1\ttest\n", "line 2, must have a score, or say .*; got the score 1 with 'test'"),
        ("a\tx\t\t1\tmodel\n", "line 2, must have a score, or say .*; got the score nan with 'model'"),
        ("a\tx\tnan\t1\ttest\n", "line 2: score must be a finite number; got 'nan'"),
        ("a\tx\t\t1\ttest\n", "scores must hold at least one score; got none but trials that failed"),
        ("a\tx\t1\t1\t\na\tx\t\t1\ttest\n", "line 3, must hold a pair .* that no other line holds; .* line 2 holds"),
        ("a\tx\t\t1\ttest\na\tx\t\t1\ttest\nb\tx\t1\t1\t\n", "line 3, must hold a pair .* line 2 holds too"),
    ],
)  # fmt: skip
def test_bad_failures_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(HEAD + rows)
    with pytest.raises(InvalidInput, match=message):
        read_scores(tmp_path / "s.tsv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"failed": np.array([0])}, "must hold text in the column failed and numbers in score; got other types"),
        ({"score": np.array(["1"])}, "must hold text in the column failed and numbers in score; got other types"),
        ({"test": np.array(["x", "y"])}, "must have columns of 1 rows, as failed has; got others in test"),
        ({"failed": np.array(["test"])}, "row 0, must have a score, or say .*; got the score 1 with 'test'"),
        ({"score": np.array([np.nan])}, "row 0, must have a score, or say .*; got the score nan with ''"),
        ({"age": np.array([b"x"])}, "the condition 'age' must hold text"),
    ],
)
def test_bad_arrays_are_refused(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    good = {"speaker": np.array(["a"]), "test": np.array(["x"]), "score": np.array([1.0]), "failed": np.array([""])}
    np.savez(tmp_path / "s.npz", **good)
    assert read_scores(tmp_path / "s.npz").failures == Failures()
    np.savez(tmp_path / "s.npz", **good | change)
    with pytest.raises(InvalidInput, match=rf"s\.npz.* {message}"):
        read_scores(tmp_path / "s.npz")


def test_a_trial_fails_for_one_reason() -> None:
    trials = Trials(["a"], ["x"], [1])
    with pytest.raises(InvalidInput, match="a trial must fail for one reason; got both for speaker 'a' with test 'x'"):
        Failures(trials, trials)
    with pytest.raises(InvalidInput, match=re.escape("the tests that failed must be a Trials; got a list.")):
        Failures([trials])  # type: ignore[arg-type]


def test_join_takes_conditions_and_keeps_what_failed() -> None:
    listed = Trials(["bob", "cid", "ann", "bob"], ["z", "x", "y", "x"], [0, 0, 1, 1])
    found = join(SCORES, listed)
    assert list(zip(found.speaker, found.test, found.target, strict=True)) == [("ann", "y", 1), ("bob", "x", 1)]
    assert found.conditions["device"].tolist() == ["", "phone"]
    assert {n: held(found)[n] for n in ("test", "speaker")}["test"] == [("bob", "z", 0)]
    assert found.failures is not None
    assert found.failures.speakers is not None
    assert found.failures.speakers.speaker.tolist() == ["cid"]


def test_join_of_a_list_without_failures() -> None:
    found = join(SCORES, Trials(["ann"], ["x"], [1]))
    assert found.failures == Failures()
    with pytest.raises(InvalidInput, match=r"hold every trial; got 1 of 2 trials without a score, .*'dan'"):
        join(SCORES, Trials(["dan", "ann", "bob"], ["x", "x", "z"], [1, 1, 0]))
    with pytest.raises(InvalidInput, match="scores must hold a score of a trial of the list; got 1 trials that failed"):
        join(SCORES, Trials(["bob"], ["z"], [0]))


def test_other_scores_of_the_same_trials_keep_all_else() -> None:
    found = SCORES.rescored(2 * SCORES.score)
    assert found.score.tolist() == [3.0, -4.0, 0.5]
    assert held(found)["device"] == ["phone", "phone", ""]
    assert found.failures is LOST
    some = SCORES.take(np.array([2, 0]))
    assert (some.test.tolist(), some.conditions["device"].tolist(), some.failures) == (["y", "x"], ["", "phone"], None)

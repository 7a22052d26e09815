"""Data frames: of scores to the bit and back, of answers and of evaluations."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput, MissingExtra
from speechgmm.evaluation import (
    Answer,
    Answers,
    Candidate,
    Failures,
    Scores,
    Trials,
    evaluate,
    read_scores,
    write_scores,
)
from speechgmm.evaluation.trials import columns, whole_columns
from speechgmm.frames import frame_of
from tests.evaluation.tables import gaussian

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=4)
NAME = TEXT.filter(str.strip)
SECONDS = st.just(float("nan")) | st.floats(0, 1e9)


@st.composite
def tables(draw):
    """Tables of scores with any of the optional columns, conditions and trials that failed."""
    rows = draw(st.integers(1, 8))
    score = draw(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=rows, max_size=rows))

    def column(values):
        return draw(st.none() | st.lists(values, min_size=rows, max_size=rows))

    names = draw(st.lists(NAME, min_size=rows, max_size=rows))
    conditions = {"room": column(TEXT), "7": column(TEXT)}
    lost = [
        Trials(names[:1], [f"lost{i}"], [draw(st.integers(-1, 1))]) if draw(st.booleans()) else None for i in (0, 1)
    ]
    return Scores(
        names,
        [f"t{i}" for i in range(rows)],
        score,
        draw(st.lists(st.integers(-1, 1), min_size=rows, max_size=rows)),
        test_speaker=column(TEXT),
        session=column(TEXT),
        enroll_seconds=column(SECONDS),
        test_seconds=column(SECONDS),
        attack=column(st.sampled_from(["", "replayed"])),
        conditions={name: values for name, values in conditions.items() if values},
        failures=draw(st.sampled_from([None, Failures(*lost)])),
    )


def bits(scores):
    held = whole_columns(scores)
    full = {n: getattr(c, "full", c) for n, c in held.items()}
    return {n: (c.tolist() if c.dtype.kind == "U" else (c.dtype.str, c.tobytes())) for n, c in full.items()}


@given(tables())
def test_scores_come_back_from_a_frame_to_the_bit(scores):
    frame = scores.to_frame()
    assert list(frame.columns) == list(whole_columns(scores))
    assert bits(Scores.from_frame(frame)) == bits(scores)
    assert (Scores.from_frame(frame).failures is None) == (scores.failures is None)


@given(tables())
def test_and_from_one_of_polars(scores):
    frame = pl.DataFrame({name: column.tolist() for name, column in scores.to_frame().items()})
    assert bits(Scores.from_frame(frame)) == bits(scores)


def test_a_frame_has_the_columns_of_the_file(tmp_path):
    scores = gaussian(3)
    write_scores(scores, tmp_path / "s.tsv")
    read = pd.read_csv(tmp_path / "s.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert list(read.columns) == list(scores.to_frame().columns)
    assert [float(score) for score in read["score"]] == scores.to_frame()["score"].tolist()
    assert bits(Scores.from_frame(read)) == bits(read_scores(tmp_path / "s.tsv")) == bits(scores)


def test_frames_as_people_make_them():
    frame = pd.DataFrame(
        {
            " Speaker": [1, 2, 3],
            "TEST": ["a", "b", "c"],
            "score": [1, 2, None],
            "target": [1.0, None, 0],
            "test_seconds": [None, 2.5, 1],
            "device": ["phone", None, "laptop"],
            "failed": [None, "", "test"],
        },
        index=[7, 7, 9],
    )
    scores = Scores.from_frame(frame)
    assert scores.speaker.tolist() == ["1", "2"]
    assert scores.target.tolist() == [1, -1]
    assert scores.conditions["device"].tolist() == ["phone", ""]
    assert np.isnan(scores.test_seconds[0])
    assert scores.failures.tests.test.tolist() == ["c"]
    assert Scores.from_frame(frame[[" Speaker", "TEST", "score"]].iloc[:2]).target.tolist() == [-1, -1]


GOOD = {"speaker": ["ann"], "test": ["a"], "score": [1.0]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": ["high"]}, r"score in the data frame must hold numbers; got 'high' in row 0"),
        ({"score": [None]}, r"score must be finite; got 1 NaN"),
        ({"target": [0.5]}, r"target must be 1 \(target\), 0 \(nontarget\) or -1 \(not known\), as whole numbers"),
        ({"target": [2]}, r"target must be 1 \(target\), 0"),
        ({"speaker": [None]}, r"speaker must hold no empty names; got '' in row 0"),
        ({"Speaker": ["bob"]}, r"the data frame must have the columns speaker, test, score.*got repeated 'speaker'"),
        ({" ": ["bob"]}, r"the data frame must have the columns .* under a name of its own; got unnamed ''"),
        ({"failed": ["test"]}, r"the data frame, row 0, must have a score, or say in the column failed why not"),
        ({"test_seconds": [-1]}, r"test_seconds must be finite and at least 0 s"),
        ({"speaker": [], "test": [], "score": []}, r"the data frame must hold at least one row; got none"),
    ],
)
def test_frames_that_are_refused(changed, message):
    with pytest.raises(InvalidInput, match=message):
        Scores.from_frame(pd.DataFrame(GOOD | changed))


def test_what_is_no_frame_or_lacks_a_column_is_refused():
    with pytest.raises(InvalidInput, match=r"a table of scores must be a data frame of pandas or polars; got list"):
        Scores.from_frame([1, 2])
    with pytest.raises(InvalidInput, match=r"the data frame must have the columns .*; got missing 'score'"):
        Scores.from_frame(pd.DataFrame({"speaker": ["a"], "test": ["b"]}))


def test_answers_as_a_frame():
    told = (Candidate("ann", 3.0, 0.9), Candidate("bob", -1.0, None))
    answers = Answers(
        [
            Answer("a.wav", "accepted", 2.5, "ann", told, threshold=1.0, missed=0.25, assured=True),
            Answer("b.wav", "error", error="b.wav is empty"),
        ]
    )
    frame = answers.to_frame()
    assert frame["test"].tolist() == ["a.wav", "a.wav", "b.wav"]
    assert frame["candidate"].tolist()[:2] == ["ann", "bob"]
    assert frame["rank"].tolist()[:2] == [1, 2]
    assert frame["rank"].isna().tolist() == [False, False, True]
    assert str(frame["rank"].dtype) == "Int64"
    assert frame["score"].tolist()[:2] == [3.0, -1.0]
    assert frame["posterior"].isna().tolist() == [False, True, True]
    assert frame.loc[2, "error"] == "b.wav is empty"
    assert frame.loc[0, ["threshold", "missed", "assured", "decision"]].tolist() == [1.0, 0.25, True, "ann"]
    assert list(Answers().to_frame().columns) == list(frame.columns)
    accepted = frame[frame["rank"] == 1]
    assert accepted["test"].tolist() == ["a.wav"]


def test_an_evaluation_as_a_frame_says_what_its_fields_say():
    plain = gaussian(12, strangers=6)
    rooms = np.where(plain.tests.codes % 2, "hall", "").tolist()
    e = evaluate(Scores(**columns(plain), conditions={"room": rooms}), by=["room"], replicates=20)
    frame = e.to_frame()
    whole = frame[frame["column"] == ""].set_index("metric")
    assert set(e.intervals) <= set(whole.index)
    for name, interval in e.intervals.items():
        assert whole.loc[name, ["estimate", "low", "high", "level"]].tolist() == pytest.approx(
            [interval.estimate, interval.low, interval.high, interval.level]
        )
    assert whole.loc["eer", "estimate"] == e.eer
    assert whole.loc["eer_threshold", "estimate"] == e.eer_threshold
    assert np.isnan(whole.loc["eer_threshold", "low"])
    assert whole.loc["min_dcf SRE08", "estimate"] == e.nist[0].min_dcf
    assert (whole["targets"] == e.targets).all()
    parts = frame[frame["column"] == "room"].set_index("metric")
    assert parts.loc["p_miss", "estimate"] == next(c for c in e.conditions if c.value == "hall").p_miss
    assert set(parts["value"]) == {c.value for c in e.conditions}


def test_the_hull_is_kept_apart():
    e = evaluate(gaussian(6), replicates=0)
    assert "hull" not in e.as_dict()
    assert e.hull.eer() == e.eer


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = r"pandas must be installed for this; .* python -m pip install 'speechgmm\[frames\]'"
    for make in (gaussian(3).to_frame, Answers().to_frame, evaluate(gaussian(6), replicates=0).to_frame):
        with pytest.raises(MissingExtra, match=message):
            make()
    with pytest.raises(MissingExtra):
        frame_of({})
    assert len(Scores.from_frame(pl.DataFrame(GOOD))) == 1

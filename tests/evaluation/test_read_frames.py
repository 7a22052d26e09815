"""Answers and evaluations come back from data frames as they were, and frames that say something else are refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput, Skipped
from speechgmm.evaluation import Answer, Answers, Candidate, Evaluation, Failures, Rule, Scores, Trials, evaluate
from speechgmm.evaluation.attacks import AttackCondition, AttackErrors, AttackTradeOff, SpeciesRate
from speechgmm.evaluation.conditions import Condition
from speechgmm.evaluation.decision import Unfamiliar
from speechgmm.evaluation.duration import DurationBin
from speechgmm.evaluation.evaluation_rows import rates_of
from speechgmm.evaluation.identification import OpenSet
from speechgmm.evaluation.intervals import Interval
from speechgmm.evaluation.llr_bounds import LlrBounds
from speechgmm.evaluation.metrics import NIST, NistCost
from speechgmm.evaluation.threshold_errors import FailureCounts, ThresholdErrors
from speechgmm.evaluation.trials import columns
from tests.evaluation.tables import gaussian

SEEN = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
NAME = st.text(SEEN, min_size=1, max_size=4) | st.sampled_from(["NA", "None", "nan", "007", "1.0", "True", 'a,"b"'])
WORDS = st.text(SEEN | st.sampled_from('\n,";'), max_size=6)
FILLED = WORDS.filter(bool)
NUMBER = st.floats(allow_nan=False)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARE = st.floats(0, 1)
COUNT = st.integers(0, 2**53)
RULES = (
    st.sampled_from([None, Rule()])
    | st.builds(Rule, far=st.floats(0.001, 0.999))
    | st.builds(Rule, prior=st.floats(0.01, 0.99), cost_miss=st.floats(0.1, 50), cost_fa=st.floats(0.1, 50))
    | st.builds(Rule, threshold=FINITE)
)


def through_csv(frame, path):
    """The frame that is read, as text, from the file that is written of one."""
    frame.to_csv(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def through_polars(frame):
    return pl.DataFrame(
        {name: [None if pd.isna(cell) else cell for cell in column.tolist()] for name, column in frame.items()},
        strict=False,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("frames") / "frame.csv"


@st.composite
def answer(draw):
    status = draw(st.sampled_from(["accepted", "unknown", "rejected", "ranked", "too_little_speech", "error"]))
    candidates = draw(st.lists(st.builds(Candidate, NAME, NUMBER, st.none() | SHARE), max_size=3))
    return Answer(
        draw(NAME),
        status,
        draw(st.floats(0, 1e6)),
        draw(NAME) if status == "accepted" else None,
        tuple(candidates),
        draw(RULES),
        draw(st.none() | NUMBER),
        draw(st.booleans()),
        draw(st.none() | FILLED),
        tuple(draw(st.lists(st.builds(Skipped, WORDS, WORDS), max_size=2))),
        draw(st.none() | SHARE),
        draw(st.none() | st.floats(0, 1e6)),
        draw(st.none() | st.booleans()),
        draw(st.none() | st.builds(Unfamiliar, FILLED, NUMBER, NUMBER)),
    )


ANSWERS = st.lists(answer(), max_size=4).map(Answers)


def bits(answers):
    """What answers say; `repr` tells -0.0 from 0.0, and 1 from True."""
    return [repr(asdict(a)) for a in answers]


@given(ANSWERS)
def test_answers_come_back_from_their_frame_to_the_bit(path, answers):
    frame = answers.to_frame()
    for read in (frame, through_csv(frame, path), through_polars(frame)):
        found = Answers.from_frame(read)
        assert isinstance(found, Answers)
        assert found == answers
        assert bits(found) == bits(answers)


@given(ANSWERS)
def test_a_row_stands_for_each_candidate(answers):
    frame = answers.to_frame()
    assert len(frame) == sum(max(1, len(a.candidates)) for a in answers)
    for _, row in frame.iterrows():
        assert (row["candidate"] == "") == pd.isna(row["rank"]) == pd.isna(row["score"])
        assert pd.isna(row["rule_cost_miss"]) == pd.isna(row["rule_cost_fa"])


def test_what_an_answer_holds_is_in_the_frame():
    told = Answer(
        "a.wav",
        "unknown",
        2.5,
        None,
        (Candidate("ann", -1.0, 0.25),),
        Rule(prior=0.5, cost_fa=10.0),
        2.25,
        True,
        None,
        (Skipped("b.wav", "b.wav is empty"),),
        0.5,
        8.0,
        False,
        Unfamiliar("it is loud", 5.0, 4.0),
    )
    (row,) = Answers([told]).to_frame().astype(object).to_dict("records")
    assert json.loads(row.pop("skipped")) == [["b.wav", "b.wav is empty"]]
    assert {name: cell for name, cell in row.items() if not pd.isna(cell)} == {
        "test": "a.wav",
        "status": "unknown",
        "decision": "",
        "speech_seconds": 2.5,
        "rank": 1,
        "candidate": "ann",
        "score": -1.0,
        "posterior": 0.25,
        "threshold": 2.25,
        "missed": 0.5,
        "assured": False,
        "unfamiliar": "it is loud",
        "error": "",
        "wanted_seconds": 8.0,
        "extrapolated": True,
        "unfamiliar_value": 5.0,
        "unfamiliar_limit": 4.0,
        "rule_prior": 0.5,
        "rule_cost_miss": 1.0,
        "rule_cost_fa": 10.0,
    }


def test_answers_as_people_make_frames_of_them(path):
    frame = pd.DataFrame(
        {
            " Test": ["a", "a", "b"],
            "STATUS": ["accepted", "accepted", "unknown"],
            "decision": [7, 7, None],
            "rank": [1.0, 2.0, None],
            "candidate": [7, 8, None],
            "score": ["2", 1, None],
            "truth": ["x", "y", "z"],
        },
        index=[5, 5, 1],
    )
    found = Answers(
        [Answer("a", "accepted", 0.0, "7", (Candidate("7", 2.0), Candidate("8", 1.0))), Answer("b", "unknown")]
    )
    assert Answers.from_frame(frame) == found
    frame.to_csv(path, index=False)
    assert Answers.from_frame(pd.read_csv(path)) == found
    assert Answers.from_frame(frame[[" Test", "STATUS"]].iloc[2:]) == found[1:]
    best = found.to_frame()
    best = best[(best["rank"] == 1) | best["rank"].isna()]
    assert [a.candidates for a in Answers.from_frame(best)] == [(Candidate("7", 2.0),), ()]


GOOD = {
    "test": ["a", "a", "b"],
    "status": ["accepted", "accepted", "error"],
    "decision": ["ann", "ann", ""],
    "rank": [1, 2, None],
    "candidate": ["ann", "bob", ""],
    "score": [2.0, 1.0, None],
}
"""Two candidates of a test, and a test that has none."""


PAIRS = "be a list of pairs of texts, name and reason, in JSON; got "


@pytest.mark.parametrize(
    ("changed", "row", "words"),
    [
        ({"status": ["accepted", "accepted", "good"]}, 2, "be one of 'accepted', .*; got 'good'"),
        ({"test": ["a", "a", None]}, 2, r"be filled; got nothing\. Read a CSV file with keep_default_na=False"),
        ({"rank": [1, 3, None]}, 1, "count the candidates of each test from 1, in rows that stand together; got 3"),
        ({"rank": [2, 3, None]}, 0, "count the candidates of each test from 1, .*; got 2"),
        ({"rank": [0, 1, None]}, 0, "count the candidates of each test from 1, .*; got 0"),
        ({"rank": [1, None, 2]}, 2, "count the candidates of each test from 1, .*; got 2"),
        ({"rank": [1, 1.5, None]}, 1, r"be a whole number, at least 0; got 1\.5"),
        ({"rank": [1, 2, None], "test": ["a", "b", "b"]}, 1, "count the candidates of each test from 1, .*; got 2"),
        ({"candidate": ["ann", None, None]}, 1, "be filled; got nothing"),
        ({"score": [2.0, None, None]}, 1, "be a number; got nothing"),
        ({"score": [2.0, "high", None]}, 1, "be a number; got 'high'"),
        ({"score": [2.0, 1.0, 0.5]}, 2, r"be missing where there is no rank; got 0\.5"),
        ({"posterior": [0.5, None, 0.5]}, 2, r"be missing where there is no rank; got 0\.5"),
        ({"decision": ["ann", "bob", ""]}, 1, "be what the row before says of the test 'a', 'ann'; got 'bob'"),
        ({"missed": [0.5, 0.25, None]}, 1, r"be what the row before says of the test 'a', 0\.5; got 0\.25"),
        ({"skipped": ['[["x", "y"]]', "", ""]}, 1, "be what the row before says of the test 'a', .*; got ''"),
        (
            {"decision": ["", "", ""]},
            0,
            "name who is accepted where the status is accepted, .*; got '' with 'accepted'",
        ),
        ({"decision": ["ann", "ann", "eve"]}, 2, "name who .*, and nobody elsewhere; got 'eve' with 'error'"),
        ({"assured": [2, 2, None]}, 0, "be True or False; got 2"),
        ({"extrapolated": ["no", "no", None]}, 0, "be True or False; got 'no'"),
        ({"unfamiliar_value": [None, None, None], "unfamiliar": ["", "", "loud"]}, 2, "be a number; got nothing"),
        ({"unfamiliar_limit": [None, None, 4]}, 2, "be missing where the column unfamiliar gives no reason; got 4"),
        ({"rule_cost_miss": [None, None, None], "rule_far": [None, None, 0.5]}, 2, "be a number; got nothing"),
        ({"skipped": ["", "", "b.wav"]}, 2, PAIRS + r"'b\.wav'"),
        ({"skipped": ["", "", '[["b.wav"]]']}, 2, PAIRS),
        ({"skipped": ["", "", '[["b.wav", 1]]']}, 2, PAIRS),
        ({"skipped": ["", "", "[" * 100_000]}, 2, PAIRS),
    ],
)
def test_a_cell_of_answers_that_is_refused_is_named(changed, row, words):
    assert len(Answers.from_frame(pd.DataFrame(GOOD))) == 2
    column = next(iter(changed))
    with pytest.raises(InvalidInput, match=f"^{column} in the data frame, row {row}, must {words}"):
        Answers.from_frame(pd.DataFrame(GOOD | changed))


def test_a_rule_that_is_none_is_refused():
    rule = {"rule_far": [None, None, 5], "rule_cost_miss": [None, None, 1], "rule_cost_fa": [None, None, 1]}
    message = (
        r"the columns rule_ in the data frame, row 2, must make a rule; got far must be above 0 and below 1; got 5\."
    )
    with pytest.raises(InvalidInput, match=message):
        Answers.from_frame(pd.DataFrame(GOOD | rule))


def test_what_is_no_frame_of_answers_or_lacks_a_column_is_refused():
    with pytest.raises(InvalidInput, match=r"answers must be a data frame of pandas or polars; got list"):
        Answers.from_frame([1, 2])
    with pytest.raises(
        InvalidInput, match=r"the data frame must have the columns test, status, .*; got missing 'status'"
    ):
        Answers.from_frame(pd.DataFrame({"test": ["a"]}))
    message = (
        r"the data frame must have the columns rank, candidate and score together, or none .*; got 'rank' and 'score'"
    )
    with pytest.raises(InvalidInput, match=message):
        Answers.from_frame(pd.DataFrame(GOOD).drop(columns="candidate"))


INTERVAL = st.builds(Interval, NUMBER, NUMBER, NUMBER, SHARE)
INTERVALS = st.none() | INTERVAL
MAYBE = st.none() | NUMBER


ATTACKS = st.builds(
    AttackErrors,
    threshold=NUMBER,
    apcer=NUMBER,
    worst=FILLED,
    bpcer=NUMBER,
    bpcer_interval=INTERVALS,
    presentations=COUNT,
    bona_fide=COUNT,
    species=st.lists(st.builds(SpeciesRate, FILLED, *[COUNT] * 3, NUMBER, INTERVALS, NUMBER), max_size=2).map(tuple),
    trade_offs=st.lists(st.builds(AttackTradeOff, FILLED, NUMBER, NUMBER, NUMBER, WORDS), max_size=2).map(tuple),
    conditions=st.lists(st.builds(AttackCondition, FILLED, FILLED, FILLED, COUNT, NUMBER), max_size=2).map(tuple),
)
OF_CONDITIONS = st.dictionaries(st.sampled_from(("eer", "cllr", "p_miss", "p_fa")), INTERVAL)
CONDITION = st.builds(Condition, FILLED, FILLED, *[COUNT] * 4, *[MAYBE] * 4, OF_CONDITIONS, WORDS)
DURATION = st.builds(DurationBin, *[NUMBER] * 2, *[COUNT] * 3, *[NUMBER] * 3, INTERVALS)
AT_THRESHOLD = ("strangers_accepted", "owners_missed", "owners_mistaken", "p_reject", "p_accept")


@st.composite
def evaluations(draw):
    """Evaluations that hold anything, whether or not a table of scores has it."""
    targets, nontargets = draw(COUNT), draw(COUNT)
    costs = [NistCost(name, draw(NUMBER), draw(NUMBER)) for name in draw(st.sets(st.sampled_from(list(NIST))))]
    found = Evaluation(
        trials=targets + nontargets,
        targets=targets,
        nontargets=nontargets,
        tests=draw(COUNT),
        speakers=draw(COUNT),
        **{n: draw(NUMBER) for n in ("eer", "eer_threshold", "min_dcf", "actual_dcf", "cllr", "min_cllr")},
        nist=tuple(costs),
        llr_bounds=draw(st.builds(LlrBounds, NUMBER, NUMBER, COUNT, COUNT)),
        errors=ThresholdErrors(
            *(draw(NUMBER) for _ in range(3)), models=draw(st.none() | COUNT), **{n: draw(MAYBE) for n in AT_THRESHOLD}
        ),
        failures=draw(st.none() | st.builds(FailureCounts, *[COUNT] * 6)),
        identification_rate=draw(MAYBE),
        cmc=tuple(draw(st.lists(NUMBER, max_size=3))),
        open_set=draw(st.none() | st.builds(OpenSet, NUMBER, NUMBER, NUMBER, NUMBER, COUNT, COUNT)),
        durations=tuple(draw(st.lists(DURATION, max_size=2))),
        conditions=tuple(draw(st.lists(CONDITION, max_size=2))),
        attacks=draw(st.none() | ATTACKS),
        intervals={},
        **{n: draw(NUMBER) for n in ("prior", "cost_miss", "cost_fa")},
        left_out=tuple(draw(st.lists(FILLED, max_size=2))),
    )
    return replace(found, intervals=draw(st.dictionaries(st.sampled_from(list(rates_of(found))), INTERVAL)))


def figures(e):
    """All that an evaluation holds, to the bit, but its confusion matrix."""
    return json.dumps(e.as_dict(), sort_keys=True)


@given(evaluations())
def test_evaluations_come_back_from_their_frame_to_the_bit(path, e):
    frame = e.to_frame()
    for read in (frame, through_csv(frame, path), through_polars(frame)):
        found = Evaluation.from_frame(read)
        assert found == e
        assert figures(found) == figures(e)


def rich():
    """The evaluation of a table that has all that an evaluation can tell."""
    plain = gaussian(12, strangers=6, distance=2.5)
    codes = plain.tests.codes
    of_attack = np.where((codes < 48) & (codes % 4 == 0), "replayed", "").astype("U9")
    of_attack[(codes < 48) & (codes % 8 == 1)] = "synthetic"
    scores = Scores(
        **columns(plain) | {"attack": of_attack},
        test_seconds=codes % 17 + 1.0,
        conditions={"room": np.where(codes % 2, "hall", "").tolist()},
        failures=Failures(tests=Trials(["p000"], ["lost"], [1])),
    )
    return evaluate(scores, by=["room", "test_seconds"], replicates=20)


@pytest.mark.parametrize(
    "e",
    [
        rich(),
        evaluate(gaussian(12, strangers=6), replicates=20),
        evaluate(gaussian(70), replicates=20),
        evaluate(gaussian(3), replicates=0),
        evaluate(Scores(["ann", "bob"], ["a.wav", "a.wav"], [1.5, -2.0], [1, 0])),
    ],
    ids=["rich", "strangers", "thinned", "plain", "least"],
)
def test_what_evaluate_finds_comes_back_but_for_the_confusion_matrix(path, e):
    frame = e.to_frame()
    for read in (frame, through_csv(frame, path)):
        found = Evaluation.from_frame(read)
        assert found == replace(e, confusion=None)
        assert found.hull is None
        pd.testing.assert_frame_equal(found.to_frame(), frame)


def test_every_part_is_in_the_frame_as_the_fields_have_it():
    e = rich()
    frame = e.to_frame()
    assert set(frame["part"]) == {
        *("rates", "conditions", "durations", "cmc", "application", "llr_bounds", "errors", "failures", "open_set"),
        *("attacks", "species", "trade_offs", "attack_conditions", "left_out"),
    }
    parts = {part: rows.set_index("metric") for part, rows in frame.groupby("part")}
    assert parts["application"]["estimate"].to_dict() == {"prior": 0.01, "cost_miss": 1.0, "cost_fa": 1.0}
    assert parts["failures"].loc["tests_tried", "estimate"] == e.failures.tests_tried
    assert parts["errors"]["estimate"].to_dict() == {"threshold": e.errors.threshold, "models": e.errors.models}
    assert parts["cmc"]["estimate"].tolist() == list(e.cmc)
    assert parts["cmc"]["value"].tolist() == [str(rank) for rank in range(1, 11)]
    by_seconds = parts["durations"].loc["eer"]
    assert by_seconds["estimate"].tolist() == [d.eer for d in e.durations]
    assert by_seconds["tests"].tolist() == [d.tests for d in e.durations]
    species = parts["species"].loc["apcer"]
    assert dict(zip(species["value"], species["estimate"], strict=True)) == {
        s.species: s.apcer for s in e.attacks.species
    }
    assert parts["attacks"]["note"].unique().tolist() == [e.attacks.worst]
    assert parts["left_out"]["note"].tolist() == list(e.left_out)
    rates = parts["rates"]
    assert (rates["speakers"] == e.speakers).all()
    assert rates.loc["cllr", "interval_estimate"] == e.intervals["cllr"].estimate


def test_a_condition_without_trials_of_a_kind_has_rows_without_rates():
    plain = gaussian(6)
    rooms = np.where(plain.target == 1, "hall", "bath").tolist()
    e = evaluate(Scores(**columns(plain), conditions={"room": rooms}), by=["room"], replicates=0)
    frame = e.to_frame()
    apart = frame[frame["part"] == "conditions"]
    assert apart["metric"].tolist() == ["eer", "cllr", "p_miss", "p_fa"] * 2
    assert apart["estimate"].isna().all()
    assert apart["note"].unique().tolist() == ["no target trials", "no nontarget trials"]
    assert Evaluation.from_frame(frame) == replace(e, confusion=None)


@pytest.fixture(scope="module")
def frame():
    return rich().to_frame()


WHOLE = "be a whole number, at least 0; got "
SAME = r"be what row \d+ says of the same, "


@pytest.mark.parametrize(
    ("place", "cell", "words"),
    [
        ("rates eer part", "figures", "be one of 'rates', .*; got 'figures'"),
        ("rates owners_missed metric", "owners", "be one of eer, .* of one of NIST's evaluations; got 'owners'"),
        ("rates min_dcf_SRE08 metric", "min_dcf SRE", "be one of eer, .*; got 'min_dcf SRE'"),
        ("rates min_cllr metric", "cllr", "stand once, as in row 4; got 'cllr'"),
        ("rates eer estimate", None, "be a number; got nothing"),
        ("rates eer estimate", "low", "be a number; got 'low'"),
        ("rates eer high", None, "be a number; got nothing"),
        ("rates cllr tests", 7, SAME + r"'\d+'; got '7'"),
        ("conditions p_fa metric", "far", "be one of 'eer', 'cllr', 'p_miss', 'p_fa'; got 'far'"),
        ("conditions p_miss value", "x", SAME + "'hall'; got 'x'"),
        ("conditions p_miss note", "x", SAME + "''; got 'x'"),
        ("cmc cmc estimate", None, "be a number; got nothing"),
        ("llr_bounds below estimate", 1.5, WHOLE + r"1\.5"),
        ("llr_bounds above estimate", -1, WHOLE + "-1"),
        ("left_out left_out note", "", "be filled; got nothing"),
    ],
)
def test_a_cell_of_an_evaluation_that_is_refused_is_named(frame, place, cell, words):
    part, metric, column = place.split()
    metric = metric.replace("_SRE", " SRE")
    row = frame.index[(frame["part"] == part) & (frame["metric"] == metric)][0]
    changed = frame.astype(object)
    changed.loc[row, column] = cell
    with pytest.raises(InvalidInput, match=f"^{column} in the data frame, row {row}, must {words}"):
        Evaluation.from_frame(changed)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("part != 'rates'", "the data frame must have a row for each of eer, .*, p_fa of the part rates; got none"),
        (
            "part != 'errors'",
            "the data frame must have a row for each of threshold, models of the part errors; got none",
        ),
        (
            "part != 'open_set'",
            "must have the rate open_set_rate and the part open_set together; got one of these alone",
        ),
        (
            "part != 'attacks'",
            "must have the rows of the part attacks beside those of its species and conditions; got none",
        ),
        (
            "metric != 'min_cllr'",
            "from row 0 on, must have a row for each metric of the part rates; got none for min_cllr",
        ),
        ("metric != 'models'", "must have a row for each metric of the part errors; got none for models"),
    ],
)
def test_a_frame_of_an_evaluation_that_lacks_rows_is_refused(frame, query, message):
    with pytest.raises(InvalidInput, match=message):
        Evaluation.from_frame(frame.query(query))


def test_what_is_no_frame_of_one_evaluation_is_refused(frame):
    with pytest.raises(
        InvalidInput, match=r"metric in the data frame, row \d+, must stand once, as in row 0; got 'eer'"
    ):
        Evaluation.from_frame(pd.concat([frame, frame]))
    with pytest.raises(InvalidInput, match=r"part in the data frame, row \d+, must have its rows once; got 'errors'"):
        Evaluation.from_frame(pd.concat([frame, frame[frame["part"] == "errors"]]))
    with pytest.raises(InvalidInput, match=r"the data frame must have the columns metric, .*; got missing 'level'"):
        Evaluation.from_frame(frame.drop(columns="level"))
    with pytest.raises(InvalidInput, match=r"an evaluation must be a data frame of pandas or polars; got dict"):
        Evaluation.from_frame({"metric": ["eer"]})

"""Searches against loops over tests: rates by rank, open set, confusion, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Scores, closed_set_confusion, cmc, identification_rate, open_set_rate


@st.composite
def boards(draw):
    """Tests by speakers, with few different scores, and whose test each is: -1 for a stranger's."""
    speakers, tests = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    size = speakers * tests
    score = np.array(draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))).reshape(tests, speakers)
    own = draw(st.lists(st.integers(-1, speakers - 1), min_size=tests, max_size=tests))
    return score.astype(float), own


def table(board):
    score, own = board
    rows = [(f"s{s}", f"t{t}", score[t, s], int(s == own[t])) for t in range(len(own)) for s in range(score.shape[1])]
    return Scores(*zip(*rows, strict=True))


def rank(row, own):
    """How many others do not lie below the own speaker."""
    return sum(row[s] >= row[own] for s in range(len(row)) if s != own)


@given(boards())
def test_cmc_counts_tests_whose_speaker_is_among_the_highest(board):
    score, own = board
    ranks = [rank(score[t], own[t]) for t in range(len(own)) if own[t] >= 0]
    if not ranks:
        with pytest.raises(InvalidInput, match="scores must hold a test with exactly one target trial"):
            cmc(table(board), 3)
        return
    found = cmc(table(board), 5)
    assert found.tolist() == pytest.approx([sum(r < k for r in ranks) / len(ranks) for k in range(1, 6)])
    assert found[0] == identification_rate(table(board))
    assert (np.diff(found) >= 0).all()


@given(boards(), st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0]), st.integers(1, 3))
def test_open_set_takes_the_least_threshold_that_keeps_strangers_out(board, rate, most):
    score, own = board
    known, strangers = ([t for t, o in enumerate(own) if (o >= 0) == k] for k in (True, False))
    if not known or not strangers:
        with pytest.raises(InvalidInput, match="scores must hold a test with"):
            open_set_rate(table(board), rate)
        return
    found = open_set_rate(table(board), rate, rank=most)
    best = {}
    for cut in [-math.inf, *np.unique(score) + 0.5]:  # from low to high
        passed = sum(max(score[t]) >= cut for t in strangers) / len(strangers)
        hits = sum(rank(score[t], own[t]) < most and score[t, own[t]] >= cut for t in known) / len(known)
        if passed <= rate + 1e-12:
            best = best or {"rate": hits, "measured": passed}
    assert found.rate == pytest.approx(best["rate"])
    assert found.measured == pytest.approx(best["measured"])
    assert (found.known, found.strangers, found.far) == (len(known), len(strangers), rate)


@given(boards())
def test_confusion_takes_the_highest_score_and_of_several_a_wrong_one(board):
    score, own = board
    known = [t for t, o in enumerate(own) if o >= 0]
    if not known:
        return
    found = closed_set_confusion(table(board))
    assert found.total == len(known)
    assert found.accuracy == pytest.approx(identification_rate(table(board)))
    for i, true in enumerate(found.labels):
        for j, told in enumerate(found.labels):
            if found.counts[i, j]:
                s, o = int(told[1:]), int(true[1:])
                assert any(own[t] == o and score[t, s] == score[t].max() for t in known)


def test_increasing_maps_change_no_search():
    board = np.random.default_rng(0).normal(size=(20, 5)), [t % 6 - 1 for t in range(20)]
    mapped = np.exp(board[0]), board[1]
    np.testing.assert_array_equal(cmc(table(board)), cmc(table(mapped)))
    assert open_set_rate(table(board), 0.3).rate == open_set_rate(table(mapped), 0.3).rate
    np.testing.assert_array_equal(closed_set_confusion(table(board)).counts, closed_set_confusion(table(mapped)).counts)


def test_by_hand():
    scores = table((np.array([[5.0, 1.0], [2.0, 4.0], [3.0, 0.0], [1.0, 2.5]]), [0, 1, -1, -1]))
    none = open_set_rate(scores, 0.0)
    assert (none.rate, none.measured) == (1.0, 0.0)
    assert 3.0 < none.threshold < 3.0001
    half = open_set_rate(scores, 0.5)
    assert (half.rate, half.measured) == (1.0, 0.5)
    assert open_set_rate(scores, 1.0).threshold == -math.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"far": 2}, "far must be at least 0 and at most 1; got 2"),
        ({"rank": 0}, "rank must be at least 1; got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    scores = table((np.zeros((2, 2)), [0, -1]))
    with pytest.raises(InvalidInput, match=message):
        open_set_rate(scores, **options)
    with pytest.raises(InvalidInput, match="ranks must be at least 1; got 0"):
        cmc(scores, 0)


def test_each_kind_of_test_that_is_missing_is_named():
    with pytest.raises(InvalidInput, match="scores must hold a test without a target trial, for an open set; got none"):
        open_set_rate(table((np.zeros((2, 2)), [0, 1])))
    with pytest.raises(InvalidInput, match="hold a test with exactly one target trial, for an open set; got none"):
        open_set_rate(table((np.zeros((2, 2)), [-1, -1])))
    with pytest.raises(InvalidInput, match="hold a test with exactly one target trial, for a confusion matrix"):
        closed_set_confusion(table((np.zeros((2, 2)), [-1, -1])))

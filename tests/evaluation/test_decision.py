"""Whom to accept: by a rate, by costs, from a threshold on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import Answer, Rule, Strangers, decide, fit_strangers, posteriors, threshold_for

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
    assert threshold_for(strangers, Rule(), 10) == threshold_for(strangers, Rule(far=0.05), 10)


def test_decide_by_rate_and_by_threshold(strangers: Strangers) -> None:
    threshold = threshold_for(strangers, Rule(far=FAR), 3)
    assert threshold is not None
    limit = threshold.score
    for rule in (Rule(far=FAR), Rule(threshold=limit)):
        assert answer_to([-1.0, limit, -3.0], rule, strangers).decision == "1"
        assert answer_to([-1.0, float(np.nextafter(limit, -9)), -3.0], rule, strangers).decision is None
        assert answer_to([-1.0, limit, -3.0], rule, strangers).threshold == limit


@pytest.mark.parametrize("score", [9.0, -9.0])
def test_too_little_speech_decides_nothing_and_ranks_all_the_same(strangers: Strangers, score: float) -> None:
    def answer(seconds: float, known: bool = True) -> Answer:
        scores = np.array([score, score - 1])
        p = posteriors(scores, prior=0.5)[:-1] if known else None
        given = {"speech_seconds": seconds, "posteriors": p, "least_seconds": 2.0}
        return decide("a test", ["a", "b"], scores, Rule() if known else None, strangers, **given)

    little, enough = answer(1.5), answer(2.0)
    assert (little.status, little.decision, little.candidates) == ("too_little_speech", None, enough.candidates)
    assert little.error == (
        "a test must hold at least 2.00 s of speech for a decision, as this model was calibrated; got 1.50 s. "
        "Record more, or test several recordings together."
    )
    assert (enough.status, enough.error) == ("accepted" if score > 0 else "unknown", None)
    assert answer(1.5, known=False).status == "ranked"


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
        ({"threshold": np.inf}, "threshold must be finite; got inf"),
        ({"threshold": np.nan}, "threshold must be finite; got nan"),
        ({"threshold": "1"}, "threshold must be a number"),
    ],
)
def test_bad_rules_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Rule(**settings)

"""Errors at a threshold: against loops over trials and tests, leaving out each person, and with failures counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from speechgmm.evaluation import Failures, Interval, Scores, Trials, evaluate, shares
from speechgmm.evaluation.false_accepts import people_of
from speechgmm.evaluation.threshold_errors import FailureCounts, count_failures, search_rates, trial_rates
from tests.evaluation.leaving_out import Attempt, share_interval
from tests.evaluation.tables import gaussian

SEEDS = st.integers(0, 10**6)


def table(seed: int, *, ties: bool) -> Scores:
    """Everybody's tests against all models, with many equal scores or none; some who are tested are strangers."""
    rng = np.random.default_rng(seed)
    models, people = int(rng.integers(5, 8)), int(rng.integers(8, 10))
    rows = []
    for who in range(people):
        for k in range(rng.integers(1, 3)):
            for m in range(models):
                score = float(rng.integers(0, 4)) if ties else 1.5 + rng.normal()
                rows.append((f"m{m}", f"t{who}.{k}", score + 2 * (m == who), int(m == who), f"m{who}"))
    speaker, test, score, target, told = zip(*rows, strict=True)
    return Scores(speaker, test, score, target, test_speaker=told)


def outcomes(scores: Scores, threshold: float, without: str = "") -> dict[str, list[bool]]:
    """What becomes of each trial and of each search, one by one, without a person."""
    found: dict[str, list[bool]] = {name: [] for name in ("p_miss", "p_fa", "strangers_accepted")}
    found |= {"owners_missed": [], "owners_mistaken": []}
    assert scores.test_speaker is not None
    for test in scores.tests.names:
        rows = np.flatnonzero(scores.test == test)
        who = scores.test_speaker[rows[0]]
        if who == without:
            continue
        rivals = [scores.score[i] for i in rows if scores.speaker[i] not in (who, without)]
        own = [scores.score[i] for i in rows if scores.speaker[i] == who]
        found["p_miss"] += [x < threshold for x in own]
        found["p_fa"] += [x >= threshold for x in rivals]
        found["strangers_accepted"].append(max(rivals) >= threshold)
        if own:
            best = max(own[0], *rivals)
            decision = None if best < threshold else "other" if max(rivals) == best else "owner"
            found["owners_missed"].append(decision != "owner")
            found["owners_mistaken"].append(decision == "other")
    return found


def attempts(scores: Scores, threshold: float) -> dict[str, list[Attempt]]:
    """How far each attempt is above its threshold, by whose model; a threshold that somebody misses is nobody's."""
    found: dict[str, list[Attempt]] = {name: [] for name in ("p_miss", "p_fa", "strangers_accepted")}
    found |= {"owners_missed": [], "owners_mistaken": []}
    for test in scores.tests.names:
        rows = np.flatnonzero(scores.test == test)
        assert scores.test_speaker is not None
        who = int(scores.test_speaker[rows[0]][1:])
        every = {int(scores.speaker[i][1:]): float(scores.score[i]) for i in rows}
        rivals, own = {m: s for m, s in every.items() if m != who}, every.get(who)
        found["p_fa"] += [(who, {m: s - threshold}) for m, s in rivals.items()]
        found["strangers_accepted"].append((who, {m: s - threshold for m, s in rivals.items()}))
        if own is not None:
            found["p_miss"].append((who, {who: threshold - own}))
            found["owners_missed"].append((who, {-1: threshold - own} | {m: s - own for m, s in rivals.items()}))
            found["owners_mistaken"].append((who, {m: s - max(own, threshold) for m, s in rivals.items()}))
    return found


def rates(scores: Scores, threshold: float) -> dict[str, Interval]:
    """All rates."""
    people = people_of(scores)
    more, models = search_rates(scores, people, threshold)
    assert models in (len(scores.speakers.names), len(scores.speakers.names) - 1)
    return trial_rates(scores, people, threshold) | more


@given(SEEDS, st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_rates_are_counted_one_by_one(seed: int, threshold: int) -> None:
    scores = table(seed, ties=True)
    found, expected = rates(scores, threshold), outcomes(scores, threshold)
    assert found.keys() == expected.keys()
    for name, hits in expected.items():
        assert found[name].estimate == pytest.approx(np.mean(hits)), name


@given(SEEDS, st.floats(0, 5))
@settings(max_examples=15, deadline=None)
def test_intervals_are_those_of_leaving_out_each_person(seed: int, threshold: float) -> None:
    scores = table(seed, ties=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "_STEP", 0.0)  # every number of errors is tried
        found = rates(scores, threshold)
    for name, tried in attempts(scores, threshold).items():
        interval = found[name]
        assert (interval.estimate, interval.low, interval.high) == pytest.approx(share_interval(tried), abs=1e-9), name


def test_rates_of_few_people_have_intervals_that_cover_the_truth() -> None:
    """Misses and false accepts of trials, with effects of models and of those who are tested."""
    threshold, inside = 2.5, {"p_miss": [], "p_fa": []}  # type: dict[str, list[bool]]
    truth = {"p_miss": stats.norm.cdf(threshold - 4.0), "p_fa": stats.norm.sf(threshold)}
    for seed in range(100):
        scores = gaussian(20, seed=seed, models=0.2, tested=0.2)
        found = trial_rates(scores, people_of(scores), threshold)
        for name, hits in inside.items():
            hits.append(found[name].low <= truth[name] <= found[name].high)
    assert min(np.mean(hits) for hits in inside.values()) >= 0.9


def test_evaluate_tells_them_at_the_threshold_of_the_application() -> None:
    scores = gaussian(12, strangers=3, seed=1)
    found = evaluate(scores, prior=0.2, cost_fa=3.0)
    assert found.errors.threshold == pytest.approx(np.log(0.8 * 3 / 0.2))
    expected = outcomes(scores, found.errors.threshold)
    for name, hits in expected.items():
        assert getattr(found.errors, name) == pytest.approx(np.mean(hits))
        assert found.intervals[name].estimate == pytest.approx(np.mean(hits))
    cost = (0.2 * found.errors.p_miss + 0.8 * 3 * found.errors.p_fa) / 0.2
    assert found.actual_dcf == pytest.approx(cost)
    assert (found.errors.p_reject, found.errors.p_accept, found.failures) == (None, None, None)
    assert "failures: there is no column failed, so that nobody knows of any" in found.left_out
    assert found.as_dict()["errors"]["models"] == found.errors.models == 11
    bare = evaluate(scores, replicates=0)
    assert bare.intervals == {}


def test_partial_lists_have_no_searches() -> None:
    every = gaussian(6)
    kept = np.arange(len(every)) % 5 > 0
    found = evaluate(Scores(every.speaker[kept], every.test[kept], every.score[kept], every.target[kept]))
    assert (found.errors.models, found.errors.strangers_accepted, found.errors.owners_missed) == (None, None, None)


def test_models_of_one_person_alone_have_no_strangers() -> None:
    scores = Scores(["a1", "a2", "a1", "a2"], ["x", "x", "y", "y"], [1.0, 0.0, 2.0, 3.0], [1, 0, 0, 1])
    told = Scores(scores.speaker, scores.test, scores.score, scores.target, test_speaker=["a1"] * 4)
    assert search_rates(told, people_of(told), 0.5) == ({}, None)


def test_failures_count_as_rejected() -> None:
    """Of 10 targets 3 are missed and 2 failed, of 20 nontargets 1 is accepted and 5 failed."""
    score = [1.0] * 7 + [-1.0] * 3 + [1.0] + [-1.0] * 19
    target = [1] * 10 + [0] * 20
    failures = Failures(
        tests=Trials(["a", "b", "a", "b"], ["x", "x", "y", "y"], [1, 0, 0, 0]),
        speakers=Trials(["z", "z", "z", "z"], ["t1", "t2", "t3", "t4"], [1, 0, 0, -1]),
    )
    tests = [f"t{i}" for i in range(10)] + [f"u{i}" for i in range(20)]
    scores = Scores(["a"] * 10 + ["b"] * 20, tests, score, target, failures=failures)
    assert count_failures(scores) == FailureCounts(2, 32, 1, 3, 2, 5)
    found = evaluate(scores, prior=0.5, replicates=0)
    assert found.errors.p_miss == pytest.approx(3 / 10)
    assert found.errors.p_reject == pytest.approx(5 / 12)
    assert found.errors.p_fa == pytest.approx(1 / 20)
    assert found.errors.p_accept == pytest.approx(1 / 25)
    assert found.as_dict()["failures"]["tests_tried"] == 32


def test_no_failures_change_nothing() -> None:
    scores = gaussian(6)
    known = Scores(scores.speaker, scores.test, scores.score, scores.target, failures=Failures())
    found = evaluate(known, replicates=0)
    assert found.failures == FailureCounts(0, 24, 0, 6, 0, 0)
    assert (found.errors.p_reject, found.errors.p_accept) == pytest.approx((found.errors.p_miss, found.errors.p_fa))
    assert not any(reason.startswith("failures") for reason in found.left_out)

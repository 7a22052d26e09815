"""Intervals by bootstrap over speakers: against loops that copy rows, against theory, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.evaluation import NIST, Interval, Scores, actual_dcf, bootstrap, cllr, eer, min_cllr, min_dcf
from speechgmm.evaluation import intervals as module
from speechgmm.evaluation.intervals import detection_intervals, draws, resampler, search_intervals


def mean_of(values):
    """A weighted mean as a statistic."""
    return lambda w: {"mean": float(w @ values / w.sum())}


def matrix(seed=0, enrolled=8, strangers=4, tests=3, named=True, spread=1.0):
    """Scores of tests of enrolled speakers and strangers against all who are enrolled; speakers differ in height."""
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(enrolled + strangers)]
    height = dict(zip(people, rng.normal(0, spread, len(people)), strict=True))
    rows = []
    for who in people:
        for k in range(tests):
            for model in people[:enrolled]:
                same = who == model
                rows.append((model, f"{who}-{k}", rng.normal(2.0 * same + height[who]), int(same), who))
    columns = dict(zip(("speaker", "test", "score", "target", "test_speaker"), zip(*rows, strict=True), strict=True))
    return Scores(**{k: list(v) for k, v in columns.items() if named or k != "test_speaker"})


# The bootstrap


trials = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=2)


@given(trials, st.integers(0, 99))
def test_a_trial_counts_as_often_as_both_of_its_speakers_were_drawn(rows, seed):
    people = sorted({name for row in rows for name in row})
    assume(len(people) > 1)
    seen = []
    bootstrap(lambda w: seen.append(w) or {"x": 0.0}, *zip(*rows, strict=True), replicates=20, seed=seed)
    np.testing.assert_array_equal(seen[0], np.ones(len(rows)))
    for weights, times in zip(seen[1:], draws(len(people), 20, seed), strict=True):
        count = dict(zip(people, times.tolist(), strict=True))
        assert weights.tolist() == [count[a] if a == b else count[a] * count[b] for a, b in rows]


def test_each_replicate_draws_as_many_persons_as_there_are():
    for times in draws(7, 50, seed=3):
        assert times.shape == (7,)
        assert times.sum() == 7
        assert (times >= 0).all()


def test_the_interval_of_a_mean_is_that_of_theory():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, 400)
    found = bootstrap(mean_of(values), [f"s{i}" for i in range(400)], replicates=2000, level=0.9)["mean"]
    half = 1.645 * values.std() / math.sqrt(400)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert found.level == 0.9


def test_copies_of_a_speakers_rows_make_no_interval_narrower():
    values, names = np.arange(10.0), [f"s{i}" for i in range(10)]
    once = bootstrap(mean_of(values), names)["mean"]
    often = bootstrap(mean_of(np.repeat(values, 50)), np.repeat(names, 50))["mean"]
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(1), 0
    for i in range(200):
        values = np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 0.5, 200)  # rows of one speaker are alike
        found = bootstrap(mean_of(values), np.repeat(np.arange(40).astype(str), 5), replicates=200, seed=i)["mean"]
        hits += found.low <= 0 <= found.high
    assert 176 <= hits <= 198  # of 200, at a level of 95 %


def test_a_wider_level_contains_a_narrower_one():
    values = np.random.default_rng(0).normal(size=30)
    narrow, wide = (bootstrap(mean_of(values), np.arange(30).astype(str), level=p)["mean"] for p in (0.5, 0.99))
    assert wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high


def test_the_seed_decides():
    values, names = np.random.default_rng(0).normal(size=30), np.arange(30).astype(str)
    same = [bootstrap(mean_of(values), names, seed=4) for _ in range(2)]
    assert same[0] == same[1] != bootstrap(mean_of(values), names, seed=5)


def test_infinite_values_have_an_interval():
    values = np.array([0.0, math.inf] * 10)
    found = bootstrap(lambda w: {"largest": float(values[w > 0].max())}, np.arange(20).astype(str))["largest"]
    assert (found.low, found.high) == (math.inf, math.inf)


def test_an_interval_can_be_stored(tmp_path):
    storage.save(Interval(0.1, 0.0, 0.2, 0.95), tmp_path / "i")
    assert storage.load(tmp_path / "i", Interval) == Interval(0.1, 0.0, 0.2, 0.95)


# The quick form for tables


def copied(scores, people, times):
    """The scores of both kinds, each trial copied as often as it counts."""
    count = dict(zip(people, times, strict=True))
    kinds = {0: [], 1: []}
    for model, who, score, target in zip(
        scores.speaker.tolist(),
        scores.test_speaker.tolist(),
        scores.score.tolist(),
        scores.target.tolist(),
        strict=True,
    ):
        kinds[target] += [score] * int(count[model] if model == who else count[model] * count[who])
    return kinds[1], kinds[0]


def test_the_quick_form_is_the_metrics_of_copied_trials():
    scores = matrix()
    people = sorted(set(scores.test_speaker.tolist()))
    points = {"": NIST["SRE08"], " SRE12": NIST["SRE12"]}
    values = []
    for times in draws(len(people), 20, seed=7):
        pair = copied(scores, people, times)
        sre08 = {"prior": 0.01, "cost_miss": 10.0, "cost_fa": 1.0}
        values.append(
            {
                "eer": eer(*pair),
                "cllr": cllr(*pair),
                "min_cllr": min_cllr(*pair),
                "min_dcf": min_dcf(*pair, **sre08),
                "actual_dcf": actual_dcf(*pair, **sre08),
                "min_dcf SRE12": (min_dcf(*pair, prior=0.01) + min_dcf(*pair, prior=0.001)) / 2,
                "actual_dcf SRE12": (actual_dcf(*pair, prior=0.01) + actual_dcf(*pair, prior=0.001)) / 2,
            }
        )
    found = detection_intervals(resampler(scores, replicates=20, seed=7, level=0.5), points)
    assert set(found) == set(values[0])
    for name, interval in found.items():
        ordered = sorted(v[name] for v in values)
        assert interval.low == pytest.approx(ordered[4], rel=1e-12), name  # the 5th and the 15th of 20
        assert interval.high == pytest.approx(ordered[14], rel=1e-12), name
    assert found["eer"].estimate == eer(scores.score[scores.target == 1], scores.score[scores.target == 0])


def test_thinning_changes_little():
    scores = matrix(enrolled=30, strangers=10, tests=6)
    sampler = resampler(scores, replicates=100)
    whole = detection_intervals(sampler, {"": NIST["SRE16"]})
    thinned = detection_intervals(sampler, {"": NIST["SRE16"]}, kept=500)
    for name, interval in whole.items():
        width = interval.high - interval.low
        assert thinned[name].low == pytest.approx(interval.low, abs=0.15 * width), name
        assert thinned[name].high == pytest.approx(interval.high, abs=0.15 * width), name


@pytest.mark.parametrize("label", [0, 1])
def test_thinning_keeps_those_that_decide_and_the_number_of_all(label):
    scores = Scores(["a"] * 1000, [f"t{i}" for i in range(1000)], np.arange(1000.0), [label] * 1000)
    kind = module._kept_trials(resampler(scores), np.ones(1000, dtype=bool), label, 50)
    assert (np.diff(kind.score) > 0).all()
    assert kind.stands.sum() == 1000
    assert 100 < len(kind.stands) < 300
    whole = kind.score[-50:] if label == 0 else kind.score[:50]
    np.testing.assert_array_equal(whole, np.arange(950.0, 1000) if label == 0 else np.arange(50.0))
    assert (kind.stands[np.isin(kind.score, whole)] == 1).all()


def test_rows_take_a_part():
    scores = matrix()
    rows = np.arange(len(scores)) % 3 > 0
    part = Scores(*(c[rows] for c in (scores.speaker, scores.test, scores.score, scores.target, scores.test_speaker)))
    assert (
        detection_intervals(resampler(scores), {}, rows=rows)["eer"].estimate
        == detection_intervals(resampler(part), {})["eer"].estimate
    )


def test_without_a_column_the_speaker_of_a_test_is_that_of_its_target():
    named, bare = (matrix(strangers=0, named=n) for n in (True, False))
    assert detection_intervals(resampler(named), {}) == detection_intervals(resampler(bare), {})


def test_without_a_column_each_test_of_a_stranger_is_another_stranger():
    assert resampler(matrix(named=False)).persons == 8 + 4 * 3
    assert resampler(matrix(named=True)).persons == 8 + 4


def test_searches_draw_the_tested_speakers():
    scores = matrix(spread=0.3)
    found = search_intervals(resampler(scores, replicates=50, level=0.5, seed=2), 0.1)
    values = {"identification_rate": [], "open_set_rate": []}
    people = sorted(set(scores.test_speaker.tolist()))
    by_test = {}
    for model, test, who, score in zip(scores.speaker, scores.test, scores.test_speaker, scores.score, strict=True):
        by_test.setdefault((str(test), str(who)), {})[str(model)] = float(score)
    for times in draws(len(people), 50, seed=2):
        count = dict(zip(people, times.tolist(), strict=True))
        known = [(s, who) for (_, who), s in by_test.items() if who in s for _ in range(count[who])]
        best = sorted(max(s.values()) for (_, who), s in by_test.items() if who not in s for _ in range(count[who]))
        hits = [max(s, key=s.get) == who for s, who in known]
        values["identification_rate"].append(sum(hits) / len(hits))
        if best:
            cut = best[::-1][math.floor(0.1 * len(best) + 1e-9)]
            passed = [hit and s[who] > cut for hit, (s, who) in zip(hits, known, strict=True)]
            values["open_set_rate"].append(sum(passed) / len(passed))
    for name, interval in found.items():
        ordered = sorted(values[name])
        low, high = np.quantile(ordered, [0.25, 0.75], method="inverted_cdf")
        assert (interval.low, interval.high) == pytest.approx((low, high)), name


# Refusals


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a", "a"],), {}, "speakers must be at least two, for an interval over speakers; got 1"),
        (([],), {}, r"speaker must hold the name of the speaker of each row; got an array of shape \(0,\)"),
        ((["a", "b"], ["a"]), {}, r"other must have one name for each of 2 rows; got shape \(1,\)"),
        ((["a", "b"],), {"replicates": 5}, "replicates must be at least 20; got 5"),
        ((["a", "b"],), {"level": 0}, "level must be above 0 and at most 1; got 0"),
        ((["a", "b"],), {"level": 1.5}, "level must be above 0 and at most 1; got 1.5"),
        ((["a", "b"],), {"seed": -1}, "seed must be at least 0; got -1"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap(lambda w: {"x": 0.0}, *arguments, **options)


def test_a_statistic_that_is_hardly_ever_there_is_refused():
    message = r"x must be there in more than half of the replicates; got a value in 0 of 20 .* More speakers are needed"
    with pytest.raises(InvalidInput, match=message):
        bootstrap(lambda w: {"x": math.nan}, ["a", "b"], replicates=20)

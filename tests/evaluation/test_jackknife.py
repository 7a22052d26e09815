"""Intervals of tables of scores by leaving out speakers: against loops over rows, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import t as student

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import NIST, Scores, actual_dcf, cllr, eer, min_cllr, min_dcf
from speechgmm.evaluation import jackknife as module
from speechgmm.evaluation.jackknife import detection_intervals, resampler, search_intervals
from speechgmm.evaluation.jackknife import student as student_quantile


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


def rows_of(scores):
    """Who is enrolled, the test, who is tested, the score and the label of each row."""
    columns = scores.speaker, scores.test, scores.test_speaker, scores.score, scores.target
    return list(zip(*(c.tolist() for c in columns), strict=True))


def left_out(scores, rate):
    """A rate of all rows, then without each owner, and without each stranger."""
    rows = rows_of(scores)
    owners = sorted({who for who, *_, target in rows if target})
    strangers = sorted({who for _, _, who, *_ in rows} - set(owners))
    return rate(rows), *(
        [rate([r for r in rows if out not in (r[0], r[2])]) for out in part] for part in (owners, strangers)
    )


def expected(strata, level=0.95, chance=0.0, flatters=False, most=1.0, endless=False):
    """The ends of the interval of a cost, for (rate of all, rates without each) of each stratum."""
    variances, bias, squares, spread, whole = [], 0.0, 0.0, 0.0, strata[0][0]
    for _, values in strata:
        n, middle = len(values), math.fsum(values) / len(values)
        changes = [(v - middle) ** 2 for v in values]
        variances.append((n - 1) / n * sum(changes))
        bias += (n - 1) * (whole - middle)
        squares += sum(changes)
        spread += sum(c**2 for c in changes) - sum(changes) ** 2 / n
    q = student.ppf((1 + level) / 2, min(len(strata[0][1]) - 1, max(1, 2 * squares**2 / spread)))
    bias = max(0.0, bias) if flatters else 0.0
    deviation = math.sqrt(max(sum(variances) - chance, sum(variances) / 2) + bias**2)
    top = whole + 1.5 * bias
    far = q * deviation / top
    return whole * math.exp(-q * deviation / whole), min(most, top * math.exp(far + endless * far**2 / 2))


@pytest.mark.parametrize("people", [5, 30])
def test_degrees_of_freedom_are_those_of_like_changes_and_of_few(people):
    """Of like ones n - 1; where one makes the variance, few; of two normal strata, as Satterthwaite has it."""
    alike = student_quantile([np.array([1.0, -1.0] * people)], people, 0.95)
    assert alike == pytest.approx(student.ppf(0.975, people - 1))
    one = np.eye(people)[0] - 1 / people
    squares = one @ one
    freedom = 2 * squares**2 / ((one**4).sum() - squares**2 / people)
    assert student_quantile([one], people, 0.95) == pytest.approx(student.ppf(0.975, min(freedom, people - 1)))
    assert freedom < 5
    rng = np.random.default_rng(0)
    few, many = rng.normal(0, 3, 2000), rng.normal(0, 1, 4000)
    sums = few @ few, many @ many
    together = sum(sums) ** 2 / (sums[0] ** 2 / 2000 + sums[1] ** 2 / 4000)
    assert student_quantile([few, many], 10**6, 0.95) == pytest.approx(student.ppf(0.975, together), rel=1e-3)


# Detection


def of_pair(metric, **options):
    """A metric of rows."""
    return lambda rows: metric([r[3] for r in rows if r[4]], [r[3] for r in rows if not r[4]], **options)


METRICS = {
    "eer": (of_pair(eer), True, 0.5),
    "min_cllr": (of_pair(min_cllr), True, 1.0),
    "cllr": (of_pair(cllr), False, math.inf),
    "min_dcf": (of_pair(min_dcf, prior=0.01, cost_miss=10.0), True, 1.0),
    "actual_dcf": (of_pair(actual_dcf, prior=0.01, cost_miss=10.0), False, math.inf),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_intervals_are_those_of_loops_over_rows(name, level):
    scores, (rate, flatters, most) = matrix(), METRICS[name]
    whole, owners, strangers = left_out(scores, rate)
    ends = expected([(whole, owners), (whole, strangers)], level, flatters=flatters, most=most, endless=name == "cllr")
    found = detection_intervals(resampler(scores, level=level), {"": NIST["SRE08"]})[name]
    assert found.estimate == pytest.approx(whole)
    assert (found.low, found.high) == pytest.approx(ends, rel=1e-9)
    assert found.level == level


def test_the_cost_of_several_points_is_their_mean():
    sampler = resampler(matrix())
    several = detection_intervals(sampler, {"": NIST["SRE12"]})
    single = [detection_intervals(sampler, {"": (point,)}) for point in NIST["SRE12"]]
    for name in ("min_dcf", "actual_dcf"):
        assert several[name].estimate == pytest.approx(np.mean([one[name].estimate for one in single]))


def test_where_there_is_no_error_the_upper_end_is_that_of_so_many_speakers():
    scores = matrix(spread=0.0)
    apart = Scores(scores.speaker, scores.test, scores.score + 100.0 * scores.target, scores.target)
    found = detection_intervals(resampler(apart), {}) | search_intervals(resampler(apart))
    q = student.ppf(0.975, 7)
    assert (found["eer"].low, found["eer"].high) == pytest.approx((0.0, q * q / (8 + q * q)))
    assert found["min_cllr"].high == found["eer"].high
    assert found["identification_rate"].low == pytest.approx(8 / (8 + q * q))
    assert found["identification_rate"].high == 1.0


def test_thinning_changes_little():
    scores = matrix(enrolled=30, strangers=10, tests=6)
    sampler = resampler(scores, replicates=20)
    whole = detection_intervals(sampler, {"": NIST["SRE16"]})
    thinned = detection_intervals(sampler, {"": NIST["SRE16"]}, kept=500)
    for name, interval in whole.items():
        width = interval.high - interval.low
        assert thinned[name].low == pytest.approx(interval.low, abs=0.15 * width), name
        assert thinned[name].high == pytest.approx(interval.high, abs=0.2 * width), name


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


def test_more_people_than_replicates_are_left_out_in_groups_of_one_size():
    sampler = dataclasses.replace(resampler(matrix()), replicates=20)
    owners, others = sampler.groups(np.arange(75), np.arange(75, 82))
    assert (owners.people, others.people) == (75, 7)
    assert sorted(len(g) for g in owners.groups) == [7, 7, 7, 7, 7, 8, 8, 8, 8, 8]
    assert sorted(np.concatenate(owners.groups).tolist()) == list(range(75))
    assert [g.tolist() for g in others.groups] == [[i] for i in range(75, 82)]
    other, _ = dataclasses.replace(sampler, seed=1).groups(np.arange(75), np.arange(75, 82))
    assert [g.tolist() for g in other.groups] != [g.tolist() for g in owners.groups]


def test_groups_say_about_what_single_speakers_do():
    scores = matrix(enrolled=30, strangers=15, tests=2)
    single, grouped = (detection_intervals(resampler(scores, replicates=n), {})["cllr"] for n in (200, 30))
    assert grouped != single
    assert grouped.low == pytest.approx(single.low, rel=0.1)
    assert grouped.high == pytest.approx(single.high, rel=0.1)


# Searches


def searched(rows):
    """The scores and labels of each test: of those with a target, and of the others."""
    tests = {}
    for _, test, _, score, target in rows:
        tests.setdefault(test, []).append((score, target))
    known = {test: any(target for _, target in scores) for test, scores in tests.items()}
    return [tests[t] for t in tests if known[t]], [tests[t] for t in tests if not known[t]]


def confused(rows):
    """The share of owners' tests in which another is the best."""
    known, _ = searched(rows)
    return sum(max(scores)[1] == 0 for scores in known) / len(known)


def lost(rows):
    """The share of owners' tests that are not found where a fifth of the strangers is accepted."""
    known, strangers = searched(rows)
    cut = sorted((max(scores)[0] for scores in strangers), reverse=True)[math.floor(0.2 * len(strangers) + 1e-9)]
    return sum(max(scores)[1] == 0 or max(scores)[0] <= cut for scores in known) / len(known)


def by_chance(rows):
    """The sum over pairs of an owner and another's model of the squared change without that model alone."""
    models = {r[0] for r in rows}
    tests = {(r[2], r[1]) for r in rows if r[2] in models}
    total = 0.0
    for who in {who for who, _ in tests}:
        own = [r for r in rows if r[2] == who]
        for model in models - {who}:
            change = confused(own) - confused([r for r in own if r[0] != model])
            total += (change * len({r[1] for r in own}) / len(tests)) ** 2
    return total


@pytest.mark.parametrize("seed", [3, 5])
def test_searches_leave_out_the_models_too(seed):
    scores = matrix(enrolled=9, strangers=6, tests=4, seed=seed)
    rows = rows_of(scores)
    found = search_intervals(resampler(scores), 0.2)
    for name, rate in {"identification_rate": confused, "open_set_rate": lost}.items():
        whole, owners, strangers = left_out(scores, rate)
        chance = 0.0 if rate is lost else by_chance(rows)
        low, high = expected([(whole, owners), (whole, strangers)], chance=chance)
        assert (chance > 0) == (rate is not lost)
        ends = (1 - high, 1 - whole, 1 - low)
        assert (found[name].low, found[name].estimate, found[name].high) == pytest.approx(ends), name


def test_without_a_rate_there_is_the_identification_rate_alone():
    assert set(search_intervals(resampler(matrix()))) == {"identification_rate"}


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicates": 5}, "replicates must be at least 20; got 5"),
        ({"level": 1.0}, "level must be above 0 and below 1; got 1"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        resampler(matrix(), **options)


def test_one_speaker_and_rates_that_hang_on_one_person_are_refused():
    alone = Scores(["a", "a"], ["t", "u"], [1.0, 0.0], [1, 0], test_speaker=["a", "b"])
    with pytest.raises(InvalidInput, match="speakers must be at least two, for an interval over speakers; got 1"):
        detection_intervals(resampler(alone), {})
    pair = Scores(["a", "b", "a"], ["t", "u", "v"], [1.0, 2.0, 0.0], [1, 1, 0], test_speaker=["a", "b", "x"])
    message = "eer must be there whoever is left out; got none of its trials without somebody. More speakers are"
    with pytest.raises(InvalidInput, match=message):
        detection_intervals(resampler(pair), {})

"""Attacks: against loops over presentations; what they leave as it is; what is counted, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechgmm.errors import InvalidInput
from speechgmm.evaluation import (
    AttackErrors,
    Failures,
    Scores,
    Trials,
    bona_fide,
    calibrate_scores,
    cmc,
    error_by_duration,
    evaluate,
    fit_fusion,
    join,
    read_scores,
    shares,
    write_scores,
)
from speechgmm.evaluation.false_accepts import people_of
from speechgmm.evaluation.threshold_errors import trial_rates
from tests.evaluation.leaving_out import Attempt, share_interval
from tests.evaluation.tables import gaussian

SEEDS = st.integers(0, 10**6)
SPECIES = ("converted", "replayed", "synthetic")
NOT_ATTACKS = ("", "none", "None", "-", "bona_fide", "bonafide", "Bona fide", "BONA-FIDE")


def rows_of(scores: Scores) -> list[dict[str, object]]:
    """The rows of a table, each by its columns."""
    held = {"speaker": scores.speaker, "test": scores.test, "score": scores.score, "target": scores.target}
    held |= {"test_speaker": scores.test_speaker} if scores.test_speaker is not None else {}
    return [dict(zip(held, row, strict=True)) for row in zip(*(c.tolist() for c in held.values()), strict=True)]


def table_of(rows: list[dict[str, object]]) -> Scores:
    """A table of such rows; what a row does not say is empty."""
    names = ["speaker", "test", "score", "target", "test_speaker"]
    names += ["attack"] if any("attack" in row for row in rows) else []
    held = {name: [row.get(name, "") for row in rows] for name in names}
    seconds = [float(len(str(row["test"]))) for row in rows]
    room = [f"room {len(str(row['test'])) % 2}" for row in rows]
    return Scores(**held, test_seconds=seconds, conditions={"room": room})  # type: ignore[arg-type]


def genuine(seed: int, *, ties: bool = False) -> list[dict[str, object]]:
    """Rows of seven people's own tests against everybody's models."""
    scores = gaussian(7, 3, seed=seed)
    rows = rows_of(scores.rescored(np.round(scores.score)) if ties else scores)
    return [row | {"attack": NOT_ATTACKS[i % len(NOT_ATTACKS)]} for i, row in enumerate(rows)]


def attacks(seed: int, *, ties: bool = False, speakers: int = 9) -> list[dict[str, object]]:
    """Rows of attacks on some of the same people and on others, each on one of them, with any label."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(int(rng.integers(3, 60))):
        score = 3 + 2 * rng.normal()
        row = {"speaker": f"p{rng.integers(speakers):03}", "test": f"attack {i}", "test_speaker": ""}
        row |= {"score": float(np.round(score)) if ties else score, "target": int(rng.integers(-1, 2))}
        found.append(row | {"attack": SPECIES[rng.integers(3)]})
    return found


def errors_of(rows: list[dict[str, object]], **options: object) -> AttackErrors:
    found = evaluate(table_of(rows), **{"prior": 0.2, "replicates": 20, **options}).attacks  # type: ignore[arg-type]
    assert found is not None
    return found


@given(seed=SEEDS, ties=st.booleans())
@settings(max_examples=20, deadline=None)
def test_rates_are_those_of_loops_over_presentations(seed: int, ties: bool) -> None:
    own, attacked = genuine(seed, ties=ties), attacks(seed, ties=ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "_STEP", 0.0)  # every number of attacks is tried
        found = errors_of(own + attacked)
    limit = np.log(4)
    assert found.threshold == pytest.approx(limit)
    by_species: dict[str, list[dict[str, object]]] = {}
    for row in attacked:
        by_species.setdefault(str(row["attack"]), []).append(row)
    assert [s.species for s in found.species] == sorted(by_species)
    for s in found.species:
        rows = by_species[s.species]
        accepted = [float(row["score"]) >= limit for row in rows]  # type: ignore[arg-type]
        people = sorted({str(row["speaker"]) for row in rows})
        assert (s.presentations, s.speakers, s.failed) == (len(rows), len(people), 0)
        assert s.apcer == sum(accepted) / len(rows)
        assert s.rule_of_three == min(1.0, 3 / len(rows))
        if len(people) < 5:
            assert s.interval is None
            continue
        assert s.interval is not None
        tried: list[Attempt] = [
            (who, {who: float(row["score"]) - limit})  # type: ignore[arg-type]
            for row in rows
            for who in [people.index(str(row["speaker"]))]
        ]
        ends = share_interval(tried)
        assert (s.apcer, s.interval.low, s.interval.high) == pytest.approx(ends, abs=1e-9)
    assert found.apcer == max(s.apcer for s in found.species)
    assert found.worst == next(s.species for s in found.species if s.apcer == found.apcer)
    owners = [float(row["score"]) for row in own if row["target"] == 1]  # type: ignore[arg-type]
    assert found.bpcer == pytest.approx(sum(x < limit for x in owners) / len(owners))
    assert (found.bona_fide, found.presentations) == (len(owners), len(attacked))


@given(seed=SEEDS, ties=st.booleans())
@settings(max_examples=20, deadline=None)
def test_trade_offs_are_the_least_thresholds_that_keep_what_is_asked(seed: int, ties: bool) -> None:
    own, attacked = genuine(seed, ties=ties), attacks(seed, ties=ties)
    found = errors_of(own + attacked)
    owners = [float(row["score"]) for row in own if row["target"] == 1]  # type: ignore[arg-type]
    assert [t.name for t in found.trade_offs] == ["BPCER10", "BPCER20", "BPCER100"]

    def worst(threshold: float) -> float:
        every = [[float(r["score"]) >= threshold for r in attacked if r["attack"] == s] for s in SPECIES]  # type: ignore[arg-type]
        return max(sum(hits) / len(hits) for hits in every if hits)

    for t, one_in in zip(found.trade_offs, (10, 20, 100), strict=True):
        assert t.apcer == 1 / one_in
        assert worst(t.threshold) <= 1 / one_in < worst(np.nextafter(t.threshold, -np.inf))
        assert t.bpcer == sum(x < t.threshold for x in owners) / len(owners)
        few = [s.species for s in found.species if s.presentations < one_in]
        assert all(name in t.doubt for name in few)
        assert bool(t.doubt) == bool(few)
    bpcer = [t.bpcer for t in found.trade_offs]
    assert bpcer == sorted(bpcer)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_attacks_change_no_other_figure(seed: int) -> None:
    own = genuine(seed)
    plain = [{name: value for name, value in row.items() if name != "attack"} for row in own]
    without = evaluate(table_of(plain), by=["room", "test_seconds"], replicates=20).as_dict()
    found = evaluate(table_of(own + attacks(seed)), by=["room", "test_seconds"], replicates=20).as_dict()
    assert without.pop("attacks") is None
    assert found.pop("attacks") is not None
    found["left_out"] = [reason for reason in found["left_out"] if not reason.startswith("attacks: ")]
    assert found == without  # to the bit


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_what_is_not_accepted_is_rejected(seed: int) -> None:
    own, attacked = genuine(seed), attacks(seed)
    upside_down = [row | {"score": -float(row["score"])} for row in attacked]  # type: ignore[arg-type]
    accepted = errors_of(own + attacked, prior=0.5).species
    rejected = errors_of(own + upside_down, prior=0.5).species
    for one, other in zip(accepted, rejected, strict=True):  # no score is 0, the threshold
        assert one.apcer + other.apcer == pytest.approx(1.0)


@given(seed=SEEDS, gone=st.sampled_from(SPECIES))
@settings(max_examples=15, deadline=None)
def test_species_know_nothing_of_each_other(seed: int, gone: str) -> None:
    own, attacked = genuine(seed), attacks(seed)
    kept = [row for row in attacked if row["attack"] != gone]
    whole = errors_of(own + attacked)
    rest = evaluate(table_of(own + kept), prior=0.2, replicates=20).attacks
    assert ([] if rest is None else list(rest.species)) == [s for s in whole.species if s.species != gone]


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_says_nothing(seed: int) -> None:
    rows = genuine(seed) + attacks(seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert errors_of(rows, by=["room"]) == errors_of([rows[i] for i in order], by=["room"])


@pytest.mark.parametrize("label", [1, 0, -1])
def test_the_label_of_an_attack_on_one_speaker_says_nothing(label: int) -> None:
    own, attacked = genuine(0), attacks(0)
    assert errors_of(own + [row | {"target": label} for row in attacked]) == errors_of(own + attacked)


def test_of_an_attack_against_everybody_the_one_whom_it_imitates_counts() -> None:
    own = genuine(1)
    against_all = [
        {"speaker": f"p{m:03}", "test": f"replay {who}", "score": 9.0 if m == who else -9.0, "target": int(m == who)}
        for who in range(7)
        for m in range(7)
    ]
    rows = [row | {"attack": "replayed"} for row in against_all]
    found = evaluate(table_of(own + rows), replicates=20)
    assert found.attacks is not None
    assert (found.attacks.presentations, found.attacks.apcer) == (7, 1.0)
    reason = "attacks: 42 trials against other models than that of the speaker whom their test imitates (target 1)"
    assert reason in found.left_out
    unknown = [row | {"target": 0} for row in rows]
    spread = errors_of(own + unknown)
    assert (spread.presentations, spread.apcer) == (49, 7 / 49)


def test_bpcer_is_the_share_of_missed_targets() -> None:
    found = evaluate(table_of(genuine(3) + attacks(3)), prior=0.2, replicates=20)
    assert found.attacks is not None
    assert found.attacks.bpcer == found.errors.p_miss
    assert found.attacks.bpcer_interval == found.intervals["p_miss"]
    assert found.attacks.threshold == found.errors.threshold


def test_without_intervals_there_are_none() -> None:
    found = errors_of(genuine(3) + attacks(3), replicates=0)
    assert found.bpcer_interval is None
    assert {s.interval for s in found.species} == {None}


def test_few_owners_have_no_interval() -> None:
    own = [row for row in genuine(3) if row["speaker"] in ("p000", "p001")]
    assert errors_of(own + attacks(3)).bpcer_interval is None


def test_somebody_under_several_names_is_one_person() -> None:
    own = genuine(5)
    twice = [row | {"speaker": f"{row['speaker']} again"} for row in own]
    rows = [
        {"speaker": f"p{i % 5:03}{' again' * (i % 2)}", "test": f"a{i}", "score": float(i), "target": 1}
        for i in range(20)
    ]
    found = errors_of(own + twice + [row | {"attack": "replayed"} for row in rows])
    assert found.species[0].speakers == 5


def test_conditions_have_their_worst_species() -> None:
    own = genuine(2)
    rows = [
        {"speaker": f"p{i % 7:03}", "test": f"attack{'+' * (i % 2)}", "score": 9.0 * (i % 4 > 1), "target": 1}
        for i in range(28)
    ]
    rows = [row | {"test": f"{row['test']} {i:02}", "attack": SPECIES[i % 4 // 2]} for i, row in enumerate(rows)]
    found = errors_of(own + rows, by=["room", "test_seconds"])
    told = [(c.column, c.value, c.species, c.presentations, c.apcer) for c in found.conditions]
    assert told == [
        ("room", "room 0", "replayed", 7, 1.0),
        ("room", "room 1", "replayed", 7, 1.0),
        ("test_seconds", "9", "replayed", 7, 1.0),
        ("test_seconds", "10", "replayed", 7, 1.0),
    ]


def test_a_column_that_says_nothing_of_attacks_has_no_conditions() -> None:
    own, attacked = genuine(2), attacks(2)
    seconds = np.where(np.arange(len(own) + len(attacked)) < len(own), 3.0, np.nan)
    scores = table_of(own + attacked)
    held = Scores(scores.speaker, scores.test, scores.score, scores.target, test_seconds=seconds, attack=scores.attack)
    found = evaluate(held, by=["test_seconds"], replicates=0)
    assert found.attacks is not None
    assert found.attacks.conditions == ()


def test_few_people_have_no_interval_and_are_named() -> None:
    attacked = [row | {"attack": "replayed"} for row in attacks(4, speakers=4)]
    found = evaluate(table_of(genuine(4) + attacked), replicates=20)
    assert "attacks: intervals of replayed: fewer than 5 speakers are attacked" in found.left_out
    assert found.attacks is not None
    assert found.attacks.species[0].interval is None


# Tables and files


@pytest.mark.parametrize("word", NOT_ATTACKS)
def test_words_for_bona_fide_trials(word: str) -> None:
    scores = Scores(["a", "a"], ["x", "y"], [1.0, 2.0], [1, 1], attack=[word, "replayed"])
    assert bona_fide(scores).test.tolist() == ["x"]
    assert bona_fide(scores).attack is None


def test_a_table_without_the_column_is_given_back_as_it_is() -> None:
    scores = gaussian(3)
    assert bona_fide(scores) is scores
    assert evaluate(scores, replicates=0).attacks is None


def test_a_column_without_attacks_is_told() -> None:
    found = evaluate(table_of(genuine(0)), replicates=0)
    assert found.attacks is None
    assert "attacks: the column attack names none that has a score" in found.left_out


LOST = Failures(
    tests=Trials(["ann", "bob"], ["z", "w"], [1, 1], attack=["replayed", ""]),
    speakers=Trials(["cid", "cid"], ["x", "y"], [1, 0], attack=["synthetic", "replayed"]),
)
SMALL = Scores(
    ["ann", "ann", "bob", "bob", "bob"], ["a", "y", "a", "b", "u"], [1.5, 1.0, -2.0, 3.0, 2.0], [1, -1, 0, 1, -1],
    attack=["", "replayed", "none", "", "replayed"], failures=LOST,
)  # fmt: skip


def test_failed_attacks_are_counted_beside_the_others() -> None:
    found = evaluate(SMALL, replicates=0)
    assert found.attacks is not None
    replayed = found.attacks.species[0]
    assert (replayed.species, replayed.presentations, replayed.failed) == ("replayed", 2, 2)
    assert "attacks: none of synthetic has a score" in found.left_out
    assert found.failures is not None
    assert (found.failures.tests, found.failures.targets, found.failures.nontargets) == (1, 1, 0)
    assert found.failures.speakers == 0
    assert found.errors.p_reject == pytest.approx((found.errors.p_miss * 2 + 1) / 3)


@pytest.mark.parametrize("kind", ["tsv", "npz"])
def test_files_give_attacks_back(tmp_path: Path, kind: str) -> None:
    write_scores(SMALL, tmp_path / f"s.{kind}")
    back = read_scores(tmp_path / f"s.{kind}")
    assert back.attack is not None
    assert back.attack.tolist() == ["", "replayed", "none", "", "replayed"]
    assert back.conditions == {}
    assert back.failures is not None
    for name, lost in LOST.lists.items():
        read = back.failures.lists[name]
        assert (read.test.tolist(), read.attack.tolist()) == (lost.test.tolist(), lost.attack.tolist())  # type: ignore[union-attr]
    assert evaluate(back, replicates=0) == evaluate(SMALL, replicates=0)


@pytest.mark.parametrize("kind", ["tsv", "npz"])
def test_attacks_that_all_failed_stay_in_the_file(tmp_path: Path, kind: str) -> None:
    plain = Scores(["ann", "bob"], ["a", "a"], [1.5, -2.0], [1, 0], failures=LOST)
    write_scores(plain, tmp_path / f"s.{kind}")
    back = read_scores(tmp_path / f"s.{kind}")
    assert back.failures is not None
    assert back.failures.speakers is not None
    assert back.failures.speakers.attack.tolist() == ["synthetic", "replayed"]  # type: ignore[union-attr]
    assert evaluate(back, replicates=0).failures.targets == 1  # type: ignore[union-attr]
    assert evaluate(plain, replicates=0).failures == evaluate(back, replicates=0).failures


def test_a_table_of_a_spreadsheet_may_name_them(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("Speaker,Test,Score,Target,Attack\nann,a,1,1,\nann,b,2,,Replayed\n")
    read = read_scores(tmp_path / "s.csv")
    assert read.attack is not None
    assert read.attack.tolist() == ["", "Replayed"]


def test_a_list_of_trials_keeps_attacks() -> None:
    found = join(SMALL, Trials(["cid", "bob", "ann"], ["x", "u", "a"], [1, 0, 1]))
    assert found.attack is not None
    assert found.attack.tolist() == ["replayed", ""]
    assert found.failures is not None
    assert found.failures.speakers is not None
    assert found.failures.speakers.attack.tolist() == ["synthetic"]  # type: ignore[union-attr]
    named = join(SMALL, Trials(["ann"], ["a"], [1], attack=["converted"]))
    assert named.attack is not None
    assert named.attack.tolist() == ["converted"]
    assert SMALL.rescored(-SMALL.score).attack.tolist() == SMALL.attack.tolist()  # type: ignore[union-attr]


# What else looks at tables


def test_a_calibration_learns_nothing_from_attacks() -> None:
    own = gaussian(9, seed=4)
    rows = rows_of(own) + attacks(4)
    learned, plain = (calibrate_scores(t, replicates=20) for t in (table_of(rows), table_of(rows_of(own))))
    assert learned.as_dict() == plain.as_dict()
    other = gaussian(8, seed=5)
    assert plain.false_accepts(table_of(rows_of(other) + attacks(5))) == plain.false_accepts(table_of(rows_of(other)))


def test_rates_at_a_threshold_of_the_bona_fide_trials_are_the_same() -> None:
    with_attacks, plain = bona_fide(table_of(genuine(6) + attacks(6))), table_of(rows_of(gaussian(7, 3, seed=6)))
    assert trial_rates(with_attacks, people_of(with_attacks), 2.0) == trial_rates(plain, people_of(plain), 2.0)


@pytest.mark.parametrize("use", [cmc, lambda s: error_by_duration(s, 0.0), lambda s: fit_fusion({"a": s, "b": s})])
def test_single_figures_refuse_them(use: Callable[[Scores], object]) -> None:
    scores = table_of(genuine(0) + attacks(0))
    count = len(attacks(0))
    with pytest.raises(
        InvalidInput, match=rf"hold no trials of attacks, .* got {count} of {len(scores)}\. .*bona_fide"
    ):
        use(scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": ["replayed"] * 2}, "scores must hold bona fide trials beside those of attacks; got 2 of attacks"),
        ({"attack": ["replayed", ""]}, "target_scores must hold at least one score; got none"),
        ({"attack": ["", "replayed"], "target": [-1, 1]}, "target must be 1 or 0 in every trial; got 1 of 1 trials"),
        ({"attack": [0, 1]}, "attack must hold text; got an array of type int64"),
        ({"attack": ["replayed"]}, r"attack must be one-dimensional, of the length of speaker \(2\); got shape \(1,\)"),
        ({"attack": ["", "re\u202eplayed"]}, "attack must hold no control or format characters; got U[+]202E"),
        ({"conditions": {"Attack": ["", ""]}}, "a condition must have a name .*; got 'Attack'"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(change: dict[str, object], message: str) -> None:
    held = {"speaker": ["ann", "bob"], "test": ["x", "x"], "score": [1.0, 2.0], "target": [1, 0]}
    with pytest.raises(InvalidInput, match=message):
        evaluate(Scores(**held | change))  # type: ignore[arg-type]


def test_attacks_are_no_condition() -> None:
    with pytest.raises(InvalidInput, match=r"got 'ATTACK'\. Kinds of attacks are told apart in any case"):
        evaluate(table_of(genuine(0) + attacks(0)), by=["ATTACK"])

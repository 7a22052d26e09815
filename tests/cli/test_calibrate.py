"""calibrate, and what applies it: tables, JSON, files, and what they refuse."""

import json

import numpy as np
import pytest

import speechgmm
from speechgmm.evaluation import Scores, calibrate_scores, load_calibration, read_scores, write_scores
from tests.cli.running import run
from tests.evaluation.tables import changed, gaussian, rows_of


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the cosines of a system on two groups of people, and what was learned from one of them."""
    folder = tmp_path_factory.mktemp("calibrate")
    for name, people in (("learned", 12), ("other", 4)):  # four are too few for intervals, which take time
        table = gaussian(people, seed=people)
        write_scores(changed(table, score=0.1 * table.score), folder / f"{name}.tsv")
    made = run("calibrate", folder / "learned.tsv", "-o", folder / "c")
    assert (made.status, made.err) == (0, "")
    return folder


def test_calibrate_says_what_python_says(files, tmp_path):
    told = run("calibrate", files / "learned.tsv", "-o", tmp_path / "c", "--json").document
    expected = calibrate_scores(read_scores(files / "learned.tsv"))
    plain = json.loads(json.dumps(expected.as_dict()))
    assert told == {"calibration": str(tmp_path / "c"), **plain}
    assert load_calibration(tmp_path / "c").as_dict() == expected.as_dict()
    assert run("info", tmp_path / "c", "--json").document == plain
    other = run("calibrate", files / "learned.tsv", "-o", tmp_path / "c", "--prior", 0.01, "--json").document
    assert other["slope"] != told["slope"]


def test_calibrate_for_people(files):
    made = load_calibration(files / "c")
    shown = run("calibrate", files / "learned.tsv", "-o", files / "c").out
    assert "learned from      48 targets, 528 nontargets in 48 tests; 12 models, 12 speakers" in shown
    cells = [line.split() for line in shown.splitlines()]
    for t in made.thresholds():
        what = "trials" if t.speakers == 1 else f"searches among {t.speakers}"
        words = f"{100 * t.far:g} % of strangers' {what} {t.llr:.2f} {t.score:.5g} {'yes' if t.assured else 'no'}"
        assert words.split() in cells
    for f in made.held_out.false_accepts:
        what = "trials" if f.speakers == 1 else f"searches among {f.speakers}"
        low, share, high = (100 * x for x in (f.accepted.low, f.accepted.estimate, f.accepted.high))
        words = f"strangers' {what} {100 * f.far:g} % {share:.2f} % {low:.2f} % to {high:.2f} %"
        assert words.split() in cells
    assert all(f"unsure: {doubt}" in shown for doubt in made.doubts())
    info = run("info", files / "c")
    assert (info.status, info.err) == (0, "")
    assert info.out.splitlines()[0] == "type              calibration of scores"
    assert info.out.splitlines()[1:] == shown.splitlines()[1:]


def test_lists_of_trials_label_scores(files, tmp_path):
    """Kaldi's lines without labels, and the pairs of half of the tests."""
    scores = read_scores(files / "learned.tsv")
    rows = list(
        zip(scores.speaker.tolist(), scores.test.tolist(), scores.score.tolist(), scores.target.tolist(), strict=True)
    )
    (tmp_path / "kaldi").write_text("".join(f"{s} {t} {x!r}\n" for s, t, x, _ in rows))
    some = [(y, s, t) for s, t, _, y in rows if int(t[-1]) % 2]
    (tmp_path / "trials").write_text("".join(f"{y} {s} {t}\n" for y, s, t in some))
    command = ("calibrate", tmp_path / "kaldi", "-o", tmp_path / "c")
    run(*command).refused(tmp_path / "kaldi", "576 trials without a label", "--trials")
    done = run(*command, "--trials", tmp_path / "trials")
    assert done.out.endswith(f"left out: 288 of 576 scores, which {tmp_path / 'trials'} does not list\n")
    half = rows_of(scores, np.array([int(t[-1]) % 2 == 1 for t in scores.test]))
    assert load_calibration(tmp_path / "c").llr.slopes == calibrate_scores(half, replicates=20).llr.slopes


def test_evaluate_by_a_calibration(files, tmp_path):
    table, made = read_scores(files / "other.tsv"), load_calibration(files / "c")
    command = ("evaluate", files / "other.tsv", "--calibration", files / "c")
    told = run(*command, "--json").document
    applied = told.pop("calibration")
    assert told == speechgmm.evaluate(made.llrs(table)).as_dict() | {"report": None}
    assert (applied["path"], applied["outside"]) == (str(files / "c"), made.outside(table))
    assert [f["accepted"]["estimate"] for f in applied["false_accepts"]] == [
        f.accepted.estimate for f in made.false_accepts(table)
    ]
    shown = run(*command)
    assert (shown.status, shown.err) == (0, "")
    assert f"the scores are LLRs by {files / 'c'}; at its thresholds are accepted:" in shown.out
    assert "strangers' searches among 3     5 %" in shown.out
    told_of = f"{made.outside(table)} of 64 scores lie outside {made.low:.5g} to {made.high:.5g}, which the"
    assert (told_of in shown.out) == (made.outside(table) > 0)
    plain = run("evaluate", files / "other.tsv", "--json").document
    assert plain["eer"] == pytest.approx(told["eer"])
    assert plain["cllr"] > told["cllr"]
    report = run(*command, "--report", tmp_path / "r.html")
    assert report.status == 0
    assert f"{told['cllr']:.4f}" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_attacks_are_left_out_and_told_at_thresholds(files, tmp_path):
    table, made = read_scores(files / "other.tsv"), load_calibration(files / "c")
    plain = run("evaluate", files / "other.tsv", "--calibration", files / "c", "--json").document
    assert plain["calibration"]["attacks"] == []
    attacks = [f"replay {i}" for i in range(20)]
    whom = [table.speaker[i % len(table)] for i in range(20)]
    score = np.linspace(table.score.min() - 1, table.score.max() + 1, 20)
    write_scores(
        Scores(
            [*table.speaker, *whom], [*table.test, *attacks], [*table.score, *score], [*table.target, *[-1] * 20],
            attack=[*[""] * len(table), *["replayed"] * 20],
        ),
        tmp_path / "s.tsv",
    )  # fmt: skip
    command = ("evaluate", tmp_path / "s.tsv", "--calibration", files / "c")
    told = run(*command, "--json").document
    applied = told["calibration"]
    assert {n: applied[n] for n in ("outside", "false_accepts")} == {
        n: plain["calibration"][n] for n in ("outside", "false_accepts")
    }
    assert [a["far"] for a in applied["attacks"]] == [0.01, 0.05, 0.1]
    shown = [line.split() for line in run(*command).out.splitlines()]
    for a in applied["attacks"]:
        limit = made.threshold(a["far"]).score
        assert a["threshold"] == limit
        assert a["apcer"] == a["species"][0]["apcer"] == np.mean(made.llr(score) >= limit)
        assert a["bpcer"] == pytest.approx(np.mean(made.llr(table.score[table.target == 1]) < limit))
        words = f"{100 * a['far']:g} % of strangers replayed {100 * a['apcer']:.2f} % {100 * a['bpcer']:.2f} %"
        assert words.split() in shown
    learned = read_scores(files / "learned.tsv")
    mixed = Scores(
        [*learned.speaker, learned.speaker[0]], [*learned.test, "replay"], [*learned.score, 9.0], [*learned.target, 1],
        attack=[*[""] * len(learned), "replayed"],
    )  # fmt: skip
    write_scores(mixed, tmp_path / "mixed.tsv")
    again = run("calibrate", tmp_path / "mixed.tsv", "-o", tmp_path / "c")
    assert "left out: 1 trial of attacks" in again.out
    assert load_calibration(tmp_path / "c").high == learned.score.max()


def test_scores_of_another_system_are_doubted(files, tmp_path):
    table = read_scores(files / "other.tsv")
    write_scores(changed(table, score=100 * table.score + 50), tmp_path / "far.tsv")
    shown = run("evaluate", tmp_path / "far.tsv", "--calibration", files / "c").out
    assert "which the calibration has seen: their LLRs are extrapolated. Are they of the same system?" in shown


def test_what_is_refused(files, tmp_path, made):
    write_scores(gaussian(7), tmp_path / "few.tsv")
    run("calibrate", tmp_path / "few.tsv", "-o", tmp_path / "c").refused(tmp_path / "few.tsv", "at least 8; got 7")
    assert not (tmp_path / "c").exists()
    (tmp_path / "nan").write_text("speaker\ttest\tscore\ttarget\nann\ta\tnan\t1\n")
    run("calibrate", tmp_path / "nan", "-o", tmp_path / "c").refused("line 2: score must be a finite number")
    run("calibrate", files / "learned.tsv", "-o", files / "other.tsv").refused("new, empty or a calibration of scores")
    run("calibrate", files / "learned.tsv", "-o", tmp_path / "c", "--prior", 1).misused(
        "prior must be above 0 and below 1"
    )
    run("calibrate", files / "learned.tsv").misused("--output")
    command = ("evaluate", files / "other.tsv", "--calibration")
    run(*command, made.model).refused(made.model, "must hold a TableCalibration; got a System")
    run(*command, files / "other.tsv").refused("must be a speechgmm file")
    run("info", files / "c", "--model", made.model).misused("--model says of which model a STORE is")
    run("identify", "--model", files / "c", "--store", made.store, "x.wav").refused(
        "hold a System; got a TableCalibration"
    )

"""Calibration, rejection, and what is held out for them."""

from __future__ import annotations

import numpy as np
import pytest

from speechgmm.classification.calibration import file_scores, fit_class_calibration, fit_rejection
from speechgmm.classification.train import LabeledSound, class_rounds, fold_rounds
from speechgmm.errors import InvalidInput


def test_calibration_finds_the_scale_and_offsets_that_made_the_scores() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=8000)
    x = rng.normal(size=(8000, 4))
    x[np.arange(8000), truth] += 1.0  # unit-variance Gaussians: the log-likelihood ratio of class c is x_c
    offsets = np.array([0.5, -0.5, 1.0, -1.0])
    found, weights = fit_class_calibration((x - offsets)[None] / 3, truth)
    assert weights.tolist() == [1.0]
    assert found.scale == pytest.approx(3.0, rel=0.06)
    np.testing.assert_allclose(found.offsets, offsets, atol=0.12)
    np.testing.assert_allclose(np.exp(found.log_posteriors(x)).sum(axis=1), 1.0)


def test_calibration_has_an_answer_without_mistakes_and_for_classes_that_never_occur() -> None:
    scores = np.array([[1.0, 0.0, 0.2], [0.9, 0.1, 0.0], [0.0, 1.0, 0.1], [0.2, 1.0, 0.0]])
    found, _ = fit_class_calibration(scores[None], np.array([0, 0, 1, 1]))
    assert 1 < found.scale < 1e6
    assert np.isfinite(found.offsets).all()
    assert (found.log_posteriors(scores)[:, :2].argmax(axis=1) == [0, 0, 1, 1]).all()


def test_classes_weigh_the_same_however_many_recordings_they_have() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(3, size=300)
    scores = rng.normal(size=(300, 3)) + np.eye(3)[truth]
    more = np.concatenate([np.arange(300), *[np.flatnonzero(truth == 1)] * 4])
    (one, _), (other, _) = (fit_class_calibration(scores[None, i], truth[i]) for i in (np.arange(300), more))
    assert other.scale == pytest.approx(one.scale, rel=0.01)
    np.testing.assert_allclose(other.offsets, one.offsets, atol=0.01)


def test_each_of_two_scores_gets_the_weight_that_it_is_worth() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(3, size=6000)
    x = rng.normal(size=(2, 6000, 3))
    x[:, np.arange(6000), truth] += np.array([[1.0], [0.5]])  # independent: log-likelihood ratios are x and x / 2
    found, weights = fit_class_calibration(x, truth)
    assert (found.scale, weights[1]) == (pytest.approx(1.0, rel=0.1), pytest.approx(0.5, rel=0.1))
    again, scaled = fit_class_calibration(x * np.array([1.0, 100.0])[:, None, None], truth)
    assert scaled[1] == pytest.approx(weights[1] / 100, rel=0.02)  # whatever unit a score has
    np.testing.assert_allclose(again.offsets, found.offsets, atol=0.01)
    x[1] = rng.normal(size=(6000, 3))
    assert fit_class_calibration(x, truth)[1][1] < 0.1


def test_evidence_by_its_definition() -> None:
    rng = np.random.default_rng(2)
    densities, lengths = rng.normal(size=(9, 3)), np.array([4, 5])
    found = file_scores(densities, lengths)
    for i, part in enumerate((densities[:4], densities[4:])):
        means = part.mean(axis=0)
        np.testing.assert_allclose(found.classes[i], means)
        mixed = np.log(np.exp(part).mean(axis=1)).mean()
        expected = [means.max(), means.max() - mixed, means.max() - part.max(axis=1).mean()]
        np.testing.assert_allclose(found.evidence[i], expected)


def test_rejection_tells_apart_what_differs_in_any_unit() -> None:
    rng = np.random.default_rng(3)
    known, foreign = rng.normal([2.0, 0.0, 0.0], size=(400, 3)), rng.normal(size=(400, 3))
    scale = np.array([1.0, 1e-3, 1e3])
    found = fit_rejection(known * scale, foreign * scale)
    assert found.kept(0.1) == pytest.approx(0.76, abs=0.05)  # 1 - Phi(1.28 - 2)
    assert (found.values(foreign * scale) >= found.threshold(0.1)).mean() == pytest.approx(0.1, abs=0.005)
    for far in (0, 1, 2):
        with pytest.raises(InvalidInput, match=f"far must be above 0 and below 1; got {far}"):
            found.threshold(far)


def sounds_of(names: list[str], labels: list[str], groups: list[str]) -> list[LabeledSound]:
    return [LabeledSound(n, c, np.zeros((1, 1)), g) for n, c, g in zip(names, labels, groups, strict=True)]


def held_out(sounds: list[LabeledSound], folds: int) -> dict[str, int]:
    """The round that holds each sound out; every round trains on all others."""
    rounds = fold_rounds(sounds, folds)
    for r in rounds:
        assert not r.foreign
        assert sorted(s.name for s in (*r.trained, *r.known)) == sorted(s.name for s in sounds)
    return {s.name: i for i, r in enumerate(rounds) for s in r.known}


def test_folds_hold_whole_groups_out_and_do_not_depend_on_order() -> None:
    names = [f"f{i:02}" for i in range(24)]
    sounds = sounds_of(names, ["a", "b"] * 12, [f"g{i // 4}" for i in range(24)])
    fold = held_out(sounds, 3)
    assert {len({fold[s.name] for s in sounds if s.group == g.group}) for g in sounds} == {1}
    assert np.bincount([fold[n] for n in names]).tolist() == [8, 8, 8]
    order = np.random.default_rng(0).permutation(24)
    assert held_out([sounds[i] for i in order], 3) == fold
    assert held_out(sounds, 0) == {}


def test_a_class_with_one_group_is_always_trained_on() -> None:
    fold = held_out(sounds_of(list("abcdef"), list("000111"), ["x", "y", "z", "s", "s", "s"]), 2)
    assert set(fold) == set("abc")
    assert sorted(fold.values()) == [0, 0, 1]


def test_each_class_is_foreign_once_with_fewer_folds_than_classes() -> None:
    sounds = sounds_of([f"f{i:02}" for i in range(12)], list("000011112222"), [""] * 12)
    rounds = class_rounds(sounds, fold_rounds(sounds, 2))
    assert sorted(s.name for r in rounds for s in r.foreign) == [s.name for s in sounds]
    assert len(rounds) == 3
    for r in rounds:
        assert not {s.label for s in r.foreign} & {s.label for s in (*r.trained, *r.known)}
        assert not set(r.trained) & set(r.known)
        assert len({s.label for s in r.trained}) == 2
        assert len(r.known) == 4
    two = [s for s in sounds if s.label != "2"]
    assert class_rounds(two, fold_rounds(two, 2)) == ()

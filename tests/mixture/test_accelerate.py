"""Accelerated EM: a guess is taken only if it is better, and the end is the end of plain EM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Floor, Selection, Stop, fit, fit_gmm, initialize, maximize
from speechgmm.mixture.accelerate import MOST, momentum
from speechgmm.mixture.em import Update
from tests.laws import Array, never_falls, problems, same_bits, same_gmm, variances
from tests.mixture.test_em import HEADS, START, m_step


def overlapping(n: int = 1000, k: int = 4, d: int = 3, *, spread: float = 1.2, kind: type = np.float64) -> Array:
    """Frames of components that overlap, which EM takes long to tell apart, unless they are spread."""
    rng = np.random.default_rng(0)
    return (rng.normal(0, spread, (k, d))[rng.integers(k, size=n)] + rng.normal(0, 1, (n, d))).astype(kind)


def line(*places: float, weights: tuple[float, float] = (0.5, 0.5)) -> list[GMM]:
    """Mixtures of which one mean moves along these places."""
    return [GMM(list(weights), [[place], [0.0]], Diagonal(np.ones((2, 1))), [0.0]) for place in places]


def test_a_step_is_taken_once_more() -> None:
    guess = momentum(*line(0.0, 4.0))
    np.testing.assert_allclose(guess.means[:, 0], [8.0, 0.0])
    np.testing.assert_allclose(guess.weights, 0.5)
    np.testing.assert_allclose(variances(guess), 1.0)


def test_weights_and_variances_go_on_by_their_ratio() -> None:
    before = GMM([0.5, 0.5], np.zeros((2, 1)), Diagonal([[1.0], [9.0]]), [0.0])
    model = GMM([0.8, 0.2], np.zeros((2, 1)), Diagonal([[4.0], [4.0]]), [0.0])
    guess = momentum(before, model)
    expected = np.array([0.8 * 1.6, 0.2 * 0.4])
    np.testing.assert_allclose(guess.weights, expected / expected.sum())
    np.testing.assert_allclose(variances(guess), [[16.0], [16 / 9]])


def test_how_far_it_goes_is_limited() -> None:
    wide, wider = (GMM([1.0], [[0.0]], Diagonal([[v]]), [0.0]) for v in (1.0, 1e8))
    np.testing.assert_allclose(variances(momentum(wide, wider)), [[MOST * 1e8]])


def test_what_does_not_move_stays_and_what_does_not_count_does_not_come_back() -> None:
    for weights in ((0.5, 0.5), (0.0, 1.0)):
        same_gmm(momentum(*line(1.0, 1.0, weights=weights)), line(1.0, weights=weights)[0])
    lost = line(1.0, weights=(0.5, 0.5)) + line(1.0, weights=(0.0, 1.0))
    np.testing.assert_array_equal(momentum(*lost).weights, [0.0, 1.0])


def test_variances_stay_above_the_least_of_their_dimension() -> None:
    path = [GMM([0.5, 0.5], np.zeros((2, 2)), Diagonal([[v, 3.0], [0.5, 2.0]]), [0.0, 0.0]) for v in (8.0, 1.0)]
    np.testing.assert_allclose(variances(momentum(*path)), [[0.5, 3.0], [0.5, 2.0]])


@given(problem=problems(minimum=4))
@settings(max_examples=25)
def test_a_guess_is_a_mixture_whatever_the_path(problem: tuple[GMM, Array]) -> None:
    start, x = problem
    path = [start, maximize(start.statistics(x), start).model]
    guess = momentum(*path)
    GMM(guess.weights, guess.means, guess.covariance, guess.origin)  # which checks them
    assert (variances(guess) >= np.min([variances(m).min(axis=0) for m in path], axis=0)).all()


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_objective_never_falls_and_the_end_is_that_of_plain_em(covariance: str, kind: type) -> None:
    x, stop = overlapping(kind=kind), Stop(1e-6, 1000)
    start = initialize(x, 4, covariance=covariance)
    plain, fast = (fit_gmm(x, 4, init=start, stop=stop, accelerated=a) for a in (False, True))
    never_falls(fast, loss=1e-5)
    assert plain.converged
    assert fast.converged
    assert sum("jumped" in note for note in fast.notes) > 5
    assert fast.objective[-1] >= plain.objective[-1] - 1e-5
    there = [next(i for i, o in enumerate(f.objective) if o >= plain.objective[-1] - 1e-5) for f in (plain, fast)]
    assert there[1] < 0.5 * there[0]


def test_where_em_stands_still_it_stays() -> None:
    x = overlapping(spread=5.0)
    settled = fit_gmm(x, 4, stop=Stop(0.0, 200)).model
    same_gmm(fit_gmm(x, 4, init=settled, stop=Stop(0.0, 9), accelerated=True).model, settled)


def test_threads_change_no_bit() -> None:
    blocks = np.array_split(overlapping(), 7)
    one, two = (fit_gmm(blocks, 4, accelerated=True, n_threads=n) for n in (1, 2))
    same_bits(one.model, two.model)
    assert one.objective == two.objective
    assert one.notes == two.notes


def test_plain_em_is_the_default_and_knows_no_guesses() -> None:
    x = overlapping()
    same_bits(fit_gmm(x, 4).model, fit_gmm(x, 4, accelerated=False).model)
    assert not any({"jumped", "rejected"} & set(note) for note in fit_gmm(x, 4).notes)


def test_it_ends_at_a_larger_change_unless_another_is_asked_for() -> None:
    x = overlapping()
    found, same, longer = (fit_gmm(x, 4, accelerated=True, stop=stop) for stop in (None, Stop(4e-3), Stop()))
    assert found.converged
    assert found.objective == same.objective
    assert len(longer.objective) > len(found.objective)
    assert fit_gmm(x, 4).objective == fit_gmm(x, 4, stop=Stop()).objective


def test_a_worse_guess_is_rejected_at_the_price_of_an_iteration() -> None:
    asked = []

    def worse(before, model):
        asked.append((before, model))
        return START if len(asked) % 2 == 0 else model

    plain = fit(START, HEADS, m_step, stop=Stop(0.0, 4))
    found = fit(START, HEADS, m_step, stop=Stop(0.0, 6), accelerate=worse)
    a, b, c, d = plain.objective
    assert found.objective == (a, b, b, c, d, d)
    assert [set(note) for note in found.notes] == [set(), set(), {"rejected"}, set(), set(), {"rejected"}]
    assert len(asked) == 4
    assert found.model == plain.model
    first = m_step(sum(map(START.statistics, HEADS[1:]), start=START.statistics(HEADS[0])), START).model
    assert asked[0] == (START, first)


def test_a_guess_that_nothing_has_tried_is_not_the_result() -> None:
    found = fit(START, HEADS, m_step, stop=Stop(0.0, 1), accelerate=lambda *path: None)
    assert found.model == fit(START, HEADS, m_step, stop=Stop(0.0, 1)).model


def test_a_good_guess_is_taken_and_is_not_the_end_by_itself() -> None:
    end = fit(START, HEADS, m_step, stop=Stop(0.0, 500)).model
    found = fit(START, HEADS, m_step, stop=Stop(1e-6, 50), accelerate=lambda *path: end)
    assert [set(note) for note in found.notes] == [set(), {"jumped"}, {"jumped"}, set()]
    assert found.converged


def test_a_guess_that_is_the_model_is_a_step_of_plain_em() -> None:
    stop = Stop(1e-9, 500)
    same = fit(START, HEADS, m_step, stop=stop, accelerate=lambda before, model: model)
    plain = fit(START, HEADS, m_step, stop=stop)
    assert (same.model, same.objective, same.notes) == (plain.model, plain.objective, plain.notes)


def test_nothing_is_guessed_across_a_component_that_was_reseeded() -> None:
    asked, steps = [], []

    def noted(tally, model):
        steps.append(m_step(tally, model).model)
        return Update(steps[-1], {"reseeded": 1} if len(steps) == 2 else {})

    def plain(before, model):
        asked.append((before, model))
        return model

    fit(START, HEADS, noted, stop=Stop(0.0, 4), accelerate=plain)
    assert asked == [(START, steps[0]), (steps[1], steps[2]), (steps[2], steps[3])]


def test_a_floor_holds() -> None:
    x, floor = overlapping(), Floor(absolute=0.9)
    found = fit_gmm(x, 4, floor=floor, accelerated=True)
    never_falls(found)
    assert variances(found.model).min() >= 0.9


def test_what_cannot_be_accelerated_is_refused() -> None:
    x = overlapping(300)
    words = (
        r"a mixture whose EM is accelerated must have covariances of independent features \(diag or spherical\); got"
    )
    for kind in ("full", "tied"):
        with pytest.raises(InvalidInput, match=f"{words} {kind.title()}"):
            fit_gmm(x, 2, covariance=kind, accelerated=True)
    with pytest.raises(InvalidInput, match="selection must not be combined with accelerated EM, which must know"):
        fit_gmm(x, 2, selection=Selection(), accelerated=True)
    begun = fit_gmm(x, 2)
    for arguments in ({"init": begun}, {"on_fit": lambda found: None}):
        with pytest.raises(
            InvalidInput, match="accelerated EM must be run in one go, for its guesses rest on two models"
        ):
            fit_gmm(x, 2, accelerated=True, **arguments)

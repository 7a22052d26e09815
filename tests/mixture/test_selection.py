"""Gaussian selection: what a selected iteration counts, what it leaves out, and that it says so."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from speechgmm.errors import InvalidInput
from speechgmm.mixture import (
    GMM,
    ArrayBlocks,
    Diagonal,
    Floor,
    Selection,
    Statistics,
    Stop,
    Update,
    fit,
    fit_gmm,
    maximize,
)
from speechgmm.mixture.compiled.pairs import UNIT, Pairs, regrown
from speechgmm.mixture.selection import Numbered, Visitor
from tests.laws import close
from tests.mixture.test_compiled import speechlike

Array = Any
ALWAYS = Selection(threshold=1e-6, refresh=4, settled=1e9)


def frames(n: int = 3000, k: int = 24, d: int = 6, dtype: type = np.float32) -> Array:
    return speechlike(k, d, seed=1).sample(n).frames.astype(dtype)


def visited(model: GMM, x: Array, threshold: float) -> tuple[Statistics, Statistics, dict[int, list[Pairs]]]:
    """Return the exact statistics, those over the pairs that the exact ones leave, and the pairs."""
    visitor = visiting(threshold)
    exact = visitor.e_step(model, (0, x))
    again = visiting(threshold, exact=False, lists=visitor.lists)
    return exact, again.e_step(model, (0, x)), visitor.lists


def visiting(threshold: float, *, exact: bool = True, lists: dict[int, list[Pairs]] | None = None) -> Visitor:
    m_step = functools.partial(maximize, floor=Floor())
    return Visitor(Selection(threshold=threshold), m_step, exact=exact, keep=True, lists=lists or {})


def mask(pairs: list[Pairs], n: int, k: int) -> Array:
    """Return which components (N, K) each frame visits."""
    result = np.zeros((n, k), bool)
    for unit, p in enumerate(pairs):
        component = np.repeat(np.arange(len(p.counts)), p.counts)
        inside = component < k
        result[unit * UNIT + p.frames[inside].astype(int), component[inside]] = True
    return result


@pytest.mark.parametrize("n", [1, 255, UNIT, UNIT + 1, 3000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-9)])
@pytest.mark.parametrize("threshold", [1e-6, 0.05])
def test_a_selected_pass_is_its_definition(n: int, dtype: type, tolerance: float, threshold: float) -> None:
    model, x = speechlike(24, 6), frames(n, dtype=dtype)
    exact, found, kept = visited(model, x, threshold)
    here = mask(kept[0], n, 24)
    share = model.posteriors(x.astype(float))
    clear = np.abs(share / threshold - 1) > tolerance  # those next to the threshold are on either side of it
    np.testing.assert_array_equal(here[clear], share[clear] > threshold)
    components = [model.take([k]).log_density(x.astype(float)) + np.log(model.weights[k]) for k in range(24)]
    joint = np.where(here, np.stack(components, axis=1), -np.inf)
    total = np.logaddexp.reduce(joint, axis=1)
    share = np.exp(joint - total[:, None])
    close(found.log_likelihood, total.sum(), rtol=tolerance, atol=tolerance)
    close(found.counts, share.sum(axis=0), rtol=tolerance, atol=tolerance)
    close(found.first, share.T @ x.astype(float), rtol=tolerance, atol=n * tolerance)
    close(found.second, share.T @ x.astype(float) ** 2, rtol=tolerance, atol=n * tolerance)
    assert found.log_likelihood <= exact.log_likelihood + 1e-5 * n


def test_the_exact_pass_is_the_plain_one() -> None:
    model, x = speechlike(24, 6), frames()
    exact, _, _ = visited(model, x, 1e-6)
    plain = model.e_step(x.dtype).statistics(x)
    assert exact.second.tobytes() == plain.second.tobytes()
    assert exact.log_likelihood == plain.log_likelihood


def test_exact_iterations_alone_are_plain_em() -> None:
    x = frames()
    plain = fit_gmm(x, 8, stop=Stop(0.0, 5))
    every = fit_gmm(x, 8, stop=Stop(0.0, 5), selection=Selection(refresh=1))
    unsettled = fit_gmm(x, 8, stop=Stop(0.0, 5), selection=Selection(settled=0.0))
    for found in (every, unsettled):
        assert found.model.means.tobytes() == plain.model.means.tobytes()
        assert found.objective == plain.objective


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_end_is_that_of_exact_em_and_the_loss_is_told(dtype: type) -> None:
    x = frames(6000, dtype=dtype)
    start = fit_gmm(x, 24, stop=Stop(0.0, 3)).model
    exact = fit_gmm(x, 24, init=start, stop=Stop(0.0, 20))
    told: list[int] = []
    found = fit_gmm(x, 24, init=start, stop=Stop(0.0, 20), selection=ALWAYS, on_iteration=lambda i, *_: told.append(i))
    ends = [m.log_density(x).mean() for m in (exact.model, found.model)]
    close(ends[1], ends[0], rtol=0, atol=1e-3)
    losses = {i: n["selection_loss"] for i, n in enumerate(found.notes) if "selection_loss" in n}
    assert list(losses) == [5, 9, 13, 17]  # iteration 1 is exact alone: nothing is known of its change
    assert all(-1e-5 <= loss < 0.1 for loss in losses.values())
    assert told == list(range(1, 21))


def test_the_loss_is_the_difference_of_the_exact_and_the_selected_objective() -> None:
    x = frames(2000)
    model, moved = speechlike(24, 6), speechlike(24, 6, seed=5)
    visitor = visiting(0.05)
    visitor.e_step(model, (0, x))
    later = visiting(0.05, lists=dict(visitor.lists))
    selected = visiting(0.05, exact=False, lists=dict(visitor.lists)).e_step(moved, (0, x))
    exact = later.e_step(moved, (0, x))
    assert exact.log_likelihood > selected.log_likelihood
    close(later.behind[0], (exact.log_likelihood - selected.log_likelihood) / 2000)


def test_convergence_is_declared_by_exact_iterations() -> None:
    found = fit_gmm(frames(), 8, stop=Stop(1e-3, 100), selection=ALWAYS)
    assert found.converged
    assert found.reason == "tolerance"
    assert (len(found.objective) - 2) % ALWAYS.refresh == 0, "it ends at the exact iteration that settles"
    before, last = found.objective[-1 - ALWAYS.refresh], found.objective[-1]
    assert abs(last - before) / ALWAYS.refresh < 1e-3
    listed = [i for i, n in enumerate(found.notes) if "listed" in n]
    assert listed == [i for i in range(2, len(found.notes)) if (i - 1) % ALWAYS.refresh]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_change_no_bit(n_threads: int) -> None:
    x = frames(20_000, 40, 5)
    found = fit_gmm(ArrayBlocks(x, 900), 40, stop=Stop(0.0, 6), selection=ALWAYS, n_threads=n_threads)
    one = fit_gmm(ArrayBlocks(x, 900), 40, stop=Stop(0.0, 6), selection=ALWAYS, n_threads=1)
    assert found.model.means.tobytes() == one.model.means.tobytes()
    assert found.notes == one.notes


def test_a_reseeded_component_visits_what_it_grew_from() -> None:
    counts = np.array([2, 1, 3, 0], np.uint16)
    pairs = Pairs(counts, np.array([0, 1, 1, 2, 3, 4], np.uint16))
    (grown,) = regrown([pairs], np.array([0, 2, 2, 0]))
    np.testing.assert_array_equal(grown.counts, [2, 4, 3, 2])
    np.testing.assert_array_equal(grown.frames, [0, 1, 1, 2, 3, 4, 2, 3, 4, 0, 1])
    np.testing.assert_array_equal(pairs.counts, [2, 1, 3, 0])


def test_a_step_that_reseeds_takes_the_component_onto_the_lists_of_its_source() -> None:
    x = frames(600)
    model = GMM([0.6, 0.4], [[0.0] * 6, [500.0] * 6], Diagonal(np.ones((2, 6))))
    visitor = visiting(1e-6)
    statistics = visitor.e_step(model, (0, x))
    np.testing.assert_array_equal(visitor.lists[0][0].counts[:2], [600, 0])
    update = visitor.m_step(statistics, model)
    assert update.notes["reseeded"] == 1
    np.testing.assert_array_equal(visitor.lists[0][0].counts[:2], [600, 600])
    assert not visitor.exact
    counts = visitor.e_step(update.model, (0, x)).counts
    assert counts.min() > 100


def test_an_end_that_reseeds_is_none() -> None:
    x = frames(600)

    def still(statistics: Statistics, model: GMM) -> Update[GMM]:
        return Update(model, {"reseeded": 1})

    def converged(m_step: Any) -> bool:
        visitor = Visitor(ALWAYS, m_step)
        stop = Stop(1e-3, 30)
        return fit(speechlike(4, 6), Numbered([x]), visitor.m_step, stop=stop, e_step=visitor.e_step).converged

    assert not converged(still)
    assert converged(lambda _, model: Update(model))


def test_each_frame_keeps_its_best_component() -> None:
    x = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
    selection = Selection(threshold=0.5, settled=1e9, refresh=4)
    found = fit_gmm(x, 64, init="random", stop=Stop(0.0, 9), selection=selection)
    assert np.isfinite(found.objective).all()


def test_a_block_of_another_length_is_exact() -> None:
    model, x = speechlike(24, 6), frames(1500)
    visitor = visiting(1e-6)
    visitor.e_step(model, (0, x[:400]))
    other = visiting(1e-6, exact=False, lists=visitor.lists).e_step(model, (0, x))
    assert other.second.tobytes() == model.e_step(x.dtype).statistics(x).second.tobytes()


def test_empty_blocks_count_for_nothing() -> None:
    x = frames(2000)
    parts = [x[:0], x[:700], x[:0], x[700:]]
    found = fit_gmm(parts, 4, stop=Stop(0.0, 5), selection=ALWAYS)
    close(found.model.means, fit_gmm([x[:700], x[700:]], 4, stop=Stop(0.0, 5), selection=ALWAYS).model.means)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": -1e-9}, "threshold must be at least 0"),
        ({"threshold": 0.6}, "threshold must be .* at most 0.5"),
        ({"refresh": 0}, "refresh must be at least 1"),
        ({"settled": -1.0}, "settled must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Selection(**settings)


def test_spherical_covariances_are_selected_too() -> None:
    x = frames(3000)
    settings: dict[str, Any] = {"covariance": "spherical", "stop": Stop(0.0, 12)}
    exact, found = (fit_gmm(x, 8, selection=s, **settings) for s in (None, ALWAYS))
    assert any("listed" in note for note in found.notes)
    close(found.model.log_density(x).mean(), exact.model.log_density(x).mean(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("blocks", "settings", "message"),
    [
        (frames(50), {"missing": True}, "selection must not be combined with missing values"),
        (frames(50), {"covariance": "full"}, "selection must go with a covariance of independent features; got Full"),
        (ArrayBlocks(frames(50), weights=np.ones(50)), {}, "selection must go with blocks without weights"),
    ],
)
def test_what_selection_does_not_go_with(blocks: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        fit_gmm(blocks, 2, selection=Selection(), **settings)

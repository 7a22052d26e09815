"""EM on Gaussians, whole: the objective, offsets, threads and recovery of what was sampled."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import InvalidInput
from speechgmm.mixture import GMM, Diagonal, Fit, Floor, Selection, Stop, fit_gmm, initialize
from speechgmm.mixture.covariance import COVARIANCES
from tests import laws, oracle

RNG = np.random.default_rng


def clusters(n=600, d=2):
    return laws.random_gmm(4, d).sample(n).frames


def duplicates():
    return np.repeat(clusters(40), 9, axis=0)


def heavy_tails():
    return RNG(1).standard_t(1.5, (500, 3))


def constant_dimension():
    return np.column_stack([clusters(400), np.full(400, 0.1)])


def few_values():
    return RNG(2).integers(0, 3, (300, 2)).astype(np.float32)


def silence():
    return np.zeros((200, 3), np.float32)


@dataclass(frozen=True)
class Case:
    """One configuration of training."""

    data: object
    k: int
    init: str = "kmeans"
    floor: Floor = field(default_factory=Floor)

    def __str__(self) -> str:
        floors = f"{self.floor.absolute:g}-{self.floor.relative:g}-{self.floor.occupancy:g}-{self.floor.reseed}"
        return f"{self.data.__name__}-{self.k}-{self.init}-{floors}"


WIDE, SMALL = Floor(absolute=0.5, relative=0.0), Floor(absolute=1e-6, relative=0.0)
CASES = [
    *(Case(data, k, init) for data in (clusters, heavy_tails) for k in (1, 3, 8) for init in ("kmeans", "split")),
    *(Case(clusters, 5, init, WIDE) for init in ("kmeans", "random", "split")),
    *(Case(heavy_tails, 12, "random", Floor(relative=r, occupancy=o)) for r in (0.0, 0.01) for o in (0.0, 3.0)),
    *(Case(duplicates, k, init, SMALL) for k in (3, 20) for init in ("kmeans", "random", "split")),
    *(Case(constant_dimension, 4, init) for init in ("kmeans", "random", "split")),
    Case(few_values, 6, "random"),
    Case(few_values, 12, "kmeans", Floor(absolute=1e-3)),
    Case(few_values, 12, "split", Floor(relative=0.5)),
    Case(few_values, 20, "kmeans", Floor(reseed=False)),
    Case(silence, 3, "split"),
    Case(silence, 3, "random"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_objective_never_falls_while_floors_only_clip(case):
    x = case.data()
    result = fit_gmm(x, case.k, init=case.init, floor=case.floor, stop=Stop(0.0, 15))
    single = x.dtype == np.float32
    laws.never_falls(result, slack=1e-8, loss=laws.float32_loss(result.model) + 1e-6 if single else 0.0)
    minimum = case.floor.minimum(x.astype(float).var(axis=0))
    assert (laws.variances(result.model) >= minimum * (1 - (1e-6 if single else 1e-9))).all()
    assert result.model.n_components == case.k


@pytest.mark.parametrize("case", [c for c in CASES if c.data in (few_values, silence)], ids=str)
def test_float32_moves_the_objective_that_is_told_and_not_the_one_that_is_reached(case):
    """Posteriors that are off by a little make a step that is as good as the exact one, up to the square of that.

    So the likelihood of the models, evaluated in float64, never falls; what the float32 kernel says of it is off by
    rounding, differently at each iteration and on each processor.
    """
    x = case.data()
    steps = [fit_gmm(x, case.k, init=case.init, floor=case.floor, stop=Stop(0.0, 1))]
    for _ in range(14):
        steps.append(fit_gmm(x, case.k, init=steps[-1].model, floor=case.floor, stop=Stop(0.0, 1)))
    exact = tuple(float(s.model.log_density(x.astype(float)).mean()) for s in steps)
    told = [s.objective[0] for s in steps[1:]]
    notes = (*(s.notes[0] for s in steps[1:]), {})
    laws.never_falls(replace(steps[-1], objective=exact, notes=notes), slack=1e-8)
    for s, a, b in zip(steps, told, exact, strict=False):
        assert a == pytest.approx(b, rel=1e-6, abs=laws.float32_loss(s.model))
    whole = fit_gmm(x, case.k, init=case.init, floor=case.floor, stop=Stop(0.0, 15))
    assert list(whole.objective[1:]) == told, "iterations one by one are the same iterations"


def test_the_notes_say_when_a_component_was_reseeded_or_floored():
    x = np.repeat([[0.0], [1.0], [9.0]], [50, 30, 20], axis=0)
    far = GMM([0.3, 0.3, 0.4], [[0.0], [9.0], [500.0]], Diagonal(np.ones((3, 1))))
    result = fit_gmm(x, 3, init=far, stop=Stop(0.0, 4))
    assert result.notes[0]["reseeded"] == 1
    assert result.notes[-1]["floored"] >= 1
    kept = fit_gmm(x, 3, init=far, stop=Stop(0.0, 4), floor=Floor(reseed=False))
    assert all("reseeded" not in notes for notes in kept.notes)
    assert kept.model.means[2, 0] == 500.0


@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
@pytest.mark.parametrize("offset", [1e6, -1e6, 2.0**30])
def test_an_offset_leaves_the_variances(init, offset):
    x = np.round(clusters() * 1024) / 1024  # so that x + offset is exact
    here, there = (fit_gmm(y, 4, init=init, stop=Stop(0.0, 10)) for y in (x, x + offset))
    laws.close(laws.variances(there.model), laws.variances(here.model), rtol=1e-6, atol=0)
    laws.close(there.model.weights, here.model.weights, rtol=1e-6)
    laws.close(there.model.means - offset, here.model.means, rtol=0, atol=1e-5)
    laws.close(there.objective, here.objective, rtol=1e-6)


def test_pieces_and_types_of_the_same_values_give_the_same_mixture():
    x = np.round(clusters(3000) * 64) / 64
    whole = fit_gmm(x, 4, stop=Stop(0.0, 5)).model
    for blocks in (x.tolist(), np.asfortranarray(x), x[::-1][::-1]):
        laws.same_bits(fit_gmm(blocks, 4, stop=Stop(0.0, 5)).model, whole)
    single = fit_gmm(x.astype(np.float32), 4, stop=Stop(0.0, 5)).model
    laws.close(single.means, whole.means, rtol=1e-3)
    laws.close(laws.variances(single), laws.variances(whole), rtol=1e-3)
    laws.same_gmm(fit_gmm(np.array_split(x, 13), 4, stop=Stop(0.0, 5)).model, whole)


@pytest.mark.parametrize("init", ["kmeans", "random", "split"])
def test_the_number_of_threads_changes_no_bit(init):
    blocks = np.array_split(laws.random_gmm(4, 5).sample(6000).frames.astype(np.float32), 11)
    fits = [fit_gmm(blocks, 6, init=init, n_threads=n, seed=5, stop=Stop(0.0, 6)) for n in (1, 2, 3)]
    files = {storage.dumps(f.model) for f in fits}
    assert len(files) == 1
    assert len({f.objective for f in fits}) == 1


def test_a_fit_on_a_sample_finds_the_mixture_again():
    true = GMM(
        [0.2, 0.3, 0.5], [[-5.0, 0.0], [0.0, 30.0], [6.0, -30.0]], Diagonal([[1.0, 9.0], [0.5, 4.0], [2.0, 25.0]])
    )
    n = 20_000
    result = fit_gmm(true.sample(n, seed=3).frames, 3, stop=Stop(1e-8, 200))
    assert result.converged
    model = result.model.take(np.argsort(result.model.means[:, 0]))
    v = laws.variances(true)
    count = n * true.weights[:, None]
    assert (np.abs(model.weights - true.weights) < 5 * np.sqrt(true.weights / n)).all()
    assert (np.abs(model.means - true.means) < 5 * np.sqrt(v / count)).all()
    assert (np.abs(laws.variances(model) - v) < 5 * v * np.sqrt(2 / count)).all()


def test_training_equals_the_oracle_and_so_do_its_scores():
    x = clusters(60)
    start = GMM([0.5, 0.3, 0.2], x[[0, 20, 40]], Diagonal(np.full((3, 2), 4.0)))
    floor = Floor(absolute=0.1, relative=0.02)
    model = fit_gmm(x, 3, init=start, floor=floor, stop=Stop(0.0, 12)).model
    expected = oracle.em(oracle.rows(x), laws.plain(start), 12, absolute=0.1, relative=0.02)
    laws.same_gmm(model, expected, rtol=1e-6)
    test = laws.random_gmm(4, 2).sample(30, seed=9).frames
    score = (model.log_density(test) - start.log_density(test)).mean()
    assert score == pytest.approx(oracle.llr(oracle.rows(test), expected, laws.plain(start)), rel=1e-6)


def test_the_start_may_be_given_and_the_callback_is_called():
    start, x, seen = laws.random_gmm(3, 2), clusters(), []
    result = fit_gmm(x, 3, init=start, stop=Stop(0.0, 4), on_iteration=lambda *call: seen.append(call))
    assert [(i + 1, o, n) for i, (o, n) in enumerate(zip(result.objective, result.notes, strict=True))] == seen
    assert result.objective[0] == pytest.approx(start.log_density(x).mean())
    np.testing.assert_array_equal(result.model.origin, start.origin)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("data", [clusters, duplicates, heavy_tails])
def test_written_at_any_iteration_it_ends_in_the_same_bits(covariance, data):
    """Duplicates lose components, which are reseeded, and meet floors: notes are kept too."""
    x, seen = data().astype(np.float32), []
    how = {"stop": Stop(0.0, 9), "floor": Floor(relative=0.01, occupancy=5.0), "n_threads": 1}
    start = initialize(x, 5, covariance=covariance, method="random", seed=1)
    whole = fit_gmm(x, 5, init=start, on_fit=lambda f: seen.append(storage.dumps(f)), **how)
    assert len(seen) == len(whole.objective) == 9
    for data_of_one in (storage.dumps(Fit(start, (), (), converged=False)), *seen):
        so_far = storage.loads(data_of_one, Fit, GMM, COVARIANCES[covariance])
        assert storage.dumps(fit_gmm(x, 5, init=so_far, **how)) == storage.dumps(whole) == seen[-1]


def test_with_values_missing_it_goes_on_too():
    x, seen = np.where(RNG(0).random((300, 2)) < 0.2, np.nan, clusters(300)), []
    how = {"missing": True, "stop": Stop(0.0, 5), "n_threads": 1}
    whole = fit_gmm(x, 2, on_fit=seen.append, **how)
    for so_far in seen:
        assert storage.dumps(fit_gmm(x, 2, init=so_far, **how)) == storage.dumps(whole)


def so_far(model):
    return Fit(model, (), (), converged=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"init": so_far(laws.random_gmm(3, 2))}, "n_components must be 3, as init has; got 2"),
        ({"init": so_far("kmeans")}, "what EM goes on from must be a GMM; got a str"),
        (
            {"init": so_far(laws.random_gmm(2, 2)), "selection": Selection()},
            "a selection must begin with EM, for its lists are not kept; got a fit to go on from",
        ),
        ({"init": "em"}, "method must be one of 'kmeans', 'random', 'split'; got 'em'"),
        ({"init": laws.random_gmm(3, 2)}, "n_components must be 3, as init has; got 2"),
        ({"n_threads": 0}, "n_threads must be at least 1; got 0"),
        ({"init": laws.random_gmm(2, 5)}, "frames must have 5 features per frame, as the model has"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(InvalidInput, match=words):
        fit_gmm(clusters(50), 2, **settings)

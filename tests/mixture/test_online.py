"""Stepwise EM: its limits, its memory, and what it learns."""

import dataclasses
import functools
import re

import numpy as np
import pytest

from speechgmm import storage
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, ArrayBlocks, Diagonal, Floor, Statistics, StepwiseState, Update, maximize, stepwise
from speechgmm.mixture.covariance import COVARIANCES
from speechgmm.mixture.em import expectation
from speechgmm.mixture.missing import observed_statistics
from tests import laws

FLOOR = Floor(absolute=1e-9, relative=0.0, occupancy=0.0, reseed=False)
KEEP = functools.partial(maximize, floor=FLOOR)
family = pytest.mark.parametrize(("kind", "k", "d"), laws.FAMILY)


def problem(kind, k, d, n=100):
    gmm = laws.family_gmm(kind, k, d)
    return gmm, 1.3 * gmm.sample(n, seed=2).frames + 0.3


def still(statistics, model):
    return Update(model)


@family
def test_a_step_of_one_is_a_step_of_em(kind, k, d):
    gmm, x = problem(kind, k, d)
    state = stepwise(StepwiseState.of(gmm), x, step=1.0, m_step=KEEP)
    laws.same_mixture(state.model, KEEP(gmm.statistics(x), gmm).model)
    assert state.updates == 1


@family
def test_without_news_the_mixture_stays(kind, k, d):
    gmm, x = problem(kind, k, d)
    laws.same_mixture(KEEP(StepwiseState.of(gmm).running, gmm).model, gmm)
    state = stepwise(StepwiseState.of(gmm), x, step=1e-9, m_step=KEEP)
    laws.same_mixture(state.model, gmm, rtol=1e-5, atol=1e-5)


@family
def test_steps_of_one_over_t_weigh_all_batches_the_same(kind, k, d):
    gmm, x = problem(kind, k, d, n=120)
    state = StepwiseState.of(gmm)
    for t, batch in enumerate((x[:40], x[40:80], x[80:]), 1):
        state = stepwise(state, batch, step=1 / t, m_step=still)  # against one mixture: the mean of all frames
    laws.same_statistics(120 * state.running, gmm.statistics(x), rtol=1e-8, atol=1e-8)


@family
def test_the_running_mean_is_of_one_frame_and_forgets_geometrically(kind, k, d):
    gmm, x = problem(kind, k, d)
    state = StepwiseState.of(gmm)
    for _ in range(3):
        state = stepwise(state, x, step=0.25, m_step=KEEP)
        laws.close(state.running.counts.sum(), 1.0)
    new = gmm.statistics(x)
    once = stepwise(StepwiseState.of(gmm), x, step=0.25, m_step=still)
    laws.close(once.running.counts, 0.75 * gmm.weights + 0.25 * new.counts / len(x))
    laws.close(state.running.frames, 1 - 0.75**3)  # what the start imagined is no frame


def shares_of_batches(t: int) -> np.ndarray:
    """How much the start and each of t batches count in the running mean, (1 + t,), by the default steps."""
    state = StepwiseState.of(GMM([1.0], np.zeros((1, t)), Diagonal(np.ones((1, t)))))
    for batch in np.eye(t):  # the mean of all frames tells the share of each
        state = stepwise(state, [batch], m_step=still)
    return np.concatenate([[1 - state.running.first.sum()], state.running.first[0]])


def test_the_default_steps_forget_the_start_and_average_over_more_and_more_batches():
    few, many = shares_of_batches(50), shares_of_batches(200)
    for shares in (few, many):
        laws.close(shares.sum(), 1.0)
        assert (np.diff(shares) > 0).all()  # a mixture that has learned more explains the later batches better
        assert shares[0] < 0.02 / len(shares)  # the start is forgotten, which equal shares would not do
    memory = [1 / np.sum(shares**2) for shares in (few, many)]  # so many equal shares vary as these
    assert memory[0] > 50 / 3
    assert memory[1] > 200 / 3.5
    assert memory[1] > 2.3 * memory[0]  # steps of t**-0.5 would double it


@pytest.mark.parametrize("step", [1.0, 0.5, 0.1])
@family
def test_an_m_step_sees_the_frames_that_are_remembered(kind, k, d, step):
    gmm, x = problem(kind, k, d, n=60)
    batches, seen = np.split(x, 3), []

    def watch(statistics, model):
        seen.append(statistics)
        return Update(model)

    state = StepwiseState.of(gmm)
    for batch in batches:
        state = stepwise(state, batch, step=step, m_step=watch)
    parts = [(1 - step) ** (2 - i) * gmm.statistics(batch) for i, batch in enumerate(batches)]
    start = (1 - step) ** 3 * 20 / step * gmm.imagined(gmm.weights)
    laws.same_statistics(seen[-1], start + parts[0] + parts[1] + parts[2], rtol=1e-8, atol=1e-8)
    laws.close(seen[-1].counts.sum(), 20 / step)  # a geometric series of batches


def test_what_is_rare_in_a_batch_is_not_lost_while_the_memory_holds_frames_enough_of_it():
    """One frame in a hundred: ten of the thousand frames that steps of 0.1 remember, of which five are asked."""
    rng = np.random.default_rng(0)
    state = StepwiseState.of(GMM([0.99, 0.01], [[0.0], [20.0]], Diagonal([[1.0], [1.0]])))
    keep = functools.partial(maximize, floor=Floor(occupancy=5.0))
    for _ in range(30):
        batch = np.concatenate([rng.normal(0, 1, (99, 1)), rng.normal(20, 1, (1, 1))])
        state = stepwise(state, batch, step=0.1, m_step=keep)
    laws.close(state.model.weights, [0.99, 0.01], rtol=0, atol=1e-3)
    laws.close(state.model.means[1], 20.0, rtol=0, atol=1.0)
    alone = stepwise(state, batch, step=1.0, m_step=keep)  # plain EM remembers one
    laws.close(alone.running.counts, alone.model.weights)
    assert alone.model.means[1, 0] < 5


@family
def test_sample_weights_equal_repeated_frames(kind, k, d):
    gmm, x = problem(kind, k, d)
    times = np.random.default_rng(0).integers(0, 3, len(x))
    weighted = stepwise(StepwiseState.of(gmm), ArrayBlocks(x, weights=times), m_step=KEEP)
    laws.same_mixture(weighted.model, stepwise(StepwiseState.of(gmm), np.repeat(x, times, axis=0), m_step=KEEP).model)


@family
def test_a_batch_of_blocks_is_the_batch(kind, k, d):
    gmm, x = problem(kind, k, d)
    whole = stepwise(StepwiseState.of(gmm), x, m_step=KEEP)
    for blocks in (ArrayBlocks(x, 7), np.array_split(x, 3), ArrayBlocks(x, 30, np.ones(len(x)))):
        laws.same_mixture(stepwise(StepwiseState.of(gmm), blocks, m_step=KEEP).model, whole.model)
    holed = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    state = stepwise(StepwiseState.of(gmm), ArrayBlocks(holed, 30), m_step=KEEP, e_step=observed_statistics)
    running = expectation(gmm, [holed], e_step=observed_statistics)
    laws.close(state.running.log_likelihood / 2**-0.7, running.log_likelihood / running.frames)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_batches_teach_what_all_frames_do(kind):
    true = laws.family_gmm(kind, 3, 2, seed=5)
    means = np.array([[-9.0, 0.0], [0.0, 9.0], [9.0, -9.0]])
    true = GMM(true.weights, means, true.covariance)
    x = true.sample(20_000, seed=1).frames
    state = StepwiseState.of(GMM(np.full(3, 1 / 3), 0.7 * means + 1.0, COVARIANCES[kind].of(np.full((3, 2), 4.0))))
    for batch in np.array_split(x, 100):
        state = stepwise(state, batch)
    assert state.updates == 100
    laws.close(state.model.weights, true.weights, rtol=0, atol=0.03)
    laws.close(state.model.means, true.means, rtol=0, atol=0.1)
    laws.close(laws.matrices(state.model), laws.matrices(true), rtol=0.1, atol=0.15)
    best = true.log_density(x).mean()
    assert state.model.log_density(x).mean() > best - 0.01


def test_a_constant_step_follows_what_moves():
    state = StepwiseState.of(GMM([0.5, 0.5], [[0.0], [10.0]], Diagonal([[1.0], [1.0]])))
    rng = np.random.default_rng(0)
    for t in range(60):
        batch = np.concatenate([rng.normal(0.1 * t, 1, (50, 1)), rng.normal(10 + 0.1 * t, 1, (50, 1))])
        state = stepwise(state, batch, step=0.4)
    laws.close(state.model.means[:, 0], [5.9, 15.9], rtol=0, atol=0.4)


def test_a_lost_component_is_reseeded_and_the_memory_begins_anew():
    gmm = GMM([0.5, 0.5], [[0.0], [500.0]], Diagonal([[1.0], [1.0]]))
    x = np.random.default_rng(0).normal(0, 1, (200, 1))
    state = StepwiseState.of(gmm)
    while state.model.means[1, 0] > 100:
        state = stepwise(state, x, step=0.5)
        assert state.updates < 50
    laws.close(state.running.counts, state.model.weights)
    assert (
        stepwise(
            StepwiseState.of(gmm), x, step=1.0, m_step=functools.partial(maximize, floor=Floor(reseed=False))
        ).model.means[1, 0]
        == 500.0
    )


def test_the_state_comes_back_from_its_file():
    gmm, x = problem("full", 4, 5)
    state = stepwise(StepwiseState.of(gmm), x)
    again = storage.loads(storage.dumps(state), StepwiseState, GMM, COVARIANCES["full"], Statistics)
    a, b = stepwise(again, x), stepwise(state, x)
    assert storage.dumps(a) == storage.dumps(b)


GMM_ = laws.random_gmm(2, 1)
STATE = StepwiseState.of(GMM_)
WEIGHTLESS = ArrayBlocks(np.zeros((1, 1)), weights=np.zeros(1))
REFUSED = {
    "step 0": (lambda: stepwise(STATE, [[0.0]], step=0.0), "step must be above 0 and at most 1; got 0"),
    "step 2": (lambda: stepwise(STATE, [[0.0]], step=2.0), "step must be above 0 and at most 1; got 2"),
    "step NaN": (lambda: stepwise(STATE, [[0.0]], step=np.nan), "step must be above 0"),
    "no frames": (
        lambda: stepwise(STATE, [np.zeros((0, 1))]),
        "statistics must count some frames; got none. Leave out",
    ),
    "no weight": (
        lambda: stepwise(STATE, ArrayBlocks(np.zeros((1, 1)), weights=[0.0])),
        "statistics must count some frames",
    ),
    "updates": (lambda: StepwiseState.of(GMM_, -1), "updates must be at least 0"),
    "one shot": (lambda: stepwise(STATE, iter([[[0.0]]])), "blocks must be iterable again and again"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        call()


def test_statistics_of_another_mixture_are_refused():
    with pytest.raises(IncompatibleModel, match="statistics must be taken against this model"):
        StepwiseState(GMM_, laws.random_gmm(3, 1).statistics([[0.0]]))


def test_a_state_of_a_former_name_is_read():
    @dataclasses.dataclass(frozen=True)
    class Online:
        model: GMM
        statistics: Statistics
        updates: int = 0

    gmm, _ = problem("diag", 2, 3)
    now = StepwiseState.of(gmm, 4)
    read = storage.loads(
        storage.dumps(Online(now.model, now.running, now.updates)), StepwiseState, GMM, Diagonal, Statistics
    )
    assert read.updates == 4
    np.testing.assert_array_equal(read.running.first, now.running.first)

"""The EM driver, over a model that has nothing to do with Gaussians: two coins (Do and Batzoglou 2008)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest

from speechgmm.errors import InvalidInput
from speechgmm.mixture import Fit, Stop, Update, fit
from speechgmm.parallel import sums

TOSSES = 10
HEADS = [5, 9, 8, 4, 7]
"""Heads in five sets of ten tosses, each set of one of two coins: C. B. Do and S. Batzoglou, "What is the expectation
maximization algorithm?", Nature Biotechnology 26 (2008), figure 1."""


@dataclass(frozen=True)
class Tally:
    """Expected heads and tosses of each coin."""

    heads: tuple[float, float]
    tosses: tuple[float, float]
    log_likelihood: float
    sets: int

    def __add__(self, other: Tally) -> Tally:
        heads = (self.heads[0] + other.heads[0], self.heads[1] + other.heads[1])
        tosses = (self.tosses[0] + other.tosses[0], self.tosses[1] + other.tosses[1])
        return Tally(heads, tosses, self.log_likelihood + other.log_likelihood, self.sets + other.sets)

    @property
    def mean_log_likelihood(self) -> float:
        return self.log_likelihood / self.sets


@dataclass(frozen=True)
class Coins:
    """The chance of heads of two coins, either of which is taken as often."""

    heads: tuple[float, float]

    def statistics(self, h: int) -> Tally:
        chances = [0.5 * math.comb(TOSSES, h) * p**h * (1 - p) ** (TOSSES - h) for p in self.heads]
        a, b = (c / sum(chances) for c in chances)
        return Tally((a * h, b * h), (a * TOSSES, b * TOSSES), math.log(sum(chances)), 1)


def m_step(tally: Tally, model: Coins) -> Update[Coins]:
    return Update(Coins((tally.heads[0] / tally.tosses[0], tally.heads[1] / tally.tosses[1])))


START = Coins((0.6, 0.5))


def test_the_published_example():
    once = fit(START, HEADS, m_step, stop=Stop(0.0, 1)).model
    assert [round(p, 2) for p in once.heads] == [0.71, 0.58]
    ten = fit(START, HEADS, m_step, stop=Stop(0.0, 10)).model
    assert [round(p, 2) for p in ten.heads] == [0.80, 0.52]


def test_the_objective_is_that_of_the_start_and_never_falls():
    result = fit(START, HEADS, m_step, stop=Stop(0.0, 30))
    assert result.objective[0] == sum(map(START.statistics, HEADS[1:]), start=START.statistics(5)).mean_log_likelihood
    assert len(result.objective) == len(result.notes) == 30
    assert all(b >= a - 1e-12 for a, b in zip(result.objective, result.objective[1:], strict=False))


def test_stopping_at_the_limit():
    result = fit(START, HEADS, m_step, stop=Stop(0.0, 3))
    assert (result.converged, result.reason, len(result.objective)) == (False, "max_iterations", 3)


def test_stopping_at_the_tolerance():
    result = fit(START, HEADS, m_step, stop=Stop(1e-4, 100))
    assert (result.converged, result.reason) == (True, "tolerance")
    steps = [b - a for a, b in zip(result.objective, result.objective[1:], strict=False)]
    assert steps[-1] < 1e-4
    assert min(steps[:-1]) >= 1e-4


def test_a_fall_is_not_the_end():
    """MAP lowers the likelihood while what it maximizes rises: EM cannot tell that from rounding, and goes on."""
    script = iter([Coins((0.8, 0.52)), Coins((0.7, 0.5)), Coins((0.7, 0.5))])
    result = fit(START, HEADS, lambda tally, model: Update(next(script, model)), stop=Stop(1e-9, 100))
    first, high, low, last = result.objective
    assert first < high > low == last
    assert result.converged


def test_a_step_that_reseeded_is_never_the_end():
    calls = []

    def noted(tally, model):
        calls.append(model)
        return Update(model, {"reseeded": 1} if len(calls) <= 4 else {"floored": 2})

    # nothing changes, so only the notes keep it going: iterations 1 to 4 reseed, 5 is still measured against 4
    result = fit(START, HEADS, noted, stop=Stop(1.0, 50))
    assert len(result.objective) == 6
    assert result.notes == ({"reseeded": 1},) * 4 + ({"floored": 2},) * 2
    assert result.converged


def test_the_callback_sees_every_iteration():
    seen = []
    result = fit(START, HEADS, m_step, stop=Stop(0.0, 5), on_iteration=lambda *call: seen.append(call))
    assert seen == [(i + 1, result.objective[i], {}) for i in range(5)]


def test_the_sum_is_taken_in_block_order_on_any_number_of_threads():
    order = []

    def e_step(model, h):
        order.append(h)
        return model.statistics(h)

    result = fit(START, HEADS, m_step, stop=Stop(0.0, 2), e_step=e_step, n_threads=1)
    assert order == HEADS * 2
    for n in (None, 1, 3):
        assert fit(START, HEADS, m_step, stop=Stop(0.0, 2), n_threads=n) == result


def test_one_thread_is_the_plain_map(monkeypatch):
    monkeypatch.setattr(sums, "threads", None)
    assert len(fit(START, HEADS, m_step, stop=Stop(0.0, 2), n_threads=1).objective) == 2


@dataclass(frozen=True)
class Halving:
    """A stop of its own kind: the end is where a step gains at most half of what the first one did."""

    max_iterations: int = 50

    def settled(self, objective, notes):
        assert len(objective) == len(notes)
        gains = [b - a for a, b in itertools.pairwise(objective)]
        return len(gains) > 1 and gains[-1] <= gains[0] / 2


def test_the_stop_is_whatever_says_when_it_has_settled():
    result = fit(START, HEADS, m_step, stop=Halving())
    gains = [b - a for a, b in itertools.pairwise(result.objective)]
    assert result.converged
    assert gains[-1] <= gains[0] / 2 < gains[-2]
    assert not fit(START, HEADS, m_step, stop=Halving(2)).converged


def test_no_iterations_leave_the_start():
    assert fit(START, HEADS, m_step, stop=Halving(0)) == Fit(START, (), (), converged=False)


def test_it_goes_on_from_each_iteration_to_the_same_end():
    """At each iteration, the start and the end included: what is told of it is the same, and nothing is done twice."""
    seen = [Fit(START, (), (), converged=False)]
    whole = fit(START, HEADS, m_step, stop=Stop(1e-4, 100), on_fit=seen.append)
    assert [len(f.objective) for f in seen] == list(range(len(whole.objective) + 1))
    assert seen[-1] == whole
    for so_far in seen:
        left = []
        assert fit(so_far, HEADS, m_step, stop=Stop(1e-4, 100), on_fit=left.append) == whole
        assert [*seen[: len(so_far.objective) + 1], *left] == seen


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"objective": (0.5, 1.0)}, "the notes must be of 2 iterations, as the objective is; got 1"),
        ({"objective": 0.5}, "the objective must be a tuple, each of a float"),
        ({"notes": ("floored",)}, "the notes, at 0, must be a Mapping; got a str"),
        ({"notes": ({"floored": "3"},)}, "what a step has counted must be a number; got '3'"),
        ({"converged": 1}, "converged must be a bool; got an int"),
    ],
)
def test_a_fit_tells_its_iterations_whole(changed, words):
    with pytest.raises(InvalidInput, match=words):
        Fit(**{"model": START, "objective": (0.5,), "notes": ({},), "converged": True} | changed)


def test_only_exact_iterations_are_compared():
    objective, step = [0.0, 9.0, 9.0, 2.0], [{}, {"listed": 1}, {"listed": 1}, {}]
    assert Stop(0.7).settled(objective, step), "2 in three iterations"
    assert not Stop(0.6).settled(objective, step)
    assert not Stop(100.0).settled(objective[:3], step[:3]), "the last is a bound"
    assert not Stop(100.0).settled(objective, [{}, {"listed": 1, "reseeded": 1}, {"listed": 1}, {}])
    assert Stop(100.0).settled([5.0, *objective], [{"reseeded": 1}, *step]), "that was before"


class Anew:
    """Blocks that start anew at each `iter`."""

    def __iter__(self):
        return iter(HEADS)


def test_any_object_that_starts_anew_will_do():
    assert fit(START, Anew(), m_step) == fit(START, HEADS, m_step) == fit(START, tuple(HEADS), m_step)


@pytest.mark.parametrize("blocks", [iter(HEADS), (h for h in HEADS), map(int, HEADS)], ids=["iterator", "gen", "map"])
def test_one_shot_blocks_are_refused(blocks):
    words = f"blocks must be iterable again and again; got a one-shot {type(blocks).__name__}. Pass a list of arrays"
    with pytest.raises(InvalidInput, match=words):
        fit(START, blocks, m_step)


@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_empty_blocks_are_refused(n_threads):
    with pytest.raises(InvalidInput, match="blocks must hold at least one block of frames; got none"):
        fit(START, [], m_step, n_threads=n_threads)


def test_errors_of_the_model_come_through():
    class Broken:
        def statistics(self, block):
            raise TypeError("an empty block")

    with pytest.raises(TypeError, match="an empty block"):
        fit(Broken(), HEADS, m_step)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tolerance": -1e-9}, "tolerance must be at least 0 nats; got -1e-09 nats"),
        ({"tolerance": float("nan")}, "tolerance must be at least 0 nats; got nan nats"),
        ({"tolerance": "a"}, "tolerance must be a number; got 'a'"),
        ({"max_iterations": 0}, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": 2.0}, "max_iterations must be a whole number; got 2.0"),
    ],
)
def test_stop_refuses(settings, words):
    with pytest.raises(InvalidInput, match=words):
        Stop(**settings)

"""Parallel maps: order, bounded lookahead, errors, and one thread a worker for the libraries."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from speechgmm.errors import InvalidInput
from speechgmm.parallel import available_cores, counted, one_thread, single_threaded, threads, workers

MAPPERS = {"one thread": threads(1), "two": threads(2), "five": threads(5), "default": threads()}
each_mapper = pytest.mark.parametrize("mapper", MAPPERS.values(), ids=MAPPERS.keys())


@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_are_those_of_the_builtin_map(items, n):
    assert list(threads(n)(str, items)) == list(map(str, items))


def test_the_order_is_kept_whatever_finishes_first():
    second_done = threading.Event()

    def work(i):
        if i == 0:
            assert second_done.wait(30)  # the first item cannot end before the second
        if i == 1:
            second_done.set()
        return i

    assert list(threads(2)(work, range(6))) == list(range(6))


def test_the_work_is_shared_by_so_many_threads():
    meeting = threading.Barrier(3, timeout=30)

    def work(i):
        if i < 3:
            meeting.wait()  # all three must be under way at once
        return threading.get_ident()

    assert len(set(threads(3)(work, range(3)))) == 3
    assert threading.get_ident() not in set(threads(3)(work, range(3)))
    assert set(threads(1)(lambda i: threading.get_ident(), range(3))) == {threading.get_ident()}


@pytest.mark.parametrize(("n", "ahead"), [(1, 1), (2, 4), (3, 6)])
def test_at_most_two_items_a_worker_are_taken_ahead(n, ahead):
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield i

    results = threads(n)(lambda i: -i, endless())
    assert taken == []  # nothing starts before it is asked for
    for i in range(10):
        assert next(results) == -i
        assert len(taken) == i + ahead
    results.close()
    assert len(taken) == 9 + ahead


class OwnError(Exception):
    """Raised by work."""


@each_mapper
def test_errors_of_the_work_come_through_and_stop_it(mapper):
    started = []

    def work(i):
        started.append(i)
        if i == 3:
            raise OwnError(f"item {i}")
        return i

    results, got = mapper(work, range(10_000)), []
    with pytest.raises(OwnError, match="item 3"):
        got.extend(results)
    assert got == [0, 1, 2]
    assert len(started) <= 3 + 2 * max(5, available_cores())


def test_what_has_not_started_when_the_work_fails_never_does(monkeypatch):
    started, ending, leave = [], threading.Event(), ThreadPoolExecutor.__exit__

    def work(i):
        started.append(i)
        if i == 0:
            raise OwnError("the first")
        assert ending.wait(30)  # items 1 and 2 keep both workers until the pool is left

    def leaving(pool, *error):
        ending.set()
        return leave(pool, *error)

    monkeypatch.setattr(ThreadPoolExecutor, "__exit__", leaving)
    with pytest.raises(OwnError, match="the first"):
        list(threads(2)(work, range(4)))
    assert 3 not in started


@each_mapper
def test_errors_of_the_items_come_through(mapper):
    def items():
        yield 1
        raise OwnError("no more")

    with pytest.raises(OwnError, match="no more"):
        list(mapper(abs, items()))


def test_no_thread_is_left_behind():
    before = threading.active_count()
    assert sum(threads(4)(abs, range(20))) == 190
    results = threads(4)(abs, range(20))
    next(results)
    results.close()
    with pytest.raises(ZeroDivisionError):
        list(threads(4)(lambda i: 1 // i, range(20)))
    assert threading.active_count() == before


def test_no_items_give_no_results():
    assert [list(mapper(abs, [])) for mapper in (threads(1), threads(3))] == [[], []]


def _library_threads(_: int) -> list[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize("mapper", [threads(1), threads(2)], ids=["one", "two"])
def test_libraries_use_one_thread_inside_and_what_they_had_outside(mapper):
    importlib.import_module("sklearn.cluster")  # brings OpenMP, whose limits belong to a thread
    before = _library_threads(0)
    for inside in mapper(_library_threads, range(4)):
        assert inside
        assert set(inside) == {1}
    assert _library_threads(0) == before


def test_single_threaded_is_a_context():
    before = _library_threads(0)
    with single_threaded():
        assert set(_library_threads(0)) == {1}
    assert _library_threads(0) == before


def test_available_cores_are_those_of_this_process():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_available_cores_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert available_cores() == (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "at least 1; got 0"), (-2, "at least 1; got -2"), (1.5, "a whole number; got 1.5"), ("2", "got '2'")],
)
def test_bad_numbers_of_threads_are_refused(n, words):
    for start in (threads, lambda n: workers(n, 3)):
        with pytest.raises(InvalidInput, match=f"n_threads must be .*{words}"):
            start(n)


def test_no_more_threads_than_jobs_are_started():
    assert [workers(8, jobs) for jobs in (0, 1, 3, 20)] == [1, 1, 3, 8]
    assert workers(None, 1000) == available_cores()


def test_progress_is_told_after_each_item():
    told = []
    assert list(counted("abc", "letters", 3, lambda *news: told.append(news))) == ["a", "b", "c"]
    assert told == [("letters", 1, 3), ("letters", 2, 3), ("letters", 3, 3)]
    assert list(counted("ab", "letters", 2, None)) == ["a", "b"]


def test_inside_another_context_libraries_stay_at_one_thread_until_the_outer_one_ends():
    before = _library_threads(0)
    with single_threaded():
        with single_threaded():
            assert set(_library_threads(0)) == {1}
        assert set(_library_threads(0)) == {1}
        assert one_thread(_library_threads)(0) == _library_threads(0)
    assert _library_threads(0) == before


def test_what_is_loaded_inside_a_context_is_held_by_the_next_one():
    program = (
        "import sys, threadpoolctl, numpy\n"
        "from speechgmm.parallel import single_threaded\n"
        "with single_threaded():\n"
        "    import sklearn.cluster\n"  # brings OpenMP
        "    with single_threaded():\n"
        "        print(sorted({p['num_threads'] for p in threadpoolctl.threadpool_info()}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1]"

"""Dask workers as a mapper: the bits of one thread, blocks that stay where they are, and workers that are killed."""

from __future__ import annotations

import functools
import itertools
import logging
import operator
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from speechgmm.errors import BrokenCluster, IncompatibleModel, InvalidInput, MissingExtra
from speechgmm.evaluation import Trials
from speechgmm.features import MFCC, extract_all, read_corpus
from speechgmm.mixture import GMM, ArrayBlocks, Floor, Stop, fit, fit_gmm, initialize, maximize
from speechgmm.mixture.em import statistics_of
from speechgmm.parallel import BlockViews, DaskWorkers, cluster, connected, dask, threads
from speechgmm.speakers import (
    SpeakerStore,
    enroll,
    held_out,
    load_system,
    score_corpus,
    score_trials,
    train_system,
    train_ubm,
)
from tests.cli.running import run
from tests.people import twenty_people
from tests.sounds import DATA

distributed = pytest.importorskip("distributed", reason="Dask is not installed: speechgmm[dask]")


def started(n_workers: int) -> Any:
    """A cluster of workers of one thread each, in processes of their own, on the loopback alone."""
    how = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    return distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, **how)


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """Two workers, none of which is killed."""
    with started(2) as made:
        yield made


@pytest.fixture(scope="module")
def client(local: Any) -> Iterator[Any]:
    with distributed.Client(local, set_as_default=False) as made:
        yield made


@pytest.fixture
def workers(client: Any) -> DaskWorkers:
    return dask(client)


@pytest.fixture
def doomed() -> Iterator[Any]:
    """The client of three workers, two of which may be killed: nobody can rely on others that are started instead."""
    with started(3) as made, distributed.Client(made, set_as_default=False) as client:
        yield client


def same_bits(one: GMM, other: GMM) -> None:
    for name in ("weights", "means", "origin"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.covariance.parameters, other.covariance.parameters)


def kill_one(client: Any) -> None:
    """Kill one of the workers, as the kernel does for want of memory."""
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def test_results_are_those_of_the_builtin_map(workers: DaskWorkers) -> None:
    assert list(workers(lambda i: i * i, range(50))) == [i * i for i in range(50)]
    assert list(workers(str, [])) == []
    assert list(threads(workers)(len, [np.zeros(3), "ab"])) == [3, 2]


def test_only_a_few_items_are_taken_ahead(workers: DaskWorkers) -> None:
    taken: list[int] = []
    results = workers(operator.neg, (taken.append(i) or i for i in itertools.count()))
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    assert len(taken) == 3 + cluster.AHEAD * 2 - 1


def test_errors_of_the_work_come_through(workers: DaskWorkers) -> None:
    def work(i: int) -> int:
        if i == 3:
            raise InvalidInput(f"item {i}")
        return i

    results, got = workers(work, range(100)), []
    with pytest.raises(InvalidInput, match="item 3"):
        got.extend(results)
    assert got == [0, 1, 2]
    with pytest.raises(TimeoutError, match="own"):
        list(workers(functools.partial(_raise, TimeoutError("own")), [1]))


def _raise(error: Exception, _: Any) -> None:
    raise error


def _surroundings(_: Any) -> tuple[int, set[int], int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    nested = len(set(threads()(lambda i: threading.get_ident(), range(8))))
    return os.getpid(), {library["num_threads"] for library in threadpool_info()}, nested


def test_work_is_done_in_other_processes_on_one_thread_of_the_libraries(workers: DaskWorkers) -> None:
    found = list(workers(_surroundings, range(8)))
    assert len({pid for pid, _, _ in found} - {os.getpid()}) == 2
    assert all(held == {1} for _, held, _ in found)
    assert all(nested == 1 for _, _, nested in found), "a map in one of many tasks takes the thread that it is on"


X = np.random.default_rng(0).standard_t(4, (6000, 4)) * [1.0, 10.0, 0.1, 1.0]
PARTS = {
    "a block": ArrayBlocks(X, 6000),
    "one group": ArrayBlocks(X, 500),
    "groups": ArrayBlocks(X.astype(np.float32), 150),
    "pairs of blocks": ArrayBlocks(X, 350),  # 18 blocks: two in a row are a task, or one that is left
    "whole groups": ArrayBlocks(X, 40),  # 150 blocks, more than four groups for each worker
    "weights": ArrayBlocks(X, 300, weights=np.arange(6000) % 3),
    "a list": list(np.array_split(X, 20)),
}
EM: dict[str, Any] = {"init": "random", "stop": Stop(0.0, 3)}


@pytest.mark.parametrize("covariance", ["diag", "full"])
@pytest.mark.parametrize("blocks", PARTS.values(), ids=PARTS.keys())
def test_em_gives_the_same_bits(workers: DaskWorkers, blocks: Any, covariance: str) -> None:
    one, two, there = (fit_gmm(blocks, 5, covariance=covariance, n_threads=n, **EM) for n in (1, 2, workers))
    assert there.objective == two.objective == one.objective
    same_bits(there.model, one.model)
    same_bits(two.model, one.model)


def test_compiled_loops_and_splitting_give_the_same_bits(workers: DaskWorkers) -> None:
    x = np.random.default_rng(1).normal(size=(20_000, 20)).astype(np.float32)
    one, there = (fit_gmm(x, 24, init="random", stop=Stop(0.0, 1), n_threads=n) for n in (1, workers))
    same_bits(there.model, one.model)
    start, elsewhere = (initialize(X[:900], 4, method="split", n_threads=n) for n in (1, workers))
    same_bits(elsewhere, start)


def test_accelerated_em_gives_the_same_bits(workers: DaskWorkers) -> None:
    one, there = (fit_gmm(np.array_split(X, 7), 5, accelerated=True, n_threads=n, **EM) for n in (1, workers))
    assert any("jumped" in note for note in one.notes)
    assert there.objective == one.objective
    same_bits(there.model, one.model)


class Halves(BlockViews):
    """The first half of the features of blocks."""

    def __init__(self, blocks: Any) -> None:
        self.blocks = blocks

    def views(self) -> Iterator[Callable[[Any], Any]]:
        return itertools.repeat(_half)


def _half(block: Any) -> Any:
    return block[:, : block.shape[1] // 2]


def test_blocks_are_sent_once_and_are_gone_with_those_of_this_process(workers: DaskWorkers, client: Any) -> None:
    sent: list[int] = []
    scatter = client.scatter
    with mock.patch.object(client, "scatter", lambda data, **how: sent.append(len(data)) or scatter(data, **how)):
        blocks: Any = ArrayBlocks(X.copy(), 600)
        for view in (blocks, blocks, Halves(blocks), Halves(Halves(blocks))):
            one, there = (fit_gmm(view, 3, n_threads=n, **EM) for n in (1, workers))
            same_bits(there.model, one.model)
        assert sum(sent) == 10
        fit_gmm(list(blocks), 3, n_threads=workers, **EM)
        assert sum(sent) == 20, "those of a list are sent once for each training"
    assert _held(client, 10) == 10
    del blocks, view, one, there
    assert _held(client, 0) == 0


def _held(client: Any, expected: int) -> int:
    """How many blocks the workers hold, after a while in which they forget what nobody here has."""
    deadline = time.monotonic() + 30
    while True:
        found = len({key for keys in client.has_what().values() for key in keys if "ndarray" in str(key)})
        if found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("size", [400, 40], ids=["single blocks", "whole groups"])
def test_a_worker_that_is_killed_between_iterations_changes_no_bit(doomed: Any, size: int) -> None:
    blocks = ArrayBlocks(X, size)
    one = fit_gmm(blocks, 5, n_threads=1, **EM)

    def watch(iteration: int, *_: Any) -> None:
        if iteration == 1:
            kill_one(doomed)

    same_bits(fit_gmm(blocks, 5, n_threads=dask(doomed), on_iteration=watch, **EM).model, one.model)


def _dying(flag: Path, first: float, model: Any, block: Any) -> Any:
    """The E-step, in which the worker dies that has one of the blocks, once."""
    if block[0, 0] == first and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return statistics_of(model, block)


@pytest.mark.parametrize("size", [300, 40], ids=["single blocks", "whole groups"])
def test_a_worker_that_is_killed_in_an_iteration_changes_no_bit(doomed: Any, size: int, tmp_path: Path) -> None:
    blocks, start = ArrayBlocks(X, size), initialize(X, 5, method="random")
    m_step = functools.partial(maximize, floor=Floor())
    one = fit(start, blocks, m_step, stop=Stop(0.0, 3), n_threads=1)
    e_step = functools.partial(_dying, tmp_path / "flag", X[3000, 0])
    there = fit(start, blocks, m_step, stop=Stop(0.0, 3), e_step=e_step, n_threads=dask(doomed))
    assert (tmp_path / "flag").exists()
    same_bits(there.model, one.model)


def test_work_that_kills_whoever_does_it_is_refused(doomed: Any) -> None:
    with (
        mock.patch.object(doomed.cluster.scheduler, "allowed_failures", 0),
        pytest.raises(BrokenCluster, match=r"a Dask cluster must survive the work; got .*Give the workers more memory"),
    ):
        list(dask(doomed)(_die, [1]))


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_blocks_that_are_lost_again_and_again_are_refused(workers: DaskWorkers, monkeypatch: Any) -> None:
    def lost(self: Any, future: Any) -> Any:
        raise CancelledError

    monkeypatch.setattr(DaskWorkers, "_result", lost)
    with pytest.raises(BrokenCluster, match="must keep blocks until they are summed; got blocks that were lost 10"):
        fit_gmm(X, 2, n_threads=workers, **EM)


def test_features_and_their_errors_are_those_of_this_process(workers: DaskWorkers, tmp_path: Path) -> None:
    sounds = list(read_corpus(DATA / "manifest.csv"))[:4]
    every: list[Any] = [*sounds, str(tmp_path / "missing.flac"), np.zeros(100)]
    told: list[Any] = []
    frontend = MFCC()
    here = list(extract_all(frontend, every, n_threads=1))
    there = list(extract_all(frontend, every, n_threads=workers, on_progress=lambda *news: told.append(news)))
    assert told == [("recordings", i, 6) for i in range(1, 7)]
    for a, b in zip(here, there, strict=True):
        assert (a.name, a.digest, a.speech_seconds, str(a.error)) == (b.name, b.digest, b.speech_seconds, str(b.error))
        assert type(a.error) is type(b.error)
        if a.features is not None:
            np.testing.assert_array_equal(b.usable(), a.usable())
            assert sum(map(len, b.blocks())) == len(a.usable())
    assert [e.error is None for e in there] == [True] * 4 + [False] * 2


def test_features_of_a_long_recording_come_back_from_their_file(workers: DaskWorkers, tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(50, 3))
    mapped[:] = 7
    (e,) = extract_all(MFCC(), [np.zeros(100)], functools.partial(_with_features, mapped), n_threads=workers)
    assert type(e.features) is np.ndarray
    np.testing.assert_array_equal(np.concatenate(list(e.blocks())), np.full((50, 3), 7))


def _with_features(features: Any, e: Any) -> Any:
    from dataclasses import replace

    return replace(e, features=features, error=None)


@pytest.fixture(scope="module")
def few() -> Iterator[None]:
    """Fewer iterations, fewer simulated stores and a smaller cohort than of real speech: this process says how many."""
    few_steps = train_ubm.Schedule(0, Stop(0.0, 3), Stop(0.0, 2))
    with mock.patch.multiple(held_out, SEARCHES=8, COHORT=8), mock.patch.object(train_ubm, "USUAL", few_steps):
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, few: None) -> tuple[Path, bytes]:
    """Features of twenty people, as few as a calibration takes, and the model that one thread makes of them."""
    manifest = twenty_people(tmp_path_factory.mktemp("people"))
    one = manifest.parent / "one"
    assert run("train", manifest, "-o", one, "--components", 3, "--threads", 1).status == 0
    return manifest, one.read_bytes()


def test_a_model_has_the_same_bytes_from_a_cluster_though_a_worker_is_killed(
    made: tuple[Path, bytes], doomed: Any, tmp_path: Path
) -> None:
    manifest, one = made
    killed: list[str] = []
    workers = dask(doomed)

    def watch(stage: str, done: int, of: int) -> None:
        if (stage, done) in {("EM", 2), ("fold 2 of 4", 1)} and stage not in killed:
            killed.append(stage)
            kill_one(doomed)

    for n_threads in (2, workers):
        report = watch if n_threads is workers else None
        training = train_system(read_corpus(manifest), n_components=[3], n_threads=n_threads, on_progress=report)
        training.system.save(tmp_path / "m")
        assert training.system.calibration is not None
        assert (tmp_path / "m").read_bytes() == one
    assert killed == ["EM", "fold 2 of 4"]


def test_the_command_trains_on_a_cluster(made: tuple[Path, bytes], local: Any, workers: Any, tmp_path: Path) -> None:
    manifest, one = made
    options = ("train", manifest, "-o", tmp_path / "m", "--components", 3)
    found = run(*options, "--dask", local.scheduler_address, "--json")
    assert (found.status, found.err) == (0, "")
    assert (tmp_path / "m").read_bytes() == one
    run(*options, "--dask", local.scheduler_address, "--threads", 1).misused("give --threads or --dask, not both")


def test_scores_are_those_of_one_thread(made: tuple[Path, bytes], workers: DaskWorkers, tmp_path: Path) -> None:
    manifest, _ = made
    system, corpus = load_system(manifest.parent / "one"), read_corpus(manifest)
    tests = [r for r in corpus if not r.name.endswith("_0.npy")]
    with SpeakerStore(tmp_path / "s.db", system, create=True) as store:
        enroll(system, store, [r for r in corpus if r.name.endswith("_0.npy")], n_threads=1)
        for by in ("file", "session"):
            here, there = (score_corpus(system, store, tests, by=by, n_threads=n) for n in (1, workers))
            _same_scores(here, there)
        pairs = Trials(["p0", "p1", "p2"], ["p0_1.npy", "p0_0.npy", "p1_2.npy"], [1, 0, 0])
        told: list[Any] = []
        among = Trials(["p0_0.npy"] * 2, ["p0_1.npy", "p0_0.npy"], [1, 1])
        for store_or_none, trials in ((store, pairs), (None, among)):
            here = score_trials(system, store_or_none, trials, corpus, n_threads=1)
            there = score_trials(
                system, store_or_none, trials, corpus, n_threads=workers, on_progress=lambda *news: told.append(news)
            )
            _same_scores(here, there)
        assert ("recordings", 3, 3) in told
        assert len(there.skipped) == 1, "a recording against itself"


def _same_scores(one: Any, other: Any) -> None:
    assert one.skipped == other.skipped
    np.testing.assert_array_equal(one.scores.score, other.scores.score)
    assert one.scores.test.tolist() == other.scores.test.tolist()


def test_no_scheduler_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TIMEOUT", 0.3)
    words = r"a Dask scheduler at 127\.0\.0\.1:9 must answer within 0\.3 s; got .*Start one with: dask scheduler"
    with pytest.raises(BrokenCluster, match=words), connected("127.0.0.1:9"):
        pass
    (tmp_path / "m.csv").write_text("path,speaker\na.npy,a\n")
    np.save(tmp_path / "a.npy", np.zeros((9, 2)))
    train = ("train", tmp_path / "m.csv", "-o", tmp_path / "m", "--dask")
    run(*train, "127.0.0.1:9").refused("a Dask scheduler at 127.0.0.1:9 must answer")
    run(*train, "nonsense://").refused("a Dask scheduler at nonsense:// must answer")


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    how = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    words = r"a Dask cluster must have at least one worker; got none for 0\.3 s\. Start some"
    with (
        distributed.LocalCluster(n_workers=0, **how) as empty,
        distributed.Client(empty, set_as_default=False) as client,
        pytest.raises(BrokenCluster, match=words),
    ):
        dask(client)


class Ended:
    """A client, or the result of a task, whose scheduler is gone."""

    status = "closed"

    def nthreads(self) -> dict[str, int]:
        raise OSError("no connection")

    def result(self, timeout: float) -> Any:
        raise CancelledError


def test_a_scheduler_that_has_ended_is_told(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenCluster, match="a Dask cluster must keep its scheduler; got no connection"):
        DaskWorkers(Ended())
    workers = DaskWorkers(client)
    monkeypatch.setattr(workers, "_client", Ended())
    with pytest.raises(BrokenCluster, match="a Dask cluster must keep its scheduler; got a scheduler that is gone"):
        workers._result(Ended())


def test_blocks_that_no_worker_takes_are_refused(workers: DaskWorkers, client: Any, monkeypatch: Any) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise OSError("lost")

    monkeypatch.setattr(client, "scatter", lost)
    with pytest.raises(BrokenCluster, match="must take blocks; got workers that were lost 10 times in a row"):
        fit_gmm(X, 2, n_threads=workers, **EM)


def test_other_versions_are_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "2.7.18")
    words = r"the Dask worker tcp://.* must have python 2\.7\.18, as this process has; got python 3.*same environment"
    with pytest.raises(IncompatibleModel, match=words):
        dask(client)


def test_without_this_package_workers_are_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"tcp://one": ModuleNotFoundError("No module named 'speechgmm'")}
    monkeypatch.setattr(client, "run", lambda *_, **__: lacking)
    with pytest.raises(IncompatibleModel, match="tcp://one must have this package; got No module named 'speechgmm'"):
        dask(client)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"distributed must be installed .*'speechgmm\[dask\]'"), connected("a:1"):
        pass

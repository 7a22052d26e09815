"""Work shared by the workers of a Dask cluster, which somebody else has started: the only place of Dask.

Blocks are placed on workers once and stay there; a pass over them sends out a function, once, and brings back a sum for
each 16 of them. What Dask can make again after a worker is lost, it makes again by itself: that is all but the blocks,
which are then sent anew from this process. Workers import this package, and hold BLAS to one thread from then on.
"""

import functools
import itertools
import math
import platform
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NoReturn, TypeVar

import numpy as np

from speechgmm.checks import extra, refuse
from speechgmm.errors import BrokenCluster, IncompatibleModel
from speechgmm.parallel.local import begin_worker
from speechgmm.parallel.sums import FAN_IN, BlockRange, View, folded, innermost, views_of

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 3
"""So many items for each thread of the cluster are under way at once: enough that none waits for this process."""
EACH = 4
"""A pass has so many tasks for each thread, or some more, of 1, 2, 4, 8 or 16 blocks in a row on one worker: enough to
be shared evenly, and few, for the scheduler takes a millisecond for each. Where it is 16, sums stay at home."""
ATTEMPTS = 10
"""So often a group of blocks is begun anew, each time after workers were lost."""
TIMEOUT = 10.0
"""Seconds that a scheduler may take to answer."""
PATIENCE = 60.0
"""Seconds for which a cluster may be without any worker."""
_SAME = ("dask", "distributed", "numba", "numpy", "scipy")
"""What must be of one version besides Python and this package: what things travel by, and what numbers depend on."""


def dask(client: Any) -> "DaskWorkers":
    """Return the workers of a Dask cluster as a mapper that stands where `n_threads` does.

    Parameters
    ----------
    client : distributed.Client
        Connected to any cluster: a `LocalCluster`, one over SSH, of dask-jobqueue, of Kubernetes. It stays open. One
        made with ``direct_to_workers=True`` sends blocks to workers past the scheduler, where the network lets it.

    Returns
    -------
    DaskWorkers

    Raises
    ------
    BrokenCluster
        If no worker is there after a minute.
    IncompatibleModel
        If a worker has other versions than this process, or not this package.

    Examples
    --------
    >>> from distributed import Client, LocalCluster  # doctest: +SKIP
    >>> with Client(LocalCluster(n_workers=2, threads_per_worker=1)) as client:  # doctest: +SKIP
    ...     list(dask(client)(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    made = DaskWorkers(client)
    _check_versions(client)
    return made


@contextmanager
def connected(address: str) -> Iterator["DaskWorkers"]:
    """Give a context with the workers of the scheduler at an address, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    BrokenCluster
        If no scheduler answers there, or no worker is there after a minute.
    IncompatibleModel
        If a worker has other versions than this process, or not this package.

    Examples
    --------
    >>> with connected("tcp://10.0.0.1:8786") as mapper:  # doctest: +SKIP
    ...     list(mapper(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    distributed = extra("distributed", "dask")
    advice = "Start one with: dask scheduler, and workers with: dask worker ADDRESS."
    try:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        refuse(f"a Dask scheduler at {address}", f"answer within {TIMEOUT:g} s", why, advice, error=BrokenCluster)
    with client:
        yield dask(client)


class DaskWorkers:
    """The workers of a Dask cluster as a mapper, and as one that sums blocks where they are: see `dask`.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        """Begin without any blocks."""
        self._client = client
        self._placed: weakref.WeakKeyDictionary[Any, _Placed] = weakref.WeakKeyDictionary()
        self._threads()

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Yield `function(item)` in the order of `items`; both are sent to the workers, and the results back."""
        shared, ahead = self._shared(function), AHEAD * sum(self._threads().values())
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(self._submit(_call, shared, _Shipped.of(item)))
            if len(waiting) >= ahead:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def group_sums(self, function: Callable[[Any], Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """Yield in order, for each 16 blocks in a row, the sum of `function(block)`, from left to right.

        Blocks stay on the workers as long as they exist here, or the others do that they are views of; those of a plain
        list for this call. A group whose blocks were lost is done again.
        """
        every, some = (blocks.blocks, blocks.numbers) if isinstance(blocks, BlockRange) else (blocks, None)
        shared, base, views = self._shared(function), innermost(every), views_of(every)
        placed = self._place(base)
        ahead = max(2, math.ceil(2 * EACH * placed.threads * placed.run / FAN_IN))
        waiting: deque[_Group] = deque()
        numbers = range(len(placed.futures)) if some is None else some
        views = itertools.islice(views, numbers.start, None)
        for i in range(0, len(numbers), FAN_IN):
            own = numbers[i : i + FAN_IN]
            group = _Group(base, placed, own, tuple(itertools.islice(views, len(own))), shared)
            group.future = self._begin(group)
            waiting.append(group)
            if len(waiting) >= ahead:
                yield self._finish(waiting)
        while waiting:
            yield self._finish(waiting)

    def _finish(self, waiting: "deque[_Group]") -> Any:
        """Return the sum of the first group; begin anew those of all groups whose blocks were lost."""
        for _ in range(ATTEMPTS):
            try:
                found = self._result(waiting[0].future)
            except CancelledError:
                for group in waiting:
                    if group.future.cancelled():
                        group.future = self._begin(group)
            else:
                waiting.popleft()
                return found
        return _broken("keep blocks until they are summed", f"blocks that were lost {ATTEMPTS} times in a row")

    def _begin(self, group: "_Group") -> Any:
        """Begin the sum of a group, after its blocks were placed again where they were lost."""
        placed = group.placed
        if lost := [i for i in group.numbers if placed.futures[i].status != "finished"]:
            self._send(placed, lost, [_block(group.base, i) for i in lost])
        futures = [placed.futures[i] for i in group.numbers]
        if placed.run == FAN_IN:
            return self._submit(_sum, group.shared, _Shipped.of(group.views), *futures)
        parts = [
            self._submit(
                _values, group.shared, _Shipped.of(group.views[i : i + placed.run]), *futures[i : i + placed.run]
            )
            for i in range(0, len(futures), placed.run)
        ]
        return self._submit(_add, *parts)

    def _place(self, base: Any) -> "_Placed":
        """Return where blocks are; those that are nowhere yet are sent to the workers in turn."""
        with_weak = getattr(type(base), "__weakrefoffset__", 0) != 0
        if with_weak and (found := self._placed.get(base)):
            return found
        n = len(base) if hasattr(base, "__len__") else 0
        threads = sum(self._threads().values())
        placed = _Placed(threads, run=_run(n, threads))
        blocks = iter(base)
        while some := list(itertools.islice(blocks, placed.run)):
            start = len(placed.futures)
            placed.futures += [None] * len(some)
            self._send(placed, range(start, start + len(some)), some)
        if with_weak:
            self._placed[base] = placed
        return placed

    def _send(self, placed: "_Placed", numbers: Iterable[int], blocks: list[Any]) -> None:
        """Send some blocks to the worker whose turn it is."""
        for _ in range(ATTEMPTS):
            workers = [name for name, n in sorted(self._threads().items()) for _ in range(n)]
            to = workers[placed.turn % len(workers)]
            placed.turn += 1
            try:
                futures = self._client.scatter(list(map(_plain, blocks)), workers=[to], hash=False)
            except (OSError, KeyError, ValueError):  # it was lost on the way
                continue
            for i, future in zip(numbers, futures, strict=True):
                placed.futures[i] = future
            return
        _broken("take blocks", f"workers that were lost {ATTEMPTS} times in a row")

    def _shared(self, function: Callable[..., Any]) -> Any:
        """Return a function as the result of a task: sent once, fetched by each worker once, and never lost."""
        return self._submit(_itself, _Shipped.of(function))

    def _submit(self, function: Callable[..., Any], *args: Any) -> Any:
        import dask

        # what is sent is a model for each pass, and a few items at a time, however large
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            return self._client.submit(function, *args, pure=False)

    def _result(self, future: Any) -> Any:
        """Return the result of a task, or raise what it has raised."""
        from distributed.scheduler import KilledWorker

        while True:
            try:
                return future.result(timeout=PATIENCE)
            except TimeoutError:
                if not future.done():
                    self._threads()  # as long as there are workers, it takes its time
                    continue
                raise
            except KilledWorker as error:
                _broken("survive the work", str(error), "Give the workers more memory, or fewer threads each.")
            except CancelledError:
                if self._client.status != "running":
                    _broken("keep its scheduler", "a scheduler that is gone")
                raise

    def _threads(self) -> dict[str, int]:
        """Return how many threads each worker has, once there is one."""
        try:
            if not (found := dict(self._client.nthreads())):
                self._client.wait_for_workers(1, timeout=PATIENCE)
                found = dict(self._client.nthreads())
        except TimeoutError:
            _broken("have at least one worker", f"none for {PATIENCE:g} s", "Start some: dask worker ADDRESS.")
        except OSError as error:
            _broken("keep its scheduler", str(error))
        return found


@dataclass(eq=False)
class _Placed:
    """Where blocks are, by their numbers, and whose turn is next; `run` of them in a row lie on one worker.

    It does not hold the blocks themselves, with which it is gone.
    """

    threads: int
    run: int
    futures: list[Any] = field(default_factory=list)
    turn: int = 0


@dataclass(eq=False)
class _Group:
    """Blocks in a row, the function whose values are summed over views of them, and the sum that is under way."""

    base: Any
    placed: _Placed
    numbers: range
    views: tuple[View, ...]
    shared: Any
    future: Any = None


class _Shipped:
    """Something that is pickled once, travels as bytes, and is read once by each process that asks for it."""

    def __init__(self, data: bytes) -> None:
        """Hold what was pickled."""
        self._data = data

    @classmethod
    def of(cls, value: Any) -> "_Shipped":
        """Return a value as it travels; functions that were made inside others are pickled with what they hold."""
        return cls(extra("cloudpickle", "dask").dumps(value))

    @functools.cached_property
    def value(self) -> Any:
        """What was pickled."""
        return extra("cloudpickle", "dask").loads(self._data)

    def __reduce__(self) -> tuple[type, tuple[bytes]]:
        """Travel without what was read."""
        return _Shipped, (self._data,)


def _itself(shipped: _Shipped) -> _Shipped:
    return shipped


def _call(function: _Shipped, item: _Shipped) -> Any:
    """Return `function(item)`, on a worker."""
    begin_worker()
    return function.value(item.value)


def _sum(function: _Shipped, views: _Shipped, *blocks: Any) -> Any:
    """Return the sum of a function over views of blocks, on the worker that has them."""
    return folded(_values(function, views, *blocks))


def _values(function: _Shipped, views: _Shipped, *blocks: Any) -> list[Any]:
    """Return the values of a function of views of blocks, on the worker that has them."""
    begin_worker()
    return [function.value(view(block)) for view, block in zip(views.value, blocks, strict=True)]


def _add(*parts: list[Any]) -> Any:
    """Return the sum of values, on a worker."""
    return folded(itertools.chain(*parts))


def _run(n: int, n_threads: int) -> int:
    """Return how many of `n` blocks in a row make one task."""
    return next((run for run in (16, 8, 4, 2) if n >= EACH * n_threads * run), 1)


def _block(base: Iterable[Any], i: int) -> Any:
    """Return one of the blocks, which are iterated up to it where they cannot be indexed."""
    return base[i] if hasattr(base, "__getitem__") else next(itertools.islice(base, i, None))


def _plain(block: Any) -> Any:
    """Return a block as it travels: rows of a mapped file as an array."""
    return np.asarray(block) if isinstance(block, np.memmap) else block


def _versions() -> dict[str, str]:
    """Return the versions of what the result depends on in this process."""
    from speechgmm import __version__

    return {"speechgmm": __version__, "python": platform.python_version(), **{n: metadata.version(n) for n in _SAME}}


def _check_versions(client: Any) -> None:
    """Refuse workers of other versions than those of this process, or without this package."""
    own = _versions()
    advice = "Let all of them run in the same environment."
    for worker, found in sorted(client.run(_versions, on_error="return").items()):
        if isinstance(found, BaseException):
            refuse(f"the Dask worker {worker}", "have this package", str(found), advice, error=IncompatibleModel)
        for name, version in own.items():
            if found[name] != version:
                rule, other = f"have {name} {version}, as this process has", f"{name} {found[name]}"
                refuse(f"the Dask worker {worker}", rule, other, advice, error=IncompatibleModel)


def _broken(rule: str, found: str, advice: str = "") -> NoReturn:
    refuse("a Dask cluster", rule, found, advice, error=BrokenCluster)

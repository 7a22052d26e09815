"""Work shared by threads of this process, and how its progress is told: functions shaped like the builtin `map`.

Results come in the order of the items whatever finishes first, so ordered sums give the same bits with any number
of workers; at most two items per worker are under way, so memory stays constant. numpy's own threads are held to
one per worker.
"""

import contextlib
import functools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import numpy as np

from speechgmm.checks import integer

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

Progress = Callable[[str, int, int], None]
"""Called with a stage of long work, how much of it is done, and how much there is."""


@runtime_checkable
class HearsSeconds(Protocol):
    """A `Progress` that is told more of recordings: how many seconds of speech there were so far."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take how many recordings are done, and how many there are."""

    def heard(self, stage: str, seconds: float, /) -> None:
        """Take the seconds of speech in the recordings of this stage, before each count."""


_FREED = 31 << 20
_here = threading.local()
"""What this thread holds to one thread already: `held`."""


class Mapper(Protocol):
    """Anything called like the builtin `map` with one iterable."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Yield `function(item)` in the order of `items`."""


Threads = int | Mapper | None
"""How many threads, by default the cores of this process; or a mapper in their place, such as a Dask cluster."""


def available_cores() -> int:
    """Return how many cores this process may use.

    Examples
    --------
    >>> available_cores() >= 1
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def allowed_cores() -> int:
    """Return how many cores threads may take: what environment, joblib or threadpoolctl allow BLAS and OpenMP.

    Examples
    --------
    >>> from speechgmm.parallel import available_cores
    >>> 1 <= allowed_cores() <= available_cores()
    True
    """
    allowed = [pool["num_threads"] for pool in _libraries(len(sys.modules)).info()]
    return min(available_cores(), max(allowed, default=1))


def workers(n_threads: int | None, jobs: int) -> int:
    """Return how many threads to start for so many jobs: `n_threads`, by default the cores, and no more than jobs.

    Examples
    --------
    >>> workers(8, jobs=3), workers(2, jobs=100)
    (3, 2)
    """
    return min(_number(n_threads), max(jobs, 1))


def own_threads(n_threads: Threads) -> int | None:
    """Return how many threads take work that must stay in this process: all cores where a mapper is given.

    Examples
    --------
    >>> own_threads(2), own_threads(map)
    (2, None)
    """
    return None if callable(n_threads) else n_threads


def threads(n_threads: Threads = None) -> Mapper:
    """Return a `map` that runs on so many threads (default: the cores of this process); a mapper is one already.

    Examples
    --------
    >>> list(threads(2)(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    if callable(n_threads):
        return n_threads
    n = _number(n_threads)

    def mapper(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        with single_threaded():
            if n == 1:
                yield from map(function, items)
                return
            with ThreadPoolExecutor(n, initializer=begin_worker) as pool:
                yield from _ordered(pool, function, items, 2 * n)

    return mapper


def counted(items: Iterable[T], stage: str, total: int, on_progress: Progress | None) -> Iterator[T]:
    """Yield items, and tell after each how many there were.

    Examples
    --------
    >>> list(counted("ab", "letters", 2, lambda stage, done, total: print(stage, done, "of", total)))
    letters 1 of 2
    letters 2 of 2
    ['a', 'b']
    """
    for done, item in enumerate(items, 1):
        yield item
        if on_progress:
            on_progress(stage, done, total)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Give a context in which BLAS and OpenMP use one thread: sums then do not depend on the machine's load.

    OpenMP keeps its limit for each thread, so that each worker sets its own. Inside another such context of the same
    thread it does nothing, unless libraries have been loaded since.

    Examples
    --------
    >>> import numpy as np
    >>> with single_threaded():
    ...     product = np.ones((2, 3)) @ np.ones((3, 2))
    >>> product.tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    outer, libraries = _held(), _libraries(len(sys.modules))
    if outer is libraries:
        yield
        return
    with libraries.limit(limits=1):
        _here.held = libraries
        try:
            yield
        finally:
            _here.held = outer


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute on the thread that calls it: the same bits everywhere, and small products are faster.

    Examples
    --------
    >>> import numpy as np
    >>> product = one_thread(np.matmul)
    >>> product(np.ones((2, 3)), np.ones((3, 2))).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """

    @functools.wraps(function)
    def held(*args: P.args, **kwargs: P.kwargs) -> R:
        if _held() is _libraries(len(sys.modules)):  # as `single_threaded` does, but a context takes longer
            return function(*args, **kwargs)
        with single_threaded():
            return function(*args, **kwargs)

    return held


def keep_freed_memory() -> None:
    """Let the C library keep pieces of up to 32 MB that are freed, for those who ask next.

    glibc gives large pieces back to the system at once, and has them made again page by page, which takes longer than
    to copy them. Once a larger one has been freed it keeps them; other libraries take no notice.

    Examples
    --------
    >>> keep_freed_memory()  # once, before work on many large arrays
    """
    np.empty(_FREED, np.uint8)


def begin_worker() -> None:
    """Let the thread that calls this be one of many as long as it lives: libraries take one thread, and so do maps."""
    libraries = _libraries(len(sys.modules))
    _here.one_of_many = True
    if _held() is not libraries:
        _here.held = libraries
        libraries.limit(limits=1)


def _held() -> Any:
    """Return the libraries that this thread holds to one thread already, if any."""
    return getattr(_here, "held", None)


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:
    """Return the thread pools of this process; finding them takes milliseconds, so only when `modules` has changed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _number(n_threads: int | None) -> int:
    """Return how many threads to take: by default the cores, but on one of many threads just that one."""
    if n_threads is None:
        return 1 if getattr(_here, "one_of_many", False) else available_cores()
    return integer(n_threads, "n_threads", minimum=1)


def _ordered(pool: Executor, function: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """Yield results in order while at most `ahead` items are under way; stop the rest when one fails."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()

"""Work shared by threads, or by the workers of a Dask cluster: functions shaped like the builtin `map`, ordered sums.

What is called `n_threads` is a number of threads of this process or, where its type is `Threads`, a mapper in their
place, such as `dask(client)`. It changes the time and nothing else.
"""

from speechgmm.parallel.cluster import DaskWorkers, connected, dask
from speechgmm.parallel.local import (
    HearsSeconds,
    Mapper,
    Progress,
    Threads,
    allowed_cores,
    available_cores,
    counted,
    keep_freed_memory,
    one_thread,
    own_threads,
    single_threaded,
    threads,
    workers,
)
from speechgmm.parallel.sums import BlockRange, BlockViews, SummingMapper, sum_over, total

__all__ = [
    "BlockRange",
    "BlockViews",
    "DaskWorkers",
    "HearsSeconds",
    "Mapper",
    "Progress",
    "SummingMapper",
    "Threads",
    "allowed_cores",
    "available_cores",
    "connected",
    "counted",
    "dask",
    "keep_freed_memory",
    "one_thread",
    "own_threads",
    "single_threaded",
    "sum_over",
    "threads",
    "total",
    "workers",
]

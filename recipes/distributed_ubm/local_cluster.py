"""A Dask cluster of processes on this machine, for as long as it is needed, or the client of one that is there."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

__all__ = ["cluster", "kill_one"]


@contextlib.contextmanager
def cluster(scheduler: str | None, workers: int = 2) -> Iterator[Any]:
    """Give a client of the scheduler at an address or, without one, of a cluster of processes that is started here."""
    from distributed import Client, LocalCluster

    if scheduler:
        with Client(scheduler) as client:
            yield client
        return
    # one thread for each process, on this machine alone; that a worker is lost is told below, not in Dask's log
    how: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=workers, threads_per_worker=1, **how) as local, Client(local) as client:
        yield client


def kill_one(client: Any) -> None:
    """Kill one of the workers (SIGKILL), as the kernel does to what takes too much memory."""
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

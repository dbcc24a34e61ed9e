"""Where the jobs of a study run: one after the other in this process, or on Ray."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Protocol

import torch

from tribute.cluster.plan import Job, done_of
from tribute.config import ClusterSettings
from tribute.progress import OnDone, ticking

LOOK_S = 2.0
"""Seconds between two looks at how far a job in this process is."""


class Workers(Protocol):
    """Runs jobs; their order and number change no result."""

    def run(
        self, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Job], on_done: OnDone
    ) -> list[Any]:
        """`body(*shared, job)` of every job, in the order of the jobs."""
        ...


class InProcess:
    """Runs jobs in this process, each on one thread, as a worker of a cluster does.

    One thread, because the last digits of a result depend on the number of threads.
    """

    def run(
        self, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Job], on_done: OnDone
    ) -> list[Any]:
        """`body(*shared, job)` of every job, in the order of the jobs."""
        results = list[Any]()

        def look() -> None:
            finished = len(results)
            on_done(*done_of(jobs, range(finished), range(finished, min(finished + 1, len(jobs)))))

        with one_thread(), ticking(LOOK_S, look):
            for job in jobs:
                results.append(body(*shared, job))
                look()
        return results


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, for the length of a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_ray(address: bool | str, stack: ExitStack) -> Workers:
    """Workers on Ray, which end with the stack.

    Args:
        address: True starts Ray on this machine; `auto` or `host:port` joins a cluster.
    """
    settings = ClusterSettings() if address is True else ClusterSettings(address=str(address))
    pool = import_module("tribute.cluster.pool")  # Ray is loaded by those who ask for it
    stack.enter_context(pool.ray_session(settings))
    workers: Workers = pool.BodyPool(settings)
    stack.callback(workers.close)  # type: ignore[attr-defined]
    return workers

"""Where the jobs of a study run: one after the other in this process, or on Ray."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Protocol

import torch

from tribute.config import ClusterSettings


class Workers(Protocol):
    """Runs jobs; their order and number change no result."""

    def run(self, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Any]) -> list[Any]:
        """`body(*shared, job)` of every job, in the order of the jobs."""
        ...


class InProcess:
    """Runs jobs in this process, each on one thread, as a worker of a cluster does.

    One thread, because the last digits of a result depend on the number of threads.
    """

    def run(self, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Any]) -> list[Any]:
        """`body(*shared, job)` of every job, in the order of the jobs."""
        with one_thread():
            return [body(*shared, job) for job in jobs]


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

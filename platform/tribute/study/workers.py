"""Where the jobs of a study run: one after the other in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch


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

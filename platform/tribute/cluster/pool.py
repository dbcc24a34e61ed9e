"""Ray workers that run any job's body, for a study that has neither a project nor a corpus snapshot."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import ray

from tribute.cluster.coordinate import JobQueue, end_actors, gpus_per_worker, start_actors
from tribute.cluster.process import prepare_process
from tribute.cluster.session import ray_session
from tribute.config import ClusterSettings
from tribute.progress import OnDone

__all__ = ["BodyPool", "ray_session"]


class BodyWorker:
    """Runs the bodies of jobs."""

    def __init__(self) -> None:
        prepare_process()

    def pid(self) -> int:
        """The worker's process id; answers once the worker is up."""
        return os.getpid()

    def run(self, body: Callable[..., Any], job: Any, *shared: Any) -> Any:
        """`body(*shared, job)`."""
        return body(*shared, job)


class BodyPool:
    """Workers in one placement group. What jobs share is placed in the object store once."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._patience = settings.start_timeout_s
        self._group, self._actors = start_actors(settings, gpus_per_worker(settings), BodyWorker)

    def run(
        self, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Any], on_done: OnDone
    ) -> list[Any]:
        """`body(*shared, job)` of every job, in the order of the jobs; raises what a job raised."""
        held = [ray.put(each) for each in shared]

        def submit(actor: Any, job: Any) -> Any:
            return actor.run.remote(body, job, *held)

        return JobQueue(self._actors, jobs, submit, on_done, self._patience, False).run()

    def close(self) -> None:
        """End the workers."""
        end_actors(self._group, self._actors)

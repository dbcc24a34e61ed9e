"""The driver's side of the cluster: start Ray, place the shards, keep them busy, survive their deaths.

Every Ray Core call of tribute is in this file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayTaskError

from tribute.cluster.plan import owners
from tribute.cluster.shards import SourceShard, assemble
from tribute.config import Cluster, Project
from tribute.corpus import Manifest
from tribute.errors import SimulationError, TributeError
from tribute.training import TrainingSet

Job = TypeVar("Job")
RESTARTS = 3
OnDone = Callable[[int, int], None]
"""Called with the number of finished jobs and of all jobs."""


@contextmanager
def ray_session(settings: Cluster) -> Iterator[None]:
    """A Ray cluster for the length of a block: a local one started here, or the one at `cluster.address`.

    Joins a session that the process already has, and then leaves it running.
    """
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {
        "address": settings.address,
        "log_to_driver": False,
        "logging_level": "error",
    }
    if settings.address == "local":
        options |= {"num_cpus": max(settings.workers, os.cpu_count() or 1), "include_dashboard": False}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError) as error:
        raise SimulationError(
            f"No Ray cluster answers at cluster.address {settings.address!r}: {error}. "
            "Start one, or set `address: local`"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


class Shards:
    """The `SourceShard` actors of a run and the training set they share.

    Jobs are handed out one per shard at a time, to whichever is free. A shard whose process dies is restarted
    by Ray and its job called again; jobs keep what they finished, so a repeated one costs what was lost.
    """

    def __init__(self, project: Project, snapshot: Path, manifest: Manifest) -> None:
        workers = project.cluster.workers
        remote: Any = ray.remote(SourceShard)
        gpus = _gpus_per_worker(project.cluster)
        configured = remote.options(
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
        )
        tokens = [source.tokens for source in manifest.sources]
        owned = owners([source.source_id for source in manifest.sources], tokens, workers)
        self._actors: list[Any] = [
            configured.remote(project, snapshot, sources, gpus > 0) for sources in owned if sources
        ]
        pieces = [actor.read.remote() for actor in self._actors]
        self.data: ray.ObjectRef[TrainingSet] = ray.remote(num_cpus=0)(assemble).remote(*pieces)

    def put(self, value: object) -> Any:
        """Place a value in the object store once, for all the jobs that need it."""
        return ray.put(value)

    def run(
        self, jobs: Sequence[Job], submit: Callable[[Any, Job], Any], on_done: OnDone | None = None
    ) -> list[Any]:
        """Run `submit(actor, job)` for every job; results in the order of the jobs.

        Raises:
            TributeError: what a job raised.
            SimulationError: a shard died more often than it may be restarted.
        """
        waiting = list(enumerate(jobs))[::-1]
        free, results = list(self._actors), dict[int, Any]()
        running: dict[Any, tuple[int, Any]] = {}
        while waiting or running:
            while waiting and free:
                index, job = waiting.pop()
                actor = free.pop()
                running[submit(actor, job)] = (index, actor)
            [done], _ = ray.wait(list(running), num_returns=1)
            index, actor = running.pop(done)
            free.append(actor)
            results[index] = _result(done)
            if on_done is not None:
                on_done(len(results), len(jobs))
        return [results[index] for index in range(len(jobs))]

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            ray.kill(actor)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, TributeError):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        raise SimulationError(
            f"A worker died more than {RESTARTS} times ({error}). If its memory ran out, lower simulation.chunk "
            "or cluster.workers; what was finished is kept, so run the same command again"
        ) from error


def _gpus_per_worker(settings: Cluster) -> float:
    if settings.gpus_per_worker is not None:
        return settings.gpus_per_worker
    return min(1.0, ray.cluster_resources().get("GPU", 0.0) / settings.workers)

"""The driver of the cluster: places the shards, hands out jobs, repeats those of dead workers."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from tribute.cluster.plan import Job, done_of, owners
from tribute.cluster.session import SHUTDOWN_S, ray_lives, require_ray, within
from tribute.cluster.shards import CheckJob, ShardSettings, SourceShard
from tribute.config import ClusterSettings
from tribute.corpus.snapshot import snapshot_files
from tribute.errors import AGAIN, MachineError, TributeError
from tribute.progress import OnDone
from tribute.training import TrainingSet, mapped_training_set
from tribute_storage import LakeError

J = TypeVar("J", bound=Job)
ATTEMPTS = 5
"""Times that a job may lose its worker without progress."""


class WorkerPool:
    """The `SourceShard` actors of a run, in one placement group, and the training set that all of them map.

    A free shard gets the costliest waiting job. If a shard's process or node dies, Ray restarts the shard wherever
    there is room, and its job goes to another shard. Jobs keep what they finished, so a repeated job costs only
    what was lost.
    """

    def __init__(self, settings: ClusterSettings, shard: ShardSettings) -> None:
        self._patience = settings.start_timeout_s
        gpus = gpus_per_worker(settings)
        self._group, self._actors = start_actors(settings, gpus, SourceShard, shard, gpus > 0)
        files = snapshot_files(shard.snapshot, "train")
        sizes = {path: path.stat().st_size if path.is_file() else 0 for path in files}
        jobs = [CheckJob({path: files[path] for path in owned}) for owned in owners(sizes, settings.workers)]
        self.run(jobs, lambda actor, job: actor.check.remote(job))
        self.data: TrainingSet = mapped_training_set(shard.snapshot)

    def put(self, value: object) -> Any:
        """Place a value in the object store, once for all jobs that need it."""
        return ray.put(value)

    def run(
        self,
        jobs: Sequence[J],
        submit: Callable[[Any, J], Any],
        on_done: OnDone | None = None,
        *,
        tolerant: bool = False,
    ) -> list[Any]:
        """Run `submit(actor, job)` for every job; results in the order of the jobs.

        Args:
            tolerant: a TributeError becomes the result of the job that raised it, and the other jobs continue.

        Raises:
            TributeError: raised by a job, if not tolerant.
            MachineError: a job lost its worker `ATTEMPTS` times without progress, or no worker came back.
        """
        return JobQueue(self._actors, jobs, submit, on_done, self._patience, tolerant).run()

    def close(self) -> None:
        """End the actors."""
        end_actors(self._group, self._actors)


class JobQueue(Generic[J]):
    """Waiting and running jobs, and shards that are free or restarting."""

    def __init__(
        self,
        actors: Sequence[Any],
        jobs: Sequence[J],
        submit: Callable[[Any, J], Any],
        on_done: OnDone | None,
        patience_s: float,
        tolerant: bool,
    ) -> None:
        self._jobs, self._submit, self._on_done, self._tolerant = list(jobs), submit, on_done, tolerant
        self._waiting = sorted(range(len(jobs)), key=lambda index: (jobs[index].cost, -index))
        self._free, self._results = list(actors), dict[int, Any]()
        self._running: dict[Any, tuple[int, Any]] = {}
        self._restarting: dict[Any, Any] = {}
        self._lost: dict[int, tuple[int, float]] = {}
        self._reported, self._patience, self._busy = -1.0, patience_s, time.monotonic()

    def run(self) -> list[Any]:
        """Run all jobs; results in the order of the jobs."""
        while len(self._results) < len(self._jobs):
            while self._waiting and self._free:
                index, actor = self._waiting.pop(), self._free.pop(0)
                self._running[self._submit(actor, self._jobs[index])] = (index, actor)
            ready, _ = ray.wait([*self._running, *self._restarting], num_returns=1, timeout=0.5)
            require_ray()
            for reference in ready:
                self._settle(reference)
            self._require_a_worker()
            self._report()
        return [self._results[index] for index in range(len(self._jobs))]

    def _require_a_worker(self) -> None:
        if self._running or self._free:
            self._busy = time.monotonic()
        elif time.monotonic() - self._busy > self._patience:
            raise MachineError(
                f"All workers were lost, and none restarted within {self._patience:.0f} s "
                f"(cluster.start_timeout_s). Repair the cluster, {AGAIN}"
            )

    def _settle(self, reference: Any) -> None:
        if reference in self._restarting:
            self._restarted(reference)
            return
        index, actor = self._running.pop(reference)
        try:
            self._results[index] = ray.get(reference)
            self._free.append(actor)
        except RayTaskError as error:
            if not isinstance(error.cause, TributeError | LakeError):
                raise
            self._free.append(actor)
            self._fail(index, error.cause)
        except (RayActorError, OutOfMemoryError) as error:
            require_ray()
            self._restarting[actor.pid.remote()] = actor
            self._lose(index, error)

    def _fail(self, index: int, error: TributeError | LakeError) -> None:
        if not self._tolerant:
            raise error from None
        self._results[index] = error

    def _restarted(self, reference: Any) -> None:
        actor = self._restarting.pop(reference)
        try:
            ray.get(reference)
            self._free.append(actor)
        except RayActorError:
            time.sleep(0.2)
            self._restarting[actor.pid.remote()] = actor

    def _lose(self, index: int, error: RayActorError | OutOfMemoryError) -> None:
        """Repeat a job whose worker died, unless it made no progress in `ATTEMPTS` tries."""
        progress = self._jobs[index].kept()
        losses, before = self._lost.get(index, (0, -1.0))
        self._lost[index] = (1 if progress > before else losses + 1, progress)
        if self._lost[index][0] < ATTEMPTS:
            self._waiting.append(index)
            return
        message = (
            f"A worker died {ATTEMPTS} times at the same point of a job ({error}). If it ran out of memory, lower "
            "simulation.memory_gib or cluster.workers. Finished work is kept: run the same command again"
        )
        self._fail(index, MachineError(message))

    def _report(self) -> None:
        if self._on_done is None:
            return
        done, total = done_of(self._jobs, self._results, [index for index, _ in self._running.values()])
        if done != self._reported:
            self._reported = done
            self._on_done(done, total)


def start_actors(settings: ClusterSettings, gpus: float, worker: type, *options: Any) -> tuple[Any, list[Any]]:
    """`cluster.workers` actors of a class in one placement group: the group, and the actors.

    Args:
        gpus: of each actor.
        options: arguments of the class.
    """
    bundle = {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
    group = placement_group([bundle] * settings.workers, strategy=settings.placement)
    _wait_for(group, settings, bundle)
    remote: Any = ray.remote(worker)
    actors = [
        remote.options(
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=-1,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, index),
        ).remote(*options)
        for index in range(settings.workers)
    ]
    return group, actors


def end_actors(group: Any, actors: Sequence[Any]) -> None:
    """End actors and give back the room of their placement group."""

    def end() -> None:
        for actor in actors:
            ray.kill(actor)
        remove_placement_group(group)

    if ray_lives():  # a dead session has taken them along, and answers nobody
        within(SHUTDOWN_S, end)


def _wait_for(group: Any, settings: ClusterSettings, bundle: dict[str, float]) -> None:
    ready, until = group.ready(), time.monotonic() + settings.start_timeout_s
    while not ray.wait([ready], timeout=0.5)[0]:
        require_ray()
        if time.monotonic() > until:
            remove_placement_group(group)
            raise MachineError(
                f"The cluster had no room for {settings.workers} workers with {bundle} each within "
                f"{settings.start_timeout_s:.0f} s; it has {ray.cluster_resources()}. Lower cluster.workers or "
                "cluster.gpus_per_worker, or add nodes"
            )


def gpus_per_worker(settings: ClusterSettings) -> float:
    """`cluster.gpus_per_worker`, or an equal part of the cluster's."""
    if settings.gpus_per_worker is not None:
        return settings.gpus_per_worker
    return min(1.0, ray.cluster_resources().get("GPU", 0.0) / settings.workers)

"""Tribute on Ray: the worker pool, and the jobs that it runs, one file for each kind of work.

What needs Ray is imported on first use, so that the jobs' bodies run in a process without it.
"""

from typing import TYPE_CHECKING

from tribute.cluster.estimate import EstimateJob, InfluenceJob, named
from tribute.cluster.plan import chunks
from tribute.cluster.readout import FeatureJob, PatchJob, ReadOutJob, WriteJob
from tribute.cluster.simulate import SimulateJob, SketchJob
from tribute.cluster.tokens import TokenInfluence
from tribute.cluster.train import TrainJob
from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute.cluster.coordinate import WorkerPool
    from tribute.cluster.session import ray_session
    from tribute.cluster.shards import ShardSettings

__all__ = [
    "EstimateJob",
    "FeatureJob",
    "InfluenceJob",
    "PatchJob",
    "ReadOutJob",
    "ShardSettings",
    "SimulateJob",
    "SketchJob",
    "TokenInfluence",
    "TrainJob",
    "WorkerPool",
    "WriteJob",
    "chunks",
    "named",
    "ray_session",
]

__getattr__ = first_use(
    __name__, {"coordinate": ["WorkerPool"], "session": ["ray_session"], "shards": ["ShardSettings"]}
)

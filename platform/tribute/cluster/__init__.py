"""Tribute on Ray: the worker pool, and the jobs that it runs, one file for each kind of work."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tribute.cluster.estimate import EstimateJob, InfluenceJob, named
from tribute.cluster.plan import chunks
from tribute.cluster.readout import FeatureJob, PatchJob, ReadOutJob, WriteJob
from tribute.cluster.simulate import SimulateJob, SketchJob
from tribute.cluster.train import TrainJob

if TYPE_CHECKING:
    from tribute.cluster.coordinate import WorkerPool, ray_session

__all__ = [
    "EstimateJob",
    "FeatureJob",
    "InfluenceJob",
    "PatchJob",
    "ReadOutJob",
    "SimulateJob",
    "SketchJob",
    "TrainJob",
    "WorkerPool",
    "WriteJob",
    "chunks",
    "named",
    "ray_session",
]


def __getattr__(name: str) -> Any:
    """What needs Ray is imported on first use, so that the jobs' bodies run in a process without it."""
    if name in ("WorkerPool", "ray_session"):
        return getattr(import_module("tribute.cluster.coordinate"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Tribute on Ray: the worker pool, and the jobs that it runs, one file for each kind of work."""

from tribute.cluster.coordinate import WorkerPool, ray_session
from tribute.cluster.estimate import EstimateJob, InfluenceJob, named
from tribute.cluster.plan import chunks
from tribute.cluster.readout import FeatureJob, PatchJob, ReadOutJob, WriteJob
from tribute.cluster.simulate import SimulateJob, SketchJob
from tribute.cluster.train import TrainJob

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

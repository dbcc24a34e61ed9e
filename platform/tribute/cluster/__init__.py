"""Tribute on Ray: shards of the corpus, and the training, simulation and read-out jobs that they run."""

from tribute.cluster.coordinate import WorkerPool, ray_session
from tribute.cluster.estimate import named
from tribute.cluster.plan import (
    EstimateJob,
    FeatureJob,
    InfluenceJob,
    PatchJob,
    ReadOutJob,
    SimulateJob,
    SketchJob,
    TrainJob,
    WriteJob,
    chunks,
)

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

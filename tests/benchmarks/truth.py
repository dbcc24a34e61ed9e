"""Real leave-one-source-out retraining of a project's own model under other seeds, on its own queries."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from tribute.config import load_project
from tribute.corpus import load_source, read_manifest
from tribute.evaluation import leave_one_out
from tribute.lineage import lineage
from tribute.readout import QueryRows, period_queries
from tribute.training import Recipe, TrainingSet


def totals_of_seed(project_file: Path, period: str, seed: int) -> np.ndarray:
    """Usage-weighted leave-one-out totals per source under one seed, [S], nats."""
    torch.set_num_threads(1)
    project = load_project(project_file)
    folder = project.artifacts / lineage(project).corpus_run
    source_ids = [source.source_id for source in read_manifest(folder).sources]
    data = TrainingSet.assemble({source_id: load_source(folder, source_id, "train") for source_id in source_ids})
    queries = period_queries(project, period)
    uses_Q = queries.weights / queries.inclusion
    recipe = Recipe(project.task, project.training, data, seed)
    return uses_Q @ leave_one_out(recipe, QueryRows.of(queries)).double().numpy()


def retrained_totals(project_file: Path, period: str, seeds: range) -> np.ndarray:
    """`totals_of_seed` for every seed, two at a time, [seeds, S]."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(totals_of_seed, project_file, period, seed) for seed in seeds]
        return np.stack([job.result() for job in jobs])

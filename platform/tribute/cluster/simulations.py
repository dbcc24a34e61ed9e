"""The body of a simulation job.

Legend: P parameters, S sources of the chunk.
"""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import SimulateJob
from tribute.config import Simulation
from tribute.simulation import Responses, paired, write_response
from tribute.training import Recipe, State
from tribute_storage.atomic import write_atomically


def simulate_chunk(
    recipe: Recipe, settings: Simulation, start: list[NDArray], final: NDArray, job: SimulateJob
) -> list[dict[str, Any]]:
    """Simulate the job's sources from the recorded state `start` and write their responses.

    A chunk whose rows are on disk is finished and is not simulated again.

    Args:
        start: theta [P] and the optimizer's slots, each [P], before step `job.start_step`, at or before the
            start of the horizon.
        final: the recorded final parameters, [P]: what the replay must arrive at.
    """
    rows_file = job.folder / f"chunk-{job.chunk:04d}.json"
    if not rows_file.exists():
        theta, *slots = (torch.from_numpy(np.array(value)).to(recipe.device) for value in start)
        first = recipe.horizon_start(settings.horizon)
        everything = torch.ones(len(recipe.data.source_ids))
        state = recipe.run(State(theta, tuple(slots)), range(job.start_step, first), everything)
        responses = paired(recipe, state, first, job.sources, settings.epsilon)
        rows = _write(recipe, responses, torch.from_numpy(np.array(final)), job)
        write_atomically(rows_file, json.dumps(rows).encode())
    finished: list[dict[str, Any]] = json.loads(rows_file.read_text())
    return finished


def _write(recipe: Recipe, responses: Responses, final_P: torch.Tensor, job: SimulateJob) -> list[dict[str, Any]]:
    drift = float((responses.theta_P.cpu() - final_P).abs().max())
    rows = []
    for source, response_P in zip(job.sources, responses.response_SP.cpu(), strict=True):
        path = job.folder / f"source-{source:05d}.safetensors"
        rows.append(
            {
                "source_id": recipe.data.source_ids[source],
                "replicate": job.replicate,
                "response_norm": float(response_P.double().norm()),
                "replay_drift": drift,
                "artifact_uri": str(path),
                "artifact_sha256": write_response(path, response_P),
            }
        )
    return rows

"""Read-outs cut into jobs, against one read-out of everything."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.readout.small import texts, transformer
from tribute.cluster import readout
from tribute.cluster.readout import ReadOutJob, UnitFiles, joined_pieces, read_out_chunk, read_out_jobs
from tribute.readout import PerturbedModel, read_out
from tribute.simulation import ResponseFile, write_response

UNITS = tuple((str(unit), (None,)) for unit in range(100))


@pytest.mark.parametrize(
    ("method", "narrow", "jobs"),
    [
        ("difference", True, 13),
        ("jvp", False, 13),
        ("adjoint", False, 6),
        ("jvp", True, 6),
        ("shared_head", True, 6),
    ],
)
def test_jobs_are_large_where_units_share_work(method: str, narrow: bool, jobs: int) -> None:
    """100 units and 600 queries: 8 units in a job, or 50 units and 200 queries."""
    cut = read_out_jobs(method, "head", UNITS, 600, narrow=narrow)
    flat = [job for part in cut for job in part]
    assert len(flat) == jobs
    assert [unit for part in cut for unit in part[0].units] == list(UNITS)
    seen = np.zeros((600, 100))
    for job in flat:
        begin, end = job.queries or (0, 600)
        seen[begin:end, [int(name) for name, _ in job.units]] += 1
    assert (seen == 1).all()


def stored_units(folder: Path, perturbed: PerturbedModel) -> list[UnitFiles]:
    units = list[UnitFiles]()
    for unit, response_p in enumerate(perturbed.response_Sp[:]):
        path = folder / f"{unit}.safetensors"
        sha256 = write_response(path, perturbed.scope.pieces(response_p))
        units.append((str(unit), (ResponseFile(str(unit), 0, path, sha256),)))
    return units


@pytest.mark.parametrize("method", ["difference", "shared_trunk", "jvp"])
@pytest.mark.parametrize("memory_gib", [1.0, 1e-3])
def test_pieces_of_jobs_are_those_of_one_read_out(
    tmp_path: Path, method: str, memory_gib: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UNITS_PER_JOB", "SHARING_UNITS", "SHARED_QUERIES"):
        monkeypatch.setattr(readout, name, 3)
    perturbed, queries = transformer(torch.float32, "last_block", sources=5), texts()
    task, theta_P = perturbed.scope.task, perturbed.theta_P
    assert isinstance(perturbed.response_Sp, Tensor)
    units = stored_units(tmp_path, perturbed)
    jobs = read_out_jobs(method, "last_block", units, len(queries.query_ids), narrow=True)
    assert len(jobs) == 2 and len(jobs[0]) == (1 if method == "difference" else 2)

    def found(job: ReadOutJob) -> np.ndarray:
        return read_out_chunk(task, memory_gib, [theta_P.numpy()], queries, job, torch.device("cpu"))[0]

    joined = joined_pieces(jobs, [found(job) for part in jobs for job in part])
    [expected] = read_out(method, perturbed.scope, [theta_P], [perturbed.response_Sp], queries)
    np.testing.assert_allclose(joined[0], expected.influence_QS, rtol=1e-4, atol=1e-5)

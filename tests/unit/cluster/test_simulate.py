"""Jobs of whole trainings: the first of a seed keeps its unperturbed run, and the others do without one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.cluster import SimulateJob
from tribute.cluster.simulate import simulate_chunk
from tribute.config import SimulationSettings
from tribute.files.tensors import read_tensors
from tribute.simulation import Unit
from tribute.tasks import joined
from tribute.training import record

WHOLE = SimulationSettings(horizon=1.0, checkpoint_every=3)
RECIPE = small_recipe()
ONE, OTHER = Unit("without-a", (0,)), Unit("without-b", (1,))


class Killed(Exception):
    """The worker ends."""


def job(folder: Path, unit: Unit, full: Path | None) -> SimulateJob:
    recorded = record(RECIPE, folder / "trajectory")
    return SimulateJob(
        unit.unit_id, (unit,), folder, 0, 0, WHOLE, recorded, 0, RECIPE.steps, RECIPE.steps, full=full
    )


def run(each: SimulateJob, on_steps: Callable[[int], None] | None = None) -> tuple[str, int]:
    """The digest of a response, and the steps of trajectories that were computed."""
    computed = list[int]()
    [row] = simulate_chunk(RECIPE, each, on_steps or computed.append)
    return row["artifact_sha256"], sum(computed)


def test_a_seed_s_unperturbed_run_is_computed_once(tmp_path: Path) -> None:
    alone = [run(job(tmp_path / "alone", unit, None)) for unit in (ONE, OTHER)]
    full = tmp_path / "full.safetensors"
    first, second = (run(job(tmp_path / "kept", unit, full)) for unit in (ONE, OTHER))
    assert [first[0], second[0]] == [digest for digest, _ in alone]
    assert (first[1], second[1]) == (2 * RECIPE.steps, RECIPE.steps)
    full.write_bytes(b"damaged")
    assert run(job(tmp_path / "again", OTHER, full)) == (second[0], 2 * RECIPE.steps)
    assert run(job(tmp_path / "once more", ONE, full)) == (first[0], RECIPE.steps)


@pytest.mark.parametrize("there", [False, True])
def test_a_killed_job_goes_on_as_it_began(tmp_path: Path, there: bool) -> None:
    """The unperturbed run is in its checkpoint or not, whatever another job has kept or lost meanwhile."""
    full, steps = tmp_path / "full.safetensors", list[int]()
    expected, _ = run(job(tmp_path / "whole", ONE, full))
    kept = full.read_bytes()
    if not there:
        full.unlink()

    def kill(count: int) -> None:
        steps.append(count)
        if len(steps) == 8:
            raise Killed

    with pytest.raises(Killed):
        run(job(tmp_path / "killed", ONE, full), kill)
    full.unlink(missing_ok=True)
    if not there:
        full.write_bytes(kept)
    assert run(job(tmp_path / "killed", ONE, full)) == (expected, (2 - there) * (RECIPE.steps - 6))


def test_trajectories_one_by_one_share_the_end_of_the_unperturbed_run(tmp_path: Path) -> None:
    settings = SimulationSettings(horizon=0.5)
    recorded = record(RECIPE, tmp_path / "trajectory")
    start = recorded.last_before(RECIPE.horizon_start(0.5))
    full, steps, rows = tmp_path / "unperturbed.safetensors", list[int](), []
    for unit, alone in ((ONE, False), (ONE, True), (OTHER, True)):
        name = f"{unit.unit_id}-{alone}"
        one = SimulateJob(
            name,
            (unit,),
            tmp_path / name,
            0,
            0,
            settings,
            recorded,
            start,
            RECIPE.steps,
            RECIPE.steps - start,
            full=full if alone else None,
            alone=alone,
        )
        [row] = simulate_chunk(RECIPE, one, steps.append)
        rows.append(row)
    together, apart, _ = (joined(read_tensors(Path(row["artifact_uri"]))) for row in rows)
    assert float((apart - together).norm() / together.norm()) < 1e-4
    assert set(steps) == {2, 1}  # trajectories of a step: two in the ensemble, one alone
    assert all(row["replay_drift"] < 1e-6 for row in rows)
    state = recorded.load(RECIPE.steps).theta
    kept = read_tensors(full)
    assert all(torch.allclose(kept[name], value, atol=1e-6) for name, value in state.items())


def test_a_drifting_replay_is_reported_where_trajectories_run_one_by_one(tmp_path: Path) -> None:
    """The unperturbed run is compared with the recorded end, not the recorded end with itself."""
    recorded = record(RECIPE, tmp_path / "trajectory")
    other = replace(RECIPE, training=RECIPE.training.model_copy(update={"learning_rate": 0.02}))
    one = SimulateJob(
        "one",
        (ONE,),
        tmp_path / "one",
        0,
        0,
        WHOLE,
        recorded,
        0,
        RECIPE.steps,
        RECIPE.steps,
        full=tmp_path / "unperturbed.safetensors",
        alone=True,
    )
    [row] = simulate_chunk(other, one, lambda _: None)
    assert row["replay_drift"] > 1e-3

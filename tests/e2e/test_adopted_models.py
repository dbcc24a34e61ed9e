"""Models that were trained elsewhere, through the whole chain: a checkpoint, and a loop that was recorded."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.e2e.modes import SGD, TOTALS, simulation, valued
from tests.projects import RETRAINED, WORDS, write_project
from tribute.catalog import recorded_replicates
from tribute.config import Project, load_project
from tribute.tasks import build_task, joined
from tribute.training import Recorder, Trajectory, training_set


@pytest.mark.usefixtures("ray_cluster")
def test_a_checkpoint_is_valued_by_going_on_from_it(tmp_path: Path) -> None:
    onward = {"base": "continue", "steps": 6, "damping": 0.1, "learning_rate": 0.05, "checkpoint_every": 4}
    path = write_project(
        tmp_path, training=SGD | {"checkpoint": "model.safetensors"}, simulation=onward | {"smoothness_sources": 0}
    )
    torch.manual_seed(3)
    module = build_task(load_project(path).task).task.build()
    safetensors.torch.save_file(module.state_dict(), tmp_path / "model.safetensors")
    found = valued(path)
    rows = found.rows(
        "select distinct effective_damping, horizon_steps, base, replay_drift from simulations "
        "where run_id = $simulate"
    )
    assert rows == [(pytest.approx(0.1 + (1 - 0.9) / (0.05 * 6)), 6, "continue", None)]
    kept = torch.nn.utils.parameters_to_vector(module.parameters())
    for replicate in recorded_replicates(found.project):
        assert torch.equal(replicate.final(), kept)
    totals = {(source, replicate): nats for source, replicate, nats in found.rows(TOTALS)}
    assert len(totals) == 8
    assert all(totals[source, 0] != totals[source, 1] != 0 for source in WORDS)  # other batches
    assert found.rows("select count(*) from estimates where run_id = $attribute and name <> 'simulated'") == [(0,)]
    assert found.paid_in_full()


def own_loop(project: Project, folder: Path, seed: int) -> torch.Tensor:
    """Plain PyTorch over the project's training set, recorded; the final parameters."""
    torch.manual_seed(seed)
    data, task = training_set(project.corpus), build_task(project.task).task
    module = task.build()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    recorder = Recorder(folder, module, optimizer, every=7)
    order = torch.Generator().manual_seed(seed)
    for _ in range(20):
        indices = torch.randperm(len(data), generator=order)[:8]
        recorder.batch(indices)
        batch, _ = data.batch(indices.numpy(), torch.device("cpu"))
        task.training_loss(module, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    recorder.close()
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.usefixtures("ray_cluster")
def test_a_loop_of_the_users_own_is_taken_over_from_its_recordings(tmp_path: Path) -> None:
    recordings = ["mine/seed-0", "mine/seed-1"]
    own = SGD | {"recordings": recordings}
    path = write_project(tmp_path, training=own, simulation=simulation(horizon=0.33), valuation=RETRAINED)
    finals = [own_loop(load_project(path), tmp_path / folder, seed) for seed, folder in enumerate(recordings)]
    found = valued(path)
    replicates = recorded_replicates(found.project)
    assert [replicate.steps for replicate in replicates] == [20, 20]
    for replicate, final_P, folder in zip(replicates, finals, recordings, strict=True):
        torch.testing.assert_close(replicate.final(), final_P, rtol=1e-4, atol=1e-5)
        start_P = joined(Trajectory(tmp_path / folder).load(0).theta)
        assert (replicate.final() - final_P).norm() < 1e-4 * (final_P - start_P).norm()
    [(drift, damping)] = found.rows(
        "select max(replay_drift), any_value(effective_damping) from simulations where run_id = $simulate"
    )
    assert 0 <= drift < 1e-5
    assert damping == pytest.approx((1 - 0.9) / (0.1 * 7))  # a horizon of a third of 20 equal steps
    assert len(found.note()["trainings"]) == 3
    assert found.paid_in_full()

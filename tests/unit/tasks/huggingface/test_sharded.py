"""A trunk cut over two processes: gradients of adapters are those of a whole one."""

import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch.distributed.device_mesh import init_device_mesh

from tests.unit.tasks.huggingface.models import language_model, ragged_tokens
from tribute.errors import ConfigError
from tribute.tasks.folded.sharded import ShardedTrunk

LORA = {"r": 2, "target_modules": ["q_proj", "v_proj"]}
TRAJECTORIES = 3
BLOCKS = [f"base_model.model.model.layers.{index}" for index in range(2)]


def compare(rank: int, folder: Path) -> None:
    """What a process of the group runs."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=2)
    task = language_model("llama", folder / f"model-{rank}", adapter=LORA)
    theta, batch = task.pieces(task.initial(0)), {"tokens": ragged_tokens(4)}
    torch.manual_seed(1)
    several = {name: value + 0.05 * torch.randn(TRAJECTORIES, *value.shape) for name, value in theta.items()}
    weights_KB = torch.rand(TRAJECTORIES, 4)
    whole = task.gradients_at(several, batch, weights_KB, 0)
    assert whole is not None
    [fork] = task.together(tuple(theta))._known.values()
    assert fork is not None
    mesh = init_device_mesh("cpu", (2,))
    sharded = ShardedTrunk(task, tuple(theta), fork, theta, BLOCKS, mesh)
    frozen = sum(
        value.nbytes for name, value in task.held_on(torch.device("cpu")).items() if "inv_freq" not in name
    )
    assert sharded.held_bytes <= 0.55 * frozen
    for _ in range(2):  # parameters are cut again after every pass
        found = sharded.gradient(several, batch, weights_KB, 0)
        for name, value in whole.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
        assert sharded.held_bytes <= 0.55 * frozen
    with pytest.raises(ConfigError, match="3 rows cannot be divided evenly among 2 processes"):
        sharded.gradient(several, {"tokens": ragged_tokens(3)}, weights_KB[:, :3], 0)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_gradients_over_a_sharded_trunk_are_those_over_a_whole_one() -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(compare, (Path(folder),), nprocs=2)

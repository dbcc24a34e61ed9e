"""Trajectories of adapters over a trunk that is cut over a group of processes.

A building block for models whose frozen weights no single device holds: every process of a group holds a part of
each block, and gathers the block when it is run. Adapters stay whole in every process; the group divides the rows
of a batch among itself. Ray starts no such groups yet: a worker is one process.

Legend: K trajectories, B examples of a batch.
"""

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from tribute.errors import ConfigError
from tribute.tasks.folded.module import FoldedModule
from tribute.tasks.folded.together import Foldable
from tribute.tasks.modes import allow_recomputation, values_only
from tribute.tasks.task import Batch, Parameters
from tribute.tasks.transforms import gradients_of, seeded


class ShardedTrunk:
    """Gradients of K trajectories that share a trunk, in a group of processes that each hold a part of it.

    Args:
        names: parameters that each trajectory has of its own, such as adapters.
        fork: the module from which on trajectories part; see `forks`.
        theta: all trained parameters; those outside `names` belong to the trunk.
        blocks: names of the modules that are gathered one at a time; what is outside them is gathered as a whole.
        mesh: the group.
    """

    def __init__(
        self,
        task: Foldable,
        names: Sequence[str],
        fork: str,
        theta: Parameters,
        blocks: Sequence[str],
        mesh: DeviceMesh,
    ) -> None:
        self._task, self._mesh = task, mesh
        self._folded = FoldedModule(task.module, names, fork)
        module = self._folded.module
        own = {value for name, value in module.named_parameters() if name in names}
        trained = {name for name, _ in module.named_parameters()}
        values = {name: value.detach() for name, value in task.values(theta).items() if name not in names}
        whole = {n: nn.Parameter(v, requires_grad=False) if n in trained else v for n, v in values.items()}
        self._folded.place({}, whole)
        for name in [*blocks, ""]:
            fully_shard(module.get_submodule(name), mesh=mesh, ignored_params=own)

    @property
    def held_bytes(self) -> int:
        """Bytes of the trunk that this process holds between two passes."""
        return sum(
            value.to_local().nbytes
            for value in self._folded.module.parameters()
            if isinstance(value, torch.distributed.tensor.DTensor)
        )

    def gradient(self, theta: Parameters, batch: Batch, weights_KB: Tensor, seed: int) -> dict[str, Tensor]:
        """Gradient of the weighted mean of losses of each trajectory, [K, *shape]; the same in every process.

        Every process calls it with the same arguments, and computes its share of the rows.

        Raises:
            ConfigError: the rows cannot be divided evenly.
        """
        size, rank, rows = self._mesh.size(), self._mesh.get_local_rank(), weights_KB.shape[1]
        if rows % size:
            raise ConfigError(
                f"{rows} rows cannot be divided evenly among {size} processes. Set training.batch_size over "
                "training.accumulation to a multiple of the processes"
            )
        part = slice(rank * rows // size, (rank + 1) * rows // size)
        count = len(weights_KB)
        repeated = {name: column[part].repeat(count, *(1,) * (column.dim() - 1)) for name, column in batch.items()}
        leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
        self._folded.place(leaves, {})
        task = self._task
        with torch.enable_grad(), allow_recomputation(), values_only(), seeded(seed, weights_KB.device):
            losses_KB = task.task.training_loss(task.rounding(self._folded), repeated).unflatten(0, (count, -1))
            loss = (weights_KB[:, part].to(losses_KB.dtype) * losses_KB).mean(1).sum()
            found = gradients_of(loss, leaves)
        for value in found.values():
            torch.distributed.all_reduce(value, group=self._mesh.get_group())
            value /= size
        return found

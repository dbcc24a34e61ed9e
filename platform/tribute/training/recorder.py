"""Recorder for your own training loop, which can then be replayed and simulated.

recorder = Recorder(folder, model, optimizer, clip_norm=1.0)
for indices in loader:              # indices into tribute.training.training_set(project.corpus)
    recorder.batch(indices)         # once for each micro-batch
    loss(model, indices).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()                # the recorder hooks into this call
    optimizer.zero_grad()
recorder.close()
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tribute.errors import ConfigError
from tribute.training.recording import SETTINGS, STEPS, trace
from tribute.training.step import State
from tribute.training.trajectory import Trajectory
from tribute_storage.atomic import write_atomically

SLOTS = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq")}
KINDS: dict[type, str] = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam", torch.optim.AdamW: "adamw"}


class Recorder:
    """Writes a recording while a plain PyTorch loop trains; see the example of the module.

    The loss of a micro-batch must be a mean over examples, and the gradient of a step the mean over micro-batches.

    Args:
        folder: new folder for the recording.
        optimizer: torch.optim.SGD, Adam or AdamW over all trainable parameters, in one parameter group.
        clip_norm: the norm passed to `clip_grad_norm_`, if the loop clips.
        every: steps between checkpoints.

    Raises:
        ConfigError: the folder already holds a recording, or the optimizer cannot be replayed.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        clip_norm: float | None = None,
        every: int = 100,
    ) -> None:
        self._parameters = [value for value in model.parameters() if value.requires_grad]
        settings = optimizer_settings(optimizer, self._parameters) | {"clip_norm": clip_norm}
        if (folder / SETTINGS).exists():
            raise ConfigError(f"{folder} already holds a recording. Choose another folder, or delete this one")
        self._kind, self._optimizer, self._every = settings["optimizer"], optimizer, every
        self._trajectory, self._parts, self._step = Trajectory(folder), list[list[int]](), 0
        self._trajectory.save(0, self._state())
        write_atomically(folder / SETTINGS, json.dumps(settings).encode())
        self._file = (folder / STEPS).open("w")
        self._hook = optimizer.register_step_post_hook(lambda *_: self._stepped())

    def batch(self, indices: Iterable[int]) -> None:
        """Record the examples of the next backward pass.

        Args:
            indices: indices into the training set, from 0.

        Raises:
            ConfigError: no index is given, or one is negative.
        """
        part = [int(index) for index in indices]
        if not part or min(part) < 0:
            raise ConfigError(
                f"recorder.batch got {part}, but expects at least one index into the training set, from 0. Pass "
                "the indices that the batch was drawn with"
            )
        self._parts.append(part)

    def close(self) -> None:
        """Write the last checkpoint and remove the hook."""
        self._hook.remove()
        self._file.close()
        self._trajectory.save(self._step, self._state())

    def _stepped(self) -> None:
        if not self._parts:
            raise ConfigError(
                "optimizer.step() was called, but no batch was recorded. Call recorder.batch(indices) first"
            )
        rate = float(self._optimizer.param_groups[0]["lr"])
        line = {"rate": rate, "parts": self._parts, "trace": trace(self._state().theta)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._parts, self._step = [], self._step + 1
        if self._step % self._every == 0:
            self._trajectory.save(self._step, self._state())

    def _state(self) -> State:
        slots = [
            torch.cat([self._slot(parameter, name).reshape(-1) for parameter in self._parameters])
            for name in SLOTS[self._kind]
        ]
        theta_P = torch.cat([parameter.detach().reshape(-1) for parameter in self._parameters])
        return State(theta_P, tuple(slots))

    def _slot(self, parameter: Tensor, name: str) -> Tensor:
        kept = self._optimizer.state.get(parameter, {}).get(name)
        return torch.zeros_like(parameter) if kept is None else kept


def optimizer_settings(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> dict[str, Any]:
    """Keys of the `training` section that describe a torch optimizer.

    Raises:
        ConfigError: the optimizer is of another kind, has several parameter groups, omits parameters, or uses an
            option that cannot be replayed.
    """
    kind = KINDS.get(type(optimizer))
    if kind is None:
        raise ConfigError(f"{type(optimizer).__name__} cannot be replayed. Use torch.optim.SGD, Adam or AdamW")
    if len(optimizer.param_groups) != 1:
        raise ConfigError(
            f"The optimizer has {len(optimizer.param_groups)} parameter groups; only one can be replayed. Merge "
            "them"
        )
    group = optimizer.param_groups[0]
    if {id(p) for p in group["params"]} != {id(p) for p in parameters}:
        raise ConfigError(
            "The optimizer does not hold exactly the trainable parameters of the model. Pass it "
            "[p for p in model.parameters() if p.requires_grad]"
        )
    if group.get("decoupled_weight_decay"):
        kind = "adamw"
    refused = [name for name in ("amsgrad", "maximize", "dampening") if group.get(name)]
    if refused:
        raise ConfigError(f"The optimizer option {refused[0]} cannot be replayed. Switch it off")
    common = {"optimizer": kind, "weight_decay": float(group["weight_decay"])}
    if kind == "sgd":
        return common | {"momentum": float(group["momentum"]), "nesterov": bool(group["nesterov"])}
    betas = [float(beta) for beta in group["betas"]]
    return common | {"betas": betas, "eps": float(group["eps"]), "eps_root": 0.0}

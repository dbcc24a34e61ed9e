"""Recording the user's own training loop, so that it can be replayed and simulated.

recorder = Recorder(folder, model, optimizer, clip_norm=1.0)
for indices in loader:              # indices into tribute.training.training_set(project.corpus)
    recorder.batch(indices)         # once per accumulated part
    loss(model, indices).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()                # the recorder notices by itself
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
    """Writes a recording while a loop of plain PyTorch trains; see the module's example.

    The loss of a part must be its mean, and the gradient of a step the mean over its parts, as usual.

    Args:
        folder: where the recording goes; it must hold none yet.
        optimizer: torch.optim.SGD, Adam or AdamW over all trainable parameters, in one group.
        clip_norm: what the loop passes to `clip_grad_norm_`, if it does.
        every: steps between checkpoints.

    Raises:
        ConfigError: the folder holds a recording, or the optimizer is one that cannot be replayed.
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
            raise ConfigError(f"{folder} holds a recording already. Choose another folder, or remove that one")
        self._kind, self._optimizer, self._every = settings["optimizer"], optimizer, every
        self._trajectory, self._parts, self._step = Trajectory(folder), list[list[int]](), 0
        self._trajectory.save(0, self._state())
        write_atomically(folder / SETTINGS, json.dumps(settings).encode())
        self._file = (folder / STEPS).open("w")
        self._hook = optimizer.register_step_post_hook(lambda *_: self._stepped())

    def batch(self, indices: Iterable[int]) -> None:
        """Say which examples the next backward pass is of.

        Raises:
            ConfigError: there are none, or an index is negative.
        """
        part = [int(index) for index in indices]
        if not part or min(part) < 0:
            raise ConfigError(
                f"recorder.batch got {part}: give the indices of the examples in the training set, counted from 0"
            )
        self._parts.append(part)

    def close(self) -> None:
        """Write the last checkpoint and stop listening."""
        self._hook.remove()
        self._file.close()
        self._trajectory.save(self._step, self._state())

    def _stepped(self) -> None:
        if not self._parts:
            raise ConfigError(
                "optimizer.step() was called, but no batch was recorded: call recorder.batch(indices)"
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
    """The keys of `training` that say what a torch optimizer does.

    Raises:
        ConfigError: it is of another kind, has several groups, leaves parameters out, or uses an option that
            cannot be replayed.
    """
    kind = KINDS.get(type(optimizer))
    if kind is None:
        raise ConfigError(f"{type(optimizer).__name__} cannot be replayed. Use torch.optim.SGD, Adam or AdamW")
    if len(optimizer.param_groups) != 1:
        raise ConfigError(f"The optimizer has {len(optimizer.param_groups)} parameter groups; give it one")
    group = optimizer.param_groups[0]
    if {id(p) for p in group["params"]} != {id(p) for p in parameters}:
        raise ConfigError("The optimizer must hold exactly the model's trainable parameters")
    if group.get("decoupled_weight_decay"):
        kind = "adamw"
    refused = [name for name in ("amsgrad", "maximize", "dampening") if group.get(name)]
    if refused:
        raise ConfigError(f"The optimizer's option {refused[0]} cannot be replayed. Switch it off")
    common = {"optimizer": kind, "weight_decay": float(group["weight_decay"])}
    if kind == "sgd":
        return common | {"momentum": float(group["momentum"]), "nesterov": bool(group["nesterov"])}
    betas = [float(beta) for beta in group["betas"]]
    return common | {"betas": betas, "eps": float(group["eps"]), "eps_root": 0.0}

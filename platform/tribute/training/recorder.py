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
import math
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tribute.errors import ConfigError
from tribute.files.sealed import write_sealed
from tribute.files.tensors import tensor_content
from tribute.ids import excerpt
from tribute.tasks import FlatTask, Task, frozen_state
from tribute.training.loop_watch import GradientWatch, ModelWatch
from tribute.training.loss_check import check_loss
from tribute.training.recording import FROZEN, SETTINGS, STEPS, trace
from tribute.training.step import State
from tribute.training.training_set import TrainingSet
from tribute.training.trajectory import Trajectory
from tribute_storage.atomic import write_atomically

SLOTS = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq")}
KINDS: dict[type, str] = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam", torch.optim.AdamW: "adamw"}


class Recorder:
    """Writes a recording while a plain PyTorch loop trains; see the example of the module.

    The loss of a micro-batch must be a mean over examples, and the gradient of a step the mean over micro-batches.
    Micro-batches of unequal sizes need `average`. Schedules of learning rate, momentum, betas and weight decay are
    recorded, and so are steps that a gradient scaler skips. What cannot be replayed is refused at its first step.

    Args:
        folder: new folder for the recording.
        optimizer: torch.optim.SGD, Adam or AdamW over all trainable parameters, in one parameter group.
        clip_norm: the norm passed to `clip_grad_norm_`, if the loop clips.
        every: steps between checkpoints.
        average: how a step averages micro-batches of unequal sizes: `parts`, the mean of their means, or
            `examples`, their sum over the number of all examples.
        task, data: with both, the gradient of the first step is compared with that of the task's training loss.

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
        average: Literal["parts", "examples"] | None = None,
        *,
        task: Task | None = None,
        data: TrainingSet | None = None,
    ) -> None:
        trained = {_unwrapped(name): value for name, value in model.named_parameters() if value.requires_grad}
        self._parameters = trained
        self._settings = optimizer_settings(optimizer, [*trained.values()])
        if (folder / SETTINGS).exists():
            raise ConfigError(f"{folder} already holds a recording. Choose another folder, or delete this one")
        self._kind, self._optimizer, self._every = self._settings["optimizer"], optimizer, every
        _require_fresh(self._kind, optimizer)
        self._trajectory, self._step, self._average = Trajectory(folder), 0, average
        self._trajectory.save(0, self._state())
        frozen = {_unwrapped(name): value.cpu().clone() for name, value in frozen_state(model).items()}
        write_sealed(folder / FROZEN, tensor_content(frozen))
        write_atomically(folder / SETTINGS, json.dumps(self._settings | {"clip_norm": clip_norm}).encode())
        self._file = (folder / STEPS).open("w")
        self._model, self._clip_norm, self._data = ModelWatch(model, optimizer), clip_norm, data
        self._gradients = GradientWatch(model, optimizer, clip_norm)
        self._task = None if task is None else FlatTask(task).with_frozen(frozen)
        self._skips = False
        self._hooks = [
            optimizer.register_step_pre_hook(lambda *_: self._stepping()),
            optimizer.register_step_post_hook(lambda *_: self._stepped()),
        ]

    def batch(self, indices: Iterable[int]) -> None:
        """Record the examples of the next backward pass.

        Args:
            indices: indices into the training set, from 0.

        Raises:
            ConfigError: no index is given, or one is negative, no whole number, or, where the recorder knows the
                data, too large.
        """
        self._gradients.batch(_whole_numbers(indices, None if self._data is None else len(self._data) - 1))

    def close(self) -> None:
        """Write the last checkpoint and remove the hooks."""
        for hook in self._hooks:
            hook.remove()
        self._gradients.close()
        self._model.close()
        self._file.close()
        self._trajectory.save(self._step, self._state())

    def _stepping(self) -> None:
        self._skips = self._gradients.skipped()
        if self._skips:
            return
        rate = float(self._optimizer.param_groups[0]["lr"])
        if not 0 <= rate < math.inf:
            raise ConfigError(
                f"The loop at step {self._step} has the learning rate {rate}, expected a number of at least 0. "
                "Correct its schedule"
            )
        self._gradients.before_step(f"The loop at step {self._step}")
        self._model.before_step(f"The loop at step {self._step}")
        sizes = [len(part) for part in self._gradients.parts]
        if len(set(sizes)) > 1 and self._average is None:
            raise ConfigError(
                f"The loop at step {self._step} has micro-batches of {', '.join(map(str, sizes))} examples. Tell "
                "the recorder how it averages them: average='examples' for a sum of losses over the number of all "
                "examples, average='parts' for the mean of the micro-batches' means"
            )

        if self._task is not None and self._data is not None and not self._step:
            given = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in self._parameters.items()}
            check_loss(
                self._task,
                self._data,
                self._state().theta,
                given,
                self._gradients.parts,
                self._clip_norm,
                over_examples=self._average == "examples",
            )

    def _stepped(self) -> None:
        if not self._skips:
            self._write()
        self._gradients.after_step()
        self._model.after_step()

    def _write(self) -> None:
        settings = optimizer_settings(self._optimizer, [*self._parameters.values()])
        if settings["optimizer"] != self._kind:
            raise ConfigError(
                f"The optimizer became {settings['optimizer']}, but began as {self._kind}. Record anew"
            )
        line: dict[str, Any] = {
            "rate": float(self._optimizer.param_groups[0]["lr"]),
            "parts": self._gradients.parts,
        }
        line["trace"] = trace(self._parameters)
        changes = {name: value for name, value in settings.items() if value != self._settings[name]}
        line |= {"changes": changes} if changes else {}
        line |= {"over_examples": True} if self._average == "examples" else {}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._step += 1
        if self._step % self._every == 0:
            self._trajectory.save(self._step, self._state())

    def _state(self) -> State:
        slots = [{n: self._slot(p, slot) for n, p in self._parameters.items()} for slot in SLOTS[self._kind]]
        return State({name: parameter.detach() for name, parameter in self._parameters.items()}, tuple(slots))

    def _slot(self, parameter: Tensor, name: str) -> Tensor:
        kept = self._optimizer.state.get(parameter, {}).get(name)
        return torch.zeros_like(parameter) if kept is None else kept


def _whole_numbers(indices: Iterable[int], most: int | None) -> list[int]:
    given: Any = indices
    try:
        given = list(indices)
        part = [operator.index(index) for index in given if not _is_truth(index)]
    except TypeError:
        part = []
    if not part or len(part) < len(given) or min(part) < 0 or (most is not None and max(part) > most):
        until = "" if most is None else f" to {most:,}"
        raise ConfigError(
            f"recorder.batch got {excerpt(given)}, but expects at least one index into the training set, from "
            f"0{until}. Pass the indices that the batch was drawn with"
        )
    return part


def _is_truth(index: object) -> bool:
    """Whether it is an entry of a mask."""
    return isinstance(index, bool) or str(getattr(index, "dtype", "")).removeprefix("torch.") == "bool"


def _require_fresh(kind: str, optimizer: torch.optim.Optimizer) -> None:
    """Check that Adam has taken no step.

    Raises:
        ConfigError: it has: the size of its next steps depends on their number.
    """
    taken = [int(state["step"]) for state in optimizer.state.values() if "step" in state]
    if kind != "sgd" and any(taken):
        raise ConfigError(
            f"The optimizer has taken {max(taken)} steps already, on which the size of its next ones depends. "
            "Begin recording before the first step, or with a new optimizer"
        )


def _unwrapped(name: str) -> str:
    """A parameter's name without the prefixes of `torch.compile` and `DistributedDataParallel`."""
    while name.startswith(("module.", "_orig_mod.")):
        name = name.split(".", 1)[1]
    return name


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

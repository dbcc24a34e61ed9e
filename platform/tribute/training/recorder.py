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

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tribute.errors import ConfigError
from tribute.ids import excerpt
from tribute.tasks import FlatTask, Task, frozen_state
from tribute.training.groups import filled_groups, optimizer_slots, parameter_groups
from tribute.training.loop_watch import GradientWatch, ModelWatch
from tribute.training.loss_check import check_loss
from tribute.training.recording import trace
from tribute.training.recording_writer import RecordingWriter, group_columns, pass_columns
from tribute.training.schedules import Pass
from tribute.training.step import State
from tribute.training.training_set import TrainingSet


class Ranks(NamedTuple):
    """This process among several whose gradients are averaged: its number, and what joins lists of all of them."""

    rank: int
    gather: Callable[[list[Pass]], list[Pass]]


ONE_PROCESS = Ranks(0, lambda passes: passes)


class Recorder:
    """Writes a recording while a plain PyTorch loop trains; see the example of the module.

    The loss of a micro-batch must be a mean over examples, and the gradient of a step the mean over micro-batches.
    Micro-batches of unequal sizes need `average`; other means need `shares`: see `batch`. Schedules of learning
    rate, momentum, betas and weight decay are recorded for each parameter group, and so are steps that a gradient
    scaler skips. What cannot be replayed is refused at its first step.

    Args:
        folder: new folder for the recording.
        optimizer: torch.optim.SGD, Adam or AdamW over all trainable parameters; fused and foreach ones, too.
        clip_norm: the norm passed to `clip_grad_norm_`, if the loop clips.
        every: steps between checkpoints.
        average: how a step averages micro-batches of unequal sizes: `parts`, the mean of their means, or
            `examples`, their sum over the number of all examples.
        task, data: with both, the gradient of the first step is compared with that of the task's training loss.
        precision: of the loop's forward passes, as `training.precision`; None: not recorded.
        seed: `batch` then seeds PyTorch by this and the step, so that dropout can be replayed.
        step: number of steps taken before, of which the folder holds the recording: the loop goes on after a
            checkpoint.
        ranks: of several processes, the first one writes what all of them did.

    Raises:
        ConfigError: the folder already holds a recording, or the optimizer cannot be replayed; or, with `step`,
            the recording is not of the training so far.
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
        precision: str | None = None,
        seed: int | None = None,
        step: int = 0,
        ranks: Ranks = ONE_PROCESS,
    ) -> None:
        trained = {_unwrapped(name): value for name, value in model.named_parameters() if value.requires_grad}
        self._parameters, self._optimizer, self._ranks = trained, optimizer, ranks
        self._groups = parameter_groups(optimizer, trained)
        _require_steps(self._groups.kind, optimizer, step)
        self._first, self._step, self._average, self._seed = step, step, average, seed
        frozen = {_unwrapped(name): value.cpu().clone() for name, value in frozen_state(model).items()}
        settings = self._groups.recorded() | {"clip_norm": clip_norm} | _present(precision=precision)
        writes = ranks.rank == 0
        self._writer = RecordingWriter(folder, settings, self._state(), frozen, every, step) if writes else None
        self._model = ModelWatch(model, optimizer, seeded=seed is not None)
        self._gradients = GradientWatch(model, optimizer, clip_norm, reduced=ranks is not ONE_PROCESS)
        self._rounds = precision == "mixed_bfloat16"
        self._clip_norm, self._data, self._passes, self._skips = clip_norm, data, list[Pass](), False
        self._task = None if task is None else FlatTask(task, precision or "float32").with_frozen(frozen)
        self._hooks = [
            optimizer.register_step_pre_hook(lambda *_: self._stepping()),
            optimizer.register_step_post_hook(lambda *_: self._stepped()),
        ]

    def batch(
        self, indices: Iterable[int], shares: Sequence[float] | None = None, *, width: int | None = None
    ) -> None:
        """Record the examples of the next backward pass.

        Args:
            indices: indices into the training set, from 0.
            shares: the factor of each example's loss in the loss of the step, over which gradients add up: in a
                mean over tokens, those of the example over those of the step. None: a mean over examples.
            width: number of tokens of a row, padding included: dropout and roundings to bfloat16 depend on it.

        Raises:
            ConfigError: no index is given, or one is negative, no whole number, or, where the recorder knows the
                data, too large; or there is not one share of at least 0 for each.
        """
        indices_B = np.array(_whole_numbers(indices, None if self._data is None else len(self._data) - 1))
        share_B = None if shares is None else _numbers(shares, len(indices_B))
        seed = None
        if self._seed is not None:
            place = [self._seed, self._step, self._ranks.rank, len(self._gradients.passes)]
            seed = int(np.random.SeedSequence(place).generate_state(1)[0])
            torch.manual_seed(seed)
        self._gradients.batch(Pass(indices_B, share_B, seed, width))

    @property
    def draws(self) -> bool:
        """Whether forward passes draw random numbers, as dropout does; known after the first one."""
        return self._model.draws

    def close(self, *, complete: bool = True) -> None:
        """Remove the hooks and, unless the loop broke off (`complete`), write the last checkpoint."""
        for hook in self._hooks:
            hook.remove()
        self._gradients.close()
        self._model.close()
        if self._writer is not None:
            self._writer.close(self._state() if complete else None)

    def _stepping(self) -> None:
        self._skips = self._gradients.skipped()
        if self._skips:
            return
        where = f"The loop at step {self._step}"
        _require_rates(where, self._optimizer)
        self._gradients.before_step(where)
        self._model.before_step(where)
        self._passes = self._ranks.gather(self._gradients.passes)
        _require_mean(where, self._passes, self._average)
        if self._task is not None and self._data is not None and self._step == self._first:
            given = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in self._parameters.items()}
            check_loss(
                self._task,
                self._data,
                self._state().theta,
                given,
                self._passes,
                self._clip_norm,
                over_examples=self._average == "examples",
            )

    def _stepped(self) -> None:
        if not self._skips:
            self._write()
        self._gradients.after_step()
        self._model.after_step()

    def _write(self) -> None:
        groups = parameter_groups(self._optimizer, self._parameters)
        if (groups.kind, groups.group_of) != (self._groups.kind, self._groups.group_of):
            raise ConfigError(
                f"The optimizer became another one: {groups.kind} of {len(groups.settings)} parameter groups, but "
                f"it began as {self._groups.kind} of {len(self._groups.settings)}. Record anew"
            )
        if self._writer is not None:
            line: dict[str, Any] = {"rate": float(filled_groups(self._optimizer)[0]["lr"])}
            line |= pass_columns(self._passes, seeds=self.draws, widths=self.draws or self._rounds)
            line |= {"trace": trace(self._parameters)}
            line |= group_columns(self._groups, groups, self._optimizer)
            line |= {"over_examples": True} if self._average == "examples" else {}
            self._writer.write(line, self._state)
        self._step += 1

    def _state(self) -> State:
        slots = optimizer_slots(self._optimizer, self._groups.kind, self._parameters)
        return State({name: parameter.detach() for name, parameter in self._parameters.items()}, slots)


def _present(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _numbers(shares: Sequence[float], examples: int) -> NDArray[np.float64]:
    """The shares of a micro-batch, [B]; raises ConfigError unless there is one of at least 0 for each example."""
    share_B = np.array(shares, dtype=np.float64)
    if share_B.shape != (examples,) or not (share_B >= 0).all():
        raise ConfigError(
            f"recorder.batch got the shares {excerpt(list(share_B))} for {examples} examples. Pass one number of "
            "at least 0 for each"
        )
    return share_B


def _require_rates(where: str, optimizer: torch.optim.Optimizer) -> None:
    for group in filled_groups(optimizer):
        if not 0 <= float(group["lr"]) < math.inf:
            raise ConfigError(
                f"{where} has the learning rate {float(group['lr'])}, expected a number of at least 0. Correct "
                "its schedule"
            )


def _require_mean(where: str, passes: Sequence[Pass], average: str | None) -> None:
    """Check that the recording says how the losses of the micro-batches make up that of the step."""
    shared, sizes = {each.share_B is None for each in passes}, [len(each.indices_B) for each in passes]
    if len(shared) > 1:
        raise ConfigError(f"{where} has shares of some micro-batches only. Pass shares of all, or of none")
    if shared == {True} and len(set(sizes)) > 1 and average is None:
        raise ConfigError(
            f"{where} has micro-batches of {', '.join(map(str, sizes))} examples. Tell the recorder how it "
            "averages them: average='examples' for a sum of losses over the number of all examples, "
            "average='parts' for the mean of the micro-batches' means"
        )


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


def _require_steps(kind: str, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Check that Adam has taken as many steps as the recording holds.

    Raises:
        ConfigError: it has not: the size of its next steps depends on their number.
    """
    taken = max((int(state["step"]) for state in optimizer.state.values() if "step" in state), default=0)
    if kind != "sgd" and taken != step and not step:
        raise ConfigError(
            f"The optimizer has taken {taken} steps already, on which the size of its next ones depends. Begin "
            "recording before the first step, or with a new optimizer"
        )
    if kind != "sgd" and taken != step:
        raise ConfigError(
            f"The optimizer has taken {taken} steps, but the recording goes on after step {step}. Load the "
            "optimizer's state of that step"
        )


def _unwrapped(name: str) -> str:
    """A parameter's name without the prefixes of `torch.compile` and `DistributedDataParallel`."""
    while name.startswith(("module.", "_orig_mod.")):
        name = name.split(".", 1)[1]
    return name

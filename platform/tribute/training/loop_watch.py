"""Looks at a training loop between its steps, and refuses at once what a replay cannot repeat."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from tribute.errors import ConfigError
from tribute.tasks import frozen_state
from tribute.training.schedules import Pass

SAME = 1e-3
"""Largest relative difference of two norms that count as one."""
SHOWN = 5
"""Names listed in a message."""


class ModelWatch:
    """What a step may not find changed: the trained parameters, buffers, and the random numbers of a forward pass.

    It hooks into the forward passes of the first step. `draws`: whether they draw random numbers.

    Args:
        seeded: whether every forward pass begins under a recorded seed, so that a replay draws the same numbers.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, seeded: bool = False) -> None:
        self._model, self._optimizer, self._seeded = model, optimizer, seeded
        self._trained = _trained(model)
        self._buffers = {name: value.clone() for name, value in model.named_buffers()}
        untrained = frozen_state(model).items()
        self._untrained = {name: value._version for name, value in untrained if name not in self._buffers}
        self._seen, self._idle = self._fingerprints(), set[str]()
        self._generator, self.draws = _generators(model), False
        self._hooks = [
            model.register_forward_pre_hook(lambda *_: self._before_forward()),
            model.register_forward_hook(lambda *_: self._after_forward()),
        ]

    def before_step(self, where: str) -> None:
        """Check the model.

        Raises:
            ConfigError: the replay could not repeat the step; names the cause.
        """
        self._check_draws(where)
        self._check_parameters(where)
        self._check_idle(where)

    def after_step(self) -> None:
        """Begin the next step."""
        self._seen = self._fingerprints()
        self.close()

    def close(self) -> None:
        """Remove all hooks."""
        while self._hooks:
            self._hooks.pop().remove()

    def _before_forward(self) -> None:
        self._generator = _generators(self._model)

    def _after_forward(self) -> None:
        self.draws |= self._model.training and not torch.equal(self._generator, _generators(self._model))

    def _fingerprints(self) -> dict[str, tuple[float, ...]]:
        """How often each parameter was written to, and its norm and sum: writing to `.data` is not counted."""
        values = [value.detach() for value in self._trained.values()]
        sums = torch.stack([each for value in values for each in (_norm(value), value.sum().float())])
        norm_and_sum = sums.view(-1, 2).tolist()
        return {
            name: (value._version, *pair)
            for (name, value), pair in zip(self._trained.items(), norm_and_sum, strict=True)
        }

    def _check_draws(self, where: str) -> None:
        if not self._hooks:
            return
        dropping = [
            name
            for name, layer in self._model.named_modules()
            if isinstance(layer, _DropoutNd) and layer.training and layer.p
        ]
        self.draws |= bool(dropping)
        if self.draws and not self._seeded:
            drops = f"drops out units ({_listed(dropping)})" if dropping else "draws random numbers"
            raise ConfigError(
                f"{where} {drops} in the forward pass. A replay draws other ones. Use Recorder(seed=...), or set "
                "the probability to 0, or call eval() on these layers"
            )

    def _check_parameters(self, where: str) -> None:
        trained = [name for name, value in self._model.named_parameters() if value.requires_grad]
        if trained != list(self._trained):
            changed = sorted(set(trained) ^ self._trained.keys())
            raise ConfigError(
                f"{where} trains other parameters than before: {_listed(changed)}. Train the same ones from the "
                "first step to the last, or record each phase on its own"
            )
        moved = [name for name, now in self._fingerprints().items() if now != self._seen[name]]
        if moved:
            raise ConfigError(
                f"{where} finds {_listed(moved)} changed since the last step, outside of optimizer.step(). A "
                "replay repeats only the optimizer's steps: leave out what else changes parameters (averaging, "
                "clamping, normalisation)"
            )
        now = frozen_state(self._model)
        moved = [name for name, version in self._untrained.items() if now[name]._version != version]
        moved += [name for name, value in self._buffers.items() if not torch.equal(value, now[name])]
        if moved:
            raise ConfigError(
                f"{where} changed buffers or frozen parameters: {_listed(moved)}. They must stay as they are: "
                "call eval() on batch normalisation, so that it uses fixed statistics"
            )

    def _check_idle(self, where: str) -> None:
        """PyTorch leaves parameters without a gradient alone; the replay decays and moves them."""
        idle = list[str]()
        group_of = {id(value): group for group in self._optimizer.param_groups for value in group["params"]}
        for name, value in self._trained.items():
            if value.grad is None and (group_of[id(value)]["weight_decay"] or self._moves(value)):
                idle.append(name)
            if value.grad is not None and value.grad.is_sparse:
                raise ConfigError(
                    f"{where} has a sparse gradient of {name}. Build the embedding with sparse=False"
                )
        if idle:
            raise ConfigError(
                f"{where} has no gradient for {_listed(idle)}. PyTorch leaves these parameters as they are, but "
                "the replay applies weight decay and momentum to them. Set requires_grad=False, or remove them"
            )
        late = [name for name in self._idle if self._trained[name].grad is not None]
        if late and "betas" in self._optimizer.defaults:
            raise ConfigError(
                f"{where} has the first gradient of {_listed(late)}, whose moments are younger than the others'. "
                "Use all parameters from the first step on, or torch.optim.SGD"
            )
        self._idle |= {name for name, value in self._trained.items() if value.grad is None}

    def _moves(self, parameter: Tensor) -> bool:
        kept = self._optimizer.state.get(parameter, {})
        return any(isinstance(value, Tensor) and value.ndim and bool(value.any()) for value in kept.values())


class GradientWatch:
    """The examples and the gradients of a step; hooks into backward passes.

    Args:
        clip_norm: the norm to which the loop clips gradients; None: it does not.
        reduced: whether gradients of several processes are averaged after each backward pass.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, clip_norm: float | None, *, reduced: bool = False
    ) -> None:
        self._optimizer, self._clip_norm, self._trained = optimizer, clip_norm, _trained(model)
        self._norms, self._reduced = dict[str, Tensor](), reduced
        self._passes, self._counted, self._awaited = list[Pass](), 0, False
        self._hooks = [value.register_hook(self._on_backward) for value in self._trained.values()]
        for name, value in self._trained.items():
            self._hooks.append(value.register_post_accumulate_grad_hook(self._keep_norm(name)))

    def batch(self, examples: Pass) -> None:
        """Take the examples of the next backward pass."""
        self._passes.append(examples)
        self._awaited = True

    @property
    def passes(self) -> list[Pass]:
        """Each micro-batch that the present gradient holds, of this process."""
        return self._passes

    def before_step(self, where: str) -> None:
        """Check that the optimizer steps along the gradient of the recorded examples.

        Raises:
            ConfigError: no batch was recorded, or the gradient is another one; names the cause.
        """
        if not self._passes:
            raise ConfigError(
                "optimizer.step() was called, but no batch was recorded. Call recorder.batch(indices) first"
            )
        self._check_gradients(where)

    def after_step(self) -> None:
        """Begin the next step."""
        self._norms = {}
        self._passes, self._counted, self._awaited = [], 0, False

    def skipped(self) -> bool:
        """Whether a fused optimizer is about to leave this step out, as a gradient scaler told it to."""
        found = getattr(self._optimizer, "found_inf", None)
        return found is not None and bool(found)

    def close(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()

    def _on_backward(self, _gradient: Tensor) -> None:
        """Forget micro-batches whose gradient was thrown away: the scaler skipped their step.

        Called before the gradient of a backward pass is added to the one that is there.
        """
        if not self._awaited:
            return
        self._awaited = False
        gradients = [value.grad for value in self._trained.values() if value.grad is not None]
        if self._counted and not any(bool(gradient.any()) for gradient in gradients):
            self._passes = self._passes[self._counted :]
        self._counted = len(self._passes)

    def _keep_norm(self, name: str) -> Any:
        def keep(parameter: Tensor) -> None:
            if parameter.grad is not None and not parameter.grad.is_sparse:
                self._norms[name] = _norm(parameter.grad)

        return keep

    def _check_gradients(self, where: str) -> None:
        """Compare the gradients that the optimizer is given with those of the backward pass."""
        known = [name for name in self._norms if self._trained[name].grad is not None]
        if not known or getattr(self._optimizer, "grad_scale", None) is not None:
            return
        now = [_norm(gradient) for name in known if (gradient := self._trained[name].grad) is not None]
        before = [self._norms[name] for name in known]
        before_K, now_K = (torch.stack([each.double().cpu() for each in norms]) for norms in (before, now))
        total = float(now_K.norm())
        if not math.isfinite(total):
            raise ConfigError(
                f"{where} has a gradient that is not finite, and would step along it. Lower the learning rate, or "
                "let a gradient scaler skip the step"
            )
        if self._reduced:
            self._check_size(where, total)
            return
        positive_K = before_K > 0
        ratio_K = now_K[positive_K] / before_K[positive_K]
        if not len(ratio_K):
            return
        ratio = float(ratio_K.median())
        if float((ratio_K - ratio).abs().max()) > SAME * ratio:
            raise ConfigError(
                f"{where} changes gradients one by one between the backward pass and optimizer.step() (clipping "
                "by value or by layer, noise). Only clip_grad_norm_ over all parameters can be replayed"
            )
        self._check_clipping(where, total, clipped=not self._rescaled(ratio))

    def _check_clipping(self, where: str, total: float, *, clipped: bool) -> None:
        if self._clip_norm is None and clipped:
            raise ConfigError(
                f"{where} scales its gradient to norm {total:.6g} before optimizer.step(). If it clips, pass that "
                f"norm to the recorder: clip_norm={total:.3g}"
            )
        self._check_size(where, total)
        if self._clip_norm is not None and clipped and total < self._clip_norm * (1 - SAME):
            raise ConfigError(
                f"{where} clips its gradient to norm {total:.6g}, but the recorder was told "
                f"clip_norm={self._clip_norm}. Give both the same 2-norm"
            )

    def _check_size(self, where: str, total: float) -> None:
        if self._clip_norm is not None and total > self._clip_norm * (1 + SAME):
            raise ConfigError(
                f"{where} has a gradient of norm {total:.6g}, but the recorder was told clip_norm="
                f"{self._clip_norm}. Clip the whole gradient with clip_grad_norm_, or leave clip_norm out"
            )

    def _rescaled(self, ratio: float) -> bool:
        """Whether a factor is that of a gradient scaler, a mean over micro-batches, or a mean over examples."""
        counts = (1, len(self._passes), sum(len(each.indices_B) for each in self._passes))
        logs = [math.log2(ratio * count) for count in counts if ratio > 0]
        return any(abs(each - round(each)) < SAME for each in logs)


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _generators(model: nn.Module) -> Tensor:
    """States of the generators that a forward pass may draw from."""
    device = next(model.parameters()).device
    others = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return torch.cat([torch.get_rng_state(), *others])


def _norm(gradient: Tensor) -> Tensor:
    """2-norm, in single precision at least."""
    return torch.linalg.vector_norm(gradient.detach(), dtype=torch.promote_types(gradient.dtype, torch.float32))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

"""What a forward pass holds of linear layers, and gradients by outputs that stand for the curvature.

Legend: B examples, T positions (calls of a layer one after the other), I inputs of a layer and 1 for its
bias, O outputs of a layer, V outputs of the model; `...` stands for further dimensions, such as positions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import grad, jvp

from tribute.errors import ConfigError
from tribute.tasks import Batch, FlatTask

TOLERANCE = 1e-3
"""A loss whose Hessian differs by more from that of a cross-entropy is none."""
EXACT = 16
"""Up to so many outputs per example, `auto` takes every one of them."""
DRAWS = 4
"""Draws per example that `auto` takes otherwise."""


class Layer(NamedTuple):
    """A linear layer: its weight, [O, I], and its bias if it is trained, by name."""

    module: nn.Linear
    weight: str
    bias: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Its parameters."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)


class Pass(NamedTuple):
    """Outputs [B, ..., V], their scales [B, ...] (see `cross_entropy_scale`), and of each layer, by the name
    of its weight, inputs [B, T, I] and the outputs of every call."""

    outputs: Tensor
    scale: Tensor
    taken: Mapping[str, Tensor]
    given: Mapping[str, list[Tensor]]

    def counted(self, weight: str) -> Tensor:
        """Inputs of a layer, 0 at positions that the loss leaves out, such as padding."""
        present_BT = (self.scale > 0).flatten(1) if self.scale.dim() > 1 else self.scale[:, None] > 0
        taken_BTI = self.taken[weight]
        return taken_BTI * present_BT[..., None] if present_BT.shape == taken_BTI.shape[:2] else taken_BTI

    def slopes(self, error: Tensor) -> dict[str, Tensor]:
        """d (outputs . error) / d outputs of each layer, [B, T, O]."""
        calls = [(name, call) for name, calls in self.given.items() for call in calls]
        if not calls:
            return {}
        found = torch.autograd.grad(
            self.outputs, [call for _, call in calls], error, retain_graph=True, materialize_grads=True
        )
        by_layer: dict[str, list[Tensor]] = {name: [] for name in self.given}
        for (name, _), slope in zip(calls, found, strict=True):
            by_layer[name].append(_positions(slope))
        return {name: torch.cat(slopes, 1) for name, slopes in by_layer.items()}


def linear_layers(task: FlatTask) -> list[Layer]:
    """Every trained linear layer whose weight is no other module's."""
    held = list(task.measured.named_parameters(remove_duplicate=False))
    owners = Counter(id(parameter) for _, parameter in held)
    found = []
    for name, module in task.measured.named_modules():
        weight, bias = (f"{name}.{part}".lstrip(".") for part in ("weight", "bias"))
        if isinstance(module, nn.Linear) and weight in task.shapes and owners[id(module.weight)] == 1:
            own = bias in task.shapes and owners[id(module.bias)] == 1
            found.append(Layer(module, weight, bias if own else None))
    return found


def layer_pass(task: FlatTask, theta_P: Tensor, batch: Batch, layers: list[Layer]) -> Pass:
    """One forward pass; a layer that is not called, or not on every example of the batch, is left out.

    Raises:
        ConfigError: the training loss calls the model more than once, or is no cross-entropy of its outputs.
    """
    examples = len(next(iter(batch.values())))
    taken: dict[str, list[Tensor]] = {}
    given: dict[str, list[Tensor]] = {}

    def watch(layer: Layer, inputs: Tensor, output: Tensor) -> Tensor:
        if inputs.dim() > 1 and len(inputs) == examples:
            padded = nn.functional.pad(inputs.detach(), (0, int(layer.bias is not None)), value=1.0)
            taken.setdefault(layer.weight, []).append(_positions(padded))
            given.setdefault(layer.weight, []).append(output)
        return output.clone()  # what the model changes in place is not what the layer gave

    with _watched(layers, watch), torch.enable_grad():
        outputs = task.evaluated.outputs(theta_P.detach().requires_grad_(), batch)
    scale = cross_entropy_scale(task, outputs, batch)
    return Pass(outputs, scale, {name: torch.cat(calls, 1) for name, calls in taken.items()}, given)


def cross_entropy_scale(task: FlatTask, outputs: Tensor, batch: Batch) -> Tensor:
    """c >= 0 of every position, [B, ...]: the loss's Hessian by outputs is c (diag p - p p'), p the softmax.

    A cross-entropy has the same c whatever the outputs, so it is read off one Hessian-vector product at
    random ones, where p is not near 0 or 1.

    Raises:
        ConfigError: the Hessian is another one, so the loss is no cross-entropy of the outputs.
    """
    generator = torch.Generator().manual_seed(0)
    at, direction = (torch.randn(outputs.shape, generator=generator).to(outputs) for _ in range(2))
    slope = grad(lambda given: task.losses_of_outputs(given, batch).sum())
    curved = jvp(slope, (at,), (direction,))[1].detach()
    p = at.softmax(-1)
    expected = p * direction - p * (p * direction).sum(-1, keepdim=True)
    square = expected.square().sum(-1)
    scale = torch.where(square > 0, (curved * expected).sum(-1) / square, 0).clamp(min=0)
    if (curved - scale[..., None] * expected).norm() > TOLERANCE * curved.norm():
        raise ConfigError(
            "The training loss is no cross-entropy of the model's outputs, so EK-FAC cannot draw labels from "
            "the model. Use the estimator conjugate_gradient"
        )
    return scale


def pseudo_errors(seen: Pass, labels: int | str, generator: torch.Generator) -> Iterator[Tensor]:
    """Gradients by outputs, [B, ..., V], whose outer products add up to the loss's Hessian by outputs.

    sqrt(c) B z with B = diag(sqrt p) - p sqrt(p)', so that B B' = diag p - p p', and z every unit vector
    ("exact") or random signs, whose outer products are the identity on average.
    """
    outputs, scale = seen.outputs.detach(), seen.scale
    size = outputs[0].numel()
    p = outputs.softmax(-1)
    draws = DRAWS if labels == "auto" else labels
    exact = labels == "exact" or (labels == "auto" and size <= EXACT)
    for index in range(size if exact else int(draws)):
        if exact:
            z = nn.functional.one_hot(torch.tensor(index), size).to(outputs).view(outputs.shape[1:])
        else:
            signs = torch.randint(0, 2, outputs.shape, generator=generator)
            z = (2 * signs - 1).to(outputs) / int(draws) ** 0.5
        drawn = p.sqrt() * z
        yield scale.sqrt()[..., None] * (drawn - p * drawn.sum(-1, keepdim=True))


@contextmanager
def _watched(layers: list[Layer], watch: Any) -> Iterator[None]:
    hooks = [
        layer.module.register_forward_hook(lambda _, taken, given, layer=layer: watch(layer, taken[0], given))
        for layer in layers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _positions(values: Tensor) -> Tensor:
    """[B, D] or [B, ..., D] to [B, T, D]."""
    return values.reshape(len(values), -1, values.shape[-1])

"""Many trainings of a multilayer perceptron by SGD, side by side: the product's training, written for speed.

The weights of a first layer are one matrix for all trainings, since they share the batch; a momentum is updated
inside the product that gives its gradient. Equal to `Recipe.run` up to rounding (tests/unit/benchmarks).

Legend: K trainings, B examples of a batch, I inputs, O outputs of a layer, S sources, P parameters.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import gelu, relu

from tribute.tasks import joined
from tribute.training import Recipe


@dataclass
class Layer:
    """Weights [K, O, I] and biases [K, O, 1] of all trainings, with their momenta."""

    weight: Tensor
    bias: Tensor

    def __post_init__(self) -> None:
        self.momenta = torch.zeros_like(self.weight), torch.zeros_like(self.bias)

    def step(self, delta_KOB: Tensor, input_KIB: Tensor, rate: float, momentum: float) -> None:
        """m <- momentum m + gradient; theta <- theta - rate m."""
        weight, bias = self.momenta
        if input_KIB.ndim == 2:
            flat = weight.view(-1, weight.shape[2])
            torch.addmm(flat, delta_KOB.flatten(0, 1), input_KIB.T, beta=momentum, out=flat)
        else:
            torch.baddbmm(weight, delta_KOB, input_KIB.mT, beta=momentum, out=weight)
        bias.mul_(momentum).add_(delta_KOB.sum(2, keepdim=True))
        self.weight.sub_(weight, alpha=rate)
        self.bias.sub_(bias, alpha=rate)

    def forward(self, input_KIB: Tensor) -> Tensor:
        """Outputs, [K, O, B]; a shared input is [I, B]."""
        if input_KIB.ndim == 2:
            flat = self.weight.flatten(0, 1)
            return torch.addmm(self.bias.flatten(0, 1), flat, input_KIB).view(*self.weight.shape[:2], -1)
        return torch.baddbmm(self.bias, self.weight, input_KIB)


def stacked_finals(recipe: Recipe, removed_KS: NDArray, steps: range | None = None) -> Tensor:
    """Final parameters of trainings without some sources, [K, P]; SGD with momentum on a `Classifier`.

    Args:
        steps: the first steps, if not all.
    """
    task, training = recipe.task.task, recipe.training
    widths = (task.features, *task.hidden, task.classes)
    layers = _layers(joined(recipe.initial().theta), widths, len(removed_KS))
    features, labels = (torch.from_numpy(recipe.data.columns[name]) for name in ("features", "labels"))
    source_N, kept_KS = torch.from_numpy(recipe.data.source_N), torch.from_numpy(1.0 - removed_KS).float()
    for step in steps or range(recipe.steps):
        [chosen] = recipe.schedule.order.micro_batches(step)
        index = torch.from_numpy(chosen)
        weight_KB = kept_KS[:, source_N[index]] / len(index)
        rate = float(recipe.schedule.rates[step])
        _step(layers, task.activation, features[index].T, labels[index], weight_KB, rate, training.momentum)
    return torch.cat([part.flatten(1) for layer in layers for part in (layer.weight, layer.bias)], 1)


def _layers(theta_P: Tensor, widths: tuple[int, ...], count: int) -> list[Layer]:
    layers, begin = [], 0
    for inputs, outputs in pairwise(widths):
        middle, end = begin + inputs * outputs, begin + inputs * outputs + outputs
        weight, bias = theta_P[begin:middle].view(1, outputs, inputs), theta_P[middle:end].view(1, outputs, 1)
        layers.append(Layer(weight.repeat(count, 1, 1), bias.repeat(count, 1, 1)))
        begin = end
    return layers


@torch.no_grad()
def _step(
    layers: list[Layer],
    activation: str,
    input_IB: Tensor,
    label_B: Tensor,
    weight_KB: Tensor,
    rate: float,
    momentum: float,
) -> None:
    inputs, before = [input_IB], []
    for layer in layers:
        before.append(layer.forward(inputs[-1]))
        inputs.append(gelu(before[-1]) if activation == "gelu" else relu(before[-1]))
    delta = before[-1].softmax(1)
    delta[:, label_B, torch.arange(len(label_B))] -= 1
    delta.mul_(weight_KB[:, None, :])
    for depth in reversed(range(len(layers))):
        below = torch.bmm(layers[depth].weight.mT, delta) if depth else None
        layers[depth].step(delta, inputs[depth], rate, momentum)
        if below is not None:
            delta = _back(activation, below, before[depth - 1])


def _back(activation: str, delta: Tensor, before: Tensor) -> Tensor:
    """Derivative by what went into the activation."""
    if activation == "gelu":
        return torch.ops.aten.gelu_backward(delta, before)
    return torch.ops.aten.threshold_backward(delta, before, 0)

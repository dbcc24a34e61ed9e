"""Many retrainings of a perceptron side by side, on one core.

- `in_place`: the examples in the order of the file, those left out with the weight 0 in their place, so that
  batches, initial values and dropout are those of the model that is judged.
- `deleted`: those left out are taken out of the file, and every later example moves up.
- `alone`: a training on the kept examples, shuffled anew in every epoch, under a seed of its own.

Legend: K trainings, N examples, B of a batch, I inputs, O outputs of a layer, Q queries, P parameters.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.benchmarks.canonical.networks import InFileOrder, Perceptron
from tests.benchmarks.markets.stacked import Layer
from tribute.tasks import joined, seeded

Masks = list[Tensor]
"""What dropout multiplies the hidden layers by: [O, B] each, or [K, O, B]."""


class Stack(NamedTuple):
    """A step of all trainings: examples, [B] or [K, B], their weights, [K, B], and masks of dropout."""

    index: Tensor
    weight_KB: Tensor
    masks: Masks


def in_place(recipe: InFileOrder, kept_KN: NDArray[np.bool_]) -> Iterator[Stack]:
    """Weight 0 in place; everything else as in the full training."""
    kept = torch.from_numpy(kept_KN)
    for step in range(recipe.steps):
        [indices_B] = recipe.schedule.order.micro_batches(step)
        index = torch.from_numpy(indices_B)
        yield Stack(index, kept[:, index] / len(index), _masks(recipe, step, len(index)))


def deleted(recipe: InFileOrder, left_out_K: Sequence[int]) -> Iterator[Stack]:
    """One example taken out of each training; a batch is then that of the file or begins one example later."""
    size, count, left = recipe.training.batch_size, len(recipe.data), torch.tensor(left_out_K)[:, None]
    per_epoch = -(-(count - 1) // size)
    for step in range(round(recipe.training.epochs * per_epoch)):
        begin = step % per_epoch * size
        end = min(begin + size, count - 1)
        index = torch.arange(begin, end + 1)
        inside_KB = (index[None] != left) & torch.where(left < begin, index > begin, index >= begin)
        inside_KB &= torch.where(left < end, index <= end, index < end)
        place_KB = (inside_KB.cumsum(1) - 1).clamp_min(0)  # of an example among those of its own batch
        masks = [mask_OB[:, place_KB].transpose(0, 1) for mask_OB in _masks(recipe, step, end - begin)]
        yield Stack(index, inside_KB / (end - begin), masks)


def alone(recipe: InFileOrder, kept_KM: NDArray[np.int64], seed_K: Sequence[int]) -> Iterator[Stack]:
    """Trainings on as many kept examples each, [K, M], shuffled under their own seeds."""
    task, size, (count, kept) = _network(recipe), recipe.training.batch_size, kept_KM.shape
    draws = [torch.Generator().manual_seed(seed) for seed in seed_K]
    hidden, scale = task.widths[1:-1], 1 / (1 - task.dropout)
    for epoch in range(round(recipe.training.epochs)):
        order_KM = np.stack([np.random.default_rng([seed, epoch]).permutation(kept) for seed in seed_K])
        index_KM = torch.from_numpy(np.take_along_axis(kept_KM, order_KM, 1))
        for index_KB in index_KM.split(size, 1):
            drawn = torch.empty(count, sum(hidden), index_KB.shape[1])
            if task.dropout:
                for part, generator in zip(drawn, draws, strict=True):
                    part.bernoulli_(1 - task.dropout, generator=generator).mul_(scale)
            masks = list(drawn.split(hidden, 1)) if task.dropout else []
            yield Stack(index_KB, torch.full(index_KB.shape, 1 / index_KB.shape[1]), masks)


def _masks(recipe: InFileOrder, step: int, count: int) -> Masks:
    """What the product's own training draws at a step, by place in the batch."""
    task = _network(recipe)
    if not task.dropout:
        return []
    drawn = np.random.SeedSequence([recipe.seed, step, 0]).generate_state(1)[0]
    with seeded(int(drawn), torch.device("cpu")):
        ones = [torch.ones(count, width) for width in task.widths[1:-1]]
        return [torch.nn.functional.dropout(each, task.dropout).T for each in ones]


def initial_values(recipe: InFileOrder, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Initial parameters under some seeds, [K, P]."""
    return torch.stack([recipe.task.initial(seed) for seed in seeds]).to(dtype)


@torch.no_grad()
def trained(recipe: InFileOrder, theta_KP: Tensor, steps: Iterator[Stack]) -> Tensor:
    """Final parameters, [K, P], in the precision of the initial ones."""
    task, layers = _network(recipe), _layers(_network(recipe).widths, theta_KP)
    features_NI = torch.from_numpy(recipe.data.columns["features"]).to(theta_KP)
    label_N = torch.from_numpy(recipe.data.columns["labels"])
    rate, momentum = recipe.training.learning_rate, recipe.training.momentum
    for index, weight_KB, masks in steps:
        inputs, masks = [features_NI[index].mT], [each.to(theta_KP) for each in masks]
        for depth, layer in enumerate(layers):
            output = layer.forward(inputs[-1])
            if depth < len(layers) - 1:
                output = output.relu_()
                inputs.append(output.mul_(masks[depth]) if masks else output)
        delta_KOB = _slope(output, label_N[index], task.widths[-1]) * weight_KB.to(theta_KP)[:, None]
        for depth in reversed(range(len(layers))):
            below = torch.bmm(layers[depth].weight.mT, delta_KOB) if depth else None
            layers[depth].step(delta_KOB, inputs[depth], rate, momentum)
            if below is not None:
                delta_KOB = below * (inputs[depth] > 0) * (masks[depth - 1] if masks else 1)
    return torch.cat([part.flatten(1) for layer in layers for part in (layer.weight, layer.bias)], 1)


@torch.no_grad()
def query_losses(recipe: InFileOrder, theta_KP: Tensor, features_QI: NDArray, label_Q: NDArray) -> Tensor:
    """Cross-entropy of every query under every model, [K, Q] nats."""
    value, layers = torch.from_numpy(features_QI).to(theta_KP).T, _layers(_network(recipe).widths, theta_KP)
    for depth, layer in enumerate(layers):
        value = layer.forward(value)
        value = value.relu_() if depth < len(layers) - 1 else value
    if value.shape[1] == 1:
        value = torch.cat([torch.zeros_like(value), value], 1)
    label_KQ = torch.from_numpy(label_Q).expand(len(value), -1)
    return torch.nn.functional.cross_entropy(value, label_KQ, reduction="none")


def full_finals(recipe: InFileOrder) -> Tensor:
    """Final parameters of the model that is judged, by the product's own training, [P]."""
    everything = torch.ones(len(recipe.data.source_ids))
    return joined(recipe.run(recipe.initial(), range(recipe.steps), everything).theta)


def _slope(output_KOB: Tensor, label: Tensor, outputs: int) -> Tensor:
    """Gradient of the loss of every example by the outputs, [K, O, B]."""
    if outputs == 1:
        return output_KOB.sigmoid() - label.to(output_KOB).reshape(-1, 1, label.shape[-1])
    slope_KOB = output_KOB.softmax(1)
    label_K1B = label.reshape(-1, 1, label.shape[-1]).expand(len(slope_KOB), -1, -1)
    return slope_KOB.scatter_add_(1, label_K1B, slope_KOB.new_full((1, 1, 1), -1.0).expand_as(label_K1B))


def _network(recipe: InFileOrder) -> Perceptron:
    task = recipe.task.task
    assert isinstance(task, Perceptron)
    return task


def _layers(widths: tuple[int, ...], theta_KP: Tensor) -> list[Layer]:
    layers, begin, count = [], 0, len(theta_KP)
    for inputs, outputs in pairwise(widths):
        middle, end = begin + inputs * outputs, begin + inputs * outputs + outputs
        weight = theta_KP[:, begin:middle].reshape(count, outputs, inputs).clone()
        layers.append(Layer(weight, theta_KP[:, middle:end, None].clone()))
        begin = end
    return layers

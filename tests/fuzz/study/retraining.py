"""Plain PyTorch: training with some sources left out, as anybody would write it.

Nothing of the product's arithmetic is used: neither its optimizers, schedules and flat parameters, nor its
ensembles and read-outs. The examples of each step, and the masks of dropout, are taken over as they are.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tribute.config import TrainingSettings
from tribute.tasks import FROZEN_SEED

Parts = Sequence[Sequence[int]]


def rates_of(training: TrainingSettings, steps: int) -> list[float]:
    """The learning rate of every step, as the documentation describes it."""
    warm = math.ceil(training.warmup * steps)
    found = []
    for step in range(steps):
        if step < warm:
            found.append((step + 1) / warm)
            continue
        way = (step - warm) / max(steps - warm - 1, 1)
        lost = 1 - training.final_rate
        found.append(
            {
                "constant": 1.0,
                "linear": 1 - lost * way,
                "cosine": training.final_rate + lost * (1 + math.cos(math.pi * way)) / 2,
            }[training.schedule]
        )
    return [training.learning_rate * rate for rate in found]


def first_of_horizon(rates: Sequence[float], horizon: float) -> int:
    """The last step from which on at least `horizon` of the learning-rate mass is left."""
    return max(step for step in range(len(rates)) if sum(rates[step:]) >= (horizon - 1e-9) * sum(rates))


@dataclass
class Optimizer:
    """SGD and Adam from their formulas, a parameter at a time."""

    training: TrainingSettings
    model: nn.Module
    slots: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)

    def step(self, rate: float, number: int) -> None:
        """Move all parameters; forget their gradients."""
        with torch.no_grad():
            for index, parameter in enumerate(self._trained()):
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradient = gradient.to_dense() if gradient.is_sparse else gradient
                parameter -= self._moved(index, parameter, gradient, rate, number)
                parameter.grad = None

    def clip(self, norm: float) -> None:
        """Scale the gradients down to a global norm."""
        given = [each.grad for each in self._trained() if each.grad is not None]
        dense = [each.to_dense() if each.is_sparse else each for each in given]
        total = math.sqrt(sum(float(each.double().square().sum()) for each in dense))
        for each in given:
            each.mul_(min(norm / (total + 1e-6), 1.0))

    def _trained(self) -> list[nn.Parameter]:
        return [each for each in self.model.parameters() if each.requires_grad]

    def _moved(self, index: int, theta: Tensor, gradient: Tensor, rate: float, number: int) -> Tensor:
        of, zero = self.training, torch.zeros_like(theta)
        if of.optimizer == "sgd":
            gradient = gradient + of.weight_decay * theta
            (momentum,) = self.slots.get(index, (zero,))
            momentum = of.momentum * momentum + gradient
            self.slots[index] = (momentum,)
            return rate * (gradient + of.momentum * momentum if of.nesterov else momentum)
        if of.optimizer == "adam":
            gradient = gradient + of.weight_decay * theta
        first, second = self.slots.get(index, (zero, zero))
        one, two = of.betas
        first, second = one * first + (1 - one) * gradient, two * second + (1 - two) * gradient**2
        self.slots[index] = (first, second)
        spread = (second / (1 - two ** (number + 1)) + of.eps_root).sqrt() + of.eps
        decay = rate * of.weight_decay * theta if of.optimizer == "adamw" else zero
        return rate * first / (1 - one ** (number + 1)) / spread + decay


@dataclass(frozen=True)
class PlainTraining:
    """A training that can be repeated without some sources.

    Args:
        fresh: builds the model as the training found it.
        batches: the examples of every step, in micro-batches.
        double: compute in double precision.
        over_examples: whether a step averages over its examples, not over the means of unequal micro-batches.
    """

    fresh: Callable[[], nn.Module]
    task: Any
    training: TrainingSettings
    columns: Mapping[str, np.ndarray]
    source_N: np.ndarray
    batches: Sequence[Parts]
    rates: Sequence[float]
    seed: int
    double: bool = False
    over_examples: bool = False

    def model(self, weight_S: Mapping[int, float], first: int = 0) -> nn.Module:
        """The trained model; from step `first` on, each source has its weight, 1 where none is given."""
        model = self.fresh()
        model = model.double() if self.double else model
        optimizer = Optimizer(self.training, model)
        for step, parts in enumerate(self.batches):
            total = sum(map(len, parts))
            for index, rows in enumerate(parts):
                batch = self._rows(self.columns, rows)
                weights = [weight_S.get(int(s), 1.0) if step >= first else 1.0 for s in self.source_N[list(rows)]]
                with masks(self.seed, step, index):
                    losses_B = self.task.training_loss(model, batch)
                share = len(rows) / total if self.over_examples else 1 / len(parts)
                ((losses_B * torch.tensor(weights, dtype=losses_B.dtype)).mean() * share).backward()
            if self.training.clip_norm is not None:
                optimizer.clip(self.training.clip_norm)
            optimizer.step(self.rates[step], step)
        return model

    def measured(self, model: nn.Module, queries: Mapping[str, np.ndarray]) -> np.ndarray:
        """What a model measures of queries, in evaluation mode."""
        model.eval()
        with torch.no_grad():
            found = self.task.measurement(model, self._rows(queries, range(len(next(iter(queries.values()))))))
        return found.double().numpy()

    def loss(self, model: nn.Module) -> float:
        """The mean loss over all examples, in evaluation mode; the model is left as it was."""
        still = copy.deepcopy(model).eval()
        with torch.no_grad():
            found = self.task.training_loss(still, self._rows(self.columns, range(len(self.source_N))))
        return float(found.double().mean())

    def _rows(self, columns: Mapping[str, np.ndarray], rows: Sequence[int]) -> dict[str, Tensor]:
        found = {
            name: torch.from_numpy(np.ascontiguousarray(values[list(rows)])) for name, values in columns.items()
        }
        return {
            name: value.double() if self.double and value.is_floating_point() else value
            for name, value in found.items()
        }


@contextmanager
def masks(seed: int, step: int, part: int):
    """Dropout as the training draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([seed, step, part]).generate_state(1)[0]))
        yield


def built(task: Any, seed: int, like: nn.Module | None = None) -> nn.Module:
    """A fresh model: parameters under the seed, all that is not trained under the one seed of all replicates.

    Args:
        like: a model whose frozen part it has instead.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FROZEN_SEED)
        fixed = task.build() if like is None else like
        torch.manual_seed(seed)
        model = task.build()
    stays = {name: value for name, value in fixed.named_parameters() if not value.requires_grad}
    stays |= dict(fixed.named_buffers())
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if name in stays:
            value.data.copy_(stays[name].data)
    return model


def batches_of(training: TrainingSettings, examples: int, seed: int, steps: int) -> list[list[list[int]]]:
    """A new permutation for every epoch, cut into full batches and these into micro-batches."""
    each = examples // training.batch_size
    found = []
    for step in range(steps):
        epoch, position = divmod(step, each)
        order = np.random.default_rng([seed, epoch]).permutation(examples)
        batch = order[position * training.batch_size : (position + 1) * training.batch_size]
        found.append([part.tolist() for part in np.split(batch, training.accumulation)])
    return found

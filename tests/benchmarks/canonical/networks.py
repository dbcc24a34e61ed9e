"""The networks of the settings: perceptrons with dropout, trained on examples in the order of the file.

Legend: B examples, Q queries, C classes.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tribute.tasks.task import Batch, Model
from tribute.training import Recipe
from tribute.training.schedules import Pass, Schedule


class SecondLogit(nn.Module):
    """Logits 0 and z: the softmax of a network with one output z is its sigmoid."""

    def forward(self, logit_B1: Tensor) -> Tensor:
        """[B, 1] to [B, 2]."""
        return torch.cat([torch.zeros_like(logit_B1), logit_B1], -1)


@dataclass(frozen=True)
class Perceptron:
    """Linear layers, each hidden one followed by ReLU and dropout; cross-entropy; measures the log-likelihood.

    Args:
        widths: features, hidden layers and outputs; one output is the logit of the second of two classes.
    """

    widths: tuple[int, ...]
    dropout: float = 0.0

    def build(self) -> nn.Module:
        """A network with the initial values of torch."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(self.widths[:-1]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        layers.append(nn.Linear(*self.widths[-2:]))
        return nn.Sequential(*layers, *([SecondLogit()] if self.widths[-1] == 1 else []))

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Cross-entropy of each example, [B], nats."""
        return functional.cross_entropy(model(batch["features"]), batch["labels"], reduction="none")

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """Log-likelihood of the label, [Q], nats: minus the loss, as in the published tables."""
        return -functional.cross_entropy(model(queries["features"]), queries["labels"], reduction="none")


@dataclass(frozen=True)
class FileOrder:
    """The examples in the order of the file in every epoch; the last batch of an epoch is smaller."""

    examples: int
    batch_size: int

    @property
    def over_examples(self) -> bool:
        """A step has one micro-batch, over whose examples it averages."""
        return True

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, the smaller one included."""
        return -(-self.examples // self.batch_size)

    def micro_batches(self, step: int) -> list[NDArray[np.int64]]:
        """The batch of a step."""
        begin = step % self.steps_per_epoch * self.batch_size
        return [np.arange(begin, min(begin + self.batch_size, self.examples))]

    def passes(self, step: int) -> list[Pass]:
        """The same."""
        return [Pass(indices_B) for indices_B in self.micro_batches(step)]


@dataclass(frozen=True)
class InFileOrder(Recipe):
    """A training at a constant rate on the examples in the order of the file."""

    @cached_property
    def schedule(self) -> Schedule:
        """The rate and the batch of every step."""
        order = FileOrder(len(self.data), self.training.batch_size)
        steps = round(self.training.epochs * order.steps_per_epoch)
        return Schedule(np.full(steps, self.training.learning_rate), order)

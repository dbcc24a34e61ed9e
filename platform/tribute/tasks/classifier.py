"""A multilayer perceptron that classifies feature vectors.

Legend: B examples, C classes.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.tasks.task import Batch, Model

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class Classifier:
    """Cross-entropy training; the measurement is the margin of the true class, or its log-likelihood.

    The margin log p - log(1 - p) is the measurement of TRAK (arXiv 2303.14186). It stays informative where the
    log-likelihood of a confident model rounds to 0, and a few badly predicted queries do not dominate its sum.

    Args:
        features: length of a feature vector.
        hidden: widths of the hidden layers.
        classes: number of classes.
        activation: gelu, relu, silu or tanh.
        measure: margin or log_likelihood.

    Raises:
        ConfigError: the activation or measure is unknown.

    Shapes: the columns are `features`, [N, features], and `labels`, [N].

    >>> tribute.Study(tribute.Classifier(features=64, hidden=(8,)), by_source).source_ids
    ('a', 'b', 'c')
    """

    features: int = 784
    hidden: tuple[int, ...] = (128, 64)
    classes: int = 10
    activation: str = "gelu"
    measure: str = "margin"

    def __post_init__(self) -> None:
        if self.measure not in ("margin", "log_likelihood") or self.activation not in ACTIVATIONS:
            raise ConfigError(
                f"task.options: measure is {self.measure!r} and activation is {self.activation!r}. Set measure to "
                f"margin or log_likelihood, and activation to one of {', '.join(ACTIVATIONS)}"
            )

    def build(self) -> nn.Module:
        """Linear layers with the activation between them, freshly initialised."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((self.features, *self.hidden, self.classes)):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers[:-1])

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Cross-entropy of each example, [B], nats."""
        return functional.cross_entropy(model(batch["features"]), batch["labels"], reduction="none")

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """Margin of the true class over all others, or its log-likelihood, [Q], nats."""
        return class_measurement(model(queries["features"]), queries["labels"], self.measure)


def class_measurement(logits_BC: Tensor, labels_B: Tensor, measure: str) -> Tensor:
    """Margin of the true class over all others, or its log-likelihood, [B], nats."""
    labels_B1 = labels_B.long()[:, None]
    competing = logits_BC if measure == "log_likelihood" else logits_BC.scatter(1, labels_B1, -torch.inf)
    return logits_BC.gather(1, labels_B1)[:, 0] - competing.logsumexp(1)

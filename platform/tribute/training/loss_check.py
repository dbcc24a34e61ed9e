"""Compares the gradient of a training loop with that of a task's training loss.

Legend: P parameters.
"""

from collections.abc import Sequence

import torch

from tribute.errors import ConfigError
from tribute.tasks import FlatTask, Parameters, joined
from tribute.training.schedules import Pass, loss_scales
from tribute.training.step import MicroBatch, gradient
from tribute.training.training_set import TrainingSet

TOLERANCE = 5e-2
"""Largest relative difference of two gradients that count as one: mixed precision rounds."""


def check_loss(
    task: FlatTask,
    data: TrainingSet,
    theta: Parameters,
    given: Parameters,
    passes: Sequence[Pass],
    clip_norm: float | None,
    *,
    over_examples: bool,
) -> None:
    """Check that a gradient is that of the mean training loss of some micro-batches at theta.

    Args:
        passes: the micro-batches.
        over_examples: whether the mean is over all examples, not over the means of the micro-batches.

    Raises:
        ConfigError: it is another one; says by which factor, if it is a multiple.
    """
    device = next(iter(theta.values())).device
    micro_batches = []
    for each, scale in zip(passes, loss_scales(passes, over_examples=over_examples), strict=True):
        batch, _ = data.batch(each.indices_B, device, each.width)
        weights_B = torch.ones(len(each.indices_B), device=device)
        if scale is not None:
            weights_B *= torch.as_tensor(scale, dtype=torch.float64).to(weights_B)
        micro_batches.append(MicroBatch(batch, weights_B, each.seed or 0))
    expected_P, given_P = joined(gradient(task, theta, micro_batches)), joined(given).detach()
    if clip_norm is not None:
        expected_P = expected_P * (clip_norm / (expected_P.norm() + 1e-6)).clamp(max=1)
    expected_P, given_P = expected_P.double(), given_P.double()
    size = float(expected_P.norm())
    if float((given_P - expected_P).norm()) <= TOLERANCE * size or not size:
        return
    factor = float(given_P @ expected_P) / size**2
    if float((given_P - factor * expected_P).norm()) <= TOLERANCE * float(given_P.norm()):
        raise ConfigError(
            f"The gradient of the loop's first step is {factor:.4g} times that of the task's training_loss. Let "
            "the loss be a mean over the examples of a micro-batch, divided by the number of micro-batches"
        )
    raise ConfigError(
        "The gradient of the loop's first step is not that of the task's training_loss. Use one loss in both "
        "(label smoothing, weights of classes or examples, penalties), pass the indices of the examples that the "
        "loss was taken of, and leave out augmentation"
    )

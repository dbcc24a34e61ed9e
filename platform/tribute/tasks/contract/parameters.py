"""Which parameters a function of the task reaches, and which examples train none.

Legend: B examples.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tribute.ids import SHOWN, listed
from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.finding import TaskFinding
from tribute.tasks.contract.function import Function, Pieces, Wrong
from tribute.tasks.flat import FlatTask
from tribute.tasks.frozen import under_seed

SEEDS = (0, 1, 2)
"""Initialisations under which an ignored example has a loss of 0."""

Slopes = dict[str, Tensor | None]


def slopes(function: Function, pieces: Pieces, examples: TaskExamples) -> Slopes:
    """Gradient of the sum of all values by each parameter; None where none can reach it.

    Raises:
        Wrong: no parameter is reached, or a gradient is not finite.
    """
    leaves = {name: value.detach().clone().requires_grad_() for name, value in pieces.items()}
    with torch.enable_grad():
        total = function.values(leaves, examples.batch).sum()
    found: tuple[Tensor | None, ...] = (None,)
    if total.requires_grad:
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    if all(slope is None for slope in found):
        raise Wrong(
            f"{function.name} is not differentiable by any parameter. Call the model that it is "
            "given, not one of the "
            "task's own, and leave out detach(), item(), no_grad(), NumPy and argmax on the way to it"
        )
    named = {
        name: slope if slope is None else slope.detach().to_dense()
        for name, slope in zip(leaves, found, strict=True)
    }
    wild = [name for name, slope in named.items() if slope is not None and not torch.isfinite(slope).all()]
    if wild:
        raise Wrong(
            f"the gradient of {function.name} by {listed(wild, characters=SHOWN)} is not finite, though its "
            "values are. Look for a square root, a division or a logarithm at 0"
        )
    return named


def unreached(trained: Slopes, measured: Slopes | None, weight_decay: float) -> Iterator[TaskFinding]:
    """Parameters that the training loss does not reach; refused if weight decay changes what is measured."""
    names = [name for name, slope in trained.items() if slope is None]
    if not names:
        return
    used = [name for name in names if measured is not None and measured[name] is not None]
    text = f"no gradient of training_loss reaches {listed(names, characters=SHOWN)} on the examples tried"
    remedy = "Use them in training_loss, or freeze them in build: parameter.requires_grad_(False)"
    if used and weight_decay:
        yield TaskFinding(
            "parameters",
            True,
            f"{text}, but measurement uses {listed(used, characters=SHOWN)}, which weight decay "
            f"shrinks (torch would leave them as they are). {remedy}",
        )
    else:
        yield TaskFinding("parameters", False, f"{text}: they keep their initial values. {remedy}")


def ignored(function: Function, task: FlatTask, examples: TaskExamples) -> Iterator[str]:
    """TaskExamples whose loss is 0 whatever the parameters, as that of a label that cross_entropy ignores."""
    zero_B = torch.ones(len(examples), dtype=torch.bool)
    for seed in SEEDS:
        with under_seed(seed), torch.no_grad():
            pieces = task.pieces(task.initial(seed))
        zero_B &= function.values(pieces, examples.batch).detach() == 0
    found = zero_B.nonzero().flatten().tolist()
    if found and len(found) < len(examples):
        more = f" and {len(found) - 1} more of the examples tried" if len(found) > 1 else ""
        yield (
            f"training_loss is 0 whatever the parameters for {examples.name(found[0])}{more}: it "
            "trains nothing, yet "
            "would count as a part of its source. Label it (cross_entropy ignores labels of -100), or leave it out"
        )

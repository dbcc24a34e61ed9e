"""Paired simulation: the last steps of a training once more, beside the same steps without a source.

Legend: P parameters, S sources simulated here, K = S + 1 trajectories (the first is unperturbed).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tribute.errors import SimulationError
from tribute.training import NonFinite, Recipe, State


class Responses(NamedTuple):
    """What a simulation gives: the replayed final parameters [P] and the sources' responses [S, P]."""

    theta_P: Tensor
    response_SP: Tensor


def paired(recipe: Recipe, start: State, first: int, sources: Sequence[int], epsilon: float) -> Responses:
    """Delta_s = theta_T(w) - theta_T(w - epsilon e_s) over steps `first` to T, for all `sources` in one stack.

    The unperturbed run is part of the stack, so that rounding is the same on both sides of the difference.

    Args:
        start: the recorded state before step `first`, theta [P].
        sources: indices in `recipe.data.source_ids`.
        epsilon: how much weight is taken from the source; 1 = it is absent.

    Raises:
        SimulationError: a trajectory left the finite numbers; names its source and the step.

    Source: the two-trajectory form of arXiv 2511.19803.
    """
    weights_KS = torch.ones(len(sources) + 1, len(recipe.data.source_ids))
    weights_KS[torch.arange(1, len(sources) + 1), torch.tensor(sources)] -= epsilon

    def stacked(value_P: Tensor) -> Tensor:
        return value_P.expand(len(sources) + 1, -1).clone()

    stack = State(stacked(start.theta), tuple(stacked(slot) for slot in start.slots))
    try:
        theta_KP = recipe.run(stack, range(first, recipe.steps), weights_KS).theta
    except NonFinite as error:
        names = ["as trained", *(f"without {recipe.data.source_ids[s]}" for s in sources)]
        raise SimulationError(f"{error} [{', '.join(names[row] for row in error.rows)}]") from error
    return Responses(theta_KP[0], theta_KP[0] - theta_KP[1:])

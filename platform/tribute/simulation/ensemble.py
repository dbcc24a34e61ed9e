"""State of a simulation between two steps, and its result.

Legend: P parameters of the whole model, p of the scope, K units simulated together.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from tribute.tasks import Scope
from tribute.training import State, UpdateRule

MAX_RELATIVE_RESPONSE = 100.0
"""Largest meaningful norm of a response, as a multiple of the norm of the parameters."""


class Ensemble(NamedTuple):
    """The unperturbed run, the perturbed trajectories, and the step at which each unit failed.

    `base` is the state of the whole model, [P]. `perturbed` has one row for each trajectory: [1 + K, p] for paired
    simulation (the first row is unperturbed), [K, p] for tangents. `failed` holds the step, or -1, [K].
    """

    base: State
    perturbed: State
    failed: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by name, for a checkpoint; files call the perturbed trajectories `moved`."""
        named = {"failed": self.failed, "base.theta": self.base.theta, "moved.theta": self.perturbed.theta}
        for name, state in (("base", self.base), ("moved", self.perturbed)):
            named |= {f"{name}.slot{index}": slot for index, slot in enumerate(state.slots)}
        return named

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "Ensemble":
        """Rebuild the ensemble from the tensors of a checkpoint."""

        def state(name: str) -> State:
            slots = sorted(key for key in tensors if key.startswith(f"{name}.slot"))
            return State(tensors[f"{name}.theta"], tuple(tensors[key] for key in slots))

        return cls(state("base"), state("moved"), tensors["failed"])


class Responses(NamedTuple):
    """Final unperturbed parameters [P], responses [K, p], and the step at which each unit failed, or -1, [K]."""

    theta_P: Tensor
    response_KP: Tensor
    failed: Tensor


def repeated(state: State, rows: int) -> State:
    """Repeat a state in every row."""
    return State(
        state.theta.expand(rows, -1).clone(), tuple(slot.expand(rows, -1).clone() for slot in state.slots)
    )


def replaced(state: State, rows: Tensor, by: State) -> State:
    """Replace the rows of a mask by those of another state, which broadcasts."""
    chosen = rows[:, None]
    slots = tuple(torch.where(chosen, new, old) for new, old in zip(by.slots, state.slots, strict=True))
    return State(torch.where(chosen, by.theta, state.theta), slots)


def outside_square(rule: UpdateRule, scope: Scope, theta_P: Tensor, gradient_P: Tensor) -> Tensor:
    """Squared norm of the pulled gradient outside the scope, for clipping."""
    pulled_P = rule.pulled(theta_P, gradient_P)
    return pulled_P.square().sum() - scope.of(pulled_P).square().sum()


def scoped_rule(rule: UpdateRule, scope: Scope) -> UpdateRule:
    """Restrict an update rule to the parameters of the scope."""
    return replace(rule, anchor=scope.of(rule.anchor)) if isinstance(rule.anchor, Tensor) else rule

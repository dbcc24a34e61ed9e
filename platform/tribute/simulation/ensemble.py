"""State of a simulation between two steps, and its result.

Legend: K units simulated together. Parameters have names; K trajectories of them have a leading K.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from tribute.tasks import Parameters, Scope, beside, combined, square
from tribute.training import State, UpdateRule

MAX_RELATIVE_RESPONSE = 100.0
"""Largest meaningful norm of a response, as a multiple of the norm of the parameters."""


class Ensemble(NamedTuple):
    """The unperturbed run, the perturbed trajectories, and the step at which each unit failed.

    `base` is the state of the whole model. `perturbed` has one row for each trajectory, in the scope: 1 + K for
    paired simulation (the first row is unperturbed), K for tangents. `failed` holds the step, or -1, [K].
    """

    base: State
    perturbed: State
    failed: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by name, for a checkpoint; files call the perturbed trajectories `moved`."""
        return {"failed": self.failed} | self.base.tensors("base.") | self.perturbed.tensors("moved.")

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "Ensemble":
        """Rebuild the ensemble from the tensors of a checkpoint."""
        return cls(State.of(tensors, "base."), State.of(tensors, "moved."), tensors["failed"])


class Responses(NamedTuple):
    """Final unperturbed parameters, responses in the scope, [K, *shape] each, and the failed step, or -1, [K]."""

    theta: Parameters
    response: Parameters
    failed: Tensor


def owned(state: State) -> State:
    """A copy, which steps may overwrite."""

    def copied(theta: Parameters) -> Parameters:
        return {name: value.clone() for name, value in theta.items()}

    return State(copied(state.theta), tuple(map(copied, state.slots)))


def repeated(state: State, rows: int) -> State:
    """Repeat a state in every row."""

    def rows_of(theta: Parameters) -> Parameters:
        return {name: value.expand(rows, *value.shape).clone() for name, value in theta.items()}

    return State(rows_of(state.theta), tuple(map(rows_of, state.slots)))


def replaced(state: State, rows: Tensor, by: State) -> State:
    """Replace the rows of a mask by those of another state, which broadcasts."""

    def chosen(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(beside(rows, old), new, old)

    slots = tuple(combined(chosen, old, new) for old, new in zip(state.slots, by.slots, strict=True))
    return State(combined(chosen, state.theta, by.theta), slots)


def outside_square(rule: UpdateRule, scope: Scope, theta: Parameters, gradient: Parameters) -> Tensor:
    """Squared norm of the pulled gradient outside the scope, for clipping."""
    pulled = rule.pulled(theta, gradient)
    outside = {name: value for name, value in pulled.items() if name not in scope.names}
    return square(outside) if outside else torch.zeros((), device=next(iter(theta.values())).device)


def scoped_rule(rule: UpdateRule, scope: Scope) -> UpdateRule:
    """Restrict an update rule to the parameters of the scope."""
    return rule if rule.anchor is None else replace(rule, anchor=scope.part(rule.anchor))


def scoped(state: State, scope: Scope) -> State:
    """A state's parameters in the scope."""
    return State(scope.part(state.theta), tuple(map(scope.part, state.slots)))

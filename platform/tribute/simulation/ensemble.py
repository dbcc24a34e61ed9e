"""The state of a simulation between two steps, and what it ends with.

Legend: P parameters of the whole model, p of the scope, K units simulated together.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from tribute.tasks import Scope
from tribute.training import State, UpdateRule

EXPLODED = 100.0
"""A response longer than this many times the parameters themselves says nothing about them."""


class Ensemble(NamedTuple):
    """The unperturbed run, the trajectories beside it, and the step at which a unit was given up.

    `base` is the whole model's state, [P]; `moved` has a row per trajectory, [1 + K, p] (paired, the first row
    unperturbed) or [K, p] (tangents); `failed` is -1, or the step, [K].
    """

    base: State
    moved: State
    failed: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a checkpoint."""
        named = {"failed": self.failed, "base.theta": self.base.theta, "moved.theta": self.moved.theta}
        for part, state in (("base", self.base), ("moved", self.moved)):
            named |= {f"{part}.slot{index}": slot for index, slot in enumerate(state.slots)}
        return named

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "Ensemble":
        """The stack of a checkpoint's tensors."""

        def state(part: str) -> State:
            slots = sorted(name for name in tensors if name.startswith(f"{part}.slot"))
            return State(tensors[f"{part}.theta"], tuple(tensors[name] for name in slots))

        return cls(state("base"), state("moved"), tensors["failed"])


class Responses(NamedTuple):
    """Final parameters of the unperturbed run, [P], the units' responses, [K, p], and who failed when, [K]."""

    theta_P: Tensor
    response_KP: Tensor
    failed: Tensor


def stacked(state: State, rows: int) -> State:
    """The same state in every row."""
    return State(
        state.theta.expand(rows, -1).clone(), tuple(slot.expand(rows, -1).clone() for slot in state.slots)
    )


def replaced(state: State, rows: Tensor, by: State) -> State:
    """The state with some rows (a mask) replaced by those of another, which broadcasts."""
    chosen = rows[:, None]
    slots = tuple(torch.where(chosen, new, old) for new, old in zip(by.slots, state.slots, strict=True))
    return State(torch.where(chosen, by.theta, state.theta), slots)


def outside_square(rule: UpdateRule, scope: Scope, theta_P: Tensor, slope_P: Tensor) -> Tensor:
    """Squared norm of what clipping sees of the parameters outside the scope."""
    pulled_P = rule.pulled(theta_P, slope_P)
    return pulled_P.square().sum() - scope.of(pulled_P).square().sum()


def scoped_rule(rule: UpdateRule, scope: Scope) -> UpdateRule:
    """The rule for the scope's parameters alone."""
    return replace(rule, anchor=scope.of(rule.anchor)) if isinstance(rule.anchor, Tensor) else rule

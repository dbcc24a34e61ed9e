"""Running a simulation: one loop for every mode, which can be stopped at any step and taken up again.

Legend: P parameters, K units, S sources.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from tribute.config import SimulationSettings
from tribute.simulation.ensemble import EXPLODED, Ensemble, Responses
from tribute.simulation.paired import Paired
from tribute.simulation.replay_schedule import ReplaySchedule, continue_from, replay
from tribute.simulation.tangent import Tangent
from tribute.tasks import Scope
from tribute.training import Recipe, State

CHECK_EVERY = 20
"""Steps between two looks at the length of the responses."""

OnStack = Callable[[int, Ensemble], None]
"""Called after a step with the number of the next one and the stack."""


class Mode(Protocol):
    """One way to simulate: explicit state in, state out."""

    @property
    def course(self) -> ReplaySchedule:
        """The steps it runs."""
        ...

    def begin(self, state: State) -> Ensemble:
        """The stack before the first step."""
        ...

    def advance(self, stack: Ensemble, step: int) -> Ensemble:
        """The stack after a step."""
        ...

    def drop(self, stack: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """The stack with some units given up."""
        ...

    def responses(self, stack: Ensemble) -> Responses:
        """The responses at the end."""
        ...


def build_course(recipe: Recipe, settings: SimulationSettings, checkpoint_P: Tensor) -> ReplaySchedule:
    """The steps that `simulation` asks for: the recorded ones again, or further ones from the checkpoint."""
    training = recipe.training.model_copy(update={"precision": settings.precision})
    recipe = replace(recipe, training=training)
    if settings.base == "continue":
        return continue_from(recipe, settings, checkpoint_P)
    return replay(recipe, settings)


def build_mode(course: ReplaySchedule, settings: SimulationSettings, change_KS: Tensor) -> Mode:
    """The simulation of some units along a course.

    Raises:
        ConfigError: the scope holds no parameter.
    """
    scope = Scope(course.recipe.task, settings.scope)
    if settings.mode == "tangent":
        return Tangent(course, scope, change_KS, settings.curvature == "gauss_newton")
    return Paired(course, scope, change_KS, settings.epsilon)


def simulate(mode: Mode, stack: Ensemble, first: int, on_stack: OnStack | None = None) -> Responses:
    """Run a mode from the stack before step `first` to the end of its course.

    A unit whose response leaves the finite numbers, or outgrows the parameters by `EXPLODED`, is given up at
    that step; the others go on.

    Raises:
        NonFinite: the unperturbed run itself left the finite numbers.
    """
    last = mode.course.steps.stop
    for step in range(first, last):
        stack = mode.advance(stack, step)
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == last:
            stack = _without_exploded(mode, stack, step)
        if on_stack is not None:
            on_stack(step + 1, stack)
    return mode.responses(stack)


def _without_exploded(mode: Mode, stack: Ensemble, step: int) -> Ensemble:
    found = mode.responses(stack)
    too_long = torch.linalg.vector_norm(found.response_KP, dim=-1) > EXPLODED * found.theta_P.norm()
    fresh = too_long & (stack.failed < 0)
    return mode.drop(stack, fresh, step) if fresh.any() else stack

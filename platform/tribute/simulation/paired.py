"""Paired simulation: the same steps once more without a unit's weight, beside the unperturbed run.

Legend: P parameters, p of the scope, S sources, K units (row 0 of a stack of 1 + K is unperturbed).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.simulation.ensemble import Ensemble, Responses, outside_square, replaced, scoped_rule, stacked
from tribute.simulation.replay_schedule import ReplaySchedule
from tribute.tasks import Scope
from tribute.training import NonFinite, State, advance, gradient


@dataclass(frozen=True)
class Paired:
    """Delta_u = (theta_T(w) - theta_T(w - epsilon change_u)) / epsilon, all units in one stack.

    The unperturbed run is part of the stack, so that rounding is the same on both sides of the difference. In a
    narrow scope the whole model runs beside it, and the stack sees the other parameters where that run has them.

    Args:
        change_KS: which sources' weights each unit lowers, [K, S].
        epsilon: by how much; 1 = the unit is absent.

    Source: the two-trajectory form of arXiv 2511.19803.
    """

    course: ReplaySchedule
    scope: Scope
    change_KS: Tensor
    epsilon: float

    def begin(self, state: State) -> Ensemble:
        """Every trajectory at the recorded state."""
        narrow = State(self.scope.of(state.theta), tuple(self.scope.of(slot) for slot in state.slots))
        rows = len(self.change_KS)
        failed = torch.full((rows,), -1, device=state.theta.device)
        return Ensemble(state, stacked(narrow, rows + 1), failed)

    def advance(self, stack: Ensemble, step: int) -> Ensemble:
        """One step of all trajectories.

        Raises:
            NonFinite: the unperturbed run left the finite numbers.
        """
        course, rate = self.course, self.course.rate(step)
        base = course.base_weights()
        alive_K1 = (stack.failed < 0)[:, None]
        lowered_KS = base - self.epsilon * self.change_KS.to(base.device) * alive_K1
        parts = course.parts(step, torch.cat([base[None], lowered_KS]))
        if self.scope.whole:
            moved = advance(course.recipe.task, course.rule, stack.moved, parts, rate, step)
            whole = State(moved.theta[0], tuple(slot[0] for slot in moved.slots))
            return self._checked(Ensemble(whole, moved, stack.failed), step)
        own = [part._replace(weights=part.weights[0]) for part in parts]
        slope_P = gradient(course.recipe.task, stack.base.theta, own)
        rest = outside_square(course.rule, self.scope, stack.base.theta, slope_P)
        task, rule = self.scope.task_at(stack.base.theta), scoped_rule(course.rule, self.scope)
        moved = advance(task, rule, stack.moved, parts, rate, step, rest)
        whole = course.rule.apply(stack.base, slope_P, rate, step)
        return self._checked(Ensemble(whole, moved, stack.failed), step)

    def responses(self, stack: Ensemble) -> Responses:
        """What the units' absence did to the parameters."""
        theta_KP = stack.moved.theta
        return Responses(stack.base.theta, (theta_KP[0] - theta_KP[1:]) / self.epsilon, stack.failed)

    def drop(self, stack: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Give up some units: their trajectories follow the unperturbed one from here."""
        rows = torch.cat([rows_K.new_zeros(1), rows_K])
        first = State(stack.moved.theta[:1], tuple(slot[:1] for slot in stack.moved.slots))
        return Ensemble(stack.base, replaced(stack.moved, rows, first), stack.failed.masked_fill(rows_K, step))

    def _checked(self, stack: Ensemble, step: int) -> Ensemble:
        finite = torch.isfinite(stack.moved.theta.sum(-1))
        if finite.all():
            return stack
        if not finite[0]:
            raise NonFinite(step, self.course.steps.stop)
        return self.drop(stack, ~finite[1:], step)

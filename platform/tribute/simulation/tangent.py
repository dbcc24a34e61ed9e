"""Tangent simulation: the exact derivative of the final parameters by a unit's weight, in forward mode.

Legend: P parameters, p of the scope, S sources, K units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.simulation.ensemble import Ensemble, Responses, outside_square, replaced, scoped_rule
from tribute.simulation.replay_schedule import ReplaySchedule
from tribute.tasks import Scope
from tribute.training import NonFinite, State, advance_tangents, gradient


@dataclass(frozen=True)
class Tangent:
    """r_u = d theta_T / d w along change_u: one primal run, and K tangents pushed through every step.

    Args:
        change_KS: which sources' weights each unit moves, [K, S].
        gauss_newton: curvature that is never negative, for steps far from convergence.

    Source: the single-trajectory form of arXiv 2511.19803; the forward-mode dual of arXiv 2503.13751.
    """

    course: ReplaySchedule
    scope: Scope
    change_KS: Tensor
    gauss_newton: bool

    def begin(self, state: State) -> Ensemble:
        """Tangents of 0: what happened before the horizon is not differentiated."""
        narrow = self.scope.of(state.theta)
        zero = narrow.new_zeros(len(self.change_KS), narrow.shape[-1])
        failed = torch.full((len(self.change_KS),), -1, device=narrow.device)
        return Ensemble(state, State(zero, tuple(zero.clone() for _ in state.slots)), failed)

    def advance(self, stack: Ensemble, step: int) -> Ensemble:
        """One step of the primal and of all tangents.

        Raises:
            NonFinite: the primal left the finite numbers.
        """
        course, rate, scope = self.course, self.course.rate(step), self.scope
        parts = course.parts(step, course.base_weights())
        alive_KS = self.change_KS.to(stack.base.theta.device) * (stack.failed < 0)[:, None]
        changes = [part.weights for part in course.parts(step, alive_KS)]
        slope_P = gradient(course.recipe.task, stack.base.theta, parts)
        rest = outside_square(course.rule, scope, stack.base.theta, slope_P)
        moved = advance_tangents(
            scope.task_at(stack.base.theta),
            scoped_rule(course.rule, scope),
            State(scope.of(stack.base.theta), tuple(scope.of(slot) for slot in stack.base.slots)),
            stack.moved,
            parts,
            changes,
            rate,
            step,
            gauss_newton=self.gauss_newton,
            rest_square=rest,
        )
        base = course.rule.apply(stack.base, slope_P, rate, step)
        if not torch.isfinite(base.theta.sum()):
            raise NonFinite(step, course.steps.stop)
        return self._checked(Ensemble(base, moved, stack.failed), step)

    def responses(self, stack: Ensemble) -> Responses:
        """The derivatives, per unit of weight."""
        return Responses(stack.base.theta, stack.moved.theta, stack.failed)

    def drop(self, stack: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Give up some units: their tangents become 0."""
        zero = State(stack.moved.theta.new_zeros(()), tuple(slot.new_zeros(()) for slot in stack.moved.slots))
        return Ensemble(stack.base, replaced(stack.moved, rows_K, zero), stack.failed.masked_fill(rows_K, step))

    def _checked(self, stack: Ensemble, step: int) -> Ensemble:
        finite = torch.isfinite(stack.moved.theta.sum(-1))
        return stack if finite.all() else self.drop(stack, ~finite, step)

"""Tangent simulation: exact derivatives of the final parameters by the weight of each unit, in forward mode.

Legend: S sources, K units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.simulation.ensemble import (
    Ensemble,
    Responses,
    outside_square,
    owned,
    replaced,
    scoped,
    scoped_rule,
)
from tribute.simulation.replay_schedule import ReplaySchedule
from tribute.tasks import Scope, total
from tribute.training import NonFinite, State, advance_tangents, gradient


@dataclass(frozen=True)
class Tangent:
    """r_u = d theta_T / d w along change_u: one primal run, and K tangents pushed through every step.

    Args:
        change_KS: the sources whose weight each unit changes, [K, S].
        gauss_newton: use the Gauss-Newton matrix, which is positive semidefinite, instead of the Hessian.

    Source: the single-trajectory form of arXiv 2511.19803; the forward-mode dual of arXiv 2503.13751.
    """

    schedule: ReplaySchedule
    scope: Scope
    change_KS: Tensor
    gauss_newton: bool

    def begin(self, state: State) -> Ensemble:
        """Start all tangents at 0: steps before the horizon are not differentiated."""
        rows, start = len(self.change_KS), scoped(state, self.scope)
        theta, *slots = (
            {name: value.new_zeros(rows, *value.shape) for name, value in named.items()}
            for named in (start.theta, *start.slots)
        )
        failed = torch.full((rows,), -1, device=self.schedule.recipe.device)
        return Ensemble(owned(state), State(theta, tuple(slots)), failed)

    def advance(self, ensemble: Ensemble, step: int) -> Ensemble:
        """Run one step of the primal and of all tangents; the ensemble before it is used up.

        Raises:
            NonFinite: the primal is no longer finite.
        """
        schedule, rate, scope = self.schedule, self.schedule.rate(step), self.scope
        micro_batches = schedule.micro_batches(step, schedule.base_weights())
        alive_KS = self.change_KS.to(schedule.recipe.device) * (ensemble.failed < 0)[:, None]
        changes = [micro_batch.weights for micro_batch in schedule.micro_batches(step, alive_KS)]
        slope = gradient(schedule.recipe.task, ensemble.base.theta, micro_batches)
        if self.gauss_newton:
            schedule.recipe.task.find_output(ensemble.base.theta, micro_batches[0].batch)
        rest = outside_square(schedule.rule, scope, ensemble.base.theta, slope)
        perturbed = advance_tangents(
            scope.task_at(ensemble.base.theta),
            scoped_rule(schedule.rule, scope),
            scoped(ensemble.base, scope),
            ensemble.perturbed,
            micro_batches,
            changes,
            rate,
            step,
            gauss_newton=self.gauss_newton,
            rest_square=rest,
        )
        base = schedule.rule.apply(ensemble.base, slope, rate, step, consume=True)
        if not torch.isfinite(total(base.theta)):
            raise NonFinite(step, schedule.steps.stop)
        return self._checked(Ensemble(base, perturbed, ensemble.failed), step)

    def responses(self, ensemble: Ensemble) -> Responses:
        """Derivatives, per unit of weight."""
        return Responses(ensemble.base.theta, ensemble.perturbed.theta, ensemble.failed)

    def freeze(self, ensemble: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Set the tangents of some units to 0."""
        kept = replaced(ensemble.perturbed, rows_K, self.begin(ensemble.base).perturbed)
        return Ensemble(ensemble.base, kept, ensemble.failed.masked_fill(rows_K, step))

    def _checked(self, ensemble: Ensemble, step: int) -> Ensemble:
        finite = torch.isfinite(total(ensemble.perturbed.theta, 1))
        return ensemble if finite.all() else self.freeze(ensemble, ~finite, step)

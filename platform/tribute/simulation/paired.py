"""Paired simulation: repeat the training steps with lowered weights, together with the unperturbed run.

Legend: S sources, K units (row 0 of an ensemble of 1 + K is unperturbed).
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from tribute.simulation.ensemble import (
    Ensemble,
    Responses,
    outside_square,
    owned,
    repeated,
    replaced,
    scoped,
    scoped_rule,
)
from tribute.simulation.replay_schedule import ReplaySchedule
from tribute.tasks import Scope, combined, total
from tribute.training import MicroBatch, NonFinite, State, advance, gradient


@dataclass(frozen=True)
class Paired:
    """Delta_u = (theta_T(w) - theta_T(w - epsilon change_u)) / epsilon, all units in one ensemble.

    The unperturbed run is part of the ensemble, so rounding is the same on both sides of the difference. With a
    narrow scope the whole model runs once more, and the ensemble reads the other parameters from that run.

    Args:
        change_KS: the sources whose weight each unit lowers, [K, S].
        epsilon: by how much the weight is lowered; 1 removes the unit.

    Source: the two-trajectory form of arXiv 2511.19803.
    """

    schedule: ReplaySchedule
    scope: Scope
    change_KS: Tensor
    epsilon: float

    def begin(self, state: State) -> Ensemble:
        """Start every trajectory at the recorded state."""
        rows = len(self.change_KS)
        failed = torch.full((rows,), -1, device=self.schedule.recipe.device)
        perturbed = repeated(scoped(state, self.scope), rows + 1)
        return Ensemble(_row(perturbed, 0) if self.scope.whole else owned(state), perturbed, failed)

    def advance(self, ensemble: Ensemble, step: int) -> Ensemble:
        """Run one step of all trajectories; the ensemble before it is used up.

        Raises:
            NonFinite: the unperturbed run is no longer finite.
        """
        schedule, rate = self.schedule, self.schedule.rate(step)
        base = schedule.base_weights()
        alive_K1 = (ensemble.failed < 0)[:, None]
        lowered_KS = base - self.epsilon * self.change_KS.to(base.device) * alive_K1
        micro_batches = schedule.micro_batches(step, torch.cat([base[None], lowered_KS]))
        whole = self.scope.whole
        state, perturbed = (self._whole_step if whole else self._scoped_step)(ensemble, micro_batches, rate, step)
        return self._checked(Ensemble(state, perturbed, ensemble.failed), step)

    def _whole_step(
        self, ensemble: Ensemble, micro_batches: list[MicroBatch], rate: float, step: int
    ) -> tuple[State, State]:
        """The unperturbed run is a row of the ensemble."""
        schedule = self.schedule
        for named in (ensemble.base.theta, *ensemble.base.slots):
            cast(dict[str, Tensor], named).clear()  # views of the ensemble, which would keep its memory
        perturbed = advance(
            schedule.recipe.task, schedule.rule, ensemble.perturbed, micro_batches, rate, step, consume=True
        )
        return _row(perturbed, 0), perturbed

    def _scoped_step(
        self, ensemble: Ensemble, micro_batches: list[MicroBatch], rate: float, step: int
    ) -> tuple[State, State]:
        """The whole model steps once; the ensemble reads from it what is outside the scope."""
        schedule, theta = self.schedule, ensemble.base.theta
        unperturbed = [micro_batch._replace(weights=micro_batch.weights[0]) for micro_batch in micro_batches]
        slope = gradient(schedule.recipe.task, theta, unperturbed)
        rest = outside_square(schedule.rule, self.scope, theta, slope)
        task, rule = self.scope.task_at(theta), scoped_rule(schedule.rule, self.scope)
        perturbed = advance(task, rule, ensemble.perturbed, micro_batches, rate, step, rest, consume=True)
        del task
        return schedule.rule.apply(ensemble.base, slope, rate, step, consume=True), perturbed

    def responses(self, ensemble: Ensemble) -> Responses:
        """Differences of parameters, per unit of weight."""
        found = {name: (rows[0] - rows[1:]) / self.epsilon for name, rows in ensemble.perturbed.theta.items()}
        return Responses(ensemble.base.theta, found, ensemble.failed)

    def freeze(self, ensemble: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Set the trajectories of some units to the unperturbed one, which they follow from here on."""
        rows = torch.cat([rows_K.new_zeros(1), rows_K])
        kept = replaced(ensemble.perturbed, rows, _row(ensemble.perturbed, 0))
        return Ensemble(ensemble.base, kept, ensemble.failed.masked_fill(rows_K, step))

    def _checked(self, ensemble: Ensemble, step: int) -> Ensemble:
        finite = torch.isfinite(total(ensemble.perturbed.theta, 1))
        if finite.all():
            return ensemble
        if not finite[0]:
            raise NonFinite(step, self.schedule.steps.stop)
        return self.freeze(ensemble, ~finite[1:], step)


def _row(state: State, row: int) -> State:
    """One trajectory of an ensemble."""
    first, *slots = (combined(lambda rows: rows[row], named) for named in (state.theta, *state.slots))
    return State(first, tuple(slots))

"""Trajectories with lowered weights, compared with an unperturbed run that was run before.

Legend: S sources, K units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.simulation.ensemble import Ensemble, Responses, repeated, replaced
from tribute.simulation.replay_schedule import ReplaySchedule
from tribute.tasks import Parameters, combined, total
from tribute.training import NonFinite, State, advance


@dataclass(frozen=True)
class Retrained:
    """Delta_u = (theta_T(w) - theta_T(w - epsilon change_u)) / epsilon: `Paired` without its unperturbed run.

    A trajectory does not depend on those beside it, so the responses are those of `Paired`, on a CPU to the same
    bits.

    Args:
        change_KS: the sources whose weight each unit lowers, [K, S].
        full: where the unperturbed run of an ensemble ended.
        epsilon: by how much the weight is lowered; 1 removes the unit.
    """

    schedule: ReplaySchedule
    change_KS: Tensor
    full: Parameters
    epsilon: float = 1.0

    def begin(self, state: State) -> Ensemble:
        """Start every trajectory at the initial state."""
        rows = len(self.change_KS)
        failed = torch.full((rows,), -1, device=self.schedule.recipe.device)
        return Ensemble(State(self.full, ()), repeated(state, rows), failed)

    def advance(self, ensemble: Ensemble, step: int) -> Ensemble:
        """Run one step of all trajectories; those that failed rest. The ensemble before it is used up."""
        schedule, base_S = self.schedule, self.schedule.base_weights()
        micro_batches = schedule.micro_batches(step, base_S - self.epsilon * self.change_KS.to(base_S.device))
        task, rate = schedule.recipe.task, schedule.rate(step)
        perturbed = advance(task, schedule.rule, ensemble.perturbed, micro_batches, rate, step, consume=True)
        rest_K = (ensemble.failed >= 0) | ~torch.isfinite(total(perturbed.theta, 1))
        return self.freeze(ensemble._replace(perturbed=perturbed), rest_K, step)

    def responses(self, ensemble: Ensemble) -> Responses:
        """Differences of parameters, per unit of weight."""
        found = combined(lambda full, rows: (full - rows) / self.epsilon, self.full, ensemble.perturbed.theta)
        return Responses(self.full, found, ensemble.failed)

    def freeze(self, ensemble: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Set the trajectories of some units to the end of the full training."""
        if not rows_K.any():
            return ensemble
        still = State(self.full, tuple(combined(torch.zeros_like, slot) for slot in ensemble.perturbed.slots))
        failed_K = ensemble.failed.masked_fill(rows_K & (ensemble.failed < 0), step)
        return Ensemble(ensemble.base, replaced(ensemble.perturbed, rows_K, still), failed_K)


def unperturbed(schedule: ReplaySchedule, state: State) -> Parameters:
    """End of the unperturbed run alone, by the operations of a single trajectory of `Retrained`.

    Raises:
        NonFinite: the run is no longer finite.
    """
    nothing_1S = torch.zeros(1, len(schedule.recipe.data.source_ids))
    mode = Retrained(schedule, nothing_1S, state.theta)
    ensemble = mode.begin(state)
    for step in schedule.steps:
        ensemble = mode.advance(ensemble, step)
        if ensemble.failed[0] >= 0:
            raise NonFinite(step, schedule.steps.stop)
    return combined(lambda rows: rows[0], ensemble.perturbed.theta)

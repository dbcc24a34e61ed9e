"""The simulation loop of every mode. It can stop after any step and resume from a checkpoint.

Legend: K units, S sources.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from tribute.config import SimulationSettings
from tribute.simulation.ensemble import MAX_RELATIVE_RESPONSE, Ensemble, Responses
from tribute.simulation.paired import Paired
from tribute.simulation.replay_schedule import ReplaySchedule, continue_from, replay
from tribute.simulation.tangent import Tangent
from tribute.tasks import Parameters, Scope, square
from tribute.training import Recipe, State

CHECK_EVERY = 20
"""Steps between two checks of the responses' norms."""

OnEnsemble = Callable[[int, Ensemble], None]
"""Callback after each step; takes the number of the next step and the ensemble."""


class Mode(Protocol):
    """A way to simulate: explicit state in, state out."""

    @property
    def schedule(self) -> ReplaySchedule:
        """The steps to run."""
        ...

    def begin(self, state: State) -> Ensemble:
        """Build the ensemble before the first step from the recorded state."""
        ...

    def advance(self, ensemble: Ensemble, step: int) -> Ensemble:
        """Return the ensemble after a step; the given one is used up."""
        ...

    def freeze(self, ensemble: Ensemble, rows_K: Tensor, step: int) -> Ensemble:
        """Return the ensemble with some units frozen from this step on."""
        ...

    def responses(self, ensemble: Ensemble) -> Responses:
        """Return the responses at the end."""
        ...


def build_schedule(recipe: Recipe, settings: SimulationSettings, checkpoint: Parameters) -> ReplaySchedule:
    """Schedule of `simulation.base`: the last recorded steps again, or further steps from the checkpoint."""
    training = recipe.training.model_copy(update={"precision": settings.precision})
    recipe = replace(recipe, training=training)
    if settings.base == "continue":
        return continue_from(recipe, settings, checkpoint)
    return replay(recipe, settings)


def build_mode(schedule: ReplaySchedule, settings: SimulationSettings, change_KS: Tensor) -> Mode:
    """Mode that simulates some units along a schedule.

    Args:
        change_KS: the sources whose weight each unit lowers, [K, S].

    Raises:
        ConfigError: the scope matches no parameter.
    """
    scope = Scope(schedule.recipe.task, settings.scope)
    if settings.mode == "tangent":
        return Tangent(schedule, scope, change_KS, settings.curvature == "gauss_newton")
    return Paired(schedule, scope, change_KS, settings.epsilon)


def simulate(mode: Mode, ensemble: Ensemble, first: int, on_ensemble: OnEnsemble | None = None) -> Responses:
    """Run a mode from the ensemble before step `first` to the end of its schedule.

    A unit is frozen once its response is no longer finite, or its norm exceeds `MAX_RELATIVE_RESPONSE` times that
    of the parameters. The other units continue.

    Raises:
        NonFinite: the unperturbed run itself is no longer finite.
    """
    last = mode.schedule.steps.stop
    for step in range(first, last):
        ensemble = mode.advance(ensemble, step)
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == last:
            ensemble = _without_exploded(mode, ensemble, step)
        if on_ensemble is not None:
            on_ensemble(step + 1, ensemble)
    return mode.responses(ensemble)


def _without_exploded(mode: Mode, ensemble: Ensemble, step: int) -> Ensemble:
    responses = mode.responses(ensemble)
    limit = MAX_RELATIVE_RESPONSE * square(responses.theta).sqrt()
    exploded_K = square(responses.response, 1).sqrt() > limit
    fresh_K = exploded_K & (ensemble.failed < 0)
    return mode.freeze(ensemble, fresh_K, step) if fresh_K.any() else ensemble

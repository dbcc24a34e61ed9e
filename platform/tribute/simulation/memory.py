"""The memory that a simulation takes, measured on two small ensembles, and how many units fit into a budget.

Legend: K units, P parameters, p of the scope, S sources.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.simulation.engine import Mode, build_mode, build_schedule
from tribute.simulation.metering import MemoryMeter
from tribute.simulation.retrained import Retrained
from tribute.tasks import Scope, joined, kept_bytes
from tribute.training import Recipe

GIB = 2**30
ACTIVATIONS = 3
"""Peak bytes of activations of a tangent's step, as a multiple of those that the forward pass keeps. Measured: 1.4
to 2.7, most for transformers with large logits."""
MEASURED = (1, 2)
"""Units of the ensembles that are measured."""


@dataclass(frozen=True)
class Bill:
    """Bytes of a simulation at its peak, by the number of units: the largest of some lines.

    At each moment of a step, memory is a line in the number of units; which moment is the peak depends on it.
    The model's frozen weights, which every worker holds once, are `frozen` and not among them.
    """

    fixed: NDArray[np.float64]
    each: NDArray[np.float64]
    frozen: int

    def bytes(self, units: int) -> int:
        """Peak bytes of an ensemble of so many units."""
        return int((self.fixed + self.each * units).max())

    def units_within(self, budget: float) -> int:
        """The largest number of units whose peak is at most this many bytes; 0: not even one fits."""
        if self.bytes(1) > budget:
            return 0
        growing = self.each > 0
        room = (budget - self.fixed[growing]) / self.each[growing]
        return int(room.min()) if growing.any() else np.iinfo(np.int64).max


class Fit(NamedTuple):
    """Units that a worker simulates at once, the bytes that this takes, and those that one unit would take.

    ``frozen``: bytes of the model's frozen weights, besides. ``alone``: not even a trajectory and the unperturbed
    run fit beside each other, so they run one after the other.
    """

    chunk: int
    alone: bool
    bytes: int
    one: int
    frozen: int

    @property
    def gib(self) -> float:
        """GiB of a worker with all its units, frozen weights included."""
        return (self.bytes + self.frozen) / GIB

    @property
    def least_gib(self) -> float:
        """The same with one unit."""
        return (self.one + self.frozen) / GIB


def fit(recipe: Recipe, settings: SimulationSettings) -> Fit:
    """How a worker simulates within `memory_gib`: at most `chunk` units at once, else trajectories one by one.

    Raises:
        ConfigError: not even one trajectory fits; says what it takes, and which scope would fit.
    """
    budget, least = settings.memory_gib * GIB, _least_bytes(recipe, settings)
    if least <= budget:
        taken = bill(recipe, settings)
        if units := min(settings.chunk, taken.units_within(budget)):
            return Fit(units, False, taken.bytes(units), taken.bytes(1), taken.frozen)
        least = taken.bytes(1)
    if runs_alone(recipe, settings) and _trajectory_bytes(recipe, "all") <= budget:
        alone = int(_live(recipe, settings, 1, alone=True).max())
        if alone <= budget:
            return Fit(1, True, alone, alone, frozen_bytes(recipe))
    raise ConfigError(
        f"simulation.memory_gib is {settings.memory_gib}, but one unit of this simulation takes at least "
        f"{least / GIB:.2f} GiB: {_remedy(recipe, settings)}"
    )


def runs_alone(recipe: Recipe, settings: SimulationSettings) -> bool:
    """Whether trajectories of this simulation may run one after the other, and be compared at the end."""
    return settings.mode == "paired" and settings.base == "replay" and Scope(recipe.task, settings.scope).whole


def bill(recipe: Recipe, settings: SimulationSettings) -> Bill:
    """What units of this simulation take.

    Paired simulations are measured, on a step of one unit and of two, of three too where operations differ, at the
    initial parameters. Of tangents it is an upper bound, up to three times what they take: the meter does not see
    through forward mode.
    """
    if settings.mode == "tangent":
        one, whole = _tangent_bytes(recipe, settings.scope), _tangent_bytes(recipe, "all")
        fixed = one if Scope(recipe.task, settings.scope).whole else one + whole
        return Bill(np.array([float(fixed)]), np.array([float(one)]), frozen_bytes(recipe))
    (start, further), (few, more) = MEASURED, (_live(recipe, settings, units) for units in MEASURED)
    alone = few.max()
    if len(few) != len(more):  # other operations: one unit may be the last whose logits are not cut in chunks
        few, more, start = more, _live(recipe, settings, further + 1), further
    if len(few) != len(more):  # trajectories one after the other, or logits in more chunks
        few, more = (np.array([live.max()]) for live in (few, more))
    each = more - few
    return Bill(np.append(few - start * each, alone), np.append(each, 0.0), frozen_bytes(recipe))


def _tangent_bytes(recipe: Recipe, name: str) -> int:
    """Upper bound of a tangent: parameters, slots, gradients, results of the update, and activations."""
    scope, theta = Scope(recipe.task, name), recipe.initial().theta
    task, slots = scope.task_at(theta), len(recipe.rule.optimizer.init(torch.zeros(1)))
    everyone = torch.ones(len(recipe.data.source_ids), device=recipe.device)
    [micro_batch, *_] = recipe.micro_batches(recipe.schedule.order, 0, everyone)
    activations = kept_bytes(
        lambda narrow: task.losses_at(scope.pieces(narrow), micro_batch.batch), joined(scope.part(theta))
    )
    return recipe.task.dtype.itemsize * scope.size * (3 * (1 + slots) + 4) + ACTIVATIONS * activations


def frozen_bytes(recipe: Recipe) -> int:
    """Bytes of the model's frozen parameters and buffers."""
    held = recipe.task.held_on(recipe.device)
    return sum(value.numel() * value.element_size() for value in held.values())


def _live(recipe: Recipe, settings: SimulationSettings, units: int, *, alone: bool = False) -> NDArray[np.float64]:
    """Bytes after every operation of a step and of the responses.

    The rate is 0, so that a step cannot fail. A first step tries how trajectories share a pass; it is not counted.
    """
    state = recipe.initial()
    schedule = build_schedule(recipe, settings, state.theta)
    schedule = replace(schedule, rates=np.zeros_like(schedule.rates))
    change_KS = torch.full((units, len(recipe.data.source_ids)), settings.epsilon / 2)
    mode: Mode = build_mode(schedule, settings, change_KS)
    if alone:
        mode = Retrained(schedule, change_KS, state.theta, settings.epsilon)
    step = schedule.steps.start
    ensemble = mode.advance(mode.begin(state), step)
    del state
    with MemoryMeter(ensemble.tensors().values()) as meter:
        mode.responses(mode.advance(ensemble, step))
    return np.array(meter.live, float)


def _trajectory_bytes(recipe: Recipe, scope: str) -> int:
    """Bytes that a trajectory takes at least: its parameters, their slots, and their gradient."""
    slots = len(recipe.rule.optimizer.init(torch.zeros(1)))
    return recipe.task.dtype.itemsize * Scope(recipe.task, scope).size * (2 + slots)


def _least_bytes(recipe: Recipe, settings: SimulationSettings) -> int:
    """Bytes that one unit takes at least: a trajectory and the unperturbed run."""
    return _trajectory_bytes(recipe, settings.scope) + _trajectory_bytes(recipe, "all")


def _remedy(recipe: Recipe, settings: SimulationSettings) -> str:
    budget, whole = settings.memory_gib * GIB, _trajectory_bytes(recipe, "all")
    if whole > budget:
        return (
            f"the parameters that train, their optimizer slots and gradient alone take {whole / GIB:.2f} GiB. "
            "Raise simulation.memory_gib, or train fewer parameters, such as an adapter"
        )
    names = [*recipe.task.shapes]
    scopes = ["last_block", "head", *(["lora"] if any("lora_" in name for name in names) else [])]
    sizes = {scope: _trajectory_bytes(recipe, scope) + whole for scope in scopes}
    fitting = [
        f"{scope} ({size / GIB:.2f} GiB and activations)" for scope, size in sizes.items() if size <= budget
    ]
    narrower = f"narrow simulation.scope to {' or '.join(fitting)}" if fitting else "narrow simulation.scope"
    return f"raise it, {narrower}, or raise training.accumulation"

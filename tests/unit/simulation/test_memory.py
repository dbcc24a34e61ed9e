"""The memory of a trajectory, and how many fit."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.unit.training.recorded_lm import lm_data
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings, TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.simulation import Ensemble, build_mode, build_schedule, largest_chunk, trajectory_bytes
from tribute.simulation.memory import GIB, saved_bytes
from tribute.tasks import Scope, joined
from tribute.training import Recipe, TrainingSet


def each(**settings: object) -> int:
    return trajectory_bytes(small_recipe(), SimulationSettings(**settings))


def saved(recipe: Recipe, scope: str = "all") -> int:
    return saved_bytes(recipe, Scope(recipe.task, scope))


def test_a_trajectory_grows_with_its_scope_and_tangents_take_more() -> None:
    assert each(scope="head") < each(scope="weight") < each()
    assert each(scope="head", mode="tangent") < each(mode="tangent")
    size = small_recipe().task.size
    assert each(mode="tangent") - each() == 4 * 3 * size
    assert each() == 4 * 7 * size + 3 * saved(small_recipe())


def test_more_slots_and_more_examples_at_once_take_more() -> None:
    everything = SimulationSettings()
    sgd, adam = (trajectory_bytes(small_recipe(optimizer=name), everything) for name in ("sgd", "adam"))
    assert adam - sgd == 4 * 3 * small_recipe().task.size
    kept = [saved(small_recipe(accumulation=micro_batches)) for micro_batches in (1, 2, 4)]
    assert kept[0] > kept[1] > kept[2]


def test_saved_bytes_are_what_the_backward_pass_keeps() -> None:
    """Features 8 x 4, hidden before and after the activation 8 x 8, log-probabilities 8 x 2, at least."""
    least = 4 * (8 * 4 + 2 * 8 * 8 + 8 * 2)
    assert least <= saved(small_recipe()) <= 4 * least
    assert saved(small_recipe(), "head") <= saved(small_recipe()) - 4 * 8 * 4  # the features


@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_the_largest_chunk_keeps_to_the_budget_and_to_chunk(mode: str) -> None:
    recipe, one = small_recipe(), each(mode=mode)

    def chunk(trajectories: float, most: int = 32) -> int:
        budget = trajectories * one / GIB
        return largest_chunk(recipe, SimulationSettings(mode=mode, memory_gib=budget, chunk=most))

    assert [chunk(2.1), chunk(7.9), chunk(33.1), chunk(500)] == [1, 6, 32, 32]
    assert chunk(7.9, most=4) == 4
    with pytest.raises(ConfigError, match=r"simulation.memory_gib is .* two are needed. Raise it, narrow"):
        chunk(1.9)


def test_accumulation_and_a_narrow_scope_let_more_fit() -> None:
    budget = {"memory_gib": 8 * each() / GIB, "chunk": 1000}
    whole = largest_chunk(small_recipe(), SimulationSettings(**budget))
    assert whole == 7
    assert largest_chunk(small_recipe(accumulation=4), SimulationSettings(**budget)) > whole
    narrow = SimulationSettings(scope="head", **budget)
    assert largest_chunk(small_recipe(), narrow) > whole
    assert (largest_chunk(small_recipe(), narrow) + 2) * each(scope="head") > 7 * each()  # and the whole run


def test_what_is_estimated_is_at_least_what_a_wider_stack_really_saves() -> None:
    """The forward pass of a ensemble of K keeps K times what one trajectory does, but for the shared batch."""
    recipe = small_recipe()
    [micro_batch] = recipe.micro_batches(recipe.schedule.order, 0, torch.ones(3))
    kept: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    theta_KP = joined(recipe.initial().theta).expand(50, -1).clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        torch.func.vmap(lambda theta_P: recipe.task.losses(theta_P, micro_batch.batch))(theta_KP).sum()
    assert sum(kept.values()) < 50 * saved(recipe) * 1.2


def transformer(training: TrainingSettings) -> Recipe:
    options = {"context": 16, "width": 32, "heads": 2, "layers": 3}
    return Recipe(TaskSettings(name="byte_lm", options=options), training, lm_data(), 0)


def perceptron(training: TrainingSettings) -> Recipe:
    rng = np.random.default_rng(0)
    rows = {"features": rng.normal(size=(64, 30)).astype(np.float32), "labels": rng.integers(0, 5, 64)}
    task = TaskSettings(name="classifier", options={"features": 30, "hidden": [100, 80], "classes": 5})
    return Recipe(task, training, TrainingSet.assemble({"a": rows, "b": rows}), 0)


def peak(recipe: Recipe, settings: SimulationSettings, units: int) -> int:
    """Bytes of an ensemble, and of everything else that torch holds at the peak of a step."""
    state = recipe.initial()
    mode = build_mode(build_schedule(recipe, settings, state.theta), settings, torch.full((units, 2), 0.1))
    ensemble: Ensemble = mode.advance(mode.begin(state), 0)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        mode.advance(ensemble, 1)
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    held = sum(tensor.numel() * tensor.element_size() for tensor in ensemble.tensors().values())
    return held + int(np.cumsum([event.nbytes() for event in events]).max())


@pytest.mark.parametrize("make", [transformer, perceptron])
@pytest.mark.parametrize(
    "training", [TrainingSettings(batch_size=16), TrainingSettings(batch_size=4, optimizer="sgd", clip_norm=0.1)]
)
@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({}, 2.3),
        ({"mode": "tangent"}, 2.6),
        ({"mode": "tangent", "curvature": "gauss_newton"}, 3.0),
        ({"scope": "last_block"}, 4.0),
    ],
)
def test_a_trajectory_takes_at_most_what_is_estimated_and_not_much_less(make, training, settings, most) -> None:
    recipe, simulation = make(training), SimulationSettings(horizon=1.0, **settings)
    taken = (peak(recipe, simulation, 16) - peak(recipe, simulation, 4)) / 12
    assert 1 <= trajectory_bytes(recipe, simulation) / taken <= most

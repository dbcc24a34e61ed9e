"""The memory of a trajectory, and how many fit."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.config import Simulation
from tribute.errors import ConfigError
from tribute.simulation import largest_chunk, trajectory_bytes
from tribute.simulation.memory import GIB, saved_bytes


def each(**settings: object) -> int:
    return trajectory_bytes(small_recipe(), Simulation(**settings))


def test_a_trajectory_grows_with_its_scope_and_tangents_take_more() -> None:
    assert each(scope="head") < each(scope="weight") < each()
    assert each(mode="tangent") > 1.5 * each()
    assert each(scope="head", mode="tangent") < each(mode="tangent")
    recipe = small_recipe()
    head = 8 * 2 + 2
    assert each() - each(scope="head") == 4 * (recipe.task.size - head) * 8


def test_more_slots_and_more_examples_at_once_take_more() -> None:
    everything = Simulation()
    sgd, adam = (trajectory_bytes(small_recipe(optimizer=name), everything) for name in ("sgd", "adam"))
    assert adam - sgd == 4 * 2 * small_recipe().task.size
    saved = [saved_bytes(small_recipe(accumulation=parts)) for parts in (1, 2, 4)]
    assert saved[0] > saved[1] > saved[2]


def test_saved_bytes_are_what_the_backward_pass_keeps() -> None:
    """Features 8 x 4, hidden before and after the activation 8 x 8, log-probabilities 8 x 2, at least."""
    least = 4 * (8 * 4 + 2 * 8 * 8 + 8 * 2)
    assert least <= saved_bytes(small_recipe()) <= 4 * least


@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_the_largest_chunk_keeps_to_the_budget_and_to_chunk(mode: str) -> None:
    recipe, one = small_recipe(), each(mode=mode)

    def chunk(trajectories: float, most: int = 32) -> int:
        budget = trajectories * one / GIB
        return largest_chunk(recipe, Simulation(mode=mode, memory_gib=budget, chunk=most))

    assert [chunk(2.1), chunk(7.9), chunk(33.1), chunk(500)] == [1, 6, 32, 32]
    assert chunk(7.9, most=4) == 4
    with pytest.raises(ConfigError, match=r"simulation.memory_gib is .* two are needed. Raise it, narrow"):
        chunk(1.9)


def test_accumulation_and_a_narrow_scope_let_more_fit() -> None:
    budget = {"memory_gib": 8 * each() / GIB, "chunk": 1000}
    whole = largest_chunk(small_recipe(), Simulation(**budget))
    assert whole == 7
    assert largest_chunk(small_recipe(accumulation=4), Simulation(**budget)) > whole
    assert largest_chunk(small_recipe(), Simulation(scope="head", **budget)) > whole


def test_what_is_estimated_is_at_least_what_a_wider_stack_really_saves() -> None:
    """The forward pass of a stack of K keeps K times what one trajectory does, but for the shared batch."""
    recipe = small_recipe()
    [part] = recipe.parts(recipe.schedule.order, 0, torch.ones(3))
    kept: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    theta_KP = recipe.initial().theta.expand(50, -1).clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        torch.func.vmap(lambda theta_P: recipe.task.losses(theta_P, part.batch))(theta_KP).sum()
    assert sum(kept.values()) < 50 * saved_bytes(recipe) * 1.2

"""Simulations in a narrow scope and with dropout, against a for-loop and real retraining."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.unit.simulation.simulated import Found, simulated, trained
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings, TaskSettings
from tribute.simulation import build_mode, build_schedule, change_matrix, leave_one_out_units, simulate
from tribute.tasks import Classifier, Scope, joined
from tribute.training import Recipe

ROWS = 8
BATCHED, WRAPPED = torch._C._functorch.is_batchedtensor, torch._C._functorch.is_functorch_wrapped_tensor
TRAININGS = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "nesterov": True, "weight_decay": 0.1, "clip_norm": 0.2, "accumulation": 2},
    {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.1},
]


def slope(recipe: Recipe, theta_P: torch.Tensor, step: int, weights_S: torch.Tensor) -> torch.Tensor:
    theta_P = theta_P.detach().requires_grad_()
    micro_batches = recipe.micro_batches(recipe.schedule.order, step, weights_S)
    sum(
        (micro_batch.weights * recipe.task.losses(theta_P, micro_batch.batch)).mean() / len(micro_batches)
        for micro_batch in micro_batches
    ).backward()
    return theta_P.grad


def clipped(gradient: torch.Tensor, square: torch.Tensor, largest: float | None) -> torch.Tensor:
    return gradient if largest is None else gradient * min(1.0, largest / (float(square.sqrt()) + 1e-6))


def scoped_by_hand(
    recipe: Recipe, own_P: torch.Tensor, weights_S: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole training, and one whose parameters outside `own` (a mask) are the whole training's."""
    optimizer, largest = recipe.rule.optimizer, recipe.training.clip_norm
    theta, other = joined(recipe.initial().theta), joined(recipe.initial().theta)
    slots, other_slots = optimizer.init(theta), optimizer.init(theta)
    for step, rate in enumerate(recipe.schedule.rates.tolist()):
        whole = slope(recipe, theta, step, torch.ones(3))
        perturbed = slope(recipe, other, step, weights_S)
        square = perturbed[own_P].square().sum() + whole[~own_P].square().sum()
        perturbed, whole = clipped(perturbed, square, largest), clipped(whole, whole.square().sum(), largest)
        other, other_slots = optimizer.update(other, perturbed, other_slots, rate, step)
        theta, slots = optimizer.update(theta, whole, slots, rate, step)
        other = torch.where(own_P, other, theta)
    return theta, other


def mask(recipe: Recipe, scope: str) -> torch.Tensor:
    names = Scope(recipe.task, scope).names
    return torch.cat([torch.full((s.numel(),), n in names) for n, s in recipe.task.shapes.items()])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("scope", ["head", r"^0\."])
@pytest.mark.parametrize("training", TRAININGS)
def test_a_paired_simulation_moves_the_scope_alone(training: dict, scope: str) -> None:
    recipe = small_recipe(epochs=2, **training)
    own_P = mask(recipe, scope)
    found = simulated(recipe, scope=scope)
    torch.testing.assert_close(found.theta_P, trained(recipe), rtol=1e-12, atol=1e-13)
    for source in range(3):
        theta, other = scoped_by_hand(recipe, own_P, torch.tensor([float(s != source) for s in range(3)]))
        torch.testing.assert_close(found.theta_P, theta, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.response_KP[source], (theta - other)[own_P], rtol=1e-8, atol=1e-11)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", TRAININGS)
def test_a_scoped_tangent_is_the_central_difference_of_that_loop(training: dict) -> None:
    recipe = small_recipe(epochs=2, eps_root=1e-4, **training)
    own_P, step = mask(recipe, "head"), 1e-5
    found = simulated(recipe, mode="tangent", scope="head").response_KP
    for source in range(3):
        up, down = (
            scoped_by_hand(recipe, own_P, torch.ones(3) + sign * step * torch.eye(3)[source])[1][own_P]
            for sign in (1, -1)
        )
        torch.testing.assert_close(found[source], (up - down) / (2 * step), rtol=1e-4, atol=1e-7)


def of_each(value: torch.Tensor) -> bool:
    """Whether every trajectory has its own: rows of its own, or a dimension in some functorch layer."""
    while WRAPPED(value):
        if BATCHED(value):
            return True
        value = torch._C._functorch.get_unwrapped(value)
    return len(value) > ROWS


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scope": "all"}, [True, True, True]),
        ({"scope": "head"}, [False, False, True]),
        ({"scope": "head", "mode": "tangent"}, [False, False, False]),
    ],
)
def test_activations_of_the_frozen_trunk_are_computed_once_for_all_trajectories(settings, expected) -> None:
    """The perceptron's last layer is the head; tangents have no activations of their own, only directions."""
    recipe, settings = small_recipe(epochs=1, batch_size=ROWS), SimulationSettings(horizon=1.0, **settings)
    schedule = build_schedule(recipe, settings, recipe.initial().theta)
    seen: dict[str, list[bool]] = {"0": [], "1": [], "2": []}
    for name, layer in schedule.recipe.task._module.named_children():
        layer.register_forward_hook(lambda _, __, output, name=name: seen[name].append(of_each(output)))
    simulation = build_mode(schedule, settings, torch.eye(3))
    simulation.advance(simulation.begin(recipe.initial()), 0)
    assert all(seen.values())
    assert [any(found) for found in seen.values()] == expected


class FrozenTrunk(Classifier):
    """A perceptron of which only the last layer trains; the rest always starts the same."""

    def build(self) -> nn.Module:
        module = super().build()
        for number, parameter in enumerate(list(module.parameters())[:-2]):
            parameter.data = torch.linspace(-1, 1, parameter.numel()).sin().view(parameter.shape) + 0.1 * number
            parameter.requires_grad_(False)
        return module


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", TRAININGS)
def test_with_a_trunk_frozen_in_training_the_whole_scope_is_retraining(training: dict) -> None:
    small = small_recipe(**training)
    task = TaskSettings(name=f"{__name__}:FrozenTrunk", options=small.task_settings.options)
    recipe = Recipe(task, small.training, small.data, 0)
    assert recipe.task.size == 8 * 2 + 2
    found = simulated(recipe)
    for source in range(3):
        without = trained(recipe, [float(s != source) for s in range(3)])
        torch.testing.assert_close(found.response_KP[source], trained(recipe) - without, rtol=1e-12, atol=1e-12)
    head = simulated(recipe, scope="head")
    torch.testing.assert_close(head.response_KP, found.response_KP, rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mode", ["paired", "tangent"])
@pytest.mark.parametrize("base", ["replay", "continue"])
def test_a_scope_that_names_everything_is_the_whole_model(mode: str, base: str) -> None:
    recipe = small_recipe(epochs=1, clip_norm=0.2)
    settings = {"mode": mode, "base": base, "damping": 0.2, "steps": 6}
    everything, whole = simulated(recipe, scope=".", **settings), simulated(recipe, **settings)
    torch.testing.assert_close(everything.response_KP, whole.response_KP, rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
def test_clipping_sees_the_pull_on_parameters_outside_the_scope() -> None:
    """The unperturbed row of a narrow ensemble is the whole run's, pulled, clipped and all."""
    recipe = small_recipe(clip_norm=0.05, learning_rate=0.5)
    final = recipe.run(recipe.initial(), range(recipe.steps), torch.ones(3))
    settings = SimulationSettings(base="continue", steps=10, damping=5.0, scope="head", learning_rate=0.5)
    schedule = build_schedule(recipe, settings, final.theta)
    mode = build_mode(schedule, settings, torch.eye(3))
    ensemble = mode.begin(final)
    for step in schedule.steps:
        ensemble = mode.advance(ensemble, step)
    assert (joined(ensemble.base.theta) - joined(final.theta)).norm() > 0.01
    scope = Scope(recipe.task, "head")
    torch.testing.assert_close(
        joined(ensemble.perturbed.theta, 1)[0], scope.flatten(ensemble.base.theta), rtol=1e-12, atol=1e-14
    )


@pytest.mark.usefixtures("float64")
def test_a_scoped_tangent_is_clipped_with_the_pull_on_parameters_outside_the_scope() -> None:
    recipe = small_recipe(clip_norm=0.05, learning_rate=0.5)
    start = recipe.initial()
    settings = {"base": "continue", "steps": 10, "damping": 5.0, "scope": "head", "learning_rate": 0.5}
    exact = simulated(recipe, start=start, mode="tangent", **settings).response_KP
    close = simulated(recipe, start=start, epsilon=1e-6, **settings).response_KP
    torch.testing.assert_close(close, exact, rtol=1e-4, atol=1e-8)


def dropout_recipe() -> Recipe:
    settings = TaskSettings(name="tests.unit.tasks.own_task:with_dropout", options={"features": 4})
    return replace(small_recipe(momentum=0.5), task_settings=settings)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_simulations_see_the_dropout_of_the_training(mode: str) -> None:
    recipe = dropout_recipe()
    last = recipe.run(recipe.initial(), range(recipe.steps), torch.ones(3)).theta
    torch.manual_seed(99)
    settings, final = SimulationSettings(horizon=1.0, mode=mode), joined(last)
    schedule = build_schedule(recipe, settings, last)
    found_mode = build_mode(
        schedule, settings, torch.from_numpy(change_matrix(leave_one_out_units("abc"), 3)).double()
    )
    found = Found.of(simulate(found_mode, found_mode.begin(recipe.initial()), 0))
    torch.testing.assert_close(found.theta_P, final, rtol=1e-12, atol=1e-12)
    if mode == "paired":
        without = joined(recipe.run(recipe.initial(), range(recipe.steps), torch.tensor([0.0, 1.0, 1.0])).theta)
        torch.testing.assert_close(found.response_KP[0], final - without, rtol=1e-10, atol=1e-12)
    else:
        perturbed = [
            joined(recipe.run(recipe.initial(), range(recipe.steps), torch.tensor([w, 1.0, 1.0])).theta)
            for w in (1 + 1e-5, 1 - 1e-5)
        ]
        torch.testing.assert_close(
            found.response_KP[0], (perturbed[0] - perturbed[1]) / 2e-5, rtol=1e-5, atol=1e-7
        )


@pytest.mark.usefixtures("float64")
def test_training_is_random_and_measuring_is_not() -> None:
    recipe = dropout_recipe()
    batch, _ = recipe.data.batch([0, 1, 2], recipe.device)
    theta_P = joined(recipe.initial().theta)
    assert not torch.equal(recipe.task.losses(theta_P, batch), recipe.task.losses(theta_P, batch))
    torch.testing.assert_close(recipe.task.measure(theta_P, batch), recipe.task.measure(theta_P, batch))
    state = torch.random.get_rng_state()
    recipe.run(recipe.initial(), range(2), torch.ones(3))
    assert torch.equal(state, torch.random.get_rng_state())

"""The memory of a simulation, predicted from small ensembles and found in larger ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.allocated import allocated
from tests.unit.training.recorded_lm import lm_data
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings, TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.simulation import GIB, MemoryMeter, bill, build_mode, build_schedule, fit
from tribute.training import Recipe, TrainingSet


def test_the_meter_counts_what_is_alive() -> None:
    given = torch.zeros(1000)
    with MemoryMeter([given]) as meter:
        doubled = given + given
        view = doubled[:10]
        del given, doubled
        view + 1
    assert meter.live == [8000, 8000, 4040]


def test_a_trajectory_grows_with_its_scope_and_tangents_take_more() -> None:
    def each(**settings: object) -> float:
        return bill(small_recipe(), SimulationSettings(**settings)).each.max()

    assert each(scope="head") < each(scope="weight") < each()
    assert each(mode="tangent") > each()


def test_more_slots_and_more_examples_at_once_take_more() -> None:
    def taken(**training: object) -> int:
        return bill(small_recipe(**training), SimulationSettings()).bytes(8)

    assert taken(optimizer="adam") > taken(optimizer="sgd")
    assert taken(accumulation=1) > taken(accumulation=4)


@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_as_many_units_fit_as_keep_to_the_budget_and_to_chunk(mode: str) -> None:
    recipe = small_recipe()
    taken = bill(recipe, SimulationSettings(mode=mode))

    def chunk(units: float, most: int = 32) -> int:
        budget = (taken.bytes(int(units)) + 10) / GIB
        found = fit(recipe, SimulationSettings(mode=mode, memory_gib=budget, chunk=most))
        assert found.bytes <= budget * GIB and not found.alone
        return found.chunk

    assert [chunk(1), chunk(6), chunk(32), chunk(500)] == [1, 6, 32, 32]
    assert chunk(6, most=4) == 4


def test_what_does_not_fit_runs_one_by_one_or_is_refused_with_the_bill() -> None:
    recipe = small_recipe()
    two = bill(recipe, SimulationSettings()).bytes(1)
    alone = fit(recipe, SimulationSettings(memory_gib=(two - 1) / GIB))
    assert alone.alone and alone.chunk == 1 and alone.bytes < two
    with pytest.raises(
        ConfigError, match=r"one unit .* takes at least .* GiB: raise it, narrow .* to .*head .0.00"
    ):
        fit(recipe, SimulationSettings(memory_gib=(alone.bytes - 1) / GIB))
    with pytest.raises(ConfigError, match=r"raise it, narrow simulation.scope to .*head .0.00 GiB"):
        fit(recipe, SimulationSettings(mode="tangent", memory_gib=(two - 1) / GIB))
    with pytest.raises(ConfigError, match=r"gradient alone take 0.00 GiB. Raise simulation.memory_gib, or train"):
        fit(recipe, SimulationSettings(memory_gib=10 / GIB))


def transformer(training: TrainingSettings) -> Recipe:
    options = {"context": 16, "width": 32, "heads": 2, "layers": 3}
    return Recipe(TaskSettings(name="byte_lm", options=options), training, lm_data(), 0)


def perceptron(training: TrainingSettings) -> Recipe:
    rng = np.random.default_rng(0)
    rows = {"features": rng.normal(size=(64, 30)).astype(np.float32), "labels": rng.integers(0, 5, 64)}
    task = TaskSettings(name="classifier", options={"features": 30, "hidden": [100, 80], "classes": 5})
    return Recipe(task, training, TrainingSet.assemble({"a": rows, "b": rows}), 0)


def found(recipe: Recipe, settings: SimulationSettings, units: int) -> int:
    """Bytes that torch's allocator gave out at the peak of two steps and the responses."""
    state, sources = recipe.initial(), len(recipe.data.source_ids)
    mode = build_mode(build_schedule(recipe, settings, state.theta), settings, torch.full((units, sources), 0.1))
    step = mode.schedule.steps.start
    mode.advance(mode.begin(state), step)  # how trajectories share a pass is tried once
    if settings.mode == "tangent":
        ensemble = mode.advance(mode.begin(state), step)
        held = sum(value.nbytes for value in ensemble.tensors().values())
        return held + allocated(lambda: mode.advance(ensemble, step))
    return allocated(lambda: mode.responses(mode.advance(mode.advance(mode.begin(state), step), step)))


TRAININGS = [TrainingSettings(batch_size=16), TrainingSettings(batch_size=4, optimizer="sgd", clip_norm=0.1)]


@pytest.mark.parametrize("make", [transformer, perceptron])
@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("scope", ["all", "last_block"])
def test_memory_is_predicted_within_a_fifth(
    make: Callable[[TrainingSettings], Recipe], training: TrainingSettings, scope: str
) -> None:
    recipe, simulation = make(training), SimulationSettings(horizon=1.0, scope=scope)
    for units in (3, 16):
        assert bill(recipe, simulation).bytes(units) == pytest.approx(found(recipe, simulation, units), rel=0.2)


@pytest.mark.parametrize("make", [transformer, perceptron])
@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_tangents_take_at_most_what_is_predicted_and_not_much_less(
    make: Callable[[TrainingSettings], Recipe], training: TrainingSettings, curvature: str
) -> None:
    recipe = make(training)
    simulation = SimulationSettings(horizon=1.0, mode="tangent", curvature=curvature)
    taken = (found(recipe, simulation, 16) - found(recipe, simulation, 4)) / 12
    assert 1 <= bill(recipe, simulation).each[0] / taken <= 3.2


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("scope", ["all", "last_block", "lora"])
def test_memory_of_a_llama_is_predicted_within_a_fifth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, chunked: bool
) -> None:
    """Chunked: logits are cut from two sources on, but not those of one."""
    transformers = pytest.importorskip("transformers")
    if chunked:
        positions = 2 * 8 * (lm_data().columns["tokens"].shape[1] - 1)
        monkeypatch.setattr("tribute.tasks.huggingface.head.MAX_LOGITS", positions * 300)
    config = transformers.LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    config.save_pretrained(tmp_path)
    options = {"model": str(tmp_path), "kind": "causal_lm"}
    if scope == "lora":
        options["adapter"] = {"r": 2, "target_modules": ["q_proj", "down_proj"]}
    task = TaskSettings(name="huggingface", options=options)
    recipe = Recipe(task, TrainingSettings(batch_size=8), lm_data(), 0)
    simulation = SimulationSettings(horizon=1.0, scope=scope)
    for units in (3, 16):
        assert bill(recipe, simulation).bytes(units) == pytest.approx(found(recipe, simulation, units), rel=0.2)

"""Responses on disk, and tail-patch: one step on a source's examples, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings
from tribute.readout import PreparedReadOut, QueryRows
from tribute.simulation import ResponseFile, build_mode, build_schedule, patch_responses, simulate, write_response
from tribute.tasks import Scope, joined


@pytest.mark.usefixtures("float64")
def test_a_patch_is_one_training_step_on_the_source_s_own_examples() -> None:
    recipe = small_recipe()
    state = recipe.initial()
    found = patch_responses(recipe, state, (0, 1))
    for source in (0, 1):
        own = (recipe.data.source_N == source).nonzero()[0]
        batch, _ = recipe.data.batch(own, recipe.device)
        slope = torch.func.grad(lambda at, b=batch: recipe.task.losses(at, b).mean())(joined(state.theta))
        slope = recipe.task.pieces(slope)
        after = recipe.rule.apply(state, slope, float(recipe.schedule.rates.mean()), recipe.steps)
        torch.testing.assert_close(found[source], joined(state.theta) - joined(after.theta))


@pytest.mark.parametrize("method", ["difference", "jvp"])
def test_responses_in_bfloat16_hardly_change_influences(tmp_path: Path, method: str) -> None:
    """Files half as large; influences off by less than 1% of the largest."""
    recipe, settings = small_recipe(), SimulationSettings(horizon=1.0)
    mode = build_mode(build_schedule(recipe, settings, {}), settings, torch.eye(3))
    found = simulate(mode, mode.begin(recipe.initial()), 0)
    queries, _ = recipe.data.batch(np.arange(12), recipe.device)
    rows = QueryRows([str(n) for n in range(12)], {n: v.numpy() for n, v in queries.items()}, np.arange(12))
    influence, sizes = [], []
    for precision in ("float32", "bfloat16"):
        responses = []
        for unit in range(3):
            path = tmp_path / f"{precision}-{unit}.safetensors"
            response = {name: value[unit] for name, value in found.response.items()}
            digest = write_response(path, response, precision)
            read = ResponseFile(str(unit), 0, path, digest).load(recipe.device)
            assert {value.dtype for value in read.values()} == {torch.float32}
            responses.append(joined(read))
            sizes.append(path.stat().st_size)
        reader = PreparedReadOut(
            method, Scope(recipe.task, "all"), [joined(found.theta)], [torch.stack(responses)]
        )
        influence.append(reader.read(rows)[0].influence_QS.numpy())
    assert sizes[0] - sizes[3] == 2 * recipe.task.size
    exact, rounded = influence
    assert 0 < np.abs(rounded - exact).max() < 0.01 * np.abs(exact).max()


def test_exact_responses_have_the_fingerprint_of_those_before_there_was_a_choice() -> None:
    assert SimulationSettings().fingerprint() == SimulationSettings(response_precision="float32").fingerprint()
    assert "response_precision" not in SimulationSettings().counted()
    assert SimulationSettings(response_precision="bfloat16").counted()["response_precision"] == "bfloat16"

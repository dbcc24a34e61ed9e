"""Language models: losses against transformers' own, derivatives against differences, paired and retrained."""

from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, vmap

from tests.unit.simulation.simulated import simulated, trained
from tests.unit.tasks.huggingface.models import LANGUAGE_MODELS, language_model, ragged_tokens, recipe_of
from tribute.tasks import FlatTask, batched, forward_mode, joined, token_measurements
from tribute.tasks.transforms import one_by_one

NAMES = list(LANGUAGE_MODELS)
PROMPTED = torch.arange(10)[None] >= torch.tensor([3, 5, 2, 4, 9])[:, None]


def own_loss(task: FlatTask, theta: torch.Tensor, tokens_W: torch.Tensor, target_W: torch.Tensor) -> torch.Tensor:
    """Sum of the cross-entropy of a row without its padding, by transformers' `labels`."""
    present_W = tokens_W >= 0
    tokens, target = tokens_W[present_W][None].long(), target_W[present_W][None]
    labels = torch.where(target, tokens, -100)
    with torch.no_grad():
        named = dict(task.frozen) | task.pieces(theta)
        loss = functional_call(task.measured, named, (), {"input_ids": tokens, "labels": labels}).loss
    return (loss * target[:, 1:].sum()).nan_to_num().double()  # NaN without a target


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompted", [False, True])
def test_losses_and_measurements_are_those_of_transformers(tmp_path: Path, name: str, prompted: bool) -> None:
    task = language_model(name, tmp_path, dtype="float64")
    theta, tokens = task.initial(0), ragged_tokens()
    target = PROMPTED if prompted else torch.ones_like(PROMPTED)
    rows = {"tokens": tokens} | ({"target": target} if prompted else {})
    expected = torch.stack([own_loss(task, theta, tokens[i], target[i]) for i in range(5)])
    count = (target & (tokens >= 0))[:, 1:].sum(1)
    assert prompted == (0 in count.tolist())
    measured = task.measure(theta, rows)
    torch.testing.assert_close(measured, -expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(task.losses(theta, rows), expected / count.clamp(min=1), rtol=1e-6, atol=1e-9)
    by_token = token_measurements(task, task.pieces(theta), rows)
    assert by_token.shape == (5, 9)
    torch.testing.assert_close(by_token.sum(1), measured, rtol=1e-12, atol=1e-12)
    assert not by_token[~(target & (tokens >= 0))[:, 1:]].any()


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize("name", NAMES)
def test_tangents_and_curvature_equal_central_differences(tmp_path: Path, name: str) -> None:
    task = language_model(name, tmp_path, dtype="float64")
    theta, rows = task.initial(0), {"tokens": ragged_tokens(), "target": PROMPTED}
    direction, size = torch.randn(theta.shape, generator=torch.Generator().manual_seed(1)), 1e-6

    def loss(at: torch.Tensor) -> torch.Tensor:
        return task.losses(at, rows).mean()

    change = forward_mode(lambda at: task.measure(at, rows), (theta,), (direction,))[1]
    ends = [task.measure(theta + sign * size * direction, rows) for sign in (1, -1)]
    torch.testing.assert_close(change, (ends[0] - ends[1]) / (2 * size), rtol=1e-5, atol=1e-6)
    curved = forward_mode(grad(loss), (theta,), (direction,))[1]
    slopes = [grad(loss)(theta + sign * size * direction) for sign in (1, -1)]
    torch.testing.assert_close(curved, (slopes[0] - slopes[1]) / (2 * size), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize("name", NAMES)
def test_many_models_and_many_rows_at_once_equal_a_loop(tmp_path: Path, name: str) -> None:
    task = language_model(name, tmp_path, dtype="float64")
    theta, rows = task.initial(0), {"tokens": ragged_tokens(), "target": PROMPTED}
    models = torch.stack([theta, theta * 1.01, theta * 0.9])
    slope = grad(lambda at: task.losses(at, rows).mean())
    together = vmap(slope, randomness="same")(models)  # itself, since `batched` would fall back on a loop
    torch.testing.assert_close(together, one_by_one(slope, 0, models), rtol=1e-9, atol=1e-11)
    of_row = grad(lambda at, row: task.losses(at, {key: value[None] for key, value in row.items()})[0])
    by_row = vmap(of_row, (None, 0), randomness="same")(theta, rows)
    torch.testing.assert_close(by_row, one_by_one(of_row, (None, 0), theta, rows), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(by_row.mean(0), slope(theta), rtol=1e-9, atol=1e-11)

    def along(direction: torch.Tensor) -> torch.Tensor:
        return forward_mode(slope, (theta,), (direction,))[1]

    found = batched(along)(models)
    torch.testing.assert_close(found, one_by_one(along, 0, models), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_paired_over_the_whole_horizon_equals_real_retraining(tmp_path: Path, name: str) -> None:
    recipe = recipe_of(language_model(name, tmp_path))
    responses, whole = simulated(recipe), trained(recipe)
    for source in range(2):
        without = trained(recipe, [float(s != source) for s in range(2)])
        error = (responses.response_KP[source] - (whole - without)).norm()
        assert error <= 1e-5 * (whole - joined(recipe.initial().theta)).norm()
        assert responses.response_KP[source].norm() > 100 * error

"""Classifiers of texts and images: against transformers, with and without padding, derivatives, retraining."""

from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from tests.unit.simulation.simulated import simulated, trained
from tests.unit.tasks.huggingface.models import CLASSIFIERS, classifier, folder_of, recipe_of, rows_of
from tribute.errors import ConfigError
from tribute.tasks import FlatTask, forward_mode, has_tokens, huggingface_task, joined
from tribute.tasks.transforms import one_by_one

NAMES = list(CLASSIFIERS)


def own_logits(task: FlatTask, theta: torch.Tensor, rows: dict[str, torch.Tensor], row: int) -> torch.Tensor:
    """Logits of a row without its padding, given to transformers as its documentation has it."""
    if "features" in rows:
        given = {"pixel_values": rows["features"][row].view(1, 3, 8, 8)}
    else:
        tokens = rows["tokens"][row]
        given = {"input_ids": tokens[tokens >= 0][None].long()}
    with torch.no_grad():
        return functional_call(task.measured, dict(task.frozen) | task.pieces(theta), (), given).logits[0]


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize("measure", ["margin", "log_likelihood"])
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_measurements_are_those_of_unpadded_rows(tmp_path: Path, name: str, measure: str) -> None:
    task = classifier(name, tmp_path, dtype="float64", measure=measure)
    theta, rows = task.initial(0), rows_of(task)
    rows |= {"features": rows["features"].double()} if "features" in rows else {}
    logits = torch.stack([own_logits(task, theta, rows, row) for row in range(5)])
    loss = functional.cross_entropy(logits, rows["labels"], reduction="none")
    torch.testing.assert_close(task.losses(theta, rows), loss, rtol=1e-9, atol=1e-9)
    p = (-loss).exp()
    expected = -loss if measure == "log_likelihood" else p.log() - (1 - p).log()
    torch.testing.assert_close(task.measure(theta, rows), expected, rtol=1e-9, atol=1e-9)
    assert not has_tokens(task.task)


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_equal_loops_and_central_differences(tmp_path: Path, name: str) -> None:
    task = classifier(name, tmp_path, dtype="float64")
    theta, rows = task.initial(0), rows_of(task)
    direction, size = torch.randn(theta.shape, generator=torch.Generator().manual_seed(1)), 1e-6
    change = forward_mode(lambda at: task.measure(at, rows), (theta,), (direction,))[1]
    ends = [task.measure(theta + sign * size * direction, rows) for sign in (1, -1)]
    torch.testing.assert_close(change, (ends[0] - ends[1]) / (2 * size), rtol=1e-5, atol=1e-6)
    slope = grad(lambda at: task.losses(at, rows).mean())
    models = torch.stack([theta, theta * 1.01])
    together = vmap(slope, randomness="same")(models)  # itself, since `batched` would fall back on a loop
    torch.testing.assert_close(together, one_by_one(slope, 0, models), rtol=1e-9, atol=1e-11)
    of_row = grad(lambda at, row: task.losses(at, {key: value[None] for key, value in row.items()})[0])
    by_row = vmap(of_row, (None, 0), randomness="same")(theta, rows)
    torch.testing.assert_close(by_row.mean(0), slope(theta), rtol=1e-9, atol=1e-11)
    curved = forward_mode(slope, (theta,), (direction,))[1]
    slopes = [slope(theta + sign * size * direction) for sign in (1, -1)]
    torch.testing.assert_close(curved, (slopes[0] - slopes[1]) / (2 * size), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "vit"])
def test_paired_over_the_whole_horizon_equals_real_retraining(tmp_path: Path, name: str) -> None:
    recipe = recipe_of(classifier(name, tmp_path))
    responses, whole = simulated(recipe), trained(recipe)
    without = trained(recipe, [0.0, 1.0])
    error = (responses.response_KP[0] - (whole - without)).norm()
    assert error <= 1e-5 * (whole - joined(recipe.initial().theta)).norm()
    assert responses.response_KP[0].norm() > 100 * error


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    task = classifier("vit", tmp_path)
    rows = {"features": torch.zeros(1, 49), "labels": torch.tensor([0])}
    with pytest.raises(ConfigError, match=r"49 features, but the model takes images of 3 x 8 x 8 = 192. Resize"):
        task.losses(task.initial(0), rows)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("llama", {"pad_token_id": None}, "padding token, but its config has none. Set pad_token_id"),
        ("bert", {"problem_type": "multi_label_classification"}, "problem_type 'multi_label_classification'. Use"),
        ("bert", {"num_labels": 1}, "has 1 labels"),
    ],
)
def test_classifiers_that_would_be_wrong_are_refused(
    tmp_path: Path, name: str, changed: dict, message: str
) -> None:
    config = CLASSIFIERS[name]()
    for key, value in changed.items():
        setattr(config, key, value)
    with pytest.raises(ConfigError, match=message):
        FlatTask(huggingface_task(model=folder_of(config, tmp_path)))

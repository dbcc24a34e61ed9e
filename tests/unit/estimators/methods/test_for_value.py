"""For-Value against gradients by the last layer's weight, and what projection and examples make of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from tests.unit.estimators.small import (
    additive,
    influences,
    loss_gradient,
    query_gradient,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential
from tribute.tasks import FlatTask


def last_layer(trained: Trained, gradient_P: Tensor) -> Tensor:
    return trained.task.pieces(gradient_P)["2.weight"].flatten()


def naive(trained: Trained) -> Tensor:
    """Dots of gradients by the weight of a perceptron's last layer, [Q, N]."""
    recipe, theta_P, queries = trained.recipe, trained.theta_P, small_queries()
    asked = [last_layer(trained, query_gradient(recipe, theta_P, queries, query)) for query in range(3)]
    known = [last_layer(trained, -loss_gradient(recipe, theta_P, n)) for n in range(len(recipe.data))]
    return torch.stack(asked) @ torch.stack(known).T


def unembedding_gradient(trained: Trained, tokens: np.ndarray, loss: bool) -> Tensor:
    """Gradient of the log-likelihood by the unembedding alone, the embedding held, by autograd."""
    module, pieces = trained.task.measured, trained.task.pieces(trained.theta_P)
    held: list[Tensor] = []
    hook = module.norm.register_forward_hook(lambda *seen: held.append(seen[-1].detach()))
    weight = pieces["embedding.weight"].clone().requires_grad_()

    def model(inputs: Tensor) -> Tensor:
        functional_call(module, pieces, (inputs,))
        return held[-1] @ weight.T

    task, batch = trained.task.task, {"tokens": torch.from_numpy(tokens)}
    total = -task.training_loss(model, batch).sum() if loss else task.measurement(model, batch).sum()
    [found] = torch.autograd.grad(total, [weight])
    hook.remove()
    return found.flatten()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rows", [3, 64])
def test_a_perceptron_has_the_gradient_dot_of_its_last_layer(rows: int, tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    estimator = build_estimator("for_value", {"rows": rows})  # in parts, and at once
    found = influences(estimator, trained, sources(trained), small_queries())
    torch.testing.assert_close(found, additive(trained, naive(trained)), rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_last_layer_is_found_though_the_model_goes_on(tmp_path: Path) -> None:
    trained = small_training(tmp_path, task="tests.unit.tasks.own_task:HalvedClassifier")
    estimator = build_estimator("for_value", {})
    assert estimator.numbers_per_group(trained) == 2 * 8
    found = influences(estimator, trained, sources(trained), small_queries())
    halved_twice = additive(trained, naive(trained)) / 0.25  # the errors are by the halved outputs
    torch.testing.assert_close(found, halved_twice, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_a_log_likelihood_has_the_papers_error(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    batch, _ = trained.data.batch(np.arange(40), trained.device)
    first, bias, second, offset = trained.task.pieces(trained.theta_P).values()
    hidden = torch.nn.functional.gelu(batch["features"] @ first.T + bias)
    error = torch.eye(2)[batch["labels"]] - (hidden @ second.T + offset).softmax(-1)
    gathered = build_estimator("for_value", {}).gather(trained, {}, sources(trained))
    expected = [torch.einsum("be,bd->ed", error[at], hidden[at]).flatten() for at in batch_parts(trained)]
    torch.testing.assert_close(gathered["outer"], torch.stack(expected), rtol=1e-10, atol=1e-12)


def batch_parts(trained: Trained) -> list[Tensor]:
    return [torch.from_numpy(np.flatnonzero(trained.data.source_N == source)) for source in range(3)]


@pytest.mark.usefixtures("float64")
def test_a_transformer_has_the_gradient_dot_of_its_unembedding(tmp_path: Path) -> None:
    trained, queries = text_training(tmp_path), text_queries()
    found = influences(build_estimator("for_value", {}), trained, sources(trained), queries)
    tokens = queries.columns["tokens"]
    asked = [unembedding_gradient(trained, tokens[queries.query_N == query], loss=False) for query in range(3)]
    windows = trained.data.columns["tokens"]
    known = [unembedding_gradient(trained, windows[trained.data.source_N == s], loss=True) for s in range(2)]
    torch.testing.assert_close(found, torch.stack(asked) @ torch.stack(known).T, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_most_influential_examples_of_a_source(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator("for_value", {})
    found = most_influential(estimator, trained, {}, small_queries(), 1, 4)
    expected = naive(trained).numpy()[:, trained.data.source_N == 1]
    np.testing.assert_array_equal(found.index_Qk, 20 + np.argsort(-expected, axis=1)[:, :4])


def test_projected_outputs_keep_norms_and_less(tmp_path: Path) -> None:
    trained = text_training(tmp_path)
    exact = build_estimator("for_value", {}).gather(trained, {}, sources(trained))["outer"]
    near = build_estimator("for_value", {"outputs": 128}).gather(trained, {}, sources(trained))["outer"]
    assert exact.shape == (2, 256 * 8) and near.shape == (2, 128 * 8) and near.dtype == torch.float32
    assert not torch.equal(near.norm(dim=1), exact.norm(dim=1))
    torch.testing.assert_close(near.norm(dim=1), exact.norm(dim=1), rtol=0.2, atol=0)


def test_no_outputs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"outputs is 0 and rows 64. Set both to at least 1"):
        build_estimator("for_value", {"outputs": 0})


def test_all_batches_and_files_of_a_replicate_share_one_copy_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, copies = small_training(tmp_path), list[object]()
    copy_at = FlatTask.measured_at

    def counted(task: FlatTask, theta_P: Tensor) -> nn.Module:
        copies.append(theta_P)
        return copy_at(task, theta_P)

    monkeypatch.setattr(FlatTask, "measured_at", counted)
    estimator, groups = build_estimator("for_value", {}), sources(trained)
    first = influences(estimator, trained, groups, small_queries())
    torch.testing.assert_close(influences(estimator, trained, groups, small_queries()), first, rtol=0, atol=0)
    assert estimator.numbers_per_group(trained) and len(copies) == 1

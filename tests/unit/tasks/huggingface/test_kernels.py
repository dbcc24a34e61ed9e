"""Which kernels run in which mode, and where logits are computed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.func import grad
from transformers.integrations import moe

from tests.unit.tasks.huggingface.models import language_model, ragged_tokens
from tribute.estimators.layers import layer_pass, linear_layers
from tribute.tasks import FlatTask, WatchedModel, batched, forward_mode, transforms
from tribute.tasks.huggingface import kernels


def counted(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[None]:
    """Calls of a function, counted from now on."""
    calls: list[None] = []
    original: Callable = getattr(module, name)

    def watched(*inputs: object, **options: object) -> object:
        calls.append(None)
        return original(*inputs, **options)

    monkeypatch.setattr(module, name, watched)
    return calls


def tangent(task: FlatTask, rows: dict[str, torch.Tensor]) -> torch.Tensor:
    """A Hessian-vector product of the mean loss."""
    theta = task.initial(0)
    return forward_mode(grad(lambda at: task.losses(at, rows).mean()), (theta,), (theta,))[1]


@pytest.mark.parametrize("name", ["llama", "mixtral", "qwen3_moe"])
def test_forward_mode_needs_no_second_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task, rows = language_model(name, tmp_path), {"tokens": ragged_tokens()}
    retried = counted(monkeypatch, transforms, "_plain_kernels")
    assert float(tangent(task, rows).norm()) > 0
    assert retried == []


def test_experts_are_grouped_but_in_forward_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows = language_model("mixtral", tmp_path), {"tokens": ragged_tokens()}
    grouped = counted(monkeypatch, kernels, "grouped_mm_experts_forward")
    batches = counted(monkeypatch, kernels, "batched_mm_experts_forward")
    theta = task.initial(0)
    plain = task.measure(theta, rows)
    assert (len(grouped), len(batches)) == (2, 0)
    value = forward_mode(lambda at: task.measure(at, rows), (theta,), (theta,))[0]
    assert (len(grouped), len(batches)) == (2, 2)
    torch.testing.assert_close(value, plain, rtol=1e-5, atol=1e-5)
    looped = counted(monkeypatch, transforms, "one_by_one")
    slope = grad(lambda at: task.losses(at, rows).mean())
    batched(slope)(torch.stack([theta, theta]))
    assert (len(batches), looped) == (2, [])


def test_attention_is_fused_but_in_forward_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows = language_model("llama", tmp_path), {"tokens": ragged_tokens()}
    plain = counted(monkeypatch, kernels, "sdpa_kernel")
    task.losses(task.initial(0), rows)
    assert plain == []
    tangent(task, rows)
    assert len(plain) == 2  # once in each layer


def test_other_models_keep_their_experts(tmp_path: Path) -> None:
    language_model("mixtral", tmp_path)
    assert moe.ALL_EXPERTS_FUNCTIONS["grouped_mm"] is moe.grouped_mm_experts_forward


def positions_of_head(task: FlatTask) -> list[int]:
    """Positions that the head computed, in every call from now on."""
    found: list[int] = []
    for module in (task.module, task.measured):
        module.get_output_embeddings().register_forward_hook(
            lambda _layer, inputs, _outputs: found.append(inputs[0].shape[1])
        )
    return found


def test_logits_are_computed_where_targets_are(tmp_path: Path) -> None:
    task = language_model("llama", tmp_path)
    tokens = ragged_tokens(3, 12).clamp(min=3)
    target = torch.zeros(3, 12, dtype=torch.bool)
    target[0, 7], target[1, 10:] = True, True
    theta, found = task.initial(0), positions_of_head(task)
    rows = {"tokens": tokens, "target": target}
    task.losses(theta, rows)
    task.measure(theta, rows)
    grad(lambda at: task.losses(at, rows).sum())(theta)
    assert found == [3, 3, 3]
    task.losses(theta, {"tokens": tokens})
    task.find_output(task.pieces(theta), rows)
    task.outputs(theta, rows)  # somebody reads them
    assert found[3:] == [11, 11, 11]


def test_readers_of_outputs_see_all_positions(tmp_path: Path) -> None:
    """EK-FAC and distilled read-outs match outputs with hidden states, position by position."""
    task = language_model("llama", tmp_path)
    tokens = ragged_tokens(3, 12)
    rows = {"tokens": tokens, "target": torch.arange(12).expand(3, 12) > 5}
    theta = task.initial(0)
    seen = layer_pass(task, theta, rows, linear_layers(task))
    assert seen.outputs.shape == (3, 11, 64)
    found = WatchedModel(task, theta).forward_pass(rows)
    assert found.error.shape == (3, 11, 64)
    torch.testing.assert_close(found.measurement_B, task.measure(theta, rows), rtol=1e-5, atol=1e-5)
    assert not found.error[:, :5].any()

"""Models of transformers for many trajectories in one pass, against each trajectory alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import grad

from tests.unit.tasks.huggingface.models import (
    CLASSIFIERS,
    LANGUAGE_MODELS,
    classifier,
    language_model,
    ragged_tokens,
)
from tribute.tasks import Batch, FlatTask, Scope, joined
from tribute.tasks.huggingface import kernels

TRAJECTORIES = 3
LORA = {"r": 2, "target_modules": ["q_proj", "v_proj", "c_attn"]}


def texts(rows: int) -> dict[str, Tensor]:
    tokens = ragged_tokens()[:rows]
    return {"tokens": tokens, "target": torch.arange(tokens.shape[1]) > torch.arange(rows)[:, None]}


def differences(task: FlatTask, scope: str, batch: Batch) -> tuple[float, str | None]:
    """Relative difference of gradients in one pass from those of each trajectory; where trajectories part."""
    theta, chosen = task.pieces(task.initial(0)), Scope(task, scope)
    torch.manual_seed(1)
    own = {n: value + 0.05 * torch.randn(TRAJECTORIES, *value.shape) for n, value in chosen.part(theta).items()}
    weights_KB = torch.rand(TRAJECTORIES, len(next(iter(batch.values()))))
    found = chosen.task_at(theta).gradients_at(own, batch, weights_KB, 0)
    [fork] = task.together(chosen.names)._known.values()
    assert found is not None
    alone = []
    for row in range(TRAJECTORIES):

        def loss(at: dict[str, Tensor], row: int = row) -> Tensor:
            return (weights_KB[row] * task.losses_at({**theta, **at}, batch)).mean()

        alone.append(joined(grad(loss)({name: value[row] for name, value in own.items()})))
    expected = torch.stack(alone)
    return float((joined(found, 1) - expected).norm() / expected.norm()), fork


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
@pytest.mark.parametrize("scope", ["all", "last_block"])
def test_language_models_are_folded(tmp_path: Path, name: str, scope: str) -> None:
    error, fork = differences(language_model(name, tmp_path), scope, texts(4))
    assert error < 1e-6
    assert (
        fork
        == {
            "all": "transformer.wte" if name == "gpt2" else "model.embed_tokens",
            "last_block": "transformer.h.1" if name == "gpt2" else "model.layers.1",
        }[scope]
    )


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral"])
def test_adapters_are_folded(tmp_path: Path, name: str) -> None:
    error, fork = differences(language_model(name, tmp_path, adapter=LORA), "lora", texts(5))
    assert error < 1e-6 and fork is not None


def test_attention_runs_once_for_all_trajectories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows, plain = (
        language_model("llama", tmp_path, adapter=LORA),
        list[int](),
        kernels.sdpa_attention_forward,
    )

    def counted(layer: torch.nn.Module, query: Tensor, *inputs: object, **options: object) -> object:
        assert not torch._C._functorch.is_batchedtensor(query)
        rows.append(len(query))
        return plain(layer, query, *inputs, **options)

    own = {name: torch.randn(TRAJECTORIES, *shape) for name, shape in task.shapes.items()}
    task.gradients_at(own, texts(4), torch.ones(TRAJECTORIES, 4), 0)
    monkeypatch.setattr(kernels, "sdpa_attention_forward", counted)
    task.gradients_at(own, texts(4), torch.ones(TRAJECTORIES, 4), 0)
    assert rows == [TRAJECTORIES * 4] * 2  # two layers


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_are_folded(tmp_path: Path, name: str) -> None:
    batch = {"labels": torch.tensor([0, 2, 1, 1])}
    inputs = {"features": torch.randn(4, 3 * 64)} if name == "vit" else {"tokens": ragged_tokens()[:4]}
    error, _ = differences(classifier(name, tmp_path), "all", inputs | batch)
    assert error < 1e-6

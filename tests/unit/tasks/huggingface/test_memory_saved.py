"""Logits in chunks and recomputed blocks: the same losses and gradients as without, from less memory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import grad

from tests.unit.tasks.huggingface.models import language_model, ragged_tokens, recipe_of
from tribute.config import SimulationSettings
from tribute.simulation import build_mode, build_schedule, simulate
from tribute.tasks import Batch, FlatTask, Parameters, Scope, gradient_at, joined
from tribute.tasks.huggingface import head
from tribute.tasks.modes import allow_recomputation

LORA = {"r": 2, "target_modules": ["q_proj", "v_proj", "c_attn"]}
TRAJECTORIES = 3
BATCH = {"tokens": ragged_tokens(4), "target": torch.arange(10) > torch.arange(4)[:, None]}


def gradients(task: FlatTask, scope: str, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a trajectory by `torch.func` and by plain autograd, and those of three in one pass."""
    theta, chosen = task.pieces(task.initial(0)), Scope(task, scope)
    at = chosen.task_at(theta)

    def loss(own: Parameters) -> Tensor:
        return at.losses_at(own, batch).mean()

    own = chosen.part(theta)
    several = {name: value.expand(TRAJECTORIES, *value.shape) for name, value in own.items()}
    folded = at.gradients_at(several, batch, torch.ones(TRAJECTORIES, 4), 0)
    assert folded is not None
    return joined(grad(loss)(own)), joined(gradient_at(loss, own)), joined(folded, 1)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Cut every batch, and note how many positions each answer has."""
    seen, answered = list[int](), head._answered

    def counted(layer: torch.nn.Linear, hidden_ND: Tensor, chosen_N: Tensor) -> Tensor:
        seen.append(len(chosen_N))
        return answered(layer, hidden_ND, chosen_N)

    monkeypatch.setattr(head, "MAX_LOGITS", 3 * 64)
    monkeypatch.setattr(head, "_answered", counted)
    return seen


@pytest.mark.parametrize(("name", "scope"), [("llama", "all"), ("gpt2", "all"), ("llama", r"layers\.1")])
def test_logits_in_chunks_give_the_gradients_of_the_whole(
    tmp_path: Path, answers: list[int], name: str, scope: str
) -> None:
    whole, plain, folded = gradients(language_model(name, tmp_path), scope, BATCH)
    predicted = int(((BATCH["tokens"] >= 0) & BATCH["target"])[:, 1:].sum())
    several = TRAJECTORIES * predicted
    assert answers == ([predicted] if scope == "all" else [several, several, predicted])  # one is the trial
    for found in (plain, *folded):
        assert float((found - whole).norm() / whole.norm()) < 1e-6


def test_logits_in_chunks_under_adapters_and_bfloat16(tmp_path: Path, answers: list[int]) -> None:
    whole, plain, folded = gradients(language_model("llama", tmp_path, adapter=LORA), "lora", BATCH)
    assert len(answers) == 3
    assert float((plain - whole).norm() / whole.norm()) < 1e-6
    assert float((folded - whole).norm() / whole.norm()) < 1e-5
    task = language_model("llama", tmp_path, adapter=LORA, dtype="bfloat16")
    whole, plain, _ = gradients(task, "lora", BATCH)
    assert float((plain - whole).norm() / whole.norm()) < 2e-2


@pytest.mark.parametrize("adapter", [None, LORA])
def test_losses_without_gradients_are_computed_in_chunks(
    tmp_path: Path, answers: list[int], adapter: dict | None
) -> None:
    task = language_model("llama", tmp_path, **({} if adapter is None else {"adapter": adapter}))
    theta = task.pieces(task.initial(0))
    with torch.no_grad():
        whole_B = task.losses_at(theta, BATCH)
        assert answers == []
        with allow_recomputation():
            torch.testing.assert_close(task.losses_at(theta, BATCH), whole_B)
    assert len(answers) == 1


def test_a_head_whose_outputs_are_capped_is_asked_once(tmp_path: Path, answers: list[int]) -> None:
    task = language_model("gemma2", tmp_path)
    whole, plain, folded = gradients(task, "last_block", BATCH)
    for found in (plain, *folded):
        assert float((found - whole).norm() / whole.norm()) < 1e-6
    assert len(answers) == 2  # by the module, and by its folded copy
    gradient_at(lambda own: task.losses_at(own, BATCH).mean(), task.pieces(task.initial(0)))
    assert len(answers) == 2


@pytest.mark.parametrize(("name", "scope"), [("llama", "all"), ("gpt2", "last_block"), ("mixtral", "all")])
def test_recomputed_blocks_give_the_same_gradients(tmp_path: Path, name: str, scope: str) -> None:
    task = language_model(name, tmp_path, gradient_checkpointing=True)
    whole, plain, folded = gradients(task, scope, BATCH)
    for found in (plain, *folded):
        assert float((found - whole).norm() / whole.norm()) < 1e-6


def test_recomputed_blocks_of_an_adapted_model_with_dropout(tmp_path: Path) -> None:
    options = {"adapter": LORA | {"lora_dropout": 0.3}, "dropout": True}
    batch = {"tokens": ragged_tokens(4)}
    pieces: Parameters = {}
    found = []
    for recomputed in (False, True):
        task = language_model("llama", tmp_path, gradient_checkpointing=recomputed, **options)
        pieces = pieces or {n: torch.randn(TRAJECTORIES, *s) for n, s in task.shapes.items()}
        several = task.gradients_at(pieces, batch, torch.ones(TRAJECTORIES, 4), 5)
        assert several is not None
        found.append(joined(several))
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)


def kept(task: FlatTask) -> int:
    """Bytes that a forward pass keeps for its backward pass."""
    sizes: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        sizes[value.data_ptr()] = value.nbytes
        return value

    def loss(own: Parameters) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            return task.losses_at(own, {"tokens": ragged_tokens(16)}).mean()

    gradient_at(loss, task.pieces(task.initial(0)))
    return sum(sizes.values())


def test_recomputation_and_chunks_keep_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = kept(language_model("llama", tmp_path))
    recomputed = kept(language_model("llama", tmp_path, gradient_checkpointing=True))
    assert recomputed < 0.6 * everything
    monkeypatch.setattr(head, "MAX_LOGITS", 64 * 16)
    assert kept(language_model("llama", tmp_path, gradient_checkpointing=True)) < recomputed


@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_a_simulation_with_recomputed_blocks_is_the_one_without(tmp_path: Path, mode: str) -> None:
    responses = []
    for recomputed in (False, True):
        recipe = recipe_of(language_model("llama", tmp_path, gradient_checkpointing=recomputed))
        settings = SimulationSettings(horizon=1.0, scope="last_block", mode=mode)
        simulation = build_mode(build_schedule(recipe, settings, {}), settings, torch.eye(2))
        found = simulate(simulation, simulation.begin(recipe.initial()), 0)
        responses.append(joined(found.response))
    torch.testing.assert_close(responses[1], responses[0], rtol=1e-3, atol=1e-6)

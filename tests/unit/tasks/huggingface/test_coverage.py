"""What each method says of the parameters that it does not treat like the rest, by name."""

from pathlib import Path

import pytest
import torch

from tests.unit.tasks.huggingface.models import LANGUAGE_MODELS, folder_of, ragged_tokens
from tribute import SimulationSettings, check_task
from tribute.estimators.layers import Layer, linear_layers
from tribute.study import TaskReport
from tribute.tasks import FlatTask, Scope, WatchedModel, huggingface_task

LORA = {"r": 2, "target_modules": ["q_proj"]}


def report(name: str, folder: Path, mode: str, scope: str = "all", **options: object) -> TaskReport:
    """The contract check of a small language model on two sources, with a rehearsal of the method."""
    config = LANGUAGE_MODELS[name]()
    task = huggingface_task(model=folder_of(config, folder), dropout=False, **options)
    by_source = {each: {"tokens": ragged_tokens(6, 8, seed).numpy()} for seed, each in enumerate("ab")}
    scoped = {} if mode == "ekfac" else {"scope": scope}
    return check_task(task, by_source, simulation=SimulationSettings(mode=mode, **scoped))


def test_the_head_of_a_tied_model_is_its_last_norm_and_says_so(tmp_path: Path) -> None:
    found = report("gpt2", tmp_path, "paired", "head")
    assert found.fine, found
    assert found.coverage == (
        "paired with scope head: 32 of 8,128 parameters (0.39%) respond to a source, the others stay as they are. "
        "In the scope: transformer.ln_f.weight, transformer.ln_f.bias",
    )


def test_frozen_parameters_count_in_the_coverage(tmp_path: Path) -> None:
    model = folder_of(LANGUAGE_MODELS["llama"](), tmp_path)
    task = FlatTask(huggingface_task(model=model, adapter=LORA))
    total = sum(value.numel() for value in task.module.parameters())
    assert f"scope all: 128 of {total:,} parameters (" in Scope(task, "all").coverage
    assert Scope(FlatTask(huggingface_task(model=model)), "all").coverage == ""


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("llama", {"model.embed_tokens.weight", "input_layernorm"}),
        ("gpt2", {"transformer.wte.weight", "ln_1"}),  # Conv1D layers are seen, the tied head is not
        ("mixtral", {"experts"}),
    ],
)
def test_ekfac_names_what_it_has_a_diagonal_for(tmp_path: Path, name: str, left: set[str]) -> None:
    found = report(name, tmp_path, "ekfac")
    assert found.fine, found
    [said] = found.coverage
    assert all(each in said for each in left)
    assert "c_attn" not in said


def test_ekfac_sees_adapters(tmp_path: Path) -> None:
    found = report("llama", tmp_path, "ekfac", adapter=LORA)
    assert found.fine, found
    assert found.coverage == ()


def test_hidden_states_of_gpt2_are_inputs_of_its_linear_layers(tmp_path: Path) -> None:
    task = FlatTask(huggingface_task(model=folder_of(LANGUAGE_MODELS["gpt2"](), tmp_path)))
    seen = WatchedModel(task, task.initial(0)).forward_pass({"tokens": ragged_tokens()})
    widths = [state.shape[2] for state in seen.hidden]
    assert sum(width == 64 for width in widths) == 2, widths  # the second layer of each block's network
    assert sum(width == 16 for width in widths) == 4, widths  # the head, a projection, two first layers


def test_transposed_layers_have_the_inverse_of_plain_ones(tmp_path: Path) -> None:
    model = folder_of(LANGUAGE_MODELS["gpt2"](), tmp_path)
    layers = linear_layers(FlatTask(huggingface_task(model=model)))
    assert len(layers) == 8
    assert all(layer.transposed for layer in layers)
    weight_IO, bias_O = torch.randn(3, 4), torch.randn(4)
    layer = Layer(torch.nn.Identity(), "w", "b", transposed=True)
    flat = {"w": weight_IO.reshape(1, -1), "b": bias_O[None]}
    matrix_OI = layer.matrix(flat, 4)[0]
    torch.testing.assert_close(
        matrix_OI @ torch.tensor([1.0, 2.0, 3.0, 1.0]), torch.tensor([1.0, 2.0, 3.0]) @ weight_IO + bias_O
    )
    for key, value in layer.flattened(matrix_OI[None]).items():
        torch.testing.assert_close(value, flat[key])

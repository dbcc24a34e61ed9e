"""Models from folders: pretrained, adapted, partly frozen, in bfloat16; and what is refused."""

import json
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers

from tests.unit.simulation.simulated import simulated, trained
from tests.unit.tasks.huggingface.models import (
    CLASSIFIERS,
    LANGUAGE_MODELS,
    classifier,
    folder_of,
    language_model,
    ragged_tokens,
    recipe_of,
    rows_of,
)
from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.tasks import FlatTask, build_task, huggingface_task, joined

LORA = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}


def pretrained(name: str, folder: Path, seed: int = 5) -> str:
    """A folder with config and weights of a language model."""
    torch.manual_seed(seed)
    transformers.AutoModelForCausalLM.from_config(LANGUAGE_MODELS[name]()).save_pretrained(folder)
    return str(folder)


def test_a_pretrained_model_is_the_same_under_every_seed_and_its_own_loss(tmp_path: Path) -> None:
    folder = pretrained("llama", tmp_path)
    task = build_task(TaskSettings(name="huggingface", options={"model": folder}))
    theta, tokens = task.initial(0), ragged_tokens(2, 10)[:1]
    torch.testing.assert_close(theta, task.initial(7), rtol=0, atol=0)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    loss = model(input_ids=tokens.long(), labels=tokens.long()).loss
    torch.testing.assert_close(task.losses(theta, {"tokens": tokens}), loss[None].detach(), rtol=1e-6, atol=1e-6)


def test_a_folder_beside_the_project_is_found(tmp_path: Path) -> None:
    pretrained("gpt2", tmp_path / "base")
    settings = TaskSettings(name="huggingface", options={"model": "base"}).beside(tmp_path)
    assert build_task(settings).size == (64 + 32) * 16 + 2 * 3_280 + 32  # embeddings, blocks, last norm


def test_a_config_alone_is_drawn_anew_under_every_seed(tmp_path: Path) -> None:
    task = language_model("llama", tmp_path)
    torch.testing.assert_close(task.initial(3), task.initial(3), rtol=0, atol=0)
    assert float((task.initial(3) - task.initial(4)).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_tied_weights_are_counted_once_and_move_together(tmp_path: Path, name: str) -> None:
    task = language_model(name, tmp_path)
    assert sum("lm_head" in key or "embed_tokens" in key or "wte" in key for key in task.shapes) == 1
    assert task.size == sum(value.numel() for value in task.module.parameters())
    theta, rows = task.initial(0), {"tokens": ragged_tokens()}
    [tied] = [key for key in task.shapes if "embed_tokens" in key or "wte" in key]
    pieces = task.pieces(theta)
    changed = pieces | {tied: torch.zeros_like(pieces[tied])}
    uniform = -torch.log(torch.tensor(64.0)) * (rows["tokens"] >= 0)[:, 1:].sum(1)
    torch.testing.assert_close(task.measure_at(changed, rows), uniform)  # through the head, which is the embedding


def test_an_adapter_trains_alone_on_a_base_that_every_build_shares(tmp_path: Path) -> None:
    task = language_model("llama", tmp_path, adapter=LORA)
    assert all("lora_" in name for name in task.shapes)
    assert task.size == 2 * (2 * (16 * 2 + 2 * 16) - 2 * 8)  # two layers; q is 16 x 16, v 8 x 16
    base = [name for name in task.frozen if name.endswith("q_proj.base_layer.weight")]
    again = FlatTask(task.task)
    assert again.frozen_sha256 == task.frozen_sha256
    torch.manual_seed(99)
    assert all(torch.equal(task.frozen[name], FlatTask(task.task).frozen[name]) for name in base)
    recipe = recipe_of(task)
    responses, whole = simulated(recipe), trained(recipe)
    error = (responses.response_KP[0] - (whole - trained(recipe, [0.0, 1.0]))).norm()
    assert error <= 1e-5 * (whole - joined(recipe.initial().theta)).norm()
    assert responses.response_KP[0].norm() > 0


def test_a_task_holds_the_frozen_part_of_its_model_once_and_nothing_else(tmp_path: Path) -> None:
    task = language_model("llama", tmp_path, adapter=LORA)
    for module in (task.module, task.measured):
        assert all(value.is_meta for value in [*module.parameters(), *module.buffers()])
    held = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in task.frozen.values()}
    assert set(task.frozen).isdisjoint(task.shapes)
    assert sum(held.values()) == sum(value.nbytes for value in task.frozen.values())


def test_a_saved_adapter_goes_on_from_where_it_was_saved(tmp_path: Path) -> None:
    folder = pretrained("llama", tmp_path / "base")
    task = FlatTask(huggingface_task(model=folder, adapter=LORA | {"init_lora_weights": False}, dropout=False))
    drawn = task.task.build()
    drawn.save_pretrained(tmp_path / "adapter")
    saved = FlatTask(huggingface_task(model=folder, adapter=str(tmp_path / "adapter"), dropout=False))
    assert saved.shapes == task.shapes
    expected = {name: value.detach() for name, value in drawn.named_parameters()}
    for name, value in saved.pieces(saved.initial(0)).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_a_saved_adapter_without_some_weights_is_refused(tmp_path: Path) -> None:
    folder = pretrained("llama", tmp_path / "base")
    huggingface_task(model=folder, adapter=LORA).build().save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    weights = safetensors.torch.load_file(file)
    weights.pop(next(name for name in weights if "lora_B" in name))
    safetensors.torch.save_file(weights, file)
    with pytest.raises(ConfigError, match=r"lacks base_model.*which would stay random. Save the whole"):
        FlatTask(huggingface_task(model=folder, adapter=str(tmp_path / "adapter")))


def test_parameters_are_chosen_by_name(tmp_path: Path) -> None:
    task = language_model("llama", tmp_path, trainable=r"layers\.1\.|norm")
    assert {name.split(".")[-1] for name in task.shapes} == {"weight"}
    assert not [name for name in task.shapes if ".0.self_attn" in name or "lm_head" in name]
    adapted = language_model("llama", tmp_path, adapter=LORA, trainable="layers.0.*lora_B")
    assert list(adapted.shapes) == [name for name in adapted.shapes if "layers.0" in name and "lora_B" in name]


@pytest.mark.parametrize("options", [{"adapter": LORA}, {"trainable": r"layers\.1\.|embed_tokens|lm_head"}, {}])
def test_bfloat16_rounds_what_is_frozen_and_trains_in_float32(tmp_path: Path, options: dict) -> None:
    wide = language_model("llama", tmp_path, **options)
    task = language_model("llama", tmp_path, dtype="bfloat16", **options)
    assert all(value.dtype is torch.float32 for value in task.pieces(task.initial(0)).values())
    for name, value in task.frozen.items():
        if "lm_head" in name:
            assert value.dtype is torch.float32
        elif "inv_freq" in name:  # rounded, a rotation by it would be wrong by radians at late positions
            torch.testing.assert_close(value, wide.frozen[name], rtol=0, atol=0)
        else:
            assert value.dtype is torch.bfloat16
    theta, rows = wide.initial(0), rows_of(task)
    found, expected = task.losses(theta, rows), wide.losses(theta, rows)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    slopes = [torch.func.grad(lambda at, of=each: of.losses(at, rows).mean())(theta) for each in (task, wide)]
    assert torch.nn.functional.cosine_similarity(*slopes, dim=0) > 0.99
    rounded = FlatTask(task.task, "bfloat16")
    torch.testing.assert_close(rounded.losses(theta, rows), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "qwen3_moe"])
@pytest.mark.parametrize("trainable", ["norm|ln_f", "."])
def test_logits_are_not_rounded_to_bfloat16(tmp_path: Path, name: str, trainable: str) -> None:
    task = language_model(name, tmp_path, dtype="bfloat16", trainable=trainable)
    theta, rows = task.initial(0), {"tokens": ragged_tokens()}
    wide = language_model(name, tmp_path, trainable=trainable)
    torch.testing.assert_close(task.measure(theta, rows), wide.measure(theta, rows), rtol=0.02, atol=0.02)
    task.find_output(task.pieces(theta), rows)
    logits = task.outputs(theta, rows)
    assert logits.dtype is torch.float32
    assert (logits != logits.bfloat16().float()).float().mean() > 0.9


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "vit"])
def test_classifiers_run_in_bfloat16(tmp_path: Path, name: str) -> None:
    task, wide = classifier(name, tmp_path, dtype="bfloat16"), classifier(name, tmp_path)
    theta, rows = wide.initial(0), rows_of(wide)
    torch.testing.assert_close(task.losses(theta, rows), wide.losses(theta, rows), rtol=0.02, atol=0.02)


def test_dropout_is_seeded_alike_in_all_trajectories_and_off_in_measurements(tmp_path: Path) -> None:
    task = language_model("gpt2", tmp_path, dropout=True)
    theta, rows = task.initial(0), {"tokens": ragged_tokens()}
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(task.losses(theta, rows))
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)
    assert not torch.equal(losses[0], losses[2])
    torch.testing.assert_close(task.measure(theta, rows), task.measure(theta, rows), rtol=0, atol=0)
    still = language_model("gpt2", tmp_path)
    torch.testing.assert_close(still.losses(theta, rows), task.evaluated.losses(theta, rows))
    recipe = recipe_of(task)
    responses, whole = simulated(recipe), trained(recipe)
    error = (responses.response_KP[0] - (whole - trained(recipe, [0.0, 1.0]))).norm()
    assert error <= 1e-5 * (whole - joined(recipe.initial().theta)).norm()


def test_a_fresh_head_is_drawn_by_the_seed_and_refused_where_it_would_not_train(tmp_path: Path) -> None:
    config = CLASSIFIERS["bert"]()
    transformers.BertModel(config).save_pretrained(tmp_path)
    options = {"model": str(tmp_path), "kind": "sequence_classifier"}
    task = FlatTask(huggingface_task(**options))
    pieces = [task.pieces(task.initial(seed)) for seed in (0, 0, 1)]
    torch.testing.assert_close(pieces[0], pieces[1], rtol=0, atol=0)
    same = {name for name, value in pieces[0].items() if torch.equal(value, pieces[2][name])}
    assert [name for name in pieces[0] if name not in same] == ["classifier.weight"]
    with pytest.raises(ConfigError, match=r"lacks classifier.bias, classifier.weight, and they would not be"):
        FlatTask(huggingface_task(**options, trainable="encoder"))
    adapter = {"r": 2, "target_modules": ["query"]}
    adapted = FlatTask(huggingface_task(**options, adapter=adapter))  # PEFT trains the head of a classifier
    assert sorted(name.split(".")[-1] for name in adapted.shapes if "classifier" in name) == ["bias", "weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "diffusion"}, "kind is 'diffusion'. Set it to one of causal_lm"),
        ({"dtype": "int8"}, "dtype is 'int8'. Set it to one of float32"),
        ({"dtype": None}, "dtype is None"),
        ({"kind": "causal_lm", "measure": "margin"}, "measure is for classifiers"),
        ({"widht": 3}, "options do not fit task 'huggingface'.*It takes: model, kind, adapter"),
        ({"trainable": "("}, "is no regular expression"),
        ({"trainable": "nothing"}, "matches no parameter. The model's parameters: model.embed_tokens"),
        ({"adapter": {"rank": 2}}, "adapter cannot be used: TypeError.*Give the settings of peft.LoraConfig"),
        ({"adapter": {"r": 2, "target_modules": ["no_such"]}}, "adapter cannot be used: NoMatching"),
        ({"adapter": "nowhere"}, "nowhere holds no adapter_config.json"),
        ({"model": "no-such-org/no-such-model"}, "no folder of that name, and no commit on the hub"),
        ({"model": "/"}, "its config cannot be read .*Name a folder with config.json"),
        ({"model": 3}, "model is 3. Name a local folder"),
    ],
)
def test_options_that_would_be_wrong_are_refused_with_the_remedy(
    tmp_path: Path, options: dict, message: str
) -> None:
    model = folder_of(LANGUAGE_MODELS["llama"](), tmp_path)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        build_task(TaskSettings(name="huggingface", options={"model": model} | options))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architectures": ["Unheard"]}, "names none of the supported architectures. Set task.options.kind"),
        ({"is_encoder_decoder": True}, "is an encoder and a decoder"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "are quantised"),
    ],
)
def test_models_that_would_be_wrong_are_refused(tmp_path: Path, changed: dict, message: str) -> None:
    model = Path(folder_of(LANGUAGE_MODELS["llama"](), tmp_path))
    config = json.loads((model / "config.json").read_text()) | changed
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message):
        FlatTask(huggingface_task(model=str(model)))


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    config = LANGUAGE_MODELS["llama"]()
    transformers.LlamaModel(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"does not hold the whole model: lm_head.weight missing"):
        FlatTask(huggingface_task(model=str(tmp_path), kind="causal_lm"))


def test_a_model_that_sees_later_tokens_is_no_language_model(tmp_path: Path) -> None:
    config = CLASSIFIERS["bert"]()
    with pytest.raises(ConfigError, match="looks at later tokens"):
        FlatTask(huggingface_task(model=folder_of(config, tmp_path), kind="causal_lm"))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tribute.tasks.huggingface.loading")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"the package transformers. Install it: pip install 'tribute\[hf\]'"):
        huggingface_task(model="anything")

"""Loads a model of transformers as the task needs it, or refuses it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tribute.errors import ConfigError
from tribute.files.hub import hub_commit
from tribute.ids import listed, short
from tribute.tasks.huggingface.classification import attention_mask
from tribute.tasks.huggingface.head import answer_questions
from tribute.tasks.huggingface.kernels import choose_by_mode
from tribute.tasks.huggingface.options import HuggingFace, library
from tribute.tasks.huggingface.precision import widen_trained

ARCHITECTURES = {
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "ForSequenceClassification": "sequence_classifier",
    "ForImageClassification": "image_classifier",
}
LOADERS = {
    "causal_lm": transformers.AutoModelForCausalLM,
    "sequence_classifier": transformers.AutoModelForSequenceClassification,
    "image_classifier": transformers.AutoModelForImageClassification,
}
WEIGHTS = ("*.safetensors", "*.bin")


def config_of(asked: HuggingFace) -> Any:
    """The model's config.

    Raises:
        ConfigError: it cannot be read, or the model is of a kind that is not supported.
    """
    folder = Path(asked.model)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ConfigError(
            f"task.options.model: {asked.model} holds an adapter. Name its base model there, and this folder as "
            "task.options.adapter"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(asked.model, revision=_commit(asked))
    except ConfigError:
        raise
    except Exception as error:  # whatever transformers raises: no folder, no network, an unknown architecture
        raise ConfigError(
            f"task.options.model {asked.model!r}: its config cannot be read ({type(error).__name__}: "
            f"{short(str(error), 200)}). Name a folder with config.json, or an id of the hub"
        ) from None
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(f"{asked.model} is an encoder and a decoder. Use a model that is one of both")
    if getattr(config, "quantization_config", None) is not None:
        raise ConfigError(
            f"The weights of {asked.model} are quantised, which have no derivatives. Use the unquantised model, "
            "or dequantise and save it first"
        )
    return config


def _commit(asked: HuggingFace) -> str:
    """The commit that is loaded, the same that the run id counts; without a meaning for a folder."""
    return "main" if Path(asked.model).is_dir() else hub_commit(asked.model, asked.revision)


def kind_of(asked: HuggingFace) -> str | None:
    """The kind of model that the config names; None if it names none."""
    names = config_of(asked).architectures or [""]
    return next((kind for ending, kind in ARCHITECTURES.items() if names[0].endswith(ending)), None)


def load(asked: HuggingFace) -> nn.Module:
    """The model with its adapter; marked are the parameters that train.

    Raises:
        ConfigError: it cannot be loaded or used; says why.
    """
    kind, dtype = asked.kind or "", getattr(torch, asked.dtype)
    model, missing = _loaded(asked, kind, dtype)
    if kind == "causal_lm" and _attention(model) == {False}:
        raise ConfigError(
            f"{asked.model} looks at later tokens, so it is no language model that predicts the next one. Set "
            "is_decoder to true in its config if it was trained as one, or use another model"
        )
    choose_by_mode(model)
    if kind == "sequence_classifier":
        _require_padding(model)
    if asked.adapter is not None:
        model = library("adapters").adapted(model, asked.adapter, kind)
    if asked.trainable is not None:
        _choose_trained(model, asked.trainable)
    _require_trained(model, missing)
    widen_trained(model, dtype)
    if kind == "causal_lm":
        answer_questions(model)
    if asked.gradient_checkpointing:
        library("recomputing").recompute_blocks(model)
    return model.train(asked.dropout)


def is_encoder(asked: HuggingFace) -> bool:
    """Whether the model's attention looks both ways."""
    with torch.device("meta"):
        model = LOADERS[asked.kind or ""].from_config(config_of(asked))
    return _is_encoder(model)


def _loaded(asked: HuggingFace, kind: str, dtype: torch.dtype) -> tuple[nn.Module, list[str]]:
    """The model, and the names of parameters that its checkpoint lacks, which are freshly drawn."""
    config, loader, folder = config_of(asked), LOADERS[kind], Path(asked.model)
    try:
        if folder.is_dir() and not any(True for each in WEIGHTS for _ in folder.glob(each)):
            return loader.from_config(config, dtype=dtype), []
        options = {"revision": _commit(asked), "dtype": dtype, "output_loading_info": True}
        with _without_progress_bars():
            model, found = loader.from_pretrained(asked.model, config=config, **options)
    except Exception as error:  # whatever transformers raises
        raise ConfigError(
            f"{asked.model} cannot be loaded as {kind}: {type(error).__name__}: {short(str(error), 300)}. Correct "
            "task.options.model or task.options.kind"
        ) from error
    missing, wrong = sorted(found["missing_keys"]), sorted(str(each) for each in found["mismatched_keys"])
    if wrong or (missing and kind == "causal_lm"):
        raise ConfigError(
            f"The checkpoint of {asked.model} does not hold the whole model: {listed(wrong or missing)} missing "
            "or of another shape. Use the whole checkpoint, with the config that belongs to it"
        )
    return model, missing


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """A model is loaded by every process that uses it, and its bars would lie over those of the run."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def _attention(model: nn.Module) -> set[bool]:
    """Whether layers of attention are causal, of those that say it."""
    return {bool(layer.is_causal) for layer in model.modules() if hasattr(layer, "is_causal")}


def _is_encoder(model: nn.Module) -> bool:
    return _attention(model) != {True}


def _require_padding(model: Any) -> None:
    """Check that a classifier of texts is given padding in the way that it understands."""
    config = model.config.get_text_config()
    if getattr(config, "problem_type", None) not in (None, "single_label_classification") or config.num_labels < 2:
        raise ConfigError(
            f"The model's config has {config.num_labels} labels and problem_type {config.problem_type!r}. Use a "
            "classifier of one label of several"
        )
    if not _is_encoder(model) and config.pad_token_id is None:
        raise ConfigError(
            "The model finds the end of a text by its padding token, but its config has none. Set pad_token_id in "
            "its config.json to a token that does not end texts"
        )
    if not _ignores_padding(model, config):
        raise ConfigError(
            f"The outputs of {type(model).__name__} change with padding at the right of a text, so it does not "
            "take a mask of four dimensions as transformers describes it. Use another model"
        )


def _ignores_padding(model: Any, config: Any) -> bool:
    """Whether a short text has the same logits with and without padding."""
    padding = config.pad_token_id or 0
    text = [token for token in range(4) if token != padding][:3]
    tokens_1W = torch.tensor([[*text, padding, padding]])
    given: dict[str, Tensor] = {}
    if _is_encoder(model):
        given["attention_mask"] = attention_mask(torch.arange(5)[None] < len(text), model.dtype)
    was_training = model.training
    with torch.no_grad():
        whole = model.eval()(input_ids=tokens_1W[:, : len(text)]).logits
        padded = model(input_ids=tokens_1W, **given).logits
    model.train(was_training)
    return torch.allclose(whole, padded, rtol=0.02, atol=0.02 * float(whole.abs().max()))


def _choose_trained(model: nn.Module, expression: str) -> None:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ConfigError(
            f"task.options.trainable {expression!r} is no regular expression: {error}. Correct it"
        ) from None
    named = dict(model.named_parameters())
    chosen = [name for name in named if pattern.search(name)]
    if not chosen:
        raise ConfigError(
            f"task.options.trainable {expression!r} matches no parameter. The model's parameters: {listed(named)}"
        )
    for name, value in named.items():
        value.requires_grad_(name in chosen)


def _require_trained(model: nn.Module, missing: list[str]) -> None:
    """Refuse parameters that are neither in the checkpoint nor trained: they would stay random."""
    frozen = [name for name, value in model.named_parameters() if not value.requires_grad]
    random = [name for name in missing if any(f".{each}".endswith(f".{name}") for each in frozen)]
    if random:
        raise ConfigError(
            f"The checkpoint lacks {listed(random)}, and they would not be trained, so they would stay random. "
            "Train them: name them in modules_to_save of task.options.adapter, or in task.options.trainable"
        )

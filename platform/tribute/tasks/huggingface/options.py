"""Options of the task `huggingface`, and the module that they describe."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from tribute.errors import ConfigError

KINDS = ("causal_lm", "sequence_classifier", "image_classifier")
DTYPES = ("float32", "bfloat16", "float64")
MEASURES = ("margin", "log_likelihood")
EXTRA = {"transformers", "peft", "accelerate", "tokenizers", "huggingface_hub"}
"""Packages of the extra `hf`."""


@dataclass(frozen=True)
class HuggingFace:
    """A model of transformers; `huggingface_task` makes the task of its kind.

    Args:
        model: a local folder, or an id of the hub. A folder with `config.json` alone gives a randomly initialised
            model.
        kind: causal_lm, sequence_classifier or image_classifier; None: what the model's config says.
        adapter: None; the settings of a new LoRA adapter, as those of `peft.LoraConfig`; or the folder of a saved
            adapter.
        trainable: a regular expression, searched in the names of parameters: those that train. None: the adapter's
            parameters if there is one, else all.
        dtype: of frozen parameters, and of what passes between layers: float32, bfloat16 or float64. Parameters
            that train are held, and their layers computed, in at least float32.
        dropout: whether training uses the dropout that the model's config sets. Dropout is never used to measure.
        measure: of classifiers, what is measured: margin (as `tribute.Classifier`) or log_likelihood.
        gradient_checkpointing: whether the activations of blocks are computed again in the backward pass, which
            saves memory; where derivatives by `torch.func` are needed (tangents, gradients by example), they are
            kept.
        revision: of a hub id: branch, tag or commit.

    Raises:
        ConfigError: an option is unknown or does not fit the kind.
    """

    model: str
    kind: str | None = None
    adapter: Mapping[str, Any] | str | None = None
    trainable: str | None = None
    dtype: str = "float32"
    dropout: bool = True
    measure: str | None = None
    gradient_checkpointing: bool = False
    revision: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("dtype", DTYPES), ("measure", MEASURES)):
            value = getattr(self, name)
            if value not in known and not (value is None and name != "dtype"):
                raise ConfigError(f"task.options.{name} is {value!r}. Set it to one of {', '.join(known)}")
        if not isinstance(self.model, str) or not self.model:
            raise ConfigError(f"task.options.model is {self.model!r}. Name a local folder or an id of the hub")
        if self.measure and self.kind == "causal_lm":
            raise ConfigError(
                "task.options.measure is for classifiers: a language model measures the log-likelihood of tokens. "
                "Remove it"
            )

    def build(self) -> nn.Module:
        """The model: pretrained, or freshly initialised; with its adapter.

        Raises:
            ConfigError: the extra `hf` is not installed, or the model cannot be loaded or used; says why.
        """
        module: nn.Module = library("loading").load(self)
        return module


def library(name: str) -> Any:
    """A module of this package that imports transformers.

    Raises:
        ConfigError: the extra `hf` is not installed.
    """
    try:
        return import_module(f"tribute.tasks.huggingface.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise ConfigError(
            f"Task huggingface needs the package {error.name}. Install it: pip install 'tribute[hf]'"
        ) from None

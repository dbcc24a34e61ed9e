"""PEFT adapters: new LoRA ones by their settings, saved ones by their folder."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
from torch import nn

from tribute.errors import ConfigError
from tribute.ids import listed, short

TASK_TYPES = {"causal_lm": "CAUSAL_LM", "sequence_classifier": "SEQ_CLS"}


def adapted(model: nn.Module, adapter: Mapping[str, Any] | str, kind: str) -> nn.Module:
    """The model with an adapter, whose parameters alone train.

    Raises:
        ConfigError: a setting of the adapter is wrong; the folder holds none; or it adds prompts to the inputs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by names that are going
            made = _saved(model, adapter) if isinstance(adapter, str) else _new(model, adapter, kind)
    except ConfigError:
        raise
    except Exception as error:  # whatever PEFT raises
        problem = f"{type(error).__name__}: {short(str(error), 300).rstrip('.')}"
        raise ConfigError(
            f"task.options.adapter cannot be used: {problem}. Give the settings of peft.LoraConfig, such as "
            "{r: 8, target_modules: [q_proj, v_proj]}, or the folder of a saved one"
        ) from error
    if made.active_peft_config.is_prompt_learning:
        raise ConfigError(
            "task.options.adapter adds prompts to the inputs, which shifts the positions of tokens. Use LoRA"
        )
    return made


def _new(model: nn.Module, settings: Mapping[str, Any], kind: str) -> Any:
    options: dict[str, Any] = {"task_type": TASK_TYPES.get(kind)}
    options |= {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    config = peft.LoraConfig(**options)
    return peft.get_peft_model(model, config)


def _saved(model: nn.Module, folder: str) -> Any:
    if not Path(folder, "adapter_config.json").is_file():
        raise ConfigError(
            f"task.options.adapter: {folder} holds no adapter_config.json. Name the folder to which PEFT saved "
            "the adapter"
        )
    made = peft.PeftModel.from_pretrained(model, folder, is_trainable=True)
    missing = peft.get_peft_model_state_dict(made).keys() - peft.load_peft_weights(folder, device="cpu").keys()
    if missing:
        raise ConfigError(
            f"task.options.adapter: {folder} lacks {listed(sorted(missing))}, which would stay random. Save the "
            "whole adapter again"
        )
    return made

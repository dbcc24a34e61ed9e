"""The commit of a model on the Hugging Face hub."""

import re
from importlib import import_module
from typing import Any

from tribute.errors import ConfigError

COMMIT = re.compile(r"[0-9a-f]{40}")
"""The full name of a commit."""


def hub_commit(model: str, revision: str | None) -> str:
    """The commit that a branch or tag of a model stands for: in the cache of this machine, else on the hub.

    Args:
        revision: a branch, a tag or a commit; None: main.

    Raises:
        ConfigError: the package `huggingface_hub` is missing, or the commit cannot be found.
    """
    asked = revision or "main"
    if COMMIT.fullmatch(asked):
        return asked
    try:
        hub: Any = import_module("huggingface_hub")  # a part of the extra `hf`
    except ModuleNotFoundError:
        raise ConfigError("Task huggingface needs more packages. Install: pip install 'tribute[hf]'") from None
    try:
        found = hub.try_to_load_from_cache(model, "config.json", revision=asked)
        if isinstance(found, str):
            commit = next((part for part in reversed(found.split("/")) if COMMIT.fullmatch(part)), None)
            if commit:
                return commit
        return str(hub.HfApi().model_info(model, revision=asked).sha)
    except Exception as error:  # whatever the hub's client raises: no folder, no network, no such model
        raise ConfigError(
            f"task.options.model {model!r}, revision {asked!r}: no folder of that name, and no commit on the hub "
            f"({type(error).__name__}). Give a local folder, correct the id, set revision to a commit of 40 "
            "digits, or download the model first"
        ) from None

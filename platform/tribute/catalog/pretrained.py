"""What determines a Hugging Face model besides the files of its folders: versions, and the commit of a hub id."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.files.hub import hub_commit

HUGGINGFACE = "huggingface"
"""Name of the task."""
LIBRARIES = ("transformers", "peft")
"""Libraries whose code is the model's."""


def pretrained_parts(task: TaskSettings) -> dict[str, str]:
    """Versions of the libraries, and the commit of a model that is named by its hub id.

    Raises:
        ConfigError: a library is missing; or the commit is unknown.
    """
    used = LIBRARIES if task.options.get("adapter") else LIBRARIES[:1]
    try:
        parts = {name: version(name) for name in used}
    except PackageNotFoundError as error:
        raise ConfigError(
            f"Task {HUGGINGFACE} needs the package {error.name}. Install it: pip install 'tribute[hf]'"
        ) from None
    model = task.options.get("model")
    if isinstance(model, str) and model and not Path(task.located(model)).exists():
        parts["model commit"] = hub_commit(model, task.options.get("revision"))
    return parts

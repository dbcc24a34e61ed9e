"""From the `task` section of `project.yaml` to a task: a built-in one, or a factory of the user's own."""

import importlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, cast

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.files import nearest_name
from tribute.files.local_modules import search_beside
from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import FlatTask
from tribute.tasks.huggingface import HuggingFace, huggingface_task
from tribute.tasks.task import Task

BUILT_IN: dict[str, Callable[..., Task]] = {
    "byte_lm": ByteLm,
    "classifier": Classifier,
    "huggingface": huggingface_task,
}
FOLDERS = ("model", "adapter")
"""Options of `huggingface` that may name folders beside `project.yaml`."""


def build_task(settings: TaskSettings | Task, precision: str = "float32") -> FlatTask:
    """Build the task that the `task` section of `project.yaml` names, or wrap a task object.

    Raises:
        ConfigError: the task or factory does not exist, or rejects the options.
    """
    if not isinstance(settings, TaskSettings):
        return FlatTask(settings, precision)
    search_beside(settings.folder)
    factory = BUILT_IN.get(settings.name) or _import_factory(settings.name)
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.options.items()}
    if factory is huggingface_task:
        named = {key: value for key in FOLDERS if isinstance(value := options.get(key), str)}
        options |= {key: settings.located(value) for key, value in named.items()}
    try:
        return FlatTask(cast(Task, factory(**options)), precision)
    except TypeError as error:
        made = HuggingFace if factory is huggingface_task else factory
        known = f" It takes: {', '.join(f.name for f in fields(made))}." if is_dataclass(made) else ""
        raise ConfigError(f"task.options do not fit task {settings.name!r}: {error}.{known}") from error
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ConfigError(
            f"Task {settings.name!r} cannot be built: {type(error).__name__}: {str(error)[:300]}. Correct the "
            "task, or task.options"
        ) from error


def _import_factory(name: str) -> Any:
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            f"Task {name!r} is unknown. Use a built-in task ({', '.join(BUILT_IN)}) or your own: "
            "package.module:factory"
        )
    if module_name == "__main__":
        raise ConfigError(
            f"Task {name!r} is of a notebook or a program, which workers cannot import. Write it to a file beside "
            f"project.yaml, such as mytask.py, and name it mytask:{attribute}; or give the class to tribute.Study"
        )
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        problem = f"{type(error).__name__}: {str(error)[:300]}"
        raise ConfigError(f"Task {name!r} cannot be imported ({problem}). {_import_remedy(error)}") from error
    if not hasattr(module, attribute):
        file = f" The module is {module.__file__}" if getattr(module, "__file__", None) else ""
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
        raise ConfigError(f"Task {name!r}: {module_name} has no {attribute}. {nearest_name(attribute, own)}{file}")
    return getattr(module, attribute)


def _import_remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "Install its package, or put its file beside project.yaml"
    if isinstance(error, SystemExit):
        return 'A module of a task only defines: put what runs as a program under `if __name__ == "__main__":`'
    return "Correct the module"

"""The identity of a study: its task, examples and training."""

import hashlib
import inspect
from typing import Any

import numpy as np

from tribute.catalog.runs import adopted_files
from tribute.catalog.task_code import task_code
from tribute.files.digests import file_sha256
from tribute.study.runs import digest
from tribute.tasks import Task
from tribute.training import Recipe


def study_id(recipe: Recipe) -> str:
    """Name of a study's folder. The same task, examples and training give the same name.

    The number of replicates does not count; the seed does for recordings, since it says whose each seed is.
    """
    data, task = recipe.data, recipe.task
    columns = [
        [name, str(values.dtype), values.shape, _sha256(np.asarray(values).tobytes())]
        for name, values in sorted(data.columns.items())
    ]
    sources = [
        [source_id, int(count)] for source_id, count in zip(data.source_ids, data.counts.tolist(), strict=True)
    ]
    model = [list(task.shapes), task.size, _sha256(task.initial(0).numpy().tobytes())]
    model += [task.frozen_sha256] if task.frozen_sha256 else []
    seed = recipe.training.seed if recipe.training.recordings else 0
    training = recipe.training.model_copy(
        update={"replicates": 1, "seed": seed, "recordings": (), "checkpoint": None}
    )
    adopted = [file_sha256(path) for _, path in adopted_files(recipe.training)]
    return f"study-{digest(sources, columns, model, _code(task.task), training.fingerprint(), adopted)}"


def _code(task: Task) -> list[object]:
    """The class of a task, its code, and its fields.

    Of a module with a file, all of it counts, and the user's own modules that it imports. Of a notebook or script,
    the source text of the class counts, and of the functions and classes beside it that it uses.
    """
    kind = type(task)
    code: object = task_code(kind.__module__) or sorted(_used(kind, {}).values())
    fields = repr(sorted(vars(task).items())) if hasattr(task, "__dict__") else ""
    return [kind.__qualname__, code, fields]


def _used(thing: Any, found: dict[str, str]) -> dict[str, str]:
    """Source texts of a class or function and of what it names in its own module, by qualified name."""
    if thing.__qualname__ in found:
        return found
    try:
        found[thing.__qualname__] = inspect.getsource(thing)
    except (OSError, TypeError):
        found[thing.__qualname__] = ""
    functions = (
        [each for each in vars(thing).values() if inspect.isfunction(each)] if inspect.isclass(thing) else []
    )
    for function in functions or [thing]:
        for name in getattr(getattr(function, "__code__", None), "co_names", ()):
            other = function.__globals__.get(name)
            if getattr(other, "__module__", None) == thing.__module__ and hasattr(other, "__qualname__"):
                _used(other, found)
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

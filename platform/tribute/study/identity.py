"""The identity of a study: its task, examples and training."""

import hashlib
import inspect
from pathlib import Path

from tribute.study.runs import digest
from tribute.tasks import Task
from tribute.training import Recipe


def study_id(recipe: Recipe) -> str:
    """Name of a study's folder. The same task, examples and training give the same name.

    The number of replicates does not count. Nor do functions outside the class of the task that it calls.
    """
    data, task = recipe.data, recipe.task
    columns = [
        [name, str(values.dtype), values.shape, _sha256(values.tobytes())]
        for name, values in sorted(data.columns.items())
    ]
    sources = [
        [source_id, int(count)] for source_id, count in zip(data.source_ids, data.counts.tolist(), strict=True)
    ]
    model = [list(task.shapes), task.size, _sha256(task.initial(0).numpy().tobytes())]
    model += [task.frozen_sha256] if task.frozen_sha256 else []
    training = recipe.training.model_copy(
        update={"replicates": 1, "seed": 0, "recordings": (), "checkpoint": None}
    )
    adopted = [_sha256(path.read_bytes()) for path in _adopted_files(recipe)]
    return f"study-{digest(sources, columns, model, _code(task.task), training.fingerprint(), adopted)}"


def _adopted_files(recipe: Recipe) -> list[Path]:
    recorded = [
        folder / name for folder in recipe.training.recordings for name in ("recording.json", "steps.jsonl")
    ]
    return recorded + ([recipe.training.checkpoint] if recipe.training.checkpoint else [])


def _code(task: Task) -> list[str]:
    """The class of a task, its source text where that can be read, and its fields."""
    kind = type(task)
    try:
        text = inspect.getsource(kind)
    except (OSError, TypeError):
        text = ""
    fields = repr(sorted(vars(task).items())) if hasattr(task, "__dict__") else ""
    return [kind.__qualname__, text, fields]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

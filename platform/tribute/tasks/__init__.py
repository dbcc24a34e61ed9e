"""Tasks: the model, its training loss and its measurement; the `Task` contract and the built-in tasks."""

from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import FlatTask, Losses, build_task, kept_bytes
from tribute.tasks.hidden import ForwardPass, forward_pass, loss_pass
from tribute.tasks.scope import Scope, ScopedTask
from tribute.tasks.task import Batch, Model, Task

__all__ = [
    "Batch",
    "ByteLm",
    "Classifier",
    "FlatTask",
    "ForwardPass",
    "Losses",
    "Model",
    "Scope",
    "ScopedTask",
    "Task",
    "build_task",
    "forward_pass",
    "kept_bytes",
    "loss_pass",
]

"""What is trained and what is measured: the `Task` contract and the built-in tasks."""

from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import FlatTask, Losses, Scope, ScopedTask, build_task
from tribute.tasks.hidden import Seen, forward_pass, loss_pass
from tribute.tasks.memory import kept_bytes
from tribute.tasks.task import Batch, Model, Task

__all__ = [
    "Batch",
    "ByteLm",
    "Classifier",
    "FlatTask",
    "Losses",
    "Model",
    "Scope",
    "ScopedTask",
    "Seen",
    "Task",
    "build_task",
    "forward_pass",
    "kept_bytes",
    "loss_pass",
]

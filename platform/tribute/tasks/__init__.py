"""Tasks: the model, its training loss and its measurement; the `Task` contract and the built-in tasks."""

from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import BUILT_IN, FlatTask, Losses, build_task, kept_bytes
from tribute.tasks.frozen import FROZEN_SEED, Frozen, frozen_state, plain_tensors, under_seed
from tribute.tasks.hidden import ForwardPass, WatchedModel
from tribute.tasks.parameters import beside, combined, joined, square, total
from tribute.tasks.scope import Scope, ScopedTask
from tribute.tasks.task import Batch, Model, Parameters, Task
from tribute.tasks.tokens import has_tokens, token_measurements
from tribute.tasks.transforms import batched, forward_mode, seeded

__all__ = [
    "BUILT_IN",
    "FROZEN_SEED",
    "Batch",
    "ByteLm",
    "Classifier",
    "FlatTask",
    "ForwardPass",
    "Frozen",
    "Losses",
    "Model",
    "Parameters",
    "Scope",
    "ScopedTask",
    "Task",
    "WatchedModel",
    "batched",
    "beside",
    "build_task",
    "combined",
    "forward_mode",
    "frozen_state",
    "has_tokens",
    "joined",
    "kept_bytes",
    "plain_tensors",
    "seeded",
    "square",
    "token_measurements",
    "total",
    "under_seed",
]

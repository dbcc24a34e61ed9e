"""Tasks: the model, its training loss and its measurement; the `Task` contract and the built-in tasks."""

from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import BUILT_IN, FlatTask, Losses, build_task, kept_bytes
from tribute.tasks.frozen import FROZEN_SEED, Frozen, frozen_state, plain_tensors, under_seed
from tribute.tasks.hidden import ForwardPass, WatchedModel
from tribute.tasks.huggingface import HuggingFace, huggingface_task
from tribute.tasks.modes import in_forward_mode, only_values_are_read
from tribute.tasks.scope import Scope, ScopedTask
from tribute.tasks.task import Batch, Model, Task
from tribute.tasks.tokens import has_tokens, token_measurements
from tribute.tasks.transforms import batched, forward_mode

__all__ = [
    "BUILT_IN",
    "FROZEN_SEED",
    "Batch",
    "ByteLm",
    "Classifier",
    "FlatTask",
    "ForwardPass",
    "Frozen",
    "HuggingFace",
    "Losses",
    "Model",
    "Scope",
    "ScopedTask",
    "Task",
    "WatchedModel",
    "batched",
    "build_task",
    "forward_mode",
    "frozen_state",
    "has_tokens",
    "huggingface_task",
    "in_forward_mode",
    "kept_bytes",
    "only_values_are_read",
    "plain_tensors",
    "token_measurements",
    "under_seed",
]

"""Tasks: the model, its training loss and its measurement; the `Task` contract and the built-in tasks."""

from tribute.tasks.building import BUILT_IN, build_task
from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.flat import FlatTask
from tribute.tasks.frozen import FROZEN_SEED, Frozen, frozen_state, plain_tensors, under_seed
from tribute.tasks.hidden import ForwardPass, WatchedModel
from tribute.tasks.huggingface import HuggingFace, huggingface_task
from tribute.tasks.modes import in_forward_mode, only_values_are_read
from tribute.tasks.parameters import beside, combined, joined, square, total
from tribute.tasks.scope import Scope, ScopedTask
from tribute.tasks.task import Batch, Losses, Model, Parameters, Task
from tribute.tasks.tokens import has_tokens, measure_tokens, token_measurements
from tribute.tasks.transforms import batched, forward_mode, gradient_at, kept_bytes, one_by_one, seeded

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
    "gradient_at",
    "has_tokens",
    "huggingface_task",
    "in_forward_mode",
    "joined",
    "kept_bytes",
    "measure_tokens",
    "one_by_one",
    "only_values_are_read",
    "plain_tensors",
    "seeded",
    "square",
    "token_measurements",
    "total",
    "under_seed",
]

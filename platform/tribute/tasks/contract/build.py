"""Whether a task builds, and builds the same model in every call and every process."""

import hashlib
import pickle
import subprocess
import sys

import cloudpickle
import torch
from torch import nn

from tribute.errors import ConfigError
from tribute.ids import SHOWN, listed
from tribute.tasks.contract.function import SEED, owner
from tribute.tasks.frozen import under_seed
from tribute.tasks.module import built
from tribute.tasks.task import Task

OTHER_SEED = 1
PATIENCE_S = 120
PROGRAM = """
import pickle, sys
path, content = pickle.load(sys.stdin.buffer)
sys.path[:] = path
import torch
torch.set_num_threads(1)
from tribute.tasks.contract.build import model_digest
sys.stdout.write("digest " + model_digest(pickle.loads(content)))
"""


def built_twice(task: Task) -> list[str]:
    """What differs between two models that the task builds under one seed of torch."""
    with under_seed(SEED):
        one = built(task)
    with under_seed(SEED, OTHER_SEED):
        other = built(task)
    return _differing(one, other)


def _differing(one: nn.Module, other: nn.Module) -> list[str]:
    first, second = _state(one), _state(other)
    if first.keys() != second.keys():
        changed = listed(sorted(first.keys() ^ second.keys()), characters=SHOWN)
        return [f"two calls of build give models of other parameters: {changed}. Build one architecture"]
    unequal = [name for name in first if not _same(first[name], second[name])]
    if not unequal:
        return []
    return [
        f"build gives other values in every call, though torch's seed is the same: {owner(one, unequal[0])}"
        + (f" and {len(unequal) - 1} more" if len(unequal) > 1 else "")
        + ". Draw them by torch's global generator (torch.randn), not by NumPy, random or a generator of your own "
        "that goes on, or load them from a file"
    ]


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in [*module.named_parameters(), *module.named_buffers()]}


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return (
        one.shape == other.shape and one.dtype == other.dtype and bool(torch.allclose(one, other, equal_nan=True))
    )


def model_digest(task: Task) -> str:
    """SHA-256 of the names, shapes and values of the model that the task builds under a fixed seed."""
    with under_seed(SEED):
        state = _state(built(task))
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class OtherProcess:
    """A process of its own that builds the task's model, with another hash seed; started at once, read later."""

    def __init__(self, task: Task) -> None:
        try:
            content = cloudpickle.dumps(task)
        except Exception as error:
            raise ConfigError(
                f"the task cannot be sent to another process ({error}). Keep open files, locks and modules out of "
                "its fields"
            ) from None
        self._task = task
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps((sys.path, content)))
        self._process.stdin.close()
        self._process.stdin = None

    def differing(self) -> list[str]:
        """What differs between the model of that process and that of this one."""
        output, errors = self._process.communicate(timeout=PATIENCE_S)
        _, found, digest = output.decode().rpartition("digest ")
        if not found:
            lines = errors.decode(errors="replace").strip().splitlines() or ["no output"]
            return [
                f"the task cannot be built in another process: {lines[-1][:200]}. Its module must be "
                "importable there"
            ]
        if digest == model_digest(self._task):
            return []
        return [
            "build gives another model in another process, though torch's seed is the same. Do not build from the "
            "order of a set, hash(), the time or a process's number; sort, or load from a file"
        ]

"""A model as stored by its user: matched to a task by name, shape and type, or refused by name.

Legend: P parameters.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.tasks import FROZEN_SEED, FlatTask, Frozen, Task, build_task, frozen_state, plain_tensors, under_seed
from tribute.tasks.module import built
from tribute.training.recording import FROZEN

SHOWN = 5
"""Names listed in a message."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types of unquantised weights."""


def build_model(task: TaskSettings | Task, training: TrainingSettings, precision: str = "float32") -> FlatTask:
    """The task with the frozen parameters and buffers of the training's checkpoint or recordings.

    Without either, they are as `Task.build` gives them under a fixed seed.

    Raises:
        ConfigError: as `build_task`; the checkpoint does not fit the task; or the recordings differ in what is
            frozen.
    """
    flat = build_task(task, precision)
    if training.checkpoint is not None:
        return flat.with_frozen(StoredModel.read(training.checkpoint, flat).frozen)
    found = [folder for folder in training.recordings if (folder / FROZEN).is_file()]
    recorded = [StoredModel.recorded(folder, flat).frozen for folder in found]
    for folder, frozen in zip(found, recorded, strict=True):
        differing = [name for name, value in frozen.items() if not _same(value, recorded[0][name])]
        if differing:
            raise ConfigError(
                f"{found[0]} and {folder} were recorded with different frozen parameters or buffers: "
                f"{_listed(differing)}. Record all replicates with the same ones"
            )
    return flat.with_frozen(recorded[0]) if recorded else flat


@dataclass(frozen=True)
class StoredModel:
    """Named tensors from a file, and the task that they must fit.

    A tensor of the task may be stored under any of the names that share it.
    """

    title: str
    named: Mapping[str, Tensor]
    task: FlatTask

    @classmethod
    def read(cls, path: Path, task: FlatTask) -> "StoredModel":
        """Read a checkpoint and check that it holds the task's whole model and nothing else.

        Raises:
            ConfigError: it cannot be read; or names, shapes, types or values do not fit; names them.
        """
        title = f"training.checkpoint {path}"
        stored = cls(title, _read(title, path), task)
        known = {alias for names in stored._aliases.values() for alias in names}
        missing = [name for name in stored._aliases if not stored._stored(name)]
        stored._check_names(
            known, [name for name in missing if name not in known - task.module.state_dict().keys()]
        )
        stored._check_drawn()
        for name, value in stored._expected().items():
            stored._value(name, value)
        return stored

    @classmethod
    def recorded(cls, folder: Path, task: FlatTask) -> "StoredModel":
        """Read the frozen parameters and buffers of a recorded training; raises like `read`."""
        title = f"The model recorded in {folder}"
        stored = cls(title, _read(title, folder / FROZEN), task)
        stored._check_names(set(task.frozen), [name for name in task.frozen if name not in stored.named])
        return stored

    @cached_property
    def theta_P(self) -> Tensor:
        """The trainable parameters, [P]."""
        expected = self._expected()
        return self.task.flatten({name: self._value(name, expected[name]) for name in self.task.shapes})

    def _expected(self) -> dict[str, Tensor]:
        """A tensor of the right type and shape for everything that is stored."""
        shapes, dtype = self.task.shapes, self.task.dtype
        trained = {name: torch.empty(shape, dtype=dtype, device="meta") for name, shape in shapes.items()}
        return trained | {name: value for name, value in self.task.frozen.items() if self._stored(name)}

    @cached_property
    def frozen(self) -> Frozen:
        """Frozen parameters and buffers; those that are not stored are as built."""
        built = self.task.frozen
        return {name: self._value(name, value) if self._stored(name) else value for name, value in built.items()}

    @cached_property
    def _aliases(self) -> dict[str, list[str]]:
        """The names of each tensor of the task, by the first of them."""
        module, names = self.task.module, defaultdict[int, list[str]](list)
        shared = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        for name, value in shared:
            names[id(value)].append(name)
        return {found[0]: found for found in names.values()}

    def _stored(self, name: str) -> list[str]:
        return [alias for alias in self._aliases[name] if alias in self.named]

    def _check_names(self, known: set[str], missing: list[str]) -> None:
        unknown = [name for name in self.named if name not in known]
        if unknown or missing:
            raise ConfigError(f"{self.title} {_differences(set(self.named), known, unknown, missing)}")

    def _check_drawn(self) -> None:
        drawn = [name for name in _drawn(self.task) if name not in self.named]
        if drawn:
            raise ConfigError(
                f"{self.title} lacks {_listed(drawn)}, which Task.build draws at random and keeps out of the "
                "state_dict. Register it as a persistent buffer (register_buffer), and store the model again"
            )

    def _value(self, name: str, built: Tensor) -> Tensor:
        """The stored value in the type of the task; refuses what would change it."""
        found = self._stored(name)
        first = self.named[found[0]]
        for alias in found[1:]:
            if not _same(self.named[alias], first):
                raise ConfigError(
                    f"{self.title}: {found[0]} and {alias} are one tensor in the task, but differ here. Store "
                    "the model that was trained, or untie them in the task"
                )
        if first.is_floating_point() != built.is_floating_point() or (
            built.is_floating_point() and first.dtype not in FLOATS
        ):
            raise ConfigError(
                f"{self.title}: {found[0]} is {_kind(first)}, but the task has {_kind(built)}. Integers and "
                "quantised weights mean nothing without their scale: store the model in floating point"
            )
        if first.shape != built.shape:
            raise ConfigError(
                f"{self.title}: {found[0]} has shape {tuple(first.shape)}, but the task's has "
                f"{tuple(built.shape)}. Set task.options to those of the stored model"
            )
        value = first.to(built.dtype)
        self._check_values(found[0], first, value, trained=name in self.task.shapes)
        return value

    def _check_values(self, name: str, stored: Tensor, value: Tensor, *, trained: bool) -> None:
        if not value.is_floating_point():
            if not torch.equal(value.to(stored.dtype), stored):
                raise ConfigError(f"{self.title}: {name} does not fit {value.dtype}. Store it as {value.dtype}")
            return
        wrong = ~torch.isfinite(value) if trained else torch.isnan(value)
        if wrong.any():
            raise ConfigError(
                f"{self.title}: {int(wrong.sum())} of {value.numel()} values of {name} are NaN or infinite. The "
                "training that stored it diverged: store an earlier state"
            )


def _read(title: str, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:
        raise ConfigError(
            f"{title} cannot be read as safetensors: {error}. Store the state_dict of the whole model in one "
            "file, with safetensors.torch.save_file"
        ) from None


def _differences(stored: set[str], known: set[str], unknown: list[str], missing: list[str]) -> str:
    """What is wrong with the names of a file."""
    extra = _prefix(stored, known)
    if extra is not None:
        return (
            f"stores every parameter under the prefix {extra!r}, which the task's names lack. Store it without, "
            f"as {{name.removeprefix({extra!r}): value for name, value in state_dict.items()}}"
        )
    lacking = _prefix(known, stored)
    if lacking is not None:
        return (
            f"stores every parameter without the prefix {lacking!r}, which all of the task's names have. Return "
            "the inner module from Task.build"
        )
    parts = [f"has {len(unknown)} that the task lacks: {_listed(unknown)}"] if unknown else []
    parts += [f"lacks {len(missing)} that the task has: {_listed(missing)}"] if missing else []
    return (
        f"does not fit the task. Of parameters and buffers, it {' and '.join(parts)}. Set task.options to those "
        "of the stored model, and store its whole state_dict"
    )


def _prefix(longer: set[str], shorter: set[str]) -> str | None:
    """A prefix of all longer names without which at least one of them is a shorter one."""
    for name in sorted(longer):
        for other in shorter:
            if name != other and name.endswith(f".{other}"):
                prefix = name.removesuffix(other)
                if all(each.startswith(prefix) for each in longer):
                    return prefix
    return None


def _drawn(task: FlatTask) -> list[str]:
    """Tensors outside the `state_dict` that another seed changes."""
    here = _temporary(task.module, task.frozen)
    if not here:
        return []
    with under_seed(FROZEN_SEED + 1):
        module = built(task.task)
        other = _temporary(module, frozen_state(module))
    return [name for name, value in here.items() if name not in other or not _same(value, other[name])]


def _temporary(module: nn.Module, frozen: Frozen) -> dict[str, Tensor]:
    """Buffers that are not persistent, and tensors that are plain attributes of a layer."""
    stored = module.state_dict().keys()
    unstored = {name: value for name, value in frozen.items() if name not in stored}
    return unstored | plain_tensors(module)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other.to(one.dtype))


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

"""The scope of a simulation: the parameters that respond, chosen by name.

Legend: P parameters of the task, p of the scope, B examples, Q query rows.
"""

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.ids import listed
from tribute.tasks.flat import FlatTask
from tribute.tasks.parameters import joined
from tribute.tasks.task import Batch, Parameters

MAX_NAME = 120
"""Characters shown of a parameter's name."""


class ScopedTask:
    """A task as a function of the parameters in a scope; the others are fixed at `rest_P`.

    Under vmap over the scope's parameters, activations of the frozen trunk are computed once for all trajectories.
    """

    def __init__(self, task: FlatTask, names: tuple[str, ...], rest: Parameters) -> None:
        self._task, self._names = task, names
        self._rest = {name: value for name, value in rest.items() if name not in names}

    def losses(self, theta_p: Tensor, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        return self.losses_at(self._pieces(theta_p), batch)

    def losses_at(self, theta: Parameters, batch: Batch) -> Tensor:
        """`losses` at named parameters of the scope."""
        return self._task.losses_at({**self._rest, **theta}, batch)

    def measure(self, theta_p: Tensor, queries: Batch) -> Tensor:
        """Measurement of each query row, [Q], nats."""
        return self._task.measure_at(self._rest | self._pieces(theta_p), queries)

    @property
    def autocasts(self) -> bool:
        """See `Losses`."""
        return self._task.autocasts

    def gradients_at(self, theta: Parameters, batch: Batch, weights_KB: Tensor, seed: int) -> Parameters | None:
        """See `Losses`; the parameters outside the scope are those of all trajectories."""
        return self._task.together(self._names).gradient(theta, self._rest, batch, weights_KB, seed)

    def outputs_at(self, theta: Parameters, batch: Batch) -> Tensor:
        """Outputs of the model inside the training loss; raises what `FlatTask.outputs_at` raises."""
        return self._task.outputs_at({**self._rest, **theta}, batch)

    def losses_of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Training losses, [B], as a function of the model's outputs."""
        return self._task.losses_of_outputs(outputs, batch)

    def _pieces(self, theta_p: Tensor) -> dict[str, Tensor]:
        shapes = [self._task.shapes[name] for name in self._names]
        parts = theta_p.split([math.prod(shape) for shape in shapes])
        return {name: self._task.piece(name, p) for name, p in zip(self._names, parts, strict=True)}


class Scope:
    """The parameters that respond in a simulation."""

    def __init__(self, task: FlatTask, scope: str) -> None:
        self.task, self.names, self._asked = task, scoped_names(list(task.shapes), scope), scope
        self.size = sum(math.prod(task.shapes[name]) for name in self.names)

    @property
    def whole(self) -> bool:
        """Whether all parameters are in the scope."""
        return len(self.names) == len(self.task.shapes)

    @property
    def complete(self) -> bool:
        """Whether all parameters of the model are in the scope, frozen ones included."""
        return self.coverage == ""

    @property
    def coverage(self) -> str:
        """How many of the model's parameters are in the scope, and which; empty if all are."""
        frozen = sum(each.numel() for each in self.task.module.parameters() if not each.requires_grad)
        total = self.task.size + frozen
        if self.size == total:
            return ""
        return (
            f"scope {self._asked}: {self.size:,} of {total:,} parameters ({100 * self.size / total:.2g}%) respond "
            f"to a source, the others stay as they are. In the scope: "
            f"{listed(folded_names(self.names), characters=MAX_NAME)}"
        )

    def widened(self) -> "Scope":
        """The scope of all parameters of the task."""
        return Scope(self.task, "all")

    def of(self, theta: Tensor) -> Tensor:
        """Select the scope's entries, [..., P] to [..., p]."""
        if self.whole:
            return theta
        parts = theta.split([math.prod(shape) for shape in self.task.shapes.values()], dim=-1)
        return torch.cat([p for p, name in zip(parts, self.task.shapes, strict=True) if name in self.names], -1)

    def part(self, theta: Parameters) -> dict[str, Tensor]:
        """Select the scope's parameters by name."""
        return {name: theta[name] for name in self.names}

    def flatten(self, theta: Parameters) -> Tensor:
        """The scope's parameters in one vector, [p], in the order of the model."""
        return joined(self.part(theta))

    def pieces(self, values: Tensor) -> dict[str, Tensor]:
        """Named parameters of the scope, as views, [..., p] to [..., *shape] each."""
        shapes = {name: self.task.shapes[name] for name in self.names}
        parts = values.split([math.prod(shape) for shape in shapes.values()], dim=-1)
        return {name: self.task.piece(name, part) for name, part in zip(shapes, parts, strict=True)}

    def lift(self, values: Tensor) -> Tensor:
        """Inverse of `of`, with 0 outside the scope, [..., p] to [..., P]."""
        if self.whole:
            return values
        parts = iter(values.split([math.prod(self.task.shapes[name]) for name in self.names], dim=-1))
        sizes = {name: math.prod(shape) for name, shape in self.task.shapes.items()}
        pieces = [
            next(parts) if name in self.names else values.new_zeros(*values.shape[:-1], size)
            for name, size in sizes.items()
        ]
        return torch.cat(pieces, -1)

    def task_at(self, theta: Parameters) -> FlatTask | ScopedTask:
        """The task as a function of the scope's parameters; the others are fixed at theta."""
        return self.task if self.whole else ScopedTask(self.task, self.names, theta)


def folded_names(names: Sequence[str]) -> list[str]:
    """Names; those that differ only by the number of their block are one, such as `layers.0..11.weight`."""
    blocks: dict[str, list[int]] = {}
    for name in names:
        number = re.search(r"(?<![^.])\d+(?![^.])", name)
        pattern = name if number is None else f"{name[: number.start()]}{{}}{name[number.end() :]}"
        blocks.setdefault(pattern, []).extend([] if number is None else [int(number[0])])
    return [pattern.replace("{}", _numbers(found)) for pattern, found in blocks.items()]


def _numbers(found: list[int]) -> str:
    """Numbers as a range where they are one."""
    if len(found) > 1 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]}..{found[-1]}"
    return ",".join(str(number) for number in found)


def scoped_names(names: Sequence[str], scope: str) -> tuple[str, ...]:
    """Names of the parameters in `scope`, in the order of the model.

    - `all`: every trainable parameter
    - `last_block`: the last numbered block and everything that the model registers after it
    - `head`: the last module that holds parameters itself
    - `lora`: adapters, whose names contain `lora_`
    - anything else: a regular expression, searched in the names

    Raises:
        ConfigError: no parameter matches, or the expression is invalid; lists the names.
    """
    if scope == "all":
        return tuple(names)
    if scope == "last_block":
        chosen = _last_block(names)
    elif scope == "head":
        chosen = [name for name in names if name.rpartition(".")[0] == names[-1].rpartition(".")[0]]
    else:
        chosen = _matching(names, "lora_" if scope == "lora" else scope)
    if not chosen:
        raise ConfigError(
            f"simulation.scope {scope!r} matches no parameter of this model. Its parameters: "
            f"{', '.join(names[:20])}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        )
    return tuple(chosen)


def _last_block(names: Sequence[str]) -> list[str]:
    numbered = [re.match(r"(?:.*?\.)?\d+\.", name) for name in names]
    last = next((match[0] for match in reversed(numbered) if match), None)
    first = next((i for i, match in enumerate(numbered) if match and match[0] == last), len(names))
    return list(names[first:])


def _matching(names: Sequence[str], expression: str) -> list[str]:
    try:
        return [name for name in names if re.search(expression, name)]
    except re.error as error:
        raise ConfigError(
            f"simulation.scope {expression!r} is not a valid regular expression: {error}. Correct it, or use all, "
            "last_block, head or lora"
        ) from None

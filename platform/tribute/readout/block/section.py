"""A model in three parts: the trunk before the scope, the section with the scope, and the head behind it.

Legend: B rows, C sets of the scope's parameters, h hidden states that enter the head, [B, ...].
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from tribute.readout.block.tap import LargestOutput, Outputs, Reached, Tape
from tribute.tasks import Batch, FlatTask, Model
from tribute.tasks.folded import FoldedModule
from tribute.tasks.module import copied

FOLDED_NUMBERS = 2**16
"""Largest size of hidden states of which several pass the head at once: more gain nothing."""
Pieces = Mapping[str, Tensor]
Measure = Callable[[Model, Batch], Tensor]
"""A measurement by a model, [B] or [B, T]."""


class DivisionPlaces(NamedTuple):
    """Where a model is divided, by names of modules.

    ``trunk``: modules that end before the scope begins. ``before``: those that end before `join` begins, whose
    output is h. ``fork``: from where on parameter sets have rows of their own; None: they run one by one.
    ``head_folds``: whether the head measures several h in one pass.
    """

    trunk: tuple[str, ...]
    before: tuple[str, ...]
    join: str
    fork: str | None = None
    head_folds: bool = False


class RecordedPass(NamedTuple):
    """A pass of the unperturbed model on some rows, from which the parts of the model continue.

    ``value``: measurements [B] or [B, T]. ``slope``: the gradient of their sum by h. ``outputs``: what the trunk
    returned. ``by_logits``: the gradient by the largest tensor that the model returned, if it was asked for.
    """

    value: Tensor
    hidden: Tensor
    slope: Tensor
    batch: Batch
    measure: Measure
    outputs: Outputs
    by_logits: Tensor | None

    @property
    def bytes(self) -> int:
        """What it keeps in memory, without `by_logits`."""
        held = [self.value, self.hidden, self.slope, *tree_leaves(dict(self.outputs))]
        return sum(leaf.numel() * leaf.element_size() for leaf in held if isinstance(leaf, Tensor))

    def along(self, change: Tensor) -> Tensor:
        """Derivatives of the measurements along changes of h, [C, B, ...]: [C, B] or [C, B, T] as `value`."""
        product = self.slope * change
        kept = 1 + self.value.dim()
        return product.flatten(kept).sum(-1) if product.dim() > kept else product


class ScopeSection:
    """Runs the parts of a model that measures one by one. Not for several threads at once.

    `record` runs all of it on some rows. The other methods run a part of it on the rows of such a pass.
    """

    def __init__(self, task: FlatTask, names: tuple[str, ...], rest: Pieces, places: DivisionPlaces) -> None:
        self._task, self._rest, self.places, self._tape = task.evaluated, dict(rest), places, Tape()
        self._whole = copied(self._task.module)
        self._tape.record(self._whole, sorted({*places.trunk, *places.before}))
        self._whole.get_submodule(places.join).register_forward_hook(self._divide)
        self._section = copied(self._task.module)
        self._tape.play(self._section, places.trunk)
        self._section.get_submodule(places.join).register_forward_hook(_reach)
        self._head, self._given = copied(self._task.module), torch.empty(0)
        self._tape.play(self._head, places.before)
        self._head.get_submodule(places.join).forward = lambda *_, **__: self._given
        self._folded = None if places.fork is None else self._fold(names, places.fork)

    @property
    def folds(self) -> bool:
        """Whether several sets of parameters share a pass."""
        return self._folded is not None

    def record(self, own: Pieces, batch: Batch, measure: Measure, *, by_logits: bool = False) -> RecordedPass:
        """Run the whole model, and the head backward."""
        model, outputs = LargestOutput(self._model(self._whole, own)), self._tape.begin()
        with torch.enable_grad():
            value = measure(model, batch)
            with_logits = by_logits and model.largest.requires_grad  # a model may return its inputs, too
            wanted = [self._given, model.largest] if with_logits else [self._given]
            slope, *further = torch.autograd.grad(value.sum(), wanted, allow_unused=with_logits)
        hidden, self._given = self._given.detach(), torch.empty(0)
        return RecordedPass(
            value.detach(), hidden, slope, batch, measure, outputs, further[0] if further else None
        )

    def hidden(self, own: Pieces, recorded: RecordedPass) -> Tensor:
        """h at other parameters of the scope; may be differentiated, and mapped over parameters."""
        return self._reached(self._model(self._section, own), recorded, recorded.batch)

    def hidden_of_each(self, own: Pieces, passes: Sequence[RecordedPass]) -> Iterator[Tensor]:
        """h at C sets of parameters, [C, B, ...], of every pass."""
        count = len(next(iter(own.values())))
        if self._folded is None or count == 1:
            each = [{name: value[row] for name, value in own.items()} for row in range(count)]
            yield from (torch.stack([self.hidden(one, recorded) for one in each]) for recorded in passes)
            return
        values = self._task.values({**self._rest, **own})
        self._folded.place({n: values[n] for n in own}, {n: v for n, v in values.items() if n not in own})
        for recorded in passes:
            reached = self._reached(self._folded, recorded, repeated(recorded.batch, count))
            yield reached.unflatten(0, (count, -1))

    def gradient(self, recorded: RecordedPass, own: Pieces) -> list[Tensor]:
        """Gradient of the summed measurements by each parameter of the scope: only the section runs backward."""
        with torch.enable_grad():
            leaves = {name: value.detach().requires_grad_() for name, value in own.items()}
            hidden = self.hidden(leaves, recorded)
        return [*torch.autograd.grad(hidden, [*leaves.values()], recorded.slope, materialize_grads=True)]

    def measured(self, hidden: Tensor, own: Pieces, recorded: RecordedPass, count: int = 1) -> Tensor:
        """The head alone: measurements as a function of h, whose rows are those of the pass, `count` times."""
        batch = repeated(recorded.batch, count) if count > 1 else recorded.batch
        self._tape.rewind(recorded.outputs)
        self._given = hidden
        return recorded.measure(self._model(self._head, own), batch)

    def measured_of_each(self, hidden_C: Tensor, own: Pieces, recorded: RecordedPass, most: int = 2**31) -> Tensor:
        """The head alone at C hidden states, `most` of them at once, [C, B] or [C, B, T]."""
        at_once = max(1, min(most, FOLDED_NUMBERS // hidden_C[0].numel())) if self.places.head_folds else 1
        found = [
            self.measured(part.flatten(0, 1), own, recorded, len(part)).unflatten(0, (len(part), -1))
            for part in hidden_C.split(at_once)
        ]
        return torch.cat(found)

    def _model(self, module: nn.Module, own: Pieces) -> Model:
        named = self._task.values({**self._rest, **own})
        return self._task.rounding(lambda *inputs, **options: functional_call(module, named, inputs, options))

    def _reached(self, model: Model, recorded: RecordedPass, batch: Batch) -> Tensor:
        self._tape.rewind(recorded.outputs)
        try:
            recorded.measure(model, batch)
        except Reached as reached:
            return reached.output
        raise RuntimeError(f"A pass did not come to module {self.places.join!r}")

    def _divide(self, _: nn.Module, __: Any, output: Tensor) -> Tensor:
        self._given = output.detach().requires_grad_()
        return self._given

    def _fold(self, names: tuple[str, ...], fork: str) -> FoldedModule:
        folded = FoldedModule(self._task.module, names, fork)
        self._tape.play(folded.module, self.places.trunk)

        def reach(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if not folded.inside:
                _reach(module, inputs, output)

        folded.module.get_submodule(self.places.join).register_forward_hook(reach)
        return folded


def repeated(batch: Batch, count: int) -> Batch:
    """All rows `count` times, one after the other."""
    return {name: column.repeat(count, *(1,) * (column.dim() - 1)) for name, column in batch.items()}


def _reach(_: nn.Module, __: Any, output: Tensor) -> None:
    raise Reached(output)

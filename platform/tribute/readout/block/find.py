"""Where a model is divided: tried on some rows, and used only where it changes nothing.

Legend: B rows, C sets of the scope's parameters, T positions of a row.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tribute.readout.block.section import DivisionPlaces, Measure, Pieces, RecordedPass, ScopeSection
from tribute.readout.block.visits import Visit, finished, largest_output, visits
from tribute.tasks import Batch, FlatTask, Scope, seeded
from tribute.tasks.folded import forks, owners

TOLERANCES = {torch.float64: 1e-9}
"""Largest relative difference of two changes of measurements that count as one; of other precisions 1e-3."""
SHIFT = 0.1
"""By how much parameters are shifted to try a division, as a part of their size."""
FAILS = (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError)
"""What a model raises that cannot be divided at some place."""


def find_section(scope: Scope, pieces: Pieces, batch: Batch) -> ScopeSection | None:
    """Divide a model where h is smallest behind the scope and closest to the outputs; None: nowhere.

    Every candidate is tried at shifted parameters: the head alone must measure what the whole model measures.

    Args:
        pieces: all parameters of the unperturbed model.
        batch: some rows, as few as possible.
    """
    task = scope.task
    measure: Measure = task.measure_by
    own, shifted = scope.part(pieces), _shifted(scope.part(pieces))
    rest = {name: value for name, value in pieces.items() if name not in own}
    with torch.no_grad():
        still_B = measure(task.measured_model(pieces), batch)
        change_B = measure(task.measured_model({**pieces, **shifted}), batch) - still_B
        calls, outputs = _calls(task, pieces, batch)
        for places in _candidates(task.module, scope.names, calls, outputs):
            try:
                section = ScopeSection(task, scope.names, rest, places)
                recorded = section.record(own, batch, measure)
                found_B = section.measured(section.hidden(shifted, recorded), own, recorded) - recorded.value
                played = section.hidden(own, recorded)
            except FAILS:
                continue
            if same(found_B, change_B) and same(played, recorded.hidden):
                return _folding(section, _forked(task.module, scope.names, calls, places), scope, pieces, batch)
    return None


def _calls(task: FlatTask, pieces: Pieces, batch: Batch) -> tuple[list[Visit], int]:
    """All calls of modules in a measurement, and the numbers that the model returns; 0: not called once."""
    sizes, model = list[int](), task.measured_model(pieces)

    def watched(*inputs: Any, **options: Any) -> Any:
        outputs = model(*inputs, **options)
        sizes.append(largest_output(outputs))
        return outputs

    calls = visits(task.measured, lambda: task.measure_by(watched, batch))
    return calls, sizes[0] if len(sizes) == 1 else 0


def _candidates(
    module: nn.Module, names: tuple[str, ...], calls: list[Visit], outputs: int
) -> Iterator[DivisionPlaces]:
    """Modules that may give h, the last one first: they end with the scope or behind it, and return one tensor."""
    scoped, counts = _of_scope(module, names, calls), Counter(call.name for call in calls)
    first, last = min(call.begin for call in scoped), max(call.end for call in scoped)
    for call in reversed(calls):
        if call.end >= last and counts[call.name] == 1 and 0 < call.numbers < outputs:
            yield DivisionPlaces(finished(calls, first), finished(calls, call.begin), call.name)


def _forked(
    module: nn.Module, names: tuple[str, ...], calls: list[Visit], places: DivisionPlaces
) -> Iterator[DivisionPlaces]:
    """The same division with a fork, the smallest first; the trunk ends before it."""
    first = min(call.begin for call in _of_scope(module, names, calls))
    for fork in forks(module, names):
        begin = min([first, *(call.begin for call in calls if call.name == fork)])
        yield places._replace(trunk=finished(calls, begin), fork=fork)


def _of_scope(module: nn.Module, names: tuple[str, ...], calls: list[Visit]) -> list[Visit]:
    held = {id(layer) for layer in owners(module, names)}
    return [call for call in calls if id(module.get_submodule(call.name)) in held]


def _folding(
    section: ScopeSection, forked: Iterator[DivisionPlaces], scope: Scope, pieces: Pieces, batch: Batch
) -> ScopeSection:
    """The same division with one pass for several sets of parameters, where that changes nothing."""
    measure, own = scope.task.measure_by, scope.part(pieces)
    rest = {name: value for name, value in pieces.items() if name not in own}
    several = {name: torch.stack([own[name], value]) for name, value in _shifted(own).items()}
    recorded = section.record(own, batch, measure)
    [alone] = section.hidden_of_each(several, [recorded])
    head_folds = _head_folds(section, own, alone, recorded)
    for places in forked:
        try:
            folded = ScopeSection(scope.task, scope.names, rest, places._replace(head_folds=head_folds))
            [together] = folded.hidden_of_each(several, [folded.record(own, batch, measure)])
            if same(together - alone[0], alone - alone[0]):
                return folded
        except FAILS:
            continue
    return ScopeSection(scope.task, scope.names, rest, section.places._replace(head_folds=head_folds))


def _head_folds(section: ScopeSection, own: Pieces, hidden_C: Tensor, recorded: RecordedPass) -> bool:
    """Whether the head measures several h at once as it measures each."""
    alone = section.measured_of_each(hidden_C, own, recorded)
    try:
        together = section.measured(hidden_C.flatten(0, 1), own, recorded, len(hidden_C))
    except FAILS:
        return False
    return same(together.unflatten(0, (len(hidden_C), -1)) - alone[0], alone - alone[0])


def _shifted(own: Pieces) -> dict[str, Tensor]:
    """Parameters of the scope at which the model measures something else."""
    with seeded(0, next(iter(own.values())).device), torch.no_grad():
        return {
            name: value + SHIFT * value.square().mean().sqrt().clamp(min=1e-2) * torch.randn_like(value)
            for name, value in own.items()
        }


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether two changes count as one, and are changes at all."""
    error, size = (found - expected).norm(), expected.norm()
    return bool(size > 0) and bool(error <= TOLERANCES.get(expected.dtype, 1e-3) * size)

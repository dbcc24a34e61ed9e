"""A divided model for queries, looked for once for each shape of a row.

Legend: B rows, T positions of a row, h hidden states that enter the head.
"""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tribute.readout.block.find import find_section, same
from tribute.readout.block.section import DivisionPlaces, Pieces, ScopeSection, repeated
from tribute.readout.block.softmax import SoftmaxHead
from tribute.readout.block.tap import LargestOutput
from tribute.readout.perturbed import PerturbedModel, QueryRows
from tribute.tasks import Batch, FlatTask, Model, has_tokens, kept_bytes, measure_tokens

PROBE_ROWS = 2


class Divided(NamedTuple):
    """What is the same for all parameters of a model: where it is divided, and what is known of its parts.

    ``pair_bytes``: activations of the section for one more row. ``by_position``: whether the measurement of a
    position depends on h at this position alone.
    """

    places: DivisionPlaces
    pair_bytes: int
    by_position: bool


class ModelDivision(NamedTuple):
    """A model divided at its own parameters. ``softmax``: its head, if that is linear."""

    section: ScopeSection
    pair_bytes: int
    by_position: bool
    softmax: SoftmaxHead | None


KNOWN: WeakKeyDictionary[FlatTask, dict[object, Divided | None]] = WeakKeyDictionary()
"""Divisions by task, scope and shape of a row: all replicates are divided at the same places."""


class Sections:
    """The division of one model for queries."""

    def __init__(self, perturbed: PerturbedModel) -> None:
        self._scope, self._pieces = perturbed.scope, perturbed.scope.task.pieces(perturbed.theta_P)
        self._own, self._device = self._scope.part(self._pieces), perturbed.theta_P.device
        self._found = dict[object, ModelDivision | None]()

    def of(self, queries: QueryRows) -> ModelDivision | None:
        """The division for rows of this shape; None: the model cannot be divided."""
        if queries.shape not in self._found:
            batch, query_B = next(queries.batches(PROBE_ROWS, self._device))
            batch, known = repeated(batch, PROBE_ROWS // len(query_B)), KNOWN.setdefault(self._scope.task, {})
            key = (self._scope.names, queries.shape)
            with torch.no_grad():
                if key not in known:
                    section = find_section(self._scope, self._pieces, batch)
                    known[key] = None if section is None else self._divided(section, batch)
                self._found[queries.shape] = self._division(known[key], batch)
        return self._found[queries.shape]

    def _divided(self, section: ScopeSection, batch: Batch) -> Divided:
        task, own = self._scope.task, self._own
        by_position = has_tokens(task.task) and _each_position_alone(task, own, batch, section)

        def kept(rows: Batch) -> int:
            recorded = section.record(own, rows, task.measure_by)
            return kept_bytes(
                lambda at_p: section.hidden(self._scope.pieces(at_p), recorded), self._scope.flatten(own)
            )

        one = {name: column[:1] for name, column in batch.items()}
        return Divided(section.places, max(1, kept(batch) - kept(one)), by_position)

    def _division(self, divided: Divided | None, batch: Batch) -> ModelDivision | None:
        if divided is None:
            return None
        scope, own = self._scope, self._own
        rest = {name: value for name, value in self._pieces.items() if name not in own}
        section = ScopeSection(scope.task, scope.names, rest, divided.places)
        softmax = _softmax_head(scope.task, self._pieces, own, batch, section)
        return ModelDivision(section, divided.pair_bytes, divided.by_position, softmax)


def _each_position_alone(task: FlatTask, own: Pieces, batch: Batch, section: ScopeSection) -> bool:
    """Whether weights of positions scale the gradient by h of the same position."""

    def weighted(model: Model, rows: Batch) -> Tensor:
        value_BT = measure_tokens(task, model, rows)
        return value_BT * torch.linspace(0.5, 1.5, value_BT.shape[1]).to(value_BT)

    plain = section.record(own, batch, lambda *given: measure_tokens(task, *given))
    if plain.hidden.shape[:2] != plain.value.shape:
        return False
    scaled, slope = section.record(own, batch, weighted).slope, plain.slope
    weight_T = torch.linspace(0.5, 1.5, plain.value.shape[1]).to(slope)
    return same(scaled, slope * weight_T.view(-1, *(1,) * (slope.dim() - 2)))


def _softmax_head(
    task: FlatTask, pieces: Pieces, own: Pieces, batch: Batch, section: ScopeSection
) -> SoftmaxHead | None:
    """The head behind h, if logits are a linear function of h at every position that counts."""
    seen = list[LargestOutput]()

    def measure(model: Model, rows: Batch) -> Tensor:
        seen.append(LargestOutput(model))
        return task.task.measurement(seen[0], rows)

    recorded = section.record(own, batch, measure, by_logits=True)
    return SoftmaxHead.of(task.evaluated.values(pieces).values(), recorded, seen[0].largest.detach())

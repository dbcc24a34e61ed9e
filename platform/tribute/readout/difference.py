"""Read-outs that evaluate the perturbed models: exact for the simulated removal, one forward pass per source.

Legend: P parameters, p of the scope, S sources, C a chunk of them, K = C + 1 parameter vectors (the first is
unperturbed), B rows, Q queries. `...` stands for nothing, or for positions of a row.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.readout.block import Measure, ModelDivision, Pieces
from tribute.readout.cuts import GIB, Cuts
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.readout.reader import Change, ModelReader, Rows, RowsPass, row_batches
from tribute.tasks import Batch, Model, batched

SMALLEST_ENSEMBLE = 8
"""Fewer models are as fast one after the other."""


def difference(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """I[q, s] = f(theta; q) - f(theta - Delta_s; q), summed over the rows of each query.

    Exact for the simulated removal, whatever its size. Cost: one forward pass per source and one for the model.
    A source without response has influence exactly 0.

    Args:
        memory_gib: budget of parameters and activations evaluated at once; it changes only rounding.

    Returns:
        Influences [Q, S] and measurements [Q], nats. Positive influence: the source helped the query.

    Raises:
        ConfigError: not even one row fits the budget.

    Source: arXiv 2511.19803.
    """
    return differences(perturbed, memory_gib).read(queries)


def shared_trunk(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """`difference` in a narrow scope: activations of the frozen trunk are computed once for all sources.

    Equal to `difference` up to rounding. Cost: one forward pass, and the scope's share of one for each source.

    Raises:
        ConfigError: the scope is the whole model, which has no trunk, or not even one row fits the budget.
    """
    return shared_differences(perturbed, memory_gib).read(queries)


def differences(perturbed: PerturbedModel, memory_gib: float, kept_gib: float = 0.0) -> "Differences":
    """`difference`, prepared."""
    return Differences(perturbed, memory_gib, kept_gib)


def shared_differences(perturbed: PerturbedModel, memory_gib: float, kept_gib: float = 0.0) -> "Differences":
    """`shared_trunk`, prepared.

    Raises:
        ConfigError: the scope is the whole model, which has no trunk.
    """
    if perturbed.scope.complete:
        raise ConfigError("readout.method shared_trunk needs a narrow simulation.scope, such as head")
    return Differences(perturbed, memory_gib, kept_gib, divided=True)


class Differences(ModelReader):
    """Evaluates the perturbed models: as an ensemble, or one after the other where that is as fast.

    An ensemble saves calls where rows are few, and the frozen trunk in a narrow scope. With many rows, its
    activations leave the processor's caches and it is slower than its models alone.

    Args:
        memory_gib: budget of parameters and activations evaluated at once.
        kept_gib: memory for the parameters of all perturbed models; if they need more, they are made at every
            read-out.
        divided: whether the trunk may run apart from the scope and the head, where the model can be divided; else
            whole models run.

    ``follows``: whether passes need what a linear head needs to be followed.
    """

    follows = False

    def __init__(
        self, perturbed: PerturbedModel, memory_gib: float, kept_gib: float = 0.0, *, divided: bool = False
    ) -> None:
        each_Sp = perturbed.response_Sp
        self._still_S = torch.cat([~each_Sp[source : source + 1].any(1) for source in range(len(each_Sp))])
        perturbed = perturbed if divided else perturbed.lifted()
        super().__init__(perturbed)
        self._may_divide = divided
        scope, response_Sp = perturbed.scope, perturbed.response_Sp
        self._theta_p, self._sources = perturbed.theta_p, len(response_Sp)
        self._cuts = Cuts(perturbed, memory_gib, shared=not scope.complete)
        self._rest = {
            name: piece for name, piece in scope.task.pieces(perturbed.theta_P).items() if name not in scope.names
        }
        self._still = bool(self._still_S.any())
        self._kept_Kp: Tensor | None = None
        if (self._sources + 1) * self._theta_p.numel() * self._theta_p.element_size() <= kept_gib * GIB:
            self._kept_Kp = torch.cat([self._theta_p[None], self._theta_p - response_Sp[:]])

    def changes(self, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """Measurements minus those without each source."""
        division = self.division(queries, measure) if self._may_divide else None
        if division is not None:
            yield from self._divided(division, measure, queries)
            return
        cut = self._cuts.cut(queries)
        batches = row_batches(queries, cut.rows, self._perturbed)
        if not self._rest and cut.sources < min(SMALLEST_ENSEMBLE, self._sources):
            yield from self._one_by_one(measure, batches)
        else:
            yield from self._together(measure, batches, cut.sources)

    def _divided(self, division: ModelDivision, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """The trunk once, then section and head of every model."""
        cut = self._cuts.cut(queries, division.pair_bytes)
        batches = row_batches(queries, cut.rows, self._perturbed)
        for passes in self.passes(division, measure, batches, self._cuts.kept, follow=self.follows):
            for chosen in self.chunks(cut.sources):
                for each, hidden in self.hidden(division, passes, chosen):
                    change = self.behind(division, each, hidden, cut.heads)
                    yield self._change(chosen, each.rows, each.recorded.value, change)

    def hidden(
        self, division: ModelDivision, passes: Sequence[RowsPass], chosen: slice
    ) -> Iterator[tuple[RowsPass, Tensor]]:
        """Hidden states of the models without some sources, [C, B, ...] for each pass."""
        models = self._perturbed.scope.pieces(self._without(chosen))
        return zip(passes, division.section.hidden_of_each(models, [p.recorded for p in passes]), strict=True)

    def behind(self, division: ModelDivision, each: RowsPass, hidden: Tensor, heads: int) -> Tensor:
        """How measurements change with the hidden states that enter the head, [C, B, ...]; `heads` at once."""
        without = division.section.measured_of_each(hidden, self._own, each.recorded, heads)
        return each.recorded.value - without

    def _one_by_one(self, measure: Measure, batches: Sequence[Rows]) -> Iterator[Change]:
        values = [measure(self._model(self._own), each.batch) for each in batches]
        for source in range(self._sources):
            chosen = slice(source, source + 1)
            model = self._model(self._perturbed.scope.pieces(self._without(chosen)[0]))
            for each, value in zip(batches, values, strict=True):
                yield self._change(chosen, each, value, value - measure(model, each.batch)[None])

    def _together(self, measure: Measure, batches: Sequence[Rows], chunk: int) -> Iterator[Change]:
        def at(own: Pieces, batch: Batch) -> Tensor:
            return measure(self._model(own), batch)

        for chosen in self.chunks(chunk):
            models = self._ensemble(chosen)
            for each in batches:
                values = batched(at, (0, None))(models, each.batch)
                yield self._change(chosen, each, values[0], values[0] - values[1:])

    def _model(self, own: Pieces) -> Model:
        return self._perturbed.scope.task.measured_model(self._rest | dict(own))

    def _change(self, sources: slice, rows: Rows, value: Tensor, change: Tensor) -> Change:
        if self._still:  # kernels may round the same model differently at another place in memory
            change[self._still_S[sources]] = value - value
        return Change(sources, rows, value, change)

    def _ensemble(self, chosen: slice) -> Pieces:
        """Parameters of the unperturbed model and of the models without some sources, [K, ...] each."""
        if self._kept_Kp is not None and chosen.start == 0:
            return self._perturbed.scope.pieces(self._kept_Kp[: chosen.stop + 1])
        models_Kp = torch.cat([self._theta_p[None], self._without(chosen)])
        return self._perturbed.scope.pieces(models_Kp)

    def _without(self, chosen: slice) -> Tensor:
        """Parameters without some sources, [C, p]."""
        if self._kept_Kp is not None:
            return self._kept_Kp[1:][chosen]
        return self._theta_p - self._perturbed.response_Sp[chosen]

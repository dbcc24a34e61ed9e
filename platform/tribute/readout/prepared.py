"""Read-outs of many small batches of queries at the same models, such as those of a service.

Legend: P parameters, p of the scope, S responses (of sources), N rows, T positions of a row, Q queries.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.readout.derivative import Gradients, Tangents
from tribute.readout.difference import differences, shared_differences
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut, StoredResponses
from tribute.readout.reader import ModelReader
from tribute.readout.shared_head import head_differences
from tribute.tasks import Scope

Prepare = Callable[[PerturbedModel, float, float], ModelReader]


def _derivative(reader: Callable[[PerturbedModel, float], ModelReader]) -> Prepare:
    return lambda perturbed, memory_gib, _: reader(perturbed, memory_gib)


READERS: dict[str, Prepare] = {
    "difference": differences,
    "shared_trunk": shared_differences,
    "shared_head": head_differences,
    "jvp": _derivative(Tangents),
    "adjoint": _derivative(Gradients),
}


class PreparedReadOut:
    """An exact read-out in every replicate, prepared once: what does not depend on the queries is not made again.

    It is not for several threads at once: a read-out changes the model's parameters while it runs.

    Args:
        method: a name in `METHODS`.
        thetas: final parameters of each replicate, [P].
        responses: responses in each replicate, [S, p]; NaN where a simulation failed.
        memory_gib: budget of parameters and activations evaluated at once.
        kept_gib: memory for the parameters of all perturbed models, which take as much as the responses. Beyond
            it they are made at every read-out. `memory_gib` if left out.

    Raises:
        ConfigError: the method is unknown, or needs a narrow scope.
    """

    def __init__(
        self,
        method: str,
        scope: Scope,
        thetas: Sequence[Tensor],
        responses: Sequence[Tensor | StoredResponses],
        memory_gib: float = 1.0,
        kept_gib: float | None = None,
    ) -> None:
        if method not in READERS:
            raise ConfigError(
                f"readout.method {method!r} is no exact read-out. Use one of {', '.join(READERS)}, or auto"
            )
        kept = (memory_gib if kept_gib is None else kept_gib) / max(1, len(thetas))
        with torch.no_grad():
            self._readers = [
                READERS[method](PerturbedModel(scope, theta_P, response_Sp), memory_gib, kept)
                for theta_P, response_Sp in zip(thetas, responses, strict=True)
            ]

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """Influences and measurements of queries, in every replicate.

        Raises:
            ConfigError: not even one row fits the budget.
        """
        with torch.no_grad():
            return [reader.read(queries) for reader in self._readers]

    def read_tokens(self, queries: QueryRows) -> Tensor:
        """Influences on each position of each row, [N, T, S] nats: means over the replicates that did not fail.

        They add up over positions to the influences on a row, and over its rows to those on a query.

        Raises:
            ConfigError: the task has no `token_measurement`, or not even one row fits the budget.
        """
        return torch.stack(self.tokens_by_replicate(queries)).nanmean(0)

    def tokens_by_replicate(self, queries: QueryRows) -> list[Tensor]:
        """Influences on each position of each row in every replicate, [N, T, S] nats each; see `read_tokens`."""
        with torch.no_grad():
            return [reader.read_tokens(queries) for reader in self._readers]

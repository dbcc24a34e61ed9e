"""For-Value: gradients of the last layer alone, which a forward pass holds already.

Legend: G groups, Q queries, B rows, T positions, V model outputs, E of them kept, D hidden width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.readout import QueryRows
from tribute.tasks import Batch, FlatTask, Seen, forward_pass, loss_pass

ROWS = 64
"""Rows whose matrices are held at once."""


@dataclass(frozen=True)
class ForValue(Estimator):
    """Dot product of gradients of the last layer's weights, from forward passes alone (For-Value).

    Sum over the group of <M(q), M(z)>, with M = sum_t e_t h_t' of the size of the last layer's weight; a bias is
    left out.

    h_t is the hidden state that the outputs are made of at position t, and e_t the derivative by the outputs of
    what the task measures (of a query) or of minus its training loss (of an example). Where that is the sum of
    log-likelihoods, e_t = onehot(y_t) - softmax(outputs_t) as in the paper; for margins, or losses that are means
    over positions, e_t follows the task, so that the dot is still that of gradients. Unit: nats per unit rate of
    one step of plain gradient descent in the last layer's weights. Shared input and output embeddings count as
    two. Where a model scales or caps what its last layer gives out, e_t is by the outcome.

    A query costs a forward pass of its rows, and E x D multiplications for each group.

    Source: arXiv 2508.10180, equations 1 and 2.
    """

    outputs: int = 512
    """Outputs beyond this many are projected to so many, by random signs: an unbiased estimate. Exact for the 256
    bytes of `ByteLm`; a group keeps this many times the hidden width."""

    def __post_init__(self) -> None:
        if self.outputs < 1:
            raise ConfigError(f"Estimator for_value: outputs is at least 1, got {self.outputs}")

    def held(self, trained: Trained) -> int:
        """E D; read off one example."""
        first = Groups.of_sources(trained.data, range(len(trained.data.source_ids))).chosen[:1]
        batch, _ = trained.data.batch(first, trained.device)
        return self._outer(loss_pass, trained, batch).shape[1]

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """M summed over each group, flat, [G, E D]."""
        found: Tensor | None = None
        for begin in range(0, len(groups.chosen), ROWS):
            indices_B = groups.chosen[begin : begin + ROWS]
            batch, _ = trained.data.batch(indices_B, trained.device)
            outer = self._outer(loss_pass, trained, batch)
            found = outer.new_zeros(groups.count, outer.shape[1]) if found is None else found
            found.index_add_(0, torch.from_numpy(groups.group_N[indices_B]).to(trained.device), outer)
        return {"outer": trained.theta_P.new_zeros(groups.count, 0) if found is None else found}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["outer"]))
        if gathered["outer"].shape[1]:
            for batch, query_B in queries.batches(ROWS, trained.device):
                asked = self._outer(forward_pass, trained, batch)
                found_QG.index_add_(0, query_B, asked @ gathered["outer"].T)
        return found_QG

    def _outer(self, seen_by: Callable[[FlatTask, Tensor, Batch], Seen], trained: Trained, batch: Batch) -> Tensor:
        """M of every row, flat, [B, E D]."""
        seen = seen_by(trained.task, trained.theta_P, batch)
        error_BTE, hidden_BTD = (x.reshape(len(x), -1, x.shape[-1]) for x in (seen.error, seen.hidden[0]))
        return (self._projected(error_BTE).transpose(1, 2) @ hidden_BTD).detach().flatten(1)

    def _projected(self, error_BTV: Tensor) -> Tensor:
        every = error_BTV.shape[-1]
        if every <= self.outputs:
            return error_BTV
        drawn = torch.randint(0, 2, (every, self.outputs), generator=torch.Generator().manual_seed(0))
        return error_BTV @ ((2 * drawn - 1) / math.sqrt(self.outputs)).to(error_BTV)

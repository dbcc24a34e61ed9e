"""For-Value: gradients of the last layer alone, from forward passes.

Legend: G groups, Q queries, B rows, T positions, V model outputs, E of them kept, D hidden width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.readout import QueryRows
from tribute.tasks import ForwardPass


@dataclass(frozen=True)
class ForValue(Estimator):
    """Dot product of gradients of the last layer's weights, from forward passes alone (For-Value).

    Sum over the group of <M(q), M(z)>, with M = sum_t e_t h_t' of the shape of the last layer's weight, without
    bias.

    h_t is the input of the last layer at position t. e_t is the derivative by the outputs: of the measurement for
    a query, of minus the training loss for an example. For sums of log-likelihoods, e_t = onehot(y_t) -
    softmax(outputs_t), as in the paper. For margins, or losses that average positions, e_t follows the task, so
    the dot product is still one of gradients. Unit: nats per unit rate of one step of gradient descent in the last
    layer's weights. Shared input and output embeddings count as two matrices. If the model scales or caps the
    outputs of its last layer, e_t is the derivative by the final outputs.

    A query costs a forward pass of its rows, and E x D multiplications for each group.

    Source: arXiv 2508.10180, equations 1 and 2.
    """

    outputs: int = 512
    """Largest E; more outputs are projected to this number by random signs, which is unbiased. Exact for the 256
    bytes of `ByteLm`. A group stores this many numbers times the hidden width."""
    rows: int = 64
    """Rows whose matrices M are held at once."""

    def __post_init__(self) -> None:
        if min(self.outputs, self.rows) < 1:
            raise ConfigError(f"for_value: outputs is {self.outputs} and rows {self.rows}. Set both to at least 1")

    def numbers_per_group(self, trained: Trained) -> int:
        """E D, measured on one example."""
        first = Groups.of_sources(trained.data, range(len(trained.data.source_ids))).chosen[:1]
        batch, _ = trained.data.batch(first, trained.device)
        return self._outer(trained.watched.loss_pass(batch)).shape[1]

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Sum of M over each group, flattened, [G, E D]."""
        outer_GM = None
        for begin in range(0, len(groups.chosen), self.rows):
            indices_B = groups.chosen[begin : begin + self.rows]
            batch, _ = trained.data.batch(indices_B, trained.device)
            outer = self._outer(trained.watched.loss_pass(batch))
            outer_GM = outer.new_zeros(groups.count, outer.shape[1]) if outer_GM is None else outer_GM
            outer_GM.index_add_(0, torch.from_numpy(groups.group_N[indices_B]).to(trained.device), outer)
        return {"outer": trained.theta_P.new_zeros(groups.count, 0) if outer_GM is None else outer_GM}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["outer"]))
        if gathered["outer"].shape[1]:
            for batch, query_B in queries.batches(self.rows, trained.device):
                outer = self._outer(trained.watched.forward_pass(batch))
                influence_QG.index_add_(0, query_B, outer @ gathered["outer"].T)
        return influence_QG

    def _outer(self, seen: ForwardPass) -> Tensor:
        """M of each row, flattened, [B, E D]."""
        error_BTE, hidden_BTD = (x.reshape(len(x), -1, x.shape[-1]) for x in (seen.error, seen.hidden[0]))
        return (self._projected(error_BTE).transpose(1, 2) @ hidden_BTD).detach().flatten(1)

    def _projected(self, error_BTV: Tensor) -> Tensor:
        every = error_BTV.shape[-1]
        if every <= self.outputs:
            return error_BTV
        drawn = torch.randint(0, 2, (every, self.outputs), generator=torch.Generator().manual_seed(0))
        return error_BTV @ ((2 * drawn - 1) / math.sqrt(self.outputs)).to(error_BTV)

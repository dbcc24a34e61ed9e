"""Similarity of the trained model's last hidden states: a baseline without gradients.

Legend: G groups, Q queries, B rows, D hidden width; `...` stands for further dimensions, such as positions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.readout import QueryRows
from tribute.tasks import ForwardPass

SIMILARITIES = ("centred", "cosine", "dot")


@dataclass(frozen=True)
class Representations(Estimator):
    """Similarity of the model's last hidden states of the query and of training examples.

    Sum over the group of cos(h(q) - m, h(z) - m), with m the mean h of the training examples; or of
    cos(h(q), h(z)), or of h(q) . h(z).

    h is the input of the last linear layer, where a tied head counts as one, at the final parameters and without
    dropout. It is the mean over the predicted positions of an example, and of all rows of a query; a position is
    predicted if the training loss, or the measurement, has a slope by its outputs. Labels of queries and examples
    are not compared. Dimensionless for the cosine, 1 per example at most.

    The paper takes no mean off. But hidden states of different texts point the same way: on a small transformer
    their mean cosine is .99, so that the sums order sources by size (LDS -.03; with the mean taken off .28).

    A query costs a forward pass of its rows, and D multiplications for each group.

    Source: Hanawa et al., arXiv 2006.04528, who compare the last two and other similarities.
    """

    similarity: str = "centred"
    """`centred` (a cosine, too), `cosine` or `dot`."""
    rows: int = 256
    """Rows in a forward pass."""

    def __post_init__(self) -> None:
        if self.similarity not in SIMILARITIES or self.rows < 1:
            raise ConfigError(
                f"representations: similarity is {self.similarity!r} and rows {self.rows}. Set similarity to one "
                f"of {', '.join(SIMILARITIES)}, and rows to at least 1"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """m, [D], where it is used."""
        if self.similarity != "centred":
            return {}
        everything = Groups(np.zeros(len(trained.data), dtype=np.int64), 1)
        return {"mean_D": self._totals(trained, everything, {})[0] / len(trained.data)}

    def numbers_per_group(self, trained: Trained) -> int:
        """D, measured on one example."""
        batch, _ = trained.data.batch(np.zeros(1, dtype=np.int64), trained.device)
        return _summed(trained.watched.loss_pass(batch)).shape[1] - 1

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Sum of h over each group, of length 1 each for the cosines, [G, D]."""
        return {"hidden_GD": self._totals(trained, groups, fitted)}

    def _totals(self, trained: Trained, groups: Groups, fitted: NamedTensors) -> Tensor:
        hidden_GD = trained.theta_P.new_zeros(groups.count, self.numbers_per_group(trained))
        for begin in range(0, len(groups.chosen), self.rows):
            indices_B = groups.chosen[begin : begin + self.rows]
            batch, _ = trained.data.batch(indices_B, trained.device)
            hidden_BD = self._mean(_summed(trained.watched.loss_pass(batch)), fitted).to(hidden_GD)
            hidden_GD.index_add_(0, torch.from_numpy(groups.group_N[indices_B]).to(trained.device), hidden_BD)
        return hidden_GD

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        hidden_GD = gathered["hidden_GD"]
        summed_QD = hidden_GD.new_zeros(len(queries.query_ids), hidden_GD.shape[1] + 1)
        for batch, query_B in queries.batches(self.rows, trained.device):
            summed_QD.index_add_(0, query_B, _summed(trained.watched.forward_pass(batch)).to(summed_QD))
        return self._mean(summed_QD, fitted) @ hidden_GD.T

    def _mean(self, summed_BD: Tensor, fitted: NamedTensors) -> Tensor:
        """h of rows or queries, less m, [B, D]; of length 1 for the cosines. 0 where nothing is predicted."""
        hidden_BD, count_B1 = summed_BD.tensor_split([-1], dim=1)
        hidden_BD = hidden_BD / count_B1.clamp(min=1)
        if "mean_D" not in fitted:
            return functional.normalize(hidden_BD) if self.similarity == "cosine" else hidden_BD
        return functional.normalize((hidden_BD - fitted["mean_D"]) * (count_B1 > 0))


def _summed(seen: ForwardPass) -> Tensor:
    """Hidden states of each row, summed over its predicted positions, and the number of these, [B, D + 1]."""
    error, hidden = (each.detach().reshape(len(each), -1, each.shape[-1]) for each in (seen.error, seen.hidden[0]))
    predicted_BT1 = (error != 0).any(-1, keepdim=True).to(hidden)
    return torch.cat([(hidden * predicted_BT1).sum(1), predicted_BT1.sum(1)], 1)

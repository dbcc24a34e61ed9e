"""For-Value: gradients of the last layer alone, from forward passes.

Legend: G groups, Q queries, B rows, T positions, V model outputs, E of them kept, D hidden width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import drawn_examples
from tribute.readout import QueryRows
from tribute.tasks import ForwardPass

CHECKED = 8
"""Examples by which the weight of the last layer is looked for."""
TOLERANCE = 1e-3
"""Largest relative difference between gradients that are the same."""


@dataclass(frozen=True)
class ForValue(Estimator):
    """Dot product of gradients of the last layer's weights, from forward passes alone (For-Value).

    Sum over the group of <M(q), M(z)>, with M = sum_t e_t h_t' of the shape of the last layer's weight, without
    bias.

    h_t is the input of the last layer at position t. e_t is the derivative by the outputs: of the measurement for
    a query, of minus the training loss for an example. For sums of log-likelihoods, e_t = onehot(y_t) -
    softmax(outputs_t), as in the paper. For margins, or losses that average positions, e_t follows the task, so
    the dot product is still one of gradients. Unit: nats per unit rate of one step of gradient descent in the last
    layer's weights. Other uses of the same weight do not count, as of embeddings that inputs and outputs share. If
    the model scales or caps the outputs of its last layer, e_t is the derivative by the final outputs. `coverage`
    says which weight it is, by a comparison with gradients.

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

    def coverage(self, trained: Trained, fitted: NamedTensors) -> str:
        """The weight whose gradients M is made of, and whether it has uses that do not count."""
        task = trained.task
        batch, _ = trained.data.batch(drawn_examples(trained, CHECKED), trained.device)
        seen = trained.watched.loss_pass(batch)
        slopes = task.pieces(-grad(lambda at_P: task.evaluated.losses(at_P, batch).sum())(trained.theta_P))
        whole = last_weight(seen, slopes)
        name = whole or last_head(seen, task.pieces(trained.theta_P))
        if not name:
            return (
                "for_value compares prediction errors times hidden states that are the gradient of no trained "
                "weight: the last layer is frozen or not the only one, or the model changes its outputs"
            )
        share = math.prod(task.shapes[name]) / task.size
        rest = "" if whole else "; uses of this weight before the last layer do not count"
        return f"for_value compares gradients of {name} alone, {share:.1%} of the parameters{rest}"

    def _outer(self, seen: ForwardPass) -> Tensor:
        """M of each row, flattened, [B, E D]."""
        error_BTV, hidden_BTD = _by_position(seen.error), _by_position(seen.hidden[0])
        return (self._projected(error_BTV).transpose(1, 2) @ hidden_BTD).detach().flatten(1)

    def _projected(self, error_BTV: Tensor) -> Tensor:
        every = error_BTV.shape[-1]
        if every <= self.outputs:
            return error_BTV
        drawn = torch.randint(0, 2, (every, self.outputs), generator=torch.Generator().manual_seed(0))
        return error_BTV @ ((2 * drawn - 1) / math.sqrt(self.outputs)).to(error_BTV)


def last_weight(seen: ForwardPass, slopes: Mapping[str, Tensor]) -> str:
    """The weight whose whole gradient, summed over rows, is a multiple of M; empty: there is none."""
    outer_VD = torch.einsum("btv,btd->vd", _by_position(seen.error), _by_position(seen.hidden[0]))
    for name, slope in slopes.items():
        for found in (slope, slope.T) if slope.dim() == 2 else ():
            if found.shape == outer_VD.shape and outer_VD.any():
                multiple = (found * outer_VD).sum() / outer_VD.square().sum()
                if multiple and _near(found, multiple * outer_VD):
                    return name
    return ""


def last_head(seen: ForwardPass, pieces: Mapping[str, Tensor]) -> str:
    """The weight that makes the outputs from the hidden states, up to a bias; empty: there is none."""
    hidden_nD, output_nV = (_by_position(each).flatten(0, 1) for each in (seen.hidden[0], seen.output))
    for name, weight in pieces.items():
        for weight_VD in (weight, weight.T) if weight.dim() == 2 and len(hidden_nD) > 1 else ():
            if weight_VD.shape == (output_nV.shape[1], hidden_nD.shape[1]):
                made_nV = hidden_nD @ weight_VD.T.to(hidden_nD)
                if _near(output_nV - output_nV[:1], made_nV - made_nV[:1]):
                    return name
    return ""


def _by_position(values: Tensor) -> Tensor:
    """Reshape [B, D] or [B, ..., D] to [B, T, D]."""
    return values.detach().reshape(len(values), -1, values.shape[-1])


def _near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() <= TOLERANCE * one.norm())

"""Dot product and cosine of gradients at the final parameters: the simplest estimators that use the model.

Legend: Q queries, G groups, P parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import (
    ResponseEstimator,
    example_gradients,
    group_gradients,
    query_gradients,
)
from tribute.readout import QueryRows


@dataclass(frozen=True)
class GradientDot(ResponseEstimator):
    """Dot product of an example's and a query's gradient at the final parameters.

    Sum over the group of -grad loss(z) . grad f(q): the effect of one step of gradient descent, in nats per unit
    rate.

    Source: Charpiat et al., Input Similarity from the Neural Network Perspective, NeurIPS 2019.
    """

    def numbers_per_group(self, trained: Trained) -> int:
        """One vector of parameters."""
        return trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The summed descent direction of each group, [G, P]."""
        return {"response_GP": -group_gradients(trained, trained.theta_P, groups)}


@dataclass(frozen=True)
class GradientCosine(Estimator):
    """Cosine between an example's and a query's gradient at the final parameters.

    Sum over the group of -cos(grad loss(z), grad f(q)), with the gradient of a query summed over its rows;
    dimensionless.

    Source: as `GradientDot`.
    """

    def numbers_per_group(self, trained: Trained) -> int:
        """One vector of parameters."""
        return trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The summed unit descent directions of each group, [G, P]."""
        direction_GP = trained.theta_P.new_zeros(groups.count, trained.task.size)
        for indices_B, gradient_BP in example_gradients(trained, trained.theta_P, groups.chosen):
            owner_B = torch.from_numpy(groups.group_N[indices_B]).to(trained.device)
            direction_GP.index_add_(0, owner_B, -torch.nn.functional.normalize(gradient_BP))
        return {"response_GP": direction_GP}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        response_GP = gathered["response_GP"]
        influence_QG = response_GP.new_zeros(len(queries.query_ids), len(response_GP))
        for block in query_gradients(trained.task, trained.theta_P, queries):
            influence_QG[block.queries] = torch.nn.functional.normalize(block.gradient_qP) @ response_GP.T
        return influence_QG

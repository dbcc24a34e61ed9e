"""Gradient dot product and cosine at the final parameters: the simplest estimators that know the model.

Legend: Q queries, G groups, P parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import example_gradients, group_gradients, query_gradients, slopes_along
from tribute.readout import QueryRows


@dataclass(frozen=True)
class GradientDot(Estimator):
    """Dot product of an example's and a query's gradient at the final parameters.

    Sum over the group of -grad loss(z) . grad f(q): what one step of plain gradient descent does, in nats per
    unit rate.

    Source: Charpiat et al., Input Similarity from the Neural Network Perspective, NeurIPS 2019.
    """

    def held(self, trained: Trained) -> int:
        """One vector of parameters."""
        return trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """The summed descent direction of each group, [G, P]."""
        return {"response_GP": -group_gradients(trained, trained.theta_P, groups)}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        return slopes_along(trained.task, trained.theta_P, gathered["response_GP"], queries)


@dataclass(frozen=True)
class GradientCosine(Estimator):
    """Cosine between an example's and a query's gradient at the final parameters.

    Sum over the group of -cos(grad loss(z), grad f(q)), the query's gradient summed over its rows; a pure number.

    Source: as `GradientDot`.
    """

    def held(self, trained: Trained) -> int:
        """One vector of parameters."""
        return trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """The summed unit descent directions of each group, [G, P]."""
        found_GP = trained.theta_P.new_zeros(groups.count, trained.task.size)
        for indices_B, slope_BP in example_gradients(trained, trained.theta_P, groups.chosen):
            owner_B = torch.from_numpy(groups.group_N[indices_B]).to(trained.device)
            found_GP.index_add_(0, owner_B, -torch.nn.functional.normalize(slope_BP))
        return {"response_GP": found_GP}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        response_GP = gathered["response_GP"]
        found_QG = response_GP.new_zeros(len(queries.query_ids), len(response_GP))
        for block in query_gradients(trained.task, trained.theta_P, queries):
            found_QG[block.queries] = torch.nn.functional.normalize(block.slope_qP) @ response_GP.T
        return found_QG

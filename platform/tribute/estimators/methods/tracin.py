"""TracIn: dot products of gradients at states of the training, weighted by learning rate.

Legend: N training examples, C checkpoints, G groups, Q queries, P parameters.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import check_reads, directional_derivatives, group_gradients
from tribute.estimators.replay import rates_over
from tribute.readout import QueryRows


class Checkpoint(NamedTuple):
    """The recorded state before `step`, and the learning-rate mass that it represents."""

    step: int
    mass: float


@dataclass(frozen=True)
class TracIn(Estimator):
    """Dot products of gradients at states of the training, weighted by the learning rate.

    I[q, g] = sum over checkpoints c of (mass_c / N) grad f(theta_c; q) . (-sum of grad loss(theta_c; i in g)).

    A checkpoint represents the steps since the previous one, as in the paper; mass_c is the sum of their learning
    rates. mass_c / N is the mean rate of an example in gradient descent, whatever the batch size, so the unit is
    nats of the whole training. Momentum, Adam's scaling and clipping are ignored. The paper uses the learning rate
    instead of mass_c, which is the same up to a factor if all checkpoints represent equally many steps. As in the
    paper, f is minus the training loss of the query (see `reads`). A query costs one gradient per row and
    checkpoint.

    Source: TracInCP, arXiv 2002.08484.
    """

    checkpoints: int = 10
    """Largest number of recorded states to use; a training records ten and its start. The final state is always
    used, the others are evenly spaced. The cost is proportional to their number."""
    reads: str = "loss"
    """f: `loss` (minus the query's training loss) or `measurement`. The loss emphasises states in which the query
    was still hard. At a single state, a margin and a log-likelihood rank sources alike."""

    def __post_init__(self) -> None:
        if self.checkpoints < 1:
            raise ConfigError(f"tracin: checkpoints is {self.checkpoints}. Set it to at least 1")
        check_reads("tracin", self.reads)

    def numbers_per_group(self, trained: Trained) -> int:
        """A vector of parameters for each checkpoint, and one temporary."""
        return (1 + min(self.checkpoints, len(trained.trajectory.steps()))) * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Weighted descent direction of each group at each checkpoint, [C, G, P]."""
        points = self._points(trained)
        response_CGP = trained.theta_P.new_empty(len(points), groups.count, trained.task.size)
        starts = [0, *(point.step for point in points)]
        for response_GP, point, start in zip(response_CGP, points, starts, strict=False):
            gradient_GP = group_gradients(trained, trained.theta_at(point.step), groups)
            several = bool(trained.recipe.rule.own)
            mass = rates_over(trained, range(start, point.step)) if several else point.mass
            torch.mul(gradient_GP, -mass / len(trained.data), out=response_GP)
        return {"response_CGP": response_CGP}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        response_CGP = gathered["response_CGP"]
        influence_QG = response_CGP.new_zeros(len(queries.query_ids), response_CGP.shape[1])
        for point, response_GP in zip(self._points(trained), response_CGP, strict=True):
            theta_P = trained.theta_at(point.step)
            influence_QG += directional_derivatives(trained.task, theta_P, response_GP, queries, self.reads)
        return influence_QG

    def _points(self, trained: Trained) -> list[Checkpoint]:
        """Choose checkpoints; raises ConfigError if the training has no recorded steps."""
        recorded = trained.trajectory.steps()[1:]
        if not recorded:
            raise ConfigError(
                "tracin needs states of the training, but training.checkpoint holds only the last one. Use "
                "gradient_dot, or record the training with `tribute.training.Recorder`"
            )
        count = min(self.checkpoints, len(recorded))
        chosen = [recorded[(part + 1) * len(recorded) // count - 1] for part in range(count)]
        mass = np.concatenate([[0.0], np.cumsum(trained.recipe.schedule.rates)])[[0, *chosen]]
        return [Checkpoint(step, float(rate_sum)) for step, rate_sum in zip(chosen, np.diff(mass), strict=True)]

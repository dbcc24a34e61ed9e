"""TracIn: gradient dot products at states along the training, weighted by learning rate.

Legend: N training examples, C checkpoints, G groups, Q queries, P parameters.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import check_reads, group_gradients, slopes_along
from tribute.readout import QueryRows


class Checkpoint(NamedTuple):
    """The recorded state before `step`, and the learning-rate mass that it stands for."""

    step: int
    mass: float


@dataclass(frozen=True)
class TracIn(Estimator):
    """Dot products of gradients at states along the training, weighted by the learning rate.

    I[q, g] = sum over checkpoints c of (mass_c / N) grad f(theta_c; q) . (-sum of grad loss(theta_c; i in g)).

    A checkpoint stands for the steps since the one before it, as in the paper; mass_c sums their learning
    rates. Divided by N it is what a step of plain gradient descent gives one example on average, whatever the
    batch size, so that the unit is nats of the whole training. Positive: the group raised f. Momentum, Adam's
    scaling and clipping are not followed. The paper takes the learning rate itself, which is the same up to a
    factor where checkpoints stand for equally many steps. As in the paper, f is minus the query's training loss
    (see `reads`). A query costs a gradient per row and checkpoint.

    Source: TracInCP, arXiv 2002.08484.
    """

    checkpoints: int = 10
    """How many of the recorded states are looked at, at most: a training records ten and its start. The last
    is the final state, the others are evenly chosen; fewer cost less, in `gather` and by query."""
    reads: str = "loss"
    """f: `loss`, minus the query's training loss, or `measurement`. A loss weighs the states in which the query
    was still hard; at one state a margin or log-likelihood orders sources alike."""

    def __post_init__(self) -> None:
        if self.checkpoints < 1:
            raise ConfigError(f"tracin: checkpoints is {self.checkpoints}, but must be at least 1")
        check_reads("tracin", self.reads)

    def held(self, trained: Trained) -> int:
        """A vector of parameters for every checkpoint, and one in the making."""
        return (1 + min(self.checkpoints, len(trained.trajectory.steps()))) * trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """Each group's weighted descent direction at every checkpoint, [C, G, P]."""
        points = self._points(trained)
        response_CGP = trained.theta_P.new_empty(len(points), groups.count, trained.task.size)
        for response_GP, point in zip(response_CGP, points, strict=True):
            slope_GP = group_gradients(trained, trained.state(point.step).theta, groups)
            torch.mul(slope_GP, -point.mass / len(trained.data), out=response_GP)
        return {"response_CGP": response_CGP}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        response_CGP = gathered["response_CGP"]
        found_QG = response_CGP.new_zeros(len(queries.query_ids), response_CGP.shape[1])
        for point, response_GP in zip(self._points(trained), response_CGP, strict=True):
            theta_P = trained.state(point.step).theta
            found_QG += slopes_along(trained.task, theta_P, response_GP, queries, self.reads)
        return found_QG

    def _points(self, trained: Trained) -> list[Checkpoint]:
        """Raises ConfigError for a training that recorded no steps."""
        recorded = trained.trajectory.steps()[1:]
        if not recorded:
            raise ConfigError(
                "tracin looks at states along the training, and training.checkpoint has only the last. Use "
                "gradient_dot, or record the training with `tribute.training.Recorder`"
            )
        count = min(self.checkpoints, len(recorded))
        chosen = [recorded[(part + 1) * len(recorded) // count - 1] for part in range(count)]
        mass = np.concatenate([[0.0], np.cumsum(trained.recipe.schedule.rates)])[[0, *chosen]]
        return [Checkpoint(step, float(own)) for step, own in zip(chosen, np.diff(mass), strict=True)]

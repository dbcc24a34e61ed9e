"""In-Run Data Shapley: the contribution of each group to every training step, evaluated on later queries.

The training is replayed. Each group's parts of the steps are summed within segments of about equal learning-rate
mass, and a query is evaluated at one state of each segment. So neither queries nor single steps must be stored.
With as many segments as steps, the formulas are exact.

Legend: C segments, B examples of a batch, G groups, g of them in a batch, Q queries, R rows, P parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import check_reads, directional_derivatives, gradients_at_once, reader
from tribute.estimators.replay import (
    GroupGradients,
    batch_gradients,
    micro_batches_of,
    rates_over,
    replayed,
    stretches,
)
from tribute.readout import QueryRows
from tribute.tasks import Batch, Parameters, batched, forward_mode, joined
from tribute.training import State, gradient

StepParts = Callable[[int, State], GroupGradients]
"""Callback that returns the part of each group in a step of the parameters, [g, P]."""


@dataclass(frozen=True)
class InRunFirst(Estimator):
    """In-Run Data Shapley, first order: contributions to every training step.

    I[q, g] = sum_t rate_t grad f(theta_t; q) . (-(1/B) sum of grad loss(theta_t; z in the batch and in g)).

    The first-order Taylor term of f along each step; the share of an example is its Shapley value. Unit: nats of
    the whole training under plain SGD (the paper has the sign of a loss). As in the paper, momentum, Adam's
    scaling, clipping and weight decay are ignored; see `InRunOptimizer`. Difference from the paper: queries are
    not known during training, so with fewer segments than steps grad f is evaluated once per segment, at its
    middle. (In small trainings with momentum or Adam, errors at its start are two to six times larger.) A gather
    costs a training, and a backward pass for each group in each batch; a query costs one gradient per row and
    segment.

    Source: arXiv 2406.11011, Theorem 3.
    """

    segments: int = 10
    """Number of segments, at most one per step. More are closer to the formula; each costs a gradient for a query
    and a vector of all parameters for a group."""
    reads: str = "loss"
    """f: `loss` (minus the query's training loss, as in the paper) or `measurement`."""

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise ConfigError(f"in_run: segments is {self.segments}. Set it to at least 1")
        check_reads("in_run", self.reads)

    def numbers_per_group(self, trained: Trained) -> int:
        """A vector of parameters for each segment."""
        return min(self.segments, trained.steps) * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Part of each group in the parameter change of each segment, [C, G, P], and the middle states, [C, P]."""
        rates, step_parts = trained.recipe.schedule.rates, self._step_parts(trained, groups)
        segments = stretches(rates, self.segments)
        reads = {_middle(segment, rates): index for index, segment in enumerate(segments)}
        owner_T = np.repeat(np.arange(len(segments)), [len(s) for s in segments])
        theta_CP = trained.theta_P.new_zeros(len(segments), trained.task.size)
        response_CGP = theta_CP.new_zeros(len(segments), groups.count, trained.task.size)
        for step, state in replayed(trained):
            if step in reads:
                theta_CP[reads[step]] = trained.task.flatten(state.theta)
            present, change_gP = step_parts(step, state)
            response_CGP[owner_T[step]].index_add_(0, present, change_gP)
        return {"theta_CP": theta_CP, "response_CGP": response_CGP}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), gathered["response_CGP"].shape[1])
        for theta_P, response_GP in zip(gathered["theta_CP"], gathered["response_CGP"], strict=True):
            influence_QG += directional_derivatives(trained.task, theta_P, response_GP, queries, self.reads)
        return influence_QG

    def _step_parts(self, trained: Trained, groups: Groups) -> StepParts:
        def plain(step: int, state: State) -> GroupGradients:
            present, gradient_gP = batch_gradients(trained, step, trained.task.flatten(state.theta), groups)
            return GroupGradients(present, -rates_over(trained, range(step, step + 1)) * gradient_gP)

        return plain


@dataclass(frozen=True)
class InRunSecond(InRunFirst):
    """In-Run Data Shapley, second order: examples of a batch also share their interactions.

    `InRunFirst` + sum_t (rate_t^2 / 2) g_g' H_f(theta_t; q) (sum of g_j over the batch), g_j = grad loss_j / B.

    The quadratic Taylor term of f(theta_t - rate_t sum of g_j); Shapley values split each product of two examples
    in halves. H_f is the Hessian of the query's f. Unit: nats. Difference from the paper with fewer segments than
    steps: as in `InRunFirst`, and rate_t times the sum of g_j is averaged over the steps of the segment. (Treating
    a segment as one large step from its start is closer under plain SGD, but errors are two to six times larger
    under momentum or Adam.) A fit costs another training; a query costs about three times as much as in
    `InRunFirst`, whatever the number of groups.

    Source: arXiv 2406.11011, Theorem 4.
    """

    def fit(self, trained: Trained) -> NamedTensors:
        """Mean change of the parameters per step, in each segment, [C, P]."""
        everything = Groups(np.zeros(len(trained.data), dtype=np.int64), 1)
        change_CP = super().gather(trained, {}, everything)["response_CGP"][:, 0]
        steps = [len(segment) for segment in stretches(trained.recipe.schedule.rates, self.segments)]
        return {"step_CP": change_CP / change_CP.new_tensor(steps)[:, None]}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Sum over segments of d_g . grad (f + (df along D) / 2), with D the step of all examples, [Q, G]."""
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), gathered["response_CGP"].shape[1])
        read = reader(trained.task, self.reads)

        def expanded(at_P: Tensor, step_P: Tensor, row: Batch) -> Tensor:
            value, change = forward_mode(lambda theta_P: read(theta_P, row), (at_P,), (step_P,))
            return value + change / 2

        gradients = batched(grad(expanded), (None, None, 0))
        for theta_P, step_P, response_GP in zip(
            gathered["theta_CP"], fitted["step_CP"], gathered["response_CGP"], strict=True
        ):
            for batch, query_R in queries.batches(gradients_at_once(theta_P), trained.device):
                influence_QG.index_add_(0, query_R, gradients(theta_P, step_P, batch) @ response_GP.T)
        return influence_QG


@dataclass(frozen=True)
class InRunOptimizer(InRunFirst):
    """In-Run Data Shapley, first order, through the optimizer: with momentum, scaling and clipping.

    I[q, g] = sum_t grad f(theta_t; q) . d_t,g, where `InRunFirst` has the step of plain SGD.

    d_t,g is the derivative of step t by the weight of the group's examples in all batches up to it. Their
    gradients pass through clipping into the optimizer's momenta, whose derivatives are carried along. The
    parameters at which gradients are taken are fixed, and so is weight decay, which belongs to no group. Under
    plain SGD the result is that of `InRunFirst`; under momentum it is the group's part of each step. Adam cancels
    changes of scale, so the influences of all examples sum to about 0. Unit: nats. Differences from the paper: as
    in `InRunFirst`. In-Run Shapley for Adam (arXiv 2602.00329) fixes the momenta at each step; here earlier
    batches contribute to them. A gather also holds a vector of all parameters per group for each slot of the
    optimizer, and updates each group at each step.

    Source: arXiv 2406.11011, Theorem 3; derivatives of the optimizer's state as in arXiv 2605.18814.
    """

    def numbers_per_group(self, trained: Trained) -> int:
        """As `InRunFirst`, plus two vectors for each slot, for gradients and for changes."""
        slots = len(trained.recipe.rule.optimizer.init(torch.zeros(0)))
        return super().numbers_per_group(trained) + 2 * (slots + 1) * trained.task.size

    def _step_parts(self, trained: Trained, groups: Groups) -> StepParts:
        rule, task = trained.recipe.rule, trained.task
        tangents = [trained.theta_P.new_zeros(groups.count, task.size) for _ in trained.final.slots]
        every = torch.arange(groups.count, device=trained.device)

        def through_optimizer(step: int, state: State) -> GroupGradients:
            slope = gradient(task, state.theta, micro_batches_of(trained, step))
            present, gradient_gP = batch_gradients(trained, step, trained.task.flatten(state.theta), groups)
            gradient_GP = gradient_gP.new_zeros(groups.count, task.size).index_add_(0, present, gradient_gP)
            rate = float(trained.recipe.schedule.rates[step])

            def apply(slope: Parameters, *slots: Parameters) -> State:
                return rule.apply(State(state.theta, slots), slope, rate, step)

            def along(*directions: Parameters) -> tuple[State, State]:
                return forward_mode(apply, (slope, *state.slots), directions)

            after, change = batched(along)(*map(task.pieces, (gradient_GP, *tangents)))
            tangents[:] = [joined(slot, 1) for slot in change.slots]
            # A second moment of 0 has no derivative of its root. Its gradient is 0: the parameter did not change.
            change_GP = joined(change.theta, 1)
            unchanged_GP = change_GP.isnan() & (joined(after.slots[-1], 1) == 0)
            return GroupGradients(every, change_GP.masked_fill(unchanged_GP, 0))

        return through_optimizer


def _middle(segment: range, rates: NDArray[np.float64]) -> int:
    """First step of a segment at which half of its learning-rate mass is reached."""
    mass = np.cumsum(rates[segment.start : segment.stop])
    return segment.start + int(np.searchsorted(mass, mass[-1] / 2))

"""In-Run Data Shapley: what every step of the training owed to each group, read by queries that come later.

The training is run once more. The groups' parts of its steps are summed within stretches of about equal
learning-rate mass ("segments"), and a query is read at one state of each, so that neither queries nor steps
must be kept: with as many segments as steps the formulas are exact.

Legend: C segments, B examples of a batch, G groups, g of them in a batch, Q queries, R rows, P parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, jvp, vmap

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import check_reads, reader, slopes_along, slopes_at_once
from tribute.estimators.replay import Slopes, batch_slopes, parts_of, replayed, stretches
from tribute.readout import QueryRows
from tribute.tasks import Batch
from tribute.training import State, gradient

Moves = Callable[[int, State], Slopes]


@dataclass(frozen=True)
class InRunFirst(Estimator):
    """In-Run Data Shapley, first order: what each step of the training owed to each example.

    I[q, g] = sum_t rate_t grad f(theta_t; q) . (-(1/B) sum of grad loss(theta_t; z in the batch and in g)).

    The first-order Taylor term of f along each step, of which every example's share is its Shapley value.
    Nats of the whole training under plain SGD; positive: the group raised f (the paper's sign is that of a
    loss). As in the paper, momentum, Adam's scaling, clipping and weight decay are not followed: see
    `InRunOptimizer`. Deviation: with fewer segments than steps, grad f is read once a segment, in its middle,
    as queries are not known in training. (Its start is two to six times as far off in small trainings with
    momentum or Adam.) `gather` takes a training and a backward pass per group in each batch, a query a
    gradient per row and segment.

    Source: arXiv 2406.11011, Theorem 3.
    """

    segments: int = 10
    """Stretches of the training at each of which a query is read, at most one a step: more are closer to the
    formula, and cost as many gradients a query and vectors of all parameters a group."""
    reads: str = "loss"
    """f: `loss`, minus the query's training loss, as in the paper, or `measurement`."""

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise ConfigError(f"in_run: segments is {self.segments}, but must be at least 1")
        check_reads("in_run", self.reads)

    def held(self, trained: Trained) -> int:
        """A vector of parameters for every segment."""
        return min(self.segments, trained.steps) * trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """How far each group moved the parameters in every segment, [C, G, P], and where it is read, [C, P]."""
        rates, moves = trained.recipe.schedule.rates, self._moves(trained, groups)
        segments = stretches(rates, self.segments)
        reads = {_middle(segment, rates): index for index, segment in enumerate(segments)}
        owner_T = np.repeat(np.arange(len(segments)), [len(s) for s in segments])
        theta_CP = trained.theta_P.new_zeros(len(segments), trained.task.size)
        response_CGP = theta_CP.new_zeros(len(segments), groups.count, trained.task.size)
        for step, state in replayed(trained):
            if step in reads:
                theta_CP[reads[step]] = state.theta
            present, move_gP = moves(step, state)
            response_CGP[owner_T[step]].index_add_(0, present, move_gP)
        return {"theta_CP": theta_CP, "response_CGP": response_CGP}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), gathered["response_CGP"].shape[1])
        for theta_P, response_GP in zip(gathered["theta_CP"], gathered["response_CGP"], strict=True):
            found_QG += slopes_along(trained.task, theta_P, response_GP, queries, self.reads)
        return found_QG

    def _moves(self, trained: Trained, groups: Groups) -> Moves:
        def plain(step: int, state: State) -> Slopes:
            present, slope_gP = batch_slopes(trained, step, state.theta, groups)
            return Slopes(present, -float(trained.recipe.schedule.rates[step]) * slope_gP)

        return plain


@dataclass(frozen=True)
class InRunSecond(InRunFirst):
    """In-Run Data Shapley, second order: the examples of a batch also share what they do together.

    `InRunFirst` + sum_t (rate_t^2 / 2) g_g' H_f(theta_t; q) (sum of g_j over the batch), g_j = grad loss_j / B.

    The quadratic Taylor term of f(theta_t - rate_t sum of g_j), of which Shapley values share every product
    of two examples in halves; H_f is the Hessian of the query's f. Nats; positive: the group raised f.
    Deviation with fewer segments than steps: as in `InRunFirst`, and rate_t times the sum of g_j is the mean
    over the segment's steps, so that no step is kept. (A segment as one big step from its start is closer
    under plain SGD, but two to six times as far off under momentum or Adam.) `fit` takes a training more, a
    query about three times what `InRunFirst` takes, however many groups.

    Source: arXiv 2406.11011, Theorem 4.
    """

    def fit(self, trained: Trained) -> Kept:
        """How far all examples together moved the parameters in a mean step of every segment, [C, P]."""
        everything = Groups(np.zeros(len(trained.data), dtype=np.int64), 1)
        moved_CP = super().gather(trained, {}, everything)["response_CGP"][:, 0]
        steps = [len(segment) for segment in stretches(trained.recipe.schedule.rates, self.segments)]
        return {"step_CP": moved_CP / moved_CP.new_tensor(steps)[:, None]}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """Sum over segments of d_g . grad (f + (d f along D) / 2), with D the step of all examples; [Q, G]."""
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), gathered["response_CGP"].shape[1])

        read = reader(trained.task, self.reads)

        def expanded(at_P: Tensor, step_P: Tensor, row: Batch) -> Tensor:
            found = jvp(lambda theta_P: read(theta_P, row), (at_P,), (step_P,))
            return found[0] + found[1] / 2

        slopes = vmap(grad(expanded), in_dims=(None, None, 0))
        for theta_P, step_P, response_GP in zip(
            gathered["theta_CP"], fitted["step_CP"], gathered["response_CGP"], strict=True
        ):
            for batch, query_R in queries.batches(slopes_at_once(theta_P), trained.device):
                found_QG.index_add_(0, query_R, slopes(theta_P, step_P, batch) @ response_GP.T)
        return found_QG


@dataclass(frozen=True)
class InRunOptimizer(InRunFirst):
    """In-Run Data Shapley, first order, through the optimizer: its momentum, its scaling and its clipping count.

    I[q, g] = sum_t grad f(theta_t; q) . d_t,g, where `InRunFirst` has the step of plain SGD.

    d_t,g is the derivative of step t by the weight of the group's examples in all batches up to it: their
    gradients pass through clipping and into the optimizer's momenta, whose derivatives are carried along; the
    parameters that gradients are taken at are held, and so is weight decay, which belongs to no group. With
    plain SGD it is `InRunFirst`, with momentum the part of every step that is the group's. Adam undoes a
    change of scale, so that under it the influences of all examples sum to about 0: groups differ by their
    direction. Nats; positive: the group raised f. Deviations: as in `InRunFirst`, and from In-Run Shapley for
    Adam (2602.00329), which holds the momenta at each step, where here earlier batches count in them.
    `gather` holds one vector of all parameters a group besides for each of the optimizer's slots, and moves
    every group at every step.

    Source: arXiv 2406.11011, Theorem 3; derivatives of the optimizer's state as in arXiv 2605.18814.
    """

    def held(self, trained: Trained) -> int:
        """As `InRunFirst`; besides two vectors for every slot, gradients and moves."""
        slots = len(trained.recipe.rule.optimizer.init(torch.zeros(0)))
        return super().held(trained) + 2 * (slots + 1) * trained.task.size

    def _moves(self, trained: Trained, groups: Groups) -> Moves:
        tangents = [trained.theta_P.new_zeros(groups.count, trained.task.size) for _ in trained.final.slots]
        every = torch.arange(groups.count, device=trained.device)

        def moved(step: int, state: State) -> Slopes:
            slope_P = gradient(trained.task, state.theta, parts_of(trained, step))
            present, slope_gP = batch_slopes(trained, step, state.theta, groups)
            slope_GP = torch.zeros_like(slope_P).repeat(groups.count, 1).index_add_(0, present, slope_gP)
            rate = float(trained.recipe.schedule.rates[step])

            def apply(slope_P: Tensor, *slots: Tensor) -> State:
                return trained.recipe.rule.apply(State(state.theta, slots), slope_P, rate, step)

            def along(*directions: Tensor) -> tuple[State, State]:
                after, change = jvp(apply, (slope_P, *state.slots), directions)[:2]
                return after, change

            after, change = vmap(along)(slope_GP, *tangents)
            tangents[:] = change.slots
            # The root of a second moment of 0 has no derivative: no gradient came through, and nothing moved.
            still_GP = change.theta.isnan() & (after.slots[-1] == 0)
            return Slopes(every, change.theta.masked_fill(still_GP, 0))

        return moved


def _middle(segment: range, rates: NDArray[np.float64]) -> int:
    """The step of a segment in which half of its learning-rate mass is reached."""
    mass = np.cumsum(rates[segment.start : segment.stop])
    return segment.start + int(np.searchsorted(mass, mass[-1] / 2))

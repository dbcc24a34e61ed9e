"""Influence through the optimizer's own update along the recorded training, and how far it may be off.

Legend: T steps, B examples of a micro-batch, G groups, K of them at once, P parameters.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from tribute.errors import ConfigError, SimulationError
from tribute.estimators.estimator import Groups, NamedTensors, Trained
from tribute.estimators.gradients import ResponseEstimator
from tribute.estimators.replay import group_weights, micro_batches_of, replayed
from tribute.tasks import Parameters, combined, joined, kept_bytes, square, total
from tribute.training import State, advance, advance_tangents

CURVATURES = ("gauss_newton", "hessian")
KEPT = 3
"""Activations at the peak of a step, as a multiple of those that a forward pass keeps."""


class _Course(NamedTuple):
    """Some groups between two steps.

    `tangents`: derivatives of the state by the weight of each group, [K, ...]. `slots`: the optimizer's, with
    all groups (row 0) and without each, [1 + K, ...]. `missed_K`: length of what the tangents have missed.
    """

    groups: Groups
    tangents: State
    slots: tuple[Parameters, ...]
    missed_K: Tensor


@dataclass(frozen=True)
class AdamWInfluence(ResponseEstimator):
    """Influence through the optimizer's own update along the recorded training, with a proxy of its error.

    I[q, g] = grad f(theta_T; q) . r_T,g: the nats that f(q) loses without the group, to first order.

    r is the derivative of the parameters by the weight of the group's examples in all batches. Parameters and
    momenta have a derivative each; every step carries them through the optimizer's update, clipping and weight
    decay included, and adds the group's gradient and the curvature along r. This works for every optimizer that
    `training` can name. At `horizon` 1, responses to sources equal those of the simulation `mode: tangent,
    curvature: gauss_newton, horizon: 1.0`, by the same code. What is added: groups of any examples, recorded
    states that are read again, and the proxy. The full text of the paper was not at hand. As far as is known, it
    multiplies the steps' transitions with the queries, from the end backwards; here each group's response is
    carried forward, which gives the same product. The proxy is our own.

    `error_G`, gathered, is a proxy of |error of r_T| / |r_T| without retraining. Each step is also taken from the
    predicted parameters theta_t - r_t without the group, with momenta from such steps. `error_G` adds up the
    lengths of what these steps change differently from r, and divides by |r_T|. At 0, the prediction is the
    training without the group. It bounds the error in convex trainings by plain SGD at rates below 2 / the largest
    curvature. Elsewhere it is no bound, but ranks trainings and groups. It sees neither what a shorter `horizon`
    leaves out nor how f bends between theta_T and theta_T - r_T. In float32, rounding adds up to about 1e-7 T
    |theta_T| / |r_T|, which counts for single examples of long trainings.

    For each group and step, a gather costs a Gauss-Newton product and two gradients, more than a training without
    the group. Single examples, and sums over them, are what it is for. A query costs its gradient.

    Source: arXiv 2605.18814; forward mode as in arXiv 2511.19803.
    """

    horizon: float = 1.0
    """Last part of the training that responds to a group, as a share of the learning-rate mass."""
    curvature: str = "gauss_newton"
    """`gauss_newton` (as in the paper) is never negative and keeps long trainings bounded; `hessian` is the exact
    derivative. Both are the same for a linear model with squared loss or cross-entropy."""
    activation_bytes: int = 2**29
    """Bytes for the activations of several groups at once."""

    def __post_init__(self) -> None:
        if not 0 < self.horizon <= 1 or self.activation_bytes < 1:
            raise ConfigError(
                f"adamw_influence: horizon is {self.horizon:g} and activation_bytes {self.activation_bytes}. Set "
                "horizon above 0, up to 1, and activation_bytes to at least 1"
            )
        if self.curvature not in CURVATURES:
            raise ConfigError(
                f"adamw_influence: curvature is {self.curvature!r}. Set it to one of {', '.join(CURVATURES)}"
            )

    def numbers_per_group(self, trained: Trained) -> int:
        """Four states, of parameters and slots, and four vectors of parameters on the way."""
        slots = len(trained.recipe.rule.optimizer.init(torch.zeros(0)))
        return (4 * (1 + slots) + 4) * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The response of each group, [G, P], and the proxy of its relative error, [G].

        Raises:
            ConfigError: the training is a bare checkpoint without steps.
            SimulationError: a response is no longer finite; names the step.
        """
        courses: list[_Course] = []
        for step, state in replayed(trained, trained.recipe.horizon_start(self.horizon)):
            courses = courses or self._begin(trained, step, state, groups)
            courses = [self._advance(trained, step, state, course) for course in courses]
        response_GP = torch.cat([joined(course.tangents.theta, 1) for course in courses])
        missed_G = torch.cat([course.missed_K for course in courses])
        error_G = torch.where(missed_G == 0, 0, missed_G / response_GP.norm(dim=1))
        return {"response_GP": response_GP, "error_G": error_G.nan_to_num(nan=torch.inf)}

    def _begin(self, trained: Trained, step: int, state: State, groups: Groups) -> list[_Course]:
        """As many groups at once as `activation_bytes` allows; none has responded yet."""
        batch, theta_P = micro_batches_of(trained, step)[0].batch, trained.task.flatten(state.theta)
        if self.curvature == "gauss_newton":
            trained.task.find_output(state.theta, batch)
        kept = kept_bytes(lambda at_P: trained.task.losses(at_P, batch), theta_P)
        at_once = max(1, self.activation_bytes // (KEPT * max(1, kept)))
        courses = []
        for first in range(0, groups.count, at_once):
            part = groups.part(first, min(first + at_once, groups.count))
            theta, *slots = (
                combined(lambda value, rows=part.count: value.new_zeros(rows, *value.shape), named)
                for named in (state.theta, *state.slots)
            )
            own = tuple(
                combined(lambda value, rows=1 + part.count: value.expand(rows, *value.shape), slot)
                for slot in state.slots
            )
            courses.append(_Course(part, State(theta, tuple(slots)), own, theta_P.new_zeros(part.count)))
        return courses

    def _advance(self, trained: Trained, step: int, state: State, course: _Course) -> _Course:
        """A step of the tangents, and of the predicted parameters beside the recorded ones."""
        task, rule, rate = trained.task, trained.recipe.rule, float(trained.recipe.schedule.rates[step])
        micro_batches, tangents = micro_batches_of(trained, step), course.tangents
        changes = group_weights(trained, step, course.groups)
        after = advance_tangents(
            task,
            rule,
            _smooth(state),
            tangents,
            micro_batches,
            changes,
            rate,
            step,
            gauss_newton=self.curvature == "gauss_newton",
        )
        finite_K = torch.isfinite(total(after.theta, 1))
        if not finite_K.all():
            raise SimulationError(
                f"adamw_influence: responses of {int((~finite_K).sum())} of {len(finite_K)} groups are no longer "
                f"finite at step {step} of {trained.steps}. Set curvature to gauss_newton, shorten the horizon, "
                "or train with eps_root above 0"
            )
        start = combined(lambda value, change: value - _after_zero(change), state.theta, tangents.theta)
        without = [
            each._replace(weights=each.weights - _after_zero(change_KB))
            for each, change_KB in zip(micro_batches, changes, strict=True)
        ]
        end = advance(task, rule, State(start, course.slots), without, rate, step)
        missed = combined(_missed, start, end.theta, tangents.theta, after.theta)
        return _Course(course.groups, after, end.slots, course.missed_K + square(missed, 1).sqrt())


def _after_zero(rows: Tensor) -> Tensor:
    """Rows after one of zeros, [1 + K, ...]."""
    return pad(rows, (0, 0) * (rows.dim() - 1) + (1, 0))


def _missed(start: Tensor, end: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """What a group changed in a step, less what its tangent changed, [K, ...]; row 0 has all groups."""
    moved = end - start
    return (moved[0] - moved[1:]) - (after - before)


def _smooth(state: State) -> State:
    """The state with second moments above 0. At 0, where no gradient ever was, their root has no derivative."""
    if len(state.slots) < 2:
        return state
    first, second = state.slots
    return State(state.theta, (first, combined(lambda v: v.clamp(min=torch.finfo(v.dtype).tiny), second)))

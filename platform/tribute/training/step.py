"""One training step as a pure function x[t+1] = Phi_t(x[t], w), for one trajectory or many, and its derivative.

Legend: K trajectories, B examples of a micro-batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.func import grad

from tribute.tasks import (
    Batch,
    Losses,
    Parameters,
    batched,
    beside,
    combined,
    forward_mode,
    gradient_at,
    one_by_one,
    seeded,
    square,
)
from tribute.training.optimizers import AtRates, Optimizer, overwrite

NORM_FLOOR = 1e-30
"""Added to a squared norm, so that the norm of a zero gradient has a derivative."""


class State(NamedTuple):
    """x_t: parameters by name, [..., *shape] each, and the optimizer's slots, each of the same shapes."""

    theta: Parameters
    slots: tuple[Parameters, ...]

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """All tensors by name, for a file: `theta.NAME`, `slot0.NAME`, ..., each with the prefix."""
        parts = {"theta": self.theta} | {f"slot{index}": slot for index, slot in enumerate(self.slots)}
        return {f"{prefix}{part}.{name}": value for part, named in parts.items() for name, value in named.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], prefix: str = "") -> "State":
        """The state whose `tensors` these are."""
        parts = dict[str, dict[str, Tensor]]()
        for name, value in tensors.items():
            if name.startswith(prefix):
                part, _, own = name.removeprefix(prefix).partition(".")
                parts.setdefault(part, {})[own] = value
        return cls(parts.pop("theta"), tuple(parts[part] for part in sorted(parts)))


class MicroBatch(NamedTuple):
    """Examples of one forward and backward pass, their weights, [..., B], and a seed for dropout."""

    batch: Batch
    weights: Tensor
    seed: int = 0


@dataclass(frozen=True)
class UpdateRule:
    """Effect of a gradient on a state: a pull towards an anchor, clipping, then the optimizer, tensor by tensor.

    g <- g + damping (theta - anchor); g <- g min(1, clip_norm / (|g| + 1e-6)), as torch clips. `own` holds the
    optimizers of parameters that do not follow `optimizer`, by name.
    """

    optimizer: Optimizer
    clip_norm: float | None = None
    damping: float = 0.0
    anchor: Parameters | None = None
    own: Mapping[str, Optimizer] = field(default_factory=dict)

    def optimizer_of(self, name: str) -> Optimizer:
        """The optimizer of a parameter."""
        return self.own.get(name, self.optimizer)

    def rate_of(self, name: str, rate: float, step: int) -> float:
        """The learning rate of a parameter at a step at which `optimizer` has `rate`."""
        own = self.own.get(name)
        return own.rate(step) if isinstance(own, AtRates) else rate

    def begin(self, theta: Parameters) -> State:
        """The state before the first step."""
        slots = [self.optimizer_of(name).init(value) for name, value in theta.items()]
        return State(theta, tuple(dict(zip(theta, each, strict=True)) for each in zip(*slots, strict=True)))

    def pulled(self, theta: Parameters, gradient: Parameters) -> Parameters:
        """Gradient plus the pull towards the anchor, before clipping."""
        if self.anchor is None or not self.damping:
            return gradient
        anchor, damping = self.anchor, self.damping
        return {name: slope + damping * (theta[name] - anchor[name]) for name, slope in gradient.items()}

    def apply(
        self,
        state: State,
        gradient: Parameters,
        rate: float,
        step: int,
        rest_square: Tensor | float = 0.0,
        leading: int = 0,
        *,
        consume: bool = False,
    ) -> State:
        """Return the state after the step.

        Args:
            rate: learning rate.
            step: number of the step, from 0.
            rest_square: squared norm of the pulled gradient of parameters outside `state`, for clipping.
            leading: 1 for trajectories, which are clipped one by one; 0 for one state.
            consume: use up `state` and `gradient`: their dicts are emptied on the way, and the state's tensors are
                overwritten.
        """
        gradient = self.pulled(state.theta, gradient)
        shrunk = None if self.clip_norm is None else self._shrunk(gradient, rest_square, leading)
        theta, slots = dict[str, Tensor](), tuple(dict[str, Tensor]() for _ in state.slots)
        for name in [*state.theta]:
            value, slope, *before = (
                cast(dict[str, Tensor], named).pop(name) if consume else named[name]
                for named in (state.theta, gradient, *state.slots)
            )
            optimizer, slots_before = self.optimizer_of(name), tuple(before)
            if consume:
                factor = value.new_ones(1, 1) if shrunk is None else shrunk.view(-1, 1)
                theta[name], after = overwrite(optimizer, value, slope, slots_before, factor, rate, step)
            else:
                slope = slope if shrunk is None else slope * beside(shrunk, value)
                theta[name], after = optimizer.update(value, slope, slots_before, rate, step)
            for slot, moved in zip(slots, after, strict=True):
                slot[name] = moved
        return State(theta, slots)

    def _shrunk(self, gradient: Parameters, rest_square: Tensor | float, leading: int) -> Tensor:
        """The factor that clips the gradient of every trajectory, [..., 1]: a number alone has a wider tangent."""
        assert self.clip_norm is not None
        norm = (square(gradient, leading)[..., None] + rest_square + NORM_FLOOR).sqrt()
        return (self.clip_norm / (norm + 1e-6)).clamp(max=1)


def weighted_loss(task: Losses, theta: Parameters, batch: Batch, weights_B: Tensor) -> Tensor:
    """L_t(theta; w) = (1/B) sum_i w_i l_i(theta), scalar, nats.

    B does not depend on the weights: an example of weight 0 drops out and leaves the other terms unchanged.
    """
    losses_B = task.losses_at(theta, batch)
    return (weights_B.to(losses_B.dtype) * losses_B).mean()


def gradient(task: Losses, theta: Parameters, micro_batches: Sequence[MicroBatch]) -> Parameters:
    """Gradient of the mean over micro-batches of the weighted loss, of the shapes of `theta`.

    Shapes: theta [*shape] and weights [B], or theta [K, *shape] and weights [K, B]. Trajectories share examples.
    """

    def of_micro_batch(micro_batch: MicroBatch) -> Parameters:
        def loss(theta: Parameters, weights_B: Tensor) -> Tensor:
            with seeded(micro_batch.seed, weights_B.device):
                return weighted_loss(task, theta, micro_batch.batch, weights_B)

        def alone(theta: Parameters, weights_B: Tensor) -> Parameters:
            return gradient_at(lambda at: loss(at, weights_B), theta)

        if micro_batch.weights.dim() == 1:
            return alone(theta, micro_batch.weights)
        if task.autocasts:
            return cast(Parameters, one_by_one(alone, 0, dict(theta), micro_batch.weights))
        found = task.gradients_at(theta, micro_batch.batch, micro_batch.weights, micro_batch.seed)
        return cast(Parameters, batched(alone)(dict(theta), micro_batch.weights)) if found is None else found

    found = of_micro_batch(micro_batches[0])
    for micro_batch in micro_batches[1:]:
        found = combined(torch.add, found, of_micro_batch(micro_batch))
    return found if len(micro_batches) == 1 else {name: each / len(micro_batches) for name, each in found.items()}


def advance(
    task: Losses,
    rule: UpdateRule,
    state: State,
    micro_batches: Sequence[MicroBatch],
    rate: float,
    step: int,
    rest_square: Tensor | float = 0.0,
    *,
    consume: bool = False,
) -> State:
    """Phi_t: the state after one step, of one trajectory or of an ensemble.

    Args:
        consume: see `UpdateRule.apply`.
    """
    leading = micro_batches[0].weights.dim() - 1
    slope = gradient(task, state.theta, micro_batches)
    return rule.apply(state, slope, rate, step, rest_square, leading, consume=consume)


def gauss_newton_product(
    task: Losses, theta: Parameters, direction: Parameters, micro_batches: Sequence[MicroBatch]
) -> Parameters:
    """Gauss-Newton product G v. G averages J' H J: J is the model's Jacobian, H the loss's Hessian by outputs."""
    products = []
    for micro_batch in micro_batches:

        def forward(theta: Parameters, micro_batch: MicroBatch = micro_batch) -> Tensor:
            with seeded(micro_batch.seed, micro_batch.weights.device):
                return task.outputs_at(theta, micro_batch.batch)

        def loss(output: Tensor, micro_batch: MicroBatch = micro_batch) -> Tensor:
            losses_B = task.losses_of_outputs(output, micro_batch.batch)
            return (micro_batch.weights.to(losses_B.dtype) * losses_B).mean()

        outputs, change = forward_mode(forward, (dict(theta),), (dict(direction),))
        curved = forward_mode(grad(loss), (outputs,), (change,))[1]
        products.append(
            grad(lambda theta, curved=curved, forward=forward: (forward(theta) * curved).sum())(dict(theta))
        )
    return combined(lambda *each: sum(each[1:], each[0]) / len(each), *products)


def advance_tangents(
    task: Losses,
    rule: UpdateRule,
    state: State,
    tangents: State,
    micro_batches: Sequence[MicroBatch],
    changes: Sequence[Tensor],
    rate: float,
    step: int,
    *,
    gauss_newton: bool = False,
    rest_square: Tensor | float = 0.0,
) -> State:
    """Derivatives of Phi_t along K directions at once; the primal is computed once.

    r' = d Phi_t / d x . r + d Phi_t / d w . change

    Args:
        state: the primal x_t.
        tangents: the directions r, with a leading K.
        micro_batches: examples of the step with the primal weights, [B] each.
        changes: directions of the weights in every micro-batch, [K, B] each.
        gauss_newton: replace the loss's Hessian by the Gauss-Newton matrix, which is positive semidefinite.
        rest_square: see `UpdateRule.apply`.
    """

    def of_weights(*weights: Tensor) -> list[MicroBatch]:
        return [micro_batch._replace(weights=w) for micro_batch, w in zip(micro_batches, weights, strict=True)]

    def one(theta_dot: Parameters, slots_dot: tuple[Parameters, ...], *change: Tensor) -> State:
        weights = tuple(micro_batch.weights for micro_batch in micro_batches)
        if gauss_newton:
            curved = gauss_newton_product(task, state.theta, theta_dot, micro_batches)
            slope = gradient(task, state.theta, micro_batches)
            gradient_dot = combined(torch.add, curved, gradient(task, state.theta, of_weights(*change)))
        else:
            slope, gradient_dot = forward_mode(
                lambda theta, *w: gradient(task, theta, of_weights(*w)),
                (state.theta, *weights),
                (theta_dot, *change),
            )
        after = forward_mode(
            lambda theta, slots, slope: rule.apply(State(theta, slots), slope, rate, step, rest_square),
            (state.theta, state.slots, slope),
            (theta_dot, slots_dot, gradient_dot),
        )[1]
        return State(*after)

    return batched(one)(tangents.theta, tangents.slots, *changes)

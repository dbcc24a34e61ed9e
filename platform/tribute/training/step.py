"""One training step as a pure function x[t+1] = Phi_t(x[t], w), for one trajectory or many, and its derivative.

Legend: P parameters, K trajectories, B examples of a micro-batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad

from tribute.tasks import Batch, Losses, batched, forward_mode
from tribute.training.optimizers import Optimizer, Slots

NORM_FLOOR = 1e-30
"""Added to a squared norm, so that the norm of a zero gradient has a derivative."""


class State(NamedTuple):
    """x_t: parameters, [..., P], and the optimizer's slots, each of the same shape."""

    theta: Tensor
    slots: Slots


class MicroBatch(NamedTuple):
    """Examples of one forward and backward pass, their weights, [..., B], and a seed for dropout."""

    batch: Batch
    weights: Tensor
    seed: int = 0


@dataclass(frozen=True)
class UpdateRule:
    """Effect of a gradient on a state: a pull towards an anchor, clipping, then the optimizer.

    g <- g + damping (theta - anchor); g <- g min(1, clip_norm / (|g| + 1e-6)), as torch clips.
    """

    optimizer: Optimizer
    clip_norm: float | None = None
    damping: float = 0.0
    anchor: Tensor | float = 0.0

    def pulled(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """Gradient plus the pull towards the anchor, before clipping."""
        return gradient + self.damping * (theta - self.anchor) if self.damping else gradient

    def apply(
        self, state: State, gradient: Tensor, rate: float, step: int, rest_square: Tensor | float = 0.0
    ) -> State:
        """Return the state after the step.

        Args:
            rate: learning rate.
            step: number of the step, from 0.
            rest_square: squared norm of the pulled gradient of parameters outside `state`, for clipping.
        """
        gradient = self.pulled(state.theta, gradient)
        if self.clip_norm is not None:
            norm = (gradient.square().sum(-1, keepdim=True) + rest_square + NORM_FLOOR).sqrt()
            gradient = gradient * (self.clip_norm / (norm + 1e-6)).clamp(max=1)
        return State(*self.optimizer.update(state.theta, gradient, state.slots, rate, step))


def weighted_loss(task: Losses, theta_P: Tensor, batch: Batch, weights_B: Tensor) -> Tensor:
    """L_t(theta; w) = (1/B) sum_i w_i l_i(theta), scalar, nats.

    B does not depend on the weights: an example of weight 0 drops out and leaves the other terms unchanged.
    """
    losses_B = task.losses(theta_P, batch)
    return (weights_B.to(losses_B.dtype) * losses_B).mean()


@contextmanager
def seeded(micro_batch: MicroBatch, device: torch.device) -> Iterator[None]:
    """Draw the same dropout for a micro-batch in every trajectory and replay; restores torch's generator."""
    generator = torch.default_generator
    if device.type == "cuda":
        generator = torch.cuda.default_generators[device.index or torch.cuda.current_device()]
    before = generator.get_state()
    generator.manual_seed(micro_batch.seed)
    try:
        yield
    finally:
        generator.set_state(before)


def gradient(task: Losses, theta: Tensor, micro_batches: Sequence[MicroBatch]) -> Tensor:
    """Gradient of the mean over micro-batches of the weighted loss, of the shape of `theta`.

    Shapes: theta [P] and weights [B], or theta [K, P] and weights [K, B]; trajectories share the examples.
    """

    def of_micro_batch(micro_batch: MicroBatch) -> Tensor:
        def loss(theta_P: Tensor, weights_B: Tensor) -> Tensor:
            with seeded(micro_batch, theta_P.device):
                return weighted_loss(task, theta_P, micro_batch.batch, weights_B)

        of = grad(loss) if theta.ndim == 1 else batched(grad(loss))
        return of(theta, micro_batch.weights)

    total = of_micro_batch(micro_batches[0])
    for micro_batch in micro_batches[1:]:
        total = total + of_micro_batch(micro_batch)
    return total if len(micro_batches) == 1 else total / len(micro_batches)


def advance(
    task: Losses,
    rule: UpdateRule,
    state: State,
    micro_batches: Sequence[MicroBatch],
    rate: float,
    step: int,
    rest_square: Tensor | float = 0.0,
) -> State:
    """Phi_t: the state after one step, of one trajectory or of an ensemble."""
    return rule.apply(state, gradient(task, state.theta, micro_batches), rate, step, rest_square)


def gauss_newton_product(
    task: Losses, theta_P: Tensor, direction_P: Tensor, micro_batches: Sequence[MicroBatch]
) -> Tensor:
    """Gauss-Newton product G v. G averages J' H J: J is the model's Jacobian, H the loss's Hessian by outputs."""
    total = None
    for micro_batch in micro_batches:

        def forward(theta: Tensor, micro_batch: MicroBatch = micro_batch) -> Tensor:
            with seeded(micro_batch, theta.device):
                return task.outputs(theta, micro_batch.batch)

        def loss(output: Tensor, micro_batch: MicroBatch = micro_batch) -> Tensor:
            losses_B = task.losses_of_outputs(output, micro_batch.batch)
            return (micro_batch.weights.to(losses_B.dtype) * losses_B).mean()

        outputs, change = forward_mode(forward, (theta_P,), (direction_P,))
        curved = forward_mode(grad(loss), (outputs,), (change,))[1]
        product = grad(lambda theta, curved=curved, forward=forward: (forward(theta) * curved).sum())(theta_P)
        total = product if total is None else total + product
    assert total is not None
    return total / len(micro_batches)


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
        state: the primal x_t, theta [P].
        tangents: the directions r, theta [K, P] and slots of the same shape.
        micro_batches: examples of the step with the primal weights, [B] each.
        changes: directions of the weights in every micro-batch, [K, B] each.
        gauss_newton: replace the loss's Hessian by the Gauss-Newton matrix, which is positive semidefinite.
        rest_square: see `UpdateRule.apply`.
    """

    def of_weights(*weights: Tensor) -> list[MicroBatch]:
        return [micro_batch._replace(weights=w) for micro_batch, w in zip(micro_batches, weights, strict=True)]

    def one(theta_dot: Tensor, slots_dot: Slots, *change: Tensor) -> State:
        weights = tuple(micro_batch.weights for micro_batch in micro_batches)
        if gauss_newton:
            curved = gauss_newton_product(task, state.theta, theta_dot, micro_batches)
            slope = gradient(task, state.theta, micro_batches)
            gradient_dot = curved + gradient(task, state.theta, of_weights(*change))
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

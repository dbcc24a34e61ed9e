"""One training step as a pure function x[t+1] = Phi_t(x[t], w), for one trajectory or many, and its derivative.

Legend: P parameters, K trajectories, B examples of a part of the batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from tribute.tasks import Batch, Losses
from tribute.training.optimizers import Optimizer, Slots

TINY = 1e-30
"""Under the root of a norm: the norm of a zero gradient has a derivative."""


class State(NamedTuple):
    """x_t: parameters [..., P] and the optimizer's slots, each shaped like them."""

    theta: Tensor
    slots: Slots


class MicroBatch(NamedTuple):
    """Examples whose gradient is computed in one go, the weight of each, [..., B], and a seed for dropout."""

    batch: Batch
    weights: Tensor
    seed: int = 0


@dataclass(frozen=True)
class UpdateRule:
    """What a gradient does to a state: a pull towards an anchor, clipping, then the optimizer.

    g <- g + damping (theta - anchor); g <- g min(1, clip_norm / (|g| + 1e-6)), as torch clips.
    """

    optimizer: Optimizer
    clip_norm: float | None = None
    damping: float = 0.0
    anchor: Tensor | float = 0.0

    def pulled(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """The gradient with the pull towards the anchor: what is clipped."""
        return gradient + self.damping * (theta - self.anchor) if self.damping else gradient

    def apply(
        self, state: State, gradient: Tensor, rate: float, step: int, rest_square: Tensor | float = 0.0
    ) -> State:
        """The state after the step.

        Args:
            rest_square: squared norm of the pulled gradient of parameters that are not in `state`, for clipping.
        """
        gradient = self.pulled(state.theta, gradient)
        if self.clip_norm is not None:
            norm = (gradient.square().sum(-1, keepdim=True) + rest_square + TINY).sqrt()
            gradient = gradient * (self.clip_norm / (norm + 1e-6)).clamp(max=1)
        return State(*self.optimizer.update(state.theta, gradient, state.slots, rate, step))


def weighted_loss(task: Losses, theta_P: Tensor, batch: Batch, weights_B: Tensor) -> Tensor:
    """L_t(theta; w) = (1/B) sum_i w_i l_i(theta), scalar, nats.

    B does not follow the weights: an example of weight 0 is absent and the rest is as it was.
    """
    losses_B = task.losses(theta_P, batch)
    return (weights_B.to(losses_B.dtype) * losses_B).mean()


@contextmanager
def seeded(part: MicroBatch, device: torch.device) -> Iterator[None]:
    """The same dropout for a part in every trajectory and replay; torch's global generator stays as it is."""
    generator = torch.default_generator
    if device.type == "cuda":
        generator = torch.cuda.default_generators[device.index or torch.cuda.current_device()]
    before = generator.get_state()
    generator.manual_seed(part.seed)
    try:
        yield
    finally:
        generator.set_state(before)


def gradient(task: Losses, theta: Tensor, parts: Sequence[MicroBatch]) -> Tensor:
    """Gradient of the mean of the parts' weighted losses, shaped like `theta`.

    Shapes: theta [P] and weights [B], or theta [K, P] and weights [K, B]; examples are shared.
    """

    def of_part(part: MicroBatch) -> Tensor:
        def loss(theta_P: Tensor, weights_B: Tensor) -> Tensor:
            with seeded(part, theta_P.device):
                return weighted_loss(task, theta_P, part.batch, weights_B)

        of = grad(loss) if theta.ndim == 1 else vmap(grad(loss), randomness="same")
        return of(theta, part.weights)

    total = of_part(parts[0])
    for part in parts[1:]:
        total = total + of_part(part)
    return total if len(parts) == 1 else total / len(parts)


def advance(
    task: Losses,
    rule: UpdateRule,
    state: State,
    parts: Sequence[MicroBatch],
    rate: float,
    step: int,
    rest_square: Tensor | float = 0.0,
) -> State:
    """Phi_t: the state after one step, of one trajectory or of each in a stack."""
    return rule.apply(state, gradient(task, state.theta, parts), rate, step, rest_square)


def gauss_newton_product(
    task: Losses, theta_P: Tensor, direction_P: Tensor, parts: Sequence[MicroBatch]
) -> Tensor:
    """G v with G the mean over the parts of J' H J: J the model's Jacobian, H the Hessian of loss by output."""
    total = None
    for part in parts:

        def forward(theta: Tensor, part: MicroBatch = part) -> Tensor:
            with seeded(part, theta.device):
                return task.outputs(theta, part.batch)

        def loss(output: Tensor, part: MicroBatch = part) -> Tensor:
            losses_B = task.losses_of_outputs(output, part.batch)
            return (part.weights.to(losses_B.dtype) * losses_B).mean()

        outputs, moved = jvp(forward, (theta_P,), (direction_P,))[:2]
        curved = jvp(grad(loss), (outputs,), (moved,))[1]
        product = grad(lambda theta, curved=curved, forward=forward: (forward(theta) * curved).sum())(theta_P)
        total = product if total is None else total + product
    assert total is not None
    return total / len(parts)


def advance_tangents(
    task: Losses,
    rule: UpdateRule,
    state: State,
    tangents: State,
    parts: Sequence[MicroBatch],
    changes: Sequence[Tensor],
    rate: float,
    step: int,
    *,
    gauss_newton: bool = False,
    rest_square: Tensor | float = 0.0,
) -> State:
    """Derivatives of Phi_t along K directions, all at once; the primal is computed once.

    r' = d Phi_t / d x . r + d Phi_t / d w . change

    Args:
        state: the primal x_t, theta [P].
        tangents: the directions r, theta [K, P] and slots alike.
        parts: the step's examples with the primal weights, [B] each.
        changes: the direction of the weights in every part, [K, B] each.
        gauss_newton: replace the loss's Hessian by the Gauss-Newton matrix, which is never negative.
    """

    def of_weights(*weights: Tensor) -> list[MicroBatch]:
        return [part._replace(weights=w) for part, w in zip(parts, weights, strict=True)]

    def one(theta_dot: Tensor, slots_dot: Slots, *change: Tensor) -> State:
        weights = tuple(part.weights for part in parts)
        if gauss_newton:
            curved = gauss_newton_product(task, state.theta, theta_dot, parts)
            slope = gradient(task, state.theta, parts)
            slope_dot = curved + gradient(task, state.theta, of_weights(*change))
        else:
            slope, slope_dot = jvp(
                lambda theta, *w: gradient(task, theta, of_weights(*w)),
                (state.theta, *weights),
                (theta_dot, *change),
            )[:2]
        moved = jvp(
            lambda theta, slots, slope: rule.apply(State(theta, slots), slope, rate, step, rest_square),
            (state.theta, state.slots, slope),
            (theta_dot, slots_dot, slope_dot),
        )[1]
        return State(*moved)

    return vmap(one, randomness="same")(tangents.theta, tangents.slots, *changes)

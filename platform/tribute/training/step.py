"""One training step as a pure function x[t+1] = Phi_t(x[t], w), for one trajectory or many.

Legend: P parameters, K trajectories, B examples of the batch.
"""

from typing import NamedTuple

from torch import Tensor
from torch.func import grad, vmap

from tribute.tasks import Batch, FlatTask
from tribute.training.optimizers import Optimizer, Slots


class State(NamedTuple):
    """x_t: parameters [..., P] and the optimizer's slots, each shaped like them."""

    theta: Tensor
    slots: Slots


def weighted_loss(task: FlatTask, theta_P: Tensor, batch: Batch, weights_B: Tensor) -> Tensor:
    """L_t(theta; w) = (1/B) sum_i w_i l_i(theta), scalar, nats.

    B does not follow the weights: an example of weight 0 is absent and the rest is as it was.
    """
    losses_B = task.losses(theta_P, batch)
    return (weights_B.to(losses_B.dtype) * losses_B).mean()


def advance(
    task: FlatTask, optimizer: Optimizer, state: State, batch: Batch, weights: Tensor, rate: float, step: int
) -> State:
    """Phi_t: the state after one step.

    Shapes: theta [P] and weights [B], or theta [K, P] and weights [K, B]; the batch is shared.
    """

    def loss(theta_P: Tensor, weights_B: Tensor) -> Tensor:
        return weighted_loss(task, theta_P, batch, weights_B)

    gradient_of = grad(loss) if state.theta.ndim == 1 else vmap(grad(loss))
    gradient = gradient_of(state.theta, weights)
    return State(*optimizer.update(state.theta, gradient, state.slots, rate, step))

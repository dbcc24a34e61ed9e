"""Influence functions with the Gauss-Newton matrix, by conjugate gradients for all groups at once.

Legend: N training examples, B of a micro-batch, G groups, Q queries, P parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Groups, NamedTensors, Trained
from tribute.estimators.gradients import ResponseEstimator, drawn_examples, group_gradients, query_gradients
from tribute.estimators.methods.curvature.reach import Stretch, reach_over
from tribute.readout import QueryRows
from tribute.tasks import batched, joined, kept_bytes
from tribute.training import MicroBatch
from tribute.training.optimizers import Sgd, at_the_end
from tribute.training.step import gauss_newton_product

SOLVED = 1e-6
"""Part of a right-hand side's square that may be left where rounding decides on the sign of a curvature."""

SEGMENTS = 3
"""Parts of a training with a curvature each, in the paper's runs: a direction is learnt within one, or hardly."""
UNKNOWN_REACH = 0.01
"""Damping where the steps are unknown, or are Adam's: what dattri publishes for MNIST."""
SOLVE_FOR = ("groups", "queries")


class System(NamedTuple):
    """Products with a symmetric matrix, [G, P] to [G, P], and an approximate inverse of it, if there is one."""

    product: Callable[[Tensor], Tensor]
    precondition: Callable[[Tensor], Tensor] | None = None

    def solved(self, right_GP: Tensor, iterations: int) -> Tensor:
        """By conjugate gradients, [G, P]; see `solve`."""
        return solve(self.product, right_GP, iterations, self.precondition)


class SolvedEstimator(ResponseEstimator, Protocol):
    """An estimator that solves with a matrix for the gradient of each group, or for that of each query."""

    @property
    def iterations(self) -> int:
        """Products of a solution."""
        ...

    @property
    def solve_for(self) -> str:
        """One of `SOLVE_FOR`."""
        ...

    def system(self, trained: Trained, fitted: NamedTensors) -> System:
        """The matrix at the final parameters."""
        ...

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The response of each group, [G, P], and its relative residual, [G]; or, for queries, gradients alone."""
        right_GP = group_gradients(trained, trained.theta_P, groups) / -len(trained.data)
        if self.solve_for == "queries":
            return {"right_GP": right_GP}
        system = self.system(trained, fitted)
        response_GP = system.solved(right_GP, self.iterations)
        return {
            "response_GP": response_GP,
            "residual_G": relative_residual(system.product, response_GP, right_GP),
        }

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        if self.solve_for == "groups":
            return super().influence(trained, fitted, gathered, queries)
        system, right_GP = self.system(trained, fitted), gathered["right_GP"]
        influence_QG = right_GP.new_zeros(len(queries.query_ids), len(right_GP))
        for block in query_gradients(trained.task, trained.theta_P, queries):
            influence_QG[block.queries] = system.solved(block.gradient_qP, self.iterations) @ right_GP.T
        return influence_QG


@dataclass(frozen=True)
class ConjugateGradient(SolvedEstimator):
    """Influence function with the inverse of the Gauss-Newton matrix, by conjugate gradients.

    I[q, g] = -(1/N) grad f(q) . (G + lambda)^-1 sum over the group of grad loss(z): the nats that f(q) loses
    without the group.

    G is the Gauss-Newton matrix of the mean training loss at the final parameters. Iterations start at 0, so a
    small number of them also damps. Each right-hand side has its own search directions, so a group equals the sum
    of its examples only if `residual_G` of all of them is 0. A gather costs `iterations` forward and backward
    passes over `examples` for each group; a query costs its gradient.

    Source: Koh and Liang, arXiv 1703.04730 (conjugate gradients); Martens, arXiv 1412.1193 (G).
    """

    damping: float | None = None
    """lambda, nats per squared unit of theta; null: 3/s after gradient descent whose rates, with momentum, sum to
    s, and 0.01 otherwise. Within a third of the training, descent hardly changes directions of curvature below
    3/s (arXiv 2405.12186). LDS of halves: logistic regression .69 (0.2/s), .76 (1/s), .78 (2.4/s), a smooth MLP
    .52 (0.8/s), .56 (2/s), .60 (6/s). Leave-one-out prefers less: .82 (1/s), .80 (2.4/s)."""
    iterations: int = 10
    """Number of products with G."""
    examples: int = 1000
    """Number of randomly drawn training examples that G averages over. On 5,000 images, 1,000 examples give the
    same LDS (.54) as all of them, at a fifth of the cost."""
    rows: int = 256
    """Largest number of examples in a micro-batch."""
    product_bytes: int = 2**29
    """Bytes for products with the directions of several groups at once."""
    solve_for: str = "groups"
    """`queries` solves for the gradient of each query instead, as the matrix is symmetric: cheaper where there are
    fewer queries than groups. A gather then costs the gradient of each group, and a query the products."""

    def __post_init__(self) -> None:
        check_solve_for("conjugate_gradient", self.solve_for)
        numbers = (self.iterations, self.examples, self.rows, self.product_bytes)
        if (self.damping is not None and self.damping <= 0) or min(numbers) < 1:
            raise ConfigError(
                f"conjugate_gradient: damping is {self.damping}, iterations {self.iterations}, examples "
                f"{self.examples}, rows {self.rows} and product_bytes {self.product_bytes}. Set damping above 0 "
                "or to null, and the others to at least 1"
            )

    def numbers_per_group(self, trained: Trained) -> int:
        """Six vectors of parameters: five of the solver, and one to spare."""
        return 6 * trained.task.size

    def system(self, trained: Trained, fitted: NamedTensors) -> System:
        """The damped matrix; iterations start at 0."""
        damping = damping_of(trained) if self.damping is None else self.damping
        return System(damped_gauss_newton(trained, damping, self.examples, self.rows, self.product_bytes))


def check_solve_for(method: str, solve_for: str) -> None:
    """Check that `solve_for` is one of `SOLVE_FOR`; raises ConfigError."""
    if solve_for not in SOLVE_FOR:
        raise ConfigError(f"{method}: solve_for is {solve_for!r}. Set it to one of {', '.join(SOLVE_FOR)}")


def damping_of(trained: Trained) -> float | Tensor:
    """`SEGMENTS` (1 - momentum) / sum of rates of each parameter, [P], after SGD; else `UNKNOWN_REACH`."""
    optimizers = [at_the_end(trained.recipe.rule.optimizer_of(name)) for name in trained.task.shapes]
    if not trained.steps or not all(isinstance(optimizer, Sgd) for optimizer in optimizers):
        return UNKNOWN_REACH
    return reach_over(trained, [Stretch(trained.steps, range(trained.steps))]).reciprocal() * SEGMENTS


def damped_gauss_newton(
    trained: Trained, damping: float | Tensor, examples: int, rows: int, product_bytes: int
) -> Callable[[Tensor], Tensor]:
    """(G + damping) v for each row v of a [G, P]; G is that of the mean loss at the final parameters.

    Args:
        damping: a number, or the diagonal of a matrix, [P].
        examples: number of randomly drawn training examples. rows: most of them in a micro-batch.
        product_bytes: bytes for several rows at once.
    """
    task, theta_P = trained.task.evaluated, trained.theta_P
    micro_batches = _micro_batches(trained, examples, rows)
    theta = task.pieces(theta_P)
    task.find_output(theta, micro_batches[0].batch)
    kept = kept_bytes(lambda at_P: task.outputs(at_P, micro_batches[0].batch), theta_P)
    bytes_each = 2 * (kept + theta_P.numel() * theta_P.element_size())  # a tangent and a cotangent
    at_once = max(1, product_bytes // bytes_each)

    def one(direction_P: Tensor) -> Tensor:
        product = gauss_newton_product(task, theta, task.pieces(direction_P), micro_batches)
        return joined(product) + damping * direction_P

    return batched(one, chunk_size=at_once)


def solve(
    product: Callable[[Tensor], Tensor],
    right_GP: Tensor,
    iterations: int,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Conjugate gradients for every row of the right-hand side.

    Args:
        precondition: an approximate inverse of `product`, symmetric and positive; iterations start at its
            solution, which costs one more product. Without one they start at 0.

    Raises:
        ConfigError: the curvature along a direction is negative, so no minimum is approached.
    """
    if precondition is None:
        solution_GP, residual_GP, precondition = torch.zeros_like(right_GP), right_GP, _unchanged
    else:
        solution_GP = precondition(right_GP)
        residual_GP = right_GP - product(solution_GP) if iterations else right_GP
    direction_GP = near_GP = precondition(residual_GP)
    square_G = (residual_GP * near_GP).sum(1)
    first_G = square_G
    for _ in range(iterations):
        product_GP = product(direction_GP)
        curvature_G = (direction_GP * product_GP).sum(1)
        bent_G = (curvature_G < 0) & (square_G > SOLVED * first_G)
        if bent_G.any():
            least = float((curvature_G / direction_GP.square().sum(1).clamp(min=1e-30))[bent_G].min())
            raise ConfigError(
                "The training loss is not convex in the model's outputs: with the damping, its curvature along a "
                f"direction of this training is {least:.3g}. Raise the option damping by more than {-least:.3g}, "
                "or use another estimator, such as for_value"
            )
        rate_G = _ratio(square_G, curvature_G)
        solution_GP = solution_GP + rate_G[:, None] * direction_GP
        residual_GP = residual_GP - rate_G[:, None] * product_GP
        near_GP, before_G = precondition(residual_GP), square_G
        square_G = (residual_GP * near_GP).sum(1)
        direction_GP = near_GP + _ratio(square_G, before_G)[:, None] * direction_GP
    return solution_GP


def relative_residual(product: Callable[[Tensor], Tensor], solution_GP: Tensor, right_GP: Tensor) -> Tensor:
    """|right - product(solution)| / |right| of each row, [G]; 0 where the right-hand side is 0."""
    return _ratio((right_GP - product(solution_GP)).norm(dim=1), right_GP.norm(dim=1))


def _micro_batches(trained: Trained, examples: int, rows: int) -> list[MicroBatch]:
    """The drawn examples, weighted so that the mean over micro-batches equals the mean over examples."""
    chosen = drawn_examples(trained, examples)
    cut = np.array_split(chosen, -(-len(chosen) // rows))
    micro_batches = []
    for indices_B in cut:
        batch, _ = trained.data.batch(indices_B, trained.device)
        weight = len(cut) * len(indices_B) / len(chosen)
        micro_batches.append(MicroBatch(batch, trained.theta_P.new_full((len(indices_B),), weight)))
    return micro_batches


def _unchanged(vector_GP: Tensor) -> Tensor:
    return vector_GP


def _ratio(above_G: Tensor, below_G: Tensor) -> Tensor:
    """above / below, or 0 where below is 0."""
    return torch.where(below_G > 0, above_G / below_G, 0)

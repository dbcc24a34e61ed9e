"""TRAK: a kernel machine on randomly projected gradients, averaged over models.

Legend: N training examples, B of a batch, M models, G groups, g of them in a batch, Q queries, P parameters,
k dimensions after projection.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import EXAMPLES_AT_ONCE, directional_derivatives, example_gradients
from tribute.estimators.projection import Projection, check_entries, shared_projection
from tribute.readout import QueryRows
from tribute.training import TrainingSet

DIMENSION = 2048
ROUNDING_ULPS = 16
"""Units in the last place of 1 below which a loss, and so its gradient, counts as rounding."""


@dataclass(frozen=True)
class Trak(Estimator):
    """A kernel machine on randomly projected gradients, over one or more models (TRAK).

    Sum over the group of [mean_m phi_q (Phi' Phi + lambda I)^-1 phi_i] [mean_m (1 - p_i)].

    Training examples have phi_i = A' grad log(p_i / (1 - p_i)), p_i = exp(-loss). For `ByteLm`, whose loss is a
    mean per byte, p_i is the geometric mean of the probabilities of the bytes. A is random and differs between
    models. Unit: approximately the nats that the query's measurement loses without the group.

    Differences from the paper:
    - phi_q = A' grad of the task's measurement. For a margin, this is the paper's. For a log-likelihood, it
      differs by the factor 1 - p of each row, so influences are changes of the measurement.
    - The first model is the valued one, trained on all examples; only further models are trained on subsets.
    - lambda, which the paper omits (see `damping`), and random signs instead of normals (see `entries`).
    - An example whose loss is 0 up to rounding has no influence.
    - No soft threshold, which is not additive over a group; the authors' code has none either.

    Source: arXiv 2303.14186, Algorithm 1.
    """

    models: int = 1
    """M. More models reduce noise; each further one must be trained. The paper uses up to 100."""
    subset: float = 0.5
    """Share of the examples that each further model is trained on, for the same number of epochs."""
    dimension: int | None = None
    """k. Default: 2048, or half the number of examples if that is less. With at least as many dimensions as
    parameters, nothing is projected."""
    damping: float = 1.0
    """lambda as a multiple of the mean eigenvalue of Phi' Phi. The paper does not damp, with k far below N. With k
    close to N, small eigenvalues are noise, and without damping they dominate the influences."""
    seed: int = 0
    """Seed of projections, subsets and further models."""
    entries: str = "rademacher"
    """Entries of the projections: `rademacher` (random signs: bit-identical on every machine, faster) or
    `gaussian`."""

    def __post_init__(self) -> None:
        check_entries(self.entries)
        if self.models < 1 or not 0 < self.subset <= 1 or self.damping < 0 or self.seed < 0:
            raise ConfigError(
                f"trak: models is {self.models}, subset {self.subset}, damping {self.damping} and seed "
                f"{self.seed}. Set models to at least 1, subset above 0 and to at most 1, damping and seed to at "
                "least 0"
            )
        if self.dimension is not None and self.dimension < 1:
            raise ConfigError(f"trak: dimension is {self.dimension}. Set it to at least 1")

    def fit(self, trained: Trained) -> NamedTensors:
        """Parameters of all models [M, P], their 1 - p_i [M, N], and Cholesky factors of the kernels [M, k, k].

        Raises:
            ConfigError: the loss is not -log p, a kernel is singular, or further models cannot be trained.
        """
        theta_MP = torch.stack([trained.theta_P, *(self._further(trained, m) for m in range(1, self.models))])
        doubt_MN = torch.stack([_doubts(trained, theta_P) for theta_P in theta_MP])
        factors = [
            self._factor(trained, theta_MP[m], doubt_MN[m], self._projection(trained, m))
            for m in range(self.models)
        ]
        return {"theta_MP": theta_MP, "doubt_MN": doubt_MN, "factor_Mkk": torch.stack(factors)}

    def numbers_per_group(self, trained: Trained) -> int:
        """A vector of parameters for each model, and one temporary."""
        return (1 + self.models) * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """A (Phi' Phi + lambda I)^-1 applied to the sum of phi_i mean_m (1 - p_i) over each group, [M, G, P].

        A is applied here once, not to every query.
        """
        theta_MP, doubt_MN = fitted["theta_MP"], fitted["doubt_MN"]
        weight_MN = doubt_MN.mean(0) * _inverse(doubt_MN)
        response_MGP = theta_MP.new_empty(self.models, groups.count, trained.task.size)
        for m, response_GP in enumerate(response_MGP):
            projection = self._projection(trained, m)
            sum_Gk = _summed(trained, theta_MP[m], groups, -weight_MN[m], projection)
            solved_kG = torch.cholesky_solve(sum_Gk.double().T, fitted["factor_Mkk"][m])
            response_GP.copy_(projection.lifted(solved_kG.T.to(sum_Gk)))
        return {"response_MGP": response_MGP}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class. A query costs a backward pass per row and model."""
        response_MGP = gathered["response_MGP"]
        influence_QG = response_MGP.new_zeros(len(queries.query_ids), response_MGP.shape[1])
        for theta_P, response_GP in zip(fitted["theta_MP"], response_MGP, strict=True):
            influence_QG += directional_derivatives(trained.task, theta_P, response_GP, queries)
        return influence_QG / self.models

    def _projection(self, trained: Trained, model: int) -> Projection:
        most = max(1, len(trained.data) // 2)
        chosen = min(DIMENSION, most) if self.dimension is None else self.dimension
        return shared_projection(trained.task.size, chosen, (self.seed, model), self.entries)

    def _further(self, trained: Trained, model: int) -> Tensor:
        recipe, data = trained.recipe, trained.data
        if trained.steps == 0 or recipe.recording is not None:
            raise ConfigError(
                "trak: further models need a training that tribute can repeat, but this model was trained "
                "elsewhere. Set models to 1"
            )
        rng = np.random.default_rng([recipe.seed, self.seed, model])
        kept = np.sort(rng.permutation(len(data))[: max(1, round(self.subset * len(data)))])
        columns = {name: values[kept] for name, values in data.columns.items()}
        part = TrainingSet(data.source_ids, data.source_N[kept], columns)
        further = replace(recipe, data=part, seed=int(rng.integers(2**31)))
        everything = torch.ones(len(data.source_ids))
        return recipe.task.flatten(further.run(further.initial(), range(further.steps), everything).theta)

    def _factor(self, trained: Trained, theta_P: Tensor, doubt_N: Tensor, projection: Projection) -> Tensor:
        size = projection.outputs
        kernel_kk = torch.zeros(size, size, dtype=torch.float64, device=theta_P.device)
        for indices_B, gradient_BP in example_gradients(trained, theta_P, np.arange(len(trained.data))):
            phi_Bk = projection(gradient_BP * _inverse(doubt_N)[indices_B, None]).double()
            kernel_kk += phi_Bk.T @ phi_Bk
        kernel_kk.diagonal().add_(self.damping * kernel_kk.trace() / size)
        factor_kk, failed = torch.linalg.cholesky_ex(kernel_kk)
        if failed or (self.damping == 0 and size > len(trained.data)):
            raise ConfigError(
                f"trak: the kernel of {len(trained.data)} examples in {size} dimensions is singular. "
                "Raise damping or lower dimension"
            )
        return factor_kk


def _doubts(trained: Trained, theta_P: Tensor) -> Tensor:
    """1 - p of each example, [N].

    Raises:
        ConfigError: a loss is negative.
    """
    parts, task = [], trained.task.evaluated
    for begin in range(0, len(trained.data), EXAMPLES_AT_ONCE):
        indices_B = np.arange(begin, min(begin + EXAMPLES_AT_ONCE, len(trained.data)))
        batch, _ = trained.data.batch(indices_B, trained.device)
        with torch.no_grad():
            parts.append(-torch.expm1(-task.losses(theta_P, batch)))
    doubt_N = torch.cat(parts)
    if (doubt_N < -_rounding(doubt_N)).any():
        raise ConfigError(
            "trak: some training losses are negative, so they are not -log of a probability. "
            "Use another estimator, such as gradient_dot"
        )
    return doubt_N


def _inverse(doubt: Tensor) -> Tensor:
    """1 / (1 - p), or 0 where 1 - p is rounding; grad log(p / (1 - p)) is -grad loss times this."""
    return torch.where(doubt > _rounding(doubt), 1 / doubt, 0)


def _rounding(doubt: Tensor) -> float:
    return ROUNDING_ULPS * torch.finfo(doubt.dtype).eps


def _summed(trained: Trained, theta_P: Tensor, groups: Groups, weight_N: Tensor, to: Projection) -> Tensor:
    """Projected sums of weight x gradient over each group, [G, k]; sums are projected, since they are fewer."""
    sum_Gk = theta_P.new_zeros(groups.count, to.outputs)
    for indices_B, gradient_BP in example_gradients(trained, theta_P, groups.chosen):
        present, place_B = np.unique(groups.group_N[indices_B], return_inverse=True)
        sum_gP = gradient_BP.new_zeros(len(present), gradient_BP.shape[1])
        place = torch.from_numpy(place_B).to(trained.device)
        sum_gP.index_add_(0, place, gradient_BP * weight_N[indices_B, None])
        sum_Gk[present] += to(sum_gP)
    return sum_Gk

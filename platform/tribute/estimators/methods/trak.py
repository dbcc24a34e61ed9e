"""TRAK: a kernel machine on randomly projected gradients, averaged over models.

Legend: N training examples, B of a batch, M models, G groups, g of them in a batch, Q queries, P parameters,
k of them after projection.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import SUMMED, example_gradients, slopes_along
from tribute.estimators.projection import Projection, check_entries, shared_projection
from tribute.readout import QueryRows
from tribute.training import TrainingSet

DIMENSION = 2048
CERTAIN = 16
"""Units in the last place of 1 below which a loss is rounding, and its gradient too."""


@dataclass(frozen=True)
class Trak(Estimator):
    """A kernel machine on randomly projected gradients, over one or more models (TRAK).

    Sum over the group of [mean_m phi_q (Phi' Phi + lambda I)^-1 phi_i] [mean_m (1 - p_i)].

    Training examples have phi_i = A' grad log(p_i / (1 - p_i)), p_i = exp(-loss): for `ByteLm`, whose loss is
    a mean per byte, p_i is the geometric mean of the bytes' probabilities. A is random, new for each model.
    Unit: about the nats that the query's measurement would lose without the group; positive: it helped.

    Beyond the paper, or other than it:
    - phi_q = A' grad of the task's own measurement, whatever it is. For a margin, that is the paper's. For a
      log-likelihood it differs by the factor 1 - p of each row: what is told is the loss of the measurement.
    - The first model is the one at hand, trained on everything; only further ones see a part of the examples.
    - lambda, which the paper leaves out (see `damping`), and random signs for normals (see `entries`).
    - An example whose loss is 0 up to rounding has no influence.
    - No soft threshold: it would not add up over a group, and the authors' own code does not have it.

    Source: arXiv 2303.14186, Algorithm 1.
    """

    models: int = 1
    """M; more are less noisy, and each further one is trained anew. The paper's figures are for up to 100."""
    subset: float = 0.5
    """Part of the examples, drawn anew for each further model, on which it is trained for as many epochs."""
    dimension: int | None = None
    """k. Default: 2048, or half as many as examples where that is less. As many as parameters, or more:
    nothing is projected."""
    damping: float = 1.0
    """lambda as a multiple of the mean eigenvalue of Phi' Phi. The paper has none, with k far below N; with k
    near N the small eigenvalues are noise, and undamped they make up most of the influence."""
    seed: int = 0
    """Of projections, subsets and further models."""
    entries: str = "rademacher"
    """Of projections: `rademacher` (signs: the same on every machine to the bit, faster) or `gaussian`."""

    def __post_init__(self) -> None:
        check_entries(self.entries)
        if self.models < 1 or not 0 < self.subset <= 1 or self.damping < 0 or self.seed < 0:
            raise ConfigError(
                "trak: models is 1 or more, subset above 0 and up to 1, damping and seed 0 or more; got "
                f"{self.models}, {self.subset}, {self.damping} and {self.seed}"
            )
        if self.dimension is not None and self.dimension < 1:
            raise ConfigError(f"trak: dimension is at least 1; got {self.dimension}")

    def fit(self, trained: Trained) -> Kept:
        """Further models [M, P], all models' 1 - p_i [M, N], and Cholesky factors of the kernels, [M, k, k].

        Raises:
            ConfigError: the loss is not -log p, the kernel singular, or further models cannot be trained.
        """
        theta_MP = torch.stack([trained.theta_P, *(self._further(trained, m) for m in range(1, self.models))])
        doubt_MN = torch.stack([_doubts(trained, theta_P) for theta_P in theta_MP])
        factors = [
            self._factor(trained, theta_MP[m], doubt_MN[m], self._projection(trained, m))
            for m in range(self.models)
        ]
        return {"theta_MP": theta_MP, "doubt_MN": doubt_MN, "factor_Mkk": torch.stack(factors)}

    def held(self, trained: Trained) -> int:
        """A vector of parameters for every model, and one in the making."""
        return (1 + self.models) * trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """A (Phi' Phi + lambda I)^-1 of each group's sum of phi_i mean_m (1 - p_i), [M, G, P].

        A is taken here, once, rather than of every query.
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

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]. A query costs a backward pass a row for every model."""
        response_MGP = gathered["response_MGP"]
        found_QG = response_MGP.new_zeros(len(queries.query_ids), response_MGP.shape[1])
        for theta_P, response_GP in zip(fitted["theta_MP"], response_MGP, strict=True):
            found_QG += slopes_along(trained.task, theta_P, response_GP, queries)
        return found_QG / self.models

    def _projection(self, trained: Trained, model: int) -> Projection:
        most = max(1, len(trained.data) // 2)
        chosen = min(DIMENSION, most) if self.dimension is None else self.dimension
        return shared_projection(trained.task.size, chosen, (self.seed, model), self.entries)

    def _further(self, trained: Trained, model: int) -> Tensor:
        recipe, data = trained.recipe, trained.data
        if trained.steps == 0 or recipe.recording is not None:
            raise ConfigError(
                "trak: further models are trained as `training` says, but this model was trained elsewhere. "
                "Set models to 1"
            )
        rng = np.random.default_rng([recipe.seed, self.seed, model])
        kept = np.sort(rng.permutation(len(data))[: max(1, round(self.subset * len(data)))])
        columns = {name: values[kept] for name, values in data.columns.items()}
        part = TrainingSet(data.source_ids, data.source_N[kept], columns)
        further = replace(recipe, data=part, seed=int(rng.integers(2**31)))
        everything = torch.ones(len(data.source_ids))
        return further.run(further.initial(), range(further.steps), everything).theta

    def _factor(self, trained: Trained, theta_P: Tensor, doubt_N: Tensor, projection: Projection) -> Tensor:
        size = projection.outputs
        kernel_kk = torch.zeros(size, size, dtype=torch.float64, device=theta_P.device)
        for indices_B, slope_BP in example_gradients(trained, theta_P, np.arange(len(trained.data))):
            phi_Bk = projection(slope_BP * _inverse(doubt_N)[indices_B, None]).double()
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
    """1 - p of every example, [N].

    Raises:
        ConfigError: a loss is negative.
    """
    found, task = [], trained.task.evaluated
    for begin in range(0, len(trained.data), SUMMED):
        indices_B = np.arange(begin, min(begin + SUMMED, len(trained.data)))
        batch, _ = trained.data.batch(indices_B, trained.device)
        with torch.no_grad():
            found.append(-torch.expm1(-task.losses(theta_P, batch)))
    doubt_N = torch.cat(found)
    if (doubt_N < -_rounding(doubt_N)).any():
        raise ConfigError(
            "trak: the training loss of some examples is negative, so it is not -log of a probability. "
            "Use another estimator, such as gradient_dot"
        )
    return doubt_N


def _inverse(doubt: Tensor) -> Tensor:
    """1 / (1 - p), and 0 where 1 - p is rounding: grad log(p / (1 - p)) is -grad loss times this."""
    return torch.where(doubt > _rounding(doubt), 1 / doubt, 0)


def _rounding(doubt: Tensor) -> float:
    return CERTAIN * torch.finfo(doubt.dtype).eps


def _summed(trained: Trained, theta_P: Tensor, groups: Groups, weight_N: Tensor, to: Projection) -> Tensor:
    """Projected sums over each group of weight x gradient, [G, k]; sums come first, as they are fewer."""
    found_Gk = theta_P.new_zeros(groups.count, to.outputs)
    for indices_B, slope_BP in example_gradients(trained, theta_P, groups.chosen):
        present, place_B = np.unique(groups.group_N[indices_B], return_inverse=True)
        sum_gP = slope_BP.new_zeros(len(present), slope_BP.shape[1])
        place = torch.from_numpy(place_B).to(trained.device)
        sum_gP.index_add_(0, place, slope_BP * weight_N[indices_B, None])
        found_Gk[present] += to(sum_gP)
    return found_Gk

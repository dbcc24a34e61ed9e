"""TrackStar: cosines of gradients after scaling by the optimizer, projection and whitening.

Legend: N training examples, B of a batch, G groups, Q queries, P parameters, d dimensions after projection in all
blocks, c in one block.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.gradients import example_gradients, query_gradients
from tribute.estimators.projection import BlockProjection, check_entries
from tribute.readout import QueryRows
from tribute.training.optimizers import Adam, at_the_end


@dataclass(frozen=True)
class TrackStar(Estimator):
    """Cosine of gradients after scaling by the optimizer, projection and whitening (TrackStar).

    Sum over the group of G(z) . G(q), with G = R^-1/2 A(gradient / sqrt(V)), normalised.

    Gradients are those of -loss(z) and of the measurement f(q). V is the optimizer's second moment. A is a
    two-sided random projection of each parameter matrix. R = mu R_eval + (1 - mu) R_train has a block for each
    parameter matrix; R_train is the mean of A(.) A(.)' over training losses, R_eval over measurements. Unit: a
    cosine per example. The method is designed to find the examples behind an answer.

    Differences from the paper:
    - R_eval uses measurements of the training examples: queries are unknown when R is fitted, and an influence
      must not depend on other queries.
    - V is Adam's, with bias correction and the optimizer's eps. SGD and bare checkpoints have none, so V is the
      mean square of the examples' gradients. Parameters with V = 0 are omitted.
    - All trainable parameters are used, vectors as matrices of one row. A side of at most `rank` is not projected.
    - R is damped, since it is singular with fewer examples than dimensions. Random signs replace normals.

    Source: arXiv 2410.17413.
    """

    rank: int = 16
    """Rows and columns of each parameter matrix after projection; the paper has 65,536 dimensions in total."""
    mixing: float | None = None
    """mu. Default: sigma_train / (sigma_eval + sigma_train), eigenvalues of both parts of R at `common`."""
    common: float = 1 / 64
    """Share of the largest eigenvalues that represent what examples have in common; 1,000 of 65,536 in the paper.
    Only for the default of `mixing`."""
    damping: float = 1.0
    """Added to R, as a multiple of the mean eigenvalue of each block. The paper does not damp."""
    seed: int = 0
    """Seed of the projections."""
    entries: str = "rademacher"
    """Entries of the projections: `rademacher` (random signs: bit-identical on every machine, faster) or
    `gaussian`."""

    def __post_init__(self) -> None:
        check_entries(self.entries)
        if self.rank < 1 or self.seed < 0 or self.damping <= 0:
            raise ConfigError(
                f"trackstar: rank is {self.rank}, damping {self.damping} and seed {self.seed}. Set rank to at "
                "least 1, damping above 0, and seed to at least 0"
            )
        if not 0 < self.common <= 1 or not 0 <= (self.mixing or 0) <= 1:
            raise ConfigError(
                f"trackstar: common is {self.common} and mixing {self.mixing}. Set common above 0 and to at most "
                "1, and mixing from 0 to 1"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """1 / sqrt(V) [P], mu, and R^-1/2 of every block, [c, c].

        Raises:
            ConfigError: the measurement cannot be evaluated on training examples, and `mixing` is not 0.
        """
        scale_P = _scale(trained)
        everything = np.arange(len(trained.data))
        losses = (gradient_BP for _, gradient_BP in example_gradients(trained, trained.theta_P, everything))
        projection = self._projection(trained)
        train = _second_moments(projection, scale_P, losses)
        if self.mixing == 0:
            mixed, mixing = train, 0.0
        else:
            evaluated = _second_moments(projection, scale_P, _measurement_gradients(trained))
            mixing = self._mixing(train, evaluated)
            mixed = [mixing * e + (1 - mixing) * t for e, t in zip(evaluated, train, strict=True)]
        roots = {f"root{b}_cc": self._inverse_root(block).to(scale_P) for b, block in enumerate(mixed)}
        return {"scale_P": scale_P, "mixing": scale_P.new_tensor(mixing), **roots}

    def numbers_per_group(self, trained: Trained) -> int:
        """A projected vector."""
        return sum(self._projection(trained).sizes)

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Sum of G(z) over each group, [G, d]."""
        projection = self._projection(trained)
        direction_Gd = trained.theta_P.new_zeros(groups.count, sum(projection.sizes))
        for indices_B, gradient_BP in example_gradients(trained, trained.theta_P, groups.chosen):
            owner_B = torch.from_numpy(groups.group_N[indices_B]).to(trained.device)
            direction_Gd.index_add_(0, owner_B, _directions(projection, fitted, -gradient_BP))
        return {"direction_Gd": direction_Gd}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class. A query costs a backward pass per row and a projection."""
        projection, direction_Gd = self._projection(trained), gathered["direction_Gd"]
        influence_QG = direction_Gd.new_zeros(len(queries.query_ids), len(direction_Gd))
        for block in query_gradients(trained.task, trained.theta_P, queries):
            influence_QG[block.queries] = _directions(projection, fitted, block.gradient_qP) @ direction_Gd.T
        return influence_QG

    def _projection(self, trained: Trained) -> BlockProjection:
        return BlockProjection(trained.task.shapes.values(), self.rank, self.seed, self.entries)

    def _mixing(self, train: Sequence[Tensor], evaluated: Sequence[Tensor]) -> float:
        if self.mixing is not None:
            return self.mixing
        sigma_train, sigma_eval = (_at_share(blocks, self.common) for blocks in (train, evaluated))
        return sigma_train / (sigma_eval + sigma_train) if sigma_train > 0 else 0.0

    def _inverse_root(self, block_cc: Tensor) -> Tensor:
        value_c, vector_cc = torch.linalg.eigh(block_cc)
        damped_c = value_c.clamp(min=0) + self.damping * value_c.mean()
        root_c = torch.where(damped_c > 0, damped_c.rsqrt(), 0)
        return vector_cc * root_c @ vector_cc.T


def _scale(trained: Trained) -> Tensor:
    """1 / sqrt(V), [P], or 0 where V is 0."""
    rule = trained.recipe.rule
    if isinstance(at_the_end(rule.optimizer), Adam) and trained.steps > 0:
        spread = dict[str, Tensor]()
        for name, second in trained.final.slots[1].items():
            own = at_the_end(rule.optimizer_of(name))
            assert isinstance(own, Adam)
            spread[name] = own.spread(second, trained.steps)
        spread_P = trained.task.flatten(spread)
    else:
        square_P = torch.zeros_like(trained.theta_P)
        for _, gradient_BP in example_gradients(trained, trained.theta_P, np.arange(len(trained.data))):
            square_P += gradient_BP.square().sum(0)
        spread_P = (square_P / len(trained.data)).sqrt()
    return torch.where(spread_P > 0, 1 / spread_P, 0)


def _measurement_gradients(trained: Trained) -> Iterable[Tensor]:
    """Gradients of the measurement at the training examples, [B, P] each."""
    count = len(trained.data)
    rows = QueryRows(("",) * count, trained.data.columns, np.arange(count))
    try:
        for block in query_gradients(trained.task, trained.theta_P, rows):
            yield block.gradient_qP
    except KeyError as missing:
        raise ConfigError(
            f"trackstar: the measurement needs the column {missing}, which training examples lack. Set mixing to 0"
        ) from None


def _second_moments(projection: BlockProjection, scale_P: Tensor, gradients: Iterable[Tensor]) -> list[Tensor]:
    """Mean of A(scaled gradient) A(scaled gradient)', [c, c] for each block."""
    totals, count = list[Tensor](), 0
    for gradient_BP in gradients:
        blocks = [part.double() for part in projection(gradient_BP * scale_P)]
        totals = totals or [part.new_zeros(part.shape[1], part.shape[1]) for part in blocks]
        for total_cc, part_Bc in zip(totals, blocks, strict=True):
            total_cc += part_Bc.T @ part_Bc
        count += len(gradient_BP)
    return [total_cc / count for total_cc in totals]


def _at_share(blocks: Sequence[Tensor], share: float) -> float:
    """The smallest eigenvalue among this share of the largest eigenvalues of all blocks."""
    value_d = torch.cat([torch.linalg.eigvalsh(block) for block in blocks]).sort(descending=True).values
    return float(value_d[math.ceil(share * len(value_d)) - 1])


def _directions(projection: BlockProjection, fitted: NamedTensors, gradient_BP: Tensor) -> Tensor:
    """G of gradients, [B, P] to [B, d]."""
    blocks = projection(gradient_BP * fitted["scale_P"])
    whitened = [part_Bc @ fitted[f"root{b}_cc"] for b, part_Bc in enumerate(blocks)]
    return torch.nn.functional.normalize(torch.cat(whitened, 1))

"""TrackStar: cosines of gradients that are scaled by the optimizer, projected, and whitened.

Legend: N training examples, B of a batch, G groups, Q queries, P parameters, d of them after projection in
all blocks together, c in one block.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import example_gradients, query_gradients
from tribute.estimators.projection import BlockProjection, check_entries
from tribute.readout import QueryRows
from tribute.training.optimizers import Adam


@dataclass(frozen=True)
class TrackStar(Estimator):
    """Cosine of gradients that are scaled by the optimizer, projected and whitened (TrackStar).

    Sum over the group of G(z) . G(q), with G = R^-1/2 A(gradient / sqrt(V)) brought to norm 1.

    The gradients are those of -loss(z) and of the measurement f(q). V is the optimizer's second moment, A a
    random projection of every parameter matrix from both sides, R = mu R_eval + (1 - mu) R_train with a block
    for each parameter matrix, R_train the mean of A(.) A(.)' over training losses, R_eval over measurements.
    Unit: a cosine per example, a pure number; positive: the group helped. Made to find the examples behind
    an answer.

    Beyond the paper, or other than it:
    - R_eval is of the measurements of the training examples: queries are not known when R is fitted, and an
      influence must not depend on which other queries are asked about.
    - V is Adam's, corrected for its start at 0 and with the optimizer's eps; for SGD or a bare checkpoint,
      which have none, the mean square of the examples' gradients. Parameters with V = 0 are left out.
    - All trainable parameters take part, vectors as matrices of one row; a side up to `rank` long is kept.
    - Damping of R, which fewer examples than dimensions leave singular, and random signs for normals.

    Source: arXiv 2410.17413.
    """

    rank: int = 16
    """Rows and columns of each parameter matrix after projection; the paper has 65,536 dimensions in all."""
    mixing: float | None = None
    """mu. Default: sigma_train / (sigma_eval + sigma_train), eigenvalues of both parts of R at `common`."""
    common: float = 1 / 64
    """The part of all eigenvalues, from the largest, that stands for what examples have in common; in the
    paper 1,000 of 65,536. For the default of `mixing` only."""
    damping: float = 1.0
    """Added to R, as a multiple of the mean eigenvalue of each block. The paper has none."""
    seed: int = 0
    """Of projections."""
    entries: str = "rademacher"
    """Of projections: `rademacher` (signs: the same on every machine to the bit, faster) or `gaussian`."""

    def __post_init__(self) -> None:
        check_entries(self.entries)
        if self.rank < 1 or self.seed < 0 or self.damping <= 0:
            raise ConfigError(
                "trackstar: rank is at least 1, damping above 0 and seed not negative; got "
                f"{self.rank}, {self.damping} and {self.seed}"
            )
        if not 0 < self.common <= 1 or not 0 <= (self.mixing or 0) <= 1:
            raise ConfigError(
                "trackstar: common is above 0 and at most 1, mixing from 0 to 1; got "
                f"{self.common} and {self.mixing}"
            )

    def fit(self, trained: Trained) -> Kept:
        """1 / sqrt(V) [P], mu, and R^-1/2 of every block, [c, c].

        Raises:
            ConfigError: the measurement does not take training examples, and `mixing` is not 0.
        """
        scale_P = _scale(trained)
        everything = np.arange(len(trained.data))
        losses = (slope_BP for _, slope_BP in example_gradients(trained, trained.theta_P, everything))
        projection = self._projection(trained)
        train = _second_moments(projection, scale_P, losses)
        if self.mixing == 0:
            mixed, mixing = train, 0.0
        else:
            evaluated = _second_moments(projection, scale_P, _own_measurements(trained))
            mixing = self._mixing(train, evaluated)
            mixed = [mixing * e + (1 - mixing) * t for e, t in zip(evaluated, train, strict=True)]
        roots = {f"root{b}_cc": self._inverse_root(block).to(scale_P) for b, block in enumerate(mixed)}
        return {"scale_P": scale_P, "mixing": scale_P.new_tensor(mixing), **roots}

    def held(self, trained: Trained) -> int:
        """A vector of the projection."""
        return sum(self._projection(trained).sizes)

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """Each group's sum of G(z), [G, d]."""
        projection = self._projection(trained)
        found_Gd = trained.theta_P.new_zeros(groups.count, sum(projection.sizes))
        for indices_B, slope_BP in example_gradients(trained, trained.theta_P, groups.chosen):
            owner_B = torch.from_numpy(groups.group_N[indices_B]).to(trained.device)
            found_Gd.index_add_(0, owner_B, _directions(projection, fitted, -slope_BP))
        return {"direction_Gd": found_Gd}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]. A query costs a backward pass a row and a projection."""
        projection, direction_Gd = self._projection(trained), gathered["direction_Gd"]
        found_QG = direction_Gd.new_zeros(len(queries.query_ids), len(direction_Gd))
        for block in query_gradients(trained.task, trained.theta_P, queries):
            found_QG[block.queries] = _directions(projection, fitted, block.slope_qP) @ direction_Gd.T
        return found_QG

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
    """1 / sqrt(V), [P], and 0 where V is."""
    optimizer = trained.recipe.rule.optimizer
    if isinstance(optimizer, Adam) and trained.steps > 0:
        second_P = trained.final.slots[1] / (1 - optimizer.betas[1] ** trained.steps)
        spread_P = (second_P + optimizer.eps_root).sqrt() + optimizer.eps
    else:
        square_P = torch.zeros_like(trained.theta_P)
        for _, slope_BP in example_gradients(trained, trained.theta_P, np.arange(len(trained.data))):
            square_P += slope_BP.square().sum(0)
        spread_P = (square_P / len(trained.data)).sqrt()
    return torch.where(spread_P > 0, 1 / spread_P, 0)


def _own_measurements(trained: Trained) -> Iterable[Tensor]:
    """Gradients of the measurement at the training examples, [B, P] each."""
    count = len(trained.data)
    rows = QueryRows(("",) * count, trained.data.columns, np.arange(count))
    try:
        for block in query_gradients(trained.task, trained.theta_P, rows):
            yield block.slope_qP
    except KeyError as missing:
        raise ConfigError(
            f"trackstar: the measurement needs {missing}, which training examples lack. Set mixing to 0"
        ) from None


def _second_moments(projection: BlockProjection, scale_P: Tensor, slopes: Iterable[Tensor]) -> list[Tensor]:
    """Mean of A(scaled slope) A(scaled slope)', [c, c] for every block."""
    found, count = list[Tensor](), 0
    for slope_BP in slopes:
        blocks = [part.double() for part in projection(slope_BP * scale_P)]
        found = found or [part.new_zeros(part.shape[1], part.shape[1]) for part in blocks]
        for total_cc, part_Bc in zip(found, blocks, strict=True):
            total_cc += part_Bc.T @ part_Bc
        count += len(slope_BP)
    return [total_cc / count for total_cc in found]


def _at_share(blocks: Sequence[Tensor], share: float) -> float:
    """The eigenvalue below which all but this share of all blocks' eigenvalues are."""
    value_d = torch.cat([torch.linalg.eigvalsh(block) for block in blocks]).sort(descending=True).values
    return float(value_d[math.ceil(share * len(value_d)) - 1])


def _directions(projection: BlockProjection, fitted: Kept, slope_BP: Tensor) -> Tensor:
    """G of gradients, [B, P] to [B, d]."""
    blocks = projection(slope_BP * fitted["scale_P"])
    whitened = [part_Bc @ fitted[f"root{b}_cc"] for b, part_Bc in enumerate(blocks)]
    return torch.nn.functional.normalize(torch.cat(whitened, 1))

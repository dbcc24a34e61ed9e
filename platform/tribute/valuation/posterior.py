"""Posterior of the values of sources, given real trainings without some of them and cheap estimates of all.

A training without a set of sources loses the values of its members, their seed's whim, interactions and noise:

    lost_k = sum_{s in k} (beta_s + eta_{s, seed(k)}) + kappa q_k + pairs_k + e_k - e_full(seed(k))
    beta = u (F gamma + delta)

F holds the token shares and the estimates, each divided by its root mean square. All terms are Gaussian given the
hyper-parameters. Their priors are log-uniform; they are integrated by sequential Monte Carlo, and the scale u on a
grid. Legend: S sources, K trainings, R replicates, J features, H particles, I terms, U scales,
N draws, P payees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tribute.valuation.aggregate import filled
from tribute.valuation.tempering import PARTICLES, log_sum, sample

Array = NDArray[np.float64]
TOKENS = "tokens"
TOKEN_MEAN = 0.2
"""Prior mean of the token shares' coefficient; the estimates' have the rest in equal parts."""
TOKEN_RANGE, ESTIMATE_RANGE = (0.1, 2.0), (0.03, 2.0)
OWN_RANGES = {
    "own": (0.03, 2.0),
    "seed": (0.05, 3.0),
    "noise": (0.03, 3.0),
    "all": (0.002, 0.1),
    "pair": (0.003, 0.5),
}
"""Standard deviations, in an average source's effect: delta, eta / delta, e, kappa, a pair's own interaction."""
SCALES = np.concatenate([np.geomspace(1 / 30, 1, 41), np.geomspace(1, 10, 28)[1:]])
"""Multiples of the first guess of the scale."""


class Trainings(NamedTuple):
    """Real trainings without sets of sources, none of them a full training.

    Args:
        removed_KS: 1 where a training lacks a source, [K, S].
        seed_K: seed of a training, [K].
        lost_K: total of the queries by the seed's full training minus that by this one, [K] nats.
    """

    removed_KS: Array
    seed_K: NDArray[np.int64]
    lost_K: Array

    @classmethod
    def none(cls, sources: int) -> "Trainings":
        """No training."""
        return cls(np.zeros((0, sources)), np.zeros(0, dtype=np.int64), np.zeros(0))


class Terms(NamedTuple):
    """What all covariances are made of: features F [S, J], their prior means [J], and sizes [S]."""

    feature_SJ: Array
    mean_J: Array
    size_S: Array

    def covariances(self, removed_KS: Array, seed_K: NDArray[np.int64]) -> Array:
        """The covariance of the losses of trainings, by term at unit variance, [I, K, K]."""
        part_KS = removed_KS * self.size_S
        same_KK = (seed_K[:, None] == seed_K).astype(np.float64)
        column_KJ, own_KK = removed_KS @ self.feature_SJ, part_KS @ removed_KS.T
        square_K = part_KS.sum(1) ** 2 - (part_KS**2).sum(1)
        pair_KK = (np.square(own_KK) - (part_KS * self.size_S) @ removed_KS.T) / 2
        features_JKK = np.einsum("kj,lj->jkl", column_KJ, column_KJ)
        others = [own_KK, own_KK * same_KK, np.eye(len(seed_K)) + same_KK, np.outer(square_K, square_K), pair_KK]
        return np.concatenate([features_JKK, np.stack(others)])


@dataclass(frozen=True)
class Posterior:
    """Values of sources: mean [S] and joint draws [N, S], nats.

    ``coefficients``: mean nats of value per unit of a feature, which is a token share or an estimate's total.
    ``token_weight``: the part of the mean value that goes by token shares, 0 to 1. The particles are variances of
    terms, ``variance_HI``, and mean scales u, ``scale_H``, nats.
    """

    mean_S: Array
    draws_NS: Array
    coefficients: dict[str, float]
    token_weight: float
    terms: Terms
    trainings: Trainings
    variance_HI: Array
    scale_H: Array


def posterior(
    estimates: Mapping[str, ArrayLike],
    tokens_S: ArrayLike,
    trainings: Trainings,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Posterior:
    """The posterior of all values. Without trainings it is the prior: estimates and token shares, and wide.

    Args:
        estimates: totals of the queries by every estimate, [R, S], each in a unit of its own; NaN: it failed.
        tokens_S: token counts, [S].

    Raises:
        ValueError: shapes do not fit, or a loss is not finite.
    """
    share_S = np.asarray(tokens_S, dtype=float) / np.sum(tokens_S)
    columns = {TOKENS: share_S} | {name: _mean(np.asarray(nats), share_S) for name, nats in estimates.items()}
    if trainings.removed_KS.shape != (len(trainings.lost_K), len(share_S)) or any(
        len(each) != len(share_S) for each in columns.values()
    ):
        raise ValueError(
            f"the posterior got {len(share_S)} token counts, trainings of shape {trainings.removed_KS.shape}, "
            f"and estimates of {[len(each) for each in columns.values()][1:]} sources; all need the same sources"
        )
    if not np.isfinite(trainings.lost_K).all():
        raise ValueError("a training's loss is not finite; leave out trainings that diverged")
    columns = {name: column for name, column in columns.items() if column.any()}
    rms_J = np.array([np.sqrt(np.square(column).mean()) for column in columns.values()])
    others = len(columns) - 1
    mean_J = np.array([TOKEN_MEAN, *[(1 - TOKEN_MEAN) / others] * others]) if others else np.ones(1)
    size_S = (len(share_S) * share_S + 0.1) / 1.1
    terms = Terms(np.stack(list(columns.values()), 1) / rms_J, mean_J, size_S)
    rng = np.random.default_rng(seed)
    unit = _unit(terms, trainings) if len(trainings.lost_K) else float(rms_J[-1] if others else 1.0)
    scaled = trainings._replace(lost_K=trainings.lost_K / unit)
    variance_HI, weight_HU = _particles(terms, scaled, rng)
    mean_S, draws_NS, gamma_J, scale_H = _conditioned(terms, scaled, variance_HI, weight_HU, unit, draws, rng)
    by_tokens = gamma_J[0] * terms.feature_SJ[:, 0].sum() / max(mean_S.sum(), 1e-300)
    return Posterior(
        mean_S,
        draws_NS,
        {name: float(nats) for name, nats in zip(columns, gamma_J / rms_J, strict=True)},
        float(np.clip(by_tokens, 0, 1)),
        terms,
        trainings,
        variance_HI,
        unit * scale_H,
    )


def expected_misallocation(draws_NS: Array, paid_S: Array, payee_SP: Array | None = None) -> float:
    """Mean over draws of half the L1 distance between the shares of a draw and those paid, 0 to 1."""
    payee_SP = np.eye(len(paid_S)) if payee_SP is None else payee_SP
    return float(np.abs(shares(draws_NS @ payee_SP) - shares(paid_S @ payee_SP)).sum(-1).mean() / 2)


def shares(value_XP: Array) -> Array:
    """Positive values divided by their sum over the last axis; equal shares where no value is positive."""
    positive_XP = np.clip(value_XP, 0, None)
    total_X1 = positive_XP.sum(-1, keepdims=True)
    equal = 1 / value_XP.shape[-1]
    return np.asarray(np.where(total_X1 > 0, positive_XP / np.where(total_X1 > 0, total_X1, 1), equal))


def _mean(nats_RS: Array, token_share_S: Array) -> Array:
    """Mean over replicates, with failures filled in, [S]."""
    return np.asarray(filled(nats_RS[:, None].astype(float), token_share_S)[:, 0].mean(0))


def _unit(terms: Terms, trainings: Trainings) -> float:
    """A first guess of an average source's effect, nats: the losses per removed size."""
    size_K = trainings.removed_KS @ terms.size_S
    return float(np.sqrt(np.square(trainings.lost_K).sum() / np.square(size_K).sum())) or 1.0


def _variances(place_HI: Array) -> Array:
    """Variances of terms at places in the unit cube, [H, I]; eta's deviation is a multiple of delta's."""
    features = place_HI.shape[1] - len(OWN_RANGES)
    estimate = np.array(ESTIMATE_RANGE) / np.sqrt(max(features - 1, 1))
    low_I, high_I = np.log(np.array([TOKEN_RANGE, *[estimate] * (features - 1), *OWN_RANGES.values()])).T
    deviation_HI = np.exp(low_I + (high_I - low_I) * place_HI)
    deviation_HI[:, features + 1] *= deviation_HI[:, features]
    return np.asarray(np.square(deviation_HI))


def _particles(terms: Terms, trainings: Trainings, rng: np.random.Generator) -> tuple[Array, Array]:
    """Equally weighted particles of the variances, [H, I], and the weights of their scales, [H, U]."""
    count = len(terms.mean_J) + len(OWN_RANGES)
    if not len(trainings.lost_K):
        return _variances(rng.random((PARTICLES, count))), np.tile((SCALES == 1.0) * 1.0, (PARTICLES, 1))
    covariance_IKK = terms.covariances(trainings.removed_KS, trainings.seed_K)
    expected_K = trainings.removed_KS @ (terms.feature_SJ @ terms.mean_J)
    place_HI, fit_HU = sample(
        lambda at_HI: _likelihood(covariance_IKK, expected_K, trainings.lost_K, _variances(at_HI)),
        count,
        rng,
    )
    return _variances(place_HI), np.exp(fit_HU - log_sum(fit_HU)[:, None])


def _likelihood(covariance_IKK: Array, expected_K: Array, lost_K: Array, variance_HI: Array) -> Array:
    """Log density of the losses by particle and scale, [H, U], up to a constant."""
    count = len(lost_K)
    covariance_HKK = np.tensordot(variance_HI, covariance_IKK, 1)
    factor_HKK = np.linalg.cholesky(covariance_HKK)
    white_HK2 = np.linalg.solve(factor_HKK, np.stack([lost_K, expected_K], 1)[None])
    (aa_H, ab_H), (_, bb_H) = (tuple(row) for row in np.einsum("hkx,hky->xyh", white_HK2, white_HK2))
    volume_H = np.log(np.einsum("hkk->hk", factor_HKK)).sum(1)
    square_HU = aa_H[:, None] / SCALES**2 - 2 * ab_H[:, None] / SCALES + bb_H[:, None]
    return np.asarray(-count * np.log(SCALES) - volume_H[:, None] - square_HU / 2)


def _conditioned(
    terms: Terms,
    trainings: Trainings,
    variance_HI: Array,
    weight_HU: Array,
    unit: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, Array]:
    """Mean [S], draws [N, S] and mean coefficients [J] of the values, nats; and the mean scale of every particle.

    Draws are of the prior, moved by what the losses differ from their own draw (Matheron's rule).
    """
    covariance_IKK = terms.covariances(trainings.removed_KS, trainings.seed_K)
    features, each = len(terms.mean_J), -(-draws // len(variance_HI))
    removed_KS, lost_K, root_S = trainings.removed_KS, trainings.lost_K, np.sqrt(terms.size_S)
    scale_H, mean_HS, gamma_HJ, found = weight_HU @ SCALES, [], [], []
    for variance_I, weight_U, scale in zip(variance_HI, weight_HU, scale_H, strict=True):
        spread_J, own = np.sqrt(variance_I[:features]), np.sqrt(variance_I[features])
        noise_KK = np.tensordot(variance_I[features + 1 :], covariance_IKK[features + 1 :], 1)
        covariance_KK = np.tensordot(variance_I[: features + 1], covariance_IKK[: features + 1], 1) + noise_KK
        column_KJ = removed_KS @ terms.feature_SJ
        cross_JK = variance_I[:features, None] * column_KJ.T
        cross_SK = terms.feature_SJ @ cross_JK + variance_I[features] * (removed_KS * terms.size_S).T
        scale_N = rng.choice(SCALES, each, p=weight_U)
        prior_NS = (terms.mean_J + spread_J * rng.standard_normal((each, features))) @ terms.feature_SJ.T
        prior_NS += own * root_S * rng.standard_normal((each, len(root_S)))
        factor_KK = np.linalg.cholesky(noise_KK)
        told_NK = lost_K / scale_N[:, None] - prior_NS @ removed_KS.T
        told_NK -= rng.standard_normal(told_NK.shape) @ factor_KK.T
        told_K = lost_K - scale * column_KJ @ terms.mean_J
        pull_KN = np.linalg.solve(covariance_KK, np.vstack([told_K, told_NK]).T)
        mean_HS.append(scale * terms.feature_SJ @ terms.mean_J + cross_SK @ pull_KN[:, 0])
        gamma_HJ.append(scale * terms.mean_J + cross_JK @ pull_KN[:, 0])
        found.append(scale_N[:, None] * (prior_NS + pull_KN[:, 1:].T @ cross_SK.T))
    draws_NS = np.stack(found, 1).reshape(-1, len(root_S))[:draws]
    return unit * np.mean(mean_HS, 0), unit * draws_NS, unit * np.mean(gamma_HJ, 0), scale_H

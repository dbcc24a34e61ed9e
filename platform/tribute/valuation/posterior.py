"""Posterior of the values of sources, given real trainings without some of them and cheap estimates of all.

A training without a set of sources loses their values, plus effects of its seed, interactions and noise:

    lost_k = sum_{s in k} (beta_s + eta_s + zeta . a_s) + kappa q_k + pairs_k + e_k - e_full
    beta = u (F gamma + delta)

F holds the token shares and the estimates, each divided by its root mean square. eta, a and e_full are of the
training's seed; a is by what its replicate's estimates are above the mean of all seeds. `terms` has the variances.
All terms are Gaussian given the hyper-parameters, among them how far each training strays. Sequential Monte Carlo
integrates these, and a grid the scale u.

Legend: S sources, K trainings, R replicates, J features, H particles, I terms, U scales, N draws, P payees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tribute.valuation.tempering import PARTICLES, log_sum, sample
from tribute.valuation.terms import Terms, Trainings

Array = NDArray[np.float64]
SCALES = np.concatenate([np.geomspace(1 / 30, 1, 41), np.geomspace(1, 10, 28)[1:]])
"""Multiples of the first guess of the scale."""


@dataclass(frozen=True)
class Posterior:
    """Values of sources: mean [S] and joint draws [N, S], nats.

    ``coefficients``: mean nats of value per unit of a feature, which is a token share or an estimate's total.
    ``token_weight``: the part of the mean value that goes by token shares, 0 to 1. The particles are variances of
    terms, ``variance_HI``, by what the noise of each training exceeds that of others, ``stray_HK``, and mean
    scales u, ``scale_H``, nats.
    """

    mean_S: Array
    draws_NS: Array
    coefficients: dict[str, float]
    token_weight: float
    terms: Terms
    trainings: Trainings
    variance_HI: Array
    stray_HK: Array
    scale_H: Array


def posterior(
    estimates: Mapping[str, ArrayLike],
    tokens_S: ArrayLike,
    trainings: Trainings,
    *,
    seeds: Sequence[int] = (),
    draws: int = 1000,
    seed: int = 0,
) -> Posterior:
    """The posterior of all values. Without trainings it is the prior: estimates and token shares, and wide.

    Args:
        estimates: totals of the queries by every estimate, [R, S], each in a unit of its own; NaN: it failed. The
            last one is paid by; the others have a prior mean of 0, and count once trainings speak for them.
        tokens_S: token counts, [S]; the product gives those of `learnt_tokens`.
        seeds: seeds of the replicates, [R], as `trainings` has them; empty: they are no seeds of trainings.

    Raises:
        ValueError: shapes do not fit, or a loss is not finite.
    """
    sources = {len(np.atleast_1d(tokens_S)), *(np.shape(nats)[-1] for nats in estimates.values())}
    if sources != {trainings.removed_KS.shape[1]} or len(trainings.removed_KS) != len(trainings.lost_K):
        raise ValueError(
            f"the posterior got token counts and estimates of {sorted(sources)} sources, and "
            f"{len(trainings.lost_K)} losses of trainings of shape {trainings.removed_KS.shape}; all need the "
            "same sources"
        )
    if not np.isfinite(trainings.lost_K).all():
        raise ValueError("a training's loss is not finite; leave out trainings that diverged")
    terms, rng = Terms.of(estimates, tokens_S, seeds), np.random.default_rng(seed)
    unit = _unit(terms, trainings)
    scaled = trainings._replace(lost_K=trainings.lost_K / unit)
    particles = _particles(terms, scaled, rng)
    mean_S, draws_NS, gamma_J, scale_H = _conditioned(terms, scaled, particles, unit, draws, rng)
    by_tokens = gamma_J[0] * terms.feature_SJ[:, 0].sum() / max(mean_S.sum(), 1e-300)
    return Posterior(
        mean_S,
        draws_NS,
        {name: float(nats / rms) for (name, rms), nats in zip(terms.columns.items(), gamma_J, strict=True)},
        float(np.clip(by_tokens, 0, 1)),
        terms,
        trainings,
        particles.variance_HI,
        particles.stray_HK,
        unit * scale_H,
    )


def expected_misallocation(
    draws_NS: Array, paid_S: Array, payee_SP: Array | None = None, fallback_P: Array | None = None
) -> float:
    """Mean over draws of half the L1 distance between the shares of a draw and those paid, 0 to 1.

    Args:
        fallback_P: shares where no payee's value is positive; None: equal ones.
    """
    payee_SP = np.eye(len(paid_S)) if payee_SP is None else payee_SP
    drawn_NP, paid_P = (shares(each @ payee_SP, fallback_P) for each in (draws_NS, paid_S))
    return float(np.abs(drawn_NP - paid_P).sum(-1).mean() / 2)


def shares(value_XP: Array, fallback_P: Array | None = None) -> Array:
    """Positive values divided by their sum over the last axis; the fallback where no value is positive.

    Args:
        fallback_P: None: equal shares.
    """
    positive_XP = np.clip(value_XP, 0, None)
    total_X1 = positive_XP.sum(-1, keepdims=True)
    otherwise = 1 / value_XP.shape[-1] if fallback_P is None else fallback_P
    return np.asarray(np.where(total_X1 > 0, positive_XP / np.where(total_X1 > 0, total_X1, 1), otherwise))


def _unit(terms: Terms, trainings: Trainings) -> float:
    """A first guess of an average source's effect, nats: losses by removed size, else the last estimate's."""
    if not trainings.lost_K.any():
        return list(terms.columns.values())[-1]
    size_K = trainings.removed_KS @ terms.size_S
    return float(np.sqrt(np.square(trainings.lost_K).sum() / np.square(size_K).sum()))


class _Particles(NamedTuple):
    """Equally weighted particles, and the weights of their scales, [H, U]."""

    variance_HI: Array
    stray_HK: Array
    weight_HU: Array


def _particles(terms: Terms, trainings: Trainings, rng: np.random.Generator) -> _Particles:
    count = len(trainings.lost_K)
    if not count:
        variance_HI = terms.variances(rng.random((PARTICLES, terms.terms)))
        weight_HU = np.tile((SCALES == 1.0) * 1.0, (PARTICLES, 1))
        return _Particles(variance_HI, np.zeros((PARTICLES, 0)), weight_HU)
    covariance_IKK = terms.covariances(trainings.removed_KS, trainings.seed_K)
    expected_K = trainings.removed_KS @ (terms.feature_SJ @ terms.mean_J)

    def placed(place_HD: Array) -> tuple[Array, Array]:
        variance_HI = terms.variances(place_HD[:, : terms.terms])
        return variance_HI, terms.stray(place_HD[:, terms.terms :], variance_HI)

    def fit(place_HD: Array) -> Array:
        return _likelihood(covariance_IKK, expected_K, trainings.lost_K, *placed(place_HD))

    place_HD, fit_HU = sample(fit, terms.terms, rng, single=count)
    return _Particles(*placed(place_HD), np.exp(fit_HU - log_sum(fit_HU)[:, None]))


def _likelihood(
    covariance_IKK: Array, expected_K: Array, lost_K: Array, variance_HI: Array, stray_HK: Array
) -> Array:
    """Log density of the losses by particle and scale, [H, U], up to a constant."""
    count = len(lost_K)
    covariance_HKK = np.tensordot(variance_HI, covariance_IKK, 1)
    np.einsum("hkk->hk", covariance_HKK)[...] += stray_HK
    factor_HKK = np.linalg.cholesky(covariance_HKK)
    white_HK2 = np.linalg.solve(factor_HKK, np.stack([lost_K, expected_K], 1)[None])
    (aa_H, ab_H), (_, bb_H) = (tuple(row) for row in np.einsum("hkx,hky->xyh", white_HK2, white_HK2))
    volume_H = np.log(np.einsum("hkk->hk", factor_HKK)).sum(1)
    square_HU = aa_H[:, None] / SCALES**2 - 2 * ab_H[:, None] / SCALES + bb_H[:, None]
    return np.asarray(-count * np.log(SCALES) - volume_H[:, None] - square_HU / 2)


def _conditioned(
    terms: Terms,
    trainings: Trainings,
    particles: _Particles,
    unit: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, Array]:
    """Mean [S], draws [N, S] and mean coefficients [J] of the values, nats; and the mean scale of every particle.

    A draw is one of the prior, corrected by how far its losses are from the real ones (Matheron's rule).
    """
    covariance_IKK = terms.covariances(trainings.removed_KS, trainings.seed_K)
    features, each = len(terms.mean_J), -(-draws // len(particles.variance_HI))
    removed_KS, lost_K, root_S = trainings.removed_KS, trainings.lost_K, np.sqrt(terms.size_S)
    scale_H, mean_HS, gamma_HJ, drawn = particles.weight_HU @ SCALES, [], [], []
    for variance_I, stray_K, weight_U, scale in zip(*particles, scale_H, strict=True):
        spread_J, own = np.sqrt(variance_I[:features]), np.sqrt(variance_I[features])
        noise_KK = np.tensordot(variance_I[features + 1 :], covariance_IKK[features + 1 :], 1) + np.diag(stray_K)
        covariance_KK = np.tensordot(variance_I[: features + 1], covariance_IKK[: features + 1], 1) + noise_KK
        column_KJ = removed_KS @ terms.feature_SJ
        cross_JK = variance_I[:features, None] * column_KJ.T
        cross_SK = terms.feature_SJ @ cross_JK + variance_I[features] * (removed_KS * terms.size_S).T
        scale_N = rng.choice(SCALES, each, p=weight_U)
        prior_NS = (terms.mean_J + spread_J * rng.standard_normal((each, features))) @ terms.feature_SJ.T
        prior_NS += own * root_S * rng.standard_normal((each, len(root_S)))
        factor_KK = np.linalg.cholesky(noise_KK)
        residual_NK = lost_K / scale_N[:, None] - prior_NS @ removed_KS.T
        residual_NK -= rng.standard_normal(residual_NK.shape) @ factor_KK.T
        residual_K = lost_K - scale * column_KJ @ terms.mean_J
        pull_KN = np.linalg.solve(covariance_KK, np.vstack([residual_K, residual_NK]).T)
        mean_HS.append(scale * terms.feature_SJ @ terms.mean_J + cross_SK @ pull_KN[:, 0])
        gamma_HJ.append(scale * terms.mean_J + cross_JK @ pull_KN[:, 0])
        drawn.append(scale_N[:, None] * (prior_NS + pull_KN[:, 1:].T @ cross_SK.T))
    draws_NS = np.stack(drawn, 1).reshape(-1, len(root_S))[:draws]
    return unit * np.mean(mean_HS, 0), unit * draws_NS, unit * np.mean(gamma_HJ, 0), scale_H

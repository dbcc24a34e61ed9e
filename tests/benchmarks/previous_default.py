"""The default of earlier versions, to compare with: estimates calibrated to retraining without a few sources.

A truth is a source's loss by retraining. Truths are regressed on token shares and on the shares of the estimates,
or on one estimate alone, with non-negative coefficients and a ridge. Four truths cannot select among these
candidates, so leave-one-out cross-validation weighs them, and its residuals set the intervals.

Legend: S sources, N spot (retrained) sources, R replicates, K features, C candidates, M error terms, D draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]
TOKENS, SQUARED = "tokens", "tokens^2"
MIN_SPOT_SOURCES = 3  # retrained sources that a cross-validation needs
RIDGES = (10.0, 100.0)  # weight of the prior mix of features, in retrained sources
PRIOR_CORRELATION = 0.4  # of an estimate's and the truth's departures from token shares
MAX_PRIOR_WEIGHT = 0.5  # of the estimates in the prior mix
VARIANCE_FLOOR = 0.1  # residual variance is proportional to token share plus this part of an equal share
MIN_OWN_VARIANCE = 0.6  # least part of the residual variance that is not attributed to seed noise


@dataclass(frozen=True)
class Calibration:
    """Values v [S] of sources, nats, with multivariate t errors: standard errors [S], shared terms L [S, M].

    ``features``: coefficients on shares, nats. ``token_weight``: the part of them on token counts, 0 to 1.
    ``cv_error``: root mean square leave-one-out error of every candidate. ``residual_scale``: the same of their
    weighted average, corrected for leverage. Both errors are in nats, for a source of average size.
    """

    value_S: Array
    std_error_S: Array
    degrees_of_freedom: float
    features: dict[str, float]
    cv_error: dict[str, float]
    token_weight: float
    residual_scale: float
    shared_SM: Array

    def draws(self, count: int, seed: int) -> Array:
        """Draws of the values, [D, S] nats, for intervals of sums. Each source's draws have its own interval.

        v + sqrt(nu / chi2_nu) (L z + sqrt(se^2 - diag L L') e), with standard normal z and e.
        """
        rng = np.random.default_rng(seed)
        own_S = np.sqrt(np.clip(np.square(self.std_error_S) - np.square(self.shared_SM).sum(1), 0, None))
        error_DS = rng.normal(size=(count, self.shared_SM.shape[1])) @ self.shared_SM.T
        error_DS += rng.normal(size=(count, len(own_S))) * own_S
        chi_D1 = rng.chisquare(self.degrees_of_freedom, size=(count, 1))
        return np.asarray(self.value_S + error_DS * np.sqrt(self.degrees_of_freedom / chi_D1))


def spot_sources(tokens_S: ArrayLike, count: int, seed: int) -> list[int]:
    """Indices of sources to retrain without: a systematic sample, with chances proportional to tokens."""
    size_S = np.asarray(tokens_S, dtype=float)
    count, sure_S = min(count, int((size_S > 0).sum())), np.zeros(len(size_S), dtype=bool)
    while True:
        chance_S = np.where(sure_S, 1.0, size_S * (count - sure_S.sum()) / max(size_S[~sure_S].sum(), 1e-300))
        if (chance_S[~sure_S] < 1).all():
            break
        sure_S |= chance_S >= 1
    rng = np.random.default_rng(seed)
    order_S = rng.permutation(len(size_S))
    picks = np.searchsorted(np.cumsum(chance_S[order_S]), rng.random() + np.arange(count) - 1e-9)
    return sorted(order_S[picks].tolist())


def calibrate(
    estimates: Mapping[str, ArrayLike], tokens_S: ArrayLike, spots: Sequence[int], truth_RN: ArrayLike
) -> Calibration:
    """Values of all sources from cheap estimates, and from the truths of a few sources.

    v = sum_k beta_k x_k, beta >= 0, averaged over candidates with weights (CV error)^-N. Retrained sources move
    towards their own truths by own variance / (own variance + seed noise).

    Args:
        estimates: period totals of every estimate by name, [R, S] nats; NaN: the estimate failed.
        tokens_S: token counts, [S].
        spots, truth_RN: indices of the retrained sources, and their totals, [R, N] nats; NaN: failed or not run.

    Raises:
        ValueError: shapes do not fit, there is no estimate, fewer than `MIN_SPOT_SOURCES` sources have a truth, or
            the truths do not sum to a positive value.

    Source: stacked regressions, Breiman 1996.
    """
    share_S = np.asarray(tokens_S, dtype=float) / np.sum(tokens_S)
    truth_RN = np.asarray(truth_RN, dtype=float)
    kept_N = np.isfinite(truth_RN).any(0)
    if not estimates or truth_RN.ndim != 2 or len(kept_N) != len(spots):
        got = f"{len(estimates)} estimates, {len(spots)} spots, truths of shape {truth_RN.shape}"
        raise ValueError(f"calibration got {got}; give at least one estimate, and truths [replicates, spots]")
    if kept_N.sum() < MIN_SPOT_SOURCES or np.nansum(truth_RN) <= 0:
        raise ValueError(
            f"calibration needs {MIN_SPOT_SOURCES} retrained sources whose losses sum to a positive value"
        )
    spread_S = np.sqrt((share_S * len(share_S) + VARIANCE_FLOOR) / (1 + VARIANCE_FLOOR))
    features = {TOKENS: share_S, SQUARED: np.square(share_S) / np.square(share_S).sum()}
    features |= {name: share_of_total(np.asarray(nats), share_S)[0] for name, nats in estimates.items()}
    features = {name: feature_S / spread_S for name, feature_S in features.items()}
    return _averaged(features, spread_S, np.asarray(spots)[kept_N], truth_RN[:, kept_N])


def share_of_total(nats_RS: Array, token_share_S: Array) -> tuple[Array, float]:
    """Mean over replicates divided by the sum of its positive part, [S]; and that sum. Token shares if it is 0."""
    mean_S = nats_RS.mean(0)
    total = float(np.clip(mean_S, 0, None).sum())
    return (np.asarray(mean_S / total) if total > 0 else token_share_S), total


def _averaged(
    features: dict[str, Array], spread_S: Array, spot_N: NDArray[np.int64], truth_RN: Array
) -> Calibration:
    """Fit all candidates in units of the spread, average them, and move retrained sources to their own truths."""
    truth_N, others = np.nanmean(truth_RN, 0) / spread_S[spot_N], list(features)[1:]
    chosen = [(TOKENS, *extra) for size in range(len(others) + 1) for extra in combinations(others, size)]
    chosen += [(name,) for name in others if name != SQUARED]
    candidates = [(names, ridge) for names in chosen for ridge in (RIDGES if len(names) > 1 else (0.0,))]
    tasks = [(np.stack([features[name] for name in names], 1), ridge) for names, ridge in candidates]
    residual_CN = np.stack([_left_out(share_SK, ridge, spot_N, truth_N) for share_SK, ridge in tasks]) - truth_N
    error_C = np.sqrt(np.square(residual_CN).mean(1))
    weight_C = np.maximum(error_C / max(error_C.max(), 1e-300), 1e-9) ** -len(spot_N)
    weight_C /= weight_C.sum()
    fits = [_fit(share_SK, ridge, spot_N, truth_N) for share_SK, ridge in tasks]
    value_CS = np.stack([share_SK @ beta_K for (share_SK, _), (beta_K, _) in zip(tasks, fits, strict=True)])
    value_S, smoother_SN = weight_C @ value_CS, np.tensordot(weight_C, np.stack([fit[1] for fit in fits]), 1)
    leverage_N = np.clip(smoother_SN[spot_N, np.arange(len(spot_N))], 0, 0.9)
    variance = float((np.square(weight_C @ residual_CN) * (1 - leverage_N)).mean())
    noise_N = _seed_noise(truth_RN / spread_S[spot_N], variance)
    own, believed_S = max(variance - noise_N.mean(), MIN_OWN_VARIANCE * variance), np.zeros(len(spread_S))
    believed_S[spot_N] = own / np.maximum(own + noise_N, 1e-300)
    value_S[spot_N] += believed_S[spot_N] * (truth_N - value_S[spot_N])
    between_SC = (np.sqrt(weight_C)[:, None] * (value_CS - weight_C @ value_CS)).T
    shared_SM = np.hstack([np.sqrt(variance) * smoother_SN, between_SC]) * (1 - believed_S)[:, None]
    shared_SM = np.hstack([shared_SM, value_S[:, None] * _common_noise(truth_RN)])
    error_S = np.sqrt(own * (1 - believed_S) + np.square(shared_SM).sum(1))
    coefficients = dict.fromkeys(features, 0.0)
    for weight, (names, _), (beta_K, _) in zip(weight_C, candidates, fits, strict=True):
        coefficients |= {n: coefficients[n] + float(weight * beta) for n, beta in zip(names, beta_K, strict=True)}
    return Calibration(
        value_S=value_S * spread_S,
        std_error_S=error_S * spread_S,
        degrees_of_freedom=max(float(len(spot_N) - leverage_N.sum()), 1.0),
        features=coefficients,
        cv_error={
            " + ".join(names) + f", ridge {ridge:g}": float(error)
            for (names, ridge), error in zip(candidates, error_C, strict=True)
        },
        token_weight=(coefficients[TOKENS] + coefficients[SQUARED]) / max(sum(coefficients.values()), 1e-300),
        residual_scale=float(np.sqrt(variance)),
        shared_SM=shared_SM * spread_S[:, None],
    )


def _fit(share_SK: Array, ridge: float, spot_N: NDArray[np.int64], truth_N: Array) -> tuple[Array, Array]:
    """beta >= 0 that minimizes |truth - X beta|^2 + ridge |beta off the prior mix|^2, [K]; X's smoother, [S, N].

    The prior mix weighs features by their expected correlation with the truth. Its scale is free.
    """
    token_N = share_SK[spot_N, 0]
    total = max(token_N @ truth_N / (token_N @ token_N), 1e-9 * np.abs(truth_N).max(), 1e-300)
    departure = np.sqrt(np.square(truth_N / total - token_N).sum() / (len(truth_N) - 1))
    gap_K = np.sqrt(np.square(share_SK[:, 1:] - share_SK[:, :1]).mean(0))
    part_K = np.minimum(PRIOR_CORRELATION * departure / np.maximum(gap_K, 1e-300), MAX_PRIOR_WEIGHT) / max(
        len(gap_K), 1
    )
    mix_K = np.array([1 - part_K.sum(), *part_K])
    off_KK = np.eye(len(mix_K)) - np.outer(mix_K, mix_K) / (mix_K @ mix_K)
    rows = np.vstack([share_SK[spot_N], np.sqrt(ridge * np.square(gap_K).sum() / max(len(gap_K), 1)) * off_KK])
    beta_K = nnls(rows, np.concatenate([truth_N, np.zeros(len(mix_K))]))[0]
    return beta_K, share_SK @ np.linalg.pinv(rows)[:, : len(spot_N)]


def _left_out(share_SK: Array, ridge: float, spot_N: NDArray[np.int64], truth_N: Array) -> Array:
    """Prediction of every retrained source from the others, [N]."""
    others = [np.arange(len(spot_N)) != left for left in range(len(spot_N))]
    beta_NK = np.stack([_fit(share_SK, ridge, spot_N[kept], truth_N[kept])[0] for kept in others])
    return np.asarray((share_SK[spot_N] * beta_NK).sum(1))


def _seed_noise(truth_RN: Array, variance: float) -> Array:
    """Variance of each truth's mean over seeds, pooled over sources, [N]; half of `variance` for one seed."""
    count_N = np.isfinite(truth_RN).sum(0)
    if count_N.max() < 2:
        return np.full(len(count_N), variance / 2)
    squares = np.nansum(np.square(truth_RN - np.nanmean(truth_RN, 0)))
    return np.asarray(np.minimum(squares / (count_N - 1).sum() / count_N, variance))


def _common_noise(truth_RN: Array) -> float:
    """Relative standard error that all truths share, because they share the full training of each seed."""
    whole_RN = truth_RN[np.isfinite(truth_RN).all(1)]
    if len(whole_RN) < 2:
        return 0.0
    excess = whole_RN.sum(1).var(ddof=1) - whole_RN.var(0, ddof=1).sum()
    return float(np.sqrt(max(excess, 0.0) / len(whole_RN)) / max(abs(whole_RN.mean(0).sum()), 1e-300))

"""What the losses of trainings are made of, as covariances of Gaussian terms, and the ranges of their variances.

A feature is a column of token shares or of an estimate, divided by its root mean square. The replicates' estimates
also say how their seeds' trainings differ: a training under the seed of a replicate loses a part of what that
replicate's estimate is above the mean of all seeds. That mean is not known: it is the replicates' mean times its
reliability, as for any average of few noisy measurements, with a variance of its own. Without this, a noisy
estimate agrees with the trainings of its own seeds by the chance that both share, and is believed of all seeds.
Legend: S sources, K trainings, R replicates, J features, H particles, I terms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tribute.valuation.aggregate import filled

Array = NDArray[np.float64]
TOKENS = "tokens"
TOKEN_MEAN = 0.2
"""Prior mean of the token shares' coefficient where the simulation is free of noise. The simulation has the rest,
times its reliability; what that leaves goes to the token shares. Further estimates have none: they count once
trainings speak for them."""
TOKEN_RANGE, ESTIMATE_RANGE = (0.1, 2.0), (0.03, 2.0)
RANGES = {
    "own": (0.15, 2.0),
    "seed": (0.25, 2.5),
    "noise": (0.03, 3.0),
    "all": (0.002, 0.1),
    "pair": (0.003, 0.5),
    "replicate": (0.03, 2.0),
}
"""Standard deviations, in an average source's effect. `own`: what no feature says of a source; `seed`: how its
effect differs between seeds, as a multiple of how its estimates do; `noise`: of a training; `all`: of every pair
of removed sources alike; `pair`: of each pair; `replicate`: the part of a replicate's own estimate that its seed's
trainings share."""
STRAY, STRAYED = 0.05, (3.0, 30.0)
"""The part of the trainings that stray, and by what multiple of the noise's standard deviation, log-uniform. A
training that half diverged must not speak for the sources that it lacked."""
UNREPLICATED = 0.3
"""How effects differ between seeds where no replicates tell, as a part of an average source's effect."""


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

    def ordered(self) -> "Trainings":
        """The same trainings in an order that depends on them alone, so that they give the same draws."""
        order_K = np.lexsort((*self.removed_KS.T, self.seed_K))
        return Trainings(self.removed_KS[order_K], self.seed_K[order_K], self.lost_K[order_K])


class LeftOut(NamedTuple):
    """The sources that a training leaves out, and its seed."""

    removed: tuple[int, ...]
    seed: int


def set_matrix(sets: Iterable[Sequence[int]], members: int) -> NDArray[np.bool_]:
    """True where a set, such as of removed sources, has a member, [sets, members]."""
    rows = [np.isin(np.arange(members), list(chosen)) for chosen in sets]
    return np.array(rows, dtype=bool).reshape(-1, members)


class Feature(NamedTuple):
    """A column of token shares or of an estimate, divided by its root mean square.

    ``mean_S``: of the replicates. ``reliability``: the part of its square that is not their noise, 0 to 1.
    ``apart_RS``: by what a replicate is above the mean of all seeds, as the replicates' mean lets expect it.
    ``variance_S``: of a replicate, half smoothed by size; None: replicates are alike, or their seeds unknown.
    """

    mean_S: Array
    rms: float
    reliability: float
    apart_RS: Array
    variance_S: Array | None

    @classmethod
    def of(cls, nats_RS: Array, size_S: Array, seeds: int) -> "Feature":
        """The feature of an estimate, [R, S] in any unit, under so many seeds.

        Its root mean square is at least the mean's standard error, or replicates that cancel would be noise alone
        in units of their mean, and no training would be heard over that.
        """
        replicated = len(nats_RS) == seeds > 1 and np.ptp(nats_RS, 0).any()
        noise = float(nats_RS.var(0, ddof=1).mean()) / seeds if replicated else 0.0
        rms = float(np.sqrt(max(np.square(nats_RS.mean(0)).mean(), noise)))
        column_RS, mean_S = nats_RS / rms, nats_RS.mean(0) / rms
        if not replicated:
            return cls(mean_S, rms, 1.0, np.zeros((seeds, len(mean_S))), None)
        variance_S, reliability = column_RS.var(0, ddof=1), 1 - noise / rms**2
        smoothed_S = (variance_S + variance_S.mean() * size_S / size_S.mean()) / 2
        return cls(mean_S, rms, reliability, column_RS - reliability * mean_S, smoothed_S)


@dataclass(frozen=True)
class Terms:
    """What all covariances are made of.

    ``columns``: features and their root mean squares. ``feature_SJ``, ``mean_J``: features, and the prior means of
    their coefficients. ``size_S``: S times the token share, moved towards 1 by a tenth. ``apart``: by seed, what a
    replicate's features are above the mean of all seeds, [S, J]. ``doubt_S``: variance of that mean, summed over
    features. ``seed_S``: variance of a replicate's feature, a guess of how effects differ between seeds.
    """

    columns: dict[str, float]
    feature_SJ: Array
    mean_J: Array
    size_S: Array
    apart: dict[int, Array]
    doubt_S: Array
    seed_S: Array

    @classmethod
    def of(cls, estimates: Mapping[str, ArrayLike], tokens_S: ArrayLike, seeds: Sequence[int]) -> "Terms":
        """The terms of estimates [R, S] by name, NaN: failed, the one paid by last; and of token counts [S].

        Args:
            seeds: the seeds of the replicates, [R]; empty: they are no seeds of trainings.
        """
        share_S = np.asarray(tokens_S, dtype=float) / np.sum(tokens_S)
        read = {name: filled(np.asarray(nats, float)[:, None], share_S)[:, 0] for name, nats in estimates.items()}
        read = {TOKENS: share_S[None]} | {name: nats_RS for name, nats_RS in read.items() if nats_RS.mean(0).any()}
        size_S = (len(share_S) * share_S + 0.1) / 1.1
        features = [Feature.of(nats_RS, size_S, len(seeds)) for nats_RS in read.values()]
        mean_J = np.zeros(len(features))
        if list(read)[-1:] == list(estimates)[-1:]:
            mean_J[-1] = (1 - TOKEN_MEAN) * features[-1].reliability
        mean_J[0] = 1 - mean_J.sum()
        replicated = [each for each in features if each.variance_S is not None]
        variance_FS = np.array([each.variance_S for each in replicated])
        reliable_F = np.array([each.reliability for each in replicated])
        return cls(
            {name: each.rms for name, each in zip(read, features, strict=True)},
            np.stack([each.mean_S for each in features], 1),
            mean_J,
            size_S,
            {seed: np.stack([each.apart_RS[r] for each in features], 1) for r, seed in enumerate(seeds)},
            reliable_F @ variance_FS / len(seeds) if replicated else np.zeros_like(size_S),
            variance_FS.mean(0) if replicated else UNREPLICATED**2 * size_S,
        )

    def covariances(self, removed_KS: Array, seed_K: NDArray[np.int64]) -> Array:
        """The covariance of the losses of trainings, by term at unit variance, [I, K, K]."""
        part_KS = removed_KS * self.size_S
        same_KK = (seed_K[:, None] == seed_K).astype(np.float64)
        column_KJ, own_KK = removed_KS @ self.feature_SJ, part_KS @ removed_KS.T
        square_K = part_KS.sum(1) ** 2 - (part_KS**2).sum(1)
        pair_KK = (np.square(own_KK) - (part_KS * self.size_S) @ removed_KS.T) / 2
        known_KS = removed_KS * np.isin(seed_K, list(self.apart))[:, None]
        none_SJ = np.zeros_like(self.feature_SJ)
        apart_KSJ = np.stack([self.apart.get(seed, none_SJ) for seed in seed_K.tolist()] or [none_SJ])[
            : len(seed_K)
        ]
        apart_KJ = np.einsum("ks,ksj->kj", removed_KS, apart_KSJ)
        replicate_KK = apart_KJ @ apart_KJ.T + (known_KS * self.doubt_S) @ known_KS.T
        features_JKK = np.einsum("kj,lj->jkl", column_KJ, column_KJ)
        noise_KK, all_KK = np.eye(len(seed_K)) + same_KK, np.outer(square_K, square_K)
        seed_KK = (removed_KS * self.seed_S) @ removed_KS.T * same_KK
        others = [own_KK, seed_KK, noise_KK, all_KK, pair_KK, replicate_KK]
        return np.concatenate([features_JKK, np.stack(others)])

    def variances(self, place_HI: Array) -> Array:
        """Variances of terms at places in the unit cube, [H, I]."""
        features = len(self.mean_J)
        estimate = np.array(ESTIMATE_RANGE) / np.sqrt(max(features - 1, 1))
        low_I, high_I = np.log(np.array([TOKEN_RANGE, *[estimate] * (features - 1), *RANGES.values()])).T
        return np.asarray(np.exp(2 * (low_I + (high_I - low_I) * place_HI)))

    def stray(self, place_HK: Array, variance_HI: Array) -> Array:
        """By what the noise of each training exceeds that of others, at places in the unit cube, [H, K]."""
        noise_H1 = variance_HI[:, [len(self.mean_J) + list(RANGES).index("noise")]]
        near, far = STRAYED
        multiple_HK = near * (far / near) ** ((place_HK - (1 - STRAY)) / STRAY)
        return np.asarray(np.where(place_HK > 1 - STRAY, noise_H1 * (multiple_HK**2 - 1), 0.0))

    @property
    def terms(self) -> int:
        """How many there are, I."""
        return len(self.mean_J) + len(RANGES)

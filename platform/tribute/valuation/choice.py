"""Which training to run next: the one that lowers the expected misallocated pool most for what it costs.

Given the hyper-parameters all is Gaussian, so a training's gain does not depend on its outcome. With A the
covariance of shares and losses, V that of losses, and c a candidate:

    gain_c = mean over particles of sum_p w_p [sd_p - sqrt(var_p - A_pc^2 / V_cc)]

A batch is picked greedily, and A, V and var are updated after each pick. Review: Bayesian experimental design,
arXiv 2302.14545. Legend: S sources, K trainings, C candidates, P payees, H particles.
"""

from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.valuation.posterior import Posterior, expected_misallocation, shares
from tribute.valuation.terms import LeftOut, set_matrix

Array = NDArray[np.float64]
PARTICLES = 48
"""Particles that gains are averaged over."""
SINGLES, PAIRS, GROUPS = 300, 200, 8
"""Most candidates that leave out one source or two, and random groups of each size."""
GROUP_PARTS = (0.2, 0.5)
HALF_NORMAL = np.sqrt(2 / np.pi)
"""Mean absolute value of a standard normal variable."""


class Picked(NamedTuple):
    """A training that was picked, and its cost in trainings."""

    training: LeftOut
    cost: float


class Payees(NamedTuple):
    """Parts of the sources that payees hold, [S, P], and what a misallocated unit of each counts, [P].

    ``fallback_P``: shares where no payee's value is positive; None: equal ones.
    """

    part_SP: Array
    weight_P: Array
    fallback_P: Array | None = None

    @classmethod
    def sources(cls, count: int) -> "Payees":
        """Every source is a payee of its own."""
        return cls(np.eye(count), np.ones(count))


class Chooser:
    """Picks trainings one after the other, as if each had been run.

    Args:
        seeds: seeds to train under.
        new_seeds: those of them whose full training is still to be run, so that the first training costs two.
        diverged: trainings that would diverge again, and are no candidates.
    """

    def __init__(
        self,
        found: Posterior,
        seeds: Sequence[int],
        rng: np.random.Generator,
        payees: Payees | None = None,
        new_seeds: Sequence[int] = (),
        diverged: Sequence[LeftOut] = (),
    ) -> None:
        sources = len(found.mean_S)
        self._payees, self._new = payees or Payees.sources(sources), set(new_seeds)
        self.candidates = _candidates(found, seeds, rng, diverged)
        removed_CS = set_matrix((each.removed for each in self.candidates), sources)
        removed_XS = np.vstack([found.trainings.removed_KS, removed_CS])
        seed_X = np.concatenate([found.trainings.seed_K, [each.seed for each in self.candidates]])
        among_IXX = found.terms.covariances(removed_XS, seed_X)
        chosen = _spread(len(found.variance_HI))
        self._state = [self._conditioned(found, particle, removed_XS, among_IXX) for particle in chosen]
        part_SP, fallback_P = self._payees.part_SP, self._payees.fallback_P
        start = expected_misallocation(found.draws_NS, found.mean_S, part_SP, fallback_P)
        self._factor = start / max(self._linear(), 1e-300)

    def expected(self) -> float:
        """The expected misallocated pool after what was picked, 0 to 1; by the draws before anything is."""
        return float(self._factor * self._linear())

    def gains(self) -> Array:
        """What every candidate saves per training that it costs, [C]; 0: it was picked."""
        cost_C = np.array([self._cost(each) for each in self.candidates])
        return np.asarray(np.mean([self._gains(*state) for state in self._state], 0) / cost_C)

    def pick(self, most: float = np.inf) -> Picked | None:
        """The candidate with the largest gain, which counts as run from now on; None: no gain is left.

        Args:
            most: what it may cost. If the best one is dearer, nothing is picked.
        """
        gain_C = self.gains()
        best = int(gain_C.argmax()) if (gain_C > 0).any() else None
        if best is None or (cost := self._cost(self.candidates[best])) > most:
            return None
        for var_P, with_PC, among_CC in self._state:
            variance, slope_C = among_CC[best, best], among_CC[best] / among_CC[best, best]
            var_P -= np.square(with_PC[:, best]) / variance
            np.clip(var_P, 0, None, out=var_P)
            with_PC -= np.outer(with_PC[:, best], slope_C)
            among_CC -= np.outer(among_CC[best].copy(), slope_C)
        self._new.discard(self.candidates[best].seed)
        return Picked(self.candidates[best], cost)

    def _cost(self, each: LeftOut) -> float:
        return 2.0 if each.seed in self._new else 1.0

    def _linear(self) -> float:
        return float(np.mean([HALF_NORMAL / 2 * np.sqrt(var_P).sum() for var_P, _, _ in self._state]))

    def _gains(self, var_P: Array, with_PC: Array, among_CC: Array) -> Array:
        variance_C = np.diagonal(among_CC)
        usable_C = variance_C > 1e-9 * variance_C.max(initial=0)
        saved_PC = np.square(with_PC) / np.where(usable_C, variance_C, 1)
        left_PC = np.sqrt(np.clip(var_P[:, None] - saved_PC, 0, None))
        gain_C = self._payees.weight_P @ (np.sqrt(var_P)[:, None] - left_PC)
        return np.asarray(np.where(usable_C, gain_C, 0.0))

    def _conditioned(
        self, found: Posterior, particle: int, removed_XS: Array, among_IXX: Array
    ) -> tuple[Array, Array, Array]:
        """Variances of shares [P], covariances with candidates' losses [P, C] and among them [C, C].

        Args:
            removed_XS: what known trainings leave out, then what candidates do.
        """
        terms, variance_I = found.terms, found.variance_HI[particle]
        features, count = len(terms.mean_J), len(found.trainings.lost_K)
        among_XX = np.tensordot(variance_I, among_IXX, 1)
        among_XX[range(count), range(count)] += found.stray_HK[particle]
        feature_SJ = terms.feature_SJ * np.sqrt(variance_I[:features])
        own_S = variance_I[features] * terms.size_S
        slope_PS = _slope(found, found.scale_H[particle], self._payees)
        with_PX = (slope_PS @ feature_SJ) @ (removed_XS @ feature_SJ).T + (slope_PS * own_S) @ removed_XS.T
        var_P = np.square(slope_PS @ feature_SJ).sum(1) + np.square(slope_PS) @ own_S
        among_KX, with_PK = among_XX[:count], with_PX[:, :count]
        solved_KX = np.linalg.solve(among_KX[:, :count], np.hstack([with_PK.T, among_KX[:, count:]]))
        payees = len(var_P)
        var_P -= (with_PK.T * solved_KX[:, :payees]).sum(0)
        with_PC = with_PX[:, count:] - with_PK @ solved_KX[:, payees:]
        among_CC = among_XX[count:, count:] - among_KX[:, count:].T @ solved_KX[:, payees:]
        return np.clip(var_P, 0, None), with_PC, among_CC


def _slope(found: Posterior, scale: float, payees: Payees) -> Array:
    """Derivative of the payees' shares by the values of sources, [P, S], in units of the scale.

    At the mean values; or its mean over draws, where no counted payee's share changes at the mean values, as with
    no value above zero, or a single one: zero may be on the wrong side of them.
    """
    slope_PS = _derivative(found.mean_S[None] / scale, payees)
    if (np.abs(slope_PS).sum(1) @ payees.weight_P) > 0:
        return slope_PS
    return _derivative(found.draws_NS / scale, payees)


def _derivative(value_NS: Array, payees: Payees) -> Array:
    value_NP = value_NS @ payees.part_SP
    total = max(float(np.clip(value_NP, 0, None).sum(1).mean()), 1e-9)
    paid_PS = (value_NP > 0).mean(0)[:, None] * payees.part_SP.T
    share_P = shares(value_NP, payees.fallback_P).mean(0)
    return np.asarray((paid_PS - np.outer(share_P, paid_PS.sum(0))) / total)


def _candidates(
    found: Posterior, seeds: Sequence[int], rng: np.random.Generator, diverged: Sequence[LeftOut]
) -> list[LeftOut]:
    sources, known = len(found.mean_S), found.trainings
    done = {(tuple(np.flatnonzero(row)), seed) for row, seed in zip(known.removed_KS, known.seed_K, strict=True)}
    singles = [(source,) for source in range(sources) if sources > 1]
    pairs = list(combinations(range(sources), 2)) if sources > 2 and seeds else []
    pairs = [pairs[index] for index in rng.permutation(len(pairs))[:PAIRS]]
    groups = [
        tuple(sorted(rng.choice(sources, max(3, round(part * sources)), replace=False).tolist()))
        for part in GROUP_PARTS * GROUPS
        if sources > 5 and seeds
    ]
    every = list(product(singles, seeds))
    if len(every) > SINGLES:
        every = [(single, int(rng.choice(list(seeds)))) for single in singles]
    every += [(chosen, int(rng.choice(list(seeds)))) for chosen in (*pairs, *groups)]
    return [LeftOut(*each) for each in dict.fromkeys(every) if each not in done and each not in diverged]


def _spread(particles: int) -> list[int]:
    return np.unique(np.linspace(0, particles - 1, min(PARTICLES, particles)).astype(int)).tolist()

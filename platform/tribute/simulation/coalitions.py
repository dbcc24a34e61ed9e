"""Semivalues from sampled coalitions: what a source adds to a random set of the others, not to all of them.

Redundant sources are worth nothing one at a time; in coalitions each gets its part. Every coalition is simulated
once, and serves all sources. With D_c = v(everything) - v(coalition c), both notions are linear in D.

Legend: C coalitions, S sources.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.simulation.units import Unit

EVERYTHING = "all-sources"
"""Id of the unit that removes everything; units are kept by id, and it comes before those of coalitions."""
PER_SOURCE = 10
"""Coalitions per source that Shapley values need: with 6 they were no better than equal shares, with 10 better
(games of diminishing returns with 2 and 10% noise, 8 to 40 sources)."""


def banzhaf_units(sources: int, coalitions: int, seed: int) -> list[Unit]:
    """Coalitions that hold every source with chance 1/2, in complementary pairs."""
    rng = np.random.default_rng(seed)
    return _units(rng.random((coalitions // 2, sources)) < 0.5)


def shapley_units(sources: int, coalitions: int, seed: int) -> list[Unit]:
    """Coalitions of the Shapley kernel in complementary pairs: sizes k have chance prop. to 1 / (k (S - k)).

    The first unit removes everything.

    Raises:
        ConfigError: there are under `PER_SOURCE` coalitions per source: least squares on them are nearly singular.
    """
    if coalitions < PER_SOURCE * sources:
        raise ConfigError(
            f"simulation.coalitions is {coalitions}, but Shapley values of {sources} sources need at least "
            f"{PER_SOURCE * sources}: those of fewer are worse than equal shares. Raise it, or use notion: banzhaf"
        )
    rng = np.random.default_rng(seed)
    everything = Unit(EVERYTHING, tuple(range(sources)))
    if sources == 1:
        return [everything]
    sizes = np.arange(1, sources)
    chance = 1 / (sizes * (sources - sizes))
    drawn = rng.choice(sizes, size=coalitions // 2, p=chance / chance.sum())
    ranks = np.argsort(np.argsort(rng.random((len(drawn), sources)), axis=1), axis=1)
    return [everything, *_units(ranks < drawn[:, None])]


def _units(kept_CS: NDArray[np.bool_]) -> list[Unit]:
    paired = np.stack([kept_CS, ~kept_CS], 1).reshape(-1, kept_CS.shape[1])
    return [Unit(f"coalition-{c:06d}", tuple(np.flatnonzero(~kept).tolist())) for c, kept in enumerate(paired)]


def banzhaf_allocation(removed_CS: NDArray[np.bool_], chosen_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of v over coalitions with s minus the mean over those without, as weights of D, [C, S].

    Source: maximum sample reuse, Wang & Jia (arXiv 2205.15466).
    """
    outside, inside = removed_CS & chosen_C[:, None], ~removed_CS & chosen_C[:, None]
    allocation: NDArray[np.float64] = outside / outside.sum(0).clip(1) - inside / inside.sum(0).clip(1)
    return allocation


def shapley_allocation(removed_CS: NDArray[np.bool_], chosen_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Least squares over the coalitions, as weights of D, [C, S]; the first row of `removed` is everything.

    phi = A^-1 (b - 1 (1' A^-1 b - D_none) / (1' A^-1 1)) with A = mean z z' and b = mean z (D_none - D_c), so that
    the values sum to D_none = v(everything) - v(nothing). Source: KernelSHAP, Covert & Lee (arXiv 2012.01536).
    """
    drawn = chosen_C.copy()
    drawn[0] = False
    if removed_CS.shape[1] == 1:
        return np.eye(len(removed_CS), 1)
    z_CS = (~removed_CS[drawn]).astype(np.float64)
    count, sources = z_CS.shape
    of_b_SC = np.zeros((sources, len(removed_CS)))
    of_b_SC[:, drawn] = -z_CS.T / count
    of_b_SC[:, 0] = z_CS.mean(0)
    inverse = np.linalg.pinv(z_CS.T @ z_CS / count)
    solved, ones = inverse @ of_b_SC, inverse.sum(1)
    excess = solved.sum(0)
    excess[0] -= 1
    allocation: NDArray[np.float64] = (solved - np.outer(ones / ones.sum(), excess)).T
    return allocation
